package machine_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/factors"
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
// have one, whatever a service leaves out of its answer and however it fails. Of all executions those are run that have three of the
// settings, the services and the input together as none before.
func TestNothingEndsInStatesRuntime(t *testing.T) {
	t.Parallel()
	refused := func(context.Context, asl.Call) (any, error) { return nil, &asl.Error{Name: asl.ErrorTaskFailed} }
	kinds := map[string]services{"as usual": {}, "sparse": sparse()}
	for name, spoil := range map[string]func(*services){
		"lambda": func(s *services) { s.lambda = refused }, "ecs": func(s *services) { s.ecs, s.token = refused, refused },
		"sns": func(s *services) { s.sns = refused }, "update": func(s *services) { s.update = refused },
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
	seen := triples{}
	for _, v := range factors.Variants(factors.Machine()) {
		for _, kind := range slices.Sorted(maps.Keys(kinds)) {
			for n, input := range inputs {
				if !seen.news(v, kind, n) {
					continue
				}
				t.Run(fmt.Sprintf("%s, %s, input %d", v.Name, kind, n), func(t *testing.T) {
					t.Parallel()
					o := execution{routing: routed(v.Route), random: almost, services: kinds[kind]}.run(t, input)
					assert.NotEqual(t, asl.ErrorRuntime, o.Error, o.Cause)
					assert.NotEqual(t, asl.ErrorQueryEvaluation, o.Error, o.Cause)
				})
			}
		}
	}
}

// triples are what executions had together: three of a setting's value, another one's, a kind of services, and an input.
type triples map[[3]string]bool

// news notes what an execution has together, and says whether any three of it are new.
func (seen triples) news(v factors.Variant, kind string, input int) bool {
	has := []string{kind, strconv.Itoa(input)}
	for _, f := range factors.Machine() {
		has = append(has, f.Key+" "+v.Config[f.Key])
	}
	before := len(seen)
	for i := range has {
		for j := range i {
			for k := range j {
				seen[[3]string{has[i], has[j], has[k]}] = true
			}
		}
	}
	return len(seen) > before
}
