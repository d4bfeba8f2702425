package awstest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"

	"example.com/upload-router/internal/eventbridge"
	"example.com/upload-router/internal/loopback"
	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/objectstore"
)

// The statuses and fields that are written more than once.
const (
	running   = "RUNNING"
	succeeded = "SUCCEEDED"
	failed    = "FAILED"
	timedOut  = "TIMED_OUT"
	aborted   = "ABORTED"

	fieldARN   = "executionArn"
	fieldName  = "name"
	fieldError = "error"
	fieldCause = "cause"

	// redriveWindow is for how long executions can be redriven (requirement C24).
	redriveWindow = 14 * 24 * time.Hour
	// redriveEvents is from how many events on they can't.
	redriveEvents = 24_999
	// tokenTime is for how long a client token is remembered.
	tokenTime = 15 * time.Minute
)

// The reasons for which an execution can't be redriven that don't show in the
// execution itself, word for word.
// https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html
const (
	ReasonDeleting = "State machine is in DELETING status."
	ReasonLaunch   = "Execution was started before the launch of RedriveExecution."
	ReasonMaxTime  = "Execution has exceeded the max execution time."
)

type execution struct {
	arn, name, input string
	object           objectstore.Stored
	script           Script
	started, stopped time.Time
	status           string
	polls            int
	redrives         int
	tokens           map[string]time.Time // of redrives
	requestID        string
	digest           string
}

const (
	functionARN   = "arn:aws:lambda:" + Region + ":" + Account + ":function:f"
	taskARN       = "arn:aws:ecs:" + Region + ":" + Account + ":task-definition/c:1"
	machineRole   = "arn:aws:iam::" + Account + ":role/machine"
	taskRole      = "arn:aws:iam::" + Account + ":role/task"
	executionRole = "arn:aws:iam::" + Account + ":role/execution"
	// Image is what the task runs.
	Image = Account + ".dkr.ecr." + Region + ".amazonaws.com/processor:1"
)

// created starts an execution for an upload, as EventBridge does.
func (s *Server) created(object objectstore.Stored) {
	s.mu.Lock()
	defer s.mu.Unlock()
	script, own := s.scripts[object.Key]
	if !own {
		script = s.scripts["*"]
	}
	if script.Letter {
		s.messages = append(s.messages, &message{id: uuid.NewString(), body: Event(object), sent: time.Now()})
	}
	if script.Lost || s.unbound {
		return
	}
	s.start(uuid.NewString(), object, script, time.Now())
}

// Event is the event of an upload.
func Event(object objectstore.Stored) string {
	event, err := eventbridge.S3ObjectCreated(eventbridge.ObjectCreated{
		Account: Account, Region: Region, Time: time.Now(), Bucket: Bucket, Key: object.Key, Size: object.Size, ETag: object.ETag,
		VersionID: object.VersionID, Sequencer: "0062E99A88DC407460", RequestID: "N4N7GDK58NMKJ12R", SourceIPAddress: "192.0.2.1",
		Reason: "PutObject",
	})
	if err != nil {
		panic(err) // only for a key that no test uses
	}
	text, err := event.JSON()
	if err != nil {
		panic(err)
	}
	return string(text)
}

func (s *Server) start(name string, object objectstore.Stored, script Script, at time.Time) *execution {
	e := &execution{
		arn: strings.Replace(Machine, ":stateMachine:", ":execution:", 1) + ":" + name, name: name, input: Event(object), object: object,
		script: script, started: at, status: running, polls: max(1, script.Polls), requestID: uuid.NewString(),
	}
	s.executions = append([]*execution{e}, s.executions...)
	return e
}

// Past makes an execution that has ended, older than all there are. It gives its name.
func (s *Server) Past(key string, size int64, started time.Time, script Script) string {
	return s.PastNamed(uuid.NewString(), key, size, started, script)
}

// PastNamed is Past with the execution's name. It gives that.
func (s *Server) PastNamed(name, key string, size int64, started time.Time, script Script) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.start(name, objectstore.Stored{Key: key, Size: size, VersionID: "version-of-" + key, ETag: "etag"}, script, started)
	s.executions = append(s.executions[1:], e)
	s.end(e, started.Add(2*time.Second))
	return e.name
}

// RefuseRedrives lets every redrive be refused with a code.
func (s *Server) RefuseRedrives(code string) { s.Refuse(code, "RedriveExecution", "StartExecution") }

func (e *execution) large() bool { return e.object.Size > Threshold }

