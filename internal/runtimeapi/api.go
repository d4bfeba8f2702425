package runtimeapi

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// The paths of the Runtime API.
const (
	apiPrefix = "/2018-06-01/runtime"
	pathID    = "id"
)

// The headers of the Runtime API.
const (
	headerRequestID   = "Lambda-Runtime-Aws-Request-Id"
	headerDeadline    = "Lambda-Runtime-Deadline-Ms"
	headerFunctionARN = "Lambda-Runtime-Invoked-Function-Arn"
	headerTraceID     = "Lambda-Runtime-Trace-Id"
	headerErrorType   = "Lambda-Runtime-Function-Error-Type"
	trailerErrorBody  = "Lambda-Runtime-Function-Error-Body"
	headerContentType = "Content-Type"
	typeJSON          = "application/json"
)

// maxDrainBytes is how much of an answer that is too large is still read, so that the process sees why it is refused.
const maxDrainBytes = 64 << 20

func (s *sandbox) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+apiPrefix+"/invocation/next", s.serveNext)
	mux.HandleFunc("POST "+apiPrefix+"/invocation/{"+pathID+"}/response", s.serveResponse)
	mux.HandleFunc("POST "+apiPrefix+"/invocation/{"+pathID+"}/error", s.serveError)
	mux.HandleFunc("POST "+apiPrefix+"/init/error", s.serveInitError)
	mux.HandleFunc("POST "+extensionPrefix+"/register", s.serveRegister)
	mux.HandleFunc("GET "+extensionPrefix+"/event/next", s.serveEvent)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, http.StatusNotFound, "NotFound", "The Runtime API has no "+r.Method+" "+r.URL.Path)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.gate.RLock()
		defer s.gate.RUnlock()
		mux.ServeHTTP(w, r)
	})
}

// serveNext waits for an invocation, however long that takes. A process that is to end is told so by a signal and not
// by an answer here, which it would log as a failure.
func (s *sandbox) serveNext(w http.ResponseWriter, r *http.Request) {
	s.setInitialized()
	select {
	case s.polls <- struct{}{}:
	case <-r.Context().Done():
		return
	}

	select {
	case call := <-s.calls:
		s.writeInvocation(w, call)
	case <-r.Context().Done():
	}
}

func (s *sandbox) writeInvocation(w http.ResponseWriter, call *invocation) {
	header := w.Header()
	header.Set(headerContentType, typeJSON)
	header.Set(headerRequestID, call.id)
	header.Set(headerDeadline, strconv.FormatInt(call.deadline.UnixMilli(), 10))
	header.Set(headerFunctionARN, s.function.ARN)
	header.Set(headerTraceID, traceID(time.Now()))
	header.Set("Content-Length", strconv.Itoa(len(call.payload)))
	// A process that is gone is noticed by its end.
	_, _ = w.Write(call.payload)
}

// traceID makes an X-Ray trace header that asks for no sampling.
func traceID(now time.Time) string {
	random := strings.ReplaceAll(uuid.NewString()+uuid.NewString(), "-", "")
	return fmt.Sprintf("Root=1-%08x-%s;Parent=%s;Sampled=0", now.Unix(), random[:24], random[32:48])
}

func (s *sandbox) serveResponse(w http.ResponseWriter, r *http.Request) {
	id, payload, tooLarge, ok := s.report(w, r, "response")
	if !ok {
		return
	}

	got := outcome{payload: payload}
	// A streamed response reports a failure after its body, in trailers.
	if errorType := r.Trailer.Get(headerErrorType); errorType != "" {
		body, err := base64.StdEncoding.DecodeString(r.Trailer.Get(trailerErrorBody))
		if err != nil {
			body = nil
		}
		got = outcome{failed: reportedFailure(body, errorType)}
	}
	if tooLarge {
		got = outcome{failed: newFailure(TypeResponseTooLarge,
			fmt.Sprintf("Response payload size exceeded maximum allowed payload size (%d bytes).", MaxResponseBytes))}
	}
	s.finish(w, id, got, tooLarge)
}

func (s *sandbox) serveError(w http.ResponseWriter, r *http.Request) {
	if id, payload, tooLarge, ok := s.report(w, r, "error"); ok {
		s.finish(w, id, outcome{failed: reportedFailure(payload, r.Header.Get(headerErrorType))}, tooLarge)
	}
}

// report reads what the process tells of the invocation being handled; not ok is what it has refused.
func (s *sandbox) report(w http.ResponseWriter, r *http.Request, what string) (id string, payload []byte, tooLarge, ok bool) {
	id = r.PathValue(pathID)
	if !s.mayAnswer(w, id) {
		return id, nil, false, false
	}
	payload, tooLarge, err := readBody(r.Body)
	if err != nil {
		refuse(w, http.StatusBadRequest, "InvalidRequest", "The "+what+" could not be read: "+err.Error())
	}
	return id, payload, tooLarge, err == nil
}

// finish passes the outcome on and answers the process.
func (s *sandbox) finish(w http.ResponseWriter, id string, got outcome, tooLarge bool) {
	if !s.answer(id, got) {
		refuseRequestID(w)
		return
	}
	if tooLarge {
		refuse(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge",
			fmt.Sprintf("Exceeded maximum allowed payload size (%d bytes).", MaxResponseBytes))
		return
	}
	accept(w)
}

// serveInitError takes the report of a process that can't begin. One that has asked for an invocation has begun.
func (s *sandbox) serveInitError(w http.ResponseWriter, r *http.Request) {
	if s.isInitialized() {
		refuseTransition(w, "the initialization has ended: the process has asked for an invocation")
		return
	}
	payload, tooLarge, err := readBody(r.Body)
	if err != nil || tooLarge {
		refuse(w, http.StatusBadRequest, "InvalidRequest", "The error could not be read, or is too large")
		return
	}
	select {
	case s.initFailed <- reportedFailure(payload, r.Header.Get(headerErrorType)):
		accept(w)
	default:
		refuseTransition(w, "the initialization has been reported as failed before")
	}
}

func readBody(body io.Reader) (payload []byte, tooLarge bool, err error) {
	payload, err = io.ReadAll(io.LimitReader(body, MaxResponseBytes+1))
	if err != nil || len(payload) <= MaxResponseBytes {
		return payload, false, err
	}
	// It is refused whatever the rest is.
	_, _ = io.CopyN(io.Discard, body, maxDrainBytes)
	return nil, true, nil
}

func accept(w http.ResponseWriter) {
	w.Header().Set(headerContentType, typeJSON)
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"status":"OK"}`)
}

func refuseRequestID(w http.ResponseWriter) {
	refuse(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
}

// refuseTransition refuses what the process may not do now, as AWS's emulator does.
func refuseTransition(w http.ResponseWriter, why string) {
	refuse(w, http.StatusForbidden, "InvalidStateTransition", "State transition failed for runtime. Error: "+why)
}

// refuse answers with an error as the Runtime API words it.
func refuse(w http.ResponseWriter, status int, errorType, message string) {
	body, err := json.Marshal(map[string]string{"errorType": errorType, "errorMessage": message})
	if err != nil {
		body = []byte(`{}`)
	}
	w.Header().Set(headerContentType, typeJSON)
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
