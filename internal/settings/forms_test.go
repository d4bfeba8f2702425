package settings_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/settings"
)

// Case S7. Pulumi hands a key that was left blank over as an empty text (https://github.com/pulumi/pulumi/pull/19483).
func TestS7ABlankValueIsUnset(t *testing.T) {
	t.Parallel()
	defaults := mustLoad(t, config{})
	all := config{}
	for _, key := range settings.Keys() {
		all[key.Name] = ""
		t.Run(key.Name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, defaults, mustLoad(t, config{key.Name: ""}))
		})
	}
	require.Equal(t, defaults, mustLoad(t, all))
	all["aws:region"] = ""
	loaded, err := settings.LoadMap(settings.Namespace, all)
	require.NoError(t, err)
	require.Equal(t, defaults, loaded)
	_, err = settings.LoadMap(settings.Namespace, config{"stateMachineName": "null"})
	require.NoError(t, err, "the text is a name like any other, and comes from nowhere by itself")
}

// Case S12. YAML takes 021 for 17, and most people for 21: whoever writes it in quotes, or on the command line, is asked.
func TestS12NoNumberBeginsWithAZero(t *testing.T) {
	t.Parallel()
	refused := func(t *testing.T, base config, key, value string) {
		t.Helper()
		problems := problemsOf(t, base.with(key, value))
		require.Len(t, problems, 1)
		assert.Equal(t, value, problems[0].Value)
		assert.Contains(t, problems[0].Rule, "without a zero in front")
	}
	for _, key := range settings.Keys() {
		if key.Type != settings.TypeInteger {
			continue
		}
		t.Run(key.Name, func(t *testing.T) {
			t.Parallel()
			base := baseOf(key)
			refused(t, base, key.Name, "0"+key.Example)
			for _, value := range []string{"+" + key.Example, key.Example + ".0", "1e3", "0x40", "1_000", "-0", "٦٠", " 60", "NaN", "Inf"} {
				assert.Len(t, problemsOf(t, base.with(key.Name, value)), 1, value)
			}
		})
	}
	for _, row := range [][2]string{
		{"lambdaTimeout", "060"}, {"taskStorage", "021"}, {"sizeThreshold", "021"}, {"sizeThreshold", "06MiB"}, {"sizeThreshold", "00.5KiB"},
	} {
		t.Run(row[0]+"="+row[1], func(t *testing.T) {
			t.Parallel()
			refused(t, config{}, row[0], row[1])
		})
	}
	for _, port := range []string{"0443", "443-0500"} {
		problems := problemsOf(t, config{"egress": `[{"protocol":"tcp","port":"` + port + `","cidr":"0.0.0.0/0"}]`})
		require.Len(t, problems, 1)
		assert.Equal(t, "egress[0].port", problems[0].Key)
		assert.Contains(t, problems[0].Rule, "without a zero in front")
	}
	require.Equal(t, int64(512), mustLoad(t, config{"sizeThreshold": "0.5KiB"}).SizeThreshold)
}

// Case S12. encoding/json takes the last of two, without a word.
func TestS12NoObjectHasAKeyTwice(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		key, value, at, want string
	}{
		"tags":   {"tags", `{"a":"b","a":"c"}`, "tags", "must have each key once, and has a twice"},
		"alike":  {"tags", `{"a":"b","c":"d","a":"b"}`, "tags", "has a twice"},
		"spelt":  {"tags", `{"a":"b","\u0061":"c"}`, "tags", "has a twice"},
		"egress": {"egress", `[{"protocol":"tcp","port":"443","cidr":"10.0.0.0/8","cidr":"0.0.0.0/0"}]`, "egress[0]", "has cidr twice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			problems := problemsOf(t, config{row.key: row.value})
			require.Len(t, problems, 1)
			assert.Equal(t, row.at, problems[0].Key)
			assert.Contains(t, problems[0].Rule, row.want)
		})
	}
}

