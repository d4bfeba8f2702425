package eventbridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// The operators of the pattern language.
const (
	opAnythingBut = "anything-but"
	opCIDR        = "cidr"
	opExists      = "exists"
	opIgnoreCase  = "equals-ignore-case"
	opNumeric     = "numeric"
	opOr          = "$or"
	opPrefix      = "prefix"
	opSuffix      = "suffix"
	opWildcard    = "wildcard"
)

// operators lists the comparison operators, for error messages and for the names $or does not allow as fields.
var operators = []string{opAnythingBut, opCIDR, opExists, opIgnoreCase, opNumeric, opPrefix, opSuffix, opWildcard}

// ParsePattern parses an event pattern. Every error is a *PatternError that names the place: a field that is neither an
// object nor an array, an empty object or array, a field or operator given twice, an unknown operator or one with a
// value of the wrong kind, a numeric bound beyond NumericLimit, a pattern longer than MaxPatternBytes, wildcards of one field that are more
// complex than MaxWildcardComplexity.
func ParsePattern(pattern []byte) (*Pattern, error) {
	if len(pattern) > MaxPatternBytes {
		return nil, &PatternError{Reason: fmt.Sprintf("it has %d bytes, a rule takes at most %d", len(pattern), MaxPatternBytes)}
	}

	decoder := json.NewDecoder(bytes.NewReader(pattern))
	decoder.UseNumber()
	value, err := decodeValue(decoder, "")
	if err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, &PatternError{Reason: "there is text after the JSON object"}
	}

	root, ok := value.(object)
	if !ok {
		return nil, &PatternError{Reason: `it must be a JSON object such as {"source": ["aws.s3"]}`}
	}
	matcher, err := parseObject(root, nil, false)
	if err != nil {
		return nil, err
	}
	return &Pattern{root: matcher}, nil
}

// member is one name and value of an object, in the order of the text.
type member struct {
	name  string
	value any
}

// object keeps order and is checked for repeated names; encoding/json would keep the last one in silence.
type object []member

func decodeValue(decoder *json.Decoder, path string) (any, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, notJSON(err)
	}
	switch token {
	case json.Delim('{'):
		return decodeObject(decoder, path)
	case json.Delim('['):
		return decodeArray(decoder, path)
	default:
		return token, nil
	}
}

func decodeObject(decoder *json.Decoder, path string) (any, error) {
	var members object
	seen := make(map[string]bool)
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, notJSON(err)
		}
		name, ok := token.(string)
		if !ok {
			return nil, notJSON(nil)
		}
		at := join(path, name)
		if seen[name] {
			return nil, &PatternError{Path: at, Reason: "it is given twice in the same object; merge the two, or use $or"}
		}
		seen[name] = true

		value, err := decodeValue(decoder, at)
		if err != nil {
			return nil, err
		}
		members = append(members, member{name: name, value: value})
	}
	if _, err := decoder.Token(); err != nil {
		return nil, notJSON(err)
	}
	return members, nil
}

func decodeArray(decoder *json.Decoder, path string) (any, error) {
	elements := []any{}
	for decoder.More() {
		value, err := decodeValue(decoder, index(path, len(elements)))
		if err != nil {
			return nil, err
		}
		elements = append(elements, value)
	}
	if _, err := decoder.Token(); err != nil {
		return nil, notJSON(err)
	}
	return elements, nil
}

func notJSON(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return &PatternError{Reason: "it is not JSON: it ends too early"}
	}
	return &PatternError{Reason: "it is not JSON: " + err.Error()}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

func parseObject(members object, path []string, withinOr bool) (*objectMatcher, error) {
	if len(members) == 0 {
		return nil, &PatternError{Path: strings.Join(path, "."), Reason: "an empty object matches nothing; name at least one field"}
	}

	matcher := &objectMatcher{}
	for _, m := range members {
		if m.name == opOr {
			alternatives, err := parseOr(m.value, path)
			if err != nil {
				return nil, err
			}
			matcher.ors = append(matcher.ors, alternatives)
			continue
		}
		field, err := parseField(m, path, withinOr)
		if err != nil {
			return nil, err
		}
		matcher.fields = append(matcher.fields, field)
	}
	return matcher, nil
}

func parseField(m member, path []string, withinOr bool) (fieldMatcher, error) {
	field := fieldMatcher{name: m.name, path: append(slices.Clone(path), m.name)}
	at := strings.Join(field.path, ".")
	if withinOr && slices.Contains(operators, m.name) {
		return field, &PatternError{Path: at, Reason: "inside $or an operator cannot be the name of a field; " +
			"write the field first: {\"field\": [{\"" + m.name + "\": ...}]}"}
	}

	var err error
	switch value := m.value.(type) {
	case object:
		field.sub, err = parseObject(value, field.path, withinOr)
	case []any:
		field.leaf, err = parseLeaf(value, at)
	default:
		err = &PatternError{Path: at, Reason: "it must be an array of values or an object of fields; put the value in [ ]"}
	}
	return field, err
}

