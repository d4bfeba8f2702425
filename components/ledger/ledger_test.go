package ledger_test

import (
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/components/ledger"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/declared/declaredtest"
)

const typeTable = "aws:dynamodb/table:Table"

func declare(t *testing.T, args *ledger.Args) *declared.System {
	t.Helper()
	return declaredtest.Evaluate(t, declared.Options{}, declaredtest.Export(func(ctx *pulumi.Context) (pulumi.Map, error) {
		l, err := ledger.New(ctx, "ledger", args)
		if err != nil {
			return nil, err
		}
		return pulumi.Map{
			"name": l.TableName, "arn": l.TableARN, "index": l.IndexARN,
			"environment": l.Environment(), "processor": l.ProcessorEnvironment(pulumi.String("group"), 30),
		}, nil
	}))
}

func TestTheTable(t *testing.T) {
	t.Parallel()
	system := declare(t, &ledger.Args{ExecutionTimeout: time.Hour})
	require.Equal(t, map[string]int{ledger.Type: 1, typeTable: 1}, declaredtest.Counts(system))
	table := declaredtest.Only(t, system, typeTable)
	text := func(name string) map[string]any { return map[string]any{"name": name, "type": "S"} }
	assert.Equal(t, map[string]any{
		"billingMode": "PAY_PER_REQUEST",
		"hashKey":     "object",
		"rangeKey":    "version",
		"attributes":  []any{text("object"), text("version"), text("day"), text("started")},
		"globalSecondaryIndexes": []any{map[string]any{
			"name": "timeline", "hashKey": "day", "rangeKey": "started", "projectionType": "INCLUDE", "nonKeyAttributes": []any{
				"attempts", "batch", "created", "ended", "error", "execution", "lease", "route", "size", "status",
			},
		}},
		"ttl":                       map[string]any{"attributeName": "expires", "enabled": true},
		"pointInTimeRecovery":       map[string]any{"enabled": true},
		"serverSideEncryption":      map[string]any{"enabled": false},
		"deletionProtectionEnabled": false,
	}, table.Inputs)
	assert.Equal(t, table.Outputs["name"], system.Outputs["name"])
	assert.Equal(t, table.Outputs["arn"], system.Outputs["arn"])
	assert.Equal(t, table.ARN()+"/index/timeline", system.Outputs["index"])
}

func TestWhatCanBeAskedFor(t *testing.T) {
	t.Parallel()
	const key = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	args := &ledger.Args{KMSKeyARN: pulumi.String(key), Protect: true, ExecutionTimeout: time.Hour}
	table := declaredtest.Only(t, declare(t, args), typeTable)
	assert.Equal(t, map[string]any{"enabled": true, "kmsKeyArn": key}, table.Inputs["serverSideEncryption"])
	assert.Equal(t, true, table.Inputs["deletionProtectionEnabled"])
}

func TestTheEnvironmentSaysWhereTheLedgerIsAndForHowLong(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		days int
		want string
	}{"for a time": {400, "400"}, "for good": {0, "0"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			system := declare(t, &ledger.Args{ExecutionTimeout: time.Hour, RetentionDays: test.days})
			want := map[string]string{
				"UPLOAD_LEDGER_TABLE":          declaredtest.Only(t, system, typeTable).Output("name"),
				"UPLOAD_LEDGER_LEASE_SECONDS":  "3660", // with a margin for clocks
				"UPLOAD_LEDGER_RETENTION_DAYS": test.want,
			}
			require.Equal(t, want, system.Outputs["environment"])
			want["UPLOAD_LOG_GROUP"], want["UPLOAD_LOG_RETENTION_DAYS"] = "group", "30"
			require.Equal(t, want, system.Outputs["processor"])
		})
	}
}
