package runtimeapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"example.com/upload-router/internal/partition"
)

// The quotas of a synchronous invocation.
const (
	// MaxRequestBytes is the largest payload of a synchronous invocation: 6 MiB.
	MaxRequestBytes = 6 << 20
	// MaxResponseBytes is the largest answer of a synchronous invocation: 6 MiB and 100 bytes.
	MaxResponseBytes = 6<<20 + 100
)

// Defaults and limits of a Function.
const (
	// DefaultTimeout is Lambda's own default.
	DefaultTimeout = 3 * time.Second
	// MaxTimeout is the longest time-out Lambda allows.
	MaxTimeout = 15 * time.Minute
	// DefaultMemoryMB is Lambda's own default and its minimum; MaxMemoryMB is its maximum.
	DefaultMemoryMB = 128
	MaxMemoryMB     = 10240
	// DefaultConcurrency is how many processes a function may have at a time.
	DefaultConcurrency = 10
	// DefaultInitTimeout is how long Lambda lets a process take until it asks for its first invocation.
	DefaultInitTimeout = 10 * time.Second
	// DefaultShutdownTimeout is how long a process may take to end after SIGTERM.
	DefaultShutdownTimeout = 2 * time.Second
	// DefaultLogLimit is how much of the log of one invocation is kept, in bytes.
	DefaultLogLimit = 256 << 10
)

// The folders that Lambda names to a function, whether or not its image has them.
//
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
const (
	imageTaskRoot      = "/var/task"
	imageRuntimeFolder = "/var/runtime"
)

// variableAPI is the variable by which a process finds its Runtime API, and no other process has its value.
const variableAPI = "AWS_LAMBDA_RUNTIME_API"

// Function is a Lambda function to run on this machine. Its fields must not change after Start.
type Function struct {
	// Bootstrap is the path of the executable, built for this machine. Required without Command.
	Bootstrap string
	// Command gives the command of a process that has this environment, instead of Bootstrap; ended is called when it has ended. The
	// process is made the leader of a group.
	Command func(environment []string) (cmd *exec.Cmd, ended func(), err error)
	// Name is the name of the function. Required.
	Name string
	// Region is the value of AWS_REGION and AWS_DEFAULT_REGION. Required.
	Region string
	// ARN is sent with every invocation. Default: that of Name in Region and account 000000000000.
	ARN string
	// Handler is the value of _HANDLER. Default: "bootstrap".
	Handler string
	// Version is the value of AWS_LAMBDA_FUNCTION_VERSION. Default: "$LATEST".
	Version string
	// Env is the function's declared environment. A name Lambda reserves is refused, as Lambda refuses it.
	Env map[string]string
	// Credentials are those of the execution role. Default: none; the process never sees the developer's own.
	Credentials Credentials
	// Session, if set, is told which process an invocation is given to, by the session token of that, before the process sees it or is
	// started for it: each process has then a token of its own in place of that of Credentials. The context is that of Invoke. It may be
	// called concurrently.
	Session func(ctx context.Context, token string)
	// Timeout is how long one invocation may take, up to MaxTimeout. Default: DefaultTimeout.
	Timeout time.Duration
	// MemoryMB is the memory size in MiB, DefaultMemoryMB to MaxMemoryMB. The process is told, but nothing enforces it.
	// Default: DefaultMemoryMB.
	MemoryMB int
	// Concurrency is how many processes there may be at a time. Default: DefaultConcurrency.
	Concurrency int
	// InitTimeout is how long a process may take to ask for its first invocation. Default: DefaultInitTimeout.
	InitTimeout time.Duration
	// ShutdownTimeout is how long Close waits after SIGTERM before SIGKILL. Default: DefaultShutdownTimeout.
	ShutdownTimeout time.Duration
	// LogWriter receives everything the processes write to stdout and stderr, one Write at a time. A Write that blocks
	// holds up the invocation. Default: nowhere.
	LogWriter io.Writer
	// LogLimit is how much of each invocation's log Response.Logs keeps, in bytes; the end is kept. Default: DefaultLogLimit.
	LogLimit int
}

// Credentials are temporary credentials of a role, given to the process as AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and
// AWS_SESSION_TOKEN. An empty field is not set.
type Credentials struct {
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string
}

// reserved lists the variables a function's configuration cannot set (AWS page "Working with Lambda environment variables").
var reserved = []string{
	"_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_NAME",
	"AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE",
	"AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID",
	"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR",
}

// Start checks the function and makes it ready to be invoked. No process starts before the first Invoke. The context
// bounds the life of the function: when it ends, running invocations are interrupted; Close must still be called. The
// error matches ErrInvalidFunction and names every setting that is wrong.
func (f Function) Start(ctx context.Context) (*Runtime, error) {
	f = f.withDefaults()
	if err := f.validate(); err != nil {
		return nil, err
	}
	if f.Command == nil {
		bootstrap, err := filepath.Abs(f.Bootstrap)
		if err != nil {
			return nil, fmt.Errorf("%w: Bootstrap: %w", ErrInvalidFunction, err)
		}
		f.Bootstrap, f.Command = bootstrap, bootstrapCommand(bootstrap)
	}
	f.Env = maps.Clone(f.Env)
	return newRuntime(ctx, f), nil
}

// bootstrapCommand starts a bootstrap in its folder.
func bootstrapCommand(bootstrap string) func(environment []string) (*exec.Cmd, func(), error) {
	return func(environment []string) (*exec.Cmd, func(), error) {
		return &exec.Cmd{Path: bootstrap, Args: []string{bootstrap}, Dir: filepath.Dir(bootstrap), Env: environment}, func() {}, nil
	}
}

