package local

import (
	"context"
	"strings"
	"time"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/faults"
)

// integration is a call that a state machine makes of an AWS service.
// What it is refused with and interrupted by is in the table of faults.
type integration struct {
	// action is what it asks IAM for.
	action string
	// prepare checks a state's parameters when the definition is loaded, and starts what they name.
	prepare func(r *Router, parameters map[string]any) error
	// authorize asks the policies before a call: an error is what the call ends with.
	authorize func(g *guard, role string, parameters map[string]any) (after, error)
	// call does the work.
	call func(r *Router, ctx context.Context, call asl.Call) (any, error)
}

// integrations are those that the local run plays, by what follows arn:PARTITION:states::: in a task's resource.
// https://docs.aws.amazon.com/step-functions/latest/dg/integrate-services.html
var integrations = map[string]integration{
	"lambda:invoke":                 {faults.CallInvoke, (*Router).prepareFunction, (*guard).invoke, (*Router).invokeFunction},
	"ecs:runTask.sync":              {faults.CallTask, (*Router).prepareTask, (*guard).runTask, (*Router).runTask},
	"ecs:runTask.waitForTaskToken":  {faults.CallTask, (*Router).prepareTask, (*guard).awaitTask, (*Router).awaitTask},
	"sns:publish":                   {faults.CallNotify, (*Router).prepareTopic, (*guard).publish, (*Router).publish},
	"aws-sdk:sfn:describeExecution": {faults.CallFollow, (*Router).prepareDescribe, (*guard).describeExecution, (*Router).describeExecution},
	"aws-sdk:sfn:describeMapRun":    {"states:DescribeMapRun", (*Router).prepareMapRun, (*guard).describeMapRun, (*Router).describeMapRun},
	"aws-sdk:s3:headObject":         {"s3:GetObject", (*Router).prepareHead, (*guard).asked, (*Router).headObject},
	// Of a Map's ItemReader and ResultWriter; no task can call them.
	"s3:listObjectsV2":    {"s3:ListBucket", (*Router).prepareListing, (*guard).asked, (*Router).listDataset},
	"s3:getObject":        {"s3:GetObject", (*Router).prepareDataset, (*guard).asked, (*Router).getDataset},
	"s3:putObject":        {"s3:PutObject", (*Router).prepareResults, (*guard).asked, (*Router).putResults},
	"dynamodb:updateItem": {faults.CallUpdate, (*Router).prepareItem, (*guard).updatesItem, (*Router).updateItem},
}

// resourceOf is an integration's resource in the partition of a state machine: it can't use another one's.
func resourceOf(machineARN, name string) string {
	partition, _, _ := strings.Cut(strings.TrimPrefix(machineARN, "arn:"), ":")
	return "arn:" + partition + ":states:::" + name
}

// played is an integration as a state machine calls it: the policies are asked first, and then what goes wrong.
func (r *Router) played(i integration) asl.Integration {
	return func(ctx context.Context, c asl.Call) (any, error) {
		parameters, _ := c.Parameters.(map[string]any)
		then, err := i.authorize(r.guard, contextOf(c, "Execution", "RoleArn"), parameters)
		if err != nil {
			return nil, unheard(ctx, c, err)
		}
		out, err := r.faulty(ctx, i, c)
		then.ask(ctx, r.guard, out, err)
		return out, err
	}
}

// throttledFor is longer than any execution may take.
const throttledFor = 366 * 24 * time.Hour

// faulty does a call that a fault may affect. The faults in which a processor runs are left to it.
func (r *Router) faulty(ctx context.Context, i integration, c asl.Call) (any, error) {
	fault, err := r.inject(moment(i.action, c))
	if err != nil {
		return nil, err
	}
	if refused := fault.Effect().Refuse; refused != nil {
		return nil, refused
	}
	switch fault {
	case faults.TransitionThrottled:
		return nil, c.Clock.Sleep(ctx, throttledFor)
	case faults.TaskNotStarted:
		parameters, _ := c.Parameters.(map[string]any)
		return nil, unheard(ctx, c, notStarted(parameters,
			"CannotPullContainerError: pull image manifest has been retried 5 time(s): i/o timeout"))
	default:
		return i.call(r, context.WithValue(ctx, faultKey{}, fault), c)
	}
}
