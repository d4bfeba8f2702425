package awstest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/local"
	"example.com/upload-router/internal/loopback"
	"example.com/upload-router/internal/machine"
)

// Where backfills are.
const (
	BackfillMachine = "arn:aws:states:" + Region + ":" + Account + ":stateMachine:backfill"
	BackfillBucket  = "backfill-bucket"

	backfillChild = "arn:aws:states:" + Region + ":" + Account + ":execution:backfill/Files:"
	backfillRun   = "arn:aws:states:" + Region + ":" + Account + ":mapRun:backfill/Files:"
)

// backfill is an execution of the machine for backfills, whose files follow the scripts of their keys.
type backfill struct {
	arn, run         string
	input            string
	options          machine.BackfillInput
	children         []*child
	started, stopped time.Time
	status           asl.Status
	error, cause     string
	redrives         int
}

// child is what processes a file of a backfill. It has no ARN before it begins.
type child struct {
	Key       string
	VersionID string `json:"VersionId"`
	Size      int64

	arn      string
	status   asl.Status
	script   Script
	at, over time.Time
}

func (b *backfill) name() string { return b.arn[strings.LastIndex(b.arn, ":")+1:] }

// isChild says whether an ARN is that of a child execution of a Map Run, of which the state machine's name has a label.
func isChild(arn string) bool {
	return strings.Contains(arn, ":execution:") && strings.Contains(arn, "/")
}

// ofBackfills says whether a request is about backfills, and their scripts, or the local run itself, answer it.
func (s *Server) ofBackfills(operation string, in request) bool {
	switch {
	case isChild(in.ExecutionARN):
		return s.byARN(in.ExecutionARN) == nil
	case in.MapRunARN != "" || operation == "ListMapRuns":
		return true
	case s.Router != nil:
		return false // of an execution that really runs more is known here
	}
	return in.StateMachineARN == BackfillMachine || strings.HasPrefix(in.ExecutionARN, local.ExecutionARN(BackfillMachine, ""))
}

// backfillHandlers answer operations about backfills, with the lock.
func (s *Server) backfillHandlers(body []byte) map[string]func(request) (any, error) {
	if s.Router == nil {
		return map[string]func(request) (any, error){
			"StartExecution": s.startBackfill, "DescribeExecution": s.describeBackfill, "ListExecutions": s.listBackfills,
			"ListMapRuns": s.listMapRuns, "DescribeMapRun": s.describeMapRun, "StopExecution": s.stopBackfill, "RedriveExecution": s.redriveBackfill,
		}
	}
	handlers := map[string]func(request) (any, error){}
	for _, operation := range []string{"DescribeExecution", "ListExecutions", "ListMapRuns", "DescribeMapRun"} {
		handlers[operation] = func(request) (any, error) { return s.Router.Executions(operation, body) }
	}
	return handlers
}

// Backfills are the names of the backfills, the newest first.
func (s *Server) Backfills() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]string, len(s.backfills))
	for i, b := range s.backfills {
		names[i] = b.name()
	}
	return names
}

// Listed are the items of the list of a backfill.
func (s *Server) Listed(name string) []string {
	s.tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.backfills {
		if b.name() == name {
			lines, err := s.listLines(b.options.List)
			if err != nil {
				s.tb.Error(err)
			}
			return lines
		}
	}
	s.tb.Errorf("there is no backfill %s", name)
	return nil
}

// listLines are the items of a list, of which each has a line.
func (s *Server) listLines(key string) ([]string, error) {
	object, err := s.store.Client().GetObject(context.Background(), &s3.GetObjectInput{Bucket: aws.String(BackfillBucket), Key: &key})
	if err != nil {
		return nil, fmt.Errorf("reading the list: %w", err)
	}
	defer func() { _ = object.Body.Close() }()
	var lines []string
	text := bufio.NewScanner(object.Body)
	for text.Scan() {
		if item := strings.TrimLeft(text.Text(), "[,"); item != "]" {
			lines = append(lines, item)
		}
	}
	return lines, text.Err() //nolint:wrapcheck // a test's
}

func (s *Server) startBackfill(in request) (any, error) {
	b := &backfill{
		arn: local.ExecutionARN(BackfillMachine, in.Name), run: backfillRun + uuid.NewString(), input: in.Input,
		started: time.Now(), status: running,
	}
	if slices.ContainsFunc(s.backfills, func(other *backfill) bool { return other.arn == b.arn }) {
		return nil, loopback.Refuse("ExecutionAlreadyExists", "Execution Already Exists: '"+b.arn+"'")
	}
	if err := json.Unmarshal([]byte(in.Input), &b.options); err != nil {
		return nil, loopback.Refuse("InvalidExecutionInput", err.Error())
	}
	lines, err := s.listLines(b.options.List)
	if err != nil {
		return nil, loopback.Refuse("States.ItemReaderFailed", err.Error())
	}
	for _, line := range lines {
		c := &child{}
		if err := json.Unmarshal([]byte(line), c); err != nil {
			return nil, loopback.Refuse("States.ItemReaderFailed", err.Error())
		}
		b.children = append(b.children, c)
	}
	s.backfills = append([]*backfill{b}, s.backfills...)
	return map[string]any{fieldARN: b.arn, "startDate": loopback.Seconds(b.started)}, nil
}

