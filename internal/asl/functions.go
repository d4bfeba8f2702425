package asl

import (
	"cmp"
	"crypto/md5"  //nolint:gosec // States.Hash offers MD5; it guards nothing here.
	"crypto/sha1" //nolint:gosec // States.Hash offers SHA-1; it guards nothing here.
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/google/uuid"
)

const (
	formatName = "States.Format"
	// maxRange is the most elements that States.ArrayRange may make.
	maxRange = 1000
	// maxEncoded is the most characters that the hash and Base64 functions take.
	maxEncoded = 10_000
)

// intrinsic is one function of the language. maxArgs -1 means any number.
// An error of apply becomes the cause of [ErrorIntrinsicFailure].
type intrinsic struct {
	minArgs, maxArgs int
	apply            func(s *scope, a *arguments) (any, error)
}

// call applies the function; an argument of the wrong kind goes before what the function made of it.
func (f intrinsic) call(s *scope, values []any) (any, error) {
	a := &arguments{values: values}
	value, err := f.apply(s, a)

	return value, cmp.Or(a.err, err)
}

func (f intrinsic) arity() string {
	switch f.maxArgs {
	case -1:
		return fmt.Sprintf("at least %d", f.minArgs)
	case f.minArgs:
		return strconv.Itoa(f.minArgs)
	default:
		return fmt.Sprintf("%d to %d", f.minArgs, f.maxArgs)
	}
}

// intrinsics are the 18 functions of the guide, by name. See
// https://docs.aws.amazon.com/step-functions/latest/dg/intrinsic-functions.html.
var intrinsics = sync.OnceValue(func() map[string]intrinsic {
	return map[string]intrinsic{
		"States.Array":          {0, -1, func(_ *scope, a *arguments) (any, error) { return a.values, nil }},
		"States.ArrayContains":  {2, 2, arrayContains},
		"States.ArrayGetItem":   {2, 2, arrayGetItem},
		"States.ArrayLength":    {1, 1, arrayLength},
		"States.ArrayPartition": {2, 2, arrayPartition},
		"States.ArrayRange":     {3, 3, arrayRange},
		"States.ArrayUnique":    {1, 1, arrayUnique},
		"States.Base64Decode":   {1, 1, base64Decode},
		"States.Base64Encode":   {1, 1, base64Encode},
		formatName:              {1, -1, format},
		"States.Hash":           {2, 2, digest},
		"States.JsonMerge":      {3, 3, jsonMerge},
		"States.JsonToString":   {1, 1, jsonToString},
		"States.MathAdd":        {2, 2, mathAdd},
		"States.MathRandom":     {2, 3, mathRandom},
		"States.StringSplit":    {2, 2, stringSplit},
		"States.StringToJson":   {1, 1, stringToJSON},
		"States.UUID":           {0, 0, newUUID},
	}
})

func intrinsicNames() []string { return slices.Sorted(maps.Keys(intrinsics())) }

var (
	errArgument  = errors.New("unfit argument")
	errOutside   = errors.New("outside the range allowed")
	errAlgorithm = errors.New("unknown algorithm; known are MD5, SHA-1, SHA-256, SHA-384 and SHA-512")
	errDeepMerge = errors.New("only the shallow merge exists: the third argument must be false")
	errNotText   = errors.New("the decoded data is not UTF-8 text")
	errSlots     = errors.New("the number of {} and of values differ")
)

// arguments are those of one call. A function reads each as the kind that it
// needs and gets the zero value of any other; err is then the first such fault.
type arguments struct {
	values []any
	err    error
}

func (a *arguments) refuse(err error) { a.err = cmp.Or(a.err, err) }

func argument[T any](a *arguments, i int, want string) T {
	value, ok := a.values[i].(T)
	if !ok {
		a.refuse(fmt.Errorf("%w: argument %d must be %s and is %s", errArgument, i+1, want, kindOf(a.values[i])))
	}

	return value
}

// array is the first argument, as in all functions that take one.
func (a *arguments) array() []any { return argument[[]any](a, 0, "an array") }

func (a *arguments) text(i int) string { return argument[string](a, i, "a string") }

// object is empty in the place of what is none.
func (a *arguments) object(i int) *object {
	return cmp.Or(argument[*object](a, i, "an object"), newObject(0))
}

