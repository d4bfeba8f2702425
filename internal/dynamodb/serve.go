package dynamodb

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"example.com/upload-router/internal/loopback"
)

// The types of errors that DynamoDB's answers have, by the names of the refusals.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.LowLevelAPI.html
const (
	typeOfItsOwn     = "com.amazonaws.dynamodb.v20120810#"
	typeOfValidation = "com.amazon.coral.validate#"
)

// maxRequest is DynamoDB's limit of a request.
const maxRequest = 16 << 20

// Handler serves tables, by their names, in DynamoDB's own protocol; find gives nil for a table that there isn't. Nobody is asked whether
// the caller may.
func Handler(now func() time.Time, find func(name string) *Table) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest))
		var out any
		if err == nil {
			out, err = ServeAny(find, now(), loopback.Operation(r), body)
		}
		_ = loopback.Answer(w, out, err) // who asked may be gone
	})
}

// ServeAny is [Serve] for the table that the request names.
func ServeAny(find func(name string) *Table, now time.Time, operation string, body []byte) (any, error) {
	name, err := TableOf(body)
	if err != nil {
		return nil, err
	}
	table := find(name)
	if table == nil {
		return nil, refuse(&Error{Name: "ResourceNotFoundException", Message: "Requested resource not found"})
	}
	return Serve(table, now, operation, body)
}

// TableOf is the name, or the ARN, of the table that a request is about.
func TableOf(body []byte) (string, error) {
	var in struct {
		TableName    string
		RequestItems map[string]json.RawMessage
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return "", loopback.Refuse("SerializationException", err.Error()) //nolint:wrapcheck // It is the answer.
	}
	if len(in.RequestItems) > 1 {
		return "", refuse(&Error{Name: Validation, Message: "a batch of several tables isn't supported here"})
	}
	for name := range in.RequestItems {
		return name, nil
	}
	return in.TableName, nil
}

// LeadingKeys are the values of the partition key that a request names, each once: of the table's, or of that of the index that it queries.
// IAM has them as the condition key dynamodb:LeadingKeys; there are none if the request isn't understood.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html#FGAC_DDB.ConditionKeys
func (t *Table) LeadingKeys(operation string, body []byte) []string {
	var values []Attribute
	if operation == "Query" {
		var in QueryInput
		if decode(body, &in) != nil {
			return nil
		}
		q, err := t.query(in)
		if err != nil {
			return nil
		}
		values = q.partition.values
	} else {
		var in struct {
			Key, Item    Item
			RequestItems map[string]struct{ Keys []Item }
		}
		if json.Unmarshal(body, &in) != nil {
			return nil
		}
		items := []Item{in.Key, in.Item}
		for _, batch := range in.RequestItems {
			items = append(items, batch.Keys...)
		}
		for _, item := range items {
			values = append(values, item[t.Keys[0]])
		}
	}
	var keys []string
	for _, value := range values {
		if value.S != nil && !slices.Contains(keys, *value.S) {
			keys = append(keys, *value.S)
		}
	}
	return keys
}

// Serve answers a request of DynamoDB's API, such as GetItem, from a table. It is for servers that are asked in AWS's place: a refusal is
// what [loopback.Answer] writes as one, and so is an operation or a parameter that this package doesn't have.
func Serve(table *Table, now time.Time, operation string, body []byte) (any, error) {
	out, err := table.serve(now, operation, body)
	if refused, ok := errors.AsType[*Error](err); ok {
		return nil, refuse(refused)
	}
	return out, err
}

func (t *Table) serve(now time.Time, operation string, body []byte) (any, error) {
	switch operation {
	case "GetItem":
		var in GetInput
		if err := decode(body, &in); err != nil {
			return nil, err
		}
		item, err := t.Get(now, in)
		return struct {
			Item Item `json:",omitzero"`
		}{item}, err
	case "PutItem":
		var in PutInput
		if err := decode(body, &in); err != nil {
			return nil, err
		}
		return struct{}{}, t.Put(now, in)
	case "UpdateItem":
		var in UpdateInput
		if err := decode(body, &in); err != nil {
			return nil, err
		}
		attributes, err := t.Update(now, in)
		return struct {
			Attributes Item `json:",omitempty"`
		}{attributes}, err
	case "Query":
		var in QueryInput
		if err := decode(body, &in); err != nil {
			return nil, err
		}
		return t.Query(now, in)
	case "BatchGetItem":
		var in BatchGetInput
		if err := decode(body, &in); err != nil {
			return nil, err
		}
		return t.BatchGet(now, in)
	}
	return nil, &Error{Name: "UnknownOperationException", Message: "this table doesn't know " + operation}
}

// refuse is a refusal as DynamoDB answers it.
func refuse(e *Error) error {
	more := map[string]any{"__type": typeOfItsOwn + e.Name}
	if e.Name == Validation {
		more["__type"] = typeOfValidation + e.Name
	}
	if e.Item != nil {
		more["Item"] = e.Item
	}
	return loopback.RefuseWith(e.Name, e.Message, more) //nolint:wrapcheck // It is the answer.
}

// decode reads the parameters of a call. One that isn't known would be done wrong.
func decode(body []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("reading the parameters: %w", err)
	}
	return nil
}
