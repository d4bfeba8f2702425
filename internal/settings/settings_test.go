package settings_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/components/egress"
	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/settings"
)

// config is a configuration as Pulumi hands it out: every value a string.
type config map[string]string

func (c config) lookup(key string) (string, bool) {
	value, ok := c[key]
	return value, ok
}

// with is the configuration with one more value.
func (c config) with(key, value string) config {
	all := config{key: value}
	for k, v := range c {
		if k != key {
			all[k] = v
		}
	}
	return all
}

// mustLoad loads a configuration that has to be valid.
func mustLoad(t *testing.T, values config) *settings.Settings {
	t.Helper()
	loaded, err := settings.Load(values.lookup)
	require.NoError(t, err)
	return loaded
}

// problemsOf loads a configuration and returns what is wrong with it; nil when nothing is.
func problemsOf(t *testing.T, values config, options ...settings.Option) []settings.Problem {
	t.Helper()
	loaded, err := settings.Load(values.lookup, options...)
	if err == nil {
		require.NotNil(t, loaded)
		return nil
	}
	require.Nil(t, loaded, "settings that are not valid must not get out")
	require.ErrorIs(t, err, settings.ErrInvalid)
	var invalid *settings.InvalidError
	require.ErrorAs(t, err, &invalid)
	require.NotEmpty(t, invalid.Problems)
	return invalid.Problems
}

// rule is one row of a table: a value, and what its only problem must say; an empty text means that the value is valid.
type rule struct{ value, want string }

// checkRules checks rows for one key on top of a base configuration.
func checkRules(t *testing.T, base config, key string, rules []rule) {
	t.Helper()
	t.Helper()
	for _, row := range rules {
		name := row.value
		if len(name) > 40 {
			name = name[:40]
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			problems := problemsOf(t, base.with(key, row.value))
			if row.want == "" {
				require.Empty(t, problems)
				return
			}
			require.Len(t, problems, 1)
			base, _, _ := strings.Cut(problems[0].Key, "[")
			assert.Equal(t, key, base)
			assert.Contains(t, problems[0].Rule, row.want)
			assert.NotEmpty(t, problems[0].Value)
			assert.NotEmpty(t, problems[0].Fix.String())
		})
	}
}

const (
	vpc     = "vpc-0a1b2c3d4e5f60718"
	subnet1 = "subnet-0a1b2c3d4e5f60718"
	subnet2 = "subnet-0b2c3d4e"
	keyARN  = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	topic   = "arn:aws:sns:eu-central-1:123456789012:ops"
)

// existing is a valid configuration of a network that is there already.
func existing() config {
	return config{"network": "existing", "vpcId": vpc, "subnetIds": `["` + subnet1 + `","` + subnet2 + `"]`}
}

// baseOf is a configuration that a key goes with.
func baseOf(key settings.Key) config {
	if key.Only == nil {
		return config{}
	}
	if key.Only.Needed {
		return existing()
	}
	return config{key.Only.Key: key.Only.Values[0]}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	loaded := mustLoad(t, config{})
	assert.Equal(t, int64(6291456), loaded.SizeThreshold, "requirement A1")
	assert.True(t, loaded.AssignPublicIP, "requirement A46")
	assert.Equal(t, []egress.Rule{
		{
			Protocol: "tcp", FromPort: 443, ToPort: 443, CIDR: netip.MustParsePrefix("0.0.0.0/0"),
			Description: "HTTPS to AWS and the image registry",
		},
		{Protocol: "udp", FromPort: 53, ToPort: 53, CIDR: netip.MustParsePrefix("0.0.0.0/0"), Description: "DNS"},
	}, loaded.Egress, "requirement A15")

	without, err := settings.Load(nil)
	require.NoError(t, err)
	require.Equal(t, loaded, without, "no lookup is an empty configuration")
}

