package operate

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/diagram"
	"example.com/upload-router/internal/settings"
	"example.com/upload-router/stack"
)

// declare evaluates the program for a configuration without namespace. Nothing
// is built: neither a diagram nor a price depends on the processors' code.
func declare(project, name string, config map[string]string) (*declared.System, error) {
	// The program itself finds no key that isn't one: it doesn't know which there are.
	project = cmp.Or(project, settings.Namespace)
	if err := CheckConfig(project, "", config); err != nil {
		return nil, err
	}
	region := cmp.Or(config[keyRegion], "eu-central-1")
	system, err := declared.Evaluate(
		func(ctx *pulumi.Context) error { return stack.Declare(ctx, build.Placeholders) },
		declared.Options{Project: project, Stack: name, Config: config, Region: region, Subnets: givenSubnets(project, config)})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInput, err)
	}
	return system, nil
}

// givenSubnets are those that a configuration names, which are taken to be there; nil if it names none.
func givenSubnets(project string, config map[string]string) []string {
	const key = "subnetIds"
	var subnets []string
	if json.Unmarshal([]byte(cmp.Or(config[key], config[project+":"+key])), &subnets) != nil { // the settings say what is wrong with it
		return nil
	}
	return subnets
}

// DeclaredDefinition is the state machine that the project declares for a
// configuration without namespace, such as sizeThreshold, and with aws:region.
func DeclaredDefinition(config map[string]string) ([]byte, error) {
	system, err := declare("", "local", config)
	if err != nil {
		return nil, err
	}
	machine, err := system.Router()
	if err != nil {
		return nil, fmt.Errorf("finding the state machine: %w", err)
	}
	return []byte(machine.Text("definition")), nil
}

// DiagramFormat is a form of drawing.
type DiagramFormat string

// The forms of drawing.
const (
	// DiagramMermaid is a stateDiagram-v2, which GitHub and others draw.
	DiagramMermaid DiagramFormat = "mermaid"
	// DiagramSVG is a drawing.
	DiagramSVG DiagramFormat = "svg"
)

// Diagram draws a definition. The error matches [ErrInput] if it can't be read.
func Diagram(definition []byte, format DiagramFormat) (string, error) {
	machine, err := asl.Parse(definition)
	if err != nil {
		return "", errors.Join(ErrInput, err)
	}
	if format == DiagramSVG {
		return diagram.SVG(machine), nil
	}
	return asl.Mermaid(machine), nil
}
