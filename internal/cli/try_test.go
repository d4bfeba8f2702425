package cli

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/aws/smithy-go"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/lambda"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/eventbridge"
	"example.com/upload-router/internal/local"
	"example.com/upload-router/internal/local/localtest"
	"example.com/upload-router/internal/settings"
	"example.com/upload-router/operate"
	"example.com/upload-router/stack"
)

// The system with processors that were built before: the real ones, and those of testdata/failing and testdata/writing.
var processing, failing, writing pulumi.RunFunc

// scratch is a folder that is there for as long as the tests run.
var scratch string

// commandLine makes the test's binary the program, so that none is linked for the tests that need a process.
const commandLine = "CLI_TEST_IS_THE_COMMAND_LINE"

func TestMain(m *testing.M) {
	if os.Getenv(commandLine) != "" {
		os.Exit(Main())
	}
	folder, err := os.MkdirTemp("", "upload-router-test-*")
	if scratch = folder; err == nil {
		err = buildProcessors(folder)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := os.RemoveAll(folder); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

func buildProcessors(folder string) error {
	root, err := build.Root()
	if err != nil {
		return err
	}
	built, err := localtest.Artifacts()
	if err != nil {
		return err
	}
	working := built
	working.FunctionArchive = filepath.Join(folder, "processing.zip")
	if err := pack(working.FunctionArchive, filepath.Join(root, filepath.Dir(built.FunctionArchive), "function", "bootstrap")); err != nil {
		return err
	}
	processing = declaring(working)
	for name, program := range map[string]*pulumi.RunFunc{"failing": &failing, "writing": &writing} {
		other := built
		other.FunctionArchive, other.ImageContext = filepath.Join(folder, name+".zip"), filepath.Join(folder, name)
		binary := filepath.Join(other.ImageContext, build.Worker)                            // as the Dockerfile has it
		if err := os.MkdirAll(filepath.Join(other.ImageContext, "tmp"), 0o700); err != nil { // as the Dockerfile has this, too
			return err
		}
		cmd := exec.CommandContext(context.Background(), "go", "build", "-tags", "lambda.norpc", "-o", binary, "./testdata/"+name)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // the image has no libraries
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("building the processor %s: %w\n%s", name, err, out)
		}
		if err := pack(other.FunctionArchive, binary); err != nil {
			return err
		}
		*program = declaring(other)
	}
	return nil
}

// declaring is the program with processors that are there already.
func declaring(artifacts build.Artifacts) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		return stack.Declare(ctx, func(context.Context, build.Target) (build.Artifacts, error) { return artifacts, nil })
	}
}

// pack makes a function's archive, without compression, which takes most of a start's time with the race detector.
func pack(archive, binary string) error {
	content, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	var packed bytes.Buffer
	z := zip.NewWriter(&packed)
	header := &zip.FileHeader{Name: "bootstrap", Method: zip.Store}
	header.SetMode(0o755)
	w, err := z.CreateHeader(header)
	if err != nil {
		return err
	}
	_, err = w.Write(content)
	return errors.Join(err, z.Close(), os.WriteFile(archive, packed.Bytes(), 0o600))
}

// quiet is a program that compiles nothing.
func quiet(run pulumi.RunFunc) program { return func(func(string)) pulumi.RunFunc { return run } }

// try runs the command as a user would.
func try(t *testing.T, program pulumi.RunFunc, args ...string) (string, error) {
	t.Helper()
	return run(t, program, append([]string{"try"}, args...)...)
}

func run(t *testing.T, program pulumi.RunFunc, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := root(quiet(program))
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

// named makes a file with a name.
func named(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// requireShowable checks that a text does nothing to a terminal but be shown.
func requireShowable(t *testing.T, text string) {
	t.Helper()
	require.True(t, utf8.ValidString(text))
	for line := range strings.SplitSeq(text, "\n") {
		require.False(t, strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }), "%q", line)
	}
}

// requireInOrder checks that a text has all parts, one after the other.
func requireInOrder(t *testing.T, text string, parts ...string) {
	t.Helper()
	rest := text
	for _, part := range parts {
		at := strings.Index(rest, part)
		require.GreaterOrEqual(t, at, 0, "%q is missing, or isn't where it should be, in\n%s", part, text)
		rest = rest[at+len(part):]
	}
}

