package dynamodb

import (
	"slices"
	"strings"
)

// The functions of updates.
const (
	functionIfNotExists = "if_not_exists"
	functionListAppend  = "list_append"
)

// updateFunctions are how many operands each takes.
var updateFunctions = map[string]int{functionIfNotExists: 2}

// The clauses of an update, each of which it has once at most.
const (
	clauseSet    = "SET"
	clauseRemove = "REMOVE"
	clauseAdd    = "ADD"
	clauseDelete = "DELETE"
)

// update are changes of an item, in any order: no two are of one attribute.
type update struct {
	changes []change
	paths   []string
}

// change is what is done to an attribute.
type change struct {
	clause, path string
	operand      operand // none for REMOVE
}

// update reads an UpdateExpression; one that isn't given changes nothing.
func (e *expressions) update(text *string) (update, error) {
	var u update
	if text == nil {
		return u, nil
	}
	p := e.parse(nameUpdate, *text)
	var seen []string
	for p.err == nil && (len(seen) == 0 || p.at < len(p.tokens)) {
		clause := strings.ToUpper(p.peek(0))
		if !slices.Contains([]string{clauseSet, clauseRemove, clauseAdd, clauseDelete}, clause) {
			p.unexpected()
			break
		}
		if p.at++; slices.Contains(seen, clause) {
			p.fail("The %q section can only be used once in an update expression;", clause)
		}
		seen = append(seen, clause)
		for p.err == nil {
			if u.add(p, p.change(clause)); !p.take(",") {
				break
			}
		}
	}
	return u, p.err
}

// add notes a change, which must be of another attribute than those before.
func (u *update) add(p *parser, c change) {
	if slices.Contains(u.paths, c.path) {
		p.overlap(c.path)
	}
	u.changes, u.paths = append(u.changes, c), append(u.paths, c.path)
}

func (p *parser) change(clause string) change {
	c := change{clause: clause, path: p.path()}
	switch clause {
	case clauseSet:
		p.expect("=")
		c.operand = p.sum()
	case clauseAdd, clauseDelete:
		c.operand = operand{value: p.value()}
		if p.err != nil {
			break
		}
		// DynamoDB's word for a type is another one here.
		switch kind := c.operand.kind(); {
		case kind == typeString:
			p.fail("Incorrect operand type for operator or function; operator: %s, operand type: STRING", clause)
		case kind == typeNumber && clause == clauseDelete:
			p.fail("Incorrect operand type for operator or function; operator: %s, operand type: NUMBER", clause)
		}
	}
	return c
}

// sum reads what SET sets: an operand, or the sum or difference of two.
func (p *parser) sum() operand {
	left := p.setOperand()
	for _, operator := range []string{"+", "-"} {
		if p.err == nil && p.take(operator) {
			out := operand{call: operator, args: []operand{left, p.setOperand()}}
			p.refuseKinds(operator, out.args, typeString, typeStringSet)
			return out
		}
	}
	return left
}

func (p *parser) setOperand() operand {
	if !p.isCall() {
		return p.simple()
	}
	if p.peek(0) == functionListAppend {
		p.fail("list_append isn't supported here: an attribute is a string, a number or a set of strings")
		return operand{}
	}
	conditions := map[string]bool{}
	for name := range conditionFunctions {
		conditions[name] = true
	}
	o := p.function(p.setOperand, updateFunctions, conditions, "an update")
	if p.err == nil && o.args[0].path == "" {
		p.fail("Operator or function requires a document path; operator or function: %s", o.call)
	}
	return o
}

// apply changes the item. All that is set is computed of what it was before.
func (u update) apply(item Item) error {
	before := item.clone()
	for _, c := range u.changes {
		value, err := c.new(before)
		if err != nil {
			return err
		}
		if item[c.path] = value; value.kind() == "" || value.kind() == typeStringSet && len(value.SS) == 0 {
			delete(item, c.path) // removed, or a set without elements, which there isn't
		}
	}
	return nil
}

// new is the new value of the attribute; of no type if there will be none.
func (c change) new(item Item) (Attribute, error) {
	have, there := item[c.path]
	switch c.clause {
	case clauseRemove:
		return Attribute{}, nil
	case clauseSet:
		return c.operand.computed(item)
	}
	value := *c.operand.value
	switch {
	case there && have.kind() != value.kind():
		return Attribute{}, errOperandType
	case value.N != nil && there:
		return sum(have, value, false)
	case value.N != nil:
		return value, nil
	}
	left := slices.DeleteFunc(slices.Clone(have.SS), func(s string) bool { return slices.Contains(value.SS, s) })
	if c.clause == clauseAdd {
		left = append(left, value.SS...)
	}
	return Attribute{SS: slices.Sorted(slices.Values(left))}, nil
}

// computed is an operand's value in an update.
func (o operand) computed(item Item) (Attribute, error) {
	switch o.call {
	case "":
		value, there := o.of(item)
		if !there {
			return value, errNoAttribute
		}
		return value, nil
	case functionIfNotExists:
		if value, there := o.args[0].of(item); there {
			return value, nil
		}
		return o.args[1].computed(item)
	}
	left, err := o.args[0].computed(item)
	if err != nil {
		return left, err
	}
	right, err := o.args[1].computed(item)
	if err != nil {
		return right, err
	}
	return sum(left, right, o.call == "-")
}

// sum adds two numbers, or subtracts.
func sum(a, b Attribute, minus bool) (Attribute, error) {
	if a.N == nil || b.N == nil {
		return Attribute{}, errOperandType
	}
	other := numberOf(b)
	if minus {
		other = other.negated()
	}
	out, err := numberOf(a).plus(other)
	if err != nil {
		return Attribute{}, err
	}
	return Attribute{N: new(out.String())}, nil
}
