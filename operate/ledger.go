package operate

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/ledger/client"
)

// The states of an upload.
const (
	StatusRunning   = string(ledger.Running)
	StatusSucceeded = string(ledger.Succeeded)
	StatusFailed    = string(ledger.Failed)
	StatusSkipped   = string(ledger.Skipped)
	StatusLost      = string(ledger.Lost)
)

// Statuses are the states that an upload can have: running, succeeded, failed, skipped (a folder marker), and lost, which is running past
// the time that its execution can live.
func Statuses() []string {
	return []string{StatusRunning, StatusSucceeded, StatusFailed, StatusSkipped, StatusLost}
}

// Gone is the status of an execution that Step Functions doesn't know, or no longer: 90 days after its end, or since its state machine was
// deleted.
const Gone = "GONE"

// Record is what the ledger has of an upload: of a version of an object, or of a key in a bucket without versions.
type Record struct {
	// Processing is that of the execution that has it. Its Status is one of [Statuses].
	Processing

	// ExecutionStatus is what Step Functions says of the execution, if it was asked for one that is running or lost: RUNNING,
	// TIMED_OUT, and so on, or [Gone].
	ExecutionStatus string `json:"executionStatus,omitempty"`
	// Attempts is how many runs of the processor began, Duplicates how many executions found that another one had the upload.
	Attempts   int `json:"attempts"`
	Duplicates int `json:"duplicates"`
	// Created is when S3 sent the event.
	Created time.Time `json:"created,omitzero"`
	// Result is what the processor answered, Outputs what it wrote. A result of more than 4 KiB is in a log instead: ResultAt.
	Result   json.RawMessage `json:"result,omitempty"`
	ResultAt *ResultAt       `json:"resultAt,omitempty"`
	Outputs  json.RawMessage `json:"outputs,omitempty"`
	// Verified is "ranges" if the run that succeeded read nothing but ranges, so that the object's checksum wasn't compared; else empty.
	Verified string `json:"verified,omitempty"`
	// Batch is the name of what it belongs to.
	Batch string `json:"batch,omitempty"`
	// Expires is when the ledger forgets it; zero for never.
	Expires time.Time `json:"expires,omitzero"`

	position position
}

// ResultAt is where a result is that is too large for the ledger.
type ResultAt struct {
	// LogGroup and LogStream are where the line with it is. Until is when the log group forgets that; empty for never.
	LogGroup  string `json:"logGroup"`
	LogStream string `json:"logStream,omitempty"`
	Until     string `json:"until,omitempty"`
	// Bytes is how long the result is.
	Bytes int `json:"bytes"`
}

// Position is where the record is among those of its query: [RecordQuery.After] of a query that goes on behind it.
func (r Record) Position() string { return r.position.String() }

// recordOf is an item for people and programs, as of a time.
func recordOf(item ledger.Item, now time.Time) Record {
	r := Record{
		Processing: Processing{
			ETag: item.ETag, Size: item.Size, Status: string(item.StateAt(now)), Route: item.Route, ARN: item.Execution,
			Started: item.Started, Stopped: item.Ended, Error: item.Error, Cause: item.Cause, Reason: readable(item.Cause),
		},
		Attempts: item.Attempts, Duplicates: item.Duplicates, Created: item.Created, Result: item.Result, Outputs: item.Outputs,
		Verified: item.Verified,
		Batch:    item.Batch, ResultAt: (*ResultAt)(item.ResultAt), position: positionOf(item),
	}
	r.Bucket, r.Key, _ = ledger.SplitObject(item.Object)
	if r.Name = nameOf(item.Execution); item.Version != ledger.NoVersion {
		r.VersionID = item.Version
	}
	if item.Expires > 0 {
		r.Expires = time.Unix(item.Expires, 0).UTC()
	}
	switch {
	case r.Started.IsZero():
	case !r.Stopped.IsZero():
		r.Duration = r.Stopped.Sub(r.Started)
	case r.Status == StatusRunning:
		r.Duration = now.Sub(r.Started)
	}
	return r
}

