// Package dockerfile lays an image out in a folder without a container engine: what its Dockerfile copies, and what it says of the process
// of a container. Nothing is run, and nothing is taken from a base image.
//
// The grammar is BuildKit's own.
package dockerfile

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	"github.com/moby/patternmatcher"
)

// ErrUnsupported is matched by the error of a Dockerfile whose image can't be laid out without a container engine. Its text isn't in
// that: it says what is wrong and what to write instead.
var ErrUnsupported = errors.New("only a container engine can follow this Dockerfile")

// unsupported is an error that matches [ErrUnsupported].
type unsupported struct{ error }

// Is implements what [errors.Is] looks for.
func (unsupported) Is(target error) bool { return target == ErrUnsupported }

// Unwrap gives the error itself.
func (u unsupported) Unwrap() error { return u.error }

func unsupportedf(format string, args ...any) error { return unsupported{fmt.Errorf(format, args...)} }

// lineError is an error in a line of a Dockerfile.
type lineError struct {
	line int
	err  error
}

// Error implements error.
func (e *lineError) Error() string { return fmt.Sprintf("line %d: %v", e.line, e.err) }

// Unwrap gives what is wrong there.
func (e *lineError) Unwrap() error { return e.err }

// In says of an error of this package which Dockerfile it is in.
func In(name string, err error) error {
	if _, is := errors.AsType[*lineError](err); is {
		return fmt.Errorf("%s, %w", name, err)
	}
	return fmt.Errorf("%s: %w", name, err)
}

// parseError is how BuildKit says in which line an error is.
var parseError = regexp.MustCompile(`^(?:dockerfile )?parse error on line (\d+): (.+)$`)

// parsed is an error of BuildKit's parser, with its line as ours have it.
func parsed(err error) error {
	found := parseError.FindStringSubmatch(err.Error())
	if found == nil {
		return err
	}
	line, _ := strconv.Atoi(found[1]) // it is a number
	return &lineError{line, errors.New(found[2])}
}

const (
	// scratch is the name of the image with nothing in it.
	scratch = "scratch"
	// temporary is the folder that a process finds empty and may write to, wherever it runs.
	temporary = "/tmp"
	// defaultPath is the PATH of an image that sets none: that of container engines.
	defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	pathName    = "PATH"
)

// Options say what is laid out.
type Options struct {
	// File is the Dockerfile, and Context the folder that its COPY lines copy from. Required.
	File, Context string
	// Root is an empty folder, in which each stage becomes a folder. Required.
	Root string
	// Args are the arguments of the build. Default: the Dockerfile's own defaults.
	Args map[string]string
}

// Image is a Dockerfile's last stage.
type Image struct {
	// Root is the folder that stands for the image's /.
	Root string
	// Scratch says that the image holds what was copied and nothing else: it is FROM scratch.
	Scratch bool
	// Env are the variables that the Dockerfile sets, PATH always among them, as NAME=value.
	Env []string
	// Workdir is the folder, in the image, that its process begins in. Default: /.
	Workdir string
	// Entrypoint and Cmd are the process's command line, in the exec form.
	Entrypoint, Cmd []string
	// entrypointLine and cmdLine are the lines with them.
	entrypointLine, cmdLine int
	// NotRun are the Dockerfile's lines with a RUN of this image, which wasn't executed.
	NotRun []int

	// copied are the paths in the image that its lines have made: of each, all that is below it is theirs.
	copied []string
	// volume says that /tmp is a volume, and temporary are the lines that may have made it.
	volume    bool
	temporary []*instructions.CopyCommand
}

// file is a Dockerfile that was read.
type file struct {
	stages []instructions.Stage
	global map[string]string // what the ARG lines before the first FROM set
	lex    *shell.Lex
	given  map[string]string
}

func read(name string, given map[string]string) (*file, error) {
	text, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("opening the Dockerfile: %w", err)
	}
	defer func() { _ = text.Close() }() // which was only read
	tree, err := parser.Parse(text)
	if err != nil {
		return nil, parsed(err)
	}
	stages, args, err := instructions.Parse(tree.AST, nil)
	if err != nil {
		return nil, parsed(err)
	}
	f := &file{stages: stages, global: map[string]string{}, lex: shell.NewLex(tree.EscapeToken), given: given}
	for _, arg := range args {
		if err := arg.Expand(func(word string) (string, error) { return f.expand(word, f.global) }); err != nil {
			return nil, at(arg.Location(), err)
		}
		for _, a := range arg.Args {
			f.global[a.Key] = f.argument(a)
		}
	}
	for i := range f.stages {
		stage := &f.stages[i]
		if stage.BaseName, err = f.expand(stage.BaseName, f.global); err != nil {
			return nil, at(stage.Location, err)
		}
	}
	return f, nil
}

