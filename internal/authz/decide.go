package authz

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// ErrDenied is matched by the errors of refused requests.
var ErrDenied = errors.New("denied")

// Principal is who makes a request: a role's sessions or a service.
type Principal struct {
	// Role is the ARN of the role whose session asks.
	Role string
	// Service is the service that asks by itself, such as events.amazonaws.com.
	Service string
}

// String is the ARN of the role, or the name of the service.
func (p Principal) String() string { return p.Role + p.Service }

// Request is a call to be decided on.
type Request struct {
	// Principal is who makes it. One of its fields is set.
	Principal Principal
	// Action is the IAM action, such as s3:GetObject.
	Action string
	// Resource is the ARN of what it is about; "*" for an action that knows no resources. For sts:AssumeRole it is the role.
	Resource string
	// Context are the values of the condition keys. What belongs to every request (TLS, the principal, the account) is filled in
	// if it is missing; a key without values isn't there, and isn't filled in.
	Context map[string][]string
	// Endpoint is the id of the VPC endpoint that it goes through, if any.
	Endpoint string
}

// Decision is what the policies say to a request.
type Decision struct {
	// Request is the request.
	Request Request
	// Allowed says whether it may be made.
	Allowed bool
	// Grants are the grants that allow it: all of them, so that each alone may be enough. Empty if it is refused.
	Grants []Grant
	// Assumed says what an allowed request depends on that isn't declared here,
	// such as the policy of a key that was given by its ARN.
	Assumed string
	// Reason says why it is refused, in AWS's words as far as they are known.
	Reason string
}

// Err is nil for an allowed request, else an error that matches [ErrDenied].
func (d Decision) Err() error {
	if d.Allowed {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrDenied, d.Message())
}

// Message is the refusal in AWS's form.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
func (d Decision) Message() string {
	who := "Service: " + d.Request.Principal.Service
	if d.Request.Principal.Role != "" {
		who = "User: " + d.Request.Principal.Role
	}
	return fmt.Sprintf("%s is not authorized to perform: %s on resource: %s %s", who, d.Request.Action, d.Request.Resource, d.Reason)
}

// assumeRole is the one action that is decided by a role's trust policy.
const assumeRole = "sts:assumerole"

// Authorize decides on a request.
func (p *Policies) Authorize(r Request) Decision {
	e := &evaluation{request: r, context: p.context(r)}
	if _, known := p.endpoints[r.Endpoint]; !known && r.Endpoint != "" {
		return e.refuse("because no such VPC endpoint is declared: " + r.Endpoint)
	}
	var identity verdict
	if r.Principal.Role != "" {
		from, known := p.roles[r.Principal.Role]
		if !known {
			return e.refuse("because no such role is declared")
		}
		identity = e.weigh(from.identity, "identity-based policy")
	}
	resource := e.weigh(p.resources[ownerOf(r.Resource)], "resource-based policy")
	for _, v := range []verdict{identity, resource} {
		if v.denied != "" {
			return e.refuse(v.denied)
		}
	}
	if reason := e.endpoint(p.endpoints); reason != "" {
		return e.refuse(reason)
	}
	d := e.concludeSurely(identity, resource, p.Declares(r.Resource) || p.told[r.Resource] != "")
	if output := p.told[r.Resource]; d.Allowed && output != "" && len(resource.grants)+len(resource.delegates) > 0 {
		d.Assumed = "the policy of " + r.Resource + " holds what the output " + output + " says"
	}
	return d
}

// evaluation is one request being decided on.
type evaluation struct {
	request Request
	context map[string][]string
	through []Grant // of the endpoint
}

// verdict is what one kind of policy says.
type verdict struct {
	kind      string
	denied    string  // why, if a Deny matches
	grants    []Grant // by Allows that name the principal, or are its own
	delegates []Grant // by Allows for the account, which leave it to IAM policies
	near      string  // a condition that alone kept an Allow from matching
	assumed   []Grant // by Allows of which not all can be judged
	assumes   string  // what can't be, of the first of them
}

