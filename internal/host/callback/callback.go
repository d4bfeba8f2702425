// Package callback tells Step Functions how a task goes whose state waits for a token: that it still works, and how it ended.
//
// With a token Step Functions looks at nothing else: not at the container, and not at its exit code. So everything has to be told, also
// a failure; and since nobody stops a container whose state has stopped waiting, the container has to find that out by itself.
//
// https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html#connect-wait-token
package callback

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"example.com/upload-router/internal/host/reader"
	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/upload"
)

const (
	// MaxOutput is the largest result that Step Functions takes, in bytes.
	//
	// https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskSuccess.html
	MaxOutput = 256 << 10
	// beatsPerLimit is how many heartbeats are sent in the time after which a missing one ends the state: two may get lost.
	beatsPerLimit = 3
	// firstTimeout is for the heartbeat that the work waits for.
	firstTimeout = 10 * time.Second
	// answerTimeout is for the last word, with all of its tries.
	answerTimeout = time.Minute
	// attempts are those of each call, unless AWS_MAX_ATTEMPTS says otherwise: a result that can't be told is work done in vain.
	attempts = 8
)

// API is the part of Step Functions that a task calls.
type API interface {
	SendTaskHeartbeat(context.Context, *sfn.SendTaskHeartbeatInput, ...func(*sfn.Options)) (*sfn.SendTaskHeartbeatOutput, error)
	SendTaskSuccess(context.Context, *sfn.SendTaskSuccessInput, ...func(*sfn.Options)) (*sfn.SendTaskSuccessOutput, error)
	SendTaskFailure(context.Context, *sfn.SendTaskFailureInput, ...func(*sfn.Options)) (*sfn.SendTaskFailureOutput, error)
}

// Work is what a task does. It must end soon after its context does.
type Work func(ctx context.Context) (json.RawMessage, error)

// Token is what a state waits for.
type Token struct {
	// Client calls Step Functions. Required.
	Client API
	// Value is the token, which is as good as a password for the one state. Required.
	Value string
	// Heartbeat is the longest time between two heartbeats, after which the state fails; 0 sends none.
	Heartbeat time.Duration
	// Logger is told of heartbeats that could not be sent. Required.
	Logger *slog.Logger
}

// FromEnvironment reads the token out of the variables of the task; nil if there is none. An error has code [upload.Invalid] for a wrong
// variable, and [upload.Failed] if the host gives no Region or no credentials.
func FromEnvironment(lookup func(string) (string, bool), logger *slog.Logger) (*Token, error) {
	value, _ := lookup(request.EnvironmentTaskToken)
	if value == "" {
		return nil, nil //nolint:nilnil // No token is no error: nobody waits for one.
	}
	text, _ := lookup(request.EnvironmentHeartbeat)
	seconds, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return nil, &upload.Error{Code: upload.Invalid, Err: fmt.Errorf(
			"the environment variable %s is not a number of seconds: %w", request.EnvironmentHeartbeat, err)}
	}
	cfg, err := reader.NewConfig()
	if err != nil {
		return nil, err
	}
	if cfg.RetryMaxAttempts == 0 {
		cfg.RetryMaxAttempts = attempts
	}
	return &Token{
		Client: sfn.NewFromConfig(cfg), Value: value, Heartbeat: time.Duration(seconds) * time.Second, Logger: logger,
	}, nil
}

