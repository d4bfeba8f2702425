// Command task is the Fargate task that processes the objects too large for the Lambda function. It adapts package processor to a
// container, and does nothing else: the object comes in the environment variables that package internal/upload names, the processor's
// result goes to standard output as one line of JSON, and the log to standard error, one line for the run.
//
// It exits with 0 only when the object has been processed, with 75 when a retry may help, and else with the exit code of the failure;
// see upload.Code. SIGTERM, which ECS sends to stop a task, ends the read and counts as worth a retry.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	_ "golang.org/x/crypto/x509roots/fallback" // The image holds nothing but this binary, so the roots of trust are in it.

	"upload-router/internal/memorylimit"
	"upload-router/internal/upload"
	"upload-router/processor"
)

// route is what the logs call this host.
const route = "fargate"

func main() {
	memorylimit.Set()
	os.Exit(run(os.LookupEnv, os.Stdout, os.Stderr))
}

// run processes one object, and returns the exit code.
func run(lookup func(string) (string, bool), stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	started := time.Now()
	object, err := process(ctx, lookup, stdout)
	upload.Record(ctx, slog.New(slog.NewJSONHandler(stderr, nil)), route, object, started, err)
	return upload.ExitCode(err)
}

func process(ctx context.Context, lookup func(string) (string, bool), stdout io.Writer) (upload.Object, error) {
	object, err := upload.FromEnvironment(lookup)
	if err != nil {
		return object, err
	}
	client, err := upload.NewClient(ctx)
	if err != nil {
		return object, err
	}
	result, err := upload.Process(ctx, client, object, processor.Process)
	if err != nil {
		return object, err
	}
	if err := json.NewEncoder(stdout).Encode(result); err != nil {
		return object, fmt.Errorf("writing the result: %w", err)
	}
	return object, nil
}
