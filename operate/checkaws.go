package operate

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"example.com/upload-router/internal/partition"
)

// CheckAWSOptions configure [CheckAWS].
type CheckAWSOptions struct {
	// Definition is the state machine that is asked about.
	Definition []byte
	// AWS is the account and the Region that are asked.
	AWS aws.Config
	// RoleARN is a role of Step Functions' that Pass, Choice, Succeed and Fail states are tested with. Default: none, which may leave these
	// unknown.
	RoleARN string
	// OnCheck hears of each check as it ends, in order. Default: nobody.
	OnCheck func(Check)
	// Timeout is for one request. Default: 30 s.
	Timeout time.Duration
}

// The permissions that [CheckAWS] asks AWS with.
const (
	actionValidate  = "states:ValidateStateMachineDefinition"
	actionTestState = "states:TestState"
)

// CheckAWSPermissions are the permissions that [CheckAWS] takes; with a role, iam:PassRole for it as well.
func CheckAWSPermissions() []string { return []string{actionValidate, actionTestState} }

// CheckAWS asks Step Functions whether it takes a definition, and whether its states do what the interpreter here does: each
// state that rehearsed executions went through is tested with the input and the result that it had there, and so are small states
// for what is documented nowhere, or differently in several places. Nothing is made, started or changed: a task's result is given
// to TestState, which calls nothing then.
//
// A check that fails is a difference between AWS and the interpreter. The error is for what can't be checked at all, and matches
// [ErrInput] for a definition that can't be read.
// https://docs.aws.amazon.com/step-functions/latest/dg/test-state-isolation.html
func CheckAWS(ctx context.Context, options CheckAWSOptions) (Comparison, error) {
	options.Timeout = cmp.Or(options.Timeout, 30*time.Second)
	visits, err := rehearse(ctx, options.Definition)
	if err != nil {
		return Comparison{}, err
	}
	own, _ := partition.OfRegion(options.AWS.Region)
	probed, err := probes(ctx, own.Name)
	if err != nil {
		return Comparison{}, err
	}
	c := &awsCheck{checks: checks{onCheck: options.OnCheck}, options: options, client: sfn.NewFromConfig(options.AWS, func(o *sfn.Options) {
		if o.BaseEndpoint != nil { // an endpoint of one's own has no other name for TestState, which AWS has at sync-states
			o.APIOptions = append(o.APIOptions, withoutHostPrefix)
		}
	})}
	tests := slices.Concat(visits, probed)
	c.validate(ctx)
	for _, t := range tests {
		if ctx.Err() == nil && !c.refused {
			c.test(ctx, t)
		}
	}
	c.forms(ctx, own.Name)
	compared := Comparison{Diagnosis: Diagnosis{c.done}, Total: 1 + len(tests) + len(resultForms)}
	if ctx.Err() != nil {
		return compared, fmt.Errorf("asking AWS: %w", ErrCanceled)
	}
	return compared, nil
}

// Comparison is what [CheckAWS] found.
type Comparison struct {
	Diagnosis
	// Total is how many checks there are, those included that were left out as AWS refuses all of their kind.
	Total int `json:"total"`
}

// Answered is how many checks AWS gave an answer to.
func (c Comparison) Answered() int {
	answered := 0
	for _, check := range c.Checks {
		if check.Status != CheckUnknown {
			answered++
		}
	}
	return answered
}

// Same says whether AWS gave an answer to every check, and each time the interpreter's.
func (c Comparison) Same() bool { return c.Ready() && c.Answered() == c.Total }

// withoutHostPrefix has a client use an endpoint as it is.
func withoutHostPrefix(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("WithoutHostPrefix", func( //nolint:wrapcheck // it is the SDK's own
		ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
	) (middleware.InitializeOutput, middleware.Metadata, error) {
		return next.HandleInitialize(smithyhttp.DisableEndpointHostPrefix(ctx, true), in)
	}), middleware.Before)
}

// awsCheck gathers checks.
type awsCheck struct {
	checks

	options CheckAWSOptions
	client  *sfn.Client
	refused bool // TestState may not be called, or nobody answers: a hundred more requests would say no more
}

const fixDifference = "tell the project: the local run and its tests believe what isn't so"

