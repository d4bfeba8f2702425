package local_test

import (
	"archive/zip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/local"
	"example.com/upload-router/internal/settings"
)

// refused starts a system that can't be run, and gives the error.
func refused(t *testing.T, system *declared.System) error {
	t.Helper()
	router, err := local.Start(t.Context(), system, options())
	require.Error(t, err)
	require.Nil(t, router)
	return err
}

type refusal struct {
	change func(*declared.System)
	want   string
}

func requireRefusals(t *testing.T, refusals map[string]refusal) {
	t.Helper()
	for name, r := range refusals {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ErrorContains(t, refused(t, changed(t, "default", r.change)), r.want)
		})
	}
}

// unknown is a resource of a kind that nothing is known of.
var unknown = declared.Resource{
	Type: "aws:lambda/alias:Alias", Name: "live", Custom: true,
	Outputs: map[string]any{"arn": "arn:aws:lambda:eu-central-1:123456789012:live"},
}

// What would not work in AWS, or couldn't be followed here, is told at the start.
func TestRefusedStart(t *testing.T) {
	t.Parallel()
	requireRefusals(t, map[string]refusal{
		"no bucket": {without(typeBucket), "finding the bucket: no such resource is declared"},
		"two buckets of one name": {func(s *declared.System) { s.Resources = append(s.Resources, ofUploads(s, typeBucket)...) },
			"starting the local S3: invalid object store options: bucket \"upload-router-local-uploads-bucket-b5539bb\": BucketAlreadyExists"},
		"no notification": {without(typeNotification), "the bucket doesn't send its events to EventBridge"},
		"notification off": {with(typeNotification, "eventbridge", false),
			"the bucket doesn't send its events to EventBridge: set eventbridge in its BucketNotification"},
		"notification of a function as well": {with(typeNotification, "lambdaFunctions", []any{map[string]any{}}),
			"reading the notifications of the bucket: the local run doesn't know these parameters: lambdaFunctions"},

		"no rule":              {without(typeRule), "no rule with a target is declared"},
		"no target":            {without(typeTarget), "no rule with a target is declared"},
		"rule of an event bus": {with(typeRule, "eventBusName", "ours"), "doesn't know these parameters: eventBusName"},
		"unknown operator":     {with(typeRule, "eventPattern", `{"source":[{"fuzzy":"aws.s3"}]}`), "fuzzy"},
		"no pattern":           {with(typeRule, "eventPattern", nil), "reading the pattern of upload-router-local-statuschange-batch-rule"},
		"target changes the event": {with(typeTarget, "inputPath", "$.detail"),
			"reading the target upload-router-local-statuschange-batch-sweep: the local run doesn't know these parameters: inputPath"},
		"target of a kind that isn't run": {func(s *declared.System) {
			with(typeTarget, "arn", unknown.Outputs["arn"])(s)
			s.Resources = append(s.Resources, unknown)
		}, "reading the target upload-router-local-statuschange-batch-sweep: finding the function " +
			"arn:aws:lambda:eu-central-1:123456789012:live: not run here: aws:lambda/alias:Alias live"},
		"target isn't there": {with(typeTarget, "arn", "arn:aws:states:eu-central-1:123456789012:stateMachine:other"),
			"finding its state machine: no such resource is declared"},
		"wrong retry policy": {with(typeTarget, "retryPolicy", map[string]any{"maximumRetryAttempts": 186.0}), "reading its retry policy"},
		"queue isn't there":  {without(typeQueue), "no such resource is declared: aws:sqs/queue:Queue"},
	})
}

