package machine_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/machine"
)

// The first task runs on Spot, the next one on demand: Spot may have no capacity, or take back what it gave.
func TestSpotFallsBackToOnDemand(t *testing.T) {
	t.Parallel()
	capacity := func(call asl.Call) string {
		parameters := call.Parameters.(map[string]any)
		assert.NotContains(t, parameters, "LaunchType", "which excludes a strategy")
		providers, _ := parameters["CapacityProviderStrategy"].([]any)
		if !assert.Len(t, providers, 1) {
			return ""
		}
		only, _ := providers[0].(map[string]any)
		name, _ := only["CapacityProvider"].(string)
		return name
	}
	const spot, onDemand = "FARGATE_SPOT", "FARGATE"
	for _, limit := range []bool{false, true} {
		for name, first := range map[string]asl.Integration{
			"taken back":    stops("SpotInterruption", `{"ExitCode":75,"Name":"processor"}`),
			"never started": stops("TaskFailedToStart", `{"Name":"processor"}`),
			"no capacity":   fails("AmazonECS.Unknown", `{"Failures":[{"Reason":"Capacity is unavailable at this time"}]}`),
			"refused":       fails("ECS.AmazonECSException", "You've reached the limit on the number of tasks"),
		} {
			t.Run(fmt.Sprintf("%s, limit %v", name, limit), func(t *testing.T) {
				t.Parallel()
				r := described()
				onFargate(&r).Spot = true
				if limit {
					limited(&r, 1, 1)
				}
				task := func(ctx context.Context, call asl.Call) (any, error) {
					if capacity(call) == spot {
						return first(ctx, call)
					}
					return exits(0)(ctx, call)
				}
				o := execution{routing: r, random: 1, services: services{ecs: task}}.run(t, event(t, ofSize(large)))
				requireSucceeded(t, o)
				calls := o.of(machine.ResourceECS)
				assert.Equal(t, spot, capacity(calls[0]))
				assert.Equal(t, onDemand, capacity(calls[len(calls)-1]))
			})
		}
	}
	t.Run("by token", func(t *testing.T) {
		t.Parallel()
		for _, name := range []string{"AmazonECS.Unknown", "Upload.Interrupted", asl.ErrorHeartbeatTimeout} {
			r := described()
			onFargate(&r).Spot, r.TaskCallback = true, true
			task := func(ctx context.Context, call asl.Call) (any, error) {
				if capacity(call) == spot {
					return nil, &asl.Error{Name: name, Cause: "no"}
				}
				return tells("done")(ctx, call)
			}
			requireSucceeded(t, execution{routing: r, random: 1, services: services{token: task}}.run(t, event(t, ofSize(large))))
		}
	})
	t.Run("what fails for good runs once", func(t *testing.T) {
		t.Parallel()
		r := described()
		onFargate(&r).Spot = true
		o := execution{routing: r, random: 1, services: services{ecs: exits(70)}}.run(t, event(t, ofSize(large)))
		requireFailed(t, o, asl.ErrorTaskFailed)
		assert.Len(t, o.of(machine.ResourceECS), 1)
	})
}
