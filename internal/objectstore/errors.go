package objectstore

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
)

// ErrInvalidOptions is matched by the errors of Start, CreateBucket and Put for a setting or argument that is wrong.
var ErrInvalidOptions = errors.New("invalid object store options")

// requestError is an error answer of S3.
type requestError struct {
	status        int
	code, message string
	// what isn't implemented; empty for any other error
	what string
}

func (e *requestError) Error() string { return e.code + ": " + e.message }

// fail makes an error answer.
func fail(status int, code, message string) error {
	return &requestError{status: status, code: code, message: message}
}

const (
	errCodeNoSuchKey     = "NoSuchKey"
	errCodeNoSuchVersion = "NoSuchVersion"
)

func errNoSuchBucket() error {
	return fail(http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist")
}

func errNoSuchKey() error {
	return fail(http.StatusNotFound, errCodeNoSuchKey, "The specified key does not exist.")
}

func errNoSuchVersion() error {
	return fail(http.StatusNotFound, errCodeNoSuchVersion, "The specified version does not exist.")
}

func errNoSuchUpload() error {
	return fail(http.StatusNotFound, "NoSuchUpload", "The specified multipart upload does not exist. "+
		"The upload ID may be invalid, or the upload may have been aborted or completed.")
}

func errPrecondition() error {
	return fail(http.StatusPreconditionFailed, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
}

func errMethodNotAllowed() error {
	return fail(http.StatusMethodNotAllowed, "MethodNotAllowed", "The specified method is not allowed against this resource.")
}

func errMalformedXML() error {
	return fail(http.StatusBadRequest, "MalformedXML",
		"The XML you provided was not well-formed or did not validate against our published schema")
}

// errBadRequest has no body: the web server in front of S3 answers so (measured: floci#1231, #1320).
func errBadRequest() error { return fail(http.StatusBadRequest, "", "") }

func errNotImplemented(what string) error {
	return &requestError{
		status: http.StatusNotImplemented, code: "NotImplemented", message: what + " is not implemented by this server", what: what,
	}
}

// errorXML is the body of an error answer.
type errorXML struct {
	XMLName   xml.Name `xml:"Error"`
	Code      string   `xml:"Code"`
	Message   string   `xml:"Message"`
	RequestID string   `xml:"RequestId"`
}

// writeError answers with the error. One that is not a requestError is a failure of this server, such as a full disk.
func writeError(w http.ResponseWriter, r *http.Request, requestID string, err error) {
	var answer *requestError
	if !errors.As(err, &answer) {
		answer = &requestError{status: http.StatusInternalServerError, code: "InternalError", message: err.Error()}
	}
	header := w.Header()
	header.Set(headerRequestID, requestID)
	header.Del("Content-Length")
	if answer.status == http.StatusNotModified || r.Method == http.MethodHead || answer.code == "" {
		w.WriteHeader(answer.status)
		return
	}

	body, err := xml.Marshal(errorXML{Code: answer.code, Message: answer.message, RequestID: requestID})
	if err != nil {
		body = nil
	}
	header.Set("Content-Type", "application/xml")
	w.WriteHeader(answer.status)
	_, _ = fmt.Fprint(w, xml.Header, string(body))
}
