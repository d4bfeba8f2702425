package authz

import "strings"

// Requirement is a grant that AWS asks for although nothing that runs uses it.
type Requirement struct {
	// Principal ends the principal that the grant is for.
	Principal string
	// Action is the action as the statement has it.
	Action string
	// Reason is AWS's, and Source the page that gives it.
	Reason, Source string
}

// Required are all grants that no call of the local run uses. A grant that is neither used nor here is one too many.
func Required() []Requirement {
	return []Requirement{{
		Principal: ":root",
		Action:    "kms:*",
		Reason: "A key policy that doesn't let the account's IAM policies govern the key can lock everybody out of it, " +
			"the account's owner too; only AWS Support could fix that.",
		Source: "https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html",
	}}
}

// RequirementOf gives the requirement that a grant meets.
func RequirementOf(g Grant) (Requirement, bool) {
	for _, r := range Required() {
		if g.Action == r.Action && strings.HasSuffix(g.Principal, r.Principal) {
			return r, true
		}
	}
	return Requirement{}, false
}