// What a field holds that isn't its key's value as it is.
func TestValuesThatTakeAnotherForm(t *testing.T) {
	t.Parallel()
	loaded := mustLoad(t, existing().with("sizeThreshold", "6MB").with("assignPublicIp", "false").with("tags", `{"owner":"us"}`).
		with("egress", `[{"protocol":"tcp","port":"1024-2048","prefixListId":"pl-63a5400a"}]`).with("notify", `["`+topic+`"]`))
	assert.Equal(t, int64(6000000), loaded.SizeThreshold)
	assert.False(t, loaded.AssignPublicIP)
	assert.Equal(t, map[string]string{"owner": "us"}, loaded.Tags)
	assert.Equal(t, []egress.Rule{{Protocol: "tcp", FromPort: 1024, ToPort: 2048, PrefixListID: "pl-63a5400a"}}, loaded.Egress)
	assert.Equal(t, topic, loaded.NotifyTopicARN)
	assert.Empty(t, loaded.NotifyEmails)
	assert.True(t, loaded.Notifies())
	assert.True(t, mustLoad(t, config{"notify": `["ops@example.com"]`}).Notifies())
}

func TestArchitectureNames(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "X86_64", settings.X86.ECS())
	assert.Equal(t, "ARM64", settings.ARM64.ECS())
	assert.Equal(t, "arm64", settings.ARM64.GOARCH())
	assert.Equal(t, "amd64", settings.X86.GOARCH())
}

func TestNameRules(t *testing.T) {
	t.Parallel()
	t.Run("bucketName", func(t *testing.T) {
		t.Parallel()
		checkRules(t, config{}, "bucketName", []rule{
			{"", ""}, {"abc", ""}, {"a-b.c", ""}, {"1bucket", ""}, {strings.Repeat("a", 63), ""}, {"a.1.2.3", ""}, {"1.2.3", ""},
			{"xn-a", ""}, {"asthree-x", ""}, {"my-s3aliases", ""}, {"sthree", ""}, {"canal", ""},
			{"ab", "3 to 63 characters, this has 2"}, {strings.Repeat("a", 64), "this has 64"},
			{"Bucket", "lowercase"}, {"my_bucket", "lowercase"}, {"my bucket", "lowercase"}, {"büro", "lowercase"}, {"abc\n", "lowercase"},
			{"-abc", "begin and end"}, {"abc-", "begin and end"}, {".abc", "begin and end"}, {"abc.", "begin and end"},
			{"a..b", "two periods"},
			{"192.168.5.4", "IP address"}, {"999.999.999.999", "IP address"}, {"01.02.03.04", "IP address"},
			{"xn--abc", "xn--"}, {"sthree-abc", "sthree-"}, {"sthree-configurator", "sthree-"}, {"amzn-s3-demo-abc", "amzn-s3-demo-"},
			{"abc-s3alias", "access point aliases"}, {"abc--ol-s3", "Object Lambda"}, {"abc.mrap", "Multi-Region"},
			{"abc--x-s3", "directory"}, {"abc--table-s3", "table buckets"}, {"abc-123456789012-eu-west-1-an", "regional namespace"},
		})
	})
	t.Run("ecrRepoName", func(t *testing.T) {
		t.Parallel()
		checkRules(t, config{}, "ecrRepoName", []rule{
			{"", ""}, {"ab", ""}, {"a1", ""}, {"team/app", ""}, {"a/1.b_c-d/e", ""}, {strings.Repeat("a", 256), ""},
			{"a", "2 to 256"}, {strings.Repeat("a", 257), "this has 257"},
			{"App", "lowercase"}, {"1app", "begin with a lowercase letter"}, {"-app", "begin"}, {"app-", "single"}, {"a//b", "single"},
			{"a/", "single"}, {"/a", "begin"}, {"a..b", "single"}, {"a__b", "single"}, {"a b", "single"}, {"app:1", "single"},
		})
	})
	t.Run("stateMachineName", func(t *testing.T) {
		t.Parallel()
		rules := make([]rule, 0, 48)
		rules = append(rules, []rule{
			{"", ""}, {"a", ""}, {"My-Machine_1", ""}, {strings.Repeat("a", 80), ""},
			{strings.Repeat("a", 81), "at most 80 characters, this has 81"}, {strings.Repeat("ü", 81), "this has 81"}, {"büro", "may have A-Z"},
			{"a.b", "CloudWatch"},
		}...)
		for _, forbidden := range " \t\n<>{}[]?*\"#%\\^|~`$&,;:/\x00\x1f\x7f\u0085\ufffe" {
			rules = append(rules, rule{"a" + string(forbidden) + "b", "may have A-Z"})
		}
		checkRules(t, config{}, "stateMachineName", rules)
	})
}

