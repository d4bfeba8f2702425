package runtimeapi

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/google/uuid"
)

// The Extensions API, which the process has at the same address. An internal extension is a part of the process that registers there, as
// aws-lambda-go does so that Lambda sends SIGTERM before SIGKILL.
//
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html
const (
	extensionPrefix           = "/2020-01-01/extension"
	headerExtensionName       = "Lambda-Extension-Name"
	headerExtensionID         = "Lambda-Extension-Identifier"
	mostRegistration    int64 = 64 << 10
)

// serveRegister takes an internal extension that wants no events: there are none here. Lambda refuses one without a name, and one that
// comes after the initialization.
func (s *sandbox) serveRegister(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Events []string `json:"events"`
	}
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, mostRegistration)).Decode(&asked)
	switch {
	case r.Header.Get(headerExtensionName) == "":
		refuse(w, http.StatusForbidden, "Extension.InvalidExtensionName", "Empty extension name")
		return
	case err != nil:
		refuse(w, http.StatusBadRequest, "InvalidRequestFormat", "The registration could not be read: "+err.Error())
		return
	case len(asked.Events) > 0:
		refuse(w, http.StatusForbidden, "Extension.InvalidEventType", "There are no events on this machine")
		return
	case s.isInitialized():
		refuse(w, http.StatusForbidden, "Extension.RegistrationClosed", "The initialization has ended")
		return
	}
	body, err := json.Marshal(map[string]string{
		"functionName": s.function.Name, "functionVersion": s.function.Version, "handler": s.function.Handler,
	})
	if err != nil {
		refuse(w, http.StatusInternalServerError, "ServiceError", err.Error())
		return
	}
	w.Header().Set(headerContentType, typeJSON)
	w.Header().Set(headerExtensionID, s.registerExtension())
	_, _ = w.Write(body)
}

// serveEvent waits for an event that never comes: until the process ends, as in Lambda for who takes no events.
func (s *sandbox) serveEvent(w http.ResponseWriter, r *http.Request) {
	if !s.isExtension(r.Header.Get(headerExtensionID)) {
		refuse(w, http.StatusForbidden, "Extension.UnknownExtensionIdentifier", "Unknown extension")
		return
	}
	<-r.Context().Done()
}

func (s *sandbox) registerExtension() (id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id = uuid.NewString()
	s.extensions = append(s.extensions, id)
	return id
}

func (s *sandbox) isExtension(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.extensions, id)
}
