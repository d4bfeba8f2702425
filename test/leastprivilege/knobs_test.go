package leastprivilege_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/declared"
)

// editing makes a copy of a system in which each resource of a type is changed.
func editing(system *declared.System, typ string, change func(inputs map[string]any)) *declared.System {
	out := &declared.System{Outputs: system.Outputs, Resources: slices.Clone(system.Resources)}
	for i, r := range out.Resources {
		if r.Type == typ {
			r.Inputs = maps.Clone(r.Inputs)
			change(r.Inputs)
			out.Resources[i] = r
		}
	}
	return out
}

func adding(system *declared.System, typ, name, id string, inputs, outputs map[string]any) *declared.System {
	return &declared.System{Outputs: system.Outputs, Resources: append(slices.Clone(system.Resources),
		declared.Resource{Type: typ, Name: name, ID: id, Custom: true, Inputs: inputs, Outputs: outputs})}
}

const customerKey = "arn:aws:kms:eu-central-1:123456789012:key/customer"

// allowing is a policy that allows actions on anything to a principal, or to whoever has it if that is empty.
func allowing(t *testing.T, principal any, actions ...string) string {
	t.Helper()
	statement := map[string]any{"Sid": "Given", "Effect": "Allow", "Action": actions, "Resource": "*"}
	if principal != nil {
		statement["Principal"] = principal
	}
	text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{statement}})
	require.NoError(t, err)
	return string(text)
}

// given lets every role do something more.
func given(t *testing.T, system *declared.System, actions ...string) *declared.System {
	t.Helper()
	for _, r := range system.OfType("aws:iam/role:Role") {
		system = adding(system, "aws:iam/rolePolicy:RolePolicy", r.Name+"-given", r.Name,
			map[string]any{"role": r.Outputs["name"], "policy": allowing(t, nil, actions...)}, nil)
	}
	return system
}

// What can be switched on takes permissions of its own: without them the system doesn't work, with them it does.
func TestWhatIsSwitchedOnTakesItsRights(t *testing.T) {
	t.Parallel()
	const (
		typeMachine  = "aws:sfn/stateMachine:StateMachine"
		typeTopic    = "aws:sns/topic:Topic"
		typeQueue    = "aws:sqs/queue:Queue"
		typeBucket   = "aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2"
		typeEndpoint = "aws:ec2/vpcEndpoint:VpcEndpoint"
	)
	account := map[string]any{"AWS": "arn:aws:iam::123456789012:root"}
	key := func(system *declared.System, services ...string) *declared.System {
		document := allowing(t, account, "kms:*")
		if len(services) > 0 {
			extra := allowing(t, map[string]any{"Service": services}, "kms:Decrypt", "kms:GenerateDataKey*")
			document = strings.Replace(document, `"Statement":[`, `"Statement":[`+statementOf(t, extra)+",", 1)
		}
		return adding(system, "aws:kms/key:Key", "customer", "customer",
			map[string]any{"policy": document}, map[string]any{"arn": customerKey, "keyId": "customer"})
	}
	plain := declare(t, "knobs", map[string]string{"executionLogLevel": "OFF"})
	set := func(typ, input string, value any) *declared.System {
		return editing(plain, typ, func(inputs map[string]any) { inputs[input] = value })
	}
	encrypted := set(typeTopic, "kmsMasterKeyId", customerKey)
	queues := set(typeQueue, "kmsMasterKeyId", "customer")
	endpoint := func(service string, inputs map[string]any) *declared.System {
		inputs["serviceName"] = "com.amazonaws.eu-central-1." + service
		return adding(plain, typeEndpoint, service, "vpce-1", inputs, nil)
	}
	passing := func(actions string) map[string]any { return map[string]any{"policy": allowing(t, "*", actions)} }
	for name, test := range map[string]struct {
		on          *declared.System
		permissions string           // that every role is given
		with        *declared.System // or what works instead
		says        string
	}{
		"execution logging": {
			on: set(typeMachine, "loggingConfiguration", map[string]any{"level": "ERROR"}), permissions: "logs:*", says: "logs:CreateLogDelivery",
		},
		"tracing of the machine": {
			on: set(typeMachine, "tracingConfiguration", map[string]any{"enabled": true}), permissions: "xray:*", says: "xray:PutTraceSegments",
		},
		"a key of one's own for the machine": {
			on:          key(set(typeMachine, "encryptionConfiguration", map[string]any{"kmsKeyId": customerKey})),
			permissions: "kms:*", says: "kms:GenerateDataKey",
		},
		"a key of one's own for the bucket": {
			on: key(set(typeBucket, "rules", []any{map[string]any{
				"applyServerSideEncryptionByDefault": map[string]any{"kmsMasterKeyId": customerKey}, "bucketKeyEnabled": true,
			}})),
			permissions: "kms:*", says: "kms:Decrypt",
		},
		"a key of one's own for the topic": {
			on:          key(encrypted, "cloudwatch.amazonaws.com", "events.amazonaws.com"),
			permissions: "kms:*", says: "its failure was not announced",
		},
		"a topic's key that alarms may not use": {
			on:   given(t, key(encrypted, "events.amazonaws.com"), "kms:*"),
			with: given(t, key(encrypted, "cloudwatch.amazonaws.com", "events.amazonaws.com"), "kms:*"),
			says: "its notice would not arrive",
		},
		"a queue's key that EventBridge may not use": {
			on: key(queues), with: key(queues, "events.amazonaws.com"), says: "its events would not arrive in the queue",
		},
		"an endpoint that keeps the task from the bucket": {
			on: endpoint("s3", passing("s3:PutObject")), with: endpoint("s3", passing("s3:GetObject*")),
			says: "no VPC endpoint policy allows the s3:GetObject action",
		},
		"an endpoint that keeps the logs back": {
			on: endpoint("logs", passing("logs:PutLogEvents")), with: endpoint("logs", map[string]any{}),
			says: "no VPC endpoint policy allows the logs:CreateLogStream action",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := run(t, test.on)
			require.ErrorContains(t, err, test.says)
			if test.permissions != "" {
				test.with = given(t, test.on, test.permissions)
			}
			_, err = run(t, test.with)
			require.NoError(t, err)
		})
	}
}

// statementOf is the one statement of a policy.
func statementOf(t *testing.T, document string) string {
	t.Helper()
	var parts struct{ Statement []json.RawMessage }
	require.NoError(t, json.Unmarshal([]byte(document), &parts))
	require.Len(t, parts.Statement, 1)
	return string(parts.Statement[0])
}

// An integration whose permissions nobody thought of can't be used at all.
func TestUnknownIntegrationsAreErrors(t *testing.T) {
	t.Parallel()
	system := editing(declare(t, "unknown", map[string]string{}), "aws:sfn/stateMachine:StateMachine", func(inputs map[string]any) {
		inputs["definition"] = strings.ReplaceAll(inputs["definition"].(string), ":::sns:publish", ":::batch:submitJob")
	})
	_, err := begin(t, system, nil)
	require.ErrorContains(t, err, "batch:submitJob")
}
