package operate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/internal/ledger"
)

// What the ledger gets of an upload whose execution was stopped, if nobody else has written it, and what ECS is told.
const (
	stoppedError = "Upload.Aborted"
	stoppedCause = "stopped by upload-router stop"
)

// settlePolls is how often the ledger is asked whether the upload of a stopped execution still is running: what is told of its end writes
// that, as a rule within seconds. Then it is written here.
const settlePolls = 60

// mostTasks is how many tasks DescribeTasks takes.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeTasks.html
const mostTasks = 100

// StopOptions choose what is stopped: all that runs that each of the fields is about.
type StopOptions struct {
	// Executions are names or ARNs. Default: all that run.
	Executions []string
	// Key and Route leave out what is of other keys and routes.
	Key, Route string
}

// StopItem is an execution that is to be stopped.
type StopItem struct {
	Execution

	// Tasks are the ARNs of its tasks that were stopped besides: those that Step Functions doesn't stop by itself.
	Tasks []string `json:"tasks,omitempty"`
	// Done says that it is over. Error says why not.
	Done  bool   `json:"done"`
	Fault string `json:"error,omitempty"`
}

// StopPlan is what [System.PlanStop] found.
type StopPlan struct {
	// Items are the executions that run, the oldest first.
	Items []StopItem `json:"items"`
	// Tasks are tasks whose executions have ended, such as of a stop that was interrupted: they are stopped as well.
	Tasks []string `json:"tasks,omitempty"`
	// Paused says whether uploads are paused; what comes while they aren't is processed.
	Paused bool `json:"paused"`
	// Backfills are the names of backfills that run, whose files aren't among the items.
	Backfills []string `json:"backfills,omitempty"`

	system  *System
	options StopOptions
}

// Empty says whether there is nothing to stop.
func (p *StopPlan) Empty() bool { return len(p.Items) == 0 && len(p.Tasks) == 0 }

// PlanStop finds what runs. Nothing is changed.
func (s *System) PlanStop(ctx context.Context, options StopOptions) (*StopPlan, error) {
	options.Route = s.Outputs.routes.spelled(options.Route)
	if options.Route != "" && s.Outputs.routes.computeOf(options.Route) == "" {
		return nil, fmt.Errorf("%w: %q is no route: use %s", ErrInput, options.Route, strings.Join(s.Outputs.routes.names(), ", "))
	}
	for _, name := range options.Executions {
		if err := s.checkUpload(name); err != nil {
			return nil, err
		}
		if isChild(s.executionARN(name)) {
			return nil, fmt.Errorf("%w: %s is a file of a backfill, which Step Functions starts again: `upload-router backfill stop` ends the "+
				"whole", ErrInput, name)
		}
	}
	plan := &StopPlan{Items: []StopItem{}, system: s, options: options}
	running, err := s.toStop(ctx, options)
	if err != nil {
		return nil, err
	}
	for _, e := range running {
		plan.Items = append(plan.Items, StopItem{Execution: e})
	}
	tasks, err := s.tasks(ctx)
	if err != nil {
		return nil, err
	}
	for _, task := range tasks {
		left, err := plan.leftOver(ctx, task)
		if err != nil {
			return nil, err
		}
		if left {
			plan.Tasks = append(plan.Tasks, task.arn)
		}
	}
	if s.pausable() == nil {
		state, err := s.PauseState(ctx)
		if err != nil {
			return nil, err
		}
		plan.Paused = state.Paused()
	}
	if s.Outputs.BackfillStateMachineARN != "" {
		plan.Backfills, err = s.runningNames(ctx, s.Outputs.BackfillStateMachineARN)
	}
	return plan, err
}

// toStop are the executions that run and are chosen, the oldest first. Which route one takes is decided by its key and its size.
func (s *System) toStop(ctx context.Context, options StopOptions) ([]Execution, error) {
	arns := options.Executions
	if len(arns) == 0 {
		names, err := s.runningNames(ctx, s.Outputs.StateMachineARN)
		if err != nil {
			return nil, err
		}
		arns = names
	}
	all := make([]Execution, len(arns))
	for i, name := range arns {
		all[i].ARN = s.executionARN(name)
	}
	err := eachOf(ctx, all, func(ctx context.Context, e *Execution) error {
		var err error
		*e, err = s.look(ctx, e.ARN)
		return err
	})
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(e Execution) bool {
		return e.Ended() || options.Key != "" && e.Key != options.Key || options.Route != "" && e.Route != options.Route
	})
	slices.SortFunc(all, byStart)
	return all, nil
}