func TestRefusedStateMachine(t *testing.T) {
	t.Parallel()
	const lambda, fargate, notice = "Invoke Lambda function", "Run Fargate task", "Notify failure"
	set := func(name, field string, value any) func(*declared.System) {
		return state(name, func(state map[string]any) { state[field] = value })
	}
	requireRefusals(t, map[string]refusal{
		"express":           {with(typeMachine, "type", "EXPRESS"), "type EXPRESS: only STANDARD"},
		"unknown input":     {with(typeMachine, "publish", true), "doesn't know these parameters: publish"},
		"no definition":     {with(typeMachine, "definition", nil), "reading the definition"},
		"not JSON":          {with(typeMachine, "definition", "{"), "reading the definition"},
		"next isn't there":  {set(lambda, "Next", "Nowhere"), "Nowhere"},
		"unknown state":     {set(lambda, "Type", "Parallel"), "Parallel"},
		"wrong path":        {parameter(notice, "Message.$", "detail"), notice},
		"unknown service":   {set(notice, "Resource", "arn:aws:states:::sqs:sendMessage"), "no integration for the task's resource"},
		"another pattern":   {set(fargate, "Resource", "arn:aws:states:::ecs:runTask"), "no integration for the task's resource"},
		"another partition": {set(lambda, "Resource", "arn:aws-cn:states:::lambda:invoke"), "no integration for the task's resource"},

		"unknown parameter of Lambda": {parameter(lambda, "Qualifier", "live"),
			`state "Invoke Lambda function": the local run doesn't know these parameters: Qualifier`},
		"unknown parameter of ECS": {parameter(fargate, "EnableExecuteCommand", true),
			`state "Run Fargate task": the local run doesn't know these parameters: EnableExecuteCommand`},
		"unknown parameter of SNS": {parameter(notice, "MessageAttributes", map[string]any{}),
			`state "Notify failure": the local run doesn't know these parameters: MessageAttributes`},

		"function isn't there": {parameter(lambda, "FunctionName", "arn:aws:lambda:eu-central-1:123456789012:function:other"),
			"finding the function arn:aws:lambda:eu-central-1:123456789012:function:other: no such resource is declared"},
		"function of a kind that isn't run": {func(s *declared.System) {
			parameter(lambda, "FunctionName", unknown.Outputs["arn"])(s)
			s.Resources = append(s.Resources, unknown)
		}, `state "Invoke Lambda function": finding the function arn:aws:lambda:eu-central-1:123456789012:live: ` +
			"not run here: aws:lambda/alias:Alias live"},
		"function of the event": {parameter(lambda, "FunctionName", nil), "finding the function"},
		"task isn't there": {parameter(fargate, "TaskDefinition", "arn:aws:ecs:eu-central-1:123456789012:task-definition/other:1"),
			"finding the task definition arn:aws:ecs:eu-central-1:123456789012:task-definition/other:1: no such resource is declared"},
		"cluster isn't there": {without(typeCluster), "finding the cluster: no such resource is declared"},
		"a service's tags":    {parameter(fargate, "PropagateTags", "SERVICE"), "tags of SERVICE"},
		"not on Fargate":      {parameter(fargate, "LaunchType", "EC2"), "launch type EC2: only FARGATE"},
		"topic isn't one":     {parameter(notice, "TopicArn", "people"), `TopicArn "people" isn't a topic's ARN`},
		"topic is a queue": {parameter(notice, "TopicArn", "arn:aws:sqs:eu-central-1:123456789012:people"),
			`isn't a topic's ARN`},
	})
}

// otherArchitecture is the one that isn't this machine's.
func otherArchitecture() string {
	return map[string]string{"x86_64": "arm64", "arm64": "x86_64"}[string(settings.HostArchitecture())]
}

func TestRefusedFunction(t *testing.T) {
	t.Parallel()
	made := func(name string, mode os.FileMode, files map[string]string) string {
		path := filepath.Join(t.TempDir(), name+".zip")
		require.NoError(t, archive(path, mode, files))
		return path
	}
	dockerfile := filepath.Join(probeRoot, "Dockerfile")
	noBootstrap := made("other", 0o755, map[string]string{"main": dockerfile})
	notExecutable := made("data", 0o644, map[string]string{"bootstrap": dockerfile})
	requireRefusals(t, map[string]refusal{
		"no code":        {with(typeFunction, "code", "missing/function.zip"), "opening its archive " + filepath.Join(root, "missing")},
		"not an archive": {with(typeFunction, "code", dockerfile), "opening its archive"},
		"no bootstrap":   {with(typeFunction, "code", noBootstrap), "the archive has no bootstrap: " + noBootstrap},
		"not executable": {with(typeFunction, "code", notExecutable), "is not executable: chmod +x it"},
		"too large":      {with(typeFunction, "code", huge(t)), "the archive is larger than Lambda takes"},
		"another processor": {with(typeFunction, "architectures", []any{otherArchitecture()}),
			"it is built for linux on [" + otherArchitecture() + "]"},
		"another runtime":   {with(typeFunction, "runtime", "python3.12"), "runtime python3.12: only those named provided.*"},
		"unknown input":     {with(typeFunction, "layers", []any{"x"}), "doesn't know these parameters: layers"},
		"reserved variable": {variable("AWS_REGION", "us-east-1"), "AWS_REGION is reserved by Lambda"},
		"timeout":           {with(typeFunction, "timeout", 901.0), "Timeout must be"},
	})
}

