package asl

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf16"
)

// Operator is a comparison of a Choice rule, by its name in the language. See
// "Choice rules" in https://docs.aws.amazon.com/step-functions/latest/dg/state-choice.html.
type Operator string

// The comparison operators. A test (Is...) takes a boolean; an operator whose name ends in Path takes a reference path; the
// others take a value of the kind they name.
const (
	BooleanEquals                  Operator = "BooleanEquals"
	BooleanEqualsPath              Operator = "BooleanEqualsPath"
	IsBoolean                      Operator = "IsBoolean"
	IsNull                         Operator = "IsNull"
	IsNumeric                      Operator = "IsNumeric"
	IsPresent                      Operator = "IsPresent"
	IsString                       Operator = "IsString"
	IsTimestamp                    Operator = "IsTimestamp"
	NumericEquals                  Operator = "NumericEquals"
	NumericEqualsPath              Operator = "NumericEqualsPath"
	NumericGreaterThan             Operator = "NumericGreaterThan"
	NumericGreaterThanPath         Operator = "NumericGreaterThanPath"
	NumericGreaterThanEquals       Operator = "NumericGreaterThanEquals"
	NumericGreaterThanEqualsPath   Operator = "NumericGreaterThanEqualsPath"
	NumericLessThan                Operator = "NumericLessThan"
	NumericLessThanPath            Operator = "NumericLessThanPath"
	NumericLessThanEquals          Operator = "NumericLessThanEquals"
	NumericLessThanEqualsPath      Operator = "NumericLessThanEqualsPath"
	StringEquals                   Operator = "StringEquals"
	StringEqualsPath               Operator = "StringEqualsPath"
	StringGreaterThan              Operator = "StringGreaterThan"
	StringGreaterThanPath          Operator = "StringGreaterThanPath"
	StringGreaterThanEquals        Operator = "StringGreaterThanEquals"
	StringGreaterThanEqualsPath    Operator = "StringGreaterThanEqualsPath"
	StringLessThan                 Operator = "StringLessThan"
	StringLessThanPath             Operator = "StringLessThanPath"
	StringLessThanEquals           Operator = "StringLessThanEquals"
	StringLessThanEqualsPath       Operator = "StringLessThanEqualsPath"
	StringMatches                  Operator = "StringMatches"
	TimestampEquals                Operator = "TimestampEquals"
	TimestampEqualsPath            Operator = "TimestampEqualsPath"
	TimestampGreaterThan           Operator = "TimestampGreaterThan"
	TimestampGreaterThanPath       Operator = "TimestampGreaterThanPath"
	TimestampGreaterThanEquals     Operator = "TimestampGreaterThanEquals"
	TimestampGreaterThanEqualsPath Operator = "TimestampGreaterThanEqualsPath"
	TimestampLessThan              Operator = "TimestampLessThan"
	TimestampLessThanPath          Operator = "TimestampLessThanPath"
	TimestampLessThanEquals        Operator = "TimestampLessThanEquals"
	TimestampLessThanEqualsPath    Operator = "TimestampLessThanEqualsPath"
)

const (
	nextField      = "Next"
	defaultField   = "Default"
	variableField  = "Variable"
	commentField   = "Comment"
	conditionField = "Condition"
	outputField    = "Output"
	assignField    = "Assign"
)

// Rule is one rule of a Choice: a comparison (Variable, Operator, Value) or a combination (And, Or, Not).
//
// A Variable or path operand that selects nothing fails the execution with [ErrorRuntime], for IsPresent excepted: guard it, And
// stops at the first rule that is false. An operand of another type than the operator's makes the comparison false.
type Rule struct {
	// Comment is a readable description; optional.
	Comment string
	// Variable is the reference path of the compared value.
	Variable string
	// Operator is the comparison.
	Operator Operator
	// Value is what Variable is compared with: a bool, a number, a string, or for a Path operator the reference path as a string.
	Value any
	// And is true when all its rules are.
	And []Rule
	// Or is true when one of its rules is.
	Or []Rule
	// Not is true when its rule is false.
	Not *Rule
	// Condition is an expression in JSONata, in whose Choice it takes the place of all the fields above.
	Condition string
	// Output is that of the state, for this rule; only with Condition.
	Output any
	// Assign sets variables, by name without the $, if the rule is met: in JSONata with Condition, else constants, in a rule of Choices
	// only.
	Assign map[string]any
	// Next names the target; required in a rule of Choices, forbidden below it.
	Next string
}