// argument is the value of an ARG: the build's, or its default.
func (f *file) argument(arg instructions.KeyValuePairOptional) string {
	if value, is := f.given[arg.Key]; is {
		return value
	}
	return arg.ValueString()
}

func (f *file) expand(word string, known map[string]string) (string, error) {
	expanded, err := f.lex.ProcessWordWithMatches(word, values(known))
	if err != nil {
		return "", fmt.Errorf("expanding %s: %w", word, err)
	}
	return expanded.Result, nil
}

// values are variables as BuildKit's lexer takes them.
type values map[string]string

// Get implements [shell.EnvGetter].
func (v values) Get(name string) (string, bool) {
	value, is := v[name]
	return value, is
}

// Keys implements [shell.EnvGetter].
func (v values) Keys() []string {
	keys := make([]string, 0, len(v))
	for name := range v {
		keys = append(keys, name)
	}
	return keys
}

// at says in which line of the Dockerfile an error is.
func at(location []parser.Range, err error) error {
	if len(location) == 0 {
		return err
	}
	return &lineError{location[0].Start.Line, err}
}

// Bases are the images that a Dockerfile builds upon or copies from, without scratch and its own stages.
func Bases(name string, args map[string]string) ([]string, error) {
	f, err := read(name, args)
	if err != nil {
		return nil, err
	}
	var bases []string
	add := func(image string, before int) {
		if _, own := instructions.HasStage(f.stages[:before], image); image != "" && image != scratch && !own && !slices.Contains(bases, image) {
			bases = append(bases, image)
		}
	}
	for i, stage := range f.stages {
		add(stage.BaseName, i)
		for _, command := range stage.Commands {
			if c, is := command.(*instructions.CopyCommand); is {
				if _, err := strconv.Atoi(c.From); err != nil {
					add(c.From, i)
				}
			}
		}
	}
	return bases, nil
}

// LayOut follows a Dockerfile up to its last stage. An error matches [ErrUnsupported] if only a container engine can, and names line and
// remedy.
func LayOut(options Options) (*Image, error) {
	f, err := read(options.File, options.Args)
	if err != nil {
		return nil, err
	}
	ignored, err := Ignored(options.File, options.Context)
	if err != nil {
		return nil, err
	}
	l := &layout{file: f, options: options, ignored: ignored}
	for i := range f.stages {
		if err := l.stage(i); err != nil {
			return nil, unsupported{err}
		}
	}
	last := l.laid[len(l.laid)-1].image
	if len(last.Entrypoint) == 0 {
		return nil, unsupportedf(`it has no ENTRYPOINT: write ENTRYPOINT ["/usr/local/bin/upload-worker"]`)
	}
	return last, nil
}

// layout lays out one stage after the other.
type layout struct {
	*file

	options Options
	ignored *patternmatcher.PatternMatcher
	laid    []*stage
}

// stage is one that is being laid out.
type stage struct {
	*layout

	image *Image
	args  map[string]string
	env   map[string]string
}

func (l *layout) stage(i int) error {
	from := l.stages[i]
	s := &stage{layout: l, args: map[string]string{}, env: map[string]string{pathName: defaultPath}}
	s.image = &Image{Root: filepath.Join(l.options.Root, strconv.Itoa(i)), Scratch: from.BaseName == scratch, Workdir: "/"}
	if err := os.Mkdir(s.image.Root, folderMode); err != nil {
		return fmt.Errorf("making the folder of a stage: %w", err)
	}
	if before, is := instructions.HasStage(l.stages[:i], from.BaseName); is {
		if err := s.inherit(l.laid[before]); err != nil {
			return at(from.Location, err)
		}
	}
	for _, command := range from.Commands {
		if err := s.follow(command); err != nil {
			return at(command.Location(), err)
		}
	}
	for name, value := range s.env {
		s.image.Env = append(s.image.Env, name+"="+value)
	}
	slices.Sort(s.image.Env)
	l.laid = append(l.laid, s)
	return nil
}

