package settings_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/settings"
)

func TestErrorTellsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	values := config{
		"bucketName": "My Bucket", "sizeThreshold": "0.3KiB", "taskMemory": "3000", "vpcCidr": "10/8", "notify": `["ops"]`,
		"logRetentionDays": "0", "network": "default", "vpcId": vpc,
		"egress": `[{"protocol":"tcp","port":"443","cidr":"10.1.2.3/8"}]`,
	}
	_, err := settings.Load(values.lookup, settings.WithKeys([]string{"upload-router:sizeTreshold", "bucketName", "aws:region"}))
	require.EqualError(t, err, strings.Join([]string{
		`invalid configuration: 9 problems, nothing was created`,
		`  upload-router:bucketName: My Bucket: may have lowercase letters, digits, periods and hyphens only`,
		`    to fix it: pulumi config set bucketName acme-uploads`,
		`  upload-router:sizeThreshold: 0.3KiB: must be a whole number of bytes, this is 307.20`,
		`    to fix it: pulumi config set sizeThreshold 6MiB`,
		`  upload-router:taskMemory: 3000: with taskCpu 1024 Fargate takes 2048, 3072, … 8192 MiB`,
		`    to fix it: pulumi config set taskMemory 3072`,
		`  upload-router:vpcCidr: 10/8: goes with network create or private only, not with default`,
		`    to fix it: pulumi config rm vpcCidr`,
		`  upload-router:vpcId: vpc-0a1b2c3d4e5f60718: goes with network existing only, not with default`,
		`    to fix it: pulumi config set network existing`,
		`  upload-router:egress[0].cidr: 10.1.2.3/8: must be in network form: 10.0.0.0/8`,
		`    to fix it: pulumi config set --path 'egress[0].cidr' 10.0.0.0/8`,
		`  upload-router:logRetentionDays: 0: must be 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, ` +
			`1096, 1827, 2192, 2557, 2922, 3288 or 3653 days`,
		`    to fix it: pulumi config set logRetentionDays 30`,
		`  upload-router:notify[0]: ops: must be an e-mail address such as ops@example.com, or an SNS topic's ARN`,
		`    to fix it: pulumi config set --path 'notify[0]' ops@example.com`,
		`  upload-router:sizeTreshold: there is no such key, did you mean sizeThreshold?`,
		`    to fix it: pulumi config rm sizeTreshold`,
	}, "\n"))
}

func TestErrorIsOneAmongOthers(t *testing.T) {
	t.Parallel()
	_, err := settings.Load(config{"architecture": "mips"}.lookup)
	require.EqualError(t, err, "invalid configuration: 1 problem, nothing was created\n"+
		"  upload-router:architecture: mips: must be x86_64 or arm64\n"+
		"    to fix it: pulumi config set architecture x86_64")
	require.ErrorIs(t, err, settings.ErrInvalid)
	require.NotErrorIs(t, err, os.ErrNotExist)
	var invalid *settings.InvalidError
	require.ErrorAs(t, fmt.Errorf("starting: %w", err), &invalid)
	require.Equal(t, []settings.Problem{{
		Key: "architecture", Value: "mips", Rule: "must be x86_64 or arm64", Fix: settings.Fix{Path: "architecture", Value: "x86_64"},
	}}, invalid.Problems)
	assert.Equal(t, "upload-router:architecture: mips: must be x86_64 or arm64", invalid.Problems[0].String())
}

func TestValuesAreFitToPrint(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"a\x1b[31mb": `"a\x1b[31mb"`, " a": `" a"`, "a\nb": `"a\nb"`, "\xff": `"\xff"`, "plain text": "plain text",
	} {
		problems := problemsOf(t, config{"architecture": value})
		require.Len(t, problems, 1)
		assert.Equal(t, want, problems[0].Value)
	}
	problems := problemsOf(t, config{"architecture": strings.Repeat("ü", 5000)})
	assert.Equal(t, strings.Repeat("ü", 120)+"…", problems[0].Value)
}

