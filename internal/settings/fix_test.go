package settings_test

import (
	"maps"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/settings"
)

// What is proposed is what was most likely meant: its opposite would be as easily copied.
func TestTheFixIsTheNearestValue(t *testing.T) {
	t.Parallel()
	for key, fixes := range map[string]map[string]string{
		"protect":           {"yes": "true", "on": "true", "1": "true", "TRUE": "true", "ture": "true", "maybe": "false"},
		"notifySuccess":     {"no": "false", "off": "false", "0": "false", "False": "false", "maybe": "true"},
		"executionLogData":  {"maybe": "false"},
		"network":           {"Private": "private", "priv": "private", "pirvate": "private", "vpc": "create"},
		"taskCapacity":      {"SPOT": "spot", "FARGATE": "fargate", "FARGATE_SPOT": "spot", "ec2": "fargate"},
		"taskCompletion":    {"waitForTaskToken": "callback", "Sync": "sync"},
		"executionLogLevel": {"error": "ERROR", "err": "ERROR", "all": "ALL", "none": "ERROR"},
		"architecture":      {"arm": "arm64", "ARM64": "arm64", "aarch64": "arm64", "x86": "x86_64", "amd64": "x86_64", "x86-64": "x86_64"},
		"encryption":        {"AWS": "aws", "Customer": "customer", "costumer": "customer", "kms": "aws"},
		"assignPublicIp":    {"yes": "true"},

		"taskTimeout":                 {"0600": "600", "ten": "1500"},
		"taskStorage":                 {"020": "0", "050": "50", "20": "0"},
		"lambdaReservedConcurrency":   {"-1": "0"},
		"noncurrentVersionsAfterDays": {"-1": "0"},
		"sizeThreshold":               {"08MiB": "8MiB", "much": "6MiB"},
		"logRetentionDays":            {"31": "60", "030": "30", "3654": "3653", "ever": "30"},
		"vpcCidr": {
			"10.1.2.3/16": "10.1.0.0/16", "10.1.0.0/8": "10.0.0.0/16", "10.1.0.0": "10.1.0.0/26", "8.8.8.8/16": "10.64.0.0/24",
		},
	} {
		for value, want := range fixes {
			t.Run(key+"="+value, func(t *testing.T) {
				t.Parallel()
				problems := problemsOf(t, config{key: value})
				require.Len(t, problems, 1)
				require.Equal(t, "pulumi config set "+key+" "+want, problems[0].Fix.String())
				require.Empty(t, problemsOf(t, config{key: want}), "it isn't refused again")
			})
		}
	}
}

func TestTheFixFitsTheOtherValues(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		values config
		want   string
	}{
		"a processor for the memory": {config{"taskCpu": "3", "taskMemory": "16384"}, "pulumi config set taskCpu 2048"},
		"a memory for the processor": {config{"taskCpu": "4096", "taskMemory": "much"}, "pulumi config set taskMemory 8192"},
		"an address of existing":     {existing().with("assignPublicIp", "no"), "pulumi config set assignPublicIp false"},
		"an address of create":       {config{"assignPublicIp": "no"}, "pulumi config rm assignPublicIp"},
		"an address of private":      {private().with("assignPublicIp", "yes"), "pulumi config rm assignPublicIp"},
		"one address for another": {
			config{"notify": "me@example.org, you@example.org"},
			`in Pulumi.<stack>.yaml, below config: upload-router:notify: ["me@example.org","you@example.org"]`,
		},
		"a protocol": {
			config{"egress": `[{"protocol":"UDP","port":"53","cidr":"10.0.0.0/16"}]`},
			`pulumi config set --path 'egress[0].protocol' udp`,
		},
		"one address": {
			config{"egress": `[{"protocol":"tcp","port":"53","cidr":"10.1.2.3"}]`},
			`pulumi config set --path 'egress[0].cidr' 10.1.2.3/32`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			problems := problemsOf(t, row.values)
			require.Len(t, problems, 1)
			assert.Equal(t, row.want, problems[0].Fix.String())
		})
	}
}

