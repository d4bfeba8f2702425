package workflow

import (
	"fmt"
	"slices"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/order"
	"example.com/upload-router/internal/policy"
)

// Backfill has the state machine process the objects of a list, or of a listing of a bucket, in place of one upload: each by a child
// workflow execution of a Distributed Map, which goes through the router's own states (requirements C25 to C30).
type Backfill struct {
	// BucketName and BucketARN are the bucket that the lists are read from, and the results written to. Required.
	BucketName, BucketARN pulumi.StringInput `required:"true"`
	// BucketKMSKeyARN is the customer managed key which that bucket is encrypted with. Nil: a key that AWS manages.
	BucketKMSKeyARN pulumi.StringInput
	// Keys are globs of the keys that are processed of a listing, any of which is enough, as the States Language's StringMatches has them.
	// Empty: all keys.
	Keys []string
}

// backfillStatements are what a backfill's own states need, besides those of the router: to the uploads' buckets component uploads lets it.
//
// https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html
func backfillStatements(args *Args) []policy.Statement {
	b := args.Backfill
	under := func(prefix string) []pulumi.StringInput {
		return []pulumi.StringInput{pulumi.Sprintf("%s/%s*", b.BucketARN, prefix)}
	}
	statements := []policy.Statement{
		{Sid: "ReadLists", Actions: []string{"s3:GetObject"}, Resources: under(machine.BackfillLists)},
		{
			Sid:       "WriteResults",
			Actions:   []string{"s3:AbortMultipartUpload", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"},
			Resources: under(machine.BackfillResults),
		},
	}
	if b.BucketKMSKeyARN != nil {
		statements = append(statements, keyOfResults(args)...)
	}
	return statements
}

// keyOfResults lets S3 use the key of the bucket. The encryption context is the bucket, as it has a bucket key, or the list itself if
// whoever uploads it asks for none. What S3 encrypts in parts it decrypts as well.
func keyOfResults(args *Args) []policy.Statement {
	b := args.Backfill
	use := func(sid, action string, contexts ...pulumi.StringInput) policy.Statement {
		return policy.Statement{
			Sid: sid, Actions: []string{action}, Resources: []pulumi.StringInput{b.BucketKMSKeyARN}, Conditions: []policy.Condition{
				policy.Via("s3", args.Location), policy.When("ArnLike", "kms:EncryptionContext:aws:s3:arn", contexts...),
			},
		}
	}
	return []policy.Statement{
		use("EncryptResults", "kms:GenerateDataKey", b.BucketARN),
		use("DecryptLists", "kms:Decrypt", pulumi.Sprintf("%s/%s*", b.BucketARN, machine.BackfillLists), b.BucketARN),
	}
}

// runChildren lets a state machine run its own child workflow executions, and count what became of them. It takes the machine's name, so
// that the machine is there before: no execution is to start before this is. The ARN of a child has the label of its Map state behind the
// machine's name.
func (w *Workflow) runChildren(ctx *pulumi.Context, name string, args *Args, role *iam.Role) error {
	of := func(kind, rest string) pulumi.StringInput {
		return pulumi.Sprintf("%s%s%s", args.Location.ARN("states", kind+":"), w.Name, rest)
	}
	executions := []pulumi.StringInput{of("execution", ":*"), of("execution", "/*:*")}
	granted, err := policy.Grant(ctx, w, name+"-children", role.Name,
		policy.Statement{Sid: "StartChildren", Actions: []string{"states:StartExecution"}, Resources: []pulumi.StringInput{w.ARN}},
		policy.Statement{Sid: "FollowChildren", Actions: []string{"states:DescribeExecution", "states:StopExecution"}, Resources: executions},
		policy.Statement{
			Sid: "RedriveChildren", Actions: []string{"states:RedriveExecution"}, Resources: []pulumi.StringInput{of("execution", "/*:*")},
		},
		policy.Statement{
			Sid: "CountMapRuns", Actions: []string{"states:DescribeMapRun"}, Resources: []pulumi.StringInput{of("mapRun", "/*:*")},
		},
	)
	if err != nil {
		return fmt.Errorf("letting the state machine run its children: %w", err)
	}
	w.ARN = order.After(ctx, w.ARN, granted)
	return nil
}

// statementsOf are all that the definition's states need.
func statementsOf(args *Args) []policy.Statement {
	if args.Backfill == nil {
		return runStatements(args)
	}
	return slices.Concat(runStatements(args), backfillStatements(args))
}
