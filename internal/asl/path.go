package asl

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Path is an InputPath, OutputPath or ResultPath. Empty means that the field is
// absent, which the language reads as "$"; [Discard] is the JSON null.
//
// The syntax is that of Jayway's JSONPath, which is what Step Functions evaluates with (its messages are Jayway's): names after a
// dot may begin with a digit and have hyphens, a bracket may follow a dot, and filters have Jayway's operators. It is written
// here, since no Go module knows that dialect or keeps the order of an object's members. Jayway's functions, such as length(),
// are refused, and so is a slice with a step, which Jayway drops without a word. "$$" at the front selects from the context
// object.
type Path string

// Discard is the explicit JSON null. In ResultPath it drops the result and
// passes the input on; in InputPath and OutputPath it stands for an empty object.
const Discard Path = nullText

// MarshalJSON writes null for [Discard] and a string otherwise.
func (p Path) MarshalJSON() ([]byte, error) {
	if p == Discard {
		return []byte(nullText), nil
	}

	return encodeJSON(string(p))
}

var (
	errNotAPath       = errors.New(`a path starts with "$" (state input) or "$$" (context object)`)
	errNotAReference  = errors.New("the path must select exactly one node: only names and array indexes, no wildcard, slice, filter or \"..\"")
	errContextResult  = errors.New("a ResultPath writes to the state input: it cannot start with \"$$\"")
	errNegativeResult = errors.New("a ResultPath cannot use a negative array index")
	errMalformedPath  = errors.New("malformed path")
)

// path is a parsed Path.
type path struct {
	text     string
	context  bool
	definite bool
	steps    []step
}

// step is one level of a path: what it selects of a node's children, or, with
// deep, of the node's and all its descendants' children.
type step struct {
	deep      bool
	selectors []selector
}

// selector selects children of a node: one of its fields tells which.
type selector struct {
	kind  selectorKind
	name  string
	index int
	// from and to bound a slice; nil is its beginning or end.
	from, to *int
	filter   predicate
}

type selectorKind int

const (
	byName selectorKind = iota
	byIndex
	bySlice
	byWildcard
	byFilter
)

// one tells whether the selector selects one node at most.
func (s selector) one() bool { return s.kind == byName || s.kind == byIndex }

// scope is what paths and intrinsic functions can see.
type scope struct {
	input   any
	context any
	random  func() float64
	// failed begins the cause of an error that the service itself finds: it names
	// the state and the event with which it was entered.
	failed string
}

// on is the scope with another input.
func (s *scope) on(input any) *scope {
	out := *s
	out.input = input

	return &out
}

// failf makes an error that the service itself finds.
func (s *scope) failf(name, format string, args ...any) *Error {
	return failf(name, "%s%s", s.failed, fmt.Sprintf(format, args...))
}

// root is what a path selects from.
func (p *path) root(s *scope) any {
	if p.context {
		return s.context
	}

	return s.input
}

// notAnArray begins Jayway's word for an index of what is no array.
const notAnArray = "Filter: "

// miss tells why a definite path selects nothing, in Jayway's words.
type miss struct {
	reason string
	// index says that it ends at an element that its array doesn't have.
	index bool
}

// resolve returns the selected value. A definite path that selects nothing has a miss; an indefinite one gives the list of its
// matches, maybe empty, in the order of the document.
func (p *path) resolve(s *scope) (any, *miss) {
	root := p.root(s)

	if p.definite {
		return p.follow(root)
	}

	return p.all(root, root), nil
}

// all are the nodes that the path selects, from a node of the root.
func (p *path) all(node, root any) []any {
	nodes := []any{node}
	for _, st := range p.steps {
		nodes = st.apply(nodes, root)
	}

	return nodes
}

// follow is resolve for a definite path.
func (p *path) follow(node any) (any, *miss) {
	for i, st := range p.steps {
		child, ok := st.selectors[0].child(node)
		if !ok {
			return nil, p.miss(i, node)
		}

		node = child
	}

	return node, nil
}

func (p *path) miss(at int, node any) *miss {
	sel := p.steps[at].selectors[0]
	last := at == len(p.steps)-1
	_, object := node.(*object)
	_, array := node.([]any)

	switch {
	case sel.kind == byIndex && !array:
		return &miss{reason: fmt.Sprintf("%s[%d] can only be applied to arrays. Current context is: %s", notAnArray, sel.index, encodeTree(node))}
	case sel.kind == byName && object && !last:
		return &miss{reason: "Missing property in path " + p.normalized(at+1)}
	default:
		return &miss{reason: "No results for path: " + p.normalized(len(p.steps)), index: sel.kind == byIndex && last}
	}
}

