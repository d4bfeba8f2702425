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

	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/upload"
)

const (
	// routeLambda is what the route of a run by hand is called, as routing.NameLambda is. The worker doesn't import that: it builds without
	// what describes and deploys the state machine.
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
	invoked, err := newHandler(ctx, process, logger)
	if err != nil {
		logger.Error("the function cannot start", slog.String("cause", upload.MessageOf(err)))
		os.Exit(upload.ExitCode(err))
	}
	lambda.StartWithOptions(
		invoked,
		lambda.WithContext(ctx),
		lambda.WithEnableSIGTERM(func() { stop(errors.New("the execution environment is shutting down")) }),
	)
}

// Handler is what Lambda's runtime calls in the function, for whoever measures it without one. It logs to w.
func Handler(ctx context.Context, process Processor, w io.Writer) (lambda.Handler, error) {
	return newHandler(ctx, process, newLogger(w))
}

// newHandler makes the function's handler out of the environment.
func newHandler(ctx context.Context, process Processor, logger *slog.Logger) (*handler, error) {
	objects, err := newStorage(ctx, os.LookupEnv)
	if err != nil {
		return nil, err
	}
	return &handler{
		process: process, storage: objects, logger: logger, adopt: slog.SetDefault,
		keeper: keeperFromEnvironment(os.LookupEnv, lambdaLogs(os.LookupEnv)),
	}, nil
}

// newLogger logs one JSON object a line, with the names that Lambda gives to the time and the message in its own JSON lines.
func newLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{ReplaceAttr: lambdacontext.ReplaceAttr}))
}

// handler implements lambda.Handler, and not a typed function, so that an event which is no JSON fails with a code as well.
type handler struct {
	process Processor
	storage storage
	logger  *slog.Logger
	keeper  *keeper
	// adopt is given the logger of each invocation, for what else there is to log of it.
	adopt func(*slog.Logger)
}

// Invoke processes the object that the payload's event announces, unless the ledger has it for another execution.
func (h *handler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	started := time.Now()
	logger, id := h.logger, ""
	if invocation, ok := lambdacontext.FromContext(ctx); ok {
		// Two invocations never have the same id. Lambda itself tries an asynchronous one again with the id that it had, but only when the
		// first try is over; the state machine waits for the answer of each.
		id = invocation.AwsRequestID
		logger = logger.With(slog.String("requestId", id))
	}
	asked := request.FromPayload(payload)
	object, created, err := request.FromEvent(asked.Event)
	of := subjectOf(object, asked.Route, asked.Execution, routeLambda)
	ctx = upload.WithLogger(ctx, of.naming(logger))
	h.adopt(upload.Logger(ctx))
	var run request.Run
	if err == nil {
		run, err = asked.Run(created)
	}
	k := keeping{
		keeper: h.keeper, run: runOf(object, run, id, routeLambda, started), print: printer(upload.Logger(ctx).Handler()),
		tag: h.storage.tagging(object),
	}
	var answer []byte
	if err == nil {
		answer, err = h.answer(ctx, object, &k)
	}
	if !k.idle {
		of.record(ctx, started, k.verified, err)
	}
	if err != nil {
		return nil, messages.InvokeResponse_Error{Type: string(upload.CodeOf(err)), Message: upload.MessageOf(err)}
	}
	return answer, nil
}

// answer processes an object in the time that the invocation has.
func (h *handler) answer(ctx context.Context, object upload.Object, k *keeping) ([]byte, error) {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, deadline.Add(-answerMargin), errTimeIsUp)
		defer cancel()
	}
	return k.do(ctx, func(ctx context.Context) (made, error) { return h.storage.work(ctx, object, h.process) })
}
