package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"example.com/upload-router/internal/ledger"
)

// Slots are the task slots of a route.
type Slots struct {
	// Holders are who holds one, each by [ledger.Holder].
	Holders []string
	// Suspects are those that the sweep didn't find running in the second SuspectedAt; 0 if it found all.
	Suspects    []string
	SuspectedAt int64
}

// slots is where the slots of a route are.
func slots(route string) ledger.Upload {
	return ledger.Upload{Object: ledger.SlotsOf(route), Version: route}
}

// Slots reads the slots of a route.
func (c *Client) Slots(ctx context.Context, route string) (Slots, error) {
	attributes, err := c.get(ctx, ledger.SlotsOf(route), route)
	if err != nil {
		return Slots{}, err
	}
	out := Slots{Holders: setOf(attributes[ledger.Holders]), Suspects: setOf(attributes[ledger.Suspects])}
	if at, there := attributes[ledger.SuspectedAt]; there {
		if out.SuspectedAt, err = wholeOf(at); err != nil {
			return Slots{}, fmt.Errorf("reading when the holders of slots were looked at: %w", err)
		}
	}
	return out, nil
}

func setOf(value types.AttributeValue) []string {
	if set, ok := value.(*types.AttributeValueMemberSS); ok {
		return set.Value
	}
	return nil
}

// TakeSlot takes one of so many slots of a route. The error is a [RefusedError] if none is left.
func (c *Client) TakeSlot(ctx context.Context, route, execution string, most int) error {
	holder := ledger.Holder(execution)
	_, err := c.update(ctx, "taking a task slot", ledger.TakeSlot(), slots(route),
		Values{":mine": ss(holder), ":holder": s(holder), ":most": n(most)}, types.ReturnValueNone)
	return err
}

// ReturnSlot gives back the slot of an execution, if it holds one.
func (c *Client) ReturnSlot(ctx context.Context, route, execution string) error {
	_, err := c.update(ctx, "returning a task slot", ledger.ReturnSlot(), slots(route),
		Values{":mine": ss(ledger.Holder(execution))}, types.ReturnValueNone)
	return err
}

// Suspect takes out the holders that are gone, and writes who is suspected now. The error is a [RefusedError] if somebody else has looked
// since these slots were read.
func (c *Client) Suspect(ctx context.Context, route string, read Slots, gone, suspects []string, now time.Time) error {
	_, err := c.update(ctx, "writing who holds task slots and doesn't run",
		ledger.Suspect(len(gone) > 0, len(suspects) > 0, read.SuspectedAt > 0), slots(route),
		Values{":gone": ss(gone...), ":suspects": ss(suspects...), ":now": n(now.Unix()), ":seen": n(read.SuspectedAt)},
		types.ReturnValueNone)
	return err
}

// watermark is where the sweep keeps how far it got.
var watermark = ledger.Upload{Object: ledger.Sweep, Version: ledger.Watermark}

// Watermark is how far the sweep got; zero if it never did.
func (c *Client) Watermark(ctx context.Context) (time.Time, error) {
	attributes, err := c.get(ctx, watermark.Object, watermark.Version)
	if err != nil || attributes[ledger.Until] == nil {
		return time.Time{}, err
	}
	text, err := stringOf(attributes[ledger.Until])
	if err != nil {
		return time.Time{}, fmt.Errorf("reading how far the sweep got: %w", err)
	}
	until, err := ledger.ParseTime(text)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading how far the sweep got: %w", err)
	}
	return until, nil
}

// MoveWatermark writes how far the sweep got, unless it got farther already: not as far as after future, which is nobody's work.
func (c *Client) MoveWatermark(ctx context.Context, until, future time.Time) error {
	_, err := c.update(ctx, "writing how far the sweep got", ledger.MoveWatermark(), watermark,
		Values{":until": s(ledger.Time(until)), ":future": s(ledger.Time(future))}, types.ReturnValueNone)
	if _, refused := errors.AsType[*RefusedError](err); refused {
		return nil
	}
	return err
}

// Query asks for what started in a time in one partition of the index, in the order of the start.
type Query struct {
	// Partition is the day and the shard, as [ledger.Partition] has it. Required.
	Partition string
	// From and To are the first and the last start. Required.
	From, To time.Time
	// States leaves out what has another one; none leaves out nothing.
	States []ledger.State
	// Backwards has the newest first.
	Backwards bool
	// Limit is how many items a page looks at; 0 leaves it to DynamoDB, which stops after 1 MiB.
	Limit int32
}

// filter leaves out what has another state.
func (q Query) filter(in *dynamodb.QueryInput) {
	in.ExpressionAttributeNames["#status"] = ledger.Status
	each := make([]string, len(q.States))
	for i, state := range q.States {
		placeholder := fmt.Sprintf(":status%d", i)
		each[i], in.ExpressionAttributeValues[placeholder] = "#status = "+placeholder, s(state)
	}
	in.FilterExpression = aws.String(strings.Join(each, " OR "))
}

// Query reads a partition of the index page by page, as far as the caller goes. Items have the attributes that the index projects, which
// follows the table within a second or so. After an [UnreadableError] comes the next item; any other error is the last.
func (c *Client) Query(ctx context.Context, q Query) iter.Seq2[ledger.Item, error] {
	in := &dynamodb.QueryInput{
		TableName: &c.Table, IndexName: aws.String(ledger.Index),
		KeyConditionExpression:   aws.String("#day = :day AND #started BETWEEN :from AND :to"),
		ExpressionAttributeNames: map[string]string{"#day": ledger.Day, "#started": ledger.Started},
		ExpressionAttributeValues: Values{
			":day": s(q.Partition), ":from": s(ledger.Time(q.From)), ":to": s(ledger.Time(q.To)),
		},
		ScanIndexForward: aws.Bool(!q.Backwards),
	}
	if len(q.States) > 0 {
		q.filter(in)
	}
	if q.Limit > 0 {
		in.Limit = &q.Limit
	}
	return func(yield func(ledger.Item, error) bool) {
		in := *in
		for {
			page, err := c.API.Query(ctx, &in)
			if err != nil {
				yield(ledger.Item{}, fmt.Errorf("asking the ledger's index: %w", err))
				return
			}
			for _, attributes := range page.Items {
				if item, err := Read(attributes); !yield(item, err) {
					return
				}
			}
			if len(page.LastEvaluatedKey) == 0 {
				return
			}
			in.ExclusiveStartKey = page.LastEvaluatedKey
		}
	}
}
