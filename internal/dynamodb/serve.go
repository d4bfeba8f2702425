package dynamodb

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"example.com/upload-router/internal/loopback"
)

// Serve answers a request of DynamoDB's API, such as GetItem, from a table. It is for the servers that tests ask in AWS's place: a
// refusal is what [loopback.Answer] writes as one, and so is an operation or a parameter that this package doesn't have.
func Serve(table *Table, now time.Time, operation string, body []byte) (any, error) {
	out := map[string]any{}
	var err error
	switch operation {
	case "GetItem":
		var in GetInput
		if err = decode(body, &in); err == nil {
			var item Item
			if item, err = table.Get(now, in); item != nil {
				out["Item"] = item
			}
		}
	case "UpdateItem":
		var in UpdateInput
		if err = decode(body, &in); err == nil {
			err = table.Update(now, in)
		}
	default:
		err = &Error{"UnknownOperationException", "this table doesn't know " + operation}
	}
	if refused, ok := errors.AsType[*Error](err); ok {
		return nil, loopback.Refuse(refused.Name, refused.Message)
	}
	return out, err
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
