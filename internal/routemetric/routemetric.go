// Package routemetric has the metrics of a route. The processor's line about the end of a run has them in CloudWatch's embedded metric
// format; alarms and the dashboard read them. AWS itself has none by route: Step Functions counts by state machine and by integration, the
// latter of the whole account, Lambda by function, and ECS doesn't count tasks.
//
// https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
package routemetric

import (
	"encoding/json"
	"strings"
	"time"
)

// Namespace is the namespace of the metrics.
const Namespace = "upload-router"

// The dimensions, in order. Each is a field of the line, which has its value. With the two of them a route of a stack has a metric of its
// own, which is what CloudWatch charges for; a third dimension would multiply that.
const (
	DimensionStateMachine = "stateMachine"
	DimensionRoute        = "route"
)

// The metrics. Each is a field of the line, which has its value. A run whose upload another execution has counts for none.
const (
	// Duration is how long a run took that processed its file, in milliseconds: it has as many samples as there were files. A task's start
	// isn't in it.
	Duration = "durationMs"
	// Size is how many bytes that file had.
	Size = "size"
	// Failed is 1 for a run that failed for good: no other attempt is made.
	Failed = "failed"
	// Retried is 1 for a run that failed and asked for another attempt.
	Retried = "retried"
)

// Statistics of [Duration] and [Size].
const (
	// Processed is the statistic of [Duration] that counts the files.
	Processed = "SampleCount"
	// Slowest is the one that is near the largest, but for one in a hundred.
	Slowest = "p99"
)

// FieldMetadata is the field of a line by which CloudWatch knows the format, and whose value is [Metadata].
const FieldMetadata = "_aws"

// Metadata says which fields of a line are metrics, in the form of the specification, whose names its fields and those below have.
//
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
type Metadata struct {
	// Timestamp is in milliseconds since 1970.
	Timestamp         int64
	CloudWatchMetrics []Directive
}

// Directive names metrics, and the fields that are their dimensions.
type Directive struct {
	Namespace  string
	Dimensions [][]string
	Metrics    []Metric
}

// Metric is a metric and its unit.
type Metric struct {
	Name string
	Unit string
}

// units are those of the metrics.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html
var units = map[string]string{Duration: "Milliseconds", Size: "Bytes", Failed: "Count", Retried: "Count"}

// dimensions are those of all metrics.
var dimensions = [][]string{{DimensionStateMachine, DimensionRoute}}

// Of is the metadata of a line whose fields of these names are metrics, at a time.
func Of(at time.Time, names ...string) Metadata {
	metrics := make([]Metric, len(names))
	for i, name := range names {
		metrics[i] = Metric{Name: name, Unit: units[name]}
	}
	return Metadata{
		Timestamp:         at.UnixMilli(),
		CloudWatchMetrics: []Directive{{Namespace: Namespace, Dimensions: dimensions, Metrics: metrics}},
	}
}

// StateMachine is the name of the state machine whose ARN this is, or of which it is an execution: the value of [DimensionStateMachine].
// It is empty for any other text.
//
// https://docs.aws.amazon.com/step-functions/latest/dg/use-dist-map-orchestrate-large-scale-parallel-workloads.html
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsstepfunctions.html
func StateMachine(arn string) string {
	const parts, service, kind, name = 7, 2, 5, 6
	fields := strings.Split(arn, ":")
	if len(fields) < parts || fields[0] != "arn" || fields[service] != "states" {
		return ""
	}
	switch fields[kind] {
	case "stateMachine", "execution", "express":
		machine, _, _ := strings.Cut(fields[name], "/") // behind which a Distributed Map has its label in the ARNs of its children
		return machine
	}
	return ""
}

// Without is a line without its metadata, which is for CloudWatch and not for people.
func Without(line string) string {
	const before = `,"` + FieldMetadata + `":`
	at := strings.LastIndex(line, before) // it comes last, and a quote in a value has a backslash before it
	if at < 0 {
		return line
	}
	decoder := json.NewDecoder(strings.NewReader(line[at+len(before):]))
	var value Metadata
	if err := decoder.Decode(&value); err != nil {
		return line
	}
	return line[:at] + line[at+len(before)+int(decoder.InputOffset()):]
}