// What somebody sees who runs it for the first time.
func TestTry(t *testing.T) {
	t.Parallel()
	out, err := try(t, processing)
	require.NoError(t, err)
	requireShowable(t, out)
	requireInOrder(t, out,
		"resources declared in eu-central-1", "Not checked: the permissions",
		"just-under.txt\n", "6,291,455 bytes", "size <= 6291456", "Invoke Lambda function", "Lambda ran",
		"notice   Upload processed: ", "✓ SUCCEEDED by Lambda",
		"just-over.txt\n", "6,291,457 bytes", "Default → Begin", "Run Fargate task", "Fargate ran", "✓ SUCCEEDED by Fargate",
		`"sha256": "`, "2 of 2 files processed.\n")
	assert.NotContains(t, out, "✗")
	for line := range strings.SplitSeq(out, "\n") {
		// A path, which nobody can break, aside.
		if !strings.Contains(line, "/") {
			assert.LessOrEqual(t, utf8.RuneCountInString(line), 80, line)
		}
	}
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "upload-router-files-*", "just-under.txt"))
	require.NoError(t, err)
	for _, name := range left { // of others, which run at the same time
		assert.NotContains(t, out, name)
	}
}

// A key that no glob takes is said so by either command; what is made here gets one that is taken.
func TestTryGoesThroughTheFilter(t *testing.T) {
	t.Parallel()
	with := []string{"-c", `keys=["in/*.txt"]`}
	out, err := try(t, processing, append(with, "-c", "sizeThreshold=1000")...)
	require.NoError(t, err, out)
	requireInOrder(t, out, "just-under.txt\n", "key      in/just-under.txt\n", "key      in/just-over.txt\n", "2 of 2 files processed.\n")
	report := named(t, "report.txt", "x")
	for _, command := range []string{"try", "send"} {
		args := append([]string{command, report}, with...)
		if command == "send" {
			args = append(args, "--local")
		}
		out, err = run(t, processing, args...)
		require.ErrorIs(t, err, errNotProcessed)
		assert.Contains(t, strings.Join(strings.Fields(out), " "), "not routed: no glob of keys matches report.txt: in/*.txt")
		out, err = run(t, processing, append(args, "--prefix", "in/")...)
		require.NoError(t, err, out)
		assert.Contains(t, out, "1 of 1 file processed.\n")
	}
}

// A file goes through one session whichever command puts it, and what isn't run is listed once, before anything else.
func TestTryAndSendLocalAreOneSession(t *testing.T) {
	t.Parallel()
	program := func(ctx *pulumi.Context) error {
		for _, name := range []string{"live", "next"} {
			if _, err := lambda.NewAlias(ctx, name, &lambda.AliasArgs{
				FunctionName: pulumi.String("f"), FunctionVersion: pulumi.String("1"),
			}); err != nil {
				return err
			}
		}
		return processing(ctx)
	}
	took := regexp.MustCompile(`(evaluated in|Lambda ) \S+`)
	first := func(args ...string) string {
		out, err := run(t, program, append(args, "-c", `notify=["arn:aws:sns:eu-central-1:123456789012:people"]`, named(t, "x", "x"))...)
		require.NoError(t, err, out)
		assert.Contains(t, out, "Assumed, as it can't be seen from here: the policy of\narn:aws:sns:eu-central-1:123456789012:people")
		assert.Contains(t, out, "1 of 1 file processed.\n")
		opening, rest, found := strings.Cut(out, "\nnot run here: aws:lambda/alias:Alias\n")
		require.True(t, found, out)
		assert.NotContains(t, rest, "not run here")
		return took.ReplaceAllString(opening, "$1")
	}
	opening := first("try")
	assert.Contains(t, opening, "Building the processors and evaluating the program ...\n130 resources declared in eu-central-1")
	assert.Equal(t, opening, first("send", "--local"))
	out, err := try(t, program, "--json", named(t, "x", "x"))
	require.NoError(t, err)
	assert.Equal(t, []string{"aws:lambda/alias:Alias"}, parse(t, out).NotRun)
}

// printed is the part of the JSON that scripts would read.
type printed struct {
	Resources, Processed   int
	Region                 string
	Outputs                map[string]any
	Assumed, Notes, NotRun []string
	Files                  []struct {
		File, Key, VersionID, Error string
		Size                        int64
		Event                       json.RawMessage
		Executions                  []struct {
			Status asl.Status
			Output json.RawMessage
			Events []asl.Event
			Runs   []local.Run
		}
	}
}

