package dockerfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

const (
	folderMode = 0o755
	fileMode   = 0o644
	octal      = 8
	modeBits   = 32
	ownFolder  = 0o700 // what whoever lays out needs in a folder
)

// Ignore is the file that says what isn't in a build context, and the suffix of the one that counts for one Dockerfile alone.
//
// https://docs.docker.com/build/concepts/context/#dockerignore-files
const Ignore = ".dockerignore"

// Ignored reads the .dockerignore that counts for a Dockerfile: its own, or that of the context. Without either nothing is ignored.
//
// https://docs.docker.com/build/concepts/context/#filename-and-location
func Ignored(dockerfile, context string) (*patternmatcher.PatternMatcher, error) {
	for _, name := range []string{dockerfile + Ignore, filepath.Join(context, Ignore)} {
		patterns, err := readPatterns(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", filepath.Base(name), err)
		}
		return patterns, nil
	}
	return patternmatcher.New(nil) //nolint:wrapcheck // It has nothing to refuse.
}

func readPatterns(name string) (*patternmatcher.PatternMatcher, error) {
	text, err := os.Open(name)
	if err != nil {
		return nil, err //nolint:wrapcheck // It is wrapped by Ignored.
	}
	defer func() { _ = text.Close() }() // which was only read
	patterns, err := ignorefile.ReadAll(text)
	if err != nil {
		return nil, err //nolint:wrapcheck // As above.
	}
	return patternmatcher.New(patterns) //nolint:wrapcheck // As above.
}

// tree is what is copied from.
type tree struct {
	folder  string
	ignored *patternmatcher.PatternMatcher
	what    string
}

func (t tree) ignores(name string) (bool, error) {
	if t.ignored == nil || name == "." {
		return false, nil
	}
	ignored, err := t.ignored.MatchesOrParentMatches(filepath.FromSlash(name))
	if err != nil {
		return false, fmt.Errorf("looking up %s in .dockerignore: %w", name, err)
	}
	return ignored, nil
}

// copy does a COPY line.
func (s *stage) copy(c *instructions.CopyCommand) error {
	if c.Parents || len(c.ExcludePatterns) > 0 {
		return errors.New("COPY with --parents or --exclude: copy folder by folder, or use .dockerignore")
	}
	mode, err := chmod(c.Chmod)
	if err != nil {
		return err
	}
	from, err := s.source(c.From)
	if err != nil {
		return err
	}
	to, count := s.absolute(c.DestPath), len(c.SourcePaths)+len(c.SourceContents)
	into := strings.HasSuffix(c.DestPath, "/") || c.DestPath == "." || count > 1 || s.isFolder(to)
	for _, content := range c.SourceContents {
		if err := s.copyContent(content, to, into, mode); err != nil {
			return err
		}
	}
	for _, source := range c.SourcePaths {
		if err := s.copySource(from, source, to, into, mode); err != nil {
			return err
		}
	}
	return nil
}

// chmod is the mode that a line gives; nil for that of the source.
func chmod(text string) (*fs.FileMode, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // There is none.
	}
	bits, err := strconv.ParseUint(text, octal, modeBits)
	if err != nil || bits > uint64(fs.ModePerm) {
		return nil, fmt.Errorf("COPY --chmod=%s: only a number such as 755", text)
	}
	mode := fs.FileMode(bits)
	return &mode, nil
}

// source is what a line copies from: the context, or another stage.
func (s *stage) source(name string) (tree, error) {
	if name == "" {
		return tree{s.options.Context, s.ignored, "the build context"}, nil
	}
	before := s.stages[:len(s.laid)]
	i, is := instructions.HasStage(before, name)
	if number, err := strconv.Atoi(name); !is && err == nil && number >= 0 && number < len(s.laid) {
		i, is = number, true
	}
	if !is {
		return tree{}, fmt.Errorf("COPY --from=%s: that image isn't here: copy the file from the build context", name)
	}
	return tree{folder: s.laid[i].image.Root, what: "the stage " + name + ", as far as it is made of COPY lines: RUN isn't executed"}, nil
}

func (s *stage) copyContent(content instructions.SourceContent, to string, into bool, mode *fs.FileMode) error {
	text := content.Data
	if content.Expand {
		var err error
		if text, err = s.word(text); err != nil {
			return err
		}
	}
	if into {
		to = path.Join(to, content.Path)
	}
	s.made(to)
	return s.write(to, strings.NewReader(text), modeOf(mode, fileMode))
}

