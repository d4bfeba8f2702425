package operate

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/partition"
)

// probe is a small state for a rule that is documented nowhere, or that was measured once. What is right is what the interpreter
// makes of it, which the tests of package asl hold to its source.
type probe struct {
	name string
	// parameters and selector are the state's Parameters and ResultSelector, output that of one in JSONata.
	parameters, selector string
	output               string
	input, result        string
}

// probed are the rules that are asked for.
var probed = []probe{
	{name: "a path in Parameters that leads nowhere", parameters: `{"missing.$":"$.nope.deep"}`, input: `{"other":1}`},
	{name: "a path in ResultSelector that leads nowhere", selector: `{"missing.$":"$.nope.deep"}`, result: `{"other":1}`},
	{name: "a path to an element that an array doesn't have", selector: `{"missing.$":"$.list[7]"}`, result: `{"list":[1]}`},
	{name: "JSONata that gives nothing", output: `{% $states.input.nope %}`, input: `{"other":1}`},
	{name: "numbers put into text", selector: `{"text.$":"States.Format('{} {} {}', $.large, $.small, $.whole)"}`,
		result: `{"large":123456789012345680000,"small":0.0000001,"whole":5.0}`},
	{name: "numbers put into JSON text", selector: `{"text.$":"States.JsonToString($)"}`, result: `{"large":1e21,"small":1e-7,"whole":5.0}`},
	{name: "MathAdd of halves", result: `{}`,
		selector: `{"a.$":"States.MathAdd(-1.49, -1.5)","b.$":"States.MathAdd(-1.5, -1.51)","c.$":"States.MathAdd(-0.5, 0.5)"}`},
	{name: "StringToJson of nothing", selector: `{"value.$":"States.StringToJson($.text)"}`, result: `{"text":""}`},
	{name: "Base64Decode with spaces", selector: `{"value.$":"States.Base64Decode($.text)"}`, result: `{"text":"Y Q = ="}`},
	{name: "the order of a wildcard", selector: `{"value.$":"$.of.*"}`, result: `{"of":{"d":1,"a":2,"c":3,"b":4}}`},
	{name: "JSONata's arrays and numbers", output: `{% {'list': [$states.input.list], 'third': $string(1/3), 'sum': 'a' & (0.1+0.2)} %}`,
		input: `{"list":[1,2]}`},
}

// state is the probe as a state, of a task whose result is given, and that is not called.
func (p probe) state(in string) (json.RawMessage, error) {
	fields := map[string]any{"End": true}
	if p.output != "" {
		maps.Copy(fields, map[string]any{"Type": "Pass", "QueryLanguage": "JSONata", "Output": p.output})
	} else {
		maps.Copy(fields, map[string]any{
			"Type": "Task", "Resource": partition.Rename(machine.ResourceLambda, in), "Parameters": map[string]any{"FunctionName": "none"},
		})
	}
	for field, template := range map[string]string{"Parameters": p.parameters, "ResultSelector": p.selector} {
		if template != "" {
			fields[field] = json.RawMessage(template)
		}
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("writing the state of %q: %w", p.name, err)
	}
	return text, nil
}

// probes has the interpreter run each probe. One that it can't run is left out: there is nothing to compare.
func probes(ctx context.Context, in string) ([]stateTest, error) {
	var tests []stateTest
	for _, p := range probed {
		state, err := p.state(in)
		if err != nil {
			return nil, err
		}
		if p.input == "" {
			p.input = "{}"
		}
		if p.output == "" && p.result == "" {
			p.result = "{}"
		}
		definition := fmt.Appendf(nil, `{"StartAt":"Probe","States":{"Probe":%s}}`, state)
		result, err := interpret(ctx, definition, someTime, json.RawMessage(p.input), func(context.Context, asl.Call) (any, error) {
			return json.RawMessage(p.result), nil
		})
		if err != nil {
			return nil, fmt.Errorf("running the state of %q: %w", p.name, err)
		}
		tests = append(tests, stateTest{
			name: p.name, definition: string(state), input: p.input, result: p.result, noForm: true, want: ended(result),
		})
	}
	return tests, nil
}

// ended is how a machine of one state ended.
func ended(result *asl.Result) outcome {
	status := sfntypes.TestExecutionStatusSucceeded
	if result.Status != asl.StatusSucceeded {
		status = sfntypes.TestExecutionStatusFailed
	}
	return outcome{Status: status, Output: string(result.Output), Error: result.Error, Cause: result.Cause}
}

// someTime is what the clock says when a machine is run.
var someTime = time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)

// interpret runs a machine at a time, whose tasks all do the same, without waiting.
func interpret(
	ctx context.Context, definition []byte, at time.Time, input json.RawMessage, do asl.Integration,
) (*asl.Result, error) {
	machine, err := asl.Parse(definition)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInput, err)
	}
	interpreter := asl.Interpreter{
		Integrations: map[string]asl.Integration{}, Random: func() float64 { return 0 },
		Clock: asl.NewVirtualClock(at),
	}
	for _, state := range machine.States {
		if task, ok := state.(*asl.Task); ok {
			interpreter.Integrations[task.Resource] = do
		}
	}
	program, err := interpreter.Load(machine)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInput, err)
	}
	result, err := program.Run(ctx, asl.Execution{
		ID:   "arn:aws:states:eu-central-1:123456789012:execution:rehearsal:00000000-0000-0000-0000-000000000000",
		Name: "00000000-0000-0000-0000-000000000000", Input: input,
		StateMachineID: "arn:aws:states:eu-central-1:123456789012:stateMachine:rehearsal", StateMachineName: "rehearsal",
		RoleARN: "arn:aws:iam::123456789012:role/rehearsal",
	})
	if err != nil {
		return nil, fmt.Errorf("running a state machine: %w", err)
	}
	return result, nil
}

// resultForms are spellings of results that AWS's documentation leaves open.
var resultForms = []struct {
	name, resource, parameters string
	results                    []string
}{
	{
		name:     "spelling of a string set that DynamoDB answers",
		resource: "arn:aws:states:::dynamodb:getItem", parameters: `{"TableName":"t","Key":{"k":{"S":"v"}}}`,
		results: []string{`{"Item":{"holders":{"SS":["a"]}}}`, `{"Item":{"holders":{"Ss":["a"]}}}`},
	},
	{
		name:     "spelling of the answer of aws-sdk:sfn:describeExecution",
		resource: "arn:aws:states:::aws-sdk:sfn:describeExecution", parameters: `{"ExecutionArn":"a"}`,
		results: []string{describedExecution, `{"executionArn":"a","stateMachineArn":"b","startDate":1767323045,"status":"RUNNING"}`},
	},
}

// describedExecution is what DescribeExecution answers through the SDK integration.
const describedExecution = `{"ExecutionArn":"arn:aws:states:eu-central-1:123456789012:execution:m:e",` +
	`"StateMachineArn":"arn:aws:states:eu-central-1:123456789012:stateMachine:m","Name":"e",` +
	`"StartDate":"2026-01-02T03:04:05Z","Status":"RUNNING",` +
	`"TraceHeader":"Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"}`
