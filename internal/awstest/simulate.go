package awstest

import (
	"fmt"
	"html"
	"net/http"
	"strings"
)

// simulated is what IAM's policy simulator says, and of whom.
type simulated struct {
	caller  string
	denied  map[string]string // the element that says who denies an action
	missing map[string]string // the context key that an action depends on
}

// Deny has IAM's simulator deny actions: without a reason, or by "organization" or "boundary".
func (s *Server) Deny(by string, actions ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.simulated.denied == nil {
		s.simulated.denied = map[string]string{}
	}
	for _, action := range actions {
		s.simulated.denied[action] = map[string]string{
			"organization": "<OrganizationsDecisionDetail><AllowedByOrganizations>false</AllowedByOrganizations></OrganizationsDecisionDetail>",
			"boundary": "<PermissionsBoundaryDecisionDetail><AllowedByPermissionsBoundary>false</AllowedByPermissionsBoundary>" +
				"</PermissionsBoundaryDecisionDetail>",
		}[by]
	}
}

// DependOn has IAM's simulator deny an action for want of a context key's value.
func (s *Server) DependOn(key, action string) {
	s.set(func() { s.simulated.missing = map[string]string{action: key} })
}

// Caller sets whose credentials are used, by the ARN. Default: the user ann.
func (s *Server) Caller(arn string) { s.set(func() { s.simulated.caller = arn }) }

func (s *Server) callerARN() string {
	if s.simulated.caller != "" {
		return s.simulated.caller
	}
	return "arn:aws:iam::" + Account + ":user/ann"
}

// simulate answers SimulatePrincipalPolicy, an element for each action.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
func (s *Server) simulate(r *http.Request) string {
	var results strings.Builder
	for i := 1; r.Form.Has(fmt.Sprintf("ActionNames.member.%d", i)); i++ {
		action := r.Form.Get(fmt.Sprintf("ActionNames.member.%d", i))
		decision, more := "allowed", ""
		if detail, denied := s.simulated.denied[action]; denied || s.broken[LinkPermissions] {
			decision, more = "implicitDeny", detail
		}
		if key := s.simulated.missing[action]; key != "" {
			decision, more = "implicitDeny", "<MissingContextValues><member>"+key+"</member></MissingContextValues>"
		}
		fmt.Fprintf(&results, "<member><EvalActionName>%s</EvalActionName><EvalResourceName>%s</EvalResourceName>"+
			"<EvalDecision>%s</EvalDecision>%s</member>", action, html.EscapeString(r.Form.Get("ResourceArns.member.1")), decision, more)
	}
	return `<SimulatePrincipalPolicyResponse><SimulatePrincipalPolicyResult><EvaluationResults>` + results.String() +
		`</EvaluationResults></SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>`
}

// role answers GetRole: every role has a path.
func (s *Server) role(r *http.Request) string {
	name := r.Form.Get("RoleName")
	return `<GetRoleResponse><GetRoleResult><Role><RoleName>` + name + `</RoleName><Arn>arn:aws:iam::` + Account + `:role/some/path/` +
		name + `</Arn></Role></GetRoleResult></GetRoleResponse>`
}
