package stack_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/components/location"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/declared/declaredtest"
)

// statement is a statement of a policy, with every element that IAM has.
type statement struct {
	Sid          string
	Effect       string
	Principal    any
	NotPrincipal any
	Action       []string
	NotAction    any
	Resource     []string
	NotResource  any
	Condition    map[string]map[string][]string
}

// policies are the statements of every policy document of a stack, by type and name of the resource.
func policies(t *testing.T, system *declared.System) map[string][]statement {
	t.Helper()
	found := map[string][]statement{}
	for _, r := range system.Resources {
		for _, input := range []string{"policy", "assumeRolePolicy"} {
			text := r.Text(input)
			if text == "" || r.Type == typeLifecycle {
				continue
			}
			var document struct {
				Version   string
				Statement []statement
			}
			decoder := json.NewDecoder(strings.NewReader(text))
			decoder.DisallowUnknownFields()
			require.NoError(t, decoder.Decode(&document), r.Name)
			require.Equal(t, "2012-10-17", document.Version, r.Name)
			require.NotEmpty(t, document.Statement, r.Name)
			found[r.Type+" "+r.Name] = document.Statement
		}
	}
	return found
}

func TestEachRoleIsTakenByOneServiceForThisAccountAlone(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"function-role":  "lambda.amazonaws.com",
		"sweep-role":     "lambda.amazonaws.com",
		"task-execution": "ecs-tasks.amazonaws.com",
		"task-role":      "ecs-tasks.amazonaws.com",
		"workflow-role":  "states.amazonaws.com",
		"backfill-role":  "states.amazonaws.com",
		"uploads-role":   "events.amazonaws.com",
	}
	declaredtest.InEach(t, func(t *testing.T, at location.Location) {
		t.Helper()
		system := declaredtest.Evaluate(t, declaredtest.At(at), program)
		require.Len(t, system.OfType(typeRole), len(want))
		documents := policies(t, system)
		for name, service := range want {
			trust := documents[typeRole+" upload-router-local-"+name]
			require.Len(t, trust, 1, name)
			assert.Equal(t, "Allow", trust[0].Effect, name)
			assert.Equal(t, []string{"sts:AssumeRole"}, trust[0].Action, name)
			assert.Equal(t, map[string]any{"Service": service}, trust[0].Principal, name)
			assert.Equal(t, []string{declaredtest.AccountID}, trust[0].Condition["StringEquals"]["aws:SourceAccount"], name)
			for operator, keys := range trust[0].Condition {
				for _, values := range keys {
					assert.NotContains(t, values, "*", "%s %s", name, operator)
				}
			}
		}
	})
}

// allows lists what a statement allows on everything, or to everyone.
func allows(s statement) []string {
	var wide []string
	if s.Effect != "Allow" {
		return nil
	}
	if slices.Contains(s.Resource, "*") {
		wide = append(wide, strings.Join(s.Action, " ")+" on *")
	}
	for _, action := range s.Action {
		if action == "*" || strings.HasSuffix(action, ":*") {
			wide = append(wide, action)
		}
	}
	if s.Principal == "*" || fmt.Sprint(s.Principal) == "map[AWS:*]" {
		wide = append(wide, "everyone")
	}
	return wide
}