func parse(t *testing.T, out string) printed {
	t.Helper()
	var p printed
	decoder := json.NewDecoder(strings.NewReader(out))
	require.NoError(t, decoder.Decode(&p), out)
	_, err := decoder.Token()
	require.ErrorIs(t, err, io.EOF, "nothing but JSON is printed")
	return p
}

// S10: a system is of the partition that its Region is in, with all that is written into its definition, its policies and its events.
func TestTryIsOfTheRegionsPartition(t *testing.T) {
	t.Parallel()
	for region, want := range map[string]string{
		"eusc-de-east-1": "aws-eusc", "us-iso-east-1": "aws-iso", "us-isob-east-1": "aws-iso-b", "eu-isoe-west-1": "aws-iso-e",
		"us-isof-south-1": "aws-iso-f", "us-gov-west-1": "aws-us-gov",
	} {
		t.Run(region, func(t *testing.T) {
			t.Parallel()
			const account = "123456789012"
			out, err := try(t, processing, "--json", "--config", "sizeThreshold=1000", "--config", "aws:region="+region,
				"--config", `notify=["arn:`+want+`:sns:`+region+`:`+account+`:people"]`,
				"--config", "kmsKeyArn=arn:"+want+":kms:"+region+":"+account+":key/1234abcd-12ab-34cd-56ef-1234567890ab")
			require.NoError(t, err, out)
			p := parse(t, out)
			assert.Equal(t, 2, p.Processed)
			assert.Equal(t, region, p.Region)
			assert.Contains(t, p.Outputs["stateMachineArn"], "arn:"+want+":states:"+region+":")
			assert.Equal(t, []string{
				"the policy of arn:" + want + ":kms:" + region + ":" + account + ":key/1234abcd-12ab-34cd-56ef-1234567890ab " +
					"holds what the output kmsKeyPolicy says",
				"the policy of arn:" + want + ":sns:" + region + ":" + account + ":people holds what the output topicPolicy says",
			}, p.Assumed)
			for _, f := range p.Files {
				assert.Contains(t, string(f.Event), `"arn:`+want+`:s3:::`)
			}
		})
	}
}

// The threshold of the flags is the one that the made files are around.
func TestTryJSON(t *testing.T) {
	t.Parallel()
	out, err := try(t, processing, "--json", "--config", "sizeThreshold=1000", "-c", "upload-router:notifySuccess=false",
		"--config", "aws:region=cn-north-1")
	require.NoError(t, err)
	p := parse(t, out)
	assert.Equal(t, 2, p.Processed)
	assert.Equal(t, "cn-north-1", p.Region)
	assert.Contains(t, p.Outputs["stateMachineArn"], "arn:aws-cn:states:cn-north-1:")
	assert.Positive(t, p.Resources)
	require.Len(t, p.Files, 2)
	for i, want := range []struct {
		size  int64
		route string
	}{{999, "Lambda"}, {1001, "Fargate"}} {
		f := p.Files[i]
		assert.Equal(t, want.size, f.Size)
		assert.Contains(t, string(f.Event), `"detail-type": "Object Created"`)
		require.Len(t, f.Executions, 1)
		e := f.Executions[0]
		assert.Equal(t, asl.StatusSucceeded, e.Status)
		assert.NotEmpty(t, e.Output)
		assert.NotEmpty(t, e.Events)
		require.Len(t, e.Runs, 1)
		assert.Equal(t, want.route, e.Runs[0].Route)
	}
	out, err = try(t, processing, "--json", "--config", "sizeThreshold=0")
	require.NoError(t, err)
	p = parse(t, out)
	require.Len(t, p.Files, 2)
	assert.Equal(t, int64(0), p.Files[0].Size)
	assert.Equal(t, int64(1), p.Files[1].Size)
}

// A stack's file is what Pulumi would take, with the flags over it.
func TestTryStack(t *testing.T) {
	t.Parallel()
	out, err := try(t, failing, "--json", "--stack", "dev", named(t, "x", "x"))
	require.ErrorIs(t, err, errNotProcessed)
	p := parse(t, out)
	assert.Contains(t, p.Outputs["bucketName"], "upload-router-dev-")
}