func TestSizeThreshold(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"0": 0, "1": 1, "0B": 0, "6291456": 6291456, "6291456B": 6291456, "6MiB": 6291456, "6 MiB": 6291456, "6mib": 6291456, "6MB": 6000000,
		"1.5MiB": 1572864, "1.5KB": 1500, "0.5KiB": 512, "9007199254740B": 9007199254740, "53687091200000": settings.MaxObjectSize,
		"50000GiB": settings.MaxObjectSize, "53.6870912TB": settings.MaxObjectSize,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, want, mustLoad(t, config{"sizeThreshold": text}).SizeThreshold)
		})
	}
	checkRules(t, config{}, "sizeThreshold", []rule{
		{"", ""}, {"-1", "must be a whole number of bytes, or"}, {"big", "must be"}, {"6,000", "must be"},
		{" 6MiB", "must be"}, {"6MiB ", "must be"}, {"+6", "must be"}, {".5MiB", "must be"}, {"0x10", "unit"}, {"6e6", "must be"},
		{"NaN", "must be"}, {strings.Repeat("9", 31), "must be"},
		{"6Mib/s", "must be"}, {"6parsecs", "unit"},
		{"0.5", "whole number of bytes, this is 0.50"}, {"0.3KiB", "this is 307.20"}, {"1.0000001MiB", "whole number"},
		{"53687091200001", "at most 53687091200000"}, {"50001GiB", "at most"}, {"999999EiB", "at most"},
	})
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for _, key := range settings.Keys() {
		if key.Type != settings.TypeInteger || len(key.Values) > 0 {
			continue
		}
		base := baseOf(key).with("executionTimeout", "31536000")
		if key.Name == "ledgerRetentionDays" { // which has to be longer
			base = baseOf(key)
		}
		if key.Name == "executionTimeout" || key.Name == "taskMemory" { // which others bound as well
			continue
		}
		t.Run(key.Name, func(t *testing.T) {
			t.Parallel()
			bounds := fmt.Sprintf("from %d to %d", key.Least, key.Most)
			rules := []rule{
				{strconv.Itoa(key.Least), ""}, {strconv.Itoa(key.Most), ""}, {strconv.Itoa(key.Most + 1), bounds}, {"", ""},
			}
			if key.Least == 1 && key.Zero != "" {
				rules = append(rules, rule{"0", ""}, rule{"-1", "or 0: " + key.Zero})
			} else {
				rules = append(rules, rule{strconv.Itoa(key.Least - 1), bounds})
			}
			for _, text := range []string{"ten", "1.5", "1e2", "+60", " 60", "99999999999999999999"} {
				rules = append(rules, rule{text, bounds})
			}
			checkRules(t, base, key.Name, rules)
		})
	}
}

// fargate is the table of AWS's page, written out here once more so that the one in the code can be wrong.
func fargate() map[string]string {
	return map[string]string{
		"256":  "512 1024 2048",
		"512":  "1024 2048 3072 4096",
		"1024": "2048 3072 4096 5120 6144 7168 8192",
		"2048": "4096 5120 6144 7168 8192 9216 10240 11264 12288 13312 14336 15360 16384",
		"4096": "8192 9216 10240 11264 12288 13312 14336 15360 16384 " +
			"17408 18432 19456 20480 21504 22528 23552 24576 25600 26624 27648 28672 29696 30720",
		"8192":  "16384 20480 24576 28672 32768 36864 40960 45056 49152 53248 57344 61440",
		"16384": "32768 40960 49152 57344 65536 73728 81920 90112 98304 106496 114688 122880",
		"32768": "61440 122880 249856", // 60, 120 and 244 GB, and nothing between
	}
}

