package leastprivilege_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/authz"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/ledger"
)

// change is a change of one policy document of a system.
type change struct {
	name     string
	resource string // the logical name of what declares it
	input    string // that holds it
	document map[string]any
}

// inputPermission stands for the inputs of a permission of Lambda's, which is a statement of a function's policy in other words.
const inputPermission = "permission"

// documentOf is the policy document of an input; empty if it is none.
func documentOf(t *testing.T, r declared.Resource, input string) string {
	t.Helper()
	if r.Type != declared.TypePermission || input != inputPermission {
		return r.Text(input)
	}
	text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
		"Sid": r.Text("statementId"), "Effect": "Allow", "Principal": map[string]any{"Service": r.Text("principal")},
		"Action": []any{r.Text("action")}, "Resource": []any{r.Text("function")},
		"Condition": map[string]any{"ArnLike": map[string]any{"aws:SourceArn": []any{r.Text("sourceArn")}}},
	}}})
	require.NoError(t, err)
	return string(text)
}

// inputsOf are the inputs with a document in the place of one.
func (c change) inputsOf(t *testing.T, r declared.Resource) map[string]any {
	t.Helper()
	inputs := maps.Clone(r.Inputs)
	if c.input != inputPermission {
		text, err := json.Marshal(c.document)
		require.NoError(t, err)
		inputs[c.input] = string(text)
		return inputs
	}
	statement := c.document["Statement"].([]any)[0].(map[string]any)
	inputs["action"] = statement["Action"].([]any)[0]
	like, _ := conditionsOf(statement)["ArnLike"].(map[string]any)
	if like["aws:SourceArn"] == nil {
		delete(inputs, "sourceArn")
	}
	return inputs
}

// apply gives the system with the change.
func (c change) apply(t *testing.T, system *declared.System) *declared.System {
	t.Helper()
	out := &declared.System{Outputs: system.Outputs, Resources: slices.Clone(system.Resources)}
	for i, r := range out.Resources {
		if r.Name == c.resource && documentOf(t, r, c.input) != "" {
			r.Inputs = c.inputsOf(t, r)
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
		for _, input := range []string{"policy", "assumeRolePolicy", inputPermission} {
			text := documentOf(t, r, input)
			if !strings.Contains(text, `"Statement"`) {
				continue
			}
			fresh := func() map[string]any {
				var document map[string]any
				require.NoError(t, json.Unmarshal([]byte(text), &document))
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
			if !isUnheard(c.name) {
				require.Error(t, err)
			}
			require.NotEmpty(t, l.refused(), "it fails because something is refused: %v", err)
		})
	}
	require.LessOrEqual(t, len(excused), len(authz.Required()))
}

// unheard are calls without which the system works on, with less: a lost task is noticed later, by its time-out, and so is a success, which
// the ledger has all the same; a task isn't traced with its execution, and a trace ends before the container.
var unheard = []string{
	"states:SendTaskFailure", "states:SendTaskHeartbeat", "states:SendTaskSuccess", "states:DescribeExecution of DescribeExecutions",
	"xray:PutTraceSegments",
}

// isUnheard says whether a removal takes one of these away, or the state machine that a token is of.
func isUnheard(removal string) bool {
	return strings.HasSuffix(removal, " of SendTaskResult") ||
		slices.ContainsFunc(unheard, func(action string) bool { return strings.Contains(removal+" ", " without "+action+" ") })
}

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
	// A limit of tasks needs what traces only use.
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
		if input == inputPermission {
			return // it has one action, and another one is a permission of its own
		}
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
				delete(conditionsOf(of(document))[operator].(map[string]any), key)
				try(resource, input, document, "without "+operator+" "+key)
				values := keys.(map[string]any)[key].([]any)
				for i, value := range values {
					if !isNegated(operator) || len(values) == 1 {
						continue
					}
					document := fresh()
					conditionsOf(of(document))[operator].(map[string]any)[key] = slices.Delete(slices.Clone(values), i, i+1)
					try(resource, input, document, fmt.Sprintf("%s %s without %v", operator, key, value))
				}
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
	for _, c := range conditions(d) {
		others := []string{"arn:aws:other:eu-west-3:999999999999:other/thing"}
		switch {
		case isNegated(c.Operator):
			others = c.Values
		case c.Operator == "Null":
			others = nil
		}
		for _, other := range others {
			add(func(r *authz.Request) { r.Context[c.Key] = []string{other} })
		}
		add(func(r *authz.Request) { r.Context[c.Key] = nil }) // it isn't there, and isn't filled in
	}
	return out
}

