package local

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"example.com/upload-router/internal/declared"
)

var (
	errParameters = errors.New("the local run doesn't know these parameters")
	errNotRun     = errors.New("not run here")
)

// kind is what the local run makes of a kind of resource.
type kind struct {
	// inputs are those that it follows, or that make no difference to it, with spaces between them.
	inputs string
	// ready makes one ready that a state names; nil if no state calls it.
	ready func(*Router, declared.Resource) error
	// created asks for what AWS checks when one is created, and for what services do by themselves later on, which nobody would see fail;
	// nil if there is nothing to ask for.
	created func(*guard, declared.Resource) error
}

// kinds are those that the local run looks at, besides what its policies are read from. It passes over the others that
// internal/declared knows, which [NotChecked] is about. What that doesn't know either isn't run here, and is an error where it is needed.
var kinds = map[string]kind{
	declared.TypeBucketNotification: {inputs: "bucket eventbridge"},
	declared.TypeEventRule:          {inputs: "description eventPattern name scheduleExpression state tags"},
	declared.TypeEventTarget: {
		inputs: "arn deadLetterConfig inputTransformer retryPolicy roleArn rule targetId", created: (*guard).target,
	},
	declared.TypeStateMachine: {
		inputs: "definition encryptionConfiguration loggingConfiguration name roleArn tags tracingConfiguration type", created: (*guard).machine,
	},
	declared.TypeFunction: {
		inputs: "architectures code description environment ephemeralStorage handler imageUri kmsKeyArn loggingConfig memorySize name " +
			"packageType reservedConcurrentExecutions role runtime skipDestroy tags timeout tracingConfig",
		ready: (*Router).startFunction, created: (*guard).function,
	},
	declared.TypeTaskDefinition: {
		inputs: "containerDefinitions cpu ephemeralStorage executionRoleArn family memory networkMode requiresCompatibilities " +
			"runtimePlatform skipDestroy tags taskRoleArn trackLatest volumes",
		ready: (*Router).loadTask,
	},
	declared.TypeTable: {
		inputs: "attributes billingMode deletionProtectionEnabled globalSecondaryIndexes hashKey name pointInTimeRecovery " +
			"rangeKey serverSideEncryption tags ttl",
		ready: (*Router).makeTable,
	},
	declared.TypeLogGroup: {created: (*guard).logGroup},
	declared.TypeAlarm:    {created: (*guard).alarm},
	declared.TypeFlowLog:  {created: (*guard).flowLog},
	declared.TypeSchedule: {created: (*guard).schedule},
}

// find gives the declared resource of a kind whose output has a value. The error matches errNotRun if one of another kind
// has it.
func (r *Router) find(typ, output string, value any) (declared.Resource, error) {
	found, err := r.system.Where(typ, output, value)
	if err == nil {
		return found, nil
	}
	for _, other := range r.system.Resources {
		if other.Custom && other.Type != typ && other.Outputs[output] == value {
			return declared.Resource{}, fmt.Errorf("%w: %s %s", errNotRun, other.Type, other.Name)
		}
	}
	return declared.Resource{}, err //nolint:wrapcheck // Whoever looks for it says what for.
}

// prepare makes the resource ready that a state names by an output, such as the function of an ARN.
func (r *Router) prepare(typ, what, output string, value any) error {
	res, err := r.find(typ, output, value)
	if err != nil {
		return fmt.Errorf("finding the %s %v: %w", what, value, err)
	}
	if r.ready[res.URN] {
		return nil
	}
	r.ready[res.URN] = true
	if err = follows(res); err == nil {
		err = kinds[typ].ready(r, res)
	}
	if err != nil {
		return fmt.Errorf("preparing the %s %s: %w", what, res.Name, err)
	}
	return nil
}

// follows refuses a resource with inputs that the local run would otherwise pass over in silence.
func follows(res declared.Resource) error { return onlyKnown(res.Inputs, kinds[res.Type].inputs) }

// onlyKnown refuses what isn't among the known names, which have spaces between them.
func onlyKnown(given map[string]any, known string) error {
	names := strings.Fields(known)
	var unknown []string
	for name := range given {
		if !slices.Contains(names, strings.TrimSuffix(name, ".$")) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	slices.Sort(unknown)
	return fmt.Errorf("%w: %s", errParameters, strings.Join(unknown, ", "))
}
