package settings

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Namespace is the name of the project as it comes, and so the prefix that Pulumi puts before every key: upload-router:bucketName. A
// project of another name has that one as its prefix; see [WithProject].
const Namespace = "upload-router"

// Type is the type of a key's value.
//
// https://www.pulumi.com/docs/iac/concepts/projects/project-file/#config-options
type Type string

// The types Pulumi's project file knows.
const (
	TypeString  Type = "string"
	TypeInteger Type = "integer"
	TypeBoolean Type = "boolean"
	TypeArray   Type = "array"
	TypeObject  Type = "object"
)

// Key is one configuration key: all that is said of it anywhere follows from this row.
type Key struct {
	// Name is the key without its namespace. Required.
	Name string
	// Doc says what the key means. In [Keys], values, unit, bounds and other keys that the row names are in it. Required.
	Doc string
	// Default is what counts when the key is not set, as Pulumi.yaml holds it: a string, int, bool, []any or map[string]any, which gives the
	// key its type. An empty string, list or object means that there is nothing by default; Doc then says what happens. Required.
	Default any
	// Example is a value that is valid, a list or an object as JSON. Default: the key's default. Required if that is empty.
	Example string

	// Choices are the texts there may be. Default: any that the key's check lets pass.
	Choices []Choice
	// Values are the numbers there may be, in order. Default: all from Least to Most.
	Values []int
	// Least and Most bound a number, or how many elements a list has. Most 0: no bounds.
	Least, Most int
	// Unit is what a number counts, in the plural.
	Unit string
	// Zero is what 0 means where it is allowed besides the others. Empty: 0 is like any other number.
	Zero string

	// Only are the values of another key that this one goes with. Default: it goes with all.
	Only *Only
	// exact says that texts of a list which differ in capitals only are two.
	exact bool
	// Shape is how the key changes the state machine's shape. Default: not, or by a number in it alone.
	Shape *Shape

	// Type is the value's type, and Items that of an array's elements, else empty. [Keys] has both.
	Type, Items Type

	// field is what the key fills, and gives the way to read it; read is a way of its own.
	field func(*Settings) any
	read  func(*loader, Key, *Settings)
	// check says which rule a text, or a text in a list, breaks; nil: none.
	check func(l *loader, value string) error
	// fixed is what was most likely meant by a value that is refused, or empty; nil: that can't be told.
	fixed func(l *loader, value string) string
}

// Choice is one of the values that a key may have.
type Choice struct {
	// Value is the value, and Doc what it means, in a few words that go in brackets; empty where the value says it.
	Value, Doc string
}

// Only says that a key goes with some values of another one: with others it has to be as by default.
type Only struct {
	// Key is the other key, and Values those that it goes with. Required.
	Key    string
	Values []string
	// Or is what else the other key may be, in a few words: anything but its default. Empty: nothing else.
	Or string
	// Needed says that it has to be set with them.
	Needed bool
	// Change says that the other key is to have the first of them where this one is set; else this one is to be removed.
	Change bool
	// Why is why it doesn't go with the others. Default: nothing is said.
	Why string
}

// Shape is how a key changes the shape of the state machine.
type Shape struct {
	// Other is a value with which the machine differs from the default one, and With the other keys which that can't be without.
	Other string
	With  map[string]string
	// Less says that the value takes something away.
	Less bool
}

// row completes a key by what follows from its row.
func (k Key) row() Key {
	switch k.Default.(type) {
	case int:
		k.Type = TypeInteger
	case bool:
		k.Type = TypeBoolean
	case []any:
		k.Type, k.Items = TypeArray, cmp.Or(k.Items, TypeString)
	case map[string]any:
		k.Type = TypeObject
	default:
		k.Type = TypeString
	}
	k.Example = cmp.Or(k.Example, k.Text())
	k.Doc = strings.Join(slices.DeleteFunc([]string{k.meaning(), k.bounds(), k.only()}, func(part string) bool { return part == "" }), " ")
	return k
}

// meaning is what a key means, with the values that it may have after the first sentence.
func (k Key) meaning() string {
	values := k.choices()
	for i, c := range k.Choices {
		if c.Doc != "" {
			values[i] += " (" + c.Doc + ")"
		}
	}
	if len(k.Values) > 0 {
		values = decimals(k.Values)
	}
	if len(values) == 0 {
		return k.Doc
	}
	first, rest, more := strings.Cut(strings.TrimSuffix(k.Doc, "."), ". ")
	if more {
		rest = " " + rest + "."
	}
	return first + ": " + orList(values) + "." + rest
}

// bounds is how many there may be.
func (k Key) bounds() string {
	if k.Most == 0 {
		return ""
	}
	bounds := fmt.Sprintf("%d-%d %s", k.Least, k.Most, k.Unit)
	if k.Most == math.MaxInt32 {
		bounds = fmt.Sprintf("%d or more %s", k.Least, k.Unit)
	}
	if k.Zero != "" {
		bounds += "; 0: " + k.Zero
	}
	return bounds + "."
}

// only is what another key must be.
func (k Key) only() string {
	if k.Only == nil {
		return ""
	}
	only := "With " + k.Only.Key + " " + k.Only.values() + " only"
	if k.Only.Needed {
		only += ", where it is needed"
	}
	return only + "."
}

// values are what the other key may be.
func (o *Only) values() string {
	if o.Or == "" {
		return orList(o.Values)
	}
	return orList(append(slices.Clone(o.Values), o.Or))
}

// choices are the texts that a key may be.
func (k Key) choices() []string {
	values := make([]string, 0, len(k.Choices))
	for _, c := range k.Choices {
		values = append(values, c.Value)
	}
	return values
}

// allows says whether a number is one of the key's.
func (k Key) allows(number int) bool {
	if len(k.Values) > 0 {
		return slices.Contains(k.Values, number)
	}
	return number >= k.Least && number <= k.Most || number == 0 && k.Zero != ""
}

// rule is what a number of the key has to be.
func (k Key) rule() string {
	if len(k.Values) > 0 {
		return "must be " + orList(decimals(k.Values)) + " " + k.Unit
	}
	rule := fmt.Sprintf("must be a whole number of %s from %d to %d", k.Unit, k.Least, k.Most)
	if k.Zero != "" {
		rule += ", or 0: " + k.Zero
	}
	return rule
}

// Text is the default as a [Lookup] would hand it out, and as the stack's file would have it: a list or an object as JSON.
func (k Key) Text() string {
	switch value := k.Default.(type) {
	case string:
		return value
	case int:
		return strconv.Itoa(value)
	case bool:
		return strconv.FormatBool(value)
	default:
		return CompactJSON(value)
	}
}

// structured says whether the value has parts, which Pulumi's command line sets one by one.
func (k Key) structured() bool { return k.Type == TypeArray || k.Type == TypeObject }

// same says of a text in a list whether it is the same as another one.
func (k Key) same(as string) func(string) bool {
	return func(value string) bool { return value == as || !k.exact && strings.EqualFold(value, as) }
}

// elementExample is the first element of a list of strings' example.
func (k Key) elementExample() string {
	elements, err := decodeJSON[[]string](k.Example)
	if err != nil || len(elements) == 0 {
		return ""
	}
	return elements[0]
}

// CompactJSON writes a value as JSON on one line, with &, < and > as they are.
func CompactJSON(value any) string {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return fmt.Sprint(value)
	}
	return strings.TrimSpace(text.String())
}

// orList joins words as a sentence does: "a, b or c".
func orList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
