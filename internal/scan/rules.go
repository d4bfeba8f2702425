package scan

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/authz"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/partition"
)

// rule is a rule that no checker has. It gives the resources that break it, by their names, with what is wrong.
type rule struct {
	id    string
	check func(facts) map[string]string
}

// facts are what the rules go by.
type facts struct {
	system *declared.System
	grants []authz.Grant
}

// rules are the own rules. Each has a fault in the tests that it must find.
var rules = []rule{
	{"alarm-without-action", each(declared.TypeAlarm, "it goes off and notifies nobody", func(r declared.Resource) bool {
		actions, _ := r.Inputs["alarmActions"].([]any)
		return len(actions) == 0 || r.Inputs["actionsEnabled"] == false
	})},
	{"alarm-without-missing-data", each(declared.TypeAlarm, "it doesn't say what no data means", without("treatMissingData"))},
	{"dlq-without-policy", lettersArrive},
	{"target-without-dlq", eventsAreKept},
	{"pass-role-without-service", passesToOneService},
	{"log-group-without-retention", each(declared.TypeLogGroup, "its events are kept, and paid for, for ever", func(r declared.Resource) bool {
		return r.Number("retentionInDays") == 0
	})},
	{"log-group-without-key", each(declared.TypeLogGroup, "it has no customer managed key", without("kmsKeyId"))},
	{"task-without-timeout", tasksEnd},
	{"action-any", actionsAreNamed},
	{"resource-any", resourcesAreNamed},
	{"service-without-source", servicesActForUs},
	{"public-image-tag", each(declared.TypeTaskDefinition, "the image's tag can be moved to another image", func(r declared.Resource) bool {
		return strings.Contains(r.Text("containerDefinitions"), `:latest"`)
	})},
	{"task-without-catch", tasksAreCaught},
	{"dlq-without-alarm", lettersAreSeen},
	{"function-without-log-group", functionsLogWhereDeclared},
	{"container-with-permissions", containersAreBare},
	// The policy that an endpoint has by itself lets everything through.
	// https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html
	{"endpoint-without-policy", each(declared.TypeVPCEndpoint,
		"anything in the network may reach anything of the service by it, in any account", without("policy"))},
	{"table-without-recovery", each(declared.TypeTable, "what is deleted by mistake is gone", func(r declared.Resource) bool {
		return r.Object("pointInTimeRecovery")["enabled"] != true
	})},
	{"table-without-expiry", each(declared.TypeTable, "its items are kept, and paid for, for ever", func(r declared.Resource) bool {
		return r.Object("ttl")["enabled"] != true
	})},
}

// Violations are what the own rules find; each is of high severity.
func Violations(system *declared.System) ([]Finding, error) {
	policies, err := authz.Load(system)
	if err != nil {
		return nil, fmt.Errorf("reading the policies: %w", err)
	}
	of := facts{system, policies.Grants()}
	var out []Finding
	for _, r := range rules {
		broken := r.check(of)
		for _, name := range slices.Sorted(maps.Keys(broken)) {
			out = append(out, Finding{"rules", r.id, "HIGH", name, broken[name]})
		}
	}
	return out, nil
}

// where gives the resources of a type that something is wrong with.
func (f facts) where(typ string, wrong func(declared.Resource) string) map[string]string {
	out := map[string]string{}
	for _, r := range f.system.OfType(typ) {
		if message := wrong(r); message != "" {
			out[r.Name] = message
		}
	}
	return out
}

// each is the check of the resources of a type, with what is said of a broken one.
func each(typ, message string, broken func(declared.Resource) bool) func(facts) map[string]string {
	return func(f facts) map[string]string {
		return f.where(typ, func(r declared.Resource) string {
			if broken(r) {
				return message
			}
			return ""
		})
	}
}

// without says whether a resource lacks an input.
func without(input string) func(declared.Resource) bool {
	return func(r declared.Resource) bool { return r.Text(input) == "" }
}

// granted gives the policies with a grant that something is wrong with.
func (f facts) granted(wrong func(authz.Grant) string) map[string]string {
	out := map[string]string{}
	for _, g := range f.grants {
		if message := wrong(g); message != "" {
			out[g.Policy] = g.Statement + ": " + message
		}
	}
	return out
}

