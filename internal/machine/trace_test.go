package machine_test

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/internal/machine"
	"example.com/upload-router/upload"
)

const (
	traceHeader = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"
	unsampled   = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0"
)

// inTrace is an execution that X-Ray traces.
func inTrace(header string) asl.Integration {
	return func(ctx context.Context, call asl.Call) (any, error) {
		out, err := inStatus("RUNNING")(ctx, call)
		if described, ok := out.(map[string]any); ok {
			described["TraceHeader"] = header
		}
		return out, err
	}
}

// Requirement C17: Step Functions hands a container no trace, so the machine looks its own up. Neither a look that fails nor an
// execution that isn't traced keeps a file from being processed.
func TestTheTaskIsToldTheTraceOfItsExecution(t *testing.T) {
	t.Parallel()
	const look = "Look up the trace"
	for name, test := range map[string]struct {
		describe asl.Integration
		header   string
	}{
		"traced":           {inTrace(traceHeader), traceHeader},
		"not kept":         {inTrace(unsampled), unsampled},
		"without a header": {inStatus("RUNNING"), ""},
		"refused":          {fails("Sfn.SfnException", "no"), ""},
		"throttled":        {fails("Sfn.ThrottlingException", "Rate exceeded"), ""},
		"no answer":        {lasting(fails(asl.ErrorTimeout, "")), ""},
		"too much answer":  {fails(asl.ErrorDataLimitExceeded, ""), ""},
	} {
		for _, callback := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				r := described()
				r.Tracing, r.TaskCallback = true, callback
				s := services{describe: test.describe}
				o := execution{routing: r, random: 1, services: s}.run(t, event(t, ofSize(large)))
				requireSucceeded(t, o)
				asked := o.of(machine.ResourceDescribe)
				require.Len(t, asked, 1)
				assert.Equal(t, map[string]any{"ExecutionArn": executionARN}, asked[0].Parameters)
				ran := slices.Concat(o.of(machine.ResourceECS), o.of(machine.ResourceECSCallback))
				require.Len(t, ran, 1)
				variables := environment(t, ran[0])
				require.Contains(t, variables, request.EnvironmentTrace)
				assert.Equal(t, test.header, variables[request.EnvironmentTrace])
				assert.Contains(t, o.states(), look)

				o = execution{routing: r, random: 1, services: s}.run(t, event(t, ofSize(small)))
				requireSucceeded(t, o)
				assert.Empty(t, o.of(machine.ResourceDescribe), "Lambda has it from Step Functions")
			})
		}
	}
}

// Another try is part of the same trace.
func TestTheSecondTaskIsToldTheTraceAsWell(t *testing.T) {
	t.Parallel()
	r := described()
	r.Tracing = true
	s := services{describe: inTrace(traceHeader), ecs: inTurn(exits(upload.ExitRetryable), exits(0))}
	o := execution{routing: r, random: 1, services: s}.run(t, event(t, ofSize(large)))
	requireSucceeded(t, o)
	ran := o.of(machine.ResourceECS)
	require.Len(t, ran, 2)
	for _, call := range ran {
		assert.Equal(t, traceHeader, environment(t, call)[request.EnvironmentTrace])
	}
	assert.Len(t, o.of(machine.ResourceDescribe), 1)
}

func TestWithoutTracingThereIsNoTrace(t *testing.T) {
	t.Parallel()
	o := run(t, services{}, event(t, ofSize(large)))
	requireSucceeded(t, o)
	assert.NotContains(t, environment(t, o.of(machine.ResourceECS)[0]), request.EnvironmentTrace)
	assert.Empty(t, o.of(machine.ResourceDescribe))
}
