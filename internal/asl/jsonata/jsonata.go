// Package jsonata is the part of JSONata that the state machine of this project uses, since JSONPath has no clock: paths of
// $states.input and $states.context, literals, objects and arrays, the operators + - * / & = and ?:, and the functions in [Functions].
// What goes beyond that is an error of [Parse], never a wrong value.
//
// It is written here as no Go module of JSONata is maintained and resolves; a JavaScript engine would be much for one expression.
//
// https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html and https://docs.jsonata.org/overview.html
package jsonata

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
)

var (
	// ErrSyntax is matched by every error of [Parse].
	ErrSyntax = errors.New("not in the supported part of JSONata")
	// ErrEvaluation is matched by every error of [Expression.Eval].
	ErrEvaluation = errors.New("the JSONata expression has no value")
)

// Environment is what an expression sees. Values are nil, bool, [json.Number], string, []any and map[string]any.
type Environment struct {
	// Input is $states.input, Context is $states.context.
	Input, Context any
	// Now is the time that $millis gives.
	Now time.Time
}

// Expression is a parsed expression.
type Expression struct{ root term }

// missing is the value of a path to what isn't there: JSONata's "nothing", which is no error until it is the result.
type missing struct{}

// term is a part of an expression.
type term interface {
	eval(env Environment) (any, error)
}

// Eval computes the value. The error matches [ErrEvaluation].
func (e *Expression) Eval(env Environment) (any, error) {
	value, err := e.root.eval(env)
	if err != nil {
		return nil, err
	}
	if _, nothing := value.(missing); nothing {
		return nil, fmt.Errorf("%w: it refers to something that isn't there", ErrEvaluation)
	}
	return value, nil
}

type literal struct{ value any }

func (l literal) eval(Environment) (any, error) { return l.value, nil }

// path is a path of $states.input or $states.context.
type path struct {
	context bool
	fields  []string
}

func (p path) eval(env Environment) (any, error) {
	value := env.Input
	if p.context {
		value = env.Context
	}
	for _, field := range p.fields {
		object, ok := value.(map[string]any)
		if !ok {
			if _, list := value.([]any); list {
				return nil, fmt.Errorf("%w: the path goes through an array, which isn't supported", ErrEvaluation)
			}
			return missing{}, nil
		}
		if value, ok = object[field]; !ok {
			return missing{}, nil
		}
	}
	return value, nil
}

type array []term

func (a array) eval(env Environment) (any, error) {
	out := make([]any, 0, len(a))
	for _, item := range a {
		value, err := item.eval(env)
		if err != nil {
			return nil, err
		}
		if _, nothing := value.(missing); !nothing {
			out = append(out, value)
		}
	}
	return out, nil
}

type member struct {
	key   string
	value term
}

type object []member

func (o object) eval(env Environment) (any, error) {
	out := make(map[string]any, len(o))
	for _, m := range o {
		value, err := m.value.eval(env)
		if err != nil {
			return nil, err
		}
		if _, nothing := value.(missing); !nothing {
			out[m.key] = value
		}
	}
	return out, nil
}

// choice is condition ? yes : no.
type choice struct{ condition, yes, no term }

func (c choice) eval(env Environment) (any, error) {
	value, err := c.condition.eval(env)
	if err != nil {
		return nil, err
	}
	switch is := value.(type) {
	case bool:
		if is {
			return c.yes.eval(env)
		}
		return c.no.eval(env)
	default:
		// JSONata takes anything for true or false; a mistake is likelier here.
		return nil, fmt.Errorf("%w: the condition of ?: is %s, not true or false", ErrEvaluation, kind(value))
	}
}

// binary is an operator between two terms.
type binary struct {
	operator    byte
	left, right term
}

func (b binary) eval(env Environment) (any, error) {
	left, err := b.left.eval(env)
	if err != nil {
		return nil, err
	}
	right, err := b.right.eval(env)
	if err != nil {
		return nil, err
	}
	switch b.operator {
	case '&':
		return concatenate(left, right)
	case '=':
		return equal(left, right)
	}
	_, noLeft := left.(missing)
	_, noRight := right.(missing)
	if noLeft || noRight {
		return missing{}, nil
	}
	return compute(b.operator, left, right)
}

// equal compares two values that aren't made of others. Nothing equals nothing, not even itself.
func equal(left, right any) (any, error) {
	for _, value := range []any{left, right} {
		switch value.(type) {
		case []any, map[string]any:
			return nil, fmt.Errorf("%w: = between %s and %s isn't supported", ErrEvaluation, kind(left), kind(right))
		case missing:
			return false, nil
		}
	}
	_, numbers := left.(json.Number)
	if _, number := right.(json.Number); !numbers || !number {
		return left == right, nil
	}
	a, err := float(left)
	if err != nil {
		return nil, err
	}
	b, err := float(right)
	return a == b, err
}

func concatenate(left, right any) (any, error) {
	first, err := text(left)
	if err != nil {
		return nil, err
	}
	second, err := text(right)
	return first + second, err
}

func compute(operator byte, left, right any) (any, error) {
	a, err := float(left)
	if err != nil {
		return nil, fmt.Errorf("%w on the left of %c", err, operator)
	}
	b, err := float(right)
	if err != nil {
		return nil, fmt.Errorf("%w on the right of %c", err, operator)
	}
	switch operator {
	case '+':
		return number(a + b)
	case '-':
		return number(a - b)
	case '*':
		return number(a * b)
	default:
		return number(a / b)
	}
}

// text is a value as & and $string write it.
func text(value any) (string, error) {
	switch v := value.(type) {
	case missing:
		return "", nil
	case string:
		return v, nil
	case json.Number:
		f, err := float(v)
		if err != nil {
			return "", err
		}
		return digits(f), nil
	case bool:
		return strconv.FormatBool(v), nil
	default:
		return "", fmt.Errorf("%w: %s as text isn't supported", ErrEvaluation, kind(value))
	}
}

func float(value any) (float64, error) {
	n, ok := value.(json.Number)
	if !ok {
		return 0, fmt.Errorf("%w: %s, not a number", ErrEvaluation, kind(value))
	}
	f, err := n.Float64()
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrEvaluation, err)
	}
	return f, nil
}

func number(f float64) (any, error) {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return nil, fmt.Errorf("%w: the number is out of range", ErrEvaluation)
	}
	return json.Number(digits(f)), nil
}

// digits writes a number as JavaScript does, up to where that begins to use exponents.
func digits(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func kind(value any) string {
	switch value.(type) {
	case missing:
		return "nothing"
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case json.Number:
		return "a number"
	case string:
		return "a string"
	case []any:
		return "an array"
	default:
		return "an object"
	}
}
