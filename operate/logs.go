package operate

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logstypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/partition"
)

// LogLine is a line that a processor wrote.
type LogLine struct {
	// Time is when it was written.
	Time time.Time `json:"time"`
	// Group and Stream are where it is in CloudWatch Logs.
	Group  string `json:"group"`
	Stream string `json:"stream"`
	// Message is the line.
	Message string `json:"message"`

	id string
}

// LogStream is a place in CloudWatch Logs.
type LogStream struct {
	// Group and Stream are its names. Stream is empty if it isn't known, as for a function that has logged nothing yet.
	Group  string `json:"group"`
	Stream string `json:"stream,omitempty"`
	// Console is its page in AWS's console; empty where there is none in public.
	Console string `json:"console"`
}

// LogOptions choose log lines.
type LogOptions struct {
	// Execution is an execution's ARN or name, or Key is an object's key: one of them.
	Execution string
	Key       string
	// Since leaves out older lines; with Key only. Default: a day.
	Since time.Time
	// Follow goes on until the execution has ended, or, with Key, until the context ends.
	Follow bool
	// OnLine gets each line, in order. Required.
	OnLine func(LogLine)
}

const (
	// streamPrefix is what the names of the task's log streams begin with: the
	// prefix that components/task sets, and its container.
	streamPrefix = "containerlog/processor/"
	// logMargin is how far the clocks of AWS's services may be apart, and how late a line may come.
	logMargin = 2 * time.Minute
	// settleTime is for how long lines still come after an execution's end.
	settleTime = 5 * time.Second
)

// Logs gives the processor's log lines of an execution or of a key.
func (s *System) Logs(ctx context.Context, options LogOptions) error {
	since := options.Since
	if since.IsZero() {
		since = time.Now().Add(-24 * time.Hour)
	}
	seen := map[string]bool{}
	var ended time.Time
	for {
		lines, over, err := s.someLogs(ctx, options, since)
		if err != nil {
			return err
		}
		for _, line := range lines {
			if !seen[line.id] {
				seen[line.id] = true
				options.OnLine(line)
			}
		}
		if over && ended.IsZero() {
			ended = time.Now()
		}
		if !options.Follow || over && time.Since(ended) > settleTime {
			return nil
		}
		if err := sleep(ctx, 2*s.Poll); err != nil {
			return err
		}
	}
}

// someLogs gives the lines there are by now, and whether no more will come.
func (s *System) someLogs(ctx context.Context, options LogOptions, since time.Time) (lines []LogLine, over bool, err error) {
	if options.Execution == "" {
		lines, err = s.find(ctx, fieldPattern("key", options.Key), since, time.Time{}, func(f logFields) bool { return f.Key == options.Key })
		return lines, false, err
	}
	timeline, err := s.Show(ctx, options.Execution)
	if err != nil {
		return nil, false, err
	}
	if timeline.LogsError != "" {
		return nil, false, fmt.Errorf("%w: %s", ErrRefused, timeline.LogsError)
	}
	return timeline.Logs, timeline.Ended(), nil
}

// executionLogs are the lines of one execution: those that name its object, and the others of the same invocation or task.
func (s *System) executionLogs(ctx context.Context, e Execution, tasks []string) ([]LogLine, error) {
	if e.Key == "" {
		return nil, nil
	}
	from, to := e.Started.Add(-logMargin), time.Time{}
	if !e.Stopped.IsZero() {
		to = e.Stopped.Add(logMargin)
	}
	pattern := fieldPattern("key", e.Key)
	if e.VersionID != "" {
		pattern = fieldPattern("version", e.VersionID)
	}
	mine := func(f logFields) bool { return f.Key == e.Key && (e.VersionID == "" || f.Version == e.VersionID) }
	lines, err := s.find(ctx, pattern, from, to, mine)
	if err != nil {
		return nil, err
	}
	for _, request := range requestsOf(lines) {
		same := func(line string) bool { return strings.Contains(line, request) }
		more, err := s.filter(ctx, s.Outputs.FunctionLogGroup, `"`+request+`"`, nil, from, to, same)
		if err != nil {
			return nil, err
		}
		lines = append(lines, more...)
	}
	for _, task := range tasks {
		stream := streamPrefix + lastPart(task, "/")
		more, err := s.filter(ctx, s.Outputs.TaskLogGroup, "", &stream, from, to, func(string) bool { return true })
		if err != nil {
			return nil, err
		}
		lines = append(lines, more...)
	}
	return inOrder(lines), nil
}

// logStreams are the places of an execution's lines: those that have some, those
// of its tasks, and if there is none, the group of its route.
func (s *System) logStreams(t *Timeline) []LogStream {
	streams := []LogStream{}
	add := func(group, stream string) {
		if !slices.ContainsFunc(streams, func(l LogStream) bool { return l.Group == group && l.Stream == stream }) {
			streams = append(streams, LogStream{group, stream, s.logPage(group, stream)})
		}
	}
	for _, line := range t.Logs {
		add(line.Group, line.Stream)
	}
	for _, task := range t.tasks {
		add(s.Outputs.TaskLogGroup, streamPrefix+lastPart(task, "/"))
	}
	if len(streams) > 0 {
		return streams
	}
	switch s.Outputs.routes.computeOf(t.Route) {
	case machine.Lambda:
		add(s.Outputs.FunctionLogGroup, "")
	case machine.Fargate:
		add(s.Outputs.TaskLogGroup, "")
	}
	return streams
}

