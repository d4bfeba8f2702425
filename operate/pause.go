package operate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"
)

// ruleSettles is the time that EventBridge is given to follow a rule that was enabled or disabled: its documentation says "a short period".
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_EnableRule.html
const ruleSettles = time.Minute

// KeyPaused is the key of the configuration that says whether uploads are paused.
const KeyPaused = "paused"

// PauseState is what AWS says of a pause.
type PauseState struct {
	// Starts says whether the rule that starts executions is enabled, and Stores whether the one is that stores events in the queue.
	Starts bool `json:"starts"`
	Stores bool `json:"stores"`
	// Waiting is about how many events are in the queue.
	Waiting int64 `json:"waiting"`
}

// Paused says whether events wait, and nothing is started.
func (p PauseState) Paused() bool { return p.Stores && !p.Starts }

// Running says whether executions are started, and no event is stored.
func (p PauseState) Running() bool { return p.Starts && !p.Stores }

// errNoPause is for a stack that was deployed before there were pauses.
var errNoPause = fmt.Errorf("%w: it was deployed by a version that had no pause: `upload-router up` adds what it takes", ErrNotReady)

// pausable says whether what a pause takes is deployed.
func (s *System) pausable() error {
	if s.Outputs.PausedRuleName == "" || s.Outputs.PausedQueueURL == "" {
		return errNoPause
	}
	return nil
}

// PauseState asks AWS whether uploads are paused. The error matches [ErrNotReady] if an older version of the project was deployed.
func (s *System) PauseState(ctx context.Context) (PauseState, error) {
	if err := s.pausable(); err != nil {
		return PauseState{}, err
	}
	var state PauseState
	var err error
	if state.Starts, err = s.enabled(ctx, s.Outputs.RuleName); err != nil {
		return PauseState{}, err
	}
	if state.Stores, err = s.enabled(ctx, s.Outputs.PausedRuleName); err != nil {
		return PauseState{}, err
	}
	state.Waiting, err = s.countPaused(ctx)
	return state, err
}

// errPaused is for who would wait for executions that nothing starts.
var errPaused = fmt.Errorf("%w: uploads are paused, and no execution would start: `upload-router resume` goes on; `send --no-wait` "+
	"uploads what is processed then", ErrNotReady)

// refusePaused refuses to wait for executions while uploads are paused. Who may not look at the rules isn't kept from it.
func (s *System) refusePaused(ctx context.Context) error {
	if s.Outputs.PausedRuleName == "" {
		return nil
	}
	if stores, err := s.enabled(ctx, s.Outputs.PausedRuleName); err != nil || !stores {
		return nil //nolint:nilerr // As above.
	}
	if starts, err := s.enabled(ctx, s.Outputs.RuleName); err != nil || starts {
		return nil //nolint:nilerr // As above.
	}
	return errPaused
}

func (s *System) enabled(ctx context.Context, rule string) (bool, error) {
	answer, err := s.events.DescribeRule(ctx, &eventbridge.DescribeRuleInput{Name: &rule})
	if err != nil {
		return false, asked("looking at the rule "+rule, err)
	}
	return answer.State == eventtypes.RuleStateEnabled, nil
}

// countPaused is about how many events of paused uploads wait, those that somebody is reading included.
func (s *System) countPaused(ctx context.Context) (int64, error) {
	visible, hidden, err := s.countQueue(ctx, s.Outputs.PausedQueueURL)
	return visible + hidden, err
}

// Pause has the events of uploads stored in a queue, and has nothing started from then on. What runs goes on to its end. The rule that
// stores is enabled first, and the one that starts is disabled once EventBridge has followed: an event in between is stored and starts an
// execution, which the ledger sees when it is resumed. It may be ended at any moment and called again. told hears of each step; nil is
// nobody.
func (s *System) Pause(ctx context.Context, told func(string)) error {
	return s.exchange(ctx, "pausing", s.Outputs.PausedRuleName, s.Outputs.RuleName, told)
}

// exchange enables one rule and then disables the other.
func (s *System) exchange(ctx context.Context, what, enable, disable string, told func(string)) error {
	if told == nil {
		told = func(string) {}
	}
	if err := s.pausable(); err != nil {
		return err
	}
	on, err := s.enabled(ctx, enable)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	other, err := s.enabled(ctx, disable)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if on && !other {
		return nil // it is as it is to be
	}
	turnOn := func() error {
		_, err := s.events.EnableRule(ctx, &eventbridge.EnableRuleInput{Name: &enable})
		return err
	}
	for _, step := range []struct {
		doing string
		do    func() error
	}{
		// One that is enabled already may have been a moment ago, by a call that was ended before it had waited.
		{"enabling the rule " + enable, turnOn},
		{s.settling(), func() error { return wait(ctx, s.settles()) }},
		{"disabling the rule " + disable, func() error {
			if on, err := s.enabled(ctx, enable); err != nil || !on {
				return cmp.Or(err, errCrossed)
			}
			_, err := s.events.DisableRule(ctx, &eventbridge.DisableRuleInput{Name: &disable})
			return err
		}},
	} {
		told(step.doing)
		switch err := step.do(); {
		case ctx.Err() != nil:
			return fmt.Errorf("%s: %w", what, ErrCanceled)
		case errors.Is(err, errCrossed):
			return fmt.Errorf("%s: %w", what, err)
		case err != nil:
			return asked(what+": "+step.doing, err)
		}
	}
	return s.stillOn(ctx, what, enable, turnOn)
}

