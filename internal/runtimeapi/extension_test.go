package runtimeapi

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// An internal extension registers as with Lambda: by its name, without events, and before the process asks for an invocation.
func TestExtensionsAreRegistered(t *testing.T) {
	t.Parallel()
	const register, next = "POST " + extensionPrefix + "/register", "GET " + extensionPrefix + "/event/next"
	for name, c := range map[string]struct {
		request, extension, id, body string
		late                         bool
		status                       int
		says                         string
	}{
		"no events": {
			request: register, extension: "a", body: `{"events":[]}`, status: http.StatusOK,
			says: `{"functionName":"f","functionVersion":"$LATEST","handler":"bootstrap"}`,
		},
		"aws-lambda-go":   {request: register, extension: "GoLangEnableSIGTERM", body: `{"events":null}`, status: http.StatusOK, says: `"f"`},
		"no name":         {request: register, body: `{"events":[]}`, status: http.StatusForbidden, says: "Extension.InvalidExtensionName"},
		"no JSON":         {request: register, extension: "a", body: `events`, status: http.StatusBadRequest, says: "InvalidRequestFormat"},
		"events":          {request: register, extension: "a", body: `{"events":["INVOKE"]}`, status: http.StatusForbidden, says: "EventType"},
		"late":            {request: register, extension: "a", body: `{}`, late: true, status: http.StatusForbidden, says: "RegistrationClosed"},
		"next of nobody":  {request: next, status: http.StatusForbidden, says: "Extension.UnknownExtensionIdentifier"},
		"next of another": {request: next, id: "x", status: http.StatusForbidden, says: "Extension.UnknownExtensionIdentifier"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &sandbox{function: Function{Name: "f", Region: "eu-west-1"}.withDefaults(), initialized: c.late}
			method, path, _ := strings.Cut(c.request, " ")
			request := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(c.body))
			request.Header.Set(headerExtensionName, c.extension)
			request.Header.Set(headerExtensionID, c.id)
			answer := httptest.NewRecorder()
			s.routes().ServeHTTP(answer, request)
			require.Equal(t, c.status, answer.Code)
			require.Contains(t, answer.Body.String(), c.says)
			require.Equal(t, c.status == http.StatusOK, answer.Header().Get(headerExtensionID) != "")
		})
	}
}
