package local

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/loopback"
)

// The fields that an execution has in each of Step Functions' answers and events.
const (
	fieldExecution = "executionArn"
	fieldStart     = "startDate"
)

// statusRunning is the status of an execution that hasn't ended.
const statusRunning = "RUNNING"

// executions are those that were started, by their ARN.
type executions struct {
	mu    sync.Mutex
	byARN map[string]*running
}

// running is what the API says of an execution, and nothing of its history: a run of ten thousand uploads keeps one of each.
type running struct {
	arn, machineARN, name, status string
	mapRun                        string // that it is a child of
	started, stopped              time.Time
	// execution is the execution while it runs, of which nothing is read that is written when it ends; nil afterwards.
	execution *Execution
	// stop ends it while it runs, and stoppedWith is what whoever did so said.
	stop        func()
	stoppedWith *asl.Error
	// input and trace are what it was started with; error, cause and output how it ended.
	input, trace, error, cause, output string
}

// follow runs an execution, which others can see meanwhile and afterwards.
func (e *executions) follow(
	execution *Execution, now time.Time, stop func(), run func() (*asl.Result, error),
) (*asl.Result, error) {
	began := time.Now()
	seen := &running{
		arn: execution.ARN, machineARN: execution.to.machineARN, name: execution.name, status: statusRunning, started: now,
		mapRun: execution.mapRun, execution: execution, stop: stop, input: string(execution.input), trace: execution.TraceHeader,
	}
	e.mu.Lock()
	if before := e.byARN[execution.ARN]; before != nil {
		seen.started = before.started // it is redriven
	}
	e.byARN[execution.ARN] = seen
	e.mu.Unlock()
	result, err := run()
	e.mu.Lock()
	defer e.mu.Unlock()
	seen.status, seen.stopped, seen.execution, seen.stop = string(asl.StatusFailed), now.Add(time.Since(began)), nil, nil
	if err == nil {
		if with := seen.stoppedWith; with != nil && result.Status == asl.StatusAborted {
			result.Error, result.Cause = with.Name, with.Cause
		}
		seen.status, seen.error, seen.cause, seen.output = string(result.Status), result.Error, result.Cause, string(result.Output)
	}
	return result, err
}

// get gives an execution that runs; nil if it doesn't.
func (e *executions) get(arn string) *Execution {
	e.mu.Lock()
	defer e.mu.Unlock()
	if run := e.byARN[arn]; run != nil {
		return run.execution
	}
	return nil
}

// StopExecution ends an execution that runs, and the child executions of its Map Runs, with an error and a cause, which may be empty; false
// if it doesn't run. It doesn't wait for the end.
func (r *Router) StopExecution(arn, name, cause string) bool {
	e := &r.executions
	e.mu.Lock()
	defer e.mu.Unlock()
	run := e.byARN[arn]
	if run == nil || run.stop == nil {
		return false
	}
	run.stoppedWith = &asl.Error{Name: name, Cause: cause}
	run.stop()
	return true
}

// any says whether there was one.
func (e *executions) any() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.byARN) > 0
}

// described is what Step Functions says of an execution, by the names of its API; false if there is none.
// https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html
func (e *executions) described(arn string) (map[string]any, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	run := e.byARN[arn]
	if run == nil {
		return nil, false
	}
	out := run.listed()
	out["inputDetails"] = map[string]bool{"included": true}
	for name, value := range map[string]string{
		"input": run.input, "traceHeader": run.trace, "error": run.error, "cause": run.cause, "output": run.output,
	} {
		if value != "" {
			out[name] = value
		}
	}
	return out, true
}

// listed is what a list of executions has of one.
func (r *running) listed() map[string]any {
	out := map[string]any{
		fieldExecution: r.arn, "stateMachineArn": r.machineARN, "name": r.name, "status": r.status,
		fieldStart: loopback.Seconds(r.started),
	}
	if r.mapRun != "" {
		out["mapRunArn"] = r.mapRun
	}
	if !r.stopped.IsZero() {
		out["stopDate"] = loopback.Seconds(r.stopped)
	}
	return out
}

// list are the executions of a state machine, or of a Map Run, with a status, or with any if that is empty; the one that started last
// comes first.
func (e *executions) list(of, status string) []map[string]any {
	e.mu.Lock()
	defer e.mu.Unlock()
	var found []*running
	for _, run := range e.byARN {
		if (run.mapRun == "" && run.machineARN == of || run.mapRun != "" && run.mapRun == of) && (status == "" || run.status == status) {
			found = append(found, run)
		}
	}
	slices.SortFunc(found, func(a, b *running) int {
		return cmp.Or(b.started.Compare(a.started), cmp.Compare(a.arn, b.arn))
	})
	out := make([]map[string]any, len(found))
	for i, run := range found {
		out[i] = run.listed()
	}
	return out
}

// prepareDescribe checks the parameters of a state that looks at an execution.
func (r *Router) prepareDescribe(parameters map[string]any) error {
	return onlyKnown(parameters, "ExecutionArn")
}

