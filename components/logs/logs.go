// Package logs is where the processors write: log groups that are encrypted
// with a customer-managed KMS key and expire (requirements A5, A29 and C14).
package logs

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/kms"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"upload-router/internal/location"
	"upload-router/internal/policy"
)

// Type is the component's type token.
const Type = "upload-router:components:Logs"

// deletionWindow is how many days a deleted key can still be restored: the
// longest that KMS has, as logs can't be read without it.
const deletionWindow = 30

// Args configure Logs.
type Args struct {
	// Location is where the stack is. Required.
	Location location.Location
	// Groups are the groups to make, by what writes to them: function gives
	// <name>-function with Pulumi's suffix. Required.
	Groups []string
	// RetentionDays is how many days events are kept, one of CloudWatch's values. Required.
	RetentionDays int
	// KMSKeyARN is a key to use as it is; its policy must let CloudWatch Logs of
	// the Region use it. Empty: a key is made.
	KMSKeyARN string
}

// Logs are encrypted log groups.
type Logs struct {
	pulumi.ResourceState

	// KMSKeyARN is the key that the groups are encrypted with.
	KMSKeyARN pulumi.StringOutput `pulumi:"kmsKeyArn"`
	// Groups are the log groups, by what writes to them.
	Groups map[string]Group
}

// Group is a log group.
type Group struct {
	// Name is the group's name.
	Name pulumi.StringOutput
	// ARN is the group's ARN, without the ":*" that policies add for the streams.
	ARN pulumi.StringOutput
}

// New makes Logs.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Logs, error) {
	l := &Logs{Groups: map[string]Group{}}
	if err := ctx.RegisterComponentResource(Type, name, l, opts...); err != nil {
		return nil, fmt.Errorf("registering the logs: %w", err)
	}
	if err := l.key(ctx, name, args); err != nil {
		return nil, err
	}
	names, arns := pulumi.StringMap{}, pulumi.StringMap{}
	for _, g := range args.Groups {
		group, err := cloudwatch.NewLogGroup(ctx, name+"-"+g, &cloudwatch.LogGroupArgs{
			RetentionInDays: pulumi.Int(args.RetentionDays),
			KmsKeyId:        l.KMSKeyARN,
		}, pulumi.Parent(l))
		if err != nil {
			return nil, fmt.Errorf("creating the log group of the %s: %w", g, err)
		}
		l.Groups[g] = Group{Name: group.Name, ARN: group.Arn}
		names[g], arns[g] = group.Name, group.Arn
	}

	return l, ctx.RegisterResourceOutputs(l, pulumi.Map{
		"kmsKeyArn":  l.KMSKeyARN,
		"groupNames": names,
		"groupArns":  arns,
	})
}

func (l *Logs) key(ctx *pulumi.Context, name string, args *Args) error {
	if args.KMSKeyARN != "" {
		l.KMSKeyARN = pulumi.String(args.KMSKeyARN).ToStringOutput()
		return nil
	}
	key, err := kms.NewKey(ctx, name+"-key", &kms.KeyArgs{
		Description:          pulumi.String("Key for CloudWatch Logs encryption"),
		EnableKeyRotation:    pulumi.Bool(true),
		DeletionWindowInDays: pulumi.Int(deletionWindow),
		Policy:               keyPolicy(args.Location, name),
	}, pulumi.Parent(l))
	if err != nil {
		return fmt.Errorf("creating the logs' key: %w", err)
	}
	if _, err := kms.NewAlias(ctx, name+"-key", &kms.AliasArgs{TargetKeyId: key.KeyId}, pulumi.Parent(l)); err != nil {
		return fmt.Errorf("naming the logs' key: %w", err)
	}
	l.KMSKeyARN = key.Arn
	return nil
}

// keyPolicy lets the account's IAM policies govern the key, and CloudWatch Logs
// use it for this component's groups. The groups get their names after the key,
// so the condition names what their names start with.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
func keyPolicy(at location.Location, name string) pulumi.StringOutput {
	return policy.Document(
		policy.Statement{
			Sid:       "AccountGovernsTheKey",
			Principal: policy.Account(at),
			Actions:   []string{"kms:*"},
			Resources: []pulumi.StringInput{pulumi.String("*")}, // in a key's policy: this key
		},
		policy.Statement{
			Sid:       "LogGroupsOfThisStack",
			Principal: policy.Service("logs." + at.Region + "." + at.DNSSuffix()),
			Actions:   []string{"kms:Decrypt*", "kms:Describe*", "kms:Encrypt*", "kms:GenerateDataKey*", "kms:ReEncrypt*"},
			Resources: []pulumi.StringInput{pulumi.String("*")},
			Conditions: []policy.Condition{policy.When("ArnLike", "kms:EncryptionContext:aws:logs:arn",
				pulumi.String(at.ARN("logs", "log-group:"+name+"-*")))},
		},
	)
}
