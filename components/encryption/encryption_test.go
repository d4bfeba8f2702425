package encryption_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/components/encryption"
	"example.com/upload-router/components/location"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/declared/declaredtest"
)

const (
	typeKey   = "aws:kms/key:Key"
	typeAlias = "aws:kms/alias:Alias"
)

const given = "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-0000-4000-8000-0123456789ab"

// forLogs is the key of logs alone, forAll the key of everything.
func forLogs(at location.Location) *encryption.Args {
	return &encryption.Args{Location: at, LogGroups: []string{"system-logs-*", "/aws/vendedlogs/states/system"}}
}

func forAll(at location.Location) *encryption.Args {
	args := forLogs(at)
	args.Queues, args.Topics, args.ExecutionLogs = "system-*", "system-n-*", true
	return args
}

func declare(t *testing.T, args *encryption.Args) *declared.System {
	t.Helper()
	return declaredtest.Evaluate(t, declaredtest.At(args.Location), declaredtest.Export(func(ctx *pulumi.Context) (pulumi.Map, error) {
		e, err := encryption.New(ctx, "encryption", args)
		if err != nil {
			return nil, err
		}
		return pulumi.Map{"key": e.KeyARN, "policy": e.Policy}, nil
	}))
}

func TestItIsOneKeyWithAnAlias(t *testing.T) {
	t.Parallel()
	for description, args := range map[string]*encryption.Args{
		"Key for CloudWatch Logs encryption":                  forLogs(declaredtest.Home()), // requirement A5
		"Key for uploads, their logs, notices and executions": forAll(declaredtest.Home()),
	} {
		t.Run(description, func(t *testing.T) {
			t.Parallel()
			system := declare(t, args)
			require.Equal(t, map[string]int{encryption.Type: 1, typeKey: 1, typeAlias: 1}, declaredtest.Counts(system))
			key := declaredtest.Only(t, system, typeKey)
			require.Equal(t, map[string]any{"targetKeyId": key.ID}, declaredtest.Only(t, system, typeAlias).Inputs)
			require.Equal(t, map[string]any{
				"description":          description,
				"enableKeyRotation":    true,
				"deletionWindowInDays": 30.0,
				"policy":               system.Outputs["policy"],
			}, key.Inputs)
			require.Equal(t, key.Outputs["arn"], system.Outputs["key"])
		})
	}
}

// statements are those of the key's policy, by their Sid.
func statements(t *testing.T, system *declared.System) map[string]string {
	t.Helper()
	var document struct{ Statement []json.RawMessage }
	require.NoError(t, json.Unmarshal([]byte(system.Outputs["policy"].(string)), &document))
	found := map[string]string{}
	for _, s := range document.Statement {
		var named struct{ Sid string }
		require.NoError(t, json.Unmarshal(s, &named))
		found[named.Sid] = string(s)
	}
	require.Len(t, found, len(document.Statement))
	return found
}

// Requirements C14 to C16: what each service may do with the key, and for what.
func TestEachServiceMayUseTheKeyForThisStackAlone(t *testing.T) {
	t.Parallel()
	declaredtest.InEach(t, func(t *testing.T, at location.Location) {
		t.Helper()
		found := statements(t, declare(t, forAll(at)))
		want := map[string]string{
			"AdministerKey": `"Principal": {"AWS": "arn:%[1]s:iam::123456789012:root"}, "Action": ["kms:*"]`,
			"EncryptLogGroups": `"Principal": {"Service": "logs.%[2]s.%[3]s"},
				"Action": ["kms:Decrypt*", "kms:Describe*", "kms:Encrypt*", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
				"Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": [
					"arn:%[1]s:logs:%[2]s:123456789012:log-group:system-logs-*",
					"arn:%[1]s:logs:%[2]s:123456789012:log-group:/aws/vendedlogs/states/system"
				]}}`,
			"EncryptUndeliveredEvents": `"Principal": {"Service": "events.amazonaws.com"}, "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
				"Condition": {"ArnLike": {"kms:EncryptionContext:aws:sqs:arn": ["arn:%[1]s:sqs:%[2]s:123456789012:system-*"]}}`,
			"EncryptStatusChangeNotices": `"Principal": {"Service": "events.amazonaws.com"}, "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
				"Condition": {"ArnLike": {"kms:EncryptionContext:aws:sns:topicArn": ["arn:%[1]s:sns:%[2]s:123456789012:system-n-*"]}}`,
			"EncryptAlarmNotices": `"Principal": {"Service": "cloudwatch.amazonaws.com"}, "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
				"Condition": {"ArnLike": {"kms:EncryptionContext:aws:sns:topicArn": ["arn:%[1]s:sns:%[2]s:123456789012:system-n-*"]}}`,
			"DecryptExecutionLogs": `"Principal": {"Service": "delivery.logs.amazonaws.com"}, "Action": ["kms:Decrypt"],
				"Condition": {"ArnLike": {"kms:EncryptionContext:SourceArn": ["arn:%[1]s:logs:%[2]s:123456789012:*"]}}`,
		}
		require.Len(t, found, len(want))
		for sid, parts := range want {
			parts = fmt.Sprintf(`{"Sid": "`+sid+`", "Effect": "Allow", "Resource": ["*"], `+parts+`%.0[1]s%.0[2]s%.0[3]s}`,
				at.Partition, at.Region, at.DNSSuffix())
			require.JSONEq(t, parts, found[sid], sid)
		}
	})
}

func TestTheKeyOfLogsIsForNothingElse(t *testing.T) {
	t.Parallel()
	all, logs := statements(t, declare(t, forAll(declaredtest.Home()))), statements(t, declare(t, forLogs(declaredtest.Home())))
	require.Equal(t, map[string]string{
		"AdministerKey": all["AdministerKey"], "EncryptLogGroups": all["EncryptLogGroups"],
	}, logs)
}

// What its policy must hold is what the policy of a key of our own has.
func TestAGivenKeyIsUsedAsItIs(t *testing.T) {
	t.Parallel()
	own := declare(t, forAll(declaredtest.Home()))
	args := forAll(declaredtest.Home())
	args.KeyARN = given
	system := declare(t, args)
	require.Equal(t, map[string]int{encryption.Type: 1}, declaredtest.Counts(system))
	require.Equal(t, given, system.Outputs["key"])
	require.Equal(t, own.Outputs["policy"], system.Outputs["policy"])
}
