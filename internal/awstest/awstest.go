// Package awstest is a small AWS for the tests of package operate and of the
// command line: a server that speaks the real protocols of S3 (by package
// objectstore), Step Functions, SQS, DynamoDB, CloudWatch and CloudWatch Logs, and
// that starts an execution for each upload as EventBridge would.
//
// It runs no state machine: an execution follows the script of its key. What is
// asked of it and not known is answered with an error, so that a test can't pass
// by silence.
package awstest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/claimtable"
	"example.com/upload-router/internal/dynamodb"
	"example.com/upload-router/internal/loopback"
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
	FunctionGroup = "function-logs"
	TaskGroup     = "task-logs"
	Table         = "claims-table"
	// ExecutionTimeout is how long an execution may take.
	ExecutionTimeout = 3 * time.Hour
	// Threshold is the size of the largest object that goes to Lambda.
	Threshold = 1 << 20
)

// Script says what becomes of an upload.
type Script struct {
	// Error and Cause let the execution fail with them: in a Fail state, or, if
	// Uncaught, outside any Catch.
	Error, Cause string
	Uncaught     bool
	// TimedOut lets the whole execution time out, Aborted ends it by hand.
	TimedOut, Aborted bool
	// NotRedrivable is why Step Functions can't redrive it, such as [ReasonMaxTime].
	// Default: what follows from its status, its age and its events.
	NotRedrivable string
	// EndedIn is the state in which one that timed out or was aborted ended. Default: the processor's.
	EndedIn string
	// Events is how many events the history is said to have. Default: those it has.
	Events int
	// WrongDigest lets the processor answer another file's digest.
	WrongDigest bool
	// Lost lets the event never arrive; with Letter it goes to the dead-letter queue.
	Lost, Letter bool
	// Polls is how many listings the execution runs for. Default: 1.
	Polls int
}

// Server is a running AWS.
type Server struct {
	tb    testing.TB
	http  *httptest.Server
	store *objectstore.Server
	proxy *httputil.ReverseProxy

	mu         sync.Mutex
	offline    func(*http.Request) bool
	scripts    map[string]Script
	executions []*execution      // the newest first
	refused    map[string]string // codes with which operations are refused
	quotas     map[string]float64
	unreserved int // runs of Lambda functions
	messages   []*message
	lines      []Line
	alarms     []string
	others     []string // alarms of nothing that has a dimension
	subscribed []string // the ARNs of subscriptions to the topic, or a word instead
	calls      map[string]int
	unbound    bool
	callback   bool
	lost       map[string]bool // operations whose next answer is lost
	claims     *dynamodb.Table // nil if nothing is claimed
	broken     map[string]bool
	simulated  simulated
}

// Start starts a server that ends with the test.
func Start(tb testing.TB) *Server {
	tb.Helper()
	s := &Server{
		tb: tb, scripts: map[string]Script{}, calls: map[string]int{}, refused: map[string]string{}, quotas: map[string]float64{},
		unreserved: Concurrency, lost: map[string]bool{},
	}
	store, err := objectstore.Start(tb.Context(), objectstore.Options{
		Region: Region, Buckets: []objectstore.Bucket{{Name: Bucket, Versioned: true}}, OnCreated: s.created,
	})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, store.Close()) })
	s.store = store
	target, err := url.Parse(store.Endpoint())
	require.NoError(tb, err)
	s.proxy = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	s.http = httptest.NewServer(s)
	tb.Cleanup(s.http.Close)
	return s
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
	routes, err := json.Marshal(s.described().Routes())
	require.NoError(s.tb, err)
	table := ""
	if s.claims != nil {
		table = Table
	}
	return fmt.Appendf(nil, `{"vpcId":"vpc-1","subnetIds":["subnet-1","subnet-2"],"securityGroupId":"sg-1",
 "ecrRepositoryUri":"",
 "ecsClusterArn":"arn:aws:ecs:%[1]s:%[2]s:cluster/c","taskDefinitionArn":"arn:aws:ecs:%[1]s:%[2]s:task-definition/c:1",
 "lambdaFunctionArn":"arn:aws:lambda:%[1]s:%[2]s:function:f","stateMachineArn":%[3]q,"bucketName":%[4]q,"eventBridgeRuleName":%[5]q,
 "topicArn":"arn:aws:sns:%[1]s:%[2]s:t","deadLetterQueueUrl":%[6]q,"functionLogGroup":%[7]q,"taskLogGroup":%[8]q,"routes":%[9]s,"claimsTable":%[10]q}`,
		Region, Account, Machine, Bucket, Rule, s.Endpoint()+"/"+Account+"/dlq", FunctionGroup, TaskGroup, routes, table)
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

// Script sets what becomes of the uploads of a key; * is every key without a script of its own.
func (s *Server) Script(key string, script Script) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scripts[key] = script
}

// Refuse lets operations, such as DescribeSubnets, be refused with a code, such
// as AccessDenied; an empty code fixes it.
func (s *Server) Refuse(code string, operations ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, operation := range operations {
		s.refused[operation] = code
	}
}

// mayNot is the refusal of an operation; nil if it isn't refused.
func (s *Server) mayNot(operation string) error {
	if code := s.refused[operation]; code != "" {
		return loopback.Refuse(code, "refused by the test")
	}
	return nil
}

