package dynamodb

import (
	"slices"
	"strconv"
	"strings"
)

// condition judges an item, nil for none.
type condition func(item Item) bool

// The functions of conditions. Their names have a case; keywords have none.
const (
	functionExists    = "attribute_exists"
	functionNotExists = "attribute_not_exists"
	functionType      = "attribute_type"
	functionBegins    = "begins_with"
	functionContains  = "contains"
	functionSize      = "size"
)

// conditionFunctions are how many operands each takes.
var conditionFunctions = map[string]int{
	functionExists: 1, functionNotExists: 1, functionType: 2, functionBegins: 2, functionContains: 2, functionSize: 1,
}

// maxInOperands is how many operands IN has at most, the first one included (measured: scylladb's test_condition_expression.py; the
// documentation counts 100 without it).
const maxInOperands = 100

// condition reads a ConditionExpression; one that isn't given always holds.
func (e *expressions) condition(text *string) (condition, error) {
	whole, _, err := e.holds(nameCondition, text)
	return whole, err
}

// holds reads the expression of a parameter that is a condition, and gives the attributes that it names as well.
func (e *expressions) holds(name string, text *string) (condition, []string, error) {
	if text == nil {
		return func(Item) bool { return true }, nil, nil
	}
	p := e.parse(name, *text)
	whole := p.or()
	p.end()
	return whole, p.named, p.err
}

func (p *parser) or() condition {
	left := p.and()
	for p.err == nil && p.take("OR") {
		first, second := left, p.and()
		left = func(item Item) bool { return first(item) || second(item) }
	}
	return left
}

func (p *parser) and() condition {
	left := p.not()
	for p.err == nil && p.take("AND") {
		first, second := left, p.not()
		left = func(item Item) bool { return first(item) && second(item) }
	}
	return left
}

func (p *parser) not() condition {
	if p.take("NOT") {
		inner := p.not()
		return func(item Item) bool { return !inner(item) }
	}
	return p.primary()
}

func (p *parser) primary() condition {
	if p.take("(") {
		return p.parenthesized()
	}
	left := p.operand()
	switch next := p.peek(0); {
	case p.err != nil:
		return nil
	case left.call != "" && left.call != functionSize:
		if isComparison(next) || slices.ContainsFunc([]string{"IN", "BETWEEN"}, func(s string) bool { return strings.EqualFold(next, s) }) {
			p.plain(left)
		}
		return left.holds
	case p.take("BETWEEN"):
		return p.between(left)
	case p.take("IN"):
		return p.in(left)
	case isComparison(next):
		p.at++
		return p.comparison(left, next)
	case left.call == functionSize && (next == "" || next == ")"):
		p.misused(left)
	}
	p.unexpected()
	return nil
}

// parenthesized reads what is in parentheses, which must not be in parentheses alone.
func (p *parser) parenthesized() condition {
	opens := p.at
	inner := p.or()
	double := p.err == nil && p.tokens[opens].text == "(" && p.closing(opens) == p.at-1
	p.expect(")")
	if double {
		p.fail("The expression has redundant parentheses;")
	}
	return inner
}

// closing is where a parenthesis that opens at a token is closed.
func (p *parser) closing(opens int) int {
	depth := 0
	for i, t := range p.tokens[opens:] {
		switch t.text {
		case "(":
			depth++
		case ")":
			if depth--; depth == 0 {
				return opens + i
			}
		}
	}
	return -1
}

// operand reads an operand of a condition.
func (p *parser) operand() operand {
	if !p.isCall() {
		return p.simple()
	}
	o := p.function(p.operand, conditionFunctions, map[string]bool{functionIfNotExists: true, functionListAppend: true}, "a condition")
	if p.err != nil {
		return o
	}
	p.plain(o.args...)
	p.distinct(o.call, o.args)
	switch o.call {
	case functionExists, functionNotExists:
		if o.args[0].path == "" {
			p.fail("Operator or function requires a document path; operator or function: %s", o.call)
		}
	case functionBegins:
		p.refuseKinds(o.call, o.args, typeNumber, typeStringSet)
	case functionSize:
		p.refuseKinds(o.call, o.args, typeNumber)
	case functionType:
		p.checkTypeName(o.args[1])
	}
	return o
}

func (p *parser) checkTypeName(o operand) {
	switch {
	case o.value == nil:
		p.fail("Incorrect operand type for operator or function; operator or function: attribute_type, operand type: %s",
			"{NS,SS,L,BS,N,M,B,BOOL,NULL,S}")
	case o.value.S == nil:
		p.refuseKinds(functionType, []operand{o}, typeNumber, typeStringSet)
	case !slices.Contains(typeNames, *o.value.S):
		p.fail("Invalid attribute type name found; type: %s, valid types: {%s}", *o.value.S, strings.Join(typeNames, ","))
	}
}

