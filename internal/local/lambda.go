package local

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/runtimeapi"
)

// localSecretKey is the secret of every local process: the embedded S3 looks at the access key alone.
const localSecretKey = "local"

// bootstrap is the program in a function's archive.
const bootstrap = "bootstrap"

// The package types of functions.
const (
	packageZip   = "Zip"
	packageImage = "Image"
)

// maxUnpacked is Lambda's own limit of an unpacked archive: 250 MB.
const maxUnpacked = 250 << 20

// concurrency is how many executions of a function there may be at a time: Lambda's default quota of an account.
// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
const concurrency = 1000

// shutdownTimeout is what Lambda gives a function that asks to be told of its
// end, as the AWS SDK's runtime does by an internal extension.
// https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-shutdown
const shutdownTimeout = 500 * time.Millisecond

var (
	errNoBootstrap = errors.New("the archive has no bootstrap")
	errTooLarge    = errors.New("the archive is larger than Lambda takes")
)

// function is a Lambda function that can be invoked.
type function struct {
	*runtimeapi.Runtime
	group string
}

// prepareFunction starts the function that a state invokes.
func (r *Router) prepareFunction(parameters map[string]any) error {
	if err := onlyKnown(parameters, "FunctionName Payload"); err != nil {
		return err
	}
	return r.prepare(declared.TypeFunction, "function", "arn", text(parameters, "FunctionName"))
}

func (r *Router) startFunction(res declared.Resource) error {
	if err := runsHere(res.Inputs["architectures"]); err != nil {
		return err
	}
	what, err := r.packaged(res)
	if err != nil {
		return err
	}
	variables, _ := res.Object("environment")["variables"].(map[string]any)
	started, err := runtimeapi.Function{
		Bootstrap:       what.bootstrap,
		Command:         what.command,
		Name:            res.Output("name"),
		ARN:             res.ARN(),
		Region:          r.options.Region,
		Handler:         res.Text("handler"),
		Env:             r.environment(what.env, variables),
		Credentials:     runtimeapi.Credentials{AccessKeyID: accessKey(res.Text("role")), SecretAccessKey: localSecretKey},
		Session:         r.sessions.take,
		Timeout:         time.Duration(res.Number("timeout")) * time.Second,
		MemoryMB:        int(res.Number("memorySize")),
		Concurrency:     concurrency,
		ShutdownTimeout: shutdownTimeout,
	}.Start(context.Background())
	if err != nil {
		return fmt.Errorf("starting its runtime: %w", err)
	}
	r.functions[res.ARN()] = &function{started, text(res.Object("loggingConfig"), "logGroup")}
	return nil
}

// code is what a function is made of: a bootstrap in a folder, or an image, which has variables of its own.
type code struct {
	bootstrap string
	command   func(environment []string) (*exec.Cmd, func(), error)
	env       []string
}

// packaged finds what a function starts, by its package type.
//
// https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html#lambda-CreateFunction-request-PackageType
func (r *Router) packaged(res declared.Resource) (code, error) {
	switch kind := res.Text("packageType"); kind {
	case packageImage:
		program, err := r.loadProgram(res.Text("imageUri"), functionLimits(int(res.Number("memorySize"))))
		if err != nil {
			return code{}, err
		}
		return code{env: program.env, command: func(environment []string) (*exec.Cmd, func(), error) {
			return program.command(context.Background(), environment) // the runtime ends it
		}}, nil
	case packageZip, "":
	default:
		return code{}, fmt.Errorf("%w: package type %s: only %s and %s", errDeclared, kind, packageZip, packageImage)
	}
	if runtime := res.Text("runtime"); !strings.HasPrefix(runtime, "provided.") {
		return code{}, fmt.Errorf("%w: runtime %s: only those named provided.*, which start a program of our own", errDeclared, runtime)
	}
	folder, err := os.MkdirTemp(r.scratch, "function-*")
	if err != nil {
		return code{}, fmt.Errorf("making a folder for it: %w", err)
	}
	if err := unpack(r.path(res.Text("code")), folder); err != nil {
		return code{}, err
	}
	return code{bootstrap: filepath.Join(folder, bootstrap)}, nil
}

// functionLimits are those of a function's memory, which its CPU follows.
//
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
func functionLimits(memoryMB int) limits {
	const perCPU = 1769 // MB
	return limits{cpus: float64(memoryMB) / perCPU, memoryMB: memoryMB, user: anybody(), writable: true}
}

// anybody is a user who owns nothing in an image, as AWS names no other for functions: this machine's, or nobody in place of root, so that
// what it leaves in /tmp can be removed.
//
// https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#images-reqs
func anybody() string {
	const nobody = "65534:65534"
	if os.Getuid() <= 0 {
		return nobody
	}
	return fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid())
}

