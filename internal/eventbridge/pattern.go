package eventbridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// MaxPatternBytes is the longest event pattern of a rule, as the quota "Event pattern size" has it before it is raised: AWS counts
// characters, here it is bytes, which are as many or more.
//
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
const MaxPatternBytes = 2048

var (
	// ErrInvalidPattern is matched (errors.Is) by every error of ParsePattern.
	ErrInvalidPattern = errors.New("invalid event pattern")
	// ErrInvalidEvent is matched by the errors of Match, MatchValue and S3ObjectCreated for an event that is not one
	// JSON object or that lacks a field.
	ErrInvalidEvent = errors.New("invalid event")
)

// PatternError says which field of an event pattern is wrong and why. It matches ErrInvalidPattern.
type PatternError struct {
	// Path is the place in the pattern, for example "detail.object.size[0].numeric"; "" is the pattern as a whole.
	Path string
	// Reason says what is wrong and how to mend it.
	Reason string
}

// Error implements error.
func (e *PatternError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("%s: %s", ErrInvalidPattern, e.Reason)
	}
	return fmt.Sprintf("%s: %s: %s", ErrInvalidPattern, e.Path, e.Reason)
}

// Unwrap makes errors.Is(err, ErrInvalidPattern) true.
func (e *PatternError) Unwrap() error { return ErrInvalidPattern }

// Pattern is a parsed event pattern. It is immutable and safe for concurrent use. Make one with ParsePattern.
type Pattern struct {
	root *objectMatcher
}

// objectMatcher is one object of the pattern: every field must match, and one alternative of every $or.
type objectMatcher struct {
	fields []fieldMatcher
	ors    [][]*objectMatcher
}

// fieldMatcher is one field: either a nested object, or a leaf whose operators are alternatives.
type fieldMatcher struct {
	name string
	path []string
	sub  *objectMatcher
	leaf []operator
}

// Match reports whether the event, one JSON object, fits the pattern. A field of the event that the pattern does not
// name is ignored; all fields the pattern names must fit; an array in the event fits if any of its elements does, and
// within an array of objects all conditions must hold for the same element. The error matches ErrInvalidEvent.
func (p *Pattern) Match(event []byte) (bool, error) {
	decoder := json.NewDecoder(bytes.NewReader(event))
	// Numbers stay text: EventBridge compares exact numbers by their representation, and an account number or an
	// object size must not pass through a float.
	decoder.UseNumber()

	var root map[string]any
	if err := decoder.Decode(&root); err != nil {
		return false, fmt.Errorf("%w: the event must be one JSON object: %w", ErrInvalidEvent, err)
	}
	if root == nil {
		return false, fmt.Errorf("%w: the event must be one JSON object, it is null", ErrInvalidEvent)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("%w: there is text after the JSON object", ErrInvalidEvent)
	}
	return p.root.match(root, root), nil
}

// MatchValue is Match for a value that is not yet JSON, such as an Event or a map. The error matches ErrInvalidEvent.
func (p *Pattern) MatchValue(event any) (bool, error) {
	data, err := json.Marshal(event)
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrInvalidEvent, err)
	}
	return p.Match(data)
}

// match reports whether value, which is nil where the event has no such object, fits.
func (m *objectMatcher) match(value, root map[string]any) bool {
	fits := func(alternative *objectMatcher) bool { return alternative.match(value, root) }
	return !slices.ContainsFunc(m.fields, func(f fieldMatcher) bool { return !f.match(value, root) }) &&
		!slices.ContainsFunc(m.ors, func(alternatives []*objectMatcher) bool { return !slices.ContainsFunc(alternatives, fits) })
}

func (f *fieldMatcher) match(value, root map[string]any) bool {
	child, present := value[f.name]
	switch {
	case f.sub != nil:
		return f.sub.matchWithin(child, root)
	case !present:
		return f.matchLeaf(nil, root)
	}
	return f.matchLeaf(leaves(child), root)
}

// matchWithin matches a nested object of the pattern against what the event has in its place.
func (m *objectMatcher) matchWithin(child any, root map[string]any) bool {
	if objects := objectsOf(child); len(objects) > 0 {
		return slices.ContainsFunc(objects, func(object map[string]any) bool { return m.match(object, root) })
	}
	// There is no object here: only conditions that ask for absence can still hold.
	return m.match(nil, root)
}

func (f *fieldMatcher) matchLeaf(values []any, root map[string]any) bool {
	return slices.ContainsFunc(f.leaf, func(op operator) bool {
		if wanted, ok := op.(exists); ok && !bool(wanted) {
			return !hasLeaf(root, f.path)
		}
		return slices.ContainsFunc(values, op.match)
	})
}

// objectsOf returns the value if it is an object, or the objects in it if it is an array.
func objectsOf(value any) []map[string]any {
	switch value := value.(type) {
	case map[string]any:
		return []map[string]any{value}
	case []any:
		var objects []map[string]any
		for _, element := range value {
			objects = append(objects, objectsOf(element)...)
		}
		return objects
	default:
		return nil
	}
}

// leaves returns the scalars a value stands for: itself, or those in an array. An object is not a leaf.
func leaves(value any) []any {
	switch value := value.(type) {
	case map[string]any:
		return nil
	case []any:
		var scalars []any
		for _, element := range value {
			scalars = append(scalars, leaves(element)...)
		}
		return scalars
	default:
		return []any{value}
	}
}

// hasLeaf reports whether any object along the path holds a leaf at its end. Absence is a property of the whole event,
// not of one element of an array.
func hasLeaf(value any, path []string) bool {
	if len(path) == 0 {
		return len(leaves(value)) > 0
	}
	return slices.ContainsFunc(objectsOf(value), func(object map[string]any) bool {
		child, present := object[path[0]]
		return present && hasLeaf(child, path[1:])
	})
}