// normalized is the path of the first steps as Jayway writes it, $['a'][0].
func (p *path) normalized(steps int) string {
	var out strings.Builder

	out.WriteByte('$')

	for _, st := range p.steps[:steps] {
		if sel := st.selectors[0]; sel.kind == byIndex {
			fmt.Fprintf(&out, "[%d]", sel.index)
		} else {
			fmt.Fprintf(&out, "['%s']", sel.name)
		}
	}

	return out.String()
}

// lastName is the name of the path's last step, if that has one.
func (p *path) lastName() (string, bool) {
	if !p.definite || len(p.steps) == 0 {
		return "", false
	}

	sel := p.steps[len(p.steps)-1].selectors[0]

	return sel.name, sel.kind == byName
}

// apply selects from each node, and with a deep step from all that is below it.
func (st step) apply(nodes []any, root any) []any {
	out := []any{}

	for _, node := range nodes {
		if st.deep {
			out = st.descend(out, node, root)
		} else {
			out = st.pick(out, node, root)
		}
	}

	return out
}

func (st step) pick(out []any, node, root any) []any {
	for _, sel := range st.selectors {
		out = sel.pick(out, node, root)
	}

	return out
}

// descend selects from the node before its descendants, which come in the order of the document.
func (st step) descend(out []any, node, root any) []any {
	out = st.pick(out, node, root)
	for _, child := range children(node) {
		out = st.descend(out, child, root)
	}

	return out
}

// children are an array's elements or an object's values.
func children(node any) []any {
	switch v := node.(type) {
	case []any:
		return v
	case *object:
		out := make([]any, len(v.keys))
		for i, key := range v.keys {
			out[i] = v.values[key]
		}

		return out
	default:
		return nil
	}
}

// child is the one node that a name or an index selects.
func (s selector) child(node any) (any, bool) {
	switch v := node.(type) {
	case *object:
		if s.kind == byName {
			return v.get(s.name)
		}
	case []any:
		if i := s.index; s.kind == byIndex {
			if i < 0 {
				i += len(v)
			}

			if i >= 0 && i < len(v) {
				return v[i], true
			}
		}
	}

	return nil, false
}

func (s selector) pick(out []any, node, root any) []any {
	switch s.kind {
	case byName, byIndex:
		if child, ok := s.child(node); ok {
			out = append(out, child)
		}
	case bySlice:
		if array, ok := node.([]any); ok {
			out = append(out, s.slice(array)...)
		}
	case byWildcard:
		out = append(out, children(node)...)
	case byFilter:
		for _, child := range children(node) {
			if s.filter(child, root) {
				out = append(out, child)
			}
		}
	}

	return out
}

func (s selector) slice(array []any) []any {
	at := func(bound *int, otherwise int) int {
		if bound == nil {
			return otherwise
		}

		i := *bound
		if i < 0 {
			i += len(array)
		}

		return min(max(i, 0), len(array))
	}

	from, to := at(s.from, 0), at(s.to, len(array))
	if from >= to {
		return nil
	}

	return array[from:to]
}

func parsePath(text string) (*path, error) {
	if !strings.HasPrefix(text, "$") {
		return nil, fmt.Errorf("%q: %w", text, errNotAPath)
	}

	r := &pathReader{text: text}

	p, err := r.path()
	if err != nil {
		return nil, err
	}

	if r.pos < len(text) {
		return nil, r.errorf(`expected ".", ".." or "["`)
	}

	return p, nil
}

// path reads a path that begins with $ or $$, and ends where no further step follows.
func (r *pathReader) path() (*path, error) {
	start := r.pos
	p := &path{}
	r.take("$")
	p.context = r.take("$")

	var err error
	if p.steps, err = r.steps(); err != nil {
		return nil, err
	}

	p.text = r.text[start:r.pos]
	p.define()

	return p, nil
}

// define notes whether the path selects one node at most.
func (p *path) define() {
	p.definite = !slices.ContainsFunc(p.steps, func(st step) bool {
		return st.deep || len(st.selectors) != 1 || !st.selectors[0].one()
	})
}

// parseReference accepts only a path that selects one node.
func parseReference(text string) (*path, error) {
	p, err := parsePath(text)
	if err != nil {
		return nil, err
	}

	if !p.definite {
		return nil, fmt.Errorf("%q: %w", text, errNotAReference)
	}

	return p, nil
}

// pathReader reads the text of a path.
type pathReader struct {
	text string
	pos  int
	// depth is how deep in a filter's parentheses it is.
	depth int
}

func (r *pathReader) errorf(format string, args ...any) error {
	return fmt.Errorf("%w %q at offset %d: %s", errMalformedPath, r.text, r.pos, fmt.Sprintf(format, args...))
}

