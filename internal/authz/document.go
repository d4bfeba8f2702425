package authz

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"example.com/upload-router/internal/partition"
)

// version is the policy language that is evaluated here; in the older one text means other things.
const version = "2012-10-17"

// ErrPolicy is matched by the errors of [Load] about a policy document that can't be evaluated as a whole.
var ErrPolicy = errors.New("the policy can't be evaluated")

// form is which elements a policy's statements have.
type form int

const (
	identityForm form = iota // a role's policy: no Principal
	resourceForm             // Principal and Resource
	trustForm                // Principal, and no Resource
)

// everyone is a principal that is everyone.
const everyone = "*"

// statement is one statement of a policy.
type statement struct {
	form      form
	policy    string // the logical name of what declares it
	owner     string // the role's or the resource's ARN
	sid       string // or its number, if it has none
	deny      bool
	anyone    bool
	accounts  []string // principals of the kind AWS
	services  []string
	actions   []string
	not       bool // actions are those that it isn't about
	resources []string
	notThese  bool // resources are those that it isn't about
	when      []condition

	shown    string   // the place that it is given at, if what can't be judged of it isn't an error
	unjudged []string // what can't be, by its place
}

// cantJudge notes an element that can't be judged, if that is no error.
func (s *statement) cantJudge(element, what string) bool {
	if s.shown == "" {
		return false
	}
	s.unjudged = append(s.unjudged, s.shown+"."+element+" "+what)
	return true
}

// note says what is made of a statement that can't be judged; empty for any other.
func (s *statement) note() string {
	if len(s.unjudged) == 0 {
		return ""
	}
	what := strings.Join(s.unjudged, " and ") + " can't be judged here: the statement "
	if s.deny {
		return what + "denies nothing here, and does in AWS"
	}
	return what + "is taken to hold"
}

// words is a list of texts that may be written as one text.
type words []string

// UnmarshalJSON takes a text or a list of texts.
func (w *words) UnmarshalJSON(text []byte) error { return unmarshalTexts(text, (*[]string)(w), false) }

// scalars is a list of a condition's values, of which numbers and truth values are taken as they are written, as IAM does: an account's
// number, too, of which no digit may be lost.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
type scalars []string

// UnmarshalJSON takes a value or a list of them.
func (s *scalars) UnmarshalJSON(text []byte) error { return unmarshalTexts(text, (*[]string)(s), true) }

func unmarshalTexts(text []byte, into *[]string, all bool) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return err //nolint:wrapcheck // the caller says what it is of
	}
	list, many := value.([]any)
	if !many {
		list = []any{value}
	}
	for _, item := range list {
		_, isText := item.(string)
		_, isNumber := item.(json.Number)
		_, isBool := item.(bool)
		if !isText && (!all || !isNumber && !isBool) {
			return fmt.Errorf("%w: %v is no text", ErrPolicy, item)
		}
		*into = append(*into, fmt.Sprint(item))
	}
	return nil
}

// parse reads a policy document of which all can be judged.
func parse(policy, owner, document string, of form) ([]statement, error) {
	return parseShown(policy, "", owner, document, of)
}

