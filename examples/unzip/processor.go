// Package processor unpacks a ZIP archive. It reads it by ranges, and keeps no more of it in memory than its directory.
package processor

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"example.com/upload-router/upload"
	"example.com/upload-router/upload/media"
)

const (
	maxFiles  = 10_000
	maxRatio  = 100 // of all files to the archive: of text it is 20, of a bomb a thousand and more
	encrypted = 1   // https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.4.4
)

// Result is how many files there are, and how many bytes they have.
type Result struct {
	Files int   `json:"files"`
	Bytes int64 `json:"bytes"`
}

// Process writes each file under the name that it has in the archive. It looks at all of them before it unpacks one.
func Process(_ context.Context, in *upload.Input, out *upload.Output) (result Result, err error) {
	archive, err := zip.NewReader(in, in.Size())
	if err != nil {
		return result, fmt.Errorf("opening the archive: %w", err)
	}
	if files := len(archive.File); files > maxFiles {
		return result, fmt.Errorf("the archive has %d files, and at most %d are unpacked", files, maxFiles)
	}
	left := maxRatio * in.Size()
	for _, file := range archive.File {
		switch mode, name := file.Mode(), strings.TrimSuffix(file.Name, "/"); {
		case !fs.ValidPath(name) || strings.Contains(name, `\`):
			return result, fmt.Errorf("the archive has a file whose name leads elsewhere: %q", file.Name)
		case !mode.IsRegular() && !mode.IsDir() || file.Flags&encrypted != 0:
			return result, fmt.Errorf("the archive has a link, a device or something encrypted: %q", file.Name)
		case file.FileInfo().Size() < 0 || file.FileInfo().Size() > left: // it can be larger than an int64
			return result, fmt.Errorf("the archive is a bomb: unpacked it has more than %d times its size, by %q", maxRatio, file.Name)
		}
		left -= file.FileInfo().Size()
	}
	for _, file := range archive.File {
		if file.Mode().IsDir() {
			continue // S3 has none
		}
		size, err := unpack(file, out)
		if err != nil {
			return result, fmt.Errorf("unpacking %q: %w", file.Name, err)
		}
		result.Files, result.Bytes = result.Files+1, result.Bytes+size
	}
	return result, nil
}

func unpack(file *zip.File, out *upload.Output) (int64, error) {
	from, err := file.Open()
	if err != nil {
		return 0, err
	}
	defer func() { _ = from.Close() }()
	to, err := out.Create(file.Name, &upload.WriterOptions{ContentType: media.TypeOfFile(file.Name, nil)})
	if err != nil {
		return 0, err
	}
	size, err := io.Copy(to, from) //nolint:gosec // How much it is was looked at.
	return size, errors.Join(err, to.Close())
}
