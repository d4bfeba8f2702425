package runtimeapi

import "example.com/upload-router/internal/subprocess"

// Interruption is how an invocation ends at the worst moment: the process has done its work and answers, but the answer is lost. It is
// for tests of whoever invokes the function.
type Interruption int

const (
	// NotInterrupted takes the process's answer.
	NotInterrupted Interruption = iota
	// Crash has the process crash: TypeExit. A program in Go writes its goroutines to its log.
	Crash
	// OutOfMemory has the process killed as the kernel kills one that needs more memory than it has: TypeOutOfMemory.
	OutOfMemory
	// TimeUp has the time of the invocation be up: TypeTimedOut, the process is killed.
	TimeUp
)

// interrupt ends the invocation that is being handled. The mutex must be held.
func (s *sandbox) interrupt(call *invocation) {
	s.current = nil
	switch call.interruption {
	case Crash:
		subprocess.Crash(s.cmd)
	case OutOfMemory:
		subprocess.Kill(s.cmd)
	case TimeUp, NotInterrupted:
		s.outcomes <- outcome{failed: timeoutFailure(call, s.function.Timeout), final: true}
	}
}