func (s *stage) copySource(from tree, source, to string, into bool, mode *fs.FileMode) error {
	pattern := strings.TrimPrefix(path.Join("/", source), "/") // no way out of the context, as Docker has it
	if pattern == "" {
		pattern = "."
	}
	matches := []string{pattern}
	if strings.ContainsAny(pattern, `*?[\`) {
		var err error
		if matches, err = fs.Glob(os.DirFS(from.folder), pattern); err != nil {
			return fmt.Errorf("COPY %s: %w", source, err)
		}
	}
	found := false
	for _, name := range matches {
		ignored, err := from.ignores(name)
		if err != nil {
			return err
		}
		info, err := os.Stat(filepath.Join(from.folder, filepath.FromSlash(name)))
		if err != nil || ignored && !info.IsDir() {
			continue
		}
		found = true
		at := to
		if !info.IsDir() && (into || len(matches) > 1) {
			at = path.Join(to, path.Base(name))
		}
		if err := s.copyTree(from, name, at, mode); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("COPY %s: it isn't in %s", source, from.what)
	}
	return nil
}

// copyTree copies a file, or what a folder holds.
func (s *stage) copyTree(from tree, name, to string, mode *fs.FileMode) error {
	start := filepath.Join(from.folder, filepath.FromSlash(name))
	if resolved, err := filepath.EvalSymlinks(start); err == nil {
		start = resolved // a source that is a link is followed, one in a folder isn't
	}
	err := filepath.WalkDir(start, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(start, file)
		if err != nil {
			return err //nolint:wrapcheck // It is wrapped below.
		}
		below = filepath.ToSlash(below)
		ignored, err := from.ignores(path.Join(name, below))
		if err != nil {
			return err
		}
		if ignored && !entry.IsDir() {
			return nil
		}
		if ignored && !from.ignored.Exclusions() {
			return fs.SkipDir
		}
		at := path.Join(to, below)
		if below == "." || to == "/" && !strings.Contains(below, "/") {
			s.made(at)
		}
		return s.copyEntry(file, entry, at, ignored, mode)
	})
	if err != nil {
		return fmt.Errorf("COPY %s: %w", name, err)
	}
	return nil
}

func (s *stage) copyEntry(file string, entry fs.DirEntry, to string, ignored bool, mode *fs.FileMode) error {
	info, err := entry.Info()
	if err != nil {
		return err //nolint:wrapcheck // It names the file.
	}
	switch {
	case entry.IsDir() && ignored:
		return nil // it is made for what isn't ignored in it, if something is
	case entry.IsDir():
		return s.makeFolder(to)
	case entry.Type() == fs.ModeSymlink:
		return s.link(file, to)
	case !entry.Type().IsRegular():
		return fmt.Errorf("%s is neither a file nor a folder", file)
	}
	content, err := os.Open(file)
	if err != nil {
		return err //nolint:wrapcheck // It names the file.
	}
	defer func() { _ = content.Close() }() // which was only read
	return s.write(to, content, modeOf(mode, info.Mode().Perm()))
}

func modeOf(given *fs.FileMode, own fs.FileMode) fs.FileMode {
	if given != nil {
		return *given
	}
	return own
}

// made notes a path that a line has made. The image's / and /tmp are nobody's.
func (s *stage) made(name string) {
	if name != "/" && name != temporary && !slices.Contains(s.image.copied, name) {
		s.image.copied = append(s.image.copied, name)
	}
}

// isFolder says whether a path of the image is a folder.
func (s *stage) isFolder(name string) bool {
	info, err := os.Stat(filepath.Join(s.image.Root, filepath.FromSlash(name)))
	return err == nil && info.IsDir()
}

// within does something in the image's folder, which no link leads out of.
func (s *stage) within(name string, do func(root *os.Root, name string) error) error {
	root, err := os.OpenRoot(s.image.Root)
	if err != nil {
		return fmt.Errorf("opening the image's folder: %w", err)
	}
	defer func() { _ = root.Close() }() // nothing was written to it itself
	name = strings.TrimPrefix(path.Clean(name), "/")
	if name == "" {
		name = "."
	}
	if err := root.MkdirAll(path.Dir(name), folderMode); err != nil {
		return err //nolint:wrapcheck // It names the folder.
	}
	return do(root, name)
}

func (s *stage) makeFolder(name string) error {
	return s.within(name, func(root *os.Root, name string) error { return root.MkdirAll(name, folderMode) })
}

// link makes a link as it is, which leads somewhere else if it is absolute.
func (s *stage) link(file, to string) error {
	target, err := os.Readlink(file)
	if err != nil {
		return err //nolint:wrapcheck // It names the file.
	}
	if filepath.IsAbs(target) {
		return fmt.Errorf("%s is a link to %s, which is another file here: make it a relative one", file, target)
	}
	return s.within(to, func(root *os.Root, name string) error {
		_ = root.Remove(name) // what an earlier line has made
		return root.Symlink(target, name)
	})
}

func (s *stage) write(to string, content io.Reader, mode fs.FileMode) error {
	// A process that starts while a program is being written inherits the open
	// file for a moment, and Linux runs none that is open for writing.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return s.within(to, func(root *os.Root, name string) error {
		_ = root.Remove(name) // what an earlier line has made, which others may have linked to
		file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
		if err != nil {
			return err //nolint:wrapcheck // It names the file.
		}
		_, err = io.Copy(file, content)
		return errors.Join(err, file.Chmod(mode), file.Close()) // whatever the umask
	})
}
