package local

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/eventbridge"
	"example.com/upload-router/internal/faults"
)

// told is a topic that a rule tells, in the words of its transformer.
type told struct {
	topicARN string
	words    *eventbridge.Transformer
}

// loadTold reads a target that is a topic.
func loadTold(res declared.Resource, topic string) (target, error) {
	to := target{id: res.Text("targetId"), told: &told{topicARN: topic}}
	words := res.Object("inputTransformer")
	if words == nil {
		return to, nil
	}
	paths, _ := words["inputPaths"].(map[string]any)
	to.told.words = &eventbridge.Transformer{Paths: map[string]string{}, Template: text(words, "inputTemplate")}
	for name := range paths {
		to.told.words.Paths[name] = text(paths, name)
	}
	if err := to.told.words.Validate(); err != nil {
		return target{}, fmt.Errorf("reading its input transformer: %w", err)
	}
	return to, nil
}

// ended tells EventBridge that an execution ended, as Step Functions does, and so whatever topic or function a rule names. Whether the
// rule may tell it was decided on when it was declared.
// https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
func (r *Router) ended(ctx context.Context, execution *Execution) error {
	event, err := r.statusChange(execution)
	if err != nil {
		return err
	}
	for _, rule := range r.rules {
		matches, err := rule.pattern.Match(event)
		if err != nil {
			return fmt.Errorf("matching the end of an execution with %s: %w", rule.name, err)
		}
		for _, to := range rule.targets {
			if !matches || !r.ruleMatches(rule.name) {
				continue
			}
			if err := r.tell(ctx, to, execution, event); err != nil {
				return err
			}
		}
	}
	return nil
}

// tell tells a target that an execution ended, if it is one that is told.
func (r *Router) tell(ctx context.Context, to target, execution *Execution, event json.RawMessage) error {
	switch {
	case to.invoked != "":
		m := aboutJSON(execution.input)
		m.Call, m.Execution = faults.CallSweep, execution.ARN
		if fault, err := r.inject(m); err != nil || fault == faults.SweepAway {
			return err
		}
		run, err := r.invokeEvent(ctx, to.invoked, event)
		if err != nil {
			return err
		}
		execution.Swept = append(execution.Swept, run)
	case to.told != nil:
		message := string(event)
		if to.told.words != nil {
			var err error
			if message, err = to.told.words.Apply(event); err != nil {
				return fmt.Errorf("telling %s: %w", to.told.topicARN, err)
			}
		}
		execution.Notices = append(execution.Notices, Notice{TopicARN: to.told.topicARN, Message: message})
	}
	return nil
}

// statusChange is the event of an execution's end. Its input and output are left out, as they are for a state machine with a key
// of the account's own (requirement C16): nobody may rely on them.
func (r *Router) statusChange(execution *Execution) (json.RawMessage, error) {
	now := r.Now().UTC()
	if events := execution.Events; len(events) > 0 && events[len(events)-1].Timestamp.After(now) {
		now = events[len(events)-1].Timestamp.UTC() // by its own clock, which has skipped its waits
	}
	event, err := json.Marshal(map[string]any{
		"version": "0", "id": uuid.NewString(), "source": "aws.states", "detail-type": "Step Functions Execution Status Change",
		"account": r.options.AccountID, "region": r.options.Region, "time": now.Format(time.RFC3339), "resources": []string{execution.ARN},
		"detail": map[string]any{
			fieldExecution: execution.ARN, "stateMachineArn": execution.to.machineARN, "name": execution.name,
			"status": execution.Status, fieldStart: now.Add(-execution.Duration).UnixMilli(), "stopDate": now.UnixMilli(),
		},
	})
	if err != nil {
		return nil, fmt.Errorf("writing the event of an execution's end: %w", err)
	}
	return event, nil
}
