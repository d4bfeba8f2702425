// Package ledger is the table with the record of every upload: whoever processes one asks it whether it may, and writes there what became
// of it.
package ledger

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/dynamodb"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/internal/arguments"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/outputs"
)

// Type is the component's type token.
const Type = "upload-router:components:Ledger"

// Args configure a Ledger.
type Args struct {
	// KMSKeyARN encrypts the table. Nil: a key that DynamoDB owns does, which whoever may use the table may use.
	KMSKeyARN pulumi.StringInput
	// Protect keeps the table from being deleted.
	Protect bool
	// ExecutionTimeout is the time that an execution has: somewhat later it can't be processing an upload any more. Required.
	ExecutionTimeout time.Duration `required:"true"`
	// RetentionDays is for how many days an item is kept. 0: for good.
	RetentionDays int
}

// Ledger is the table.
type Ledger struct {
	pulumi.ResourceState

	// TableName is the table's name.
	TableName pulumi.StringOutput `pulumi:"tableName"`
	// TableARN is its ARN.
	TableARN pulumi.StringOutput `pulumi:"tableArn"`
	// IndexARN is the ARN of its index by time.
	IndexARN pulumi.StringOutput `pulumi:"indexArn"`

	environment pulumi.StringMap
}

// New makes a Ledger. The table costs by the request and by what it keeps, and can be put back to any second of the last 35 days.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Ledger, error) {
	if err := arguments.Check(args); err != nil {
		return nil, err //nolint:wrapcheck // It names the fields.
	}
	l := &Ledger{}
	if err := ctx.RegisterComponentResource(Type, name, l, opts...); err != nil {
		return nil, fmt.Errorf("registering the ledger: %w", err)
	}
	// What isn't enabled is encrypted with DynamoDB's own key. The account's key aws/dynamodb would be enabled without a key's ARN, but the
	// provider takes the lack of one for no change: a table that had a customer managed key would keep it, and lose who may use it.
	// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_SSESpecification.html
	encryption := &dynamodb.TableServerSideEncryptionArgs{Enabled: pulumi.Bool(args.KMSKeyARN != nil)}
	if args.KMSKeyARN != nil {
		encryption.KmsKeyArn = args.KMSKeyARN.ToStringOutput()
	}
	table, err := dynamodb.NewTable(ctx, name+"-table", &dynamodb.TableArgs{
		BillingMode:            pulumi.String("PAY_PER_REQUEST"),
		HashKey:                pulumi.String(ledger.Object),
		RangeKey:               pulumi.String(ledger.Version),
		Attributes:             texts(ledger.Object, ledger.Version, ledger.Day, ledger.Started),
		GlobalSecondaryIndexes: dynamodb.TableGlobalSecondaryIndexArray{timeline()},
		// Always: whether an item expires, it says itself. A table that is kept for good from now on still forgets what was to be forgotten
		// when it was written, DynamoDB takes up to an hour to change it, in which it refuses another change, and deletes at no charge.
		// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateTimeToLive.html
		Ttl:                       &dynamodb.TableTtlArgs{AttributeName: pulumi.String(ledger.Expires), Enabled: pulumi.Bool(true)},
		PointInTimeRecovery:       &dynamodb.TablePointInTimeRecoveryArgs{Enabled: pulumi.Bool(true)},
		DeletionProtectionEnabled: pulumi.Bool(args.Protect),
		ServerSideEncryption:      encryption,
	}, pulumi.Parent(l))
	if err != nil {
		return nil, fmt.Errorf("creating the ledger's table: %w", err)
	}
	l.TableName, l.TableARN = table.Name, table.Arn
	l.IndexARN = pulumi.Sprintf("%s/index/%s", table.Arn, ledger.Index)
	lease := args.ExecutionTimeout + ledger.LeaseMargin
	l.environment = pulumi.StringMap{
		ledger.EnvironmentTable:     table.Name,
		ledger.EnvironmentLease:     pulumi.String(strconv.Itoa(int(lease.Seconds()))),
		ledger.EnvironmentRetention: pulumi.String(strconv.Itoa(args.RetentionDays)),
	}
	return l, outputs.Register(ctx, l)
}

// texts are attributes that are text.
func texts(names ...string) dynamodb.TableAttributeArray {
	attributes := make(dynamodb.TableAttributeArray, len(names))
	for i, name := range names {
		attributes[i] = &dynamodb.TableAttributeArgs{Name: pulumi.String(name), Type: pulumi.String("S")}
	}
	return attributes
}

// timeline is the index by time. What it has besides the keys is in the order of the names: DynamoDB keeps none, and a plan that differs in
// the order alone would replace it.
func timeline() *dynamodb.TableGlobalSecondaryIndexArgs {
	return &dynamodb.TableGlobalSecondaryIndexArgs{
		Name:             pulumi.String(ledger.Index),
		HashKey:          pulumi.String(ledger.Day),
		RangeKey:         pulumi.String(ledger.Started),
		ProjectionType:   pulumi.String("INCLUDE"),
		NonKeyAttributes: pulumi.ToStringArray(slices.Sorted(slices.Values(ledger.Projected()))),
	}
}

// Environment are the variables by which a program finds the ledger.
func (l *Ledger) Environment() pulumi.StringMap { return maps.Clone(l.environment) }

// ProcessorEnvironment are those of a processor, which says in the ledger where a result is that is too large for it: in the log group that
// it writes to, which keeps a line for so many days.
func (l *Ledger) ProcessorEnvironment(logGroup pulumi.StringInput, retentionDays int) pulumi.StringMap {
	environment := l.Environment()
	environment[ledger.EnvironmentLogGroup] = logGroup
	environment[ledger.EnvironmentLogRetention] = pulumi.String(strconv.Itoa(retentionDays))
	return environment
}
