// Package machine is the state machine as pure Go: from a plain [Description] it makes the definition in the States Language, the
// table of its [Route]s, and the times that they can take (requirements A1, A34, A35, B1 to B10).
package machine

import (
	"cmp"
	"maps"
	"time"

	"example.com/upload-router/components/routing"
	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/partition"
)

// The names of the states, as people read them in the console and in notices.
const (
	stateCheck       = "Check file size"
	stateChoose      = "Choose route"
	stateFunction    = "Invoke Lambda function"
	stateBegin       = "Begin"
	stateTrace       = "Look up the trace"
	stateChooseTask  = "Choose task"
	stateTask        = "Run Fargate task"
	stateTaskStopped = "Retry task?"
	stateTaskWait    = "Wait before retry"
	stateAnswered    = "Duplicate?"
	stateAnswer      = "Read the answer"
	stateSuccess     = "Notify success"
	stateProcessed   = "File processed"
	stateFailure     = "Notify failure"
	stateFailed      = "File failed"
	stateReject      = "Notify rejected event"
	stateRejected    = "Event rejected"

	// What is written to the ledger besides the beginning.
	stateSkip         = "Record folder marker"
	stateFolder       = "Folder marker"
	stateRecord       = "Record failure"
	stateRecordBefore = "Record failure before the beginning"
	stateCountLater   = "Count later duplicate"
	stateCount        = "Count duplicate"
	stateDuplicate    = "Already processed"

	// With task slots.
	stateSlot       = "Take a slot"
	stateSlotSpread = "Spread the wait"
	stateSlotWait   = "Wait for a slot"
	stateSlotBack   = "Return the slot"
	stateSlotFailed = "Return the failed task's slot"
)

// The integrations that the definition uses, as the partition aws names them.
const (
	ResourceLambda = "arn:aws:states:::lambda:invoke"
	// ResourceECS waits for the end of the task's container, ResourceECSCallback for the task's own word.
	ResourceECS         = "arn:aws:states:::ecs:runTask.sync"
	ResourceECSCallback = "arn:aws:states:::ecs:runTask.waitForTaskToken"
	ResourceSNS         = "arn:aws:states:::sns:publish"
	ResourceUpdateItem  = "arn:aws:states:::dynamodb:updateItem"
	ResourceDescribe    = "arn:aws:states:::aws-sdk:sfn:describeExecution"
)

// errorPath is where a caught error goes: beside the event, not in its place.
const errorPath = "$.error"

// Description are the decisions and limits that a state machine is made of.
type Description routing.Description

// References are what the definition names (requirement A34's placeholders).
type References struct {
	// Partition is the partition that the integrations are named in. Empty: aws.
	Partition         string
	FunctionARN       string
	ClusterARN        string
	TaskDefinitionARN string
	SubnetIDs         []string
	SecurityGroupID   string
	TopicARN          string
	// TableName is the ledger's table.
	TableName string

	// BackfillBucket is the bucket with the lists of a backfill and its results. Required of [Backfill], and only its.
	BackfillBucket string
	// Keys are the globs of which a key must match one for [Backfill] to process it when it lists a bucket, as those of a route; none for
	// any.
	Keys []string

	// child says that the states are those of a file of a backfill.
	child bool
}

// event is where the states read the event.
func (to References) event() event {
	if to.child {
		return ofData
	}
	return ofInput
}

// failed is the state behind the record of a failure.
func (to References) failed() string {
	if to.child {
		return stateRedrives
	}
	return stateFailure
}

// integration names an integration in the partition.
func (to References) integration(name string) string {
	return partition.Rename(name, cmp.Or(to.Partition, partition.Standard))
}

// Definition is the state machine.
//
//   - An event without bucket, key or size is rejected.
//   - A folder marker, which the console makes for a folder, is recorded and left alone.
//   - Any other object takes the first route whose condition it meets.
//   - Transient errors are tried again; any other failure is announced and ends
//     the execution FAILED, so that its alarm goes off (requirements B2 and A39,
//     and the contradiction between them).
func Definition(d Description, to References) *asl.Machine {
	states := d.processing(to, d.check(unusable()), failure(to), rejection(to))
	return &asl.Machine{
		Comment: d.comment("Processes an uploaded file with Lambda or Fargate, by its size",
			"Processes an uploaded file by one of its routes"),
		StartAt:        d.checkState(),
		TimeoutSeconds: seconds(d.ExecutionTimeout),
		States:         states,
	}
}

// processing are the states of all routes, and of those parts.
func (d Description) processing(to References, parts ...map[string]asl.State) map[string]asl.State {
	states := map[string]asl.State{}
	parts = append(parts, d.answers(), d.ledgerStates(to))
	if d.NotifySuccess {
		parts = append(parts, success(to))
	}
	if len(d.taskRows()) > 0 {
		parts = append(parts, d.taskStates(to))
	}
	for _, r := range d.Rows() {
		parts = append(parts, r.own(to))
	}
	for _, part := range parts {
		maps.Copy(states, part)
	}
	for _, r := range d.Rows() {
		link(states, r)
	}
	return states
}

// own are the states of a route that no other one has.
func (r Row) own(to References) map[string]asl.State {
	if !r.isTask() {
		return r.function(to)
	}
	states := map[string]asl.State{r.state(stateTask): r.runTask(to)}
	if r.queues() {
		maps.Copy(states, r.slots(to))
	}
	return states
}

// bySize says whether the size decides alone.
func (d Description) bySize() bool { return !d.has(func(r Row) bool { return len(r.Keys) > 0 }) }

