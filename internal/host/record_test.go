package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/host/uploadtest"
	"example.com/upload-router/internal/routemetric"
	"example.com/upload-router/upload"
)

// running is the context of a run about something, that logs to log.
func running(t *testing.T, log io.Writer, about subject) context.Context {
	t.Helper()
	return upload.WithLogger(t.Context(), about.naming(slog.New(slog.NewJSONHandler(log, nil))))
}

// byHand is a run on Fargate of no state machine, in execution-1.
func byHand(object upload.Object) subject { return subjectOf(object, "", "execution-1", routeFargate) }

// What a processor logs can be found by its file and by its execution, like the line about the outcome.
func TestEveryLineOfARunNamesIt(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	upload.Logger(running(t, &log, byHand(object("report.csv")))).Info("half way", "percent", 50)
	require.Equal(t, 1, strings.Count(log.String(), "\n"))
	var line map[string]any
	require.NoError(t, json.Unmarshal(log.Bytes(), &line))
	delete(line, "time")
	assert.Equal(t, map[string]any{
		"level": "INFO", "msg": "half way", "percent": 50.0,
		"bucket": "uploads", "key": "report.csv", "version": "v1", "execution": "execution-1", "route": "Fargate",
	}, line)
}

func TestRecordIsOneLine(t *testing.T) {
	t.Parallel()
	for what, hostile := range uploadtest.HostileKeys() {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			object := upload.Object{Bucket: "uploads", Key: hostile, VersionID: "v1", Size: 5}
			var log bytes.Buffer
			err := &upload.Error{Code: upload.ObjectMissing, Err: fmt.Errorf("reading %s: %w", object, errors.New("it is\ngone"))}
			byHand(object).record(running(t, &log, byHand(object)), time.Now(), "", err)

			require.Equal(t, 1, strings.Count(log.String(), "\n"), log.String())
			var line map[string]any
			require.NoError(t, json.Unmarshal(log.Bytes(), &line))
			assert.Equal(t, "ERROR", line["level"])
			assert.Equal(t, "uploads", line["bucket"])
			assert.Equal(t, hostile, line["key"])
			assert.Equal(t, "v1", line["version"])
			assert.InDelta(t, 5, line["size"], 0)
			assert.Equal(t, "Fargate", line["route"])
			assert.Equal(t, "execution-1", line["execution"])
			assert.Equal(t, "Upload.ObjectMissing", line["outcome"])
			assert.Equal(t, false, line["retryable"])
			assert.Equal(t, err.Message(), line["cause"])
			assert.GreaterOrEqual(t, line["durationMs"], 0.0)
		})
	}
}

func TestRecordOfASuccess(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	about := byHand(object("report.csv"))
	about.record(running(t, &log, about), time.Now(), "", nil)
	var line map[string]any
	require.NoError(t, json.Unmarshal(log.Bytes(), &line))
	assert.Equal(t, "INFO", line["level"])
	assert.Equal(t, "succeeded", line["outcome"])
	assert.NotContains(t, line, "cause")
}

func TestRecordHasTheStackOfAPanic(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	err := &upload.Error{Code: upload.Failed, Err: &upload.PanicError{Value: "nil map", Stack: []byte("goroutine 1\nmain.go:1")}}
	about := byHand(object("report.csv"))
	about.record(running(t, &log, about), time.Now(), "", err)
	require.Equal(t, 1, strings.Count(log.String(), "\n"))
	assert.Contains(t, log.String(), `"stack":"goroutine 1\nmain.go:1"`)
}

// CloudWatch makes metrics of a line by its field _aws, which has to name fields of the line: metrics that are numbers, and dimensions that
// are text.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
func TestALineHasTheMetricsOfItsRoute(t *testing.T) {
	t.Parallel()
	coded := func(code upload.Code) error { return &upload.Error{Code: code, Err: errors.New("why")} }
	for what, c := range map[string]struct {
		err  error
		want map[string]any
	}{
		"processed":                     {nil, map[string]any{"durationMs": nil, "size": 8.0}},
		"failed for good":               {coded(upload.Failed), map[string]any{"failed": 1.0}},
		"failed, and to be tried again": {coded(upload.Unavailable), map[string]any{"retried": 1.0}},
		"taken back by Spot":            {coded(upload.Interrupted), map[string]any{"retried": 1.0}},
		"another execution has it":      {coded(upload.Superseded), nil},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			about := subjectOf(upload.Object{Bucket: "uploads", Key: "film.mp4", Size: 8}, "video",
				"arn:aws:states:eu-central-1:123456789012:execution:router:e", routeFargate)
			before := time.Now().Truncate(time.Millisecond)
			about.record(running(t, &log, about), time.Now(), "", c.err)
			require.Equal(t, 1, strings.Count(log.String(), "\n"), "metrics cost no line of their own")
			line := map[string]any{}
			require.NoError(t, json.Unmarshal(log.Bytes(), &line))
			if c.want == nil {
				require.NotContains(t, line, routemetric.FieldMetadata)
				return
			}
			var metadata routemetric.Metadata
			part, err := json.Marshal(line[routemetric.FieldMetadata])
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(part, &metadata))
			assert.WithinRange(t, time.UnixMilli(metadata.Timestamp), before, time.Now())
			require.Len(t, metadata.CloudWatchMetrics, 1)
			directive := metadata.CloudWatchMetrics[0]
			require.Equal(t, [][]string{{"stateMachine", "route"}}, directive.Dimensions)
			assert.Equal(t, []any{"router", "video"}, []any{line["stateMachine"], line["route"]})
			got := map[string]any{}
			for _, metric := range directive.Metrics {
				value, number := line[metric.Name].(float64)
				require.True(t, number, metric.Name)
				got[metric.Name] = value
				if c.want[metric.Name] == nil {
					got[metric.Name] = nil
				}
			}
			assert.Equal(t, c.want, got)
		})
	}
}

// Whoever invokes the function by hand has no state machine, and what that run does is none of a route's.
func TestALineOfARunByHandHasNoMetrics(t *testing.T) {
	t.Parallel()
	for _, execution := range []string{"", "execution-1"} {
		var log bytes.Buffer
		about := subjectOf(object("report.csv"), "", execution, routeLambda)
		about.record(running(t, &log, about), time.Now(), "", nil)
		assert.NotContains(t, log.String(), `"_aws"`)
		assert.NotContains(t, log.String(), `"stateMachine"`)
	}
}
