package eventbridge

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"example.com/upload-router/internal/partition"
)

// The fixed values of the event, for rules that are built in code.
const (
	// SourceS3 is the source of every event Amazon S3 sends.
	SourceS3 = "aws.s3"
	// DetailTypeObjectCreated is the detail-type of the event for a new object or version.
	DetailTypeObjectCreated = "Object Created"
)

// Reasons Amazon S3 gives in an "Object Created" event: the request that made the object.
const (
	ReasonPutObject               = "PutObject"
	ReasonPostObject              = "POST Object"
	ReasonCopyObject              = "CopyObject"
	ReasonCompleteMultipartUpload = "CompleteMultipartUpload"
)

var reasons = []string{ReasonPutObject, ReasonPostObject, ReasonCopyObject, ReasonCompleteMultipartUpload}

// maxKeyBytes is the longest object key of Amazon S3, in bytes of UTF-8.
const maxKeyBytes = 1024

var (
	accountPattern = regexp.MustCompile(`^[0-9]{12}$`)
	hexPattern     = regexp.MustCompile(`^[0-9A-Fa-f]+$`)
)

// ObjectCreated is what Amazon S3 knows of a new object. S3ObjectCreated makes the event from it.
type ObjectCreated struct {
	// ID is the id of the event, a UUID. Default: a new random one.
	ID string
	// Account is the 12-digit account of the bucket's owner. Required.
	Account string
	// Region is the Region of the bucket, for example "eu-west-1". Required; it also chooses the partition of the ARN.
	Region string
	// Time is when the object was created. Required. The event carries it in UTC with whole seconds.
	Time time.Time
	// Bucket is the name of the bucket. Required.
	Bucket string
	// Key is the object's key as it is, not URL-encoded, 1 to 1,024 bytes of UTF-8. Required.
	Key string
	// Size is the size of the object in bytes, 0 or more.
	Size int64
	// ETag is the entity tag; quotes, as HTTP has them, are taken off. Required.
	ETag string
	// VersionID is the version, left out of the event when empty (a bucket without versioning).
	VersionID string
	// Sequencer orders the events of one key: hexadecimal, later is greater. Required.
	Sequencer string
	// RequestID is the id of the S3 request. Required.
	RequestID string
	// Requester is the account or service that made the request. Default: Account.
	Requester string
	// SourceIPAddress is where the request came from; left out when empty, as for requests of an AWS service.
	SourceIPAddress string
	// Reason is the request that made the object, one of the Reason constants. Default: ReasonPutObject.
	Reason string
}

// Event is an event on an event bus; its JSON is what a target receives. Fields follow the AWS page "EventBridge event
// message structure".
type Event struct {
	Version    string       `json:"version"`
	ID         string       `json:"id"`
	DetailType string       `json:"detail-type"`
	Source     string       `json:"source"`
	Account    string       `json:"account"`
	Time       string       `json:"time"`
	Region     string       `json:"region"`
	Resources  []string     `json:"resources"`
	Detail     ObjectDetail `json:"detail"`
}

// ObjectDetail is the detail of an "Object Created" event.
type ObjectDetail struct {
	Version         string      `json:"version"`
	Bucket          EventBucket `json:"bucket"`
	Object          EventObject `json:"object"`
	RequestID       string      `json:"request-id"`
	Requester       string      `json:"requester"`
	SourceIPAddress string      `json:"source-ip-address,omitempty"`
	Reason          string      `json:"reason"`
}

// EventBucket names the bucket of an event.
type EventBucket struct {
	Name string `json:"name"`
}

// EventObject describes the object of an event. Size is in bytes.
type EventObject struct {
	Key       string `json:"key"`
	Size      int64  `json:"size"`
	ETag      string `json:"etag"`
	VersionID string `json:"version-id,omitempty"`
	Sequencer string `json:"sequencer"`
}

// JSON returns the event as its target receives it. The characters <, > and & stay as they are, so that a key reads the
// same in the event and in the bucket.
func (e Event) JSON() ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(e); err != nil {
		return nil, fmt.Errorf("encoding the event: %w", err)
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), nil
}

// S3ObjectCreated builds the "Object Created" event that Amazon S3 sends to EventBridge for the object (requirement
// C39). The error matches ErrInvalidEvent and names every field that is wrong.
func S3ObjectCreated(o ObjectCreated) (Event, error) {
	if err := o.validate(); err != nil {
		return Event{}, err
	}
	of, _ := partition.OfRegion(o.Region)
	return Event{
		Version:    "0",
		ID:         cmp.Or(o.ID, uuid.NewString()),
		DetailType: DetailTypeObjectCreated,
		Source:     SourceS3,
		Account:    o.Account,
		Time:       o.Time.UTC().Format("2006-01-02T15:04:05Z"),
		Region:     o.Region,
		Resources:  []string{"arn:" + of.Name + ":s3:::" + o.Bucket},
		Detail: ObjectDetail{
			Version: "0",
			Bucket:  EventBucket{Name: o.Bucket},
			Object: EventObject{
				Key:       o.Key,
				Size:      o.Size,
				ETag:      strings.Trim(o.ETag, `"`),
				VersionID: o.VersionID,
				Sequencer: o.Sequencer,
			},
			RequestID:       o.RequestID,
			Requester:       cmp.Or(o.Requester, o.Account),
			SourceIPAddress: o.SourceIPAddress,
			Reason:          cmp.Or(o.Reason, ReasonPutObject),
		},
	}, nil
}

func (o ObjectCreated) validate() error {
	checks := []struct {
		ok   bool
		what string
	}{
		{o.ID == "" || uuid.Validate(o.ID) == nil, "ID must be a UUID"},
		{accountPattern.MatchString(o.Account), "Account must be 12 digits"},
		{o.Region != "", "Region is missing"},
		{!o.Time.IsZero(), "Time is missing"},
		{o.Bucket != "", "Bucket is missing"},
		{o.Key != "" && len(o.Key) <= maxKeyBytes, "Key must have 1 to 1024 bytes"},
		{utf8.ValidString(o.Key), "Key must be UTF-8"},
		{o.Size >= 0, "Size must not be negative"},
		{strings.Trim(o.ETag, `"`) != "", "ETag is missing"},
		{hexPattern.MatchString(o.Sequencer), "Sequencer must be hexadecimal"},
		{o.RequestID != "", "RequestID is missing"},
		{
			o.Reason == "" || slices.Contains(reasons, o.Reason),
			"Reason must be one of PutObject, POST Object, CopyObject and CompleteMultipartUpload",
		},
	}

	var wrong []error
	for _, check := range checks {
		if !check.ok {
			wrong = append(wrong, fmt.Errorf("%w: %s", ErrInvalidEvent, check.what))
		}
	}
	return errors.Join(wrong...)
}