func parseOr(value any, path []string) ([]*objectMatcher, error) {
	at := join(strings.Join(path, "."), opOr)
	elements, ok := value.([]any)
	if !ok || len(elements) < 2 {
		return nil, &PatternError{Path: at, Reason: "it must be an array of at least two objects"}
	}
	alternatives := make([]*objectMatcher, 0, len(elements))
	for i, element := range elements {
		members, ok := element.(object)
		if !ok {
			return nil, &PatternError{Path: index(at, i), Reason: "it must be an object of fields"}
		}
		alternative, err := parseObject(members, path, true)
		if err != nil {
			return nil, err
		}
		alternatives = append(alternatives, alternative)
	}
	return alternatives, nil
}

func parseLeaf(elements []any, path string) ([]operator, error) {
	if len(elements) == 0 {
		return nil, &PatternError{Path: path, Reason: "an empty array matches nothing; name at least one value"}
	}
	ops := make([]operator, 0, len(elements))
	for i, element := range elements {
		op, err := parseOperator(element, index(path, i))
		if err != nil {
			return nil, err
		}
		ops = append(ops, op)
	}
	if complexity(wildcardsOf(ops)) > MaxWildcardComplexity {
		return nil, &PatternError{Path: path, Reason: fmt.Sprintf("rule is too complex: a value can match more than %d beginnings of its "+
			"wildcards at once: use fewer wildcards, fewer * in them, or fewer repeating characters after a *", MaxWildcardComplexity)}
	}
	return ops, nil
}

func parseOperator(element any, path string) (operator, error) {
	switch element := element.(type) {
	case []any:
		return nil, &PatternError{Path: path, Reason: "it must be a value or an operator, not an array"}
	case object:
		name, value, err := single(element, path)
		if err != nil {
			return nil, err
		}
		return parseComparison(name, value, join(path, name))
	default:
		return exact{want: element}, nil
	}
}

// single takes the one operator out of an object such as {"prefix": "a"}.
func single(members object, path string) (string, any, error) {
	if len(members) != 1 {
		return "", nil, &PatternError{Path: path, Reason: fmt.Sprintf(
			"it must hold exactly one operator, it holds %d; list alternatives as separate objects", len(members))}
	}
	return members[0].name, members[0].value, nil
}

func parseComparison(name string, value any, path string) (operator, error) {
	switch name {
	case opPrefix:
		return parseAffix(value, path, prefix, prefixFold)
	case opSuffix:
		return parseAffix(value, path, suffix, suffixFold)
	case opIgnoreCase:
		return parseText(value, path, equalFold)
	case opWildcard:
		return parseWildcard(value, path)
	case opAnythingBut:
		return parseAnythingBut(value, path)
	case opNumeric:
		return parseNumeric(value, path)
	case opExists:
		present, ok := value.(bool)
		if !ok {
			return nil, &PatternError{Path: path, Reason: "it must be true or false"}
		}
		return exists(present), nil
	case opCIDR:
		return parseCIDR(value, path)
	default:
		return nil, &PatternError{Path: path, Reason: "it is not an operator; the operators are " + strings.Join(operators, ", ")}
	}
}

// parseAffix reads a prefix or suffix: a string, or {"equals-ignore-case": string}.
func parseAffix(value any, path string, plain, folded func(string) text) (operator, error) {
	members, ok := value.(object)
	if !ok {
		return parseText(value, path, plain)
	}
	name, inner, err := single(members, path)
	if err != nil {
		return nil, err
	}
	if name != opIgnoreCase {
		return nil, &PatternError{Path: join(path, name), Reason: "only equals-ignore-case can stand here"}
	}
	return parseText(inner, join(path, name), folded)
}

func parseText(value any, path string, build func(string) text) (operator, error) {
	want, ok := value.(string)
	if !ok {
		return nil, &PatternError{Path: path, Reason: "it must be a string"}
	}
	return build(want), nil
}

func parseWildcard(value any, path string) (operator, error) {
	expression, ok := value.(string)
	if !ok {
		return nil, &PatternError{Path: path, Reason: "it must be a string"}
	}

	var (
		pieces wildcard
		piece  strings.Builder
		star   bool
	)
	for i := 0; i < len(expression); i++ {
		c := expression[i]
		if c == '*' && star {
			return nil, &PatternError{Path: path, Reason: "two * in a row are not allowed; one matches any number of characters"}
		}
		star = c == '*'
		switch {
		case star:
			pieces = append(pieces, piece.String())
			piece.Reset()
		case c == '\\':
			i++
			if i == len(expression) || (expression[i] != '*' && expression[i] != '\\') {
				return nil, &PatternError{Path: path, Reason: `a backslash must stand before * or another backslash`}
			}
			piece.WriteByte(expression[i])
		default:
			piece.WriteByte(c)
		}
	}
	return append(pieces, piece.String()), nil
}

