package authz

import (
	"regexp"
	"strings"
)

// Requirement is a grant that AWS asks for although nothing that runs uses it.
type Requirement struct {
	// Principal ends the principal that the grant is for; empty in a role's policy.
	Principal string
	// Policy ends the name of the policy, Statement is the statement's Sid, and Resource what its resource matches. Empty, and nil: any.
	Policy, Statement string
	Resource          *regexp.Regexp
	// Action is the action as the statement has it.
	Action string
	// Reason is AWS's, and Source the page that gives it.
	Reason, Source string
}

// The pages that say what a Distributed Map takes, and how the state machine of its children is called.
const (
	mapPolicies  = "https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html"
	mapMachine   = "https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html"
	writerReason = "A ResultWriter writes a large result in parts, and lists and aborts those that it can't complete; AWS's policy for it " +
		"has all four."
)

// ofExecutions are a state machine's executions, without the children of its Maps, and plain is a state machine without the label of one.
var (
	ofExecutions = regexp.MustCompile(`:execution:[^/:]+:\*$`)
	plain        = regexp.MustCompile(`:stateMachine:[^/:]+$`)
)

// Required are all grants that no call of the local run uses. A grant that is neither used nor here is one too many.
func Required() []Requirement {
	return []Requirement{{
		Principal: ":root",
		Action:    "kms:*",
		Reason: "A key policy that doesn't let the account's IAM policies govern the key can lock everybody out of it, " +
			"the account's owner too; only AWS Support could fix that.",
		Source: "https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html",
	}, {
		Statement: "FollowChildren", Action: "states:DescribeExecution", Resource: ofExecutions,
		Reason: "AWS's policy for a Distributed Map names its children by the form without their Map's label.", Source: mapPolicies,
	}, {
		Statement: "FollowChildren", Action: "states:StopExecution", Resource: ofExecutions,
		Reason: "As above.", Source: mapPolicies,
	}, {
		Statement: "WriteResults", Action: "s3:AbortMultipartUpload", Reason: writerReason, Source: mapPolicies,
	}, {
		Statement: "WriteResults", Action: "s3:GetObject", Reason: writerReason, Source: mapPolicies,
	}, {
		Statement: "WriteResults", Action: "s3:ListMultipartUploadParts", Reason: writerReason, Source: mapPolicies,
	}, {
		Policy: "-backfill-report", Action: "states:SendTaskFailure", Resource: plain,
		Reason: "The state machine of a Map's children is named with the label, and AWS doesn't say which of both names a token's is.",
		Source: mapMachine,
	}, {
		Policy: "-backfill-report", Action: "states:SendTaskHeartbeat", Resource: plain, Reason: "As above.", Source: mapMachine,
	}, {
		Policy: "-backfill-report", Action: "states:SendTaskSuccess", Resource: plain, Reason: "As above.", Source: mapMachine,
	}}
}

// RequirementOf gives the requirement that a grant meets.
func RequirementOf(g Grant) (Requirement, bool) {
	for _, r := range Required() {
		if g.Action == r.Action && r.meets(g) {
			return r, true
		}
	}
	return Requirement{}, false
}

func (r Requirement) meets(g Grant) bool {
	return strings.HasSuffix(g.Principal, r.Principal) && strings.HasSuffix(g.Policy, r.Policy) &&
		(r.Statement == "" || g.Statement == r.Statement) && (r.Resource == nil || r.Resource.MatchString(g.Resource))
}
