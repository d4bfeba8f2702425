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

// compileTemplate makes a payload template (Parameters, ResultSelector, Credentials) of a normalized tree: JSON in which the
// values of keys ending in ".$" are computed. It reports each fault with its place.
func compileTemplate(value any, field string, report func(field string, err error)) expression {
	switch v := value.(type) {
	case *object:
		return compileObject(v, field, report)
	case []any:
		out := make(arrayFormula[*scope], len(v))
		for i, item := range v {
			out[i] = compileTemplate(item, fmt.Sprintf("%s[%d]", field, i), report)
		}

		return out
	default:
		return fixed[*scope]{value}
	}
}

func compileObject(source *object, field string, report func(field string, err error)) expression {
	out := make(objectFormula[*scope], 0, len(source.keys))

	for _, key := range source.keys {
		place := field + "." + key

		name, isDynamic := strings.CutSuffix(key, dynamicSuffix)
		if !isDynamic {
			out = append(out, member[*scope]{key, compileTemplate(source.values[key], place, report)})

			continue
		}

		expr, err := compileDynamic(source, name, key)
		if err != nil {
			report(place, err)

			continue
		}

		out = append(out, member[*scope]{name, expr})
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