// conditions are those of what allows a request that are about keys which it names.
func conditions(d authz.Decision) []authz.Condition {
	var out []authz.Condition
	for _, g := range d.Grants {
		for _, c := range g.Conditions {
			if _, named := d.Request.Context[c.Key]; named {
				out = append(out, c)
			}
		}
	}
	return out
}

// isNegated says whether a condition operator holds for values that are none of the policy's.
func isNegated(operator string) bool { return strings.Contains(operator, "Not") }

// kinds are the words that say what kind a resource is, before its name.
var kinds = []string{
	"function", "task-definition", "task", "stateMachine", "execution", "role", "rule", "log-group", "repository", "table", "cluster",
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

// Both processors write below the prefix alone, and the task of a private network by its endpoint alone.
func TestOutputsAreWrittenWhereTheyShouldBe(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ prefix, outside string }{
		"outputs":   {"results/", ""},
		"encrypted": {"", "explicit deny in a resource-based policy: DenyTaskOutsideEndpoint"},
		"customer":  {"made/", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			system, l := stacks(t)[name].system, stacks(t)[name].taken(t)
			policies, err := authz.Load(system)
			require.NoError(t, err)
			writers := map[string]bool{}
			for _, d := range l.decisions {
				role := d.Request.Principal.Role
				if !d.Allowed || d.Request.Action != "s3:PutObject" && d.Request.Action != "s3:AbortMultipartUpload" ||
					strings.Contains(role, "-backfill-role-") { // which writes none of them
					continue
				}
				writers[role] = true
				if test.prefix != "" {
					r := d.Request
					r.Resource = strings.Replace(r.Resource, test.prefix, "other/", 1)
					require.ErrorContains(t, policies.Authorize(r).Err(), "no identity-based policy allows")
				}
				if test.outside != "" && d.Request.Endpoint != "" {
					r := d.Request
					r.Endpoint = ""
					require.ErrorContains(t, policies.Authorize(r).Err(), test.outside)
				}
				r := d.Request
				r.Action = "s3:GetObject"
				require.Error(t, policies.Authorize(r).Err(), "what is written isn't read")
			}
			require.Len(t, writers, 2)
		})
	}
}

// By the endpoint of DynamoDB the task reaches the ledger alone, and nobody else does.
func TestATaskOfAPrivateNetworkWritesTheLedgerAlone(t *testing.T) {
	t.Parallel()
	system, l := stacks(t)[private].system, stacks(t)[private].taken(t)
	policies, err := authz.Load(system)
	require.NoError(t, err)
	other := ""
	for _, role := range system.OfType(declared.TypeRole) {
		if strings.HasSuffix(role.Name, "-function-role") {
			other = role.ARN()
		}
	}
	require.NotEmpty(t, other)
	tried := 0
	for _, d := range l.decisions {
		if !d.Allowed || d.Request.Endpoint == "" || d.Request.Action != "dynamodb:UpdateItem" {
			continue
		}
		tried++
		for name, change := range map[string]func(*authz.Request){
			"another table":  func(r *authz.Request) { r.Resource += "-2" },
			"another call":   func(r *authz.Request) { r.Action = "dynamodb:GetItem" },
			"another's role": func(r *authz.Request) { r.Principal.Role = other },
		} {
			r := d.Request
			change(&r)
			require.ErrorContains(t, policies.Authorize(r).Err(), "no VPC endpoint policy allows", name)
		}
		r := d.Request
		r.Context = map[string][]string{leadingKeys: {ledger.SlotsOf("video")}}
		require.ErrorContains(t, policies.Authorize(r).Err(), "but for its condition ForAllValues:StringNotLike", "the slots, by its role")
	}
	require.Positive(t, tried)
}