// What is proposed in one Region is refused in another.
func TestTheFixIsInTheStacksRegion(t *testing.T) {
	t.Parallel()
	const id = "key/1234abcd-12ab-34cd-56ef-1234567890ab"
	for name, row := range map[string]struct {
		region     string
		values     config
		rule, want string
	}{
		"a key's partition": {
			"cn-north-1", config{"kmsKeyArn": "arn:aws:kms:cn-north-1:210987654321:" + id}, "must begin with arn:aws-cn:",
			"kmsKeyArn arn:aws-cn:kms:cn-north-1:210987654321:" + id,
		},
		"a key's Region": {
			"cn-north-1", config{"kmsKeyArn": keyARN}, "must be in the stack's Region, cn-north-1",
			"kmsKeyArn arn:aws-cn:kms:cn-north-1:123456789012:" + id,
		},
		"no key": {
			"us-gov-west-1", config{"kmsKeyArn": "mine"}, "must be an ARN: arn:aws-us-gov:kms:region:account:…",
			"kmsKeyArn arn:aws-us-gov:kms:us-gov-west-1:123456789012:" + id,
		},
		"a topic's partition": {
			"cn-north-1", config{"notify": `["arn:aws:sns:cn-north-1:123456789012:mine"]`}, "must begin with arn:aws-cn:",
			"--path 'notify[0]' arn:aws-cn:sns:cn-north-1:123456789012:mine",
		},
		"a topic's Region": {
			"eusc-de-east-1", config{"notify": `["` + topic + `"]`}, "must be in the stack's Region",
			"--path 'notify[0]' arn:aws-eusc:sns:eusc-de-east-1:123456789012:ops",
		},
		"a registry's domain": {
			"cn-north-1", config{"image": "210987654321.dkr.ecr.cn-north-1.amazonaws.com/x:1"},
			"must have a registry that there is: that of its Region is 210987654321.dkr.ecr.cn-north-1.amazonaws.com.cn",
			"image 210987654321.dkr.ecr.cn-north-1.amazonaws.com.cn/x:1",
		},
		"the same in a private network": {
			"cn-north-1", private().with("image", "210987654321.dkr.ecr.cn-north-1.amazonaws.com/x:1"),
			"must have a registry that there is: that of its Region is 210987654321.dkr.ecr.cn-north-1.amazonaws.com.cn",
			"image 210987654321.dkr.ecr.cn-north-1.amazonaws.com.cn/x:1",
		},
		"another registry": {
			"cn-north-1", private().with("image", "docker.io/x:1"), "<account>.dkr.ecr.cn-north-1.amazonaws.com.cn/...",
			"image 123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/upload-router:1.0.0",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			problems := problemsOf(t, row.values, settings.WithRegion(row.region))
			require.Len(t, problems, 1)
			assert.Contains(t, problems[0].Rule, row.rule)
			require.Equal(t, "pulumi config set "+row.want, problems[0].Fix.String())
			fixed := row.values.with(problems[0].Key, row.want[strings.LastIndex(row.want, " ")+1:])
			if problems[0].Key == "notify[0]" {
				fixed = config{"notify": `["` + row.want[strings.LastIndex(row.want, " ")+1:] + `"]`}
			}
			require.Empty(t, problemsOf(t, fixed, settings.WithRegion(row.region)), "it isn't refused again")
		})
	}
}

func TestTheFixOfASecretAsksForIt(t *testing.T) {
	t.Parallel()
	problems := problemsOf(t, config{"protect": "yes"}, settings.WithSecrets(func(string) bool { return true }))
	require.Len(t, problems, 1)
	require.Equal(t, "pulumi config set --secret protect", problems[0].Fix.String())
}

func TestTheFixNamesTheStacksFile(t *testing.T) {
	t.Parallel()
	problems := problemsOf(t, config{"tags": "[]"}, settings.WithStack("acme/uploads/prod"))
	require.Len(t, problems, 1)
	require.Equal(t, `in Pulumi.prod.yaml, below config: upload-router:tags: {"owner":"platform-team"}`, problems[0].Fix.String())
}

func TestTextIsNoListOrObject(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"bucketName", "ecrRepoName", "stateMachineName", "image", "kmsKeyArn"} {
		for value, kind := range map[string]string{`["x"]`: "a list", `{"x":1}`: "an object"} {
			problems := problemsOf(t, config{key: value})
			require.Len(t, problems, 1)
			assert.Equal(t, "must be text, not "+kind, problems[0].Rule)
		}
	}
}

// One time-out that is wrong hides nothing that the other one tells.
func TestTimeoutsAreJudgedByThoseThatAreRight(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		values config
		rules  []string
		fixes  []string
	}{
		"by the function's": {
			config{"executionTimeout": "60", "lambdaTimeout": "900", "taskTimeout": "soon"},
			[]string{"whole number of seconds", "must be at least 6724: the Lambda route can take"},
			[]string{"taskTimeout 1500", "executionTimeout 6724"},
		},
		"by the task's": {
			config{"executionTimeout": "60", "lambdaTimeout": "9000", "taskTimeout": "600"},
			[]string{"from 1 to 900", "must be at least 1728: the Fargate route can take"},
			[]string{"lambdaTimeout 60", "executionTimeout 1728"},
		},
		"with what is proposed for the other": {
			config{"executionTimeout": "60", "lambdaTimeout": "100", "taskTimeout": "06000"},
			[]string{"without a zero in front", "must be at least 1124: the Lambda route"},
			[]string{"taskTimeout 6000", "executionTimeout 12528"},
		},
		"by none":          {config{"executionTimeout": "60", "lambdaTimeout": "9000", "taskTimeout": "soon"}, []string{"from 1", "from 1"}, nil},
		"by a short one":   {config{"executionTimeout": "60", "lambdaTimeout": "1", "taskTimeout": "soon"}, []string{"from 1"}, nil},
		"by one that fits": {config{"lambdaTimeout": "60", "taskTimeout": "soon"}, []string{"from 1"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			problems := problemsOf(t, row.values)
			require.Len(t, problems, len(row.rules))
			for i, rule := range row.rules {
				assert.Contains(t, problems[i].Rule, rule)
				if row.fixes != nil {
					assert.Equal(t, "pulumi config set "+row.fixes[i], problems[i].Fix.String())
				}
			}
		})
	}
}

