package localaws

import (
	"crypto/md5" //nolint:gosec // SQS answers with MD5, and the SDK checks it.
	"encoding/hex"
	"strconv"
	"time"

	"example.com/upload-router/internal/local"
	"example.com/upload-router/internal/loopback"
)

// entry is one message of a batch.
type entry struct {
	ID                string `json:"Id"`
	ReceiptHandle     string `json:"ReceiptHandle"`
	VisibilityTimeout int    `json:"VisibilityTimeout"`
}

// Only lets readers of the dead-letter queue see no other messages, so that
// several tests can share it; nil lets them see all.
func (s *Server) Only(readable func(local.DeadLetter) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if readable == nil {
		readable = func(local.DeadLetter) bool { return true }
	}
	s.readable = readable
}

func (s *Server) receive(in request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	messages := []any{}
	for _, letter := range s.Router.DeadLetters() {
		if s.hidden[letter.MessageID] || !s.readable(letter) || len(messages) >= max(1, in.MaxNumberOfMessages) {
			continue
		}
		s.hidden[letter.MessageID] = true
		sum := md5.Sum(letter.Body) //nolint:gosec // See above.
		attributes := map[string]any{}
		for name, value := range letter.Attributes {
			attributes[name] = map[string]any{"DataType": "String", "StringValue": value}
		}
		messages = append(messages, map[string]any{
			"MessageId": letter.MessageID, "ReceiptHandle": letter.MessageID, "Body": string(letter.Body),
			"MD5OfBody": hex.EncodeToString(sum[:]), "MessageAttributes": attributes,
			"Attributes": map[string]any{"SentTimestamp": strconv.FormatInt(time.Now().UnixMilli(), 10)},
		})
	}
	return map[string]any{"Messages": messages}, nil
}

func (s *Server) remove(in request) (any, error) {
	for _, letter := range s.Router.DeadLetters() {
		if letter.MessageID == in.ReceiptHandle {
			s.Router.Discard(letter)
			return map[string]any{}, nil
		}
	}
	return nil, loopback.Refuse("ReceiptHandleIsInvalid", in.ReceiptHandle)
}

// release hides messages for longer, or lets them be seen again.
func (s *Server) release(in request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	done := make([]any, 0, len(in.Entries))
	for _, e := range in.Entries {
		s.hidden[e.ReceiptHandle] = e.VisibilityTimeout > 0
		done = append(done, map[string]any{"Id": e.ID})
	}
	return map[string]any{"Successful": done, "Failed": []any{}}, nil
}

func (s *Server) count(request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	visible, hidden := 0, 0
	for _, letter := range s.Router.DeadLetters() {
		if s.hidden[letter.MessageID] {
			hidden++
		} else {
			visible++
		}
	}
	return map[string]any{"Attributes": map[string]any{
		"ApproximateNumberOfMessages": strconv.Itoa(visible), "ApproximateNumberOfMessagesNotVisible": strconv.Itoa(hidden),
	}}, nil
}
