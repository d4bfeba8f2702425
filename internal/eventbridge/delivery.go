package eventbridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// The retry policy of a target that sets none, and the limits of the two settings.
const (
	// DefaultMaximumEventAge is how long EventBridge keeps trying; it is also the longest a policy can ask for.
	DefaultMaximumEventAge = 24 * time.Hour
	// MinimumEventAge is the shortest MaximumEventAge a policy can ask for.
	MinimumEventAge = 60 * time.Second
	// DefaultMaximumRetryAttempts is how often EventBridge tries again; it is also the most a policy can ask for.
	DefaultMaximumRetryAttempts = 185
)

// The back-off between attempts. AWS documents "exponential back off and jitter" without figures: the delays here start
// at a second, double, vary by half, and are capped so that 185 of them fill about 24 hours.
const (
	firstDelay  = time.Second
	delayFactor = 2
	delayJitter = 0.5
	longDelay   = DefaultMaximumEventAge / DefaultMaximumRetryAttempts
)

// Error codes EventBridge writes on a dead-letter message, as far as a delivery here can end in them.
const (
	CodeConnectionFailure = "CONNECTION_FAILURE"
	CodeErrorFromTarget   = "ERROR_FROM_TARGET"
	CodeInternalError     = "INTERNAL_ERROR"
	CodeInvalidJSON       = "INVALID_JSON"
	CodeInvalidParameter  = "INVALID_PARAMETER"
	CodeNoPermissions     = "NO_PERMISSIONS"
	CodeNoResource        = "NO_RESOURCE"
	CodeResourceLimit     = "RESOURCE_LIMIT_EXCEEDED"
	CodeThrottling        = "THROTTLING"
	CodeTimeout           = "TIMEOUT"
	CodeUnknown           = "UNKNOWN"
)

// Values of DeadLetter.ExhaustedRetryCondition.
const (
	// ConditionRetryAttempts says that MaximumRetryAttempts were used up.
	ConditionRetryAttempts = "MaximumRetryAttempts"
	// ConditionEventAge says that MaximumEventAge was reached.
	ConditionEventAge = "MaximumEventAgeInSeconds"
)

// maxErrorMessage is the longest ERROR_MESSAGE written here, in bytes: SQS counts attributes towards its message size.
const maxErrorMessage = 1024

// ErrInvalidRetryPolicy is matched by the errors of RetryPolicy.Validate.
var ErrInvalidRetryPolicy = errors.New("invalid retry policy")

// TargetError is a failure to deliver that a target reported. A deliver function returns it so that Deliver can tell a
// failure that passes from one that stays; any other error counts as a connection failure and is retried.
type TargetError struct {
	// Code is one of the Code constants, or the service's own error name, such as "AccessDeniedException".
	Code string
	// Message says what happened.
	Message string
	// StatusCode is the HTTP status of the target's answer; 0 if there was none.
	StatusCode int
}

// Error implements error.
func (e *TargetError) Error() string { return e.Code + ": " + e.Message }

// serviceCodes are the codes that EventBridge shows for the errors of services.
var serviceCodes = map[string]string{
	"AccessDenied": CodeNoPermissions, "AccessDeniedException": CodeNoPermissions,
	"ResourceNotFoundException": CodeNoResource, "StateMachineDoesNotExist": CodeNoResource, "StateMachineDeleting": CodeNoResource,
	"ThrottlingException": CodeThrottling, "TooManyRequestsException": CodeThrottling, "ExecutionLimitExceeded": CodeResourceLimit,
}

// permanentCodes are failures that only a change of the set-up can fix; EventBridge sends them to the dead-letter queue
// without a retry, whatever the status.
var permanentCodes = []string{CodeNoPermissions, CodeNoResource, CodeInvalidJSON, CodeInvalidParameter}

// throttleCodes are failures that pass although services answer them with status 400.
var throttleCodes = []string{CodeThrottling, CodeResourceLimit, CodeTimeout}

// Retryable reports whether EventBridge would try again after this failure: throttling, a 5xx answer, status 429 and
// everything that is not a TargetError are retried; missing permissions, missing resources and any other 4xx are not.
func Retryable(err error) bool {
	target, ok := errors.AsType[*TargetError](err)
	if !ok {
		return true
	}
	code := dlqCode(target.Code)
	switch {
	case slices.Contains(permanentCodes, code):
		return false
	case slices.Contains(throttleCodes, code), target.StatusCode == http.StatusTooManyRequests:
		return true
	default:
		return target.StatusCode < http.StatusBadRequest || target.StatusCode >= http.StatusInternalServerError
	}
}

// RetryPolicy is the retry policy of a rule's target (requirement A38; the AWS API type RetryPolicy). The zero value is
// the default of EventBridge.
type RetryPolicy struct {
	// MaximumEventAge is how long to keep trying, 60 seconds to 24 hours. Default (0): 24 hours.
	MaximumEventAge time.Duration
	// MaximumRetryAttempts is how often to try again after the first attempt, 0 to 185. Default (nil): 185.
	MaximumRetryAttempts *int
}

