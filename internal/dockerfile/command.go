package dockerfile

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

const executable = 0o111

// Command is how the process of an image is started on this machine.
type Command struct {
	// Argv is its command line, the program by its path first; Dir is the folder that it begins in.
	Argv []string
	Dir  string
	// Env are the image's variables, as NAME=value.
	Env []string
	// Taken says of each program that isn't the image's what it is instead.
	Taken []string
}

// Own is the command in a root of the image's own, which is the image's folder: nothing is mapped, and there is no other program than those
// that were copied.
func (i *Image) Own() (*Command, error) {
	c := &Command{Argv: i.argv(), Dir: i.Workdir, Env: i.Env}
	for at, name := range c.Argv {
		if !c.isProgram(at) {
			continue
		}
		file, ok := i.find(name)
		if !ok {
			return nil, i.atWord(at, unsupportedf("no COPY makes the program %s, and there is nothing else in an image FROM scratch: copy it", name))
		}
		if err := i.runs(name, file); err != nil {
			return nil, i.atWord(at, err)
		}
		c.Argv[at] = i.inside(file)
	}
	return c, nil
}

// Here is the command beside everything else on this machine: what names a copied path is mapped to the image's folder, and programs that
// weren't copied are those of this machine.
func (i *Image) Here() (*Command, error) {
	c := &Command{Argv: i.argv(), Dir: i.host(i.Workdir)}
	for at, argument := range c.Argv {
		var err error
		if c.isProgram(at) {
			c.Argv[at], err = i.program(argument, c)
		} else if c.Argv[at], err = i.present(argument, c); err != nil {
			err = unsupportedf("the argument %q: %w", argument, err)
		}
		if err != nil {
			return nil, i.atWord(at, err)
		}
	}
	for _, variable := range i.Env {
		name, value, _ := strings.Cut(variable, "=")
		mapped, err := i.list(value)
		if err != nil {
			return nil, unsupportedf("ENV %s: %w", name, err)
		}
		if own := os.Getenv(pathName); name == pathName && !i.Scratch && own != "" {
			mapped += string(filepath.ListSeparator) + own
		}
		c.Env = append(c.Env, name+"="+mapped)
	}
	return c, nil
}

// argv is the image's command line.
func (i *Image) argv() []string { return slices.Concat(i.Entrypoint, i.Cmd) }

// atWord says in which line the word of the command line is that an error is about.
func (i *Image) atWord(word int, err error) error {
	line := i.cmdLine
	if word < len(i.Entrypoint) {
		line = i.entrypointLine
	}
	return &lineError{line, err}
}

// isProgram says which of the arguments are programs: the first, and the one that follows the worker, which runs it.
func (c *Command) isProgram(at int) bool { return at == 0 || path.Base(c.Argv[at-1]) == Worker }

// host is where a path of the image is on this machine.
func (i *Image) host(name string) string {
	return filepath.Join(i.Root, filepath.FromSlash(path.Clean("/"+name)))
}

// inside is the opposite of host.
func (i *Image) inside(file string) string {
	return path.Join("/", filepath.ToSlash(strings.TrimPrefix(file, i.Root)))
}

// find finds a program as a shell does, among what was copied.
func (i *Image) find(name string) (file string, ok bool) {
	if strings.Contains(name, "/") {
		if !path.IsAbs(name) {
			name = path.Join(i.Workdir, name)
		}
		return i.host(name), exists(i.host(name))
	}
	for _, folder := range filepath.SplitList(i.variable(pathName)) {
		if file := i.host(path.Join(folder, name)); exists(file) {
			return file, true
		}
	}
	return "", false
}

func (i *Image) variable(name string) string {
	for _, variable := range i.Env {
		if value, is := strings.CutPrefix(variable, name+"="); is {
			return value
		}
	}
	return ""
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// program maps a program: to what was copied, or else to this machine's.
func (i *Image) program(name string, into *Command) (string, error) {
	if file, ok := i.find(name); ok {
		if err := i.runs(name, file); err != nil {
			return "", err
		}
		return file, i.interpreter(name, file, into)
	}
	if i.Scratch {
		return "", unsupportedf("no COPY makes the program %s, and there is nothing else in an image FROM scratch: copy it", name)
	}
	return taken(name, into)
}

// taken finds a program on this machine, and notes that.
func taken(name string, into *Command) (string, error) {
	base := path.Base(name)
	if base == Worker {
		return "", unsupportedf("no COPY makes the worker %s: write COPY %s %s/", name, Worker, strings.TrimSuffix(path.Dir(name), "/"))
	}
	file := name
	if !path.IsAbs(name) || !exists(name) {
		var err error
		if file, err = exec.LookPath(base); err != nil {
			return "", unsupportedf("no COPY makes the program %s, and this machine, where RUN isn't executed, has no %s on its PATH: "+
				"install it here", name, base)
		}
	}
	file, err := filepath.Abs(file)
	if err != nil {
		return "", fmt.Errorf("finding %s: %w", name, err)
	}
	if note := fmt.Sprintf("%s is this machine's %s, not the image's", base, file); !slices.Contains(into.Taken, note) {
		into.Taken = append(into.Taken, note)
	}
	return file, nil
}

// runs refuses what isn't a program.
func (i *Image) runs(name, file string) error {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return fmt.Errorf("looking at the program %s: %w", name, err)
	case !info.Mode().IsRegular():
		return unsupportedf("the program %s is no file", name)
	case info.Mode().Perm()&executable == 0:
		return unsupportedf("the program %s isn't executable: write COPY --chmod=755", name)
	}
	return nil
}

