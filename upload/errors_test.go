package upload_test

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/upload"
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
		{upload.Superseded, "Upload.Superseded", false, 67},
		{upload.LedgerUnreachable, "Upload.LedgerUnreachable", true, 75},
		{upload.NotAwaited, "Upload.NotAwaited", false, 69},
		{upload.Failed, "Upload.Failed", false, 70},
		{upload.OutputTooLarge, "Upload.OutputTooLarge", false, 71},
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
			assert.Equal(t, test.retryable, assert.ObjectsAreEqual(upload.ExitRetryable, test.exit))
			wrapped := fmt.Errorf("outside: %w", failure)
			assert.Equal(t, test.exit, upload.ExitCode(wrapped))
			assert.Equal(t, test.code, upload.CodeOf(wrapped))
			assert.Equal(t, "why", upload.MessageOf(wrapped))
			require.ErrorIs(t, wrapped, &upload.Error{Code: test.code})
			require.NotErrorIs(t, wrapped, &upload.Error{Code: "Upload.Other"})
			if test.retryable {
				assert.Contains(t, upload.RetryableCodes(), test.code)
			} else {
				assert.NotContains(t, upload.RetryableCodes(), test.code)
			}
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

func TestRetryAsksForAnotherAttempt(t *testing.T) {
	t.Parallel()
	require.NoError(t, upload.Retry(nil))
	cause := &upload.Error{Code: upload.AccessDenied, Err: errors.New("not now")}
	err := fmt.Errorf("looking it up: %w", upload.Retry(cause))
	assert.Equal(t, upload.Unavailable, upload.CodeOf(err))
	require.ErrorIs(t, err, cause)
}

func TestLoggerOutsideOfARun(t *testing.T) {
	t.Parallel()
	assert.Same(t, slog.Default(), upload.Logger(t.Context()))
}

// A nil [upload.Error] in an error is not nil, as Go has it: it is a failure, and no crash.
func TestATypedNilIsAFailure(t *testing.T) {
	t.Parallel()
	var none *upload.Error
	for _, err := range []error{none, fmt.Errorf("processing: %w", none), errors.Join(errors.New("first"), none)} {
		require.Equal(t, upload.Failed, upload.CodeOf(err))
		require.Contains(t, upload.MessageOf(err), "a nil *upload.Error was returned as an error")
		require.Equal(t, 70, upload.ExitCode(err))
		require.NotErrorIs(t, err, &upload.Error{Code: upload.ObjectMissing})
	}
	require.False(t, none.Retryable())
	require.Contains(t, none.Error(), "Upload.Failed: ")
	require.NotErrorIs(t, &upload.Error{Code: upload.Failed}, none)
}