// Validate reports, as an error that matches ErrInvalidRetryPolicy, a setting EventBridge would refuse.
func (p RetryPolicy) Validate() error {
	if p.MaximumEventAge != 0 && (p.MaximumEventAge < MinimumEventAge || p.MaximumEventAge > DefaultMaximumEventAge) {
		return fmt.Errorf("%w: MaximumEventAge is %s, it must be from %s to %s",
			ErrInvalidRetryPolicy, p.MaximumEventAge, MinimumEventAge, DefaultMaximumEventAge)
	}
	if attempts := p.attempts(); attempts < 0 || attempts > DefaultMaximumRetryAttempts {
		return fmt.Errorf("%w: MaximumRetryAttempts is %d, it must be from 0 to %d",
			ErrInvalidRetryPolicy, attempts, DefaultMaximumRetryAttempts)
	}
	return nil
}

func (p RetryPolicy) age() time.Duration { return cmp.Or(p.MaximumEventAge, DefaultMaximumEventAge) }

func (p RetryPolicy) attempts() int {
	if p.MaximumRetryAttempts == nil {
		return DefaultMaximumRetryAttempts
	}
	return *p.MaximumRetryAttempts
}

// Clock is the time Deliver lives in; a local runner can make a day pass in a second.
type Clock interface {
	// Now returns the current time.
	Now() time.Time
	// Sleep waits for the duration, or returns the context's error if that ends first.
	Sleep(ctx context.Context, d time.Duration) error
}

// Target names the rule and the target of a delivery, for the dead-letter record.
type Target struct {
	// RuleARN is the ARN of the rule.
	RuleARN string
	// TargetARN is the ARN of the target, here the state machine.
	TargetARN string
}

// DeadLetter is what EventBridge writes beside an event it could not deliver, as SQS message attributes. The body of
// the message is the event as the target would have received it.
type DeadLetter struct {
	// RuleARN and TargetARN repeat the Target.
	RuleARN, TargetARN string
	// ErrorCode and ErrorMessage describe the last failure.
	ErrorCode, ErrorMessage string
	// ExhaustedRetryCondition is "MaximumRetryAttempts" or "MaximumEventAgeInSeconds"; "" if the failure is not retried.
	ExhaustedRetryCondition string
	// RetryAttempts is how many attempts were made after the first.
	RetryAttempts int
}

// Attributes returns the message attributes by name, all of type String. An exhausted condition that does not apply is left out.
func (d DeadLetter) Attributes() map[string]string {
	attributes := map[string]string{
		"RULE_ARN":       d.RuleARN,
		"TARGET_ARN":     d.TargetARN,
		"ERROR_CODE":     d.ErrorCode,
		"ERROR_MESSAGE":  d.ErrorMessage,
		"RETRY_ATTEMPTS": strconv.Itoa(d.RetryAttempts),
	}
	if d.ExhaustedRetryCondition != "" {
		attributes["EXHAUSTED_RETRY_CONDITION"] = d.ExhaustedRetryCondition
	}
	return attributes
}

// Deliver calls deliver until it succeeds, a failure is not Retryable, or the policy's attempts or age are used up. It returns
// nil and nil once delivered, the dead-letter record if EventBridge would give up, and an error only if the policy is invalid or
// the context ends. The age counts from the call. A delay that would outlast the age is not waited for.
func (p RetryPolicy) Deliver(
	ctx context.Context, clock Clock, target Target, deliver func(context.Context) error,
) (*DeadLetter, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}

	delays := backoff.NewExponentialBackOff()
	delays.InitialInterval = firstDelay
	delays.Multiplier = delayFactor
	delays.RandomizationFactor = delayJitter
	delays.MaxInterval = longDelay

	expires := clock.Now().Add(p.age())
	for retries := 0; ; retries++ {
		err := deliver(ctx)
		if err == nil {
			return nil, nil //nolint:nilnil // Delivered: there is neither a dead letter nor an error.
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("delivering to %s: %w", target.TargetARN, ctx.Err())
		}

		delay := delays.NextBackOff()
		condition := ""
		switch {
		case !Retryable(err):
			return newDeadLetter(target, err, condition, retries), nil
		case retries == p.attempts():
			condition = ConditionRetryAttempts
		case clock.Now().Add(delay).After(expires):
			condition = ConditionEventAge
		}
		if condition != "" {
			return newDeadLetter(target, err, condition, retries), nil
		}

		if err := clock.Sleep(ctx, delay); err != nil {
			return nil, fmt.Errorf("waiting to deliver to %s again: %w", target.TargetARN, err)
		}
	}
}

func newDeadLetter(target Target, err error, condition string, retries int) *DeadLetter {
	code, message := CodeConnectionFailure, err.Error()
	if failure, ok := errors.AsType[*TargetError](err); ok {
		code, message = failure.Code, failure.Message
	}
	return &DeadLetter{
		RuleARN:                 target.RuleARN,
		TargetARN:               target.TargetARN,
		ErrorCode:               dlqCode(code),
		ErrorMessage:            truncate(message),
		ExhaustedRetryCondition: condition,
		RetryAttempts:           retries,
	}
}

// dlqCode translates a service's error name to the code EventBridge shows.
func dlqCode(code string) string {
	if shown, ok := serviceCodes[code]; ok {
		return shown
	}
	switch code {
	case CodeConnectionFailure, CodeErrorFromTarget, CodeInternalError, CodeInvalidJSON, CodeInvalidParameter,
		CodeNoPermissions, CodeNoResource, CodeResourceLimit, CodeThrottling, CodeTimeout:
		return code
	case "":
		return CodeUnknown
	default:
		return CodeErrorFromTarget
	}
}

func truncate(message string) string {
	if len(message) <= maxErrorMessage {
		return message
	}
	// The cut may split a character, which SQS would refuse.
	return strings.ToValidUTF8(message[:maxErrorMessage], "")
}
