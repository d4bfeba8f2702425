package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"

	uploads "example.com/upload-router/internal/files"
	"example.com/upload-router/internal/machine"
)

// largestSample is how much is written to the disk unasked, twice: for the file and for the local S3.
const largestSample = 1 << 30

// sampleLine is what the files consist of.
const sampleLine = "A file uploaded to S3 is processed by the compute that fits it.\n"

var errNoSample = errors.New("no files are made for so large a threshold")

// sampleFiles makes a file for each route, just under or over the size at which it parts from others: text, so that there are lines to
// count.
func sampleFiles(routes []machine.Route) (folder string, files []string, err error) {
	samples := machine.Samples(routes, "")
	for _, sample := range samples {
		if sample.Size > largestSample+1 {
			return "", nil, fmt.Errorf("%w: name some, or try a sizeThreshold of at most %s with --config; this is %s",
				errNoSample, humanize.IBytes(largestSample), humanize.IBytes(uint64(sample.Size-1)))
		}
	}
	if folder, err = os.MkdirTemp("", "upload-router-files-*"); err != nil {
		return "", nil, fmt.Errorf("making the files: %w", err)
	}
	const private = 0o700
	for _, sample := range samples {
		path := filepath.Join(folder, filepath.FromSlash(sample.Key))
		err := os.MkdirAll(filepath.Dir(path), private)
		if err == nil {
			_, err = uploads.WriteRepeated(path, sampleLine, sample.Size)
		}
		if err != nil {
			return "", nil, errors.Join(err, os.RemoveAll(folder))
		}
		files = append(files, path)
	}
	if slices.ContainsFunc(samples, func(s machine.Sample) bool { return strings.Contains(s.Key, "/") }) {
		files = []string{folder} // whose files have the folders below it in their keys
	}
	return folder, files, nil
}
