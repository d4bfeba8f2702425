package notifications_test

import (
	"fmt"
	"testing"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sqs"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/components/location"
	"example.com/upload-router/components/notifications"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/declared/declaredtest"
)

const (
	typeTopic        = "aws:sns/topic:Topic"
	typePolicy       = "aws:sns/topicPolicy:TopicPolicy"
	typeSubscription = "aws:sns/topicSubscription:TopicSubscription"
)

func declare(t *testing.T, args *notifications.Args) *declared.System {
	t.Helper()
	return declaredtest.Evaluate(t, declaredtest.At(args.Location), declaredtest.Export(func(ctx *pulumi.Context) (pulumi.Map, error) {
		n, err := notifications.New(ctx, "people", args)
		if err != nil {
			return nil, err
		}
		return pulumi.Map{"topicArn": n.TopicARN}, nil
	}))
}

func TestTheAccountsAlarmsMayPublishAndNobodyWithoutTLS(t *testing.T) {
	t.Parallel()
	declaredtest.InEach(t, func(t *testing.T, at location.Location) {
		t.Helper()
		system := declare(t, &notifications.Args{Location: at})
		require.Equal(t, map[string]int{notifications.Type: 1, typeTopic: 1, typePolicy: 1}, declaredtest.Counts(system))
		topic := declaredtest.Only(t, system, typeTopic).Outputs["arn"]
		access := declaredtest.Only(t, system, typePolicy)
		require.Equal(t, topic, access.Text("arn"))
		require.JSONEq(t, fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{
			"Sid": "PublishAlarms",
			"Effect": "Allow",
			"Principal": {"Service": "cloudwatch.amazonaws.com"},
			"Action": ["sns:Publish"],
			"Resource": ["%[1]s"],
			"Condition": {
				"StringEquals": {"aws:SourceAccount": ["123456789012"]},
				"ArnLike": {"aws:SourceArn": ["arn:%[2]s:cloudwatch:%[3]s:123456789012:alarm:*"]}
			}
		}, {
			"Sid": "PublishStatusChanges",
			"Effect": "Allow",
			"Principal": {"Service": "events.amazonaws.com"},
			"Action": ["sns:Publish"],
			"Resource": ["%[1]s"]
		}, {
			"Sid": "DenyInsecureTransport",
			"Effect": "Deny",
			"Principal": "*",
			"Action": ["sns:Publish"],
			"Resource": ["%[1]s"],
			"Condition": {"Bool": {"aws:SecureTransport": ["false"]}}
		}]}`, topic, at.Partition, at.Region), access.Text("policy"))
		require.Equal(t, topic, system.Outputs["topicArn"])
	})
}

func TestEachAddressIsSubscribed(t *testing.T) {
	t.Parallel()
	system := declare(t, &notifications.Args{
		Location: declaredtest.Home(), Emails: []string{"ops@example.com", "dev@example.com"},
	})
	require.Equal(t, map[string]int{notifications.Type: 1, typeTopic: 1, typePolicy: 1, typeSubscription: 2}, declaredtest.Counts(system))
	for _, email := range []string{"ops@example.com", "dev@example.com"} {
		require.Equal(t, map[string]any{
			"topic": declaredtest.Only(t, system, typeTopic).Outputs["arn"], "protocol": "email", "endpoint": email,
		}, declaredtest.Named(t, system, typeSubscription, "people-"+email).Inputs)
	}
}

func TestAGivenTopicIsUsedAsItIs(t *testing.T) {
	t.Parallel()
	const given = "arn:aws:sns:eu-central-1:123456789012:ours"
	system := declare(t, &notifications.Args{Location: declaredtest.Home(), TopicARN: given})
	require.Equal(t, map[string]int{notifications.Type: 1}, declaredtest.Counts(system))
	require.Equal(t, map[string]any{"topicArn": given}, system.Outputs)
}

// An alarm that goes off before the policy is there notifies nobody.
func TestWhoeverTakesTheTopicWaitsForItsPolicy(t *testing.T) {
	t.Parallel()
	system := declaredtest.Evaluate(t, declared.Options{}, func(ctx *pulumi.Context) error {
		n, err := notifications.New(ctx, "people", &notifications.Args{Location: declaredtest.Home()})
		if err != nil {
			return err
		}
		_, err = sqs.NewQueue(ctx, "probe", &sqs.QueueArgs{Name: n.TopicARN}, pulumi.Parent(n))
		return err
	})
	declaredtest.RequireDependsOn(t, declaredtest.Only(t, system, "aws:sqs/queue:Queue"),
		declaredtest.Only(t, system, typeTopic), declaredtest.Only(t, system, typePolicy))
}

func TestWithAKeyOfTheAccountsOwnTheTopicIsEncryptedWithIt(t *testing.T) {
	t.Parallel()
	const key = "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-0000-4000-8000-0123456789ab"
	for name, test := range map[string]struct {
		args notifications.Args
		want any
	}{
		"no key":               {notifications.Args{}, nil},
		"a key":                {notifications.Args{KMSKeyARN: pulumi.String(key)}, key},
		"a key, a given topic": {notifications.Args{KMSKeyARN: pulumi.String(key), TopicARN: "arn:aws:sns:eu-central-1:123456789012:t"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.args.Location = declaredtest.Home()
			var publishers pulumi.StringInput
			system := declaredtest.Evaluate(t, declaredtest.At(test.args.Location), func(ctx *pulumi.Context) error {
				n, err := notifications.New(ctx, "people", &test.args)
				publishers = n.KMSKeyARN
				return err
			})
			for _, topic := range system.OfType(typeTopic) {
				require.Equal(t, test.want, topic.Inputs["kmsMasterKeyId"])
			}
			if test.want == nil {
				require.Nil(t, publishers)
			} else {
				require.Equal(t, pulumi.String(key), publishers)
			}
		})
	}
}
