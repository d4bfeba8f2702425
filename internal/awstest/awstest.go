// Package awstest is a small AWS for the tests of package operate and of the command line: a server that speaks the real
// protocols of S3 (by package objectstore), Step Functions, SQS, DynamoDB, CloudWatch and CloudWatch Logs, and that starts an
// execution for each upload as EventBridge would.
//
// With [Start] it runs no state machine: an execution follows the script of its key. With [Run] and [Serve] it answers for what
// really runs on this machine. What is asked of it and not known is answered with an error, so that a test can't pass by silence.
package awstest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/dynamodb"
	"example.com/upload-router/internal/local"
	"example.com/upload-router/internal/loopback"
	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/objectstore"
)

// Where everything is.
const (
	Account       = "123456789012"
	Region        = "eu-central-1"
	Bucket        = "uploads-bucket"
	Trace         = "1-5759e988-bd862e3fe1be46a994272793"
	Machine       = "arn:aws:states:" + Region + ":" + Account + ":stateMachine:workflow"
	Rule          = "uploads-rule"
	PausedRule    = "uploads-paused-rule"
	FunctionGroup = "function-logs"
	TaskGroup     = "task-logs"
	Table         = "ledger-table"
	// ExecutionTimeout is how long an execution may take.
	ExecutionTimeout = 3 * time.Hour
	// Threshold is the size of the largest object that goes to Lambda.
	Threshold = 1 << 20
)

// Server is a running AWS. It is safe for concurrent use.
type Server struct {
	// Router is the local run that it answers for; nil if executions follow scripts.
	Router *local.Router

	tb      testing.TB
	http    *httptest.Server
	proxy   *httputil.ReverseProxy
	system  *declared.System
	logPage int            // how many lines a page of a log has
	working sync.WaitGroup // executions that nobody else waits for

	mu         sync.Mutex
	executions []*execution // the newest first
	backfills  []*backfill  // the newest first
	messages   []local.DeadLetter
	deliveries map[string]*delivery // of messages, by their ids
	readable   func(local.DeadLetter) bool
	lines      []Line
	begun      map[string]chan struct{} // by the ARN of an execution, closed when it has begun

	offline   func(*http.Request) bool
	calls     map[string]int
	asked     map[string]bool   // actions of IAM
	refused   map[string]string // codes with which operations are refused
	adopted   map[string]*Adopted
	lost      map[string]bool // operations whose next answer is lost
	simulated simulated

	// What is so where executions follow scripts.
	store      *objectstore.Server
	scripts    map[string]Script
	quotas     map[string]float64
	unreserved int      // runs of Lambda functions
	alarms     []string // as XML
	subscribed []string // the ARNs of subscriptions to the topic, or a word instead
	unbound    bool

	manifest, imageConfig string // of the image in ECR
	callback              bool
	slots                 int
	routes                []machine.Route
	ledger                *dynamodb.Table
	broken                map[string]bool
	gateways              []string        // the services with a gateway endpoint
	enabled               map[string]bool // rules, by their names
}

func newServer(tb testing.TB) *Server {
	tb.Helper()
	return &Server{
		tb: tb, calls: map[string]int{}, asked: map[string]bool{}, refused: map[string]string{}, lost: map[string]bool{}, logPage: 1,
		adopted: map[string]*Adopted{}, deliveries: map[string]*delivery{}, begun: map[string]chan struct{}{},
		scripts: map[string]Script{}, quotas: map[string]float64{}, broken: map[string]bool{}, unreserved: Concurrency, ledger: newLedger(),
		enabled:  map[string]bool{Rule: true},
		manifest: imageManifest, imageConfig: imageConfig,
	}
}

// Start starts a server whose executions follow scripts. It ends with the test.
func Start(tb testing.TB) *Server {
	tb.Helper()
	s := newServer(tb)
	store, err := objectstore.Start(tb.Context(), objectstore.Options{
		Region: Region, Buckets: []objectstore.Bucket{{Name: Bucket, Versioned: true}, {Name: BackfillBucket}}, OnCreated: s.stored,
	})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, store.Close()) })
	s.store = store
	s.declare()
	s.serve(store.Endpoint())
	return s
}

// serve answers until the end of the test. S3 is somewhere else.
func (s *Server) serve(objects string) {
	target, err := url.Parse(objects)
	require.NoError(s.tb, err)
	s.proxy = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	s.http = httptest.NewServer(s)
	s.tb.Cleanup(s.http.Close)
}

// Endpoint is the URL of all services, for AWS_ENDPOINT_URL.
func (s *Server) Endpoint() string { return s.http.URL }

