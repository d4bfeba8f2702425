package asl

import (
	"crypto/md5"  //nolint:gosec // States.Hash offers MD5; it guards nothing here.
	"crypto/sha1" //nolint:gosec // States.Hash offers SHA-1; it guards nothing here.
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
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
	apply            func(s *scope, args []any) (any, error)
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
		"States.Array":          {0, -1, func(_ *scope, args []any) (any, error) { return args, nil }},
		"States.ArrayContains":  {2, 2, arrayContains},
		"States.ArrayGetItem":   {2, 2, arrayGetItem},
		"States.ArrayLength":    {1, 1, arrayLength},
		"States.ArrayPartition": {2, 2, arrayPartition},
		"States.ArrayRange":     {3, 3, arrayRange},
		"States.ArrayUnique":    {1, 1, arrayUnique},
		"States.Base64Decode":   {1, 1, base64Decode},
		"States.Base64Encode":   {1, 1, base64Encode},
		formatName:              {1, -1, format},
		"States.Hash":           {2, 2, hash},
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

// wantArray reads the first argument, the place of every array.
func wantArray(args []any) ([]any, error) {
	array, ok := args[0].([]any)
	if !ok {
		return nil, fmt.Errorf("%w: argument 1 must be an array and is %s", errArgument, kindOf(args[0]))
	}

	return array, nil
}

func wantString(args []any, i int) (string, error) {
	text, ok := args[i].(string)
	if !ok {
		return "", fmt.Errorf("%w: argument %d must be a string and is %s", errArgument, i+1, kindOf(args[i]))
	}

	return text, nil
}

func wantObject(args []any, i int) (*object, error) {
	value, ok := args[i].(*object)
	if !ok {
		return nil, fmt.Errorf("%w: argument %d must be an object and is %s", errArgument, i+1, kindOf(args[i]))
	}

	return value, nil
}

// wantInt rounds a fraction to the nearest integer, as the guide says; a half
// upwards, -1.5 to -1 (measured: LocalStack's recordings of States.MathAdd).
func wantInt(args []any, i int) (int64, error) {
	number, ok := args[i].(json.Number)
	if !ok {
		return 0, fmt.Errorf("%w: argument %d must be a number and is %s", errArgument, i+1, kindOf(args[i]))
	}

	if n, err := strconv.ParseInt(number.String(), 10, 64); err == nil {
		return n, nil
	}

	f := math.Floor(numberFloat(number) + 0.5)
	if math.Abs(f) >= 1<<62 {
		return 0, fmt.Errorf("%w: argument %d is %s", errOutside, i+1, number)
	}

	return int64(f), nil
}

func arrayPartition(_ *scope, args []any) (any, error) {
	array, err := wantArray(args)
	if err != nil {
		return nil, err
	}

	size, err := wantInt(args, 1)
	if err != nil {
		return nil, err
	}

	if size < 1 {
		return nil, fmt.Errorf("%w: the chunk size is %d and must be at least 1", errOutside, size)
	}

	// A chunk above the array's length is the whole array; the cut keeps the
	// conversion to int exact.
	chunk := int(min(size, int64(max(len(array), 1))))
	out := make([]any, 0, len(array)/chunk+1)

	for part := range slices.Chunk(array, chunk) {
		out = append(out, part)
	}

	return out, nil
}

func arrayContains(_ *scope, args []any) (any, error) {
	array, err := wantArray(args)
	if err != nil {
		return nil, err
	}

	return slices.ContainsFunc(array, func(item any) bool { return equalValues(item, args[1]) }), nil
}

func arrayRange(_ *scope, args []any) (any, error) {
	var bounds [3]int64

	for i := range bounds {
		n, err := wantInt(args, i)
		if err != nil {
			return nil, err
		}

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

func arrayGetItem(_ *scope, args []any) (any, error) {
	array, err := wantArray(args)
	if err != nil {
		return nil, err
	}

	index, err := wantInt(args, 1)
	if err != nil {
		return nil, err
	}

	if index < 0 || index >= int64(len(array)) {
		return nil, fmt.Errorf("%w: index %d of an array of %d", errOutside, index, len(array))
	}

	return array[index], nil
}

func arrayLength(_ *scope, args []any) (any, error) {
	array, err := wantArray(args)
	if err != nil {
		return nil, err
	}

	return intNumber(int64(len(array))), nil
}

func arrayUnique(_ *scope, args []any) (any, error) {
	array, err := wantArray(args)
	if err != nil {
		return nil, err
	}

	out := make([]any, 0, len(array))

	for _, item := range array {
		if !slices.ContainsFunc(out, func(seen any) bool { return equalValues(seen, item) }) {
			out = append(out, item)
		}
	}

	return out, nil
}

func checkLength(text string) error {
	if n := utf8.RuneCountInString(text); n > maxEncoded {
		return fmt.Errorf("%w: %d characters, at most %d are allowed", errOutside, n, maxEncoded)
	}

	return nil
}

func base64Encode(_ *scope, args []any) (any, error) {
	text, err := wantString(args, 0)
	if err != nil {
		return nil, err
	}

	if err := checkLength(text); err != nil {
		return nil, err
	}

	return base64.StdEncoding.EncodeToString([]byte(text)), nil
}

func base64Decode(_ *scope, args []any) (any, error) {
	text, err := wantString(args, 0)
	if err != nil {
		return nil, err
	}

	if err := checkLength(text); err != nil {
		return nil, err
	}

	// MIME's decoding (RFC 2045): what is no letter of the alphabet is skipped.
	text = strings.Map(func(r rune) rune {
		if isBase64(r) {
			return r
		}

		return -1
	}, text)

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

// hash takes a string as it is and any other value as its JSON text.
func hash(_ *scope, args []any) (any, error) {
	text, ok := args[0].(string)
	if !ok {
		text = string(encodeTree(args[0]))
	}

	if err := checkLength(text); err != nil {
		return nil, err
	}

	algorithm, err := wantString(args, 1)
	if err != nil {
		return nil, err
	}

	var sum []byte

	switch data := []byte(text); algorithm {
	case "MD5":
		digest := md5.Sum(data) //nolint:gosec // Asked for by name.
		sum = digest[:]
	case "SHA-1":
		digest := sha1.Sum(data) //nolint:gosec // Asked for by name.
		sum = digest[:]
	case "SHA-256":
		digest := sha256.Sum256(data)
		sum = digest[:]
	case "SHA-384":
		digest := sha512.Sum384(data)
		sum = digest[:]
	case "SHA-512":
		digest := sha512.Sum512(data)
		sum = digest[:]
	default:
		return nil, fmt.Errorf("%q: %w", algorithm, errAlgorithm)
	}

	return hex.EncodeToString(sum), nil
}

func jsonMerge(_ *scope, args []any) (any, error) {
	first, err := wantObject(args, 0)
	if err != nil {
		return nil, err
	}

	second, err := wantObject(args, 1)
	if err != nil {
		return nil, err
	}

	if deep, ok := args[2].(bool); !ok || deep {
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
func stringToJSON(_ *scope, args []any) (any, error) {
	text, err := wantString(args, 0)
	if err != nil || strings.TrimSpace(text) == "" {
		return nil, err
	}

	return decodeJSON([]byte(text))
}

func jsonToString(_ *scope, args []any) (any, error) {
	return string(encodeTree(args[0])), nil
}

func mathAdd(_ *scope, args []any) (any, error) {
	var sum int64

	for i := range args {
		n, err := wantInt(args, i)
		if err != nil {
			return nil, err
		}

		if n < math.MinInt32 || n > math.MaxInt32 {
			return nil, fmt.Errorf("%w: argument %d is %d, allowed is %d to %d", errOutside, i+1, n, math.MinInt32, math.MaxInt32)
		}

		sum += n
	}

	return intNumber(sum), nil
}

// mathRandom gives an integer from the start (included) to the end (excluded);
// the same seed gives the same number.
func mathRandom(s *scope, args []any) (any, error) {
	start, err := wantInt(args, 0)
	if err != nil {
		return nil, err
	}

	end, err := wantInt(args, 1)
	if err != nil {
		return nil, err
	}

	if start >= end || start < math.MinInt32 || end > math.MaxInt32 {
		return nil, fmt.Errorf("%w: from %d to %d", errOutside, start, end)
	}

	fraction := s.random
	if len(args) == 3 {
		seed, err := wantInt(args, 2)
		if err != nil {
			return nil, err
		}

		// The language wants a repeatable number here, not a secret one, and any
		// bit pattern will do as a seed.
		source := rand.NewPCG(uint64(seed), 0) //nolint:gosec // See above.
		fraction = rand.New(source).Float64    //nolint:gosec // See above.
	}

	return intNumber(start + int64(fraction()*float64(end-start))), nil
}

// stringSplit cuts at every character of the second argument and drops empty parts.
func stringSplit(_ *scope, args []any) (any, error) {
	text, err := wantString(args, 0)
	if err != nil {
		return nil, err
	}

	splitter, err := wantString(args, 1)
	if err != nil {
		return nil, err
	}

	parts := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(splitter, r) })
	out := make([]any, 0, len(parts))

	for _, part := range parts {
		out = append(out, part)
	}

	return out, nil
}

func newUUID(*scope, []any) (any, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return nil, fmt.Errorf("making a UUID: %w", err)
	}

	return id.String(), nil
}

// format serves a template that comes from a path; a literal one is a formatExpr.
func format(_ *scope, args []any) (any, error) {
	template, err := wantString(args, 0)
	if err != nil {
		return nil, err
	}

	parts := splitTemplate(template)
	if len(parts) != len(args) {
		return nil, fmt.Errorf("%w: %d and %d", errSlots, len(parts)-1, len(args)-1)
	}

	var out strings.Builder

	for i, part := range parts {
		out.WriteString(part)

		if i < len(parts)-1 {
			out.WriteString(displayText(args[i+1]))
		}
	}

	return out.String(), nil
}

// displayText is a value as States.Format prints it. Objects and arrays come
// out in the service's own notation, {a=1, b=[x, y]}, which is not JSON: use
// States.JsonToString for that.
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
