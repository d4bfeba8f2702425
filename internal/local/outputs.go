package local

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"example.com/upload-router/internal/objectstore"
)

// ErrLoop is matched by the error of an upload whose processor starts the system again and again by what it writes.
var ErrLoop = errors.New("your processor's output started the system again")

// maxGenerations is how often one upload may lead to executions, one by what another wrote: the upload's own are the first generation.
const maxGenerations = 3

// Output is an object that a processor wrote.
type Output struct {
	// Bucket, Key, VersionID, ETag, Size and Type are the object as S3 stored it; Size is in bytes, Type its Content-Type.
	Bucket    string `json:"bucket"`
	Key       string `json:"key"`
	VersionID string `json:"versionId,omitempty"`
	ETag      string `json:"etag"`
	Size      int64  `json:"size"`
	Type      string `json:"contentType"`
	// File is where it is kept, NotKept why it isn't; both are empty if nothing is.
	File    string `json:"file,omitempty"`
	NotKept string `json:"notKept,omitempty"`
}

// sessions tell which execution a process works for, by the token that its credentials have.
type sessions struct {
	mu      sync.Mutex
	byToken map[string]*recorder
	open    []*recorder // in the order in which they began
}

// begin notes an execution, and gives what ends it: what is written for it afterwards is nobody's.
func (s *sessions) begin(log *recorder) (end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = append(s.open, log)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.open = slices.DeleteFunc(s.open, func(other *recorder) bool { return other == log })
		log.end()
	}
}

// take notes that the process with a token works for the execution of a context from now on.
func (s *sessions) take(ctx context.Context, token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byToken[token] = recorderOf(ctx)
}

// drop forgets a process that has ended.
func (s *sessions) drop(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byToken, token)
}

// of is the execution that the process with a token works for. One that goes by credentials without its token is taken to be that of the
// execution which began last of those that run. It is nil if there is none.
func (s *sessions) of(token string) *recorder {
	s.mu.Lock()
	defer s.mu.Unlock()
	if log := s.byToken[token]; log != nil && slices.Contains(s.open, log) {
		return log
	}
	if len(s.open) == 0 || s.byToken[token] != nil {
		return nil
	}
	return s.open[len(s.open)-1]
}

// created hears of each new version of an object.
func (r *Router) created(stored objectstore.Stored) {
	if stored.AccessKeyID != "" {
		if log := r.sessions.of(stored.SessionToken); log != nil {
			log.unlessOver(func(e *Execution) { e.written = append(e.written, stored) })
		}
	}
	if told := r.options.Created; told != nil && slices.Contains(r.sending, stored.Bucket) {
		told(r.trace(stored))
	}
}

// notImplemented hears of a request of S3 that can't be answered here as AWS answers it.
func (r *Router) notImplemented(who objectstore.Access, what string) {
	if log := r.sessions.of(who.SessionToken); log != nil {
		log.unlessOver(func(e *Execution) {
			said := "S3 was asked for " + what + " of " + strings.TrimSuffix(who.Bucket+"/"+who.Key, "/") +
				", which the local S3 hasn't: it answered 501 NotImplemented, and AWS wouldn't"
			if !slices.Contains(e.NotImplemented, said) {
				e.NotImplemented = append(e.NotImplemented, said)
			}
		})
	}
}

// outputs are what of the written versions is there: the last one of each key, in the order in which they were written.
func (r *Router) outputs(written []objectstore.Stored) []Output {
	var out []Output
	seen := map[[2]string]bool{}
	for _, w := range slices.Backward(written) {
		place := [2]string{w.Bucket, w.Key}
		if seen[place] || !r.store.Has(w.Bucket, w.Key) {
			continue
		}
		seen[place] = true
		out = append(out, Output{Bucket: w.Bucket, Key: w.Key, VersionID: w.VersionID, ETag: w.ETag, Size: w.Size, Type: w.Type})
	}
	slices.Reverse(out)
	return out
}

// Outputs are what the executions of the trace wrote, with those of what that started; the last one of each key.
func (t *Trace) Outputs() []Output {
	var all []Output
	for _, e := range t.Executions {
		all = append(all, e.Outputs...)
	}
	for _, next := range t.Following {
		all = append(all, next.Outputs()...)
	}
	last := map[[2]string]int{}
	for i, o := range all {
		last[[2]string{o.Bucket, o.Key}] = i
	}
	var out []Output
	for i, o := range all {
		if last[[2]string{o.Bucket, o.Key}] == i {
			out = append(out, o)
		}
	}
	return out
}

// FailedFollowing is the first object that was written, started executions again and wasn't processed; nil if there is none.
func (t *Trace) FailedFollowing() *Trace {
	for _, next := range t.Following {
		if !next.Succeeded() {
			return next
		}
	}
	return nil
}

// goOn delivers the events of what the executions of a trace wrote, as S3 sends them for every object, and follows what they lead to. It
// goes down before it goes on, so that a loop is found before what it makes grows. That nothing matches such an event is as it should be.
func (r *Router) goOn(ctx context.Context, trace *Trace) error {
	for _, e := range trace.Executions {
		for _, written := range e.written {
			next, from, err := r.startedBy(written)
			if err != nil {
				return err
			}
			if next == nil {
				continue
			}
			if ctx.Err() != nil {
				return nil //nolint:nilerr // It is over, as the executions say.
			}
			if next.Generation = max(1, trace.Generation) + 1; next.Generation > maxGenerations {
				return fmt.Errorf("%w: s3://%s/%s, which was written in the generation %d of its executions, matches the rule %s once more, "+
					"and so without an end: let it write to another bucket, `pulumi config set outputBucket create`, "+
					"or below an outputPrefix that the rule doesn't take", ErrLoop, written.Bucket, written.Key, maxGenerations, from)
			}
			trace.Following = append(trace.Following, next)
			if err := r.Deliver(ctx, next.Event, next); err != nil {
				return err
			}
			if err := r.goOn(ctx, next); err != nil {
				return err
			}
		}
	}
	return nil
}

// startedBy is the trace of what starts executions, and the rule that has it do so; nil for an object whose bucket sends no events, or that
// no rule takes.
func (r *Router) startedBy(written objectstore.Stored) (trace *Trace, rule string, err error) {
	if !slices.Contains(r.sending, written.Bucket) {
		return nil, "", nil
	}
	if trace, err = r.trace(written); err != nil {
		return nil, "", err
	}
	for _, from := range r.rules {
		matches, err := from.pattern.Match(trace.Event)
		if err != nil {
			return nil, "", fmt.Errorf("matching the event with %s: %w", from.name, err)
		}
		if matches && slices.ContainsFunc(from.targets, func(t target) bool { return t.program != nil }) {
			return trace, from.name, nil
		}
	}
	return nil, "", nil
}
