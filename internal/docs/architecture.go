package docs

import (
	"fmt"
	"slices"
	"strings"

	"example.com/upload-router/internal/declared"
)

// shape is how a type of resource is drawn.
type shape struct {
	label       string
	left, right string
}

// shapes are the types that the diagram shows; what lies between two of them is
// a single arrow.
var shapes = map[string]shape{
	"aws:s3/bucketV2:BucketV2":               {"S3 bucket", "[(", ")]"},
	"aws:cloudwatch/eventRule:EventRule":     {"EventBridge rule", "{{", "}}"},
	"aws:sqs/queue:Queue":                    {"SQS dead-letter queue", "[[", "]]"},
	typeMachine:                              {"Step Functions state machine", "([", "])"},
	"aws:lambda/function:Function":           {"Lambda function", "[", "]"},
	"aws:ecs/taskDefinition:TaskDefinition":  {"ECS Fargate task", "[", "]"},
	"docker:index/image:Image":               {"Container image in ECR", "[", "]"},
	"aws:ec2/securityGroup:SecurityGroup":    {"Security group in two subnets", "[", "]"},
	"aws:sns/topic:Topic":                    {"SNS topic", "[[", "]]"},
	"aws:cloudwatch/metricAlarm:MetricAlarm": {"CloudWatch alarm", "[/", "/]"},
	"aws:cloudwatch/logGroup:LogGroup":       {"Log group", "[", "]"},
	"aws:kms/key:Key":                        {"KMS key", "[", "]"},
}

// arrow is a reference between two types, told as what happens.
type arrow struct {
	// from needs to, directly or through types that aren't shown.
	from, to string
	label    string
	// reversed is for what flows against the reference.
	reversed bool
}

var arrows = []arrow{
	{"aws:cloudwatch/eventRule:EventRule", "aws:s3/bucketV2:BucketV2", "Object Created", true},
	{"aws:cloudwatch/eventTarget:EventTarget", typeMachine, "starts", false},
	{"aws:cloudwatch/eventTarget:EventTarget", "aws:sqs/queue:Queue", "what can't be delivered", false},
	{typeMachine, "aws:lambda/function:Function", "small files", false},
	{typeMachine, "aws:ecs/taskDefinition:TaskDefinition", "large files", false},
	{typeMachine, "aws:sns/topic:Topic", "processed, failed", false},
	{"aws:ecs/taskDefinition:TaskDefinition", "docker:index/image:Image", "runs", false},
	{"aws:ecs/taskDefinition:TaskDefinition", "aws:cloudwatch/logGroup:LogGroup", "logs", false},
	{"aws:lambda/function:Function", "aws:cloudwatch/logGroup:LogGroup", "logs", false},
	{"aws:cloudwatch/logGroup:LogGroup", "aws:kms/key:Key", "encrypted with", false},
	{typeMachine, "aws:ec2/securityGroup:SecurityGroup", "places tasks in", false},
	{"aws:cloudwatch/metricAlarm:MetricAlarm", "aws:sns/topic:Topic", "alarm", false},
	{"aws:cloudwatch/metricAlarm:MetricAlarm", typeMachine, "watches", false},
	{"aws:cloudwatch/metricAlarm:MetricAlarm", "aws:sqs/queue:Queue", "watches", false},
}

// architecture draws what is declared, as a Mermaid flow chart: the arrows are
// the references between the resources' inputs.
func architecture(system *declared.System) string {
	g := graph{byURN: map[string]declared.Resource{}}
	for _, r := range system.Resources {
		g.byURN[r.URN] = r
	}
	var out strings.Builder
	out.WriteString("flowchart LR\n")
	for _, r := range system.Resources {
		if s, ok := shapes[r.Type]; ok && r.Type != "aws:cloudwatch/metricAlarm:MetricAlarm" {
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

// draw gives the arrow between two resources, if one is told.
func (g graph) draw(from, to declared.Resource) []string {
	i := slices.IndexFunc(arrows, func(a arrow) bool { return a.from == from.Type && a.to == to.Type })
	if i < 0 {
		return nil
	}
	a, b := g.id(from), g.id(to)
	if from.Type == "aws:cloudwatch/eventTarget:EventTarget" { // a part of its rule
		a = g.ruleOf(from)
	}
	if arrows[i].reversed {
		a, b = b, a
	}
	return []string{fmt.Sprintf("  %s -->|%s| %s\n", a, arrows[i].label, b)}
}

func (g graph) ruleOf(target declared.Resource) string {
	for _, urn := range target.PropertyDependencies["rule"] {
		if r := g.byURN[urn]; r.Type == "aws:cloudwatch/eventRule:EventRule" {
			return g.id(r)
		}
	}
	return g.id(target)
}

// id is a resource's name in the diagram. The alarms are one: they differ in
// what they count only.
func (g graph) id(r declared.Resource) string {
	if r.Type == "aws:cloudwatch/metricAlarm:MetricAlarm" {
		return "alarms"
	}
	return strings.ReplaceAll(strings.TrimPrefix(r.Name, "upload-router-"+stackName+"-"), "-", "_")
}

func label(r declared.Resource, s shape) string {
	if r.Type == "aws:cloudwatch/logGroup:LogGroup" {
		return s.label + " of the " + r.Name[strings.LastIndex(r.Name, "-")+1:]
	}
	return s.label
}