// MarshalJSON writes the rule as the language has it, the operator as a field name.
func (r Rule) MarshalJSON() ([]byte, error) {
	out := map[string]any{}

	set := func(present bool, name string, value any) {
		if present {
			out[name] = value
		}
	}

	set(r.Comment != "", commentField, r.Comment)
	set(r.Variable != "", variableField, r.Variable)
	set(r.Operator != "", string(r.Operator), r.Value)
	set(r.And != nil, "And", r.And)
	set(r.Or != nil, "Or", r.Or)
	set(r.Not != nil, "Not", r.Not)
	set(r.Condition != "", conditionField, r.Condition)
	set(r.Output != nil, outputField, r.Output)
	set(r.Assign != nil, assignField, r.Assign)
	set(r.Next != "", nextField, r.Next)

	return encodeJSON(out)
}

// operandKind is the type of value that an operator compares.
type operandKind string

const (
	kindBoolean   operandKind = "Boolean"
	kindNumeric   operandKind = "Numeric"
	kindString    operandKind = "String"
	kindTimestamp operandKind = "Timestamp"
	kindTest      operandKind = "Is"
	kindMatch     operandKind = "Match"
)

// operation is what an operator does.
type operation struct {
	kind operandKind
	path bool
	// symbol stands for the comparison in labels.
	symbol string
	// accept decides from the order of the two operands.
	accept func(order int) bool
	// test is the predicate of an Is operator.
	test func(value any) bool
}

// operations has every operator of the language.
var operations = sync.OnceValue(func() map[Operator]operation {
	orders := map[string]struct {
		symbol string
		accept func(int) bool
	}{
		"Equals":            {"=", func(o int) bool { return o == 0 }},
		"GreaterThan":       {">", func(o int) bool { return o > 0 }},
		"GreaterThanEquals": {">=", func(o int) bool { return o >= 0 }},
		"LessThan":          {"<", func(o int) bool { return o < 0 }},
		"LessThanEquals":    {"<=", func(o int) bool { return o <= 0 }},
	}

	out := map[Operator]operation{
		StringMatches: {kind: kindMatch, symbol: "matches"},
		IsPresent:     {kind: kindTest, symbol: "present"},
		IsNull:        {kind: kindTest, symbol: nullText, test: func(v any) bool { return v == nil }},
		IsBoolean:     {kind: kindTest, symbol: "a boolean", test: func(v any) bool { return isA[bool](v) }},
		IsNumeric:     {kind: kindTest, symbol: numberText, test: func(v any) bool { return isA[json.Number](v) }},
		IsString:      {kind: kindTest, symbol: "a string", test: func(v any) bool { return isA[string](v) }},
		IsTimestamp:   {kind: kindTest, symbol: "a timestamp", test: isTimestamp},
	}

	for _, kind := range []operandKind{kindBoolean, kindNumeric, kindString, kindTimestamp} {
		for name, o := range orders {
			if kind == kindBoolean && name != "Equals" {
				continue
			}

			for _, suffix := range []string{"", "Path"} {
				out[Operator(string(kind)+name+suffix)] = operation{
					kind: kind, path: suffix != "", symbol: o.symbol, accept: o.accept,
				}
			}
		}
	}

	return out
})

func isA[T any](value any) bool {
	_, ok := value.(T)

	return ok
}

func isTimestamp(value any) bool {
	text, ok := value.(string)
	if !ok {
		return false
	}

	_, err := parseTimestamp(text)

	return err == nil
}

