package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"example.com/upload-router/internal/ledger"
)

// Values are attributes by their names, or values by their placeholders.
type Values = map[string]types.AttributeValue

// field is how an attribute and a field of an item are made of each other.
type field struct {
	name  string
	read  func(*ledger.Item, types.AttributeValue) error
	write func(*ledger.Item) types.AttributeValue // nil if the item has none
}

// fields are all attributes of an item but [ledger.Day], which nothing is read from.
var fields = []field{
	text(ledger.Object, func(i *ledger.Item) *string { return &i.Object }),
	text(ledger.Version, func(i *ledger.Item) *string { return &i.Version }),
	always(text(ledger.Sequencer, func(i *ledger.Item) *string { return &i.Sequencer })),
	always(text(ledger.ETag, func(i *ledger.Item) *string { return &i.ETag })),
	text(ledger.LaterSequencer, func(i *ledger.Item) *string { return &i.LaterSequencer }),
	text(ledger.Status, func(i *ledger.Item) *ledger.State { return &i.State }),
	text(ledger.Execution, func(i *ledger.Item) *string { return &i.Execution }),
	text(ledger.Run, func(i *ledger.Item) *string { return &i.Run }),
	number(ledger.Attempts, func(i *ledger.Item) *int { return &i.Attempts }),
	number(ledger.Duplicates, func(i *ledger.Item) *int { return &i.Duplicates }),
	number(ledger.Lease, func(i *ledger.Item) *int64 { return &i.Lease }),
	text(ledger.Route, func(i *ledger.Item) *string { return &i.Route }),
	number(ledger.Size, func(i *ledger.Item) *int64 { return &i.Size }),
	moment(ledger.Created, func(i *ledger.Item) *time.Time { return &i.Created }),
	moment(ledger.Started, func(i *ledger.Item) *time.Time { return &i.Started }),
	moment(ledger.Ended, func(i *ledger.Item) *time.Time { return &i.Ended }),
	text(ledger.Error, func(i *ledger.Item) *string { return &i.Error }),
	text(ledger.Cause, func(i *ledger.Item) *string { return &i.Cause }),
	document(ledger.Result, func(i *ledger.Item) *json.RawMessage { return &i.Result }),
	document(ledger.Outputs, func(i *ledger.Item) *json.RawMessage { return &i.Outputs }),
	text(ledger.Verified, func(i *ledger.Item) *string { return &i.Verified }),
	text(ledger.Batch, func(i *ledger.Item) *string { return &i.Batch }),
	number(ledger.Expires, func(i *ledger.Item) *int64 { return &i.Expires }),
	{
		name: ledger.ResultAt,
		read: func(i *ledger.Item, v types.AttributeValue) error {
			s, err := stringOf(v)
			if err != nil {
				return err
			}
			return json.Unmarshal([]byte(s), &i.ResultAt) //nolint:wrapcheck // The caller names the attribute.
		},
		write: func(i *ledger.Item) types.AttributeValue {
			if i.ResultAt == nil {
				return nil
			}
			return placeValue(*i.ResultAt)
		},
	},
}

// UnreadableError is that an item can't be read, such as one that was written by hand. It says nothing of the others.
type UnreadableError struct {
	// Object and Version are the item's keys.
	Object, Version string
	// Attribute is the name of the first attribute that can't be read.
	Attribute string
	// Cause says which attribute, and why.
	Cause error
}

// Error names the item.
func (e *UnreadableError) Error() string {
	return fmt.Sprintf("the item of %q, version %q: %v", e.Object, e.Version, e.Cause)
}

// Unwrap returns the cause.
func (e *UnreadableError) Unwrap() error { return e.Cause }

// Read makes an item of its attributes. It leaves out what it doesn't know, and takes an attribute that isn't there for none. The error is
// an [UnreadableError]; the item then has the attributes that can be read.
func Read(attributes Values) (ledger.Item, error) {
	var item ledger.Item
	var unreadable *UnreadableError
	for _, f := range fields {
		value, there := attributes[f.name]
		if !there {
			continue
		}
		if err := f.read(&item, value); err != nil && unreadable == nil {
			unreadable = &UnreadableError{Attribute: f.name, Cause: fmt.Errorf("reading the attribute %q of an item: %w", f.name, err)}
		}
	}
	if unreadable == nil {
		return item, nil
	}
	unreadable.Object, unreadable.Version = item.Object, item.Version
	return item, unreadable
}