// A failed file says, in this order, which state failed, with which error and
// why, who was told, where the logs are, and the processor's own last word.
func TestTryOfAFileThatFails(t *testing.T) {
	t.Parallel()
	out, err := try(t, failing, "--config", "sizeThreshold=1", named(t, "small", "x"), named(t, "large", "xx"))
	require.ErrorIs(t, err, errNotProcessed)
	require.ErrorContains(t, err, "0 of 2")
	requireShowable(t, out)
	requireInOrder(t, out,
		"small\n", "✗ Upload.ObjectMissing", "caught → Record failure", "✗ FAILED in the state Invoke Lambda function\n",
		"error    Upload.ObjectMissing\n", "cause    it is gone \\x1b[31m\n", "notice   Upload FAILED: upload-router-local-",
		"logs     upload-router-local-logs-function-", "| the function can't do it \\x1b[31m\n",
		"large\n", "✗ States.TaskFailed", "Retry task?", "✗ FAILED in the state Run Fargate task\n",
		"error    States.TaskFailed\n", "cause    Essential container in task exited: ", "exit code 66\n",
		"notice   Upload FAILED: upload-router-local-", "logs     upload-router-local-logs-task-", "| the task can't do it \\x1b[31m\n",
		"0 of 2 files processed.\n")
	assert.Equal(t, 1, strings.Count(out, "| first line"), "of the task the last lines only")
	assert.Equal(t, 1, strings.Count(out, "it is gone"))
}

// With --logs everything that a processor wrote is shown, where it wrote it.
func TestTryLogs(t *testing.T) {
	t.Parallel()
	out, err := try(t, failing, "--logs", named(t, "small", "x"))
	require.ErrorIs(t, err, errNotProcessed)
	requireShowable(t, out)
	requireInOrder(t, out, "    Invoke Lambda function\n", "      Lambda ran", "      | first line\n",
		"      | the function can't do it \\x1b[31m\n", "    Record failure\n", "✗ FAILED", "0 of 1 file processed.\n")
	assert.Equal(t, 1, strings.Count(out, "the function can't do it"))
}

func TestTryOfAFileThatFailsAsJSON(t *testing.T) {
	t.Parallel()
	out, err := try(t, failing, "--json", named(t, "a\x1b[2J\u009b\u202eb", "x"))
	require.ErrorIs(t, err, errNotProcessed)
	requireShowable(t, out)
	p := parse(t, out)
	assert.Zero(t, p.Processed)
	require.Len(t, p.Files, 1)
	assert.Equal(t, "a\x1b[2J\u009b\u202eb", p.Files[0].Key, "it is escaped, not changed")
	require.Len(t, p.Files[0].Executions, 1)
	assert.Equal(t, asl.StatusFailed, p.Files[0].Executions[0].Status)
}

// A name is shown, and does nothing else.
func TestTryOfAHostileName(t *testing.T) {
	t.Parallel()
	hostile := "a\x1b[2J\x1b]0;title\x07\u0090\u009b31m\u202egpj.exe\nERROR"
	folder := filepath.Dir(named(t, hostile, "x\n"))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "no UTF-8 \xff\x1b"), []byte("x"), 0o600))
	out, err := try(t, processing, "--logs", folder)
	require.ErrorIs(t, err, errNotProcessed)
	require.ErrorContains(t, err, "1 of 2")
	requireShowable(t, out)
	requireInOrder(t, out, `a\x1b[2J\x1b]0;title\a\u0090\u009b31m\u202egpj.exe\nERROR`, "✓ SUCCEEDED by Lambda",
		`no UTF-8 \xff\x1b`, "✗ not sent: S3 doesn't take the key", "1 of 2 files processed.")
	_, err = try(t, refuseToRun(t), filepath.Join(folder, "no UTF-8 \xff\x1b"))
	require.ErrorContains(t, err, `no UTF-8 \xff\x1b`)
	requireShowable(t, err.Error())
}

// Files of one name become one object, which is said.
func TestTryOfFilesOfOneName(t *testing.T) {
	t.Parallel()
	first, second := named(t, "report.txt", "1"), named(t, "report.txt", "22")
	out, err := try(t, failing, "--json", first, second)
	require.ErrorIs(t, err, errNotProcessed)
	p := parse(t, out)
	assert.Equal(t, []string{first + " and " + second + " have one key, report.txt: they are versions of one object."}, p.Notes)
	require.Len(t, p.Files, 2)
	assert.Equal(t, "report.txt", p.Files[0].Key)
	assert.Equal(t, "report.txt", p.Files[1].Key)
	assert.NotEqual(t, p.Files[0].VersionID, p.Files[1].VersionID)
	assert.Equal(t, int64(1), p.Files[0].Size)
	assert.Equal(t, int64(2), p.Files[1].Size)
}

