package localaws

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"example.com/upload-router/internal/loopback"
)

// line is a line of a log group.
type line struct {
	at                  time.Time
	id, stream, message string
}

// lines are what all processors wrote to a group, the oldest first. Those of an
// execution come with its end.
func (s *Server) lines(group string) []line {
	var out []line
	for _, x := range s.executions {
		tasks := x.tasks()
		for _, call := range slices.Sorted(maps.Keys(tasks)) {
			task := tasks[call]
			if task.run == nil || task.run.Group != group {
				continue
			}
			stream := "local/[$LATEST]"
			if task.arn != "" {
				stream = s.streamPrefix() + task.arn[strings.LastIndex(task.arn, "/")+1:]
			}
			at := x.events[0].Timestamp
			for i, message := range task.run.Logs {
				at = timeOf(message, at)
				out = append(out, line{at, fmt.Sprintf("%s-%d-%d", x.name(), call, i), stream, message})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b line) int { return a.at.Compare(b.at) })
	return out
}

// timeOf is when a line was written, if it says so.
func timeOf(message string, otherwise time.Time) time.Time {
	for _, name := range []string{"time", "timestamp"} {
		var fields map[string]any
		if json.Unmarshal([]byte(message), &fields) != nil {
			break
		}
		text, _ := fields[name].(string)
		if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
			return at
		}
	}
	return otherwise
}

// streamPrefix is what a task's stream begins with, as its container is declared.
func (s *Server) streamPrefix() string {
	var containers []struct {
		Name             string
		LogConfiguration struct{ Options map[string]string }
	}
	if err := json.Unmarshal([]byte(s.declared(typeTask).Text("containerDefinitions")), &containers); err != nil || len(containers) == 0 {
		s.t.Errorf("reading the container: %v", err)
		return ""
	}
	return containers[0].LogConfiguration.Options["awslogs-stream-prefix"] + "/" + containers[0].Name + "/"
}

func (s *Server) filterLogs(in request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	matches, err := pattern(in.FilterPattern)
	if err != nil {
		return nil, loopback.Refuse("InvalidParameterException", err.Error())
	}
	lines := s.lines(in.LogGroupName)
	for _, name := range in.LogStreamNames {
		if !slices.ContainsFunc(lines, func(l line) bool { return l.stream == name }) {
			return nil, loopback.Refuse("ResourceNotFoundException", "The specified log stream does not exist.")
		}
	}
	events := []any{}
	for _, l := range lines {
		at := l.at.UnixMilli()
		if at < in.StartTime || in.EndTime > 0 && at > in.EndTime || !matches(l.message) ||
			len(in.LogStreamNames) > 0 && !slices.Contains(in.LogStreamNames, l.stream) {
			continue
		}
		events = append(events, map[string]any{
			"eventId": l.id, "logStreamName": l.stream, "timestamp": at, "ingestionTime": at, "message": l.message,
		})
	}
	return page("events", events, in)
}

// The filter patterns that are asked for: a field of JSON, and a text.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
var (
	errPattern   = errors.New("localaws doesn't know this pattern")
	fieldPattern = regexp.MustCompile(`^\{ \$\.(\w+) = ("(?:[^"\\]|\\.)*") \}$`)
	textPattern  = regexp.MustCompile(`^"([^"]+)"$`)
)

func pattern(text string) (func(string) bool, error) {
	if text == "" {
		return func(string) bool { return true }, nil
	}
	if found := textPattern.FindStringSubmatch(text); found != nil {
		return func(message string) bool { return strings.Contains(message, found[1]) }, nil
	}
	found := fieldPattern.FindStringSubmatch(text)
	if found == nil {
		return nil, fmt.Errorf("%w: %s", errPattern, text)
	}
	var value string
	if err := json.Unmarshal([]byte(found[2]), &value); err != nil {
		return nil, fmt.Errorf("%w: %s", errPattern, text)
	}
	return func(message string) bool {
		var fields map[string]any
		return json.Unmarshal([]byte(message), &fields) == nil && fields[found[1]] == value
	}, nil
}
