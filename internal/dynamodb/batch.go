package dynamodb

import "time"

// The most that BatchGetItem takes and gives. What is beyond the latter is to be asked for again.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
const (
	maxBatchKeys  = 100
	maxBatchBytes = 16 << 20
)

// BatchGetInput are the parameters of BatchGetItem. It is of one table.
type BatchGetInput struct {
	RequestItems map[string]KeysAndAttributes
}

// KeysAndAttributes are the items that are asked for of a table.
type KeysAndAttributes struct {
	Keys                     []Item
	ConsistentRead           bool              `json:",omitempty"`
	ProjectionExpression     *string           `json:",omitempty"`
	ExpressionAttributeNames map[string]string `json:",omitempty"`
}

// BatchGetOutput are those that there are, in no order that means anything.
type BatchGetOutput struct {
	Responses       map[string][]Item
	UnprocessedKeys map[string]KeysAndAttributes
}

// BatchGet gives several items of the table.
func (t *Table) BatchGet(now time.Time, in BatchGetInput) (*BatchGetOutput, error) {
	out := &BatchGetOutput{Responses: map[string][]Item{}, UnprocessedKeys: map[string]KeysAndAttributes{}}
	for name, asked := range in.RequestItems {
		shown, err := newProjection(asked.ExpressionAttributeNames, asked.ProjectionExpression)
		if err != nil {
			return nil, err
		}
		ids, err := t.batchKeys(asked.Keys)
		if err != nil {
			return nil, err
		}
		out.Responses[name] = []Item{}
		size, left := 0, asked
		left.Keys = nil
		t.mu.Lock()
		for i, id := range ids {
			item := t.at(now, id)
			switch size += item.bytes(); {
			case size > maxBatchBytes:
				left.Keys = append(left.Keys, asked.Keys[i])
			case item != nil:
				out.Responses[name] = append(out.Responses[name], shown.of(item))
			}
		}
		t.mu.Unlock()
		if left.Keys != nil {
			out.UnprocessedKeys[name] = left
		}
	}
	return out, nil
}

// batchKeys are the keys as one string each, of which there must be some, and each once.
func (t *Table) batchKeys(keys []Item) ([]string, error) {
	switch {
	case len(keys) == 0:
		return nil, invalid("1 validation error detected: Value '[]' at 'requestItems.keys' failed to satisfy constraint: " +
			"Member must have length greater than or equal to 1")
	case len(keys) > maxBatchKeys:
		return nil, invalid("Too many items requested for the BatchGetItem call")
	}
	ids, seen := make([]string, len(keys)), map[string]bool{}
	for i, key := range keys {
		_, id, err := t.key(key)
		if err != nil {
			return nil, err
		}
		if seen[id] {
			return nil, invalid("Provided list of item keys contains duplicates")
		}
		ids[i], seen[id] = id, true
	}
	return ids, nil
}
