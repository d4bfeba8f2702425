package asl

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

const dynamicSuffix = ".$"

var (
	errEmptyKey     = errors.New(`the key ".$" has no name in front of the suffix`)
	errDuplicateKey = errors.New("the key is given twice, with and without the suffix .$")
	errNotString    = errors.New(`the value of a key that ends in ".$" must be a string`)
)

// template is a payload template (Parameters, ResultSelector, Credentials):
// JSON in which the values of keys ending in ".$" are computed.
type template interface {
	build(s *scope) (any, error)
}

type constant struct{ value any }

func (t constant) build(*scope) (any, error) { return t.value, nil }

type dynamic struct{ expr expression }

func (t dynamic) build(s *scope) (any, error) { return t.expr.eval(s) }

type objectTemplate map[string]template

func (t objectTemplate) build(s *scope) (any, error) {
	out := make(map[string]any, len(t))

	// In key order, so that of several faults always the same one is reported.
	for _, key := range slices.Sorted(maps.Keys(t)) {
		value, err := t[key].build(s)
		if err != nil {
			named := asError(err)

			return nil, &Error{Name: named.Name, Cause: key + ": " + named.Cause}
		}

		out[key] = value
	}

	return out, nil
}

type arrayTemplate []template

func (t arrayTemplate) build(s *scope) (any, error) {
	out := make([]any, len(t))

	for i, item := range t {
		value, err := item.build(s)
		if err != nil {
			return nil, err
		}

		out[i] = value
	}

	return out, nil
}

// compileTemplate turns a normalized tree into a template and reports each
// fault with its place.
func compileTemplate(value any, field string, report func(field string, err error)) template {
	switch v := value.(type) {
	case map[string]any:
		return compileObject(v, field, report)
	case []any:
		out := make(arrayTemplate, len(v))
		for i, item := range v {
			out[i] = compileTemplate(item, fmt.Sprintf("%s[%d]", field, i), report)
		}

		return out
	default:
		return constant{value: value}
	}
}

func compileObject(object map[string]any, field string, report func(field string, err error)) template {
	out := make(objectTemplate, len(object))

	for _, key := range slices.Sorted(maps.Keys(object)) {
		place := field + "." + key

		name, isDynamic := strings.CutSuffix(key, dynamicSuffix)
		if !isDynamic {
			out[key] = compileTemplate(object[key], place, report)

			continue
		}

		expr, err := compileDynamic(object, name, object[key])
		if err != nil {
			report(place, err)

			continue
		}

		out[name] = dynamic{expr: expr}
	}

	return out
}

func compileDynamic(object map[string]any, name string, value any) (expression, error) {
	if name == "" {
		return nil, errEmptyKey
	}

	if _, both := object[name]; both {
		return nil, errDuplicateKey
	}

	text, ok := value.(string)
	if !ok {
		return nil, fmt.Errorf("%w and is %s", errNotString, kindOf(value))
	}

	return parseExpression(text)
}
