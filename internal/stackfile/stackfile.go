// Package stackfile reads a stack's configuration from its file,
// Pulumi.<stack>.yaml, for what evaluates the program without Pulumi.
// https://www.pulumi.com/docs/iac/concepts/config/
package stackfile

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"upload-router/internal/settings"
)

// Read gives the configuration of a stack as Pulumi would hand it to the
// program, without the project's namespace: lists and objects are JSON. The
// folder is the project's.
func Read(folder, stack string) (map[string]string, error) {
	path := filepath.Join(folder, "Pulumi."+stack+".yaml")
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

// Names are the stacks that have a file in the project's folder, in order.
func Names(folder string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(folder, "Pulumi.*.yaml"))
	if err != nil {
		return nil, fmt.Errorf("looking for the stacks' files: %w", err)
	}
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = strings.TrimSuffix(strings.TrimPrefix(filepath.Base(f), "Pulumi."), ".yaml")
	}
	slices.Sort(names)
	return names, nil
}
