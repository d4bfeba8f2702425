package local_test

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/factors"
	"example.com/upload-router/internal/faults"
	"example.com/upload-router/internal/local"
	"example.com/upload-router/internal/local/localtest"
	"example.com/upload-router/internal/settings"
	"example.com/upload-router/stack"
)

const (
	accountID = "123456789012"
	region    = "eu-central-1"
	threshold = 6 << 20 // the default
)

// writes lets processors write wherever they like, and read and lock a bucket of others.
const writes = `[{"Sid":"Write","Effect":"Allow","Action":["s3:PutObject","s3:GetObject","s3:DeleteObject"],"Resource":"arn:aws:s3:::*/*"},
	{"Sid":"Lock","Effect":"Allow","Action":"s3:PutObjectLegalHold","Resource":"arn:aws:s3:::others/*"}]`

// tiers are three routes, one of them chosen by suffix and with tasks of a size of its own.
const tiers = `[{"name":"small","maxSize":"1MiB","compute":"lambda"},
	{"name":"video","keys":["*.mp4","*.mov"],"compute":"fargate","cpu":4096,"memory":8192,"storage":100},
	{"name":"large","compute":"fargate"}]`

// unjudged is a statement that lets processors write what is tagged, and one that keeps them from all else: neither can be judged here.
const unjudged = `[{"Sid":"Tagged","Effect":"Allow",
	"Action":["s3:PutObject","s3:GetObject","s3:DeleteObject","s3:PutObjectLegalHold"],"Resource":"arn:aws:s3:::*/*",
	"Condition":{"StringEquals":{"aws:ResourceTag/team":"x"}}},
	{"Sid":"Others","Effect":"Deny","Action":"s3:*","Resource":"*","Condition":{"Bool":{"aws:ViaAWSService":"true"}}}]`

// What the tests share; it is made once.
var (
	root      string                      // the project's folder
	folder    string                      // of the files below
	systems   map[string]*declared.System // the real system, by configuration
	built     build.Artifacts             // the processors
	probe     string                      // testdata/probe, as an archive
	probeRoot string                      // and as a folder to build an image from
	configs   = map[string]map[string]string{
		"routes": {"routes": tiers}, "default": {}, "threshold 0": {"sizeThreshold": "0"}, "quiet": {"notifySuccess": "false"},
		"few 0":    {"maxParallelTasks": "2", "taskCapacity": "spot", "executionTimeout": "7200", "sizeThreshold": "0"},
		"callback": {"taskCompletion": "callback"}, "callback 0": {"taskCompletion": "callback", "sizeThreshold": "0"},
		"traced 0": {"tracing": "true", "sizeThreshold": "0"},
		"writes":   {"outputBucket": "create", "permissions": writes}, "writes 0": {"permissions": writes, "sizeThreshold": "0"},
		"among": {
			"bucketName": "acme-uploads", "keys": `["write *","in/*"]`, "outputBucket": "acme-uploads", "outputPrefix": "results/",
			"encryption": "customer", "permissions": writes,
		},
		"adopted":    {"buckets": `["acme-uploads","acme-more"]`, "keys": `["in/*","out/*"]`},
		"adopted 0":  {"buckets": `["acme-uploads","acme-more"]`, "sizeThreshold": "0"},
		"unjudged 0": {"permissions": unjudged, "sizeThreshold": "0"},
		"image":      {"image": "public.ecr.aws/acme/processor:1.0.0"}, "topic": {"notify": `["arn:aws:sns:eu-central-1:123456789012:people"]`},
	}
)

