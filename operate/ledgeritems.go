package operate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/ledger/client"
)

// batchSize is how many items BatchGetItem gives at most.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
const batchSize = 100

// How often whole items are asked for again of which DynamoDB gave none, as it had no capacity, and which part of [System.Poll] is waited
// for before the first time: a twentieth of a second, and twice as long each time.
const (
	batchTries = 10
	batchWaits = 20
)

var errThrottled = errors.New("DynamoDB gives no item: its capacity is used up; try again in a minute")

// found is an item of the ledger and where a query found it. wrong is why it can't be read: then the item has what can be read of it.
type found struct {
	item  ledger.Item
	at    position
	wrong *client.UnreadableError
}

// foundOf is an item as it was read; the error is any but a [client.UnreadableError].
func foundOf(item ledger.Item, err error) (found, error) {
	wrong, unreadable := errors.AsType[*client.UnreadableError](err)
	if err != nil && !unreadable {
		return found{}, err
	}
	if wrong == nil && item.Expires > ledger.LastSecond {
		wrong = &client.UnreadableError{Object: item.Object, Version: item.Version, Attribute: ledger.Expires, Cause: errExpires}
	}
	if state := string(item.State); wrong == nil && state != "" && !slices.Contains(Statuses(), state) {
		wrong = &client.UnreadableError{Object: item.Object, Version: item.Version, Attribute: ledger.Status, Cause: unknownStatus(state)}
	}
	return found{item, positionOf(item), wrong}, nil
}

// errExpires is for a time that no other but DynamoDB would read: whoever processes an upload doesn't, so it can't fail by it.
var errExpires = fmt.Errorf("reading the attribute %q of an item: it is no second until the year 9999: is it in milliseconds?",
	ledger.Expires)

// unknownStatus is why an item can't be told from others by its status.
func unknownStatus(state string) error {
	return fmt.Errorf("reading the attribute %q of an item: %q is none of %s", ledger.Status, state, strings.Join(Statuses(), ", "))
}

// name tells the upload from all others.
func (f found) name() string { return f.item.Object + "\n" + f.item.Version }

// whole gives items with all their attributes, by their names. BatchGetItem takes no key twice.
func (s *System) whole(ctx context.Context, items []found) (map[string]found, error) {
	whole := make(map[string]found, len(items))
	table := s.Outputs.ledgerTable
	named := make(map[string]client.Values, len(items))
	for _, f := range items {
		named[f.name()] = client.Key(f.item.Object, f.item.Version)
	}
	keys := slices.Collect(maps.Values(named))
	wait := s.Poll / batchWaits
	for tries := 0; len(keys) > 0; tries++ {
		if tries == batchTries {
			return nil, errThrottled
		}
		if tries > 0 {
			if err := sleep(ctx, wait); err != nil {
				return nil, err
			}
			wait *= 2
		}
		answer, err := s.items.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
			RequestItems: map[string]types.KeysAndAttributes{table: {Keys: keys}},
		})
		if err != nil {
			return nil, s.ledgerRefused(err)
		}
		given := answer.Responses[table]
		for _, attributes := range given {
			f, err := foundOf(client.Read(attributes))
			if err != nil {
				return nil, err
			}
			whole[f.name()] = f
		}
		if keys = answer.UnprocessedKeys[table].Keys; len(given) > 0 {
			tries, wait = 0, s.Poll/batchWaits // it goes on
		}
	}
	return whole, nil
}

// eachOf calls a function for each of several, some at a time.
func eachOf[T any](ctx context.Context, all []T, do func(context.Context, *T) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(describeParallel)
	for i := range all {
		group.Go(func() error { return do(ctx, &all[i]) })
	}
	return group.Wait()
}

// UnreadableError is that the ledger has an item that can't be read, such as one that was written by hand. It says nothing of the others.
type UnreadableError struct {
	// Bucket, Key and VersionID are the object's. VersionID is empty without versions.
	Bucket    string `json:"bucket"`
	Key       string `json:"key"`
	VersionID string `json:"versionId,omitempty"`
	// Attribute is the attribute of the item that can't be read, or the first of several. Reason says why.
	Attribute string `json:"attribute"`
	Reason    string `json:"reason"`
	// Look is the command of AWS's command line that shows the item.
	Look string `json:"look"`
}

// Error says which item, and why.
func (e *UnreadableError) Error() string {
	version := ""
	if e.VersionID != "" {
		version = ", version " + e.VersionID
	}
	return fmt.Sprintf("the ledger's item of the key %q%s can't be read: %s", e.Key, version, e.Reason)
}

// unreadable is the error of an item that can't be read.
func (s *System) unreadable(f found) error {
	e := &UnreadableError{Attribute: f.wrong.Attribute, Reason: f.wrong.Cause.Error()}
	e.Bucket, e.Key, _ = ledger.SplitObject(f.item.Object)
	if f.item.Version != ledger.NoVersion {
		e.VersionID = f.item.Version
	}
	// The AWS CLI takes JSON; a text in it is JSON's as well.
	key, err := json.Marshal(map[string]map[string]string{ledger.Object: {"S": f.item.Object}, ledger.Version: {"S": f.item.Version}})
	if err == nil {
		e.Look = fmt.Sprintf("aws dynamodb get-item --region %s --table-name %s --key '%s'",
			s.Outputs.Region(), s.Outputs.ledgerTable, strings.ReplaceAll(string(key), "'", `'\''`))
	}
	return e
}
