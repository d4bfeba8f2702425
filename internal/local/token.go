package local

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/authz"
	"example.com/upload-router/internal/faults"
	"example.com/upload-router/internal/tokenapi"
)

// awaitTask does a task's ecs:runTask.waitForTaskToken: the container's program
// runs as a process, and its own word decides. Nobody looks at its exit code.
//
// In AWS a container goes on when its state waits no more, until it hears so by its next heartbeat. Here it is stopped, so that
// nothing outlives an execution; what goes on all the same is for a fault to show.
// https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html#connect-wait-token
func (r *Router) awaitTask(ctx context.Context, call asl.Call) (any, error) {
	task, err := r.taskOf(call)
	if err != nil {
		return nil, err
	}
	beats := moment(faults.CallBeat, call)
	beats.State = "" // the task sends them
	if fault, err := r.inject(beats); err != nil {
		return nil, err
	} else if fault == faults.HeartbeatsRefused {
		return r.missTask(ctx, call, task)
	}
	wait := r.tokens.Await(call.TaskToken, contextOf(call, "StateMachine", "Id"))
	defer wait.Close()
	running, stop := context.WithCancel(ctx)
	defer stop()
	container := make(chan *process, 1)
	failed := make(chan error, 1)
	go func() {
		defer close(container)
		p, err := r.startFaulty(running, task.definition.program, task.environment)
		if err != nil {
			failed <- err
			return
		}
		container <- p
	}()
	answer, ended, err := hear(ctx, call, wait, container)
	if err != nil {
		wait.Close()
		stop()
	}
	if ended == nil {
		ended = <-container
	}
	if ended == nil {
		return nil, <-failed
	}
	if faultOf(ctx) == faults.TaskTimedOut {
		err = outOfTime(ctx, call)
	}
	run := task.run(call, ended)
	defer func() { recorderOf(ctx).ran(run) }()
	if err != nil {
		run.Outcome = outcomeOf(ctx, err)
		return nil, err
	}
	if answer.Output == nil {
		run.Outcome = answer.Error
		return nil, &asl.Error{Name: answer.Error, Cause: answer.Cause}
	}
	run.answered(answer.Output)
	return answer.Output, nil
}

// hear waits for the answer, at most until a heartbeat is missed. A container that has ended sends no more of them, so what is
// left of the time is skipped; it is given then.
func hear(ctx context.Context, call asl.Call, wait *tokenapi.Wait, container <-chan *process) (tokenapi.Answer, *process, error) {
	limit := call.Heartbeat
	silent := func() <-chan time.Time {
		if limit == 0 {
			return nil
		}
		return time.After(limit)
	}
	deadline := silent()
	for {
		select {
		case answer := <-wait.Answer():
			return answer, nil, nil
		case <-wait.Beats():
			deadline = silent()
		case <-deadline:
			return tokenapi.Answer{}, nil, missed(limit)
		case <-ctx.Done():
			return tokenapi.Answer{}, nil, fmt.Errorf("waiting for the task's token: %w", context.Cause(ctx))
		case ended := <-container:
			select {
			case answer := <-wait.Answer():
				return answer, ended, nil
			default:
			}
			return tokenapi.Answer{}, ended, skip(ctx, call)
		}
	}
}

// skip passes the time until the state finds that nothing more is to be heard.
func skip(ctx context.Context, call asl.Call) error {
	limit, late := call.Heartbeat, missed(call.Heartbeat)
	if limit == 0 {
		limit, late = call.Timeout, &asl.Error{Name: asl.ErrorTimeout, Cause: fmt.Sprintf("the task ran longer than %s", call.Timeout)}
	}
	if err := call.Clock.Sleep(ctx, limit); err != nil {
		return fmt.Errorf("waiting for the task's token: %w", err)
	}
	return late
}

func missed(limit time.Duration) error {
	return &asl.Error{Name: asl.ErrorHeartbeatTimeout, Cause: fmt.Sprintf("no heartbeat came for %s", limit)}
}

// unheard is the error of a task that ECS could not start, as its state sees it:
// one that waits for a token hears nothing of that.
func unheard(ctx context.Context, call asl.Call, err error) error {
	if _, ok := errors.AsType[*unstarted](err); ok && call.TaskToken != "" {
		return skip(ctx, call)
	}
	return err
}

// outcomeOf is the name of an error of a run.
func outcomeOf(ctx context.Context, err error) string {
	if named, ok := errors.AsType[*asl.Error](err); ok {
		return named.Name
	}
	return context.Cause(ctx).Error()
}

// contextOf is a field of an object in the context of a call, such as Id of Execution.
func contextOf(c asl.Call, object, field string) string {
	context, _ := c.Context.(map[string]any)
	of, _ := context[object].(map[string]any)
	return text(of, field)
}

// token is what the local Step Functions asks for a task's call.
func (g *guard) token(a tokenapi.Access) error {
	return g.processor(a.AccessKeyID, "states", a.Action, a.StateMachine)
}

// processor asks for a call that a processor signed, to a service that it reaches by its endpoint if there is one.
func (g *guard) processor(accessKeyID, service, action, resource string) error {
	role, known := g.signers[accessKeyID]
	if !known {
		return fmt.Errorf("%w: The security token included in the request is invalid: %q", authz.ErrDenied, accessKeyID)
	}
	return g.through(service, role, action, resource, nil)
}

// awaitTask is for ecs:runTask.waitForTaskToken: nobody follows the task, or stops it.
func (g *guard) awaitTask(role string, parameters map[string]any) (after, error) {
	then, err := g.runTask(role, parameters)
	then.cluster, then.follower = "", ""
	return then, err
}
