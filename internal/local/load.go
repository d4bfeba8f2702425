package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/eventbridge"
	"example.com/upload-router/internal/filter"
	"example.com/upload-router/internal/loopback"
	"example.com/upload-router/internal/objectstore"
	"example.com/upload-router/internal/tokenapi"
	"example.com/upload-router/internal/traceapi"
)

var (
	errBuckets  = errors.New("several buckets send their events to EventBridge: let the stack's output bucketName name the one for files")
	errNoEvents = errors.New("the bucket doesn't send its events to EventBridge")
	errNoRule   = errors.New("no rule with a target is declared")
	errDeclared = errors.New("the local run can't follow what is declared")
)

// load finds what is declared and starts what serves it.
func (r *Router) load(ctx context.Context) error {
	buckets, err := r.buckets()
	if err != nil {
		return err
	}
	if r.guard, err = newGuard(r.system, r.options); err != nil {
		return err
	}
	for _, note := range r.guard.policies.Notes() {
		r.note(note)
	}
	s3 := objectstore.Options{
		Dir: r.scratch, Buckets: buckets, Authorize: r.guard.object, OnCreated: r.created, OnNotImplemented: r.notImplemented,
	}
	if r.options.Fault != nil {
		s3.Fault = r.objectFault
	}
	if r.store, err = objectstore.Start(ctx, s3); err != nil {
		return fmt.Errorf("starting the local S3: %w", err)
	}
	if r.tokens, err = tokenapi.Start(ctx, r.guard.token); err != nil {
		return fmt.Errorf("starting the local Step Functions: %w", err)
	}
	if r.traces, err = traceapi.Start(ctx, r.guard.traces); err != nil {
		return fmt.Errorf("starting the local X-Ray: %w", err)
	}
	if r.secrets, err = loopback.Serve(ctx, "the local Secrets Manager", http.HandlerFunc(r.serveSecret)); err != nil {
		return fmt.Errorf("starting the local Secrets Manager: %w", err)
	}
	r.tokens.Answer(r.askExecutions)
	if err := errors.Join(r.startItems(ctx), r.startTopics(ctx)); err != nil {
		return err
	}
	r.loadImages(ctx)
	if err := r.loadTables(); err != nil {
		return err
	}
	if err := r.loadRules(); err != nil {
		return err
	}
	if err := r.loadMachines(); err != nil {
		return err
	}
	if err := r.loadKeys(); err != nil {
		return err
	}
	return r.guard.deployment()
}

// Outputs of the stack: the bucket for outputs, and the buckets of uploads that the stack hasn't made, with their customer managed keys.
const (
	outputBucketName  = "outputBucketName"
	outputAdopted     = "bucketNames"
	outputAdoptedKeys = "bucketKmsKeyArns"
)

// buckets are those that are declared, the one for outputs and those that roles may use, which need not be. It finds which of them send
// their events to EventBridge: files are put into the only one, or into the one that the stack's output bucketName names.
func (r *Router) buckets() ([]objectstore.Bucket, error) {
	resources := r.system.OfType(declared.TypeBucket)
	adopted, err := r.texts(outputAdopted)
	if err != nil {
		return nil, err
	}
	if len(resources) == 0 && len(adopted) == 0 {
		_, err := r.system.Only(declared.TypeBucket)
		return nil, fmt.Errorf("finding the bucket: %w", err)
	}
	all := make([]objectstore.Bucket, 0, len(resources)+1)
	for _, res := range resources {
		name := res.Output("bucket")
		versioning, _ := r.system.Where(declared.TypeBucketVersioning, "bucket", res.ID) // without one it keeps no versions
		all = append(all, objectstore.Bucket{
			Name: name, Versioned: versioning.Object("versioningConfiguration")["status"] == "Enabled",
		})
		notification, err := r.system.Where(declared.TypeBucketNotification, "bucket", res.ID)
		if err != nil || notification.Inputs["eventbridge"] != true {
			continue
		}
		if err := follows(notification); err != nil {
			return nil, fmt.Errorf("reading the notifications of the bucket: %w", err)
		}
		r.sending = append(r.sending, name)
	}
	for _, name := range adopted { // nothing is known of them
		all, r.sending = append(all, objectstore.Bucket{Name: name, Versioned: true}), append(r.sending, name)
	}
	named, _ := r.system.Outputs["bucketName"].(string)
	switch {
	case len(r.sending) == 0:
		return nil, fmt.Errorf("%w: set eventbridge in its BucketNotification", errNoEvents)
	case len(r.sending) == 1:
		r.bucket = r.sending[0]
	case slices.Contains(r.sending, named):
		r.bucket = named
	}
	given, _ := r.system.Outputs[outputBucketName].(string)
	for _, name := range append(r.grantedBuckets(), given) {
		if name != "" && !slices.ContainsFunc(all, func(b objectstore.Bucket) bool { return b.Name == name }) {
			all = append(all, objectstore.Bucket{Name: name})
		}
	}
	return all, nil
}

