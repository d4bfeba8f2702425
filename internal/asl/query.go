package asl

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/upload-router/internal/asl/jsonata"
)

// The query languages.
const (
	languageJSONPath = "JSONPath"
	// LanguageJSONata is the QueryLanguage of a machine or a state whose fields are computed with JSONata.
	LanguageJSONata = "JSONata"
)

// The marks around an expression in a string.
const (
	queryBegin = "{%"
	queryEnd   = "%}"
)

var (
	errHalfMarked = errors.New("an expression begins with {% and ends with %}, with nothing around them")
	errUnmarked   = errors.New("must be an expression between {% and %}")
	errErrorHere  = errors.New("$states.errorOutput is only in the Output and Assign of a Catch")
)

// statesVariable is the variable that every expression has.
const statesVariable = "states"

// expressionText is the text between the marks.
func expressionText(text string) string {
	return strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(text, queryBegin), queryEnd))
}

// evaluation is what the expressions of a state see.
type evaluation struct {
	run         *run
	environment jsonata.Environment
}

// evaluation makes what expressions see: the state's input, the context object, and more members of $states by name and value.
func (r *run) evaluation(in payload, more ...any) *evaluation {
	states := objectOf(append([]any{"input", in.value, "context", r.contextObject()}, more...)...)
	variables := map[string]json.RawMessage{}

	if r.variables != nil {
		for _, name := range r.variables.keys {
			variables[name] = encodeTree(r.variables.values[name])
		}
	}

	variables[statesVariable] = encodeTree(states)

	return &evaluation{run: r, environment: jsonata.Environment{
		Variables: variables, Now: r.clock.Now(), Random: r.program.interpreter.Random,
	}}
}

// about is what the expressions of an ItemSelector see.
func (e *evaluation) about(item *object) *evaluation {
	// Of our own making, so that it can be read.
	value, _ := decodeJSON(e.environment.Variables[statesVariable])
	states, _ := value.(*object)
	seen, _ := states.values["context"].(*object)
	variables := maps.Clone(e.environment.Variables)
	variables[statesVariable] = encodeTree(states.with("context", seen.with("Map", objectOf("Item", item))))

	environment := e.environment
	environment.Variables = variables

	return &evaluation{run: e.run, environment: environment}
}

// assign sets variables.
func (r *run) assign(assigned *object) {
	for _, name := range assigned.keys {
		r.variables = r.variables.with(name, assigned.values[name])
	}
}

// query is a JSON value in whose strings expressions may stand.
type query = formula[*evaluation]

// computedQuery is an expression; field is its place in the state, as AWS names it.
type computedQuery struct {
	field      string
	expression *jsonata.Expression
}

func (q computedQuery) eval(e *evaluation) (any, error) {
	raw, err := q.expression.Eval(e.run.ctx, e.environment)
	if err == nil {
		return decodeJSON(raw)
	}

	var failed *jsonata.EvaluationError

	switch {
	case e.run.ctx.Err() != nil:
		return nil, errAborted
	case errors.Is(err, jsonata.ErrNothing), errors.Is(err, jsonata.ErrUnsupported):
		return nil, q.failf(e, " %v.", err)
	case errors.As(err, &failed) && failed.Code != "":
		return nil, q.failf(e, " threw an error during evaluation. %v", failed)
	default:
		return nil, q.failf(e, " threw an error during evaluation: %v", err)
	}
}

// failf begins with AWS's sentence, which names the expression and its field.
func (q computedQuery) failf(e *evaluation, format string, args ...any) *Error {
	sentence := fmt.Sprintf("The JSONata expression '%s' specified for the field '%s'", q.expression, q.field)

	return failf(ErrorQueryEvaluation, "%s%s%s", e.run.failed(), sentence, fmt.Sprintf(format, args...))
}

// unexpected is for a value of another kind than the field takes.
func (q computedQuery) unexpected(e *evaluation, want string, value any) *Error {
	return q.failf(e, " returned an unexpected result type. Expected '%s', but was '%s' for value: %s",
		want, jsonType(value), encodeTree(value))
}

// optionalQuery reads a field that may hold expressions; nil without it.
func (c *checker) optionalQuery(field string, value any) query {
	if value == nil {
		return nil
	}

	tree, err := c.tree(field, value)
	if err != nil {
		c.add(field, err)

		return nil
	}

	return c.query(field, tree)
}

