// Package stackfile reads a stack's configuration from its file,
// Pulumi.<stack>.yaml, for what evaluates the program without Pulumi.
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

	"go.yaml.in/yaml/v3"

	"upload-router/internal/settings"
)

// ErrMissing is that a stack has no file, ErrSecret a value that only Pulumi can open.
var (
	ErrMissing = errors.New("there is no such stack file")
	ErrSecret  = errors.New("a secret can't be read here")
)

// EndToEnd is how the name of a stack begins that an end-to-end test makes. Pulumi keeps its file beside the others, from which it is
// told by this alone while the test runs, or after it was interrupted.
const EndToEnd = "e2e-"

// Read gives the configuration of a stack as Pulumi would hand it to the
// program, without the project's namespace: lists and objects are JSON. The
// folder is the project's. The error matches [ErrMissing], [ErrSecret] or neither.
func Read(folder, stack string) (map[string]string, error) { return ReadBut(folder, stack, nil) }

// ReadBut is Read without the keys of others, which is how to do without a secret.
func ReadBut(folder, stack string, others map[string]string) (map[string]string, error) {
	path := filepath.Join(folder, "Pulumi."+stack+".yaml")
	text, err := os.ReadFile(path)
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
	var parsed struct {
		Config map[string]any `yaml:"config"`
	}
	if err := yaml.Unmarshal(text, &parsed); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	config, err := values(parsed.Config, others)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return config, nil
}

// Parse gives the configuration in a text of one's own: a stack's file, or its
// keys alone, as YAML or JSON.
func Parse(text []byte) (map[string]string, error) {
	var parsed map[string]any
	if err := yaml.Unmarshal(text, &parsed); err != nil {
		return nil, fmt.Errorf("it is neither YAML nor JSON of keys and values: %w", err)
	}
	if config, ok := parsed["config"].(map[string]any); ok {
		parsed = config
	}
	return values(parsed, nil)
}

func values(config map[string]any, others map[string]string) (map[string]string, error) {
	plain := map[string]string{}
	for _, full := range slices.Sorted(maps.Keys(config)) {
		key := strings.TrimPrefix(full, settings.Namespace+":")
		if _, given := others[key]; given {
			continue
		}
		value, err := plainValue(config[full])
		if err != nil {
			return nil, fmt.Errorf("%s: %w: use --config %s=<value>", full, err, key)
		}
		plain[key] = value
	}
	return plain, nil
}

// plainValue gives a value as Pulumi does: text as it is, all else as JSON.
func plainValue(value any) (string, error) {
	switch v := value.(type) {
	case string:
		return v, nil
	case map[string]any:
		if _, secret := v["secure"]; secret && len(v) == 1 {
			return "", ErrSecret
		}
	}
	text, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("it is no value: %w", err)
	}
	return string(text), nil
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