func deadLetterQueueOf(r declared.Resource) string {
	arn, _ := r.Object("deadLetterConfig")["arn"].(string)
	return arn
}

// eventsAreKept is about what happened: the time that a schedule tells comes again.
func eventsAreKept(f facts) map[string]string {
	return f.where(declared.TypeEventTarget, func(r declared.Resource) string {
		rule, err := f.system.Where(declared.TypeEventRule, "name", r.Inputs["rule"])
		if deadLetterQueueOf(r) != "" || err == nil && rule.Text("scheduleExpression") != "" {
			return ""
		}
		return "an event that can't be delivered is lost"
	})
}

func lettersArrive(f facts) map[string]string {
	return f.where(declared.TypeEventTarget, func(r declared.Resource) string {
		queue := deadLetterQueueOf(r)
		if queue == "" || slices.ContainsFunc(f.grants, func(g authz.Grant) bool {
			return g.Owner == queue && g.Principal == "events.amazonaws.com" && g.Action == "sqs:SendMessage"
		}) {
			return ""
		}
		return "its dead-letter queue has no policy for EventBridge, which drops events then and says nothing"
	})
}

func passesToOneService(f facts) map[string]string {
	return f.granted(func(g authz.Grant) string {
		if g.Action == "iam:PassRole" && !slices.ContainsFunc(g.Conditions, func(c authz.Condition) bool {
			return c.Key == "iam:PassedToService"
		}) {
			return "iam:PassRole without iam:PassedToService gives the role to any service"
		}
		return ""
	})
}

var errStates = errors.New("the rules don't know this kind of state")

func tasksEnd(f facts) map[string]string {
	return f.machines(func(machine *asl.Machine) string {
		if machine.TimeoutSeconds == 0 {
			return "an execution may take for ever"
		}
		return ""
	}, func(name string, state *asl.Task) string {
		if state.TimeoutSeconds == 0 && state.TimeoutSecondsPath == "" {
			return fmt.Sprintf("the task %q may take 99,999,999 seconds", name)
		}
		return ""
	})
}

// tasksAreCaught keeps a task from ending the execution without a notice.
func tasksAreCaught(f facts) map[string]string {
	return f.machines(nil, func(name string, state *asl.Task) string {
		if slices.ContainsFunc(state.Catch, func(c asl.Catcher) bool { return slices.Contains(c.ErrorEquals, asl.ErrorAll) }) {
			return ""
		}
		return fmt.Sprintf("the failure of the task %q is announced by nothing", name)
	})
}

// machines gives the state machines that something is wrong with, or with a task of theirs.
func (f facts) machines(wrong func(*asl.Machine) string, wrongTask func(name string, state *asl.Task) string) map[string]string {
	return f.where(declared.TypeStateMachine, func(r declared.Resource) string {
		machine, err := asl.Parse([]byte(r.Text("definition")))
		if err != nil {
			return err.Error()
		}
		if wrong != nil {
			if message := wrong(machine); message != "" {
				return message
			}
		}
		return tasks(machine.States, wrongTask)
	})
}

// tasks says what is wrong with a task of these states, and of those of a Map among them. A Map that isn't caught ends the execution so
// that it can be redriven, and a rule of status changes announces it.
func tasks(states map[string]asl.State, wrong func(name string, state *asl.Task) string) string {
	for _, name := range slices.Sorted(maps.Keys(states)) {
		message := ""
		switch state := states[name].(type) {
		case *asl.Task:
			message = wrong(name, state)
		case *asl.Map:
			message = tasks(state.ItemProcessor.States, wrong)
		case *asl.Pass, *asl.Choice, *asl.Wait, *asl.Succeed, *asl.Fail:
		default:
			message = fmt.Sprintf("%v: %s", errStates, name)
		}
		if message != "" {
			return message
		}
	}
	return ""
}

