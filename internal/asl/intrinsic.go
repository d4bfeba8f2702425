package asl

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// maxIntrinsics is how many intrinsic functions one field may hold, nested ones
// included: the guide counts nine in its example for the limit of 10.
const maxIntrinsics = 10

var (
	errSyntax     = errors.New("malformed intrinsic function")
	errUnknown    = errors.New("unknown intrinsic function")
	errTooMany    = fmt.Errorf("more than %d intrinsic functions in one field", maxIntrinsics)
	errArity      = errors.New("wrong number of arguments")
	errNotDynamic = errors.New(`the value must be a path ("$...") or an intrinsic function ("States....")`)
)

// expression is the value of a field whose name ends in ".$", or has such fields.
type expression = formula[*scope]

// pathExpr is a path by itself, for the field that its cause names.
type pathExpr struct {
	path  *path
	field string
}

// eval gives null for an element that an array doesn't have, as was measured
// (floci's pull request 3199); anything else that isn't there is [ErrorRuntime].
func (e pathExpr) eval(s *scope) (any, error) {
	value, miss := e.path.resolve(s)
	if miss == nil || miss.index {
		return value, nil
	}

	return nil, s.failf(ErrorRuntime, "The JSONPath '%s' specified for the field '%s' could not be found in the input '%s'",
		e.path.text, e.field, encodeTree(e.path.root(s)))
}

// argumentExpr is a path as the argument of a function. Of it an element that
// isn't there is missing, too (measured: floci's pull request 2872).
type argumentExpr struct{ path *path }

// missingArgumentError is why a function could not be called; functionExpr makes the
// error of it, which names the whole expression.
type missingArgumentError struct{ reason string }

func (e *missingArgumentError) Error() string { return e.reason }

func (e argumentExpr) eval(s *scope) (any, error) {
	value, miss := e.path.resolve(s)

	switch {
	case miss == nil:
		return value, nil
	case strings.HasPrefix(miss.reason, notAnArray):
		return nil, &missingArgumentError{reason: miss.reason}
	default:
		// A path of the context object is named without its first $, and the input is the state's all the same.
		text := "$" + strings.TrimLeft(e.path.text, "$")

		return nil, &missingArgumentError{reason: fmt.Sprintf(
			"The JsonPath argument for the field '%s' could not be found in the input '%s'", text, encodeTree(s.input))}
	}
}

// functionExpr is a whole intrinsic function call.
type functionExpr struct {
	call expression
	text string
}

func (e functionExpr) eval(s *scope) (any, error) {
	value, err := e.call.eval(s)

	if missing, ok := errors.AsType[*missingArgumentError](err); ok {
		return nil, s.failf(ErrorRuntime, "The function '%s' had the following error: %s", e.text, missing.reason)
	}

	return value, err
}

type literalExpr struct {
	value any
	// source is a string literal as written, escapes included: States.Format must tell "{}" from "\{\}".
	source string
}

func (e literalExpr) eval(*scope) (any, error) { return e.value, nil }

type callExpr struct {
	name     string
	function intrinsic
	args     arrayFormula[*scope]
}

func (e callExpr) eval(s *scope) (any, error) {
	values, err := e.args.each(s)
	if err != nil {
		return nil, err
	}

	value, err := e.function.call(s, values)
	if err != nil {
		return nil, failf(ErrorIntrinsicFailure, "%s: %v", e.name, err)
	}

	return value, nil
}

// formatExpr is States.Format with a literal template, cut up when it is loaded.
type formatExpr struct {
	parts []string
	args  arrayFormula[*scope]
}

func (e formatExpr) eval(s *scope) (any, error) {
	values, err := e.args.each(s)
	if err != nil {
		return nil, err
	}

	return fillTemplate(e.parts, values), nil
}

// parseExpression reads a path or an intrinsic function call for a field.
func parseExpression(field, text string) (expression, error) {
	if strings.HasPrefix(text, "$") {
		p, err := parsePath(text)
		if err != nil {
			return nil, err
		}

		return pathExpr{path: p, field: field}, nil
	}

	if !strings.HasPrefix(text, reservedPrefix) {
		return nil, fmt.Errorf("%q: %w", text, errNotDynamic)
	}

	p := &intrinsicParser{pathReader: pathReader{text: text}}

	call, err := p.call()
	if err != nil {
		return nil, err
	}

	p.space()

	if p.pos < len(p.text) {
		return nil, p.errorf("unexpected text after the call")
	}

	return functionExpr{call: call, text: text}, nil
}

// intrinsicParser reads a call with what paths are read with.
type intrinsicParser struct {
	pathReader

	count int
}

func (p *intrinsicParser) errorf(format string, args ...any) error {
	return fmt.Errorf("%w at offset %d of %q: %s", errSyntax, p.pos, p.text, fmt.Sprintf(format, args...))
}

