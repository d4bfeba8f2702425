package dynamodb

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// condition judges an item, nil for none.
type condition func(item Item) bool

// placeholders are those of a call, and which of them were used.
type placeholders struct {
	Expressions

	used map[string]bool
}

func (p *placeholders) use(placeholder string) {
	if p.used == nil {
		p.used = map[string]bool{}
	}
	p.used[placeholder] = true
}

// unused finds what no expression uses, which DynamoDB refuses.
func (p *placeholders) unused() error {
	for _, name := range slices.Concat(
		slices.Sorted(maps.Keys(p.ExpressionAttributeNames)), slices.Sorted(maps.Keys(p.ExpressionAttributeValues)),
	) {
		if !p.used[name] {
			return invalid("%s is unused in expressions", name)
		}
	}
	return nil
}

func (p *placeholders) name(token string) (string, error) {
	name, ok := p.ExpressionAttributeNames[token]
	if !ok {
		return "", invalid("%q is no attribute: name it by a placeholder, #name, in ExpressionAttributeNames", token)
	}
	p.use(token)
	return name, nil
}

func (p *placeholders) value(token string) (Attribute, error) {
	value, ok := p.ExpressionAttributeValues[token]
	if !ok {
		return Attribute{}, invalid("%q is not in ExpressionAttributeValues", token)
	}
	p.use(token)
	return value, value.check()
}

// tokens are the words and marks of an expression.
func tokens(text string) []string {
	for _, mark := range []string{"(", ")", ",", "<>", "<=", ">="} {
		text = strings.ReplaceAll(text, mark, " "+mark+" ")
	}
	var out []string
	for word := range strings.FieldsSeq(text) {
		out = append(out, marks(word)...)
	}
	return out
}

// marks splits the comparisons of one character off.
func marks(word string) []string {
	if len(word) == 2 && strings.ContainsAny(word, "<>") {
		return []string{word}
	}
	for _, mark := range []string{"=", "<", ">"} {
		word = strings.ReplaceAll(word, mark, " "+mark+" ")
	}
	return strings.Fields(word)
}

// parser goes through the tokens of one expression.
type parser struct {
	*placeholders

	tokens []string
}

func (p *parser) next() string {
	if len(p.tokens) == 0 {
		return ""
	}
	token := p.tokens[0]
	p.tokens = p.tokens[1:]
	return token
}

func (p *parser) take(word string) bool {
	if len(p.tokens) == 0 || !strings.EqualFold(p.tokens[0], word) {
		return false
	}
	p.tokens = p.tokens[1:]
	return true
}

func (p *parser) expect(mark string) error {
	if token := p.next(); token != mark {
		return invalid("syntax error: %q in the place of %q", token, mark)
	}
	return nil
}

// parseCondition reads a ConditionExpression; an empty one always holds.
func parseCondition(text string, used *placeholders) (condition, error) {
	if text == "" {
		return func(Item) bool { return true }, nil
	}
	p := &parser{placeholders: used, tokens: tokens(text)}
	whole, err := p.or()
	if err == nil && len(p.tokens) > 0 {
		err = invalid("syntax error: %q isn't expected", p.tokens[0])
	}
	return whole, err
}

func (p *parser) or() (condition, error) {
	left, err := p.and()
	for err == nil && p.take("OR") {
		var right condition
		right, err = p.and()
		first := left
		left = func(item Item) bool { return first(item) || right(item) }
	}
	return left, err
}

func (p *parser) and() (condition, error) {
	left, err := p.primary()
	for err == nil && p.take("AND") {
		var right condition
		right, err = p.primary()
		first := left
		left = func(item Item) bool { return first(item) && right(item) }
	}
	return left, err
}

func (p *parser) primary() (condition, error) {
	switch {
	case p.take("("):
		inner, err := p.or()
		if err != nil {
			return nil, err
		}
		return inner, p.expect(")")
	case p.take("attribute_not_exists"):
		name, err := p.argument()
		return func(item Item) bool { _, is := item[name]; return !is }, err
	case p.take("contains"):
		return p.contains()
	}
	return p.comparison()
}

// argument is the one attribute that a function takes.
func (p *parser) argument() (string, error) {
	if err := p.expect("("); err != nil {
		return "", err
	}
	name, err := p.name(p.next())
	if err != nil {
		return "", err
	}
	return name, p.expect(")")
}

