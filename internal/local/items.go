package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/dynamodb"
	"example.com/upload-router/internal/loopback"
)

// table gives a declared table that a state names, by its name.
func (r *Router) table(name string) (*dynamodb.Table, error) {
	if table := r.tables[name]; table != nil {
		return table, nil
	}
	return nil, &asl.Error{
		Name:  "DynamoDB.ResourceNotFoundException",
		Cause: "Requested resource not found: Table: " + name + " not found (Service: AmazonDynamoDBv2; Status Code: 400)",
	}
}

// prepareItem makes the table ready that a state names, beside other parameters.
func prepareItem(known string) func(r *Router, parameters map[string]any) error {
	return func(r *Router, parameters map[string]any) error {
		if err := onlyKnown(parameters, "TableName "+known); err != nil {
			return err
		}
		return r.prepare(declared.TypeTable, "table", "name", text(parameters, "TableName"))
	}
}

func (r *Router) makeTable(res declared.Resource) error {
	table := &dynamodb.Table{Keys: []string{res.Text("hashKey")}}
	if sort := res.Text("rangeKey"); sort != "" {
		table.Keys = append(table.Keys, sort)
	}
	if ttl := res.Object("ttl"); ttl["enabled"] == true {
		table.TTL = text(ttl, "attributeName")
	}
	r.tables[res.Output("name")] = table
	return nil
}

// Item answers a request of DynamoDB's API, such as GetItem, as somebody other than
// the state machine asks, whose permissions aren't declared.
func (r *Router) Item(operation string, body []byte) (any, error) {
	var in struct{ TableName string }
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, fmt.Errorf("reading a request of DynamoDB: %w", err)
	}
	table, err := r.table(in.TableName)
	if err != nil {
		return nil, loopback.Refuse("ResourceNotFoundException", err.Error())
	}
	return dynamodb.Serve(table, r.Now(), operation, body)
}

// putItem, getItem and updateItem do a task's calls of DynamoDB.
// https://docs.aws.amazon.com/step-functions/latest/dg/connect-ddb.html
func (r *Router) putItem(_ context.Context, call asl.Call) (any, error) {
	var in dynamodb.PutInput
	return r.atTable(call, &in, &in.TableName, func(table *dynamodb.Table) (dynamodb.Item, error) {
		return nil, table.Put(call.Clock.Now(), in)
	})
}

func (r *Router) getItem(_ context.Context, call asl.Call) (any, error) {
	var in dynamodb.GetInput
	return r.atTable(call, &in, &in.TableName, func(table *dynamodb.Table) (dynamodb.Item, error) {
		return table.Get(call.Clock.Now(), in)
	})
}

func (r *Router) updateItem(_ context.Context, call asl.Call) (any, error) {
	var in dynamodb.UpdateInput
	return r.atTable(call, &in, &in.TableName, func(table *dynamodb.Table) (dynamodb.Item, error) {
		return nil, table.Update(call.Clock.Now(), in)
	})
}

// atTable does a call, and answers as DynamoDB does. Of its exceptions the one about conditions has a name of its own.
func (r *Router) atTable(
	call asl.Call, input any, name *string, do func(*dynamodb.Table) (dynamodb.Item, error),
) (any, error) {
	if err := decode(call.Parameters, input); err != nil {
		return nil, err
	}
	table, err := r.table(*name)
	if err != nil {
		return nil, err
	}
	item, err := do(table)
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
	out := map[string]any{"SdkHttpMetadata": map[string]any{"HttpStatusCode": 200}}
	if item != nil {
		out["Item"] = item
	}
	return out, nil
}