func TestNoPolicyAllowsMoreThanItNames(t *testing.T) {
	t.Parallel()
	// All that is allowed without naming it, and why.
	const deliverLogs = "logs:CreateLogDelivery logs:CreateLogStream logs:DeleteLogDelivery logs:DescribeLogGroups " +
		"logs:DescribeResourcePolicies logs:GetLogDelivery logs:ListLogDeliveries logs:PutLogEvents logs:PutResourcePolicy " +
		"logs:UpdateLogDelivery on *"
	reasons := map[string]string{
		deliverLogs:                      "a delivery of logs is the account's: the actions know no resources",
		"ecr:GetAuthorizationToken on *": "the action knows no resources",
		"kms:* on *":                     "in a key's policy * is the key; without this statement nobody could ever change it",
		"kms:*":                          "the account's own IAM policies govern the key",
		"kms:Decrypt* kms:Describe* kms:Encrypt* kms:GenerateDataKey* kms:ReEncrypt* on *": "in a key's policy * is the key",
	}
	for name, c := range map[string]struct {
		config    config
		documents int
		excused   []string
	}{
		"as it comes": {nil, 29, []string{
			"ecr:GetAuthorizationToken on *", "kms:*", "kms:* on *",
			"kms:Decrypt* kms:Describe* kms:Encrypt* kms:GenerateDataKey* kms:ReEncrypt* on *", deliverLogs, deliverLogs,
		}},
		"all given": {
			config{"image": givenImage, "kmsKeyArn": givenKey, "notify": `["` + givenTopic + `"]`, "network": "default"},
			27, []string{deliverLogs, deliverLogs},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			documents := policies(t, declare(t, c.config))
			require.Len(t, documents, c.documents, "seven trusts, fifteen grants, and those of the key, the buckets, the queues and the topic")
			var wide []string
			for resource, statements := range documents {
				for _, s := range statements {
					assert.Contains(t, []string{"Allow", "Deny"}, s.Effect, resource)
					assert.Nil(t, s.NotAction, resource)
					assert.Nil(t, s.NotResource, resource)
					assert.Nil(t, s.NotPrincipal, resource)
					assert.NotEmpty(t, s.Action, resource)
					for _, w := range allows(s) {
						assert.Contains(t, reasons, w, resource)
						wide = append(wide, w)
					}
				}
			}
			slices.Sort(wide)
			require.Equal(t, c.excused, wide)
		})
	}
}

// Roles have inline policies of this program alone: no managed policy of AWS's,
// which changes without notice and is wider than any of them.
func TestNoRoleHasAManagedPolicy(t *testing.T) {
	t.Parallel()
	system := declare(t, nil)
	for _, role := range system.OfType(typeRole) {
		require.ElementsMatch(t, []string{"assumeRolePolicy", "description", "tags"}, keys(role.Inputs), role.Name)
	}
	for _, r := range system.Resources {
		require.NotContains(t, strings.ToLower(r.Type), "policyattachment", r.Name)
		require.NotContains(t, fmt.Sprint(r.Inputs), "iam::aws:policy", r.Name)
	}
}

func keys(m map[string]any) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	return out
}

// walk visits every text of a resource's inputs.
func walk(path string, value any, visit func(path, text string)) {
	switch v := value.(type) {
	case string:
		visit(path, v)
	case []any:
		for i, e := range v {
			walk(fmt.Sprintf("%s[%d]", path, i), e, visit)
		}
	case map[string]any:
		for k, e := range v {
			walk(strings.TrimPrefix(path+"."+k, "."), e, visit)
		}
	}
}

func TestThePasswordOfTheRegistryIsNowhereInPlain(t *testing.T) {
	t.Parallel()
	const password = "registry-password" // what internal/declared answers
	system := declare(t, nil)
	found := 0
	for _, r := range system.Resources {
		walk("", r.Inputs, func(path, text string) {
			if strings.Contains(text, password) {
				found++
				assert.Contains(t, r.Secrets, path, "%s %s", r.Type, r.Name)
			}
		})
	}
	require.Equal(t, 1, found, "the image's build has it, and nothing else")
	require.NotContains(t, fmt.Sprint(system.Outputs), password)
}

var (
	arns = regexp.MustCompile(`arn:([a-z-]+):([a-z0-9-]+):([a-z0-9-]*):([0-9]*|aws):`)
	// services are the principals that are services.
	services = regexp.MustCompile(`"Service":"([^"]+)"`)
)

