package asl

import (
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/theory/jsonpath"
	"github.com/theory/jsonpath/spec"
)

// Path is an InputPath, OutputPath or ResultPath. Empty means that the field is
// absent, which the language reads as "$"; [Discard] is the JSON null.
//
// The syntax is RFC 9535 JSONPath. Two forms of the AWS guide that the RFC does
// not have are accepted as well: a bracket after a dot ($.a.['b c']) and a
// hyphen in a dotted name ($.error-info). "$$" at the front selects from the
// context object.
type Path string

// Discard is the explicit JSON null. In ResultPath it drops the result and
// passes the input on; in InputPath and OutputPath it stands for an empty object.
const Discard Path = nullText

// MarshalJSON writes null for [Discard] and a string otherwise.
func (p Path) MarshalJSON() ([]byte, error) {
	if p == Discard {
		return []byte(nullText), nil
	}

	return encodeJSON(string(p))
}

var (
	errNotAPath       = errors.New(`a path starts with "$" (state input) or "$$" (context object)`)
	errNotAReference  = errors.New("the path must select exactly one node: only names and array indexes, no wildcard, slice, filter or \"..\"")
	errContextResult  = errors.New("a ResultPath writes to the state input: it cannot start with \"$$\"")
	errNegativeResult = errors.New("a ResultPath cannot use a negative array index")
)

// path is a parsed Path.
type path struct {
	text     string
	context  bool
	definite bool
	query    *jsonpath.Path
}

// scope is what paths and intrinsic functions can see.
type scope struct {
	input   any
	context any
	random  func() float64
}

func parsePath(text string) (*path, error) {
	if !strings.HasPrefix(text, "$") {
		return nil, fmt.Errorf("%q: %w", text, errNotAPath)
	}

	body, context := text, false
	if strings.HasPrefix(text, "$$") {
		body, context = text[1:], true
	}

	query, err := jsonpath.Parse(toStandardPath(body))
	if err != nil {
		return nil, fmt.Errorf("malformed path %q: %w", text, err)
	}

	return &path{
		text: text, context: context, query: query,
		definite: query.Query().Singular() != nil,
	}, nil
}

// parseReference accepts only a path that selects one node.
func parseReference(text string) (*path, error) {
	p, err := parsePath(text)
	if err != nil {
		return nil, err
	}

	if !p.definite {
		return nil, fmt.Errorf("%q: %w", text, errNotAReference)
	}

	return p, nil
}

// resolve returns the selected value. A definite path that selects nothing is
// not found; an indefinite one gives the list of its matches, maybe empty.
func (p *path) resolve(s *scope) (any, bool) {
	root := s.input
	if p.context {
		root = s.context
	}

	nodes := p.query.Select(root)
	if !p.definite {
		return []any(nodes), true
	}

	if len(nodes) == 0 {
		return nil, false
	}

	return nodes[0], true
}

// missing describes a path that selected nothing.
func (p *path) missing() string {
	where := "the state's input"
	if p.context {
		where = "the context object"
	}

	return fmt.Sprintf("the path %s selects nothing in %s", p.text, where)
}

// toStandardPath rewrites the two AWS forms that RFC 9535 does not have.
// Quoted text and everything inside brackets is left alone.
func toStandardPath(text string) string {
	var out strings.Builder

	for i := 0; i < len(text); {
		switch text[i] {
		case '[':
			end := skipBracket(text, i)
			out.WriteString(text[i:end])
			i = end
		case '.':
			i = rewriteSegment(&out, text, i)
		default:
			out.WriteByte(text[i])
			i++
		}
	}

	return out.String()
}

// rewriteSegment copies the segment that starts with the dot at i and returns
// the offset behind it.
func rewriteSegment(out *strings.Builder, text string, i int) int {
	dots := "."
	if strings.HasPrefix(text[i:], "..") {
		dots = ".."
	}

	start := i + len(dots)
	end := start

	for end < len(text) && isNameByte(text[end]) {
		end++
	}

	name := text[start:end]

	switch {
	case name == "" && dots == "." && end < len(text) && text[end] == '[':
		return end // "$.a.['b']": the dot says nothing.
	case !strings.Contains(name, "-"):
		out.WriteString(dots + name)
	case dots == "..":
		out.WriteString("..['" + name + "']")
	default:
		out.WriteString("['" + name + "']")
	}

	return end
}

