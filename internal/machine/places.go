package machine

import (
	"fmt"
	"strconv"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/claimtable"
)

// attributeHolders is the set of the executions that have a place.
const attributeHolders = "holders"

// place is the condition under which an execution gets a place: one is left, or
// it has one (a redrive, or a call whose answer was lost).
const place = "attribute_not_exists(#holders) OR size(#holders) < :most OR contains(#holders, :me)"

// errorNoPlace ends the wait for a place.
const errorNoPlace = "Upload.NoPlace"

// places bound how many tasks run at a time: who gets none waits for one. They are one item of the table, with a set of those who
// have one, of whom each takes itself out again whatever becomes of its task.
//
// Whoever is gone without that (timed out, aborted) is found by those who wait: each looks at one of the holders, drawn by lot,
// in each round, and takes it out if it doesn't run any more.
//
// A round is 34 events of the history: 14 for four tries to take a place, 5 each for the looks at the places and at a holder, 2
// each for the five states between them. Description.PlaceWait has at most 500 rounds, which are 17,000 of the 25,000 that an
// execution may have (requirement C46); retries of calls that DynamoDB has no capacity for come out of the rest.
func (d Description) places(to References) map[string]asl.State {
	return map[string]asl.State{
		statePlaceNote: &asl.Pass{
			Comment:       "The time is from JSONata, as JSONPath has no clock",
			QueryLanguage: asl.LanguageJSONata,
			Output: fmt.Sprintf("{%% $merge([$states.input, {'places': {'until': $fromMillis($millis() + %d)}}]) %%}",
				d.QueueTime().Milliseconds()),
			Next: statePlace,
		},
		statePlace: d.takePlace(to),
		statePlaceTime: &asl.Choice{
			Comment: "All places are taken",
			Choices: []asl.Rule{{
				Variable: "$$.State.EnteredTime", Operator: asl.TimestampGreaterThanPath, Value: "$.places.until", Next: statePlaceLate,
			}},
			Default: statePlaceLook,
		},
		statePlaceLate: &asl.Pass{
			Result: map[string]any{"Error": errorNoPlace, "Cause": fmt.Sprintf(
				"No place among %d tasks became free in %s. Raise maxParallelTasks or executionTimeout.", d.MaxParallelTasks, d.QueueTime())},
			ResultPath: errorPath,
			Next:       stateTaskGone,
		},
		statePlaceLook: to.lookAtPlaces(),
		statePlaceFull: &asl.Choice{
			Comment: "Does somebody have one? The set's type is SS in DynamoDB's API and Ss in the SDK that Step Functions is made with",
			Choices: []asl.Rule{
				somebodyHas("SS", statePlacePick),
				somebodyHas("Ss", statePlacePickSDK),
			},
			Default: statePlaceWait,
		},
		statePlacePick:    pickHolder("SS"),
		statePlacePickSDK: pickHolder("Ss"),
		statePlaceHolder:  to.lookAtHolder(),
		statePlaceAlive: &asl.Choice{
			Comment: "Whoever isn't known to have ended keeps its place",
			Choices: []asl.Rule{{Comment: "it has ended", Or: hasEnded(), Next: statePlaceReap}},
			Default: statePlaceWait,
		},
		statePlaceReap:   goOn(to.giveBack("$.places.holder"), statePlace),
		statePlaceWait:   &asl.Wait{Seconds: new(seconds(d.PlaceWait())), Next: statePlace},
		statePlaceBack:   goOn(to.giveBack("$$.Execution.Id"), ""),
		statePlaceFailed: goOn(to.giveBack("$$.Execution.Id"), d.announce()),
	}
}

// setOfHolders is where those who have a place were put, by the name that the answer has for the type of a set of strings.
func setOfHolders(kind string) string { return "$.places.found.Item." + attributeHolders + "." + kind }

func somebodyHas(kind, next string) asl.Rule {
	return asl.Rule{Comment: "somebody has one", Variable: setOfHolders(kind) + "[0]", Operator: asl.IsPresent, Value: true, Next: next}
}

