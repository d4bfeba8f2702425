package logs_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/components/logs"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/declared/declaredtest"
)

const typeGroup = "aws:cloudwatch/logGroup:LogGroup"

const key = "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-0000-4000-8000-0123456789ab"

func declare(t *testing.T) *declared.System {
	t.Helper()
	return declaredtest.Evaluate(t, declaredtest.At(declaredtest.Home()), declaredtest.Export(func(ctx *pulumi.Context) (pulumi.Map, error) {
		l, err := logs.New(ctx, "logs", &logs.Args{
			Groups: []string{"function", "task", "executions"}, Names: map[string]string{"executions": "/aws/vendedlogs/states/system"},
			RetentionDays: 30, KMSKeyARN: pulumi.String(key),
		})
		if err != nil {
			return nil, err
		}
		return pulumi.Map{"names": l.GroupNames, "arns": l.GroupARNs}, nil
	}))
}

// The key's policy names groups by what auto-naming makes of their names, or by the names that they are given.
func TestEachGroupIsEncryptedAndExpires(t *testing.T) {
	t.Parallel()
	system := declare(t)
	require.Equal(t, map[string]int{logs.Type: 1, typeGroup: 3}, declaredtest.Counts(system))
	for _, name := range []string{"logs-function", "logs-task"} {
		group := declaredtest.Named(t, system, typeGroup, name)
		require.Equal(t, map[string]any{"kmsKeyId": key, "retentionInDays": 30.0}, group.Inputs)
		require.Regexp(t, `^arn:aws:logs:eu-central-1:123456789012:log-group:`+name+`-[0-9a-f]{7}$`, group.Outputs["arn"])
	}
	require.Equal(t, map[string]any{"kmsKeyId": key, "name": "/aws/vendedlogs/states/system", "retentionInDays": 30.0},
		declaredtest.Named(t, system, typeGroup, "logs-executions").Inputs)
}

func TestTheOutputsAreByWhatWritesToTheGroup(t *testing.T) {
	t.Parallel()
	system := declare(t)
	names, arns := map[string]string{}, map[string]string{}
	for _, what := range []string{"function", "task", "executions"} {
		outputs := declaredtest.Named(t, system, typeGroup, "logs-"+what).Outputs
		names[what], arns[what] = outputs["name"].(string), outputs["arn"].(string)
	}
	require.Equal(t, names, system.Outputs["names"])
	require.Equal(t, arns, system.Outputs["arns"])
}
