package asl

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// predicate decides on a node; root is what $ in a filter stands for.
type predicate func(node, root any) bool

// operand gives a side of a comparison; false for a path that selects nothing.
type operand func(node, root any) (any, bool)

// comparison is an operator of Jayway's JSONPath.
// https://github.com/json-path/JsonPath#filter-operators
type comparison func(left, right any) bool

// comparisons are the operators but for =~, by their name. Those of letters stand last, and longer ones before their beginnings.
var comparisons = []struct {
	name string
	test comparison
}{
	{"==", equalValues},
	{"!=", func(l, r any) bool { return !equalValues(l, r) }},
	{"<=", ordered(func(o int) bool { return o <= 0 })},
	{">=", ordered(func(o int) bool { return o >= 0 })},
	{"<", ordered(func(o int) bool { return o < 0 })},
	{">", ordered(func(o int) bool { return o > 0 })},
	{"in", inList},
	{"nin", func(l, r any) bool { return !inList(l, r) }},
	{"subsetof", func(l, r any) bool { return every(l, r, true) }},
	{"anyof", overlap},
	{"noneof", func(l, r any) bool { return every(l, r, false) }},
	{"contains", contains},
	{"size", hasSize},
	{"empty", func(l, r any) bool { empty, ok := r.(bool); return ok && isEmpty(l) == empty }},
}

func comparisonNames() string {
	names := make([]string, 0, len(comparisons)+1)
	for _, c := range comparisons {
		names = append(names, c.name)
	}

	return strings.Join(append(names, "=~"), ", ")
}

// ordered compares two numbers, or two strings.
func ordered(accept func(int) bool) comparison {
	return func(left, right any) bool {
		for _, kind := range []operandKind{kindNumeric, kindString} {
			if o, ok := compareAs(kind, left, right); ok {
				return accept(o)
			}
		}

		return false
	}
}

func inList(left, right any) bool {
	list, ok := right.([]any)

	return ok && slices.ContainsFunc(list, func(item any) bool { return equalValues(left, item) })
}

// every tells whether all elements on the left are, or are not, on the right.
func every(left, right any, found bool) bool {
	list, ok := left.([]any)

	return ok && !slices.ContainsFunc(list, func(item any) bool { return inList(item, right) != found })
}

func overlap(left, right any) bool {
	list, ok := left.([]any)

	return ok && slices.ContainsFunc(list, func(item any) bool { return inList(item, right) })
}

func contains(left, right any) bool {
	if text, ok := left.(string); ok {
		part, isText := right.(string)

		return isText && strings.Contains(text, part)
	}

	return inList(right, left)
}

func hasSize(left, right any) bool {
	n, ok := right.(json.Number)
	if !ok {
		return false
	}

	switch v := left.(type) {
	case string:
		return compareNumbers(intNumber(int64(utf8.RuneCountInString(v))), n) == 0
	case []any:
		return compareNumbers(intNumber(int64(len(v))), n) == 0
	default:
		return false
	}
}

func isEmpty(value any) bool {
	switch v := value.(type) {
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case *object:
		return len(v.keys) == 0
	default:
		return false
	}
}

// filter reads a filter behind its question mark, parentheses included.
func (r *pathReader) filter() (selector, error) {
	r.space()

	if r.peek() != '(' {
		return selector{}, r.errorf("a filter stands in parentheses: [?(@.a == 1)]")
	}

	test, err := r.term()

	return selector{kind: byFilter, filter: test}, err
}

// either reads conditions between ||.
func (r *pathReader) either() (predicate, error) { return r.joined("||", true, r.both) }

// both reads conditions between &&.
func (r *pathReader) both() (predicate, error) { return r.joined("&&", false, r.term) }

// joined reads parts between a word; the first that gives decisive decides.
func (r *pathReader) joined(word string, decisive bool, part func() (predicate, error)) (predicate, error) {
	var parts []predicate

	for {
		test, err := part()
		if err != nil {
			return nil, err
		}

		parts = append(parts, test)

		r.space()

		if !r.take(word) {
			break
		}
	}

	if len(parts) == 1 {
		return parts[0], nil
	}

	return func(node, root any) bool {
		return slices.ContainsFunc(parts, func(test predicate) bool { return test(node, root) == decisive }) == decisive
	}, nil
}

// term reads a negation, a condition in parentheses, or a comparison.
func (r *pathReader) term() (predicate, error) {
	if r.depth++; r.depth > maxFilterDepth {
		return nil, r.errorf("the filter is nested too deeply")
	}

	defer func() { r.depth-- }()

	r.space()

	if r.take("!") {
		inner, err := r.term()

		return func(node, root any) bool { return !inner(node, root) }, err
	}

	if !r.take("(") {
		return r.comparison()
	}

	inner, err := r.either()
	if err != nil {
		return nil, err
	}

	if r.space(); !r.take(")") {
		return nil, r.errorf(`expected ")", "&&", "||" or an operator: %s`, comparisonNames())
	}

	return inner, nil
}

// maxFilterDepth bounds the reader's recursion.
const maxFilterDepth = 100