// integer rounds a fraction to the nearest integer, as the guide says; a half
// upwards, -1.5 to -1 (measured: LocalStack's recordings of States.MathAdd).
func (a *arguments) integer(i int) int64 {
	number := argument[json.Number](a, i, numberText)

	if n, err := strconv.ParseInt(number.String(), 10, 64); err == nil {
		return n
	}

	f := math.Floor(numberFloat(number) + 0.5)
	if math.Abs(f) >= 1<<62 {
		a.refuse(fmt.Errorf("%w: argument %d is %s", errOutside, i+1, number))

		return 0
	}

	return int64(f)
}

// short refuses a text that the hash and Base64 functions don't take.
func (a *arguments) short(text string) string {
	if n := utf8.RuneCountInString(text); n > maxEncoded {
		a.refuse(fmt.Errorf("%w: %d characters, at most %d are allowed", errOutside, n, maxEncoded))
	}

	return text
}

func arrayPartition(_ *scope, a *arguments) (any, error) {
	array, size := a.array(), a.integer(1)
	if size < 1 {
		return nil, fmt.Errorf("%w: the chunk size is %d and must be at least 1", errOutside, size)
	}

	// A chunk above the array's length is the whole array; the cut keeps the conversion to int exact.
	chunk := int(min(size, int64(max(len(array), 1))))
	out := make([]any, 0, len(array)/chunk+1)

	for part := range slices.Chunk(array, chunk) {
		out = append(out, part)
	}

	return out, nil
}

func arrayContains(_ *scope, a *arguments) (any, error) { return inList(a.values[1], a.array()), nil }

func arrayRange(_ *scope, a *arguments) (any, error) {
	var bounds [3]int64

	for i := range bounds {
		n := a.integer(i)

		// Half the 64-bit range is far beyond use and keeps the arithmetic exact.
		if n > math.MaxInt32 || n < math.MinInt32 {
			return nil, fmt.Errorf("%w: argument %d is %d", errOutside, i+1, n)
		}

		bounds[i] = n
	}

	first, last, step := bounds[0], bounds[1], bounds[2]
	if step == 0 {
		return nil, fmt.Errorf("%w: the step is 0", errOutside)
	}

	count := (last-first)/step + 1
	if (last-first)*step < 0 {
		count = 0
	}

	if count > maxRange {
		return nil, fmt.Errorf("%w: the array would have %d elements, at most %d are allowed", errOutside, count, maxRange)
	}

	out := make([]any, 0, count)
	for i := range count {
		out = append(out, intNumber(first+i*step))
	}

	return out, nil
}

func arrayGetItem(_ *scope, a *arguments) (any, error) {
	array, index := a.array(), a.integer(1)
	if index < 0 || index >= int64(len(array)) {
		return nil, fmt.Errorf("%w: index %d of an array of %d", errOutside, index, len(array))
	}

	return array[index], nil
}

func arrayLength(_ *scope, a *arguments) (any, error) { return intNumber(int64(len(a.array()))), nil }

func arrayUnique(_ *scope, a *arguments) (any, error) {
	out := []any{}

	for _, item := range a.array() {
		if !inList(item, out) {
			out = append(out, item)
		}
	}

	return out, nil
}

func base64Encode(_ *scope, a *arguments) (any, error) {
	return base64.StdEncoding.EncodeToString([]byte(a.short(a.text(0)))), nil
}

func base64Decode(_ *scope, a *arguments) (any, error) {
	// MIME's decoding (RFC 2045): what is no letter of the alphabet is skipped.
	text := strings.Map(func(r rune) rune {
		if isBase64(r) {
			return r
		}

		return -1
	}, a.short(a.text(0)))

	data, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil {
		return nil, fmt.Errorf("decoding: %w", err)
	}

	if !utf8.Valid(data) {
		return nil, errNotText
	}

	return string(data), nil
}

