// Package uploads is where files arrive and how they start the state machine: a bucket, its EventBridge rule with the target, and
// the dead-letter queue of events that could not be delivered (requirements A31 to A33, A36 to A38).
package uploads

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/s3"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/location"
	"example.com/upload-router/internal/arguments"
	"example.com/upload-router/internal/outputs"
	"example.com/upload-router/internal/policy"
	"example.com/upload-router/internal/queue"
)

// Type is the component's type token.
const Type = "upload-router:components:Uploads"

// Args configure Uploads.
type Args struct {
	// Location is where the stack is. Required.
	Location location.Location `required:"true"`
	// BucketName is the bucket's name. Empty: auto-named.
	BucketName string
	// Buckets are the names of buckets that are there already, in the place of one that is made. Nothing of them is changed: that their events
	// go to EventBridge, and whatever protects them, is for who has made them. Empty: one is made.
	Buckets []string
	// BucketKMSKeyARNs are the customer managed keys that the objects in Buckets are encrypted with.
	BucketKMSKeyARNs []string
	// Keys are globs of the keys that are taken, any of which is enough: * stands for any characters, slashes included, and \* for an
	// asterisk. Empty: all keys.
	Keys []string
	// KMSKeyARN is the key that the bucket and the dead-letter queue are encrypted
	// with; its policy must let this stack's rules use it. Nil: keys that AWS manages.
	KMSKeyARN pulumi.StringInput
	// Key is what makes that key: it is deleted after the bucket only, so that what
	// stays in a bucket which can't be deleted can still be read. Nil: it isn't the stack's.
	Key pulumi.Resource
	// ForceDestroy lets a destroy delete the bucket with all that is in it.
	ForceDestroy bool
	// AbortIncompleteAfterDays removes the parts of multipart uploads that were never completed. Required.
	AbortIncompleteAfterDays int `required:"true"`
	// KeepVersionsDays is when overwritten and deleted objects are deleted for good. 0: never.
	KeepVersionsDays int
	// ReaderRoles are the names of the roles that process the objects, by what
	// takes them: they get to read this bucket's objects. Required.
	ReaderRoles map[string]pulumi.StringInput `required:"true"`
	// BackfillRoleARN and BackfillRoleName are the role that lists the buckets and looks objects up, to have the readers process what is there
	// already: it gets no key by which it could read what is in them. Nil: there is none.
	BackfillRoleARN, BackfillRoleName pulumi.StringInput
	// Tags have the readers tag the versions that they have processed. Nil: they may not.
	Tags *Tags
	// Private is the one way to the objects of who reads them from a network
	// without a route to the internet. Nil: they may be read from anywhere.
	Private *Private
	// StateMachineARN is started for every object that is created and whose key is taken. Required.
	StateMachineARN pulumi.StringInput `required:"true"`
	// MaximumEventAgeSeconds is how long EventBridge tries to start an execution before the event goes to the dead-letter queue, 60 to
	// 86400. Required.
	MaximumEventAgeSeconds int `required:"true"`
	// MaximumRetryAttempts is how often it tries again in that time, 0 to 185. Default: 0, not once.
	MaximumRetryAttempts int
	// Paused has the events of objects stored in a queue, for up to 14 days, and starts nothing. Default: executions are started.
	Paused bool
}

// Tags are the tag of processed versions, and what follows from it.
type Tags struct {
	// RoleARNs are the ReaderRoles by their ARNs, in any order: nobody else may set the tag. Required.
	RoleARNs []pulumi.StringInput `required:"true"`
	// Quarantine keeps everybody else from reading a version before it is tagged as processed. Default: they may, as IAM lets them.
	Quarantine bool
	// ExpireDays is from when on after its upload a version expires that is tagged as processed. 0: never.
	ExpireDays int
}

// Private is a VPC endpoint by which a role reads the objects, and no other way.
type Private struct {
	// EndpointID is the endpoint. Required.
	EndpointID pulumi.StringInput `required:"true"`
	// RoleARN is the role. Required.
	RoleARN pulumi.StringInput `required:"true"`
}