// RecordQuery chooses records of the ledger.
type RecordQuery struct {
	// Key chooses all versions of one key. Without it the days since Since are read: the ledger has no order by keys.
	Key string
	// Since and Until leave out what started before and after. Since is required without Key; the default of Until is now. A
	// later one is cut off, but for what clocks differ by: nothing has started by then.
	Since, Until time.Time
	// Prefix leaves out other keys, Status, one of [Statuses], and Route, a route's name, other records. What they leave out has been read.
	Prefix, Status, Route string
	// Batch, the name of a batch, leaves out the records of others.
	Batch string
	// Oldest has the oldest come first. Default: the newest.
	Oldest bool
	// Limit is how many there are at most; 0 is no limit.
	Limit int
	// After leaves out all up to a record, by its [Record.Position]. Began is when the reading began that goes on like this. Default: now.
	After string
	Began time.Time
	// Executions has Step Functions asked for the executions of what is running or lost.
	Executions bool

	after position
	now   time.Time
}

// complete takes the defaults.
func (q *RecordQuery) complete(now time.Time) {
	q.now, q.Status = now, strings.ToLower(q.Status)
	q.Until = q.end(now)
	if q.Began.IsZero() {
		q.Began = now
	}
}

// furthest is how far ahead is read at the most: nothing has started later than now, by whichever clock and however that is set.
const furthest = 24 * time.Hour

// end is until when is read.
func (q RecordQuery) end(now time.Time) time.Time {
	latest := now.Add(furthest)
	switch {
	case q.Until.IsZero():
		return now
	case q.Until.After(latest):
		return latest
	}
	return q.Until
}

// check completes the query. The error matches [ErrInput].
func (q *RecordQuery) check(routes routes) error {
	wrong := func(why string, args ...any) error { return fmt.Errorf("%w: %s", ErrInput, fmt.Sprintf(why, args...)) }
	q.complete(time.Now())
	q.Route = routes.spelled(q.Route)
	var err error
	switch {
	case q.Key != "" && q.Prefix != "":
		return wrong("a key and a prefix exclude each other")
	case q.Key == "" && q.Since.IsZero():
		return wrong("the ledger is read by days: say since when")
	case q.Until.Before(q.Since):
		return wrong("since %s and until %s: there is nothing between", ledger.Time(q.Since), ledger.Time(q.Until))
	case q.Limit < 0:
		return wrong("a limit can't be negative")
	case q.Status != "" && !slices.Contains(Statuses(), q.Status):
		return wrong("%q is no status of an upload: use %s", q.Status, strings.Join(Statuses(), ", "))
	case q.Route != "" && routes.computeOf(q.Route) == "" && len(routes) > 0:
		return wrong("%q is no route: use %s", q.Route, strings.Join(routes.names(), ", "))
	case q.After != "":
		if q.after, err = parsePosition(q.After); err != nil {
			return wrong("%q is no position in the ledger", q.After)
		}
	}
	return nil
}

// Queries is how many requests it takes at least to read all that the query is about: one, or one for each day and shard.
func (q RecordQuery) Queries() int {
	if q.Key != "" {
		return 1
	}
	return len(days(q.Since, q.end(time.Now()))) * ledger.Shards
}

// days are the days in UTC from one time to another, the oldest first.
func days(since, until time.Time) []time.Time {
	var all []time.Time
	last := until.UTC()
	for day := since.UTC().Truncate(24 * time.Hour); !day.After(last); day = day.AddDate(0, 0, 1) {
		all = append(all, day)
	}
	return all
}