const leadingKeys = "dynamodb:LeadingKeys"

// The ledger's own items are for those alone who keep them: a processor that is taken over can't free the task slots, or have the sweep
// pass over what is lost.
func TestTheLedgersOwnItemsAreNotForEverybody(t *testing.T) {
	t.Parallel()
	const item = "bucket\nkey"
	writers := map[string]map[string][]string{ // by the end of the role's name; the slots where there are some
		defaults: {"-function-role": nil, "-task-role": nil, "-workflow-role": nil, "-sweep-role": {ledger.Sweep}},
		few: {
			"-function-role": nil, "-task-role": nil, "-workflow-role": {ledger.Slots}, "-sweep-role": {ledger.Slots, ledger.Sweep},
		},
	}
	for stack, of := range writers {
		system := stacks(t)[stack].system
		policies, err := authz.Load(system)
		require.NoError(t, err)
		table, err := system.Only(declared.TypeTable)
		require.NoError(t, err)
		for _, role := range system.OfType(declared.TypeRole) {
			for end, own := range of {
				if !strings.HasSuffix(role.Name, end) {
					continue
				}
				for _, action := range []string{"dynamodb:UpdateItem", "dynamodb:GetItem"} {
					may := func(keys ...string) bool {
						return policies.Authorize(authz.Request{
							Principal: authz.Principal{Role: role.ARN()}, Action: action, Resource: table.ARN(),
							Context: map[string][]string{leadingKeys: keys},
						}).Allowed
					}
					reads := action == "dynamodb:UpdateItem" || end == "-sweep-role"
					what := fmt.Sprintf("%s: %s %s", stack, end, action)
					require.Equal(t, reads, may(item), what)
					for _, pattern := range ledger.OwnPartitions() {
						partition, is := strings.ReplaceAll(pattern, "*", "video"), reads && slices.Contains(own, pattern)
						require.Equal(t, is, may(partition), "%s %s", what, partition)
						require.Equal(t, is, may(item, partition), "%s %s beside another", what, partition)
					}
					require.Equal(t, reads && len(own) == len(ledger.OwnPartitions()), may(), "%s of no item", what)
				}
				delete(of, end)
			}
		}
		require.Empty(t, of, stack)
	}
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

const (
	existingStatus = "s3:ExistingObjectTag/upload-router-status"
	requestStatus  = "s3:RequestObjectTag/upload-router-status"
	requestKeys    = "s3:RequestObjectTagKeys"
)

// With a quarantine only what was processed is read by others, and nobody else says that it was: not in another case, and not by the way.
func TestAnUploadIsInQuarantineUntilItIsProcessed(t *testing.T) {
	t.Parallel()
	system := stacks(t)[tagged].system
	policies, err := authz.Load(given(t, system, "s3:*", "kms:*"))
	require.NoError(t, err)
	bucket, _ := system.Outputs["bucketName"].(string)
	for _, role := range system.OfType(declared.TypeRole) {
		processor := strings.HasSuffix(role.Name, "-function-role") || strings.HasSuffix(role.Name, "-task-role")
		may := func(action string, context map[string][]string) bool {
			return policies.Authorize(authz.Request{
				Principal: authz.Principal{Role: role.ARN()}, Action: action, Resource: "arn:aws:s3:::" + bucket + "/key",
				Context: context, Endpoint: endpointOf(t, system, role),
			}).Allowed
		}
		for _, action := range []string{"s3:GetObject", "s3:GetObjectVersion"} {
			for status, others := range map[string]bool{"": false, "failed": false, "Succeeded": false, "succeeded": true} {
				var has map[string][]string
				if status != "" {
					has = map[string][]string{existingStatus: {status}}
				}
				looks := strings.HasSuffix(role.Name, "-backfill-role") // up what is to be processed
				require.Equal(t, others || processor || looks, may(action, has), "%s %s of what is %q", role.Name, action, status)
			}
		}
		for _, action := range []string{"s3:PutObject", "s3:PutObjectTagging", "s3:PutObjectVersionTagging"} {
			if strings.HasSuffix(role.Name, "-task-role") && action != "s3:PutObjectVersionTagging" {
				continue // the endpoint has none of these
			}
			for _, key := range []string{"upload-router-status", "Upload-Router-Status"} {
				gives := map[string][]string{requestKeys: {"team", key}, requestStatus: {"succeeded"}}
				require.Equal(t, processor, may(action, gives), "%s %s %s", role.Name, action, key)
			}
			require.True(t, may(action, map[string][]string{requestKeys: {"team"}}), "%s %s of other tags", role.Name, action)
		}
		if !strings.HasSuffix(role.Name, "-task-role") {
			require.Equal(t, processor, may("s3:ReplicateTags", nil), role.Name)
		}
	}
}

// In the local run as well, whoever may read all reads what is processed, and no longer what then failed.
func TestWhoReadsInQuarantine(t *testing.T) {
	t.Parallel()
	system := given(t, stacks(t)[tagged].system, "s3:*", "kms:*")
	r, err := begin(t, system, nil)
	require.NoError(t, err)
	defer closing.Go(func() { _ = r.Close() })
	bucket, _ := system.Outputs["bucketName"].(string)
	reader := ""
	for _, role := range system.OfType(declared.TypeRole) {
		if strings.HasSuffix(role.Name, "-workflow-role") {
			reader = role.ARN()
		}
	}
	read := func(key string) error {
		_, err := r.ObjectsAs(reader).GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
		return err
	}
	for key, size := range map[string]int{"small": 5, "large": 50} {
		require.NoError(t, uploads(key, size)(t.Context(), r, nil, t.TempDir()))
		require.NoError(t, read(key))
	}
	_, err = r.ObjectsAs(reader).PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: &bucket, Key: aws.String("mine"), Body: strings.NewReader("x"), Tagging: aws.String("Upload-Router-Status=succeeded"),
	})
	require.ErrorContains(t, err, "DenyStatusOfOthers")
	require.NoError(t, anotherSize(t.Context(), r, nil, t.TempDir()))
	require.ErrorContains(t, read("resized"), "DenyUnprocessed")
}