// grantedARN is the ARN of a bucket, or of objects in it, whose name has no wildcard.
var grantedARN = regexp.MustCompile(`"arn:[a-z-]+:s3:::([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])["/]`)

// grantedBuckets are those of which the roles' policies speak by name, such as those that processors may read besides: they are there, and
// empty.
func (r *Router) grantedBuckets() []string {
	var names []string
	for _, policy := range r.system.OfType(declared.TypeRolePolicy) {
		for _, found := range grantedARN.FindAllStringSubmatch(policy.Text("policy"), -1) {
			names = append(names, found[1])
		}
	}
	return names
}

func (r *Router) loadRules() error {
	for _, res := range r.system.OfType(declared.TypeEventRule) {
		if err := follows(res); err != nil {
			return fmt.Errorf("reading the rule %s: %w", res.Name, err)
		}
		targets := slices.DeleteFunc(slices.Clone(r.system.OfType(declared.TypeEventTarget)), func(t declared.Resource) bool {
			return t.Text("rule") != res.Output("name")
		})
		if res.Text("scheduleExpression") != "" {
			if err := r.loadSchedule(res, targets); err != nil {
				return fmt.Errorf("reading the schedule %s: %w", res.Name, err)
			}
			continue
		}
		pattern, err := eventbridge.ParsePattern([]byte(res.Text("eventPattern")))
		if err != nil {
			return fmt.Errorf("reading the pattern of %s: %w", res.Name, err)
		}
		loaded := rule{name: res.Output("name"), arn: res.ARN(), pattern: pattern}
		r.ruleStates[loaded.name] = ruleState{enabled: res.Text("state") != stateDisabled}
		for _, t := range targets {
			to, err := r.loadTarget(t)
			if err != nil {
				return fmt.Errorf("reading the target %s: %w", t.Name, err)
			}
			loaded.targets = append(loaded.targets, to)
		}
		if len(loaded.targets) > 0 {
			r.rules = append(r.rules, loaded)
		}
	}
	if len(r.rules) == 0 {
		return errNoRule
	}
	return nil
}

// loadKeys takes over the globs of keys that the stack says its rule has.
func (r *Router) loadKeys() error {
	globs, err := r.texts("keys")
	if err != nil {
		return err
	}
	if r.keys, err = filter.ParseKeys(globs); err != nil {
		return fmt.Errorf("reading the stack's output keys: %w", err)
	}
	return nil
}

// texts is an output of the stack that is a list of texts.
func (r *Router) texts(output string) ([]string, error) { return textsOf(r.system, output) }

func textsOf(system *declared.System, output string) (texts []string, err error) {
	text, err := json.Marshal(system.Outputs[output])
	if err == nil {
		err = json.Unmarshal(text, &texts)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the stack's output %s: %w", output, err)
	}
	return texts, nil
}

func (r *Router) loadTarget(res declared.Resource) (target, error) {
	if err := follows(res); err != nil {
		return target{}, err
	}
	if topic := res.Text("arn"); strings.Contains(topic, ":sns:") {
		return loadTold(res, topic)
	}
	if strings.Contains(res.Text("arn"), ":lambda:") {
		return r.loadInvoked(res)
	}
	if strings.Contains(res.Text("arn"), ":sqs:") {
		queue, err := r.find(declared.TypeQueue, "arn", res.Text("arn"))
		if err != nil {
			return target{}, fmt.Errorf("finding its queue: %w", err)
		}
		return target{id: res.Text("targetId"), stores: queue.ARN()}, nil
	}
	machine, err := r.find(declared.TypeStateMachine, "arn", res.Text("arn"))
	if err != nil {
		return target{}, fmt.Errorf("finding its state machine: %w", err)
	}
	if res.Inputs["inputTransformer"] != nil {
		return target{}, fmt.Errorf("%w: a state machine is told another event than what happened", errDeclared)
	}
	to, err := r.startable(machine)
	if err != nil {
		return target{}, err
	}
	to.id, to.eventsRole, to.retry = res.Text("targetId"), res.Text("roleArn"), retryPolicy(res.Object("retryPolicy"))
	if err := to.retry.Validate(); err != nil {
		return target{}, fmt.Errorf("reading its retry policy: %w", err)
	}
	if deadLetters := res.Object("deadLetterConfig"); deadLetters != nil {
		queue, err := r.find(declared.TypeQueue, "arn", deadLetters["arn"])
		if err != nil {
			return target{}, fmt.Errorf("finding its dead-letter queue: %w", err)
		}
		to.queue = queue.ARN()
	}
	return to, nil
}

