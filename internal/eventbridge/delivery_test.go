package eventbridge_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/eventbridge"
)

var target = eventbridge.Target{
	RuleARN:   "arn:aws:events:eu-west-1:123456789012:rule/s3-to-stepfunctions",
	TargetARN: "arn:aws:states:eu-west-1:123456789012:stateMachine:router",
}

// fakeClock passes time only by sleeping, and remembers how long each sleep was.
type fakeClock struct {
	now    time.Time
	sleeps []time.Duration
}

func (c *fakeClock) Now() time.Time { return c.now }

func (c *fakeClock) Sleep(ctx context.Context, d time.Duration) error {
	c.now = c.now.Add(d)
	c.sleeps = append(c.sleeps, d)
	return ctx.Err()
}

func newClock() *fakeClock { return &fakeClock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func throttled() error {
	return &eventbridge.TargetError{Code: "ThrottlingException", Message: "Rate exceeded", StatusCode: 400}
}

func TestDeliverSucceedsAfterRetries(t *testing.T) {
	t.Parallel()
	clock, calls := newClock(), 0
	letter, err := eventbridge.RetryPolicy{}.Deliver(t.Context(), clock, target, func(context.Context) error {
		if calls++; calls < 4 {
			return throttled()
		}
		return nil
	})
	require.NoError(t, err)
	assert.Nil(t, letter)
	assert.Equal(t, 4, calls)
	require.Len(t, clock.sleeps, 3)
	for i, base := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
		assert.InDelta(t, base, clock.sleeps[i], float64(base/2)+1, "delay %d is exponential, with a jitter of half", i)
	}
}

func TestDeliverGivesUp(t *testing.T) {
	t.Parallel()
	two, none := 2, 0
	tests := map[string]struct {
		policy    eventbridge.RetryPolicy
		failure   error
		calls     int
		code      string
		message   string
		condition string
	}{
		"attempts used up": {
			eventbridge.RetryPolicy{MaximumRetryAttempts: &two}, throttled(),
			3, "THROTTLING", "Rate exceeded", "MaximumRetryAttempts",
		},
		"no retry wanted": {
			eventbridge.RetryPolicy{MaximumRetryAttempts: &none}, &eventbridge.TargetError{Code: "InternalFailure", Message: "m", StatusCode: 500},
			1, "ERROR_FROM_TARGET", "m", "MaximumRetryAttempts",
		},
		"access denied is not retried": {
			eventbridge.RetryPolicy{}, &eventbridge.TargetError{Code: "AccessDeniedException", Message: "not authorized", StatusCode: 400},
			1, "NO_PERMISSIONS", "not authorized", "",
		},
		"missing target is not retried": {
			eventbridge.RetryPolicy{}, &eventbridge.TargetError{Code: "StateMachineDoesNotExist", Message: "m", StatusCode: 400},
			1, "NO_RESOURCE", "m", "",
		},
		"bad request is not retried": {
			eventbridge.RetryPolicy{}, &eventbridge.TargetError{Code: "InvalidExecutionInput", Message: "m", StatusCode: 400},
			1, "ERROR_FROM_TARGET", "m", "",
		},
		"no code": {
			eventbridge.RetryPolicy{}, &eventbridge.TargetError{Message: "m", StatusCode: 404},
			1, "UNKNOWN", "m", "",
		},
		"connection failure is retried": {
			eventbridge.RetryPolicy{MaximumRetryAttempts: &two}, errors.New("connection refused"),
			3, "CONNECTION_FAILURE", "connection refused", "MaximumRetryAttempts",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calls := 0
			letter, err := tt.policy.Deliver(t.Context(), newClock(), target, func(context.Context) error {
				calls++
				return tt.failure
			})
			require.NoError(t, err)
			assert.Equal(t, tt.calls, calls)
			assert.Equal(t, &eventbridge.DeadLetter{
				RuleARN: target.RuleARN, TargetARN: target.TargetARN, ErrorCode: tt.code, ErrorMessage: tt.message,
				ExhaustedRetryCondition: tt.condition, RetryAttempts: tt.calls - 1,
			}, letter)
		})
	}
}

// TestDeliverDefaults shows that 185 retries or 24 hours end a delivery, whichever comes first.
func TestDeliverDefaults(t *testing.T) {
	t.Parallel()
	clock := newClock()
	start, calls := clock.now, 0
	letter, err := eventbridge.RetryPolicy{}.Deliver(t.Context(), clock, target, func(context.Context) error {
		calls++
		return throttled()
	})
	require.NoError(t, err)
	require.NotNil(t, letter)
	assert.Equal(t, calls-1, letter.RetryAttempts)
	assert.LessOrEqual(t, letter.RetryAttempts, 185)
	assert.LessOrEqual(t, clock.now.Sub(start), 24*time.Hour)
	assert.Contains(t, []string{"MaximumRetryAttempts", "MaximumEventAgeInSeconds"}, letter.ExhaustedRetryCondition)
}