// What is built runs here, so the architecture is this machine's.
func TestTryOfAnotherArchitecture(t *testing.T) {
	t.Parallel()
	other := settings.ARM64
	here := settings.HostArchitecture()
	if here == other {
		other = settings.X86
	}
	out, err := try(t, failing, "--json", "--config", "architecture="+string(other), named(t, "x", "x"))
	require.ErrorIs(t, err, errNotProcessed)
	assert.Equal(t, []string{"Built for " + string(here) + ", this machine's architecture, in place of " + string(other) + "."},
		parse(t, out).Notes)
}

// No huge file is made: a route is shown by a smaller one, or it is said that it isn't.
func TestTryOfALargeThreshold(t *testing.T) {
	t.Parallel()
	out, err := try(t, failing, "--json", "-c", "sizeThreshold=50GB")
	require.ErrorIs(t, err, errNotProcessed)
	p := parse(t, out)
	require.Len(t, p.Files, 1)
	assert.Equal(t, int64(1), p.Files[0].Size)
	assert.Equal(t, []string{
		`no file is made for the route Fargate, which takes none of up to 1.0 GiB whose key begins with "": name one`,
	}, p.Notes)
}

// What can't be tried is said before anything is built, all of it at once.
func TestTryRefuses(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing")
	empty := t.TempDir()
	for name, test := range map[string]struct {
		args []string
		want []string
	}{
		"missing file":    {[]string{missing}, []string{missing, "no such file"}},
		"empty folder":    {[]string{empty}, []string{"there is no file in " + empty}},
		"several at once": {[]string{missing, os.DevNull}, []string{missing, os.DevNull + ": it is not a file but a device"}},
		"no assignment":   {[]string{"-c", "sizeThreshold"}, []string{"--config sizeThreshold: write it as key=value"}},
		"unknown key":     {[]string{"-c", "sizeTreshold=1"}, []string{"upload-router:sizeTreshold", "did you mean sizeThreshold?"}},
		"wrong value":     {[]string{"-c", "sizeThreshold=big"}, []string{"upload-router:sizeThreshold: big"}},
		"all wrong values": {
			[]string{"-c", "lambdaTimeout=0", "-c", "taskCpu=7", "-c", "x=y"}, []string{"3 problems", "lambdaTimeout", "taskCpu", "x"},
		},
		"times that clash":   {[]string{"-c", "executionTimeout=60"}, []string{"executionTimeout", "must be at least"}},
		"unknown stack":      {[]string{"--stack", "nope"}, []string{"Pulumi.nope.yaml", "there is ", "dev"}},
		"unknown flag":       {[]string{"--nope"}, []string{"unknown flag: --nope"}},
		"flag without value": {[]string{"--stack"}, []string{"flag needs an argument: --stack"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := try(t, refuseToRun(t), test.args...)
			require.Error(t, err)
			require.NotErrorIs(t, err, errNotProcessed)
			for _, want := range test.want {
				require.ErrorContains(t, err, want)
			}
			assert.Empty(t, out)
		})
	}
}

// refuseToRun is a program that must not be evaluated.
func refuseToRun(t *testing.T) pulumi.RunFunc {
	t.Helper()
	return func(*pulumi.Context) error {
		assert.Fail(t, "the program was evaluated")
		return nil
	}
}

// What is wrong with the program itself is no fault of the files.
func TestTryOfAProgramThatFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		program pulumi.RunFunc
		args    []string
		want    string
	}{
		"it can't be evaluated":  {func(*pulumi.Context) error { return broken }, nil, "broken"},
		"it declares nothing":    {func(*pulumi.Context) error { return nil }, nil, "starting the declared system: finding the bucket"},
		"its image isn't built":  {failing, []string{"-c", "image=public.ecr.aws/acme/processor:1.0.0"}, "try it with `--config image=`"},
		"it doesn't match S3":    {failing, []string{"-c", "bucketName=UPPER"}, "upload-router:bucketName: UPPER"},
		"it is not in this file": {failing, []string{"-c", "=1"}, "invalid configuration"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := try(t, test.program, append(test.args, named(t, "x", "x"))...)
			require.ErrorContains(t, err, test.want)
			assert.NotErrorIs(t, err, errNotProcessed)
		})
	}
}

// interrupter interrupts when it has seen a text.
type interrupter struct {
	bytes.Buffer
	text      string
	interrupt context.CancelFunc
}

func (w *interrupter) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(w.text)) {
		w.interrupt()
	}
	return w.Buffer.Write(b)
}

func TestTryInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &interrupter{text: "✓ SUCCEEDED", interrupt: cancel}
	cmd := root(quiet(processing))
	cmd.SetOut(out)
	cmd.SetArgs([]string{"try", named(t, "first", "x"), named(t, "second", "x")})
	err := cmd.ExecuteContext(ctx)
	require.ErrorIs(t, err, operate.ErrCanceled)
	require.ErrorContains(t, err, "1 of 2 files processed")
	assert.NotContains(t, out.String(), "second")
	assert.Contains(t, out.String(), "1 of 1 file processed.")
}

// It can be run anywhere in the project, with files by their paths from there.
func TestTryFromAnotherFolder(t *testing.T) { // not in parallel, since it changes the folder
	file := named(t, "x", "x")
	t.Run("of the project", func(t *testing.T) {
		t.Chdir(filepath.Join("..", "..", "internal", "local"))
		here, err := os.Getwd()
		require.NoError(t, err)
		relative, err := filepath.Rel(here, file)
		require.NoError(t, err)
		out, err := try(t, processing, relative)
		require.NoError(t, err)
		assert.Contains(t, out, "1 of 1 file processed.")
	})
	t.Run("elsewhere", func(t *testing.T) {
		t.Chdir(t.TempDir())
		_, err := try(t, processing, file)
		require.ErrorContains(t, err, "run this inside the project")
		assert.NotErrorIs(t, err, errNotProcessed)
	})
}

func TestPrintDeadLetter(t *testing.T) {
	t.Parallel()
	letter := local.DeadLetter{QueueARN: "arn:aws:sqs:eu-central-1:123456789012:queue", Attributes: eventbridge.DeadLetter{
		ErrorCode: "NO_PERMISSIONS", ErrorMessage: "not allowed\x1b[2J",
	}.Attributes()}
	var out bytes.Buffer
	p := &printer{out: &out}
	p.file(file{File: "x", Trace: &local.Trace{Key: "x", DeadLetters: []local.DeadLetter{letter}}})
	requireShowable(t, out.String())
	requireInOrder(t, out.String(),
		"✗ not delivered\n", "error    NO_PERMISSIONS\n", `cause    not allowed\x1b[2J`, "queue    "+letter.QueueARN)
	letter.QueueARN = ""
	p.file(file{File: "x", Trace: &local.Trace{Key: "x", DeadLetters: []local.DeadLetter{letter}}})
	assert.Contains(t, out.String(), "queue    none, so the event is lost")
}

// The runs are shown with the tries that they belong to: a refused one ran nothing.
func TestPrintSteps(t *testing.T) {
	t.Parallel()
	const state = "Invoke"
	event := func(typ asl.EventType, attempt int, name string) asl.Event {
		return asl.Event{Type: typ, State: state, Attempt: attempt, Error: name, DelaySeconds: 1.2345, Next: "Gone"}
	}
	var out bytes.Buffer
	p := &printer{out: &out}
	p.execution(&local.Execution{
		Result: &asl.Result{Status: asl.StatusAborted, Events: []asl.Event{
			event(asl.StateEntered, 0, ""),
			event(asl.TaskFailed, 0, "Lambda.TooManyRequestsException"),
			event(asl.RetryScheduled, 1, ""),
			event(asl.TaskFailed, 1, "Upload.Unavailable"),
			event(asl.RetryScheduled, 2, ""),
		}},
		Runs: []local.Run{
			{State: state, Attempt: 1, Route: "Lambda", Detail: "the first"}, {State: state, Attempt: 2, Route: "Lambda", Detail: "the second"},
		},
	})
	requireInOrder(t, out.String(), "    Invoke\n", "✗ Lambda.TooManyRequestsException", "retry 1 after 1.2 s (not waited for)",
		"Lambda ran 0s (the first)", "✗ Upload.Unavailable", "retry 2", "Lambda ran 0s (the second)", "✗ ABORTED in the state Invoke\n")
}

