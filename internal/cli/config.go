package cli

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"strings"

	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/settings"
	"example.com/upload-router/internal/stackfile"
)

var errFlag = errors.New("wrong flag")

// configUsage is what the flag --config does.
const configUsage = `set a value of the configuration, as key=value, with a list or an object as JSON, 'notify=["ops@example.com"]'; ` +
	"may be repeated"

// configuration is a checked configuration, and what isn't as one might think of it.
type configuration struct {
	project, stack, region string
	// values are as Pulumi hands them to the program, without the project's namespace.
	values   map[string]string
	settings *settings.Settings
	notes    []string
}

// configurationOf is the configuration of the project in a folder: what its file says, the stack's file over it if a stack is
// named, and --config over both. It is checked here for every command that reads one without Pulumi.
func configurationOf(folder, stack string, flags []string) (*configuration, error) {
	project, err := stackfile.ReadProject(folder)
	if err != nil {
		return nil, err
	}
	given, err := assignments(project.Name, flags)
	if err != nil {
		return nil, err
	}
	values := project.Values
	if stack != "" {
		declared, err := stackfile.ReadBut(folder, stack, given)
		if err != nil {
			return nil, err
		}
		maps.Copy(values, declared)
	}
	maps.Copy(values, given)
	checked, err := settings.LoadMap(project.Name, values, settings.WithStack(stack))
	if err != nil {
		fixes := fixer{stack: stack, given: given, above: stack == ""}
		return nil, fixes.apply(err)
	}
	return &configuration{
		project: project.Name, stack: cmp.Or(stack, defaultStack), region: cmp.Or(values[keyRegion], defaultRegion),
		values: values, settings: checked,
	}, nil
}

// declaredConfiguration is that of the project that the current folder is in.
func declaredConfiguration(stack string, flags []string) (*configuration, error) {
	root, err := build.Root()
	if err != nil {
		return nil, err
	}
	return configurationOf(root, stack, flags)
}

// assignments are the values that the flags --config give, by key without the project's namespace.
func assignments(project string, flags []string) (map[string]string, error) {
	values := map[string]string{}
	for _, flag := range flags {
		key, value, ok := strings.Cut(flag, "=")
		if !ok {
			return nil, fmt.Errorf("%w: --config %s: write it as key=value", errFlag, flag)
		}
		values[strings.TrimPrefix(key, project+":")] = value
	}
	return values, nil
}

// localConfiguration is that of what is run here. What is built must run here, so the
// architecture is this machine's whatever the stack says.
func localConfiguration(stack string, flags []string) (*configuration, error) {
	root, err := build.Root()
	if err != nil {
		return nil, err
	}
	c, err := configurationOf(root, stack, flags)
	if err != nil {
		return nil, err
	}
	if here := settings.HostArchitecture(); c.settings.Architecture != here {
		c.notes = append(c.notes, fmt.Sprintf("Built for %s, this machine's architecture, in place of %s.", here, c.settings.Architecture))
		c.values["architecture"] = string(here)
	}
	return c, nil
}
