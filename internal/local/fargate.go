package local

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"

	"upload-router/internal/asl"
	"upload-router/internal/declared"
)

// maxOverrides is how many characters the overrides of a task may have, as JSON.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskOverride.html
const maxOverrides = 8192

// stopTimeout is what ECS gives a container between SIGTERM and SIGKILL by default.
const stopTimeout = 30 * time.Second

// keptOutput is how much of a task's output is kept.
const keptOutput = 1 << 20

// tasks are the task definitions that the state machine names, by their ARN.
type tasks struct {
	mu    sync.Mutex
	byARN map[string]*taskDefinition
}

// taskDefinition is a task that can be run.
type taskDefinition struct {
	container container
	program   imageProgram
}

// container is the part of a container definition that the local run follows.
type container struct {
	Name             string
	Image            string
	Essential        bool
	Environment      []variable
	LogConfiguration struct {
		LogDriver string
		Options   map[string]string
	}
}

type variable struct{ Name, Value string }

// runTaskParameters are the parameters of ecs:runTask that the local run follows.
type runTaskParameters struct {
	LaunchType           string
	Cluster              string
	TaskDefinition       string
	NetworkConfiguration struct {
		AwsvpcConfiguration struct {
			Subnets        []string
			SecurityGroups []string
			AssignPublicIp string //nolint:revive // the parameter's name
		}
	}
	Overrides struct {
		ContainerOverrides []struct {
			Name        string
			Environment []variable
		}
	}
}

func (t *tasks) get(arn string) *taskDefinition {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byARN[arn]
}

func (t *tasks) add(arn string, definition *taskDefinition) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byARN == nil {
		t.byARN = map[string]*taskDefinition{}
	}
	t.byARN[arn] = definition
}

// prepareTask finds the task that a state runs.
func (r *Router) prepareTask(parameters map[string]any) error {
	known := []string{"LaunchType", "Cluster", "TaskDefinition", "NetworkConfiguration", "Overrides"}
	if err := onlyKnown(parameters, known); err != nil {
		return err
	}
	if launch := parameters["LaunchType"]; launch != "FARGATE" {
		return fmt.Errorf("%w: launch type %v: only FARGATE", errDeclared, launch)
	}
	if _, err := r.system.Where(typeCluster, "arn", parameters["Cluster"]); err != nil {
		return fmt.Errorf("finding the cluster: %w", err)
	}
	arn, _ := parameters["TaskDefinition"].(string)
	res, err := r.system.Where(typeTask, "arn", arn)
	if err != nil {
		return fmt.Errorf("finding the task definition %s: %w", arn, err)
	}
	definition, err := r.loadTask(res)
	if err != nil {
		return fmt.Errorf("reading the task definition %s: %w", res.Name, err)
	}
	r.tasks.add(arn, definition)
	return nil
}

func (r *Router) loadTask(res declared.Resource) (*taskDefinition, error) {
	platform := res.Object("runtimePlatform")
	architecture, _ := platform["cpuArchitecture"].(string)
	if err := runsHere([]any{strings.ToLower(architecture)}); err != nil {
		return nil, err
	}
	var containers []container
	if err := json.Unmarshal([]byte(res.Text("containerDefinitions")), &containers); err != nil {
		return nil, fmt.Errorf("reading its containers: %w", err)
	}
	if len(containers) != 1 {
		return nil, fmt.Errorf("%w: %d containers: only one", errDeclared, len(containers))
	}
	image, err := r.system.Where(typeImage, "repoDigest", containers[0].Image)
	if err != nil {
		return nil, fmt.Errorf("%w: the image %s isn't built here, so there is no program to run: "+
			"leave `image` unset to try it: %w", errDeclared, containers[0].Image, err)
	}
	build := image.Object("build")
	dockerfile, _ := build["dockerfile"].(string)
	buildContext, _ := build["context"].(string)
	f, err := os.Open(r.path(dockerfile))
	if err != nil {
		return nil, fmt.Errorf("opening its Dockerfile: %w", err)
	}
	defer f.Close()
	program, err := readDockerfile(f, r.path(buildContext))
	if err != nil {
		return nil, err
	}
	return &taskDefinition{containers[0], program}, nil
}

// runTask does a task's ecs:runTask.sync: the container's program runs as a
// process, and its exit code decides.
// https://docs.aws.amazon.com/step-functions/latest/dg/connect-ecs.html
func (r *Router) runTask(ctx context.Context, call asl.Call) (any, error) {
	var parameters runTaskParameters
	if err := decode(call.Parameters, &parameters); err != nil {
		return nil, err
	}
	definition := r.tasks.get(parameters.TaskDefinition)
	if definition == nil {
		return nil, &asl.Error{Name: "ECS.InvalidParameterException", Cause: "TaskDefinition not found: " + parameters.TaskDefinition}
	}
	variables, err := definition.overridden(parameters)
	if err != nil {
		return nil, err
	}
	process, err := r.start(ctx, definition, variables)
	if err != nil {
		return nil, err
	}
	run := Run{
		State: call.State, Route: "Fargate", Outcome: "ok", Group: definition.container.LogConfiguration.Options["awslogs-group"],
		Logs: append(lines(process.stdout), lines(process.stderr)...), Duration: process.duration,
		Detail: fmt.Sprintf("exit code %d", process.exitCode),
	}
	task := process.describe(r, parameters, definition)
	if process.exitCode != 0 {
		run.Outcome = asl.ErrorTaskFailed
		recorderOf(ctx).ran(run)
		cause, err := json.Marshal(task)
		if err != nil {
			return nil, fmt.Errorf("describing the stopped task: %w", err)
		}
		return nil, &asl.Error{Name: asl.ErrorTaskFailed, Cause: string(cause)}
	}
	run.Answer = lastJSON(process.stdout)
	recorderOf(ctx).ran(run)
	return task, nil
}

