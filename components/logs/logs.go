// Package logs is where the processors and the state machine write: log groups that are encrypted with a customer managed KMS key
// and expire (requirements A5, A29, C13 and C14).
package logs

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/internal/arguments"
	"example.com/upload-router/internal/outputs"
)

// Type is the component's type token.
const Type = "upload-router:components:Logs"

// Args configure Logs.
type Args struct {
	// Groups are the groups to make, by what writes to them: function gives <name>-function with Pulumi's suffix. Required.
	Groups []string `required:"true"`
	// Names are the names of those groups that can't be auto-named, by what writes to them. Empty: none.
	Names map[string]string
	// RetentionDays is how many days events are kept, one of CloudWatch's values. Required.
	RetentionDays int `required:"true"`
	// KMSKeyARN is the key that the groups are encrypted with; its policy must let
	// CloudWatch Logs of the Region use it for them. Required.
	KMSKeyARN pulumi.StringInput `required:"true"`
}

// Logs are encrypted log groups.
type Logs struct {
	pulumi.ResourceState

	// Groups are the log groups, by what writes to them.
	Groups map[string]Group
	// GroupNames and GroupARNs are their names and ARNs, likewise.
	GroupNames pulumi.StringMapOutput `pulumi:"groupNames"`
	GroupARNs  pulumi.StringMapOutput `pulumi:"groupArns"`
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
	if err := arguments.Check(args); err != nil {
		return nil, err //nolint:wrapcheck // It names the fields.
	}
	l := &Logs{Groups: map[string]Group{}}
	if err := ctx.RegisterComponentResource(Type, name, l, opts...); err != nil {
		return nil, fmt.Errorf("registering the logs: %w", err)
	}
	names, arns := pulumi.StringMap{}, pulumi.StringMap{}
	for _, g := range args.Groups {
		groupArgs := &cloudwatch.LogGroupArgs{
			RetentionInDays: pulumi.Int(args.RetentionDays),
			KmsKeyId:        args.KMSKeyARN.ToStringOutput().ToStringPtrOutput(),
		}
		if own, ok := args.Names[g]; ok {
			groupArgs.Name = pulumi.String(own)
		}
		group, err := cloudwatch.NewLogGroup(ctx, name+"-"+g, groupArgs, pulumi.Parent(l))
		if err != nil {
			return nil, fmt.Errorf("creating the log group of the %s: %w", g, err)
		}
		l.Groups[g] = Group{Name: group.Name, ARN: group.Arn}
		names[g], arns[g] = group.Name, group.Arn
	}
	l.GroupNames, l.GroupARNs = names.ToStringMapOutput(), arns.ToStringMapOutput()
	return l, outputs.Register(ctx, l)
}
