package local

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/faults"
	"example.com/upload-router/internal/machine"
)

// maxOverrides is how many characters the overrides of a task may have, as JSON with all that makes it JSON. What ECS says to more is
// quoted in convox/rack#1906 and Netflix/metaflow#1482.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html
const maxOverrides = 8192

// taskDefinition is a task that can be run.
type taskDefinition struct {
	family, cpu, memory string
	container           container
	program             imageProgram
	role                string // the processor's
}

// sized is the definition with the size of one run.
func (r *Router) sized(d *taskDefinition, by taskOverrides) (*taskDefinition, error) {
	const least, most = 21, 200 // GiB
	if disk := by.EphemeralStorage; disk != nil && (disk.SizeInGiB < least || disk.SizeInGiB > most) {
		return nil, invalidParameter("The ephemeral storage of %d GiB isn't from %d to %d GiB.", disk.SizeInGiB, least, most)
	}
	if by.Cpu == "" && by.Memory == "" {
		return d, nil
	}
	run := *d
	run.cpu, run.memory = cmp.Or(by.Cpu, d.cpu), cmp.Or(by.Memory, d.memory)
	host, err := taskLimits(run.cpu, run.memory, d.container.User)
	if err != nil {
		return nil, invalidParameter("%v", err)
	}
	run.program, err = r.loadProgram(d.container.Image, host)
	return &run, err
}

// containerFields are those of a container definition. Empty lists of others make no difference either. Where a volume is mounted, a
// program finds a folder of this machine's: /tmp.
const containerFields = "cpu environment essential image linuxParameters logConfiguration memory memoryReservation mountPoints name " +
	"readonlyRootFilesystem user"

// container is the part of a container definition that the local run follows.
type container struct {
	Name             string
	Image            string
	Environment      []variable
	LogConfiguration struct{ Options map[string]string }
	MountPoints      []struct{ ContainerPath string }
	User             string
}

type variable struct{ Name, Value string }

// runTaskParameters are the parameters of ecs:runTask that the local run follows.
type runTaskParameters struct {
	LaunchType               string `json:",omitempty"`
	CapacityProviderStrategy []struct {
		CapacityProvider string
		Weight           int
	} `json:",omitempty"`
	Cluster              string
	TaskDefinition       string
	PropagateTags        string `json:",omitempty"`
	NetworkConfiguration struct {
		AwsvpcConfiguration struct {
			Subnets        []string
			SecurityGroups []string
			AssignPublicIp string //nolint:revive // the parameter's name
		}
	}
	Overrides taskOverrides
}

// taskOverrides are what a run has otherwise than its definition.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskOverride.html
type taskOverrides struct {
	ContainerOverrides []struct {
		Name        string
		Environment []variable
	}
	// The whole task's size. Its container has no limits of its own.
	Cpu              string            `json:",omitempty"` //nolint:revive // the parameter's name
	Memory           string            `json:",omitempty"`
	EphemeralStorage *ephemeralStorage `json:",omitempty"`
}

type ephemeralStorage struct{ SizeInGiB int }

// prepareTask finds the task that a state runs.
func (r *Router) prepareTask(parameters map[string]any) error {
	const known = "CapacityProviderStrategy LaunchType Cluster TaskDefinition PropagateTags NetworkConfiguration Overrides"
	if err := onlyKnown(parameters, known); err != nil {
		return err
	}
	_, byStrategy := parameters["CapacityProviderStrategy.$"]
	if launch, given := parameters["LaunchType"]; launch != "FARGATE" && (given || !byStrategy) {
		return fmt.Errorf("%w: launch type %v: only FARGATE", errDeclared, launch)
	}
	if from, given := parameters["PropagateTags"]; given && from != "TASK_DEFINITION" {
		return fmt.Errorf("%w: tags of %v: a task without a service has them of its TASK_DEFINITION", errDeclared, from)
	}
	if _, err := r.find(declared.TypeCluster, "arn", parameters["Cluster"]); err != nil {
		return fmt.Errorf("finding the cluster: %w", err)
	}
	return r.prepare(declared.TypeTaskDefinition, "task definition", "arn", text(parameters, "TaskDefinition"))
}

func (r *Router) loadTask(res declared.Resource) error {
	architecture, _ := res.Object("runtimePlatform")["cpuArchitecture"].(string)
	if err := runsHere([]any{strings.ToLower(architecture)}); err != nil {
		return err
	}
	only, err := readContainers(res.Text("containerDefinitions"))
	if err != nil {
		return fmt.Errorf("reading its containers: %w", err)
	}
	host, err := taskLimits(res.Text("cpu"), res.Text("memory"), only.User)
	if err != nil {
		return err
	}
	program, err := r.loadProgram(only.Image, host)
	if err != nil {
		return err
	}
	r.tasks[res.ARN()] = &taskDefinition{
		family: res.Text("family"), cpu: res.Text("cpu"), memory: res.Text("memory"), container: only, program: program,
		role: res.Text("taskRoleArn"),
	}
	return nil
}