// ARNs are the ARNs of buckets that are there already.
func ARNs(at location.Location, names []string) []string {
	arns := make([]string, len(names))
	for i, name := range names {
		arns[i] = BucketARN(at, "", name)
	}
	return arns
}

// BucketARN is the ARN that the bucket will have, for the policy of what is there
// before it: with a wildcard for what Pulumi adds to a name that isn't given.
func BucketARN(at location.Location, name, given string) string {
	if given == "" {
		given = name + "-bucket*"
	}
	return "arn:" + at.Partition + ":s3:::" + given
}

// Uploads are a bucket, or some that are there already, their rule and the dead-letter queue.
type Uploads struct {
	pulumi.ResourceState

	// BucketName is the bucket, or the first of those that are there.
	BucketName pulumi.StringOutput `pulumi:"bucketName"`
	// BucketARN is the bucket's ARN.
	BucketARN pulumi.StringOutput `pulumi:"bucketArn"`
	// RuleName is the EventBridge rule.
	RuleName pulumi.StringOutput `pulumi:"ruleName"`
	// DeadLetterQueueName is the queue of undelivered events, as metrics name it.
	DeadLetterQueueName pulumi.StringOutput `pulumi:"deadLetterQueueName"`
	// DeadLetterQueueURL is its URL, as the SQS API wants it.
	DeadLetterQueueURL pulumi.StringOutput `pulumi:"deadLetterQueueUrl"`
	// PausedRuleName is the EventBridge rule that stores events while uploads are paused.
	PausedRuleName pulumi.StringOutput `pulumi:"pausedRuleName"`
	// PausedQueueName is the queue of the events of paused uploads, as metrics name it.
	PausedQueueName pulumi.StringOutput `pulumi:"pausedQueueName"`
	// PausedQueueURL is its URL, as the SQS API wants it.
	PausedQueueURL pulumi.StringOutput `pulumi:"pausedQueueUrl"`
}

// New makes Uploads. Events start to flow last: once the bucket is protected, the processors may read it, and EventBridge may
// start the machine and write to the queue.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Uploads, error) {
	if err := arguments.Check(args); err != nil {
		return nil, err //nolint:wrapcheck // It names the fields.
	}
	u := &Uploads{}
	if err := ctx.RegisterComponentResource(Type, name, u, opts...); err != nil {
		return nil, fmt.Errorf("registering the uploads: %w", err)
	}
	var bucket *s3.BucketV2 // nil for those that are there
	var protections []pulumi.Resource
	var err error
	if len(args.Buckets) > 0 {
		u.adopt(args)
	} else if bucket, protections, err = u.bucket(ctx, name, args); err != nil {
		return nil, err
	}
	readers, err := u.readers(ctx, name, args)
	if err != nil {
		return nil, err
	}
	if args.BackfillRoleName != nil {
		if _, err := policy.Grant(ctx, u, name+"-backfill", args.BackfillRoleName, lookUp(u.bucketARNs(args))...); err != nil {
			return nil, fmt.Errorf("letting backfills look up what is in the bucket: %w", err)
		}
	}
	rule, paused, err := u.rules(ctx, name, args)
	if err != nil {
		return nil, err
	}
	undelivered, access, err := queue.New(
		ctx, name+"-dlq", queue.Undelivered, []*cloudwatch.EventRule{rule, paused}, args.KMSKeyARN, pulumi.Parent(u))
	if err != nil {
		return nil, err //nolint:wrapcheck // It names the queue.
	}
	u.DeadLetterQueueName, u.DeadLetterQueueURL = undelivered.Name, undelivered.Url
	stored, err := u.store(ctx, name, args, paused, undelivered, access)
	if err != nil {
		return nil, err
	}
	target, err := u.target(ctx, name, args, rule, undelivered, append(readers, access))
	if err != nil {
		return nil, err
	}
	if bucket != nil {
		if err := u.notify(ctx, name, bucket, append(protections, target, stored)); err != nil {
			return nil, err
		}
	}
	return u, outputs.Register(ctx, u)
}
