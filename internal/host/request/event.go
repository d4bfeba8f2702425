package request

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"example.com/upload-router/upload"
)

const (
	// EventSource is the source of the events that S3 sends to EventBridge (requirement A36).
	EventSource = "aws.s3"
	// EventDetailType is the detail type of the events for created objects (requirement A36).
	EventDetailType = "Object Created"
)

// envelope is the part of an EventBridge event that is needed here. A function reads one for each file, so it leaves the rest unread.
// See https://docs.aws.amazon.com/eventbridge/latest/ref/events-structure.html.
type envelope struct {
	Source     string       `json:"source"`
	Time       string       `json:"time"`
	DetailType string       `json:"detail-type"` //nolint:tagliatelle // EventBridge's name.
	Detail     *eventDetail `json:"detail"`
}

// eventDetail is the part of an S3 event's detail that is needed here.
// See https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html.
type eventDetail struct {
	Bucket struct {
		Name string `json:"name"`
	} `json:"bucket"`
	Object struct {
		Key       string     `json:"key"`
		Size      *byteCount `json:"size"`
		ETag      string     `json:"etag"`
		VersionID string     `json:"version-id"`
		Sequencer string     `json:"sequencer"`
	} `json:"object"`
}

// byteCount is a whole number that Step Functions may have written, as [wholeNumber] reads it.
type byteCount int64

// UnmarshalJSON reads a number. Its error is the one that encoding/json has for a number that doesn't fit.
func (c *byteCount) UnmarshalJSON(text []byte) error {
	number, err := wholeNumber(string(text))
	if err != nil {
		return &json.UnmarshalTypeError{Value: "number " + string(text), Type: reflect.TypeFor[int64]()}
	}
	*c = byteCount(number)
	return nil
}

// Request is what the state machine sends to the function: the event as it came, and beside it what it was sent for.
type Request struct {
	// Event is the EventBridge event.
	Event json.RawMessage `json:"event"`
	// Execution is the ARN of the execution that the run is for. Empty means "not given".
	Execution string `json:"execution"`
	// Started is when the execution started, in RFC 3339. Empty means "not given".
	Started string `json:"started"`
	// Route is the name of the object's route. Empty means "not given".
	Route string `json:"route"`
}

// Run is what a run is for, besides the object. What isn't given is zero.
type Run struct {
	// Execution is the ARN of the execution, Route the name of the object's route.
	Execution, Route string
	// Created is when S3 sent the event, Started when the execution started.
	Created, Started time.Time
	// Attempt is the number of the run, beginning with 1.
	Attempt int
	// Batch is the name of what the object belongs to.
	Batch string
	// Again is before which time another execution must have started for what it has processed to be processed again. A task isn't told:
	// the state machine has given it the upload.
	Again time.Time
}

// asked is what the event of a backfill has besides: which batch the object belongs to, and before which time, in RFC 3339, whatever
// processed it must have started for it to be processed again. What S3 sends to EventBridge has neither.
type asked struct {
	Batch string `json:"batch"`
	Again string `json:"again"`
}

// Run reads what the request says of the run, for an event that was created at a time. An error has code [upload.Invalid].
func (r Request) Run(created time.Time) (Run, error) {
	run := Run{Execution: r.Execution, Route: r.Route, Created: created}
	var besides asked
	if err := json.Unmarshal(r.Event, &besides); err != nil {
		return run, &upload.Error{Code: upload.Invalid, Err: fmt.Errorf("reading the event's batch: %w", err)}
	}
	run.Batch = besides.Batch
	for _, at := range []struct {
		what, text string
		to         *time.Time
	}{{"request's time of start", r.Started, &run.Started}, {"event's again", besides.Again, &run.Again}} {
		if at.text == "" {
			continue
		}
		var err error
		if *at.to, err = time.Parse(time.RFC3339, at.text); err != nil {
			return run, &upload.Error{Code: upload.Invalid, Err: fmt.Errorf("reading the %s: %w", at.what, err)}
		}
	}
	return run, nil
}

// FromPayload reads the payload of an invocation. One that is no request is taken for an event, so that the function can be invoked by
// hand with what S3 sent to EventBridge; what is wrong with it is for [FromEvent] to say.
func FromPayload(payload []byte) Request {
	var request Request
	if err := json.Unmarshal(payload, &request); err != nil || request.Event == nil {
		return Request{Event: payload}
	}
	return request
}

// FromEvent reads the object out of a whole EventBridge event of type "Object Created" from S3.
//
// An event whose source or detail type is another's is refused. One that has neither is taken, so that a run can be started by hand
// with {"detail": {...}} alone. The entity tag, version id and sequencer are optional, the rest is not. Every error is an [Error]
// with code [upload.Invalid]. The time is the event's, zero if it has none. What could be read of S3's event comes with it, for the log
// and for nothing else.
func FromEvent(payload []byte) (upload.Object, time.Time, error) {
	object, created, err := decodeEvent(payload)
	if err != nil {
		return object, created, &upload.Error{Code: upload.Invalid, Err: fmt.Errorf("reading the event: %w", err)}
	}
	return object, created, object.Validate()
}

func decodeEvent(payload []byte) (upload.Object, time.Time, error) {
	var created time.Time
	if !utf8.Valid(payload) {
		// The JSON decoder would replace the bad bytes, and a key changed so would name another object.
		return upload.Object{}, created, errors.New("it is not valid UTF-8")
	}
	var event envelope
	if err := json.Unmarshal(payload, &event); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && strings.HasPrefix(wrong.Field+".", "detail.") {
			return upload.Object{}, created, fmt.Errorf("its detail is not that of an S3 event: %w", err)
		}
		return upload.Object{}, created, fmt.Errorf("it is not an EventBridge event: %w", err)
	}
	if event.Source != "" && event.Source != EventSource {
		return upload.Object{}, created, fmt.Errorf("its source is %q; want %q", event.Source, EventSource)
	}
	if event.DetailType != "" && event.DetailType != EventDetailType {
		return upload.Object{}, created, fmt.Errorf("its detail-type is %q; want %q", event.DetailType, EventDetailType)
	}
	if event.Detail == nil {
		return upload.Object{}, created, errors.New("it has no detail; send the whole event that S3 sent to EventBridge")
	}
	if at, err := time.Parse(time.RFC3339, event.Time); err == nil {
		created = at
	}
	detail := event.Detail
	object := upload.Object{
		Bucket:    detail.Bucket.Name,
		Key:       detail.Object.Key,
		VersionID: detail.Object.VersionID,
		ETag:      TrimETag(detail.Object.ETag),
		Sequencer: detail.Object.Sequencer,
	}
	if detail.Object.Size == nil {
		return object, created, errors.New("it has no detail.object.size")
	}
	object.Size = int64(*detail.Object.Size)
	return object, created, nil
}

// TrimETag takes the quotes off an entity tag: S3's headers have them, its events do not.
func TrimETag(etag string) string {
	if strings.HasPrefix(etag, `W/"`) {
		etag = strings.TrimPrefix(etag, "W/")
	}
	return strings.Trim(etag, `"`)
}
