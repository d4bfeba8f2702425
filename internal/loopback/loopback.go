// Package loopback serves the parts of AWS's APIs that the local run has, on this machine alone.
package loopback

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

const (
	headerTimeout = 10 * time.Second
	closeTimeout  = time.Second
)

// Server is a running HTTP server.
type Server struct {
	name     string
	http     *http.Server
	endpoint string
	served   chan struct{}
}

// Serve serves a handler on a free port of 127.0.0.1. The name is for errors, such as "the local X-Ray". It must be closed.
func Serve(ctx context.Context, name string, handler http.Handler) (*Server, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", name, err)
	}
	s := &Server{
		name: name, endpoint: "http://" + listener.Addr().String(), served: make(chan struct{}),
		http: &http.Server{Handler: handler, ReadHeaderTimeout: headerTimeout},
	}
	go func() {
		defer close(s.served)
		_ = s.http.Serve(listener) // it ends when Close closes the server
	}()
	return s, nil
}

// Endpoint is the server's URL, for one of AWS_ENDPOINT_URL_SFN and the like.
func (s *Server) Endpoint() string { return s.endpoint }

// Close ends the server, once the calls that are being answered are. A connection on which nothing was asked yet doesn't keep it up:
// HTTP clients open some that they end up not to need.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	<-s.served
	if err != nil {
		return fmt.Errorf("closing %s: %w", s.name, err)
	}
	return nil
}

// SessionToken is the token of the session that the credentials of a signed request are of; empty without one.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-authentication-methods.html
func SessionToken(r *http.Request) string {
	return cmp.Or(r.Header.Get("X-Amz-Security-Token"), r.URL.Query().Get("X-Amz-Security-Token"))
}

// AccessKeyID is the access key of a request that is signed in its header or in its address; empty if it isn't signed.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html
func AccessKeyID(r *http.Request) string {
	scope := r.URL.Query().Get("X-Amz-Credential")
	if _, rest, ok := strings.Cut(r.Header.Get("Authorization"), "Credential="); ok {
		scope = rest
	}
	id, _, _ := strings.Cut(scope, "/")
	return id
}
