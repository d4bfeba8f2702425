package upload

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"

	"example.com/upload-router/internal/contract"
)

// EncodeKey gives an object's key as [contract.EnvironmentKey] holds it: as the intrinsic States.Base64Encode does, which encodes
// text as UTF-8 (measured: ministackorg/ministack#1360).
func EncodeKey(key string) string { return base64.StdEncoding.EncodeToString([]byte(key)) }

// decodeKey reads what [EncodeKey] gives. Lines may be broken, as those of MIME are.
func decodeKey(encoded string) (string, error) {
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return "", fmt.Errorf("the environment variable %s is not Base64: %w", contract.EnvironmentKey, err)
	}
	return string(key), nil
}

// FromEnvironment reads the object out of the environment variables of the task; lookup is [os.LookupEnv] in a real one.
// Every error is an [Error] with code [Invalid], and names all the variables that are missing or wrong. What could be read comes with it,
// for the log and for nothing else.
func FromEnvironment(lookup func(string) (string, bool)) (Object, error) {
	required := func(name string) (string, error) {
		value, ok := lookup(name)
		if !ok || value == "" {
			return "", fmt.Errorf("the environment variable %s is not set; the state machine sets it in the container override", name)
		}
		return value, nil
	}
	optional := func(name string) string {
		value, _ := lookup(name)
		return value
	}

	bucket, noBucket := required(contract.EnvironmentBucket)
	encoded, noKey := required(contract.EnvironmentKey)
	key, badKey := decodeKey(encoded)
	text, noSize := required(contract.EnvironmentSize)
	size, badSize := parseSize(text)
	if noSize != nil {
		badSize = nil
	}
	object := Object{
		Bucket:    bucket,
		Key:       key,
		VersionID: optional(contract.EnvironmentVersionID),
		ETag:      trimETag(optional(contract.EnvironmentETag)),
		Size:      size,
	}
	if err := errors.Join(noBucket, noKey, badKey, noSize, badSize); err != nil {
		return object, &Error{Code: Invalid, Err: err}
	}
	return object, object.Validate()
}

func parseSize(text string) (int64, error) {
	size, err := wholeNumber(text)
	if err != nil {
		return 0, fmt.Errorf("the environment variable %s is not a number of bytes: %w", contract.EnvironmentSize, err)
	}
	return size, nil
}

// exactBelow is 2^53: a whole number below it is exact as a JSON number, however that is written.
const exactBelow = 1 << 53

// wholeNumber reads a whole number as Step Functions may write it. Its numbers are JSON's, which are IEEE 754 doubles, and it isn't
// documented that one of a size comes out without a fraction or an exponent, as 12000000 and not as 1.2E7.
//
// https://docs.aws.amazon.com/step-functions/latest/dg/concepts-state-machine-data.html
func wholeNumber(text string) (int64, error) {
	whole, err := strconv.ParseInt(text, 10, 64)
	if err == nil {
		return whole, nil
	}
	number, floatErr := strconv.ParseFloat(text, 64)
	if floatErr != nil || number != math.Trunc(number) || math.Abs(number) >= exactBelow || !jsonNumber.MatchString(text) {
		return 0, err
	}
	return int64(number), nil
}

// jsonNumber is JSON's form of a number; Go's has others too. https://www.rfc-editor.org/rfc/rfc8259#section-6
var jsonNumber = regexp.MustCompile(`^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$`)
