// Package stackfile reads a stack's configuration from its file, Pulumi.<stack>.yaml, for what evaluates the program without Pulumi: as
// Pulumi itself reads it, and with Pulumi's own packages, since YAML has more forms of a value than one would think.
// https://www.pulumi.com/docs/iac/concepts/config/
package stackfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/encoding"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"

	"example.com/upload-router/internal/settings"
)

// ErrMissing is that a stack has no file, ErrSecret a value that only Pulumi can open, and ErrUnread one that Pulumi itself may not read.
var (
	ErrMissing = errors.New("there is no such stack file")
	ErrSecret  = errors.New("a secret can't be read here")
	ErrUnread  = errors.New("not all of it would be read by Pulumi")
)

// topLevel is what Pulumi reads of a stack's file. It passes over anything else without a word.
// https://www.pulumi.com/docs/iac/concepts/projects/stack-settings-file/
var topLevel = []string{"config", "environment", "secretsprovider", "encryptedkey", "encryptionsalt"}

// EndToEnd is how the name of a stack begins that an end-to-end test makes. Pulumi keeps its file beside the others, from which it is
// told by this alone while the test runs, or after it was interrupted.
const EndToEnd = "e2e-"

// Project is what a project's file, Pulumi.yaml, says of the configuration of its stacks.
type Project struct {
	// Name is the project's name, and so the namespace of its keys.
	Name string
	// Values are what a stack has that sets nothing: the defaults of the project's keys, and values for providers, such as aws:region.
	// Keys are as in [Read].
	Values map[string]string
}

// ReadProject reads the project's file in its folder. One without a file is called as this project comes, and has no values.
func ReadProject(folder string) (Project, error) {
	project := Project{Name: settings.Namespace, Values: map[string]string{}}
	path := filepath.Join(folder, "Pulumi.yaml")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return project, nil
	}
	file, err := workspace.LoadProject(path)
	if err != nil {
		return Project{}, fmt.Errorf("reading the project's file: %w", err)
	}
	project.Name = file.Name.String()
	for name, key := range file.Config {
		value := key.Value
		if key.Default != nil {
			value = key.Default
		}
		if value == nil {
			continue
		}
		if project.Values[bare(project.Name, name)], err = text(value); err != nil {
			return Project{}, fmt.Errorf("reading %s: %s: %w", path, name, err)
		}
	}
	return project, nil
}

// Base is a stack's name in the name of its file: without those of organization and project.
func Base(stack string) string { return stack[strings.LastIndex(stack, "/")+1:] }

// Read gives the configuration that a stack's file has as Pulumi would hand it to the program, by key: those of the project without
// its namespace, others with theirs, such as aws:region. Lists and objects are JSON; what was left blank is empty. The folder is the
// project's. The error matches [ErrMissing], [ErrSecret], [ErrUnread] or none of them.
func Read(folder, stack string) (map[string]string, error) { return ReadBut(folder, stack, nil) }

// ReadBut is Read without the keys of others, which is how to do without a secret.
func ReadBut(folder, stack string, others map[string]string) (map[string]string, error) {
	path := filepath.Join(folder, "Pulumi."+stack+".yaml")
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		names, err := Names(folder)
		if err != nil {
			return nil, err
		}
		there := "none"
		if len(names) > 0 {
			there = strings.Join(names, ", ")
		}
		return nil, fmt.Errorf("%w: %s; there is %s", ErrMissing, path, there)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the stack's configuration: %w", err)
	}
	project, err := ReadProject(folder)
	if err != nil {
		return nil, err
	}
	values, err := parse(project.Name, content, others)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return values, nil
}

// Parse gives the configuration in a text of one's own for a project: a stack's file, or its keys alone, as YAML or JSON. It is as
// that of [Read].
func Parse(project string, content []byte) (map[string]string, error) {
	var parsed map[string]any
	if err := encoding.YAML.Unmarshal(content, &parsed); err != nil {
		return nil, fmt.Errorf("it is neither YAML nor JSON of keys and values: %w", err)
	}
	if _, whole := parsed["config"].(map[string]any); !whole && len(parsed) > 0 {
		wrapped, err := encoding.YAML.Marshal(map[string]any{"config": parsed})
		if err != nil {
			return nil, fmt.Errorf("reading the keys and values: %w", err)
		}
		content = wrapped
	}
	return parse(project, content, nil)
}

// parse reads a stack's file, but for the keys of others.
func parse(project string, content []byte, others map[string]string) (map[string]string, error) {
	file, err := workspace.LoadProjectStackBytes(nil, &workspace.Project{Name: tokens.PackageName(project)}, content, "", encoding.YAML)
	if err != nil {
		return nil, fmt.Errorf("it is no stack's file: %w", err)
	}
	if err := allRead(project, content); err != nil {
		return nil, err
	}
	values := map[string]string{}
	for full, value := range file.Config {
		key := bare(project, full.String())
		if _, given := others[key]; given {
			continue
		}
		if value.Secure() {
			return nil, fmt.Errorf("%s: %w: use --config %s=<value>", full, ErrSecret, key)
		}
		if values[key], err = plain(value); err != nil {
			return nil, fmt.Errorf("%s: %w", full, err)
		}
	}
	return values, nil
}

// allRead looks for what Pulumi passes over in a stack's file that it can read: a key that isn't below config:, and a key that is there
// with the project's namespace and without, of which it takes either.
func allRead(project string, content []byte) error {
	var file map[string]any
	if err := encoding.YAML.Unmarshal(content, &file); err != nil {
		return fmt.Errorf("reading its keys: %w", err)
	}
	var unread []error
	for _, key := range slices.Sorted(maps.Keys(file)) {
		if !slices.Contains(topLevel, key) {
			unread = append(unread, fmt.Errorf("%w: move %s below config", ErrUnread, key))
		}
	}
	values, _ := file["config"].(map[string]any)
	given := map[config.Key]string{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		full := name
		if !strings.Contains(name, ":") {
			full = project + ":" + name
		}
		key, err := config.ParseKey(full)
		if err != nil {
			return fmt.Errorf("reading the key %s: %w", name, err)
		}
		if before, twice := given[key]; twice {
			unread = append(unread, fmt.Errorf("%w: %s and %s are one key: remove one of them", ErrUnread, before, name))
		}
		given[key] = name
	}
	return errors.Join(unread...)
}

// bare is a key without the project's namespace.
func bare(project, key string) string { return strings.TrimPrefix(key, project+":") }

// plain is a value that is no secret as Pulumi hands it to the program.
func plain(value config.Value) (string, error) {
	// Any but the one that does nothing, which would leave out the form that Pulumi gives to numbers. There is nothing to open.
	handed, err := value.Value(config.NewPanicCrypter())
	if err != nil {
		return "", fmt.Errorf("it is no value: %w", err)
	}
	return handed, nil
}

// text is a value of the project's file as Pulumi hands it to the program.
func text(value any) (string, error) {
	switch value.(type) {
	case string, int, bool:
		return fmt.Sprint(value), nil
	}
	content, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("it is no value: %w", err)
	}
	return plain(config.NewObjectValue(string(content)))
}

// Names are the stacks that have a file in the project's folder, in order; those of [EndToEnd] are left out.
func Names(folder string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(folder, "Pulumi.*.yaml"))
	if err != nil {
		return nil, fmt.Errorf("looking for the stacks' files: %w", err)
	}
	names := make([]string, 0, len(files))
	for _, f := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(f), "Pulumi."), ".yaml")
		if !strings.HasPrefix(name, EndToEnd) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}
