package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"upload-router/internal/settings"
)

var (
	errFlag    = errors.New("wrong flag")
	errNoStack = errors.New("there is no such stack file")
	errSecret  = errors.New("a secret can't be read here")
)

// configuration is a checked configuration, and what isn't as one might think of it.
type configuration struct {
	stack, region string
	// values are as Pulumi hands them to the program, without our namespace.
	values   map[string]string
	settings *settings.Settings
	notes    []string
}

// configuration is the stack file's, with the flags over it. What is built must
// run here, so the architecture is this machine's whatever the stack says.
func (o *tryOptions) configuration(root string) (*configuration, error) {
	c := &configuration{stack: defaultStack, region: defaultRegion, values: map[string]string{}}
	flags, err := o.flags()
	if err != nil {
		return nil, err
	}
	if o.stack != "" {
		c.stack = o.stack
		if c.values, err = stackFile(root, o.stack, flags); err != nil {
			return nil, err
		}
	}
	maps.Copy(c.values, flags)
	if region := c.values["aws:region"]; region != "" {
		c.region = region
	}
	lookup := func(key string) (string, bool) {
		value, ok := c.values[key]
		return value, ok
	}
	keys := slices.Collect(maps.Keys(c.values))
	if c.settings, err = settings.Load(lookup, settings.WithKeys(keys), settings.WithRegion(c.region)); err != nil {
		return nil, err
	}
	if here := hostArchitecture(); c.settings.Architecture != here {
		c.notes = append(c.notes, fmt.Sprintf("Built for %s, this machine's architecture, in place of %s.", here, c.settings.Architecture))
		c.values["architecture"] = string(here)
	}
	return c, nil
}

func hostArchitecture() settings.Architecture {
	if runtime.GOARCH == settings.ARM64.GOARCH() {
		return settings.ARM64
	}
	return settings.X86
}

// flags are the values that --config gives.
func (o *tryOptions) flags() (map[string]string, error) {
	values := map[string]string{}
	for _, assignment := range o.config {
		key, value, ok := strings.Cut(assignment, "=")
		if !ok {
			return nil, fmt.Errorf("%w: --config %s: write it as key=value", errFlag, assignment)
		}
		values[strings.TrimPrefix(key, settings.Namespace+":")] = value
	}
	return values, nil
}

// stackFile reads a stack's configuration as Pulumi would hand it to the
// program. Secrets, which only Pulumi can open, must be among the other values.
func stackFile(root, name string, others map[string]string) (map[string]string, error) {
	path := filepath.Join(root, "Pulumi."+name+".yaml")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s; there is %s", errNoStack, path, stacks(root))
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
	config := map[string]string{}
	for _, full := range slices.Sorted(maps.Keys(parsed.Config)) {
		key := strings.TrimPrefix(full, settings.Namespace+":")
		if _, given := others[key]; given {
			continue
		}
		value, err := plainValue(parsed.Config[full])
		if err != nil {
			return nil, fmt.Errorf("reading %s of %s: %w: use --config %s=<value>", full, path, err, key)
		}
		config[key] = value
	}
	return config, nil
}

// plainValue gives a value as Pulumi does: text as it is, all else as JSON.
func plainValue(value any) (string, error) {
	switch v := value.(type) {
	case string:
		return v, nil
	case map[string]any:
		if _, secret := v["secure"]; secret && len(v) == 1 {
			return "", errSecret
		}
	}
	text, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("it is no value: %w", err)
	}
	return string(text), nil
}

// stacks lists the stacks that have a file.
func stacks(root string) string {
	paths, err := filepath.Glob(filepath.Join(root, "Pulumi.*.yaml"))
	if err != nil || len(paths) == 0 {
		return "none"
	}
	for i, path := range paths {
		paths[i] = strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), "Pulumi."), ".yaml")
	}
	return strings.Join(paths, ", ")
}
