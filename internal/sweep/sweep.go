// Package sweep looks after what executions leave behind that end without a word: their uploads are written into the ledger as failed, and
// their task slots are given back.
//
// It runs when an execution timed out or was stopped, of which EventBridge tells, and by a schedule, when it looks for what nobody told it.
// Either is enough. It may run twice at once, late, or not for a day.
package sweep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/smithy-go"

	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/ledger/client"
	"example.com/upload-router/upload"
)

// StatesAPI is the part of Step Functions that is asked.
type StatesAPI interface {
	DescribeExecution(context.Context, *sfn.DescribeExecutionInput, ...func(*sfn.Options)) (*sfn.DescribeExecutionOutput, error)
	ListExecutions(context.Context, *sfn.ListExecutionsInput, ...func(*sfn.Options)) (*sfn.ListExecutionsOutput, error)
	ListMapRuns(context.Context, *sfn.ListMapRunsInput, ...func(*sfn.Options)) (*sfn.ListMapRunsOutput, error)
}

// TopicAPI is the part of SNS that is called.
type TopicAPI interface {
	Publish(context.Context, *sns.PublishInput, ...func(*sns.Options)) (*sns.PublishOutput, error)
}

// Sweep looks after the executions of a state machine, and after the children of its backfills.
type Sweep struct {
	// Ledger is where their uploads are. Required.
	Ledger *client.Client
	// States knows the executions. Required.
	States StatesAPI
	// Topic is told of what nobody else has told. Required.
	Topic TopicAPI
	// MachineARN and TopicARN are the state machine and the topic. Required.
	MachineARN, TopicARN string
	// BackfillARN is the state machine of backfills, whose child workflow executions are looked after too. Empty: there is none.
	BackfillARN string
	// Routes are the names of those with task slots.
	Routes []string
	// Pause is between two looks for children that end. Default: two seconds.
	Pause time.Duration
	// Now is the clock. Default: time.Now.
	Now func() time.Time
	// Logger gets a line for each thing that is done. Required.
	Logger *slog.Logger

	// clock is Now, whatever an event says: what later looks go by is never written ahead of it.
	clock func() time.Time
}

// statusChange is the detail type of the event that tells of an execution's end, and the part of it that is needed here.
//
// https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
const statusChange = "Step Functions Execution Status Change"

type event struct {
	DetailType string    `json:"detail-type"` //nolint:tagliatelle // EventBridge's name.
	Time       time.Time `json:"time"`
	Detail     detail    `json:"detail"`
}

type detail struct {
	ExecutionARN string `json:"executionArn"`
	Input        string `json:"input"`
	// StartDate and StopDate are in milliseconds.
	StartDate int64 `json:"startDate"`
	StopDate  int64 `json:"stopDate"`
}

// Invoke implements lambda.Handler: an event about an execution is about that one, and any other has it look for all. An error has it tried
// again, or at the next look.
func (s *Sweep) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	var e event
	if err := json.Unmarshal(payload, &e); err != nil {
		return nil, fmt.Errorf("reading the event: %w", err)
	}
	if now := s.now(); e.Time.Sub(now) > farthest {
		return nil, fmt.Errorf("the event is of %s, and it is %s: %w", ledger.Time(e.Time), ledger.Time(now), errFuture)
	}
	at := *s
	at.clock = s.now
	at.Now = func() time.Time { return s.notBefore(e.Time) }
	if e.DetailType == statusChange {
		return nil, at.ended(ctx, e)
	}
	return nil, errors.Join(at.slots(ctx), at.lost(ctx))
}

// farthest is how far ahead an event's time is believed. An execution that runs for a year ends a year and some retries later in a local
// run, whose clock skips what is waited for.
const farthest = 2 * ledger.MaxLease

// errFuture is that no clock is as much ahead of another one.
var errFuture = errors.New("nothing of the time between has happened yet")

// notBefore is the time. What EventBridge tells of has happened, whatever the host's clock says.
func (s *Sweep) notBefore(told time.Time) time.Time {
	if now := s.now(); now.After(told) {
		return now
	}
	return told
}

func (s *Sweep) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

