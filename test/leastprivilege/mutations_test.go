package leastprivilege_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/authz"
	"example.com/upload-router/internal/declared"
)

// change is a change of one policy document of a system.
type change struct {
	name     string
	resource string // the logical name of what declares it
	input    string // that holds it
	document map[string]any
}

// apply gives the system with the change.
func (c change) apply(t *testing.T, system *declared.System) *declared.System {
	t.Helper()
	text, err := json.Marshal(c.document)
	require.NoError(t, err)
	out := &declared.System{Outputs: system.Outputs, Resources: slices.Clone(system.Resources)}
	for i, r := range out.Resources {
		if r.Name == c.resource && r.Text(c.input) != "" {
			r.Inputs = maps.Clone(r.Inputs)
			r.Inputs[c.input] = string(text)
			out.Resources[i] = r
			return out
		}
	}
	require.Fail(t, "no such resource", c.resource)
	return nil
}

// documents calls visit with every Allow statement of every policy document. The
// document may be changed: it is a copy of its own.
func documents(t *testing.T, system *declared.System, visit func(resource, input string, fresh func() map[string]any, statement int)) {
	t.Helper()
	for _, r := range system.Resources {
		for _, input := range []string{"policy", "assumeRolePolicy"} {
			if !strings.Contains(r.Text(input), `"Statement"`) {
				continue
			}
			fresh := func() map[string]any {
				var document map[string]any
				require.NoError(t, json.Unmarshal([]byte(r.Text(input)), &document))
				return document
			}
			for i, s := range fresh()["Statement"].([]any) {
				if s.(map[string]any)["Effect"] == "Allow" {
					visit(r.Name, input, fresh, i)
				}
			}
		}
	}
}

// removals take one action, or one of several resources, from one statement.
func removals(t *testing.T, system *declared.System) []change {
	t.Helper()
	var out []change
	documents(t, system, func(resource, input string, fresh func() map[string]any, statement int) {
		for _, element := range []string{"Action", "Resource"} {
			list, _ := fresh()["Statement"].([]any)[statement].(map[string]any)[element].([]any)
			if element == "Resource" && len(list) < 2 {
				continue
			}
			for i, value := range list {
				document := fresh()
				statements := document["Statement"].([]any)
				changed := statements[statement].(map[string]any)
				changed[element] = slices.Delete(slices.Clone(list), i, i+1)
				if len(list) == 1 { // a policy without statements, or one without actions, isn't one
					changed[element] = []any{"nothing:Nothing"}
				}
				name := fmt.Sprintf("%s without %v of %v", resource, value, changed["Sid"])
				out = append(out, change{name, resource, input, document})
			}
		}
	})
	return out
}

// Nothing that is granted can be taken away: the proof that the local run asks
// for it, and that it isn't granted twice. It is missed on a way that asked for it.
func TestWithoutAnyOneGrantTheSystemDoesNotWork(t *testing.T) {
	t.Parallel()
	excused := map[string]bool{}
	for _, c := range allRemovals(t) {
		changed := c.apply(t, c.of.system)
		gone := lost(t, c.of.system, changed)
		maps.DeleteFunc(gone, func(_ string, g authz.Grant) bool {
			_, required := authz.RequirementOf(g)
			if required {
				excused[g.Action] = true
			}
			return required
		})
		if len(gone) == 0 {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			on, asked := c.of.taken(t).asked(gone)
			require.True(t, asked)
			l, err := take(t, changed, on)
			if !slices.ContainsFunc(unheard, func(action string) bool { return strings.Contains(c.name, " without "+action+" ") }) {
				require.Error(t, err)
			}
			require.NotEmpty(t, l.refused(), "it fails because something is refused: %v", err)
		})
	}
	require.LessOrEqual(t, len(excused), len(authz.Required()))
}

// unheard are calls without which the system works on, with less: a lost task
// is noticed later, by its time-out, and a trace ends before the container.
var unheard = []string{"states:SendTaskFailure", "states:SendTaskHeartbeat", "xray:PutTraceSegments"}

// removal is a change of a system.
type removal struct {
	change
	of *journey
}

// unnumbered is what the name of a resource ends with, which differs from stack to stack.
var unnumbered = regexp.MustCompile(`-[0-9a-f]{7}\b`)

// allRemovals are those of every grant in every stack, each in the first that has it.
func allRemovals(t *testing.T) []removal {
	t.Helper()
	var out []removal
	journeys := stacks(t)
	names := slices.Sorted(maps.Keys(journeys))
	// A limit of tasks needs what claims and traces only use.
	first := []string{defaults, few}
	names = slices.Concat(first, slices.DeleteFunc(names, func(name string) bool { return slices.Contains(first, name) }))
	seen := map[string]bool{}
	for _, name := range names {
		for _, c := range removals(t, journeys[name].system) {
			c.name = unnumbered.ReplaceAllString(strings.ReplaceAll(c.name, "upload-router-"+name+"-", ""), "")
			if !seen[c.name] {
				seen[c.name] = true
				out = append(out, removal{c, journeys[name]})
			}
		}
	}
	require.NotEmpty(t, out)
	return out
}