func TestFargateTable(t *testing.T) {
	t.Parallel()
	candidates := map[string]bool{"511": true, "1536": true, "2047": true, "18433": true, "131072": true}
	for _, memories := range fargate() {
		for memory := range strings.FieldsSeq(memories) {
			candidates[memory] = true
		}
	}
	for cpu, memories := range fargate() {
		t.Run(cpu, func(t *testing.T) {
			t.Parallel()
			allowed := map[string]bool{}
			for memory := range strings.FieldsSeq(memories) {
				allowed[memory] = true
			}
			for memory := range candidates {
				problems := problemsOf(t, config{"taskCpu": cpu, "taskMemory": memory})
				if allowed[memory] {
					assert.Empty(t, problems, "%s with %s", memory, cpu)
					continue
				}
				if assert.Len(t, problems, 1, "%s with %s", memory, cpu) {
					assert.Equal(t, "taskMemory", problems[0].Key)
					fixed := problems[0].Fix.Value
					assert.True(t, allowed[fixed], "the fix %q must be a value Fargate takes", problems[0].Fix.String())
				}
			}
		})
	}
	checkRules(t, config{}, "taskCpu", []rule{
		{"128", "256, 512, 1024, 2048, 4096, 8192, 16384 or 32768"}, {"65536", "must be 256"}, {"1 vCPU", "must be 256"}, {"", ""},
		{"01024", "must be 256"},
	})
	checkRules(t, config{}, "taskMemory", []rule{
		{"", ""}, {"8GB", "whole number of MiB"}, {"-8192", "whole number of MiB"}, {"0", "whole number of MiB"},
		{"8192.5", "whole number of MiB"},
	})
}

func TestExecutionTimeout(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name                          string
		lambda, task, least, tooShort string
		want                          string
		with                          config
	}{
		{
			// Before each task 5+10+20+40+60 s of refusals, and 30 s between the two. Each of four calls of DynamoDB: four times 5 s, and
			// 1+2+4 s between them.
			"the Fargate route is longer", "60", "1500", "3528", "3527",
			"must be at least 3528: the Fargate route can take 2 tasks of 1500 s (taskTimeout) and waits of 300 s, " +
				"the ledger 108 s, and 120 s are kept to announce a failure", nil,
		},
		{
			// 2+4+8+16+32+64 s between the seven runs.
			"the Lambda route is longer", "900", "600", "6724", "6723",
			"must be at least 6724: the Lambda route can take 7 attempts of 910 s (lambdaTimeout and 10 s) and waits of 126 s, " +
				"the ledger 108 s, and 120 s are kept to announce a failure", nil,
		},
		{
			// A call of DynamoDB of 5 s, and another that is made 13 times, with 1+2+4+8+16+32 s and 6 times 60 s between. The wait for another
			// task's end and a fifth more; and five times 63 s and 5 s: to spread it, the last wait, and three that an error ended.
			"tasks wait for each other", "60", "1500", "6162", "6161",
			"must be at least 6162: the Fargate route can take 2 tasks of 1500 s (taskTimeout) and waits of 300 s, the ledger 108 s, a task " +
				"slot 2634 s, of which 2141 s to wait for another's end (maxParallelTasks), and 120 s are kept to announce a failure",
			config{"maxParallelTasks": "1"},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			base := config{"lambdaTimeout": row.lambda, "taskTimeout": row.task}
			maps.Copy(base, row.with)
			loaded := mustLoad(t, base.with("executionTimeout", row.least))
			assert.Equal(t, loaded.ExecutionTimeout, loaded.Machine().MinExecutionTimeout())

			problems := problemsOf(t, base.with("executionTimeout", row.tooShort))
			require.Equal(t, []settings.Problem{{
				Key: "executionTimeout", Value: row.tooShort, Rule: row.want, Fix: settings.Fix{Path: "executionTimeout", Value: row.least},
			}}, problems)
		})
	}
	checkRules(t, config{}, "executionTimeout", []rule{
		{"31536000", ""}, {"31536001", "from 1 to 31536000"}, {"0", "from 1"}, {"an hour", "from 1"}, {"1", "must be at least 3528"},
	})
}