// A notice that couldn't be sent isn't what failed.
func TestFailedState(t *testing.T) {
	t.Parallel()
	entered := func(state string) asl.Event { return asl.Event{Type: asl.StateEntered, State: state} }
	caught := func(state, name string) asl.Event { return asl.Event{Type: asl.CatchTaken, State: state, Error: name} }
	tests := map[string]struct {
		status asl.Status
		events []asl.Event
		want   string
	}{
		"caught": {asl.StatusFailed, []asl.Event{entered("Work"), caught("Work", "A"), entered("Notify"), entered("Failed")}, "Work"},
		"and the notice refused": {
			asl.StatusFailed, []asl.Event{entered("Work"), caught("Work", "A"), entered("Notify"), caught("Notify", "B"), entered("Failed")}, "Work",
		},
		"reported by the processor's name": {
			asl.StatusFailed, []asl.Event{entered("Run"), caught("Run", "States.TaskFailed"), entered("Record"), entered("Failed")}, "Run",
		},
		"reported so, and the notice refused": {
			asl.StatusFailed, []asl.Event{entered("Run"), caught("Run", "States.TaskFailed"), caught("Notify", "B"), entered("Failed")}, "Run",
		},
		"not caught":  {asl.StatusFailed, []asl.Event{entered("Check"), entered("Reject")}, "Reject"},
		"interrupted": {asl.StatusAborted, []asl.Event{entered("Work"), caught("Work", ""), entered("Again")}, "Again"},
		"timed out":   {asl.StatusTimedOut, []asl.Event{entered("Work"), entered("Wait")}, "Wait"},
		"never began": {asl.StatusAborted, nil, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &local.Execution{Result: &asl.Result{Status: test.status, Events: test.events}, Runs: []local.Run{{State: "Run"}}}
			if test.status == asl.StatusFailed {
				e.Error = "A"
			}
			assert.Equal(t, test.want, failedState(e))
		})
	}
}

// Of a log a person is shown what the processor said, in words.
func TestWhatIsShownOfALog(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []string{"plain", "ERROR it failed: Upload.Invalid: no text", "INFO read", `{"a":1}`, `E m: {"code":1}`}, said([]string{
		"INIT_START Runtime Version: provided:al2023.v1", "START RequestId: 1 Version: 1", "plain",
		`{"time":"t","level":"ERROR","msg":"it failed","key":"k","error":"Upload.Invalid","cause":"no text"}`,
		`{"level":"INFO","message":"read"}`, `{"a":1}`, `{"level":"E","msg":"m","error":{"code":1}}`,
		"END RequestId: 1", "REPORT RequestId: 1\tDuration: 1 ms",
	}))
}

// A cause is shown once: not again by the notice, nor by the lines of the log that say nothing else.
func TestACauseIsShownOnce(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "File: f\nCause: as above\n", withoutCause("File: f\nCause: {}\n", "no header", "{}"))
	assert.Equal(t, "Cause: \n", withoutCause("Cause: \n", ""))
	for line, want := range map[string]bool{
		"ERROR object not processed: no header":                         true,
		`INFO {"errorMessage":"no header","errorType":"Upload.Failed"}`: true,
		`{"errorMessage":"no header"}`:                                  true,
		`{"errorMessage":"another"}`:                                    false,
		"INFO ValueError: no header":                                    false,
		"no header":                                                     false,
	} {
		assert.Equal(t, want, repeats(line, "no header"), line)
		assert.False(t, repeats(line, ""), line)
	}
}

func TestCause(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain":      "plain",
		`"a string"`: `"a string"`,
		`{"a":1}`:    `{"a":1}`,
		``:           ``,
		`{"errorMessage":"gone","errorType":"Upload.ObjectMissing"}`:                               "gone",
		`{"StoppedReason":"Essential container exited","Containers":[{"Name":"p","ExitCode":70}]}`: "Essential container exited: p, exit code 70",
		`{"StoppedReason":"CannotStartContainerError","Containers":[{"Name":"p"}]}`:                "CannotStartContainerError",
		`{"StoppedReason":"Cannot","Containers":"?"}`:                                              `{"StoppedReason":"Cannot","Containers":"?"}`,
	} {
		assert.Equal(t, want, cause(text))
	}
}

func TestPrintable(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                   "",
		"a b.txt":            "a b.txt",
		"größe 💾":            "größe 💾",
		`C:\new "x"`:         `C:\new "x"`,
		"\x1b[2J\a\r\n\t":    `\x1b[2J\a\r\n\t`,
		"\x7f\u0085\u009b":   `\x7f\u0085\u009b`,
		"\u202e\u2066\u00ad": `\u202e\u2066\u00ad`,
		"\u2028\ufeff":       `\u2028\ufeff`,
		"a\xffb":             `a\xffb`,
		"\U000e0041":         `\U000e0041`,
	} {
		assert.Equal(t, want, printable(text))
	}
}

