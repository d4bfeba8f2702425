// Package encryption is the KMS key of the stack's own: of its logs (requirements A5, A29 and C14), or of all that the stack
// keeps (C15, C16). It says what the policy of that key must hold, for a key that is made and for one that is given.
package encryption

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/kms"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/location"
	"example.com/upload-router/internal/arguments"
	"example.com/upload-router/internal/outputs"
)

// Type is the component's type token.
const Type = "upload-router:components:Encryption"

// deletionWindow is how many days a deleted key can still be restored: the
// longest that KMS has, as nothing can be read without it.
const deletionWindow = 30

// Args configure an Encryption.
type Args struct {
	// Location is where the stack is. Required.
	Location location.Location `required:"true"`
	// KeyARN is a key to use as it is, which is not changed. Its policy must hold
	// what [Encryption.Policy] has. Empty: a key is made.
	KeyARN string
	// LogGroups are patterns of the names of the log groups that the key is for. All that uses the key is made after it, and gets
	// its name then; so a pattern is what the name begins with, and "*". Required.
	LogGroups []string `required:"true"`
	// Queues and Topics are patterns of the names of the queues that EventBridge writes to, and of the topics that it and
	// CloudWatch's alarms publish to, which the key encrypts. Empty: it encrypts none.
	Queues, Topics string
	// ExecutionLogs says that a state machine with the key logs its executions.
	ExecutionLogs bool
}

// everything says whether the key is for more than logs.
func (a *Args) everything() bool { return a.Queues != "" || a.Topics != "" }

// Encryption is a KMS key.
type Encryption struct {
	pulumi.ResourceState

	// KeyARN is the key.
	KeyARN pulumi.StringOutput `pulumi:"keyArn"`
	// Policy is what the key's policy must hold, as a policy document: the whole policy of a key that is made, and of one that is
	// given what its own policy must have besides.
	Policy pulumi.StringOutput `pulumi:"policy"`
}

// New makes an Encryption.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Encryption, error) {
	if err := arguments.Check(args); err != nil {
		return nil, err //nolint:wrapcheck // It names the fields.
	}
	e := &Encryption{}
	if err := ctx.RegisterComponentResource(Type, name, e, opts...); err != nil {
		return nil, fmt.Errorf("registering the encryption: %w", err)
	}
	e.Policy = keyPolicy(args)
	if args.KeyARN != "" {
		e.KeyARN = pulumi.String(args.KeyARN).ToStringOutput()
	} else if err := e.key(ctx, name, args); err != nil {
		return nil, err
	}
	return e, outputs.Register(ctx, e)
}

func (e *Encryption) key(ctx *pulumi.Context, name string, args *Args) error {
	description := "Key for CloudWatch Logs encryption" // requirement A5
	if args.everything() {
		description = "Key for uploads, their logs, notices and executions"
	}
	key, err := kms.NewKey(ctx, name+"-key", &kms.KeyArgs{
		Description:          pulumi.String(description),
		EnableKeyRotation:    pulumi.Bool(true),
		DeletionWindowInDays: pulumi.Int(deletionWindow),
		Policy:               e.Policy,
	}, pulumi.Parent(e))
	if err != nil {
		return fmt.Errorf("creating the key: %w", err)
	}
	if _, err := kms.NewAlias(ctx, name+"-key", &kms.AliasArgs{TargetKeyId: key.KeyId}, pulumi.Parent(e)); err != nil {
		return fmt.Errorf("naming the key: %w", err)
	}
	e.KeyARN = key.Arn
	return nil
}
