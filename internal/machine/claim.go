package machine

import (
	"fmt"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/claimtable"
)

// claimed is the condition under which an object may be claimed: nobody has; or by an older event; or by this one, and the claim
// is the execution's own (a redrive, or a call whose answer was lost), was given back by a failure, or was left by a run that is
// over.
const claimed = "attribute_not_exists(#object) OR #sequencer < :sequencer OR (#sequencer = :sequencer AND " +
	"(#execution = :me OR #status = :failed OR (#status = :working AND #leaseUntil < :now)))"

// claim has an object processed by one execution, although EventBridge delivers events more than once, and in any order. Each
// version of an object has a claim of its own. Of a key without versions there is one, and the events' sequencers tell which is
// the newer.
//
// Whoever finds the object claimed ends SUCCEEDED and names the other execution. When DynamoDB doesn't answer the object is not
// processed, which is announced: processing it twice would not be.
func (d Description) claim(to References) map[string]asl.State {
	return map[string]asl.State{
		stateClaimNote: d.noteClaim(),
		stateClaim:     to.takeClaim(),
		stateClaimLook: to.lookAtClaim(),
		stateClaimWhose: &asl.Choice{
			Comment: "Another execution has the object, or had it",
			Choices: []asl.Rule{
				{Variable: "$.claim.found.Item", Operator: asl.IsPresent, Value: false, Next: stateClaimAgain},
				compare(claimtable.Sequencer, "S", asl.StringGreaterThanPath, "$.claim.sequencer", stateSuperseded),
				ofThisEvent("processed", is(claimtable.Done), stateDuplicate),
				ofThisEvent("being processed", asl.Rule{And: []asl.Rule{
					is(claimtable.Working),
					// Seconds of ten digits, until the year 2286, which compare as text as they do as numbers.
					compare(claimtable.LeaseUntil, "N", asl.StringGreaterThanEqualsPath, "$.claim.now", ""),
				}}, stateInProgress),
			},
			Default: stateClaimAgain,
		},
		stateClaimAgain: &asl.Choice{
			Comment: "The claim was given back meanwhile",
			Choices: []asl.Rule{{
				Variable: "$.claim.try", Operator: asl.NumericLessThan, Value: ClaimAttempts, Next: stateClaimNote,
			}},
			Default: stateContested,
		},
		stateContested: &asl.Pass{
			Result:     map[string]any{"Error": errorCondition, "Cause": "The object's claim kept changing hands."},
			ResultPath: errorPath,
			Next:       stateClaimGone,
		},
		stateClaimGone:  d.routeFailed("none: the object could not be claimed", stateClaimFree),
		stateDuplicate:  duplicate(claimtable.AlreadyProcessed),
		stateInProgress: duplicate(claimtable.BeingProcessed),
		stateSuperseded: duplicate(claimtable.Superseded),
		stateClaimDone:  goOn(to.settle(claimtable.Done), ""),
		stateClaimFree:  goOn(to.settle(claimtable.Failed), stateFailure),
	}
}

// found is where an attribute of the claim that is there was put.
func found(attribute, kind string) string { return "$.claim.found.Item." + attribute + "." + kind }

func compare(attribute, kind string, operator asl.Operator, with, next string) asl.Rule {
	return asl.Rule{Variable: found(attribute, kind), Operator: operator, Value: with, Next: next}
}

func is(status string) asl.Rule {
	return asl.Rule{Variable: found(claimtable.Status, "S"), Operator: asl.StringEquals, Value: status}
}

// ofThisEvent is for a claim of the same event.
func ofThisEvent(comment string, rule asl.Rule, next string) asl.Rule {
	same := compare(claimtable.Sequencer, "S", asl.StringEqualsPath, "$.claim.sequencer", "")
	return asl.Rule{Comment: comment, And: []asl.Rule{same, rule}, Next: next}
}