// plain refuses functions but size as operands.
func (p *parser) plain(operands ...operand) {
	for _, o := range operands {
		if o.call != "" && o.call != functionSize {
			p.misused(o)
		}
	}
}

func (p *parser) misused(o operand) {
	p.fail("The function is not allowed to be used this way in an expression; function: %s", o.call)
}

// distinct refuses an attribute that is compared with itself.
func (p *parser) distinct(operator string, operands []operand) {
	if len(operands) == 2 && operands[0].path != "" && operands[0].path == operands[1].path {
		p.fail("The first operand must be distinct from the remaining operands for this operator or function; "+
			"operator: %s, first operand: [%s]", operator, operands[0].path)
	}
}

var comparisons = map[string]func(order int) bool{
	"=":  func(order int) bool { return order == 0 },
	"<>": func(order int) bool { return order != 0 },
	"<":  func(order int) bool { return order < 0 },
	"<=": func(order int) bool { return order <= 0 },
	">":  func(order int) bool { return order > 0 },
	">=": func(order int) bool { return order >= 0 },
}

func isComparison(text string) bool { return comparisons[text] != nil }

func (p *parser) comparison(left operand, operator string) condition {
	right := p.operand()
	if p.err != nil {
		return nil
	}
	p.plain(right)
	p.distinct(operator, []operand{left, right})
	if operator != "=" && operator != "<>" {
		p.refuseKinds(operator, []operand{left, right}, typeStringSet)
	}
	return func(item Item) bool { return compared(left, operator, right, item) }
}

// compared says whether a comparison holds. What isn't there is unequal to everything, and neither less nor more.
func compared(left operand, operator string, right operand, item Item) bool {
	a, there := left.of(item)
	b, too := right.of(item)
	switch {
	case !there || !too:
		return operator == "<>"
	case operator == "=":
		return a.equal(b)
	case operator == "<>":
		return !a.equal(b)
	}
	order, ordered := compare(a, b)
	return ordered && comparisons[operator](order)
}

func (p *parser) between(left operand) condition {
	low := p.operand()
	p.expect("AND")
	high := p.operand()
	if p.err != nil {
		return nil
	}
	p.plain(low, high)
	p.refuseKinds("BETWEEN", []operand{left, low, high}, typeStringSet)
	if low.value != nil && high.value != nil {
		p.bounds(*low.value, *high.value)
	}
	return func(item Item) bool { return compared(left, ">=", low, item) && compared(left, "<=", high, item) }
}

// bounds refuses what nothing can be between.
func (p *parser) bounds(low, high Attribute) {
	order, ordered := compare(low, high)
	switch {
	case !ordered:
		p.fail("The BETWEEN operator requires same data type for lower and upper bounds; "+
			"lower bound operand: AttributeValue: %v, upper bound operand: AttributeValue: %v", low, high)
	case order > 0:
		p.fail("The BETWEEN operator requires upper bound to be greater than or equal to lower bound; "+
			"lower bound operand: AttributeValue: %v, upper bound operand: AttributeValue: %v", low, high)
	}
}

func (p *parser) in(left operand) condition {
	p.expect("(")
	var list []operand
	for p.err == nil {
		if list = append(list, p.operand()); !p.take(",") {
			break
		}
	}
	p.expect(")")
	if p.err != nil {
		return nil
	}
	p.plain(list...)
	if len(list)+1 > maxInOperands {
		p.fail("Incorrect number of operands for operator or function; operator or function: IN, number of operands: %d", len(list)+1)
	}
	return func(item Item) bool {
		return slices.ContainsFunc(list, func(o operand) bool { return compared(left, "=", o, item) })
	}
}

// of gives an operand's value for an item; false if there is none.
func (o operand) of(item Item) (Attribute, bool) {
	switch {
	case o.value != nil:
		return *o.value, true
	case o.call == functionSize:
		value, there := o.args[0].of(item)
		length, has := value.length()
		return Attribute{N: new(strconv.Itoa(length))}, there && has
	}
	value, there := item[o.path]
	return value, there
}

// holds judges an item by a function.
func (o operand) holds(item Item) bool {
	first, there := o.args[0].of(item)
	if o.call == functionExists || o.call == functionNotExists {
		return there == (o.call == functionExists)
	}
	second, too := o.args[1].of(item)
	switch {
	case !there || !too:
		return false
	case o.call == functionType:
		return first.kind() == *second.S
	case o.call == functionContains:
		return first.contains(second)
	}
	return first.S != nil && second.S != nil && strings.HasPrefix(*first.S, *second.S)
}
