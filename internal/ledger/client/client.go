// Package client calls DynamoDB for the ledger: what the worker, the sweep and the commands ask of the table, each in one call.
package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"example.com/upload-router/internal/ledger"
)

// API is the part of DynamoDB that is called. The worker calls UpdateItem alone.
type API interface {
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
}

// Client asks one table. It is safe for concurrent use.
type Client struct {
	// API calls DynamoDB. Required.
	API API
	// Table is the table's name. Required.
	Table string
	// Lease is for how long an execution can live, the margin included. Required to begin or fail what was never begun.
	Lease time.Duration
	// Retention is for how long an item is kept after it was begun; 0 is for good.
	Retention time.Duration
}

// Run is a run of an execution, and the upload that it is for.
type Run struct {
	ledger.Upload

	// Execution is the ARN of the execution.
	Execution string
	// ID is which of its runs: two runs never have the same one.
	ID string
	// Attempt is the number of the run, beginning with 1; 0 if it isn't known.
	Attempt int
	// Route is the route's name, Size the object's in bytes.
	Route string
	Size  int64
	// Created is when S3 sent the event, Started when the execution started.
	Created, Started time.Time
	// Batch is the name of what the upload belongs to; empty for nothing.
	Batch string
	// Again is before which time another execution must have started for what it has processed to be processed again; zero for nothing.
	Again time.Time
}

// End is how a run ended that processed its upload.
type End struct {
	// Attempts is how many runs began, as [Client.BeginRun] returned it.
	Attempts int
	// Result is the result, at most [ledger.MaxResult] bytes of it; nil for none, or if ResultAt says where it is.
	Result   json.RawMessage
	ResultAt *ledger.Place
	// Outputs is what was written, as [ledger.OutputList] in JSON; nil for nothing.
	Outputs json.RawMessage
	// Verified is [ledger.Ranges] if only ranges of the object were read; else empty.
	Verified string
	// Batch is what the object says that the upload belongs to; empty for nothing, or if the run's own Batch says it.
	Batch string
}

// RefusedError is that the condition of a write doesn't hold.
type RefusedError struct {
	// Item is what is there instead; empty if nothing is.
	Item ledger.Item
}

// Error says who has the upload.
func (e *RefusedError) Error() string {
	if e.Item.Execution == "" {
		return "the ledger has no such item"
	}
	return fmt.Sprintf("the ledger has it as %s by %s", e.Item.State, e.Item.Execution)
}

// BeginRun gives a run its upload, and returns the number of this attempt. The error is a [RefusedError] if another execution has it, or if
// this one has processed it already, which [ledger.Item.Standing] tells apart.
func (c *Client) BeginRun(ctx context.Context, run Run, now time.Time) (int, error) {
	values := c.identity(run, now)
	values[":run"], values[":running"], values[":succeeded"], values[":failed"] = s(run.ID), stateRunning, stateSucceeded, stateFailed
	values[":zero"], values[":one"], values[":attempts"] = zero, one, n(run.Attempt)
	want := types.ReturnValueNone
	if run.Attempt == 0 { // else nothing of the item before is of interest
		want = types.ReturnValueAllOld
	}
	before, err := c.update(ctx, "beginning the run in the ledger",
		ledger.BeginRun(c.with(run), run.Attempt > 0), run.Upload, values, want)
	if err != nil || run.Attempt > 0 {
		return run.Attempt, err
	}
	if before.Same(run.Upload) {
		return before.Attempts + 1, nil
	}
	return 1, nil
}

// Finish writes that a run processed its upload. The error is a [RefusedError] if another run has it now.
func (c *Client) Finish(ctx context.Context, run Run, end End, now time.Time) error {
	values := Values{
		valueExecution: s(run.Execution), ":run": s(run.ID), ":succeeded": stateSucceeded, ":failed": stateFailed,
		":ended": s(ledger.Time(now)), ":attempts": n(end.Attempts),
	}
	var attributes []string
	with := func(name string, value types.AttributeValue) {
		attributes = append(attributes, name)
		values[":"+name] = value
	}
	switch {
	case end.ResultAt != nil:
		with(ledger.ResultAt, placeValue(*end.ResultAt))
	case end.Result != nil:
		with(ledger.Result, s(string(end.Result)))
	}
	if end.Outputs != nil {
		with(ledger.Outputs, s(string(end.Outputs)))
	}
	if end.Verified != "" {
		with(ledger.Verified, s(end.Verified))
	}
	if end.Batch != "" {
		with(ledger.Batch, s(end.Batch))
	}
	_, err := c.update(ctx, "writing the end of the run to the ledger",
		ledger.Finish(attributes...), run.Upload, values, types.ReturnValueNone)
	return err
}

