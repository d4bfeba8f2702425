package asl

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

const typeField = "Type"

// Parse reads a definition and validates it. Every fault is reported at once in a [ValidationError]: text that is not JSON,
// unknown fields, state types, operators and intrinsic functions, duplicate keys, and all that [Machine.Validate] checks. Nothing
// unknown is ever skipped.
func Parse(data []byte) (*Machine, error) {
	c := &checker{}

	if _, err := decodeJSON(data); err != nil {
		c.addf("", "not a JSON document: %s", syntaxPlace(data, err))

		return nil, c.err()
	}

	c.broken = map[string]bool{}
	p := &parser{checker: c}
	p.duplicates(json.NewDecoder(bytes.NewReader(data)), "")

	m := p.machine(data)
	m.check(c)

	if err := c.err(); err != nil {
		return nil, err
	}

	return m, nil
}

// syntaxPlace adds the line of a JSON syntax error.
func syntaxPlace(data []byte, err error) string {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return err.Error()
	}

	offset := min(int(syntax.Offset), len(data))

	return fmt.Sprintf("line %d: %v", bytes.Count(data[:offset], []byte("\n"))+1, err)
}

type parser struct {
	*checker

	// read is the order of the state's keys, as far as it is read.
	read keyOrder
}

// keyOrder is the order of an object's keys by its place in a state, such as "Parameters.Payload", where it is another than that
// of the letters, in which Go writes a map's: the order is visible in what a state computes.
type keyOrder map[string][]string

// note records the order of the objects in a normalized tree.
func (o keyOrder) note(place string, value any) {
	switch v := value.(type) {
	case *object:
		if !slices.IsSorted(v.keys) {
			o[place] = v.keys
		}

		for key, item := range v.values {
			o.note(place+"."+key, item)
		}
	case []any:
		for i, item := range v {
			o.note(fmt.Sprintf("%s[%d]", place, i), item)
		}
	}
}

// arrange puts the members of objects in that order; those that it doesn't know come last.
func (o keyOrder) arrange(place string, value any) any {
	switch v := value.(type) {
	case *object:
		out := newObject(len(v.keys))

		for _, key := range slices.Concat(o[place], v.keys) {
			if item, ok := v.get(key); ok {
				out.set(key, o.arrange(place+"."+key, item))
			}
		}

		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = o.arrange(fmt.Sprintf("%s[%d]", place, i), item)
		}

		return out
	default:
		return value
	}
}

// keeper is a state that computes objects.
type keeper interface{ keep(order keyOrder) }

func (t *Task) keep(order keyOrder)    { t.order = order }
func (ch *Choice) keep(order keyOrder) { ch.order = order }
func (p *Pass) keep(order keyOrder)    { p.order = order }
func (w *Wait) keep(order keyOrder)    { w.order = order }
func (s *Succeed) keep(order keyOrder) { s.order = order }
func (m *Map) keep(order keyOrder)     { m.order = order }

func (p *parser) machine(data []byte) *Machine {
	m := &Machine{States: map[string]State{}}

	if fields, ok := p.object(data, ""); ok {
		p.fill(fields, reflect.ValueOf(m).Elem(), "", "the top level", "")
	}

	return m
}

// states reads the states of the machine, or of a Map's ItemProcessor.
func (p *parser) states(data json.RawMessage, out *map[string]State, field string) {
	raw, ok := p.object(data, field)
	if !ok {
		return
	}

	*out = make(map[string]State, len(raw))
	outer, read := p.state, p.read

	for _, name := range slices.Sorted(maps.Keys(raw)) {
		p.state = name

		state := p.stateOf(raw[name])
		if state == nil {
			p.broken[name] = true

			continue
		}

		(*out)[name] = state
	}

	p.state, p.read = outer, read
}

// object reads a JSON object; anything else is reported.
func (p *parser) object(raw json.RawMessage, field string) (map[string]json.RawMessage, bool) {
	var out map[string]json.RawMessage
	if err := json.Unmarshal(raw, &out); err != nil || out == nil {
		p.addf(field, "must be an object")

		return nil, false
	}

	return out, true
}

func newState(kind StateType) State {
	switch kind {
	case TypeTask:
		return &Task{}
	case TypeChoice:
		return &Choice{}
	case TypePass:
		return &Pass{}
	case TypeWait:
		return &Wait{}
	case TypeSucceed:
		return &Succeed{}
	case TypeFail:
		return &Fail{}
	case TypeMap:
		return &Map{}
	default:
		return nil
	}
}