// Config is a configuration for the SDK's clients, without long waits between tries.
func (s *Server) Config() aws.Config {
	return aws.Config{
		BaseEndpoint: aws.String(s.Endpoint()), Region: Region,
		Credentials:                credentials.NewStaticCredentialsProvider("test", "test", ""),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = 2, 1 })
		},
	}
}

// Outputs are the stack's outputs, as `pulumi stack output --json` writes them.
func (s *Server) Outputs() []byte {
	s.tb.Helper()
	outputs := maps.Clone(s.system.Outputs)
	for _, name := range []string{"deadLetterQueueUrl", "pausedQueueUrl"} {
		if queue, _ := outputs[name].(string); queue != "" {
			outputs[name] = s.Endpoint() + "/" + Account + "/" + path.Base(queue)
		}
	}
	text, err := json.Marshal(outputs)
	require.NoError(s.tb, err)
	return text
}

// Keys are the keys of all versions in the bucket.
func (s *Server) Keys() []string {
	s.tb.Helper()
	versions, err := s.store.Client().ListObjectVersions(s.tb.Context(), &s3.ListObjectVersionsInput{Bucket: aws.String(Bucket)})
	require.NoError(s.tb, err)
	keys := make([]string, 0, len(versions.Versions)+len(versions.DeleteMarkers))
	for _, v := range versions.Versions {
		keys = append(keys, aws.ToString(v.Key))
	}
	for _, v := range versions.DeleteMarkers {
		keys = append(keys, aws.ToString(v.Key))
	}
	return keys
}

// set changes what is so.
func (s *Server) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// Refuse lets operations, such as DescribeSubnets, be refused with a code, such as AccessDenied; an empty code fixes it.
func (s *Server) Refuse(code string, operations ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, operation := range operations {
		s.refused[operation] = code
	}
}

// refusedByTest is the message of every refusal that a test asked for.
const refusedByTest = "refused by the test"

// mayNot is the refusal of an operation; nil if it isn't refused.
func (s *Server) mayNot(operation string) error {
	if code := s.refused[operation]; code != "" {
		return loopback.Refuse(code, refusedByTest)
	}
	return nil
}

// Cut lets requests end without an answer, as a broken network would; nil fixes it.
func (s *Server) Cut(which func(*http.Request) bool) { s.set(func() { s.offline = which }) }

// Lose lets the next request for an operation, such as UpdateItem, be done without an answer.
func (s *Server) Lose(operation string) { s.set(func() { s.lost[operation] = true }) }

// Unbind lets the bucket send no events to EventBridge.
func (s *Server) Unbind() { s.set(func() { s.unbound = true }) }

// Alarm puts an alarm of the state machine into the state ALARM.
func (s *Server) Alarm(name string) {
	s.alarm(name, "<Dimensions><member><Name>StateMachineArn</Name><Value>"+Machine+"</Value></member></Dimensions>")
}

// OtherAlarm puts an alarm of something without dimensions into the state ALARM.
func (s *Server) OtherAlarm(name string) { s.alarm(name, "") }

func (s *Server) alarm(name, dimensions string) {
	member := "<member><AlarmName>" + name + "</AlarmName><StateValue>ALARM</StateValue>" + dimensions + "</member>"
	s.set(func() { s.alarms = append(s.alarms, member) })
}

// Subscribe adds subscriptions to the topic, each by its ARN, or PendingConfirmation.
func (s *Server) Subscribe(arns ...string) {
	s.set(func() { s.subscribed = append(s.subscribed, arns...) })
}

// Calls is how often an operation was asked for, such as ListExecutions; for
// S3, the method and the query's first key, such as "PUT partNumber".
func (s *Server) Calls(operation string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[operation]
}

func (s *Server) called(operation, action string) {
	s.set(func() {
		s.calls[operation]++
		if operation != "" { // else it was broken off before it said what it is for
			s.asked[action] = true
		}
	})
}

// ServeHTTP answers a request of any service.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	cut := s.offline != nil && s.offline(r)
	s.mu.Unlock()
	if cut {
		panic(http.ErrAbortHandler) // the server closes the connection
	}
	if operation := loopback.Operation(r); operation != "" {
		s.serveJSON(w, r, operation)
		return
	}
	if s.serveLambda(w, r) || s.serveImage(w, r) {
		return
	}
	if r.Method == http.MethodPost && strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		s.serveQuery(w, r)
		return
	}
	s.serveS3(w, r)
}