// end ends an execution as its script has it, and writes its log line.
func (s *Server) end(e *execution, at time.Time) {
	e.stopped, e.status = at, succeeded
	s.read(e)
	outcome := "succeeded"
	if e.script.Error != "" {
		e.status, outcome = failed, e.script.Error
	}
	if e.script.TimedOut {
		e.status, outcome = timedOut, "interrupted"
	}
	if e.script.Aborted {
		e.status, outcome = aborted, "interrupted"
	}
	line := Line{Group: FunctionGroup, Stream: "2026/01/01/[$LATEST]abc", Time: at, Message: fmt.Sprintf(
		`{"message":"object processed","requestId":%q,"key":%q,"version":%q,"outcome":%q}`,
		e.requestID, e.object.Key, e.object.VersionID, outcome)}
	if e.large() {
		line.Group, line.Stream = TaskGroup, "containerlog/processor/task-"+e.name
		result, err := json.Marshal(map[string]any{"msg": "result", "result": e.answer()})
		if err == nil && e.status == succeeded && !s.callback {
			s.lines = append(s.lines, Line{Group: line.Group, Stream: line.Stream, Time: at, Message: string(result)})
		}
	}
	s.lines = append(s.lines, line)
}

func (s *Server) listExecutions(in map[string]any) (any, error) {
	first, size := 0, 100
	if token, ok := in["nextToken"].(string); ok {
		text, err := base64.StdEncoding.DecodeString(token)
		if err != nil {
			return nil, loopback.Refuse("InvalidToken", err.Error())
		}
		if first, err = strconv.Atoi(string(text)); err != nil {
			return nil, loopback.Refuse("InvalidToken", err.Error())
		}
	}
	if n, ok := in["maxResults"].(float64); ok && n > 0 {
		size = int(n)
	}
	var matching []*execution
	for _, e := range s.executions {
		if filter, ok := in["statusFilter"].(string); !ok || filter == "" || filter == e.status {
			matching = append(matching, e)
		}
	}
	out := map[string]any{}
	var page []any
	for _, e := range matching[min(first, len(matching)):min(first+size, len(matching))] {
		item := map[string]any{
			fieldARN: e.arn, "stateMachineArn": Machine, fieldName: e.name, "status": e.status, "startDate": loopback.Seconds(e.started),
		}
		if !e.stopped.IsZero() {
			item["stopDate"] = loopback.Seconds(e.stopped)
		}
		page = append(page, item)
		if e.status == running { // time passes as it is looked at
			if e.polls--; e.polls < 0 {
				s.end(e, time.Now())
			}
		}
	}
	out["executions"] = page
	if first+size < len(matching) {
		out["nextToken"] = base64.StdEncoding.EncodeToString([]byte(strconv.Itoa(first + size)))
	}
	return out, nil
}

func (s *Server) find(in map[string]any) (*execution, error) {
	for _, e := range s.executions {
		if e.arn == in[fieldARN] {
			return e, nil
		}
	}
	return nil, loopback.Refuse("ExecutionDoesNotExist", fmt.Sprintf("Execution Does Not Exist: '%v'", in[fieldARN]))
}

func (s *Server) describeExecution(in map[string]any) (any, error) {
	e, err := s.find(in)
	if err != nil {
		return nil, err
	}
	out := map[string]any{
		fieldARN: e.arn, "stateMachineArn": Machine, fieldName: e.name, "status": e.status, "startDate": loopback.Seconds(e.started),
		"input": e.input, "redriveCount": e.redrives, "redriveStatus": "NOT_REDRIVABLE",
		"traceHeader": "Root=" + Trace + ";Sampled=1",
	}
	if reason := e.notRedrivable(); reason != "" {
		out["redriveStatusReason"] = reason
	} else {
		out["redriveStatus"] = "REDRIVABLE"
	}
	if e.status == running {
		return out, nil
	}
	if e.status == succeeded {
		out["output"] = s.output(e)
	}
	out["stopDate"] = loopback.Seconds(e.stopped)
	if e.status == failed {
		out[fieldError], out[fieldCause] = e.script.Error, e.script.Cause
	}
	return out, nil
}

// notRedrivable is why an execution can't be redriven, as Step Functions says it;
// empty if it can.
// https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
func (e *execution) notRedrivable() string {
	switch {
	case e.status == running, e.status == succeeded:
		return "Execution is " + e.status + " and cannot be redriven."
	case e.script.NotRedrivable != "":
		return e.script.NotRedrivable
	case e.script.Events >= redriveEvents:
		return "Execution history event limit exceeded."
	case time.Since(e.stopped) > redriveWindow:
		return "Execution redrivable period exceeded."
	}
	return ""
}

// answer is the processor's. The digest is computed when the execution ends, of what the bucket has.
func (e *execution) answer() map[string]any {
	return map[string]any{"key": e.object.Key, "size": e.object.Size, "sha256": e.digest, "crc64nvme": e.object.CRC64NVME}
}

