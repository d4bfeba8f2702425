package local

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/faults"
)

// statusRunning is the status of an execution that hasn't ended.
const statusRunning = "RUNNING"

// executions are those that were started, by their ARN.
type executions struct {
	mu    sync.Mutex
	byARN map[string]*running
}

// running is an execution, and how it ended once it has.
type running struct {
	ended       chan struct{}
	status      asl.Status
	traceHeader string
	observe     func(asl.Event)
}

// follow runs an execution, which others can see meanwhile and afterwards.
func (e *executions) follow(execution *Execution, run func() (*asl.Result, error)) (*asl.Result, error) {
	now := &running{
		ended: make(chan struct{}), status: asl.StatusFailed, traceHeader: execution.TraceHeader, observe: execution.observe,
	}
	e.mu.Lock()
	e.byARN[execution.ARN] = now
	e.mu.Unlock()
	defer close(now.ended)
	result, err := run()
	if err == nil {
		now.status = result.Status
	}
	return result, err
}

func (e *executions) get(arn string) *running {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.byARN[arn]
}

// prepareDescribe checks the parameters of a state that looks at an execution.
func (r *Router) prepareDescribe(parameters map[string]any) error {
	return onlyKnown(parameters, "ExecutionArn")
}

// describeExecution does a task's aws-sdk:sfn:describeExecution. Waits are skipped here, so that whoever looks at another
// execution again and again would give up before that could end: it is answered when that has ended.
func (r *Router) describeExecution(ctx context.Context, call asl.Call) (any, error) {
	var parameters struct{ ExecutionArn string }
	if err := decode(call.Parameters, &parameters); err != nil {
		return nil, err
	}
	run := r.executions.get(parameters.ExecutionArn)
	if run == nil {
		return nil, &asl.Error{
			Name:  "Sfn.ExecutionDoesNotExistException",
			Cause: "Execution Does Not Exist: '" + parameters.ExecutionArn + "' (Service: Sfn, Status Code: 400)",
		}
	}
	described := map[string]any{"ExecutionArn": parameters.ExecutionArn, "Status": statusRunning}
	if run.traceHeader != "" {
		described["TraceHeader"] = run.traceHeader
	}
	if parameters.ExecutionArn == contextOf(call, "Execution", "Id") || faultOf(ctx) == faults.PlacesKept {
		return described, nil
	}
	select {
	case <-run.ended:
		described["Status"] = string(run.status)
		return described, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for %s: %w", parameters.ExecutionArn, context.Cause(ctx))
	}
}

// describeExecution is for aws-sdk:sfn:describeExecution.
// https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html
func (g *guard) describeExecution(role string, parameters map[string]any) (after, error) {
	if err := g.may(role, "states:DescribeExecution", text(parameters, "ExecutionArn"), nil); err != nil {
		return after{}, refusal("Sfn.SfnException", "Sfn", "AccessDeniedException", http.StatusBadRequest, err)
	}
	for _, machine := range g.system.OfType(declared.TypeStateMachine) {
		key := g.keyARN(machine.Object("encryptionConfiguration")["kmsKeyId"])
		if key == "" {
			continue
		}
		context := map[string][]string{keyEncryption + "aws:states:stateMachineArn": {machine.ARN()}, keyViaService: {g.via("states")}}
		if err := g.may(role, "kms:Decrypt", key, context); err != nil { // for its input and output, which come along
			return after{}, refusal("Sfn.KmsAccessDeniedException", "Sfn", "KmsAccessDeniedException", http.StatusBadRequest, err)
		}
	}
	return after{}, nil
}
