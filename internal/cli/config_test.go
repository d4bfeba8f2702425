package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/settings"
	"example.com/upload-router/operate"
)

// writeProject makes a project in a folder of its own.
func writeProject(t *testing.T, project, stack string) string {
	t.Helper()
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "Pulumi.yaml"), []byte(project), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "Pulumi.dev.yaml"), []byte(stack), 0o600))
	return folder
}

// What is nearer goes before what is farther, as with Pulumi; S7: a blank value takes the key's default.
func TestConfigurationIsWhatPulumiWouldHandOver(t *testing.T) {
	t.Parallel()
	const project = "name: upload-router\nruntime: go\nconfig:\n  lambdaMemory: 256\n  taskCpu: 512\n  aws:region: eu-west-1\n"
	folder := writeProject(t, project, "config:\n  upload-router:taskCpu: 2048\n  upload-router:taskMemory: 4096\n")
	c, err := configurationOf(folder, "dev", []string{"taskMemory=5120", "upload-router:lambdaTimeout=7"})
	require.NoError(t, err)
	require.Equal(t, map[string]string{
		"lambdaMemory": "256", "taskCpu": "2048", "taskMemory": "5120", "lambdaTimeout": "7", "aws:region": "eu-west-1",
	}, c.values)
	require.Equal(t, []any{"upload-router", "dev", "eu-west-1", 256}, []any{c.project, c.stack, c.region, c.settings.LambdaMemory})

	folder = writeProject(t, project, "config:\n  upload-router:lambdaMemory:\n  upload-router:stateMachineName:\n  aws:region:\n")
	c, err = configurationOf(folder, "dev", nil)
	require.NoError(t, err)
	require.Equal(t, []any{512, "", defaultRegion}, []any{c.settings.LambdaMemory, c.settings.StateMachineName, c.region})
	c, err = configurationOf(folder, "", []string{"lambdaMemory="})
	require.NoError(t, err)
	require.Equal(t, []any{512, "eu-west-1", defaultStack}, []any{c.settings.LambdaMemory, c.region, c.stack})
}

// What a flag gives isn't in any file that `pulumi config` would change.
func TestWhatAFlagGivesIsFixedByTheFlag(t *testing.T) {
	t.Parallel()
	folder := writeProject(t, "name: upload-router\nruntime: go\n", "config:\n  upload-router:lambdaMemory: 7\n")
	_, err := configurationOf(folder, "dev", []string{"lambdaTimeout=060", "vpcCidr=10.0.0.0/16", "network=default", "nothing=1"})
	for _, want := range []string{
		"to fix it: --config lambdaTimeout=60\n", "to fix it: leave out --config vpcCidr\n", "to fix it: leave out --config nothing",
		"to fix it: pulumi config set lambdaMemory ",
	} {
		require.ErrorContains(t, err, want)
	}
}

// A list or an object is given whole; what people try is the path that `pulumi config set --path` takes.
func TestAFlagsProblemIsFixedByWhatTheFlagTakes(t *testing.T) {
	t.Parallel()
	const whole = " (a list or an object is given whole, as JSON)"
	folder := writeProject(t, "name: upload-router\nruntime: go\n", "")
	for name, row := range map[string]struct {
		flags []string
		want  []string
	}{
		"an element":         {[]string{"notify[0]=x@y.z"}, []string{`--config 'notify=["x@y.z"]'` + whole}},
		"a tag":              {[]string{"tags.owner=me"}, []string{`--config 'tags={"owner":"me"}'` + whole}},
		"a text for a list":  {[]string{"notify=x@y.z"}, []string{`--config 'notify=["x@y.z"]'`}},
		"a typing error":     {[]string{"lambdaMemroy=256"}, []string{"--config lambdaMemory=256"}},
		"another key's":      {[]string{"aws:regoin=eu-west-1"}, []string{"--config aws:region=eu-west-1"}},
		"a wrong element":    {[]string{`notify=["a@y.z","b"]`}, []string{`--config 'notify=["a@y.z","ops@example.com"]'`}},
		"an element twice":   {[]string{`notify=["a@y.z","a@y.z"]`}, []string{`--config 'notify=["a@y.z"]'`}},
		"a namespace":        {[]string{"team-a:taskCpu=512"}, []string{"--config taskCpu=512"}},
		"a switch":           {[]string{"protect=yes"}, []string{"--config protect=true"}},
		"what another needs": {[]string{"vpcId=vpc-0a1b2c3d"}, []string{"--config network=existing"}},
		"a field": {
			[]string{`egress=[{"protocol":"UDP","port":"53","cidr":"10.0.0.0/8"}]`},
			[]string{`--config 'egress=[{"cidr":"10.0.0.0/8","port":"53","protocol":"udp"}]'`},
		},
		"several elements": {
			[]string{"notify[0]=x@y.z", "notify[1]=z@y.x"},
			[]string{`--config 'notify=["x@y.z","z@y.x"]'` + whole, `--config 'notify=["x@y.z","z@y.x"]'` + whole},
		},
		"the default of what isn't given": {
			[]string{"taskTimeout=6000"}, []string{"pulumi config set executionTimeout 12528 --stack dev"},
		},
		"far beyond": {[]string{"notify[999999999999]=x@y.z"}, []string{`--config 'notify=["x@y.z"]'` + whole}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := configurationOf(folder, "dev", row.flags)
			var invalid *settings.InvalidError
			require.ErrorAs(t, err, &invalid)
			var fixes []string
			for _, problem := range invalid.Problems {
				fixes = append(fixes, problem.Fix.String())
			}
			require.Equal(t, row.want, fixes)
		})
	}
	_, err := configurationOf(folder, "", []string{"taskTimeout=6000"})
	require.ErrorContains(t, err, "to fix it: --config executionTimeout=12528", "no file is read")
}

