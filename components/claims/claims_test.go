package claims_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/components/claims"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/declared/declaredtest"
)

const typeTable = "aws:dynamodb/table:Table"

func declare(t *testing.T, args *claims.Args) *declared.System {
	t.Helper()
	return declaredtest.Evaluate(t, declared.Options{}, declaredtest.Export(func(ctx *pulumi.Context) (pulumi.Map, error) {
		c, err := claims.New(ctx, "claims", args)
		if err != nil {
			return nil, err
		}
		return pulumi.Map{"name": c.TableName, "arn": c.TableARN}, nil
	}))
}

func TestTheTable(t *testing.T) {
	t.Parallel()
	system := declare(t, &claims.Args{})
	require.Equal(t, map[string]int{claims.Type: 1, typeTable: 1}, declaredtest.Counts(system))
	table := declaredtest.Only(t, system, typeTable)
	assert.Equal(t, map[string]any{
		"billingMode": "PAY_PER_REQUEST",
		"hashKey":     "object",
		"rangeKey":    "version",
		"attributes": []any{
			map[string]any{"name": "object", "type": "S"}, map[string]any{"name": "version", "type": "S"},
		},
		"ttl":                       map[string]any{"attributeName": "expires", "enabled": true},
		"pointInTimeRecovery":       map[string]any{"enabled": true},
		"serverSideEncryption":      map[string]any{"enabled": true},
		"deletionProtectionEnabled": false,
	}, table.Inputs)
	assert.Equal(t, map[string]any{"name": table.Outputs["name"], "arn": table.Outputs["arn"]}, system.Outputs)
}

func TestWhatCanBeAskedFor(t *testing.T) {
	t.Parallel()
	const key = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	table := declaredtest.Only(t, declare(t, &claims.Args{KMSKeyARN: pulumi.String(key), Protect: true}), typeTable)
	assert.Equal(t, map[string]any{"enabled": true, "kmsKeyArn": key}, table.Inputs["serverSideEncryption"])
	assert.Equal(t, true, table.Inputs["deletionProtectionEnabled"])
}