func (p *parser) contains() (condition, error) {
	if err := p.expect("("); err != nil {
		return nil, err
	}
	name, err := p.name(p.next())
	if err != nil {
		return nil, err
	}
	if err := p.expect(","); err != nil {
		return nil, err
	}
	element, err := p.value(p.next())
	if err != nil {
		return nil, err
	}
	if element.S == nil {
		return nil, invalid("contains looks for a string")
	}
	return func(item Item) bool { return slices.Contains(item[name].SS, *element.S) }, p.expect(")")
}

// operand gives a value of an item; false if there is none.
type operand func(item Item) (Attribute, bool)

func (p *parser) comparison() (condition, error) {
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	operator := p.next()
	if !slices.Contains([]string{"=", "<>", "<", "<=", ">", ">="}, operator) {
		return nil, invalid("syntax error: %q isn't a comparison that is supported", operator)
	}
	right, err := p.operand()
	if err != nil {
		return nil, err
	}
	return func(item Item) bool {
		a, there := left(item)
		b, too := right(item)
		order, same := compare(a, b)
		if !there || !too || !same {
			return operator == "<>"
		}
		return map[string]bool{
			"=": order == 0, "<>": order != 0, "<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0,
		}[operator]
	}, nil
}

func (p *parser) operand() (operand, error) {
	if p.take("size") {
		name, err := p.argument()
		return func(item Item) (Attribute, bool) {
			value, there := item[name]
			return Attribute{N: new(strconv.Itoa(value.size()))}, there
		}, err
	}
	token := p.next()
	if strings.HasPrefix(token, ":") {
		value, err := p.value(token)
		return func(Item) (Attribute, bool) { return value, true }, err
	}
	name, err := p.name(token)
	return func(item Item) (Attribute, bool) { value, there := item[name]; return value, there }, err
}

// size is what the function of this name gives.
func (a Attribute) size() int {
	if a.S != nil {
		return len(*a.S)
	}
	return len(a.SS)
}

// compare orders two values of the same type.
func compare(a, b Attribute) (order int, same bool) {
	switch {
	case a.S != nil && b.S != nil:
		return cmp.Compare(*a.S, *b.S), true
	case a.N != nil && b.N != nil:
		// Both were checked to be numbers; those in use are seconds and sizes, which a float holds exactly.
		x, _ := strconv.ParseFloat(*a.N, 64)
		y, _ := strconv.ParseFloat(*b.N, 64)
		return cmp.Compare(x, y), true
	}
	return 0, false
}

// update changes an item.
type update func(item Item) error

// parseUpdate reads an UpdateExpression of one clause: SET, ADD or DELETE.
func parseUpdate(text string, used *placeholders) (update, error) {
	p := &parser{placeholders: used, tokens: tokens(text)}
	clause := strings.ToUpper(p.next())
	var actions []update
	for {
		name, err := p.name(p.next())
		if err != nil {
			return nil, err
		}
		if clause == "SET" {
			if err := p.expect("="); err != nil {
				return nil, err
			}
		}
		value, err := p.value(p.next())
		if err != nil {
			return nil, err
		}
		action, err := change(clause, name, value)
		if err != nil {
			return nil, err
		}
		actions = append(actions, action)
		if !p.take(",") {
			break
		}
	}
	if len(p.tokens) > 0 {
		return nil, invalid("syntax error: %q isn't expected", p.tokens[0])
	}
	return func(item Item) error {
		for _, action := range actions {
			if err := action(item); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

func change(clause, name string, value Attribute) (update, error) {
	switch clause {
	case "SET":
		return func(item Item) error { item[name] = value; return nil }, nil
	case "ADD", "DELETE":
		if value.SS == nil {
			return nil, invalid("%s is supported for sets of strings only", clause)
		}
	default:
		return nil, invalid("syntax error: %q isn't a clause that is supported", clause)
	}
	return func(item Item) error {
		have, there := item[name]
		if there && have.SS == nil {
			return invalid("an operand in the update expression has an incorrect data type")
		}
		left := slices.DeleteFunc(slices.Clone(have.SS), func(s string) bool { return slices.Contains(value.SS, s) })
		if clause == "ADD" {
			left = append(left, value.SS...)
		}
		slices.Sort(left)
		if item[name] = (Attribute{SS: left}); len(left) == 0 {
			delete(item, name) // there are no empty sets
		}
		return nil
	}, nil
}
