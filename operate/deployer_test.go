//go:build !race

// These evaluate the program, as those of cost_test.go do.

package operate_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/operate"
)

// existing is a network that is there.
var existing = map[string]string{
	"network": "existing", "vpcId": "vpc-0123456789abcdef0", "subnetIds": `["subnet-0123456789abcdef0","subnet-0123456789abcdef1"]`,
}

// What is declared for a network that is there can be looked at without it.
func TestAStackInANetworkThatIsThereIsDeclared(t *testing.T) {
	t.Parallel()
	_, err := operate.DeclaredDefinition(existing)
	require.NoError(t, err)
	_, err = operate.DeployerPolicy(operate.DeployerOptions{Stack: "dev", Config: existing})
	require.NoError(t, err)
}

func TestTheDeployersPolicyIsForAPlace(t *testing.T) {
	t.Parallel()
	const made = "upload-router-dev-workflow-machine-???????"
	for name, c := range map[string]struct {
		region, account, machine string
	}{
		"anywhere": {"", "", "arn:aws:states:*:*:stateMachine:" + made},
		"a Region": {"eu-central-1", "", "arn:aws:states:eu-central-1:*:stateMachine:" + made},
		"a place":  {"eu-central-1", "123456789012", "arn:aws:states:eu-central-1:123456789012:stateMachine:" + made},
		"China":    {"cn-north-1", "", "arn:aws-cn:states:cn-north-1:*:stateMachine:" + made},
		"GovCloud": {"us-gov-west-1", "", "arn:aws-us-gov:states:us-gov-west-1:*:stateMachine:" + made},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := map[string]string{}
			if c.region != "" {
				config["aws:region"] = c.region
			}
			documents, err := operate.DeployerPolicy(operate.DeployerOptions{Stack: "dev", Config: config, AccountID: c.account})
			require.NoError(t, err)
			found := map[string][]string{}
			for _, d := range documents {
				require.LessOrEqual(t, d.Size, operate.ManagedPolicyLimit)
				var policy struct {
					Statement []struct {
						Sid      string
						Resource []string
					}
				}
				require.NoError(t, json.Unmarshal([]byte(d.JSON), &policy))
				for _, s := range policy.Statement {
					found[s.Sid] = s.Resource
				}
			}
			backfills := strings.Replace(c.machine, "-workflow-", "-backfill-", 1)
			require.Equal(t, []string{backfills, c.machine}, found["StateMachines"])
		})
	}
}

func TestTheDeployersPolicyOfAWrongConfigurationIsRefused(t *testing.T) {
	t.Parallel()
	_, err := operate.DeployerPolicy(operate.DeployerOptions{Stack: "dev", Config: map[string]string{"taskCpu": "3"}})
	require.ErrorIs(t, err, operate.ErrInput)
	require.ErrorContains(t, err, "taskCpu")
	_, err = operate.DeployerPolicy(operate.DeployerOptions{Stack: "dev", Limit: 100})
	require.ErrorContains(t, err, "a statement is longer than a policy may be")
}

// What nobody asks for isn't in the policy: EventBridge is turned on in others' buckets only by who says so.
func TestTheDeployersPolicyTurnsEventBridgeOn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		region string
		enable bool
		want   []string
	}{
		"asked for":     {"eu-central-1", true, []string{"arn:aws:s3:::more", "arn:aws:s3:::theirs"}},
		"in China":      {"cn-north-1", true, []string{"arn:aws-cn:s3:::more", "arn:aws-cn:s3:::theirs"}},
		"not asked for": {"eu-central-1", false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			documents, err := operate.DeployerPolicy(operate.DeployerOptions{
				Stack: "dev", Config: map[string]string{"aws:region": c.region, "buckets": `["theirs","more"]`}, EnableEventBridge: c.enable,
			})
			require.NoError(t, err)
			var found []string
			for _, document := range documents {
				var policy struct {
					Statement []struct {
						Sid              string
						Action, Resource []string
					}
				}
				require.NoError(t, json.Unmarshal([]byte(document.JSON), &policy))
				for _, s := range policy.Statement {
					if s.Sid == "EnableEventBridge" {
						require.Equal(t, []string{"s3:GetBucketNotification", "s3:PutBucketNotification"}, s.Action)
						found = s.Resource
					}
				}
			}
			require.Equal(t, c.want, found)
		})
	}
}