// Hold proves that a run still has its upload. The error is a [RefusedError] if it hasn't.
func (c *Client) Hold(ctx context.Context, run Run) error {
	_, err := c.update(ctx, "looking whether the run still has the upload", ledger.Hold(), run.Upload, Values{
		valueExecution: s(run.Execution), ":run": s(run.ID), ":running": stateRunning,
	}, types.ReturnValueNone)
	return err
}

// Report writes why a run failed, and what the object says that the upload belongs to, if that isn't empty. The error is a [RefusedError]
// if another run has the upload now.
func (c *Client) Report(ctx context.Context, run Run, attempts int, batch, code, cause string) error {
	expression := ledger.Report()
	if batch != "" {
		expression = ledger.Report(ledger.Batch)
	}
	_, err := c.update(ctx, writingFailure, expression, run.Upload, Values{
		valueExecution: s(run.Execution), ":run": s(run.ID), ":running": stateRunning, ":attempts": n(attempts),
		":error": s(code), ":cause": s(ledger.Cut(cause)), ":batch": s(batch),
	}, types.ReturnValueNone)
	return err
}

// FailEnded writes that an execution failed that has ended, and returns the item with what its last run reported. What it began before it
// ended has a lease that is over before latest. The error is a [RefusedError] if it hasn't the upload, has processed it, was failed before,
// or has begun it later than that, as it was redriven.
func (c *Client) FailEnded(
	ctx context.Context, upload ledger.Upload, execution, code, cause string, now, latest time.Time,
) (ledger.Item, error) {
	values := failure(execution, code, cause, now)
	values[":running"], values[":latest"] = stateRunning, n(latest.Unix())
	return c.update(ctx, writingFailure, ledger.FailEnded(), upload, values, types.ReturnValueAllNew)
}

// FailLost is [Client.FailEnded] for what has been running for longer than its lease.
func (c *Client) FailLost(ctx context.Context, upload ledger.Upload, execution, code, cause string, now time.Time) (ledger.Item, error) {
	values := failure(execution, code, cause, now)
	values[":running"], values[":now"], values[":longest"] = stateRunning, n(now.Unix()), n(now.Add(ledger.MaxLease).Unix())
	return c.update(ctx, writingFailure, ledger.FailLost(), upload, values, types.ReturnValueAllNew)
}

// FailEndedBefore writes that an execution ended before it had its upload, of which it doesn't say the route. The error is a
// [RefusedError] if another one has it, or this one with a lease that isn't over before latest.
func (c *Client) FailEndedBefore(ctx context.Context, run Run, code, cause string, now, latest time.Time) error {
	values := c.identity(run, now)
	// When it started, and not now: it has ended, so that the sweep needs not find it again.
	values[":started"], values[":day"] = s(ledger.Time(run.Started)), s(ledger.DayOf(run.Started))
	maps.Copy(values, failure(run.Execution, code, cause, now))
	values[":running"], values[":latest"] = stateRunning, n(latest.Unix())
	_, err := c.update(ctx, writingFailure, ledger.FailEndedBefore(c.with(run)), run.Upload, values, types.ReturnValueNone)
	if refused, ok := errors.AsType[*RefusedError](err); ok && refused.Item.Later(run.Upload) {
		// It was a duplicate that didn't come to say so.
		if counted := c.CountDuplicate(ctx, run.Upload, run.Execution, refused.Item); counted != nil {
			return counted
		}
	}
	return err
}

const writingFailure = "writing the failure to the ledger"

// CountDuplicate counts an execution that found another one to have its upload, in the item that it found. A later event of the same
// content is kept, so that what came between the two isn't taken for newer.
func (c *Client) CountDuplicate(ctx context.Context, upload ledger.Upload, execution string, found ledger.Item) error {
	const counting = "counting the duplicate in the ledger"
	values := Values{
		valueExecution: s(execution), ":one": one, ":sequencer": s(upload.Sequencer), ":sameETag": s(upload.SameETag()),
	}
	if found.Later(upload) {
		_, err := c.update(ctx, counting, ledger.CountLater(), upload, values, types.ReturnValueNone)
		if _, refused := errors.AsType[*RefusedError](err); !refused {
			return err
		} // a still later event came meanwhile, or other content
	}
	_, err := c.update(ctx, counting, ledger.CountDuplicate(), upload, values, types.ReturnValueNone)
	return err
}