// A task whose whole time is shorter than the silence that is allowed would never be found missing.
func TestTaskTimeoutMustExceedTheHeartbeat(t *testing.T) {
	t.Parallel()
	checkRules(t, config{"taskCompletion": "callback"}, "taskTimeout", []rule{
		{"301", ""}, {"300", "must be at least 301 with taskCompletion callback"}, {"1", "must be at least 301"},
	})
	checkRules(t, config{"taskCompletion": "sync"}, "taskTimeout", []rule{{"1", ""}})
}

// The ledger must not forget an upload that is being processed.
func TestTheLedgerRemembersWhatIsProcessed(t *testing.T) {
	t.Parallel()
	const tooShort = "must be longer than executionTimeout"
	checkRules(t, config{"executionTimeout": "86340"}, "ledgerRetentionDays", []rule{{"1", ""}, {"0", ""}})
	checkRules(t, config{"executionTimeout": "86341"}, "ledgerRetentionDays", []rule{{"1", tooShort}, {"2", ""}, {"0", ""}})
	require.Equal(t, []settings.Problem{{
		Key: "ledgerRetentionDays", Value: "365", Rule: tooShort + ", or the item of an upload expires while it is being processed",
		Fix: settings.Fix{Path: "ledgerRetentionDays", Value: "366"},
	}}, problemsOf(t, config{"executionTimeout": "31536000", "ledgerRetentionDays": "365"}))
}

// What executionTimeout leaves of itself is there to wait in.
func TestQueueTime(t *testing.T) {
	t.Parallel()
	least := tasks(mustLoad(t, config{"maxParallelTasks": "5", "executionTimeout": "6162"}).Machine())
	assert.Equal(t, 63*time.Second, least.SlotWait())
	assert.GreaterOrEqual(t, least.QueueTime(), 25*time.Minute)
	more := tasks(mustLoad(t, config{"maxParallelTasks": "5", "executionTimeout": "86400"}).Machine())
	assert.Greater(t, more.QueueTime(), 19*time.Hour)
	longest := tasks(mustLoad(t, config{"maxParallelTasks": "5", "executionTimeout": "31536000", "taskTimeout": "9000000"}).Machine())
	assert.GreaterOrEqual(t, longest.QueueTime(), longest.Timeout)
}

// tasks is the route of a size threshold on which tasks run.
func tasks(d machine.Description) machine.Row { return d.Rows()[1] }

// The key that switched on what there always is now.
func TestDeduplicateIsGone(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"true", "false"} {
		problems := problemsOf(t, config{"deduplicate": value}, settings.WithKeys([]string{"deduplicate"}))
		require.Len(t, problems, 1)
		assert.Equal(t, "deduplicate", problems[0].Key)
		assert.Equal(t, "there is no such key any more: each upload is always processed once, whatever its value was: "+
			"the ledger has an item for each, which one execution has at a time", problems[0].Rule)
		assert.True(t, problems[0].Fix.Remove)
	}
}

func TestImage(t *testing.T) {
	t.Parallel()
	digest := "sha256:" + strings.Repeat("0af1", 16)
	checkRules(t, config{}, "image", []rule{
		{"", ""}, {"nginx:1.27", ""}, {"acme/router:v1", ""}, {"localhost:5000/a:1", ""}, {"registry.example.com:5000/a/b_c/d--e:V_1.x-y", ""},
		{"123456789012.dkr.ecr.eu-central-1.amazonaws.com/router:1.0.0", ""}, {"Registry.example.com/a:1", ""},
		{"router@" + digest, ""}, {"host.example/router:latest@" + digest, ""}, {"a:" + strings.Repeat("1", 128), ""},
		{strings.Repeat("a", 253) + ":1", ""}, {strings.Repeat("a", 255) + "@" + digest, ""},
		{strings.Repeat("a", 254) + ":1", "at most 255 characters"}, {strings.Repeat("a", 256) + "@" + digest, "at most 255"},
		{"a:" + strings.Repeat("1", 129), "has a tag"}, {"a:", "has a tag"}, {"a:.1", "has a tag"}, {"a:1 2", "has a tag"},
		{"nginx", "without one it means :latest"}, {"localhost:5000/a", "without one"}, {"nginx:latest", "must not be :latest"},
		{"https://registry.example.com/a:1", "without https://"}, {"Router:1", "image reference"}, {"a/B:1", "image reference"},
		{"host/a//b:1", "image reference"}, {":1", "image reference"}, {"@" + digest, "image reference"}, {"a b:1", "image reference"},
		{"router@sha256:abc", "has a digest"}, {"router@sha512:" + strings.Repeat("0", 128), "has a digest"},
		{"router@" + strings.ToUpper(digest), "has a digest"}, {"router@", "has a digest"}, {"-a:1", "image reference"},
	})
}