// Do does the work, with heartbeats meanwhile, and tells the result or the failure. When Step Functions says that it doesn't wait any
// more, the work's context ends. The error is the work's own, or an [upload.Error] with code
//
//   - [upload.NotAwaited] if the token has timed out or has been used: nothing more can be told, and somebody else may be at it;
//   - [upload.ResultTooLarge] if the result is larger than [MaxOutput], which is told as a failure;
//   - [upload.Failed] if the result could not be told.
//
// A failure that could not be told is logged: the state fails by itself, when the heartbeat is missed.
func (t *Token) Do(ctx context.Context, work Work) error {
	// Before the work: a token that is of no use any more shows now, and Step Functions knows that the container has started.
	if err := t.beat(ctx, firstTimeout); err != nil {
		return err
	}
	working, stop := context.WithCancelCause(ctx)
	beating := make(chan struct{})
	go func() {
		defer close(beating)
		t.keepBeating(working, stop)
	}()
	result, err := work(working)
	cause := context.Cause(working)
	stop(nil)
	<-beating
	if notAwaited(cause) {
		return cause
	}
	// Being told to stop must not keep it from saying so.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerTimeout)
	defer cancel()
	if err == nil {
		err = Fits(result)
	}
	if err == nil {
		return t.succeed(ctx, result)
	}
	if untold := t.fail(ctx, err); untold != nil {
		t.Logger.LogAttrs(ctx, slog.LevelWarn, "failure not told", slog.String("cause", upload.MessageOf(untold)))
	}
	return err
}

// keepBeating sends heartbeats until the context ends, or stops it when nobody waits for them any more.
func (t *Token) keepBeating(ctx context.Context, stop context.CancelCauseFunc) {
	if t.Heartbeat <= 0 {
		return
	}
	every := t.Heartbeat / beatsPerLimit
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := t.beat(ctx, every); err != nil {
			stop(err)
			return
		}
	}
}

// beat sends a heartbeat. One that can't be sent is only logged, since the next one may arrive: the error has code [upload.NotAwaited].
func (t *Token) beat(ctx context.Context, within time.Duration) error {
	if t.Heartbeat <= 0 {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	_, err := t.Client.SendTaskHeartbeat(limited, &sfn.SendTaskHeartbeatInput{TaskToken: aws.String(t.Value)})
	err = answered("sending a heartbeat", err)
	if notAwaited(err) {
		return err
	}
	if err != nil && ctx.Err() == nil {
		t.Logger.LogAttrs(ctx, slog.LevelWarn, "heartbeat not sent", slog.String("cause", upload.MessageOf(err)))
	}
	return nil
}

func (t *Token) succeed(ctx context.Context, result json.RawMessage) error {
	_, err := t.Client.SendTaskSuccess(ctx, &sfn.SendTaskSuccessInput{
		TaskToken: aws.String(t.Value), Output: aws.String(string(result)),
	})
	return answered("telling the result", err)
}

// fail tells the code and one line of cause, by which the state machine decides.
func (t *Token) fail(ctx context.Context, failure error) error {
	_, err := t.Client.SendTaskFailure(ctx, &sfn.SendTaskFailureInput{
		TaskToken: aws.String(t.Value),
		Error:     aws.String(string(upload.CodeOf(failure))),
		Cause:     aws.String(upload.MessageOf(failure)),
	})
	return answered("telling the failure", err)
}

// answered gives the error of a call its code. A token that Step Functions doesn't know, and one that it knows no more, come to the same.
//
// https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskSuccess.html#API_SendTaskSuccess_Errors
func answered(what string, err error) error {
	if err == nil {
		return nil
	}
	code := upload.Failed
	var timedOut *types.TaskTimedOut
	var gone *types.TaskDoesNotExist
	var invalid *types.InvalidToken
	if errors.As(err, &timedOut) || errors.As(err, &gone) || errors.As(err, &invalid) {
		code = upload.NotAwaited
	}
	return &upload.Error{Code: code, Err: fmt.Errorf("%s: %w", what, err)}
}

func notAwaited(err error) bool { return errors.Is(err, &upload.Error{Code: upload.NotAwaited}) }

// Fits says whether Step Functions takes a result; the error has the code [upload.ResultTooLarge].
func Fits(result []byte) error {
	if len(result) <= MaxOutput {
		return nil
	}
	return &upload.Error{Code: upload.ResultTooLarge, Err: fmt.Errorf(
		"the result has %d bytes as JSON; Step Functions takes %d", len(result), MaxOutput)}
}
