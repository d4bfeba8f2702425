package asl

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"upload-router/internal/asl/jsonata"
)

// The query languages.
const (
	languageJSONPath = "JSONPath"
	// LanguageJSONata is the QueryLanguage of a Pass state that computes its
	// Output with JSONata, as far as package jsonata knows it.
	LanguageJSONata = "JSONata"
)

// The marks around an expression in a string.
const (
	queryBegin = "{%"
	queryEnd   = "%}"
)

var errHalfMarked = errors.New("an expression begins with {% and ends with %}, with nothing around them")

// query is a JSON value in whose strings expressions may stand.
type query interface {
	compute(env jsonata.Environment) (any, error)
}

type fixedQuery struct{ value any }

func (q fixedQuery) compute(jsonata.Environment) (any, error) { return q.value, nil }

type computedQuery struct {
	place      string
	expression *jsonata.Expression
}

func (q computedQuery) compute(env jsonata.Environment) (any, error) {
	value, err := q.expression.Eval(env)
	if err != nil {
		return nil, failf(ErrorQueryEvaluation, "%s: %v", q.place, err)
	}

	return value, nil
}

type objectQuery map[string]query

func (q objectQuery) compute(env jsonata.Environment) (any, error) {
	out := make(map[string]any, len(q))

	for _, key := range slices.Sorted(maps.Keys(q)) {
		value, err := q[key].compute(env)
		if err != nil {
			return nil, err
		}

		out[key] = value
	}

	return out, nil
}

type arrayQuery []query

func (q arrayQuery) compute(env jsonata.Environment) (any, error) {
	out := make([]any, len(q))

	for i, item := range q {
		value, err := item.compute(env)
		if err != nil {
			return nil, err
		}

		out[i] = value
	}

	return out, nil
}

// query reads a field that may hold expressions.
func (c *checker) query(field string, value any) query {
	switch v := value.(type) {
	case map[string]any:
		out := make(objectQuery, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			out[key] = c.query(field+"."+key, v[key])
		}

		return out
	case []any:
		out := make(arrayQuery, len(v))
		for i, item := range v {
			out[i] = c.query(field+"["+strconv.Itoa(i)+"]", item)
		}

		return out
	case string:
		return c.queryText(field, v)
	default:
		return fixedQuery{value: value}
	}
}

func (c *checker) queryText(field, text string) query {
	source, begins := strings.CutPrefix(text, queryBegin)
	source, ends := strings.CutSuffix(source, queryEnd)

	if !begins && !ends {
		return fixedQuery{value: text}
	}

	if begins != ends {
		c.add(field, errHalfMarked)

		return fixedQuery{}
	}

	expression, err := jsonata.Parse(source)
	if err != nil {
		c.add(field, err)

		return fixedQuery{}
	}

	return computedQuery{place: field, expression: expression}
}

// compileQuery is compile for a Pass in JSONata.
func (p *Pass) compileQuery(c *checker) node {
	for field, set := range map[string]bool{
		"InputPath": p.InputPath != "", "Parameters": p.Parameters != nil, "Result": p.Result != nil,
		"ResultPath": p.ResultPath != "", "OutputPath": p.OutputPath != "",
	} {
		if set {
			c.addf(field, "is of JSONPath: a state in JSONata has Output")
		}
	}

	if p.Output == nil {
		return &queryNode{next: p.Next}
	}

	value, err := normalize(p.Output)
	if err != nil {
		c.add("Output", err)
	}

	return &queryNode{output: c.query("Output", value), next: p.Next}
}

// queryNode is a Pass in JSONata; without output it passes its input on.
type queryNode struct {
	output query
	next   string
}

func (n *queryNode) run(r *run, in payload) (outcome, error) {
	if n.output == nil {
		return outcome{data: in, next: n.next}, nil
	}

	value, err := n.output.compute(jsonata.Environment{Input: in.value, Context: r.contextObject(), Now: r.clock.Now()})
	if err != nil {
		return outcome{}, err
	}

	data, err := newPayload("state's output", value)

	return outcome{data: data, next: n.next}, err
}
