//go:build !race

// These evaluate the program, as those of cost_test.go do.

package operate_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awstest"
	"example.com/upload-router/operate"
)

func TestDoctorHasIAMSimulateTheDeployersPermissions(t *testing.T) { //nolint:paralleltest // It sets the environment.
	const (
		command   = "upload-router deployer-policy --stack dev, which prints what the credentials must be allowed"
		account   = awstest.Account
		middle    = "a deployment that lacks a permission ends in its middle"
		user      = "user/ann"
		refused   = "api error AccessDenied: " + "AccessDenied: refused by the test"
		noSession = "not known: IAM simulates the policies of users and roles only, and these are arn:aws:sts::" + account + ":federated-user/ann"
	)
	for name, c := range map[string]struct { //nolint:paralleltest // See above.
		play    string
		prepare func(*awstest.Server)
		want    operate.Check
	}{
		"the root user": {
			"good", func(s *awstest.Server) { s.Caller("arn:aws:iam::" + account + ":root") },
			operate.Check{Status: operate.CheckOK, Found: "the account's root user, whom no policy of the account limits"},
		},
		"a user who may": {
			"good", func(*awstest.Server) {}, operate.Check{Status: operate.CheckOK, Found: user + " may do all of "},
		},
		"a role that may": {
			"good", func(s *awstest.Server) { s.Caller("arn:aws:sts::" + account + ":assumed-role/Deploy/session") },
			operate.Check{Status: operate.CheckOK, Found: "role/some/path/Deploy may do all of "},
		},
		"a role that can't be looked at": {
			"good", func(s *awstest.Server) {
				s.Caller("arn:aws:sts::" + account + ":assumed-role/Deploy/session")
				s.Refuse("AccessDenied", "GetRole")
			},
			operate.Check{Status: operate.CheckOK, Found: "role/Deploy may do all of "},
		},
		"a role of IAM Identity Center that can't be looked at": {
			"good", func(s *awstest.Server) {
				s.Caller("arn:aws:sts::" + account + ":assumed-role/AWSReservedSSO_Admin_0123456789abcdef/ann")
				s.Refuse("AccessDenied", "GetRole")
			},
			operate.Check{
				Status: operate.CheckUnknown, Found: refused,
				Why: "it could not be asked; a deployment may succeed",
				Fix: "give the credentials the permission iam:SimulatePrincipalPolicy, or look there yourself",
			},
		},
		"a federated user": {
			"good", func(s *awstest.Server) { s.Caller("arn:aws:sts::" + account + ":federated-user/ann") },
			operate.Check{Status: operate.CheckUnknown, Found: noSession, Why: middle, Fix: command},
		},
		"a user who may not": {
			"good", func(s *awstest.Server) { s.Deny("", "iam:CreateRole") },
			operate.Check{
				Status: operate.CheckFailed, Why: middle, Fix: command,
				Found: "IAM's simulator says that user/ann may not iam:CreateRole on arn:aws:iam::" + account +
					":role/upload-router-dev-backfill-role-0123456 (implicitDeny), iam:CreateRole on arn:aws:iam::" + account +
					":role/upload-router-dev-function-role-0123456 (implicitDeny), iam:CreateRole on arn:aws:iam::" + account +
					":role/upload-router-dev-sweep-role-0123456 (implicitDeny) and 4 more",
			},
		},
		"an organization that doesn't allow it": {
			"good", func(s *awstest.Server) { s.Deny("organization", "ecs:CreateCluster") },
			operate.Check{
				Status: operate.CheckFailed, Why: middle, Fix: command,
				Found: "IAM's simulator says that user/ann may not ecs:CreateCluster on arn:aws:ecs:eu-central-1:" + account +
					":cluster/upload-router-dev-task-cluster-0123456 (by the organization's policies)",
			},
		},
		"a boundary that doesn't allow it": {
			"good", func(s *awstest.Server) { s.Deny("boundary", "ecs:CreateCluster") },
			operate.Check{
				Status: operate.CheckFailed, Why: middle, Fix: command,
				Found: "IAM's simulator says that user/ann may not ecs:CreateCluster on arn:aws:ecs:eu-central-1:" + account +
					":cluster/upload-router-dev-task-cluster-0123456 (by the permissions boundary)",
			},
		},
		"a permission that depends on what isn't known": {
			"good", func(s *awstest.Server) { s.DependOn("aws:MultiFactorAuthPresent", "ecs:CreateCluster") },
			operate.Check{
				Status: operate.CheckUnknown, Why: "IAM's simulator doesn't know these values; a deployment may succeed", Fix: command,
				Found: "user/ann may, or may not, ecs:CreateCluster on arn:aws:ecs:eu-central-1:" + account +
					":cluster/upload-router-dev-task-cluster-0123456: it depends on aws:MultiFactorAuthPresent",
			},
		},
		"a simulator that may not be asked": {
			"good", func(s *awstest.Server) { s.Refuse("AccessDenied", "SimulatePrincipalPolicy") },
			operate.Check{
				Status: operate.CheckUnknown, Found: refused,
				Why: "it could not be asked; a deployment may succeed",
				Fix: "give the credentials the permission iam:SimulatePrincipalPolicy, or look there yourself",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := examine(t, c.play, "{"+imageConfig+"}", c.prepare)
			check := d.Checks[len(d.Checks)-1]
			c.want.Name = "Deployer's permissions"
			if c.want.Status == operate.CheckOK {
				require.Contains(t, check.Found, c.want.Found)
				c.want.Found = check.Found
			}
			require.Equal(t, c.want, check)
			require.Equal(t, c.want.Status != operate.CheckFailed, d.Ready())
		})
	}
}

// Case S13: names and keys are those of the project as it is called.
func TestDoctorSimulatesForTheProjectsName(t *testing.T) { //nolint:paralleltest // It sets the environment.
	region, _, _ := strings.Cut(imageConfig, ",")
	for name, config := range map[string]string{ //nolint:paralleltest // See above.
		"keys of its own": strings.ReplaceAll(imageConfig, "upload-router:image", "team-a:image") + `,"team-a:lambdaMemory":{"value":"256"}`,
		"no keys":         region,
		"a network that is there": region + `,"team-a:network":{"value":"existing"},"team-a:vpcId":{"value":"vpc-0123abcd"},` +
			`"team-a:subnetIds":{"value":"[\"subnet-0123abcd\",\"subnet-4567abcd\"]"}`,
	} {
		t.Run(name, func(t *testing.T) {
			d := examineProject(t, "team-a", "good", "{"+config+"}", func(s *awstest.Server) { s.Deny("", "ecs:CreateCluster") })
			check := d.Checks[len(d.Checks)-1]
			require.Equal(t, "IAM's simulator says that user/ann may not ecs:CreateCluster on arn:aws:ecs:eu-central-1:"+awstest.Account+
				":cluster/team-a-dev-task-cluster-0123456 (implicitDeny)", check.Found)
		})
	}
}
