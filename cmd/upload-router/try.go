package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"upload-router/internal/build"
	"upload-router/internal/declared"
	"upload-router/internal/local"
	"upload-router/internal/settings"
	"upload-router/stack"
)

// tryOptions are the flags of `try`.
type tryOptions struct {
	stack  string
	config []string
	json   bool
	logs   bool
}

func tryCommand() *cobra.Command {
	var o tryOptions
	cmd := &cobra.Command{
		Use:   "try [FILE...]",
		Short: "Put files through the declared system on this machine",
		Long: `Put files through the declared system on this machine.

The processors are built, the Pulumi program is evaluated, and each file goes
through what the program declares: its event is matched with the rule's pattern,
the state machine is interpreted, and the Lambda function or the Fargate task
really runs, reading the file from a local S3. No account and no Docker is needed.

Without files, two are made: one just under and one just over the threshold.

It does not check ` + local.NotChecked + `.

Exit codes: 0 all files were processed, 1 some were not, 2 it could not be tried.`,
		Example: `  upload-router try
  upload-router try --config sizeThreshold=1MB report.pdf video.mp4
  upload-router try --stack dev --json | jq '.files[].executions[].status'`,
		RunE: func(cmd *cobra.Command, files []string) error {
			return o.run(cmd.Context(), cmd.OutOrStdout(), files)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.stack, "stack", "", "take the configuration of this stack's file, Pulumi.<stack>.yaml")
	flags.StringArrayVarP(&o.config, "config", "c", nil, "set a value of the configuration, as key=value; may be repeated")
	flags.BoolVar(&o.json, "json", false, "print the whole trace as JSON")
	flags.BoolVar(&o.logs, "logs", false, "show what the processors log")
	return cmd
}

// report is what `try --json` prints.
type report struct {
	// BuildDuration is how long it took to build the processors and to evaluate the program.
	BuildDuration time.Duration `json:"buildNanoseconds"`
	// Resources is how many resources the program declares.
	Resources int `json:"resources"`
	// Outputs are the stack's outputs.
	Outputs map[string]any `json:"outputs"`
	// NotChecked is what the local run can't show.
	NotChecked string `json:"notChecked"`
	// Files are the files, in the order given.
	Files []file `json:"files"`
	// Processed is how many of them were processed.
	Processed int `json:"processed"`
}

type file struct {
	// File is the file's path as it was given.
	File string `json:"file"`
	*local.Trace
	// Error says why there is no trace.
	Error string `json:"error,omitempty"`
}

func (o *tryOptions) run(ctx context.Context, out io.Writer, files []string) error {
	root, err := build.Root()
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := readable(f); err != nil {
			return err
		}
	}
	config, err := o.configuration(root)
	if err != nil {
		return err
	}
	p := &printer{out: out, json: o.json, logs: o.logs}
	p.progress("Building the processors and evaluating the program ...")
	started := time.Now()
	options := declared.Options{Stack: o.stackName(), Config: config}
	options.Region, options.AccountID = config["aws:region"], "123456789012"
	if options.Region == "" {
		options.Region = "eu-central-1"
	}
	system, err := declared.Evaluate(stack.Program, options)
	if err != nil {
		return err
	}
	r := &report{
		BuildDuration: time.Since(started), Resources: len(system.Resources), Outputs: system.Outputs, NotChecked: local.NotChecked,
	}
	router, err := local.Start(ctx, system, local.Options{Root: root, AccountID: options.AccountID, Region: options.Region})
	if err != nil {
		return fmt.Errorf("starting the declared system: %w", err)
	}
	defer func() { err = errors.Join(err, router.Close()) }()
	if len(files) == 0 {
		folder, samples, err := sampleFiles(config)
		if err != nil {
			return err
		}
		defer os.RemoveAll(folder)
		files = samples
	}
	p.start(r, options)
	for _, name := range files {
		f := file{File: name}
		if f.Trace, err = router.Upload(ctx, filepath.Base(name), name); err != nil {
			f.Error = err.Error()
		} else if f.Succeeded() {
			r.Processed++
		}
		r.Files = append(r.Files, f)
		p.file(f)
	}
	if err := p.end(r); err != nil {
		return err
	}
	if r.Processed < len(files) {
		return fmt.Errorf("%w: %d of %d", errNotProcessed, r.Processed, len(files))
	}
	return nil
}

