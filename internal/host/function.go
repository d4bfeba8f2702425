package host

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambda/messages"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"example.com/upload-router/internal/host/callback"
	"example.com/upload-router/internal/host/reader"
	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/upload"
)

const (
	// routeLambda is what the logs call this host.
	routeLambda = "Lambda"

	// answerMargin is kept of an invocation's time to answer in: Lambda kills a function whose time is up, and the state machine
	// would see only that it was killed.
	answerMargin = 500 * time.Millisecond
)

var errTimeIsUp = errors.New("the function's timeout is near; raise it, or lower the size limit of the function's route")

// serve handles invocations. It returns never: Lambda ends it.
func serve(process Processor) {
	logger := newLogger(os.Stdout)
	// The runtime's own messages become lines of the same log; those about an invocation, which come one at a time, name its object.
	slog.SetDefault(logger)

	ctx, stop := context.WithCancelCause(context.Background())
	client, err := reader.NewClient(ctx)
	if err != nil {
		logger.Error("the function cannot start", slog.String("cause", upload.MessageOf(err)))
		os.Exit(upload.ExitCode(err))
	}
	lambda.StartWithOptions(
		&handler{process: process, client: client, logger: logger, adopt: slog.SetDefault},
		lambda.WithContext(ctx),
		lambda.WithEnableSIGTERM(func() { stop(errors.New("the execution environment is shutting down")) }),
	)
}

// newLogger logs one JSON object a line, with the names that Lambda gives to the time and the message in its own JSON lines.
func newLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{ReplaceAttr: lambdacontext.ReplaceAttr}))
}

// handler implements lambda.Handler, and not a typed function, so that an event which is no JSON fails with a code as well.
type handler struct {
	process Processor
	client  reader.S3API
	logger  *slog.Logger
	// adopt is given the logger of each invocation, for what else there is to log of it.
	adopt func(*slog.Logger)
}

// Invoke processes the object that the payload's event announces.
func (h *handler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	started := time.Now()
	logger := h.logger
	if invocation, ok := lambdacontext.FromContext(ctx); ok {
		logger = logger.With(slog.String("requestId", invocation.AwsRequestID))
	}
	asked := request.FromPayload(payload)
	object, err := request.FromEvent(asked.Event)
	ctx = upload.WithLogger(ctx, naming(logger, routeLambda, asked.Execution, object))
	h.adopt(upload.Logger(ctx))
	var answer []byte
	if err == nil {
		answer, err = h.answer(ctx, object)
	}
	if err == nil {
		err = callback.Fits(answer)
	}
	record(ctx, object, started, err)
	if err != nil {
		return nil, messages.InvokeResponse_Error{Type: string(upload.CodeOf(err)), Message: upload.MessageOf(err)}
	}
	return answer, nil
}

// answer processes an object in the time that the invocation has.
func (h *handler) answer(ctx context.Context, object upload.Object) ([]byte, error) {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, deadline.Add(-answerMargin), errTimeIsUp)
		defer cancel()
	}
	return h.process(ctx, h.client, object)
}
