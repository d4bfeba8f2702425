package awstest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/loopback"
)

// Line is a log line.
type Line struct {
	Group, Stream, Message string
	Time                   time.Time

	id string
}

// Log writes a log line.
func (s *Server) Log(line Line) { s.set(func() { s.log(line) }) }

func (s *Server) log(line Line) {
	line.id = strconv.Itoa(len(s.lines))
	s.lines = append(s.lines, line)
}

// linesOf are those of a group, the oldest first. What a processor wrote comes with the end of its execution.
func (s *Server) linesOf(group string) []Line {
	var out []Line
	for _, l := range s.lines {
		if l.Group == group {
			out = append(out, l)
		}
	}
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
				out = append(out, Line{
					Group: group, Stream: stream, Message: message, Time: at, id: fmt.Sprintf("%s-%d-%d", x.name(), call, i),
				})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Line) int { return a.Time.Compare(b.Time) })
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
	definition := s.declared(declared.TypeTaskDefinition, s.system.Outputs["taskDefinitionArn"]).Text("containerDefinitions")
	if err := json.Unmarshal([]byte(definition), &containers); err != nil || len(containers) == 0 {
		s.tb.Errorf("reading the container: %v", err)
		return ""
	}
	return containers[0].LogConfiguration.Options["awslogs-stream-prefix"] + "/" + containers[0].Name + "/"
}

// filterLogs gives the lines of a group that match, in pages. Of a script's executions it gives one a page.
func (s *Server) filterLogs(in request) (any, error) {
	matches, err := pattern(in.FilterPattern)
	if err != nil {
		return nil, loopback.Refuse("InvalidParameterException", err.Error())
	}
	lines := s.linesOf(in.LogGroupName)
	for _, name := range in.LogStreamNames {
		if !slices.ContainsFunc(lines, func(l Line) bool { return l.Stream == name }) {
			return nil, loopback.Refuse("ResourceNotFoundException", "The specified log stream does not exist.")
		}
	}
	lines = slices.DeleteFunc(lines, func(l Line) bool {
		at := l.Time.UnixMilli()
		return at < in.StartTime || in.EndTime > 0 && at > in.EndTime || !matches(l.Message) ||
			len(in.LogStreamNames) > 0 && !slices.Contains(in.LogStreamNames, l.Stream)
	})
	return page("events", lines, in, s.logPage, func(l Line) any {
		at := l.Time.UnixMilli()
		return map[string]any{"eventId": l.id, "logStreamName": l.Stream, "timestamp": at, "ingestionTime": at, "message": l.Message}
	})
}

// The filter patterns that are asked for: a field of JSON, and a text.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
var (
	errPattern   = errors.New("awstest doesn't know this pattern")
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
