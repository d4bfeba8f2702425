package docs

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"example.com/upload-router/internal/declared"
)

// shape is how a type of resource is drawn.
type shape struct {
	label       string
	left, right string
}

// shapes are the types that the diagram shows; what lies between two of them is a single arrow.
var shapes = map[string]shape{
	declared.TypeBucket:         {"S3 bucket", "[(", ")]"},
	declared.TypeEventRule:      {"EventBridge rule", "{{", "}}"},
	declared.TypeQueue:          {"SQS dead-letter queue", "[[", "]]"},
	declared.TypeStateMachine:   {"Step Functions state machine", "([", "])"},
	declared.TypeFunction:       {"Lambda function", "[", "]"},
	declared.TypeTaskDefinition: {"ECS Fargate task", "[", "]"},
	declared.TypeTopic:          {"SNS topic", "[[", "]]"},
	declared.TypeAlarm:          {"CloudWatch alarm", "[/", "/]"},
	declared.TypeTable:          {"DynamoDB table: the ledger", "[(", ")]"},
}

// arrow is a reference between two types, labelled with what happens.
type arrow struct {
	// from needs to, directly or through types that aren't shown.
	from, to string
	label    string
	// reversed is for what flows against the reference.
	reversed bool
}

// watches is said of an alarm's arrows, writes of those to the ledger, and undelivered and stores of what a rule sends to a queue.
const (
	watches     = "watches"
	writes      = "writes items"
	undelivered = "what can't be delivered"
	stores      = "stores"
)

var arrows = []arrow{
	{declared.TypeEventRule, declared.TypeBucket, "Object Created", true},
	{declared.TypeEventTarget, declared.TypeStateMachine, "starts", false},
	{declared.TypeEventRule, declared.TypeStateMachine, "timed out, aborted", true},
	{declared.TypeEventTarget, declared.TypeTopic, "failed", false},
	{declared.TypeEventTarget, declared.TypeQueue, undelivered, false},
	{declared.TypeStateMachine, declared.TypeFunction, "small files", false},
	{declared.TypeStateMachine, declared.TypeTaskDefinition, "large files", false},
	{declared.TypeStateMachine, declared.TypeTopic, "processed, failed", false},
	{declared.TypeTaskDefinition, declared.TypeTable, writes, false},
	{declared.TypeFunction, declared.TypeTable, writes, false},
	{declared.TypeStateMachine, declared.TypeTable, writes, false},
	{declared.TypeEventTarget, declared.TypeFunction, "invokes", false},
	{declared.TypeAlarm, declared.TypeTopic, "alarm", false},
	{declared.TypeAlarm, declared.TypeStateMachine, watches, false},
	{declared.TypeAlarm, declared.TypeQueue, watches, false},
	{declared.TypeAlarm, declared.TypeEventRule, watches, false},
	{declared.TypeAlarm, declared.TypeFunction, watches, false},
}

// architecture draws what is declared, as a Mermaid flow chart: the arrows are the references between the resources' inputs.
func architecture(system *declared.System) string {
	g := graph{byURN: map[string]declared.Resource{}}
	for _, r := range system.Resources {
		g.byURN[r.URN] = r
	}
	var out strings.Builder
	out.WriteString("flowchart LR\n")
	for _, r := range system.Resources {
		if s, ok := shapes[r.Type]; ok && r.Type != declared.TypeAlarm {
			fmt.Fprintf(&out, "  %s%s\"%s\"%s\n", g.id(r), s.left, label(r, s), s.right)
		}
	}
	out.WriteString("  alarms[/\"CloudWatch alarms\"/]\n")
	var lines []string
	for _, r := range system.Resources {
		for _, urn := range g.references(r) {
			lines = append(lines, g.draw(r, g.byURN[urn])...)
		}
	}
	slices.Sort(lines)
	for _, l := range slices.Compact(lines) {
		out.WriteString(l)
	}
	return out.String()
}

// overview is the diagram for who sees it for the first time: without what watches nearly all the rest, and without backfills, which do
// what the router does.
func overview(drawn string) string {
	left := regexp.MustCompile(`^  alarms|\b(backfill|statuschange_batch)_`)
	var out strings.Builder
	for line := range strings.Lines(drawn) {
		if !left.MatchString(line) {
			out.WriteString(line)
		}
	}
	return out.String()
}

type graph struct{ byURN map[string]declared.Resource }

// references are the resources that a resource's inputs come from.
func (g graph) references(r declared.Resource) []string {
	var urns []string
	for _, property := range r.PropertyDependencies {
		urns = append(urns, property...)
	}
	slices.Sort(urns)
	return slices.Compact(urns)
}

// draw gives the arrow between two resources, if one is drawn.
func (g graph) draw(from, to declared.Resource) []string {
	i := slices.IndexFunc(arrows, func(a arrow) bool { return a.from == from.Type && a.to == to.Type })
	if i < 0 {
		return nil
	}
	a, b, what := g.id(from), g.id(to), arrows[i].label
	if what == undelivered && slices.Contains(from.PropertyDependencies["arn"], to.URN) {
		what = stores // it is the target
	}
	if from.Type == declared.TypeEventTarget { // a part of its rule
		a = g.ruleOf(from)
	}
	if arrows[i].reversed {
		a, b = b, a
	}
	return []string{fmt.Sprintf("  %s -->|%s| %s\n", a, what, b)}
}

func (g graph) ruleOf(target declared.Resource) string {
	for _, urn := range target.PropertyDependencies["rule"] {
		if r := g.byURN[urn]; r.Type == declared.TypeEventRule {
			return g.id(r)
		}
	}
	return g.id(target)
}

// id is a resource's name in the diagram. The alarms are one: they differ in what they count only.
func (g graph) id(r declared.Resource) string {
	if r.Type == declared.TypeAlarm {
		return "alarms"
	}
	return strings.ReplaceAll(strings.TrimPrefix(r.Name, "upload-router-"+stackName+"-"), "-", "_")
}

func label(r declared.Resource, s shape) string {
	if r.Type == declared.TypeFunction && strings.HasSuffix(r.Name, "-sweep") {
		return s.label + ": the sweep"
	}
	if r.Type == declared.TypeStateMachine && strings.HasSuffix(r.Name, "-backfill-machine") {
		return s.label + ": backfills"
	}
	if r.Type == declared.TypeBucket && strings.HasSuffix(r.Name, "-backfill-bucket") {
		return s.label + ": lists and results of backfills"
	}
	if r.Type == declared.TypeQueue && strings.HasSuffix(r.Name, "-paused") {
		return "SQS queue: paused uploads"
	}
	return s.label
}
