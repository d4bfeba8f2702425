package operate

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"

	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/settings"
)

// StackOptions say which stack is meant.
type StackOptions struct {
	// Name is the stack's name, such as dev, or organization/project/dev.
	// Default: PULUMI_STACK, else the stack that `pulumi stack select` chose.
	Name string
	// Folder is the project's. Default: the first with a Pulumi.yaml, from the current one upwards.
	Folder string
	// Environment is added to the environment that Pulumi runs in, such as PULUMI_BACKEND_URL.
	Environment map[string]string
	// SecretsProvider encrypts a new stack's secrets, as `pulumi stack init --secrets-provider` has it. Default: the backend's.
	SecretsProvider string
	// Abort, once closed, ends what runs at once: resources may be left that no
	// state knows. Ending the context cancels cleanly. Default: never.
	Abort <-chan struct{}
}

// Stack is an environment as Pulumi keeps it. It is safe for one operation at a time.
type Stack struct {
	name    string
	project string
	stack   auto.Stack
}

// OpenStack finds an existing stack. The error matches [ErrNotReady] or [ErrNoStack].
func OpenStack(ctx context.Context, options StackOptions) (*Stack, error) {
	s, workspace, err := prepare(ctx, options)
	if err != nil {
		return nil, err
	}
	if s.stack, err = auto.SelectStack(ctx, s.name, workspace); err != nil {
		return nil, explainOpening(ctx, s.name, err)
	}
	return s, nil
}

// CreateStack makes a stack, or opens one that exists.
func CreateStack(ctx context.Context, options StackOptions) (*Stack, error) {
	s, workspace, err := prepare(ctx, options)
	if err != nil {
		return nil, err
	}
	if s.stack, err = auto.UpsertStack(ctx, s.name, workspace); err != nil {
		return nil, explainOpening(ctx, s.name, err)
	}
	return s, nil
}

// stackNames are the names of stacks, as Pulumi takes them: without those of organization and project, or with them.
// https://www.pulumi.com/docs/iac/concepts/stacks/#create-stack
var stackNames = regexp.MustCompile(`^([A-Za-z0-9_.-]+/){0,2}[A-Za-z0-9_.-]{1,100}$`)

func prepare(ctx context.Context, options StackOptions) (*Stack, auto.Workspace, error) {
	if options.Name != "" && !stackNames.MatchString(options.Name) {
		return nil, nil, fmt.Errorf("%w: %q can't be a stack's name: up to 100 of A-Z, a-z, 0-9, period, - and _", ErrInput, options.Name)
	}
	folder, err := projectFolder(options.Folder)
	if err != nil {
		return nil, nil, err
	}
	command, err := findPulumi(ctx, options.Abort)
	if err != nil {
		return nil, nil, err
	}
	local := []auto.LocalWorkspaceOption{auto.WorkDir(folder), auto.Pulumi(command)}
	if options.Environment != nil {
		local = append(local, auto.EnvVars(maps.Clone(options.Environment)))
	}
	if options.SecretsProvider != "" {
		local = append(local, auto.SecretsProvider(options.SecretsProvider))
	}
	workspace, err := auto.NewLocalWorkspace(ctx, local...)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: opening the project in %s: %w", ErrNotReady, folder, err)
	}
	name := cmp.Or(options.Name, os.Getenv("PULUMI_STACK"))
	if name == "" {
		current, err := workspace.Stack(ctx)
		if err != nil || current == nil {
			return nil, nil, fmt.Errorf("%w: no stack is named or selected: name one with --stack (`pulumi stack ls` lists them)", ErrNoStack)
		}
		name = current.Name
	}
	project, err := workspace.ProjectSettings(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: reading the project in %s: %w", ErrNotReady, folder, err)
	}
	return &Stack{name: name, project: project.Name.String()}, workspace, nil
}

func projectFolder(folder string) (string, error) {
	if folder == "" {
		root, err := build.Root()
		if err != nil {
			return "", fmt.Errorf("%w: %w", ErrNotReady, err)
		}
		return root, nil
	}
	absolute, err := filepath.Abs(folder)
	if err != nil {
		return "", fmt.Errorf("finding the project's folder: %w", err)
	}
	return absolute, nil
}

// explainOpening distinguishes a stack that isn't there from a backend that can't be used.
func explainOpening(ctx context.Context, name string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("opening the stack %s: %w", name, ErrCanceled)
	}
	if auto.IsSelectStack404Error(err) {
		return fmt.Errorf("%w: %s: make it with `upload-router init --stack %s`", ErrNoStack, name, name)
	}
	return fmt.Errorf("%w: opening the stack %s: %s", ErrNotReady, name, plainError(err))
}

// Name is the stack's name.
func (s *Stack) Name() string { return s.name }

// Project is the project's name, which is the namespace of its configuration.
func (s *Stack) Project() string { return s.project }

// Config is the stack's configuration by full key, such as aws:region. Secrets are left out.
func (s *Stack) Config(ctx context.Context) (map[string]string, error) {
	all, err := s.stack.GetAllConfig(ctx)
	if err != nil {
		return nil, s.refused(ctx, "reading the configuration of", err)
	}
	config := map[string]string{}
	for key, value := range all {
		if !value.Secret {
			config[key] = value.Value
		}
	}
	return config, nil
}

