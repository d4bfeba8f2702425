package upload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
)

// Func is what is done to an object: package processor's Process, or a user's replacement.
//
// The object is the one that is read, with all that S3 answered about it. The body streams its content, once; it must not be used after
// the return. A Func may leave some of it unread, and should return the body's errors, wrapped or not. An error that holds an [Error]
// keeps that code, so that a Func can ask for a retry with code [Unavailable]; any other gets code [Failed]. What it logs with [Logger]
// names the object.
type Func[R any] func(ctx context.Context, object Object, body io.Reader) (R, error)

// PanicError is the cause of the [Error] for a [Func] that panicked.
type PanicError struct {
	// Value is what the Func panicked with.
	Value any
	// Stack is the stack of the goroutine at that moment.
	Stack []byte
}

// Error says that there was a panic, and with what.
func (e *PanicError) Error() string { return fmt.Sprintf("the processor panicked: %v", e.Value) }

// Process opens the object, runs process on it, and returns its result once the whole object is known to have the announced size and
// the checksum that S3 stores. What process leaves unread is read for that, and a failed read is reported even when process does not
// report it. Every error is an [Error]; the result is the zero value then.
func Process[R any](ctx context.Context, client S3API, object Object, process Func[R]) (R, error) {
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
func run[R any](ctx context.Context, body *Body, process Func[R]) (result R, err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &PanicError{Value: value, Stack: debug.Stack()}
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
		return &Error{Code: Interrupted, Err: fmt.Errorf("processing %s: %w", body.transfer.object, context.Cause(ctx))}
	}
	code := Failed
	if failure, ok := errors.AsType[*Error](err); ok {
		code, err = failure.Code, withoutCode(err, failure)
	}
	return &Error{Code: code, Err: fmt.Errorf("processing %s: %w", body.transfer.object, err)}
}

// withoutCode keeps the code out of the message when it would be there twice.
func withoutCode(err error, failure *Error) error {
	if direct, ok := err.(*Error); ok && direct == failure && failure.Err != nil { //nolint:errorlint // Only the outermost is meant.
		return failure.Err
	}
	return err
}
