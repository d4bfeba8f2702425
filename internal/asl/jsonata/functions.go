package jsonata

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// function is one of JSONata's.
type function struct {
	arguments int
	call      func(env Environment, arguments []any) (any, error)
}

// functions are those that are supported. https://docs.jsonata.org/string-functions and the pages beside it.
var functions = map[string]function{
	"exists": {1, func(_ Environment, a []any) (any, error) {
		_, nothing := a[0].(missing)
		return !nothing, nil
	}},
	"floor": {1, func(_ Environment, a []any) (any, error) {
		f, err := float(a[0])
		if err != nil {
			return nil, fmt.Errorf("$floor: %w", err)
		}
		return number(math.Floor(f))
	}},
	"fromMillis": {1, func(_ Environment, a []any) (any, error) {
		f, err := float(a[0])
		if err != nil {
			return nil, fmt.Errorf("$fromMillis: %w", err)
		}
		return time.UnixMilli(int64(f)).UTC().Format("2006-01-02T15:04:05.000Z07:00"), nil
	}},
	"merge": {1, merge},
	"millis": {0, func(env Environment, _ []any) (any, error) {
		return number(float64(env.Now.UnixMilli()))
	}},
	"string": {1, func(_ Environment, a []any) (any, error) {
		if _, nothing := a[0].(missing); nothing {
			return missing{}, nil
		}
		return text(a[0])
	}},
}

// Functions are the names of the supported functions, with the $, in order.
func Functions() []string {
	names := make([]string, 0, len(functions))
	for _, name := range slices.Sorted(maps.Keys(functions)) {
		names = append(names, "$"+name)
	}
	return names
}

// merge puts the members of objects into one, a later one's over an earlier one's.
func merge(_ Environment, a []any) (any, error) {
	list, ok := a[0].([]any)
	if !ok {
		return nil, fmt.Errorf("%w: $merge: %s, not an array", ErrEvaluation, kind(a[0]))
	}
	out := map[string]any{}
	for _, item := range list {
		object, ok := item.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%w: $merge: %s in the array, not an object", ErrEvaluation, kind(item))
		}
		maps.Copy(out, object)
	}
	return out, nil
}

// call is a function with its arguments.
type call struct {
	function  function
	arguments []term
}

func (c call) eval(env Environment) (any, error) {
	values := make([]any, len(c.arguments))
	for i, argument := range c.arguments {
		value, err := argument.eval(env)
		if err != nil {
			return nil, err
		}
		values[i] = value
	}
	return c.function.call(env, values)
}
