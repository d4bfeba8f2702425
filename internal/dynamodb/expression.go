package dynamodb

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// The expressions of a call, as its parameters are named.
const (
	nameCondition = "ConditionExpression"
	nameUpdate    = "UpdateExpression"

	nameKeyCondition = "KeyConditionExpression"
	nameFilter       = "FilterExpression"
	nameProjection   = "ProjectionExpression"
)

// expression is a parameter with an expression; the text is nil if it isn't given.
type expression struct {
	name string
	text *string
}

// expressions are the placeholders of a call, and which of them its expressions use.
type expressions struct {
	names  map[string]string
	values map[string]Attribute
	used   map[string]bool
}

var (
	nameForm  = regexp.MustCompile(`^#[0-9a-zA-Z_]+$`)
	valueForm = regexp.MustCompile(`^:[0-9a-zA-Z_]+$`)
)

// newExpressions checks the placeholders, given the expressions that may use them.
func newExpressions(given Expressions, in ...expression) (*expressions, error) {
	e := &expressions{names: given.ExpressionAttributeNames, values: map[string]Attribute{}, used: map[string]bool{}}
	if err := given.wanted(in); err != nil {
		return nil, err
	}
	for _, placeholder := range slices.Sorted(maps.Keys(e.names)) {
		if !nameForm.MatchString(placeholder) {
			return nil, invalid("ExpressionAttributeNames contains invalid key: Syntax error; key: %q", placeholder)
		}
	}
	for _, placeholder := range slices.Sorted(maps.Keys(given.ExpressionAttributeValues)) {
		if !valueForm.MatchString(placeholder) {
			return nil, invalid("ExpressionAttributeValues contains invalid key: Syntax error; key: %q", placeholder)
		}
		value, err := given.ExpressionAttributeValues[placeholder].normalized()
		if err != nil {
			return nil, invalid("ExpressionAttributeValues contains invalid value: %s for key %s", messageOf(err), placeholder)
		}
		e.values[placeholder] = value
	}
	return e, nil
}

// wanted refuses placeholders without an expression, and empty lists of them.
func (e Expressions) wanted(in []expression) error {
	given := slices.ContainsFunc(in, func(x expression) bool { return x.text != nil })
	parameters := make([]string, len(in))
	for i, x := range in {
		parameters[i] = x.name
	}
	verb := map[bool]string{true: "is", false: "are"}[len(in) == 1]
	switch {
	case e.ExpressionAttributeNames != nil && !given:
		return invalid("ExpressionAttributeNames can only be specified when using expressions")
	case e.ExpressionAttributeValues != nil && !given:
		return invalid("ExpressionAttributeValues can only be specified when using expressions: %s %s null",
			strings.Join(parameters, " and "), verb)
	case e.ExpressionAttributeNames != nil && len(e.ExpressionAttributeNames) == 0:
		return invalid("ExpressionAttributeNames must not be empty")
	case e.ExpressionAttributeValues != nil && len(e.ExpressionAttributeValues) == 0:
		return invalid("ExpressionAttributeValues must not be empty")
	}
	return nil
}

// messageOf is an error of this package without its name.
func messageOf(err error) string { return strings.TrimPrefix(err.Error(), Validation+": ") }

// unused finds what no expression uses, which DynamoDB refuses.
func (e *expressions) unused() error {
	find := func(parameter string, placeholders []string) error {
		left := slices.DeleteFunc(placeholders, func(p string) bool { return e.used[p] })
		if len(left) == 0 {
			return nil
		}
		return invalid("Value provided in %s unused in expressions: keys: {%s}", parameter, strings.Join(left, ", "))
	}
	if err := find("ExpressionAttributeNames", slices.Sorted(maps.Keys(e.names))); err != nil {
		return err
	}
	return find("ExpressionAttributeValues", slices.Sorted(maps.Keys(e.values)))
}

// tokenForm is a token of an expression: a placeholder, a word, a mark, or a character that is none of these.
var tokenForm = regexp.MustCompile(`[#:][0-9a-zA-Z_]+|[a-zA-Z_][0-9a-zA-Z_]*|<>|<=|>=|[^ \t\r\n]`)

// token is a token and where it stands.
type token struct {
	text       string
	start, end int
}

// parser goes through the tokens of one expression. The first error is kept, and nothing is read after it.
type parser struct {
	*expressions

	name   string // the parameter's
	text   string
	tokens []token
	at     int
	named  []string // the attributes, so far
	err    error
}

// parse reads an expression that is given.
func (e *expressions) parse(name, text string) *parser {
	p := &parser{expressions: e, name: name, text: text}
	for _, place := range tokenForm.FindAllStringIndex(text, -1) {
		p.tokens = append(p.tokens, token{text[place[0]:place[1]], place[0], place[1]})
	}
	switch {
	case text == "":
		p.fail("The expression can not be empty;")
	case len(text) > maxExpressionBytes:
		p.fail("Expression size has exceeded the maximum allowed size; expression size: %d", len(text))
	}
	return p
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = invalid("Invalid "+p.name+": "+format, args...)
	}
}

