package operate

import (
	"cmp"
	"context"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/pricing"
)

// Estimate is about what runs will cost.
type Estimate struct {
	// Lambda and Fargate are how many runs of each processor.
	Lambda  int `json:"lambda"`
	Fargate int `json:"fargate"`
	// Transitions are the state machine's, without retries.
	Transitions int `json:"transitions"`
	// Dollars is the sum in US dollars, on demand, with no free tier.
	Dollars float64 `json:"dollars"`
	// Prices says which prices these are.
	Prices string `json:"prices"`
}

// prices says which prices there are.
const prices = "prices of " + pricing.Region + " as of " + pricing.Date

// estimator knows what a run of each processor costs in this system.
type estimator struct {
	routes
	lambdaArchitecture, taskArchitecture pricing.Architecture
	function                             pricing.Function
	// task is what the task's definition has, spotDiscount the share that tasks on Spot cost less.
	task         pricing.Task
	spotDiscount float64
}

// taskOf is the task of a route, which may have a size of its own.
func (e *estimator) taskOf(route machine.Route) pricing.Task {
	task := e.task
	task.CPU, task.Memory, task.Storage = cmp.Or(route.CPU, task.CPU), cmp.Or(route.Memory, task.Memory), cmp.Or(route.Storage, task.Storage)
	return task
}

// architectureOf has the prices of the tasks of a route.
func (e *estimator) architectureOf(route machine.Route) pricing.Architecture {
	if route.Spot {
		return e.taskArchitecture.Spot(e.spotDiscount)
	}
	return e.taskArchitecture
}

// estimator asks for the deployed sizes.
func (s *System) estimator(ctx context.Context) (*estimator, error) {
	e := estimator{routes: s.Outputs.routes}
	function, err := s.functions.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{
		FunctionName: &s.Outputs.LambdaFunctionARN,
	})
	if err != nil {
		return nil, asked("asking for the function's size", err)
	}
	e.function = pricing.Function{Memory: int(aws.ToInt32(function.MemorySize))}
	if disk := function.EphemeralStorage; disk != nil {
		e.function.Storage = int(aws.ToInt32(disk.Size))
	}
	e.lambdaArchitecture = pricing.ArchitectureOf("") // the one that Lambda takes where none is named
	if len(function.Architectures) > 0 {
		e.lambdaArchitecture = pricing.ArchitectureOf(string(function.Architectures[0]))
	}
	task, err := s.containers.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &s.Outputs.TaskDefinitionARN})
	if err != nil {
		return nil, asked("asking for the task's size", err)
	}
	d := task.TaskDefinition
	storage, architecture := 0, ""
	if d.EphemeralStorage != nil {
		storage = int(d.EphemeralStorage.SizeInGiB)
	}
	if d.RuntimePlatform != nil {
		architecture = string(d.RuntimePlatform.CpuArchitecture)
	}
	return &e, e.setTask(aws.ToString(d.Cpu), aws.ToString(d.Memory), storage, architecture)
}

// setTask takes a task's size as its definition has it: the processor units and the MiB are text there, the storage is in GiB.
func (e *estimator) setTask(cpu, memory string, storage int, architecture string) (err error) {
	if e.task.CPU, err = strconv.Atoi(cpu); err != nil {
		return fmt.Errorf("reading the task's processor units: %w", err)
	}
	if e.task.Memory, err = strconv.Atoi(memory); err != nil {
		return fmt.Errorf("reading the task's memory: %w", err)
	}
	e.task.Storage, e.taskArchitecture = storage, pricing.ArchitectureOf(architecture)
	return nil
}

// add adds the run for one object.
func (e *estimator) add(to *Estimate, key string, size int64) {
	route := e.of(key, size)
	to.Transitions += len(route.Steps)
	to.Dollars += float64(len(route.Steps)) * pricing.StateTransition
	if route.Compute == machine.Lambda {
		to.Lambda++
		to.Dollars += e.function.Cost(e.lambdaArchitecture, float64(size))
		return
	}
	to.Fargate++
	to.Dollars += e.taskOf(route).Cost(e.architectureOf(route), float64(size))
}
