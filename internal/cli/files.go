package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/dustin/go-humanize"
)

// largestSample is how much is written to the disk unasked, twice: for the file
// and for the local S3.
const largestSample = 1 << 30

var errNoSample = errors.New("no files are made for so large a threshold")

// sampleFiles makes one file just under and one just over the threshold: text,
// so that there are lines to count.
func sampleFiles(threshold int64) (folder string, files []string, err error) {
	if threshold > largestSample {
		return "", nil, fmt.Errorf("%w: name some, or try a sizeThreshold of at most %s with --config; this is %s",
			errNoSample, humanize.IBytes(largestSample), humanize.IBytes(uint64(threshold)))
	}
	if folder, err = os.MkdirTemp("", "upload-router-files-*"); err != nil {
		return "", nil, fmt.Errorf("making the files: %w", err)
	}
	for _, sample := range []struct {
		name string
		size int64
	}{
		{"just-under.txt", max(0, threshold-1)},
		{"just-over.txt", threshold + 1},
	} {
		path := filepath.Join(folder, sample.name)
		if err := writeText(path, sample.size); err != nil {
			return "", nil, errors.Join(err, os.RemoveAll(folder))
		}
		files = append(files, path)
	}
	return folder, files, nil
}

func writeText(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("making a file: %w", err)
	}
	_, err = io.CopyN(f, endlessText{}, size)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// endlessText is a text without end.
type endlessText struct{}

// Read implements io.Reader.
func (endlessText) Read(b []byte) (int, error) {
	const line = "A file uploaded to S3 is processed by the compute that fits it.\n"
	n := 0
	for n+len(line) <= len(b) {
		n += copy(b[n:], line)
	}
	if n == 0 {
		n = copy(b, line)
	}
	return n, nil
}