// interpreter finds the program that a script names in its first line, which is this machine's as well.
func (i *Image) interpreter(name, file string, into *Command) error {
	script, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("opening the program %s: %w", name, err)
	}
	defer func() { _ = script.Close() }() // which was only read
	const longest = 256                   // of which Linux reads as much
	line, _ := bufio.NewReaderSize(script, longest).ReadSlice('\n')
	words := strings.Fields(strings.TrimPrefix(string(line), "#!"))
	if !strings.HasPrefix(string(line), "#!") || len(words) == 0 {
		return nil
	}
	if !exists(words[0]) {
		return unsupportedf("the program %s begins with #!%s, which isn't on this machine: write #!/usr/bin/env %s",
			name, words[0], path.Base(words[0]))
	}
	if path.Base(words[0]) != "env" || len(words) == 1 {
		_, err = taken(words[0], into)
		return err
	}
	if _, copied := i.find(words[1]); copied || strings.HasPrefix(words[1], "-") {
		return nil
	}
	_, err = taken(words[1], into)
	return err
}

var errMentions = errors.New("name it alone, in an argument of its own, so that it can be mapped to where it is here")

// argument maps an argument that names a copied path, alone or after the = of an option. Where such a path is a part of something else, it
// can't be.
func (i *Image) argument(text string) (string, error) {
	if mapped, ok := i.mapped(text); ok {
		return mapped, nil
	}
	if option, value, is := strings.Cut(text, "="); is {
		if mapped, ok := i.mapped(value); ok {
			return option + "=" + mapped, nil
		}
	}
	for _, copied := range i.copied {
		if mentions(text, copied) {
			return "", fmt.Errorf("it has %s, a copied path, within: %w", copied, errMentions)
		}
	}
	return text, nil
}

var errOnlyRun = errors.New("no COPY makes it, and RUN isn't executed: copy it")

// present is argument for one that is there when the process begins: a path that is neither here nor copied is refused if a RUN would have
// made it, and else noted, as only the base image can have it.
func (i *Image) present(text string, into *Command) (string, error) {
	mapped, err := i.argument(text)
	if err != nil || mapped != text {
		return mapped, err
	}
	name := text
	if _, value, option := strings.Cut(text, "="); option {
		name = value
	}
	if !path.IsAbs(name) || inTemporary(name) || exists(filepath.FromSlash(name)) {
		return text, nil
	}
	if len(i.NotRun) > 0 {
		return "", errOnlyRun
	}
	into.Taken = append(into.Taken, name+" isn't here, as no COPY makes it")
	return text, nil
}

// list maps the value of a variable, which may be a list of paths as PATH is.
func (i *Image) list(value string) (string, error) {
	if strings.Contains(value, "://") {
		return i.argument(value)
	}
	parts := strings.Split(value, ":")
	for at, part := range parts {
		var err error
		if parts[at], err = i.argument(part); err != nil {
			return "", err
		}
	}
	return strings.Join(parts, ":"), nil
}

// mapped is a path of the image that a line has made, where it is here. A folder that was only made for what is in it, such as /usr/bin,
// may as well be this machine's, and is if it is there.
func (i *Image) mapped(name string) (string, bool) {
	if !path.IsAbs(name) {
		return "", false
	}
	clean := path.Clean(name)
	own := slices.ContainsFunc(i.copied, func(copied string) bool { return clean == copied || strings.HasPrefix(clean, copied+"/") })
	if !exists(i.host(clean)) || !own && exists(filepath.FromSlash(clean)) {
		return "", false
	}
	return i.host(clean), true
}

// mentions says whether a text has a path in it, and not only one that begins or ends in the same way.
func mentions(text, name string) bool {
	for rest := text; ; {
		before, after, found := strings.Cut(rest, name)
		if !found {
			return false
		}
		if !partOfPath(before, len(before)-1) && (strings.HasPrefix(after, "/") || !partOfPath(after, 0)) {
			return true
		}
		rest = after
	}
}

// partOfPath says whether the character of a text at a place may belong to a name in a path.
func partOfPath(text string, at int) bool {
	if at < 0 || at >= len(text) {
		return false
	}
	c := text[at]
	return c == '_' || c == '-' || c == '.' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

// Link makes a folder that has all that the image has, for one process: files are the same, folders are new, and /tmp is empty.
func (i *Image) Link(folder string) error {
	err := filepath.WalkDir(i.Root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(i.Root, file)
		if err != nil {
			return err //nolint:wrapcheck // It is wrapped below.
		}
		to := filepath.Join(folder, below)
		switch {
		case "/"+filepath.ToSlash(below) == temporary:
			return fs.SkipDir
		case entry.IsDir():
			return os.MkdirAll(to, folderMode)
		}
		return os.Link(file, to) //nolint:gosec // G122: nobody else changes the folder.
	})
	if err != nil {
		return fmt.Errorf("linking the image's files: %w", err)
	}
	return nil
}