func TestDockerfile(t *testing.T) {
	t.Parallel()
	checkRules(t, config{}, "dockerfile", []rule{
		{"", ""}, {"processor/Dockerfile", ""}, {"a/b c/Dockerfile.prod", ""}, {"..a/Dockerfile", ""},
		{"Dockerfile", "in a folder below the project's"}, {"/processor/Dockerfile", "a path from the project's folder"},
		{"./processor/Dockerfile", "a path from the project's folder"}, {"../processor/Dockerfile", "a path from the project's folder"},
		{"processor/../Dockerfile", "a path from the project's folder"}, {"processor/", "a path from the project's folder"},
		{"processor//Dockerfile", "a path from the project's folder"}, {`processor\Dockerfile`, "with slashes"}, {".", "in a folder below"},
	})
}

// An image is either given or built.
func TestAnImageAndADockerfileExcludeEachOther(t *testing.T) {
	t.Parallel()
	problems := problemsOf(t, config{"image": "nginx:1.27", "dockerfile": "processor/Dockerfile"})
	require.Len(t, problems, 1)
	assert.Equal(t, "dockerfile", problems[0].Key)
	assert.Equal(t, "goes without image only: an image is either given or built", problems[0].Rule)
	assert.True(t, problems[0].Fix.Remove)
	assert.Contains(t, problems[0].Fix.String(), "image")
}

// The function runs what Lambda can get, and the user is told where it doesn't.
func TestFunctionImage(t *testing.T) {
	t.Parallel()
	const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	const here = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/a"
	const china = "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/a@" + digest
	for name, row := range map[string]struct{ image, region, want string }{
		"none":                       {"", "eu-central-1", ""},
		"by digest":                  {here + "@" + digest, "eu-central-1", here + "@" + digest},
		"by tag":                     {here + ":1", "eu-central-1", here + ":1"},
		"by both":                    {here + ":1@" + digest, "eu-central-1", here + "@" + digest},
		"a Region that isn't known":  {here + ":1", "", here + ":1"},
		"another Region":             {here + ":1", "eu-west-1", ""},
		"another partition":          {china, "cn-north-1", china},
		"ECR's public registry":      {"public.ecr.aws/x/a:1", "eu-central-1", ""},
		"Docker's":                   {"nginx:1.27", "", ""},
		"by a name for IPv6":         {"123456789012.dkr-ecr.eu-central-1.on.aws/a:1", "eu-central-1", ""},
		"of a registry's name alone": {"a:1", "eu-central-1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			loaded, err := settings.Load(config{"image": row.image, "notify": `["ops@example.com"]`}.lookup, settings.WithRegion(row.region))
			require.NoError(t, err)
			assert.Equal(t, row.want, loaded.FunctionImage(row.region))
			told := slices.ContainsFunc(loaded.Warnings(), func(w settings.Warning) bool {
				return w.Key == "image" && strings.Contains(w.Text, "Lambda takes images from ECR in its own Region alone")
			})
			assert.Equal(t, row.image != "" && row.want == "", told)
		})
	}
}

