package upload

import (
	"context"
	"fmt"
)

// Func is what is done to an object: package processor's Process, or a user's replacement.
//
// It reads the object from in, which must not be used after the return, and may write to out; what it returns is the result, as
// encoding/json has it. It may leave some of the object unread, and should return the errors of both, wrapped or not. An error that holds
// an [Error] keeps that code, and [Retry] asks for another attempt; any other gets code [Failed]. What it logs with [Logger] names the
// object.
type Func[R any] func(ctx context.Context, in *Input, out *Output) (R, error)

// Retry is err with code [Unavailable], by which a [Func] asks for another attempt: the state machine makes a few more, with pauses
// between them. Without an error it is nil.
func Retry(err error) error {
	if err == nil {
		return nil
	}
	return &Error{Code: Unavailable, Err: err}
}

// PanicError is the cause of the [Error] for a [Func] that panicked.
type PanicError struct {
	// Value is what the Func panicked with.
	Value any
	// Stack is the stack of the goroutine at that moment.
	Stack []byte
}

// Error says that there was a panic, and with what.
func (e *PanicError) Error() string { return fmt.Sprintf("the processor panicked: %v", e.Value) }