// Nothing names another partition, Region or account than the stack's own.
func TestEveryARNIsOfTheStacksOwnPlace(t *testing.T) {
	t.Parallel()
	declaredtest.InEach(t, func(t *testing.T, at location.Location) {
		t.Helper()
		seen := 0
		for _, r := range declaredtest.Evaluate(t, declaredtest.At(at), program).Resources {
			walk("", r.Inputs, func(path, text string) {
				for _, part := range arns.FindAllStringSubmatch(text, -1) {
					seen++
					assert.Equal(t, at.Partition, part[1], "%s %s: %s", r.Name, path, part[0])
					assert.Contains(t, []string{at.Region, ""}, part[3], "%s %s: %s", r.Name, path, part[0])
					assert.Contains(t, []string{declaredtest.AccountID, ""}, part[4], "%s %s: %s", r.Name, path, part[0])
				}
			})
		}
		require.Greater(t, seen, 50)
	})
}

// The services' names are the same in every partition, but for that of CloudWatch Logs, which has the Region.
func TestOnlyTheServiceWithARegionHasThePartitionsDomain(t *testing.T) {
	t.Parallel()
	declaredtest.InEach(t, func(t *testing.T, at location.Location) {
		t.Helper()
		key := only(t, declaredtest.Evaluate(t, declaredtest.At(at), program), typeKey)
		found := services.FindAllStringSubmatch(key.Text("policy"), -1)
		require.Len(t, found, 1)
		require.Equal(t, "logs."+at.Region+"."+at.DNSSuffix(), found[0][1])
		others := 0
		for _, r := range declaredtest.Evaluate(t, declaredtest.At(at), program).OfType(typeRole) {
			for _, principal := range services.FindAllStringSubmatch(r.Text("assumeRolePolicy"), -1) {
				require.Regexp(t, `^[a-z-]+\.amazonaws\.com$`, principal[1])
				others++
			}
		}
		require.Equal(t, 7, others)
	})
}

// The families of rules that checkers have for these services, as far as a stack of the default configuration is to meet them.
func TestTheStackMeetsTheCheckersRules(t *testing.T) {
	t.Parallel()
	system := declare(t, nil)
	container := only(t, system, typeDefinition).Text("containerDefinitions")
	repository := only(t, system, typeRepository)
	for rule, holds := range map[string]bool{
		"0086 to 0094, S3 blocks public access": len(system.OfType("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")) ==
			len(system.OfType(typeBucket)),
		"0088, S3 is encrypted with KMS": strings.Contains(fmt.Sprint(only(t, system,
			"aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2").Inputs), "sseAlgorithm:aws:kms"),
		"0090, S3 keeps versions": strings.Contains(fmt.Sprint(only(t, system,
			"aws:s3/bucketVersioningV2:BucketVersioningV2").Inputs), "status:Enabled"),
		"0096, SQS is encrypted":          system.OfType(typeQueue)[0].Inputs["sqsManagedSseEnabled"] == true,
		"0065, KMS rotates":               only(t, system, typeKey).Inputs["enableKeyRotation"] == true,
		"0030, ECR scans":                 repository.Object("imageScanningConfiguration")["scanOnPush"] == true,
		"0031, ECR's tags are immutable":  repository.Text("imageTagMutability") == "IMMUTABLE",
		"0036, ECS has no plain secret":   !strings.Contains(container, "SECRET") && !strings.Contains(container, "PASSWORD"),
		"the container's root is closed":  strings.Contains(container, `"readonlyRootFilesystem":true`),
		"0124, every rule is described":   len(describedRules(system)) == 2,
		"0099, the group is described":    only(t, system, typeGroup).Text("description") != "",
		"0164, subnets give no addresses": noPublicAddresses(system),
	} {
		assert.True(t, holds, rule)
	}
	for _, group := range system.OfType(typeLogGroup) { // 0017
		assert.NotEmpty(t, group.Text("kmsKeyId"), group.Name)
		assert.NotZero(t, group.Number("retentionInDays"), group.Name)
	}
}

func describedRules(system *declared.System) []declared.Resource {
	return slices.DeleteFunc(system.OfType(typeEgress), func(r declared.Resource) bool { return r.Text("description") == "" })
}

func noPublicAddresses(system *declared.System) bool {
	return !slices.ContainsFunc(system.OfType(typeSubnet), func(r declared.Resource) bool {
		return r.Inputs["mapPublicIpOnLaunch"] == true
	})
}
