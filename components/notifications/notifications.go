// Package notifications is the SNS topic that tells people of processed files,
// failed files and alarms (requirements B1 and C22).
package notifications

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sns"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"upload-router/internal/location"
	"upload-router/internal/order"
	"upload-router/internal/policy"
)

// Type is the component's type token.
const Type = "upload-router:components:Notifications"

// Args configure Notifications.
type Args struct {
	// Location is where the stack is. Required.
	Location location.Location
	// TopicARN is a topic to use as it is. Its own policy must let
	// cloudwatch.amazonaws.com publish for the alarms. Empty: a topic is made.
	TopicARN string
	// KMSKeyARN is the key that the topic that is made is encrypted with; its
	// policy must let the account's alarms and rules use it. Nil: none, as the key
	// that AWS manages for SNS would keep them out.
	KMSKeyARN pulumi.StringInput
	// Emails are subscribed to the topic that is made; each must confirm the
	// subscription by the link it is sent.
	Emails []string
}

// Notifications are an SNS topic and its subscriptions.
type Notifications struct {
	pulumi.ResourceState

	// TopicARN is the topic.
	TopicARN pulumi.StringOutput `pulumi:"topicArn"`
	// KMSKeyARN is the key that whoever publishes must be allowed to use; nil if
	// there is none, or none that is known here.
	KMSKeyARN pulumi.StringInput
}

// New makes Notifications.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Notifications, error) {
	n := &Notifications{}
	if err := ctx.RegisterComponentResource(Type, name, n, opts...); err != nil {
		return nil, fmt.Errorf("registering the notifications: %w", err)
	}
	if args.TopicARN != "" {
		n.TopicARN = pulumi.String(args.TopicARN).ToStringOutput()
	} else if err := n.topic(ctx, name, args); err != nil {
		return nil, err
	}
	return n, ctx.RegisterResourceOutputs(n, pulumi.Map{"topicArn": n.TopicARN})
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
		Policy: topicPolicy(args.Location, topic.Arn),
	}, parent)
	if err != nil {
		return fmt.Errorf("creating the topic's policy: %w", err)
	}
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

// topicPolicy lets the account's alarms publish. The state machine publishes by
// its own role's policy, which an account's own principals need no more than.
func topicPolicy(at location.Location, topic pulumi.StringOutput) pulumi.StringOutput {
	return policy.Document(
		policy.Statement{
			Sid:       "AlarmsOfThisAccount",
			Principal: policy.Service("cloudwatch.amazonaws.com"),
			Actions:   []string{"sns:Publish"},
			Resources: []pulumi.StringInput{topic},
			Conditions: []policy.Condition{
				policy.FromAccount(at),
				policy.When("ArnLike", "aws:SourceArn", pulumi.String(at.ARN("cloudwatch", "alarm:*"))),
			},
		},
		policy.DenyInsecureTransport([]string{"sns:Publish"}, topic),
	)
}