// Case S13.
func TestS13ARenamedProjectKeepsItsConfiguration(t *testing.T) {
	t.Parallel()
	const project = "name: team-a\nruntime: go\n"
	folder := writeProject(t, project, "config:\n  team-a:lambdaMemory: 7\n")
	_, err := configurationOf(folder, "dev", nil)
	require.ErrorContains(t, err, "team-a:lambdaMemory: 7: must be a whole number of MB from 128 to 10240")
	c, err := configurationOf(folder, "dev", []string{"team-a:lambdaMemory=256"})
	require.NoError(t, err)
	require.Equal(t, []any{"team-a", 256}, []any{c.project, c.settings.LambdaMemory})

	folder = writeProject(t, project, "config:\n  upload-router:lambdaMemory: 256\n")
	_, err = configurationOf(folder, "dev", nil)
	require.ErrorContains(t, err, "upload-router:lambdaMemory: is not read, since the project is called team-a (name: in Pulumi.yaml)")
	_, err = configurationOf(folder, "", []string{"upload-router:lambdaMemory=256"})
	require.ErrorContains(t, err, "is not read, since the project is called team-a")
}

// Case S8. Each command that reads a configuration refuses the same, before anything slow; init, which takes Pulumi, has a test of its
// own, TestInitRefusesAllThatIsWrongAtOnce.
func TestS8EveryCommandRefusesWhatIsNoKey(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newSession(t)
	file := filepath.Join(t.TempDir(), "report.pdf")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, command := range [][]string{
		{"try"}, {"cost"}, {"diagram"}, {"send", "--local", file}, {"deployer-policy"}, {"check-aws"},
	} {
		for assignment, want := range map[string]string{
			"sizeThreshhold=20MB": "upload-router:sizeThreshhold: there is no such key, did you mean sizeThreshold?",
			"notify[0]=x":         "upload-router:notify[0]: there is no such key, did you mean notify?",
			"lambdaTimeout=060":   "upload-router:lambdaTimeout: 060: must be a whole number of seconds from 1 to 900, without a zero in front",
			"aws:region=nowhere":  "aws:region: nowhere: must be a Region such as eu-central-1",
			"team-a:lambdaMemory": "--config team-a:lambdaMemory: write it as key=value",
			"team-a:taskCpu=512":  "team-a:taskCpu: is not read, since the project is called upload-router",
			`tags={"a":1,"a":2}`:  "upload-router:tags: {\"a\":1,\"a\":2}: must have each key once, and has a twice",
		} {
			a := s.runIn(t.Context(), "", append(command, "--config", assignment)...)
			require.Equal(t, exitUsage, a.code, "%v %s: %s", command, assignment, a.out)
			require.Contains(t, a.out, want, "%v", command)
		}
	}
}

// Case S9.
func TestS9NumbersOfFlagsHaveBounds(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newSession(t)
	file := filepath.Join(t.TempDir(), "report.pdf")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, row := range []struct{ command, argument, flag, value string }{
		{"send", file, "--parallel", "0"}, {"send", file, "--parallel", "-1"}, {"send", file, "--start-timeout", "-1s"},
		{"send", file, "--part-size", "NaN"}, {"send", file, "--part-size", "-5MiB"}, {"send", file, "--part-size", "6GiB"},
		{"send", file, "--part-size", "08MiB"},
		{"executions", "--json", "--since", "-1h"}, {"executions", "--json", "--limit", "-1"}, {"redrive", "--failed", "--since", "0s"},
		{"logs", "key", "--since", "-1h"}, {"logs", "key", "--since", "NaN"},
		{"verify", "--json", "--timeout", "0s"}, {"verify", "--json", "--start-timeout", "-1s"},
	} {
		a := s.runIn(t.Context(), "", row.command, row.argument, row.flag+"="+row.value)
		require.Equal(t, exitUsage, a.code, "%v: %s", row, a.out)
		require.Contains(t, a.out, row.flag, "%v", row)
	}
}

// What --config gave to init is no part of a stack's file yet, which `pulumi config` would change.
func TestInitFixesWhatConfigGaveByConfig(t *testing.T) {
	t.Parallel()
	for want, flags := range map[string][]string{
		"to fix it: --config aws:region=eu-central-1":              {"aws:region=nowhere"},
		"to fix it: --config lambdaMemory=512":                     {"aws:region=eu-central-1", "upload-router:lambdaMemory=7"},
		"to fix it: --config executionTimeout=":                    {"aws:region=eu-central-1", "taskTimeout=99999"},
		"to fix it: --config 'notify=[\"ops@example.com\"]'":       {"aws:region=eu-central-1", `notify=["x"]`},
		"to fix it: --config 'tags={\"owner\":\"x\"}'":             {"aws:region=eu-central-1", "tags.owner=x"},
		"to fix it: leave out --config deduplicate":                {"aws:region=eu-central-1", "deduplicate=true"},
		"wrong input: invalid configuration: 1 problem, nothing w": {"aws:region=eu-central-1", "network=vpc"},
	} {
		given, err := assignments("upload-router", flags)
		require.NoError(t, err)
		o := initOptions{project: "upload-router"}
		values := map[string]string{}
		for key, value := range given {
			values[o.fullKey(key)] = value
		}
		fixes := fixer{given: given, above: true}
		err = fixes.apply(checked("upload-router", "dev", values))
		require.ErrorIs(t, err, operate.ErrInput)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "pulumi config")
	}
}
