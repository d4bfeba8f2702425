// Package deployer says which permissions somebody needs who previews, deploys, refreshes and destroys a stack, and nothing else:
// from what the program declares for it, by a table of what each type of resource takes (kinds.go).
//
// The permissions to the Pulumi backend, and to the secrets provider if that is a KMS
// key, aren't in it, as they are no part of the program.
package deployer

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"example.com/upload-router/internal/declared"
)

var (
	errKind     = errors.New("it isn't known which permissions a resource of this type takes: add it to internal/deployer/kinds.go")
	errFunction = errors.New("it isn't known which permissions this function takes: add it to internal/deployer/kinds.go")
	errTooLong  = errors.New("a statement is longer than a policy may be")
)

// Location is where a stack is deployed. Region and account may be *, for any.
type Location struct{ Partition, Region, AccountID string }

// Any is every Region of every account of the partition aws.
var Any = Location{Partition: "aws", Region: "*", AccountID: "*"}

const version = "2012-10-17"

// Whole is a policy of all statements, however long.
func Whole(statements []Statement) Policy { return Policy{Version: version, Statement: statements} }

// Policy is a policy document of IAM.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
type Policy struct {
	Version   string
	Statement []Statement
}

// Statement allows actions on resources.
type Statement struct {
	Sid       string
	Effect    string
	Action    []string
	Resource  []string
	Condition map[string]map[string][]string `json:",omitempty"`
}

// Grant is what is done to one resource, or to those of one pattern.
type Grant struct {
	Actions   []string
	Resource  string
	Condition map[string]map[string][]string

	sid string
}

// Grants are the permissions that it takes to preview, deploy, refresh and destroy what the program declares, one by one. The
// error says which resource type or function isn't in the table.
func Grants(system *declared.System, at Location) ([]Grant, error) {
	s := scope{at: at, system: system}
	var grants []Grant
	var problems []error
	for _, r := range system.Resources {
		if !r.Custom {
			continue
		}
		permissions, known := kinds[r.Type]
		if !known {
			problems = append(problems, fmt.Errorf("%s: %w", r.Type, errKind))
		}
		grants = append(grants, s.grants(r, permissions)...)
	}
	for _, function := range system.Functions {
		permissions, known := functions[function]
		if !known {
			problems = append(problems, fmt.Errorf("%s: %w", function, errFunction))
		}
		grants = append(grants, s.grants(declared.Resource{}, permissions)...)
	}
	return grants, errors.Join(problems...)
}

// EnableEventBridge is what it takes to add EventBridge to the notification configuration of a bucket that isn't declared.
func EnableEventBridge(at Location, bucket string) Grant {
	return Grant{
		sid: "EnableEventBridge", Actions: []string{"s3:GetBucketNotification", "s3:PutBucketNotification"},
		Resource: "arn:" + at.Partition + ":s3:::" + bucket,
	}
}

// grants are the permissions for one resource.
func (s scope) grants(r declared.Resource, permissions []permission) []Grant {
	var grants []Grant
	for _, p := range permissions {
		if p.only != nil && !p.only(r) {
			continue
		}
		var when condition
		if p.when != nil {
			when = p.when(s, r)
		}
		for _, resource := range p.on(s, r) {
			grants = append(grants, Grant{sid: p.sid, Actions: p.actions, Resource: resource, Condition: when})
		}
	}
	return grants
}

// Merge puts what is done to the same resource under the same condition together.
func Merge(grants []Grant) []Grant {
	var merged []Grant
	for _, g := range grants {
		i := slices.IndexFunc(merged, func(have Grant) bool {
			return have.Resource == g.Resource && reflect.DeepEqual(have.Condition, g.Condition)
		})
		if i < 0 {
			merged = append(merged, Grant{Resource: g.Resource, Condition: g.Condition})
			i = len(merged) - 1
		}
		merged[i].Actions = distinct(append(merged[i].Actions, g.Actions...))
	}
	return merged
}

// Statements writes grants as statements, in the order of their ids.
func Statements(grants []Grant) []Statement {
	var statements []Statement
	for _, g := range grants {
		i := slices.IndexFunc(statements, func(have Statement) bool {
			return have.Sid == g.sid && reflect.DeepEqual(have.Condition, g.Condition)
		})
		if i < 0 {
			statements = append(statements, Statement{Sid: g.sid, Effect: "Allow", Condition: g.Condition})
			i = len(statements) - 1
		}
		s := &statements[i]
		s.Action, s.Resource = distinct(append(s.Action, g.Actions...)), distinct(append(s.Resource, g.Resource))
	}
	seen := map[string]int{}
	for i := range statements { // ids are unique in a policy
		s := &statements[i]
		if seen[s.Sid]++; seen[s.Sid] > 1 {
			s.Sid = fmt.Sprint(s.Sid, seen[s.Sid])
		}
	}
	slices.SortFunc(statements, func(a, b Statement) int { return strings.Compare(a.Sid, b.Sid) })
	return statements
}

// distinct gives texts in order, each once.
func distinct(texts []string) []string {
	texts = slices.Clone(texts)
	slices.Sort(texts)
	return slices.Compact(texts)
}

// Size is how long a policy is, as IAM counts.
func (p Policy) Size() int {
	text, _ := json.Marshal(p) // texts and lists can always be written, and no text here has white space
	return len(text)
}

// String is the policy as indented JSON.
func (p Policy) String() string {
	text, _ := json.MarshalIndent(p, "", "  ") // see Size
	return string(text) + "\n"
}

// Split puts statements into as few policies as their order allows, none longer than the limit.
func Split(statements []Statement, limit int) ([]Policy, error) {
	var policies []Policy
	for _, s := range statements {
		alone := Policy{Version: version, Statement: []Statement{s}}
		if alone.Size() > limit {
			return nil, fmt.Errorf("%w: %s has %d characters, the limit is %d", errTooLong, s.Sid, alone.Size(), limit)
		}
		if last := len(policies) - 1; last >= 0 {
			longer := policies[last]
			longer.Statement = append(slices.Clone(longer.Statement), s)
			if longer.Size() <= limit {
				policies[last] = longer
				continue
			}
		}
		policies = append(policies, alone)
	}
	return policies, nil
}

// Example is an ARN, or another text, that a pattern matches.
func Example(pattern string) string {
	if pattern == "*" { // of actions that take no resource
		return pattern
	}
	return strings.NewReplacer(anyEnd, "-0123456", "*", "0123456789abcdef0", "?", "0").Replace(pattern)
}