func (f Function) withDefaults() Function {
	own, _ := partition.OfRegion(f.Region)
	f.ARN = cmp.Or(f.ARN, "arn:"+own.Name+":lambda:"+f.Region+":000000000000:function:"+f.Name)
	f.Handler = cmp.Or(f.Handler, "bootstrap")
	f.Version = cmp.Or(f.Version, "$LATEST")
	f.Timeout = cmp.Or(f.Timeout, DefaultTimeout)
	f.MemoryMB = cmp.Or(f.MemoryMB, DefaultMemoryMB)
	f.Concurrency = cmp.Or(f.Concurrency, DefaultConcurrency)
	f.InitTimeout = cmp.Or(f.InitTimeout, DefaultInitTimeout)
	f.ShutdownTimeout = cmp.Or(f.ShutdownTimeout, DefaultShutdownTimeout)
	f.LogLimit = cmp.Or(f.LogLimit, DefaultLogLimit)
	if f.LogWriter == nil {
		f.LogWriter = io.Discard
	}
	return f
}

func (f Function) validate() error {
	checks := []struct {
		ok   bool
		what string
	}{
		{f.Name != "", "Name is missing"},
		{f.Region != "", "Region is missing"},
		{f.Timeout > 0 && f.Timeout <= MaxTimeout, "Timeout must be more than 0 and at most " + MaxTimeout.String()},
		{
			f.MemoryMB >= DefaultMemoryMB && f.MemoryMB <= MaxMemoryMB,
			fmt.Sprintf("MemoryMB must be from %d to %d", DefaultMemoryMB, MaxMemoryMB),
		},
		{f.Concurrency > 0, "Concurrency must not be negative"},
		{f.InitTimeout > 0, "InitTimeout must not be negative"},
		{f.ShutdownTimeout > 0, "ShutdownTimeout must not be negative"},
		{f.LogLimit > 0, "LogLimit must not be negative"},
	}

	wrong := []error{f.validateBootstrap(), f.validateEnv()}
	for _, check := range checks {
		if !check.ok {
			wrong = append(wrong, fmt.Errorf("%w: %s", ErrInvalidFunction, check.what))
		}
	}
	return errors.Join(wrong...)
}

func (f Function) validateBootstrap() error {
	if f.Command != nil {
		return nil
	}
	if f.Bootstrap == "" {
		return fmt.Errorf("%w: Bootstrap is missing: give the path of the function's executable", ErrInvalidFunction)
	}
	info, err := os.Stat(f.Bootstrap)
	if err != nil {
		return fmt.Errorf("%w: Bootstrap: build the function first: %w", ErrInvalidFunction, err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: Bootstrap %s is not a file", ErrInvalidFunction, f.Bootstrap)
	}
	if !executable(info) {
		return fmt.Errorf("%w: Bootstrap %s is not executable: chmod +x it", ErrInvalidFunction, f.Bootstrap)
	}
	return nil
}

func (f Function) validateEnv() error {
	var wrong []error
	for _, name := range slices.Sorted(maps.Keys(f.Env)) {
		switch {
		case slices.Contains(reserved, name):
			wrong = append(wrong, fmt.Errorf("%w: Env: %s is reserved by Lambda", ErrInvalidFunction, name))
		case name == "" || strings.ContainsAny(name, "=\x00") || strings.Contains(f.Env[name], "\x00"):
			wrong = append(wrong, fmt.Errorf("%w: Env: %q is not a name and value a process can have", ErrInvalidFunction, name))
		}
	}
	return errors.Join(wrong...)
}

// environment is the whole environment of a process that is served at the address.
func (f Function) environment(address, logStream string) []string {
	variables := map[string]string{
		"LANG": "en_US.UTF-8",
		"PATH": "/usr/local/bin:/usr/bin:/bin:/opt/bin",
		"TZ":   ":UTC",

		// Without these an AWS SDK would find the developer's files in the home directory of the user.
		"AWS_CONFIG_FILE":             os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	}
	maps.Copy(variables, f.Env)
	maps.Copy(variables, map[string]string{
		"_HANDLER":                        f.Handler,
		"AWS_DEFAULT_REGION":              f.Region,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.Itoa(f.MemoryMB),
		"AWS_LAMBDA_FUNCTION_NAME":        f.Name,
		"AWS_LAMBDA_FUNCTION_VERSION":     f.Version,
		"AWS_LAMBDA_INITIALIZATION_TYPE":  "on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME":       "/aws/lambda/" + f.Name,
		"AWS_LAMBDA_LOG_STREAM_NAME":      logStream,
		variableAPI:                       address,
		"AWS_REGION":                      f.Region,
		"LAMBDA_RUNTIME_DIR":              imageRuntimeFolder,
		"LAMBDA_TASK_ROOT":                imageTaskRoot,
	})
	if f.Bootstrap != "" {
		folder := filepath.Dir(f.Bootstrap)
		variables["LAMBDA_RUNTIME_DIR"], variables["LAMBDA_TASK_ROOT"] = folder, folder
	}
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID":     f.Credentials.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY": f.Credentials.SecretAccessKey,
		"AWS_SESSION_TOKEN":     f.Credentials.SessionToken,
	} {
		if value != "" {
			variables[name] = value
		}
	}

	environment := make([]string, 0, len(variables))
	for name, value := range variables {
		environment = append(environment, name+"="+value)
	}
	sort.Strings(environment)
	return environment
}