func TestSecretsAreNotPrinted(t *testing.T) {
	t.Parallel()
	const hush = "hush"
	byType := map[settings.Type]string{
		settings.TypeString: "-Hush hush!", settings.TypeInteger: hush, settings.TypeBoolean: hush, settings.TypeArray: `["hush"]`,
		settings.TypeObject: `{"hush!":"hush"}`,
	}
	broken := config{}
	for _, key := range settings.Keys() {
		broken[key.Name] = byType[key.Type]
	}
	broken["egress"] = `[{"protocol":"hush","port":"hush","cidr":"hush","prefixListId":"hush","hush":"hush"},"hush"]`
	broken["buckets"], broken["keys"] = `["-Hush"]`, `["hush**"]`
	broken["backfillPrefix"] = strings.Repeat(hush, 300)
	all := settings.WithSecrets(func(string) bool { return true })
	_, err := settings.Load(broken.lookup, all)
	require.ErrorIs(t, err, settings.ErrInvalid)
	assert.NotContains(t, strings.ToLower(err.Error()), hush)
	for _, key := range settings.Keys() {
		assert.Contains(t, err.Error(), "upload-router:"+key.Name)
	}
	_, err = settings.Load(broken.lookup)
	assert.Contains(t, err.Error(), hush, "what is no secret is shown")
}

func TestSecretsAreNotPrintedByOtherKeys(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		secret string
		values config
	}{
		{"taskCpu", config{"taskCpu": "4096", "taskMemory": "3000"}},
		{"taskTimeout", config{"taskTimeout": "3777", "executionTimeout": "60"}},
		{"lambdaTimeout", config{"lambdaTimeout": "877", "executionTimeout": "60"}},
		{"vpcId", config{"vpcId": "vpc-99999999"}},
		{"kmsKeyArn", config{"kmsKeyArn": keyARN + "0"}},
	} {
		t.Run(row.secret, func(t *testing.T) {
			t.Parallel()
			_, err := settings.Load(row.values.lookup, settings.WithSecrets(func(key string) bool { return key == row.secret }))
			require.ErrorIs(t, err, settings.ErrInvalid)
			assert.NotContains(t, err.Error(), row.values[row.secret])
		})
	}
}

func TestUnknownKeys(t *testing.T) {
	t.Parallel()
	unknown := func(keys ...string) []settings.Problem { return problemsOf(t, config{}, settings.WithKeys(keys)) }
	known := make([]string, 0, 2*len(settings.Keys()))
	for _, key := range settings.Keys() {
		known = append(known, key.Name, "upload-router:"+key.Name)
	}
	assert.Empty(t, unknown(append(known, "aws:region", "pulumi:tags")...))
	assert.Empty(t, unknown())

	for key, want := range map[string]string{
		"sizeTreshold": "sizeThreshold", "bucketname": "bucketName", "TaskCPU": "taskCpu", "vpcID": "vpcId", "subnetId": "subnetIds",
		"logRetention": "logRetentionDays", "region": "", "taskMemroy": "taskMemory", "upload-router:imgae": "image", "": "",
		"notify[0]": "notify", "sizeThreshhold": "sizeThreshold",
	} {
		problems := unknown(key)
		require.Len(t, problems, 1, key)
		if want == "" {
			assert.Contains(t, problems[0].Rule, "docs/configuration.md", key)
			continue
		}
		assert.Equal(t, "there is no such key, did you mean "+want+"?", problems[0].Rule)
	}
	problems := unknown("zz", "aa")
	require.Len(t, problems, 2)
	assert.Equal(t, []string{"aa", "zz"}, []string{problems[0].Key, problems[1].Key})
	assert.Empty(t, problems[0].Value, "what an unknown key holds may be a secret")
}

func FuzzLoad(f *testing.F) {
	for _, key := range settings.Keys() {
		f.Add(key.Name, key.Example)
		f.Add(key.Name, "")
		f.Add(key.Name, `[{"protocol":"tcp","port":"443","cidr":"0.0.0.0/0"},null,1,""]`)
	}
	f.Add("sizeThreshold", "1.5EiB")
	f.Add("egress", `[{"protocol":null,"port":-1,"cidr":"::/0","\u0000":[]}]`)
	f.Fuzz(func(t *testing.T, key, value string) {
		loaded, err := settings.Load(config{key: value}.lookup, settings.WithKeys([]string{key}))
		if err == nil {
			require.NotNil(t, loaded)
			require.GreaterOrEqual(t, loaded.SizeThreshold, int64(0))
			require.LessOrEqual(t, loaded.SizeThreshold, settings.MaxObjectSize)
			require.GreaterOrEqual(t, loaded.ExecutionTimeout, loaded.Machine().MinExecutionTimeout())
			return
		}
		require.Nil(t, loaded)
		require.ErrorIs(t, err, settings.ErrInvalid)
		require.True(t, utf8.ValidString(err.Error()))
		require.NotContains(t, err.Error(), "\x1b")
	})
}
