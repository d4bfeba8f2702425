package awstest

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/dynamodb"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/ledger/client"
	"example.com/upload-router/internal/objectstore"
)

// lease is for how long an execution has its upload.
const lease = ExecutionTimeout + ledger.LeaseMargin

// newLedger is an empty ledger, as the stack declares its table.
func newLedger() *dynamodb.Table {
	return &dynamodb.Table{
		Keys: []string{ledger.Object, ledger.Version}, TTL: ledger.Expires,
		Indexes: map[string]dynamodb.Index{ledger.Index: {Keys: []string{ledger.Day, ledger.Started}, Projected: ledger.Projected()}},
	}
}

// Record puts an item into the ledger, in the place of one that there may be.
func (s *Server) Record(item ledger.Item) {
	s.tb.Helper()
	require.NoError(s.tb, s.ledger.Put(time.Now(), dynamodb.PutInput{Item: attributesOf(item)}))
}

// RecordUnreadable puts an item into the ledger of which an attribute is a text that it can't be, as one that was written by hand.
func (s *Server) RecordUnreadable(item ledger.Item, attribute, text string) {
	s.tb.Helper()
	attributes := attributesOf(item)
	attributes[attribute] = dynamodb.Attribute{S: &text}
	require.NoError(s.tb, s.ledger.Put(time.Now(), dynamodb.PutInput{Item: attributes}))
}

// TakeSlot gives an execution a task slot of a route.
func (s *Server) TakeSlot(route, execution string) {
	s.tb.Helper()
	object, holder := ledger.SlotsOf(route), ledger.Holder(execution)
	item := dynamodb.Item{
		ledger.Object: {S: &object}, ledger.Version: {S: &route}, ledger.Holders: {SS: []string{holder}},
	}
	require.NoError(s.tb, s.ledger.Put(time.Now(), dynamodb.PutInput{Item: item}))
}

// Recorded is the item of an upload, by its attributes; nil if there is none.
func (s *Server) Recorded(upload ledger.Upload) dynamodb.Item {
	s.tb.Helper()
	item, err := s.ledger.Get(time.Now(), dynamodb.GetInput{Key: dynamodb.Item{
		ledger.Object: {S: &upload.Object}, ledger.Version: {S: &upload.Version},
	}})
	require.NoError(s.tb, err)
	return item
}

// attributesOf are an item's attributes. What isn't known has none.
func attributesOf(item ledger.Item) dynamodb.Item {
	attributes := dynamodb.Item{}
	for name, value := range client.Write(item) {
		switch value := value.(type) {
		case *types.AttributeValueMemberS:
			attributes[name] = dynamodb.Attribute{S: &value.Value}
		case *types.AttributeValueMemberN:
			attributes[name] = dynamodb.Attribute{N: &value.Value}
		}
	}
	return attributes
}

// batchOf is what an object's own metadata say that it belongs to.
func (s *Server) batchOf(object objectstore.Stored) string {
	found, err := s.store.Client().HeadObject(context.Background(), &s3.HeadObjectInput{
		Bucket: aws.String(Bucket), Key: &object.Key, VersionId: &object.VersionID,
	})
	if err != nil {
		return "" // one that was never uploaded
	}
	return found.Metadata[ledger.BatchMetadata]
}

// record writes what the state machine, the processor and the sweep would have written of an execution by now.
func (s *Server) record(x *execution) {
	c := x.scripted
	if c.object.Key == "" {
		return
	}
	item := ledger.Item{
		Upload: ledger.UploadOf(Bucket, c.object.Key, c.object.VersionID, strings.Trim(c.object.ETag, `"`), ""),
		State:  ledger.Running, Execution: x.arn, Run: "run-" + c.name, Attempts: 1, Route: c.route.Name, Size: c.object.Size,
		Lease: x.started().Add(lease).Unix(), Started: x.started(), Created: x.started().Add(-time.Second),
	}
	if x.over {
		item.State, item.Ended, item.Batch = ledger.Failed, x.stopped(), s.batchOf(c.object)
		switch x.ran.Status {
		case asl.StatusSucceeded:
			item.State = ledger.Succeeded
			text, err := json.Marshal(c.answer())
			require.NoError(s.tb, err)
			item.Result = text
		case asl.StatusFailed:
			item.Error, item.Cause = x.ran.Error, x.ran.Cause
		default:
			item.Error, item.Cause = "States.Timeout", "the execution timed out or was stopped"
		}
	}
	s.Record(item)
}