// Case S13. A project that was renamed has one problem, and not one for each key.
func TestS13ForeignKeysAreToldOnce(t *testing.T) {
	t.Parallel()
	_, err := settings.LoadMap("team-a", config{
		"upload-router:lambdaMemory": "256", "upload-router:taskCpu": "512", "upload-router:nothing": "1", "team-b:taskCpu": "512",
	}, settings.WithStack("dev"))
	require.EqualError(t, err, "invalid configuration: 2 problems, nothing was created\n"+
		"  team-b:taskCpu: is not read, since the project is called team-a (name: in Pulumi.yaml), and so is the namespace of its keys\n"+
		"    to fix it: in Pulumi.dev.yaml, write team-a:taskCpu in place of team-b:taskCpu\n"+
		"  upload-router:lambdaMemory, upload-router:nothing, upload-router:taskCpu: are not read, since the project is called team-a "+
		"(name: in Pulumi.yaml), and so is the namespace of its keys\n"+
		"    to fix it: in Pulumi.dev.yaml, write team-a: in place of upload-router:")
}

// A Region that is misspelt would be the default one without a word; the provider has many more keys.
func TestKeysOfTheProviderAreToldFromTheirTypingErrors(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"aws:regoin": "aws:region", "aws:Region": "aws:region", "aws:profil": "aws:profile",
		"aws:region": "", "aws:profile": "", "aws:token": "", "aws:stsRegion": "", "aws:maxRetries": "", "docker:regoin": "",
	} {
		problems := problemsOf(t, config{}, settings.WithKeys([]string{key}))
		if want == "" {
			assert.Empty(t, problems, key)
			continue
		}
		require.Len(t, problems, 1)
		require.Equal(t, []string{key, "there is no such key, did you mean " + want + "?", "pulumi config rm " + key, want},
			[]string{problems[0].Key, problems[0].Rule, problems[0].Fix.String(), problems[0].Meant})
	}
	problems := problemsOf(t, config{}, settings.WithKeys([]string{"tags.owner"}))
	require.Len(t, problems, 1)
	assert.Equal(t, "there is no such key, did you mean tags?", problems[0].Rule)
}

// What is proposed for several keys that depend on each other is right together: whoever does all of it is done.
func TestAllThatIsProposedForTheTimeoutsIsRight(t *testing.T) {
	t.Parallel()
	values := map[string][]string{
		"executionTimeout":    {"", "60", "86400", "31536000", "soon", "031536000", "99999999"},
		"taskTimeout":         {"", "1", "01500", "100000", "15000000", "0999999999", "015000000", "soon"},
		"lambdaTimeout":       {"", "900", "9000"},
		"maxParallelTasks":    {"", "5"},
		"ledgerRetentionDays": {"", "1"},
		"taskCompletion":      {"", "callback"},
		"tracing":             {"", "true"},
	}
	all := []config{{}}
	for key, some := range values {
		var more []config
		for _, base := range all {
			for _, value := range some {
				more = append(more, base.with(key, value))
			}
		}
		all = more
	}
	for _, given := range all {
		fixed := maps.Clone(given)
		for range 3 { // what depends on a value that is wrong is judged once that is right
			for _, problem := range problemsOf(t, fixed) {
				fixed[problem.Fix.Path] = problem.Fix.Value
			}
		}
		require.Empty(t, problemsOf(t, fixed), "%v becomes %v", given, fixed)
	}
}

// With task slots a task may be so long that no executionTimeout is long enough: then it is the task's time that has to change.
func TestATaskTooLongForAnyExecution(t *testing.T) {
	t.Parallel()
	long := config{"taskTimeout": "15000000", "maxParallelTasks": "5"}
	problems := problemsOf(t, long)
	require.Len(t, problems, 2)
	require.Contains(t, problems[0].Rule, "is too long with maxParallelTasks")
	require.Equal(t, "pulumi config set taskTimeout 1500", problems[0].Fix.String())
	require.Equal(t, "pulumi config set executionTimeout 6162", problems[1].Fix.String())

	for _, execution := range []string{"86400", "31536000"} {
		with := long.with("executionTimeout", execution)
		problems := problemsOf(t, with)
		require.Len(t, problems, 1)
		require.Equal(t, "taskTimeout", problems[0].Key)
		longest, err := strconv.Atoi(problems[0].Fix.Value)
		require.NoError(t, err)
		require.Empty(t, problemsOf(t, with.with("taskTimeout", strconv.Itoa(longest))))
		require.NotEmpty(t, problemsOf(t, with.with("taskTimeout", strconv.Itoa(longest+1))), "it is the longest that fits")
	}
}
