package awstest

import (
	"crypto/md5" //nolint:gosec // SQS answers with MD5, and the SDK checks it
	"encoding/hex"
	"strconv"
	"time"

	"github.com/google/uuid"

	"example.com/upload-router/internal/loopback"
)

// message is a message in the dead-letter queue.
type message struct {
	id, receipt, body string
	sent              time.Time
	hidden            bool
}

// Letter puts an event into the dead-letter queue.
func (s *Server) Letter(body string, sent time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = append(s.messages, &message{id: uuid.NewString(), body: body, sent: sent})
}

// Letters is how many messages the dead-letter queue holds, and how many of them can be received.
func (s *Server) Letters() (all, visible int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.messages {
		if !m.hidden {
			visible++
		}
	}
	return len(s.messages), visible
}

func (s *Server) receive(in map[string]any) (any, error) {
	most, _ := in["MaxNumberOfMessages"].(float64)
	var out []any
	for _, m := range s.messages {
		if m.hidden || len(out) >= max(1, int(most)) {
			continue
		}
		m.hidden, m.receipt = true, uuid.NewString()
		sum := md5.Sum([]byte(m.body)) //nolint:gosec // see above
		out = append(out, map[string]any{
			"MessageId": m.id, "ReceiptHandle": m.receipt, "Body": m.body, "MD5OfBody": hex.EncodeToString(sum[:]),
			"Attributes": map[string]any{"SentTimestamp": strconv.FormatInt(m.sent.UnixMilli(), 10)},
			"MessageAttributes": map[string]any{
				"ERROR_CODE": map[string]any{"DataType": "String", "StringValue": "NO_PERMISSIONS"},
			},
		})
	}
	return map[string]any{"Messages": out}, nil
}

func (s *Server) remove(in map[string]any) (any, error) {
	for i, m := range s.messages {
		if m.receipt != "" && m.receipt == in["ReceiptHandle"] {
			s.messages = append(s.messages[:i:i], s.messages[i+1:]...)
			return map[string]any{}, nil
		}
	}
	return nil, loopback.Refuse("ReceiptHandleIsInvalid", "The input receipt handle is invalid.")
}

func (s *Server) release(in map[string]any) (any, error) {
	for _, m := range s.messages {
		if m.receipt != "" && m.receipt == in["ReceiptHandle"] {
			m.hidden = in["VisibilityTimeout"] != 0.0
			return map[string]any{}, nil
		}
	}
	return nil, loopback.Refuse("ReceiptHandleIsInvalid", "The input receipt handle is invalid.")
}

func (s *Server) releaseBatch(in map[string]any) (any, error) {
	entries, _ := in["Entries"].([]any)
	successful, failed := []any{}, []any{}
	for _, entry := range entries {
		e, _ := entry.(map[string]any)
		if _, err := s.release(e); err != nil {
			failed = append(failed, map[string]any{"Id": e["Id"], "SenderFault": true, "Code": "ReceiptHandleIsInvalid", "Message": err.Error()})
			continue
		}
		successful = append(successful, map[string]any{"Id": e["Id"]})
	}
	return map[string]any{"Successful": successful, "Failed": failed}, nil
}

func (s *Server) attributes(map[string]any) (any, error) {
	visible := 0
	for _, m := range s.messages {
		if !m.hidden {
			visible++
		}
	}
	return map[string]any{"Attributes": map[string]any{
		"ApproximateNumberOfMessages":           strconv.Itoa(visible),
		"ApproximateNumberOfMessagesNotVisible": strconv.Itoa(len(s.messages) - visible),
	}}, nil
}

// Line is a log line.
type Line struct {
	Group, Stream, Message string
	Time                   time.Time
}

// Log writes a log line.
func (s *Server) Log(line Line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, line)
}

// filterLogs gives the lines of a group in a span of time, one a page. Like
// CloudWatch Logs it may give pages without any. Filter patterns are not looked
// at: who asks gets more than was asked for, and must pick.
func (s *Server) filterLogs(in map[string]any) (any, error) {
	first := 0
	if token, ok := in["nextToken"].(string); ok {
		first, _ = strconv.Atoi(token)
	}
	from, _ := in["startTime"].(float64)
	to, limited := in["endTime"].(float64)
	streams, _ := in["logStreamNames"].([]any)
	var events []any
	for i := first; i < len(s.lines); i++ {
		l := s.lines[i]
		at := float64(l.Time.UnixMilli())
		if l.Group != in["logGroupName"] || at < from || limited && at > to || len(streams) > 0 && streams[0] != l.Stream {
			continue
		}
		events = append(events, map[string]any{
			"eventId": strconv.Itoa(i), "logStreamName": l.Stream, "timestamp": int64(at), "ingestionTime": int64(at), "message": l.Message,
		})
		return map[string]any{"events": events, "nextToken": strconv.Itoa(i + 1)}, nil
	}
	return map[string]any{"events": []any{}}, nil
}
