package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/uuid"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/dynamodb"
	"example.com/upload-router/internal/faults"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/ledger/client"
	"example.com/upload-router/internal/loopback"
)

// maxItemsRequest is DynamoDB's limit of a request.
const maxItemsRequest = 16 << 20

// items are the tables, and the server by which processes reach them.
type items struct {
	*loopback.Server

	tables map[string]*dynamodb.Table // by name
	owner  string                     // the access key of whoever may do everything
}

func newItems() *items {
	return &items{tables: map[string]*dynamodb.Table{}, owner: "AKIA" + uuid.NewString()}
}

// startItems serves the tables in DynamoDB's protocol.
func (r *Router) startItems(ctx context.Context) (err error) {
	r.items.Server, err = loopback.Serve(ctx, "the local DynamoDB", http.HandlerFunc(r.serveItems))
	return err //nolint:wrapcheck // It says what it is about.
}

// table gives a declared table by its name or its ARN; nil if there is none.
func (i *items) table(name string) *dynamodb.Table { return i.tables[tableName(name)] }

// tableName is the name of a table that is named by it or by its ARN.
func tableName(named string) string {
	if _, name, is := strings.Cut(named, ":table/"); is {
		return name
	}
	return named
}

// makeTable makes a declared table.
func (r *Router) makeTable(res declared.Resource) error {
	table := &dynamodb.Table{Keys: keysOf(res.Inputs), Indexes: map[string]dynamodb.Index{}}
	if ttl := res.Object("ttl"); ttl["enabled"] == true {
		table.TTL = text(ttl, "attributeName")
	}
	indexes, _ := res.Inputs["globalSecondaryIndexes"].([]any)
	for _, of := range indexes {
		index, _ := of.(map[string]any)
		if err := onlyKnown(index, "hashKey name nonKeyAttributes projectionType rangeKey"); err != nil {
			return fmt.Errorf("reading its index %s: %w", text(index, "name"), err)
		}
		projected, err := projectedBy(index)
		if err != nil {
			return err
		}
		table.Indexes[text(index, "name")] = dynamodb.Index{Keys: keysOf(index), Projected: projected}
	}
	r.items.tables[res.Output("name")] = table
	return nil
}

// keysOf are the keys of a table or an index, the partition key first.
func keysOf(inputs map[string]any) []string {
	keys := []string{text(inputs, "hashKey")}
	if sort := text(inputs, "rangeKey"); sort != "" {
		keys = append(keys, sort)
	}
	return keys
}

// projectedBy are the attributes that an index has besides keys; nil for all.
func projectedBy(index map[string]any) ([]string, error) {
	projected := []string{}
	switch kind := text(index, "projectionType"); kind {
	case "ALL":
		return nil, nil
	case "KEYS_ONLY":
	case "INCLUDE":
		names, _ := index["nonKeyAttributes"].([]any)
		for _, name := range names {
			projected = append(projected, fmt.Sprint(name))
		}
	default:
		return nil, fmt.Errorf("%w: projection type %q of the index %s", errDeclared, kind, text(index, "name"))
	}
	return projected, nil
}

// loadTables makes all declared tables ready: processes name them by their environment.
func (r *Router) loadTables() error {
	for _, res := range r.system.OfType(declared.TypeTable) {
		if err := r.prepare(declared.TypeTable, "table", "name", res.Output("name")); err != nil {
			return err
		}
	}
	return nil
}

// Items is a client of the local DynamoDB that may do everything, and that meets no fault.
func (r *Router) Items() *awsdynamodb.Client {
	return awsdynamodb.New(awsdynamodb.Options{
		BaseEndpoint: aws.String(r.items.Endpoint()), Region: r.options.Region,
		Credentials: credentials.NewStaticCredentialsProvider(r.items.owner, localSecretKey, ""),
	})
}

// Ledger are the items of all uploads, in the order of their keys, whatever the declared table is called.
func (r *Router) Ledger() ([]ledger.Item, error) {
	var out []ledger.Item
	for _, table := range r.items.tables {
		for _, item := range table.Items(r.Now()) {
			if object := item[ledger.Object].S; object == nil || !strings.Contains(*object, "\n") {
				continue
			}
			read, err := readItem(item)
			if err != nil {
				return nil, err
			}
			out = append(out, read)
		}
	}
	return out, nil
}

