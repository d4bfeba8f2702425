package jsonata

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The names of the two parts of $states that exist before a state has run.
const (
	statesInput   = "input"
	statesContext = "context"
)

// maxDepth bounds how deep an expression may nest.
const maxDepth = 50

// Parse reads an expression, without the marks {% and %} around it. The error matches [ErrSyntax] and says where it is.
func Parse(source string) (*Expression, error) {
	p := &parser{source: source}
	root, err := p.expression()
	if err != nil {
		return nil, err
	}
	if p.skip(); p.at < len(p.source) {
		return nil, p.errorf("%q is not expected here", p.rest())
	}
	return &Expression{root}, nil
}

// parser goes through the text once, from left to right.
type parser struct {
	source string
	at     int
	depth  int
}

func (p *parser) errorf(format string, args ...any) error {
	return fmt.Errorf("%w: at character %d: %s", ErrSyntax, utf8.RuneCountInString(p.source[:p.at])+1, fmt.Sprintf(format, args...))
}

// rest is the beginning of what is left, for messages.
func (p *parser) rest() string {
	const most = 12
	rest := []rune(p.source[p.at:])
	return string(rest[:min(len(rest), most)])
}

func (p *parser) skip() {
	p.at += len(p.source[p.at:]) - len(strings.TrimLeft(p.source[p.at:], " \t\r\n"))
}

// take goes past a character, if it is next.
func (p *parser) take(c byte) bool {
	p.skip()
	if p.at < len(p.source) && p.source[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *parser) expect(c byte) error {
	if !p.take(c) {
		return p.errorf("%q is missing before %q", string(c), p.rest())
	}
	return nil
}

// expression is a comparison, or a choice by one.
func (p *parser) expression() (term, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, p.errorf("nested deeper than %d", maxDepth)
	}
	defer func() { p.depth-- }()
	condition, err := p.chain("=", p.sum)
	if err != nil || !p.take('?') {
		return condition, err
	}
	yes, err := p.expression()
	if err != nil {
		return nil, err
	}
	if err := p.expect(':'); err != nil {
		return nil, err
	}
	no, err := p.expression()
	return choice{condition, yes, no}, err
}

func (p *parser) sum() (term, error) { return p.chain("+-&", p.product) }

func (p *parser) product() (term, error) { return p.chain("*/", p.operand) }

// chain is operands with operators of one precedence between them, from the left.
func (p *parser) chain(operators string, operand func() (term, error)) (term, error) {
	left, err := operand()
	for err == nil {
		p.skip()
		if p.at == len(p.source) || !strings.ContainsRune(operators, rune(p.source[p.at])) {
			return left, nil
		}
		operator := p.source[p.at]
		p.at++
		var right term
		right, err = operand()
		left = binary{operator, left, right}
	}
	return nil, err
}

func (p *parser) operand() (term, error) {
	p.skip()
	if p.at == len(p.source) {
		return nil, p.errorf("the expression ends too early")
	}
	switch c := p.source[p.at]; {
	case c == '(':
		p.at++
		inner, err := p.expression()
		if err != nil {
			return nil, err
		}
		return inner, p.expect(')')
	case c == '[':
		p.at++
		return p.array()
	case c == '{':
		p.at++
		return p.object()
	case c == '"' || c == '\'':
		value, err := p.quoted()
		return literal{value}, err
	case c == '$':
		p.at++
		return p.variable()
	case c >= '0' && c <= '9':
		return p.number()
	}
	switch name := p.name(); name {
	case "true", "false":
		return literal{name == "true"}, nil
	case "null":
		return literal{nil}, nil
	default:
		return nil, p.errorf("%q is not supported; begin a path with $states.input or $states.context", name+p.rest())
	}
}

func (p *parser) array() (term, error) {
	var out array
	if p.take(']') {
		return out, nil
	}
	for {
		item, err := p.expression()
		if err != nil {
			return nil, err
		}
		out = append(out, item)
		if !p.take(',') {
			return out, p.expect(']')
		}
	}
}

