// Package localaws lets the tests of package operate and of the command line
// work on executions that really ran: it answers for the local run as AWS
// answers for what is deployed, by the real protocols of S3, Step Functions, SQS,
// DynamoDB, CloudWatch Logs, Lambda and ECS.
//
// It adds nothing of its own: an upload starts the declared state machine, its
// history is the interpreter's, the log lines are the processors', and what is
// redriven runs again. What is asked of it and not known is answered with an
// error, so that a test can't pass by silence.
package localaws

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/local"
	"example.com/upload-router/internal/local/localtest"
	"example.com/upload-router/internal/loopback"
)

// AccessKeyID is the one with which the local S3 lets everything through, as it
// does with whoever operates the system.
const AccessKeyID = "local"

// Server answers for a local run. It is safe for concurrent use.
type Server struct {
	// Router is the local run.
	Router *local.Router

	t      *testing.T
	system *declared.System
	http   *httptest.Server
	proxy  *httputil.ReverseProxy

	working sync.WaitGroup // executions that nobody else waits for

	mu         sync.Mutex
	executions map[string]*execution    // by ARN
	begun      map[string]chan struct{} // by ARN, closed when it has begun
	hidden     map[string]bool          // messages that somebody reads
	readable   func(local.DeadLetter) bool
}

// Start runs a declared system on this machine until the end of the test, and
// answers for it. Each upload starts what the declared rule starts.
func Start(t *testing.T, system *declared.System, options local.Options) *Server {
	t.Helper()
	s := newServer(t, system)
	options.Observe, options.Created = s.observe, s.created
	s.serve(localtest.Start(t, system, options))
	return s
}

// Serve answers for a local run that the test has started itself: for those
// executions that it makes known with [Server.Know], and what follows from them.
func Serve(t *testing.T, system *declared.System, router *local.Router) *Server {
	t.Helper()
	s := newServer(t, system)
	s.serve(router)
	return s
}

func newServer(t *testing.T, system *declared.System) *Server {
	t.Helper()
	return &Server{
		t: t, system: system, executions: map[string]*execution{}, begun: map[string]chan struct{}{}, hidden: map[string]bool{},
		readable: func(local.DeadLetter) bool { return true },
	}
}

func (s *Server) serve(router *local.Router) {
	s.t.Helper()
	s.Router = router
	store, err := url.Parse(aws.ToString(router.Client().Options().BaseEndpoint))
	require.NoError(s.t, err)
	s.proxy = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(store) }}
	s.http = httptest.NewServer(s)
	s.t.Cleanup(func() {
		s.http.Close()
		s.Wait()
	})
}

// Endpoint is the URL of all services, for AWS_ENDPOINT_URL.
func (s *Server) Endpoint() string { return s.http.URL }

// Outputs are the stack's outputs, as `pulumi stack output --json` writes them.
func (s *Server) Outputs() []byte {
	s.t.Helper()
	outputs := map[string]any{}
	maps.Copy(outputs, s.system.Outputs)
	outputs["deadLetterQueueUrl"] = s.Endpoint() + "/" + localtest.AccountID + "/dlq"
	text, err := json.Marshal(outputs)
	require.NoError(s.t, err)
	return text
}

// Wait waits for all that was started by an upload or by a request.
func (s *Server) Wait() { s.working.Wait() }

// created is local.Options.Created: it delivers the event of an upload.
func (s *Server) created(trace *local.Trace, err error) {
	if err != nil {
		s.t.Error(err)
		return
	}
	s.working.Go(func() {
		if err := s.Router.Deliver(s.t.Context(), trace.Event, trace); err != nil {
			s.t.Error(err)
		}
		for _, e := range trace.Executions {
			s.Know(e)
		}
	})
}

// request is what the requests have that are answered here.
type request struct {
	ExecutionARN    string `json:"executionArn"`
	StateMachineARN string `json:"stateMachineArn"`
	StatusFilter    string `json:"statusFilter"`
	Name            string `json:"name"`
	Input           string `json:"input"`
	MaxResults      int    `json:"maxResults"`
	NextToken       string `json:"nextToken"`
	ReverseOrder    bool   `json:"reverseOrder"`

	MaxNumberOfMessages int     `json:"MaxNumberOfMessages"`
	ReceiptHandle       string  `json:"ReceiptHandle"`
	Entries             []entry `json:"Entries"`

	LogGroupName   string   `json:"logGroupName"`
	LogStreamNames []string `json:"logStreamNames"`
	FilterPattern  string   `json:"filterPattern"`
	StartTime      int64    `json:"startTime"`
	EndTime        int64    `json:"endTime"`
}