// read reads the object as a processor would; what isn't there has no digest.
func (s *Server) read(e *execution) {
	object, err := s.store.Client().GetObject(context.Background(), &s3.GetObjectInput{
		Bucket: aws.String(Bucket), Key: &e.object.Key, VersionId: aws.String(e.object.VersionID),
	})
	if err != nil {
		return
	}
	defer func() { _ = object.Body.Close() }()
	sum := sha256.New()
	if _, err := io.Copy(sum, object.Body); err == nil {
		e.digest = hex.EncodeToString(sum.Sum(nil))
	}
	if e.script.WrongDigest {
		e.digest = strings.Repeat("0", 64)
	}
}

func (s *Server) output(e *execution) string {
	result := map[string]any{"route": machine.RouteLambda, "answer": e.answer()}
	switch {
	case e.large() && s.callback:
		result["route"] = machine.RouteFargate
	case e.large():
		result = map[string]any{"route": machine.RouteFargate, "taskArn": "arn:aws:ecs:eu-central-1:123456789012:task/c/task-" + e.name}
	}
	text, err := json.Marshal(map[string]any{"detail": map[string]any{}, "result": result})
	if err != nil {
		panic(err)
	}
	return string(text)
}

// processor is the call of an execution's processor, and the state that it is in.
func (s *Server) processor(e *execution) (call, resource, state string) {
	call, resource, state = "lambda", "invoke", "Invoke Lambda function"
	if e.large() {
		call, resource, state = "ecs", "runTask.sync", "Run Fargate task"
	}
	if e.large() && s.callback {
		resource = "runTask.waitForTaskToken"
	}
	return call, resource, cmp.Or(e.script.EndedIn, state)
}

// history is what Step Functions records of both routes, as far as they have come.
func (s *Server) history(in map[string]any) (any, error) {
	e, err := s.find(in)
	if err != nil {
		return nil, err
	}
	call, resource, state := s.processor(e)
	var events []map[string]any
	add := func(kind string, after time.Duration, details string, values map[string]any) {
		event := map[string]any{
			"id": len(events) + 1, "previousEventId": len(events), "type": kind, "timestamp": loopback.Seconds(e.started.Add(after)),
		}
		if details != "" {
			event[details] = values
		}
		events = append(events, event)
	}
	const entered, exited = "stateEnteredEventDetails", "stateExitedEventDetails"
	const first, check = 100 * time.Millisecond, "Check file size"
	add("ExecutionStarted", 0, "executionStartedEventDetails", map[string]any{"input": e.input})
	add("ChoiceStateEntered", first, entered, map[string]any{fieldName: check, "input": e.input})
	add("ChoiceStateExited", first, exited, map[string]any{fieldName: check, "output": e.input})
	add("TaskStateEntered", first, entered, map[string]any{fieldName: state, "input": e.input})
	task := map[string]any{"resourceType": call, "resource": resource, "region": Region, "parameters": "{}"}
	add("TaskScheduled", first, "taskScheduledEventDetails", task)
	if e.large() {
		add("TaskSubmitted", first, "taskSubmittedEventDetails", map[string]any{"resourceType": call, "resource": resource,
			"output": `{"Tasks":[{"TaskArn":"arn:aws:ecs:eu-central-1:123456789012:task/c/task-` + e.name + `"}]}`})
	}
	switch e.status {
	case succeeded:
		add("TaskSucceeded", time.Second, "taskSucceededEventDetails", map[string]any{"resourceType": call, "resource": resource, "output": "{}"})
		add("TaskStateExited", time.Second, exited, map[string]any{fieldName: state, "output": s.output(e)})
		add("ExecutionSucceeded", time.Second, "executionSucceededEventDetails", map[string]any{"output": s.output(e)})
	case failed:
		why := map[string]any{"resourceType": call, "resource": resource, fieldError: e.script.Error, fieldCause: e.script.Cause}
		add("TaskFailed", time.Second, "taskFailedEventDetails", why)
		if !e.script.Uncaught {
			add("TaskStateExited", time.Second, exited, map[string]any{fieldName: state, "output": "{}"})
			add("FailStateEntered", time.Second, entered, map[string]any{fieldName: "File failed", "input": "{}"})
		}
		add("ExecutionFailed", time.Second, "executionFailedEventDetails", map[string]any{fieldError: e.script.Error, fieldCause: e.script.Cause})
	}
	if e.status == timedOut {
		add("ExecutionTimedOut", time.Second, "executionTimedOutEventDetails", map[string]any{})
	}
	if e.status == aborted {
		add("ExecutionAborted", time.Second, "executionAbortedEventDetails", map[string]any{})
	}
	for i, event := range events { // a history that a script makes long has its last events
		event["id"] = max(i+1, e.script.Events-len(events)+i+1)
	}
	if reverse, _ := in["reverseOrder"].(bool); reverse {
		slices.Reverse(events)
	}
	if most, _ := in["maxResults"].(float64); most > 0 {
		events = events[:min(int(most), len(events))]
	}
	return map[string]any{"events": events}, nil
}