func (p *parser) stateOf(raw json.RawMessage) State {
	fields, ok := p.object(raw, "")
	if !ok {
		return nil
	}

	var kind StateType
	if err := json.Unmarshal(fields[typeField], &kind); err != nil || kind == "" {
		p.addf(typeField, "name the state's type, one of Task, Choice, Pass, Wait, Succeed, Fail and Map")

		return nil
	}

	state := newState(kind)
	if state == nil {
		p.unknownType(kind)

		return nil
	}

	delete(fields, typeField)

	if wait, ok := state.(*Wait); ok && bytes.HasPrefix(fields[secondsField], []byte(`"`)) {
		p.plain(fields[secondsField], reflect.ValueOf(&wait.SecondsExpression).Elem(), secondsField)
		delete(fields, secondsField)
	}

	p.read = keyOrder{}
	p.fill(fields, reflect.ValueOf(state).Elem(), "", "a "+string(kind)+" state", typeField)

	if computing, ok := state.(keeper); ok && len(p.read) > 0 {
		computing.keep(p.read)
	}

	return state
}

func (p *parser) unknownType(kind StateType) {
	if kind == "Parallel" {
		p.addf(typeField, "%s states are not supported: use Task, Choice, Pass, Wait, Succeed, Fail or Map", kind)

		return
	}

	p.addf(typeField, "unknown state type %q: use Task, Choice, Pass, Wait, Succeed, Fail or Map", string(kind))
}

// fill puts the fields into the struct and reports those it does not have. what and also describe the struct in that message.
func (p *parser) fill(fields map[string]json.RawMessage, target reflect.Value, prefix, what, also string) {
	known := map[string]reflect.Value{}

	for i := range target.NumField() {
		name, _, _ := strings.Cut(target.Type().Field(i).Tag.Get("json"), ",")
		if name != "" && name != "-" {
			known[name] = target.Field(i)
		}
	}

	for _, name := range slices.Sorted(maps.Keys(fields)) {
		field, ok := known[name]
		if !ok {
			names := slices.Sorted(maps.Keys(known))
			if also != "" {
				names = append([]string{also}, names...)
			}

			p.addf(prefix+name, "%s has no such field; it has %s", what, strings.Join(names, ", "))

			continue
		}

		p.value(fields[name], field, prefix+name)
	}
}

// value reads one field by the type of its Go counterpart.
func (p *parser) value(raw json.RawMessage, target reflect.Value, field string) {
	switch out := target.Addr().Interface().(type) {
	case *Path:
		p.path(raw, out, field)
	case *[]Retrier:
		list(p, raw, field, out, func(item json.RawMessage, r *Retrier, place string) {
			p.item(item, reflect.ValueOf(r).Elem(), place, "a retrier")
		})
	case *[]Catcher:
		list(p, raw, field, out, func(item json.RawMessage, r *Catcher, place string) {
			p.item(item, reflect.ValueOf(r).Elem(), place, "a catcher")
		})
	case *[]Rule:
		list(p, raw, field, out, p.rule)
	case *any:
		p.result(raw, out, field)
	case *map[string]any:
		p.tree(raw, out, field)
	case *map[string]State:
		p.states(raw, out, field)
	case **ItemProcessor:
		part(p, raw, out, field, "an ItemProcessor")
	case **ProcessorConfig:
		part(p, raw, out, field, "a ProcessorConfig")
	case **ItemReader:
		part(p, raw, out, field, "an ItemReader")
	case **ReaderConfig:
		part(p, raw, out, field, "a ReaderConfig")
	case **ItemBatcher:
		part(p, raw, out, field, "an ItemBatcher")
	case **ResultWriter:
		part(p, raw, out, field, "a ResultWriter")
	case **WriterConfig:
		part(p, raw, out, field, "a WriterConfig")
	default:
		p.plain(raw, target, field)
	}
}

func (p *parser) item(raw json.RawMessage, target reflect.Value, place, what string) {
	if fields, ok := p.object(raw, place); ok {
		p.fill(fields, target, place+".", what, "")
	}
}

// part reads an object that is a field of a Map.
func part[T any](p *parser, raw json.RawMessage, out **T, field, what string) {
	*out = new(T)
	p.item(raw, reflect.ValueOf(*out).Elem(), field, what)
}

func list[T any](p *parser, raw json.RawMessage, field string, out *[]T, read func(json.RawMessage, *T, string)) {
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil || items == nil {
		p.addf(field, "must be an array")

		return
	}

	*out = make([]T, len(items))
	for i, item := range items {
		read(item, &(*out)[i], fmt.Sprintf("%s[%d]", field, i))
	}
}

func isNull(raw json.RawMessage) bool { return string(raw) == nullText }