// ServeHTTP answers a request of any service.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	operation := loopback.Operation(r)
	switch {
	case operation != "":
		s.serveJSON(w, r, operation)
	case strings.HasPrefix(r.URL.Path, "/2015-03-31/functions/"):
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s.function())
	case r.Method == http.MethodPost && strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
		s.serveQuery(w, r)
	default:
		s.proxy.ServeHTTP(w, r) // S3, which the local run has
	}
}

func (s *Server) serveJSON(w http.ResponseWriter, r *http.Request, operation string) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var in request
	if err := json.Unmarshal(body, &in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	item := func(request) (any, error) { return s.Router.Item(operation, body) }
	handlers := map[string]func(request) (any, error){
		"ListExecutions": s.list, "DescribeExecution": s.describe, "GetExecutionHistory": s.history,
		"RedriveExecution": s.redrive, "StartExecution": s.start, "DescribeStateMachine": s.machine,
		"ReceiveMessage": s.receive, "DeleteMessage": s.remove, "ChangeMessageVisibilityBatch": s.release, "GetQueueAttributes": s.count,
		"FilterLogEvents": s.filterLogs, "DescribeTaskDefinition": s.task,
		"DescribeStateMachineForExecution": s.machine, "GetItem": item, "UpdateItem": item,
	}
	var out any
	err = loopback.Refuse("UnknownOperationException", "localaws doesn't know "+operation)
	if handle := handlers[operation]; handle != nil {
		out, err = handle(in)
	}
	w.Header().Set("Date", s.Router.Now().UTC().Format(http.TimeFormat))
	_ = loopback.Answer(w, out, err) // who asked may be gone
}

// serveQuery answers CloudWatch: there are no alarms here.
func (s *Server) serveQuery(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/xml")
	if r.FormValue("Action") != "DescribeAlarms" {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "<ErrorResponse><Error><Code>InvalidAction</Code><Message>localaws doesn't know it</Message></Error>"+
			"</ErrorResponse>")
		return
	}
	_, _ = io.WriteString(w, `<DescribeAlarmsResponse><DescribeAlarmsResult/></DescribeAlarmsResponse>`)
}

// The declared resources that are asked for.
const (
	typeMachine  = "aws:sfn/stateMachine:StateMachine"
	typeFunction = "aws:lambda/function:Function"
	typeTask     = "aws:ecs/taskDefinition:TaskDefinition"
)

func (s *Server) declared(typ string) declared.Resource {
	resource, err := s.system.Only(typ)
	if err != nil {
		s.t.Error(err)
	}
	return resource
}

func (s *Server) machine(request) (any, error) {
	machine := s.declared(typeMachine)
	return map[string]any{
		"stateMachineArn": s.machineARN(), fieldName: machine.Text("name"), "status": "ACTIVE", "type": "STANDARD", "creationDate": 0,
		"definition": machine.Text("definition"), "roleArn": machine.Text("roleArn"),
	}, nil
}

func (s *Server) machineARN() string {
	arn, _ := s.system.Outputs["stateMachineArn"].(string)
	return arn
}

func (s *Server) function() map[string]any {
	function := s.declared(typeFunction)
	return map[string]any{"MemorySize": function.Inputs["memorySize"], "Architectures": function.Inputs["architectures"]}
}

func (s *Server) task(request) (any, error) {
	task := s.declared(typeTask)
	return map[string]any{"taskDefinition": map[string]any{
		"cpu": task.Text("cpu"), "memory": task.Text("memory"),
		"runtimePlatform": map[string]any{"cpuArchitecture": task.Object("runtimePlatform")["cpuArchitecture"]},
	}}, nil
}

// fieldName is the name of what an answer is about.
const fieldName = "name"

// observe is local.Options.Observe.
func (s *Server) observe(e asl.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.executions[e.Execution]
	if x == nil {
		x = &execution{arn: e.Execution}
		s.executions[e.Execution] = x
	}
	x.events = append(x.events, e)
	if begun := s.begun[e.Execution]; begun != nil {
		close(begun)
		delete(s.begun, e.Execution)
	}
}