// describeExecution does a task's aws-sdk:sfn:describeExecution.
func (r *Router) describeExecution(_ context.Context, call asl.Call) (any, error) {
	var parameters struct{ ExecutionArn string }
	if err := decode(call.Parameters, &parameters); err != nil {
		return nil, err
	}
	found, there := r.executions.described(parameters.ExecutionArn)
	if !there {
		return nil, &asl.Error{
			Name:  "Sfn.ExecutionDoesNotExistException",
			Cause: "Execution Does Not Exist: '" + parameters.ExecutionArn + "' (Service: Sfn, Status Code: 400)",
		}
	}
	described := map[string]any{"ExecutionArn": parameters.ExecutionArn, "Status": found["status"]}
	if header := text(found, "traceHeader"); header != "" {
		described["TraceHeader"] = header
	}
	return described, nil
}

// describeExecution is for aws-sdk:sfn:describeExecution.
// https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html
func (g *guard) describeExecution(role string, parameters map[string]any) (after, error) {
	if err := g.may(role, "states:DescribeExecution", text(parameters, "ExecutionArn"), nil); err != nil {
		return after{}, refusal("Sfn.SfnException", "Sfn", "AccessDeniedException", http.StatusBadRequest, err)
	}
	if err := g.decryptExecution(role, text(parameters, "ExecutionArn")); err != nil {
		return after{}, refusal("Sfn.KmsAccessDeniedException", "Sfn", "KmsAccessDeniedException", http.StatusBadRequest, err)
	}
	return after{}, nil
}

// decryptExecution asks for the key of an execution's input and output, which come along when it is described.
func (g *guard) decryptExecution(role, arn string) error {
	for _, machine := range g.system.OfType(declared.TypeStateMachine) {
		key := g.keyARN(machine.Object("encryptionConfiguration")["kmsKeyId"])
		of := strings.Replace(machine.ARN(), ":stateMachine:", ":execution:", 1)
		if key == "" || !strings.HasPrefix(arn, of+":") && !strings.HasPrefix(arn, of+"/") {
			continue
		}
		context := map[string][]string{keyEncryption + "aws:states:stateMachineArn": {machine.ARN()}, keyViaService: {g.via("states")}}
		return g.may(role, "kms:Decrypt", key, context)
	}
	return nil
}

// The most that a page of a list of executions has, and how many it has if nothing else is asked for.
const (
	maxListed     = 1000
	defaultListed = 100
)

// asksExecutions are the parameters of who looks at executions.
type asksExecutions struct {
	ExecutionArn, StateMachineArn, MapRunArn, StatusFilter, NextToken string
	MaxResults                                                        int
}

// askExecutions answers a process that looks at executions.
func (r *Router) askExecutions(accessKeyID, operation string, body []byte) (any, error) {
	var in asksExecutions
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, loopback.Refuse("SerializationException", err.Error()) //nolint:wrapcheck // It is the answer.
	}
	err := r.guard.processor(accessKeyID, "states", "states:"+operation, cmp.Or(in.ExecutionArn, in.StateMachineArn, in.MapRunArn))
	if err != nil {
		return nil, loopback.Refuse("AccessDeniedException", message(err)) //nolint:wrapcheck // As above.
	}
	if operation == "DescribeExecution" {
		if err := r.guard.decryptExecution(r.guard.signers[accessKeyID], in.ExecutionArn); err != nil {
			return nil, loopback.Refuse("KmsAccessDeniedException", message(err)) //nolint:wrapcheck // As above.
		}
	}
	return r.Executions(operation, body)
}

// Executions answers DescribeExecution, ListExecutions, ListMapRuns and DescribeMapRun, with bodies as Step Functions' API has them, to who
// may do everything.
func (r *Router) Executions(operation string, body []byte) (any, error) {
	var in asksExecutions
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, loopback.Refuse("SerializationException", err.Error()) //nolint:wrapcheck // It is the answer.
	}
	switch operation {
	case "ListExecutions":
		listed := r.executions.list(cmp.Or(in.MapRunArn, in.StateMachineArn), in.StatusFilter)
		return page("executions", listed, in.NextToken, cmp.Or(in.MaxResults, defaultListed))
	case "ListMapRuns", "DescribeMapRun":
		return r.askMapRuns(operation, body)
	}
	described, there := r.executions.described(in.ExecutionArn)
	if !there {
		return nil, loopback.Refuse("ExecutionDoesNotExist", "Execution Does Not Exist: '"+in.ExecutionArn+"'") //nolint:wrapcheck // As above.
	}
	return described, nil
}

// page is a page of a list, beginning at a token that the one before gave.
func page(name string, list []map[string]any, token string, most int) (any, error) {
	from := 0
	if token != "" {
		var err error
		if from, err = strconv.Atoi(token); err != nil || from > len(list) {
			return nil, loopback.Refuse("InvalidToken", "Invalid Token: '"+token+"'") //nolint:wrapcheck // It is the answer.
		}
	}
	to := min(len(list), from+min(most, maxListed))
	out := map[string]any{name: list[from:to]}
	if to < len(list) {
		out["nextToken"] = strconv.Itoa(to)
	}
	return out, nil
}