func (s *Server) redrive(in map[string]any) (any, error) {
	e, err := s.find(in)
	if err != nil {
		return nil, err
	}
	token, _ := in["clientToken"].(string)
	if at, again := e.tokens[token]; again && token != "" && time.Since(at) < tokenTime {
		return map[string]any{"redriveDate": loopback.Seconds(at)}, nil
	}
	if reason := e.notRedrivable(); reason != "" {
		return nil, loopback.Refuse("ExecutionNotRedrivable", reason)
	}
	if e.tokens == nil {
		e.tokens = map[string]time.Time{}
	}
	e.tokens[token] = time.Now()
	script := Script{}
	if e.status == failed && !e.script.Uncaught {
		script = e.script // back in the Fail state, it fails again
	}
	e.status, e.stopped, e.script, e.polls = running, time.Time{}, script, 1
	e.redrives++
	return map[string]any{"redriveDate": loopback.Seconds(time.Now())}, nil
}

func (s *Server) startExecution(in map[string]any) (any, error) {
	name, _ := in[fieldName].(string)
	input, _ := in["input"].(string)
	for _, e := range s.executions {
		if e.name != name {
			continue
		}
		if e.status == running && e.input == input {
			return map[string]any{fieldARN: e.arn, "startDate": loopback.Seconds(e.started)}, nil
		}
		return nil, loopback.Refuse("ExecutionAlreadyExists", "Execution Already Exists: '"+e.arn+"'")
	}
	var event struct {
		Detail struct {
			Object struct {
				Key  string `json:"key"`
				Size int64  `json:"size"`
			} `json:"object"`
		} `json:"detail"`
	}
	if err := json.Unmarshal([]byte(input), &event); err != nil {
		return nil, loopback.Refuse("InvalidExecutionInput", err.Error())
	}
	e := s.start(name, objectstore.Stored{Key: event.Detail.Object.Key, Size: event.Detail.Object.Size, ETag: "etag"}, Script{}, time.Now())
	e.input = input
	return map[string]any{fieldARN: e.arn, "startDate": loopback.Seconds(e.started)}, nil
}

// stateMachine answers with the definition that the project declares.
func (s *Server) stateMachine(in map[string]any) (any, error) {
	if in["stateMachineArn"] != Machine {
		return nil, loopback.Refuse("StateMachineDoesNotExist", "State Machine Does Not Exist")
	}
	definition, err := s.definition()
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"stateMachineArn": Machine, fieldName: "workflow", "status": "ACTIVE", "definition": definition, "roleArn": machineRole,
		"type": "STANDARD", "creationDate": 0,
	}, nil
}

// stateMachineOf answers with the same, as it has never been another.
func (s *Server) stateMachineOf(in map[string]any) (any, error) {
	if _, err := s.find(in); err != nil {
		return nil, err
	}
	definition, err := s.definition()
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"stateMachineArn": Machine, fieldName: "workflow", "definition": definition, "roleArn": machineRole, "updateDate": 0,
	}, nil
}

func (s *Server) definition() (string, error) {
	return machine.Definition(s.described(), machine.References{
		FunctionARN: functionARN, ClusterARN: "cluster", TaskDefinitionARN: taskARN, SubnetIDs: []string{"subnet-1", "subnet-2"},
		SecurityGroupID: "sg-1", TopicARN: "topic", TableName: Table,
	}).JSON()
}

// described is the deployed state machine.
func (s *Server) described() machine.Description {
	return machine.Description{
		SizeThreshold: Threshold, FunctionTimeout: time.Minute, TaskTimeout: time.Hour, ExecutionTimeout: ExecutionTimeout,
		ContainerName: "processor", AssignPublicIP: true, NotifySuccess: true, TaskCallback: s.callback, Deduplicate: s.claims != nil,
	}
}

// taskDefinition is that of the task.
func (s *Server) taskDefinition(map[string]any) (any, error) {
	return map[string]any{"taskDefinition": map[string]any{
		"taskDefinitionArn": taskARN, "cpu": "1024", "memory": "2048", "runtimePlatform": map[string]any{"cpuArchitecture": "ARM64"},
		"taskRoleArn": taskRole, "executionRoleArn": executionRole,
		"containerDefinitions": []any{map[string]any{fieldName: "processor", "image": Image}},
	}}, nil
}

// Inputs are the inputs of all executions, the oldest first.
func (s *Server) Inputs() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var inputs []string
	for _, v := range slices.Backward(s.executions) {
		inputs = append(inputs, v.input)
	}
	return inputs
}