// Case S12. Whether there is such a Region only AWS knows.
func TestS12ARegionMustBeAbleToBeOne(t *testing.T) {
	t.Parallel()
	for _, region := range []string{
		"", "eu-central-1", "us-gov-west-1", "cn-north-1", "eusc-de-east-1", "us-iso-east-1", "us-isob-east-1", "ap-southeast-7", "zz-north-9",
	} {
		assert.Empty(t, problemsOf(t, config{}, settings.WithRegion(region)), region)
	}
	for _, region := range []string{
		"nowhere", "null", "eu-central", "eu-central-1a", "EU-CENTRAL-1", "eu_central_1", "eu-central-1 ", "eu--1", "1", "eu-central-001",
		"aws-global", "2026-12-31 00:00:00 +0000 UTC",
	} {
		problems := problemsOf(t, config{"kmsKeyArn": keyARN}, settings.WithRegion(region))
		require.Len(t, problems, 1, "what isn't one is compared with nothing")
		assert.Equal(t, "aws:region", problems[0].Key)
		assert.Equal(t, "must be a Region such as eu-central-1", problems[0].Rule)
		assert.Equal(t, "pulumi config set aws:region eu-central-1", problems[0].Fix.String())
	}
	_, err := settings.LoadMap(settings.Namespace, config{"aws:region": "nowhere"})
	require.EqualError(t, err, "invalid configuration: 1 problem, nothing was created\n"+
		"  aws:region: nowhere: must be a Region such as eu-central-1\n    to fix it: pulumi config set aws:region eu-central-1")
}

// Case S13. The namespace of the keys is the project's own name, and what is in another is reported.
func TestS13TheNamespaceIsTheProjects(t *testing.T) {
	t.Parallel()
	loaded, err := settings.LoadMap("team-a", config{
		"team-a:lambdaMemory": "256", "lambdaTimeout": "7", "aws:profile": "x", "docker:host": "y",
	})
	require.NoError(t, err)
	require.Equal(t, []any{256, "7s"}, []any{loaded.LambdaMemory, loaded.LambdaTimeout.String()})
	require.Equal(t, "team-a:notify: nobody will hear of a failure", loaded.Warnings()[0].String())

	for name, row := range map[string]struct {
		project string
		values  config
		want    string
	}{
		"a value": {
			"team-a", config{"team-a:lambdaMemory": "7"},
			"  team-a:lambdaMemory: 7: must be a whole number of MB from 128 to 10240\n    to fix it: pulumi config set lambdaMemory 512",
		},
		"a list": {
			"team-a", config{"team-a:notify": "ops"},
			"  team-a:notify: ops: must be a list of strings\n" +
				`    to fix it: in Pulumi.<stack>.yaml, below config: team-a:notify: ["ops@example.com"]`,
		},
		"misspelt": {
			"team-a", config{"team-a:lambdaMemroy": "7"},
			"  team-a:lambdaMemroy: there is no such key, did you mean lambdaMemory?\n    to fix it: pulumi config rm lambdaMemroy",
		},
		"renamed": {
			"team-a", config{"upload-router:lambdaMemory": "7"},
			"  upload-router:lambdaMemory: is not read, since the project is called team-a (name: in Pulumi.yaml), and so is the namespace of " +
				"its keys\n    to fix it: in Pulumi.<stack>.yaml, write team-a:lambdaMemory in place of upload-router:lambdaMemory",
		},
		"renamed, misspelt": {
			"team-a", config{"upload-router:lambdaMemroy": "7"},
			"  upload-router:lambdaMemroy: is not read, since the project is called team-a (name: in Pulumi.yaml), and so is the namespace of " +
				"its keys\n    to fix it: in Pulumi.<stack>.yaml, write team-a:lambdaMemroy in place of upload-router:lambdaMemroy",
		},
		"renamed back": {
			"upload-router", config{"team-a:network": "private"},
			"  team-a:network: is not read, since the project is called upload-router (name: in Pulumi.yaml), and so is the namespace of " +
				"its keys\n    to fix it: in Pulumi.<stack>.yaml, write upload-router:network in place of team-a:network",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := settings.LoadMap(row.project, row.values)
			require.EqualError(t, err, "invalid configuration: 1 problem, nothing was created\n"+row.want)
		})
	}
	_, err = settings.LoadMap("upload-router", config{"other:key": "x", "aws:tags": "x", "pulumi:tags": "x", "docker:image": "x"})
	require.NoError(t, err, "other packages have keys of their own")
}
