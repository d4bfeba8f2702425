package loopback

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strings"
	"time"
)

// refusal is an error answer in the protocol AWS JSON 1.0.
//
// https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html#operation-error-serialization
type refusal struct {
	code, message string
	more          map[string]any
}

func (r *refusal) Error() string { return r.code + ": " + r.message }

// Refuse is an error that [Answer] writes with a code, such as InvalidToken, and with what is wrong.
func Refuse(code, message string) error { return RefuseWith(code, message, nil) }

// RefuseWith is [Refuse] with more fields of the error, or with another __type.
func RefuseWith(code, message string, more map[string]any) error {
	return &refusal{code, message, more}
}

// Operation is what a request asks for, such as DescribeExecution; empty for one of another protocol.
func Operation(r *http.Request) string {
	target := r.Header.Get("X-Amz-Target")
	return target[strings.LastIndex(target, ".")+1:]
}

// Seconds is a time as the protocol has it.
func Seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// Answer answers a request with out, or with err if there is one: what [Refuse] made as what it is, and any other as a failure of ours.
// Its error is that of writing.
func Answer(w http.ResponseWriter, out any, err error) error {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	if err != nil {
		status, refused := http.StatusBadRequest, &refusal{}
		if !errors.As(err, &refused) {
			status, refused = http.StatusInternalServerError, &refusal{code: "InternalFailure", message: err.Error()}
		}
		w.Header().Set("X-Amzn-Errortype", refused.code)
		w.WriteHeader(status)
		fields := map[string]any{"__type": refused.code, "message": refused.message}
		maps.Copy(fields, refused.more)
		out = fields
	}
	return json.NewEncoder(w).Encode(out) //nolint:wrapcheck // It is the connection's.
}