// taskLimits are those of a task's size: Fargate gives it all to its one container.
func taskLimits(units, mebibytes, user string) (limits, error) {
	const perCPU = 1024
	cpu, errCPU := strconv.Atoi(units)
	memory, errMemory := strconv.Atoi(mebibytes)
	if err := errors.Join(errCPU, errMemory); err != nil {
		return limits{}, fmt.Errorf("%w: a task of %q CPU units and %q MiB: %w", errDeclared, units, mebibytes, err)
	}
	return limits{cpus: float64(cpu) / perCPU, memoryMB: memory, user: user}, nil
}

// readContainers reads the one container of a task definition.
func readContainers(text string) (container, error) {
	var given []map[string]any
	var containers []container
	if err := errors.Join(json.Unmarshal([]byte(text), &given), json.Unmarshal([]byte(text), &containers)); err != nil {
		return container{}, fmt.Errorf("%w: %w", errDeclared, err)
	}
	if len(containers) != 1 {
		return container{}, fmt.Errorf("%w: %d containers: only one", errDeclared, len(containers))
	}
	for _, mount := range containers[0].MountPoints {
		if mount.ContainerPath != "/tmp" {
			return container{}, fmt.Errorf("%w: a volume at %s: only at /tmp, which a program has here, too", errDeclared, mount.ContainerPath)
		}
	}
	maps.DeleteFunc(given[0], func(_ string, value any) bool {
		list, ok := value.([]any)
		return ok && len(list) == 0
	})
	return containers[0], onlyKnown(given[0], containerFields)
}

// taskRun is a task about to run for a call.
type taskRun struct {
	definition  *taskDefinition
	parameters  runTaskParameters
	environment []string
}

// taskOf reads a call's parameters.
func (r *Router) taskOf(call asl.Call) (*taskRun, error) {
	t := &taskRun{}
	if err := decode(call.Parameters, &t.parameters); err != nil {
		return nil, err
	}
	if t.definition = r.tasks[t.parameters.TaskDefinition]; t.definition == nil {
		return nil, invalidParameter("TaskDefinition not found: %s", t.parameters.TaskDefinition)
	}
	if err := r.hasCapacity(t.parameters); err != nil {
		return nil, err
	}
	var err error
	if t.definition, err = r.sized(t.definition, t.parameters.Overrides); err != nil {
		return nil, err
	}
	variables, err := t.definition.overridden(t.parameters)
	if err != nil {
		return nil, err
	}
	t.environment = r.taskEnvironment(t.definition.role, t.definition.program.env, variables)
	return t, nil
}

// hasCapacity checks that the cluster has the capacity providers that a task is to run on.
func (r *Router) hasCapacity(parameters runTaskParameters) error {
	if len(parameters.CapacityProviderStrategy) > 0 && parameters.LaunchType != "" {
		return invalidParameter("Specifying both a launch type and capacity provider strategy is not supported.")
	}
	cluster, err := r.system.Where(declared.TypeCluster, "arn", parameters.Cluster)
	if err != nil {
		return fmt.Errorf("finding the cluster: %w", err)
	}
	providers, err := r.system.Where(declared.TypeClusterCapacityProviders, "clusterName", cluster.Outputs["name"])
	if err != nil {
		providers = declared.Resource{}
	}
	has, _ := providers.Inputs["capacityProviders"].([]any)
	for _, of := range parameters.CapacityProviderStrategy {
		if !slices.Contains(has, any(of.CapacityProvider)) {
			return invalidParameter("The specified capacity provider '%s' is not associated with the cluster.", of.CapacityProvider)
		}
	}
	return nil
}

// run is what is noted of a task that has ended.
func (t *taskRun) run(call asl.Call, ended *process) Run {
	run := Run{
		State: call.State, Attempt: call.Attempt, Route: machine.RouteOf(call.State), Outcome: outcomeOK,
		Group: t.definition.container.LogConfiguration.Options["awslogs-group"],
		Logs:  append(lines(ended.stdout), lines(ended.stderr)...), Duration: ended.duration,
		Detail: fmt.Sprintf("exit code %d", ended.exitCode),
	}
	if ended.stopCode != stopCodeExited && ended.stopCode != stopCodeSpot {
		run.Detail = ended.reason
	}
	for _, on := range t.parameters.CapacityProviderStrategy {
		run.Detail = on.CapacityProvider + ", " + run.Detail
	}
	return run
}

