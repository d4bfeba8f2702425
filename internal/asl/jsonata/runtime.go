package jsonata

import (
	"cmp"
	"context"
	_ "embed" // for the engine's source
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	processors "runtime"
	"strings"
	"sync"
	"time"

	"github.com/dop251/goja"
)

// The npm package jsonata 2.0.6, as published; its licence (MIT) is beside it.
//
//go:embed jsonata.min.js
var engineSource string

//go:embed stepfunctions.js
var stepFunctionsSource string

// maxCalls bounds the engine's call stack, of an expression that is nested deeper than JSONata's own bound can see.
const maxCalls = 10_000

// maxCompiled is how many expressions a runtime keeps compiled: far more than a definition has.
const maxCompiled = 500

// waiting is what the engine's source has to wait for functions of its host that give promises. Here none does.
var waiting = regexp.MustCompile(`\basync (function\b)|\basync(\()|\bawait\b`)

// direct is the engine's source without the waiting: the same steps in the same order, without a coroutine and a promise for each, which
// take longer than the step. What a source gives to Promise.all are then the values themselves.
func direct(source string) string {
	return strings.ReplaceAll(waiting.ReplaceAllString(source, "$1$2"), "Promise.all(", "(")
}

// programs are the sources, compiled once.
var programs = sync.OnceValue(func() [2]*goja.Program {
	return [2]*goja.Program{
		goja.MustCompile("jsonata.min.js", direct(engineSource), false),
		goja.MustCompile("stepfunctions.js", stepFunctionsSource, true),
	}
})

// pool keeps runtimes for the next evaluation: one serves one at a time, takes some milliseconds to make, and more for each expression
// that it compiles anew. So it is no sync.Pool, which each collection of garbage empties.
type pool struct{ idle chan *runtime }

// Evaluations compute, and never wait: more of them at a time than there are processors are few.
var runtimes = pool{idle: make(chan *runtime, 2*processors.GOMAXPROCS(0))}

func (p *pool) get() *runtime {
	select {
	case vm := <-p.idle:
		return vm
	default:
		return newRuntime()
	}
}

func (p *pool) put(vm *runtime) {
	select {
	case p.idle <- vm:
	default:
	}
}

// runtime is a JavaScript engine with JSONata in it.
type runtime struct {
	*goja.Runtime

	parseExpression, evaluate, errorOutput goja.Callable
	compiled                               map[string]goja.Value
	now                                    time.Time
	random                                 func() float64
	// spent says that an evaluation was interrupted and the runtime can't be used any more.
	spent bool
}

// newRuntime can only fail if the sources above are at fault, which the first test would show.
func newRuntime() *runtime {
	vm := &runtime{Runtime: goja.New(), compiled: map[string]goja.Value{}}
	vm.SetMaxCallStackSize(maxCalls)
	vm.SetTimeSource(func() time.Time { return vm.now })
	vm.SetRandSource(func() float64 { return vm.random() })
	must := func(value goja.Value, err error) goja.Value {
		if err != nil {
			panic(fmt.Sprintf("jsonata: loading the engine: %v", err))
		}
		return value
	}
	must(vm.RunProgram(programs()[0]))
	connect, _ := goja.AssertFunction(must(vm.RunProgram(programs()[1])))
	api := must(connect(goja.Undefined(), vm.Get("jsonata"), vm.host())).ToObject(vm.Runtime)
	vm.parseExpression, _ = goja.AssertFunction(api.Get("parse"))
	vm.evaluate, _ = goja.AssertFunction(api.Get("evaluate"))
	vm.errorOutput, _ = goja.AssertFunction(api.Get("readsErrorOutput"))
	return vm
}

func (vm *runtime) parse(source string) (*Expression, error) {
	compiled, err := vm.compile(source)
	if err != nil {
		return nil, err
	}
	reads, err := vm.errorOutput(goja.Undefined(), compiled)
	if err != nil {
		return nil, failure(err)
	}
	return &Expression{source: source, readsErrorOutput: reads.ToBoolean()}, nil
}

// compile gives the expression in this runtime.
func (vm *runtime) compile(source string) (goja.Value, error) {
	if compiled, ok := vm.compiled[source]; ok {
		return compiled, nil
	}
	compiled, err := vm.parseExpression(goja.Undefined(), vm.ToValue(source))
	if err != nil {
		return nil, message(failure(err))
	}
	if len(vm.compiled) >= maxCompiled {
		clear(vm.compiled)
	}
	vm.compiled[source] = compiled
	return compiled, nil
}

// message leaves out the code of a syntax error, as AWS does.
func message(err error) error {
	if failed, ok := errors.AsType[*EvaluationError](err); ok && failed.Code != "" {
		return &EvaluationError{Message: failed.Message}
	}
	return err
}

// errTimeout ends an evaluation that takes too long, in the words of the language's own playground.
var errTimeout = errors.New("Expression evaluation timeout: Check for infinite loop")

func (vm *runtime) eval(ctx context.Context, source string, env Environment) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, cmp.Or(env.Time, MaxTime), errTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { vm.Interrupt(context.Cause(ctx)) })

	vm.now, vm.random = env.Now, env.Random
	value, err := vm.run(source, env)

	// If the interruption has begun, it may come at any time.
	vm.spent = !stop()
	return value, err
}

func (vm *runtime) run(source string, env Environment) (json.RawMessage, error) {
	compiled, err := vm.compile(source)
	if err != nil {
		return nil, err
	}
	variables, err := json.Marshal(env.Variables)
	if err != nil {
		return nil, fmt.Errorf("writing the variables: %w", err)
	}
	value, err := vm.evaluate(goja.Undefined(), compiled, vm.ToValue(string(variables)))
	if err != nil {
		return nil, failure(err)
	}
	if goja.IsUndefined(value) {
		return nil, ErrNothing
	}
	return json.RawMessage(value.String()), nil
}

// failure is the error of a call into the engine.
func failure(err error) error {
	if interrupted, ok := errors.AsType[*goja.InterruptedError](err); ok {
		return &EvaluationError{Message: fmt.Sprint(interrupted.Value())}
	}
	if exception, ok := errors.AsType[*goja.Exception](err); ok {
		return thrown(exception.Value())
	}
	return &EvaluationError{Message: err.Error()}
}

// thrown is the error of a value that JSONata has thrown.
func thrown(value goja.Value) error {
	object, ok := value.(*goja.Object)
	if !ok {
		return &EvaluationError{Message: value.String()}
	}
	text := func(name string) string {
		if field := object.Get(name); field != nil && !goja.IsUndefined(field) {
			return field.String()
		}
		return ""
	}
	code := text("code")
	if code == unsupportedResult {
		return ErrUnsupported
	}
	out := &EvaluationError{Code: code, Message: text("message")}
	if out.Message == "" {
		out.Message = value.String()
	}
	return out
}

// unsupportedResult is the code of stepfunctions.js for a result that is a function.
const unsupportedResult = "UNSUPPORTED_RESULT"