// chooses says whether an item is one of the query's, by what is known of it. One that can't be read may be one.
func (q RecordQuery) chooses(f found) bool {
	_, key, upload := ledger.SplitObject(f.item.Object)
	if !upload || !strings.HasPrefix(key, q.Prefix) {
		return false
	}
	state := string(f.item.StateAt(q.now))
	anyState := f.wrong != nil && (state == "" || f.item.State == ledger.Running || f.wrong.Attribute == ledger.Status)
	return (q.Status == "" || state == q.Status || anyState) && f.mayHave(q.Route, f.item.Route) && f.mayHave(q.Batch, f.item.Batch)
}

// mayHave says whether an item has what is wanted, if something is. What can't be read of one may be it.
func (f found) mayHave(wanted, has string) bool {
	return wanted == "" || has == wanted || f.wrong != nil && has == ""
}

// passed says whether an item is one of those that [RecordQuery.After] leaves out.
func (q RecordQuery) passed(f found) bool {
	return q.After != "" && f.at.compare(q.after, q.Oldest) <= 0
}

// errNoLedger is for a system that was deployed before there was one.
var errNoLedger = fmt.Errorf(
	"%w: the stack has no output ledgerTable: it was deployed by an older version; `upload-router up` makes the ledger", ErrNotDeployed)

// Records reads the ledger, the newest records first, in constant memory: however many there are, some hundreds of them are held. What is
// written meanwhile may be among them or not; what moves meanwhile, as it is processed again, comes once. In the place of an item that
// can't be read comes an [UnreadableError], after which it goes on. Any other error ends it; it matches [ErrInput] if the query can't be
// right.
func (s *System) Records(ctx context.Context, query RecordQuery) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		err := query.check(s.Outputs.routes)
		if err == nil && s.Outputs.ledgerTable == "" {
			err = errNoLedger
		}
		if err != nil {
			yield(Record{}, err)
			return
		}
		records := s.recordsByTime
		if query.Key != "" {
			records = s.recordsOfKey
		}
		left := query.Limit
		for r, err := range records(ctx, query) {
			_, unreadable := errors.AsType[*UnreadableError](err)
			if err != nil && ctx.Err() != nil {
				unreadable, err = false, fmt.Errorf("reading the ledger: %w", ErrCanceled)
			}
			if !yield(r, err) || err != nil && !unreadable {
				return
			}
			if unreadable {
				continue
			}
			if left--; left == 0 {
				return
			}
		}
	}
}

// recordsOfKey are the versions of a key. There is one query for them, which gives them in the order of their ids.
func (s *System) recordsOfKey(ctx context.Context, query RecordQuery) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		items, err := s.versionsOf(ctx, s.Outputs.BucketName, query.Key)
		if err != nil {
			yield(Record{}, err)
			return
		}
		slices.SortFunc(items, func(a, b found) int { return a.at.compare(b.at, query.Oldest) })
		for some := range slices.Chunk(items, batchSize) {
			some = slices.DeleteFunc(some, func(f found) bool {
				started, known := f.item.Started, f.wrong == nil || !f.item.Started.IsZero()
				return known && (started.Before(query.Since) || started.After(query.Until)) || query.passed(f) || !query.chooses(f)
			})
			records, err := s.recordsOf(ctx, query, some)
			if err != nil {
				yield(Record{}, err)
				return
			}
			for _, r := range records {
				if !yield(r.Record, r.wrong) {
					return
				}
			}
		}
	}
}

// versionsOf are the items of a key.
func (s *System) versionsOf(ctx context.Context, bucket, key string) ([]found, error) {
	pages := dynamodb.NewQueryPaginator(s.items, &dynamodb.QueryInput{
		TableName: &s.Outputs.ledgerTable, ConsistentRead: aws.Bool(true),
		KeyConditionExpression:    aws.String("#object = :object"),
		ExpressionAttributeNames:  map[string]string{"#object": ledger.Object},
		ExpressionAttributeValues: client.Values{":object": &types.AttributeValueMemberS{Value: ledger.ObjectKey(bucket, key)}},
	})
	var items []found
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, s.ledgerRefused(err)
		}
		for _, attributes := range page.Items {
			f, err := foundOf(client.Read(attributes))
			if err != nil {
				return nil, err
			}
			items = append(items, f)
		}
	}
	return items, nil
}

