package local

import (
	"errors"
	"fmt"
	"strings"

	"example.com/upload-router/internal/declared"
)

// managedRule is the rule by which Step Functions hears that a task ended. It makes the rule itself, with the permissions of the
// state machine's role, and checks these when the state machine is created.
// https://docs.aws.amazon.com/step-functions/latest/dg/service-integration-iam-templates.html
const managedRule = "rule/StepFunctionsGetEventsForECSTaskRule"

// logDelivery is what execution logging takes, of resources that nobody can name.
// https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html#cloudwatch-iam-policy
var logDelivery = []string{
	"logs:CreateLogDelivery", "logs:CreateLogStream", "logs:GetLogDelivery", "logs:UpdateLogDelivery", "logs:DeleteLogDelivery",
	"logs:ListLogDeliveries", "logs:PutLogEvents", "logs:PutResourcePolicy", "logs:DescribeResourcePolicies", "logs:DescribeLogGroups",
}

// traceActions are what a state machine takes to send its traces, and the first two what a function takes.
// https://docs.aws.amazon.com/step-functions/latest/dg/concepts-xray-tracing.html
var traceActions = []string{
	"xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets",
}

// deployment asks for what AWS checks when resources are created, and for what
// services do by themselves later on, which nobody would see fail.
func (g *guard) deployment() error {
	var refused []error
	for _, r := range g.system.Resources {
		if check := kinds[r.Type].created; check != nil {
			if err := check(g, r); err != nil {
				refused = append(refused, fmt.Errorf("%s %s: %w", r.Type, r.Name, err))
			}
		}
	}
	return errors.Join(refused...)
}

func (g *guard) machine(r declared.Resource) error {
	arn, role := r.ARN(), r.Text("roleArn")
	if err := g.assumes(serviceStates, role, arn); err != nil {
		return fmt.Errorf("neither the global service principal states.amazonaws.com, nor the regional one is authorized "+
			"to assume the provided role: %w", err)
	}
	if strings.Contains(r.Text("definition"), ":::ecs:runTask.sync") {
		rule := beside(arn, "events", managedRule)
		if err := g.all(role, rule, nil, "events:PutTargets", "events:PutRule", "events:DescribeRule"); err != nil {
			return fmt.Errorf("'%s' is not authorized to create managed-rule: %w", role, err)
		}
	}
	if err := g.mapping(r); err != nil {
		return err
	}
	logs := r.Object("loggingConfiguration")
	logging := logs != nil && logs["level"] != "OFF"
	if logging {
		if err := g.all(role, "*", nil, logDelivery...); err != nil {
			return fmt.Errorf("the state machine IAM Role is not authorized to access the Log Destination: %w", err)
		}
	}
	if enabled, _ := r.Object("tracingConfiguration")["enabled"].(bool); enabled {
		if err := g.all(role, "*", nil, traceActions...); err != nil {
			return fmt.Errorf("it can't send its traces: %w", err)
		}
	}
	return g.machineKey(r.Object("encryptionConfiguration")["kmsKeyId"], role, arn, logging)
}

// machineKey asks for a customer managed key that a state machine encrypts with. Step Functions uses it in the machine's role, and so comes
// by no service: kms:ViaService isn't there.
// https://docs.aws.amazon.com/step-functions/latest/dg/encryption-at-rest.html
func (g *guard) machineKey(named any, role, machine string, logging bool) error {
	key := g.keyARN(named)
	if key == "" {
		return nil
	}
	context := map[string][]string{keyEncryption + "aws:states:stateMachineArn": {machine}}
	if err := g.all(role, key, context, "kms:GenerateDataKey", "kms:Decrypt"); err != nil {
		return fmt.Errorf("it can't use its key: %w", err)
	}
	if !logging {
		return nil
	}
	// AWS's page writes the context with a star at its end, and doesn't say whether that is a star or stands for the log group.
	for _, resource := range []string{"*", "log-group:/aws/vendedlogs/states/executions:*"} {
		source := beside(machine, "logs", resource)
		logs := map[string][]string{keyEncryption + "SourceArn": {source}}
		if err := g.all(role, key, logs, "kms:GenerateDataKey"); err != nil {
			return fmt.Errorf("it can't encrypt its logs: %w", err)
		}
		if err := g.serves("delivery.logs.amazonaws.com", key, source, logs, "kms:Decrypt"); err != nil {
			return fmt.Errorf("its logs can't be delivered: %w", err)
		}
	}
	return nil
}