// endpointOf is the endpoint of S3 by which the task comes.
func endpointOf(t *testing.T, system *declared.System, role declared.Resource) string {
	t.Helper()
	if !strings.HasSuffix(role.Name, "-task-role") {
		return ""
	}
	policies, err := authz.Load(system)
	require.NoError(t, err)
	return policies.Endpoint("s3")
}

// What a processor may say of a version is how its processing went.
func TestAProcessorSaysNothingElseByItsTags(t *testing.T) {
	t.Parallel()
	system, l := stacks(t)[tagged].system, stacks(t)[tagged].taken(t)
	policies, err := authz.Load(system)
	require.NoError(t, err)
	said := map[string]bool{}
	for _, d := range l.decisions {
		if !d.Allowed || d.Request.Action != "s3:PutObjectVersionTagging" {
			continue
		}
		said[d.Request.Principal.Role+" "+d.Request.Context[requestStatus][0]] = true
		for _, value := range [][]string{{"clean"}, {""}, nil} {
			r := d.Request
			r.Context = maps.Clone(r.Context)
			r.Context[requestStatus] = value
			require.ErrorContains(t, policies.Authorize(r).Err(), "but for its condition StringEquals "+requestStatus)
		}
	}
	require.Len(t, said, 3, "both what succeeded, and the task what failed: %v", said)
}