// Cut lets requests end without an answer, as a broken network would; nil fixes it.
func (s *Server) Cut(which func(*http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offline = which
}

// Lose lets the next request for an operation, such as UpdateItem, be done without an answer.
func (s *Server) Lose(operation string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost[operation] = true
}

// Unbind lets the bucket send no events to EventBridge.
func (s *Server) Unbind() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unbound = true
}

// Callback lets tasks tell their end themselves: their answer is in the
// execution then, and not in their log.
func (s *Server) Callback() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.callback = true
}

// Deduplicate has the state machine claim each object once, in the table that is
// given. As no state machine runs, a test writes the claims.
func (s *Server) Deduplicate() *dynamodb.Table {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claims = &dynamodb.Table{Keys: []string{claimtable.HashKey, claimtable.RangeKey}}
	return s.claims
}

// Alarm puts an alarm of the state machine into the state ALARM.
func (s *Server) Alarm(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alarms = append(s.alarms, name)
}

// OtherAlarm puts an alarm of something without dimensions into the state ALARM.
func (s *Server) OtherAlarm(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.others = append(s.others, name)
}

// Subscribe adds subscriptions to the topic, each by its ARN, or PendingConfirmation.
func (s *Server) Subscribe(arns ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subscribed = append(s.subscribed, arns...)
}

// Calls is how often an operation was asked for, such as ListExecutions; for
// S3, the method and the query's first key, such as "PUT partNumber".
func (s *Server) Calls(operation string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[operation]
}

func (s *Server) called(operation string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[operation]++
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
	if s.serveLambda(w, r) {
		return
	}
	if r.Method == http.MethodPost && strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		s.serveQuery(w, r)
		return
	}
	s.serveS3(w, r)
}

func (s *Server) serveS3(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && r.URL.Query().Has("notification") {
		s.mu.Lock()
		defer s.mu.Unlock()
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
	s.called(operation)
	s.proxy.ServeHTTP(w, r)
}

func (s *Server) serveJSON(w http.ResponseWriter, r *http.Request, operation string) {
	s.called(operation)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var in map[string]any
	if err := json.Unmarshal(body, &in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	handlers := map[string]func(map[string]any) (any, error){
		"ListExecutions": s.listExecutions, "DescribeExecution": s.describeExecution, "GetExecutionHistory": s.history,
		"RedriveExecution": s.redrive, "StartExecution": s.startExecution,
		"ReceiveMessage": s.receive, "DeleteMessage": s.remove, "ChangeMessageVisibility": s.release,
		"ChangeMessageVisibilityBatch": s.releaseBatch, "GetQueueAttributes": s.attributes, "FilterLogEvents": s.filterLogs,
		"GetServiceQuota": s.quota, "DescribeRepositories": s.describeRepositories,
		"DescribeRule": s.describeRule, "ListTargetsByRule": s.listTargets, "DescribeImages": s.describeImages,
		"DescribeStateMachine": s.stateMachine, "DescribeStateMachineForExecution": s.stateMachineOf,
		"GetItem": s.item(operation, body), "UpdateItem": s.item(operation, body), "DescribeTaskDefinition": s.taskDefinition,
	}
	handle, known := handlers[operation]
	if !known {
		s.answer(w, nil, loopback.Refuse("UnknownOperationException", "awstest doesn't know "+operation))
		return
	}
	s.mu.Lock()
	var out any
	err = s.mayNot(operation)
	if err == nil {
		out, err = handle(in)
	}
	lost := s.lost[operation]
	s.lost[operation] = false
	s.mu.Unlock()
	if lost {
		panic(http.ErrAbortHandler) // the server closes the connection
	}
	s.answer(w, out, err)
}

// item answers for the table of claims.
func (s *Server) item(operation string, body []byte) func(map[string]any) (any, error) {
	return func(in map[string]any) (any, error) {
		if s.claims == nil || in["TableName"] != Table {
			return nil, loopback.Refuse("ResourceNotFoundException", "Requested resource not found")
		}
		return dynamodb.Serve(s.claims, time.Now(), operation, body)
	}
}

func (s *Server) answer(w http.ResponseWriter, out any, err error) {
	if err := loopback.Answer(w, out, err); err != nil {
		s.tb.Error(err)
	}
}

// serveQuery answers CloudWatch, IAM, SNS and EC2.
func (s *Server) serveQuery(w http.ResponseWriter, r *http.Request) {
	action := r.FormValue("Action")
	s.called(action)
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
	if s.serveLinks(w, r, action) || s.serveAccount(w, r, action) {
		return
	}
	if action != "DescribeAlarms" {
		http.Error(w, "awstest doesn't know "+action, http.StatusBadRequest)
		return
	}
	var members strings.Builder
	for _, name := range s.alarms {
		fmt.Fprintf(&members, `<member><AlarmName>%s</AlarmName><StateValue>ALARM</StateValue><Dimensions><member>
<Name>StateMachineArn</Name><Value>%s</Value></member></Dimensions></member>`, name, Machine)
	}
	for _, name := range s.others {
		fmt.Fprintf(&members, `<member><AlarmName>%s</AlarmName><StateValue>ALARM</StateValue></member>`, name)
	}
	w.Header().Set("Content-Type", "text/xml")
	_, _ = fmt.Fprintf(w, `<DescribeAlarmsResponse><DescribeAlarmsResult><MetricAlarms>%s</MetricAlarms>`+
		`</DescribeAlarmsResult></DescribeAlarmsResponse>`,
		members.String())
}
