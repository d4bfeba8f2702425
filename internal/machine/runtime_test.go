package machine_test

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"example.com/upload-router/internal/asl"
)

// sparse answers with no more than each service always gives.
func sparse() services {
	return services{
		lambda: func(context.Context, asl.Call) (any, error) { return map[string]any{"Payload": nil}, nil },
		ecs: func(context.Context, asl.Call) (any, error) {
			return map[string]any{"TaskArn": "arn:aws:ecs:task"}, nil
		},
		token: func(context.Context, asl.Call) (any, error) { return nil, nil },
		sns:   func(context.Context, asl.Call) (any, error) { return map[string]any{}, nil },
	}
}

// A path to what is missing is States.Runtime, which no Catch takes: the file would end without a notice. So no variant may
// have one, whatever a service leaves out of its answer and however it fails.
func TestNothingEndsInStatesRuntime(t *testing.T) {
	t.Parallel()
	refused := func(context.Context, asl.Call) (any, error) { return nil, &asl.Error{Name: asl.ErrorTaskFailed} }
	kinds := map[string]services{"as usual": {}, "sparse": sparse()}
	for name, spoil := range map[string]func(*services){
		"lambda": func(s *services) { s.lambda = refused }, "ecs": func(s *services) { s.ecs, s.token = refused, refused },
		"sns": func(s *services) { s.sns = refused }, "put": func(s *services) { s.put = refused },
		"get": func(s *services) { s.get = refused }, "update": func(s *services) { s.update = refused },
		"describe": func(s *services) { s.describe = refused },
	} {
		failing := sparse()
		spoil(&failing)
		kinds[name+" refused"] = failing
	}
	all := sparse()
	all.lambda, all.ecs, all.token, all.sns, all.update, all.describe = refused, refused, refused, refused, refused, refused
	kinds["all refused"] = all
	inputs := []string{
		event(t, object{key: "k", size: small}), event(t, object{key: "k", size: large}), event(t, object{key: "k/", size: 0}),
		event(t, object{key: "k", version: "v", etag: "e", size: large}), `{}`,
		`{"detail":{"bucket":{"name":"b"},"object":{"key":"k","size":7000000}}}`,
	}
	for variant, r := range variants() {
		t.Run(variant, func(t *testing.T) {
			t.Parallel()
			for _, kind := range slices.Sorted(maps.Keys(kinds)) {
				for _, input := range inputs {
					o := execution{routing: r, random: almost, services: kinds[kind]}.run(t, input)
					assert.NotEqual(t, asl.ErrorRuntime, o.Error, "%s, %s: %s", kind, input, o.Cause)
					assert.NotEqual(t, asl.ErrorQueryEvaluation, o.Error, "%s, %s: %s", kind, input, o.Cause)
				}
			}
		})
	}
}
