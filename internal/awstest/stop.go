package awstest

import (
	"maps"
	"slices"
	"strings"
	"time"

	hostrequest "example.com/upload-router/internal/host/request"
	"example.com/upload-router/internal/loopback"
)

// stopExecution stops an execution; one that has ended stays as it is.
// https://docs.aws.amazon.com/step-functions/latest/apireference/API_StopExecution.html
func (s *Server) stopExecution(in request) (any, error) {
	x, err := s.find(in)
	if err != nil {
		return nil, err
	}
	switch {
	case x.over:
	case x.scripted != nil:
		x.scripted.Aborted = true
		s.end(x, time.Now())
	default:
		s.Router.StopExecution(x.arn, "", "")
		s.mu.Unlock()
		s.awaitEnd(x)
		s.mu.Lock()
	}
	return map[string]any{"stopDate": loopback.Seconds(x.stopped())}, nil
}

// awaitEnd waits until an execution that really runs is over.
func (s *Server) awaitEnd(x *execution) {
	for {
		s.mu.Lock()
		over := x.over
		s.mu.Unlock()
		if over || s.tb.Context().Err() != nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// scriptedTasks are the tasks that run, with their executions.
func (s *Server) scriptedTasks() map[string]*execution {
	tasks := map[string]*execution{}
	for _, x := range s.executions {
		if x.scripted == nil {
			continue
		}
		for _, arn := range x.scripted.tasks {
			tasks[arn] = x
		}
	}
	return tasks
}

// listTasks lists the tasks that scripts run. What really runs ends with its execution here.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListTasks.html
func (s *Server) listTasks(in request) (any, error) {
	family, _, _ := strings.Cut(taskARN[strings.LastIndex(taskARN, "/")+1:], ":")
	if s.Router == nil && in.Family != family {
		return nil, loopback.Refuse("ClientException", "awstest lists the tasks of the family "+family+" alone")
	}
	arns := []string{}
	for arn := range s.scriptedTasks() {
		arns = append(arns, arn)
	}
	slices.Sort(arns)
	return page("taskArns", arns, in, 100, func(arn string) any { return arn })
}

// describeTasks says of tasks for which execution they run, as the state machine told them.
func (s *Server) describeTasks(in request) (any, error) {
	const most = 100
	if len(in.Tasks) > most {
		return nil, loopback.Refuse("InvalidParameterException", "Tasks cannot be more than 100.")
	}
	tasks := []any{}
	for _, arn := range in.Tasks {
		x := s.scriptedTasks()[arn]
		if x == nil {
			continue
		}
		variable := func(name, value string) any { return map[string]any{fieldName: name, "value": value} }
		tasks = append(tasks, map[string]any{"taskArn": arn, "lastStatus": running, "overrides": map[string]any{
			"containerOverrides": []any{map[string]any{fieldName: "processor", "environment": []any{
				variable(hostrequest.EnvironmentExecution, x.arn), variable(hostrequest.EnvironmentRoute, x.scripted.route.Name),
				variable(hostrequest.EnvironmentKey, hostrequest.EncodeKey(x.scripted.object.Key)),
			}}},
		}})
	}
	return map[string]any{"tasks": tasks, "failures": []any{}}, nil
}

// stopTask stops a task.
func (s *Server) stopTask(in request) (any, error) {
	x := s.scriptedTasks()[in.Task]
	if x == nil {
		return nil, loopback.Refuse("InvalidParameterException", "The referenced task was not found.")
	}
	x.scripted.tasks = nil
	return map[string]any{"task": map[string]any{"taskArn": in.Task}}, nil
}

// Tasks are the ARNs of the tasks that run.
func (s *Server) Tasks() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.scriptedTasks()))
}