// stillOn sees to it that a rule is enabled: whoever pauses while somebody else resumes could leave both disabled, as each has just seen
// the other's enabled.
func (s *System) stillOn(ctx context.Context, what, rule string, turnOn func() error) error {
	on, err := s.enabled(ctx, rule)
	if err != nil || on {
		return err
	}
	return errors.Join(fmt.Errorf("%s: %w", what, errCrossed), asked("enabling the rule "+rule, turnOn()))
}

// errCrossed is for a pause and a resume at the same time.
var errCrossed = errors.New("somebody else has just disabled the rule that this enables: agree on one of pause and resume, and run it")

// settling says what is waited for.
func (s *System) settling() string {
	return fmt.Sprintf("waiting %s for EventBridge to follow", s.settles())
}

// settles is for how long EventBridge is waited for: 60 times as long as AWS is asked anew.
func (s *System) settles() time.Duration {
	return time.Duration(float64(ruleSettles) * s.Poll.Seconds())
}

// wait waits. The error matches [ErrCanceled].
func wait(ctx context.Context, howLong time.Duration) error {
	timer := time.NewTimer(howLong)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ErrCanceled
	}
}

// Drained is how far the events that waited are started.
type Drained struct {
	// Started are the executions that were started, and Waiting is about how many events are left.
	Started int64 `json:"started"`
	Waiting int64 `json:"waiting"`
	// Stayed are the messages that are no event of an upload, with the reason: they stay in the queue.
	Stayed []string `json:"stayed,omitempty"`
	// Rate is how many executions are started in a second, over the whole of it.
	Rate float64 `json:"perSecond"`
}

// Left is about how long the rest takes; 0 if that isn't known.
func (d Drained) Left() time.Duration { return timeFor(d.Waiting, d.Rate) }

// timeFor is about how long so many take at so many a second; 0 if that isn't known.
func timeFor(n int64, rate float64) time.Duration {
	if rate <= 0 {
		return 0
	}
	return time.Duration(float64(n) / rate * float64(time.Second))
}

// Resume has executions started again: the rule that starts them is enabled, the one that stores events is disabled once EventBridge has
// followed, and an execution is started for each event that waits. It is named after the event's id, so that it is started once however
// often this is called, and of what was both started and stored the ledger has one processed. It may be ended at any moment and called
// again. Told and drained hear how it gets on; nil is nobody.
func (s *System) Resume(ctx context.Context, told func(string), drained func(Drained)) (Drained, error) {
	if err := s.exchange(ctx, "resuming", s.Outputs.RuleName, s.Outputs.PausedRuleName, told); err != nil {
		return Drained{}, err
	}
	d := drain{System: s, began: time.Now(), told: drained, seen: map[string]bool{}}
	var err error
	if d.now.Waiting, err = s.countPaused(ctx); err != nil { // about, and for the time that is left
		return Drained{}, err
	}
	d.report()
	if err := d.run(ctx); err != nil {
		return d.now, err
	}
	// What EventBridge stored until it had followed; whether a call before this one was ended while it waited for that isn't known.
	if told != nil {
		told(s.settling())
	}
	if err := wait(ctx, s.settles()); err != nil {
		return d.now, fmt.Errorf("resuming: %w", err)
	}
	return d.now, d.run(ctx)
}

// drain starts an execution for each event that waits in the queue.
type drain struct {
	*System

	began time.Time
	told  func(Drained)

	mu   sync.Mutex
	now  Drained
	seen map[string]bool // messages that stay, by their ids
}

// drainers are how many read the queue at a time, ten messages each.
const drainers = 8

