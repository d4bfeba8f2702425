// Package dynamodb is a DynamoDB table in memory, with the operations that this project uses, for keys that are strings and for attributes
// that are strings, numbers and sets of strings. Conditions and updates are whole, but for paths into maps and lists. Anything beyond is a
// ValidationException that says so, never a wrong answer.
//
// It is written here as the Go modules of this kind either don't resolve or take a whole emulator along. testdata/cases.jsonl says what
// it answers; dynalite is asked the same in test/engines.
//
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.html
package dynamodb

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Table is a table. Set the exported fields before the first call; then it is safe for concurrent use.
type Table struct {
	// Keys are the names of the partition key and, if there is one, of the sort key; both are strings.
	Keys []string
	// TTL is the attribute with the second, since 1970, at which an item expires; empty for none. AWS deletes such an item within days;
	// this table does when it is next asked for.
	TTL string
	// Indexes are the global secondary indexes, by their names. They are consistent here, which AWS doesn't promise.
	Indexes map[string]Index

	mu    sync.Mutex
	items map[string]Item
}

// Index is a global secondary index.
type Index struct {
	// Keys are as those of the table. An item without one of them isn't in the index.
	Keys []string
	// Projected are the attributes that it has besides its own keys and the table's; nil for all of them.
	Projected []string
}

// Expressions are the placeholders that the expressions of a call use. Attributes are named by placeholders only, which no reserved word
// can be mistaken for.
type Expressions struct {
	ExpressionAttributeNames  map[string]string
	ExpressionAttributeValues map[string]Attribute
}

// PutInput are the parameters of PutItem.
type PutInput struct {
	Expressions

	TableName           string
	Item                Item
	ConditionExpression *string
}

// GetInput are the parameters of GetItem. Every read is a consistent one.
type GetInput struct {
	TableName                string
	Key                      Item
	ConsistentRead           bool
	ProjectionExpression     *string
	ExpressionAttributeNames map[string]string
}

// UpdateInput are the parameters of UpdateItem.
type UpdateInput struct {
	Expressions

	TableName           string
	Key                 Item
	UpdateExpression    *string
	ConditionExpression *string
	// ReturnValues is what a call answers: NONE, ALL_OLD, UPDATED_OLD, ALL_NEW or UPDATED_NEW; empty for NONE.
	ReturnValues string
	// ReturnValuesOnConditionCheckFailure is NONE or ALL_OLD; empty for NONE.
	ReturnValuesOnConditionCheckFailure string
}

// What an update can answer.
const (
	returnAllOld     = "ALL_OLD"
	returnUpdatedOld = "UPDATED_OLD"
	returnAllNew     = "ALL_NEW"
	returnUpdatedNew = "UPDATED_NEW"
)

// Error is a refusal, by its name in AWS's SDKs.
type Error struct {
	Name, Message string
	// Item is the one for which a condition doesn't hold, if the call asks for it and there is one.
	Item Item
}

// Error is the name and the message.
func (e *Error) Error() string { return e.Name + ": " + e.Message }

// The names of the refusals.
const (
	ConditionalCheckFailed = "ConditionalCheckFailedException"
	Validation             = "ValidationException"
)

func invalid(format string, args ...any) error {
	return &Error{Name: Validation, Message: fmt.Sprintf(format, args...)}
}

var errCondition = &Error{Name: ConditionalCheckFailed, Message: "The conditional request failed"}

