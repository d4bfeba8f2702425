package stack_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/declared/declaredtest"
)

// limits are what AWS takes as a name, for each type that has one.
var limits = map[string]struct {
	output  string
	longest int
	pattern *regexp.Regexp
}{
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
	typeBucket: {"bucket", 63, regexp.MustCompile(`^[a-z0-9](?:[a-z0-9]|-[a-z0-9])+$`)},
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
	typeRole:   {"name", 64, regexp.MustCompile(`^[\w+=,.@-]+$`)},
	typePolicy: {"name", 128, regexp.MustCompile(`^[\w+=,.@-]+$`)},
	// https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html
	typeFunction: {"name", 64, regexp.MustCompile(`^[a-zA-Z0-9-_]+$`)},
	// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html
	typeRule: {"name", 64, regexp.MustCompile(`^[.\-_A-Za-z0-9]+$`)},
	// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
	typeQueue: {"name", 80, regexp.MustCompile(`^[a-zA-Z0-9-_]+$`)},
	// https://docs.aws.amazon.com/step-functions/latest/apireference/API_CreateStateMachine.html; and SNS takes a
	// subject of 100 characters, which the definition puts this name into.
	typeMachine: {"name", 80, regexp.MustCompile(`^[a-zA-Z0-9-_]+$`)},
	// https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html
	typeTopic: {"name", 256, regexp.MustCompile(`^[a-zA-Z0-9-_]+$`)},
	// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
	typeRepository: {"name", 256, regexp.MustCompile(`^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$`)},
	// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateCluster.html
	typeCluster:    {"name", 255, regexp.MustCompile(`^[a-zA-Z0-9-_]+$`)},
	typeDefinition: {"family", 255, regexp.MustCompile(`^[a-zA-Z0-9-_]+$`)},
	// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html
	typeLogGroup: {"name", 512, regexp.MustCompile(`^[.\-_/#A-Za-z0-9]+$`)},
	// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
	typeAlarm: {"name", 255, regexp.MustCompile(`^[\x20-\x7e]+$`)},
}

// stacks are names that Pulumi takes for a stack.
func stacks() map[string]string {
	return map[string]string{
		"short":       "d",
		"plain":       "dev",
		"32 in all":   strings.Repeat("x", 32-len("upload-router-")),
		"one more":    strings.Repeat("x", 33-len("upload-router-")),
		"characters":  "Team.Alpha_Prod--EU",
		"100 and odd": strings.Repeat("Team.Alpha_Prod--", 6)[:100],
		"only odd":    "..__--",
		"odd end":     "dev.",
	}
}

func TestEveryNameIsOneThatAWSTakes(t *testing.T) {
	t.Parallel()
	type names struct{ project, stack string }
	tests := map[string]names{}
	for name, stackName := range stacks() {
		tests[name] = names{"", stackName}
	}
	for _, project := range []string{"2026files", "sg", "sg-files", "xn--files", "sthree-files", "amzn-s3-demo"} {
		tests[project] = names{project, "dev"}
	}
	for name, of := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			system := declaredtest.Evaluate(t, declared.Options{Project: of.project, Stack: of.stack}, program)
			for _, r := range system.Resources {
				require.NotRegexp(t, `^(?:[0-9]|sg-|xn--|sthree-|amzn-s3-demo-)`, r.Name)
			}
			checked := map[string]bool{}
			for _, r := range system.Resources {
				limit, ok := limits[r.Type]
				if !ok {
					continue
				}
				checked[r.Type] = true
				physical, _ := r.Outputs[limit.output].(string)
				assert.LessOrEqual(t, len(physical), limit.longest, physical)
				assert.Regexp(t, limit.pattern, physical, r.Type)
			}
			require.Len(t, checked, len(limits))
			for _, r := range system.OfType(typeRole) {
				// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
				assert.LessOrEqual(t, len(r.Text("assumeRolePolicy")), 2048, r.Name)
			}
			for _, r := range system.OfType(typePolicy) {
				assert.LessOrEqual(t, len(r.Text("policy")), 10240, r.Name)
			}
		})
	}
}

func prefixOf(t *testing.T, project, stackName string) string {
	t.Helper()
	system := declaredtest.Evaluate(t, declared.Options{Project: project, Stack: stackName}, program)
	return strings.TrimSuffix(only(t, system, "upload-router:components:Network").Name, "-network")
}

func TestNamesBeginWithProjectAndStackAsFarAsThereIsRoom(t *testing.T) {
	t.Parallel()
	for stackName, pattern := range map[string]string{
		"dev":                    `^upload-router-dev$`,
		"prod1":                  `^upload-router-prod1$`,
		"eu-prod-1":              `^upload-router-eu-prod-1-[0-9a-f]{6}$`,
		"c0ffee":                 `^upload-router-c0ffee-[0-9a-f]{6}$`,
		strings.Repeat("x", 18):  `^upload-router-x{18}$`,
		strings.Repeat("x", 19):  `^upload-router-x{11}-[0-9a-f]{6}$`,
		strings.Repeat("x", 100): `^upload-router-x{11}-[0-9a-f]{6}$`,
		"Dev":                    `^upload-router-dev-[0-9a-f]{6}$`,
		"a_b":                    `^upload-router-a-b-[0-9a-f]{6}$`,
		"a..b":                   `^upload-router-a-b-[0-9a-f]{6}$`,
		"dev_":                   `^upload-router-dev-[0-9a-f]{6}$`,
	} {
		t.Run(stackName, func(t *testing.T) {
			t.Parallel()
			require.Regexp(t, pattern, prefixOf(t, "upload-router", stackName))
		})
	}
}

// Two stacks in one account must not meet in a name, of one project or of two.
func TestStacksThatLookAlikeHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	same := strings.Repeat("x", 99)
	seen := map[string]string{}
	for _, c := range []struct{ project, stack string }{
		{"up", "dev"}, {"up", "Dev"}, {"up", "DEV"}, {"up", "dev."}, {"up", "dev_"}, {"up", "a.b"}, {"up", "a-b"}, {"up", "a_b"},
		{"up", "a--b"}, {"up", same + "1"}, {"up", same + "2"},
		{"up-a", "b"}, {"up-a", "B"}, {"up", "a-B"}, {"up-a", "b-c"}, {"up", "a-b-c"}, {"up-a-b", "c"}, {"up-a-b", "C"},
	} {
		name, stackName := prefixOf(t, c.project, c.stack), c.project+"/"+c.stack
		require.Empty(t, seen[name], "%s has the name %s as well", stackName, name)
		seen[name] = stackName
	}
}

// A dashboard, its queries and a log group have names without Pulumi's random suffix.
func TestTwoProjectsLiveSideBySide(t *testing.T) {
	t.Parallel()
	owners := map[string]string{}
	for project, stackName := range map[string]string{"a-b": "c", "a": "b-c"} {
		system := declaredtest.Evaluate(t, declared.Options{Project: project, Stack: stackName}, program)
		for _, r := range system.Resources {
			for _, output := range []string{"name", "bucket", "family", "dashboardName"} {
				if name, _ := r.Outputs[output].(string); name != "" {
					key := r.Type + " " + output + " " + name
					assert.Contains(t, []string{"", project}, owners[key], key)
					owners[key] = project
				}
			}
		}
	}
	require.Contains(t, owners, "aws:cloudwatch/dashboard:Dashboard dashboardName a-b-c-dashboard")
	require.Contains(t, owners, "aws:cloudwatch/logGroup:LogGroup name /aws/vendedlogs/states/a-b-c")
}