func TestMain(m *testing.M) {
	code, err := prepareAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func prepareAndRun(m *testing.M) (code int, err error) {
	if root, err = build.Root(); err != nil {
		return 0, err
	}
	if folder, err = os.MkdirTemp("", "local-test-*"); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	if err := errors.Join(evaluate(), buildProbe()); err != nil {
		return 0, err
	}
	before := goleak.IgnoreCurrent()
	if code = m.Run(); code != 0 {
		return code, nil
	}
	return code, goleak.Find(before)
}

// evaluate evaluates the program itself, with the processors that it builds itself.
func evaluate() error {
	var err error
	if built, err = localtest.Artifacts(); err != nil {
		return err
	}
	// The same without compression, which takes most of a start's time.
	for name, packed := range map[string]*string{"function": &built.FunctionArchive, "sweep": &built.SweepArchive} {
		binary := filepath.Join(root, filepath.Dir(*packed), name, "bootstrap")
		*packed = filepath.Join(folder, name+".zip")
		if err := archive(*packed, 0o755, map[string]string{"bootstrap": binary}); err != nil {
			return err
		}
	}
	systems = map[string]*declared.System{}
	for name, config := range configs {
		if systems[name], err = declare(config); err != nil {
			return err
		}
	}
	return nil
}

// declare evaluates the program for a configuration.
func declare(config map[string]string) (*declared.System, error) { return declareStack("", config) }

func declareStack(name string, config map[string]string) (*declared.System, error) {
	config = maps.Clone(config)
	config["architecture"] = string(settings.HostArchitecture())
	builder := func(context.Context, build.Target) (build.Artifacts, error) { return built, nil }
	return declared.Evaluate(func(ctx *pulumi.Context) error { return stack.Declare(ctx, builder) },
		declared.Options{Stack: name, Config: config, AccountID: accountID, Region: region, Subnets: factors.SubnetIDs()})
}

// buildProbe compiles testdata/probe, and packs it for both hosts.
func buildProbe() error {
	probeRoot = filepath.Join(folder, "image")
	binary := filepath.Join(probeRoot, "task")
	cmd := exec.CommandContext(context.Background(), "go", "build",
		"-tags", "lambda.norpc", "-ldflags", "-s -w", "-o", binary, "./testdata/probe")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as it finds no library in an image FROM scratch
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the probe: %w\n%s", err, out)
	}
	dockerfile := "FROM base\nCOPY task /task\nENTRYPOINT [\"/task\"]\n"
	if err := os.WriteFile(filepath.Join(probeRoot, "Dockerfile"), []byte(dockerfile), 0o600); err != nil {
		return err
	}
	probe = filepath.Join(folder, "probe.zip")
	return archive(probe, 0o755, map[string]string{"bootstrap": binary})
}