// pickHolder draws one of those who have a place.
func pickHolder(kind string) *asl.Pass {
	set := setOfHolders(kind)
	return &asl.Pass{
		Parameters: map[string]any{
			"until.$":  "$.places.until",
			"holder.$": "States.ArrayGetItem(" + set + ", States.MathRandom(0, States.ArrayLength(" + set + ")))",
		},
		ResultPath: "$.places",
		Next:       statePlaceHolder,
	}
}

// hasEnded is any of the statuses of an execution that won't go on by itself.
// https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html
func hasEnded() []asl.Rule {
	is := make([]asl.Rule, 4)
	for i, status := range []string{"SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"} {
		is[i] = asl.Rule{Variable: "$.places.state.status", Operator: asl.StringEquals, Value: status}
	}
	return is
}

// placesKey is the key of the item. No object has it: theirs have a line break.
func placesKey() map[string]any {
	return map[string]any{claimtable.HashKey: word(claimtable.Places), claimtable.RangeKey: word(claimtable.PlacesOfTasks)}
}

// only is a set of one string, which is computed.
func only(path string) map[string]any { return map[string]any{"SS.$": "States.Array(" + path + ")"} }

func (d Description) takePlace(to References) *asl.Task {
	take := to.call(ResourceUpdateItem, map[string]any{
		parameterKey:       placesKey(),
		parameterUpdate:    "ADD #holders :mine",
		parameterCondition: place,
		parameterNames:     names(attributeHolders),
		parameterValues: map[string]any{
			":mine": only("$$.Execution.Id"), ":me": text("$$.Execution.Id"),
			":most": map[string]any{"N": strconv.Itoa(d.MaxParallelTasks)},
		},
	})
	take.Comment = "Fails if all places are taken"
	take.Retry[0] = PlaceRetries.of(errorCondition)
	take.Catch = append([]asl.Catcher{
		{ErrorEquals: []string{errorCondition}, ResultPath: asl.Discard, Next: statePlaceTime},
	}, catchAll(errorPath, stateTaskGone)...)
	return take
}

func (to References) lookAtPlaces() *asl.Task {
	look := to.call(ResourceGetItem, map[string]any{parameterKey: placesKey(), "ConsistentRead": true})
	look.ResultPath = "$.places.found"
	look.Catch = []asl.Catcher{{ErrorEquals: []string{asl.ErrorAll}, ResultPath: asl.Discard, Next: statePlaceWait}}
	look.Next = statePlaceFull
	return look
}

func (to References) lookAtHolder() *asl.Task {
	look := to.describeExecution("$.places.holder")
	look.ResultSelector = map[string]any{"status.$": "$.Status"}
	look.ResultPath = "$.places.state"
	look.Retry = []asl.Retrier{{ErrorEquals: []string{errorNoExecution}, MaxAttempts: new(0)}, ItemRetries.of(asl.ErrorAll)}
	look.Catch = []asl.Catcher{
		{ErrorEquals: []string{errorNoExecution}, ResultPath: asl.Discard, Next: statePlaceReap},
		// The answer has input and output, which may be too large together.
		{ErrorEquals: []string{asl.ErrorDataLimitExceeded}, ResultPath: asl.Discard, Next: statePlaceWait},
		{ErrorEquals: []string{asl.ErrorAll}, ResultPath: asl.Discard, Next: statePlaceWait},
	}
	look.Next = statePlaceAlive
	return look
}

// errorNoExecution is for a holder of more than 90 days ago.
const errorNoExecution = "Sfn.ExecutionDoesNotExistException"

// giveBack takes an execution out of those who have a place; without one it does nothing.
func (to References) giveBack(holder string) *asl.Task {
	return to.call(ResourceUpdateItem, map[string]any{
		parameterKey:    placesKey(),
		parameterUpdate: "DELETE #holders :gone",
		parameterNames:  names(attributeHolders),
		parameterValues: map[string]any{":gone": only(holder)},
	})
}
