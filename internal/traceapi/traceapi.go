// Package traceapi serves the part of the X-Ray API by which a processor sends its traces: PutTraceSegments.
//
// https://docs.aws.amazon.com/xray/latest/api/API_PutTraceSegments.html
package traceapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"sync"

	"example.com/upload-router/internal/loopback"
)

const (
	path = "/TraceSegments"
	// maxRequest is more than the documents of one call can have, of which each may have 64 kB.
	maxRequest  = 1 << 20
	maxDocument = 64 << 10
	maxName     = 200
)

var errSegment = errors.New("no segment document")

// Segment is what is kept of a segment, by the names that X-Ray has for it.
//
// https://docs.aws.amazon.com/xray/latest/devguide/xray-api-segmentdocuments.html
type Segment struct {
	Name        string         `json:"name"`
	ID          string         `json:"id"`
	TraceID     string         `json:"trace_id"`            //nolint:tagliatelle // X-Ray's name.
	ParentID    string         `json:"parent_id,omitempty"` //nolint:tagliatelle // X-Ray's name.
	Origin      string         `json:"origin,omitempty"`
	StartTime   float64        `json:"start_time"`            //nolint:tagliatelle // X-Ray's name.
	EndTime     float64        `json:"end_time,omitempty"`    //nolint:tagliatelle // X-Ray's name.
	InProgress  bool           `json:"in_progress,omitempty"` //nolint:tagliatelle // X-Ray's name.
	Error       bool           `json:"error,omitempty"`
	Fault       bool           `json:"fault,omitempty"`
	Cause       *Cause         `json:"cause,omitempty"`
	Annotations map[string]any `json:"annotations,omitempty"`
	Metadata    map[string]any `json:"metadata,omitempty"`
}

// Cause is why a segment failed.
type Cause struct {
	Exceptions []Exception `json:"exceptions"`
}

// Exception is one error of a Cause.
type Exception struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Message string `json:"message"`
}

// Server serves the calls.
type Server struct {
	*loopback.Server

	authorize func(accessKeyID string) error

	mu     sync.Mutex
	traces map[string][]Segment
}

// Start starts a server on this machine; authorize is asked before each call and may be nil. It must be closed.
func Start(ctx context.Context, authorize func(accessKeyID string) error) (*Server, error) {
	if authorize == nil {
		authorize = func(string) error { return nil }
	}
	s := &Server{authorize: authorize, traces: map[string][]Segment{}}
	var err error
	s.Server, err = loopback.Serve(ctx, "the local X-Ray", s)
	return s, err //nolint:wrapcheck // It says what it is about.
}

// Take gives the segments of a trace in the order in which they began, and forgets them.
func (s *Server) Take(traceID string) []Segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer delete(s.traces, traceID)
	return s.traces[traceID]
}

// ServeHTTP answers one call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	answer := func(status int, body any) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
	refuse := func(status int, code, message string) {
		w.Header().Set("X-Amzn-Errortype", code)
		answer(status, map[string]string{"Message": message})
	}
	if r.Method != http.MethodPost || r.URL.Path != path {
		refuse(http.StatusNotFound, "UnknownOperationException", r.Method+" "+r.URL.Path)
		return
	}
	if err := s.authorize(loopback.AccessKeyID(r)); err != nil {
		refuse(http.StatusForbidden, "AccessDeniedException", err.Error())
		return
	}
	var in struct{ TraceSegmentDocuments []string }
	if err := json.NewDecoder(io.LimitReader(r.Body, maxRequest)).Decode(&in); err != nil {
		refuse(http.StatusBadRequest, "InvalidRequestException", err.Error())
		return
	}
	unprocessed := []map[string]string{}
	for _, document := range in.TraceSegmentDocuments {
		if id, err := s.put(document); err != nil {
			unprocessed = append(unprocessed, map[string]string{"Id": id, "ErrorCode": "ParseError", "Message": err.Error()})
		}
	}
	answer(http.StatusOK, map[string]any{"UnprocessedTraceSegments": unprocessed})
}

var (
	traceIDs   = regexp.MustCompile(`^1-[0-9a-f]{8}-[0-9a-f]{24}$`)
	segmentIDs = regexp.MustCompile(`^[0-9a-f]{16}$`)
	names      = regexp.MustCompile(`^[\p{L}\p{N}\p{Z}_.:/%&#=+\\\-@]+$`)
	annotation = regexp.MustCompile(`^[A-Za-z0-9_]+$`)
)

// put keeps a segment, in the place of what came for it before.
func (s *Server) put(document string) (string, error) {
	if len(document) > maxDocument {
		return "", fmt.Errorf("%w: a document of %d bytes: at most %d", errSegment, len(document), maxDocument)
	}
	var segment Segment
	if err := json.Unmarshal([]byte(document), &segment); err != nil {
		return "", fmt.Errorf("%w: %w", errSegment, err)
	}
	if err := segment.validate(); err != nil {
		return segment.ID, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, known := range s.traces[segment.TraceID] {
		if known.ID == segment.ID {
			s.traces[segment.TraceID][i] = segment
			return segment.ID, nil
		}
	}
	s.traces[segment.TraceID] = append(s.traces[segment.TraceID], segment)
	return segment.ID, nil
}

// validate has X-Ray's rules for what is sent here.
func (s Segment) validate() error {
	for what, wrong := range map[string]bool{
		"name":                    len(s.Name) > maxName || !names.MatchString(s.Name),
		"id":                      !segmentIDs.MatchString(s.ID),
		"trace_id":                !traceIDs.MatchString(s.TraceID),
		"parent_id":               s.ParentID != "" && !segmentIDs.MatchString(s.ParentID),
		"start_time":              s.StartTime <= 0,
		"end_time or in_progress": s.InProgress == (s.EndTime > 0) || s.EndTime > 0 && s.EndTime < s.StartTime,
	} {
		if wrong {
			return fmt.Errorf("%w: %s", errSegment, what)
		}
	}
	for name := range s.Annotations {
		if !annotation.MatchString(name) {
			return fmt.Errorf("%w: annotation %q", errSegment, name)
		}
	}
	return nil
}
