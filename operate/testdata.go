package operate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/files"
)

// TestDataFolder is where a project has files that its processor can process, below the project's folder.
const TestDataFolder = "processor/testdata"

// corpora is where go test keeps what it found by fuzzing, in a folder of test data: nothing to upload.
const corpora = "fuzz"

// TestData are the files of the project's own in [TestDataFolder], with their paths in there as keys; none if there is no project or no
// such file. Hidden ones are left out, and what go test keeps there.
func TestData(ctx context.Context) ([]Sent, error) {
	root, err := build.Root()
	if err != nil {
		return nil, nil //nolint:nilerr // The command says so itself if it needs a project.
	}
	return testDataIn(ctx, filepath.Join(root, filepath.FromSlash(TestDataFolder)))
}

func testDataIn(ctx context.Context, folder string) ([]Sent, error) {
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	found, err := FindFiles(ctx, []string{folder}, "")
	if err != nil {
		if errors.Is(err, files.ErrNone) {
			return nil, nil
		}
		return nil, fmt.Errorf("looking for files in %s: %w", TestDataFolder, err)
	}
	return slices.DeleteFunc(found, func(f Sent) bool {
		elements := strings.Split(f.Key, "/")
		return elements[0] == corpora || slices.ContainsFunc(elements, func(e string) bool { return strings.HasPrefix(e, ".") })
	}), nil
}