// Write is the reverse of [Read].
func Write(item ledger.Item) Values {
	out := Values{}
	for _, f := range fields {
		if value := f.write(&item); value != nil {
			out[f.name] = value
		}
	}
	if !item.Started.IsZero() {
		out[ledger.Day] = s(ledger.DayOf(item.Started))
	}
	return out
}

func s[T ~string](value T) types.AttributeValue {
	return &types.AttributeValueMemberS{Value: string(value)}
}

func n[T ~int | ~int64](value T) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(int64(value), 10)}
}

func ss(values ...string) types.AttributeValue { return &types.AttributeValueMemberSS{Value: values} }

func placeValue(place ledger.Place) types.AttributeValue {
	out, _ := json.Marshal(place) // texts and a number
	return s(string(out))
}

func stringOf(value types.AttributeValue) (string, error) {
	v, ok := value.(*types.AttributeValueMemberS)
	if !ok {
		return "", fmt.Errorf("it is a %T; want a string", value)
	}
	return v.Value, nil
}

func wholeOf(value types.AttributeValue) (int64, error) {
	v, ok := value.(*types.AttributeValueMemberN)
	if !ok {
		return 0, fmt.Errorf("it is a %T; want a number", value)
	}
	whole, err := strconv.ParseInt(v.Value, 10, 64)
	if err == nil {
		return whole, nil
	}
	// Of an event that was written by hand: one such item must not keep the others from being read.
	number, wrong := strconv.ParseFloat(v.Value, 64)
	if wrong != nil {
		return 0, err //nolint:wrapcheck // It quotes the text.
	}
	return int64(max(-math.MaxInt64/2, min(math.MaxInt64/2, number))), nil
}

func text[T ~string](name string, at func(*ledger.Item) *T) field {
	return field{
		name: name,
		read: func(i *ledger.Item, v types.AttributeValue) error {
			value, err := stringOf(v)
			*at(i) = T(value)
			return err
		},
		write: func(i *ledger.Item) types.AttributeValue {
			if *at(i) == "" {
				return nil
			}
			return s(*at(i))
		},
	}
}

// always writes an empty text as well: a condition compares it.
func always(f field) field {
	write := f.write
	f.write = func(i *ledger.Item) types.AttributeValue {
		if value := write(i); value != nil {
			return value
		}
		return s("")
	}
	return f
}

func number[T ~int | ~int64](name string, at func(*ledger.Item) *T) field {
	return field{
		name: name,
		read: func(i *ledger.Item, v types.AttributeValue) error {
			whole, err := wholeOf(v)
			*at(i) = T(whole)
			return err
		},
		write: func(i *ledger.Item) types.AttributeValue {
			if *at(i) == 0 {
				return nil
			}
			return n(*at(i))
		},
	}
}

func moment(name string, at func(*ledger.Item) *time.Time) field {
	return field{
		name: name,
		read: func(i *ledger.Item, v types.AttributeValue) error {
			value, err := stringOf(v)
			if err != nil {
				return err
			}
			*at(i), err = ledger.ParseTime(value)
			return err
		},
		write: func(i *ledger.Item) types.AttributeValue {
			if at(i).IsZero() {
				return nil
			}
			return s(ledger.Time(*at(i)))
		},
	}
}

var (
	errNoJSON = errors.New("it is no JSON")
	errDeep   = errors.New("it is nested deeper than JSON can be")
)

// Package json reads and writes what is nested 10,000 deep. A document that is about as deep isn't read, as whoever prints an item nests it
// deeper: by less than around has.
const (
	deepest = 9_000
	around  = 16
)

func document(name string, at func(*ledger.Item) *json.RawMessage) field {
	return field{
		name: name,
		read: func(i *ledger.Item, v types.AttributeValue) error {
			value, err := stringOf(v)
			if err != nil {
				return err
			}
			if value != "" && !json.Valid([]byte(value)) {
				return errNoJSON
			}
			if len(value) > deepest && !json.Valid([]byte(strings.Repeat("[", around)+value+strings.Repeat("]", around))) {
				return errDeep
			}
			*at(i) = json.RawMessage(value)
			return nil
		},
		write: func(i *ledger.Item) types.AttributeValue {
			if len(*at(i)) == 0 {
				return nil
			}
			return s(string(*at(i)))
		},
	}
}