// Put replaces the whole item, if the condition holds for the one that is there.
func (t *Table) Put(now time.Time, in PutInput) error {
	expressions, err := newExpressions(in.Expressions, expression{nameCondition, in.ConditionExpression})
	if err != nil {
		return err
	}
	item, err := in.Item.normalized()
	if err != nil {
		return err
	}
	condition, err := expressions.condition(in.ConditionExpression)
	if err != nil {
		return err
	}
	if err := expressions.unused(); err != nil {
		return err
	}
	for _, name := range t.Keys {
		if _, there := item[name]; !there {
			return invalid("One or more parameter values were invalid: Missing the key %s in the item", name)
		}
	}
	id, err := t.id(item)
	if err != nil {
		return err
	}
	if item.bytes() > maxItemBytes {
		return invalid("Item size has exceeded the maximum allowed size")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !condition(t.at(now, id)) {
		return errCondition
	}
	t.set(id, item)
	return nil
}

// Get gives an item; nil if there is none.
func (t *Table) Get(now time.Time, in GetInput) (Item, error) {
	projection, err := newProjection(in.ExpressionAttributeNames, in.ProjectionExpression)
	if err != nil {
		return nil, err
	}
	_, id, err := t.key(in.Key)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return projection.of(t.at(now, id)), nil
}

// Items are all items, in the order of their keys.
func (t *Table) Items(now time.Time) []Item {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []Item
	for _, id := range slices.Sorted(maps.Keys(t.items)) {
		if item := t.at(now, id); item != nil {
			out = append(out, item.clone())
		}
	}
	return out
}

// Fill makes an item as large as one may be, by a text in an attribute: for tests of what DynamoDB says then.
func (t *Table) Fill(key Item, attribute string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, id, err := t.key(key)
	item := t.items[id]
	if err != nil || item == nil {
		return
	}
	delete(item, attribute)
	item[attribute] = Attribute{S: new(strings.Repeat(" ", maxItemBytes-item.bytes()-len(attribute)))}
}

// Update changes attributes of an item, which it makes if there is none, if the condition holds for the one that is there. It gives the
// attributes that the call asks for, nil for none.
func (t *Table) Update(now time.Time, in UpdateInput) (Item, error) {
	update, condition, err := in.parse()
	if err != nil {
		return nil, err
	}
	key, id, err := t.key(in.Key)
	if err != nil {
		return nil, err
	}
	for _, name := range t.Keys {
		if slices.Contains(update.paths, name) {
			return nil, invalid("One or more parameter values were invalid: Cannot update attribute %s. This attribute is part of the key", name)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	item := t.at(now, id)
	if !condition(item) {
		refused := *errCondition
		if in.ReturnValuesOnConditionCheckFailure == returnAllOld {
			refused.Item = item.clone()
		}
		return nil, &refused
	}
	changed := key
	maps.Copy(changed, item.clone())
	if err := update.apply(changed); err != nil {
		return nil, err
	}
	if err := t.checkIndexed(changed, update.paths); err != nil {
		return nil, err
	}
	if changed.bytes() > maxItemBytes {
		return nil, invalid("Item size to update has exceeded the maximum allowed size")
	}
	t.set(id, changed)
	return in.answer(item, changed, update.paths), nil
}

// parse reads the parameters but for the key.
func (in UpdateInput) parse() (update, condition, error) {
	if err := in.checkReturns(); err != nil {
		return update{}, nil, err
	}
	expressions, err := newExpressions(in.Expressions,
		expression{nameUpdate, in.UpdateExpression}, expression{nameCondition, in.ConditionExpression})
	if err != nil {
		return update{}, nil, err
	}
	changes, err := expressions.update(in.UpdateExpression)
	if err != nil {
		return update{}, nil, err
	}
	condition, err := expressions.condition(in.ConditionExpression)
	if err != nil {
		return update{}, nil, err
	}
	return changes, condition, expressions.unused()
}

// checkReturns refuses values of parameters that have but some.
func (in UpdateInput) checkReturns() error {
	for _, c := range []struct{ parameter, value, known string }{
		{"returnValues", in.ReturnValues, "ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW"},
		{"returnValuesOnConditionCheckFailure", in.ReturnValuesOnConditionCheckFailure, "ALL_OLD, NONE"},
	} {
		if c.value != "" && !slices.Contains(strings.Split(c.known, ", "), c.value) {
			return invalid("1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: "+
				"Member must satisfy enum value set: [%s]", c.value, c.parameter, c.known)
		}
	}
	return nil
}

// answer is what the call asks for of the item before and after.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateItem.html
func (in UpdateInput) answer(before, after Item, updated []string) Item {
	of, shown := before, projection(nil)
	switch in.ReturnValues {
	case returnAllOld:
	case returnAllNew:
		of = after
	case returnUpdatedOld:
		shown = slices.Concat(projection{}, updated)
	case returnUpdatedNew:
		of, shown = after, slices.Concat(projection{}, updated)
	default:
		return nil
	}
	if out := shown.of(of); len(out) > 0 {
		return out
	}
	return nil
}

// checkIndexed refuses what has just been written to an attribute that an index has for a key, and can't be one.
func (t *Table) checkIndexed(item Item, written []string) error {
	for _, name := range slices.Sorted(maps.Keys(t.Indexes)) {
		for _, key := range t.Indexes[name].Keys {
			value, there := item[key]
			switch {
			case !there || !slices.Contains(written, key):
			case value.S == nil:
				return invalid("The update expression attempted to update the secondary index key to unsupported type")
			case *value.S == "":
				return invalid("One or more parameter values are not valid. The update expression attempted to update a secondary index key "+
					"to a value that is not supported. The AttributeValue for a key attribute cannot contain an empty string value. "+
					"IndexName: %s, IndexKey: %s", name, key)
			}
		}
	}
	return nil
}

// key reads a key alone, which has no other attributes.
func (t *Table) key(item Item) (key Item, id string, err error) {
	if key, err = item.normalized(); err != nil {
		return nil, "", err
	}
	if len(key) != len(t.Keys) {
		return nil, "", invalid("The provided key element does not match the schema")
	}
	for _, name := range t.Keys {
		if key[name].S == nil {
			return nil, "", invalid("The provided key element does not match the schema")
		}
	}
	id, err = t.id(key)
	return key, id, err
}

// id is an item's key as one string.
func (t *Table) id(item Item) (string, error) {
	parts := make([]string, 0, len(t.Keys))
	for i, name := range t.Keys {
		key := item[name]
		switch {
		case key.S == nil:
			return "", invalid("One or more parameter values were invalid: Type mismatch for key %s expected: S actual: %s", name, key.kind())
		case *key.S == "":
			return "", invalid("One or more parameter values are not valid. "+
				"The AttributeValue for a key attribute cannot contain an empty string value. Key: %s", name)
		case i == 0 && len(*key.S) > maxHashBytes:
			return "", invalid("One or more parameter values were invalid: "+
				"Size of hashkey has exceeded the maximum size limit of%d bytes", maxHashBytes)
		case i > 0 && len(*key.S) > maxRangeBytes:
			return "", invalid("One or more parameter values were invalid: "+
				"Aggregated size of all range keys has exceeded the size limit of %d bytes", maxRangeBytes)
		}
		parts = append(parts, strconv.Quote(*key.S))
	}
	return strings.Join(parts, " "), nil
}

// at is the item that is there, with the mutex held.
func (t *Table) at(now time.Time, id string) Item {
	item := t.items[id]
	if expires := item[t.TTL].N; t.TTL != "" && expires != nil {
		if second, err := strconv.ParseInt(*expires, 10, 64); err == nil && second <= now.Unix() {
			delete(t.items, id)
			return nil
		}
	}
	return item
}

func (t *Table) set(id string, item Item) {
	if t.items == nil {
		t.items = map[string]Item{}
	}
	t.items[id] = item.clone()
}
