package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"example.com/upload-router/internal/filter"
	"example.com/upload-router/internal/local"
	"example.com/upload-router/internal/machine"
	"example.com/upload-router/operate"
)

// The stack that is tried if none is named, and where.
const (
	defaultStack  = "local"
	defaultRegion = "eu-central-1"
)

// localSession is the declared system on this machine, which `try` and `send --local` put files through.
type localSession struct {
	*operate.Local

	ui   *ui
	keep string
}

// startSession builds the processors, evaluates the program, and says what runs here. It must be closed.
func startSession(ctx context.Context, u *ui, program program, c *configuration, keep string) (*localSession, error) {
	u.say("Building the processors and evaluating the program ...")
	started, err := awaited(ctx, func() (*operate.Local, error) {
		defer u.rest()
		return operate.StartLocal(ctx, operate.LocalOptions{
			Project: c.project, Stack: c.stack, Config: c.values, Keep: keep, Program: program(u.compiling("")),
		})
	}, func(late *operate.Local) { _ = late.Close() }) // the error would hide that it was canceled
	if err != nil {
		return nil, err
	}
	for _, processor := range started.Processors {
		u.wrapped("", printable(processor)+".")
	}
	u.say("%d resources declared in %s, built and evaluated in %s.", started.Resources, started.Region, short(started.BuildDuration))
	u.wrapped("", "They run here now, with a local S3. Not checked: "+started.NotChecked()+".")
	for _, kind := range started.NotRun {
		u.say("not run here: %s", printable(kind))
	}
	for _, note := range c.notes {
		u.wrapped("", "Note: "+printable(note))
	}
	if c.settings.Paused {
		u.wrapped("", "Note: paused holds for what is deployed: here uploads are processed.")
	}
	return &localSession{started, u, keep}, nil
}

// close ends it, and says what its results depend on that isn't declared, and where what was written is kept.
func (s *localSession) close() error {
	for _, assumed := range s.Assumed() {
		s.ui.wrapped("", "Assumed, as it can't be seen from here: "+printable(assumed)+".")
	}
	switch kept := s.Kept(); {
	case s.keep == "":
	case kept == 0:
		s.ui.say("Nothing is kept in %s: no output was written that a file could be made of.", printable(s.keep))
	default:
		s.ui.say("Kept in %s: %s, by bucket and key.", printable(s.keep), plural(int64(kept), "output"))
	}
	return s.Close()
}

// tryOptions are the flags of `try`, and the program that it tries.
type tryOptions struct {
	program program

	stack  string
	config []string
	prefix string
	keep   string
	json   bool
	logs   bool
}

func tryCommand(program program) *cobra.Command {
	o := tryOptions{program: program}
	cmd := &cobra.Command{
		Use:   "try [FILE|FOLDER...]",
		Short: "Put files through the declared system on this machine",
		Long: `Put files through the declared system on this machine.

The processors are built, the Pulumi program is evaluated, and each file goes
through what the program declares: its event is matched with the rule's pattern,
the state machine is interpreted, and the Lambda function or the Fargate task
really runs, reading the file from a local S3. No account and no Docker is needed.

Without files it takes those in processor/testdata, but hidden ones; if there are
none, one is made for each route, just under or over the size at which it parts
from others.
A file's key is its name without folders, behind --prefix; files of one name are
versions of one object. A folder is tried with all that is in it, by the paths in
there. A key that no glob of keys matches isn't routed; files that are found or
made here get one that is.

What the processors write is listed with its size and type; --keep keeps it, by
bucket and key, in a folder of this run's alone, and says where in the end. An
output that a rule matches starts the system again, as in AWS.

Ctrl-C ends what runs with all that it has started, and leaves nothing behind. A
program has 20 seconds to end after SIGTERM; a third Ctrl-C doesn't wait for that.

Not checked:
` + indented(local.NotChecked, "") + `.

Exit codes: 0 all files were processed, 1 some were not, 2 it could not be tried.`,
		Example: `  upload-router try
  upload-router try --config sizeThreshold=1MB report.pdf video.mp4
  upload-router try --keep outputs report.pdf
  upload-router try --stack dev --json | jq '.files[].executions[].status'`,
		RunE: func(cmd *cobra.Command, files []string) error {
			return o.run(cmd.Context(), newUI(cmd, &commonFlags{json: o.json}), files)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.stack, "stack", "s", "", "take the configuration of this stack's file, Pulumi.<stack>.yaml")
	_ = cmd.RegisterFlagCompletionFunc("stack", completeStacks)
	flags.StringArrayVarP(&o.config, "config", "c", nil, configUsage)
	flags.StringVar(&o.prefix, "prefix", "", "put this before each key, such as reports/")
	flags.BoolVar(&o.json, "json", false, "print the whole trace as JSON")
	keepVar(flags, &o.keep, "")
	flags.BoolVar(&o.logs, "logs", false, "show what the processors log")
	return cmd
}

// report is what `try --json` prints.
type report struct {
	*operate.Local

	// NotChecked is what the local run can't show.
	NotChecked string `json:"notChecked"`
	// Assumed is what the calls that were made depend on that isn't declared, such as the policy of a key given by its ARN.
	Assumed []string `json:"assumed,omitempty"`
	// Notes are what isn't as one might think.
	Notes []string `json:"notes,omitempty"`
	// Files are the files, in the order given.
	Files []file `json:"files"`
	// Processed is how many of them were processed.
	Processed int `json:"processed"`
	// NotProcessed is how many have nothing to process, such as folder markers.
	NotProcessed int `json:"notProcessed,omitempty"`
}

type file struct {
	// File is the file's path as it was given.
	File string `json:"file"`
	*local.Trace
	// Error says why there is no trace, or not all of it.
	Error string `json:"error,omitempty"`
}

func (o *tryOptions) run(ctx context.Context, u *ui, names []string) (err error) {
	var files []operate.Sent
	if len(names) > 0 {
		if files, err = operate.FindFiles(ctx, names, o.prefix); err != nil {
			return err
		}
	}
	c, err := localConfiguration(o.stack, o.config)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		found, remove, err := o.unnamed(ctx, u, c)
		if err != nil {
			return err
		}
		defer remove()
		files = found
	}
	c.notes = append(c.notes, oneKey(files)...)
	s, err := startSession(ctx, u, o.program, c, o.keep)
	if err != nil {
		return err
	}
	r := &report{Local: s.Local, NotChecked: s.NotChecked(), Notes: c.notes, Files: []file{}}
	p := &printer{out: u.out, json: o.json, logs: o.logs}
	for _, f := range files {
		if ctx.Err() != nil {
			break
		}
		err := r.add(ctx, s, f)
		p.file(r.Files[len(r.Files)-1])
		if errors.Is(err, local.ErrLoop) {
			break // the others would go the same way
		}
	}
	r.Assumed = s.Assumed()
	p.say("")
	closed := s.close()
	if err := p.end(r); err != nil {
		return errors.Join(err, closed)
	}
	return errors.Join(r.verdict(ctx, len(files)), closed)
}

