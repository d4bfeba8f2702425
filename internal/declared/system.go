package declared

import (
	"errors"
	"fmt"
	"slices"
)

var (
	errNone    = errors.New("no such resource is declared")
	errSeveral = errors.New("several such resources are declared")
)

// OfType gives the resources of a type in the order of their names.
func (s *System) OfType(typ string) []Resource {
	var found []Resource
	for _, r := range s.Resources {
		if r.Type == typ {
			found = append(found, r)
		}
	}
	return found
}

// Unknown are the types of the declared resources that nothing is known of here, each once and in order.
func (s *System) Unknown() []string {
	var unknown []string
	for _, r := range s.Resources {
		if _, known := KindOf(r.Type); r.Custom && !known {
			unknown = append(unknown, r.Type)
		}
	}
	return slices.Compact(unknown)
}

// Where gives the one resource of a type whose output has a value: what a reference to it, such as an ARN, stands for.
func (s *System) Where(typ, output string, value any) (Resource, error) {
	var found []Resource
	for _, r := range s.OfType(typ) {
		if r.Outputs[output] == value {
			found = append(found, r)
		}
	}
	return one(found, fmt.Sprintf("%s with %s %v", typ, output, value))
}

// Only gives the one resource of a type.
func (s *System) Only(typ string) (Resource, error) { return one(s.OfType(typ), typ) }

// Router gives the state machine that an upload starts, which the output stateMachineArn names.
func (s *System) Router() (Resource, error) {
	return s.Where(TypeStateMachine, "arn", s.Outputs["stateMachineArn"])
}

func one(found []Resource, what string) (Resource, error) {
	switch len(found) {
	case 0:
		return Resource{}, fmt.Errorf("%w: %s", errNone, what)
	case 1:
		return found[0], nil
	}
	return Resource{}, fmt.Errorf("%w: %d of %s", errSeveral, len(found), what)
}

// Text gives an input that is text; empty if it isn't there or isn't text.
func (r Resource) Text(input string) string {
	text, _ := r.Inputs[input].(string)
	return text
}

// Output gives an output that is text; empty if it isn't there or isn't text.
func (r Resource) Output(name string) string {
	text, _ := r.Outputs[name].(string)
	return text
}

// ARN is the resource's ARN; empty if it has none.
func (r Resource) ARN() string { return r.Output("arn") }

// Number gives an input that is a number; 0 if it isn't there or isn't one.
func (r Resource) Number(input string) float64 {
	number, _ := r.Inputs[input].(float64)
	return number
}

// Object gives an input that is an object; nil if it isn't there or isn't one.
func (r Resource) Object(input string) map[string]any {
	object, _ := r.Inputs[input].(map[string]any)
	return object
}
