package program

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"example.com/upload-router/upload"
)

// find finds a program as a shell does, in the folders of a PATH that may be another than the worker's.
func find(name, path string) (string, error) {
	if name == "" {
		return "", errors.New("there is no program to run: its name is empty")
	}
	if strings.ContainsRune(name, '/') {
		return name, executable(name)
	}
	var unusable error
	for _, folder := range filepath.SplitList(path) {
		if folder == "" {
			folder = "."
		}
		file := filepath.Join(folder, name)
		err := executable(file)
		if err == nil {
			return filepath.Abs(file) //nolint:wrapcheck // The working folder's, which names it.
		}
		if unusable == nil && !errors.Is(err, fs.ErrNotExist) {
			unusable = err
		}
	}
	if unusable != nil {
		return "", unusable
	}
	return "", fmt.Errorf("there is no program %q in the folders of PATH, which is %q: is it in the image?", name, path)
}

func executable(file string) error {
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("there is no program %q: %w", file, fs.ErrNotExist)
	case err != nil:
		return fmt.Errorf("the program %q can't be used: %w", file, err)
	case info.IsDir():
		return fmt.Errorf("the program %q is a folder", file)
	case info.Mode().Perm()&0o111 == 0:
		return fmt.Errorf("the program %q isn't executable: its mode is %v", file, info.Mode())
	}
	return nil
}

// startError says why a program that is there can't be started. Too little memory or too many processes may be so for a while only.
func startError(file string, err error) error {
	var number syscall.Errno
	_ = errors.As(err, &number)
	switch number { //nolint:exhaustive // The others say it themselves.
	case syscall.ENOEXEC:
		return fmt.Errorf("the program %q isn't one for %s/%s, nor a script that begins with #!: %w", file, runtime.GOOS, runtime.GOARCH, number)
	case syscall.ENOENT:
		return fmt.Errorf("the program %q is there, but not what it takes to run it, such as the interpreter of its first line or its "+
			"dynamic loader: %w", file, number)
	case syscall.EAGAIN, syscall.ENOMEM, syscall.ETXTBSY:
		return upload.Retry(fmt.Errorf("starting the program %q: %w", file, number))
	}
	return fmt.Errorf("starting the program %q: %w", file, err)
}