// lost are the grants that a change took away.
func lost(t *testing.T, before, after *declared.System) map[string]authz.Grant {
	t.Helper()
	was := grants(t, before)
	for key := range grants(t, after) {
		delete(was, key)
	}
	return was
}

func grants(t *testing.T, system *declared.System) map[string]authz.Grant {
	t.Helper()
	policies, err := authz.Load(system)
	require.NoError(t, err)
	out := map[string]authz.Grant{}
	for _, g := range policies.Grants() {
		out[g.Key()] = g
	}
	return out
}

// A grant that nobody uses is found, in whatever policy it is.
func TestOneGrantMoreIsNoticed(t *testing.T) {
	t.Parallel()
	system, l := stacks(t)[defaults].system, stacks(t)[defaults].taken(t)
	changes := 0
	documents(t, system, func(resource, input string, fresh func() map[string]any, statement int) {
		changes++
		document := fresh()
		changed := document["Statement"].([]any)[statement].(map[string]any)
		changed["Action"] = append(changed["Action"].([]any), "s3:DeleteBucket")
		c := change{"", resource, input, document}
		policies, err := authz.Load(c.apply(t, system))
		require.NoError(t, err)
		left := unused(policies.Grants(), l.decisions)
		require.NotEmpty(t, left, resource)
		for _, g := range left {
			require.Equal(t, resource, g.Policy)
			require.Equal(t, "s3:DeleteBucket", g.Action)
		}
	})
	require.Greater(t, changes, 15)
}

// withoutResources are actions that know no resources, so that only "*" grants them.
// https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
var withoutResources = []string{
	"ecr:GetAuthorizationToken",
	"logs:CreateLogDelivery", "logs:CreateLogStream", "logs:GetLogDelivery", "logs:UpdateLogDelivery", "logs:DeleteLogDelivery",
	"logs:ListLogDeliveries", "logs:PutLogEvents", "logs:PutResourcePolicy", "logs:DescribeResourcePolicies", "logs:DescribeLogGroups",
	"xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets",
}

// No grant is wider than what it is for: what was allowed is refused for the next resource, the next account and the next Region,
// and if any condition of what allows it doesn't hold.
func TestNothingNextDoorIsGranted(t *testing.T) {
	t.Parallel()
	for name, j := range stacks(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := j.taken(t)
			policies, err := authz.Load(j.system)
			require.NoError(t, err)
			tried, allowed := nextDoor(policies, l.decisions)
			require.Greater(t, tried, 100)
			require.Empty(t, allowed)
		})
	}
}

// nextDoor tries the neighbours of all that was allowed, and gives what is allowed too.
func nextDoor(policies *authz.Policies, decisions []authz.Decision) (tried int, allowed []string) {
	for _, d := range decisions {
		if !d.Allowed || d.Assumed != "" {
			continue
		}
		for _, r := range neighbours(d) {
			tried++
			if got := policies.Authorize(r); got.Allowed {
				allowed = append(allowed, fmt.Sprintf("%s may %s on %s, with %v: granted by %v",
					r.Principal, r.Action, r.Resource, r.Context, got.Grants))
			}
		}
	}
	return tried, allowed
}

// A statement that is for any resource, or under no condition, is found.
func TestAWiderGrantIsNoticed(t *testing.T) {
	t.Parallel()
	system, l := stacks(t)[defaults].system, stacks(t)[defaults].taken(t)
	changes := 0
	try := func(resource, input string, document map[string]any, what string) {
		changes++
		policies, err := authz.Load(change{"", resource, input, document}.apply(t, system))
		require.NoError(t, err)
		_, allowed := nextDoor(policies, l.decisions)
		require.NotEmpty(t, allowed, "%s: %s", resource, what)
	}
	documents(t, system, func(resource, input string, fresh func() map[string]any, statement int) {
		of := func(document map[string]any) map[string]any {
			return document["Statement"].([]any)[statement].(map[string]any)
		}
		whole := fresh()
		_, ofResource := of(whole)["Principal"]
		if !ofResource && !slices.Equal(of(whole)["Resource"].([]any), []any{"*"}) {
			of(whole)["Resource"] = "*"
			try(resource, input, whole, "any resource")
		}
		for operator, keys := range conditionsOf(of(fresh())) {
			for key := range keys.(map[string]any) {
				document := fresh()
				delete(of(document)["Condition"].(map[string]any)[operator].(map[string]any), key)
				try(resource, input, document, "without "+operator+" "+key)
			}
		}
	})
	require.Greater(t, changes, 20)
}

