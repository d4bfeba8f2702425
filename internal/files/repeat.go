package files

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
)

// WriteRepeated makes a file of so many bytes that has a text again and again, and gives its SHA-256 in hexadecimal.
func WriteRepeated(path, text string, size int64) (string, error) {
	f, err := os.Create(path)
	if err != nil {
		return "", fmt.Errorf("making a file: %w", err)
	}
	sum := sha256.New()
	_, err = io.CopyN(io.MultiWriter(f, sum), &repeated{text: text}, size)
	if err := errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("writing %s: %w", path, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// repeated is a text without end.
type repeated struct {
	text string
	at   int
}

// Read implements io.Reader.
func (r *repeated) Read(b []byte) (int, error) {
	n := 0
	for n < len(b) {
		copied := copy(b[n:], r.text[r.at:])
		n, r.at = n+copied, (r.at+copied)%len(r.text)
	}
	return n, nil
}
