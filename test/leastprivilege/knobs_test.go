package leastprivilege_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/local"
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

// allowing is a policy that allows actions on anything to a principal, or to
// whoever has it if that is empty.
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

// What can be switched on takes permissions of its own: without them the system
// doesn't work, with them it does.
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
	key := func(t *testing.T, system *declared.System, services ...string) *declared.System {
		t.Helper()
		document := allowing(t, account, "kms:*")
		if len(services) > 0 {
			extra := allowing(t, map[string]any{"Service": services}, "kms:Decrypt", "kms:GenerateDataKey*")
			document = strings.Replace(document, `"Statement":[`, `"Statement":[`+statementOf(t, extra)+",", 1)
		}
		return adding(system, "aws:kms/key:Key", "customer", "customer",
			map[string]any{"policy": document}, map[string]any{"arn": customerKey, "keyId": "customer"})
	}
	set := func(name string, value any) func(map[string]any) {
		return func(inputs map[string]any) { inputs[name] = value }
	}
	plain := declare(t, "knobs", map[string]string{"executionLogLevel": "OFF"})
	for name, test := range map[string]struct {
		on   func(t *testing.T) *declared.System
		with func(t *testing.T, on *declared.System) *declared.System
		says string
	}{
		"execution logging": {
			func(*testing.T) *declared.System {
				return editing(plain, typeMachine, set("loggingConfiguration", map[string]any{"level": "ERROR"}))
			},
			func(t *testing.T, on *declared.System) *declared.System { t.Helper(); return given(t, on, "logs:*") },
			"logs:CreateLogDelivery",
		},
		"tracing of the machine": {
			func(*testing.T) *declared.System {
				return editing(plain, typeMachine, set("tracingConfiguration", map[string]any{"enabled": true}))
			},
			func(t *testing.T, on *declared.System) *declared.System { t.Helper(); return given(t, on, "xray:*") },
			"xray:PutTraceSegments",
		},
		"a key of one's own for the machine": {
			func(t *testing.T) *declared.System {
				t.Helper()
				return key(t, editing(plain, typeMachine, set("encryptionConfiguration", map[string]any{"kmsKeyId": customerKey})))
			},
			func(t *testing.T, on *declared.System) *declared.System { t.Helper(); return given(t, on, "kms:*") },
			"kms:GenerateDataKey",
		},
		"a key of one's own for the bucket": {
			func(t *testing.T) *declared.System {
				t.Helper()
				return key(t, editing(plain, typeBucket, set("rules", []any{map[string]any{
					"applyServerSideEncryptionByDefault": map[string]any{"kmsMasterKeyId": customerKey}, "bucketKeyEnabled": true,
				}})))
			},
			func(t *testing.T, on *declared.System) *declared.System {
				t.Helper()
				return given(t, on, "kms:Decrypt")
			},
			"kms:Decrypt",
		},
		"a key of one's own for the topic": {
			func(t *testing.T) *declared.System {
				t.Helper()
				return key(t, editing(plain, typeTopic, set("kmsMasterKeyId", customerKey)), "cloudwatch.amazonaws.com", "events.amazonaws.com")
			},
			func(t *testing.T, on *declared.System) *declared.System { t.Helper(); return given(t, on, "kms:*") },
			"its failure was not announced",
		},
		"a topic's key that alarms may not use": {
			func(t *testing.T) *declared.System {
				t.Helper()
				return given(t, key(t, editing(plain, typeTopic, set("kmsMasterKeyId", customerKey)), "events.amazonaws.com"), "kms:*")
			},
			func(t *testing.T, _ *declared.System) *declared.System {
				t.Helper()
				return given(t, key(t, editing(plain, typeTopic, set("kmsMasterKeyId", customerKey)),
					"cloudwatch.amazonaws.com", "events.amazonaws.com"), "kms:*")
			},
			"its notice would not arrive",
		},
		"a queue's key that EventBridge may not use": {
			func(t *testing.T) *declared.System {
				t.Helper()
				return key(t, editing(plain, typeQueue, set("kmsMasterKeyId", "customer")))
			},
			func(t *testing.T, _ *declared.System) *declared.System {
				t.Helper()
				return key(t, editing(plain, typeQueue, set("kmsMasterKeyId", "customer")), "events.amazonaws.com")
			},
			"its events would not arrive in the queue",
		},
		"an endpoint that keeps the task from the bucket": {
			func(t *testing.T) *declared.System {
				t.Helper()
				return adding(plain, typeEndpoint, "s3", "vpce-1", map[string]any{
					"serviceName": "com.amazonaws.eu-central-1.s3", "policy": allowing(t, "*", "s3:PutObject"),
				}, nil)
			},
			func(t *testing.T, _ *declared.System) *declared.System {
				t.Helper()
				return adding(plain, typeEndpoint, "s3", "vpce-1", map[string]any{
					"serviceName": "com.amazonaws.eu-central-1.s3", "policy": allowing(t, "*", "s3:GetObject*"),
				}, nil)
			},
			"no VPC endpoint policy allows the s3:GetObject action",
		},
		"an endpoint that keeps the logs back": {
			func(t *testing.T) *declared.System {
				t.Helper()
				return adding(plain, typeEndpoint, "logs", "vpce-1", map[string]any{
					"serviceName": "com.amazonaws.eu-central-1.logs", "policy": allowing(t, "*", "logs:PutLogEvents"),
				}, nil)
			},
			func(t *testing.T, _ *declared.System) *declared.System {
				t.Helper()
				return adding(plain, typeEndpoint, "logs", "vpce-1",
					map[string]any{"serviceName": "com.amazonaws.eu-central-1.logs"}, nil)
			},
			"no VPC endpoint policy allows the logs:CreateLogStream action",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			on := test.on(t)
			_, err := run(t, on)
			require.ErrorContains(t, err, test.says)
			_, err = run(t, test.with(t, on))
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
	_, err := local.Start(t.Context(), system, local.Options{Root: root(t), AccountID: accountID, Region: region})
	require.ErrorContains(t, err, "batch:submitJob")
}
