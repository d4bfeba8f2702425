package operate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

const (
	// holdTime is for how long messages are hidden from others; it is renewed while they are replayed.
	holdTime = 10 * time.Minute
	// mostMessages is how many are taken at a time; SQS hides at most 120,000.
	mostMessages = 10_000
)

// DeadLetter is an event that EventBridge could not deliver.
type DeadLetter struct {
	// MessageID is SQS's name of it.
	MessageID string `json:"messageId"`
	// Sent is when EventBridge gave up.
	Sent time.Time `json:"sent"`
	// ErrorCode and ErrorMessage are EventBridge's, such as NO_PERMISSIONS.
	// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
	ErrorCode    string `json:"errorCode,omitempty"`
	ErrorMessage string `json:"errorMessage,omitempty"`
	// Bucket, Key and Size are the object's; empty if it is no event of S3.
	Bucket string `json:"bucket,omitempty"`
	Key    string `json:"key,omitempty"`
	Size   int64  `json:"size"`

	body, receipt string
}

// takeMessages takes the messages, in the order in which they were sent.
func (p *RedrivePlan) takeMessages(ctx context.Context) error {
	p.held = time.Now()
	seen := map[string]bool{}
	var messages []RedriveItem
	for len(messages) < mostMessages {
		most := min(10, mostMessages-len(messages))
		answer, err := p.system.queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: &p.system.Outputs.DeadLetterQueueURL, MaxNumberOfMessages: int32(most), //nolint:gosec // It is at most 10.
			// A little patience asks all of SQS's servers, and not some of them.
			WaitTimeSeconds: 2, VisibilityTimeout: int32(holdTime.Seconds()),
			MessageAttributeNames:       []string{"All"},
			MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{sqstypes.MessageSystemAttributeNameSentTimestamp},
		})
		if err != nil {
			p.Items = append(p.Items, messages...)
			_ = p.Close(context.WithoutCancel(ctx))
			return asked("reading the dead-letter queue", err)
		}
		if len(answer.Messages) == 0 {
			break
		}
		for _, message := range answer.Messages {
			if id := aws.ToString(message.MessageId); !seen[id] {
				seen[id] = true
				messages = append(messages, p.system.planMessage(message))
			}
		}
	}
	slices.SortStableFunc(messages, func(a, b RedriveItem) int { return a.Message.Sent.Compare(b.Message.Sent) })
	p.Items = append(p.Items, messages...)
	visible, hidden, err := p.system.countDeadLetters(ctx)
	if err != nil {
		return nil //nolint:nilerr // What is not taken is a hint; it needs a permission that reading doesn't.
	}
	if len(messages) >= mostMessages {
		p.Left, visible = visible, 0
	}
	p.InFlight = max(0, visible+hidden-int64(len(messages)))
	return nil
}

func (s *System) planMessage(received sqstypes.Message) RedriveItem {
	message := &DeadLetter{
		MessageID: aws.ToString(received.MessageId), body: aws.ToString(received.Body), receipt: aws.ToString(received.ReceiptHandle),
		ErrorCode: attribute(received, "ERROR_CODE"), ErrorMessage: attribute(received, "ERROR_MESSAGE"),
	}
	sent := received.Attributes[string(sqstypes.MessageSystemAttributeNameSentTimestamp)]
	if milliseconds, err := strconv.ParseInt(sent, 10, 64); err == nil {
		message.Sent = time.UnixMilli(milliseconds)
	}
	item := RedriveItem{Message: message}
	event, reason := s.readEvent(message.body)
	if reason != "" {
		item.Action, item.Reason = RedriveRefuse, "message "+message.MessageID+" stays: "+reason
		return item
	}
	message.Bucket, message.Key, message.Size = event.Bucket, event.Key, event.Size
	item.Action, item.Reason = RedriveReplay, "never delivered"
	if message.ErrorCode != "" {
		item.Reason += ": " + message.ErrorCode
	}
	item.Key, item.Size, item.Name, item.input = event.Key, event.Size, replayName(message.body), json.RawMessage(message.body)
	return item
}

func attribute(message sqstypes.Message, name string) string {
	return aws.ToString(message.MessageAttributes[name].StringValue)
}

