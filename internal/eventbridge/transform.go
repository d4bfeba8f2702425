package eventbridge

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Transformer turns an event into what a target is told.
//
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
type Transformer struct {
	// Paths are the values of the event that the template names, by their names: a path such as $.detail.status.
	Paths map[string]string
	// Template is a JSON string in which <name> stands for a value. Other templates,
	// of several lines or of other JSON, are refused.
	Template string
}

var (
	// ErrTransformer says that a transformer is none that is known here.
	ErrTransformer = errors.New("the input transformer can't be used")

	pathPattern        = regexp.MustCompile(`^\$(?:\.[A-Za-z0-9_-]+)+$`)
	placeholderPattern = regexp.MustCompile(`<[A-Za-z0-9_-]+>`)
)

// Validate reports what of the transformer can't be used, as [ErrTransformer].
func (t Transformer) Validate() error {
	var text string
	if err := json.Unmarshal([]byte(t.Template), &text); err != nil {
		return fmt.Errorf("%w: the template is no JSON string: %w", ErrTransformer, err)
	}
	for name, path := range t.Paths {
		if !pathPattern.MatchString(path) {
			return fmt.Errorf("%w: the path of %s is %q", ErrTransformer, name, path)
		}
	}
	for _, placeholder := range placeholderPattern.FindAllString(text, -1) {
		if _, known := t.Paths[strings.Trim(placeholder, "<>")]; !known {
			return fmt.Errorf("%w: %s has no path", ErrTransformer, placeholder)
		}
	}
	return nil
}

// Apply gives what the target is told of an event: the template, with the values in
// it. A value that the event doesn't have is empty.
func (t Transformer) Apply(event []byte) (string, error) {
	if err := t.Validate(); err != nil {
		return "", err
	}
	var tree any
	if err := json.Unmarshal(event, &tree); err != nil {
		return "", fmt.Errorf("reading the event: %w", err)
	}
	return placeholderPattern.ReplaceAllStringFunc(t.Template, func(placeholder string) string {
		return inString(lookUp(tree, t.Paths[strings.Trim(placeholder, "<>")]))
	}), nil
}

// lookUp follows a path; nil if it leads nowhere.
func lookUp(tree any, path string) any {
	for _, step := range strings.Split(path, ".")[1:] {
		object, _ := tree.(map[string]any)
		tree = object[step]
	}
	return tree
}

// inString writes a value as it stands within a JSON string.
func inString(value any) string {
	if value == nil {
		return ""
	}
	text, isText := value.(string)
	if !isText {
		raw, err := json.Marshal(value)
		if err != nil {
			return ""
		}
		text = string(raw)
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		return ""
	}
	return string(quoted[1 : len(quoted)-1])
}