func TestKMSKeyARN(t *testing.T) {
	t.Parallel()
	id := "1234abcd-12ab-34cd-56ef-1234567890ab"
	checkRules(t, config{}, "kmsKeyArn", []rule{
		{"", ""}, {keyARN, ""}, {"arn:aws:kms:us-east-1:123456789012:key/mrk-" + strings.Repeat("0a", 16), ""},
		{"arn:aws-cn:kms:cn-north-1:123456789012:key/" + id, ""}, {"arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/" + id, ""},
		{"arn:aws-eusc:kms:eusc-de-east-1:123456789012:key/" + id, ""}, {"arn:aws-iso:kms:us-iso-east-1:123456789012:key/" + id, ""},
		{"arn:aws-iso-b:kms:us-isob-east-1:123456789012:key/" + id, ""}, {"arn:aws-iso-e:kms:eu-isoe-west-1:123456789012:key/" + id, ""},
		{"arn:aws-iso-f:kms:us-isof-south-1:123456789012:key/" + id, ""},
		{"arn:aws:kms:eusc-de-east-1:123456789012:key/" + id, "arn:aws-eusc:"},
		{"arn:aws:kms:us-iso-east-1:123456789012:key/" + id, "arn:aws-iso:"},
		{id, "must be an ARN: arn:aws:kms"}, {"alias/mine", "must be an ARN"}, {"arn:aws:kms", "must be an ARN"},
		{"arn:aws:sns:eu-central-1:123456789012:key/" + id, "of kms, this is one of sns"},
		{
			"arn:amazon:kms:eu-central-1:123456789012:key/" + id,
			"one of AWS's partitions, aws, aws-cn, aws-eusc, aws-iso, aws-iso-b, aws-iso-e, aws-iso-f, aws-us-gov",
		},
		{"arn:aws:kms:cn-north-1:123456789012:key/" + id, "arn:aws-cn:"}, {"arn:aws:kms:us-gov-east-1:123456789012:key/" + id, "arn:aws-us-gov:"},
		{"arn:aws-cn:kms:eu-central-1:123456789012:key/" + id, "arn:aws:"},
		{"arn:aws:kms::123456789012:key/" + id, `Region such as eu-central-1, not ""`},
		{"arn:aws:kms:Frankfurt:123456789012:key/" + id, "Region"},
		{"arn:aws:kms:eu-central-1::key/" + id, "12-digit"}, {"arn:aws:kms:eu-central-1:12345678901:key/" + id, "12-digit"},
		{"arn:aws:kms:eu-central-1:123456789012:alias/mine", "not an alias's"},
		{"arn:aws:kms:eu-central-1:123456789012:key/mine", "UUID"}, {"arn:aws:kms:eu-central-1:123456789012:" + id, "UUID"},
		{"arn:aws:kms:eu-central-1:123456789012:key/" + strings.ToUpper(id), "UUID"}, {keyARN + "/x", "UUID"},
	})
}

func TestNotify(t *testing.T) {
	t.Parallel()
	local := strings.Repeat("a", 64)
	list := func(targets ...string) string { return `["` + strings.Join(targets, `","`) + `"]` }
	checkRules(t, config{}, "notify", []rule{
		{"[]", ""}, {list("ops@example.com"), ""}, {list("a@example.com", "b+c@sub.example.co.uk"), ""}, {list(local + "@example.com"), ""},
		{list(topic), ""}, {list("arn:aws-cn:sns:cn-north-1:123456789012:A_b-1"), ""},
		{list("arn:aws-eusc:sns:eusc-de-east-1:123456789012:t"), ""}, {list("arn:aws-iso:sns:us-iso-east-1:123456789012:t"), ""},
		{"", ""}, {"null", "list of strings"}, {"ops@example.com", "list of strings"}, {`"ops@example.com"`, "list of strings"},
		{"[] []", "list of strings"}, {`{"a":1}`, "list of strings"}, {"[", "list of strings"},
		{"[1]", "must be a string"}, {"[null]", "must be a string"}, {`[["a@example.com"]]`, "must be a string"},
		{list(""), "e-mail address such as"}, {list("ops"), "e-mail address such as"}, {list("@example.com"), "e-mail address such as"},
		{list("ops@"), "e-mail address such as"}, {list("a@example.com, b@example.com"), "e-mail address such as"},
		{list("Ops <ops@example.com>"), "plain"}, {list("<ops@example.com>"), "plain"}, {list(" ops@example.com"), "plain"},
		{list(`\"o p s\"@example.com`), "plain"}, {list("ops@localhost"), "full domain"}, {list("ops@[127.0.0.1]"), "full domain"},
		{list("öps@example.com"), "ASCII"}, {list("a" + local + "@example.com"), "at most 64"},
		{list("a@" + strings.Repeat("a.", 125) + "com"), "254"},
		{list("a@example.com", "A@Example.com"), "is in the list already, as notify[0]"},
		{list(topic, "ops@example.com"), "one topic's ARN alone"}, {list(topic, topic+"2"), "one topic's ARN alone"},
		{list(topic + ".fifo"), "standard topic"}, {list(topic + ":1234abcd-12ab-34cd-56ef-1234567890ab"), "not a subscription's"},
		{list("arn:aws:sns:eu-central-1:123456789012:"), "topic's name"}, {list(topic + "é"), "topic's name"},
		{list("arn:aws:sns:eu-central-1:123456789012:" + strings.Repeat("a", 257)), "topic's name"},
		{list("arn:aws:sqs:eu-central-1:123456789012:queue"), "of sns, this is one of sqs"}, {list("arn:aws:sns"), "must be an ARN"},
	})
}