// huge is an archive that says that it is larger than Lambda takes.
func huge(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "huge.zip")
	out, err := os.Create(path)
	require.NoError(t, err)
	z := zip.NewWriter(out)
	_, err = z.CreateRaw(&zip.FileHeader{Name: "bootstrap", UncompressedSize64: 250<<20 + 1})
	require.NoError(t, err)
	require.NoError(t, z.Close())
	require.NoError(t, out.Close())
	return path
}

func TestRefusedTask(t *testing.T) {
	t.Parallel()
	image := func(build map[string]any) func(*declared.System) { return with(typeImage, "build", build) }
	requireRefusals(t, map[string]refusal{
		"unknown input": {with(typeTask, "pidMode", "task"), "doesn't know these parameters: pidMode"},
		"another processor": {with(typeTask, "runtimePlatform", map[string]any{"cpuArchitecture": strings.ToUpper(otherArchitecture())}),
			"it is built for linux on [" + otherArchitecture() + "]"},
		"containers aren't JSON": {with(typeTask, "containerDefinitions", "{"), "reading its containers"},
		"no container":           {with(typeTask, "containerDefinitions", "[]"), "0 containers: only one"},
		"two containers":         {with(typeTask, "containerDefinitions", "[{},{}]"), "2 containers: only one"},
		"another command":        {inContainer(func(c map[string]any) { c["command"] = []any{"-v"} }), "doesn't know these parameters: command"},
		"a mount": {inContainer(func(c map[string]any) { c["mountPoints"] = []any{map[string]any{"containerPath": "/data"}} }),
			"a volume at /data: only at /tmp"},

		"image isn't built here": {inContainer(func(c map[string]any) { c["image"] = "public.ecr.aws/acme/processor:1.0.0" }),
			"the image public.ecr.aws/acme/processor:1.0.0 isn't built here"},
		"image of a stage": {image(map[string]any{"target": "last"}), "doesn't know these parameters: target"},
		"no Dockerfile":    {image(map[string]any{"context": ".", "dockerfile": "missing"}), "opening the Dockerfile"},
		"what takes Docker": {imageOf(t, "FROM scratch\nADD task /task\n"),
			"/Dockerfile, line 2: ADD: write COPY"},
		"program isn't there": {imageOf(t, "FROM scratch\nCOPY task /task\nENTRYPOINT [\"/task\"]\n"),
			"line 2: COPY task: it isn't in the build context"},
		"program is a folder": {imageOf(t, "FROM scratch\nCOPY folder /task\nENTRYPOINT [\"/task\"]\n"), "is no file"},
	})
}

// An image that somebody else built holds a program that isn't here.
func TestRefusedImageOfTheConfiguration(t *testing.T) {
	t.Parallel()
	err := refused(t, changed(t, "image"))
	require.ErrorContains(t, err, "the image public.ecr.aws/acme/processor:1.0.0 isn't built here, so there is no program to run: "+
		"try it with `--config image=`")
}

// A topic of the configuration is another stack's: it is declared nowhere.
func TestTopicOfTheConfiguration(t *testing.T) {
	t.Parallel()
	trace, execution := upload(t, start(t, changed(t, "topic")), "k", file(t, "x"))
	requireSucceeded(t, trace)
	require.Len(t, execution.Notices, 1)
	assert.Equal(t, "arn:aws:sns:eu-central-1:123456789012:people", execution.Notices[0].TopicARN)
}