func (g *guard) function(r declared.Resource) error {
	role := r.Text("role")
	if err := g.assumes(serviceLambda, role, r.ARN()); err != nil {
		return fmt.Errorf("the role defined for the function cannot be assumed by Lambda: %w", err)
	}
	if r.Object("tracingConfig")["mode"] == "Active" {
		if err := g.all(role, "*", nil, traceActions[:2]...); err != nil {
			return fmt.Errorf("it can't send its traces: %w", err)
		}
	}
	return nil
}

// flowLog asks for what logging a VPC's connections takes.
// https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html
func (g *guard) flowLog(r declared.Resource) error {
	role := r.Text("iamRoleArn")
	if err := g.assumes(serviceFlowLogs, role, r.ARN()); err != nil {
		return fmt.Errorf("unable to assume given IAM role: %w", err)
	}
	stream := r.Text("logDestination") + ":log-stream:eni-0-all"
	if err := g.all(role, stream, nil, "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"); err != nil {
		return fmt.Errorf("it can't write: %w", err)
	}
	if err := g.may(role, "logs:DescribeLogGroups", "*", nil); err != nil {
		return fmt.Errorf("it can't find its log group: %w", err)
	}
	return nil
}

// schedule asks whether EventBridge Scheduler may take the role of a schedule, for the group that this is in, and start its target in it.
// https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
func (g *guard) schedule(r declared.Resource) error {
	group, err := g.system.Where(declared.TypeScheduleGroup, "name", r.Inputs["groupName"])
	if err != nil {
		return fmt.Errorf("finding its group: %w", err)
	}
	target := r.Object("target")
	role, started := text(target, "roleArn"), text(target, "arn")
	if err := g.assumes(serviceScheduler, role, group.ARN()); err != nil {
		return fmt.Errorf("the execution role you provide must allow EventBridge Scheduler to assume the role: %w", err)
	}
	if err := g.may(role, "states:StartExecution", started, nil); err != nil {
		return fmt.Errorf("it can't start its target: %w", err)
	}
	return nil
}

// logGroup asks whether CloudWatch Logs may use a group's key.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
func (g *guard) logGroup(r declared.Resource) error {
	key := g.keyARN(r.Inputs["kmsKeyId"])
	if key == "" {
		return nil
	}
	service := g.partition().RegionalPrincipal(g.options.Region, "logs")
	if err := g.serves(service, key, r.ARN(), map[string][]string{keyEncryption + "aws:logs:arn": {r.ARN()}},
		"kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:GenerateDataKey", "kms:DescribeKey",
	); err != nil {
		return fmt.Errorf("the specified KMS key does not exist or is not allowed to be used with it: %w", err)
	}
	return nil
}

// alarm asks whether what an alarm has to say arrives.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html
func (g *guard) alarm(r declared.Resource) error {
	for _, input := range []string{"alarmActions", "okActions", "insufficientDataActions"} {
		actions, _ := r.Inputs[input].([]any)
		for _, a := range actions {
			if topic, _ := a.(string); strings.Contains(topic, ":sns:") {
				if err := g.tells(serviceCloudWatch, topic, r.ARN()); err != nil {
					return fmt.Errorf("its notice would not arrive: %w", err)
				}
			}
		}
	}
	return nil
}

// tells asks whether a service may publish to a topic.
func (g *guard) tells(service, topic, source string) error {
	if err := g.serves(service, topic, source, nil, "sns:Publish"); err != nil {
		return err
	}
	return g.queueKey(service, topic, source)
}

// target asks whether events arrive at a target that isn't started but told, and at the dead-letter queue of any.
func (g *guard) target(r declared.Resource) error {
	rule, err := g.system.Where(declared.TypeEventRule, "name", r.Inputs["rule"])
	if err != nil {
		return fmt.Errorf("finding its rule: %w", err)
	}
	if topic := r.Text("arn"); strings.Contains(topic, ":sns:") {
		// What EventBridge sends to a topic, and to a topic's key, doesn't say which rule it comes from.
		// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sns-permissions
		if err := g.tells(serviceEvents, topic, ""); err != nil {
			return fmt.Errorf("its notice would not arrive: %w", err)
		}
	}
	if function := r.Text("arn"); strings.Contains(function, ":lambda:") {
		if err := g.serves(serviceEvents, function, rule.ARN(), nil, "lambda:InvokeFunction"); err != nil {
			return fmt.Errorf("it would not be invoked: %w", err)
		}
	}
	queues := []string{text(r.Object("deadLetterConfig"), "arn")}
	if queue := r.Text("arn"); strings.Contains(queue, ":sqs:") {
		queues = append(queues, queue)
	}
	for _, queue := range queues {
		if queue == "" {
			continue
		}
		if err := g.deadLetter(rule.ARN(), queue); err != nil {
			return fmt.Errorf("its events would not arrive in the queue: %w", err)
		}
	}
	return nil
}