func isNameByte(c byte) bool {
	return c == '_' || c == '-' || c >= 0x80 ||
		'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// skipBracket returns the offset behind the bracket that opens at i, or the
// text's end when it is never closed.
func skipBracket(text string, i int) int {
	depth := 0

	for i < len(text) {
		switch text[i] {
		case '[':
			depth++
		case ']':
			depth--
		case '\'', '"':
			i = skipQuoted(text, i)

			continue
		}

		i++

		if depth == 0 {
			return i
		}
	}

	return i
}

// skipQuoted returns the offset behind the quoted text that starts at i.
func skipQuoted(text string, i int) int {
	quote := text[i]

	for i++; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case quote:
			return i + 1
		}
	}

	return len(text)
}

// resultTarget is a parsed ResultPath: the names and indexes that lead to the
// place where the result goes.
type resultTarget struct {
	text  string
	steps []spec.Selector
}

func parseResultPath(text string) (*resultTarget, error) {
	p, err := parseReference(text)
	if err != nil {
		return nil, err
	}

	if p.context {
		return nil, fmt.Errorf("%q: %w", text, errContextResult)
	}

	target := &resultTarget{text: text}

	for _, segment := range p.query.Query().Segments() {
		step := segment.Selectors()[0]
		if index, ok := step.(spec.Index); ok && index < 0 {
			return nil, fmt.Errorf("%q: %w", text, errNegativeResult)
		}

		target.steps = append(target.steps, step)
	}

	return target, nil
}

// put returns a copy of input with result at the target; only the containers on
// the way are copied. It fails with [ErrorResultPathMatchFailure].
func (t *resultTarget) put(input, result any) (any, error) {
	return t.assign(input, true, t.steps, result)
}

func (t *resultTarget) assign(node any, present bool, steps []spec.Selector, result any) (any, error) {
	if len(steps) == 0 {
		return result, nil
	}

	if index, ok := steps[0].(spec.Index); ok {
		return t.assignIndex(node, int(index), steps, result)
	}

	name, ok := steps[0].(spec.Name)
	if !ok {
		return nil, failf(ErrorResultPathMatchFailure, "ResultPath %s is not a reference path", t.text)
	}

	object, ok := node.(map[string]any)
	if !ok && present {
		return nil, failf(ErrorResultPathMatchFailure,
			"ResultPath %s needs an object to put %q in, and the input has %s there", t.text, string(name), kindOf(node))
	}

	child, present := object[string(name)]

	value, err := t.assign(child, present, steps[1:], result)
	if err != nil {
		return nil, err
	}

	out := make(map[string]any, len(object)+1)
	maps.Copy(out, object)

	out[string(name)] = value

	return out, nil
}

func (t *resultTarget) assignIndex(node any, index int, steps []spec.Selector, result any) (any, error) {
	array, ok := node.([]any)
	if !ok || index >= len(array) {
		return nil, failf(ErrorResultPathMatchFailure,
			"ResultPath %s needs an array with an element %d, and the input has none there", t.text, index)
	}

	value, err := t.assign(array[index], true, steps[1:], result)
	if err != nil {
		return nil, err
	}

	out := make([]any, len(array))
	copy(out, array)
	out[index] = value

	return out, nil
}

// filter is a parsed InputPath or OutputPath.
type filter struct {
	discard bool
	path    *path
}

// apply selects from value; a path that selects nothing is [ErrorRuntime],
// which nothing can catch.
func (f filter) apply(field string, s *scope, value any) (any, error) {
	if f.discard {
		return map[string]any{}, nil
	}

	if f.path == nil {
		return value, nil
	}

	out, ok := f.path.resolve(&scope{input: value, context: s.context, random: s.random})
	if !ok {
		return nil, failf(ErrorRuntime, "%s: %s", field, f.path.missing())
	}

	return out, nil
}

// sink is a parsed ResultPath field, null and absent included.
type sink struct {
	discard bool
	target  *resultTarget
}

func (r sink) apply(input, result any) (any, error) {
	switch {
	case r.discard:
		return input, nil
	case r.target == nil:
		return result, nil
	default:
		return r.target.put(input, result)
	}
}
