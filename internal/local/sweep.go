package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"example.com/upload-router/internal/declared"
)

// sweepTimeout is for how long a function may be at work that an execution's end or a schedule invokes, whatever is stopped meanwhile.
const sweepTimeout = time.Minute

// schedule is a rule that invokes functions by the clock.
type schedule struct {
	arn       string
	functions []string // by ARN
}

// loadSchedule reads a rule without a pattern. Nothing is invoked by the clock here: see [Router.Sweep].
func (r *Router) loadSchedule(res declared.Resource, targets []declared.Resource) error {
	loaded := schedule{arn: res.ARN()}
	for _, target := range targets {
		if err := follows(target); err != nil {
			return fmt.Errorf("reading the target %s: %w", target.Name, err)
		}
		to, err := r.loadInvoked(target)
		if err != nil {
			return fmt.Errorf("reading the target %s: %w", target.Name, err)
		}
		loaded.functions = append(loaded.functions, to.invoked)
	}
	r.schedules = append(r.schedules, loaded)
	return nil
}

// loadInvoked reads a target that is a function, which gets the event as it is.
func (r *Router) loadInvoked(res declared.Resource) (target, error) {
	if res.Inputs["inputTransformer"] != nil {
		return target{}, fmt.Errorf("%w: a function is told another event than what happened", errDeclared)
	}
	arn := res.Text("arn")
	if !strings.Contains(arn, ":lambda:") {
		return target{}, fmt.Errorf("%w: %s isn't a function", errDeclared, arn)
	}
	if err := r.prepare(declared.TypeFunction, "function", "arn", arn); err != nil {
		return target{}, err
	}
	return target{id: res.Text("targetId"), invoked: arn}, nil
}

// Sweep invokes every function that a rule invokes by the clock, as that would do now, and gives their runs: nobody need wait here for the
// minutes of a schedule. What a function can't do is in its run, and is no error.
func (r *Router) Sweep(ctx context.Context) ([]Run, error) {
	var runs []Run
	for _, s := range r.schedules {
		event, err := json.Marshal(map[string]any{
			"version": "0", "id": uuid.NewString(), "source": "aws.events", "detail-type": "Scheduled Event",
			"account": r.options.AccountID, "region": r.options.Region, "time": r.Now().UTC().Format(time.RFC3339),
			"resources": []string{s.arn}, "detail": map[string]any{},
		})
		if err != nil {
			return runs, fmt.Errorf("writing the event of a schedule: %w", err)
		}
		for _, function := range s.functions {
			run, err := r.invokeEvent(ctx, function, event)
			if err != nil {
				return runs, err
			}
			runs = append(runs, run)
		}
	}
	return runs, nil
}

// invokeEvent invokes a function as a rule does, which doesn't wait for an answer. Whether the rule may was decided on when it was
// declared.
func (r *Router) invokeEvent(ctx context.Context, arn string, event json.RawMessage) (Run, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sweepTimeout)
	defer cancel()
	invoked := r.functions[arn]
	response, err := invoked.Invoke(ctx, event)
	if err != nil {
		return Run{}, fmt.Errorf("invoking %s: %w", arn, err)
	}
	run := Run{Outcome: outcomeOK, Group: invoked.group, Logs: lines(response.Logs), Answer: response.Payload, Duration: response.Duration}
	if response.FunctionError != "" {
		run.Outcome, run.Answer, run.Detail = response.ErrorType, nil, string(response.Payload)
	}
	if refused := r.guard.logsOf(arn); refused != nil {
		run.Logs, run.Detail = nil, message(refused)
	}
	return run, nil
}

// logsOf asks for what a function that a rule invokes writes to its log.
func (g *guard) logsOf(arn string) error {
	function, err := g.system.Where(declared.TypeFunction, "arn", arn)
	if err != nil {
		return fmt.Errorf("finding the function: %w", err)
	}
	groups := []string{text(function.Object("loggingConfig"), "logGroup")}
	return errors.Join(
		g.writeLogs(function.Text("role"), groups, "logs:CreateLogStream"), g.writeLogs(function.Text("role"), groups, "logs:PutLogEvents"))
}