// SetConfig sets values by full key, all or none. A value that is a list or an object is JSON.
func (s *Stack) SetConfig(ctx context.Context, config map[string]string) error {
	values := auto.ConfigMap{}
	for key, value := range config {
		values[key] = auto.ConfigValue{Value: value}
	}
	if err := s.stack.SetAllConfig(ctx, values); err != nil {
		return s.refused(ctx, "setting the configuration of", err)
	}
	return nil
}

// UnsetConfig takes values out by full key.
func (s *Stack) UnsetConfig(ctx context.Context, keys []string) error {
	if err := s.stack.RemoveAllConfig(ctx, keys); err != nil {
		return s.refused(ctx, "taking values out of the configuration of", err)
	}
	return nil
}

// CheckConfig checks a project's configuration by key, with the project's namespace or without; others are full, such as
// aws:region. The error matches [ErrInput] and names everything that is wrong at once. What an error quotes names the stack,
// which may be empty.
func CheckConfig(project, stack string, config map[string]string) error {
	_, err := loadSettings(project, config, settings.WithStack(stack))
	return err
}

// loadSettings gives the checked settings. The error is a *settings.InvalidError with every problem if they are wrong.
func loadSettings(project string, config map[string]string, options ...settings.Option) (*settings.Settings, error) {
	loaded, err := settings.LoadMap(project, config, options...)
	if err != nil {
		return nil, inputError{err}
	}
	return loaded, nil
}

// inputError matches [ErrInput] as well. It says what its cause says when it is asked: who hands it on may have changed a fix.
type inputError struct{ error }

// Error implements the error.
func (e inputError) Error() string { return ErrInput.Error() + ": " + e.error.Error() }

// Is says that it is [ErrInput].
func (e inputError) Is(target error) bool { return target == ErrInput }

// Unwrap returns the cause.
func (e inputError) Unwrap() error { return e.error }

// keyRegion is the key of the Region in a stack's configuration.
const keyRegion = "aws:region"

// Outputs are the stack's outputs, secrets left out. The error matches [ErrNotDeployed] if there are none.
func (s *Stack) Outputs(ctx context.Context) (Outputs, error) {
	all, err := readState(ctx, s.stack.Outputs)
	if err != nil {
		return Outputs{}, s.refused(ctx, "reading the outputs of", err)
	}
	plain := map[string]any{}
	for name, output := range all {
		if !output.Secret {
			plain[name] = output.Value
		}
	}
	outputs, err := outputsOf(plain)
	if errors.Is(err, ErrNotDeployed) {
		return Outputs{}, fmt.Errorf("%w; deploy it with `upload-router up --stack %s`", err, s.name)
	}
	return outputs, err
}

// Resources is how many resources the stack's state has.
func (s *Stack) Resources(ctx context.Context) (int, error) {
	info, err := readState(ctx, s.stack.Info)
	if err != nil {
		return 0, s.refused(ctx, "looking at the stack", err)
	}
	return aws.ToInt(info.ResourceCount), nil
}

// readState reads what a stack's state says. A backend of files has the state half written for moments while another update goes on, which
// Pulumi doesn't wait out: it is read again, for a second.
func readState[T any](ctx context.Context, read func(context.Context) (T, error)) (T, error) {
	const attempts, wait = 5, 250 * time.Millisecond
	for attempt := 1; ; attempt++ {
		state, err := read(ctx)
		if err == nil || attempt == attempts || !strings.Contains(err.Error(), "failed to load checkpoint") {
			return state, err
		}
		if sleep(ctx, wait) != nil {
			return state, err
		}
	}
}

// stateResource is a resource as the stack's state has it.
type stateResource struct {
	Type, ID string
	Outputs  json.RawMessage
}

// resources are those that the stack's state has: also of a deployment that was interrupted.
func (s *Stack) resources(ctx context.Context) ([]stateResource, error) {
	exported, err := readState(ctx, s.stack.Export)
	if err != nil {
		return nil, s.refused(ctx, "reading the state of", err)
	}
	var state struct{ Resources []stateResource }
	if err := json.Unmarshal(exported.Deployment, &state); err != nil {
		return nil, fmt.Errorf("%w: reading the state of %s: %w", ErrPulumi, s.name, err)
	}
	return slices.DeleteFunc(state.Resources, func(r stateResource) bool { return r.ID == "" }), nil
}

// ids are those of the resources that the stack's state has, by type. None if the state can't be read.
func (s *Stack) ids(ctx context.Context) map[string][]string {
	resources, err := s.resources(ctx)
	if err != nil {
		return nil
	}
	ids := map[string][]string{}
	for _, r := range resources {
		ids[r.Type] = append(ids[r.Type], r.ID)
	}
	return ids
}

// refused says what Pulumi could not do.
func (s *Stack) refused(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s %s: %w", what, s.name, ErrCanceled)
	}
	return fmt.Errorf("%w: %s %s: %s", ErrPulumi, what, s.name, plainError(err))
}

// plainError is what the CLI said went wrong, without the Automation API's quotation of everything that was printed.
func plainError(err error) string {
	_, stderr, found := strings.Cut(err.Error(), "\nstderr: ")
	if !found {
		return err.Error()
	}
	var lines []string
	for line := range strings.Lines(stderr) {
		line = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "error:"))
		if line != "" {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		first, _, _ := strings.Cut(err.Error(), "\n")
		return first
	}
	return strings.Join(lines, "; ")
}