func (e *evaluation) weigh(statements []statement, kind string) verdict {
	v := verdict{kind: kind}
	for _, s := range statements {
		as, direct := s.principalOf(e.request.Principal)
		if as == notMentioned {
			continue
		}
		matched := s.matching(e.request)
		if len(matched) == 0 {
			continue
		}
		if failing := s.failing(e.context); failing != "" {
			if !s.deny && v.near == "" {
				v.near = fmt.Sprintf(" (%s of %s would, but for its condition %s)", s.sid, s.policy, failing)
			}
			continue
		}
		if s.deny {
			v.denied = fmt.Sprintf("with an explicit deny in a %s: %s of %s", kind, s.sid, s.policy)
			continue
		}
		for _, m := range matched {
			g := s.grant(as, m.action, m.resource)
			if len(s.unjudged) > 0 {
				v.assumed = append(v.assumed, g)
				v.assumes = cmp.Or(v.assumes, strings.Join(s.unjudged, " and ")+" holds")
				continue
			}
			if direct {
				v.grants = append(v.grants, g)
			} else {
				v.delegates = append(v.delegates, g)
			}
		}
	}
	return v
}

// notMentioned stands for a statement that isn't about the principal.
const notMentioned = "-"

// principalOf gives the principal by which the statement is about somebody: empty for a role's own policy. The account stands for
// all its roles; an Allow for it is not for them directly.
func (s statement) principalOf(who Principal) (as string, direct bool) {
	if s.form == identityForm {
		return "", true
	}
	if s.anyone {
		return everyone, true
	}
	if who.Service != "" {
		if slices.Contains(s.services, who.Service) {
			return who.Service, true
		}
		return notMentioned, false
	}
	if slices.Contains(s.accounts, who.Role) {
		return who.Role, true
	}
	account := accountOf(who.Role)
	for _, a := range s.accounts {
		if a == account || strings.HasSuffix(a, ":"+account+":root") {
			return a, s.deny
		}
	}
	return notMentioned, false
}

func accountOf(arn string) string {
	if parts := strings.SplitN(arn, ":", arnParts); len(parts) == arnParts {
		return parts[4]
	}
	return ""
}

// match is an action and a resource of a statement that fit a request.
type match struct{ action, resource string }

func (s statement) matching(r Request) []match {
	var out []match
	for _, action := range fitting(s.actions, s.not, func(pattern string) bool { return globAction(pattern, r.Action) }) {
		if len(s.resources) == 0 { // a trust policy
			out = append(out, match{action, ""})
		}
		for _, resource := range fitting(s.resources, s.notThese, func(pattern string) bool { return glob(pattern, r.Resource) }) {
			out = append(out, match{action, resource})
		}
	}
	return out
}

// fitting are the patterns that fit, or the first if it is those that don't that count and none does.
func fitting(patterns []string, negated bool, fits func(string) bool) []string {
	var out []string
	for _, p := range patterns {
		if fits(p) {
			out = append(out, p)
		}
	}
	if !negated {
		return out
	}
	if len(out) > 0 {
		return nil
	}
	return patterns[:1]
}

func (s statement) failing(context map[string][]string) string {
	for _, c := range s.when {
		if !c.holds(context) {
			return c.String()
		}
	}
	return ""
}

// endpoint says why a VPC endpoint doesn't let the request through; empty if it does.
func (e *evaluation) endpoint(endpoints map[string]endpoint) string {
	through := endpoints[e.request.Endpoint]
	if e.request.Endpoint == "" || through.open {
		return ""
	}
	v := e.weigh(through.statements, "VPC endpoint policy")
	if v.denied != "" {
		return v.denied
	}
	// An endpoint has no account of its own to leave it to: an Allow for the account is one for its roles.
	if e.through = slices.Concat(v.grants, v.delegates); len(e.through) == 0 {
		return "because no VPC endpoint policy allows the " + e.request.Action + " action" + v.near
	}
	return ""
}

// concludeSurely decides by what can be judged, and by the other Allows of a role only if it takes them.
func (e *evaluation) concludeSurely(identity, resource verdict, known bool) Decision {
	d := e.conclude(identity, resource, known)
	if d.Allowed || len(identity.assumed) == 0 {
		return d
	}
	identity.grants = identity.assumed
	if d = e.conclude(identity, resource, known); d.Allowed {
		d.Assumed = strings.TrimPrefix(d.Assumed+", and "+identity.assumes, ", and ")
	}
	return d
}

// conclude decides when nothing denies. Within an account the role's own policies or the resource's are enough, but of a key its
// own policy must let the account's policies govern it; for another account's resource it takes both.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html
func (e *evaluation) conclude(identity, resource verdict, known bool) Decision {
	action := strings.ToLower(e.request.Action)
	switch {
	case e.request.Principal.Service != "":
		return e.byResource(resource, known || action == assumeRole || e.request.Resource == everyone)
	case action == assumeRole:
		return e.byKey(identity, resource, true)
	case strings.HasPrefix(action, "kms:"):
		return e.byKey(identity, resource, known)
	case e.crosses():
		return e.byBoth(identity, resource, known)
	case len(resource.grants) > 0:
		return e.allow(identity.grants, resource.grants)
	case len(identity.grants) == 0:
		return e.refuse(e.none("identity-based", identity))
	case !known && isBucket(e.request.Resource):
		return e.assume("the bucket "+ownerOf(e.request.Resource)+
			", which isn't declared here, is this account's, or its policy allows it, too", identity.grants)
	}
	return e.allow(identity.grants)
}

