package reader

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"example.com/upload-router/upload"
)

// Process runs process on the object, and returns its result once what was read is known to be as S3 stores it; see [Source.Verify]. A
// failed read is reported even when process does not report it. Every error is an [upload.Error]; the result is the zero value then.
func Process[R any](
	ctx context.Context, client S3API, object upload.Object, out *upload.Output, process upload.Func[R],
) (R, Verified, error) {
	var none R
	if err := object.Validate(); err != nil {
		return none, "", err
	}
	source := NewSource(ctx, client, object)
	defer source.Close() // The content is verified by then, or there is an error that says more.

	result, err := run(ctx, source, out, process)
	if err != nil {
		return none, "", processError(ctx, source, err)
	}
	verified, err := source.Verify() //nolint:contextcheck // The source has the context that it was made with.
	if err != nil {
		return none, "", err
	}
	return result, verified, nil
}

// run turns a panic into an error: the state machine gets a typed failure with one line of cause, not the end of the host.
func run[R any](ctx context.Context, source *Source, out *upload.Output, process upload.Func[R]) (result R, err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &upload.PanicError{Value: value, Stack: debug.Stack()}
		}
	}()
	return process(ctx, upload.NewInput(source.Object(), source), out)
}

// processError finds the code for what process returned. When the read has failed, that is the cause, whatever process made of it.
func processError(ctx context.Context, source *Source, err error) error {
	if failure := source.Err(); failure != nil {
		return failure
	}
	if ctx.Err() != nil {
		return &upload.Error{Code: upload.Interrupted, Err: fmt.Errorf("processing %s: %w", source.Object(), context.Cause(ctx))}
	}
	code := upload.Failed
	if failure, ok := errors.AsType[*upload.Error](err); ok {
		code, err = failure.Code, withoutCode(err, failure)
	}
	return &upload.Error{Code: code, Err: fmt.Errorf("processing %s: %w", source.Object(), err)}
}

// withoutCode keeps the code out of the message when it would be there twice.
func withoutCode(err error, failure *upload.Error) error {
	if direct, ok := err.(*upload.Error); ok && direct == failure && failure.Err != nil { //nolint:errorlint // Only the outermost is meant.
		return failure.Err
	}
	return err
}
