package asl

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
)

func utf16Units(text string) []uint16 { return utf16.Encode([]rune(text)) }

// csvReader reads CSV by the rules of the guide, which are not those of encoding/csv: quotation marks are doubled in fields without any
// around them, too.
// https://docs.aws.amazon.com/step-functions/latest/dg/example-csv-parse-dist-map.html
type csvReader struct {
	from      *bufio.Reader
	delimiter rune
}

var (
	errRowLong = errors.New("a row is too long")
	errQuote   = errors.New("a quotation mark has no other one that ends the field")
)

// row reads the next row that isn't empty; the error is [io.EOF] at the end of the file.
func (r *csvReader) row(most int) ([]string, error) {
	for {
		fields, err := r.line(most)
		if err != nil {
			return nil, err
		}

		if len(fields) > 1 || fields[0] != "" {
			return fields, nil
		}
	}
}

func (r *csvReader) line(most int) ([]string, error) {
	var (
		fields []string
		field  strings.Builder
		size   int
		quoted bool // inside quotation marks
		some   bool // the field has begun
	)

	for {
		char, width, err := r.from.ReadRune()

		if err != nil {
			return lastLine(append(fields, field.String()), size, quoted, err)
		}

		if size += width; size > most {
			return nil, fmt.Errorf("%w: it has more than %d bytes", errRowLong, most)
		}

		switch {
		case char == '"' && some && r.next('"'):
			field.WriteRune(char)
		case char == '"':
			quoted, some = !quoted, true
		case quoted:
			field.WriteRune(char)
		case char == r.delimiter:
			fields = append(fields, field.String())
			field.Reset()

			some = false
		case char == '\r' && r.next('\n'), char == '\n':
			return append(fields, field.String()), nil
		default:
			field.WriteRune(char)

			some = true
		}
	}
}

// lastLine is the one that the end of the file, or an error, ends.
func lastLine(fields []string, size int, quoted bool, err error) ([]string, error) {
	switch {
	case !errors.Is(err, io.EOF):
		return nil, fmt.Errorf("its text: %w", err)
	case quoted:
		return nil, errQuote
	case size == 0:
		return nil, io.EOF
	default:
		return fields, nil
	}
}

// next takes the next character if it is that one.
func (r *csvReader) next(char byte) bool {
	if following, err := r.from.Peek(1); err != nil || following[0] != char {
		return false
	}

	_, _ = r.from.Discard(1)

	return true
}