func (r *pathReader) peek() byte {
	if r.pos >= len(r.text) {
		return 0
	}

	return r.text[r.pos]
}

// take skips the text if it stands here.
func (r *pathReader) take(text string) bool {
	if !strings.HasPrefix(r.text[r.pos:], text) {
		return false
	}

	r.pos += len(text)

	return true
}

// while skips the bytes that fit, and returns them.
func (r *pathReader) while(fits func(c byte) bool) string {
	start := r.pos
	for r.pos < len(r.text) && fits(r.text[r.pos]) {
		r.pos++
	}

	return r.text[start:r.pos]
}

func (r *pathReader) space() { r.while(isSpace) }

func isSpace(c byte) bool { return strings.IndexByte(" \t\r\n", c) >= 0 }

// steps reads as many steps as there are.
func (r *pathReader) steps() ([]step, error) {
	var out []step

	for {
		deep := r.take("..")
		dot := deep || r.take(".")

		var (
			st  step
			err error
		)

		switch {
		case r.take("["):
			st, err = r.bracket()
		case dot && r.take("*"):
			st = step{selectors: []selector{{kind: byWildcard}}}
		case dot:
			st, err = r.dotted()
		default:
			return out, nil
		}

		if err != nil {
			return nil, err
		}

		st.deep = deep
		out = append(out, st)
	}
}

// dotted reads the name behind a dot.
func (r *pathReader) dotted() (step, error) {
	name := r.while(isNameByte)

	switch {
	case name == "":
		return step{}, r.errorf("a name is missing; write any but the simplest as ['name']")
	case r.peek() == '(':
		return step{}, r.errorf("the function %s() isn't supported; use an intrinsic function such as States.ArrayLength", name)
	default:
		return step{selectors: []selector{{name: name}}}, nil
	}
}

