// Package tracing tells X-Ray of a task's run, in the trace of the execution that it runs for.
//
// Step Functions hands no trace on to a container, so the state machine looks up the header of its execution's trace and puts it into
// the environment. There it has the name that AWS's own runtimes give it, so that a processor with an X-Ray or OpenTelemetry library
// of its own finds it as well. The segment goes to X-Ray's API: the X-Ray daemon and the OpenTelemetry collector, which else would do
// that, are containers that would have to run beside each task.
//
// https://docs.aws.amazon.com/xray/latest/devguide/xray-api-sendingdata.html
package tracing

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/xray"

	"example.com/upload-router/internal/host/reader"
	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/upload"
)

const (
	// Name is what the trace map calls the task.
	Name = "upload-router task"
	// origin is where X-Ray says that the segment comes from.
	origin = "AWS::ECS::Fargate"
	// timeout is for one document with all of its tries: nothing waits longer for a trace.
	timeout = 5 * time.Second

	idBytes    = 8
	traceBytes = 12
)

// API is the part of X-Ray that a task calls.
type API interface {
	PutTraceSegments(context.Context, *xray.PutTraceSegmentsInput, ...func(*xray.Options)) (*xray.PutTraceSegmentsOutput, error)
}

// Tracer sends the segment of a run.
type Tracer struct {
	// Client calls X-Ray. Required.
	Client API
	// Header is the trace header of the execution, as X-Ray writes it: "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1". Without a
	// root the segment begins a trace of its own, which is found by its annotations.
	//
	// https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader
	Header string
	// Logger is told of what could not be sent. Required.
	Logger *slog.Logger
}

// FromEnvironment reads the trace out of the variables of the task; nil if it isn't to be traced: if there is no header, or one of a
// trace that X-Ray doesn't keep. An error has code [upload.Failed] if the host gives no Region or no credentials.
func FromEnvironment(lookup func(string) (string, bool), logger *slog.Logger) (*Tracer, error) {
	header, given := lookup(request.EnvironmentTrace)
	if !given || parse(header)["Sampled"] == "0" {
		return nil, nil //nolint:nilnil // Not to be traced is no error.
	}
	cfg, err := reader.NewConfig()
	if err != nil {
		return nil, err
	}
	return &Tracer{Client: xray.NewFromConfig(cfg), Header: header, Logger: logger}, nil
}

// segment is a segment document.
//
// https://docs.aws.amazon.com/xray/latest/devguide/xray-api-segmentdocuments.html
type segment struct {
	Name        string            `json:"name"`
	ID          string            `json:"id"`
	TraceID     string            `json:"trace_id"`            //nolint:tagliatelle // X-Ray's name.
	ParentID    string            `json:"parent_id,omitempty"` //nolint:tagliatelle // X-Ray's name.
	Origin      string            `json:"origin"`
	StartTime   seconds           `json:"start_time"`            //nolint:tagliatelle // X-Ray's name.
	EndTime     seconds           `json:"end_time,omitempty"`    //nolint:tagliatelle // X-Ray's name.
	InProgress  bool              `json:"in_progress,omitempty"` //nolint:tagliatelle // X-Ray's name.
	Error       bool              `json:"error,omitempty"`
	Fault       bool              `json:"fault,omitempty"`
	Cause       *cause            `json:"cause,omitempty"`
	Annotations map[string]string `json:"annotations"`
	Metadata    map[string]any    `json:"metadata,omitempty"`
}

type cause struct {
	Exceptions []exception `json:"exceptions"`
}

type exception struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Message string `json:"message"`
}

// seconds is a time as X-Ray has it: since 1970, to the millisecond.
type seconds float64

func (s seconds) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(s), 'f', 3, 64), nil
}

func at(t time.Time) seconds { return seconds(float64(t.UnixMilli()) / 1000) }

// Do does the work and tells X-Ray of it: when it begins, so that a task which is killed shows as one that never ended, and how it
// ended. What can't be told is logged and makes no difference to the work. A nil Tracer just does the work.
func (t *Tracer) Do(ctx context.Context, execution string, object upload.Object, work func(context.Context) error) error {
	if t == nil {
		return work(ctx)
	}
	s := t.begin(execution, object, time.Now())
	// Beside the work, which need not wait for it. Being told to stop must not keep the end from being sent.
	background := context.WithoutCancel(ctx)
	begun := make(chan struct{})
	go func() {
		defer close(begun)
		t.send(background, s)
	}()
	err := work(ctx)
	<-begun // X-Ray keeps what comes last
	t.send(background, s.end(time.Now(), err))
	return err
}

// begin is the segment of a run that has begun.
func (t *Tracer) begin(execution string, object upload.Object, now time.Time) segment {
	header := parse(t.Header)
	root := Root(t.Header)
	if root == "" {
		root = NewRoot(now)
	}
	return segment{
		Name: Name, ID: random(idBytes), TraceID: root, ParentID: header["Parent"], Origin: origin, StartTime: at(now), InProgress: true,
		Annotations: map[string]string{"execution": execution, "bucket": object.Bucket, "key": object.Key, "version": object.VersionID},
		Metadata:    map[string]any{"upload": map[string]any{"size": object.Size}},
	}
}

// end is the segment of a run that has ended. What is wrong with the object or the event is the client's error, as X-Ray has it; what
// failed in the task, or behind it, is a fault.
func (s segment) end(now time.Time, err error) segment {
	s.InProgress, s.EndTime = false, at(now)
	if err == nil {
		return s
	}
	code := upload.CodeOf(err)
	s.Fault = code == upload.Failed || code.Retryable()
	s.Error = !s.Fault
	s.Cause = &cause{Exceptions: []exception{{ID: random(idBytes), Type: string(code), Message: upload.MessageOf(err)}}}
	return s
}

func (t *Tracer) send(ctx context.Context, s segment) {
	if err := t.put(ctx, s); err != nil {
		t.Logger.LogAttrs(ctx, slog.LevelWarn, "trace not sent", slog.String("cause", upload.MessageOf(err)))
	}
}

func (t *Tracer) put(ctx context.Context, s segment) error {
	document, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("writing the segment: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	out, err := t.Client.PutTraceSegments(ctx, &xray.PutTraceSegmentsInput{TraceSegmentDocuments: []string{string(document)}})
	if err != nil {
		return fmt.Errorf("sending the segment: %w", err)
	}
	for _, refused := range out.UnprocessedTraceSegments {
		return fmt.Errorf("%w: %s: %s", errRefused, aws.ToString(refused.ErrorCode), aws.ToString(refused.Message))
	}
	return nil
}

var errRefused = errors.New("X-Ray doesn't take the segment")

// Root is the id of the trace that a header names; empty if it names none.
func Root(header string) string { return parse(header)["Root"] }

// NewRoot is the id of a new trace that begins now.
//
// https://docs.aws.amazon.com/xray/latest/devguide/xray-api-sendingdata.html#xray-api-traceids
func NewRoot(now time.Time) string { return fmt.Sprintf("1-%08x-%s", now.Unix(), random(traceBytes)) }

// parse reads the fields of a trace header.
func parse(header string) map[string]string {
	fields := map[string]string{}
	for field := range strings.SplitSeq(header, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		fields[name] = value
	}
	return fields
}

// random is an id of so many bytes, in hexadecimal digits.
func random(size int) string {
	id := make([]byte, size)
	_, _ = rand.Read(id) // it never fails
	return hex.EncodeToString(id)
}