// byResource is for services, and for taking a role: its own policy alone allows that.
func (e *evaluation) byResource(resource verdict, known bool) Decision {
	switch {
	case len(resource.grants) > 0:
		return e.allow(resource.grants)
	case !known:
		return e.assume("the policy of " + ownerOf(e.request.Resource) + ", which isn't declared here, allows it")
	}
	return e.refuse(e.none("resource-based", resource))
}

// byKey is for keys, which no policy governs that the key's own doesn't let.
// https://docs.aws.amazon.com/kms/latest/developerguide/policy-evaluation.html
func (e *evaluation) byKey(identity, resource verdict, known bool) Decision {
	byName := len(resource.grants) > 0
	switch {
	case byName && !e.crosses():
		return e.allow(resource.grants)
	case len(identity.grants) == 0:
		return e.refuse(e.none("identity-based", identity))
	case byName, len(resource.delegates) > 0:
		return e.allow(identity.grants, resource.grants, resource.delegates)
	case !known && e.request.Resource != everyone:
		return e.assume("the policy of "+e.request.Resource+", which isn't declared here, allows it", identity.grants)
	}
	return e.refuse(e.none("resource-based", resource))
}

// byBoth is for a resource of another account.
func (e *evaluation) byBoth(identity, resource verdict, known bool) Decision {
	allowed := len(resource.grants)+len(resource.delegates) > 0
	switch {
	case len(identity.grants) == 0:
		return e.refuse(e.none("identity-based", identity))
	case !allowed && !known:
		return e.refuse(fmt.Sprintf("because it is of the account %s, whose own policy must allow the %s action, too, and isn't declared here",
			accountOf(e.request.Resource), e.request.Action))
	case !allowed:
		return e.refuse(e.none("resource-based", resource))
	}
	return e.allow(identity.grants, resource.grants, resource.delegates)
}

// crosses says whether the resource is another account's than the role. Of a bucket the ARN doesn't tell.
func (e *evaluation) crosses() bool {
	of := accountOf(e.request.Resource)
	return of != "" && of != everyone && of != accountOf(e.request.Principal.Role)
}

// none is the reason that no policy of a kind allows it.
func (e *evaluation) none(kind string, v verdict) string {
	return "because no " + kind + " policy allows the " + e.request.Action + " action" + v.near
}

// assume allows what depends on a policy that isn't declared here.
func (e *evaluation) assume(what string, by ...[]Grant) Decision {
	d := e.allow(by...)
	d.Assumed = what
	return d
}

func (e *evaluation) allow(by ...[]Grant) Decision {
	return Decision{Request: e.request, Allowed: true, Grants: append(slices.Concat(by...), e.through...)}
}

func (e *evaluation) refuse(reason string) Decision {
	return Decision{Request: e.request, Reason: reason}
}

// context is the request's own, by keys in lower case, and what every request has.
func (p *Policies) context(r Request) map[string][]string {
	context := map[string][]string{
		"aws:securetransport":       {"true"},
		"aws:principalisawsservice": {strconv.FormatBool(r.Principal.Service != "")},
	}
	if account := accountOf(r.Resource); account != "" {
		context["aws:resourceaccount"] = []string{account}
	}
	if role := r.Principal.Role; role != "" {
		context["aws:principalarn"] = []string{role}
		context["aws:principalaccount"] = []string{accountOf(role)}
		if strings.HasPrefix(strings.ToLower(r.Action), "kms:") { // other services don't know it
			context["kms:calleraccount"] = []string{accountOf(role)}
		}
		if isBucket(r.Resource) && p.Declares(r.Resource) { // whose ARN doesn't say that it is this account's
			context["aws:resourceaccount"] = []string{accountOf(role)}
		}
	}
	if through, ok := p.endpoints[r.Endpoint]; ok {
		context["aws:sourcevpce"] = []string{r.Endpoint}
		context["aws:sourcevpc"] = []string{through.vpc}
	}
	given := map[string][]string{}
	for key, values := range r.Context {
		given[strings.ToLower(key)] = values
	}
	maps.Copy(context, given)
	return context
}
