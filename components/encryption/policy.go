package encryption

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/location"
	"example.com/upload-router/internal/policy"
)

const eventBridge = "events.amazonaws.com"

// keyPolicy lets the account's IAM policies govern the key, and lets the services that call by themselves use it, each for this
// stack's resources alone. Roles need nothing here: their own policies say what they may do with the key, under the first
// statement.
func keyPolicy(args *Args) pulumi.StringOutput {
	at := args.Location
	statements := []policy.Statement{
		{
			Sid:       "AdministerKey",
			Principal: policy.Account(at),
			Actions:   []string{"kms:*"},
			Resources: thisKey(),
		},
		logGroups(at, args.LogGroups),
	}
	if args.Queues != "" {
		statements = append(statements, uses("EncryptUndeliveredEvents", eventBridge, "aws:sqs:arn", at.ARN("sqs", args.Queues)))
	}
	if args.Topics != "" {
		topics := at.ARN("sns", args.Topics)
		statements = append(statements,
			uses("EncryptStatusChangeNotices", eventBridge, "aws:sns:topicArn", topics),
			uses("EncryptAlarmNotices", "cloudwatch.amazonaws.com", "aws:sns:topicArn", topics))
	}
	if args.ExecutionLogs {
		statements = append(statements, executionLogs(at))
	}
	return policy.Document(statements...)
}

// thisKey is the key that has the policy.
func thisKey() []pulumi.StringInput { return []pulumi.StringInput{pulumi.String("*")} }

// logGroups lets CloudWatch Logs encrypt the stack's log groups.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
func logGroups(at location.Location, names []string) policy.Statement {
	groups := make([]pulumi.StringInput, len(names))
	for i, name := range names {
		groups[i] = pulumi.String(at.ARN("logs", "log-group:"+name))
	}
	return policy.Statement{
		Sid:        "EncryptLogGroups",
		Principal:  policy.Service(at.RegionalPrincipal("logs")),
		Actions:    []string{"kms:Decrypt*", "kms:Describe*", "kms:Encrypt*", "kms:GenerateDataKey*", "kms:ReEncrypt*"},
		Resources:  thisKey(),
		Conditions: []policy.Condition{policy.When("ArnLike", "kms:EncryptionContext:aws:logs:arn", groups...)},
	}
}

// uses lets a service write to what is encrypted with the key, for the queues or the topics that a pattern names: SQS and SNS say
// in the encryption's context what they encrypt. It can't name the rules and alarms, or their account, as what EventBridge sends
// to a topic doesn't say that it comes from one. What a service that isn't allowed to has to say is dropped, and nobody hears of
// that.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html
// https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
func uses(sid, service, context, pattern string) policy.Statement {
	return policy.Statement{
		Sid:        sid,
		Principal:  policy.Service(service),
		Actions:    []string{"kms:Decrypt", "kms:GenerateDataKey"},
		Resources:  thisKey(),
		Conditions: []policy.Condition{policy.When("ArnLike", "kms:EncryptionContext:"+context, pulumi.String(pattern))},
	}
}

// executionLogs lets CloudWatch's log delivery read what a state machine with the key logs. AWS's example has no condition. The
// state machine's role encrypts the logs with this very context (requirement C16), so decrypting takes it as well: AWS writes it
// with a star at its end, be that the star itself or any log group.
// https://docs.aws.amazon.com/step-functions/latest/dg/encryption-at-rest.html
func executionLogs(at location.Location) policy.Statement {
	return policy.Statement{
		Sid:       "DecryptExecutionLogs",
		Principal: policy.Service("delivery.logs.amazonaws.com"),
		Actions:   []string{"kms:Decrypt"},
		Resources: thisKey(),
		Conditions: []policy.Condition{
			policy.When("ArnLike", "kms:EncryptionContext:SourceArn", pulumi.String(at.ARN("logs", "*"))),
		},
	}
}
