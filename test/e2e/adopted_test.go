//go:build e2e

package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/require"

	bus "example.com/upload-router/internal/eventbridge"
)

// TestAdoptedBucket has a stack with three routes take the uploads of a bucket that others made, with all that a bucket has. In the end it
// is as it was, property by property, but that EventBridge is on.
func TestAdoptedBucket(t *testing.T) {
	t.Parallel()
	c := newCommands(t, "e2e-adopted")
	theirs := &theirBucket{t: t, d: inspect(t, region, nil), name: fmt.Sprintf("e2e-adopted-%d", time.Now().UnixNano())}
	theirs.make()
	before := theirs.properties()
	require.NotContains(t, before["notification"], "EventBridgeConfiguration")

	c.run(0, "set up", "init", "--from", "Pulumi.local.yaml", "-c", "image="+image(), "--yes", "-c", `buckets=["`+theirs.name+`"]`,
		"-c", `keys=["in/*"]`, "-c", `routes=[{"name":"small","maxSize":"6MiB","compute":"lambda"},`+
			`{"name":"video","keys":["*.mp4","*.mov"],"compute":"fargate","cpu":4096,"memory":8192},{"name":"large","compute":"fargate"}]`)

	t.Log("without the flag, up says what is missing, and does nothing")
	refused := c.run(3, theirs.name+": EventBridge is off", "up", "--yes")
	require.Contains(t, refused, "aws s3api put-bucket-notification-configuration --bucket "+theirs.name)
	require.Equal(t, before, theirs.properties())
	c.run(3, "not deployed", "summary")

	deployed := true
	t.Cleanup(func() {
		if deployed {
			c.run(0, "", "destroy", "--yes")
		}
	})
	c.run(0, "✓ "+theirs.name+": EventBridge is on", "up", "--yes", "--enable-eventbridge", "--skip-preview")
	doctor := c.run(0, theirs.name+" sends them to EventBridge", "doctor", "--json")
	for _, found := range []string{" keeps versions", ": keys that AWS manages", " denies the processors nothing"} {
		require.Contains(t, doctor, theirs.name+found)
	}

	d := c.inspect()
	require.Equal(t, theirs.name, d.text(t, "bucketName"))
	for key, takes := range map[string]bool{"in/a.txt": true, "in/film.mp4": true, "out/a.txt": false} {
		require.Equal(t, takes, d.takes(t, theirs.name, key), key)
	}
	definition := d.definition(t)
	for _, route := range []string{"small", "video", "large"} {
		require.Contains(t, definition, `"`+route+`"`)
		d.abort(t, d.start(t, "in/"+route, 20<<20))
	}

	t.Log("another filter changes the rule, with the one of a pause, and what a backfill takes of a listing")
	c.run(0, "", "init", "-c", `keys=["in/*","more/*.pdf"]`, "--yes")
	const rule, backfills = "aws:cloudwatch/eventRule:EventRule update", "aws:sfn/stateMachine:StateMachine update"
	require.ElementsMatch(t, []string{rule, rule, backfills}, c.changes("up", "--yes", "--enable-eventbridge", "--skip-doctor"))
	require.True(t, d.takes(t, theirs.name, "more/a.pdf"))
	require.Equal(t, definition, d.definition(t))

	deployed = false
	c.run(0, "", "destroy", "--yes")
	after := theirs.properties()
	require.Contains(t, after["notification"], "EventBridgeConfiguration")
	after["notification"] = strings.Replace(after["notification"], `"EventBridgeConfiguration":{},`, "", 1)
	require.Equal(t, before, after)
	_, err := theirs.d.s3().HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &theirs.name, Key: aws.String("in/there.txt")})
	require.NoError(t, err)
}

// changes runs a command that changes the stack, and gives what it changed: each resource once.
func (c *commands) changes(args ...string) []string {
	c.t.Helper()
	var changed []string
	for lines := bufio.NewScanner(strings.NewReader(c.run(0, `"kind":"outcome"`, append(args, "--json")...))); lines.Scan(); {
		var event struct {
			Operation, Kind, Action, State string
			Resource                       struct{ Type string }
			Added                          bool
		}
		if json.Unmarshal(lines.Bytes(), &event) != nil {
			continue // what isn't of the stream is on the standard error
		}
		require.False(c.t, event.Added, "EventBridge was on, and nothing is put")
		if event.Operation == "up" && event.State == "done" && event.Action != "same" && event.Action != "read" &&
			event.Resource.Type != "pulumi:pulumi:Stack" {
			changed = append(changed, event.Resource.Type+" "+event.Action)
		}
	}
	return changed
}

// takes says whether the deployed rule's pattern takes the event of an object.
func (d *deployed) takes(t *testing.T, bucket, key string) bool {
	t.Helper()
	rule, err := eventbridge.NewFromConfig(d.cfg).DescribeRule(t.Context(), &eventbridge.DescribeRuleInput{
		Name: aws.String(d.text(t, "eventBridgeRuleName")),
	})
	require.NoError(t, err)
	pattern, err := bus.ParsePattern([]byte(aws.ToString(rule.EventPattern)))
	require.NoError(t, err)
	event, err := bus.S3ObjectCreated(bus.ObjectCreated{
		Account: "210987654321", Region: region, Time: time.Now(), Bucket: bucket, Key: key, Size: 1, ETag: "e", Sequencer: "0062E99A88DC407460",
		RequestID: "N4N7GDK58NMKJ12R", SourceIPAddress: "192.0.2.1", Reason: "PutObject", VersionID: "v",
	})
	require.NoError(t, err)
	body, err := event.JSON()
	require.NoError(t, err)
	matches, err := pattern.Match(body)
	require.NoError(t, err)
	return matches
}