// readItem reads an item of the ledger.
func readItem(item dynamodb.Item) (ledger.Item, error) {
	values := client.Values{}
	for name, value := range item {
		switch {
		case value.S != nil:
			values[name] = &types.AttributeValueMemberS{Value: *value.S}
		case value.N != nil:
			values[name] = &types.AttributeValueMemberN{Value: *value.N}
		default:
			values[name] = &types.AttributeValueMemberSS{Value: value.SS}
		}
	}
	read, err := client.Read(values)
	if err != nil {
		return ledger.Item{}, fmt.Errorf("reading the ledger: %w", err)
	}
	return read, nil
}

// Item answers a request of DynamoDB's API, such as GetItem, as somebody other than the declared roles asks, whose permissions aren't
// declared.
func (r *Router) Item(operation string, body []byte) (any, error) {
	return dynamodb.ServeAny(r.items.table, r.Now(), operation, body) //nolint:wrapcheck // It is the answer.
}

// serveItems answers a process.
func (r *Router) serveItems(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(io.LimitReader(request.Body, maxItemsRequest))
	if err != nil {
		return // who asked is gone
	}
	operation, who := loopback.Operation(request), loopback.AccessKeyID(request)
	if who != r.items.owner {
		if err := r.guard.items(who, operation, body, r.items.table); err != nil {
			_ = loopback.Answer(w, nil, err) // who asked may be gone
			return
		}
	}
	if operation == "UpdateItem" && who != r.items.owner && r.faultyItem(w, request, body) {
		return
	}
	out, err := r.Item(operation, body)
	_ = loopback.Answer(w, out, err) // who asked may be gone
}

// items asks for a process's call of DynamoDB, to one of the tables that find gives.
func (g *guard) items(accessKeyID, operation string, body []byte, find func(name string) *dynamodb.Table) error {
	role, known := g.signers[accessKeyID]
	if !known {
		const unknown = "The security token included in the request is invalid."
		return loopback.Refuse("UnrecognizedClientException", unknown) //nolint:wrapcheck // As above.
	}
	name, err := dynamodb.TableOf(body)
	if err != nil {
		return err //nolint:wrapcheck // As above.
	}
	var in struct{ IndexName string }
	if err := json.Unmarshal(body, &in); err != nil {
		return loopback.Refuse("SerializationException", err.Error()) //nolint:wrapcheck // As above.
	}
	table, err := g.system.Where(declared.TypeTable, "name", tableName(name))
	if err != nil {
		return nil //nolint:nilerr // the call itself says that there is no such table
	}
	resource := table.ARN()
	if in.IndexName != "" {
		resource += "/index/" + in.IndexName
	}
	keys := map[string][]string{keyLeadingKeys: find(name).LeadingKeys(operation, body)}
	if err = g.through("dynamodb", role, "dynamodb:"+operation, resource, keys); err == nil {
		err = g.decryptTable(role, table)
	}
	if err != nil {
		return loopback.Refuse("AccessDeniedException", message(err)) //nolint:wrapcheck // As above.
	}
	return nil
}

// decryptTable asks for the customer managed key of a table, which whoever calls DynamoDB must be allowed to use.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html
func (g *guard) decryptTable(role string, table declared.Resource) error {
	key := g.keyARN(table.Object("serverSideEncryption")["kmsKeyArn"])
	if key == "" {
		return nil
	}
	return g.all(role, key, map[string][]string{
		keyViaService: {g.via("dynamodb")}, keyEncryption + "aws:dynamodb:tableName": {table.Output("name")},
	}, "kms:Decrypt")
}

// prepareItem makes the table ready that a state names, beside other parameters. ReturnValuesOnConditionCheckFailure isn't among those of
// the optimized integration: an error of a state has a name and a cause, and no item.
// https://docs.aws.amazon.com/step-functions/latest/dg/connect-ddb.html
func (r *Router) prepareItem(parameters map[string]any) error {
	const known = "TableName Key UpdateExpression ConditionExpression ExpressionAttributeNames ExpressionAttributeValues ReturnValues"
	if err := onlyKnown(parameters, known); err != nil {
		return err
	}
	return r.prepare(declared.TypeTable, "table", "name", text(parameters, "TableName"))
}