// logPage is a log group's page in the console, or a stream's. What is behind its
// # is escaped twice, with $ for %.
func (s *System) logPage(group, stream string) string {
	escaped := func(name string) string {
		return strings.ReplaceAll(url.QueryEscape(url.QueryEscape(name)), "%", "$")
	}
	page := "logsV2:log-groups/log-group/" + escaped(group)
	if stream != "" {
		page += "/log-events/" + escaped(stream)
	}
	return s.Outputs.consolePage("cloudwatch", page)
}

// consolePage is a page of a service in AWS's console, by what is behind its
// #; empty in a partition that has no console in public.
func (o Outputs) consolePage(service, page string) string {
	of, _ := o.machine() // ParseOutputs has looked
	own, _ := partition.Named(of.Partition)
	if own.ConsoleDomain == "" {
		return ""
	}
	return fmt.Sprintf("https://%s.%s/%s/home?region=%s#%s", of.Region, own.ConsoleDomain, service, of.Region, page)
}

// logFields are the fields of a processor's log line that say whose it is.
type logFields struct {
	Key       string `json:"key"`
	Version   string `json:"version"`
	RequestID string `json:"requestId"`
}

func fieldsOf(message string) logFields {
	var f logFields
	_ = json.Unmarshal([]byte(message), &f) // another program's line has none
	return f
}

// requestsOf are the invocations that lines belong to.
func requestsOf(lines []LogLine) []string {
	var requests []string
	for _, line := range lines {
		if id := fieldsOf(line.Message).RequestID; id != "" && !slices.Contains(requests, id) {
			requests = append(requests, id)
		}
	}
	return requests
}

// fieldPattern is a filter pattern for a field of a line of JSON.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
func fieldPattern(field, value string) string {
	return fmt.Sprintf(`{ $.%s = "%s" }`, field, strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value))
}

// find looks into both groups for lines with fields.
func (s *System) find(ctx context.Context, pattern string, from, to time.Time, mine func(logFields) bool) ([]LogLine, error) {
	var lines []LogLine
	for _, group := range []string{s.Outputs.FunctionLogGroup, s.Outputs.TaskLogGroup} {
		// The pattern keeps the answer small; what belongs here, the fields decide.
		some, err := s.filter(ctx, group, pattern, nil, from, to, func(line string) bool { return mine(fieldsOf(line)) })
		if err != nil {
			return nil, err
		}
		lines = append(lines, some...)
	}
	return inOrder(lines), nil
}

func (s *System) filter(
	ctx context.Context, group, pattern string, stream *string, from, to time.Time, keep func(string) bool,
) ([]LogLine, error) {
	input := &cloudwatchlogs.FilterLogEventsInput{LogGroupName: &group, StartTime: aws.Int64(from.UnixMilli())}
	if pattern != "" {
		input.FilterPattern = &pattern
	}
	if stream != nil {
		input.LogStreamNames = []string{*stream}
	}
	if !to.IsZero() {
		input.EndTime = aws.Int64(to.UnixMilli())
	}
	var lines []LogLine
	pages := cloudwatchlogs.NewFilterLogEventsPaginator(s.logs, input)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if stream != nil && hasCode(err, "ResourceNotFoundException") {
			return nil, nil // a task that never ran has no stream
		}
		if err != nil {
			return nil, asked("reading the log group "+group, err)
		}
		for _, event := range page.Events {
			if keep(aws.ToString(event.Message)) {
				lines = append(lines, lineOf(group, event))
			}
		}
	}
	return lines, nil
}

func lineOf(group string, event logstypes.FilteredLogEvent) LogLine {
	line := LogLine{
		Time: time.UnixMilli(aws.ToInt64(event.Timestamp)), Group: group, Stream: aws.ToString(event.LogStreamName),
		Message: strings.TrimRight(aws.ToString(event.Message), "\n"),
	}
	line.id = aws.ToString(event.EventId)
	if line.id == "" {
		line.id = fmt.Sprint(line.Time.UnixMilli(), line.Stream, line.Message)
	}
	return line
}

// inOrder sorts lines by time and leaves out what was found twice.
func inOrder(lines []LogLine) []LogLine {
	slices.SortStableFunc(lines, func(a, b LogLine) int { return a.Time.Compare(b.Time) })
	seen := map[string]bool{}
	return slices.DeleteFunc(lines, func(l LogLine) bool {
		twice := seen[l.id]
		seen[l.id] = true
		return twice
	})
}

// sleep waits, or gives up when ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting: %w", ErrCanceled)
	}
}
