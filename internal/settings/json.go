package settings

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// errTrailing is text behind a JSON value.
var errTrailing = errors.New("text follows the JSON value")

// decodeJSON reads exactly one JSON value. An object must not have a key twice: encoding/json would take the last without a word. The
// error of such a one is a [duplicate].
func decodeJSON[T any](text string) (value T, err error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	if err := decoder.Decode(&value); err != nil {
		return value, fmt.Errorf("reading JSON: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return value, errTrailing
	}
	return value, unique(text)
}

// structure says what a value is that should have been text: a list or an object. It is empty for what is neither.
func structure(value string) string {
	kind := map[byte]string{'[': "a list", '{': "an object"}
	if value == "" || !json.Valid([]byte(value)) {
		return ""
	}
	return kind[value[0]]
}

// duplicate is a key that an object has twice.
type duplicate string

func (d duplicate) Error() string {
	return fmt.Sprintf("the object has the key %s twice", display(string(d)))
}

// unique looks for keys that a valid object has twice; those in it are left to whoever decodes them.
func unique(text string) error {
	decoder := json.NewDecoder(strings.NewReader(text))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return nil //nolint:nilerr // The text is valid, and no object.
	}
	seen := map[any]bool{}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return fmt.Errorf("reading JSON: %w", err)
		}
		if name, _ := key.(string); seen[name] {
			return duplicate(name)
		}
		seen[key] = true
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return fmt.Errorf("reading JSON: %w", err)
		}
	}
	return nil
}

// jsonRule is the rule that a text breaks which decodeJSON refused: the one about duplicates, or else the given.
func jsonRule(err error, rule string) string {
	if key, ok := errors.AsType[duplicate](err); ok {
		return fmt.Sprintf("must have each key once, and has %s twice", display(string(key)))
	}
	return rule
}