func conditionsOf(statement map[string]any) map[string]any {
	conditions, _ := statement["Condition"].(map[string]any)
	return conditions
}

// neighbours are requests like one that was allowed, none of which should be.
func neighbours(d authz.Decision) []authz.Request {
	var out []authz.Request
	add := func(change func(r *authz.Request)) {
		r := d.Request
		r.Context = maps.Clone(r.Context)
		change(&r)
		out = append(out, r)
	}
	// A resource's own policy is about that resource, whatever it says.
	if d.Request.Principal.Role != "" && !strings.HasPrefix(d.Request.Action, "kms:") {
		if d.Request.Resource != "*" {
			for _, resource := range nextTo(d.Request.Resource) {
				add(func(r *authz.Request) { r.Resource = resource })
			}
		} else if !slices.Contains(withoutResources, d.Request.Action) {
			add(func(*authz.Request) {}) // as it is: nobody should need all
		}
	}
	if d.Request.Principal.Service != "" {
		add(func(r *authz.Request) { r.Principal.Service = "ec2.amazonaws.com" })
	}
	for _, key := range conditions(d) {
		add(func(r *authz.Request) { r.Context[key] = []string{"arn:aws:other:eu-west-3:999999999999:other/thing"} })
		add(func(r *authz.Request) { r.Context[key] = nil }) // it isn't there, and isn't filled in
	}
	return out
}

// conditions are the keys of the request that a condition of what allows it is about.
func conditions(d authz.Decision) []string {
	var out []string
	for key := range d.Request.Context {
		for _, g := range d.Grants {
			if slices.ContainsFunc(g.Conditions, func(c string) bool { return strings.Contains(c, " "+key+" ") }) {
				out = append(out, key)
			}
		}
	}
	return out
}

// kinds are the words that say what kind a resource is, before its name.
var kinds = []string{
	"function", "task-definition", "task", "stateMachine", "role", "rule", "log-group", "repository", "table", "cluster",
}

// nextTo are the ARNs of the same in another account and Region, and of a resource whose name only begins like this one's.
func nextTo(arn string) []string {
	parts := strings.SplitN(arn, ":", 6)
	var out []string
	for _, i := range []int{3, 4} {
		if parts[i] != "" {
			other := slices.Clone(parts)
			other[i] = map[int]string{3: "eu-west-3", 4: "999999999999"}[i]
			out = append(out, strings.Join(other, ":"))
		}
	}
	name := strings.FieldsFunc(parts[5], func(r rune) bool { return r == ':' || r == '/' })
	at := 0
	if slices.Contains(kinds, name[0]) {
		at = 1
	}
	parts[5] = strings.Replace(parts[5], name[at], name[at]+"-2", 1)
	return append(out, strings.Join(parts, ":"))
}

// Requirement A16: the task's credentials are worth nothing outside of its network.
func TestATaskOfAPrivateNetworkReadsByItsEndpointAlone(t *testing.T) {
	t.Parallel()
	system, l := stacks(t)[private].system, stacks(t)[private].taken(t)
	policies, err := authz.Load(system)
	require.NoError(t, err)
	tried := 0
	for _, d := range l.decisions {
		if !d.Allowed || d.Request.Endpoint == "" || !strings.HasPrefix(d.Request.Action, "s3:GetObject") || d.Request.Principal.Role == "" {
			continue
		}
		tried++
		r := d.Request
		r.Endpoint = ""
		require.ErrorContains(t, policies.Authorize(r).Err(), "explicit deny in a resource-based policy: DenyTaskOutsideEndpoint")
		r = d.Request
		r.Resource = "arn:aws:s3:::somebody-elses/key"
		require.ErrorContains(t, policies.Authorize(r).Err(), "no VPC endpoint policy allows")
	}
	require.Positive(t, tried)
}

// Whoever comes without TLS is refused by the bucket, the topic and the queue, whatever else allows it.
func TestNothingIsAllowedWithoutTLS(t *testing.T) {
	t.Parallel()
	system, l := stacks(t)[defaults].system, stacks(t)[defaults].taken(t)
	policies, err := authz.Load(system)
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, d := range l.decisions {
		service, _, _ := strings.Cut(d.Request.Action, ":")
		if !d.Allowed || !slices.Contains([]string{"s3", "sns", "sqs"}, service) {
			continue
		}
		seen[service] = true
		r := d.Request
		r.Context = maps.Clone(r.Context)
		if r.Context == nil {
			r.Context = map[string][]string{}
		}
		r.Context["aws:SecureTransport"] = []string{"false"}
		require.ErrorContains(t, policies.Authorize(r).Err(), "explicit deny")
		if service == "s3" {
			r.Context["aws:SecureTransport"], r.Context["s3:TlsVersion"] = []string{"true"}, []string{"1.1"}
			require.ErrorContains(t, policies.Authorize(r).Err(), "explicit deny")
		}
	}
	require.Len(t, seen, 3)
}
