package local

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/loopback"
)

// mapRuns are the Map Runs of all executions, by their ARN.
type mapRuns struct {
	mu    sync.Mutex
	byARN map[string]func() asl.MapRun
}

// begin notes a Map Run, or one that is redriven.
func (m *mapRuns) begin(describe func() asl.MapRun) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.byARN[describe().ARN] = describe
}

// MapRun is a Map Run as it is now; false if there is none.
func (r *Router) MapRun(arn string) (asl.MapRun, bool) {
	r.mapRuns.mu.Lock()
	describe, there := r.mapRuns.byARN[arn]
	r.mapRuns.mu.Unlock()
	if !there {
		return asl.MapRun{}, false
	}
	return describe(), true
}

// MapRuns are the Map Runs of an execution as they are now, the one that started last first.
func (r *Router) MapRuns(executionARN string) []asl.MapRun {
	r.mapRuns.mu.Lock()
	defer r.mapRuns.mu.Unlock()
	var found []asl.MapRun
	for _, describe := range r.mapRuns.byARN {
		if run := describe(); run.Execution == executionARN {
			found = append(found, run)
		}
	}
	slices.SortFunc(found, func(a, b asl.MapRun) int { return cmp.Or(b.StartTime.Compare(a.StartTime), cmp.Compare(a.ARN, b.ARN)) })
	return found
}

// followChild runs a child execution of a Distributed Map, which is one of its own: others can look at it by its ARN, and its end is told
// as that of any other. What goes wrong here, and not in it, is its parent's.
func (r *Router) followChild(
	ctx context.Context, start asl.Execution, run func(context.Context) (*asl.Result, error),
) (*asl.Result, error) {
	parent := recorderOf(ctx)
	to := parent.execution.to
	to.machineARN, to.machineName = start.StateMachineID, start.StateMachineName
	child := &Execution{
		Rule: parent.execution.Rule, Target: to.id, StateMachine: start.StateMachineName, ARN: start.ID, Runs: []Run{},
		name: start.Name, to: to, input: start.Input, mapRun: start.MapRun, observe: parent.execution.observe,
	}
	if to.traced {
		child.TraceHeader = newTraceHeader()
	}
	result, err := r.follow(ctx, child, run)
	if result == nil {
		return nil, err
	}
	child.Result, child.Outputs = result, r.outputs(child.written)
	r.addSegments(child)
	if err := errors.Join(err, r.ended(ctx, child)); err != nil {
		parent.fail(fmt.Errorf("running %s: %w", start.ID, err))
	}
	if r.options.Child != nil {
		r.options.Child(child)
	}
	return result, nil
}

// listedMapRun is what a list of Map Runs has of one, by the names of the API.
// https://docs.aws.amazon.com/step-functions/latest/apireference/API_MapRunListItem.html
func listedMapRun(run asl.MapRun, machineARN string) map[string]any {
	out := map[string]any{
		fieldExecution: run.Execution, "mapRunArn": run.ARN, "stateMachineArn": machineARN, fieldStart: loopback.Seconds(run.StartTime),
	}
	if !run.StopTime.IsZero() {
		out["stopDate"] = loopback.Seconds(run.StopTime)
	}
	return out
}

// counted are the counts of a Map Run, by the names of the API.
func counted(c asl.MapRunCounts) map[string]any {
	return map[string]any{
		"pending": c.Pending, "running": c.Running, "succeeded": c.Succeeded, "failed": c.Failed, "timedOut": c.TimedOut,
		"aborted": c.Aborted, "total": c.Total, "resultsWritten": c.ResultsWritten,
	}
}

// describedMapRun is what Step Functions says of a Map Run, by the names of its API.
// https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeMapRun.html
func describedMapRun(run asl.MapRun) map[string]any {
	out := map[string]any{
		"mapRunArn": run.ARN, fieldExecution: run.Execution, "status": string(run.Status), fieldStart: loopback.Seconds(run.StartTime),
		"maxConcurrency": run.MaxConcurrency, "toleratedFailurePercentage": run.ToleratedFailurePercentage,
		"toleratedFailureCount": run.ToleratedFailureCount, "redriveCount": run.RedriveCount,
		"itemCounts": counted(run.Items), "executionCounts": counted(run.Executions),
	}
	if !run.StopTime.IsZero() {
		out["stopDate"] = loopback.Seconds(run.StopTime)
	}
	return out
}

// prepareMapRun checks the parameters of a state that looks at a Map Run.
func (r *Router) prepareMapRun(parameters map[string]any) error {
	return onlyKnown(parameters, "MapRunArn")
}

// describeMapRun does a task's aws-sdk:sfn:describeMapRun.
func (r *Router) describeMapRun(_ context.Context, call asl.Call) (any, error) {
	var parameters struct{ MapRunArn string }
	if err := decode(call.Parameters, &parameters); err != nil {
		return nil, err
	}
	run, there := r.MapRun(parameters.MapRunArn)
	if !there {
		return nil, &asl.Error{
			Name: "Sfn.ResourceNotFoundException", Cause: "Resource not found: '" + parameters.MapRunArn + "' (Service: Sfn, Status Code: 400)",
		}
	}
	return capitalized(describedMapRun(run)), nil
}

