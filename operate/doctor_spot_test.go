//go:build !race

// These evaluate the program, as those of cost_test.go do.

package operate_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awstest"
	"example.com/upload-router/operate"
)

// Source: hashicorp/terraform-provider-aws#15452.
func TestDoctorLooksForECSsOwnRoleWithSpot(t *testing.T) { //nolint:paralleltest // It sets the environment.
	for name, test := range map[string]struct { //nolint:paralleltest // See above.
		config  string
		prepare func(*awstest.Server)
		want    []operate.Check
	}{
		"on demand, in an account that never had a cluster": {
			imageConfig, func(s *awstest.Server) { s.Break(awstest.LackECSRole) }, nil,
		},
		"on Spot": {
			with("taskCapacity", "spot"), func(*awstest.Server) {},
			[]operate.Check{{Name: "ECS's own role", Found: "AWSServiceRoleForECS", Status: operate.CheckOK}},
		},
		"on Spot, in an account that never had a cluster": {
			with("taskCapacity", "spot"), func(s *awstest.Server) { s.Break(awstest.LackECSRole) },
			[]operate.Check{{
				Name: "ECS's own role", Found: "there is no role AWSServiceRoleForECS", Status: operate.CheckFailed,
				Why: "taskCapacity is spot: ECS gives the cluster its capacity providers by it, and would only begin to make it with the cluster",
				Fix: "aws iam create-service-linked-role --aws-service-name ecs.amazonaws.com",
			}},
		},
		"on Spot by a route of its own": {
			with("routes", `[{"name":"large","compute":"fargate","capacity":"spot"}]`),
			func(s *awstest.Server) { s.Break(awstest.LackECSRole) },
			[]operate.Check{{
				Name: "ECS's own role", Found: "there is no role AWSServiceRoleForECS", Status: operate.CheckFailed,
				Why: "routes[0].capacity is spot: ECS gives the cluster its capacity providers by it, and would only begin to make it with the " +
					"cluster",
				Fix: "aws iam create-service-linked-role --aws-service-name ecs.amazonaws.com",
			}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := examine(t, "good", "{"+test.config+"}", test.prepare)
			got := slices.DeleteFunc(slices.Clone(d.Checks), func(c operate.Check) bool { return c.Name != "ECS's own role" })
			require.ElementsMatch(t, test.want, got)
		})
	}
}
