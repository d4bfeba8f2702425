package local

import (
	"context"
	"fmt"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/google/uuid"

	"example.com/upload-router/internal/asl"
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
	invalid := func(what string) error {
		return &asl.Error{Name: "SNS.InvalidParameterException", Cause: "Invalid parameter: " + what}
	}
	switch {
	case parameters.Message == "" || len(parameters.Message) > maxMessage:
		return nil, invalid(fmt.Sprintf("Message: %d bytes", len(parameters.Message)))
	case parameters.Subject != "" && !subject.MatchString(parameters.Subject):
		return nil, invalid("Subject: " + parameters.Subject)
	}
	notice := Notice{TopicARN: parameters.TopicArn, Subject: parameters.Subject, Message: parameters.Message}
	recorderOf(ctx).note(func(e *Execution) { e.Notices = append(e.Notices, notice) })
	return map[string]any{"MessageId": uuid.NewString()}, nil
}
