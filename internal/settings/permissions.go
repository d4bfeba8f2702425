package settings

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Permission is a statement of IAM.
type Permission struct {
	// Sid names it, and Effect is Allow or Deny.
	Sid, Effect string
	// Action and Resource have one element or more.
	Action, Resource []string
	// Condition has the values by the condition operator and the condition key. Nil: none.
	Condition map[string]map[string][]string `json:",omitempty"`
}

// PermissionsPolicy is the policy document of the permissions; empty without any.
func (s *Settings) PermissionsPolicy() string {
	if len(s.Permissions) == 0 {
		return ""
	}
	return CompactJSON(map[string]any{"Version": "2012-10-17", "Statement": s.Permissions})
}

// The elements of a statement that are taken, in the order in which their problems are reported.
const (
	elementSid       = "Sid"
	elementEffect    = "Effect"
	elementAction    = "Action"
	elementResource  = "Resource"
	elementCondition = "Condition"
)

var elements = []string{elementSid, elementEffect, elementAction, elementResource, elementCondition}

// The effects of a statement.
const (
	effectAllow = "Allow"
	effectDeny  = "Deny"
)

var (
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_sid.html
	sidPattern = regexp.MustCompile(`^[A-Za-z0-9]+$`)
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_action.html
	actionPattern = regexp.MustCompile(`^[a-z0-9-]+:[A-Za-z0-9*?]+$`)
	// A resource is an ARN, whose parts may have wildcards and policy variables, or any.
	resourcePattern = regexp.MustCompile(`^(?:\*|arn:[^:\s]*:[^:\s]*:[^:\s]*:[^:\s]*:\S+)$`)
	conditionKey    = regexp.MustCompile(`^[A-Za-z0-9-]+:\S+$`)
)

// conditionOperators are those of IAM, which refuses any other when the policy is made.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
var conditionOperators = []string{
	"StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringLike", "StringNotLike",
	"NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan", "NumericGreaterThanEquals",
	"DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals",
	"Bool", "BinaryEquals", "IpAddress", "NotIpAddress", "ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike", operatorNull,
}

const (
	// operatorNull asks whether a key is there, and so is the one that takes no suffix that lets it be missing.
	operatorNull = "Null"
	ifExists     = "IfExists"
)

// checkOperator says what is wrong with a condition operator.
func checkOperator(operator string) error {
	set, name, is := strings.Cut(operator, ":")
	if !is {
		set, name = "", operator
	} else if set += ":"; set != "ForAllValues:" && set != "ForAnyValue:" {
		return breaks("must have ForAllValues: or ForAnyValue: before an operator, or nothing, not %s", display(operator))
	}
	base, optional := strings.CutSuffix(name, ifExists)
	if slices.Contains(conditionOperators, base) && (!optional || base != operatorNull) {
		return nil
	}
	if near := nearest(base, conditionOperators); near != "" {
		if optional && near != operatorNull {
			near += ifExists
		}
		return breaks("must have operators of IAM, which %s isn't, did you mean %s?", display(operator), set+near)
	}
	return breaks("must have operators of IAM, such as StringEquals, which %s isn't", display(operator))
}

// escalating are the services whose actions let a role give itself what it wasn't given.
var escalating = []string{"iam", "organizations", "account"}

// maxPermissions leaves 4,096 of the 10,240 characters that IAM takes in all inline policies of a role to the stack's own.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
const maxPermissions = 6144

// permissions reads what the processors may do besides.
func (l *loader) permissions(k Key, s *Settings) {
	list, _ := l.list(k, l.fix(k.Name))
	sids := map[string]int{}
	for i, raw := range list {
		path := fmt.Sprintf("%s[%d]", k.Name, i)
		permission, field, err := readPermission(raw)
		if first, double := sids[permission.Sid]; err == nil && double {
			field, err = elementSid, breaks("is the Sid of %s[%d], too: each has to have one of its own", k.Name, first)
		}
		if err != nil {
			if field != "" {
				path += "." + field
			}
			l.reportAt(k.Name, path, string(raw), err.Error(), l.fix(k.Name))
			continue
		}
		sids[permission.Sid] = i
		s.Permissions = append(s.Permissions, permission)
	}
	if size := len(CompactJSON(s.Permissions)); size > maxPermissions {
		l.report(k.Name, l.raw(k.Name), fmt.Sprintf("must have at most %d characters as JSON, which is what IAM takes besides the stack's own "+
			"policies, this has %d", maxPermissions, size))
	}
}

// readPermission reads a statement. An error is of one of its elements, or of all of it.
func readPermission(raw json.RawMessage) (p Permission, field string, err error) {
	object, err := decodeJSON[map[string]json.RawMessage](string(raw))
	if err != nil || object == nil {
		return p, "", breaks("%s", jsonRule(err, "must be an object with "+strings.Join(elements, ", ")))
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if !slices.Contains(elements, name) {
			return p, display(name), unknownElement(name)
		}
	}
	for _, read := range []struct {
		element string
		read    func(json.RawMessage) error
	}{
		{elementSid, p.readSid}, {elementEffect, p.readEffect}, {elementAction, p.readActions}, {elementResource, p.readResources},
		{elementCondition, p.readConditions},
	} {
		if err := read.read(object[read.element]); err != nil {
			return p, read.element, err
		}
	}
	return p, elementAction, p.escalates()
}