// did logs what was done.
func (s *Sweep) did(ctx context.Context, action string, attributes ...slog.Attr) {
	s.Logger.LogAttrs(ctx, slog.LevelInfo, "sweep", append([]slog.Attr{slog.String("action", action)}, attributes...)...)
}

// ended writes that an execution timed out or was stopped, and gives its task slot back. Others have been told of it already.
func (s *Sweep) ended(ctx context.Context, e event) error {
	arn := e.Detail.ExecutionARN
	named := slog.String("execution", arn)
	x, err := s.describe(ctx, arn)
	if err != nil {
		return err
	}
	// Which children were stopped with a backfill no state of it writes, however it ended.
	if s.isBackfill(arn) && x.over() {
		return s.backfillEnded(ctx, arn)
	}
	if !x.outside() { // redriven since
		s.did(ctx, "left", named, slog.String("why", "the execution is "+string(x.status)))
		return nil
	}
	left, err := s.fail(ctx, arn, x.with(e.Detail, s.now()))
	if left {
		return nil
	}
	return errors.Join(err, s.returnSlots(ctx, arn))
}

// fail writes that an execution failed, whether or not it had its upload. What Step Functions says may lag behind a redrive, by which the
// execution has begun its upload again: then it runs. If it was failed before, as an event may come twice, it may have been redriven since
// and not begun yet. In both cases it is left, and its slot with it, to the looks by schedule.
func (s *Sweep) fail(ctx context.Context, arn string, x execution) (left bool, err error) {
	now, latest, named := s.now(), x.latest(s.Ledger.Lease), slog.String("execution", arn)
	object, created, err := request.FromEvent([]byte(x.input))
	if err != nil { // such as of an execution that was started by hand; it has been announced
		s.did(ctx, "left", named, slog.String("why", "its input is no event of an upload: "+upload.MessageOf(err)))
		return false, nil
	}
	run := client.Run{
		Upload:    ledger.UploadOf(object.Bucket, object.Key, object.VersionID, object.ETag, object.Sequencer),
		Execution: arn, Size: object.Size, Created: created, Started: x.started,
	}
	if created.IsZero() {
		run.Created = x.started
	}
	code, cause := x.failure()
	item, err := s.Ledger.FailEnded(ctx, run.Upload, arn, code, cause, now, latest)
	if refused, is := errors.AsType[*client.RefusedError](err); is && refused.Item.Execution != arn {
		item = ledger.Item{Upload: run.Upload, Error: code}
		err = s.Ledger.FailEndedBefore(ctx, run, code, cause, now, latest)
	}
	if refused, is := errors.AsType[*client.RefusedError](err); is {
		s.did(ctx, "left", named, slog.String("why", "the upload is "+string(refused.Item.State)), slog.String("by", refused.Item.Execution))
		state := refused.Item.State
		return refused.Item.Execution == arn && (state == ledger.Running || state == ledger.Failed), nil
	}
	if err != nil {
		return false, fmt.Errorf("execution %s: %w", arn, err)
	}
	s.did(ctx, "failed", append(about(item), named)...)
	return false, nil
}

// about names an upload in the log.
func about(item ledger.Item) []slog.Attr {
	bucket, key, _ := ledger.SplitObject(item.Object)
	return []slog.Attr{
		slog.String("bucket", bucket), slog.String("key", key), slog.String("version", item.Version), slog.String("error", item.Error),
	}
}

func (s *Sweep) returnSlots(ctx context.Context, arn string) error {
	errs := make([]error, len(s.Routes))
	for i, route := range s.Routes {
		errs[i] = s.returnSlot(ctx, route, arn)
	}
	return errors.Join(errs...)
}

func (s *Sweep) returnSlot(ctx context.Context, route, arn string) error {
	if err := s.Ledger.ReturnSlot(ctx, route, arn); err != nil {
		return err //nolint:wrapcheck // It names both.
	}
	s.did(ctx, "slot returned", slog.String("execution", arn), slog.String("route", route))
	return nil
}

