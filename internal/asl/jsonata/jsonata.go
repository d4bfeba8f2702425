// Package jsonata evaluates JSONata as Step Functions does: in version 2.0.6, with its own functions ($partition, $range,
// $hash, $random, $uuid, $parse), without $eval, without a context at the top level, and within bounds.
//
// The language is that of the npm package jsonata 2.0.6, the one that the language's authors keep and that AWS names, run by a
// JavaScript engine written in Go. The two libraries of JSONata in Go differ from it: github.com/blues/jsonata-go v1.5.4 and
// github.com/xiatechs/jsonata-go v1.8.8 give $string(1/3) 16 digits and 8, and -0 for -0 (case L9 of the tests).
//
// https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html and https://docs.jsonata.org/overview.html
package jsonata

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// MaxTime is how long one evaluation may take by default. AWS bounds it, too, and doesn't say at what: here it is far
// above what any expression takes on a busy machine, and ends those that never would.
const MaxTime = time.Minute

var (
	// ErrSyntax is matched by every error of [Parse].
	ErrSyntax = errors.New("not an expression that Step Functions takes")
	// ErrNothing is the error of [Expression.Eval] for an expression that gives nothing, such as a path to what isn't there.
	ErrNothing = errors.New("returned nothing (undefined)")
	// ErrUnsupported is the error of [Expression.Eval] for an expression that gives a function.
	ErrUnsupported = errors.New("returned an unsupported result type")
)

// EvaluationError is the error of [Expression.Eval] for an expression that can't be evaluated.
type EvaluationError struct {
	// Code is JSONata's, such as D1009; empty for an error of the bounds.
	Code string
	// Message explains it, in JSONata's words.
	Message string
}

// Error returns the code, if there is one, and the message.
func (e *EvaluationError) Error() string {
	if e.Code == "" {
		return e.Message
	}
	return e.Code + ": " + e.Message
}

// Environment is what an expression sees.
type Environment struct {
	// Variables are the variables by name, without the $, each as JSON text: states and those that Assign has set.
	Variables map[string]json.RawMessage
	// Now is the time that $millis and $now give.
	Now time.Time
	// Random gives numbers from 0 up to but not 1, for $random and $shuffle.
	Random func() float64
	// Time is how long the evaluation may take. Default: [MaxTime].
	Time time.Duration
}

// Expression is a parsed expression. It is safe for concurrent use.
type Expression struct {
	source           string
	readsErrorOutput bool
}

// Parse checks an expression. Its error matches [ErrSyntax] and has the words that AWS refuses a definition with.
func Parse(source string) (*Expression, error) {
	source = strings.TrimSpace(source)
	if expression, known := parsed.get(source); known {
		return expression, nil
	}
	vm := runtimes.get()
	expression, err := vm.parse(source)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	runtimes.put(vm)
	parsed.put(expression)
	return expression, nil
}

// expressions keeps what is parsed, by its text: the same definition may be read for each execution.
type expressions struct {
	mu     sync.Mutex
	byText map[string]*Expression
}

var parsed = expressions{byText: map[string]*Expression{}}

func (p *expressions) get(source string) (*Expression, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	expression, known := p.byText[source]
	return expression, known
}

func (p *expressions) put(expression *Expression) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.byText) >= maxCompiled {
		clear(p.byText)
	}
	p.byText[expression.source] = expression
}

// String is the expression's text, without the space around it.
func (e *Expression) String() string { return e.source }

// ReadsErrorOutput tells whether $states.errorOutput stands in the expression, which only a catcher's may have.
func (e *Expression) ReadsErrorOutput() bool { return e.readsErrorOutput }

// Eval computes the value, as JSON text. The error is [ErrNothing], [ErrUnsupported], an [*EvaluationError], or ctx's own.
func (e *Expression) Eval(ctx context.Context, env Environment) (json.RawMessage, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("evaluating JSONata: %w", err)
	}
	vm := runtimes.get()
	result, err := vm.eval(ctx, e.source, env)
	if interrupted := ctx.Err(); interrupted != nil {
		return nil, fmt.Errorf("evaluating JSONata: %w", interrupted)
	}
	if !vm.spent {
		runtimes.put(vm)
	}
	return result, err
}