// inherit begins with what another stage has.
func (s *stage) inherit(from *stage) error {
	image := *from.image
	image.Root, image.Env, image.NotRun = s.image.Root, nil, slices.Clone(image.NotRun)
	image.temporary = slices.Clone(image.temporary)
	*s.image = image
	maps.Copy(s.env, from.env)
	err := s.copyTree(tree{folder: from.image.Root}, ".", "/", nil)
	s.image.copied = slices.Clone(from.image.copied)
	return err
}

// known are the variables that a line sees.
func (s *stage) known() map[string]string {
	known := map[string]string{}
	maps.Copy(known, s.args)
	maps.Copy(known, s.env)
	return known
}

// word expands the variables of a word of the stage. One that may be the base image's isn't guessed.
func (s *stage) word(word string) (string, error) {
	expanded, err := s.lex.ProcessWordWithMatches(word, values(s.known()))
	if err != nil {
		return "", fmt.Errorf("expanding %s: %w", word, err)
	}
	if s.image.Scratch {
		return expanded.Result, nil
	}
	for name := range expanded.Unmatched {
		return "", fmt.Errorf("$%s is set by no ENV or ARG before, and may be by the base image, which isn't here: set it by an ENV", name)
	}
	return expanded.Result, nil
}

func (s *stage) follow(command instructions.Command) error {
	if expands, is := command.(instructions.SupportsSingleWordExpansion); is && !ignoredCommand(command) {
		if err := expands.Expand(s.word); err != nil {
			return err //nolint:wrapcheck // It is our own.
		}
	}
	switch c := command.(type) {
	case *instructions.EnvCommand:
		for _, variable := range c.Env {
			s.env[variable.Key] = variable.Value
		}
	case *instructions.ArgCommand:
		s.declare(c.Args)
	case *instructions.WorkdirCommand:
		s.image.Workdir = s.absolute(c.Path)
		s.made(s.image.Workdir)
		return s.makeFolder(s.image.Workdir)
	case *instructions.CopyCommand:
		s.image.temporary = append(s.image.temporary, c)
		return s.copy(c)
	case *instructions.AddCommand:
		return errors.New("ADD: write COPY, which does the same for files and folders")
	case *instructions.EntrypointCommand:
		s.image.entrypointLine = c.Location()[0].Start.Line
		return execForm(&s.image.Entrypoint, "ENTRYPOINT", c.ShellDependantCmdLine)
	case *instructions.CmdCommand:
		s.image.cmdLine = c.Location()[0].Start.Line
		return execForm(&s.image.Cmd, "CMD", c.ShellDependantCmdLine)
	case *instructions.VolumeCommand:
		s.image.volume = true
		return onlyTemporary(c.Volumes)
	case *instructions.RunCommand:
		s.image.NotRun = append(s.image.NotRun, c.Location()[0].Start.Line)
	}
	return nil
}

// declare takes the arguments of an ARG line. One without a default has that of before the first FROM.
func (s *stage) declare(args []instructions.KeyValuePairOptional) {
	for _, arg := range args {
		if global, is := s.global[arg.Key]; is && arg.Value == nil {
			s.args[arg.Key] = global
			continue
		}
		s.args[arg.Key] = s.argument(arg)
	}
}

// onlyTemporary refuses volumes that a process here doesn't have.
func onlyTemporary(volumes []string) error {
	for _, volume := range volumes {
		if path.Clean(volume) != temporary {
			return fmt.Errorf("VOLUME %s: only VOLUME /tmp, which a process has here, too", volume)
		}
	}
	return nil
}

// ignoredCommand is one whose words make no difference to a process here.
func ignoredCommand(command instructions.Command) bool {
	switch command.(type) {
	case *instructions.LabelCommand, *instructions.RunCommand, *instructions.UserCommand, *instructions.StopSignalCommand:
		return true
	default:
		return false
	}
}

func execForm(into *[]string, name string, given instructions.ShellDependantCmdLine) error {
	if given.PrependShell {
		return fmt.Errorf(`%s %s: only the exec form, %s ["...", "..."]`, name, strings.Join(given.CmdLine, " "), name)
	}
	*into = given.CmdLine
	return nil
}

// absolute is a path in the image.
func (s *stage) absolute(name string) string {
	if path.IsAbs(name) {
		return path.Clean(name)
	}
	return path.Join(s.image.Workdir, name)
}