// environment is what an image has, a declared environment, and where the local services are.
func (r *Router) environment(image []string, declared map[string]any) map[string]string {
	out := map[string]string{}
	for _, variable := range image {
		name, value, _ := strings.Cut(variable, "=")
		out[name] = value
	}
	for name, value := range declared {
		out[name] = fmt.Sprint(value)
	}
	maps.Copy(out, r.endpoints())
	return out
}

// endpoints are the variables by which AWS's SDKs find the local services.
// https://docs.aws.amazon.com/sdkref/latest/guide/ss-endpoints-table.html
func (r *Router) endpoints() map[string]string {
	return map[string]string{
		"AWS_ENDPOINT_URL_S3": r.store.Endpoint(), "AWS_ENDPOINT_URL_DYNAMODB": r.items.Endpoint(),
		"AWS_ENDPOINT_URL_SFN": r.tokens.Endpoint(), "AWS_ENDPOINT_URL_SNS": r.topics.Endpoint(),
		"AWS_ENDPOINT_URL_SECRETS_MANAGER": r.secrets.Endpoint(), "AWS_ENDPOINT_URL_SSM": r.secrets.Endpoint(),
	}
}

// invokeFunction does a task's lambda:invoke.
// https://docs.aws.amazon.com/step-functions/latest/dg/connect-lambda.html
func (r *Router) invokeFunction(ctx context.Context, call asl.Call) (any, error) {
	var parameters struct {
		FunctionName string
		Payload      json.RawMessage
	}
	// The function sees the members of its payload in Step Functions' order.
	if err := decode(call.JSON, &parameters); err != nil {
		return nil, err
	}
	invoked := r.functions[parameters.FunctionName]
	if invoked == nil {
		return nil, &asl.Error{Name: "Lambda.ResourceNotFoundException", Cause: "Function not found: " + parameters.FunctionName}
	}
	response, err := invoked.InvokeInterrupted(ctx, parameters.Payload, faultOf(ctx).Effect().Interrupt)
	if refused, ok := errors.AsType[*runtimeapi.InvokeError](err); ok {
		return nil, &asl.Error{Name: "Lambda." + refused.Type, Cause: refused.Message}
	}
	if err != nil {
		return nil, fmt.Errorf("invoking %s: %w", parameters.FunctionName, err)
	}
	run := Run{
		State: call.State, Attempt: call.Attempt, Route: machine.RouteOf(call.State), Outcome: outcomeOK, Group: invoked.group,
		Logs: lines(response.Logs), Duration: response.Duration,
	}
	if response.Cold {
		run.Detail = fmt.Sprintf("cold start, %d ms to initialise", response.InitDuration.Milliseconds())
	}
	if response.FunctionError != "" {
		run.Outcome = response.ErrorType
		recorderOf(ctx).ran(run)
		return nil, &asl.Error{Name: response.ErrorType, Cause: string(response.Payload)}
	}
	run.answered(response.Payload)
	recorderOf(ctx).ran(run)
	return map[string]any{
		"ExecutedVersion": "$LATEST",
		"Payload":         json.RawMessage(response.Payload),
		"StatusCode":      200,
	}, nil
}

// answered notes what a processor's host answered: a result, or that there was nothing to do.
func (r *Run) answered(payload json.RawMessage) {
	var answer struct{ Result, Duplicate json.RawMessage }
	switch err := json.Unmarshal(payload, &answer); {
	case err != nil:
		r.Answer = payload
	case answer.Duplicate != nil:
		r.Outcome, r.Answer = outcomeDuplicate, answer.Duplicate
	case answer.Result != nil:
		r.Answer = answer.Result
	default:
		r.Answer = payload
	}
}

// runsHere refuses what was built for another kind of processor.
func runsHere(architectures any) error {
	host := map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]
	list, _ := architectures.([]any)
	if runtime.GOOS == "linux" && slices.Contains(list, any(host)) {
		return nil
	}
	return fmt.Errorf("%w: it is built for linux on %v, but this machine is %s on %s", errDeclared, list, runtime.GOOS, host)
}

// unpack unpacks a function's archive.
func unpack(archive, folder string) error {
	z, err := zip.OpenReader(archive)
	if err != nil {
		return fmt.Errorf("opening its archive %s: %w", archive, err)
	}
	defer func() { _ = z.Close() }()
	var size uint64
	for _, file := range z.File {
		size += file.UncompressedSize64 // which reading it doesn't exceed
	}
	if size > maxUnpacked {
		return fmt.Errorf("%w: %s has %d bytes unpacked, at most %d", errTooLarge, archive, size, maxUnpacked)
	}
	if _, err := fs.Stat(z, bootstrap); err != nil {
		return fmt.Errorf("%w: %s: %w", errNoBootstrap, archive, err)
	}
	// A process that starts while a program is being written inherits the open
	// file for a moment, and Linux runs none that is open for writing.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.CopyFS(folder, z); err != nil {
		return fmt.Errorf("unpacking its archive: %w", err)
	}
	return nil
}

// lines gives what a processor wrote, line by line.
func lines(output []byte) []string {
	text := strings.TrimRight(string(output), "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}