// Escaped JSON means what it meant.
func TestPrintableJSON(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"a b", "\x1b\x7f\u0085\u009b\u202e\u2028", "\U000e0041 \U0001F4BE", "größe \"x\" \\ <&>"} {
		encoded, err := json.Marshal(text)
		require.NoError(t, err)
		escaped := printableJSON(string(encoded))
		requireShowable(t, escaped)
		var got string
		require.NoError(t, json.Unmarshal([]byte(escaped), &got))
		assert.Equal(t, text, got)
	}
}

func TestIndented(t *testing.T) {
	t.Parallel()
	text := strings.TrimSpace(strings.Repeat("word ", 40))
	lines := strings.Split(indented(text, "  "), "\n")
	require.Len(t, lines, 3)
	for _, line := range lines {
		assert.LessOrEqual(t, len(line), 80)
		assert.Regexp(t, `^  word`, line)
	}
	assert.Equal(t, text, strings.Join(strings.Fields(strings.Join(lines, " ")), " "))
	long := strings.Repeat("x", 200)
	assert.Equal(t, "  a\n  "+long+"\n  b", indented("a "+long+" b", "  "), "a long word is left as it is")
	assert.Equal(t, "  ", indented("", "  "))
	assert.Equal(t, 1002, utf8.RuneCountInString(clip(strings.Repeat("é", 1001))))
	assert.Len(t, clip(long), 200)
}

// The exit code tells a file that failed from a command that can't be run.
func TestExitCode(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err  error
		want int
	}{
		"nothing is wrong":   {nil, 0},
		"a file failed":      {fmt.Errorf("%w: 1 of 2", errNotProcessed), 1},
		"and closing failed": {errors.Join(errNotProcessed, io.EOF), 1},
		"wrong usage":        {errFlag, 2},
		"wrong input":        {fmt.Errorf("%w: a key", operate.ErrInput), 2},
		"a missing file":     {&fs.PathError{Op: "open", Path: "x", Err: syscall.ENOENT}, 2},
		"no address":         {&url.Error{Op: "parse", URL: ":", Err: errors.New("missing protocol scheme")}, 2},
		"not ready":          {fmt.Errorf("%w: no AWS credentials", operate.ErrNotReady), 3},
		"and nobody to ask":  {fmt.Errorf("%w: %w", operate.ErrNotReady, &net.DNSError{Name: "sts"}), 3},
		"refused by AWS":     {fmt.Errorf("listing: %w", operate.ErrRefused), 4},
		"an answer of AWS":   {fmt.Errorf("listing: %w", &smithy.GenericAPIError{Code: "InternalFailure"}), 4},
		"no answer of AWS":   {fmt.Errorf("listing: %w", &smithy.OperationError{ServiceID: "SFN", Err: io.EOF}), 4},
		"no such host":       {fmt.Errorf("getting: %w", &net.DNSError{Name: "states.nowhere"}), 4},
		"no connection":      {fmt.Errorf("getting: %w", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}), 4},
		"a broken page":      {fmt.Errorf("getting: %w", &url.Error{Op: "Get", URL: "https://x", Err: io.EOF}), 4},
		"refused by Pulumi":  {fmt.Errorf("%w: reading the outputs", operate.ErrPulumi), 4},
		"a failed resource":  {operate.ErrDeployment, 4},
		"locked":             {operate.ErrLocked, 5},
		"in vain":            {operate.ErrTimeout, 6},
		"Ctrl-C":             {operate.ErrCanceled, 130},
		"Ctrl-C in the SDK":  {&smithy.OperationError{ServiceID: "SFN", Err: &smithy.CanceledError{Err: context.Canceled}}, 130},
		"nobody reads":       {fmt.Errorf("printing: %w", errUnread), 141},
		"and it had failed":  {errors.Join(operate.ErrDeployment, errUnread), 4},
		"and nothing known":  {errors.New("a surprise"), 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, test.want, exitCode(test.err))
		})
	}
}

// The help says what can't be checked, in the words of who can't, at the width of a terminal.
func TestHelp(t *testing.T) {
	t.Parallel()
	out, err := try(t, refuseToRun(t), "--help")
	require.NoError(t, err)
	spaces := regexp.MustCompile(`\s+`)
	assert.Contains(t, spaces.ReplaceAllString(out, " "), local.NotChecked)
	long, _, found := strings.Cut(out, "Usage:")
	require.True(t, found)
	lines := strings.Split(long, "\n")
	assert.LessOrEqual(t, utf8.RuneCountInString(slices.MaxFunc(lines, func(a, b string) int { return len(a) - len(b) })), 82)
}