// parseShown reads a policy document. If it is shown as something, what can't be judged is kept as that.
func parseShown(policy, shown, owner, document string, of form) ([]statement, error) {
	fail := func(err error) ([]statement, error) {
		return nil, fmt.Errorf("%w: %s: %w", ErrPolicy, policy, err)
	}
	var elements map[string]json.RawMessage
	if err := json.Unmarshal([]byte(document), &elements); err != nil {
		return fail(err)
	}
	if err := givenOnce(json.NewDecoder(strings.NewReader(document))); err != nil {
		return fail(err)
	}
	if err := only(elements, "Version", "Id", "Statement"); err != nil {
		return fail(err)
	}
	var have string
	if err := json.Unmarshal(elements["Version"], &have); err != nil || have != version {
		return fail(fmt.Errorf("%w: Version must be %s", errElement, version))
	}
	list, err := statements(elements["Statement"])
	if err != nil {
		return fail(err)
	}
	out := make([]statement, len(list))
	seen := map[string]bool{}
	for i, parts := range list {
		place := shown
		if shown != "" {
			place = fmt.Sprintf("%s[%d]", shown, i)
		}
		s, err := parseStatement(parts, place, of)
		if err == nil && of != resourceForm && s.sid != "" && seen[s.sid] {
			err = fmt.Errorf("%w: Sid is another statement's, too", errElement)
		}
		seen[s.sid] = true
		if s.form, s.policy, s.owner = of, policy, owner; s.sid == "" {
			s.sid = fmt.Sprintf("statement %d", i+1)
		}
		if err != nil {
			return fail(fmt.Errorf("%s: %w", s.sid, err))
		}
		out[i] = s
	}
	return out, nil
}

// statements are the parts of each statement, of which there is one at least.
func statements(raw json.RawMessage) ([]map[string]json.RawMessage, error) {
	var list []map[string]json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		list = make([]map[string]json.RawMessage, 1)
		if err := json.Unmarshal(raw, &list[0]); err != nil {
			return nil, fmt.Errorf("reading the statements: %w", err)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: Statement has none", errElement)
	}
	return list, nil
}

// givenOnce refuses an element that is given twice, of which one would be lost: a
// Condition, say. What is read is known to be JSON.
func givenOnce(document *json.Decoder) error {
	token, _ := document.Token()
	if token != json.Delim('{') && token != json.Delim('[') {
		return nil
	}
	seen := map[any]bool{}
	for document.More() {
		if token == json.Delim('{') {
			name, _ := document.Token()
			if seen[name] {
				return fmt.Errorf("%w: %v is given twice", errElement, name)
			}
			seen[name] = true
		}
		if err := givenOnce(document); err != nil {
			return err
		}
	}
	_, _ = document.Token() // the closing bracket
	return nil
}

var errElement = errors.New("wrong element")

func only(elements map[string]json.RawMessage, known ...string) error {
	for _, name := range slices.Sorted(maps.Keys(elements)) {
		if !slices.Contains(known, name) {
			return fmt.Errorf("%w: %s isn't known here", errElement, name)
		}
	}
	return nil
}

func parseStatement(parts map[string]json.RawMessage, shown string, of form) (statement, error) {
	s := statement{shown: shown}
	if err := text(parts, "Sid", &s.sid); err != nil {
		return s, err
	}
	if of != resourceForm && !sidForm.MatchString(s.sid) {
		return s, fmt.Errorf("%w: Sid %q: IAM takes letters and digits only", errElement, s.sid)
	}
	if err := only(parts, elementsOf(of)...); err != nil {
		return s, err
	}
	var effect string
	if err := text(parts, "Effect", &effect); err != nil {
		return s, err
	}
	if s.deny = effect == "Deny"; !s.deny && effect != "Allow" {
		return s, fmt.Errorf("%w: Effect is %q, not Allow or Deny", errElement, effect)
	}
	if err := s.what(parts, of); err != nil {
		return s, err
	}
	if of != identityForm {
		if err := s.principals(parts["Principal"]); err != nil {
			return s, err
		}
	}
	return s, s.conditions(parts["Condition"])
}

// what reads the actions and the resources.
func (s *statement) what(parts map[string]json.RawMessage, of form) error {
	var err error
	if s.actions, s.not, err = either(parts, "Action"); err != nil {
		return err
	}
	for _, action := range s.actions {
		if !actionForm.MatchString(action) {
			return fmt.Errorf("%w: Action %q has not the form service:Name", errElement, action)
		}
	}
	if of == trustForm {
		return nil
	}
	if s.resources, s.notThese, err = either(parts, "Resource"); err != nil {
		return err
	}
	for i, resource := range s.resources {
		if strings.Contains(resource, "${") {
			if s.cantJudge("Resource", resource) {
				s.resources[i] = variable.ReplaceAllString(resource, everyone)
				continue
			}
			return fmt.Errorf("%w: Resource %q", errVariables, resource)
		}
		if resource != everyone && !strings.HasPrefix(resource, "arn:") {
			return fmt.Errorf("%w: Resource %q is no ARN", errElement, resource)
		}
	}
	return nil
}

