package upload_test

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

	"example.com/upload-router/internal/contract"
	"example.com/upload-router/internal/upload"
	"example.com/upload-router/internal/upload/uploadtest"
)

func TestCodes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		code      upload.Code
		name      string
		retryable bool
		exit      int
	}{
		{upload.Invalid, "Upload.Invalid", false, 64},
		{upload.SizeMismatch, "Upload.SizeMismatch", false, 65},
		{upload.ObjectMissing, "Upload.ObjectMissing", false, 66},
		{upload.NotAwaited, "Upload.NotAwaited", false, 69},
		{upload.Failed, "Upload.Failed", false, 70},
		{upload.ResultTooLarge, "Upload.ResultTooLarge", false, 73},
		{upload.ChecksumMismatch, "Upload.ChecksumMismatch", false, 74},
		{upload.Unavailable, "Upload.Unavailable", true, 75},
		{upload.Interrupted, "Upload.Interrupted", true, 75},
		{upload.ObjectChanged, "Upload.ObjectChanged", false, 76},
		{upload.AccessDenied, "Upload.AccessDenied", false, 77},
		{upload.Code("Upload.Unknown"), "Upload.Unknown", false, 70},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			failure := &upload.Error{Code: test.code, Err: errors.New("why")}
			assert.Equal(t, test.name+": why", failure.Error())
			assert.Equal(t, test.retryable, failure.Retryable())
			assert.Equal(t, test.retryable, assert.ObjectsAreEqual(contract.ExitRetryable, test.exit))
			wrapped := fmt.Errorf("outside: %w", failure)
			assert.Equal(t, test.exit, upload.ExitCode(wrapped))
			assert.Equal(t, test.code, upload.CodeOf(wrapped))
			assert.Equal(t, "why", upload.MessageOf(wrapped))
			require.ErrorIs(t, wrapped, &upload.Error{Code: test.code})
			require.NotErrorIs(t, wrapped, &upload.Error{Code: "Upload.Other"})
		})
	}
	t.Run("no error", func(t *testing.T) {
		t.Parallel()
		assert.Zero(t, upload.ExitCode(nil))
	})
	t.Run("an error without a code", func(t *testing.T) {
		t.Parallel()
		err := errors.New("a\nb")
		assert.Equal(t, 70, upload.ExitCode(err))
		assert.Equal(t, upload.Failed, upload.CodeOf(err))
		assert.Equal(t, "a; b", upload.MessageOf(err))
	})
	t.Run("an error without a cause", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, "Upload.Failed: no cause given", (&upload.Error{Code: upload.Failed}).Error())
	})
}

// running is the context of a run on Fargate, in execution-1, that logs to log.
func running(t *testing.T, log io.Writer, object upload.Object) context.Context {
	t.Helper()
	return upload.WithLogger(t.Context(), slog.New(slog.NewJSONHandler(log, nil)), "fargate", "execution-1", object)
}

// What a processor logs can be found by its file and by its execution, like the line about the outcome.
func TestEveryLineOfARunNamesIt(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	upload.Logger(running(t, &log, announced())).Info("half way", "percent", 50)
	require.Equal(t, 1, strings.Count(log.String(), "\n"))
	var line map[string]any
	require.NoError(t, json.Unmarshal(log.Bytes(), &line))
	delete(line, "time")
	assert.Equal(t, map[string]any{
		"level": "INFO", "msg": "half way", "percent": 50.0,
		"bucket": bucket, "key": key, "version": version, "execution": "execution-1", "route": "fargate",
	}, line)
}

func TestLoggerOutsideOfARun(t *testing.T) {
	t.Parallel()
	assert.Same(t, slog.Default(), upload.Logger(t.Context()))
}

func TestRecordIsOneLine(t *testing.T) {
	t.Parallel()
	for what, hostile := range uploadtest.HostileKeys() {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			object := upload.Object{Bucket: bucket, Key: hostile, VersionID: version, Size: 5}
			var log bytes.Buffer
			err := &upload.Error{Code: upload.ObjectMissing, Err: fmt.Errorf("reading %s: %w", object, errors.New("it is\ngone"))}
			upload.Record(running(t, &log, object), object, time.Now(), err)

			require.Equal(t, 1, strings.Count(log.String(), "\n"), log.String())
			var line map[string]any
			require.NoError(t, json.Unmarshal(log.Bytes(), &line))
			assert.Equal(t, "ERROR", line["level"])
			assert.Equal(t, bucket, line["bucket"])
			assert.Equal(t, hostile, line["key"])
			assert.Equal(t, version, line["version"])
			assert.InDelta(t, 5, line["size"], 0)
			assert.Equal(t, "fargate", line["route"])
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
	upload.Record(running(t, &log, announced()), announced(), time.Now(), nil)
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
	upload.Record(running(t, &log, announced()), announced(), time.Now(), err)
	require.Equal(t, 1, strings.Count(log.String(), "\n"))
	assert.Contains(t, log.String(), `"stack":"goroutine 1\nmain.go:1"`)
}
