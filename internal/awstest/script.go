package awstest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"

	"example.com/upload-router/components/routing"
	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/eventbridge"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/local"
	"example.com/upload-router/internal/loopback"
	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/objectstore"
)

// Script says what becomes of an upload.
type Script struct {
	// Error and Cause let the execution fail with them: in a Fail state, or, if Uncaught, outside any Catch.
	Error, Cause string
	Uncaught     bool
	// TimedOut lets the whole execution time out, Aborted ends it by hand.
	TimedOut, Aborted bool
	// NotRedrivable is why Step Functions can't redrive it, such as [ReasonMaxTime].
	// Default: what follows from its status, its age and its events.
	NotRedrivable string
	// EndedIn is the state in which one that timed out or was aborted ended. Default: the processor's.
	EndedIn string
	// Events is how many events the history has at least: tries of the last state's call make it so long.
	Events int
	// WrongDigest lets the processor answer another file's digest.
	WrongDigest bool
	// Lost lets the event never arrive; with DeadLetter it goes to the dead-letter queue.
	Lost, DeadLetter bool
	// Polls is how many listings the execution runs for. Default: 1.
	Polls int
	// Unswept lets nobody write into the ledger that the execution was stopped.
	Unswept bool
}

// scripted is what a script makes of an execution.
type scripted struct {
	Script

	name   string
	object objectstore.Stored
	route  machine.Route
	polls  int
	digest string
	// tasks are those that run for it, by their ARNs.
	tasks []string
}

const (
	functionARN   = "arn:aws:lambda:" + Region + ":" + Account + ":function:f"
	taskARN       = "arn:aws:ecs:" + Region + ":" + Account + ":task-definition/c:1"
	machineRole   = "arn:aws:iam::" + Account + ":role/machine"
	taskRole      = "arn:aws:iam::" + Account + ":role/task"
	executionRole = "arn:aws:iam::" + Account + ":role/execution"
	queue         = "arn:aws:sqs:" + Region + ":" + Account + ":dlq"
	pausedQueue   = "arn:aws:sqs:" + Region + ":" + Account + ":paused"
	// Image is what the task runs.
	Image = Account + ".dkr.ecr." + Region + ".amazonaws.com/processor:1"
)

// Script sets what becomes of the uploads of a key; * is every key without a script of its own.
func (s *Server) Script(key string, script Script) { s.set(func() { s.scripts[key] = script }) }

// Callback lets tasks tell their end themselves: their answer is in the execution then, and not in their log.
func (s *Server) Callback() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.callback = true
	s.declare()
}

// Slots lets so many tasks run at a time.
func (s *Server) Slots(most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slots = most
	s.declare()
}

// declare makes the system that scripts are for.
func (s *Server) declare() {
	described := machine.Description{
		Routes: routing.BySize(Threshold, time.Minute, time.Hour), ExecutionTimeout: ExecutionTimeout,
		ContainerName: "processor", AssignPublicIP: true, NotifySuccess: true, TaskCallback: s.callback,
	}
	described.Routes[1].MaxParallel = s.slots
	s.routes = described.Table()
	definition, err := machine.Definition(described, machine.References{
		FunctionARN: functionARN, ClusterARN: "cluster", TaskDefinitionARN: taskARN, SubnetIDs: []string{"subnet-1", "subnet-2"},
		SecurityGroupID: "sg-1", TopicARN: "topic", TableName: Table,
	}).JSON()
	if err != nil {
		s.tb.Error(err)
	}
	resource := func(typ, arn string, inputs map[string]any) declared.Resource {
		return declared.Resource{Type: typ, Inputs: inputs, Outputs: map[string]any{"arn": arn}}
	}
	s.system = &declared.System{
		Resources: []declared.Resource{
			resource(declared.TypeStateMachine, Machine, map[string]any{fieldName: "workflow", "definition": definition, "roleArn": machineRole}),
			resource(declared.TypeFunction, functionARN, map[string]any{
				"memorySize": 512, "architectures": []string{"arm64"}, "environment": map[string]any{"variables": map[string]any{
					ledger.EnvironmentLease: strconv.Itoa(int(lease.Seconds())),
				}},
			}),
			resource(declared.TypeTaskDefinition, taskARN, map[string]any{
				"cpu": "1024", "memory": "2048", "runtimePlatform": map[string]any{"cpuArchitecture": "ARM64"},
				"taskRoleArn": taskRole, "executionRoleArn": executionRole,
				"containerDefinitions": `[{"name":"processor","image":"` + Image + `"}]`,
			}),
		},
		Outputs: map[string]any{
			"vpcId": "vpc-1", "subnetIds": []string{"subnet-1", "subnet-2"}, "securityGroupId": "sg-1", "ecrRepositoryUri": "",
			"ecsClusterArn": "arn:aws:ecs:" + Region + ":" + Account + ":cluster/c", "taskDefinitionArn": taskARN,
			"lambdaFunctionArn": functionARN, "stateMachineArn": Machine, "bucketName": Bucket, "eventBridgeRuleName": Rule,
			"deadLetterQueueUrl": "https://sqs." + Region + ".amazonaws.com/" + Account + "/dlq",
			"pausedRuleName":     PausedRule, "pausedQueueUrl": "https://sqs." + Region + ".amazonaws.com/" + Account + "/paused",
			"topicArn": "arn:aws:sns:" + Region + ":" + Account + ":t", "functionLogGroup": FunctionGroup, "taskLogGroup": TaskGroup,
			"routes": s.routes, "ledgerTable": Table,
			"backfillStateMachineArn": BackfillMachine, "backfillBucketName": BackfillBucket,
		},
	}
}