// query reads a normalized tree that may hold expressions.
func (c *checker) query(field string, value any) query {
	switch v := value.(type) {
	case *object:
		out := make(objectFormula[*evaluation], 0, len(v.keys))
		for _, key := range v.keys {
			out = append(out, member[*evaluation]{key, c.query(field+"/"+key, v.values[key])})
		}

		return out
	case []any:
		out := make(arrayFormula[*evaluation], len(v))
		for i, item := range v {
			out[i] = c.query(field+"["+strconv.Itoa(i)+"]", item)
		}

		return out
	case string:
		return c.queryText(field, v)
	default:
		return fixed[*evaluation]{value}
	}
}

func (c *checker) queryText(field, text string) query {
	begins, ends := strings.HasPrefix(text, queryBegin), strings.HasSuffix(text, queryEnd)

	if !begins && !ends {
		return fixed[*evaluation]{text}
	}

	if begins != ends || len(text) < len(queryBegin)+len(queryEnd) {
		c.add(field, errHalfMarked)

		return fixed[*evaluation]{}
	}

	expression, err := jsonata.Parse(expressionText(text))
	if err != nil {
		c.add(field, err)

		return fixed[*evaluation]{}
	}

	if expression.ReadsErrorOutput() && !strings.HasPrefix(field, catchField) {
		c.add(field, errErrorHere)
	}

	return computedQuery{field: field, expression: expression}
}

// expression reads a field that must be one expression.
func (c *checker) expression(field, text string) computedQuery {
	computed, ok := c.queryText(field, text).(computedQuery)
	if !ok && !strings.HasPrefix(text, queryBegin) {
		c.add(field, errUnmarked)
	}

	return computed
}

// assignment reads an Assign field.
func (c *checker) assignment(field string, assign map[string]any) query {
	if assign == nil {
		return nil
	}

	c.freeNames(field, assign)

	return c.optionalQuery(field, assign)
}

// constants reads the Assign field of a rule in JSONPath. It isn't documented what a path in it sees beside an InputPath.
func (c *checker) constants(field string, assign map[string]any) *object {
	if assign == nil {
		return nil
	}

	c.freeNames(field, assign)

	tree, err := c.tree(field, assign)
	if err != nil {
		c.add(field, err)

		return nil
	}

	out, _ := tree.(*object)
	if hasDynamic(out) {
		c.addf(field, "only constants are supported in a rule of JSONPath: leave out %q", dynamicSuffix)
	}

	return out
}

// freeNames reports a variable by the language's own name.
func (c *checker) freeNames(field string, assign map[string]any) {
	if _, reserved := assign[statesVariable]; reserved {
		c.addf(field, "$%s is the language's own: choose another name", statesVariable)
	}
}

// hasDynamic says whether a value has a key whose value a payload template computes.
func hasDynamic(value any) bool {
	switch v := value.(type) {
	case *object:
		return slices.ContainsFunc(v.keys, func(key string) bool { return strings.HasSuffix(key, dynamicSuffix) || hasDynamic(v.values[key]) })
	case []any:
		return slices.ContainsFunc(v, hasDynamic)
	}

	return false
}

// language sets and returns whether the state is in JSONata.
func (c *checker) inJSONata(language string) bool {
	switch {
	case language != "" && language != languageJSONPath && language != LanguageJSONata:
		c.addf(languageField, `%q is not supported: use "JSONPath" or "JSONata"`, language)
	case language == languageJSONPath && c.language == LanguageJSONata:
		c.addf(languageField, "can not be 'JSONPath' if set to 'JSONata' for whole state machine")
	}

	if language == "" {
		language = c.language
	}

	return language == LanguageJSONata
}

// excluded reports fields that belong to the other query language.
func (c *checker) excluded(of, prefix string, fields map[string]bool) {
	for field, set := range fields {
		switch {
		case set && of == LanguageJSONata:
			c.addf(prefix+field, "is of JSONata: set QueryLanguage to it, or use a field of JSONPath")
		case set:
			c.addf(prefix+field, "is of JSONPath: a state in JSONata has Arguments, Output and Assign")
		}
	}
}

// results are the fields of JSONata that make what a state leaves.
type results struct{ output, assign query }

func (c *checker) results(prefix string, output any, assign map[string]any) results {
	return results{
		output: c.optionalQuery(prefix+outputField, output),
		assign: c.assignment(prefix+assignField, assign),
	}
}

