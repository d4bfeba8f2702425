package cli

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"

	"upload-router/internal/settings"
	"upload-router/internal/stackfile"
)

var errFlag = errors.New("wrong flag")

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
	c := &configuration{stack: defaultStack, region: defaultRegion}
	var err error
	if c.values, err = o.declared(root); err != nil {
		return nil, err
	}
	if o.stack != "" {
		c.stack = o.stack
	}
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

// declared is the stack file's configuration with the flags over it, unchecked.
func (o *tryOptions) declared(root string) (map[string]string, error) {
	flags, err := o.flags()
	if err != nil || o.stack == "" {
		return flags, err
	}
	values, err := stackfile.ReadBut(root, o.stack, flags)
	if err != nil {
		return nil, err
	}
	maps.Copy(values, flags)
	return values, nil
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