// stored starts an execution for an upload, as EventBridge does.
func (s *Server) stored(object objectstore.Stored) {
	if object.Bucket != Bucket {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	script, own := s.scripts[object.Key]
	if !own {
		script = s.scripts["*"]
	}
	if script.DeadLetter {
		s.deadLetter(Event(object), time.Now())
	}
	if script.Lost || s.unbound {
		return
	}
	if s.ruleEnabled(PausedRule) {
		s.message(pausedQueue, Event(object), time.Now(), nil)
	}
	if !s.ruleEnabled(Rule) {
		return
	}
	s.start(uuid.NewString(), object, script, time.Now(), Event(object))
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

// start begins an execution, up to its call of the processor.
func (s *Server) start(name string, object objectstore.Stored, script Script, at time.Time, input string) *execution {
	x := &execution{arn: local.ExecutionARN(Machine, name), scripted: &scripted{
		Script: script, name: name, object: object, polls: max(1, script.Polls),
		route: s.routes[slices.IndexFunc(s.routes, func(r machine.Route) bool { return r.Takes(object.Key, object.Size) })],
	}}
	x.ran = &local.Execution{ARN: x.arn, TraceHeader: "Root=" + Trace + ";Sampled=1"}
	check := x.scripted.route.Steps[0].State
	state, resource := x.scripted.processor()
	in, after := json.RawMessage(input), at.Add(100*time.Millisecond)
	x.events = []asl.Event{
		{Type: asl.ExecutionStarted, Timestamp: at, Input: in},
		{Type: asl.StateEntered, Timestamp: after, StateType: asl.TypeChoice, State: check, Input: in},
		{Type: asl.StateExited, Timestamp: after, StateType: asl.TypeChoice, State: check, Output: in},
		{Type: asl.StateEntered, Timestamp: after, StateType: asl.TypeTask, State: state, Input: in},
		{Type: asl.TaskScheduled, Timestamp: after, State: state, Resource: resource, Parameters: json.RawMessage("{}")},
	}
	if x.scripted.route.Compute == machine.Fargate {
		x.scripted.tasks = []string{x.scripted.taskARN()}
	}
	s.executions = append([]*execution{x}, s.executions...)
	s.record(x)
	return x
}

// startScripted starts an execution as a request has it.
func (s *Server) startScripted(in request) error {
	var event struct {
		Detail struct {
			Object struct {
				Key  string `json:"key"`
				Size int64  `json:"size"`
			} `json:"object"`
		} `json:"detail"`
	}
	if err := json.Unmarshal([]byte(in.Input), &event); err != nil {
		return loopback.Refuse("InvalidExecutionInput", err.Error())
	}
	object := objectstore.Stored{Key: event.Detail.Object.Key, Size: event.Detail.Object.Size, ETag: "etag"}
	s.start(in.Name, object, Script{}, time.Now(), in.Input)
	return nil
}

// Past makes an execution that has ended, older than all there are. It gives its name.
func (s *Server) Past(key string, size int64, started time.Time, script Script) string {
	return s.PastNamed(uuid.NewString(), key, size, started, script)
}

// PastNamed is Past with the execution's name. It gives that.
func (s *Server) PastNamed(name, key string, size int64, started time.Time, script Script) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	object := objectstore.Stored{Key: key, Size: size, VersionID: "version-of-" + key, ETag: "etag"}
	x := s.start(name, object, script, started, Event(object))
	s.executions = append(s.executions[1:], x)
	s.end(x, started.Add(2*time.Second))
	return name
}

// RefuseRedrives lets every redrive be refused with a code.
func (s *Server) RefuseRedrives(code string) { s.Refuse(code, "RedriveExecution", "StartExecution") }

// looked lets time pass for an execution that was looked at.
func (s *Server) looked(x *execution) {
	if x.scripted == nil || x.over {
		return
	}
	if x.scripted.polls--; x.scripted.polls < 0 {
		s.end(x, time.Now())
	}
}

// again goes on with an execution that was redriven.
func (x *execution) again() {
	script := Script{}
	if x.scripted.status() == asl.StatusFailed && !x.scripted.Uncaught {
		script = x.scripted.Script // back in the Fail state, it fails again
	}
	x.scripted.Script, x.scripted.polls = script, 1
	x.events = x.events[:slices.IndexFunc(x.events, func(e asl.Event) bool { return e.Type == asl.TaskScheduled })+1]
}

// status is that of its end.
func (c *scripted) status() asl.Status {
	switch {
	case c.Aborted:
		return asl.StatusAborted
	case c.TimedOut:
		return asl.StatusTimedOut
	case c.Error != "":
		return asl.StatusFailed
	}
	return asl.StatusSucceeded
}

// end ends an execution as its script has it, and writes its log line.
func (s *Server) end(x *execution, at time.Time) {
	c := x.scripted
	c.digest = s.digest(c)
	state, resource := c.processor()
	add := func(e asl.Event) {
		e.Timestamp = at
		x.events = append(x.events, e)
	}
	result := &asl.Result{Status: c.status()}
	outcome := "interrupted"
	switch result.Status {
	case asl.StatusSucceeded:
		outcome, result.Output = "succeeded", c.output()
		add(asl.Event{Type: asl.TaskSucceeded, State: state, Resource: resource, Output: json.RawMessage("{}")})
		add(asl.Event{Type: asl.StateExited, StateType: asl.TypeTask, State: state, Output: result.Output})
		add(asl.Event{Type: asl.ExecutionSucceeded, Output: result.Output})
	case asl.StatusFailed:
		outcome, result.Error, result.Cause = c.Error, c.Error, c.Cause
		add(asl.Event{Type: asl.TaskFailed, State: state, Resource: resource, Error: c.Error, Cause: c.Cause})
		if !c.Uncaught {
			add(asl.Event{Type: asl.StateExited, StateType: asl.TypeTask, State: state, Output: json.RawMessage("{}")})
			add(asl.Event{Type: asl.StateEntered, StateType: asl.TypeFail, State: "File failed", Input: json.RawMessage("{}")})
		}
		add(asl.Event{Type: asl.ExecutionFailed, Error: c.Error, Cause: c.Cause})
	case asl.StatusTimedOut:
		add(asl.Event{Type: asl.ExecutionTimedOut})
	case asl.StatusAborted:
		add(asl.Event{Type: asl.ExecutionAborted})
	case asl.StatusRunning: // which no script ends with
	}
	x.ran.Result, x.over = result, true
	if !c.route.Callback || result.Status == asl.StatusSucceeded || result.Status == asl.StatusFailed {
		c.tasks = nil // one that waits for a token and is stopped has its task go on
	}
	if !c.Unswept {
		s.record(x)
	}
	line := Line{
		Group: FunctionGroup, Stream: "2026/01/01/[$LATEST]abc", Time: at, Message: c.measured(at, outcome, uuid.NewString()),
	}
	if c.route.Compute == machine.Fargate {
		line.Group, line.Stream = TaskGroup, "containerlog/processor/task-"+c.name
		text, err := json.Marshal(map[string]any{"msg": "result", "result": c.answer()})
		if err == nil && result.Status == asl.StatusSucceeded && !c.route.Callback {
			s.log(Line{Group: line.Group, Stream: line.Stream, Time: at, Message: string(text)})
		}
	}
	s.log(line)
}

// answer is the processor's. The digest is computed when the execution ends, of what the bucket has.
func (c *scripted) answer() map[string]any {
	return map[string]any{"key": c.object.Key, "size": c.object.Size, "sha256": c.digest, "crc64nvme": c.object.CRC64NVME}
}

// digest reads the object as a processor would; what isn't there has none.
func (s *Server) digest(c *scripted) string {
	object, err := s.store.Client().GetObject(context.Background(), &s3.GetObjectInput{
		Bucket: aws.String(Bucket), Key: &c.object.Key, VersionId: aws.String(c.object.VersionID),
	})
	if err != nil {
		return ""
	}
	defer func() { _ = object.Body.Close() }()
	sum := sha256.New()
	switch _, err := io.Copy(sum, object.Body); {
	case c.WrongDigest:
		return strings.Repeat("0", 64)
	case err != nil:
		return ""
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// taskARN is that of its task.
func (c *scripted) taskARN() string {
	return "arn:aws:ecs:" + Region + ":" + Account + ":task/c/task-" + c.name
}

func (c *scripted) output() json.RawMessage {
	result := map[string]any{"route": c.route.Name}
	if c.route.Compute == machine.Fargate && !c.route.Callback {
		result["taskArn"] = c.taskARN()
	} else {
		result["answer"] = c.answer()
	}
	text, err := json.Marshal(map[string]any{"detail": map[string]any{}, "result": result})
	if err != nil {
		panic(err)
	}
	return text
}

// processor is the state that an execution's processor is called in, and how.
func (c *scripted) processor() (state, resource string) {
	i := slices.IndexFunc(c.route.Steps, func(step machine.Step) bool { return step.State == c.route.State })
	return cmp.Or(c.EndedIn, c.route.State), "arn:aws:states:::" + c.route.Steps[i].Calls
}

// Inputs are the inputs of all executions, the oldest first.
func (s *Server) Inputs() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var inputs []string
	for _, x := range slices.Backward(s.executions) {
		inputs = append(inputs, string(x.events[0].Input))
	}
	return inputs
}
