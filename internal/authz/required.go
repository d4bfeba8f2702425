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

// Required are all grants that no call of the local run uses. A grant that is
// neither used nor here is one too many.
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

// Unused are the grants by which none of the decisions was made, but for the
// [Required] ones.
func Unused(grants []Grant, decisions []Decision) []Grant {
	used := map[string]bool{}
	for _, d := range decisions {
		for _, g := range d.Grants {
			used[g.Key()] = true
		}
	}
	var out []Grant
	for _, g := range grants {
		if _, required := RequirementOf(g); !required && !used[g.Key()] {
			out = append(out, g)
		}
	}
	return out
}
