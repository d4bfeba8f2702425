// Command rename gives the module another path, for a copy of it with an address of its own:
//
//	go run ./internal/tools/rename example.org/acme/uploads
//
// It rewrites go.mod, and the path wherever a file below this folder has it: in imports, in documents, in what CI runs.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

var (
	errUsage  = errors.New("usage: go run ./internal/tools/rename MODULE-PATH, such as example.org/acme/uploads")
	errNoPath = errors.New("go.mod names no module")
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	files, err := rename(".", args[0])
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stdout, "%s: %d files changed.\n", args[0], files)
	return nil
}

// rename gives the module in a folder another path, and says how many files have changed.
func rename(folder, to string) (files int, err error) {
	if err := module.CheckPath(to); err != nil {
		return 0, fmt.Errorf("%w: %w", errUsage, err)
	}
	declaration, err := os.ReadFile(filepath.Join(folder, "go.mod")) //nolint:gosec // The user's own folder.
	if err != nil {
		return 0, fmt.Errorf("reading the module's path: %w", err)
	}
	from := modfile.ModulePath(declaration)
	if from == "" {
		return 0, errNoPath
	}
	err = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == ".git" || entry.Name() == ".build"):
			return fs.SkipDir
		case !entry.Type().IsRegular():
			return nil
		}
		changed, err := rewrite(path, from, to)
		if changed {
			files++
		}
		return err
	})
	if err != nil {
		return files, fmt.Errorf("renaming %s to %s: %w", from, to, err)
	}
	return files, nil
}

// rewrite replaces a path in a file of text, where it is the whole path or begins one.
func rewrite(path, from, to string) (bool, error) {
	content, err := os.ReadFile(path) //nolint:gosec // The user's own folder.
	if err != nil {
		return false, fmt.Errorf("reading a file: %w", err)
	}
	if !utf8.Valid(content) {
		return false, nil
	}
	now := replace(content, []byte(from), []byte(to))
	if bytes.Equal(now, content) {
		return false, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return false, fmt.Errorf("reading a file: %w", err)
	}
	if err := os.WriteFile(path, now, info.Mode()); err != nil {
		return false, fmt.Errorf("writing a file: %w", err)
	}
	return true, nil
}

// replace leaves the path alone where it is part of another one.
func replace(content, from, to []byte) []byte {
	var out []byte
	for rest := content; ; {
		before, after, found := bytes.Cut(rest, from)
		out = append(out, before...)
		if !found {
			return out
		}
		last, _ := utf8.DecodeLastRune(before)
		if inPath(last) || last == '/' || continues(after) {
			out = append(out, from...)
		} else {
			out = append(out, to...)
		}
		rest = after
	}
}

// continues reports whether a path that ends before a text goes on in it, in the same element. A full stop may end a sentence.
func continues(after []byte) bool {
	next, size := utf8.DecodeRune(after)
	if next == '.' {
		next, _ = utf8.DecodeRune(after[size:])
	}
	return size > 0 && inPath(next) && next != '.'
}

// inPath reports whether an element of a module's path may have a character.
func inPath(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-._~", r)
}
