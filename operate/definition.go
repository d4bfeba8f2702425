package operate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/machine"
)

// routes is the table of routes, as a stack exports it.
type routes []machine.Route

// of is the route that an object takes: the last one has no condition.
func (r routes) of(size int64) machine.Route {
	i := slices.IndexFunc(r, func(route machine.Route) bool { return route.Takes(size) })
	return r[max(i, 0)]
}

// on is the first route that processes with a compute; one without anything if there is none.
func (r routes) on(compute machine.Compute) machine.Route {
	i := slices.IndexFunc(r, func(route machine.Route) bool { return route.Compute == compute })
	if i < 0 {
		return machine.Route{}
	}
	return r[i]
}

// computeOf is what the route of a name processes with; empty for a name that no route has.
func (r routes) computeOf(name string) machine.Compute {
	i := slices.IndexFunc(r, func(route machine.Route) bool { return route.Name == name })
	if i < 0 {
		return ""
	}
	return r[i].Compute
}

// threshold is the size of the largest object that goes to Lambda, in bytes.
func (r routes) threshold() int64 { return aws.ToInt64(r.on(machine.Lambda).MaxSize) }

// Definition is the state machine as it is deployed, in the States Language.
func (s *System) Definition(ctx context.Context) ([]byte, error) {
	answer, err := s.states.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: &s.Outputs.StateMachineARN})
	if err != nil {
		return nil, asked("asking for the state machine", err)
	}
	return []byte(aws.ToString(answer.Definition)), nil
}

// started is the definition that an execution was started with, and keeps whatever is deployed by now. It is all that is read of
// a definition: what is needed of the deployed one is in the stack's outputs.
type started struct {
	machine *asl.Machine
}

func (s *System) startedWith(ctx context.Context, arn string) (started, error) {
	answer, err := s.states.DescribeStateMachineForExecution(ctx, &sfn.DescribeStateMachineForExecutionInput{ExecutionArn: &arn})
	if err != nil {
		return started{}, asked("asking for the state machine of "+arn, err)
	}
	definition, err := asl.Parse([]byte(aws.ToString(answer.Definition)))
	if err != nil {
		return started{}, fmt.Errorf("reading the state machine of %s: %w", arn, err)
	}
	return started{definition}, nil
}

// lease is for how long an execution claims its object.
func (s started) lease() time.Duration {
	return machine.ClaimLease(time.Duration(s.machine.TimeoutSeconds) * time.Second)
}

// claims says whether an execution in a state is still to claim its object. There it
// would go on with a time that is over, and with what it saw of another's claim.
func (s started) claims(state string) bool {
	_, transitions := s.machine.Graph()
	reached := map[string]bool{state: true}
	for queue := []string{state}; len(queue) > 0; queue = queue[1:] {
		if task, ok := s.machine.States[queue[0]].(*asl.Task); ok && strings.HasSuffix(task.Resource, ":dynamodb:putItem") {
			return true
		}
		for _, t := range transitions {
			if t.From == queue[0] && !reached[t.To] {
				reached[t.To] = true
				queue = append(queue, t.To)
			}
		}
	}
	return false
}