// runTask does a task's ecs:runTask.sync: the container's program runs as a process, and its exit code decides.
// https://docs.aws.amazon.com/step-functions/latest/dg/connect-ecs.html
func (r *Router) runTask(ctx context.Context, call asl.Call) (any, error) {
	task, err := r.taskOf(call)
	if err != nil {
		return nil, err
	}
	process, err := r.startFaulty(ctx, task.definition.program, task.environment)
	if err != nil {
		return nil, err
	}
	run, described := task.run(call, process), process.describe(task.parameters, task.definition)
	late := faultOf(ctx) == faults.TaskTimedOut
	if process.ok() && ctx.Err() == nil && !late {
		run.Answer = resultIn(process.stdout)
		recorderOf(ctx).ran(run)
		return described, nil
	}
	run.Outcome = asl.ErrorTaskFailed
	if ctx.Err() != nil {
		run.Outcome = context.Cause(ctx).Error()
	}
	recorderOf(ctx).ran(run)
	if late {
		return nil, outOfTime(ctx, call)
	}
	cause, err := json.Marshal(described)
	if err != nil {
		return nil, fmt.Errorf("describing the stopped task: %w", err)
	}
	return nil, &asl.Error{Name: asl.ErrorTaskFailed, Cause: string(cause)}
}

// overridden is the container's environment for one run.
func (d *taskDefinition) overridden(parameters runTaskParameters) ([]variable, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // which only Go does
	if err := encoder.Encode(parameters.Overrides); err != nil {
		return nil, fmt.Errorf("measuring the overrides: %w", err)
	}
	if utf8.RuneCount(bytes.TrimSpace(text.Bytes())) > maxOverrides {
		return nil, invalidParameter("Container Overrides length must be at most %d", maxOverrides)
	}
	variables := slices.Clone(d.container.Environment)
	for _, o := range parameters.Overrides.ContainerOverrides {
		if o.Name != d.container.Name {
			return nil, invalidParameter("Override for container named %s is not a container in the TaskDefinition.", o.Name)
		}
		variables = append(variables, o.Environment...)
	}
	for _, v := range variables {
		if strings.ContainsRune(v.Name+v.Value, 0) {
			return nil, invalidParameter("the value of %s has a zero byte, which no environment can hold", v.Name)
		}
	}
	return variables, nil
}

// invalidParameter is how ECS refuses a request.
func invalidParameter(format string, args ...any) error {
	return &asl.Error{Name: "ECS.InvalidParameterException", Cause: fmt.Sprintf(format, args...)}
}

// taskEnvironment is the whole environment of a task: what its image has, what is declared, and what the local services take. Nothing of
// the developer's is in it; without the two empty files an AWS SDK would find the user's own, by the user's entry in /etc/passwd.
func (r *Router) taskEnvironment(role string, image []string, variables []variable) []string {
	out := append([]string{"AWS_REGION=" + r.options.Region}, image...)
	for _, v := range variables {
		out = append(out, v.Name+"="+v.Value)
	}
	for name, endpoint := range r.endpoints() {
		out = append(out, name+"="+endpoint)
	}
	return append(out, // the last one of a name counts
		"AWS_CONFIG_FILE="+os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE="+os.DevNull,
		"AWS_ENDPOINT_URL_XRAY="+r.traces.Endpoint(),
		"AWS_ACCESS_KEY_ID="+accessKey(role), // where a task has its role's, from the metadata endpoint
		"AWS_SECRET_ACCESS_KEY="+localSecretKey,
		environmentSession+uuid.NewString(),
	)
}

// describe is what ECS says of a task that has stopped, as far as a definition can use it.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Task.html
func (p *process) describe(parameters runTaskParameters, definition *taskDefinition) map[string]any {
	stopped := map[string]any{
		"Image":      definition.container.Image,
		"LastStatus": statusStopped,
		"Name":       definition.container.Name,
	}
	if p.stopCode != stopCodeNoStart {
		stopped["ExitCode"] = p.exitCode
	}
	described := map[string]any{
		"ClusterArn":    parameters.Cluster,
		"Containers":    []any{stopped},
		"Cpu":           definition.cpu,
		"DesiredStatus": statusStopped,
		"Group":         "family:" + definition.family,
		"LastStatus":    statusStopped,
		"LaunchType":    "FARGATE",
		"Memory":        definition.memory,
		"Overrides":     parameters.Overrides,
		"StartedAt":     p.started.UnixMilli(),
		"StopCode":      p.stopCode,
		"StoppedAt":     p.started.Add(p.duration).UnixMilli(),
		"StoppedReason": p.reason,
		"TaskArn": strings.Replace(parameters.Cluster, ":cluster/", ":task/", 1) + "/" +
			strings.ReplaceAll(uuid.NewString(), "-", ""),
		"TaskDefinitionArn": parameters.TaskDefinition,
	}
	for _, of := range parameters.CapacityProviderStrategy {
		described["CapacityProviderName"] = of.CapacityProvider
	}
	return described
}

// resultIn is the result that the last line of an output has; nil if that isn't a line of a log with one.
func resultIn(output []byte) json.RawMessage {
	written := lines(output)
	if len(written) == 0 {
		return nil
	}
	var last struct{ Result json.RawMessage }
	if json.Unmarshal([]byte(written[len(written)-1]), &last) != nil {
		return nil
	}
	return last.Result
}