// describe asks what became of an execution. One that was never one, such as an invocation by hand, is gone; so is one of another state
// machine, such as a former one, of which the sweep may not ask.
func (s *Sweep) describe(ctx context.Context, arn string) (execution, error) {
	if !s.knows(arn) {
		return execution{}, nil
	}
	out, err := s.States.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: &arn})
	_, gone := errors.AsType[*sfntypes.ExecutionDoesNotExist](err) // after 90 days
	_, never := errors.AsType[*sfntypes.InvalidArn](err)
	if gone || never {
		return execution{}, nil
	}
	if err != nil {
		return execution{}, fmt.Errorf("asking for the execution %s: %w", arn, err)
	}
	return execution{
		status: out.Status, error: aws.ToString(out.Error), cause: aws.ToString(out.Cause), input: aws.ToString(out.Input),
		started: aws.ToTime(out.StartDate), ended: aws.ToTime(out.StopDate),
	}, nil
}

// neverTold says whether an answer of Step Functions stays as it is: no later look gets another one.
//
// https://docs.aws.amazon.com/step-functions/latest/apireference/CommonErrors.html
func neverTold(err error) bool {
	refused, is := errors.AsType[smithy.APIError](err)
	return is && refused.ErrorCode() == "ValidationException"
}

// slots takes out who holds a task slot and doesn't run.
func (s *Sweep) slots(ctx context.Context) error {
	held := map[string]client.Slots{}
	var errs []error
	for _, route := range s.Routes {
		slots, err := s.Ledger.Slots(ctx, route)
		if err != nil {
			errs = append(errs, err)
		} else if len(slots.Holders) > 0 || slots.SuspectedAt > 0 {
			held[route] = slots
		}
	}
	if len(held) == 0 {
		return errors.Join(errs...)
	}
	running, err := s.running(ctx) // after the slots were read: who takes one now isn't in them
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	for route, slots := range held {
		errs = append(errs, s.slotsOf(ctx, route, slots, running))
	}
	return errors.Join(errs...)
}

func (s *Sweep) slotsOf(ctx context.Context, route string, slots client.Slots, running map[string]bool) error {
	now := s.now()
	v := judge(slots, running, now)
	if !v.write {
		return nil
	}
	err := s.Ledger.Suspect(ctx, route, slots, v.gone, v.suspects, now)
	if _, another := errors.AsType[*client.RefusedError](err); another {
		return nil
	}
	if err != nil {
		return fmt.Errorf("route %s: %w", route, err)
	}
	s.did(ctx, "slots looked at", slog.String("route", route), slog.Int("holders", len(slots.Holders)),
		slog.Any("removed", v.gone), slog.Any("suspected", v.suspects))
	return nil
}

