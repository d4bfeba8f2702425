package asl

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// object is a JSON object that keeps the order of its members, which a Go map does not: wildcards, filters, texts and outputs of
// Step Functions have it. Nobody changes an object that others may hold, but for [object.set] by its maker.
type object struct {
	keys   []string
	values map[string]any
}

func newObject(size int) *object {
	return &object{keys: make([]string, 0, size), values: make(map[string]any, size)}
}

// set gives a member its value. A member that is there keeps its place.
func (o *object) set(key string, value any) {
	if _, known := o.values[key]; !known {
		o.keys = append(o.keys, key)
	}

	o.values[key] = value
}

func (o *object) get(key string) (any, bool) {
	value, ok := o.values[key]

	return value, ok
}

// with is a copy with one member set; o may be nil.
func (o *object) with(key string, value any) *object {
	out := newObject(1)
	if o != nil {
		out = newObject(len(o.keys) + 1)
		for _, k := range o.keys {
			out.set(k, o.values[k])
		}
	}

	out.set(key, value)

	return out
}

// MarshalJSON writes the members in their order.
func (o *object) MarshalJSON() ([]byte, error) { return encodeTree(o), nil }

// objectOf makes an object of keys and values that take turns.
func objectOf(members ...any) *object {
	out := newObject(len(members) / 2)
	for i := 0; i+1 < len(members); i += 2 {
		key, _ := members[i].(string)
		out.set(key, members[i+1])
	}

	return out
}

// plain copies a normalized tree into one with Go maps, for code outside this
// package, which can then change nothing of the execution's data.
func plain(value any) any {
	switch v := value.(type) {
	case *object:
		out := make(map[string]any, len(v.keys))
		for _, key := range v.keys {
			out[key] = plain(v.values[key])
		}

		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = plain(item)
		}

		return out
	default:
		return value
	}
}

var errTrailingData = errors.New("more than one JSON value")

// decodeJSON reads one JSON value as a normalized tree: nil, bool, string, [json.Number], so that an integer keeps its digits,
// []any and *object, whose members are in the order of the text. Of a key that is there twice the last value counts, at the first
// one's place.
func decodeJSON(data []byte) (any, error) {
	if !json.Valid(data) {
		return nil, invalidJSON(data)
	}

	return (&treeReader{data: data}).value(), nil
}

// invalidJSON is the error of a text that is not one JSON value.
func invalidJSON(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))

	var value any
	if err := dec.Decode(&value); err != nil {
		return fmt.Errorf("reading JSON: %w", err)
	}

	if _, err := dec.Token(); errors.Is(err, io.EOF) {
		return fmt.Errorf("reading JSON: %w", io.ErrUnexpectedEOF)
	}

	return errTrailingData
}

// treeReader reads a text that is known to be valid JSON.
type treeReader struct {
	data []byte
	pos  int
}

func (r *treeReader) space() {
	for r.pos < len(r.data) && isSpace(r.data[r.pos]) {
		r.pos++
	}
}

func (r *treeReader) value() any {
	r.space()

	switch r.data[r.pos] {
	case '{':
		return r.object()
	case '[':
		return r.array()
	case '"':
		return r.text()
	default:
		return r.scalar()
	}
}

// next skips a comma, and tells whether the closing bracket has come.
func (r *treeReader) next(end byte) bool {
	r.space()

	if r.data[r.pos] == ',' {
		r.pos++
		r.space()
	}

	if r.data[r.pos] != end {
		return true
	}

	r.pos++

	return false
}

func (r *treeReader) object() *object {
	r.pos++
	out := newObject(4)

	for r.next('}') {
		key := r.text()
		r.space()
		r.pos++ // the colon
		out.set(key, r.value())
	}

	return out
}

func (r *treeReader) array() []any {
	r.pos++
	out := []any{}

	for r.next(']') {
		out = append(out, r.value())
	}

	return out
}

func (r *treeReader) text() string {
	start := r.pos
	escapes := false

	for r.pos++; r.data[r.pos] != '"'; r.pos++ {
		if r.data[r.pos] == '\\' {
			r.pos++
			escapes = true
		}
	}

	r.pos++

	if inner := r.data[start+1 : r.pos-1]; !escapes && utf8.Valid(inner) {
		return string(inner)
	}

	// Valid JSON, so that the string can be read.
	var out string

	_ = json.Unmarshal(r.data[start:r.pos], &out)

	return out
}

func (r *treeReader) scalar() any {
	start := r.pos
	for r.pos < len(r.data) && strings.IndexByte(",]} \t\r\n", r.data[r.pos]) < 0 {
		r.pos++
	}

	switch text := string(r.data[start:r.pos]); text {
	case nullText:
		return nil
	case trueText, falseText:
		return text == trueText
	case "-0":
		return json.Number("0") // An integer has no negative zero (LocalStack's recordings of States.StringToJson).
	default:
		return json.Number(text)
	}
}

// encodeTree writes a normalized tree as compact JSON, in the order of its members and without HTML escapes.
func encodeTree(value any) json.RawMessage { return appendTree(nil, value) }

func appendTree(out []byte, value any) []byte {
	switch v := value.(type) {
	case nil:
		return append(out, nullText...)
	case bool:
		if v {
			return append(out, trueText...)
		}

		return append(out, falseText...)
	case json.Number:
		return append(out, v...)
	case string:
		return appendText(out, v)
	case []any:
		out = append(out, '[')

		for i, item := range v {
			if i > 0 {
				out = append(out, ',')
			}

			out = appendTree(out, item)
		}

		return append(out, ']')
	case *object:
		return appendObject(out, v)
	default:
		panic(fmt.Sprintf("asl: %T in a normalized tree", value))
	}
}

func appendObject(out []byte, o *object) []byte {
	out = append(out, '{')

	for i, key := range o.keys {
		if i > 0 {
			out = append(out, ',')
		}

		out = append(appendText(out, key), ':')
		out = appendTree(out, o.values[key])
	}

	return append(out, '}')
}

func appendText(out []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return append(out, encodedText(text)...)
		}
	}

	return append(append(append(out, '"'), text...), '"')
}

// encodedText cannot fail: every string has a JSON text.
func encodedText(text string) json.RawMessage {
	raw, _ := encodeJSON(text)

	return raw
}

// equalObjects compares without regard to order, as JSON has none.
func equalObjects(a, b *object) bool {
	return len(a.keys) == len(b.keys) && !slices.ContainsFunc(a.keys, func(key string) bool {
		other, ok := b.values[key]

		return !ok || !equalValues(a.values[key], other)
	})
}