// parseAnythingBut reads a value, a list of strings or a list of numbers, or one of the text operators with a string or
// a list of strings.
func parseAnythingBut(value any, path string) (operator, error) {
	members, ok := value.(object)
	if !ok {
		return parseAnythingButValues(value, path)
	}

	name, inner, err := single(members, path)
	if err != nil {
		return nil, err
	}
	path = join(path, name)
	if !slices.Contains([]string{opPrefix, opSuffix, opIgnoreCase, opWildcard}, name) {
		return nil, &PatternError{Path: path, Reason: "only prefix, suffix, equals-ignore-case and wildcard can stand in anything-but"}
	}
	values, err := list(inner, path)
	if err != nil {
		return nil, err
	}
	excluded := make(anythingBut, 0, len(values))
	for i, want := range values {
		s, ok := want.(string)
		if !ok {
			return nil, &PatternError{Path: index(path, i), Reason: "it must be a string"}
		}
		if s == "" && (name == opPrefix || name == opSuffix) {
			return nil, &PatternError{Path: index(path, i), Reason: "it is empty, so it would exclude every value"}
		}
		op, err := parseComparison(name, s, path)
		if err != nil {
			return nil, err
		}
		excluded = append(excluded, op)
	}
	return excluded, nil
}

func parseAnythingButValues(value any, path string) (operator, error) {
	values, err := list(value, path)
	if err != nil {
		return nil, err
	}
	excluded := make(anythingBut, 0, len(values))
	var texts, numbers int
	for i, want := range values {
		switch want := want.(type) {
		case string:
			texts++
			excluded = append(excluded, exact{want: want})
		case json.Number:
			numbers++
			v, err := bounded(want, index(path, i))
			if err != nil {
				return nil, err
			}
			excluded = append(excluded, numeric{low: v, high: v})
		default:
			return nil, &PatternError{Path: index(path, i), Reason: "it must be a string or a number"}
		}
	}
	if texts > 0 && numbers > 0 {
		return nil, &PatternError{Path: path, Reason: "strings and numbers cannot be mixed; use one operator for each"}
	}
	return excluded, nil
}

func list(value any, path string) ([]any, error) {
	values, ok := value.([]any)
	if !ok {
		return []any{value}, nil
	}
	if len(values) == 0 {
		return nil, &PatternError{Path: path, Reason: "the list is empty"}
	}
	return values, nil
}

// parseNumeric reads ["=", n], [">", low], ["<", high] or a range, lower bound first: [">", low, "<=", high].
func parseNumeric(value any, path string) (operator, error) {
	terms, ok := value.([]any)
	if !ok || (len(terms) != 2 && len(terms) != 4) {
		return nil, &PatternError{Path: path, Reason: `it must be ["<operator>", number] or a range such as [">", 0, "<=", 5]`}
	}

	within := numeric{low: -NumericLimit, high: NumericLimit}
	if err := within.bound(terms[0], terms[1], path); err != nil {
		return nil, err
	}
	if len(terms) == 2 {
		return within, nil
	}

	lower, upper := terms[0] == ">" || terms[0] == ">=", terms[2] == "<" || terms[2] == "<="
	if !lower || !upper {
		return nil, &PatternError{Path: path, Reason: "a range is > or >= with the lower bound, then < or <= with the upper one"}
	}
	if err := within.bound(terms[2], terms[3], path); err != nil {
		return nil, err
	}
	if within.low >= within.high {
		return nil, &PatternError{Path: path, Reason: "the lower bound must be less than the upper bound"}
	}
	return within, nil
}

func (o *numeric) bound(comparison, limit any, path string) error {
	v, err := bounded(limit, path)
	if err != nil {
		return err
	}
	switch comparison {
	case "=":
		o.low, o.high = v, v
	case ">", ">=":
		o.low, o.openLow = v, comparison == ">"
	case "<", "<=":
		o.high, o.openHigh = v, comparison == "<"
	default:
		return &PatternError{Path: path, Reason: fmt.Sprintf("%v is not a comparison; use =, <, <=, > or >=", comparison)}
	}
	return nil
}

func bounded(value any, path string) (float64, error) {
	number, ok := value.(json.Number)
	if !ok {
		return 0, &PatternError{Path: path, Reason: fmt.Sprintf("%v must be a number", value)}
	}
	v, err := number.Float64()
	if err != nil || math.Abs(v) > NumericLimit {
		return 0, &PatternError{Path: path, Reason: fmt.Sprintf("%s is beyond the range of -5e9 to 5e9 EventBridge compares", number)}
	}
	return v, nil
}

func parseCIDR(value any, path string) (operator, error) {
	s, ok := value.(string)
	if !ok {
		return nil, &PatternError{Path: path, Reason: `it must be a string such as "10.0.0.0/24"`}
	}
	block, err := netip.ParsePrefix(s)
	if err != nil {
		return nil, &PatternError{Path: path, Reason: `it must be an address and a mask such as "10.0.0.0/24": ` + err.Error()}
	}
	return cidr(block.Masked()), nil
}
