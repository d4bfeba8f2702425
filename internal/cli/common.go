package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"example.com/upload-router/operate"
)

// Flags that others look for.
const (
	flagOutputs = "outputs"
	flagProfile = "profile"
	flagBucket  = "bucket"
)

// commonFlags are the flags that mean the same everywhere.
type commonFlags struct {
	stack   string
	json    bool
	noInput bool
	yes     bool

	outputs string
	profile string
	bucket  string
}

// stackFlags are for commands that use Pulumi.
func (f *commonFlags) stackFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&f.stack, "stack", "s", "", "the environment, such as dev (default: PULUMI_STACK, or the selected stack)")
	flags.BoolVar(&f.json, "json", false, "print JSON")
	_ = cmd.RegisterFlagCompletionFunc("stack", completeStacks)
}

// stackFileFlags are for commands that take a stack's configuration from its file, without Pulumi.
func (f *commonFlags) stackFileFlags(cmd *cobra.Command) {
	f.stackFlags(cmd)
	cmd.Flags().Lookup("stack").Usage = "take the configuration of this stack's file, Pulumi.<stack>.yaml"
}

// askFlags are for commands that ask before they change something.
func (f *commonFlags) askFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVarP(&f.yes, "yes", "y", false, "answer every question with yes")
	flags.BoolVar(&f.noInput, "no-input", false, "never ask; fail where an answer is needed")
}

// outputsFlag is for commands that do without Pulumi if they have the outputs.
func (f *commonFlags) outputsFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.outputs, flagOutputs, "",
		"file with the stack's outputs as pulumi stack output --json writes them, to do without Pulumi; - is the standard input")
	_ = cmd.MarkFlagFilename(flagOutputs, "json")
}

// systemFlags are for commands that use what is deployed.
func (f *commonFlags) systemFlags(cmd *cobra.Command) {
	f.stackFlags(cmd)
	f.outputsFlag(cmd)
	f.profileFlag(cmd)
	cmd.Flags().StringVar(&f.bucket, flagBucket, "", "with several buckets: the one that is meant (default: the first of buckets)")
}

func (f *commonFlags) profileFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.profile, flagProfile, "", "AWS profile to use (default: the stack's aws:profile, or AWS_PROFILE)")
	_ = cmd.RegisterFlagCompletionFunc(flagProfile, completeProfiles)
}

func (f *commonFlags) stackOptions(ctx context.Context) operate.StackOptions {
	return operate.StackOptions{Name: f.stack, Abort: aborted(ctx)}
}

// read gives the outputs that --outputs names, or those of the stack.
func (f *commonFlags) read(ctx context.Context, in io.Reader) (operate.Outputs, error) {
	if f.outputs != "" {
		text, err := readAll(f.outputs, in)
		if err != nil {
			return operate.Outputs{}, err
		}
		outputs, err := operate.ParseOutputs(text)
		if err != nil {
			return operate.Outputs{}, fmt.Errorf("--outputs %s: %w", f.outputs, err)
		}
		return outputs, nil
	}
	stack, err := operate.OpenStack(ctx, f.stackOptions(ctx))
	if err != nil {
		return operate.Outputs{}, err
	}
	return f.outputsOf(ctx, stack)
}

// outputsOf gives a stack's outputs, and takes the profile that it is deployed with if none is given.
func (f *commonFlags) outputsOf(ctx context.Context, stack *operate.Stack) (operate.Outputs, error) {
	if f.profile == "" && os.Getenv("AWS_PROFILE") == "" {
		config, err := stack.Config(ctx)
		if err != nil {
			return operate.Outputs{}, err
		}
		f.profile = config["aws:profile"]
	}
	return stack.Outputs(ctx)
}

// system connects to what is deployed.
func (f *commonFlags) system(ctx context.Context, in io.Reader) (*operate.System, error) {
	outputs, err := f.read(ctx, in)
	if err == nil && f.bucket != "" {
		outputs, err = outputs.In(f.bucket)
	}
	if err != nil {
		return nil, err
	}
	return f.connect(ctx, outputs)
}

// connect connects to what is deployed, with credentials that are there.
func (f *commonFlags) connect(ctx context.Context, outputs operate.Outputs) (*operate.System, error) {
	cfg, err := operate.LoadAWS(ctx, outputs.Region(), f.profile)
	if err != nil {
		return nil, err
	}
	if err := credentials(ctx, cfg); err != nil {
		return nil, err
	}
	system := operate.Connect(cfg, outputs)
	if poll > 0 {
		system.Poll = poll
	}
	return system, nil
}

// lookUp is system for a command that shows meanwhile what it does. The line stays until u.rest takes it away.
func (f *commonFlags) lookUp(cmd *cobra.Command, u *ui, doing string) (*operate.System, error) {
	u.progress("%s ...", doing)
	system, err := f.system(cmd.Context(), cmd.InOrStdin())
	if err != nil {
		u.rest()
	}
	return system, err
}

// poll is how often AWS is asked; 0 is the usual. The tests have less time.
var poll time.Duration

// credentials fails early, and in one line, if there are none.
func credentials(ctx context.Context, cfg aws.Config) error {
	if cfg.Credentials == nil {
		return fmt.Errorf("%w: no AWS credentials", operate.ErrNotReady)
	}
	_, err := cfg.Credentials.Retrieve(ctx)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("looking for credentials: %w", operate.ErrCanceled)
	}
	if err != nil {
		return fmt.Errorf("%w: no AWS credentials: `aws configure`, `aws sso login`, or set AWS_PROFILE (%w)",
			operate.ErrNotReady, innermost(err))
	}
	return nil
}

func innermost(err error) error {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err
}

// readAll reads a file, or the standard input for -.
func readAll(name string, in io.Reader) ([]byte, error) {
	if name == "-" {
		text, err := io.ReadAll(in)
		if err != nil {
			return nil, fmt.Errorf("reading the standard input: %w", err)
		}
		return text, nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading the file: %w", err)
	}
	return text, nil
}
