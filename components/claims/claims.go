// Package claims is the table by which executions agree on who does what: which
// of them processes an object, and how many tasks run at a time.
package claims

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/dynamodb"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/internal/arguments"
	"example.com/upload-router/internal/claimtable"
	"example.com/upload-router/internal/outputs"
)

// Type is the component's type token.
const Type = "upload-router:components:Claims"

// Args configure Claims.
type Args struct {
	// KMSKeyARN encrypts the table. Nil: the account's key aws/dynamodb does, which whoever may use the table may use.
	KMSKeyARN pulumi.StringInput
	// Protect keeps the table from being deleted.
	Protect bool
}

// Claims are the table.
type Claims struct {
	pulumi.ResourceState

	// TableName is the table's name.
	TableName pulumi.StringOutput `pulumi:"tableName"`
	// TableARN is its ARN.
	TableARN pulumi.StringOutput `pulumi:"tableArn"`
}

// New makes Claims. The table costs by the request and by what it keeps; its
// items expire, and it can be put back to any second of the last 35 days.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Claims, error) {
	if err := arguments.Check(args); err != nil {
		return nil, err //nolint:wrapcheck // It names the fields.
	}
	c := &Claims{}
	if err := ctx.RegisterComponentResource(Type, name, c, opts...); err != nil {
		return nil, fmt.Errorf("registering the claims: %w", err)
	}
	text := func(name string) dynamodb.TableAttributeInput {
		return &dynamodb.TableAttributeArgs{Name: pulumi.String(name), Type: pulumi.String("S")}
	}
	encryption := &dynamodb.TableServerSideEncryptionArgs{Enabled: pulumi.Bool(true)}
	if args.KMSKeyARN != nil {
		encryption.KmsKeyArn = args.KMSKeyARN.ToStringOutput()
	}
	tableArgs := &dynamodb.TableArgs{
		BillingMode:               pulumi.String("PAY_PER_REQUEST"),
		HashKey:                   pulumi.String(claimtable.HashKey),
		RangeKey:                  pulumi.String(claimtable.RangeKey),
		Attributes:                dynamodb.TableAttributeArray{text(claimtable.HashKey), text(claimtable.RangeKey)},
		Ttl:                       &dynamodb.TableTtlArgs{AttributeName: pulumi.String(claimtable.TTL), Enabled: pulumi.Bool(true)},
		PointInTimeRecovery:       &dynamodb.TablePointInTimeRecoveryArgs{Enabled: pulumi.Bool(true)},
		DeletionProtectionEnabled: pulumi.Bool(args.Protect),
		ServerSideEncryption:      encryption,
	}
	table, err := dynamodb.NewTable(ctx, name+"-table", tableArgs, pulumi.Parent(c))
	if err != nil {
		return nil, fmt.Errorf("creating the table of claims: %w", err)
	}
	c.TableName, c.TableARN = table.Name, table.Arn
	return c, outputs.Register(ctx, c)
}