// noteClaim computes what the claim is made of, with the time, for which only JSONata has a function. The sequencer of a version
// is left out: it has but one event, and a copy of that, made by hand, may lack it.
func (d Description) noteClaim() *asl.Pass {
	lease := seconds(ClaimLease(d.ExecutionTimeout))
	const object = "$states.input.detail.object"
	after := func(n int) string { return fmt.Sprintf("$string($floor($millis() / 1000) + %d)", n) }
	return &asl.Pass{
		Comment:       "The time is from JSONata, as JSONPath has no clock",
		QueryLanguage: asl.LanguageJSONata,
		Output: "{% $merge([$states.input, {'claim': {" +
			"'object': $states.input.detail.bucket.name & '\\n' & " + object + ".key, " +
			"'version': $exists(" + object + ".`version-id`) ? " + object + ".`version-id` : '" + claimtable.NoVersion + "', " +
			"'sequencer': $exists(" + object + ".sequencer) ? ($exists(" + object + ".`version-id`) ? " +
			"(" + object + ".`version-id` = '" + claimtable.NoVersion + "' ? " + object + ".sequencer : '') : " +
			object + ".sequencer) : '', " +
			"'now': " + after(0) + ", 'lease': " + after(lease) + ", " +
			"'expires': " + after(lease+seconds(ClaimRetention)) + ", " +
			"'try': $exists($states.input.claim) ? $states.input.claim.try + 1 : 1}}]) %}",
		Next: stateClaim,
	}
}

func (to References) takeClaim() *asl.Task {
	take := to.call(ResourcePutItem, map[string]any{
		"Item": map[string]any{
			claimtable.HashKey:    text("$.claim.object"),
			claimtable.RangeKey:   text("$.claim.version"),
			claimtable.TTL:        map[string]any{"N.$": "$.claim.expires"},
			claimtable.Execution:  text("$$.Execution.Id"),
			claimtable.Sequencer:  text("$.claim.sequencer"),
			claimtable.Status:     word(claimtable.Working),
			claimtable.LeaseUntil: map[string]any{"N.$": "$.claim.lease"},
		},
		parameterCondition: claimed,
		parameterNames: names(
			claimtable.HashKey, claimtable.Execution, claimtable.Sequencer, claimtable.Status, claimtable.LeaseUntil),
		parameterValues: map[string]any{
			":me": text("$$.Execution.Id"), ":sequencer": text("$.claim.sequencer"), ":now": map[string]any{"N.$": "$.claim.now"},
			":working": word(claimtable.Working), ":failed": word(claimtable.Failed),
		},
	})
	take.Comment = "Fails if another execution has the object"
	take.Catch = append([]asl.Catcher{
		{ErrorEquals: []string{errorCondition}, ResultPath: asl.Discard, Next: stateClaimLook},
	}, catchAll(errorPath, stateClaimGone)...)
	return take
}

// lookAtClaim reads who has the object: the error of a condition that failed doesn't tell.
func (to References) lookAtClaim() *asl.Task {
	look := to.call(ResourceGetItem, map[string]any{
		parameterKey: itemKey("$.claim.object", "$.claim.version"), "ConsistentRead": true,
	})
	look.ResultPath = "$.claim.found"
	look.Catch = catchAll(errorPath, stateClaimGone)
	look.Next = stateClaimWhose
	return look
}

// settle writes how the work ended, if the claim is still the execution's own. A processed object stays one even if that can't be
// written; its claim then ends with its lease.
func (to References) settle(status string) *asl.Task {
	return to.call(ResourceUpdateItem, map[string]any{
		parameterKey:       itemKey("$.claim.object", "$.claim.version"),
		parameterUpdate:    "SET #status = :status",
		parameterCondition: "#execution = :me",
		parameterNames:     names(claimtable.Status, claimtable.Execution),
		parameterValues:    map[string]any{":status": word(status), ":me": text("$$.Execution.Id")},
	})
}

// duplicate ends an execution that has nothing to do.
func duplicate(outcome claimtable.Standing) *asl.Pass {
	return &asl.Pass{
		Parameters: map[string]any{
			"detail.$":  "$.detail",
			"duplicate": map[string]any{"outcome": string(outcome), "execution.$": found(claimtable.Execution, "S")},
		},
		End: true,
	}
}
