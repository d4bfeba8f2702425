package jsonata

import (
	"crypto/md5"  //nolint:gosec // $hash offers MD5; it guards nothing here.
	"crypto/sha1" //nolint:gosec // $hash offers SHA-1; it guards nothing here.
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"strings"

	"github.com/dop251/goja"
	"github.com/google/uuid"
)

var (
	errAlgorithm = errors.New("unknown algorithm of $hash; known are MD5, SHA-1, SHA-256, SHA-384 and SHA-512")
	errParse     = errors.New("$parse: not JSON")
	errTwice     = errors.New("a key is there twice")
)

// host is what stepfunctions.js has done here.
func (vm *runtime) host() *goja.Object {
	host := vm.NewObject()
	for name, function := range map[string]any{
		"hash":   hashOf,
		"parse":  parseText,
		"random": seededRandom,
		"uuid": func() (string, error) {
			id, err := uuid.NewRandom()
			if err != nil {
				return "", fmt.Errorf("making a UUID: %w", err)
			}
			return id.String(), nil
		},
	} {
		// Only a name that is no string, or an object that can't grow, could fail.
		_ = host.Set(name, function)
	}
	return host
}

func hashOf(text, algorithm string) (string, error) {
	algorithms := map[string]func() hash.Hash{
		"MD5": md5.New, "SHA-1": sha1.New, "SHA-256": sha256.New, "SHA-384": sha512.New384, "SHA-512": sha512.New,
	}
	start, known := algorithms[algorithm]
	if !known {
		return "", fmt.Errorf("%q: %w", algorithm, errAlgorithm)
	}
	sum := start()
	// A hash takes whatever is written to it.
	_, _ = io.WriteString(sum, text)
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// seededRandom is the first number of java.util.Random with this seed, which is what AWS gives: 0.7275636800328681 for 42
// (measured: floci's issue 2662).
func seededRandom(seed float64) float64 {
	const multiplier, mask = 0x5DEECE66D, 1<<48 - 1
	state := (uint64(int64(seed)) ^ multiplier) & mask //nolint:gosec // The seed's bits are wanted, whatever they are.
	next := func(bits int) uint64 {
		state = (state*multiplier + 0xB) & mask
		return state >> (48 - bits)
	}
	high := next(26)
	return float64(high<<27|next(27)) * math.Pow(2, -53)
}

// parseText reads JSON as strictly as AWS does, which takes no key twice and no number beyond what a double can be.
func parseText(text string) (string, error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	if err := checkValue(decoder); err != nil {
		return "", fmt.Errorf("%w: %w", errParse, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("%w: there is more behind the value", errParse)
	}
	return text, nil
}

// checkValue reads one value.
func checkValue(decoder *json.Decoder) error {
	token, err := decoder.Token()
	if err != nil {
		return err //nolint:wrapcheck // The caller names it.
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	keys := map[string]bool{}
	for decoder.More() {
		if delim == '{' {
			token, err := decoder.Token()
			if err != nil {
				return err //nolint:wrapcheck // The caller names it.
			}
			key := fmt.Sprint(token)
			if keys[key] {
				return fmt.Errorf("%q: %w", key, errTwice)
			}
			keys[key] = true
		}
		if err := checkValue(decoder); err != nil {
			return err
		}
	}
	if _, err := decoder.Token(); err != nil {
		return err //nolint:wrapcheck // The caller names it.
	}
	return nil
}
