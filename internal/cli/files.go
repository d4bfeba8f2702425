package cli

import (
	"errors"
	"fmt"
	"path/filepath"

	uploads "example.com/upload-router/internal/files"
	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/tempfolder"
)

// largestSample is how much is written to the disk unasked, twice: for the file and for the local S3.
const largestSample = 1 << 30

// sampleLine is what the files consist of.
const sampleLine = "A file uploaded to S3 is processed by the compute that fits it.\n"

// sampleFiles makes a file for each route, just under or over the size at which it parts from others: text, so that there are lines to
// count.
func sampleFiles(samples []machine.Sample) (folder *tempfolder.Folder, files []string, err error) {
	if folder, err = tempfolder.Make("", "upload-router-files-"); err != nil {
		return nil, nil, fmt.Errorf("making the files: %w", err)
	}
	for _, sample := range samples {
		path := filepath.Join(folder.Path(), sample.Name)
		if _, err := uploads.WriteRepeated(path, sampleLine, sample.Size); err != nil {
			return nil, nil, errors.Join(err, folder.Remove())
		}
		files = append(files, path)
	}
	return folder, files, nil
}
