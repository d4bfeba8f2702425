package upload

import (
	"context"
	"fmt"
	"io"
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