// lettersAreSeen keeps a dead-letter queue from filling up unseen.
func lettersAreSeen(f facts) map[string]string {
	out := map[string]string{}
	for _, target := range f.system.OfType(declared.TypeEventTarget) {
		queue, err := f.system.Where(declared.TypeQueue, "arn", deadLetterQueueOf(target))
		if err != nil {
			continue // it has none, or another stack's
		}
		if !slices.ContainsFunc(f.system.OfType(declared.TypeAlarm), func(alarm declared.Resource) bool {
			return alarm.Object("dimensions")["QueueName"] == queue.Outputs["name"]
		}) {
			out[queue.Name] = "no alarm says that there is something in it"
		}
	}
	return out
}

// functionsLogWhereDeclared keeps Lambda from making a log group itself, which never expires and has no key.
func functionsLogWhereDeclared(f facts) map[string]string {
	return f.where(declared.TypeFunction, func(r declared.Resource) string {
		group, _ := r.Object("loggingConfig")["logGroup"].(string)
		if _, err := f.system.Where(declared.TypeLogGroup, "name", group); err != nil {
			return "it logs to a group that isn't declared"
		}
		return ""
	})
}

// containersAreBare is what ECS's defaults are not: root, with a file system to write to and Docker's capabilities.
func containersAreBare(f facts) map[string]string {
	return f.where(declared.TypeTaskDefinition, func(r declared.Resource) string {
		var containers []struct {
			Name                   string
			User                   string
			ReadonlyRootFilesystem bool
			Privileged             bool
			LinuxParameters        struct{ Capabilities struct{ Drop []string } }
		}
		if err := json.Unmarshal([]byte(r.Text("containerDefinitions")), &containers); err != nil {
			return "reading its containers: " + err.Error()
		}
		for _, c := range containers {
			user, _, _ := strings.Cut(c.User, ":")
			switch {
			case user == "" || user == "0" || user == "root":
				return c.Name + " runs as root"
			case !c.ReadonlyRootFilesystem:
				return c.Name + " may write to its root file system"
			case c.Privileged || !slices.Contains(c.LinuxParameters.Capabilities.Drop, "ALL"):
				return c.Name + " keeps capabilities"
			}
		}
		return ""
	})
}

func actionsAreNamed(f facts) map[string]string {
	return f.granted(func(g authz.Grant) string {
		_, required := authz.RequirementOf(g)
		_, name, _ := strings.Cut(g.Action, ":")
		if required || g.Action != "*" && name != "*" && !strings.HasPrefix(g.Action, "all but ") {
			return ""
		}
		return "Action " + g.Action
	})
}

// unnameable are actions on what can't be named: they know no resources.
// https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
var unnameable = []string{
	"ecr:GetAuthorizationToken",
	"logs:CreateLogDelivery", "logs:CreateLogStream", "logs:GetLogDelivery", "logs:UpdateLogDelivery", "logs:DeleteLogDelivery",
	"logs:ListLogDeliveries", "logs:PutLogEvents", "logs:PutResourcePolicy", "logs:DescribeResourcePolicies", "logs:DescribeLogGroups",
	"xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets",
}

// resourcesAreNamed is about the policies of roles: a resource's own is about it.
func resourcesAreNamed(f facts) map[string]string {
	return f.granted(func(g authz.Grant) string {
		if g.Resource != "*" || g.Principal != "" || slices.Contains(unnameable, g.Action) {
			return ""
		}
		return g.Action + " on any resource"
	})
}

// servicesActForUs keeps a service from being used by another account. But what EventBridge publishes to a topic doesn't say by
// which rule or account, so that a condition would keep all of it out.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sns-permissions
func servicesActForUs(f facts) map[string]string {
	return f.granted(func(g authz.Grant) string {
		if g.Principal == "events.amazonaws.com" && g.Action == "sns:Publish" {
			return ""
		}
		if !partition.IsServicePrincipal(g.Principal) || slices.ContainsFunc(g.Conditions, func(c authz.Condition) bool {
			return c.Key == "aws:SourceAccount" || c.Key == "aws:SourceArn" || strings.HasPrefix(c.Key, "kms:EncryptionContext:")
		}) {
			return ""
		}
		return g.Principal + " may do this for any account"
	})
}
