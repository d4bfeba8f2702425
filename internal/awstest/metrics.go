package awstest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/upload-router/internal/routemetric"
)

// metricAsked is what one query of GetMetricData asks for.
type metricAsked struct {
	id, namespace, name, stat string
	dimensions                map[string]string
	period                    time.Duration
}

// metricQueries reads the queries of a request.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
func metricQueries(form url.Values) []metricAsked {
	var all []metricAsked
	for i := 1; ; i++ {
		prefix := fmt.Sprintf("MetricDataQueries.member.%d.", i)
		if !form.Has(prefix + "Id") {
			return all
		}
		seconds, _ := strconv.Atoi(form.Get(prefix + "MetricStat.Period"))
		q := metricAsked{
			id: form.Get(prefix + "Id"), namespace: form.Get(prefix + "MetricStat.Metric.Namespace"),
			name: form.Get(prefix + "MetricStat.Metric.MetricName"), stat: form.Get(prefix + "MetricStat.Stat"),
			period: time.Duration(seconds) * time.Second, dimensions: map[string]string{},
		}
		for j := 1; form.Has(fmt.Sprintf("%sMetricStat.Metric.Dimensions.member.%d.Name", prefix, j)); j++ {
			dimension := fmt.Sprintf("%sMetricStat.Metric.Dimensions.member.%d.", prefix, j)
			q.dimensions[form.Get(dimension+"Name")] = form.Get(dimension + "Value")
		}
		all = append(all, q)
	}
}

// metricData answers GetMetricData of the metrics that the workers' lines have, as CloudWatch makes them of the embedded metric format.
func (s *Server) metricData(form url.Values) string {
	from, errFrom := time.Parse(time.RFC3339, form.Get("StartTime"))
	to, errTo := time.Parse(time.RFC3339, form.Get("EndTime"))
	if err := cmp.Or(errFrom, errTo); err != nil {
		s.tb.Errorf("reading the times of a request for metrics: %v", err)
	}
	var lines []metricLine
	for _, output := range []string{"functionLogGroup", "taskLogGroup"} {
		group, _ := s.system.Outputs[output].(string)
		for _, line := range s.linesOf(group) {
			lines = append(lines, metricLinesOf(line.Message)...)
		}
	}
	var results strings.Builder
	for _, q := range metricQueries(form) {
		if q.period <= 0 || q.period%time.Minute != 0 || q.stat != "Sum" && q.stat != "SampleCount" {
			s.tb.Errorf("awstest doesn't know the statistic %s of %s", q.stat, q.period)
			continue
		}
		bins := q.bins(lines, from, to)
		var times, values strings.Builder
		for _, at := range slices.SortedFunc(maps.Keys(bins), func(a, b time.Time) int { return b.Compare(a) }) { // the newest first
			fmt.Fprintf(&times, "<member>%s</member>", at.UTC().Format(time.RFC3339))
			fmt.Fprintf(&values, "<member>%g</member>", bins[at])
		}
		fmt.Fprintf(&results, "<member><Id>%s</Id><Label>%s</Label><StatusCode>Complete</StatusCode><Timestamps>%s</Timestamps>"+
			"<Values>%s</Values></member>", html.EscapeString(q.id), html.EscapeString(q.name), times.String(), values.String())
	}
	return "<GetMetricDataResponse><GetMetricDataResult><MetricDataResults>" + results.String() +
		"</MetricDataResults></GetMetricDataResult></GetMetricDataResponse>"
}

// bins are the values of a query by the beginnings of its periods.
func (q metricAsked) bins(lines []metricLine, from, to time.Time) map[time.Time]float64 {
	bins := map[time.Time]float64{}
	for _, line := range lines {
		at := line.at.Truncate(q.period)
		value, there := line.values[q.name]
		if !there || line.namespace != q.namespace || !maps.Equal(line.dimensions, q.dimensions) || at.Before(from) || !at.Before(to) {
			continue
		}
		if q.stat == "SampleCount" {
			value = 1
		}
		bins[at] += value
	}
	return bins
}

// metricLine is what a line says of metrics with one set of dimensions.
type metricLine struct {
	at         time.Time
	namespace  string
	dimensions map[string]string
	values     map[string]float64
}

// metricLinesOf are the metrics of a line; none if it isn't of that format.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
func metricLinesOf(message string) []metricLine {
	var fields map[string]any
	var embedded struct {
		Metadata routemetric.Metadata `json:"_aws"` //nolint:tagliatelle // As the specification has it.
	}
	if json.Unmarshal([]byte(message), &fields) != nil || json.Unmarshal([]byte(message), &embedded) != nil {
		return nil
	}
	var all []metricLine
	for _, directive := range embedded.Metadata.CloudWatchMetrics {
		for _, names := range directive.Dimensions {
			line := metricLine{
				at: time.UnixMilli(embedded.Metadata.Timestamp).UTC(), namespace: directive.Namespace,
				dimensions: map[string]string{}, values: map[string]float64{},
			}
			for _, name := range names {
				line.dimensions[name], _ = fields[name].(string)
			}
			for _, metric := range directive.Metrics {
				if value, is := fields[metric.Name].(float64); is {
					line.values[metric.Name] = value
				}
			}
			all = append(all, line)
		}
	}
	return all
}

// measured is the line that the worker writes at the end of a script's run.
func (c *scripted) measured(at time.Time, outcome, request string) string {
	line := map[string]any{
		"message": "object processed", "requestId": request, "key": c.object.Key, "version": c.object.VersionID, "outcome": outcome,
		routemetric.DimensionStateMachine: routemetric.StateMachine(Machine), routemetric.DimensionRoute: c.route.Name,
		routemetric.Size: c.object.Size, routemetric.Duration: scriptedRun.Milliseconds(),
	}
	switch {
	case c.status() == "SUCCEEDED":
		line[routemetric.FieldMetadata] = routemetric.Of(at, routemetric.Duration, routemetric.Size)
	case c.Error != "":
		line[routemetric.Failed] = 1
		line[routemetric.FieldMetadata] = routemetric.Of(at, routemetric.Failed)
	}
	text, err := json.Marshal(line)
	if err != nil {
		panic(err) // it is a map of texts and numbers
	}
	return string(text)
}

// scriptedRun is how long the worker of a script says that it ran.
const scriptedRun = 2 * time.Second
