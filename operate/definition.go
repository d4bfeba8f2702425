package operate

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/settings"
)

// routes is the table of routes, as a stack exports it.
type routes []machine.Route

// of is the route that an object takes: the last one has no condition.
func (r routes) of(key string, size int64) machine.Route {
	i := slices.IndexFunc(r, func(route machine.Route) bool { return route.Takes(key, size) })
	return r[max(i, 0)]
}

// tasks is the first route whose uploads tasks process; one without anything if there is none.
func (r routes) tasks() machine.Route {
	i := slices.IndexFunc(r, func(route machine.Route) bool { return route.Compute == machine.Fargate })
	if i < 0 {
		return machine.Route{}
	}
	return r[i]
}

// spelled is a route's name as it is, for one in another case; else what is given.
func (r routes) spelled(name string) string {
	for _, route := range r {
		if strings.EqualFold(route.Name, name) {
			return route.Name
		}
	}
	return name
}

// computeOf is what the route of a name processes with; empty for a name that no route has.
func (r routes) computeOf(name string) machine.Compute {
	i := slices.IndexFunc(r, func(route machine.Route) bool { return route.Name == name })
	if i < 0 {
		return ""
	}
	return r[i].Compute
}

// names are the routes' names.
func (r routes) names() []string {
	names := make([]string, len(r))
	for i, route := range r {
		names[i] = route.Name
	}
	return names
}

// threshold is the size of the largest object that goes to Lambda, in bytes; 0 if none does.
func (r routes) threshold() int64 {
	var largest int64
	for _, route := range r {
		switch {
		case route.Compute != machine.Lambda:
		case route.MaxSize == nil:
			return settings.MaxObjectSize
		default:
			largest = max(largest, *route.MaxSize)
		}
	}
	return largest
}

// Definition is the state machine as it is deployed, in the States Language.
func (s *System) Definition(ctx context.Context) ([]byte, error) {
	answer, err := s.states.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: &s.Outputs.StateMachineARN})
	if err != nil {
		return nil, asked("asking for the state machine", err)
	}
	return []byte(aws.ToString(answer.Definition)), nil
}
