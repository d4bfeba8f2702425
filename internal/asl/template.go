package asl

import (
	"errors"
	"fmt"
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

// objectTemplate has its members in the order of the definition.
type objectTemplate []templateMember

type templateMember struct {
	key   string
	value template
}

func (t objectTemplate) build(s *scope) (any, error) {
	out := newObject(len(t))

	for _, member := range t {
		value, err := member.value.build(s)
		if err != nil {
			return nil, err
		}

		out.set(member.key, value)
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
	case *object:
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

func compileObject(source *object, field string, report func(field string, err error)) template {
	out := make(objectTemplate, 0, len(source.keys))

	for _, key := range source.keys {
		place := field + "." + key

		name, isDynamic := strings.CutSuffix(key, dynamicSuffix)
		if !isDynamic {
			out = append(out, templateMember{key: key, value: compileTemplate(source.values[key], place, report)})

			continue
		}

		expr, err := compileDynamic(source, name, key)
		if err != nil {
			report(place, err)

			continue
		}

		out = append(out, templateMember{key: name, value: dynamic{expr: expr}})
	}

	return out
}

func compileDynamic(source *object, name, key string) (expression, error) {
	if name == "" {
		return nil, errEmptyKey
	}

	if _, both := source.get(name); both {
		return nil, errDuplicateKey
	}

	text, ok := source.values[key].(string)
	if !ok {
		return nil, fmt.Errorf("%w and is %s", errNotString, kindOf(source.values[key]))
	}

	return parseExpression(key, text)
}