// startable is a state machine as whatever starts it needs it.
func (r *Router) startable(machine declared.Resource) (target, error) {
	arn := machine.ARN()
	if known, is := r.machines[arn]; is {
		return known, nil
	}
	to := target{
		machineARN: arn, machineName: machine.Output("name"), roleARN: machine.Text("roleArn"),
		traced: machine.Object("tracingConfiguration")["enabled"] == true,
	}
	var err error
	if to.program, err = r.loadMachine(arn, machine); err != nil {
		return target{}, fmt.Errorf("reading the state machine %s: %w", machine.Name, err)
	}
	r.machines[arn] = to
	return to, nil
}

// loadMachines reads the state machines that no rule starts.
func (r *Router) loadMachines() error {
	for _, machine := range r.system.OfType(declared.TypeStateMachine) {
		if _, err := r.startable(machine); err != nil {
			return err
		}
	}
	return nil
}

func retryPolicy(declared map[string]any) eventbridge.RetryPolicy {
	var policy eventbridge.RetryPolicy
	if age, ok := declared["maximumEventAgeInSeconds"].(float64); ok {
		policy.MaximumEventAge = time.Duration(age) * time.Second
	}
	if attempts, ok := declared["maximumRetryAttempts"].(float64); ok {
		policy.MaximumRetryAttempts = new(int(attempts))
	}
	return policy
}

// loadMachine reads a state machine, and makes ready all that its tasks name.
func (r *Router) loadMachine(arn string, res declared.Resource) (*asl.Program, error) {
	if err := follows(res); err != nil {
		return nil, err
	}
	if kind := res.Text("type"); kind != "" && kind != "STANDARD" {
		return nil, fmt.Errorf("%w: type %s: only STANDARD", errDeclared, kind)
	}
	machine, err := asl.Parse([]byte(res.Text("definition")))
	if err != nil {
		return nil, fmt.Errorf("reading the definition: %w", err)
	}
	calls := map[string]asl.Integration{}
	for name, i := range integrations {
		calls[resourceOf(arn, name)] = r.played(i)
	}
	interpreter := &asl.Interpreter{Integrations: calls, Clock: r.clock, Observe: r.observe, Follow: r.followChild, MapRun: r.mapRuns.begin}
	program, err := interpreter.Load(machine)
	if err != nil {
		return nil, fmt.Errorf("loading the definition: %w", err)
	}
	return program, r.prepareStates(machine.States)
}

// prepareStates makes ready all that states name, and those in a Map's ItemProcessor.
func (r *Router) prepareStates(states map[string]asl.State) error {
	for _, name := range slices.Sorted(maps.Keys(states)) {
		var err error
		switch state := states[name].(type) {
		case *asl.Task:
			err = r.prepareCall(state.Resource, state.Parameters, state.Arguments)
		case *asl.Map:
			if reader := state.ItemReader; reader != nil {
				err = r.prepareCall(reader.Resource, reader.Parameters, reader.Arguments)
			}
			if writer := state.ResultWriter; err == nil && writer != nil && writer.Resource != "" {
				err = r.prepareCall(writer.Resource, writer.Parameters, writer.Arguments)
			}
			if err == nil {
				err = r.prepareStates(state.ItemProcessor.States)
			}
		}
		if err != nil {
			return fmt.Errorf("state %q: %w", name, err)
		}
	}
	return nil
}

// prepareCall makes ready what a call names, whichever language its parameters are in.
func (r *Router) prepareCall(resource string, parameters map[string]any, arguments any) error {
	if arguments != nil {
		given, is := arguments.(map[string]any)
		if !is {
			return nil // an expression makes them as a whole: they are checked when it is called
		}
		parameters = given
	}
	return integrations[asl.IntegrationName(resource)].prepare(r, parameters)
}

// decode reads a task's parameters into a struct; a field that the struct doesn't have is an error.
func decode(parameters any, into any) error {
	text, err := json.Marshal(parameters)
	if err != nil {
		return fmt.Errorf("reading the parameters: %w", err)
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("%w: %w", errParameters, err)
	}
	return nil
}

// ExecutionARN is the ARN of an execution of a state machine.
func ExecutionARN(machine, name string) string {
	return strings.Replace(machine, ":stateMachine:", ":execution:", 1) + ":" + name
}