func (o *tryOptions) stackName() string {
	if o.stack == "" {
		return "local"
	}
	return o.stack
}

var errFlag = errors.New("wrong flag")

// configuration is the stack file's, with the flags over it. What is built must
// run here, so the architecture is this machine's whatever the stack says.
func (o *tryOptions) configuration(root string) (map[string]string, error) {
	config := map[string]string{}
	if o.stack != "" {
		var err error
		if config, err = stackFile(root, o.stack); err != nil {
			return nil, err
		}
	}
	for _, assignment := range o.config {
		key, value, ok := strings.Cut(assignment, "=")
		if !ok {
			return nil, fmt.Errorf("%w: --config %s: write it as key=value", errFlag, assignment)
		}
		if problems := settings.Unknown([]string{key}); len(problems) > 0 {
			return nil, fmt.Errorf("%w: --config %s: %s", errFlag, assignment, problems[0])
		}
		config[strings.TrimPrefix(key, settings.Namespace+":")] = value
	}
	config["architecture"] = string(settings.X86)
	if runtime.GOARCH == "arm64" {
		config["architecture"] = string(settings.ARM64)
	}
	return config, nil
}

// stackFile reads a stack's configuration as Pulumi would hand it to the program.
func stackFile(root, name string) (map[string]string, error) {
	path := filepath.Join(root, "Pulumi."+name+".yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the stack's configuration: %w", err)
	}
	var parsed struct {
		Config map[string]any `yaml:"config"`
	}
	if err := yaml.Unmarshal(text, &parsed); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	config := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(parsed.Config)) {
		value, isText := parsed.Config[key].(string)
		if !isText {
			raw, err := json.Marshal(parsed.Config[key])
			if err != nil {
				return nil, fmt.Errorf("reading %s of %s: %w", key, path, err)
			}
			value = string(raw)
		}
		config[strings.TrimPrefix(key, settings.Namespace+":")] = value
	}
	return config, nil
}

var errNotAFile = errors.New("not a file")

func readable(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return fmt.Errorf("looking at the file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: %s", errNotAFile, name)
	}
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("looking at the file: %w", err)
	}
	return f.Close()
}

// sampleFiles makes one file just under and one just over the threshold: text,
// so that there are lines to count.
func sampleFiles(config map[string]string) (folder string, files []string, err error) {
	cfg, err := settings.Load(func(key string) (string, bool) {
		value, ok := config[key]
		return value, ok
	})
	if err != nil {
		return "", nil, err
	}
	if folder, err = os.MkdirTemp("", "upload-router-files-*"); err != nil {
		return "", nil, fmt.Errorf("making the files: %w", err)
	}
	for _, sample := range []struct {
		name string
		size int64
	}{
		{"just-under.txt", max(0, cfg.SizeThreshold-1)},
		{"just-over.txt", cfg.SizeThreshold + 1},
	} {
		path := filepath.Join(folder, sample.name)
		if err := writeText(path, sample.size); err != nil {
			return "", nil, errors.Join(err, os.RemoveAll(folder))
		}
		files = append(files, path)
	}
	return folder, files, nil
}

func writeText(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("making a file: %w", err)
	}
	_, err = io.CopyN(f, endlessText{}, size)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// endlessText is a text without end.
type endlessText struct{}

func (endlessText) Read(b []byte) (int, error) {
	const line = "A file uploaded to S3 is processed by the compute that fits it.\n"
	n := 0
	for n+len(line) <= len(b) {
		n += copy(b[n:], line)
	}
	if n == 0 {
		n = copy(b, line)
	}
	return n, nil
}