func (d *deployed) definition(t *testing.T) string {
	t.Helper()
	machine, err := sfn.NewFromConfig(d.cfg).DescribeStateMachine(t.Context(), &sfn.DescribeStateMachineInput{
		StateMachineArn: aws.String(d.text(t, "stateMachineArn")),
	})
	require.NoError(t, err)
	return aws.ToString(machine.Definition)
}

// theirBucket is a bucket that others made.
type theirBucket struct {
	t    *testing.T
	d    *deployed
	name string
}

// make makes it with a notification, versions, a lifecycle, a policy, tags, encryption and an object.
func (b *theirBucket) make() {
	b.t.Helper()
	ctx, client := b.t.Context(), b.d.s3()
	queues := sqs.NewFromConfig(b.d.cfg)
	queue, err := queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &b.name})
	require.NoError(b.t, err)
	attributes, err := queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: queue.QueueUrl, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameQueueArn},
	})
	require.NoError(b.t, err)
	arn := attributes.Attributes["QueueArn"]
	_, err = client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &b.name, CreateBucketConfiguration: &s3types.CreateBucketConfiguration{
		LocationConstraint: s3types.BucketLocationConstraint(region),
	}})
	require.NoError(b.t, err)
	_, err = client.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
		Bucket: &b.name, VersioningConfiguration: &s3types.VersioningConfiguration{Status: s3types.BucketVersioningStatusEnabled},
	})
	require.NoError(b.t, err)
	_, err = client.PutBucketLifecycleConfiguration(ctx, &s3.PutBucketLifecycleConfigurationInput{
		Bucket: &b.name, LifecycleConfiguration: &s3types.BucketLifecycleConfiguration{Rules: []s3types.LifecycleRule{{
			ID: aws.String("theirs"), Status: s3types.ExpirationStatusEnabled, Filter: &s3types.LifecycleRuleFilter{Prefix: aws.String("old/")},
			Expiration: &s3types.LifecycleExpiration{Days: aws.Int32(30)},
		}}},
	})
	require.NoError(b.t, err)
	_, err = client.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: &b.name, Policy: aws.String(`{"Version":"2012-10-17","Statement":[` +
		`{"Sid":"TLS","Effect":"Deny","Principal":"*","Action":"s3:*",` +
		`"Resource":["arn:aws:s3:::` + b.name + `","arn:aws:s3:::` + b.name + `/*"],"Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}`)})
	require.NoError(b.t, err)
	_, err = client.PutBucketTagging(ctx, &s3.PutBucketTaggingInput{Bucket: &b.name, Tagging: &s3types.Tagging{
		TagSet: []s3types.Tag{{Key: aws.String("team"), Value: aws.String("invoices")}},
	}})
	require.NoError(b.t, err)
	_, err = client.PutBucketEncryption(ctx, &s3.PutBucketEncryptionInput{
		Bucket: &b.name, ServerSideEncryptionConfiguration: &s3types.ServerSideEncryptionConfiguration{
			Rules: []s3types.ServerSideEncryptionRule{{ApplyServerSideEncryptionByDefault: &s3types.ServerSideEncryptionByDefault{
				SSEAlgorithm: s3types.ServerSideEncryptionAes256,
			}}},
		},
	})
	require.NoError(b.t, err)
	_, err = client.PutBucketNotificationConfiguration(ctx, &s3.PutBucketNotificationConfigurationInput{
		Bucket: &b.name, NotificationConfiguration: &s3types.NotificationConfiguration{QueueConfigurations: []s3types.QueueConfiguration{{
			Id: aws.String("theirs"), QueueArn: &arn, Events: []s3types.Event{"s3:ObjectRemoved:*"},
			Filter: &s3types.NotificationConfigurationFilter{Key: &s3types.S3KeyFilter{FilterRules: []s3types.FilterRule{
				{Name: s3types.FilterRuleNameSuffix, Value: aws.String(".pdf")},
			}}},
		}}},
	})
	require.NoError(b.t, err)
	_, err = client.PutObject(ctx, &s3.PutObjectInput{Bucket: &b.name, Key: aws.String("in/there.txt"), Body: strings.NewReader("there")})
	require.NoError(b.t, err)
}

// properties are how the bucket is set up, by what S3 calls each.
func (b *theirBucket) properties() map[string]string {
	b.t.Helper()
	ctx, client, bucket := b.t.Context(), b.d.s3(), &b.name
	found := map[string]string{}
	ask := func(property string, answer any, err error) {
		b.t.Helper()
		require.NoError(b.t, err, property)
		text, err := json.Marshal(answer)
		require.NoError(b.t, err)
		var fields map[string]any
		require.NoError(b.t, json.Unmarshal(text, &fields))
		delete(fields, "ResultMetadata")
		if fields["EventBridgeConfiguration"] == nil {
			delete(fields, "EventBridgeConfiguration")
		}
		text, err = json.Marshal(fields)
		require.NoError(b.t, err)
		found[property] = string(text)
	}
	notification, err := client.GetBucketNotificationConfiguration(ctx, &s3.GetBucketNotificationConfigurationInput{Bucket: bucket})
	ask("notification", notification, err)
	versioning, err := client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: bucket})
	ask("versioning", versioning, err)
	lifecycle, err := client.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: bucket})
	ask("lifecycle", lifecycle, err)
	policy, err := client.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: bucket})
	ask("policy", policy, err)
	tagging, err := client.GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: bucket})
	ask("tagging", tagging, err)
	encryption, err := client.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: bucket})
	ask("encryption", encryption, err)
	acl, err := client.GetBucketAcl(ctx, &s3.GetBucketAclInput{Bucket: bucket})
	ask("acl", acl, err)
	return found
}