// look is an execution that runs, without what only its history says.
func (s *System) look(ctx context.Context, arn string) (Execution, error) {
	e, err := s.described(ctx, arn)
	if err == nil && e.Route == "" && e.Key != "" {
		e.Route = s.Outputs.routes.of(e.Key, e.Size).Name
	}
	return e, err
}

// runningNames are the names of the executions of a state machine that run.
func (s *System) runningNames(ctx context.Context, machine string) ([]string, error) {
	pages := sfn.NewListExecutionsPaginator(s.states, &sfn.ListExecutionsInput{
		StateMachineArn: &machine, StatusFilter: sfntypes.ExecutionStatusRunning, MaxResults: 1000,
	})
	var names []string
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, asked("listing the executions", err)
		}
		for _, e := range page.Executions {
			names = append(names, aws.ToString(e.Name))
		}
	}
	return names, nil
}

// task is a task that runs, and the execution that it runs for.
type task struct{ arn, execution, key, route string }

// tasks are those of the system that run.
func (s *System) tasks(ctx context.Context) ([]task, error) {
	family, _, _ := strings.Cut(lastPart(s.Outputs.TaskDefinitionARN, "/"), ":")
	pages := ecs.NewListTasksPaginator(s.containers, &ecs.ListTasksInput{
		Cluster: &s.Outputs.ECSClusterARN, Family: &family, DesiredStatus: ecstypes.DesiredStatusRunning,
	})
	var tasks []task
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, asked("listing the tasks", err)
		}
		for arns := range slices.Chunk(page.TaskArns, mostTasks) {
			answer, err := s.containers.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &s.Outputs.ECSClusterARN, Tasks: arns})
			if err != nil {
				return nil, asked("asking for the tasks", err)
			}
			for _, t := range answer.Tasks {
				tasks = append(tasks, taskOf(t))
			}
		}
	}
	return tasks, nil
}

// taskOf reads what the state machine told a task.
func taskOf(t ecstypes.Task) task {
	out := task{arn: aws.ToString(t.TaskArn)}
	if t.Overrides == nil {
		return out
	}
	for _, container := range t.Overrides.ContainerOverrides {
		for _, variable := range container.Environment {
			switch value := aws.ToString(variable.Value); aws.ToString(variable.Name) {
			case request.EnvironmentExecution:
				out.execution = value
			case request.EnvironmentRoute:
				out.route = value
			case request.EnvironmentKey:
				out.key, _ = request.DecodeKey(value) // one that can't be read is no key that is asked for
			}
		}
	}
	return out
}

// chosen says whether a task is one of those that the plan is about.
func (p *StopPlan) chosen(t task) bool {
	o := p.options
	named := len(o.Executions) == 0 ||
		slices.ContainsFunc(o.Executions, func(name string) bool { return p.system.executionARN(name) == t.execution })
	return named && (o.Key == "" || t.key == o.Key) && (o.Route == "" || t.route == o.Route)
}

// leftOver says whether a task runs whose execution has ended, or is none that Step Functions knows.
func (p *StopPlan) leftOver(ctx context.Context, t task) (bool, error) {
	if !p.chosen(t) || t.execution == "" || slices.ContainsFunc(p.Items, func(i StopItem) bool { return i.ARN == t.execution }) {
		return false, nil
	}
	running, err := p.system.running(ctx, t.execution)
	return err == nil && !running, err
}