var errTimestamp = errors.New("want an RFC 3339 time with upper-case T and Z, such as 2024-08-18T17:33:00Z")

func parseTimestamp(text string) (time.Time, error) {
	// time.Parse takes a comma for the decimal point, which RFC 3339 does not.
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || strings.Contains(text, ",") {
		return time.Time{}, fmt.Errorf("%q: %w", text, errTimestamp)
	}

	return t, nil
}

// condition is a compiled rule.
type condition func(s *scope) (bool, error)

// compile checks the rule and makes its condition; field is its place in the definition.
func (r Rule) compile(c *checker, field string) condition {
	forms := given(r.Operator != "" || r.Variable != "", r.And != nil, r.Or != nil, r.Not != nil)

	c.excluded(LanguageJSONata, field+".", map[string]bool{
		conditionField: r.Condition != "", outputField: r.Output != nil,
	})

	if forms != 1 {
		c.addf(field, "a rule needs exactly one of a comparison (Variable and an operator), And, Or and Not; it has %d", forms)

		return nil
	}

	switch {
	case r.And != nil:
		return allOf(r.compileList(c, field+".And", r.And), false)
	case r.Or != nil:
		return allOf(r.compileList(c, field+".Or", r.Or), true)
	case r.Not != nil:
		return negate(r.Not.compileNested(c, field+".Not"))
	default:
		return r.compileComparison(c, field)
	}
}

func (r Rule) compileNested(c *checker, field string) condition {
	if r.Next != "" || r.Assign != nil {
		c.addf(field, "Next and Assign are allowed only in a rule directly under Choices")
	}

	return r.compile(c, field)
}

func (Rule) compileList(c *checker, field string, rules []Rule) []condition {
	if len(rules) == 0 {
		c.addf(field, "must have at least one rule")
	}

	out := make([]condition, len(rules))
	for i, rule := range rules {
		out[i] = rule.compileNested(c, fmt.Sprintf("%s[%d]", field, i))
	}

	return out
}

// allOf evaluates in order until one condition gives stop.
func allOf(conditions []condition, stop bool) condition {
	return func(s *scope) (bool, error) {
		for _, check := range conditions {
			ok, err := check(s)
			if err != nil || ok == stop {
				return ok, err
			}
		}

		return !stop, nil
	}
}

func negate(inner condition) condition {
	return func(s *scope) (bool, error) {
		ok, err := inner(s)

		return !ok, err
	}
}

func (r Rule) compileComparison(c *checker, field string) condition {
	if r.Variable == "" {
		c.addf(field, "a comparison needs Variable")

		return nil
	}

	variable := c.reference(field+"."+variableField, r.Variable)

	op, known := operations()[r.Operator]
	if !known {
		c.addf(field, "unknown comparison operator %q; known are %s", string(r.Operator), operatorNames())

		return nil
	}

	place := field + "." + string(r.Operator)

	switch op.kind {
	case kindTest:
		return r.compileTest(c, place, op, variable)
	case kindMatch:
		return r.compileMatch(c, place, variable)
	default:
		return r.compileOrder(c, place, op, variable)
	}
}

func operatorNames() string {
	names := make([]string, 0, len(operations())+3)
	for name := range maps.Keys(operations()) {
		names = append(names, string(name))
	}

	names = append(names, "And", "Or", "Not")
	slices.Sort(names)

	return strings.Join(names, ", ")
}

func (r Rule) compileTest(c *checker, field string, op operation, variable *path) condition {
	want, ok := r.Value.(bool)
	if !ok {
		c.addf(field, "must be true or false")

		return nil
	}

	return func(s *scope) (bool, error) {
		if op.test == nil {
			_, miss := variable.resolve(s)

			return (miss == nil) == want, nil
		}

		value, err := choiceValue(variable, s)

		return err == nil && op.test(value) == want, err
	}
}