// comparison reads an operand, alone or with an operator and another one.
func (r *pathReader) comparison() (predicate, error) {
	isPath := r.peek() == '@' || r.peek() == '$'

	left, err := r.operand()
	if err != nil {
		return nil, err
	}

	r.space()

	if r.take("=~") {
		return r.match(left)
	}

	for _, c := range comparisons {
		if !r.operator(c.name) {
			continue
		}

		right, err := r.operand()
		if err != nil {
			return nil, err
		}

		return compared(left, right, c.name == "!=", c.test), nil
	}

	if !isPath {
		return nil, r.errorf("expected an operator: %s", comparisonNames())
	}

	return func(node, root any) bool {
		_, found := left(node, root)

		return found
	}, nil
}

// compared compares where both sides are there. What isn't there is unequal to everything.
func compared(left, right operand, unequal bool, test comparison) predicate {
	return func(node, root any) bool {
		l, foundLeft := left(node, root)
		r, foundRight := right(node, root)

		if !foundLeft || !foundRight {
			return unequal
		}

		return test(l, r)
	}
}

// operator skips the operator if it stands here; one of letters, in either case, as a word of its own.
func (r *pathReader) operator(name string) bool {
	rest := r.text[r.pos:]
	if len(rest) < len(name) || !strings.EqualFold(rest[:len(name)], name) {
		return false
	}

	if isNameByte(name[0]) && len(rest) > len(name) && isNameByte(rest[len(name)]) {
		return false
	}

	r.pos += len(name)

	return true
}

// operand reads a path of the node (@) or of the root ($), or a literal.
func (r *pathReader) operand() (operand, error) {
	r.space()

	switch c := r.peek(); c {
	case '@', '$':
		return r.pathOperand()
	case '\'', '"':
		text, err := r.quoted()

		return literal(text), err
	default:
		return r.literal()
	}
}

func literal(value any) operand { return func(any, any) (any, bool) { return value, true } }

func (r *pathReader) pathOperand() (operand, error) {
	ofNode := r.take("@")

	inner := &path{}
	if !ofNode {
		r.take("$")
	}

	var err error
	if inner.steps, err = r.steps(); err != nil {
		return nil, err
	}

	inner.define()

	return func(node, root any) (any, bool) {
		from := root
		if ofNode {
			from = node
		}

		if inner.definite {
			value, miss := inner.follow(from)

			return value, miss == nil
		}

		list := inner.all(from, root)

		return list, len(list) > 0
	}, nil
}

// literal reads a JSON value, whose strings may stand in single quotes.
func (r *pathReader) literal() (operand, error) {
	start := r.pos

	var text strings.Builder

	for depth := 0; r.pos < len(r.text); {
		switch c := r.text[r.pos]; {
		case c == '\'' || c == '"':
			inner, err := r.quoted()
			if err != nil {
				return nil, err
			}

			text.Write(encodedText(inner))

			continue
		case c == '[' || c == '{':
			depth++
		case depth == 0 && strings.IndexByte(" \t\r\n)&|=!<>~", c) >= 0:
			return r.literalValue(start, text.String())
		case c == ']' || c == '}':
			depth--
		}

		text.WriteByte(r.text[r.pos])
		r.pos++
	}

	return r.literalValue(start, text.String())
}

func (r *pathReader) literalValue(start int, text string) (operand, error) {
	value, err := decodeJSON([]byte(text))
	if err != nil {
		r.pos = start

		return nil, r.errorf("expected @, $, a string, a number, true, false, null or a list")
	}

	return literal(value), nil
}

var errUnknownFlag = errors.New("unknown flag of a regular expression; known are i, m and s")

// match reads a regular expression, /text/flags, which has to match the whole of a string.
func (r *pathReader) match(left operand) (predicate, error) {
	r.space()

	if !r.take("/") {
		return nil, r.errorf("expected a regular expression between slashes")
	}

	start := r.pos
	for r.pos < len(r.text) && r.text[r.pos] != '/' {
		if r.text[r.pos] == '\\' {
			r.pos++
		}

		r.pos++
	}

	if r.pos >= len(r.text) {
		r.pos = start

		return nil, r.errorf("the regular expression has no end")
	}

	source := r.text[start:r.pos]
	r.pos++

	expression, err := compileRegexp(source, r.while(isNameByte))
	if err != nil {
		return nil, r.errorf("%v", err)
	}

	return func(node, root any) bool {
		value, _ := left(node, root)
		text, ok := value.(string)

		return ok && expression.MatchString(text)
	}, nil
}

func compileRegexp(source, flags string) (*regexp.Regexp, error) {
	if strings.Trim(flags, "ims") != "" {
		return nil, fmt.Errorf("%q: %w", flags, errUnknownFlag)
	}

	if flags != "" {
		flags = "(?" + flags + ")"
	}

	expression, err := regexp.Compile(flags + `\A(?:` + strings.ReplaceAll(source, `\/`, "/") + `)\z`)
	if err != nil {
		return nil, fmt.Errorf("reading the regular expression: %w", err)
	}

	return expression, nil
}
