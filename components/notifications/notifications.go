// Package notifications is the SNS topic that notifies people of processed files,
// failed files and alarms (requirements B1 and C22).
package notifications

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sns"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/location"
	"example.com/upload-router/internal/arguments"
	"example.com/upload-router/internal/order"
	"example.com/upload-router/internal/outputs"
	"example.com/upload-router/internal/policy"
)

// Type is the component's type token.
const Type = "upload-router:components:Notifications"

// Args configure Notifications.
type Args struct {
	// Location is where the stack is. Required.
	Location location.Location `required:"true"`
	// TopicARN is a topic to use as it is, which is not changed. Its own policy must
	// hold what [Notifications.Policy] has. Empty: a topic is made.
	TopicARN string
	// KMSKeyARN is the key that the topic that is made is encrypted with; its policy must let the account's alarms and rules use
	// it. Nil: none, as the key that AWS manages for SNS would keep them out.
	KMSKeyARN pulumi.StringInput
	// Emails are subscribed to the topic that is made; each must confirm the subscription by the link it is sent.
	Emails []string
}

// Notifications are an SNS topic and its subscriptions.
type Notifications struct {
	pulumi.ResourceState

	// TopicARN is the topic.
	TopicARN pulumi.StringOutput `pulumi:"topicArn"`
	// Policy is what the topic's policy must hold, as a policy document: the whole policy of a topic that is made, but for its
	// refusal of connections without TLS, and of one that is given what its own policy must have besides.
	Policy pulumi.StringOutput `pulumi:"policy"`
	// KMSKeyARN is the key that whoever publishes must be allowed to use; nil if there is none, or none that is known here.
	KMSKeyARN pulumi.StringInput
}

// New makes Notifications.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Notifications, error) {
	if err := arguments.Check(args); err != nil {
		return nil, err //nolint:wrapcheck // It names the fields.
	}
	n := &Notifications{}
	if err := ctx.RegisterComponentResource(Type, name, n, opts...); err != nil {
		return nil, fmt.Errorf("registering the notifications: %w", err)
	}
	if args.TopicARN != "" {
		n.TopicARN = pulumi.String(args.TopicARN).ToStringOutput()
		n.Policy = policy.Document(publishers(args, n.TopicARN)...)
	} else if err := n.topic(ctx, name, args); err != nil {
		return nil, err
	}
	return n, outputs.Register(ctx, n)
}

func (n *Notifications) topic(ctx *pulumi.Context, name string, args *Args) error {
	parent := pulumi.Parent(n)
	topicArgs := &sns.TopicArgs{}
	if args.KMSKeyARN != nil {
		n.KMSKeyARN = args.KMSKeyARN
		topicArgs.KmsMasterKeyId = args.KMSKeyARN.ToStringOutput().ToStringPtrOutput()
	}
	topic, err := sns.NewTopic(ctx, name+"-topic", topicArgs, parent)
	if err != nil {
		return fmt.Errorf("creating the topic: %w", err)
	}
	access, err := sns.NewTopicPolicy(ctx, name+"-policy", &sns.TopicPolicyArgs{
		Arn:    topic.Arn,
		Policy: policy.Document(append(publishers(args, topic.Arn), policy.DenyInsecureTransport([]string{"sns:Publish"}, topic.Arn))...),
	}, parent)
	if err != nil {
		return fmt.Errorf("creating the topic's policy: %w", err)
	}
	n.Policy = policy.Document(publishers(args, topic.Arn)...)
	for _, email := range args.Emails {
		if _, err := sns.NewTopicSubscription(ctx, name+"-"+email, &sns.TopicSubscriptionArgs{
			Topic:    topic.Arn,
			Protocol: pulumi.String("email"),
			Endpoint: pulumi.String(email),
		}, parent); err != nil {
			return fmt.Errorf("subscribing %s: %w", email, err)
		}
	}
	// Whoever takes the topic's ARN may count on its policy.
	n.TopicARN = order.After(ctx, topic.Arn, access)
	return nil
}

// publishers are the services that publish by themselves: the account's alarms, and EventBridge, for which a topic's policy can't
// have a condition, as AWS says: what it publishes doesn't say by which rule, nor of which account. The state machine publishes
// by its own role's policy, which an account's own principals need no more than.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sns-permissions
func publishers(args *Args, topic pulumi.StringOutput) []policy.Statement {
	publish := func(sid, service string, conditions ...policy.Condition) policy.Statement {
		return policy.Statement{
			Sid:        sid,
			Principal:  policy.Service(service),
			Actions:    []string{"sns:Publish"},
			Resources:  []pulumi.StringInput{topic},
			Conditions: conditions,
		}
	}
	alarms := pulumi.String(args.Location.ARN("cloudwatch", "alarm:*"))
	return []policy.Statement{
		publish("PublishAlarms", "cloudwatch.amazonaws.com",
			policy.FromAccount(args.Location), policy.When("ArnLike", "aws:SourceArn", alarms)),
		publish("PublishStatusChanges", "events.amazonaws.com"),
	}
}
