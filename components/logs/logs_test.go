package logs_test

import (
	"fmt"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"upload-router/components/logs"
	"upload-router/internal/declared"
	"upload-router/internal/declared/declaredtest"
	"upload-router/internal/location"
)

const (
	typeKey   = "aws:kms/key:Key"
	typeAlias = "aws:kms/alias:Alias"
	typeGroup = "aws:cloudwatch/logGroup:LogGroup"
)

func declare(t *testing.T, at location.Location, key string, groups ...string) *declared.System {
	t.Helper()
	return declaredtest.Evaluate(t, declaredtest.At(at), declaredtest.Export(func(ctx *pulumi.Context) (pulumi.Map, error) {
		l, err := logs.New(ctx, "logs", &logs.Args{Location: at, Groups: groups, RetentionDays: 30, KMSKeyARN: key})
		if err != nil {
			return nil, err
		}
		names, arns := pulumi.StringMap{}, pulumi.StringMap{}
		for what, g := range l.Groups {
			names[what], arns[what] = g.Name, g.ARN
		}
		return pulumi.Map{"key": l.KMSKeyARN, "names": names, "arns": arns}, nil
	}))
}

func TestOneKeyWithAnAliasForAllGroups(t *testing.T) {
	t.Parallel()
	system := declare(t, declaredtest.Home(), "", "function", "task")
	require.Equal(t, map[string]int{logs.Type: 1, typeKey: 1, typeAlias: 1, typeGroup: 2}, declaredtest.Counts(system))
	key := declaredtest.Only(t, system, typeKey)
	require.Equal(t, map[string]any{"targetKeyId": key.ID}, declaredtest.Only(t, system, typeAlias).Inputs)
	inputs := key.Inputs
	delete(inputs, "policy") // which has a test of its own
	require.Equal(t, map[string]any{
		"description":          "Key for CloudWatch Logs encryption", // requirement A5
		"enableKeyRotation":    true,
		"deletionWindowInDays": 30.0,
	}, inputs)
}

// Requirement C14: without the second statement no group can be made with the key.
func TestCloudWatchLogsMayUseTheKeyForTheseGroupsAlone(t *testing.T) {
	t.Parallel()
	for _, at := range declaredtest.Locations() {
		t.Run(at.Region, func(t *testing.T) {
			t.Parallel()
			system := declare(t, at, "", "function", "task")
			suffix := map[string]string{"aws-cn": ".cn"}[at.Partition]
			require.JSONEq(t, fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{
				"Sid": "AccountGovernsTheKey",
				"Effect": "Allow",
				"Principal": {"AWS": "arn:%[1]s:iam::123456789012:root"},
				"Action": ["kms:*"],
				"Resource": ["*"]
			}, {
				"Sid": "LogGroupsOfThisStack",
				"Effect": "Allow",
				"Principal": {"Service": "logs.%[2]s.amazonaws.com%[3]s"},
				"Action": ["kms:Decrypt*", "kms:Describe*", "kms:Encrypt*", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
				"Resource": ["*"],
				"Condition": {"ArnLike": {
					"kms:EncryptionContext:aws:logs:arn": ["arn:%[1]s:logs:%[2]s:123456789012:log-group:logs-*"]
				}}
			}]}`, at.Partition, at.Region, suffix), declaredtest.Only(t, system, typeKey).Text("policy"))
		})
	}
}

// The condition of the key's policy names what auto-naming makes of these names.
func TestEveryGroupsNameIsOneThatTheKeysPolicyAllows(t *testing.T) {
	t.Parallel()
	for _, group := range declare(t, declaredtest.Home(), "", "function", "task").OfType(typeGroup) {
		assert.Regexp(t, `^arn:aws:logs:eu-central-1:123456789012:log-group:logs-`, group.Outputs["arn"])
	}
}

func TestEachGroupIsEncryptedAndExpires(t *testing.T) {
	t.Parallel()
	const given = "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-0000-4000-8000-0123456789ab"
	for name, key := range map[string]string{"own key": "", "given key": given} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			system := declare(t, declaredtest.Home(), key, "function", "task")
			want := key
			if want == "" {
				want, _ = declaredtest.Only(t, system, typeKey).Outputs["arn"].(string)
			}
			require.NotEmpty(t, want)
			for _, name := range []string{"logs-function", "logs-task"} {
				require.Equal(t, map[string]any{"kmsKeyId": want, "retentionInDays": 30.0},
					declaredtest.Named(t, system, typeGroup, name).Inputs)
			}
			require.Equal(t, want, system.Outputs["key"])
		})
	}
}

func TestAGivenKeyIsUsedAsItIs(t *testing.T) {
	t.Parallel()
	system := declare(t, declaredtest.Home(), "arn:aws:kms:eu-central-1:123456789012:key/x", "function", "task")
	require.Equal(t, map[string]int{logs.Type: 1, typeGroup: 2}, declaredtest.Counts(system))
}

func TestTheOutputsAreByWhatWritesToTheGroup(t *testing.T) {
	t.Parallel()
	system := declare(t, declaredtest.Home(), "", "function", "task")
	function := declaredtest.Named(t, system, typeGroup, "logs-function").Outputs
	task := declaredtest.Named(t, system, typeGroup, "logs-task").Outputs
	require.Equal(t, map[string]string{"function": function["name"].(string), "task": task["name"].(string)}, system.Outputs["names"])
	require.Equal(t, map[string]string{"function": function["arn"].(string), "task": task["arn"].(string)}, system.Outputs["arns"])
}

func TestTheComponentIsTheParentOfAll(t *testing.T) {
	t.Parallel()
	system := declare(t, declaredtest.Home(), "", "function", "task")
	for _, r := range system.Resources {
		if r.Custom {
			assert.Equal(t, declaredtest.Only(t, system, logs.Type).URN, r.Parent, r.Name)
		}
	}
}