// running are the holders that the running executions would be.
func (s *Sweep) running(ctx context.Context) (map[string]bool, error) {
	out := map[string]bool{}
	add := func(executions iter.Seq2[sfntypes.ExecutionListItem, error]) error {
		for x, err := range executions {
			if err != nil {
				return err
			}
			out[ledger.Holder(aws.ToString(x.ExecutionArn))] = true
		}
		return nil
	}
	const running = sfntypes.ExecutionStatusRunning
	if err := add(s.list(ctx, sfn.ListExecutionsInput{StateMachineArn: &s.MachineARN, StatusFilter: running})); err != nil {
		return nil, err
	}
	if s.BackfillARN == "" {
		return out, nil
	}
	for backfill, err := range s.list(ctx, sfn.ListExecutionsInput{StateMachineArn: &s.BackfillARN, StatusFilter: running}) {
		if err != nil {
			return nil, err
		}
		if err := add(s.children(ctx, aws.ToString(backfill.ExecutionArn), running)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// lost fails and announces what has been running for longer than its lease.
func (s *Sweep) lost(ctx context.Context) error {
	watermark, err := s.Ledger.Watermark(ctx)
	if err != nil {
		return err //nolint:wrapcheck // It says what was read.
	}
	from, to := window(watermark, s.now(), s.Ledger.Lease)
	if from.After(to) {
		return nil
	}
	oldest := to
	var errs []error
	for _, partition := range partitions(from, to) {
		query := client.Query{Partition: partition, From: from, To: to, States: []ledger.State{ledger.Running}}
		for item, err := range s.Ledger.Query(ctx, query) {
			if s.unreadable(ctx, err) {
				errs = append(errs, err)
				continue
			}
			if err != nil { // what wasn't seen must not be passed by
				return errors.Join(append(errs, err)...)
			}
			left, err := s.lostItem(ctx, item)
			if s.unreadable(ctx, err) {
				left = false
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("execution %s: %w", item.Execution, err))
			}
			if left && item.Started.Before(oldest) {
				oldest = item.Started
			}
		}
	}
	if now := s.clock(); oldest.After(now) { // what happens until the time that an event told is still to be looked at
		oldest = now
	}
	return errors.Join(append(errs, s.Ledger.MoveWatermark(ctx, oldest, s.clock().Add(ahead)))...)
}

// unreadable logs an item that can't be read: no later look can either, so it is an error of this one, and passed by.
func (s *Sweep) unreadable(ctx context.Context, err error) bool {
	item, is := errors.AsType[*client.UnreadableError](err)
	if is {
		s.did(ctx, "unreadable", append(about(ledger.Item{Upload: ledger.Upload{Object: item.Object, Version: item.Version}}),
			slog.String("cause", item.Cause.Error()))...)
	}
	return is
}

// lostItem fails an upload whose execution is gone, and says whether it is left for the next look.
//
// It announces before it writes: what it wrote and couldn't announce it would not find again. So a notice may come twice, and one may come
// of an upload that another execution took over at this moment.
func (s *Sweep) lostItem(ctx context.Context, found ledger.Item) (left bool, err error) {
	if !lost(found, s.now()) {
		return true, nil
	}
	x, err := s.describe(ctx, found.Execution)
	if neverTold(err) { // its lease is over, and it must not keep all that is later from being looked through
		s.did(ctx, "not told", slog.String("execution", found.Execution), slog.String("cause", err.Error()))
		x, err = execution{}, nil
	}
	if err != nil || !x.over() { // redriven
		return true, err
	}
	item, there, err := s.Ledger.Get(ctx, found.Upload) // which the index may lag behind
	if err != nil {
		return true, err //nolint:wrapcheck // The caller names the execution.
	}
	if !there || item.Execution != found.Execution || !lost(item, s.now()) {
		return there && item.State == ledger.Running, nil
	}
	code, cause := x.failure()
	if item.Error != "" { // as its last run reported it
		code, cause = item.Error, item.Cause
	}
	if err := s.announce(ctx, item, code, cause); err != nil {
		return true, err
	}
	item, err = s.Ledger.FailLost(ctx, item.Upload, item.Execution, code, cause, s.now())
	if _, refused := errors.AsType[*client.RefusedError](err); refused {
		return true, nil
	}
	if err != nil {
		return true, err //nolint:wrapcheck // The caller names the execution.
	}
	s.did(ctx, "failed and announced", append(about(item), slog.String("execution", item.Execution))...)
	return false, nil
}

// announce sends a notice in the form that the state machine's have. Of a backfill's files none is sent, but one of the whole at its end.
func (s *Sweep) announce(ctx context.Context, item ledger.Item, code, cause string) error {
	if s.isChild(item.Execution) {
		return nil
	}
	bucket, key, _ := ledger.SplitObject(item.Object)
	var file strings.Builder
	encoder := json.NewEncoder(&file)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(key); err != nil {
		return fmt.Errorf("writing the notice: %w", err)
	}
	machine := s.MachineARN[strings.LastIndex(s.MachineARN, ":")+1:]
	_, err := s.Topic.Publish(ctx, &sns.PublishInput{
		TopicArn: &s.TopicARN,
		Subject:  aws.String("Upload FAILED: " + machine),
		Message: aws.String(fmt.Sprintf("File: %sBucket: %s\nSize: %d\nRoute: %s\nError: %s\nExecution: %s\nCause: %s\n",
			file.String(), bucket, item.Size, item.Route, code, item.Execution, cause)),
	})
	if err != nil {
		return fmt.Errorf("announcing that the upload is lost: %w", err)
	}
	return nil
}
