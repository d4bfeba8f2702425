package local

import (
	"context"
	"encoding/xml"
	"fmt"
	"net/http"
	"regexp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/google/uuid"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/loopback"
)

// SNS's limits of a message.
// https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
const maxMessage = 256 << 10 // bytes

// subject is what SNS takes as a subject: up to 100 printable ASCII characters, the first of them not a space.
var subject = regexp.MustCompile(`^[!-~][ -~]{0,99}$`)

// prepareTopic checks that a topic is named. It may be another stack's, so it need not be declared here.
func (r *Router) prepareTopic(parameters map[string]any) error {
	if err := onlyKnown(parameters, "TopicArn Subject Message"); err != nil {
		return err
	}
	name, _ := parameters["TopicArn"].(string)
	if topic, err := arn.Parse(name); err != nil || topic.Service != "sns" {
		return fmt.Errorf("%w: TopicArn %q isn't a topic's ARN", errDeclared, name)
	}
	return nil
}

// publish does a task's sns:publish: the message is recorded.
func (r *Router) publish(ctx context.Context, call asl.Call) (any, error) {
	var parameters struct{ TopicArn, Subject, Message string }
	if err := decode(call.Parameters, &parameters); err != nil {
		return nil, err
	}
	notice := Notice{TopicARN: parameters.TopicArn, Subject: parameters.Subject, Message: parameters.Message}
	if invalid := notice.invalid(); invalid != "" {
		return nil, &asl.Error{Name: "SNS.InvalidParameterException", Cause: "Invalid parameter: " + invalid}
	}
	recorderOf(ctx).note(func(e *Execution) { e.Notices = append(e.Notices, notice) })
	return map[string]any{"MessageId": uuid.NewString()}, nil
}

// invalid is what SNS has against a message; empty for nothing.
func (n Notice) invalid() string {
	switch {
	case n.Message == "" || len(n.Message) > maxMessage:
		return fmt.Sprintf("Message: %d bytes", len(n.Message))
	case n.Subject != "" && !subject.MatchString(n.Subject):
		return "Subject: " + n.Subject
	}
	return ""
}

// startTopics serves the topics in SNS's protocol, which is AWS Query: Publish alone.
// https://smithy.io/2.0/aws/protocols/aws-query-protocol.html
func (r *Router) startTopics(ctx context.Context) (err error) {
	r.topics, err = loopback.Serve(ctx, "the local SNS", http.HandlerFunc(r.serveTopics))
	return err //nolint:wrapcheck // It says what it is about.
}

// serveTopics answers a process.
func (r *Router) serveTopics(w http.ResponseWriter, request *http.Request) {
	id := uuid.NewString()
	refuse := func(status int, code, message string) {
		type refusal struct {
			XMLName   xml.Name `xml:"ErrorResponse"`
			Type      string   `xml:"Error>Type"`
			Code      string   `xml:"Error>Code"`
			Message   string   `xml:"Error>Message"`
			RequestID string   `xml:"RequestId"`
		}
		w.WriteHeader(status)
		_ = xml.NewEncoder(w).Encode(refusal{Type: "Sender", Code: code, Message: message, RequestID: id}) // who asked may be gone
	}
	w.Header().Set("Content-Type", "text/xml")
	request.Body = http.MaxBytesReader(w, request.Body, 2*maxMessage)
	if err := request.ParseForm(); err != nil || request.PostForm.Get("Action") != "Publish" {
		refuse(http.StatusBadRequest, "InvalidAction", "this SNS knows Publish alone")
		return
	}
	form := request.PostForm
	notice := Notice{TopicARN: form.Get("TopicArn"), Subject: form.Get("Subject"), Message: form.Get("Message")}
	if code, err := r.guard.published(loopback.AccessKeyID(request), notice.TopicARN); err != nil {
		refuse(http.StatusForbidden, code, message(err))
		return
	}
	if invalid := notice.invalid(); invalid != "" {
		refuse(http.StatusBadRequest, "InvalidParameter", "Invalid parameter: "+invalid)
		return
	}
	r.mu.Lock()
	r.notices = append(r.notices, notice)
	r.mu.Unlock()
	type published struct {
		XMLName   xml.Name `xml:"http://sns.amazonaws.com/doc/2010-03-31/ PublishResponse"`
		MessageID string   `xml:"PublishResult>MessageId"`
		RequestID string   `xml:"ResponseMetadata>RequestId"`
	}
	_ = xml.NewEncoder(w).Encode(published{MessageID: uuid.NewString(), RequestID: id}) // who asked may be gone
}

// published asks for a process's call of SNS, and says by which error it is refused.
func (g *guard) published(accessKeyID, topic string) (code string, err error) {
	if err := g.processor(accessKeyID, "sns", "sns:Publish", topic); err != nil {
		return "AuthorizationError", err
	}
	return "KMSAccessDenied", g.encrypts(g.signers[accessKeyID], topic)
}

// Notices are those that no execution published: the sweep's.
func (r *Router) Notices() []Notice {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.notices)
}