// unnamed are the files that are tried if none is named: the project's own or, if it has none, some that are made, and removed afterwards.
// They get keys that the configuration takes.
func (o *tryOptions) unnamed(ctx context.Context, u *ui, c *configuration) (files []operate.Sent, remove func(), err error) {
	remove = func() {}
	if files, err = operate.TestData(ctx); err != nil {
		return nil, nil, err
	}
	if len(files) > 0 {
		u.say("Trying what is in %s.", operate.TestDataFolder)
		return files, remove, fitKeys(files, o.prefix, c.settings.KeyGlobs)
	}
	return o.samples(ctx, c)
}

// samples are files that are made, one for each route, and removed afterwards.
func (o *tryOptions) samples(ctx context.Context, c *configuration) (files []operate.Sent, remove func(), err error) {
	keys, err := filter.ParseKeys(c.settings.KeyGlobs)
	if err != nil {
		return nil, nil, err //nolint:wrapcheck // It says which one.
	}
	samples, without := machine.Samples(c.settings.Machine().Table(), o.prefix, largestSample+1, func(key string) []string {
		if fits := keys.Fits(key); len(fits) > 0 {
			return fits
		}
		return []string{key} // of which it is said that it isn't taken
	})
	for _, route := range without {
		c.notes = append(c.notes, "no file is made for the route "+route.Name+", which takes none of up to "+
			humanize.IBytes(largestSample)+" whose key begins with "+strconv.Quote(o.prefix)+": name one")
	}
	folder, names, err := sampleFiles(samples)
	if err != nil {
		return nil, nil, err
	}
	remove = func() { _ = folder.Remove() } // in the system's folder for such files
	if files, err = operate.FindFiles(ctx, names, ""); err != nil {
		remove()
		return nil, nil, err
	}
	for i := range files {
		files[i].Key = samples[i].Key
	}
	return files, remove, nil
}

// add puts a file through the system. The error is in the file, too.
func (r *report) add(ctx context.Context, s *localSession, found operate.Sent) (failed error) {
	f := file{File: found.File, Error: found.Error}
	if !found.Over() {
		s.SendFile(local.Traced(ctx, func(trace *local.Trace, err error) {
			f.Trace = trace
			switch failed = err; {
			case err != nil:
				f.Error = err.Error()
			case trace.NotProcessed():
				r.NotProcessed++
			case trace.Succeeded():
				r.Processed++
			}
		}), found)
	}
	r.Files = append(r.Files, f)
	return failed
}

// fitKeys gives files that nobody has named keys that the configuration takes.
func fitKeys(files []operate.Sent, prefix string, globs []string) error {
	keys, err := filter.ParseKeys(globs)
	if err != nil {
		return err //nolint:wrapcheck // It says which one.
	}
	for i, f := range files {
		files[i].Key = cmp.Or(keys.Fit(prefix+f.Key), prefix+f.Key) // of which it is said that it isn't taken
	}
	return nil
}

// keepVar adds the flag of the folder that outputs are kept in.
func keepVar(flags *pflag.FlagSet, folder *string, when string) {
	flags.StringVar(folder, flagKeep, "", when+"keep what the processors write in this folder, which must be empty or not be there")
}

// verdict is the error of a run that didn't process every file.
func (r *report) verdict(ctx context.Context, files int) error {
	switch {
	case r.Processed+r.NotProcessed == files:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %s processed", operate.ErrCanceled, countOf(r.Processed, files))
	default:
		return fmt.Errorf("%w: %d of %d", errNotProcessed, r.Processed, files)
	}
}

// oneKey says which files become one object.
func oneKey(files []operate.Sent) []string {
	var notes []string
	first := map[string]string{}
	for _, f := range files {
		if other, double := first[f.Key]; double {
			notes = append(notes, fmt.Sprintf("%s and %s have one key, %s: they are versions of one object.", other, f.File, f.Key))
			continue
		}
		first[f.Key] = f.File
	}
	return notes
}