// Get reads an item; false if there is none. The read is consistent.
func (c *Client) Get(ctx context.Context, upload ledger.Upload) (ledger.Item, bool, error) {
	attributes, err := c.get(ctx, upload.Object, upload.Version)
	if err != nil || len(attributes) == 0 {
		return ledger.Item{}, false, err
	}
	item, err := Read(attributes)
	return item, err == nil, err
}

func (c *Client) get(ctx context.Context, object, version string) (Values, error) {
	out, err := c.API.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &c.Table, Key: Key(object, version), ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return nil, fmt.Errorf("reading an item of the ledger: %w", err)
	}
	return out.Item, nil
}

// with is what the item of a run has besides.
func (c *Client) with(run Run) ledger.With {
	return ledger.With{Expires: c.Retention > 0, Batch: run.Batch != ""}
}

// identity are the values of whoever begins an upload, or fails before.
func (c *Client) identity(run Run, now time.Time) Values {
	started := ledger.StartedAt(run.Started, now, c.Lease)
	return Values{
		valueExecution: s(run.Execution), ":sequencer": s(run.Sequencer), ":order": s(run.Order()),
		":etag": s(run.ETag), ":sameETag": s(run.SameETag()),
		":route": s(run.Route), ":size": n(run.Size), ":created": s(ledger.Time(run.Created)),
		":started": s(ledger.Time(started)), ":day": s(ledger.DayOf(started)),
		":lease": n(now.Add(c.Lease).Unix()), ":now": n(now.Unix()), ":expires": n(now.Add(c.Retention).Unix()),
		":batch": s(run.Batch), ":again": s(ledger.Again(run.Again)),
	}
}

func failure(execution, code, cause string, now time.Time) Values {
	return Values{
		valueExecution: s(execution), ":failed": stateFailed, ":succeeded": stateSucceeded, ":ended": s(ledger.Time(now)),
		":error": s(code), ":cause": s(ledger.Cut(cause)),
	}
}

// valueExecution is the placeholder of whoever writes.
const valueExecution = ":execution"

var (
	stateRunning, stateSucceeded, stateFailed = s(ledger.Running), s(ledger.Succeeded), s(ledger.Failed)
	zero, one                                 = n(0), n(1)
)

// Key is the key of an item.
func Key(object, version string) Values {
	return Values{ledger.Object: s(object), ledger.Version: s(version)}
}

// call is an expression with what is read of it: a worker writes with the same ones for each of its invocations.
type call struct {
	update, condition *string
	names             map[string]string
	values            []string
}

var calls sync.Map // of call, by [ledger.Expression]

func callOf(e ledger.Expression) call {
	if known, ok := calls.Load(e); ok {
		return known.(call) //nolint:forcetypeassert // Nothing else is put there.
	}
	made := call{update: aws.String(e.Update), names: e.Names(), values: e.Values()}
	if e.Condition != "" {
		made.condition = aws.String(e.Condition)
	}
	calls.Store(e, made)
	return made
}

// update writes with the values that the expression takes, and returns the item that is asked for, of which it reads no key.
func (c *Client) update(
	ctx context.Context, what string, e ledger.Expression, at ledger.Upload, values Values, want types.ReturnValue,
) (ledger.Item, error) {
	call := callOf(e)
	given := make(Values, len(call.values))
	for _, placeholder := range call.values {
		given[placeholder] = values[placeholder]
	}
	in := &dynamodb.UpdateItemInput{
		TableName: &c.Table, Key: Key(at.Object, at.Version), UpdateExpression: call.update, ConditionExpression: call.condition,
		ExpressionAttributeNames: call.names, ExpressionAttributeValues: given, ReturnValues: want,
	}
	if call.condition != nil {
		in.ReturnValuesOnConditionCheckFailure = types.ReturnValuesOnConditionCheckFailureAllOld
	}
	if len(given) == 0 {
		in.ExpressionAttributeValues = nil
	}
	out, err := c.API.UpdateItem(ctx, in)
	if refused, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		item, err := Read(refused.Item)
		if err != nil {
			return ledger.Item{}, err
		}
		return ledger.Item{}, fmt.Errorf("%s: %w", what, &RefusedError{Item: item})
	}
	if err != nil {
		return ledger.Item{}, fmt.Errorf("%s: %w", what, err)
	}
	return Read(out.Attributes)
}