// capitalized has the names of an answer as a state sees them.
// https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html
func capitalized(answer map[string]any) map[string]any {
	out := make(map[string]any, len(answer))
	for name, value := range answer {
		if nested, is := value.(map[string]any); is {
			value = capitalized(nested)
		}
		out[strings.ToUpper(name[:1])+name[1:]] = value
	}
	return out
}

// describeMapRun is for aws-sdk:sfn:describeMapRun.
func (g *guard) describeMapRun(role string, parameters map[string]any) (after, error) {
	if err := g.may(role, "states:DescribeMapRun", text(parameters, "MapRunArn"), nil); err != nil {
		return after{}, refusal("Sfn.SfnException", "Sfn", "AccessDeniedException", http.StatusBadRequest, err)
	}
	return after{}, nil
}

// mapping asks for what a Distributed Map takes: to start its child executions as executions of its own state machine, and to redrive
// those that failed. No state shows by a call of its own that it can't.
// https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html
func (g *guard) mapping(r declared.Resource) error {
	machine, err := asl.Parse([]byte(r.Text("definition")))
	if err != nil {
		return nil //nolint:nilerr // It is said where it is loaded.
	}
	role, arn := r.Text("roleArn"), r.ARN()
	for name, state := range machine.States {
		of, is := state.(*asl.Map)
		if !is || of.ItemProcessor.ProcessorConfig == nil || of.ItemProcessor.ProcessorConfig.Mode != asl.ModeDistributed {
			continue
		}
		child := strings.Replace(arn, ":stateMachine:", ":execution:", 1) + "/" + cmp.Or(of.Label, "map") + ":1"
		if err := errors.Join(
			g.may(role, "states:StartExecution", arn, nil), g.all(role, child, nil, "states:DescribeExecution", "states:StopExecution",
				"states:RedriveExecution"),
		); err != nil {
			return fmt.Errorf("the state %q can't start its child executions, or redrive them: %w", name, err)
		}
	}
	return nil
}

// prepareHead checks the parameters of a state that looks at an object.
func (r *Router) prepareHead(parameters map[string]any) error {
	return onlyKnown(parameters, "Bucket Key VersionId")
}

// headObject does a task's aws-sdk:s3:headObject.
func (r *Router) headObject(ctx context.Context, call asl.Call) (any, error) {
	var parameters struct{ Bucket, Key, VersionId string } //nolint:revive // It is S3's name.
	if err := decode(call.Parameters, &parameters); err != nil {
		return nil, err
	}
	head, err := r.datasetsOf(call).HeadObject(ctx, &s3.HeadObjectInput{
		Bucket: &parameters.Bucket, Key: &parameters.Key, VersionId: optional(parameters.VersionId),
	})
	if err != nil {
		return nil, unheaded(err)
	}
	out := map[string]any{"ContentLength": aws.ToInt64(head.ContentLength), "ETag": aws.ToString(head.ETag)}
	if modified := aws.ToTime(head.LastModified); !modified.IsZero() {
		out["LastModified"] = modified.UTC().Format(time.RFC3339)
	}
	if id := aws.ToString(head.VersionId); id != "" {
		out["VersionId"] = id
	}
	return out, nil
}

// unheaded names an error of a HEAD as the SDK does that Step Functions calls with: as its answer has no body, a status is all that there
// is, of which but 404 has a name of its own.
func unheaded(err error) error {
	answer, is := errors.AsType[*smithyhttp.ResponseError](err)
	if !is {
		return err
	}
	name, said := "S3.S3Exception", "null"
	if answer.HTTPStatusCode() == http.StatusNotFound {
		name = "S3.NoSuchKeyException"
	}
	if api, is := errors.AsType[smithy.APIError](err); is && api.ErrorMessage() != "" {
		said = api.ErrorMessage()
	}
	return &asl.Error{
		Name: name, Cause: fmt.Sprintf("%s (Service: S3, Status Code: %d, Request ID: local)", said, answer.HTTPStatusCode()),
	}
}

// askMapRuns answers a process that looks at Map Runs.
func (r *Router) askMapRuns(operation string, body []byte) (any, error) {
	var in struct {
		ExecutionArn, MapRunArn, NextToken string
		MaxResults                         int
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, loopback.Refuse("SerializationException", err.Error()) //nolint:wrapcheck // It is the answer.
	}
	if operation == "DescribeMapRun" {
		run, there := r.MapRun(in.MapRunArn)
		if !there {
			return nil, loopback.Refuse("ResourceNotFound", "Resource not found: '"+in.MapRunArn+"'") //nolint:wrapcheck // As above.
		}
		return describedMapRun(run), nil
	}
	described, there := r.executions.described(in.ExecutionArn)
	if !there {
		return nil, loopback.Refuse("ExecutionDoesNotExist", "Execution Does Not Exist: '"+in.ExecutionArn+"'") //nolint:wrapcheck // As above.
	}
	var runs []map[string]any
	for _, run := range r.MapRuns(in.ExecutionArn) {
		runs = append(runs, listedMapRun(run, text(described, "stateMachineArn")))
	}
	return page("mapRuns", runs, in.NextToken, cmp.Or(in.MaxResults, defaultListed))
}