func (p *intrinsicParser) call() (expression, error) {
	name := p.while(func(c byte) bool { return c == '.' || isNameByte(c) })

	function, ok := intrinsics()[name]
	if !ok {
		return nil, fmt.Errorf("%w %q; known are %s", errUnknown, name, strings.Join(intrinsicNames(), ", "))
	}

	p.count++
	if p.count > maxIntrinsics {
		return nil, fmt.Errorf("%q: %w", p.text, errTooMany)
	}

	p.space()

	if !p.take("(") {
		return nil, p.errorf("%s needs an opening parenthesis", name)
	}

	args, err := p.arguments()
	if err != nil {
		return nil, err
	}

	return newCall(name, function, args)
}

func newCall(name string, function intrinsic, args []expression) (expression, error) {
	if len(args) < function.minArgs || function.maxArgs >= 0 && len(args) > function.maxArgs {
		return nil, fmt.Errorf("%s: %w: it has %d and takes %s", name, errArity, len(args), function.arity())
	}

	template, ok := literalArgument(args)
	if name != formatName || !ok {
		return callExpr{name: name, function: function, args: args}, nil
	}

	if _, isString := template.value.(string); !isString {
		return nil, fmt.Errorf("%s: %w: the first argument must be a string", name, errSyntax)
	}

	parts := splitTemplate(template.source)
	if len(parts) != len(args) {
		return nil, fmt.Errorf("%s: %w: the template has %d {} and %d value(s) follow it",
			name, errArity, len(parts)-1, len(args)-1)
	}

	return formatExpr{parts: parts, args: args[1:]}, nil
}

func literalArgument(args []expression) (literalExpr, bool) {
	if len(args) == 0 {
		return literalExpr{}, false
	}

	literal, ok := args[0].(literalExpr)

	return literal, ok
}

// arguments reads up to and with the closing parenthesis.
func (p *intrinsicParser) arguments() ([]expression, error) {
	var args []expression

	p.space()

	if p.take(")") {
		return args, nil
	}

	for {
		p.space()

		arg, err := p.argument()
		if err != nil {
			return nil, err
		}

		args = append(args, arg)

		p.space()

		switch {
		case p.take(","):
		case p.take(")"):
			return args, nil
		default:
			return nil, p.errorf("expected a comma or a closing parenthesis")
		}
	}
}

func (p *intrinsicParser) argument() (expression, error) {
	switch {
	case p.peek() == '\'':
		return p.stringLiteral()
	case p.peek() == '$':
		return p.pathArgument()
	case strings.HasPrefix(p.text[p.pos:], reservedPrefix):
		return p.call()
	default:
		return p.scalar()
	}
}

func (p *intrinsicParser) pathArgument() (expression, error) {
	parsed, err := p.path()
	if err != nil {
		return nil, err
	}

	return argumentExpr{path: parsed}, nil
}

var scalarPattern = regexp.MustCompile(`^(?:null|true|false|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)`)

func (p *intrinsicParser) scalar() (expression, error) {
	text := scalarPattern.FindString(p.text[p.pos:])
	if text == "" {
		return nil, p.errorf("expected a 'string', a number, true, false, null, a path or an intrinsic function")
	}

	p.pos += len(text)

	switch text {
	case nullText:
		return literalExpr{}, nil
	case trueText, falseText:
		return literalExpr{value: text == trueText}, nil
	default:
		return literalExpr{value: json.Number(text)}, nil
	}
}

// stringLiteral reads 'text'. The characters ' { } \ are written with a
// backslash; "{}" alone needs none, being the slot of States.Format.
func (p *intrinsicParser) stringLiteral() (expression, error) {
	p.pos++
	start := p.pos

	for p.pos < len(p.text) {
		switch c := p.text[p.pos]; c {
		case '\'':
			source := p.text[start:p.pos]
			p.pos++

			return literalExpr{value: strings.Join(splitTemplate(source), "{}"), source: source}, nil
		case '\\':
			if p.pos+1 >= len(p.text) || strings.IndexByte(`'{}\`, p.text[p.pos+1]) < 0 {
				return nil, p.errorf(`a backslash escapes only ' { } and \; write \\ for a backslash`)
			}

			p.pos += 2
		case '{', '}':
			if c == '}' || p.pos+1 >= len(p.text) || p.text[p.pos+1] != '}' {
				return nil, p.errorf(`a brace that is not part of {} must be escaped: \{ or \}`)
			}

			p.pos += 2
		default:
			p.pos++
		}
	}

	return nil, p.errorf("the string has no closing quote")
}

// splitTemplate cuts a template at each unescaped {} and removes the escapes
// from the parts. A backslash in front of any other character stays.
func splitTemplate(source string) []string {
	var (
		parts []string
		part  strings.Builder
	)

	for i := 0; i < len(source); i++ {
		switch {
		case source[i] == '\\' && i+1 < len(source) && strings.IndexByte(`'{}\`, source[i+1]) >= 0:
			i++
			part.WriteByte(source[i])
		case strings.HasPrefix(source[i:], "{}"):
			parts = append(parts, part.String())
			part.Reset()

			i++
		default:
			part.WriteByte(source[i])
		}
	}

	return append(parts, part.String())
}
