package authz

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Refusal is a statement of a policy that denies a request.
type Refusal struct {
	// Statement is its Sid, or its number.
	Statement string
	// Depends is what it depends on that isn't known of the request, or what of it can't be read. Empty: it denies it in any case.
	Depends []string
}

// Refusals are the statements of a bucket's policy that deny a request, or may. Of the request is known what its Context says, and what
// every request has; a key that it has without values isn't known. A document that is no policy matches [ErrPolicy].
func Refusals(document string, r Request) ([]Refusal, error) {
	var policy struct{ Statement json.RawMessage }
	if err := json.Unmarshal([]byte(document), &policy); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	list, err := statements(policy.Statement)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	context := (&Policies{}).context(r)
	var refusals []Refusal
	for i, parts := range list {
		var effect string
		if json.Unmarshal(parts["Effect"], &effect) != nil || effect != "Deny" {
			continue
		}
		s, err := parseStatement(parts, "Statement", resourceForm)
		if s.form = resourceForm; s.sid == "" {
			s.sid = fmt.Sprintf("statement %d", i+1)
		}
		if err != nil {
			refusals = append(refusals, Refusal{s.sid, []string{err.Error()}})
			continue
		}
		if depends, may := s.refuses(r, context); may {
			refusals = append(refusals, Refusal{s.sid, depends})
		}
	}
	return refusals, nil
}

// refuses says whether a statement that denies is about a request, and what that depends on which isn't known.
func (s statement) refuses(r Request, context map[string][]string) (depends []string, may bool) {
	if as, _ := s.principalOf(r.Principal); as == notMentioned || len(s.matching(r)) == 0 {
		return nil, false
	}
	for _, c := range s.when {
		if len(context[strings.ToLower(c.Key)]) == 0 {
			depends = append(depends, c.String())
		} else if !c.holds(context) {
			return nil, false
		}
	}
	return append(depends, s.unjudged...), true
}