// isNameByte tells which bytes a name behind a dot may have, as its first one too.
func isNameByte(c byte) bool {
	return c == '_' || c == '-' || c >= 0x80 ||
		'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// bracket reads what stands between brackets: a filter, a wildcard, a slice, or names or indexes.
func (r *pathReader) bracket() (step, error) {
	st := step{}

	for {
		r.space()

		sel, err := r.selector()
		if err != nil {
			return step{}, err
		}

		if first := len(st.selectors) == 0; !first && (!sel.one() || sel.kind != st.selectors[0].kind) {
			return step{}, r.errorf("several selectors in brackets must all be names, or all be indexes")
		}

		st.selectors = append(st.selectors, sel)

		r.space()

		switch {
		case r.take("]"):
			return st, nil
		case sel.one() && r.take(","):
		default:
			return step{}, r.errorf(`expected "]"`)
		}
	}
}

func (r *pathReader) selector() (selector, error) {
	switch c := r.peek(); {
	case c == '\'' || c == '"':
		name, err := r.quoted()

		return selector{kind: byName, name: name}, err
	case r.take("*"):
		return selector{kind: byWildcard}, nil
	case r.take("?"):
		return r.filter()
	default:
		return r.numeric()
	}
}

// numeric reads an index or a slice.
func (r *pathReader) numeric() (selector, error) {
	from, err := r.integer()
	if err != nil {
		return selector{}, err
	}

	r.space()

	if !r.take(":") {
		if from == nil {
			return selector{}, r.errorf("expected a quoted name, an index, a slice, * or ?(filter)")
		}

		return selector{kind: byIndex, index: *from}, nil
	}

	r.space()

	to, err := r.integer()
	if err != nil {
		return selector{}, err
	}

	r.space()

	if r.peek() == ':' {
		return selector{}, r.errorf("a slice has no step")
	}

	return selector{kind: bySlice, from: from, to: to}, nil
}

// integer reads an integer; nil if there is none.
func (r *pathReader) integer() (*int, error) {
	start := r.pos
	r.take("-")
	r.while(func(c byte) bool { return '0' <= c && c <= '9' })

	if r.pos == start {
		return nil, nil //nolint:nilnil // No integer is no error: a slice may leave its bounds out.
	}

	n, err := strconv.ParseInt(r.text[start:r.pos], 10, 32)
	if err != nil {
		return nil, r.errorf("%q is no index", r.text[start:r.pos])
	}

	return new(int(n)), nil
}

// quoted reads a name or text in quotes, in which a backslash escapes what JSON's does, and both quotes.
func (r *pathReader) quoted() (string, error) {
	end := skipQuoted(r.text, r.pos)
	if end > len(r.text) || end-r.pos < 2 || r.text[end-1] != r.text[r.pos] {
		return "", r.errorf("the quoted text has no end")
	}

	inner := r.text[r.pos+1 : end-1]
	if !strings.Contains(inner, `\`) {
		r.pos = end

		return inner, nil
	}

	out, err := unescape(inner)
	if err != nil {
		return "", r.errorf("%v", err)
	}

	r.pos = end

	return out, nil
}

var errEscape = errors.New("unknown escape in quoted text")

func unescape(text string) (string, error) {
	var out strings.Builder

	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			out.WriteByte(text[i])

			continue
		}

		i++
		if i >= len(text) {
			return "", errEscape
		}

		switch c := text[i]; c {
		case '\'', '"', '\\', '/':
			out.WriteByte(c)
		case 'b', 'f', 'n', 'r', 't':
			out.WriteByte("\b\f\n\r\t"[strings.IndexByte("bfnrt", c)])
		case 'u':
			units := unicodeEscapes(text[i-1:])
			if units == "" {
				return "", errEscape
			}

			decoded, err := decodeJSON([]byte(`"` + units + `"`))
			if err != nil {
				return "", fmt.Errorf("%w: %w", errEscape, err)
			}

			piece, _ := decoded.(string)
			out.WriteString(piece)

			i += len(units) - 2
		default:
			return "", errEscape
		}
	}

	return out.String(), nil
}

// unicodeEscapes is the run of \uXXXX that the text begins with: two of them may be one character.
func unicodeEscapes(text string) string {
	const length = len(`\u0000`)

	end := 0
	for strings.HasPrefix(text[end:], `\u`) && len(text) >= end+length {
		end += length
	}

	return text[:end]
}

// skipQuoted returns the offset behind the quoted text that starts at i.
func skipQuoted(text string, i int) int {
	quote := text[i]

	for i++; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case quote:
			return i + 1
		}
	}

	return len(text)
}

// resultTarget is a parsed ResultPath: the names and indexes that lead to the place where the result goes.
type resultTarget struct {
	text  string
	steps []selector
}

func parseResultPath(text string) (*resultTarget, error) {
	p, err := parseReference(text)
	if err != nil {
		return nil, err
	}

	if p.context {
		return nil, fmt.Errorf("%q: %w", text, errContextResult)
	}

	target := &resultTarget{text: text}

	for _, st := range p.steps {
		if st.selectors[0].index < 0 {
			return nil, fmt.Errorf("%q: %w", text, errNegativeResult)
		}

		target.steps = append(target.steps, st.selectors[0])
	}

	return target, nil
}

// put returns a copy of input with result at the target; only the containers on
// the way are copied. It fails with [ErrorResultPathMatchFailure].
func (t *resultTarget) put(input, result any) (any, error) {
	return t.assign(input, true, t.steps, result)
}

func (t *resultTarget) assign(node any, present bool, steps []selector, result any) (any, error) {
	if len(steps) == 0 {
		return result, nil
	}

	if steps[0].kind == byIndex {
		return t.assignIndex(node, steps[0].index, steps, result)
	}

	name := steps[0].name

	parent, ok := node.(*object)
	if !ok && present {
		return nil, failf(ErrorResultPathMatchFailure,
			"ResultPath %s needs an object to put %q in, and the input has %s there", t.text, name, kindOf(node))
	}

	var child any
	if present = ok; ok {
		child, present = parent.get(name)
	}

	value, err := t.assign(child, present, steps[1:], result)
	if err != nil {
		return nil, err
	}

	return parent.with(name, value), nil
}

func (t *resultTarget) assignIndex(node any, index int, steps []selector, result any) (any, error) {
	array, ok := node.([]any)
	if !ok || index >= len(array) {
		return nil, failf(ErrorResultPathMatchFailure,
			"ResultPath %s needs an array with an element %d, and the input has none there", t.text, index)
	}

	value, err := t.assign(array[index], true, steps[1:], result)
	if err != nil {
		return nil, err
	}

	out := make([]any, len(array))
	copy(out, array)
	out[index] = value

	return out, nil
}

// filter is a parsed InputPath or OutputPath.
type filter struct {
	discard bool
	path    *path
}

// apply selects from value; a path that selects nothing is [ErrorRuntime], which nothing can catch.
func (f filter) apply(s *scope, value any) (any, error) {
	if f.discard {
		return newObject(0), nil
	}

	if f.path == nil {
		return value, nil
	}

	out, miss := f.path.resolve(s.on(value))
	if miss != nil {
		return nil, s.failf(ErrorRuntime, "Invalid path '%s' : %s", f.path.text, miss.reason)
	}

	return out, nil
}

// sink is a parsed ResultPath field, null and absent included.
type sink struct {
	discard bool
	target  *resultTarget
}

func (r sink) apply(input, result any) (any, error) {
	switch {
	case r.discard:
		return input, nil
	case r.target == nil:
		return result, nil
	default:
		return r.target.put(input, result)
	}
}
