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
	"example.com/upload-router/upload"
)

// running is the context of a run on Fargate, in execution-1, that logs to log.
func running(t *testing.T, log io.Writer, object upload.Object) context.Context {
	t.Helper()
	return upload.WithLogger(t.Context(), naming(slog.New(slog.NewJSONHandler(log, nil)), routeFargate, "execution-1", object))
}

// What a processor logs can be found by its file and by its execution, like the line about the outcome.
func TestEveryLineOfARunNamesIt(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	upload.Logger(running(t, &log, object("report.csv"))).Info("half way", "percent", 50)
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
			record(running(t, &log, object), object, time.Now(), "", err)

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
	record(running(t, &log, object("report.csv")), object("report.csv"), time.Now(), "", nil)
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
	record(running(t, &log, object("report.csv")), object("report.csv"), time.Now(), "", err)
	require.Equal(t, 1, strings.Count(log.String(), "\n"))
	assert.Contains(t, log.String(), `"stack":"goroutine 1\nmain.go:1"`)
}