// endOfFile is what DynamoDB calls the end of an expression.
const endOfFile = "<EOF>"

// unexpected is the error for the next token. DynamoDB shows the ones beside it, too.
func (p *parser) unexpected() {
	found, from, to := endOfFile, p.at-1, p.at-1
	if p.at < len(p.tokens) {
		found, to = p.tokens[p.at].text, min(p.at+1, len(p.tokens)-1)
	}
	near := ""
	if len(p.tokens) > 0 {
		near = p.text[p.tokens[max(from, 0)].start:p.tokens[max(to, 0)].end]
	}
	p.fail("Syntax error; token: %q, near: %q", found, near)
}

// peek is the token that comes after so many; empty at the end.
func (p *parser) peek(after int) string {
	if p.err != nil || p.at+after >= len(p.tokens) {
		return ""
	}
	return p.tokens[p.at+after].text
}

// take goes past a keyword or a mark, if that is what comes. Keywords have no case.
func (p *parser) take(word string) bool {
	if !strings.EqualFold(p.peek(0), word) {
		return false
	}
	p.at++
	return true
}

func (p *parser) expect(mark string) {
	if !p.take(mark) {
		p.unexpected()
	}
}

func (p *parser) end() {
	if p.err == nil && p.at < len(p.tokens) {
		p.unexpected()
	}
}

var wordForm = regexp.MustCompile(`^[a-zA-Z_]`)

// path reads the name of an attribute.
func (p *parser) path() string {
	text := p.peek(0)
	switch {
	case nameForm.MatchString(text):
	case wordForm.MatchString(text):
		p.fail("the attribute %s is named as it is, which isn't supported here: "+
			"name it by a placeholder, #name, in ExpressionAttributeNames", text)
		return ""
	default:
		p.unexpected()
		return ""
	}
	name, known := p.names[text]
	if !known {
		p.fail("An expression attribute name used in the document path is not defined; attribute name: %s", text)
		return ""
	}
	p.used[text] = true
	p.named = append(p.named, name)
	p.at++
	if next := p.peek(0); next == "." || next == "[" {
		p.fail("a path into %s isn't supported here: its attributes are strings, numbers and sets of strings", text)
	}
	return name
}

// value reads a value by its placeholder.
func (p *parser) value() *Attribute {
	text := p.peek(0)
	if !valueForm.MatchString(text) {
		p.unexpected()
		return nil
	}
	value, known := p.values[text]
	if !known {
		p.fail("An expression attribute value used in expression is not defined; attribute value: %s", text)
		return nil
	}
	p.used[text] = true
	p.at++
	return &value
}

// operand is an attribute, a value, or what a function or an operator gives for others.
type operand struct {
	path  string
	value *Attribute
	call  string
	args  []operand
}

// simple reads an attribute or a value.
func (p *parser) simple() operand {
	if strings.HasPrefix(p.peek(0), ":") {
		return operand{value: p.value()}
	}
	return operand{path: p.path()}
}

// isCall says whether a function comes.
func (p *parser) isCall() bool { return wordForm.MatchString(p.peek(0)) && p.peek(1) == "(" }

// function reads a function and its arguments, of which it must have so many.
func (p *parser) function(argument func() operand, counts map[string]int, others map[string]bool, where string) operand {
	name := p.peek(0)
	p.at += 2
	out := operand{call: name}
	for p.err == nil {
		if out.args = append(out.args, argument()); !p.take(",") {
			break
		}
	}
	p.expect(")")
	count, known := counts[name]
	switch {
	case others[name]:
		p.fail("The function is not allowed in %s expression; function: %s", where, name)
	case !known:
		p.fail("Invalid function name; function: %s", name)
	case count != len(out.args):
		p.fail("Incorrect number of operands for operator or function; operator or function: %s, number of operands: %d", name, len(out.args))
	}
	return out
}

// kind is the type that the operand has whatever the item is; empty if that isn't known.
func (o operand) kind() string {
	switch {
	case o.value != nil:
		return o.value.kind()
	case o.call == functionSize, o.call == "+", o.call == "-":
		return typeNumber
	}
	return ""
}

// refuseKinds refuses operands of a type that a function or an operator doesn't take.
func (p *parser) refuseKinds(name string, operands []operand, kinds ...string) {
	for _, o := range operands {
		if kind := o.kind(); o.value != nil && slices.Contains(kinds, kind) {
			p.fail("Incorrect operand type for operator or function; operator or function: %s, operand type: %s", name, kind)
		}
	}
}

// The refusals of operands that only show at the item.
var (
	errOperandType = invalid("An operand in the update expression has an incorrect data type")
	errNoAttribute = invalid("The provided expression refers to an attribute that does not exist in the item")
)
