// Package dynamodb is a DynamoDB table in memory, with the operations and the part of the expression language that the state machine of
// this project uses. Anything beyond is a ValidationException that says so, never a wrong answer.
//
// It is written here as the Go modules of this kind either don't resolve or take a whole emulator along.
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

// Attribute is the value of an attribute: exactly one of a string, a number and a set of strings.
type Attribute struct {
	S  *string  `json:"S,omitempty"`
	N  *string  `json:"N,omitempty"`
	SS []string `json:"SS,omitempty"`
}

// Item is an item by its attributes' names.
type Item map[string]Attribute

// Table is a table. Set the exported fields before the first call; then it is safe for concurrent use.
type Table struct {
	// Keys are the names of the partition key and, if there is one, of the sort key; both are strings.
	Keys []string
	// TTL is the attribute with the second, since 1970, at which an item expires; empty for none. AWS deletes such an item within days;
	// this table does when it is next asked for.
	TTL string

	mu    sync.Mutex
	items map[string]Item
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
	ConditionExpression string
}

// GetInput are the parameters of GetItem. Every read is a consistent one.
type GetInput struct {
	TableName      string
	Key            Item
	ConsistentRead bool
}

// UpdateInput are the parameters of UpdateItem.
type UpdateInput struct {
	Expressions

	TableName           string
	Key                 Item
	UpdateExpression    string
	ConditionExpression string
}

// Error is a refusal, by its name in AWS's SDKs.
type Error struct{ Name, Message string }

// Error is the name and the message.
func (e *Error) Error() string { return e.Name + ": " + e.Message }

// The names of the refusals.
const (
	ConditionalCheckFailed = "ConditionalCheckFailedException"
	Validation             = "ValidationException"
)

func invalid(format string, args ...any) error {
	return &Error{Validation, fmt.Sprintf(format, args...)}
}

var errCondition = &Error{ConditionalCheckFailed, "The conditional request failed"}

// Put replaces the whole item, if the condition holds for the one that is there.
func (t *Table) Put(now time.Time, in PutInput) error {
	for _, name := range slices.Sorted(maps.Keys(in.Item)) {
		if err := in.Item[name].check(); err != nil {
			return invalid("the attribute %s: %v", name, err)
		}
	}
	p := &placeholders{Expressions: in.Expressions}
	condition, err := parseCondition(in.ConditionExpression, p)
	if err != nil {
		return err
	}
	if err := p.unused(); err != nil {
		return err
	}
	id, err := t.id(in.Item, false)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !condition(t.at(now, id)) {
		return errCondition
	}
	t.set(id, in.Item)
	return nil
}

// Get gives an item; nil if there is none.
func (t *Table) Get(now time.Time, in GetInput) (Item, error) {
	id, err := t.id(in.Key, true)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.at(now, id).clone(), nil
}

// Update changes attributes of an item, which it makes if there is none, if the condition holds for the one that is there.
func (t *Table) Update(now time.Time, in UpdateInput) error {
	p := &placeholders{Expressions: in.Expressions}
	condition, err := parseCondition(in.ConditionExpression, p)
	if err != nil {
		return err
	}
	update, err := parseUpdate(in.UpdateExpression, p)
	if err != nil {
		return err
	}
	if err := p.unused(); err != nil {
		return err
	}
	id, err := t.id(in.Key, true)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	item := t.at(now, id)
	if !condition(item) {
		return errCondition
	}
	changed := in.Key.clone()
	maps.Copy(changed, item.clone())
	if err := update(changed); err != nil {
		return err
	}
	t.set(id, changed)
	return nil
}

// id is an item's key as one string. A key alone has no other attributes.
func (t *Table) id(item Item, alone bool) (string, error) {
	parts := make([]string, 0, len(t.Keys))
	for _, name := range t.Keys {
		key := item[name]
		if key.S == nil || *key.S == "" {
			return "", invalid("the key %s must be a string that isn't empty", name)
		}
		parts = append(parts, strconv.Quote(*key.S))
	}
	if alone && len(item) != len(t.Keys) {
		return "", invalid("the provided key element does not match the schema")
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

func (i Item) clone() Item {
	if i == nil {
		return nil
	}
	out := make(Item, len(i))
	for name, value := range i {
		value.SS = slices.Clone(value.SS)
		out[name] = value
	}
	return out
}

// check is what DynamoDB demands of a value.
func (a Attribute) check() error {
	given := 0
	for _, is := range []bool{a.S != nil, a.N != nil, a.SS != nil} {
		if is {
			given++
		}
	}
	switch {
	case given != 1:
		return invalid("must be one of S, N and SS")
	case a.N != nil:
		if _, err := strconv.ParseFloat(*a.N, 64); err != nil {
			return invalid("the parameter cannot be converted to a numeric value: %s", *a.N)
		}
	case a.SS != nil && len(a.SS) == 0:
		return invalid("an attribute value may not contain an empty set")
	case len(slices.Compact(slices.Sorted(slices.Values(a.SS)))) != len(a.SS):
		return invalid("the set contains duplicates")
	}
	return nil
}
