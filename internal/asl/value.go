package asl

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

// PayloadLimit is the largest input or output of a state and of a task, in bytes of UTF-8 JSON (256 KiB). A larger one fails with
// [ErrorDataLimitExceeded]. See
// https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html.
const PayloadLimit = 256 * 1024

// Words for messages and labels.
const (
	nullText   = "null"
	trueText   = "true"
	falseText  = "false"
	numberText = "a number"
)

// Null is the JSON null as a value, for [Pass].Result, where a nil means "no Result field".
type Null struct{}

// MarshalJSON returns null.
func (Null) MarshalJSON() ([]byte, error) { return []byte(nullText), nil }

// encodeJSON writes compact JSON with sorted keys and without HTML escapes.
func encodeJSON(value any) (json.RawMessage, error) {
	var buf bytes.Buffer

	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)

	if err := enc.Encode(value); err != nil {
		return nil, fmt.Errorf("writing JSON: %w", err)
	}

	return bytes.TrimRight(buf.Bytes(), "\n"), nil
}

// normalize turns any Go value into the tree that the interpreter works on:
// see [decodeJSON]. The members of Go maps come in the order of their keys.
func normalize(value any) (any, error) {
	raw, err := encodeJSON(value)
	if err != nil {
		return nil, err
	}

	return decodeJSON(raw)
}

// payload is a value together with its JSON text, which is needed for the size limit and for the history.
type payload struct {
	value any
	raw   json.RawMessage
}

// newPayload fails with [ErrorDataLimitExceeded] above [PayloadLimit].
func newPayload(what string, value any) (payload, error) {
	raw := encodeTree(value)
	if len(raw) > PayloadLimit {
		return payload{}, failf(ErrorDataLimitExceeded,
			"the %s has %d bytes, above the limit of %d; keep the data in S3 and pass its bucket and key",
			what, len(raw), PayloadLimit)
	}

	return payload{value: value, raw: raw}, nil
}

// numberFloat reads a number as IEEE 754 binary64, the precision that the
// language promises; too large a number becomes an infinity.
func numberFloat(n json.Number) float64 {
	// The only error a valid JSON number can give is the range error, for which
	// ParseFloat already returns the infinity wanted here.
	f, _ := strconv.ParseFloat(n.String(), 64)

	return f
}

// compareNumbers compares exactly when both are 64-bit integers, else as binary64.
func compareNumbers(a, b json.Number) int {
	x, errX := strconv.ParseInt(a.String(), 10, 64)
	y, errY := strconv.ParseInt(b.String(), 10, 64)

	if errX != nil || errY != nil {
		return cmp.Compare(numberFloat(a), numberFloat(b))
	}

	return cmp.Compare(x, y)
}

// plainNumber is a number as text, never in exponent form below 1e21: 5000000000000 must not read 5e+12 in a message.
func plainNumber(n json.Number) string {
	text := n.String()
	if !strings.ContainsAny(text, "eE") {
		return text
	}

	f := numberFloat(n)
	if math.IsInf(f, 0) || math.Abs(f) >= 1e21 {
		return text
	}

	return strconv.FormatFloat(f, 'f', -1, 64)
}

func intNumber(i int64) json.Number { return json.Number(strconv.FormatInt(i, 10)) }

// equalValues is JSON equality: 1 and 1.0 are the same number.
func equalValues(a, b any) bool {
	switch x := a.(type) {
	case json.Number:
		y, ok := b.(json.Number)

		return ok && compareNumbers(x, y) == 0
	case []any:
		y, ok := b.([]any)

		return ok && slices.EqualFunc(x, y, equalValues)
	case *object:
		y, ok := b.(*object)

		return ok && equalObjects(x, y)
	default:
		return isScalar(b) && a == b
	}
}

func isScalar(v any) bool {
	switch v.(type) {
	case []any, *object:
		return false
	default:
		return true
	}
}

// kindOf names a value's JSON type for messages.
func kindOf(value any) string {
	switch name := jsonType(value); name {
	case nullText:
		return name
	case "array", "object":
		return "an " + name
	default:
		return "a " + name
	}
}

// jsonType names a value's JSON type as AWS does.
func jsonType(value any) string {
	switch value.(type) {
	case nil:
		return nullText
	case bool:
		return "boolean"
	case json.Number:
		return "number"
	case string:
		return "string"
	case []any:
		return "array"
	default:
		return "object"
	}
}