func (r Rule) compileMatch(c *checker, field string, variable *path) condition {
	text, ok := r.Value.(string)
	if !ok {
		c.addf(field, "must be a string")

		return nil
	}

	pattern, err := parsePattern(text)
	if err != nil {
		c.add(field, err)

		return nil
	}

	return func(s *scope) (bool, error) {
		value, err := choiceValue(variable, s)
		if err != nil {
			return false, err
		}

		text, ok := value.(string)

		return ok && pattern.match(text), nil
	}
}

func choiceValue(p *path, s *scope) (any, error) {
	value, miss := p.resolve(s)
	if miss != nil {
		return nil, s.failf(ErrorRuntime, "Invalid path '%s': The choice state's condition path references an invalid value.", p.text)
	}

	return value, nil
}

func (r Rule) compileOrder(c *checker, field string, op operation, variable *path) condition {
	operand := r.compileOperand(c, field, op)

	return func(s *scope) (bool, error) {
		left, err := choiceValue(variable, s)
		if err != nil {
			return false, err
		}

		right, err := operand(s)
		if err != nil {
			return false, err
		}

		o, ok := compareAs(op.kind, left, right)

		return ok && op.accept(o), nil
	}
}

func (r Rule) compileOperand(c *checker, field string, op operation) func(*scope) (any, error) {
	if op.path {
		text, ok := r.Value.(string)
		if !ok {
			c.addf(field, "must be a reference path")

			return nil
		}

		p := c.reference(field, text)

		return func(s *scope) (any, error) { return choiceValue(p, s) }
	}

	value, err := normalize(r.Value)
	if err != nil {
		c.add(field, err)

		return nil
	}

	if _, ok := compareAs(op.kind, value, value); !ok {
		c.addf(field, "must be %s and is %s", kindPhrase(op.kind), kindOf(value))

		return nil
	}

	return func(*scope) (any, error) { return value, nil }
}

func kindPhrase(kind operandKind) string {
	if kind == kindTimestamp {
		return "a timestamp (RFC 3339 with upper-case T and Z)"
	}

	if kind == kindNumeric {
		return numberText
	}

	return "a " + strings.ToLower(string(kind))
}

// compareAs gives the order of two values of the kind, and false when one of them is of another type.
func compareAs(kind operandKind, left, right any) (int, bool) {
	switch kind {
	case kindNumeric:
		x, y, ok := both[json.Number](left, right)

		return compareNumbers(x, y), ok
	case kindBoolean:
		x, y, ok := both[bool](left, right)
		if x == y {
			return 0, ok
		}

		return 1, ok
	case kindTimestamp:
		x, y, _ := both[string](left, right)

		return compareTimestamps(x, y)
	default:
		x, y, ok := both[string](left, right)

		return compareText(x, y), ok
	}
}

// both gives two values as a type, if they have it.
func both[T any](left, right any) (x, y T, ok bool) {
	x, okX := left.(T)
	y, okY := right.(T)

	return x, y, okX && okY
}

func compareTimestamps(x, y string) (int, bool) {
	left, err := parseTimestamp(x)
	if err != nil {
		return 0, false
	}

	right, err := parseTimestamp(y)
	if err != nil {
		return 0, false
	}

	return left.Compare(right), true
}

// compareText orders as Java's compareTo does, by UTF-16 code units, which the guide names as its rule.
func compareText(x, y string) int {
	return slices.Compare(utf16.Encode([]rune(x)), utf16.Encode([]rune(y)))
}

// pattern is a StringMatches value, cut at its wildcards.
type pattern []string

var errPattern = errors.New(`a backslash escapes only * and \: write \\ for a backslash`)

func parsePattern(text string) (pattern, error) {
	var (
		out  pattern
		part strings.Builder
	)

	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '*':
			out = append(out, part.String())
			part.Reset()
		case text[i] != '\\':
			part.WriteByte(text[i])
		case i+1 < len(text) && (text[i+1] == '*' || text[i+1] == '\\'):
			i++
			part.WriteByte(text[i])
		default:
			return nil, fmt.Errorf("%q: %w", text, errPattern)
		}
	}

	return append(out, part.String()), nil
}

