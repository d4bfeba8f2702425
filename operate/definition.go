package operate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"example.com/upload-router/internal/asl"
)

// Definition is the state machine as it is deployed, in the States Language.
func (s *System) Definition(ctx context.Context) ([]byte, error) {
	answer, err := s.states.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: &s.Outputs.StateMachineARN})
	if err != nil {
		return nil, asked("asking for the state machine", err)
	}
	return []byte(aws.ToString(answer.Definition)), nil
}

// routing is what a definition says of the two routes.
type routing struct {
	// threshold is the size of the largest object that goes to Lambda, in bytes.
	threshold int64
	// transitions are those of an execution that succeeds at once, by route.
	transitions map[string]int
	// calls are how often it calls a service then, by route and service, such as sns.
	calls map[string]map[string]int
	// events are how many its history has then, by route.
	events map[string]int
}

// route is the one that an object takes.
func (r routing) route(size int64) string {
	if size > r.threshold {
		return RouteFargate
	}
	return RouteLambda
}

var errNoRoutes = errors.New("the definition has no rule for detail.object.size, or not both processors")

func (s *System) routing(ctx context.Context) (routing, error) {
	text, err := s.Definition(ctx)
	if err != nil {
		return routing{}, err
	}
	machine, err := asl.Parse(text)
	if err != nil {
		return routing{}, fmt.Errorf("reading the deployed state machine: %w", err)
	}
	return routingOf(machine)
}

// routingOf looks for the decision and for the shortest way through each
// processor, which is the one without retries and failures.
func routingOf(machine *asl.Machine) (routing, error) {
	r := routing{threshold: -1, transitions: map[string]int{}, calls: map[string]map[string]int{}, events: map[string]int{}}
	for _, state := range machine.States {
		if choice, ok := state.(*asl.Choice); ok {
			r.takeThreshold(choice)
		}
	}
	for name, state := range machine.States {
		task, ok := state.(*asl.Task)
		if !ok {
			continue
		}
		route := processorOf(task.Resource)
		if route == "" {
			continue
		}
		before := way(machine, machine.StartAt, func(at string) bool { return at == name })
		after := way(machine, name, func(at string) bool { return machine.States[at].Type() == asl.TypeSucceed })
		if len(before) == 0 || len(after) == 0 {
			continue
		}
		states := slices.Concat(before, after[1:])
		r.transitions[route], r.calls[route], r.events[route] = len(states), calls(machine, states), historyOf(machine, states)
	}
	if r.threshold < 0 || len(r.transitions) != 2 {
		return routing{}, errNoRoutes
	}
	return r, nil
}

// processorOf is the route whose processor a task calls; empty for any other.
func processorOf(resource string) string {
	switch {
	case strings.Contains(resource, ":lambda:invoke"):
		return RouteLambda
	case strings.Contains(resource, ":ecs:runTask"):
		return RouteFargate
	}
	return ""
}

func (r *routing) takeThreshold(choice *asl.Choice) {
	for _, rule := range choice.Choices {
		if rule.Variable != "$.detail.object.size" || rule.Operator != asl.NumericGreaterThan {
			continue
		}
		text, err := json.Marshal(rule.Value)
		if err == nil {
			_ = json.Unmarshal(text, &r.threshold) // stays unset if it is no whole number
		}
	}
}

// calls counts the tasks among states by the service that they call.
func calls(machine *asl.Machine, states []string) map[string]int {
	count := map[string]int{}
	for _, name := range states {
		if task, ok := machine.States[name].(*asl.Task); ok {
			// arn:aws:states:::sns:publish
			if parts := strings.Split(task.Resource, ":"); len(parts) > 5 {
				count[parts[5]]++
			}
		}
	}
	return count
}

// historyOf counts what the history of an execution has that goes through states
// and succeeds: its beginning and end, each state's, and a task's schedule, start
// and success, and submission where its end is waited for.
// https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html
func historyOf(machine *asl.Machine, states []string) int {
	count := 2 + 2*len(states)
	for _, name := range states {
		if task, ok := machine.States[name].(*asl.Task); ok {
			count += 3
			if strings.HasSuffix(task.Resource, ".sync") || strings.HasSuffix(task.Resource, ".waitForTaskToken") {
				count++
			}
		}
	}
	return count
}

// way is the shortest from one state to a state that is looked for, both
// included, along what isn't a failure; nil if there is none.
func way(machine *asl.Machine, from string, found func(string) bool) []string {
	before := map[string]string{from: ""}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		if found(at) {
			var states []string
			for ; at != ""; at = before[at] {
				states = append(states, at)
			}
			slices.Reverse(states)
			return states
		}
		for _, next := range following(machine.States[at]) {
			if _, known := before[next]; !known && next != "" {
				before[next] = at
				queue = append(queue, next)
			}
		}
	}
	return nil
}

// following are the states that may come after one that succeeded.
func following(state asl.State) []string {
	switch s := state.(type) {
	case *asl.Task:
		return []string{s.Next}
	case *asl.Pass:
		return []string{s.Next}
	case *asl.Wait:
		return []string{s.Next}
	case *asl.Choice:
		next := []string{s.Default}
		for _, rule := range s.Choices {
			next = append(next, rule.Next)
		}
		return next
	}
	return nil
}