// isThreshold says whether there are the two routes of a size threshold.
func (d Description) isThreshold() bool {
	return d.has(func(r Row) bool { return r.Name == RouteLambda }) && d.has(func(r Row) bool { return r.Name == RouteFargate })
}

// comment is the one of both for the routes.
func (d Description) comment(ofThreshold, ofRoutes string) string {
	if d.isThreshold() {
		return ofThreshold
	}
	return ofRoutes
}

// checkState is the state that decides.
func (d Description) checkState() string {
	if d.bySize() {
		return stateCheck
	}
	return stateChoose
}

// link leads through the states of a route. The last one ends the execution. Whose failure doesn't matter there leads on all the
// same, behind the last one to a state of its own: a Catch can't end an execution.
func link(states map[string]asl.State, r Row) {
	steps := r.route().Steps
	for i, step := range steps {
		next := ""
		if i+1 < len(steps) {
			next = steps[i+1].State
		}
		switch s := states[step.State].(type) {
		case *asl.Pass:
			s.Next, s.End = next, next == ""
		case *asl.Task:
			s.Next, s.End = next, next == ""
			for c := range s.Catch {
				if s.Catch[c].Next != "" {
					continue
				}
				if s.Catch[c].Next = next; next == "" {
					s.Catch[c].Next, states[stateProcessed] = stateProcessed, &asl.Succeed{}
				}
			}
		case *asl.Choice:
			switch step.State {
			case r.checkState():
				r.choose(s, next)
			case stateChooseTask:
				r.chooseTask(s, next)
			default:
				s.Default = next
			}
		}
	}
}

// choose has a Choice take the route for an object that meets all its conditions. Which of several Fargate routes it is, a variable tells
// the states that they share. Each of them has a rule, the last one, too: of an Assign of the whole state the guide says that it holds
// whatever rule is met, and the specification that it holds only if none is.
// https://docs.aws.amazon.com/step-functions/latest/dg/state-choice.html
// https://states-language.net/#choice-state
func (r Row) choose(s *asl.Choice, next string) {
	conditions := r.conditions()
	told := r.isTask() && r.choosesTask()
	if len(conditions) == 0 && !told {
		s.Default = next
		return
	}
	if len(conditions) == 0 {
		conditions = []asl.Rule{{Comment: "any other", Variable: keyPath, Operator: asl.IsPresent, Value: true}}
	}
	rule := allOf(conditions...)
	if rule.Next = next; told {
		rule.Assign = map[string]any{variableRoute: r.Name}
	}
	s.Choices = append(s.Choices, rule)
}

// allOf is met if all rules are, anyOf if one of them is.
func allOf(rules ...asl.Rule) asl.Rule {
	if len(rules) == 1 {
		return rules[0]
	}
	return asl.Rule{And: rules}
}

func anyOf(rules ...asl.Rule) asl.Rule {
	if len(rules) == 1 {
		return rules[0]
	}
	return asl.Rule{Or: rules}
}

const (
	sizePath = "$.detail.object.size"
	keyPath  = "$.detail.object.key"
)

// check is the decision that it is all about. The guards come first: a later rule, and the ledger, may rely on what they found
// (requirements A1 and C9).
func (d Description) check(guards ...asl.Rule) map[string]asl.State {
	return map[string]asl.State{d.checkState(): &asl.Choice{
		Comment: d.comment("Files up to the threshold go to Lambda, larger ones to Fargate",
			"A file takes the first route whose condition it meets"),
		Choices: append(guards, folderMarker()),
	}}
}

// folderMarker is for what the console's "Create folder" and other tools put in a bucket for a folder: an object without content
// whose key ends with a slash. A pattern of the rule can't say it: what a key ends with isn't enough, and size may not be in a
// pattern, whose numbers end at 5e9.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-folders.html
func folderMarker() asl.Rule {
	return asl.Rule{
		Comment: "a folder marker",
		And: []asl.Rule{
			{Variable: keyPath, Operator: asl.StringMatches, Value: "*/"},
			{Variable: sizePath, Operator: asl.NumericEquals, Value: 0},
		},
		Next: stateSkip,
	}
}

// unusable is for events that no S3 bucket sends.
func unusable() asl.Rule {
	const bucket, key = "$.detail.bucket.name", keyPath
	is := func(variable string, operator asl.Operator) asl.Rule {
		return asl.Rule{Variable: variable, Operator: operator, Value: true}
	}
	return asl.Rule{
		Comment: "no bucket, key or size",
		Not: &asl.Rule{And: []asl.Rule{
			is(bucket, asl.IsPresent), is(bucket, asl.IsString),
			is(key, asl.IsPresent), is(key, asl.IsString),
			is(sizePath, asl.IsPresent), is(sizePath, asl.IsNumeric),
		}},
		Next: stateReject,
	}
}

// catchAll catches what can be caught. The wildcard leaves out an answer that is
// larger than Step Functions takes, which a processor may well give (requirement C8).
func catchAll(path asl.Path, next string) []asl.Catcher {
	return []asl.Catcher{
		{ErrorEquals: []string{asl.ErrorDataLimitExceeded}, ResultPath: path, Next: next},
		{ErrorEquals: []string{asl.ErrorAll}, ResultPath: path, Next: next},
	}
}

// goOn leads everything to the next state, whether the call works or not; an empty one is the next of the route.
func goOn(task *asl.Task, next string) *asl.Task {
	task.Catch = []asl.Catcher{{ErrorEquals: []string{asl.ErrorAll}, ResultPath: asl.Discard, Next: next}}
	task.Next = next
	return task
}

func seconds(d time.Duration) int { return int(d / time.Second) }
