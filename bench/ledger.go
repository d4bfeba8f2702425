package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"example.com/upload-router/internal/dynamodb"
	"example.com/upload-router/internal/host/reader"
	"example.com/upload-router/internal/ledger"
)

const (
	// environmentIdempotency is the table of a contestant that keeps a record of its own, as Powertools' idempotency does.
	environmentIdempotency = "UPLOAD_ROUTER_BENCH_IDEMPOTENCY_TABLE"
	// idempotencyKey and idempotencyExpiry are the attributes that Powertools has by default.
	idempotencyKey, idempotencyExpiry = "id", "expiration"
	// recordAge is for how long it keeps a record by default.
	recordAge = time.Hour
)

// database is the DynamoDB of a server. It has one table, which is empty, whenever it is asked for a name that is not the last one: so each
// contestant begins with a table of its own, and none has to be made.
type database struct {
	mu    sync.Mutex
	name  string
	table *dynamodb.Table
}

func (d *database) find(name string) *dynamodb.Table {
	d.mu.Lock()
	defer d.mu.Unlock()
	if name != d.name {
		d.name, d.table = name, newTable(name)
	}
	return d.table
}

// newTable is a ledger, or by its name a table for Powertools' idempotency.
func newTable(name string) *dynamodb.Table {
	if strings.HasPrefix(name, environmentIdempotency) {
		return &dynamodb.Table{Keys: []string{idempotencyKey}, TTL: idempotencyExpiry}
	}
	return &dynamodb.Table{
		Keys: []string{ledger.Object, ledger.Version}, TTL: ledger.Expires,
		Indexes: map[string]dynamodb.Index{
			ledger.Index: {Keys: []string{ledger.Day, ledger.Started}, Projected: ledger.Projected()},
		},
	}
}

func serveTables(listener net.Listener) error {
	engine := http.Server{Handler: dynamodb.Handler(time.Now, new(database).find), ReadHeaderTimeout: time.Minute}
	return engine.Serve(listener) //nolint:wrapcheck // The caller does.
}

// ledgerEnvironment is what the stack tells the worker of its ledger: another, empty one at each call.
func (s *server) ledgerEnvironment() []string {
	return s.tableEnvironment(ledger.EnvironmentTable, ledger.EnvironmentLease+"=3600", ledger.EnvironmentRetention+"=400")
}

// idempotencyEnvironment has a contestant keep its own record, in an empty table.
func (s *server) idempotencyEnvironment() []string { return s.tableEnvironment(environmentIdempotency) }

func (s *server) tableEnvironment(variable string, more ...string) []string {
	s.tablesMade++
	return append(more, "AWS_ENDPOINT_URL_DYNAMODB=http://"+s.tables, variable+"="+variable+strconv.Itoa(s.tablesMade))
}

// recorded has the handler do what Powertools' idempotency does in the languages that there is one for, with the SDK as it comes: it writes
// that the event is in progress, unless there is a record of it, and then the result.
// https://docs.aws.amazon.com/powertools/python/latest/utilities/idempotency/
func recorded(handle handling) (handling, error) {
	cfg, err := reader.NewConfig()
	if err != nil {
		return nil, fmt.Errorf("making the client: %w", err)
	}
	client, table := awsdynamodb.NewFromConfig(cfg), aws.String(os.Getenv(environmentIdempotency))
	return func(ctx context.Context, event []byte) ([]byte, error) {
		id, err := idOf(event)
		if err != nil {
			return nil, err
		}
		now := time.Now()
		expiry := &types.AttributeValueMemberN{Value: strconv.FormatInt(now.Add(recordAge).Unix(), 10)}
		if _, err := client.PutItem(ctx, &awsdynamodb.PutItemInput{
			TableName: table,
			Item: map[string]types.AttributeValue{
				idempotencyKey: id, idempotencyExpiry: expiry, "status": &types.AttributeValueMemberS{Value: "INPROGRESS"},
			},
			ConditionExpression:      aws.String("attribute_not_exists(#id) OR #expiry < :now"),
			ExpressionAttributeNames: map[string]string{"#id": idempotencyKey, "#expiry": idempotencyExpiry},
			ExpressionAttributeValues: map[string]types.AttributeValue{
				":now": &types.AttributeValueMemberN{Value: strconv.FormatInt(now.Unix(), 10)},
			},
		}); err != nil {
			return nil, fmt.Errorf("writing that it is in progress: %w", err)
		}
		answer, err := handle(ctx, event)
		if err != nil {
			return nil, err
		}
		if _, err := client.UpdateItem(ctx, &awsdynamodb.UpdateItemInput{
			TableName: table, Key: map[string]types.AttributeValue{idempotencyKey: id},
			UpdateExpression:         aws.String("SET #data = :data, #expiry = :expiry, #status = :status"),
			ExpressionAttributeNames: map[string]string{"#data": "data", "#expiry": idempotencyExpiry, "#status": "status"},
			ExpressionAttributeValues: map[string]types.AttributeValue{
				":data": &types.AttributeValueMemberS{Value: string(answer)}, ":expiry": expiry,
				":status": &types.AttributeValueMemberS{Value: "COMPLETED"},
			},
		}); err != nil {
			return nil, fmt.Errorf("writing the result: %w", err)
		}
		return answer, nil
	}, nil
}

// idOf is the key of a record: of the object, by its name and entity tag.
func idOf(event []byte) (*types.AttributeValueMemberS, error) {
	var in struct {
		Detail struct{ Object struct{ Key, ETag string } }
	}
	if err := json.Unmarshal(event, &in); err != nil {
		return nil, fmt.Errorf("reading the event: %w", err)
	}
	return &types.AttributeValueMemberS{Value: "bench#" + in.Detail.Object.Key + "#" + in.Detail.Object.ETag}, nil
}

// addresses listens for the requests to S3 and to DynamoDB, and tells where.
func addresses(out io.Writer) (objects, tables net.Listener, err error) {
	listeners := make([]net.Listener, 0, 2)
	for range cap(listeners) {
		listener, err := listen()
		if err != nil {
			return nil, nil, err
		}
		listeners = append(listeners, listener)
	}
	if _, err := fmt.Fprintln(out, listeners[0].Addr(), listeners[1].Addr()); err != nil {
		return nil, nil, fmt.Errorf("telling the address: %w", err)
	}
	return listeners[0], listeners[1], nil
}

func listen() (net.Listener, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // It is bound at once.
	if err != nil {
		return nil, fmt.Errorf("starting the server: %w", err)
	}
	return listener, nil
}