// validate has Step Functions validate the definition.
// https://docs.aws.amazon.com/step-functions/latest/apireference/API_ValidateStateMachineDefinition.html
func (c *awsCheck) validate(ctx context.Context) {
	const name = "Definition"
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	answer, err := c.client.ValidateStateMachineDefinition(ctx, &sfn.ValidateStateMachineDefinitionInput{
		Definition: aws.String(string(c.options.Definition)), Type: sfntypes.StateMachineTypeStandard,
		Severity: sfntypes.ValidateStateMachineDefinitionSeverityWarning,
	})
	if err != nil {
		c.unanswered(name, actionValidate, err)
		return
	}
	var said []string
	for _, d := range answer.Diagnostics {
		said = append(said, strings.TrimSpace(fmt.Sprintf("%s %s: %s %s", d.Severity, aws.ToString(d.Code), aws.ToString(d.Message),
			aws.ToString(d.Location))))
	}
	if answer.Result == sfntypes.ValidateStateMachineDefinitionResultCodeFail {
		c.failed(name, "Step Functions refuses it: "+strings.Join(said, "; "), "a deployment fails with it", "upload-router diagram shows it")
		return
	}
	found := "Step Functions takes it"
	if len(said) > 0 {
		found += ", and says: " + strings.Join(said, "; ")
	}
	c.ok(name, found)
}

// unanswered is for what AWS doesn't let us see.
func (c *awsCheck) unanswered(name, permission string, err error) {
	fix := fixAsking(err, "upload-router check-aws, once more")
	if hasCode(err, "AccessDeniedException", "AccessDenied") {
		fix = "give the credentials the permission " + permission
	}
	// Without an answer none of the two is answered, and one that is refused whatever it is asked about says nothing of the other.
	response, _ := errors.AsType[*smithyhttp.ResponseError](err)
	if response == nil || response.HTTPStatusCode() == 0 || permission == actionTestState && !depends(err) {
		c.refused = true
	}
	c.unknown(name, shorten(lastCause(err)), "it could not be asked", fix)
}

// depends says whether another state, or another moment, may be answered.
func depends(err error) bool {
	return hasCode(err, "ValidationException", "InvalidDefinition", "InvalidExecutionInput") || !permanent(err) && isAWS(err)
}

// isAWS says whether an error is one of AWS's own.
func isAWS(err error) bool {
	_, ok := errors.AsType[smithy.APIError](err)
	return ok
}

// stateTest is a state with what it is given and what the interpreter makes of it.
type stateTest struct {
	name string
	// definition is the state's, or a machine's with stateName.
	definition, stateName string
	input                 string
	// context is the context object, result the task's result, failure its error: for tasks, which have either.
	context, result string
	failure         *sfntypes.MockErrorOutput
	retries         int32 // before the failure
	// noForm lets a result be one that the task's API doesn't have.
	noForm bool
	want   outcome
}

// outcome is how a state ended.
type outcome struct {
	Status sfntypes.TestExecutionStatus
	Output string
	Next   string
	Error  string
	Cause  string
}

// test asks for one state, and compares.
func (c *awsCheck) test(ctx context.Context, t stateTest) {
	got, form, err := c.ask(ctx, t)
	if err != nil {
		c.unasked(t, err)
		return
	}
	differences := t.want.differs(got)
	if form != "" {
		differences = append(differences, "it doesn't take the result's form: "+form)
	}
	if len(differences) > 0 {
		c.failed(t.name, "AWS differs: "+strings.Join(differences, "; "),
			"the interpreter stands in for Step Functions in the local run and in the tests", fixDifference)
		return
	}
	c.ok(t.name, t.want.String())
}

// unasked is for a state that could not be tested.
func (c *awsCheck) unasked(t stateTest, err error) {
	if hasCode(err, "ValidationException") && !t.isTask() && c.options.RoleARN == "" {
		c.unknown(t.name, shorten(lastCause(err)), "Step Functions may want a role to test a state whose result isn't given",
			"upload-router check-aws --role with the ARN of a role that Step Functions may take, which needs no permissions")
		return
	}
	c.unanswered(t.name, actionTestState, err)
}

func (t stateTest) isTask() bool { return t.result != "" || t.failure != nil }

// ask has Step Functions test a state. A result whose form it refuses is given
// again without a check of the form; form is why it was refused.
func (c *awsCheck) ask(ctx context.Context, t stateTest) (got outcome, form string, err error) {
	mode := sfntypes.MockResponseValidationModeStrict
	if t.noForm {
		mode = sfntypes.MockResponseValidationModeNone
	}
	answer, err := c.testState(ctx, t, mode)
	if hasCode(err, "ValidationException") && t.result != "" && !t.noForm {
		form = shorten(lastCause(err))
		answer, err = c.testState(ctx, t, sfntypes.MockResponseValidationModeNone)
	}
	if err != nil {
		return outcome{}, "", err
	}
	return outcome{
		Status: answer.Status, Output: aws.ToString(answer.Output), Next: aws.ToString(answer.NextState),
		Error: aws.ToString(answer.Error), Cause: aws.ToString(answer.Cause),
	}, form, nil
}