func (p *parser) path(raw json.RawMessage, out *Path, field string) {
	if isNull(raw) {
		*out = Discard

		return
	}

	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		p.addf(field, "must be a path or null")

		return
	}

	// Checked here because the strings "" and "null" would read as absent and as [Discard] in the Go type.
	if !strings.HasPrefix(text, "$") {
		p.addf(field, "%q: %v", text, errNotAPath)

		return
	}

	*out = Path(text)
}

// note records the order of a field's objects.
func (p *parser) note(field string, value any) { p.read.note(field, value) }

func (p *parser) result(raw json.RawMessage, out *any, field string) {
	value, err := decodeJSON(raw)

	switch {
	case err != nil:
		p.add(field, err)
	case value == nil:
		*out = Null{}
	default:
		p.note(field, value)
		*out = plain(value)
	}
}

func (p *parser) tree(raw json.RawMessage, out *map[string]any, field string) {
	value, err := decodeJSON(raw)
	if err != nil {
		p.add(field, err)

		return
	}

	object, ok := plain(value).(map[string]any)
	if !ok {
		p.addf(field, "must be an object and is %s", kindOf(value))

		return
	}

	p.note(field, value)
	*out = object
}

// plain reads a string, number, boolean or list of strings.
func (p *parser) plain(raw json.RawMessage, target reflect.Value, field string) {
	if isNull(raw) || json.Unmarshal(raw, target.Addr().Interface()) != nil {
		p.addf(field, "must be %s and is %s", goKind(target.Type()), shorten(string(raw)))

		return
	}

	switch {
	case target.Kind() == reflect.Pointer, target.Kind() == reflect.Bool, isProse(field):
	case target.IsZero():
		// Zero is absent in the Go type and never allowed in the text.
		p.addf(field, "must not be %s", shorten(string(raw)))
	}
}

// isProse tells which texts may be empty.
func isProse(field string) bool {
	return strings.HasSuffix(field, commentField) || field == "Cause" || field == "Error"
}

func goKind(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}

	switch t.Kind() {
	case reflect.Int:
		return "an integer"
	case reflect.Float64:
		return numberText
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "an array of strings"
	default:
		return "a string"
	}
}

func shorten(text string) string {
	const most = 60
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "..."
	}

	return text
}

// rule reads a Choice rule, whose operator is a field name.
func (p *parser) rule(raw json.RawMessage, out *Rule, field string) {
	fields, ok := p.object(raw, field)
	if !ok {
		return
	}

	for _, name := range slices.Sorted(maps.Keys(fields)) {
		p.ruleField(name, fields[name], out, field)
	}
}

func (p *parser) ruleField(name string, raw json.RawMessage, out *Rule, field string) {
	place := field + "." + name

	switch name {
	case commentField:
		p.plain(raw, reflect.ValueOf(&out.Comment).Elem(), place)
	case variableField:
		p.plain(raw, reflect.ValueOf(&out.Variable).Elem(), place)
	case nextField:
		p.plain(raw, reflect.ValueOf(&out.Next).Elem(), place)
	case "And":
		list(p, raw, place, &out.And, p.rule)
	case "Or":
		list(p, raw, place, &out.Or, p.rule)
	case "Not":
		out.Not = &Rule{}
		p.rule(raw, out.Not, place)
	case conditionField:
		p.plain(raw, reflect.ValueOf(&out.Condition).Elem(), place)
	case outputField:
		p.result(raw, &out.Output, place)
	case assignField:
		p.tree(raw, &out.Assign, place)
	default:
		p.operator(name, raw, out, field)
	}
}

func (p *parser) operator(name string, raw json.RawMessage, out *Rule, field string) {
	if _, known := operations()[Operator(name)]; !known {
		p.addf(field, "unknown comparison operator %q; known are %s", name, operatorNames())

		return
	}

	if out.Operator != "" {
		p.addf(field, "a rule compares once: it has both %s and %s; combine two rules with And", string(out.Operator), name)

		return
	}

	value, err := decodeJSON(raw)
	if err != nil {
		p.add(field, err)

		return
	}

	out.Operator, out.Value = Operator(name), plain(value)
}

// duplicates reports keys that an object has twice, of which encoding/json would silently keep the last; place is where the next
// value stands. The text is known to be JSON.
func (p *parser) duplicates(text *json.Decoder, place string) {
	token, _ := text.Token()
	seen := map[string]bool{}

	switch token {
	case json.Delim('{'):
		for text.More() {
			key, _ := text.Token()
			name := fmt.Sprint(key)
			at := place + "." + name

			if seen[name] {
				p.addf(strings.TrimLeft(at, "."), "the key is given twice in the same object")
			}

			seen[name] = true
			p.duplicates(text, at)
		}
	case json.Delim('['):
		for text.More() {
			p.duplicates(text, place+".[]")
		}
	default:
		return
	}

	_, _ = text.Token() // the closing bracket
}
