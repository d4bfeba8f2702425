// Package host adapts a processor to where it runs. The Lambda function gets an event whole, with the execution that it is for beside it;
// the task gets the object in environment variables. How an object is read is in package reader, what a task tells Step Functions and
// X-Ray in packages callback and tracing.
package host

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	_ "golang.org/x/crypto/x509roots/fallback" // The task's image holds nothing but the binary, so the roots of trust are in it.

	"example.com/upload-router/internal/host/limits"
	"example.com/upload-router/internal/host/reader"
	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/internal/host/tagger"
	"example.com/upload-router/internal/host/writer"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/upload"
)

// environmentRuntimeAPI is set for a Lambda function, and for nothing else.
//
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
const environmentRuntimeAPI = "AWS_LAMBDA_RUNTIME_API"

// Processor does what is to be done to an object, and gives the result as JSON.
type Processor = upload.Func[json.RawMessage]

// ProcessorOf makes a Processor of a function with any result.
func ProcessorOf[R any](process upload.Func[R]) Processor {
	return func(ctx context.Context, in *upload.Input, out *upload.Output) (json.RawMessage, error) {
		result, err := process(ctx, in, out)
		if err != nil {
			return nil, err
		}
		answer, err := json.Marshal(result)
		if err != nil {
			return nil, fmt.Errorf("answering the result: %w", err)
		}
		return answer, nil
	}
}

// storage is where a host reads objects and writes outputs.
type storage struct {
	reader reader.S3API
	writer writer.API // nil without an output bucket
	to     request.Outputs
	tags   tagger.API // nil where versions aren't tagged
}

// newStorage makes it of the environment.
func newStorage(ctx context.Context, lookup func(string) (string, bool)) (storage, error) {
	s := storage{to: request.OutputsFromEnvironment(lookup)}
	client, err := reader.NewClient(ctx)
	if err != nil {
		return s, err //nolint:wrapcheck // It says it all.
	}
	s.reader = client
	tags := request.TagsUploads(lookup)
	if s.to.Bucket == "" && !tags {
		return s, nil
	}
	cfg, err := reader.NewConfig()
	if err != nil {
		return s, err //nolint:wrapcheck // It says it all.
	}
	writes := writer.NewClient(cfg)
	if s.to.Bucket != "" {
		s.writer = writes
	}
	if tags {
		s.tags = writes
	}
	return s, nil
}

// tagging tags the version of an object with what became of it; nil where versions aren't tagged.
func (s storage) tagging(object upload.Object) func(ctx context.Context, status string) error {
	if s.tags == nil {
		return nil
	}
	return func(ctx context.Context, status string) error {
		return tagger.Tag(ctx, s.tags, object, status) //nolint:wrapcheck // It says it all.
	}
}

// made is what a run has made of an object, before anybody sees it.
type made struct {
	result json.RawMessage
	// verified is [ledger.Ranges] if nothing but ranges of the object were read; else empty.
	verified string
	// outputs are to be published or aborted; bucket is where they go.
	outputs *writer.Outputs
	bucket  string
	// batch is what the object says that it belongs to; empty for nothing.
	batch string
}

// work reads an object, has it processed, and verifies what was read. Every error is an [upload.Error]; the outputs are to be aborted then.
// When writing has failed, that is the cause, whatever the processor made of it.
func (s storage) work(ctx context.Context, object upload.Object, process Processor) (made, error) {
	m := made{outputs: writer.New(ctx, s.writer, s.to, object.Key), bucket: s.to.Bucket}
	source := &batched{S3API: s.reader}
	result, verified, err := reader.Process(ctx, source, object, upload.NewOutput(m.outputs.Create), process)
	m.batch = source.name()
	if failure := m.outputs.Err(); failure != nil {
		return m, failure //nolint:wrapcheck // It says it all.
	}
	m.result = result
	if verified == reader.VerifiedRanges {
		m.verified = ledger.Ranges
	}
	return m, err //nolint:wrapcheck // It says it all.
}

// Work is the work of a run without a ledger, for whoever measures it; nothing can be written. Every error is an [upload.Error].
func Work(ctx context.Context, client reader.S3API, object upload.Object, process Processor) (json.RawMessage, error) {
	m, err := storage{reader: client}.work(ctx, object, process)
	return m.result, err
}

// Main runs a processor until its host has nothing more for it. It doesn't return.
func Main(process Processor) {
	limits.Set()
	// If nobody reads the log any more, what is written to it fails, and doesn't end the worker before it has ended its program. To ignore
	// the signal would have the program ignore it as well.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	process = withSecrets(process, os.LookupEnv)
	if _, ok := os.LookupEnv(environmentRuntimeAPI); ok {
		serve(process)
	}
	os.Exit(run(process, os.LookupEnv, os.Stdout, os.Stderr))
}
