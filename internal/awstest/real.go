package awstest

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/local"
	"example.com/upload-router/internal/local/localtest"
	"example.com/upload-router/internal/loopback"
)

// AccessKeyID is the one with which the local S3 lets everything through, as it does with whoever operates the system.
const AccessKeyID = "local"

// Run runs a declared system on this machine until the end of the test, and
// answers for it. Each upload starts what the declared rule starts.
func Run(t *testing.T, system *declared.System, options local.Options) *Server {
	t.Helper()
	s := newServer(t)
	s.system = system
	options.Observe, options.Created, options.Child = s.observe, s.created, s.Know
	s.answerFor(localtest.Start(t, system, options))
	return s
}

// Serve answers for a local run that the test has started itself: for those
// executions that it makes known with [Server.Know], and what follows from them.
func Serve(t *testing.T, system *declared.System, router *local.Router) *Server {
	t.Helper()
	s := newServer(t)
	s.system = system
	s.answerFor(router)
	return s
}

func (s *Server) answerFor(router *local.Router) {
	s.Router, s.logPage = router, pageLines
	s.serve(aws.ToString(router.Client().Options().BaseEndpoint))
	s.tb.Cleanup(s.Wait)
}

// Know takes over an execution that has ended. It must not change afterwards but by a request.
func (s *Server) Know(e *local.Execution) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.known(e.ARN)
	x.ran, x.events, x.runs, x.over = e, e.Events, append([]local.Run(nil), e.Runs...), true
}

// known is an execution that there may be already.
func (s *Server) known(arn string) *execution {
	x := s.byARN(arn)
	if x == nil {
		x = &execution{arn: arn}
		s.executions = append([]*execution{x}, s.executions...)
	}
	return x
}

// Ended waits for an execution's end, and gives it by its name.
func (s *Server) Ended(t *testing.T, name string) *local.Execution {
	t.Helper()
	var found *local.Execution
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, x := range s.executions {
			if x.name() == name && x.over {
				found = x.ran
			}
		}
		return found != nil
	}, time.Minute, time.Millisecond, name)
	return found
}

// Known are the executions that have ended.
func (s *Server) Known() []*local.Execution {
	s.mu.Lock()
	defer s.mu.Unlock()
	var known []*local.Execution
	for _, x := range s.executions {
		if x.over && x.ran != nil {
			known = append(known, x.ran)
		}
	}
	return known
}

// Wait waits for all that was started by an upload or by a request.
func (s *Server) Wait() { s.working.Wait() }

// created is local.Options.Created: it delivers the event of an upload.
func (s *Server) created(trace *local.Trace, err error) {
	if err != nil {
		s.tb.Error(err)
		return
	}
	s.working.Go(func() {
		if err := s.Router.Deliver(s.tb.Context(), trace.Event, trace); err != nil {
			s.tb.Error(err)
		}
		for _, e := range trace.Executions {
			s.Know(e)
		}
	})
}

// observe is local.Options.Observe.
func (s *Server) observe(e asl.Event) {
	if isChild(e.Execution) {
		return // it is known when it has ended
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.known(e.Execution)
	x.events = append(x.events, e)
	if begun := s.begun[e.Execution]; begun != nil {
		close(begun)
		delete(s.begun, e.Execution)
	}
}

// startReal starts an execution, and gives the lock away until it has begun.
func (s *Server) startReal(in request, arn string) error {
	begun, refused := make(chan struct{}), make(chan error, 1)
	s.begun[arn] = begun
	s.working.Go(func() {
		e, err := s.Router.StartExecution(s.tb.Context(), in.StateMachineARN, in.Name, json.RawMessage(in.Input))
		if err == nil {
			s.Know(e)
		}
		refused <- err
	})
	s.mu.Unlock()
	defer s.mu.Lock()
	select {
	case <-begun:
	case err := <-refused: // or it is over, and nobody observed it
		if err != nil {
			return loopback.Refuse("InternalFailure", err.Error())
		}
	}
	return nil
}
