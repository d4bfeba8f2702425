package local

import (
	"context"
	"errors"

	"example.com/upload-router/internal/asl"
)

// lingering is a task that works on although its state has given it up.
type lingering struct {
	task    *taskRun
	call    asl.Call
	at      int    // its run's place among those of the execution
	release func() // gives it what it waits for
	stop    context.CancelFunc
	ended   chan struct{}
	process *process // once it has ended
	err     error
}

// missTask is awaitTask for a task whose heartbeats are refused: it is missed while it reads. S3 answers it when the execution has
// ended, so that it is at work all the while, and its own word comes too late.
func (r *Router) missTask(ctx context.Context, call asl.Call, task *taskRun) (any, error) {
	wait := r.tokens.Await(call.TaskToken, contextOf(call, "StateMachine", "Id"))
	defer wait.Close()
	wait.RefuseBeats()
	token, of := r.reading.hold()
	release := func() {
		r.reading.forget(token)
		close(of.released)
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	l := &lingering{task: task, call: call, release: release, stop: stop, ended: make(chan struct{})}
	go func() {
		defer close(l.ended)
		l.process, l.err = r.start(running, task.definition.program, append(task.environment, environmentSession+token), nil)
	}()
	select {
	case <-of.began:
	case <-l.ended: // before it got that far
	case <-ctx.Done():
	}
	err := skip(ctx, call)
	recorderOf(ctx).lingers(l, Run{State: call.State, Attempt: call.Attempt, Outcome: outcomeOf(ctx, err)})
	return nil, err
}

// lingers notes a task that works on. Its run is to be completed when it has ended.
func (l *recorder) lingers(task *lingering, run Run) {
	l.note(func(e *Execution) {
		task.at = len(e.Runs)
		e.Runs = append(e.Runs, run)
		l.lingering = append(l.lingering, task)
	})
}

// settle lets the tasks go on that were given up, and waits for their ends. When the context ends they are stopped.
func (l *recorder) settle(ctx context.Context) error {
	var failed error
	for _, task := range l.lingering {
		if err := task.end(ctx); err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		run := task.task.run(task.call, task.process)
		run.Outcome = l.execution.Runs[task.at].Outcome
		l.execution.Runs[task.at] = run
	}
	return failed
}

func (l *lingering) end(ctx context.Context) error {
	defer l.stop()
	l.release()
	select {
	case <-l.ended:
	case <-ctx.Done():
		l.stop()
		<-l.ended
	}
	return l.err
}

// follow runs an execution of the state machine, up to the end of the last of its tasks.
func (r *Router) follow(ctx context.Context, e *Execution, run func(context.Context) (*asl.Result, error)) (*asl.Result, error) {
	log := &recorder{execution: e}
	defer r.sessions.begin(log)()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	result, err := r.executions.follow(e, r.Now(), stop, func() (*asl.Result, error) {
		return run(context.WithValue(ctx, recorderKey{}, log))
	})
	return result, errors.Join(err, log.settle(ctx), log.failed)
}