func (s *Server) serveS3(w http.ResponseWriter, r *http.Request) {
	if s.serveAdopted(w, r) {
		return
	}
	if r.Method == http.MethodGet && r.URL.Query().Has("notification") {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked[objectAction(r)] = true
		content := "<EventBridgeConfiguration/>"
		if s.unbound {
			content = ""
		}
		w.Header().Set("Content-Type", "application/xml")
		_, _ = io.WriteString(w, "<NotificationConfiguration>"+content+"</NotificationConfiguration>")
		return
	}
	operation := r.Method
	if query := r.URL.Query(); query.Has("partNumber") {
		operation += " part"
	}
	s.called(operation, objectAction(r))
	s.proxy.ServeHTTP(w, r)
}

// request is what the requests have that are answered here.
type request struct {
	ExecutionARN    string `json:"executionArn"`
	StateMachineARN string `json:"stateMachineArn"`
	MapRunARN       string `json:"mapRunArn"`
	Error           string `json:"error"`
	Cause           string `json:"cause"`
	StatusFilter    string `json:"statusFilter"`
	Name            string `json:"name"`
	Input           string `json:"input"`
	ClientToken     string `json:"clientToken"`
	MaxResults      int    `json:"maxResults"`
	NextToken       string `json:"nextToken"`
	ReverseOrder    bool   `json:"reverseOrder"`

	QueueURL            string  `json:"QueueUrl"`
	MaxNumberOfMessages int     `json:"MaxNumberOfMessages"`
	ReceiptHandle       string  `json:"ReceiptHandle"`
	VisibilityTimeout   int     `json:"VisibilityTimeout"`
	Entries             []entry `json:"Entries"`

	LogGroupName   string   `json:"logGroupName"`
	LogStreamNames []string `json:"logStreamNames"`
	FilterPattern  string   `json:"filterPattern"`
	StartTime      int64    `json:"startTime"`
	EndTime        int64    `json:"endTime"`

	TaskDefinition  string   `json:"taskDefinition"`
	Cluster         string   `json:"cluster"`
	Family          string   `json:"family"`
	Task            string   `json:"task"`
	Tasks           []string `json:"tasks"`
	QuotaCode       string   `json:"QuotaCode"`
	RepositoryNames []string `json:"repositoryNames"`
}

// handlers answer operations, with the lock.
func (s *Server) handlers(operation string, body []byte) map[string]func(request) (any, error) {
	item := func(request) (any, error) { return s.item(operation, body) }
	handlers := map[string]func(request) (any, error){
		"ListExecutions": s.listExecutions, "DescribeExecution": s.describeExecution, "GetExecutionHistory": s.history,
		"RedriveExecution": s.redrive, "StartExecution": s.startExecution, "StopExecution": s.stopExecution,
		"ListTasks": s.listTasks, "DescribeTasks": s.describeTasks, "StopTask": s.stopTask,
		"DescribeStateMachine": s.stateMachine, "DescribeStateMachineForExecution": s.stateMachineOf,
		"ReceiveMessage": s.receive, "DeleteMessage": s.remove, "ChangeMessageVisibility": s.release,
		"ChangeMessageVisibilityBatch": s.releaseBatch, "GetQueueAttributes": s.attributes, "FilterLogEvents": s.filterLogs,
		"DeleteMessageBatch": s.removeBatch, "DescribeRule": s.describeRule, "EnableRule": s.setRule(true), "DisableRule": s.setRule(false),
		"GetItem": item, "UpdateItem": item, "Query": item, "BatchGetItem": item, "DescribeTaskDefinition": s.taskDefinition,
	}
	if s.Router == nil {
		maps.Copy(handlers, map[string]func(request) (any, error){
			"GetServiceQuota": s.quota, "DescribeRepositories": s.describeRepositories,
			"ListTargetsByRule": s.listTargets, "DescribeImages": s.describeImages,
			"BatchGetImage": s.getImage, "GetDownloadUrlForLayer": s.layer,
		})
	}
	return handlers
}

func (s *Server) serveJSON(w http.ResponseWriter, r *http.Request, operation string) {
	service, _, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	s.called(operation, actionOf(service, operation))
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
	s.mu.Lock()
	var out any
	err = s.mayNot(operation)
	handle := s.handlers(operation, body)[operation]
	if s.ofBackfills(operation, in) {
		handle = s.backfillHandlers(body)[operation]
	}
	if handle == nil {
		err = loopback.Refuse("UnknownOperationException", "awstest doesn't know "+operation)
	} else if err == nil {
		out, err = handle(in)
	}
	lost := s.lost[operation]
	s.lost[operation] = false
	s.mu.Unlock()
	if lost {
		panic(http.ErrAbortHandler) // the server closes the connection
	}
	w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
	_ = loopback.Answer(w, out, err) // who asked may be gone
}