// variable is a policy variable.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
var variable = regexp.MustCompile(`\$\{[^}]*\}?`)

func elementsOf(of form) []string {
	names := []string{"Sid", "Effect", "Action", "NotAction", "Condition"}
	if of != identityForm {
		names = append(names, "Principal")
	}
	if of != trustForm {
		names = append(names, "Resource", "NotResource")
	}
	return names
}

// actionForm is a service's prefix and an action's name, neither of which has a case.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_action.html
var actionForm = regexp.MustCompile(`^(\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+)$`)

var sidForm = regexp.MustCompile(`^[A-Za-z0-9]*$`)

func text(parts map[string]json.RawMessage, name string, into *string) error {
	raw, ok := parts[name]
	if !ok {
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("%w: %s: %w", errElement, name, err)
	}
	return nil
}

// either reads an element or its negation, of which a statement has one.
func either(parts map[string]json.RawMessage, name string) (values []string, negated bool, err error) {
	raw, plain := parts[name]
	other, negated := parts["Not"+name]
	if plain == negated {
		return nil, false, fmt.Errorf("%w: one of %s and Not%s must be there", errElement, name, name)
	}
	if negated {
		raw = other
	}
	var list words
	if err := json.Unmarshal(raw, &list); err != nil || len(list) == 0 {
		return nil, false, fmt.Errorf("%w: %s names nothing: %s", errElement, name, raw)
	}
	return list, negated, nil
}

var (
	// roleForm has a role's name in IAM's characters: one with a colon could end as an account's ARN does.
	roleForm = regexp.MustCompile(`^(arn:[a-z-]+:iam::[0-9]{12}:(root|role/([^*?]+/)?[\w+=,.@-]+)|[0-9]{12})$`)
)

func (s *statement) principals(raw json.RawMessage) error {
	var all string
	if err := json.Unmarshal(raw, &all); err == nil {
		if s.anyone = all == everyone; !s.anyone {
			return fmt.Errorf("%w: Principal %q", errElement, all)
		}
		return nil
	}
	var kinds map[string]words
	if err := json.Unmarshal(raw, &kinds); err != nil || len(kinds) == 0 {
		return fmt.Errorf("%w: Principal: %s", errElement, raw)
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		if len(kinds[kind]) == 0 {
			return fmt.Errorf("%w: Principal %s names nobody", errElement, kind)
		}
		for _, id := range kinds[kind] {
			switch {
			case kind == "AWS" && id == everyone:
				s.anyone = true
			case kind == "AWS" && roleForm.MatchString(id):
				s.accounts = append(s.accounts, id)
			case kind == "Service" && partition.IsServicePrincipal(id):
				s.services = append(s.services, id)
			default:
				return fmt.Errorf("%w: Principal %s %q isn't known here", errElement, kind, id)
			}
		}
	}
	return nil
}

func (s *statement) conditions(raw json.RawMessage) error {
	if raw == nil {
		return nil
	}
	var blocks map[string]map[string]scalars
	if err := json.Unmarshal(raw, &blocks); err != nil {
		return fmt.Errorf("%w: Condition: %w", errElement, err)
	}
	for _, operator := range slices.Sorted(maps.Keys(blocks)) {
		for _, key := range slices.Sorted(maps.Keys(blocks[operator])) {
			c, err := newCondition(operator, key, blocks[operator][key])
			switch {
			case err == nil:
				s.when = append(s.when, c)
			case !s.cantJudge("Condition", operator+" "+key):
				return err
			}
		}
	}
	return nil
}