func (p *parser) object() (term, error) {
	var out object
	if p.take('}') {
		return out, nil
	}
	for {
		p.skip()
		if p.at == len(p.source) || p.source[p.at] != '"' && p.source[p.at] != '\'' {
			return nil, p.errorf("the name of a member must be a string, before %q", p.rest())
		}
		key, err := p.quoted()
		if err != nil {
			return nil, err
		}
		if err := p.expect(':'); err != nil {
			return nil, err
		}
		value, err := p.expression()
		if err != nil {
			return nil, err
		}
		out = append(out, member{key, value})
		if !p.take(',') {
			return out, p.expect('}')
		}
	}
}

// quoted is a string, with JSON's escapes.
func (p *parser) quoted() (string, error) {
	quote, from := p.source[p.at], p.at+1
	for i := from; i < len(p.source); i++ {
		switch p.source[i] {
		case '\\':
			i++
		case quote:
			body := p.source[from:i]
			if quote == '\'' {
				body = strings.ReplaceAll(strings.ReplaceAll(body, `\'`, `'`), `"`, `\"`)
			}
			var value string
			if err := json.Unmarshal([]byte(`"`+body+`"`), &value); err != nil {
				return "", p.errorf("the string is none: %v", err)
			}
			p.at = i + 1
			return value, nil
		}
	}
	return "", p.errorf("the string has no end")
}

func (p *parser) number() (term, error) {
	from := p.at
	for p.at < len(p.source) && (p.source[p.at] == '.' || p.source[p.at] >= '0' && p.source[p.at] <= '9') {
		p.at++
	}
	text := p.source[from:p.at]
	if _, err := strconv.ParseFloat(text, 64); err != nil || !json.Valid([]byte(text)) {
		p.at = from
		return nil, p.errorf("%q is no number", text)
	}
	return literal{json.Number(text)}, nil
}

// name is a run of letters, digits and underscores; it may be empty.
func (p *parser) name() string {
	from := p.at
	for p.at < len(p.source) {
		r, size := utf8.DecodeRuneInString(p.source[p.at:])
		if r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			break
		}
		p.at += size
	}
	return p.source[from:p.at]
}

// variable is a path of $states or a function.
func (p *parser) variable() (term, error) {
	from := p.at
	name := p.name()
	if p.take('(') {
		return p.call(name)
	}
	if name != "states" {
		p.at = from
		return nil, p.errorf("$%s is not supported; there is $states", name)
	}
	fields, err := p.fields()
	if err != nil {
		return nil, err
	}
	if len(fields) == 0 || fields[0] != statesInput && fields[0] != statesContext {
		return nil, p.errorf("of $states there is $states.input and $states.context")
	}
	return path{context: fields[0] == statesContext, fields: fields[1:]}, nil
}

// fields are the steps of a path: .name, or .`any name`.
func (p *parser) fields() ([]string, error) {
	var out []string
	for p.take('.') {
		p.skip()
		if p.at < len(p.source) && p.source[p.at] == '`' {
			name, after, ended := strings.Cut(p.source[p.at+1:], "`")
			if !ended {
				return nil, p.errorf("the name has no end")
			}
			out, p.at = append(out, name), len(p.source)-len(after)
			continue
		}
		name := p.name()
		if name == "" || name[0] >= '0' && name[0] <= '9' {
			return nil, p.errorf("a name is missing before %q", p.rest())
		}
		out = append(out, name)
	}
	if p.skip(); p.at < len(p.source) && (p.source[p.at] == '[' || p.source[p.at] == '^') {
		return nil, p.errorf("%q behind a path is not supported", p.rest())
	}
	return out, nil
}

func (p *parser) call(name string) (term, error) {
	known, ok := functions[name]
	if !ok {
		return nil, p.errorf("$%s is not supported; there are %s", name, strings.Join(Functions(), ", "))
	}
	var arguments []term
	for !p.take(')') {
		if len(arguments) > 0 {
			if err := p.expect(','); err != nil {
				return nil, err
			}
		}
		argument, err := p.expression()
		if err != nil {
			return nil, err
		}
		arguments = append(arguments, argument)
	}
	if len(arguments) != known.arguments {
		return nil, p.errorf("$%s takes %d argument(s), not %d", name, known.arguments, len(arguments))
	}
	return call{known, arguments}, nil
}