func TestDeliverEndsWithTheAge(t *testing.T) {
	t.Parallel()
	clock := newClock()
	start := clock.now
	policy := eventbridge.RetryPolicy{MaximumEventAge: time.Minute}
	letter, err := policy.Deliver(t.Context(), clock, target, func(context.Context) error { return throttled() })
	require.NoError(t, err)
	require.NotNil(t, letter)
	assert.Equal(t, "MaximumEventAgeInSeconds", letter.ExhaustedRetryCondition)
	assert.LessOrEqual(t, clock.now.Sub(start), time.Minute)
	assert.Positive(t, letter.RetryAttempts)
}

func TestDeliverEndsWithTheContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	letter, err := eventbridge.RetryPolicy{}.Deliver(ctx, newClock(), target, func(context.Context) error {
		cancel()
		return throttled()
	})
	require.ErrorIs(t, err, context.Canceled)
	assert.Nil(t, letter)
}

func TestRetryable(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		err  error
		want bool
	}{
		"5xx":             {&eventbridge.TargetError{StatusCode: 503}, true},
		"429":             {&eventbridge.TargetError{StatusCode: 429}, true},
		"400":             {&eventbridge.TargetError{StatusCode: 400}, false},
		"404":             {&eventbridge.TargetError{StatusCode: 404}, false},
		"throttling as a": {&eventbridge.TargetError{Code: "ThrottlingException", StatusCode: 400}, true},
		"access denied":   {&eventbridge.TargetError{Code: "AccessDenied", StatusCode: 500}, false},
		"time-out":        {&eventbridge.TargetError{Code: "TIMEOUT"}, true},
		"no answer":       {errors.New("EOF"), true},
		"wrapped":         {errors.Join(errors.New("x"), &eventbridge.TargetError{StatusCode: 403}), false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, eventbridge.Retryable(tt.err))
		})
	}
}

func TestRetryPolicyValidate(t *testing.T) {
	t.Parallel()
	negative, most, tooMany := -1, 185, 186
	require.NoError(t, eventbridge.RetryPolicy{}.Validate())
	require.NoError(t, eventbridge.RetryPolicy{MaximumEventAge: 24 * time.Hour, MaximumRetryAttempts: &most}.Validate())
	for _, policy := range []eventbridge.RetryPolicy{
		{MaximumEventAge: 59 * time.Second},
		{MaximumEventAge: 24*time.Hour + 1},
		{MaximumRetryAttempts: &negative},
		{MaximumRetryAttempts: &tooMany},
	} {
		require.ErrorIs(t, policy.Validate(), eventbridge.ErrInvalidRetryPolicy)
		_, err := policy.Deliver(t.Context(), newClock(), target, func(context.Context) error { return nil })
		require.ErrorIs(t, err, eventbridge.ErrInvalidRetryPolicy)
	}
}

func TestDeadLetterAttributes(t *testing.T) {
	t.Parallel()
	letter := eventbridge.DeadLetter{
		RuleARN: "r", TargetARN: "t", ErrorCode: "THROTTLING", ErrorMessage: "m",
		ExhaustedRetryCondition: eventbridge.ConditionRetryAttempts, RetryAttempts: 185,
	}
	assert.Equal(t, map[string]string{
		"RULE_ARN": "r", "TARGET_ARN": "t", "ERROR_CODE": "THROTTLING", "ERROR_MESSAGE": "m",
		"EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts", "RETRY_ATTEMPTS": "185",
	}, letter.Attributes())
	letter.ExhaustedRetryCondition = ""
	assert.NotContains(t, letter.Attributes(), "EXHAUSTED_RETRY_CONDITION")
}

func TestDeadLetterMessageIsBounded(t *testing.T) {
	t.Parallel()
	none := 0
	long := strings.Repeat("a", 1023) + "ü"
	letter, err := eventbridge.RetryPolicy{MaximumRetryAttempts: &none}.Deliver(
		t.Context(), newClock(), target, func(context.Context) error { return errors.New(long) })
	require.NoError(t, err)
	assert.LessOrEqual(t, len(letter.ErrorMessage), 1024)
	assert.True(t, utf8.ValidString(letter.ErrorMessage))
}