// step has as many files processed as may be at a time, and ends the backfill when there is nothing left or too much has failed.
func (s *Server) step(b *backfill) {
	if b.status != running {
		return
	}
	left := b.options.MaxParallel
	for _, c := range b.children {
		switch {
		case c.status == running:
			s.endChild(c)
		case c.status == "" && left > 0:
			left--
			c.arn, c.status, c.at = backfillChild+uuid.NewString(), running, time.Now()
			c.script = s.scriptOf(c.Key)
		}
	}
	failed := len(b.children) - b.count("") - b.count(running) - b.count(asl.StatusSucceeded)
	switch {
	case float64(failed)*100 > b.options.Tolerate*float64(len(b.children)):
		b.end(asl.StatusFailed, "States.ExceedToleratedFailureThreshold",
			"The specified tolerated failure threshold was exceeded")
	case b.count("")+b.count(running) == 0:
		b.end(asl.StatusSucceeded, "", "")
	}
}

func (s *Server) scriptOf(key string) Script {
	if script, own := s.scripts[key]; own {
		return script
	}
	return s.scripts["*"]
}

func (s *Server) endChild(c *child) {
	c.status, c.over = (&scripted{Script: c.script}).status(), time.Now()
}

// end ends a backfill; what runs of it is aborted.
func (b *backfill) end(status asl.Status, code, cause string) {
	b.status, b.error, b.cause, b.stopped = status, code, cause, time.Now()
	for _, c := range b.children {
		if c.status == running {
			c.status, c.over = asl.StatusAborted, time.Now()
		}
	}
}

func (b *backfill) count(status asl.Status) int {
	n := 0
	for _, c := range b.children {
		if c.status == status {
			n++
		}
	}
	return n
}

func (s *Server) backfill(in request) (*backfill, error) {
	for _, b := range s.backfills {
		if b.arn == in.ExecutionARN || in.MapRunARN != "" && b.run == in.MapRunARN {
			return b, nil
		}
	}
	return nil, loopback.Refuse("ExecutionDoesNotExist", "Execution Does Not Exist: '"+in.ExecutionARN+"'")
}

func (s *Server) describeBackfill(in request) (any, error) {
	if strings.HasPrefix(in.ExecutionARN, backfillChild) {
		return s.describeChild(in)
	}
	b, err := s.backfill(in)
	if err != nil {
		return nil, err
	}
	out := b.item()
	out["input"], out["redriveCount"], out["redriveStatus"] = b.input, b.redrives, "REDRIVABLE"
	if b.status == running || b.status == asl.StatusSucceeded {
		out["redriveStatus"] = "NOT_REDRIVABLE"
		out["redriveStatusReason"] = "Execution is " + string(b.status) + " and cannot be redriven."
	}
	if b.error != "" {
		out["error"], out["cause"] = b.error, b.cause
	}
	return out, nil
}

func (b *backfill) item() map[string]any {
	out := map[string]any{
		fieldARN: b.arn, "stateMachineArn": BackfillMachine, fieldName: b.name(), "status": b.status, "startDate": loopback.Seconds(b.started),
	}
	if b.status != running {
		out["stopDate"] = loopback.Seconds(b.stopped)
	}
	return out
}

func (c *child) item() map[string]any {
	out := map[string]any{
		fieldARN: c.arn, "stateMachineArn": strings.Replace(strings.TrimSuffix(backfillChild, ":"), "execution", "stateMachine", 1),
		fieldName: c.arn[strings.LastIndex(c.arn, ":")+1:], "status": c.status, "startDate": loopback.Seconds(c.at),
	}
	if c.status != running {
		out["stopDate"] = loopback.Seconds(c.over)
	}
	return out
}

