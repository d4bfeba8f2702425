package reader

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"example.com/upload-router/upload"
)

// Process opens the object, runs process on it, and returns its result once the whole object is known to have the announced size and
// the checksum that S3 stores. What process leaves unread is read for that, and a failed read is reported even when process does not
// report it. Every error is an [upload.Error]; the result is the zero value then.
func Process[R any](ctx context.Context, client S3API, object upload.Object, process upload.Func[R]) (R, error) {
	var none R
	body, err := Open(ctx, client, object)
	if err != nil {
		return none, err
	}
	defer func() { _ = body.Close() }() // The content is verified by then, or there is an error that says more.

	result, err := run(ctx, body, process)
	if err != nil {
		return none, processError(ctx, body, err)
	}
	if err := body.Verify(); err != nil { //nolint:contextcheck // The body has the context that it was opened with.
		return none, err
	}
	return result, nil
}

// run turns a panic into an error: the state machine gets a typed failure with one line of cause, not the end of the host.
func run[R any](ctx context.Context, body *Body, process upload.Func[R]) (result R, err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &upload.PanicError{Value: value, Stack: debug.Stack()}
		}
	}()
	return process(ctx, body.Object(), body)
}

// processError finds the code for what process returned. When the read has failed, that is the cause, whatever process made of it.
func processError(ctx context.Context, body *Body, err error) error {
	if failure := body.Err(); failure != nil {
		return failure
	}
	if ctx.Err() != nil {
		return &upload.Error{Code: upload.Interrupted, Err: fmt.Errorf("processing %s: %w", body.transfer.object, context.Cause(ctx))}
	}
	code := upload.Failed
	if failure, ok := errors.AsType[*upload.Error](err); ok {
		code, err = failure.Code, withoutCode(err, failure)
	}
	return &upload.Error{Code: code, Err: fmt.Errorf("processing %s: %w", body.transfer.object, err)}
}

// withoutCode keeps the code out of the message when it would be there twice.
func withoutCode(err error, failure *upload.Error) error {
	if direct, ok := err.(*upload.Error); ok && direct == failure && failure.Err != nil { //nolint:errorlint // Only the outermost is meant.
		return failure.Err
	}
	return err
}
