package faults_test

import (
	"context"
	"crypto/md5" // SQS's own checksum of a message, which the SDK checks
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/require"

	"upload-router/internal/asl"
	"upload-router/internal/local"
	"upload-router/internal/local/localtest"
	"upload-router/operate"
)

// console gives package operate, which is behind `upload-router redrive`, the
// local run to work on: by AWS's own protocols, as far as it asks.
type console struct {
	*operate.System

	bench *bench
	ctx   context.Context //nolint:containedctx // What is started lives as long as the test.

	turn sync.Mutex // to read the queue: each test has a letter of its own

	mu         sync.Mutex
	executions map[string]*local.Execution // by ARN
	only       local.DeadLetter            // that a reader of the queue gets
}

func (b *bench) console(t *testing.T) *console {
	t.Helper()
	c := &console{bench: b, ctx: t.Context(), executions: map[string]*local.Execution{}}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	text, err := json.Marshal(b.system.Outputs)
	require.NoError(t, err)
	outputs, err := operate.ParseOutputs(text)
	require.NoError(t, err)
	outputs.DeadLetterQueueURL = server.URL + "/dlq"
	c.System = operate.Connect(aws.Config{
		BaseEndpoint: aws.String(server.URL), Region: localtest.Region, Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}, outputs)
	return c
}

// redrive runs an execution again, and gives the one that it is by then.
func (c *console) redrive(t *testing.T, ended *local.Execution, want operate.RedriveAction) *local.Execution {
	t.Helper()
	c.know(ended)
	plan, err := c.PlanRedrive(t.Context(), operate.RedriveOptions{Executions: []string{ended.ARN}})
	require.NoError(t, err)
	return c.do(t, plan, want)
}

// replay has a letter's event processed.
func (c *console) replay(t *testing.T, letter local.DeadLetter) *local.Execution {
	t.Helper()
	c.turn.Lock()
	defer c.turn.Unlock()
	c.mu.Lock()
	c.only = letter
	c.mu.Unlock()
	plan, err := c.PlanRedrive(t.Context(), operate.RedriveOptions{DeadLetters: true})
	require.NoError(t, err)
	return c.do(t, plan, operate.RedriveReplay)
}

// do does a plan of one.
func (c *console) do(t *testing.T, plan *operate.RedrivePlan, want operate.RedriveAction) *local.Execution {
	t.Helper()
	require.Len(t, plan.Items, 1)
	require.Equal(t, want, plan.Items[0].Action, plan.Items[0].Reason)
	require.NoError(t, plan.Run(t.Context(), nil))
	require.NoError(t, plan.Close(t.Context()))
	require.Empty(t, plan.Items[0].Error)
	require.True(t, plan.Items[0].Done)
	c.mu.Lock()
	defer c.mu.Unlock()
	for arn, e := range c.executions {
		if strings.HasSuffix(arn, ":"+plan.Items[0].Name) {
			return e
		}
	}
	require.Fail(t, "nothing was started", plan.Items[0].Name)
	return nil
}

func (c *console) know(e *local.Execution) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.executions[e.ARN] = e
}

func (c *console) find(arn string) *local.Execution {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.executions[arn]
}

// asked is what the requests have that are answered here.
type asked struct {
	ExecutionARN    string `json:"executionArn"`
	StateMachineARN string `json:"stateMachineArn"`
	Name            string `json:"name"`
	Input           string `json:"input"`
	MaxResults      int    `json:"maxResults"`
	ReceiptHandle   string `json:"ReceiptHandle"`
}

// refused is an error's answer.
type refused struct{ code, message string }