func (s *Server) describeChild(in request) (any, error) {
	for _, b := range s.backfills {
		for _, c := range b.children {
			if c.arn != in.ExecutionARN {
				continue
			}
			out := c.item()
			input, err := json.Marshal(map[string]any{"batch": b.options.Batch, "again": "", "detail": map[string]any{
				"bucket": map[string]any{"name": b.options.Bucket},
				"object": map[string]any{"key": c.Key, "size": c.Size},
			}})
			if err != nil {
				return nil, err //nolint:wrapcheck // a test's
			}
			out["input"] = string(input)
			if c.status == asl.StatusFailed {
				// A child fails by an expression, so that it can be redriven.
				out["error"] = asl.ErrorQueryEvaluation
				out["cause"] = "The JSONata expression '$error($states.input.error.Error & ': ' & $states.input.error.Cause)' specified for the " +
					"field 'Choices[1]/Condition' threw an error during evaluation. D3137: " + c.script.Error + ": " + c.script.Cause
			}
			return out, nil
		}
	}
	return nil, loopback.Refuse("ExecutionDoesNotExist", "Execution Does Not Exist: '"+in.ExecutionARN+"'")
}

// listBackfills gives the newest first, and of a Map Run its children.
func (s *Server) listBackfills(in request) (any, error) {
	if in.MapRunARN == "" {
		return page("executions", s.backfills, in, pageExecutions, func(b *backfill) any { return b.item() })
	}
	b, err := s.backfill(in)
	if err != nil {
		return nil, err
	}
	var found []*child
	for _, c := range b.children {
		if c.arn != "" && (in.StatusFilter == "" || in.StatusFilter == string(c.status)) {
			found = append(found, c)
		}
	}
	return page("executions", found, in, pageExecutions, func(c *child) any { return c.item() })
}

func (s *Server) listMapRuns(in request) (any, error) {
	b, err := s.backfill(in)
	if err != nil {
		return nil, err
	}
	return map[string]any{"mapRuns": []any{map[string]any{
		fieldARN: b.arn, "mapRunArn": b.run, "stateMachineArn": BackfillMachine, "startDate": loopback.Seconds(b.started),
	}}}, nil
}

func (s *Server) describeMapRun(in request) (any, error) {
	b, err := s.backfill(in)
	if err != nil {
		return nil, err
	}
	counts := map[string]any{
		"pending": b.count(""), "running": b.count(running), "succeeded": b.count(asl.StatusSucceeded), "failed": b.count(asl.StatusFailed),
		"timedOut": b.count(asl.StatusTimedOut), "aborted": b.count(asl.StatusAborted), "total": len(b.children), "resultsWritten": 0,
	}
	out := map[string]any{
		"mapRunArn": b.run, fieldARN: b.arn, "status": b.status, "startDate": loopback.Seconds(b.started),
		"maxConcurrency": b.options.MaxParallel, "toleratedFailureCount": 0, "toleratedFailurePercentage": b.options.Tolerate,
		"itemCounts": counts, "executionCounts": counts, "redriveCount": b.redrives,
	}
	s.step(b)
	return out, nil
}

func (s *Server) stopBackfill(in request) (any, error) {
	b, err := s.backfill(in)
	if err != nil {
		return nil, err
	}
	if b.status == running {
		b.end(asl.StatusAborted, in.Error, in.Cause)
	}
	return map[string]any{"stopDate": loopback.Seconds(b.stopped)}, nil
}

// redriveBackfill runs again what failed, and goes on with the rest.
func (s *Server) redriveBackfill(in request) (any, error) {
	if err := checkToken(in.ClientToken); err != nil {
		return nil, err
	}
	b, err := s.backfill(in)
	if err != nil {
		return nil, err
	}
	if b.status == running || b.status == asl.StatusSucceeded {
		return nil, loopback.Refuse("ExecutionNotRedrivable", "Execution is "+string(b.status)+" and cannot be redriven.")
	}
	b.status, b.error, b.cause = running, "", ""
	b.redrives++
	for _, c := range b.children {
		if c.status != "" && c.status != asl.StatusSucceeded {
			c.status, c.script = running, s.scriptOf(c.Key)
		}
	}
	return map[string]any{"redriveDate": loopback.Seconds(time.Now())}, nil
}

// Put puts an object into a bucket that is there, such as one of an inventory's, without an event.
func (s *Server) Put(bucket, key string, content []byte) {
	s.tb.Helper()
	_, err := s.store.Client().PutObject(s.tb.Context(), &s3.PutObjectInput{
		Bucket: &bucket, Key: &key, Body: strings.NewReader(string(content)),
	})
	if err != nil {
		s.tb.Error(err)
	}
}

// Objects are the keys of a bucket of the scripts' server.
func (s *Server) Objects(bucket string) []string {
	s.tb.Helper()
	list, err := s.store.Client().ListObjectsV2(s.tb.Context(), &s3.ListObjectsV2Input{Bucket: &bucket})
	if err != nil {
		s.tb.Error(err)
		return nil
	}
	keys := make([]string, len(list.Contents))
	for i, o := range list.Contents {
		keys[i] = aws.ToString(o.Key)
	}
	return keys
}