// unknownElement is why an element isn't taken.
func unknownElement(name string) error {
	switch name {
	case "NotAction", "NotResource":
		return breaks("isn't taken: with Allow it grants what will be added to AWS, too; say what is meant by Action and Resource")
	case "Principal", "NotPrincipal":
		return breaks("isn't taken: the statements are for the processors' roles")
	}
	if near := nearest(name, elements); near != "" {
		return breaks("a statement has no such element here, did you mean %s?", near)
	}
	return breaks("a statement has no such element here; there are %s", strings.Join(elements, ", "))
}

func (p *Permission) readSid(raw json.RawMessage) (err error) {
	if p.Sid, err = decodeJSON[string](string(raw)); err != nil || !sidPattern.MatchString(p.Sid) {
		return breaks("must be letters and digits, which say what it is for")
	}
	return nil
}

func (p *Permission) readEffect(raw json.RawMessage) (err error) {
	if p.Effect, err = decodeJSON[string](string(raw)); err != nil || p.Effect != effectAllow && p.Effect != effectDeny {
		return breaks("must be Allow or Deny")
	}
	return nil
}

func (p *Permission) readActions(raw json.RawMessage) (err error) {
	if p.Action, err = oneOrMore(raw); err != nil {
		return err
	}
	for _, action := range p.Action {
		if !actionPattern.MatchString(action) {
			return breaks("must be actions such as s3:GetObject, with the service in front, not %s", display(action))
		}
	}
	return nil
}

func (p *Permission) readResources(raw json.RawMessage) (err error) {
	if p.Resource, err = oneOrMore(raw); err != nil {
		return err
	}
	for _, resource := range p.Resource {
		if !resourcePattern.MatchString(resource) {
			return breaks("must be ARNs, or *, not %s", display(resource))
		}
	}
	return nil
}

func (p *Permission) readConditions(raw json.RawMessage) error {
	if raw == nil {
		return nil
	}
	given, err := decodeJSON[map[string]map[string]json.RawMessage](string(raw))
	if err != nil || len(given) == 0 {
		return breaks("%s", jsonRule(err, "must be an object of condition operators, each with condition keys and their values"))
	}
	p.Condition = map[string]map[string][]string{}
	for _, operator := range slices.Sorted(maps.Keys(given)) {
		keys := given[operator]
		if err := checkOperator(operator); err != nil {
			return err
		}
		if len(keys) == 0 {
			return breaks("must have a condition key such as aws:ResourceTag/team for %s", operator)
		}
		p.Condition[operator] = map[string][]string{}
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			if !conditionKey.MatchString(key) {
				return breaks("must have condition keys such as aws:ResourceTag/team, not %s", display(key))
			}
			if p.Condition[operator][key], err = oneOrMore(keys[key]); err != nil {
				return err
			}
		}
	}
	return nil
}

// oneOrMore is a text, or a list of some.
func oneOrMore(raw json.RawMessage) ([]string, error) {
	if text, err := scalarText(raw); err == nil && text != "" {
		return []string{text}, nil
	}
	list, err := decodeJSON[[]json.RawMessage](string(raw))
	if err != nil || len(list) == 0 {
		return nil, breaks("must be a string, or a list of one or more")
	}
	texts := make([]string, len(list))
	for i, element := range list {
		if texts[i], err = scalarText(element); err != nil || texts[i] == "" {
			return nil, breaks("must be a string, or a list of one or more")
		}
	}
	return texts, nil
}

// escalates refuses what would let a processor that is taken over give itself whatever it likes.
func (p Permission) escalates() error {
	if p.Effect != effectAllow {
		return nil
	}
	for _, action := range p.Action {
		service, name, _ := strings.Cut(action, ":")
		switch {
		case slices.Contains(escalating, service):
			return breaks("must not allow actions of %s, by which a processor that is taken over could give itself more", service)
		case service == "sts" && mayAssume(name) && slices.ContainsFunc(p.Resource, anyRole):
			return breaks("must allow sts:AssumeRole for roles by their whole ARN only: by a wildcard a processor that is taken over could " +
				"be whoever trusts this account")
		}
	}
	return nil
}

// mayAssume says whether an action of STS, with wildcards, is or includes AssumeRole.
func mayAssume(name string) bool {
	return strings.HasPrefix(strings.ToLower(name), "assumerole") || strings.ContainsAny(name, "*?")
}

// anyRole says whether a resource is more than one role.
func anyRole(resource string) bool { return strings.ContainsAny(resource, "*?") }

// broad says whether a permission allows all actions of a service, or any resource where no condition narrows it.
func (p Permission) broad() bool {
	if p.Effect != effectAllow || len(p.Condition) > 0 {
		return false
	}
	whole := func(action string) bool { return strings.HasSuffix(action, ":*") }
	return slices.Contains(p.Resource, "*") || slices.ContainsFunc(p.Action, whole)
}

// reachable are the services that the task of a private network always has endpoints of.
var reachable = []string{"s3", "dynamodb"}

// unreachable says whether a permission is for a service that a private network has no endpoint of.
func (p Permission) unreachable() bool {
	return p.Effect == effectAllow && slices.ContainsFunc(p.Action, func(action string) bool {
		service, _, _ := strings.Cut(action, ":")
		return !slices.Contains(reachable, service)
	})
}