func TestRegion(t *testing.T) {
	t.Parallel()
	values := config{"kmsKeyArn": keyARN, "notify": `["` + topic + `"]`}
	assert.Empty(t, problemsOf(t, values, settings.WithRegion("eu-central-1")))
	assert.Empty(t, problemsOf(t, values, settings.WithRegion("")))

	problems := problemsOf(t, values, settings.WithRegion("eu-west-1"))
	require.Len(t, problems, 2)
	for i, key := range []string{"kmsKeyArn", "notify[0]"} {
		assert.Equal(t, key, problems[i].Key)
		assert.Equal(t, "must be in the stack's Region, eu-west-1, not in eu-central-1", problems[i].Rule)
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	quiet := config{"notify": `["ops@example.com"]`}
	assert.Empty(t, mustLoad(t, quiet).Warnings())

	rules := make([]string, 0, 61)
	for i := range 61 {
		rules = append(rules, `{"protocol":"tcp","port":"443","cidr":"10.0.0.`+strconv.Itoa(i)+`/32"}`)
	}
	for _, row := range []struct{ key, value, want string }{
		{"bucketName", "a.b.c", "TLS certificate"},
		{"sizeThreshold", "4500000000", "within lambdaTimeout"},
		{"image", "123456789012.dkr.ecr.eu-central-1.amazonaws.com/a:1", "a digest cannot"},
		{"image", "nginx@sha256:" + strings.Repeat("0", 64), "Lambda takes images from ECR"},
		{"secretKmsKeyArns", `["` + keyARN + `"]`, "there are no secrets that are encrypted with these keys"},
		{"egress", "[]", "neither pull its image"},
		{"egress", "[" + strings.Join(rules, ",") + "]", "takes 60 rules"},
		{"notify", "[]", "nobody will hear of a failure"},
		{"forceDestroy", "true", "delete every object"},
	} {
		t.Run(row.key, func(t *testing.T) {
			t.Parallel()
			warnings := mustLoad(t, quiet.with(row.key, row.value)).Warnings()
			require.Len(t, warnings, 1)
			assert.Equal(t, row.key, warnings[0].Key)
			assert.Contains(t, warnings[0].Text, row.want)
			assert.Equal(t, "upload-router:"+row.key+": "+warnings[0].Text, warnings[0].String())
		})
	}
	assert.Empty(t, mustLoad(t, quiet.with("sizeThreshold", "4499999999")).Warnings())
	const repository = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/a"
	assert.Empty(t, mustLoad(t, quiet.with("image", repository+"@sha256:"+strings.Repeat("0", 64))).Warnings())
	assert.Empty(t, mustLoad(t, quiet.with("egress", "["+strings.Join(rules[:60], ",")+"]")).Warnings())
}