// archive makes a zip of files.
func archive(path string, mode os.FileMode, files map[string]string) error {
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	z := zip.NewWriter(out)
	for name, from := range files {
		header := &zip.FileHeader{Name: name, Method: zip.Store}
		header.SetMode(mode)
		w, err := z.CreateHeader(header)
		if err != nil {
			return err
		}
		f, err := os.Open(from)
		if err != nil {
			return err
		}
		_, err = io.Copy(w, f)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return errors.Join(z.Close(), out.Close())
}

// changed is a copy of the real system, with changes.
func changed(t *testing.T, name string, changes ...func(*declared.System)) *declared.System {
	t.Helper()
	require.Contains(t, systems, name)
	text, err := json.Marshal(systems[name])
	require.NoError(t, err)
	system := &declared.System{}
	require.NoError(t, json.Unmarshal(text, system))
	for _, change := range changes {
		change(system)
	}
	return system
}

// The types that the tests change.
const (
	typeBucket       = "aws:s3/bucketV2:BucketV2"
	typeVersioning   = "aws:s3/bucketVersioningV2:BucketVersioningV2"
	typeNotification = "aws:s3/bucketNotification:BucketNotification"
	typeRule         = "aws:cloudwatch/eventRule:EventRule"
	typeTarget       = "aws:cloudwatch/eventTarget:EventTarget"
	typeQueue        = "aws:sqs/queue:Queue"
	typeMachine      = "aws:sfn/stateMachine:StateMachine"
	typeFunction     = "aws:lambda/function:Function"
	typeCluster      = "aws:ecs/cluster:Cluster"
	typeTask         = "aws:ecs/taskDefinition:TaskDefinition"
	typeImage        = "docker:index/image:Image"
	typePolicy       = "aws:iam/rolePolicy:RolePolicy"
)

// without takes the resources of a type out.
func without(typ string) func(*declared.System) {
	return func(s *declared.System) {
		s.Resources = slices.DeleteFunc(s.Resources, func(r declared.Resource) bool { return r.Type == typ })
	}
}

// ofUploads are the resources of a type, but for what backfills have of their own.
func ofUploads(s *declared.System, typ string) []declared.Resource {
	return slices.DeleteFunc(slices.Clone(s.OfType(typ)), func(r declared.Resource) bool {
		return typ == typeMachine && r.ARN() != s.Outputs["stateMachineArn"] || typ == typeBucket && r.ID == s.Outputs["backfillBucketName"]
	})
}

// with sets an input of the resources of a type; nil takes it out.
func with(typ, input string, value any) func(*declared.System) {
	return func(s *declared.System) {
		for _, r := range ofUploads(s, typ) {
			r.Inputs[input] = value
			if value == nil {
				delete(r.Inputs, input)
			}
		}
	}
}

// state changes a state of the state machine's definition.
func state(name string, change func(state map[string]any)) func(*declared.System) {
	return inJSON(typeMachine, "definition", func(definition map[string]any) {
		change(definition["States"].(map[string]any)[name].(map[string]any))
	})
}

// parameter sets a parameter of a state.
func parameter(name, parameter string, value any) func(*declared.System) {
	return state(name, func(state map[string]any) {
		given, is := state["Parameters"].(map[string]any)
		if !is {
			given = state["Arguments"].(map[string]any)
		}
		given[parameter] = value
	})
}

// inContainer changes the container definition.
func inContainer(change func(container map[string]any)) func(*declared.System) {
	return inJSON(typeTask, "containerDefinitions", func(list []any) { change(list[0].(map[string]any)) })
}

// inJSON changes an input that is JSON.
func inJSON[T any](typ, input string, change func(T)) func(*declared.System) {
	return func(s *declared.System) {
		for _, r := range ofUploads(s, typ) {
			var value T
			if err := json.Unmarshal([]byte(r.Text(input)), &value); err != nil {
				panic(err) // a test's own mistake
			}
			change(value)
			changed, err := json.Marshal(value)
			if err != nil {
				panic(err)
			}
			r.Inputs[input] = string(changed)
		}
	}
}

// probed puts the probe in the place of both processors.
func probed(s *declared.System) {
	for _, r := range s.OfType(typeFunction) {
		if r.Outputs["name"] != s.Outputs["sweepFunctionName"] {
			r.Inputs["code"] = probe
		}
	}
	with(typeImage, "build", map[string]any{"context": probeRoot, "dockerfile": filepath.Join(probeRoot, "Dockerfile")})(s)
}

// statement lets a statement of the policies be about another resource.
func statement(sid, resource string) func(*declared.System) {
	return inJSON(typePolicy, "policy", func(document map[string]any) {
		for _, s := range document["Statement"].([]any) {
			if statement := s.(map[string]any); statement["Sid"] == sid {
				statement["Resource"] = resource
			}
		}
	})
}

// variable declares a variable for both processors, besides those that they have.
func variable(name, value string) func(*declared.System) {
	return func(s *declared.System) {
		for _, r := range s.OfType(typeFunction) {
			r.Inputs["environment"].(map[string]any)["variables"].(map[string]any)[name] = value
		}
		inContainer(func(c map[string]any) {
			given, _ := c["environment"].([]any)
			c["environment"] = append(given, map[string]any{"name": name, "value": value})
		})(s)
	}
}

// start makes a system ready, until the end of the test. A fault is asked what goes wrong in it.
func start(t *testing.T, system *declared.System, fault ...func(local.Moment) faults.Fault) *local.Router {
	t.Helper()
	with := options()
	if len(fault) > 0 {
		with.Fault = fault[0]
	}
	router, err := local.Start(t.Context(), system, with)
	require.NoError(t, err)
	require.DirExists(t, router.Scratch())
	t.Cleanup(func() {
		require.NoError(t, router.Close())
		require.NoDirExists(t, router.Scratch())
	})
	return router
}

// first is a fault of the first call of a kind.
func first(call string, fault faults.Fault) func(local.Moment) faults.Fault {
	var injected atomic.Bool
	return func(m local.Moment) faults.Fault {
		if m.Call == call && !injected.Swap(true) {
			return fault
		}
		return faults.None
	}
}

func options() local.Options { return local.Options{Root: root, AccountID: accountID, Region: region} }

// file makes a file.
func file(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
	return name
}

// imageOf is an image that is built of a Dockerfile, beside which there is a folder.
func imageOf(t *testing.T, dockerfile string) func(*declared.System) {
	t.Helper()
	folder := t.TempDir()
	name := filepath.Join(folder, "Dockerfile")
	require.NoError(t, os.WriteFile(name, []byte(dockerfile), 0o700))
	require.NoError(t, os.Mkdir(filepath.Join(folder, "folder"), 0o700))
	return with(typeImage, "build", map[string]any{"context": folder, "dockerfile": name})
}

// sized makes a file of a size, of lines of seven bytes.
func sized(t *testing.T, size int) string {
	t.Helper()
	return file(t, strings.Repeat("a line\n", size/7+1)[:size])
}

// upload puts a file into the bucket; one execution must follow.
func upload(t *testing.T, router *local.Router, key, file string) (*local.Trace, *local.Execution) {
	t.Helper()
	trace, err := router.Upload(t.Context(), key, file)
	require.NoError(t, err)
	require.Len(t, trace.Executions, 1)
	require.Empty(t, trace.DeadLetters)
	return trace, trace.Executions[0]
}

func requireSucceeded(t *testing.T, trace *local.Trace) {
	t.Helper()
	for _, e := range trace.Executions {
		require.Equal(t, asl.StatusSucceeded, e.Status, "%s: %s", e.Error, e.Cause)
	}
	require.True(t, trace.Succeeded())
}
