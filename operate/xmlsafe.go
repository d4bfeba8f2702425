package operate

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// S3 takes keys with characters that XML 1.0 doesn't have, and answers them as they are, or as references such as &#x8;, which no
// XML parser takes: a multipart upload of such a key begins, and its id can't be read. Listings can be asked for encoded keys;
// CreateMultipartUpload, CompleteMultipartUpload, ListParts and errors can't. Their keys are known to who asked, so what can't be
// parsed is replaced. See boto/botocore#3496, aws/aws-sdk-go#5056.

// readableXML has answers parsed whatever the keys in them.
func readableXML(stack *middleware.Stack) error {
	read := middleware.DeserializeMiddlewareFunc("ReadableXML",
		func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
			middleware.DeserializeOutput, middleware.Metadata, error,
		) {
			out, metadata, err := next.HandleDeserialize(ctx, in)
			response, ok := out.RawResponse.(*smithyhttp.Response)
			if err != nil || !ok || middleware.GetOperationName(ctx) == "GetObject" { // whose body is an object
				return out, metadata, err //nolint:wrapcheck // It is passed on.
			}
			body, err := io.ReadAll(response.Body)
			if closed := response.Body.Close(); err == nil {
				err = closed
			}
			if err != nil {
				return out, metadata, fmt.Errorf("reading the answer: %w", err)
			}
			response.Body = io.NopCloser(bytes.NewReader(withoutForbidden(body)))
			return out, metadata, nil
		})
	// The answer passes the middlewares in reverse.
	if err := stack.Deserialize.Insert(read, "OperationDeserializer", middleware.After); err != nil {
		return fmt.Errorf("reading the answers of S3: %w", err)
	}
	return nil
}

var characterReference = regexp.MustCompile(`&#(x[0-9A-Fa-f]{1,8}|[0-9]{1,10});`)

// withoutForbidden replaces the characters that XML 1.0 doesn't have by U+FFFD.
// https://www.w3.org/TR/xml/#charsets
func withoutForbidden(text []byte) []byte {
	text = characterReference.ReplaceAllFunc(text, func(reference []byte) []byte {
		digits, base := string(reference[2:len(reference)-1]), 10
		if hex, ok := strings.CutPrefix(digits, "x"); ok {
			digits, base = hex, 16
		}
		if code, err := strconv.ParseUint(digits, base, 32); err == nil && code <= utf8.MaxRune && inXML(rune(code)) {
			return reference
		}
		return []byte(string(utf8.RuneError))
	})
	return bytes.Map(func(r rune) rune {
		if inXML(r) {
			return r
		}
		return utf8.RuneError
	}, text)
}

func inXML(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xD7FF || r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= utf8.MaxRune
}