// Run stops what is planned. The executions end first, so that none has another task started; then the tasks that wait for a token, which
// Step Functions leaves running; then it is seen to it that the ledger has no upload of theirs as running, so that it can be processed
// again. What is refused is said in its item, and no error. onItem hears of each; nil is nobody. It may be ended at any moment: another
// plan has what is left. When ctx ends, the error matches [ErrCanceled].
func (p *StopPlan) Run(ctx context.Context, onItem func(StopItem)) error {
	err := eachOf(ctx, p.Items, func(ctx context.Context, item *StopItem) error {
		if err := p.system.stopExecution(ctx, item.ARN); err != nil {
			item.Fault = unsure(err, showExecution(item.Name)).Error()
		}
		return ctx.Err()
	})
	if err == nil {
		err = p.stopTasks(ctx)
	}
	if err == nil {
		err = eachOf(ctx, p.Items, func(ctx context.Context, item *StopItem) error {
			if item.Fault != "" {
				return nil
			}
			if err := p.system.settle(ctx, item.Execution); err != nil {
				item.Fault = err.Error()
			}
			item.Done = item.Fault == ""
			return ctx.Err()
		})
	}
	if ctx.Err() != nil {
		return fmt.Errorf("stopping: %w: whether all was stopped isn't known: run it again to go on", ErrCanceled)
	}
	if err != nil {
		return err
	}
	if onItem != nil {
		for _, item := range p.Items {
			onItem(item)
		}
	}
	return nil
}

// stopExecution stops an execution. One that isn't there any more needs it no more. It gives no error and no cause, as these would take
// permissions of the state machine's role on a customer managed key.
// https://docs.aws.amazon.com/step-functions/latest/apireference/API_StopExecution.html
func (s *System) stopExecution(ctx context.Context, arn string) error {
	for {
		_, err := s.states.StopExecution(ctx, &sfn.StopExecutionInput{ExecutionArn: &arn})
		if hasCode(err, "ExecutionDoesNotExist") {
			return nil
		}
		if !hasCode(err, "ThrottlingException") {
			return err
		}
		if err := wait(ctx, s.Poll); err != nil {
			return err
		}
	}
}

// stopTasks stops what still runs of the executions, and what others have left.
func (p *StopPlan) stopTasks(ctx context.Context) error {
	tasks, err := p.system.tasks(ctx) // once more, as one may have started since it was planned
	if err != nil {
		return err
	}
	var failed error
	for _, t := range tasks {
		i := slices.IndexFunc(p.Items, func(item StopItem) bool { return item.ARN == t.execution && item.Fault == "" })
		if i < 0 && !slices.Contains(p.Tasks, t.arn) {
			continue
		}
		_, err := p.system.containers.StopTask(ctx, &ecs.StopTaskInput{
			Cluster: &p.system.Outputs.ECSClusterARN, Task: &t.arn, Reason: aws.String(stoppedCause),
		})
		switch {
		case hasCode(err, "InvalidParameterException"): // it has ended meanwhile, and ECS knows it no more
		case err != nil && i >= 0:
			p.Items[i].Fault = "stopping its task: " + refusal(err).Error()
		case err != nil:
			failed = errors.Join(failed, asked("stopping the task "+t.arn, err))
		case i >= 0:
			p.Items[i].Tasks = append(p.Items[i].Tasks, t.arn)
		}
	}
	return failed
}

// settle waits until the ledger has an execution's upload as running no more. If nobody writes that, it does.
func (s *System) settle(ctx context.Context, e Execution) error {
	if s.Outputs.ledgerTable == "" || e.Bucket == "" || e.Key == "" {
		return nil // it is no event that the state machine would process
	}
	for polls := 0; ; polls++ {
		item, known, err := s.ledger().Get(ctx, e.upload())
		if err != nil {
			return s.ledgerRefused(err)
		}
		if !known || item.Execution != e.ARN || item.State != ledger.Running {
			return nil
		}
		if polls == settlePolls {
			return s.failStopped(ctx, item, e.ARN)
		}
		if err := wait(ctx, s.Poll); err != nil {
			return err
		}
	}
}

// failStopped writes that the upload of a stopped execution failed, unless it runs again by now.
func (s *System) failStopped(ctx context.Context, item ledger.Item, arn string) error {
	ended, err := s.described(ctx, arn)
	if err != nil {
		return err
	}
	if !ended.Ended() {
		return errRunning
	}
	if ended.Stopped.IsZero() {
		ended.Stopped = time.Now()
	}
	ended.Error, ended.Reason = cmp.Or(ended.Error, stoppedError), cmp.Or(ended.Reason, stoppedCause)
	return s.writeFailure(ctx, item, ended)
}