func (c *awsCheck) testState(
	ctx context.Context, t stateTest, mode sfntypes.MockResponseValidationMode,
) (*sfn.TestStateOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	input := &sfn.TestStateInput{Definition: &t.definition, Input: &t.input, InspectionLevel: sfntypes.InspectionLevelInfo}
	if t.stateName != "" {
		input.StateName = &t.stateName
	}
	if t.isTask() {
		input.Mock = &sfntypes.MockInput{FieldValidationMode: mode}
		if t.failure != nil {
			input.Mock.ErrorOutput = t.failure
			input.StateConfiguration = &sfntypes.TestStateConfiguration{RetrierRetryCount: &t.retries}
		} else {
			input.Mock.Result = &t.result
		}
		if t.context != "" {
			input.Context = &t.context
		}
	} else if c.options.RoleARN != "" {
		input.RoleArn = &c.options.RoleARN
	}
	answer, err := c.client.TestState(ctx, input)
	if err != nil {
		return nil, fmt.Errorf("testing the state %s: %w", t.name, err)
	}
	return answer, nil
}

// String says how a state ended, in short.
func (o outcome) String() string {
	switch {
	case o.Next != "":
		return fmt.Sprintf("%s, then %s", strings.ToLower(string(o.Status)), o.Next)
	case o.Error != "":
		return fmt.Sprintf("%s with %s", strings.ToLower(string(o.Status)), o.Error)
	}
	return fmt.Sprintf("%s with %s", strings.ToLower(string(o.Status)), shorten(o.Output))
}

// differs says what AWS has otherwise.
func (o outcome) differs(got outcome) []string {
	var out []string
	for _, part := range []struct{ name, want, got string }{
		{"status", string(o.Status), string(got.Status)}, {"next state", o.Next, got.Next}, {"error", o.Error, got.Error},
		{"cause", ownCause(o.Cause), ownCause(got.Cause)},
	} {
		if part.want != part.got {
			out = append(out, fmt.Sprintf("%s %q, the interpreter %q", part.name, part.got, part.want))
		}
	}
	if o.Output != "" && !sameJSON(o.Output, got.Output) {
		out = append(out, fmt.Sprintf("output %s, the interpreter %s", shorten(got.Output), shorten(o.Output)))
	}
	return out
}

// whereIt is how a cause begins that says in which state of which history it was: a state that is tested has no history.
var whereIt = regexp.MustCompile(`^An error occurred while executing the state '.*?' \(entered at the event id #\d+\)\. `)

func ownCause(cause string) string { return whereIt.ReplaceAllString(cause, "") }

// sameJSON compares values: the order of an object's fields says nothing, and neither does a number's form.
func sameJSON(a, b string) bool {
	var x, y any
	if err := errors.Join(json.Unmarshal([]byte(a), &x), json.Unmarshal([]byte(b), &y)); err != nil {
		return a == b
	}
	return reflect.DeepEqual(x, y)
}

// forms asks which spelling of a result Step Functions takes where its
// documentation leaves it open. Either is no fault: the definition reads both.
func (c *awsCheck) forms(ctx context.Context, in string) {
	for _, f := range resultForms {
		if c.refused || ctx.Err() != nil {
			return
		}
		definition := fmt.Sprintf(`{"Type":"Task","Resource":%q,"Parameters":%s,"End":true}`, partition.Rename(f.resource, in), f.parameters)
		var taken, refused []string
		var failed error
		for _, result := range f.results {
			_, err := c.testState(ctx, stateTest{
				name: f.name, definition: definition, input: "{}", result: result,
			}, sfntypes.MockResponseValidationModeStrict)
			switch {
			case err == nil:
				taken = append(taken, result)
			case hasCode(err, "ValidationException"):
				refused = append(refused, result)
			default:
				failed = err
			}
		}
		if failed != nil {
			c.unanswered(f.name, actionTestState, failed)
			continue
		}
		found := "taken: " + orNone(taken) + "; refused: " + orNone(refused)
		if len(taken) == 0 {
			c.failed(f.name, found, "the definition reads one of these", fixDifference)
			continue
		}
		c.ok(f.name, found)
	}
}

func orNone(texts []string) string {
	if len(texts) == 0 {
		return "none"
	}
	return strings.Join(texts, " and ")
}