// run reads until nothing is left.
func (d *drain) run(ctx context.Context) error {
	for {
		// Read before it is counted: SQS's counts are those of a minute ago, and may be 0 where there is something.
		// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html
		group, within := errgroup.WithContext(ctx)
		for range drainers {
			group.Go(func() error { return d.readAll(within) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
		left, err := d.countPaused(ctx)
		if err != nil {
			return err
		}
		d.now.Waiting = left
		d.report()
		if left <= int64(len(d.now.Stayed)) {
			return nil
		}
		// What is left somebody else reads, or SQS has it to be seen again soon.
		if err := wait(ctx, d.Poll); err != nil {
			return fmt.Errorf("resuming: %w", err)
		}
	}
}

// readAll takes messages until there are none.
func (d *drain) readAll(ctx context.Context) error {
	for {
		answer, err := d.queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: &d.Outputs.PausedQueueURL, MaxNumberOfMessages: 10, WaitTimeSeconds: 2, VisibilityTimeout: d.hidden(),
		})
		if ctx.Err() != nil {
			return fmt.Errorf("resuming: %w", ErrCanceled)
		}
		if err != nil {
			return asked("reading the queue of paused uploads", err)
		}
		if len(answer.Messages) == 0 {
			return nil
		}
		if err := d.startAll(ctx, answer.Messages); err != nil {
			return err
		}
	}
}

// hidden is for how many seconds messages are hidden that are being started, 120 times as long as AWS is asked anew: those of a resume that
// was killed are seen again then.
func (d *drain) hidden() int32 { return int32(max(1, 120*d.Poll.Seconds())) }

// startAll starts executions for messages, and deletes the messages then.
func (d *drain) startAll(ctx context.Context, messages []sqstypes.Message) error {
	var done []sqstypes.DeleteMessageBatchRequestEntry
	var failed error
	for i, message := range messages {
		if ctx.Err() != nil {
			d.release(ctx, messages[i:])
			break
		}
		body := aws.ToString(message.Body)
		if _, reason := d.readEvent(body); reason != "" {
			d.stays(aws.ToString(message.MessageId), reason)
			continue
		}
		if failed = d.startOne(ctx, body); hasCode(failed, "InvalidExecutionInput", "InvalidName") {
			d.stays(aws.ToString(message.MessageId), refusal(failed).Error()) // it would be refused every time
			failed = nil
			continue
		}
		if failed != nil {
			d.release(ctx, messages[i:])
			break
		}
		done = append(done, sqstypes.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: message.ReceiptHandle})
	}
	if len(done) > 0 { // they are accepted: their messages must go even if the user has had enough
		answer, err := d.queues.DeleteMessageBatch(context.WithoutCancel(ctx), &sqs.DeleteMessageBatchInput{
			QueueUrl: &d.Outputs.PausedQueueURL, Entries: done,
		})
		if err != nil {
			return errors.Join(failed, asked("deleting messages whose executions are started, which the next resume does", err))
		}
		d.started(len(done) - len(answer.Failed))
		if len(answer.Failed) > 0 { // or it would be started, which does nothing, and not deleted over and over
			return fmt.Errorf("deleting messages whose executions are started, which the next resume does: %s (%s): %w",
				aws.ToString(answer.Failed[0].Message), aws.ToString(answer.Failed[0].Code), ErrNotReady)
		}
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("resuming: %w", ErrCanceled)
	case failed != nil:
		return asked("starting executions: what waits stays in the queue, for the next resume", failed)
	}
	return nil
}

// startOne starts an execution for an event, and goes on for as long as Step Functions says that executions are started too fast.
// https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html#service-limits-api-action-throttling-general
func (d *drain) startOne(ctx context.Context, event string) error {
	for {
		err := d.start(ctx, &RedriveItem{Name: replayName(event), input: []byte(event)})
		if !hasCode(err, "ThrottlingException", "KmsThrottlingException") {
			return err
		}
		if err := wait(ctx, d.Poll); err != nil {
			return err
		}
	}
}

// release lets messages be seen again at once, so that the next resume needn't wait for them. If that is refused SQS does it by itself.
func (d *drain) release(ctx context.Context, messages []sqstypes.Message) {
	entries := make([]sqstypes.ChangeMessageVisibilityBatchRequestEntry, len(messages))
	for i, message := range messages {
		entries[i] = sqstypes.ChangeMessageVisibilityBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: message.ReceiptHandle}
	}
	_, _ = d.queues.ChangeMessageVisibilityBatch(context.WithoutCancel(ctx), &sqs.ChangeMessageVisibilityBatchInput{
		QueueUrl: &d.Outputs.PausedQueueURL, Entries: entries,
	})
}

func (d *drain) stays(id, reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.seen[id] {
		d.seen[id] = true
		d.now.Stayed = append(d.now.Stayed, "message "+id+": "+reason)
	}
}

func (d *drain) started(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now.Started += int64(n)
	d.now.Waiting = max(0, d.now.Waiting-int64(n))
	d.now.Rate = float64(d.now.Started) / max(time.Since(d.began).Seconds(), 1e-3)
	d.report()
}

func (d *drain) report() {
	if d.told != nil {
		d.told(d.now)
	}
}
