package program

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/upload-router/upload"
)

const (
	// objectPart and outputPart are what follows the unguessable part of a path.
	objectPart = "object/"
	outputPart = "output/"

	headerTimeout = 10 * time.Second
	// drained is what is read of the body of a request that is refused, in bytes: a program that is still sending sees the answer only
	// when it has been let.
	drained = 64 << 20
	// formType is what some clients, such as curl and Python's urllib, say of any body unless they are told better.
	formType = "application/x-www-form-urlencoded"
)

// endpoint is where a program reads the object and writes outputs by HTTP: on this machine alone, under a path that can't be guessed, and
// for one run.
type endpoint struct {
	in      *upload.Input
	out     *upload.Output
	secret  string
	address string
	http    *http.Server
	served  chan struct{}

	mutex  sync.Mutex
	closed bool
	busy   sync.WaitGroup
	// refused is why outputs were not taken, by their names.
	refused map[string]error
}

// serve opens an endpoint. It must be closed.
func serve(ctx context.Context, in *upload.Input, out *upload.Output) (*endpoint, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("opening the address at which the program reads and writes: %w", err)
	}
	e := &endpoint{
		in: in, out: out, secret: rand.Text(), address: "http://" + listener.Addr().String(),
		served: make(chan struct{}), refused: map[string]error{},
	}
	e.http = &http.Server{
		Handler: e, ReadHeaderTimeout: headerTimeout,
		ErrorLog: slog.NewLogLogger(upload.Logger(ctx).Handler(), slog.LevelWarn),
	}
	go func() {
		defer close(e.served)
		_ = e.http.Serve(listener) // It ends when close closes the server.
	}()
	return e, nil
}

// objectURL is where the object is read, outputURL where outputs are written: their names follow a slash.
func (e *endpoint) objectURL() string {
	return e.address + "/" + e.secret + "/" + objectPart + fileName(e.in.Object().Key)
}

func (e *endpoint) outputURL() string {
	return e.address + "/" + e.secret + "/" + strings.TrimSuffix(outputPart, "/")
}

// close ends the endpoint, and returns when nothing of it runs any more.
func (e *endpoint) close() {
	e.mutex.Lock()
	e.closed = true
	e.mutex.Unlock()
	_ = e.http.Close() // Whoever is still connected is nobody.
	<-e.served
	e.busy.Wait()
}

// enter says that a request is being answered, unless it is too late.
func (e *endpoint) enter() bool {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if !e.closed {
		e.busy.Add(1)
	}
	return !e.closed
}

// ServeHTTP answers a request.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !e.enter() {
		panic(http.ErrAbortHandler)
	}
	defer e.busy.Done()
	secret, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if subtle.ConstantTimeCompare([]byte(secret), []byte(e.secret)) != 1 {
		http.NotFound(w, r)
		return
	}
	if strings.HasPrefix(rest, objectPart) {
		e.serveObject(w, r)
		return
	}
	if name, ok := strings.CutPrefix(rest, outputPart); ok {
		e.serveOutput(w, r, name)
		return
	}
	http.NotFound(w, r)
}

// serveObject answers with the object or a range of it. Several ranges at once are answered with the whole, as a server may.
//
// https://www.rfc-editor.org/rfc/rfc9110#section-14.2
func (e *endpoint) serveObject(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		refuseMethod(w, http.MethodGet, http.MethodHead)
		return
	}
	if strings.Contains(r.Header.Get("Range"), ",") || len(r.Header.Values("Range")) > 1 {
		r.Header.Del("Range")
	}
	object := e.in.Object()
	if object.ETag != "" {
		w.Header().Set("ETag", `"`+object.ETag+`"`)
	}
	w.Header().Set("Content-Type", "application/octet-stream") // What it really is, is for the program to find out.
	content := &content{SectionReader: io.NewSectionReader(e.in, 0, object.Size)}
	http.ServeContent(w, r, "", time.Time{}, content)
	if content.broken {
		panic(http.ErrAbortHandler) // The connection ends before the announced length.
	}
}

func refuseMethod(w http.ResponseWriter, allowed ...string) {
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	http.Error(w, "this address takes "+strings.Join(allowed, " and ")+" only", http.StatusMethodNotAllowed)
}

// content is the object as http.ServeContent reads it, which keeps it to itself that a read has failed.
type content struct {
	*io.SectionReader

	broken bool
}

func (c *content) Read(p []byte) (int, error) {
	n, err := c.SectionReader.Read(p)
	c.broken = c.broken || (err != nil && !errors.Is(err, io.EOF))
	return n, err //nolint:wrapcheck // Nobody sees it.
}

// serveOutput takes an output.
func (e *endpoint) serveOutput(w http.ResponseWriter, r *http.Request, name string) {
	if r.Method != http.MethodPut && r.Method != http.MethodPost {
		refuseMethod(w, http.MethodPut, http.MethodPost)
		return
	}
	declared := r.Header.Get("Content-Type")
	if strings.HasPrefix(declared, formType) {
		declared = ""
	}
	err := write(e.out, name, declared, r.Body, make([]byte, copyBuffer))
	e.note(name, err)
	if errors.As(err, &brokenError{}) {
		panic(http.ErrAbortHandler)
	}
	if err == nil {
		w.WriteHeader(http.StatusCreated)
		return
	}
	_, _ = io.CopyN(io.Discard, r.Body, drained)
	http.Error(w, upload.MessageOf(err), statusOf(err))
}

// note notes what became of an output. One that was refused and then taken is taken; one that broke off stays so.
func (e *endpoint) note(name string, err error) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	switch {
	case err == nil && !errors.As(e.refused[name], &brokenError{}):
		delete(e.refused, name)
	case err != nil && e.refused[name] == nil:
		e.refused[name] = err
	}
}

// unpublished is the error of a program that says it has succeeded while outputs of it were not taken: curl, for one, doesn't look at the
// status unless it is told to. Nil if all were.
func (e *endpoint) unpublished() error {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	names := slices.Sorted(maps.Keys(e.refused))
	if len(names) == 0 {
		return nil
	}
	err := e.refused[names[0]]
	if errors.As(err, &brokenError{}) {
		return fmt.Errorf("writing the output %q to %s, which broke off: %w", names[0], EnvironmentOutputURL, err)
	}
	return fmt.Errorf("writing the output %q to %s: %w", names[0], EnvironmentOutputURL, err)
}

// statusOf is the status that says why an output wasn't taken.
func statusOf(err error) int {
	switch {
	case errors.Is(err, upload.ErrNoOutputBucket):
		return http.StatusPreconditionFailed
	case errors.Is(err, fs.ErrExist):
		return http.StatusConflict
	case errors.Is(err, fs.ErrInvalid):
		return http.StatusBadRequest
	case upload.CodeOf(err) == upload.OutputTooLarge:
		return http.StatusRequestEntityTooLarge
	case upload.CodeOf(err).Retryable():
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