// overridden is the container's environment for one run.
func (d *taskDefinition) overridden(parameters runTaskParameters) ([]variable, error) {
	text, err := json.Marshal(parameters.Overrides)
	if err != nil {
		return nil, fmt.Errorf("measuring the overrides: %w", err)
	}
	if len(text) > maxOverrides {
		return nil, &asl.Error{
			Name:  "ECS.InvalidParameterException",
			Cause: fmt.Sprintf("Container Overrides length must be at most %d", maxOverrides),
		}
	}
	variables := d.container.Environment
	for _, o := range parameters.Overrides.ContainerOverrides {
		if o.Name != d.container.Name {
			return nil, &asl.Error{
				Name:  "ECS.InvalidParameterException",
				Cause: fmt.Sprintf("Override for container named %s is not a container in the TaskDefinition.", o.Name),
			}
		}
		variables = append(variables[:len(variables):len(variables)], o.Environment...)
	}
	for _, v := range variables {
		if strings.ContainsRune(v.Name+v.Value, 0) {
			return nil, &asl.Error{
				Name:  "ECS.InvalidParameterException",
				Cause: fmt.Sprintf("the value of %s has a zero byte, which no environment can hold", v.Name),
			}
		}
	}
	return variables, nil
}

// process is a container's program that has ended.
type process struct {
	exitCode       int
	stdout, stderr []byte
	started        time.Time
	duration       time.Duration
}

// start runs the program with the declared environment alone, in an empty
// folder. When the context ends it is stopped as ECS stops a task.
func (r *Router) start(ctx context.Context, definition *taskDefinition, variables []variable) (*process, error) {
	folder, err := os.MkdirTemp(r.scratch, "task-*")
	if err != nil {
		return nil, fmt.Errorf("making a folder for the task: %w", err)
	}
	defer os.RemoveAll(folder)
	cmd := exec.CommandContext(ctx, definition.program.binary, definition.program.args...)
	cmd.Dir = folder
	cmd.Env = []string{
		"AWS_REGION=" + r.options.Region,
		"AWS_ENDPOINT_URL_S3=" + r.store.Endpoint(),
		"AWS_ACCESS_KEY_ID=" + localAccessKey, // where a task has its role's, from the metadata endpoint
		"AWS_SECRET_ACCESS_KEY=" + localSecretKey,
	}
	for _, v := range variables {
		cmd.Env = append(cmd.Env, v.Name+"="+v.Value)
	}
	var stdout, stderr tail
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTimeout
	p := &process{started: time.Now()}
	err = cmd.Run()
	p.duration, p.stdout, p.stderr = time.Since(p.started), stdout.Bytes(), stderr.Bytes()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		p.exitCode = exitCode(exit)
	case ctx.Err() != nil:
		return nil, fmt.Errorf("running the task: %w", ctx.Err())
	case err != nil:
		return nil, fmt.Errorf("starting %s: %w", filepath.Base(definition.program.binary), err)
	}
	return p, nil
}

// exitCode is what a container engine reports: 128 and the signal's number for
// a program that a signal ended.
func exitCode(exit *exec.ExitError) int {
	const signalled = 128
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return signalled + int(status.Signal())
	}
	return exit.ExitCode()
}

// describe is what ECS says of a task that has stopped, as far as a definition can use it.
func (p *process) describe(r *Router, parameters runTaskParameters, definition *taskDefinition) map[string]any {
	cluster := parameters.Cluster[strings.LastIndex(parameters.Cluster, "/")+1:]
	return map[string]any{
		"ClusterArn": parameters.Cluster,
		"Containers": []any{map[string]any{
			"ExitCode":   p.exitCode,
			"Image":      definition.container.Image,
			"LastStatus": "STOPPED",
			"Name":       definition.container.Name,
		}},
		"LastStatus":        "STOPPED",
		"LaunchType":        parameters.LaunchType,
		"StartedAt":         p.started.UnixMilli(),
		"StopCode":          "EssentialContainerExited",
		"StoppedAt":         p.started.Add(p.duration).UnixMilli(),
		"StoppedReason":     "Essential container in task exited",
		"TaskArn":           strings.Replace(parameters.Cluster, ":cluster/", ":task/", 1) + "/" + strings.ReplaceAll(uuid.NewString(), "-", ""),
		"TaskDefinitionArn": parameters.TaskDefinition,
		"Group":             "family:" + cluster,
		"Connectivity":      "CONNECTED",
		"Cpu":               runtime.GOARCH,
	}
}

// lastJSON is the last line of an output, if it is JSON.
func lastJSON(output []byte) json.RawMessage {
	written := lines(output)
	if len(written) == 0 || !json.Valid([]byte(written[len(written)-1])) {
		return nil
	}
	return json.RawMessage(written[len(written)-1])
}

// tail keeps the end of what is written to it.
type tail struct{ bytes.Buffer }

func (t *tail) Write(b []byte) (int, error) {
	n, err := t.Buffer.Write(b)
	if excess := t.Len() - keptOutput; excess > 0 {
		t.Next(excess)
	}
	return n, err
}