// recordsOf are records of items that are known whole, with what Step Functions says of their executions, if that is asked for.
func (s *System) recordsOf(ctx context.Context, query RecordQuery, items []found) ([]read, error) {
	records := make([]read, len(items))
	for i, f := range items {
		if f.wrong != nil {
			records[i].wrong = s.unreadable(f)
			continue
		}
		records[i].Record = recordOf(f.item, query.now)
		records[i].position = f.at
	}
	if query.Executions {
		return records, eachOf(ctx, records, s.askExecution)
	}
	return records, nil
}

// askExecution asks Step Functions for the execution of what isn't known to have ended.
func (s *System) askExecution(ctx context.Context, r *read) error {
	if r.ARN == "" || r.Status != StatusRunning && r.Status != StatusLost {
		return nil
	}
	status, err := s.status(ctx, r.ARN)
	if r.ExecutionStatus = status; status == "" && err == nil {
		r.ExecutionStatus = Gone
	}
	return err
}

// ledger calls DynamoDB for the ledger.
func (s *System) ledger() *client.Client {
	return &client.Client{API: s.items, Table: s.Outputs.ledgerTable}
}

// ledgerRefused is what DynamoDB refused.
func (s *System) ledgerRefused(err error) error {
	if err == nil {
		return nil
	}
	if hasCode(err, "ResourceNotFoundException") || isWithoutIndex(err) {
		return fmt.Errorf("%w: there is no table %s, or it has no index %s: `upload-router up` makes it",
			ErrNotDeployed, s.Outputs.ledgerTable, ledger.Index)
	}
	return asked("reading the ledger's table "+s.Outputs.ledgerTable, err)
}

// isWithoutIndex says whether the table has no such index: DynamoDB has no code of its own for that.
func isWithoutIndex(err error) bool {
	api, ok := errors.AsType[smithy.APIError](err)
	return ok && api.ErrorCode() == "ValidationException" && strings.Contains(api.ErrorMessage(), "does not have the specified index")
}

// LedgerARN is the ledger's table, of which there is one in all of AWS by that name; empty if the stack has none.
func (s *System) LedgerARN() string {
	if s.Outputs.ledgerTable == "" {
		return ""
	}
	in, _ := s.Outputs.machine() // ParseOutputs has looked
	in.Service, in.Resource = "dynamodb", "table/"+s.Outputs.ledgerTable
	return in.String()
}

// IsPosition says whether a text is a [Record.Position].
func IsPosition(text string) bool {
	_, err := parsePosition(text)
	return err == nil
}

// position is where an item is in the index: ordered by time, and by its keys where the time is the same.
type position struct {
	Started string `json:"started"`
	Object  string `json:"object"`
	Version string `json:"version"`
}

func positionOf(item ledger.Item) position {
	return position{ledger.Time(item.Started), item.Object, item.Version}
}

// String is the position as one word.
func (p position) String() string {
	text, err := json.Marshal(p)
	if err != nil {
		return "" // it has but text
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

var errPosition = errors.New("it isn't one")

func parsePosition(text string) (position, error) {
	var p position
	plain, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(plain, &p)
	}
	if err != nil {
		return position{}, fmt.Errorf("reading a position: %w", err)
	}
	if _, err := ledger.ParseTime(p.Started); err != nil || p.Object == "" {
		return position{}, errPosition
	}
	return p, nil
}

// compare orders by time, the newest first unless oldest is set; and by the keys where the time is the same.
func (p position) compare(other position, oldest bool) int {
	order := strings.Compare(p.Started, other.Started)
	if !oldest {
		order = -order
	}
	if order == 0 {
		order = strings.Compare(p.Object, other.Object)
	}
	if order == 0 {
		order = strings.Compare(p.Version, other.Version)
	}
	return order
}
