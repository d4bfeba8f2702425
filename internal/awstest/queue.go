package awstest

import (
	"crypto/md5" //nolint:gosec // SQS answers with MD5, and the SDK checks it.
	"encoding/hex"
	"encoding/json"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"example.com/upload-router/internal/local"
	"example.com/upload-router/internal/loopback"
)

// entry is one message of a batch.
type entry struct {
	ID                string `json:"Id"`
	ReceiptHandle     string `json:"ReceiptHandle"`
	VisibilityTimeout int    `json:"VisibilityTimeout"`
}

// delivery is what SQS knows of a message besides its content.
type delivery struct {
	receipt string    // of the last time that it was received; empty if it never was
	until   time.Time // it is hidden
	sent    time.Time
}

// hide hides it for so many seconds; 0 lets it be seen.
func (d *delivery) hide(seconds int) { d.until = time.Now().Add(time.Duration(seconds) * time.Second) }

func (d *delivery) hidden() bool { return time.Now().Before(d.until) }

// DeadLetter puts an event into the dead-letter queue.
func (s *Server) DeadLetter(body string, sent time.Time) { s.set(func() { s.deadLetter(body, sent) }) }

func (s *Server) deadLetter(body string, sent time.Time) {
	s.message(queue, body, sent, map[string]string{"ERROR_CODE": "NO_PERMISSIONS"})
}

// Paused puts a message into the queue of paused uploads.
func (s *Server) Paused(body string) { s.set(func() { s.message(pausedQueue, body, time.Now(), nil) }) }

// message puts a message into a queue.
func (s *Server) message(queue, body string, sent time.Time, attributes map[string]string) {
	m := local.DeadLetter{QueueARN: queue, MessageID: uuid.NewString(), Body: json.RawMessage(body), Attributes: attributes}
	s.messages = append(s.messages, m)
	s.deliveries[m.MessageID] = &delivery{sent: sent}
}

// inQueue are the messages of all queues, the oldest first.
func (s *Server) inQueue() []local.DeadLetter {
	if s.Router != nil {
		return s.Router.DeadLetters()
	}
	return s.messages
}

func (s *Server) delivery(m local.DeadLetter) *delivery {
	if s.deliveries[m.MessageID] == nil {
		s.deliveries[m.MessageID] = &delivery{sent: time.Now()}
	}
	return s.deliveries[m.MessageID]
}

// received gives the message that a receipt is for.
func (s *Server) received(receipt string) (local.DeadLetter, error) {
	for _, m := range s.inQueue() {
		if receipt != "" && s.delivery(m).receipt == receipt {
			return m, nil
		}
	}
	return local.DeadLetter{}, loopback.Refuse("ReceiptHandleIsInvalid", "The input receipt handle is invalid.")
}

// Messages is how many messages the dead-letter queue holds, and how many of them can be received.
func (s *Server) Messages() (all, visible int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count(func(local.DeadLetter) bool { return true })
}

func (s *Server) count(which func(local.DeadLetter) bool) (all, visible int) {
	for _, m := range s.inQueue() {
		if !which(m) {
			continue
		}
		all++
		if !s.delivery(m).hidden() {
			visible++
		}
	}
	return all, visible
}

// holds says whether the queue that a request names holds a message.
func (in request) holds(m local.DeadLetter) bool {
	return strings.HasSuffix(m.QueueARN, ":"+path.Base(in.QueueURL))
}

// Only lets readers of the dead-letter queue see no other messages, so that several tests can share it.
func (s *Server) Only(readable func(local.DeadLetter) bool) { s.set(func() { s.readable = readable }) }

func (s *Server) receive(in request) (any, error) {
	out := []any{}
	for _, m := range s.inQueue() {
		d := s.delivery(m)
		if !in.holds(m) || d.hidden() || s.readable != nil && !s.readable(m) || len(out) >= max(1, in.MaxNumberOfMessages) {
			continue
		}
		d.hide(in.VisibilityTimeout)
		d.receipt = uuid.NewString()
		sum := md5.Sum(m.Body) //nolint:gosec // See above.
		attributes := map[string]any{}
		for name, value := range m.Attributes {
			attributes[name] = map[string]any{"DataType": "String", "StringValue": value}
		}
		out = append(out, map[string]any{
			"MessageId": m.MessageID, "ReceiptHandle": d.receipt, "Body": string(m.Body), "MD5OfBody": hex.EncodeToString(sum[:]),
			"Attributes":        map[string]any{"SentTimestamp": strconv.FormatInt(d.sent.UnixMilli(), 10)},
			"MessageAttributes": attributes,
		})
	}
	return map[string]any{"Messages": out}, nil
}

func (s *Server) remove(in request) (any, error) {
	m, err := s.received(in.ReceiptHandle)
	if err != nil {
		return nil, err
	}
	if s.Router != nil {
		s.Router.Discard(m)
	}
	s.messages = slices.DeleteFunc(s.messages, func(other local.DeadLetter) bool { return other.MessageID == m.MessageID })
	return map[string]any{}, nil
}

// release hides a message for longer, or lets it be seen again.
func (s *Server) release(in request) (any, error) {
	m, err := s.received(in.ReceiptHandle)
	if err != nil {
		return nil, err
	}
	s.delivery(m).hide(in.VisibilityTimeout)
	return map[string]any{}, nil
}

func (s *Server) removeBatch(in request) (any, error) {
	return eachEntry(in.Entries, func(e entry) error {
		_, err := s.remove(request{ReceiptHandle: e.ReceiptHandle})
		return err
	})
}

// eachEntry does each of a batch.
func eachEntry(entries []entry, do func(entry) error) (any, error) {
	successful, failed := []any{}, []any{}
	for _, e := range entries {
		if err := do(e); err != nil {
			failed = append(failed, map[string]any{"Id": e.ID, "SenderFault": true, "Code": "ReceiptHandleIsInvalid", "Message": err.Error()})
			continue
		}
		successful = append(successful, map[string]any{"Id": e.ID})
	}
	return map[string]any{"Successful": successful, "Failed": failed}, nil
}

func (s *Server) releaseBatch(in request) (any, error) {
	return eachEntry(in.Entries, func(e entry) error {
		_, err := s.release(request{ReceiptHandle: e.ReceiptHandle, VisibilityTimeout: e.VisibilityTimeout})
		return err
	})
}

func (s *Server) attributes(in request) (any, error) {
	all, visible := s.count(in.holds)
	return map[string]any{"Attributes": map[string]any{
		"ApproximateNumberOfMessages":           strconv.Itoa(visible),
		"ApproximateNumberOfMessagesNotVisible": strconv.Itoa(all - visible),
	}}, nil
}