// now is the time at AWS, which a local run may have let pass.
func (s *Server) now() time.Time {
	if s.Router != nil {
		return s.Router.Now()
	}
	return time.Now()
}

// item answers for a table.
func (s *Server) item(operation string, body []byte) (any, error) {
	if s.Router != nil {
		return s.Router.Item(operation, body)
	}
	var in struct{ TableName string }
	if err := json.Unmarshal(body, &in); err != nil || in.TableName != "" && in.TableName != Table {
		return nil, loopback.Refuse("ResourceNotFoundException", "Requested resource not found")
	}
	return dynamodb.Serve(s.ledger, time.Now(), operation, body)
}

// declared is the resource of a type that has an ARN.
func (s *Server) declared(typ string, arn any) declared.Resource {
	resource, err := s.system.Where(typ, "arn", arn)
	if err != nil {
		s.tb.Error(err)
	}
	return resource
}

func (s *Server) machineARN() string {
	arn, _ := s.system.Outputs["stateMachineArn"].(string)
	return arn
}

func (s *Server) isMachine(in request) error {
	if in.StateMachineARN != s.machineARN() && (s.Router == nil || in.StateMachineARN != s.system.Outputs["backfillStateMachineArn"]) {
		return loopback.Refuse("StateMachineDoesNotExist", "State Machine Does Not Exist: '"+in.StateMachineARN+"'")
	}
	return nil
}

// stateMachine answers with the definition that is declared.
func (s *Server) stateMachine(in request) (any, error) {
	if err := s.isMachine(in); err != nil {
		return nil, err
	}
	return s.machine(), nil
}

// stateMachineOf answers with the same, as it has never been another.
func (s *Server) stateMachineOf(in request) (any, error) {
	if _, err := s.find(in); err != nil {
		return nil, err
	}
	return s.machine(), nil
}

func (s *Server) machine() map[string]any {
	machine := s.declared(declared.TypeStateMachine, s.machineARN())
	return map[string]any{
		"stateMachineArn": s.machineARN(), fieldName: machine.Text("name"), "status": "ACTIVE", "type": "STANDARD", "creationDate": 0,
		"updateDate": 0, "definition": machine.Text("definition"), "roleArn": machine.Text("roleArn"),
	}
}

func (s *Server) taskDefinition(in request) (any, error) {
	task := s.declared(declared.TypeTaskDefinition, in.TaskDefinition)
	var containers []struct{ Name, Image string }
	if err := json.Unmarshal([]byte(task.Text("containerDefinitions")), &containers); err != nil {
		return nil, err //nolint:wrapcheck // a mistake of the declared system's
	}
	all := []any{}
	for _, c := range containers {
		all = append(all, map[string]any{fieldName: c.Name, "image": c.Image})
	}
	return map[string]any{"taskDefinition": map[string]any{
		"taskDefinitionArn": task.Outputs["arn"], "cpu": task.Text("cpu"), "memory": task.Text("memory"),
		"runtimePlatform": map[string]any{"cpuArchitecture": task.Object("runtimePlatform")["cpuArchitecture"]},
		"taskRoleArn":     task.Text("taskRoleArn"), "executionRoleArn": task.Text("executionRoleArn"), "containerDefinitions": all,
	}}, nil
}

// serveQuery answers CloudWatch, IAM, SNS and EC2.
func (s *Server) serveQuery(w http.ResponseWriter, r *http.Request) {
	action := r.FormValue("Action")
	s.called(action, actionOf(r.FormValue("Version"), action))
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.mayNot(action); err != nil {
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(http.StatusForbidden)
		fault := fmt.Sprintf("<Error><Code>%s</Code><Message>%s</Message></Error>", s.refused[action], err)
		if strings.HasPrefix(action, "Describe") { // EC2 has them in a shape of its own
			fault = "<Errors>" + fault + "</Errors>"
		}
		_, _ = io.WriteString(w, "<Response>"+fault+"</Response>")
		return
	}
	if s.serveXML(w, r, action) {
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	if action == "GetMetricData" {
		_, _ = io.WriteString(w, s.metricData(r.Form))
		return
	}
	if action != "DescribeAlarms" {
		http.Error(w, "awstest doesn't know "+action, http.StatusBadRequest)
		return
	}
	_, _ = fmt.Fprintf(w, `<DescribeAlarmsResponse><DescribeAlarmsResult><MetricAlarms>%s</MetricAlarms>`+
		`</DescribeAlarmsResult></DescribeAlarmsResponse>`, strings.Join(s.alarms, ""))
}