// ServeHTTP answers Step Functions and SQS.
func (c *console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in asked
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	target := r.Header.Get("X-Amz-Target")
	handlers := map[string]func(asked) (any, *refused){
		"DescribeExecution": c.describe, "GetExecutionHistory": c.history, "RedriveExecution": c.redriveExecution,
		"StartExecution": c.startExecution, "ReceiveMessage": c.receive, "DeleteMessage": c.remove, "GetQueueAttributes": c.count,
	}
	handle := handlers[target[strings.LastIndex(target, ".")+1:]]
	var out any
	no := &refused{"UnknownOperationException", target}
	if handle != nil {
		out, no = handle(in)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	if no != nil {
		w.WriteHeader(http.StatusBadRequest)
		out = map[string]string{"__type": no.code, "message": no.message}
	}
	_ = json.NewEncoder(w).Encode(out)
}

// unix is a time as the protocols have it.
func unix(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func (c *console) describe(in asked) (any, *refused) {
	e := c.find(in.ExecutionARN)
	if e == nil {
		return nil, &refused{"ExecutionDoesNotExist", in.ExecutionARN}
	}
	redrivable := map[bool]string{true: "REDRIVABLE", false: "NOT_REDRIVABLE"}[e.Status != asl.StatusSucceeded]
	return map[string]any{
		"executionArn": e.ARN, "stateMachineArn": c.Outputs.StateMachineARN, "name": e.ARN[strings.LastIndex(e.ARN, ":")+1:],
		"status": e.Status, "startDate": unix(e.Events[0].Timestamp), "stopDate": unix(time.Now()), "input": string(e.Events[0].Input),
		"error": e.Error, "cause": e.Cause, "redriveCount": 0, "redriveStatus": redrivable,
	}, nil
}

// history is its last events, as it is read from its end.
func (c *console) history(in asked) (any, *refused) {
	e := c.find(in.ExecutionARN)
	if e == nil {
		return nil, &refused{"ExecutionDoesNotExist", in.ExecutionARN}
	}
	var events []any
	for i := len(e.Events) - 1; i >= 0 && len(events) < in.MaxResults; i-- {
		event := map[string]any{"id": e.Events[i].ID, "timestamp": unix(e.Events[i].Timestamp), "type": string(e.Events[i].Type)}
		if e.Events[i].Type == asl.StateEntered {
			event["type"] = string(e.Events[i].StateType) + "StateEntered"
			event["stateEnteredEventDetails"] = map[string]any{"name": e.Events[i].State}
		}
		events = append(events, event)
	}
	return map[string]any{"events": events}, nil
}

func (c *console) redriveExecution(in asked) (any, *refused) {
	if err := c.bench.Redrive(c.ctx, c.find(in.ExecutionARN)); err != nil {
		return nil, &refused{"ExecutionNotRedrivable", err.Error()}
	}
	return map[string]any{"redriveDate": unix(time.Now())}, nil
}

func (c *console) startExecution(in asked) (any, *refused) {
	e, err := c.bench.StartExecution(c.ctx, in.StateMachineARN, in.Name, json.RawMessage(in.Input))
	if err != nil {
		return nil, &refused{"InternalFailure", err.Error()}
	}
	c.know(e)
	return map[string]any{"executionArn": e.ARN, "startDate": unix(time.Now())}, nil
}

func (c *console) receive(asked) (any, *refused) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.only.MessageID == "" {
		return map[string]any{}, nil
	}
	letter := c.only
	c.only = local.DeadLetter{}
	sum := md5.Sum(letter.Body)
	attributes := map[string]any{}
	for name, value := range letter.Attributes {
		attributes[name] = map[string]any{"DataType": "String", "StringValue": value}
	}
	return map[string]any{"Messages": []any{map[string]any{
		"MessageId": letter.MessageID, "ReceiptHandle": letter.MessageID, "Body": string(letter.Body), "MD5OfBody": hex.EncodeToString(sum[:]),
		"Attributes": map[string]any{"SentTimestamp": strconv.FormatInt(time.Now().UnixMilli(), 10)}, "MessageAttributes": attributes,
	}}}, nil
}

func (c *console) remove(in asked) (any, *refused) {
	for _, letter := range c.bench.DeadLetters() {
		if letter.MessageID == in.ReceiptHandle {
			c.bench.Discard(letter)
			return map[string]any{}, nil
		}
	}
	return nil, &refused{"ReceiptHandleIsInvalid", in.ReceiptHandle}
}

func (c *console) count(asked) (any, *refused) {
	return map[string]any{"Attributes": map[string]any{
		"ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesNotVisible": strconv.Itoa(len(c.bench.DeadLetters())),
	}}, nil
}