// leave computes output and variables; without an Output otherwise is the output.
func (q results) leave(e *evaluation, otherwise payload, next string) (outcome, error) {
	out := outcome{data: otherwise, next: next}

	if q.output != nil {
		value, err := q.output.eval(e)
		if err != nil {
			return outcome{}, err
		}

		if out.data, err = newPayload("state's output", value); err != nil {
			return outcome{}, err
		}
	}

	if q.assign == nil {
		return out, nil
	}

	value, err := q.assign.eval(e)
	if err != nil {
		return outcome{}, err
	}

	out.assigned, _ = value.(*object)

	return out, nil
}

// queryNode is a Pass or a Succeed in JSONata.
type queryNode struct {
	results results
	next    string
}

func (n *queryNode) run(r *run, in payload) (outcome, error) {
	return n.results.leave(r.evaluation(in), in, n.next)
}

// queryBranch is one rule of a Choice in JSONata.
type queryBranch struct {
	condition computedQuery
	results   results
	next      string
	label     string
}

type queryChoiceNode struct {
	choices  []queryBranch
	results  results
	fallback string
}

func (n *queryChoiceNode) run(r *run, in payload) (outcome, error) {
	e := r.evaluation(in)
	next, label, results := n.fallback, defaultField, n.results

	for _, choice := range n.choices {
		value, err := choice.condition.eval(e)
		if err != nil {
			return outcome{}, err
		}

		met, ok := value.(bool)
		if !ok {
			return outcome{}, choice.condition.unexpected(e, "boolean", value)
		}

		if met {
			next, label, results = choice.next, choice.label, choice.results

			break
		}
	}

	if next == "" {
		return outcome{}, failf(ErrorNoChoiceMatched, "%s%s", r.failed(), noChoice)
	}

	if err := r.emit(Event{Type: ChoiceMade, State: r.state, Choice: label, Next: next}); err != nil {
		return outcome{}, err
	}

	return results.leave(e, in, next)
}

// queryWaitNode is a Wait in JSONata: one of its two expressions, or a fixed time.
type queryWaitNode struct {
	fixed              *waitNode
	seconds, timestamp *computedQuery
	results            results
	next               string
}

func (n *queryWaitNode) run(r *run, in payload) (outcome, error) {
	e := r.evaluation(in)

	d, err := n.duration(e)
	if err != nil {
		return outcome{}, err
	}

	if d > 0 {
		if err := r.sleep(d); err != nil {
			return outcome{}, err
		}
	}

	return n.results.leave(e, in, n.next)
}

func (n *queryWaitNode) duration(e *evaluation) (time.Duration, error) {
	switch {
	case n.seconds != nil:
		value, err := n.seconds.eval(e)
		if err != nil {
			return 0, err
		}

		seconds, ok := wholeSeconds(value)
		if !ok || seconds < 0 || seconds > maxSeconds {
			return 0, n.seconds.unexpected(e, "integer", value)
		}

		return time.Duration(seconds) * time.Second, nil
	case n.timestamp != nil:
		value, err := n.timestamp.eval(e)
		if err != nil {
			return 0, err
		}

		text, _ := value.(string)

		until, err := parseTimestamp(text)
		if err != nil {
			return 0, n.timestamp.unexpected(e, "timestamp", value)
		}

		return untilSecond(until, e.run.clock.Now()), nil
	default:
		return n.fixed.duration(nil, e.run.clock.Now())
	}
}

// queryFailNode is a Fail in JSONata.
type queryFailNode struct{ name, cause query }

func (n *queryFailNode) run(r *run, in payload) (outcome, error) {
	e := r.evaluation(in)

	name, err := failString(e, n.name)
	if err != nil {
		return outcome{}, err
	}

	cause, err := failString(e, n.cause)
	if err != nil {
		return outcome{}, err
	}

	return outcome{}, &Error{Name: name, Cause: cause}
}

func failString(e *evaluation, q query) (string, error) {
	if q == nil {
		return "", nil
	}

	value, err := q.eval(e)
	if err != nil {
		return "", err
	}

	text, ok := value.(string)
	if computed, dynamic := q.(computedQuery); !ok && dynamic {
		return "", computed.unexpected(e, "string", value)
	}

	return text, nil
}
