// Package docs writes the documents that show the code: the state machine as JSON and as a diagram, the architecture as declared,
// and the configuration as a table and as Pulumi.yaml declares it. A test keeps them current.
package docs

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/cli"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/diagram"
	"example.com/upload-router/internal/factors"
	"example.com/upload-router/internal/faults"
	"example.com/upload-router/internal/settings"
	"example.com/upload-router/stack"
)

// stackName is the stack that the documents show.
const stackName = "dev"

var (
	errNoMarkers = errors.New("the markers of a generated part are missing")
	errNoReason  = errors.New("a statement without a reason: give it one in internal/docs/security.go")
)

// Files are the generated documents, by their path below the project's folder.
// Text that isn't generated is taken from root and kept.
func Files(root string) (map[string][]byte, error) {
	system, err := evaluate(nil)
	if err != nil {
		return nil, err
	}
	machine, err := definition(system)
	if err != nil {
		return nil, err
	}
	text, err := machine.IndentedJSON()
	if err != nil {
		return nil, fmt.Errorf("writing the state machine: %w", err)
	}
	full, err := evaluate(switchedOn)
	if err != nil {
		return nil, err
	}
	largest, err := definition(full)
	if err != nil {
		return nil, err
	}
	deployers, err := deployers(root)
	if err != nil {
		return nil, err
	}
	security, err := security(root, system, full, deployers)
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{
		"docs/cli.md":                []byte(cli.Reference()),
		"docs/security.md":           security,
		"docs/state-machine.json":    []byte(text),
		"docs/state-machine.svg":     []byte(diagram.SVG(machine)),
		"docs/state-machine.all.svg": []byte(diagram.SVG(largest)),
		"docs/state-machine.md": []byte("# The state machine\n\nIts definition, with the names that a stack `" + stackName +
			"` could have, is [state-machine.json](state-machine.json).\n\n![The state machine](state-machine.svg)\n" +
			"\n## With all that can be switched on\n\nThis is how it is with " + settingsOf(switchedOn) + ".\n\n" +
			"![The state machine with all that can be switched on](state-machine.all.svg)\n"),
	}
	drawn := mermaid(architecture(system))
	for _, part := range []struct{ file, name, text string }{
		{"README.md", "architecture", drawn},
		{"docs/architecture.md", "architecture", drawn},
		{"docs/configuration.md", "configuration", settings.Markdown()},
		{"docs/runbook.md", "faults", faults.Markdown()},
	} {
		if err := write(out, root, part.file, part.name, part.text); err != nil {
			return nil, err
		}
	}
	if out[projectFile], err = project(root); err != nil {
		return nil, err
	}
	for _, d := range deployers {
		out["docs/"+d.file()] = []byte(d.whole)
	}
	return out, nil
}

// projectFile is the project's file for Pulumi, whose head is kept.
const projectFile = "Pulumi.yaml"

// project is the project's file with the configuration as the settings have it.
func project(root string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(root, projectFile))
	if err != nil {
		return nil, fmt.Errorf("reading the project's file: %w", err)
	}
	head, _, _ := strings.Cut(string(text), "\nconfig:\n")
	return []byte(head + "\n" + settings.ProjectConfig()), nil
}

// write puts a generated part into a document, whose other text is taken from root and kept.
func write(out map[string][]byte, root, file, name, part string) error {
	text, ok := out[file]
	if !ok {
		var err error
		if text, err = os.ReadFile(filepath.Join(root, file)); err != nil {
			return fmt.Errorf("reading a document: %w", err)
		}
	}
	text, err := replacePart(text, name, part)
	if err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	out[file] = text
	return nil
}

// switchedOn are the settings that add states to the state machine, and permissions.
var switchedOn = func() map[string]string {
	config := factors.AllOn(factors.Machine()).Config
	delete(config, "assignPublicIp") // a private network has no public addresses
	delete(config, "notifySuccess")  // is the default
	maps.Copy(config, map[string]string{
		"maxParallelTasks": "20",
		"network":          string(settings.NetworkPrivate), "flowLogs": "true", "encryption": string(settings.EncryptionCustomer),
	})
	return config
}()

// settingsOf lists a configuration, but for what it only takes along.
func settingsOf(config map[string]string) string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(config)) {
		if key != "executionTimeout" {
			out = append(out, "`"+key+": "+config[key]+"`")
		}
	}
	return strings.Join(out, ", ")
}

// Variants are the definitions of the state machine in every variant of the configuration, by the variants' names.
func Variants() (map[string]string, error) {
	out := map[string]string{}
	for _, v := range factors.Variants(factors.Machine()) {
		system, err := evaluate(v.Config)
		if err != nil {
			return nil, err
		}
		machine, err := system.Only(declared.TypeStateMachine)
		if err != nil {
			return nil, fmt.Errorf("finding the state machine: %w", err)
		}
		out[v.Name] = machine.Text("definition")
	}
	return out, nil
}

// evaluate declares the system without building anything: what the documents show doesn't change with the processors' code.
func evaluate(config map[string]string) (*declared.System, error) {
	system, err := declared.Evaluate(
		func(ctx *pulumi.Context) error { return stack.Declare(ctx, build.Placeholders) },
		declared.Options{
			Stack: stackName, Config: config,
			Subnets: factors.SubnetIDs(),
		})
	if err != nil {
		return nil, fmt.Errorf("declaring the stack %s: %w", stackName, err)
	}
	return system, nil
}

func definition(system *declared.System) (*asl.Machine, error) {
	res, err := system.Only(declared.TypeStateMachine)
	if err != nil {
		return nil, fmt.Errorf("finding the state machine: %w", err)
	}
	machine, err := asl.Parse([]byte(res.Text("definition")))
	if err != nil {
		return nil, fmt.Errorf("reading the state machine: %w", err)
	}
	return machine, nil
}

func mermaid(diagram string) string {
	return "```mermaid\n" + strings.TrimSpace(diagram) + "\n```\n"
}

// replacePart puts a generated part between its markers.
func replacePart(document []byte, name, part string) ([]byte, error) {
	begin := []byte("<!-- generated: " + name + " -->\n")
	end := []byte("<!-- end of generated: " + name + " -->")
	_, after, ok := bytes.Cut(document, begin)
	if !ok {
		return nil, fmt.Errorf("%w: %s", errNoMarkers, name)
	}
	before := document[:len(document)-len(after)]
	_, rest, ok := bytes.Cut(after, end)
	if !ok {
		return nil, fmt.Errorf("%w: %s", errNoMarkers, name)
	}
	return bytes.Join([][]byte{before, []byte(part), end, rest}, nil), nil
}