func isBase64(c rune) bool {
	return c == '+' || c == '/' || c == '=' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// algorithms are those of States.Hash.
var algorithms = map[string]func() hash.Hash{
	"MD5": md5.New, "SHA-1": sha1.New, "SHA-256": sha256.New, "SHA-384": sha512.New384, "SHA-512": sha512.New,
}

// digest takes a string as it is and any other value as its JSON text.
func digest(_ *scope, a *arguments) (any, error) {
	text, ok := a.values[0].(string)
	if !ok {
		text = string(encodeTree(a.values[0]))
	}

	a.short(text)
	name := a.text(1)

	algorithm, known := algorithms[name]
	if !known {
		return nil, fmt.Errorf("%q: %w", name, errAlgorithm)
	}

	sum := algorithm()
	sum.Write([]byte(text))

	return hex.EncodeToString(sum.Sum(nil)), nil
}

func jsonMerge(_ *scope, a *arguments) (any, error) {
	first, second := a.object(0), a.object(1)
	if deep, ok := a.values[2].(bool); !ok || deep {
		return nil, errDeepMerge
	}

	out := newObject(len(first.keys) + len(second.keys))
	for _, source := range []*object{first, second} {
		for _, key := range source.keys {
			out.set(key, source.values[key])
		}
	}

	return out, nil
}

// stringToJSON makes null of blank text (measured: LocalStack's recordings).
func stringToJSON(_ *scope, a *arguments) (any, error) {
	text := a.text(0)
	if strings.TrimSpace(text) == "" {
		return nil, nil //nolint:nilnil // The JSON null.
	}

	return decodeJSON([]byte(text))
}

func jsonToString(_ *scope, a *arguments) (any, error) { return string(encodeTree(a.values[0])), nil }

func mathAdd(_ *scope, a *arguments) (any, error) {
	var sum int64

	for i := range a.values {
		n := a.integer(i)
		if n < math.MinInt32 || n > math.MaxInt32 {
			return nil, fmt.Errorf("%w: argument %d is %d, allowed is %d to %d", errOutside, i+1, n, math.MinInt32, math.MaxInt32)
		}

		sum += n
	}

	return intNumber(sum), nil
}

// mathRandom gives an integer from the start (included) to the end (excluded); the same seed gives the same number.
func mathRandom(s *scope, a *arguments) (any, error) {
	start, end := a.integer(0), a.integer(1)
	if start >= end || start < math.MinInt32 || end > math.MaxInt32 {
		return nil, fmt.Errorf("%w: from %d to %d", errOutside, start, end)
	}

	fraction := s.random
	if len(a.values) == 3 {
		// The language wants a repeatable number here, not a secret one, and any bit pattern will do as a seed.
		source := rand.NewPCG(uint64(a.integer(2)), 0) //nolint:gosec // See above.
		fraction = rand.New(source).Float64            //nolint:gosec // See above.
	}

	return intNumber(start + int64(fraction()*float64(end-start))), nil
}

// stringSplit cuts at every character of the second argument and drops empty parts.
func stringSplit(_ *scope, a *arguments) (any, error) {
	text, splitter := a.text(0), a.text(1)
	out := []any{}

	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(splitter, r) }) {
		out = append(out, part)
	}

	return out, nil
}

func newUUID(*scope, *arguments) (any, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return nil, fmt.Errorf("making a UUID: %w", err)
	}

	return id.String(), nil
}

// format serves a template that comes from a path; a literal one is a formatExpr.
func format(_ *scope, a *arguments) (any, error) {
	parts := splitTemplate(a.text(0))
	if len(parts) != len(a.values) {
		return nil, fmt.Errorf("%w: %d and %d", errSlots, len(parts)-1, len(a.values)-1)
	}

	return fillTemplate(parts, a.values[1:]), nil
}

// fillTemplate puts the values between the parts.
func fillTemplate(parts []string, values []any) string {
	var out strings.Builder

	for i, part := range parts {
		out.WriteString(part)

		if i < len(values) {
			out.WriteString(displayText(values[i]))
		}
	}

	return out.String()
}

// displayText is a value as States.Format prints it. Objects and arrays come out in the service's own notation, {a=1, b=[x, y]},
// which is not JSON: use States.JsonToString for that.
func displayText(value any) string {
	switch v := value.(type) {
	case nil:
		return nullText
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		return plainNumber(v)
	case []any:
		items := make([]string, len(v))
		for i, item := range v {
			items[i] = displayText(item)
		}

		return "[" + strings.Join(items, ", ") + "]"
	case *object:
		items := make([]string, 0, len(v.keys))
		for _, key := range v.keys {
			items = append(items, key+"="+displayText(v.values[key]))
		}

		return "{" + strings.Join(items, ", ") + "}"
	default:
		return fmt.Sprint(v)
	}
}