// readEvent reads an upload's event, or says why it is none of ours.
func (s *System) readEvent(body string) (Execution, string) {
	var kind struct {
		Source     string `json:"source"`
		DetailType string `json:"detail-type"`
	}
	var e Execution
	if json.Unmarshal([]byte(body), &kind) != nil {
		return e, "it is no JSON"
	}
	e.takeInput([]byte(body))
	switch {
	case kind.Source != "aws.s3" || kind.DetailType != "Object Created" || e.Key == "":
		return e, fmt.Sprintf("it is no upload's event (source %.40q, detail-type %.40q)", kind.Source, kind.DetailType)
	case !slices.Contains(s.Outputs.buckets(), e.Bucket):
		return e, fmt.Sprintf("it is for the bucket %s, and this system's is %s", e.Bucket, strings.Join(s.Outputs.buckets(), ", "))
	}
	return e, ""
}

// plainID is an event's id as EventBridge makes them, which is fit for a name.
var plainID = regexp.MustCompile(`^[A-Za-z0-9-]{1,60}$`)

// replayName names the execution for an event by the event's id, so that to replay it twice is to have it once.
func replayName(body string) string {
	var event struct {
		ID string `json:"id"`
	}
	if json.Unmarshal([]byte(body), &event) == nil && plainID.MatchString(event.ID) {
		return "replay-" + event.ID
	}
	sum := sha256.Sum256([]byte(body))
	return "replay-" + hex.EncodeToString(sum[:])[:32]
}

// replay starts an execution with a message's event, then deletes the message.
func (p *RedrivePlan) replay(ctx context.Context, item *RedriveItem) error {
	if time.Since(p.held) > holdTime/2 {
		if err := p.hold(ctx); err != nil {
			return err
		}
	}
	if err := p.system.start(ctx, item); err != nil {
		return unsure(err, showExecution(item.Name))
	}
	// It is accepted: the message must go even if the user has had enough.
	_, err := p.system.queues.DeleteMessage(context.WithoutCancel(ctx), &sqs.DeleteMessageInput{
		QueueUrl: &p.system.Outputs.DeadLetterQueueURL, ReceiptHandle: &item.Message.receipt,
	})
	if err != nil {
		return fmt.Errorf("it runs as %s, and its message could not be deleted, which --dlq does next time: %w", item.Name, refusal(err))
	}
	item.Message.receipt = ""
	return nil
}

// hold hides the messages that are still to be replayed for another while.
func (p *RedrivePlan) hold(ctx context.Context) error {
	p.held = time.Now()
	if err := p.hide(ctx, holdTime); err != nil {
		return fmt.Errorf("the messages are in the queue again, for others to read: run the same command again: %w", refusal(err))
	}
	return nil
}

// Close lets others see the messages that are left. It changes nothing else.
func (p *RedrivePlan) Close(ctx context.Context) error {
	if err := p.hide(ctx, 0); err != nil {
		return asked(fmt.Sprintf("giving the messages back, which SQS does by itself within %s", holdTime), err)
	}
	return nil
}

// hide sets for how long the messages that are left can't be seen, ten at a time.
func (p *RedrivePlan) hide(ctx context.Context, howLong time.Duration) error {
	var entries []sqstypes.ChangeMessageVisibilityBatchRequestEntry
	for i, item := range p.Items {
		if item.Message != nil && item.Message.receipt != "" {
			entries = append(entries, sqstypes.ChangeMessageVisibilityBatchRequestEntry{
				Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &p.Items[i].Message.receipt, VisibilityTimeout: int32(howLong.Seconds()),
			})
		}
	}
	for some := range slices.Chunk(entries, 10) {
		answer, err := p.system.queues.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{
			QueueUrl: &p.system.Outputs.DeadLetterQueueURL, Entries: some,
		})
		if err != nil {
			return err
		}
		if len(answer.Failed) > 0 && howLong > 0 {
			return fmt.Errorf("%w: %s", ErrRefused, aws.ToString(answer.Failed[0].Message))
		}
	}
	if howLong == 0 {
		for i := range p.Items {
			if p.Items[i].Message != nil {
				p.Items[i].Message.receipt = ""
			}
		}
	}
	return nil
}