// updateItem does a task's dynamodb:updateItem, and answers as DynamoDB does. Of its exceptions the one about conditions has a name of its
// own.
func (r *Router) updateItem(ctx context.Context, call asl.Call) (any, error) {
	var in dynamodb.UpdateInput
	if err := decode(call.Parameters, &in); err != nil {
		return nil, err
	}
	table := r.items.table(in.TableName)
	if table == nil {
		return nil, &asl.Error{
			Name:  "DynamoDB.ResourceNotFoundException",
			Cause: "Requested resource not found: Table: " + in.TableName + " not found (Service: AmazonDynamoDBv2; Status Code: 400)",
		}
	}
	attributes, err := table.Update(call.Clock.Now(), in)
	if err != nil && isSlots(in.Key) {
		r.awaitSlot(ctx, table, in.Key, call.Timeout/2)
	}
	if refused, ok := errors.AsType[*dynamodb.Error](err); ok {
		kind := "AmazonDynamoDBException"
		if refused.Name == dynamodb.ConditionalCheckFailed {
			kind = refused.Name
		}
		return nil, &asl.Error{Name: "DynamoDB." + kind, Cause: fmt.Sprintf(
			"%s (Service: AmazonDynamoDBv2; Status Code: 400; Error Code: %s)", refused.Message, refused.Name)}
	}
	if err != nil {
		return nil, fmt.Errorf("calling DynamoDB: %w", err)
	}
	out := map[string]any{"SdkHttpMetadata": map[string]any{"HttpStatusCode": http.StatusOK}}
	if attributes != nil {
		out["Attributes"] = attributes
	}
	return out, nil
}

// isSlots says whether a key is that of the holders of task slots.
func isSlots(key dynamodb.Item) bool {
	object := key[ledger.Object].S
	return object != nil && ledger.IsSlots(*object)
}

// slotPoll is how often it is looked whether a slot has become free.
const slotPoll = 2 * time.Millisecond

// awaitSlot waits until a slot may be free. Waits are skipped here, so that who tries again and again would have given up before a task
// could end: a try that is refused is answered when a holder has gone, or when none of them is running any more, or if they are to be kept;
// at most as late as most, as a call has a time of its own.
func (r *Router) awaitSlot(ctx context.Context, table *dynamodb.Table, key dynamodb.Item, most time.Duration) {
	holders := func() []string {
		item, err := table.Get(r.Now(), dynamodb.GetInput{Key: key})
		if err != nil {
			return nil
		}
		return item[ledger.Holders].SS
	}
	before, late := holders(), time.After(most)
	for faultOf(ctx) != faults.SlotsKept && r.executions.anyRunning(before) && slices.Equal(before, holders()) {
		select {
		case <-ctx.Done():
			return
		case <-late:
			return
		case <-time.After(slotPoll):
		}
	}
}

// anyRunning says whether one of those who hold slots is running.
func (e *executions) anyRunning(holders []string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for arn, run := range e.byARN {
		if run.status == statusRunning && slices.Contains(holders, ledger.Holder(arn)) {
			return true
		}
	}
	return false
}

// updatesItem is for dynamodb:updateItem. The table is named by its name or ARN.
func (g *guard) updatesItem(role string, parameters map[string]any) (after, error) {
	table, err := g.system.Where(declared.TypeTable, "name", tableName(text(parameters, "TableName")))
	if err != nil {
		return after{}, nil //nolint:nilerr // the call itself says that there is no such table
	}
	var in dynamodb.UpdateInput
	if err := decode(parameters, &in); err != nil {
		return after{}, err
	}
	var keys []string
	if key := in.Key[keysOf(table.Inputs)[0]].S; key != nil {
		keys = []string{*key}
	}
	if err = g.may(role, "dynamodb:UpdateItem", table.ARN(), map[string][]string{keyLeadingKeys: keys}); err == nil {
		err = g.decryptTable(role, table)
	}
	if err != nil {
		return after{}, refusal("DynamoDB.AmazonDynamoDBException", "AmazonDynamoDBv2", "AccessDeniedException", http.StatusBadRequest, err)
	}
	return after{}, nil
}