func (p pattern) match(text string) bool {
	if len(p) == 1 {
		return text == p[0]
	}

	first, last := p[0], p[len(p)-1]
	if len(text) < len(first)+len(last) || !strings.HasPrefix(text, first) || !strings.HasSuffix(text, last) {
		return false
	}

	rest := text[len(first) : len(text)-len(last)]

	for _, part := range p[1 : len(p)-1] {
		i := strings.Index(rest, part)
		if i < 0 {
			return false
		}

		rest = rest[i+len(part):]
	}

	return true
}

// Label returns the rule as a few words for a diagram edge or a trace: its
// comment if it has one. Guards (IsPresent, IsNumeric and the like) are left out
// of an And that also compares;
// an And of nothing but guards reads "valid" and the names it guards.
func (r Rule) Label() string {
	switch {
	case r.Comment != "":
		return r.Comment
	case r.Condition != "":
		return expressionText(r.Condition)
	case r.onlyGuards():
		return "valid " + r.guarded()
	case r.And != nil:
		return joinLabels(withoutGuards(r.And), " and ")
	case r.Or != nil:
		return joinLabels(r.Or, " or ")
	case r.Not != nil:
		return r.Not.negatedLabel()
	default:
		return r.comparisonLabel(false)
	}
}

func (r Rule) isGuard() bool {
	return operations()[r.Operator].kind == kindTest && r.Value == true
}

func (r Rule) onlyGuards() bool {
	return len(r.And) > 1 && !slices.ContainsFunc(r.And, func(item Rule) bool { return !item.isGuard() })
}

// guarded lists the names that an And of guards tests.
func (r Rule) guarded() string {
	names := make([]string, len(r.And))
	for i, item := range r.And {
		names[i] = lastName(item.Variable)
	}

	return strings.Join(slices.Compact(names), ", ")
}

func (r Rule) negatedLabel() string {
	if r.onlyGuards() {
		return "no valid " + r.guarded()
	}

	if r.Operator != "" {
		return r.comparisonLabel(true)
	}

	return "not (" + r.Label() + ")"
}

func withoutGuards(rules []Rule) []Rule {
	rest := slices.DeleteFunc(slices.Clone(rules), Rule.isGuard)
	if len(rest) == 0 {
		return rules
	}

	return rest
}

func joinLabels(rules []Rule, word string) string {
	labels := make([]string, len(rules))

	for i, rule := range rules {
		labels[i] = rule.Label()
		if len(rules) > 1 && (rule.And != nil || rule.Or != nil) {
			labels[i] = "(" + labels[i] + ")"
		}
	}

	return strings.Join(labels, word)
}

func (r Rule) comparisonLabel(negated bool) string {
	op := operations()[r.Operator]
	name := lastName(r.Variable)

	if op.kind == kindTest {
		if (r.Value == true) != negated {
			return name + " is " + op.symbol
		}

		return name + " is not " + op.symbol
	}

	text := fmt.Sprintf("%s %s %s", name, op.symbol, r.operandLabel(op))
	if negated {
		return "not " + text
	}

	return text
}

func (r Rule) operandLabel(op operation) string {
	text, isText := r.Value.(string)

	switch {
	case isText && op.path:
		return lastName(text)
	case isText && op.kind == kindString:
		return strconv.Quote(text)
	case isText:
		return text
	}

	value, err := normalize(r.Value)
	if err != nil {
		return fmt.Sprint(r.Value)
	}

	return displayText(value)
}

// lastName is the last name of a path: "size" for $.detail.object.size.
func lastName(text string) string {
	p, err := parsePath(text)
	if err != nil {
		return text
	}

	name, ok := p.lastName()
	if !ok {
		return text
	}

	return name
}

// MatchesText says whether a text matches a value of StringMatches. It doesn't if that is none.
func MatchesText(glob, text string) bool {
	p, err := parsePattern(glob)
	return err == nil && p.match(text)
}

// CheckPattern says what is wrong with a value of StringMatches.
func CheckPattern(glob string) error {
	_, err := parsePattern(glob)
	return err
}
