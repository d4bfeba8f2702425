package leastprivilege_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/local"
	"example.com/upload-router/internal/local/localtest"
)

// without takes one grant away.
func without(t *testing.T, system *declared.System, name string) *declared.System {
	t.Helper()
	for _, c := range removals(t, system) {
		if c.name == name {
			return c.apply(t, system)
		}
	}
	require.Failf(t, "no such grant", "%s: there are %d others", name, len(removals(t, system)))
	return nil
}

// A missing right shows itself as it does in AWS.
func TestRefusalsAreThoseOfAWS(t *testing.T) {
	t.Parallel()
	system := declare(t, "refused", map[string]string{})
	for name, test := range map[string]struct {
		without string // what declares the grant, below the stack's name, and the grant
		size    int
		error   string
		cause   string
	}{
		"invoking the function": {
			"workflow-run without lambda:InvokeFunction of ProcessSmallFiles", 5, "Lambda.AWSLambdaException",
			"because no identity-based policy allows the lambda:InvokeFunction action " +
				"(Service: AWSLambda; Status Code: 403; Error Code: AccessDeniedException)",
		},
		"running the task": {
			"workflow-run without ecs:RunTask of ProcessLargeFiles", 50, "ECS.AccessDeniedException",
			"is not authorized to perform: ecs:RunTask on resource: arn:aws:ecs:eu-central-1:123456789012:task-definition/",
		},
		"tagging the task": {
			"workflow-run without ecs:TagResource of TagTasks", 50, "ECS.AccessDeniedException",
			"is not authorized to perform: ecs:TagResource on resource: arn:aws:ecs:eu-central-1:123456789012:task/",
		},
		"giving the task its roles": {
			"workflow-run without iam:PassRole of PassTaskRoles", 50, "ECS.AccessDeniedException",
			"is not authorized to perform: iam:PassRole on resource: arn:aws:iam::123456789012:role/",
		},
		"taking the task's role": {
			"task-role without sts:AssumeRole of AssumeRole", 50, "ECS.ClientException", "ECS was unable to assume the role",
		},
		"logging in to the registry": {
			"task-execution without ecr:GetAuthorizationToken of LogInToRegistry", 50, "States.TaskFailed",
			`"StopCode":"TaskFailedToStart","StoppedReason":"CannotPullContainerError: `,
		},
		"opening the log stream": {
			"task-execution without logs:CreateLogStream of WriteLogs", 50, "States.TaskFailed",
			`"StoppedReason":"ResourceInitializationError: failed to validate logger args`,
		},
		"the function reading": {
			"uploads-read-function without s3:GetObjectVersion of ReadUploads", 5, "Upload.AccessDenied", "s3:GetObjectVersion",
		},
		"the task reading": {
			"uploads-read-task without s3:GetObjectVersion of ReadUploads", 50, "Upload.AccessDenied", "s3:GetObjectVersion",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trace := follow(t, without(t, system, "upload-router-refused-"+test.without), test.size)
			require.Len(t, trace.Executions, 1)
			e := trace.Executions[0]
			assert.Equal(t, asl.StatusFailed, e.Status)
			assert.Equal(t, test.error, e.Error)
			assert.Contains(t, e.Cause, test.cause)
			assert.Len(t, e.Notices, 1, "it is announced all the same")
		})
	}
}

// follow uploads a file, and gives what it led to.
func follow(t *testing.T, system *declared.System, size int) *local.Trace {
	t.Helper()
	r, err := begin(t, system, nil)
	require.NoError(t, err)
	defer closing.Go(func() { _ = r.Close() })
	trace, err := upload(t.Context(), r, t.TempDir(), "file", size)
	require.NoError(t, err)
	return trace
}

// A file is processed although nobody may be told, or may read its log.
func TestWhatFailsBesideTheFileIsNoted(t *testing.T) {
	t.Parallel()
	system := declare(t, "beside", map[string]string{})
	for grant, noted := range map[string]string{
		"function-logs without logs:CreateLogStream of WriteLogs":        "logs:CreateLogStream",
		"function-logs without logs:PutLogEvents of WriteLogs":           "logs:PutLogEvents",
		"task-execution without logs:PutLogEvents of WriteLogs":          "logs:PutLogEvents",
		"workflow-run without ecs:DescribeTasks of DescribeAndStopTasks": "ecs:DescribeTasks",
		"workflow-run without sns:Publish of Notify":                     "",
	} {
		t.Run(grant, func(t *testing.T) {
			t.Parallel()
			size := 5
			if noted == "ecs:DescribeTasks" || strings.HasPrefix(grant, "task-") {
				size = 50
			}
			e := follow(t, without(t, system, "upload-router-beside-"+grant), size).Executions[0]
			require.Equal(t, asl.StatusSucceeded, e.Status)
			if noted == "" {
				require.Empty(t, e.Notices)
				return
			}
			require.Len(t, e.Refused, 1)
			require.Contains(t, e.Refused[0], noted)
			if noted != "ecs:DescribeTasks" {
				require.Empty(t, e.Runs[0].Logs)
			}
		})
	}
}

// I4: a key that is given lets nobody use it whose own policy doesn't, and no service that the output kmsKeyPolicy doesn't name.
func TestAGivenKeyTakesRights(t *testing.T) {
	t.Parallel()
	system := declare(t, "givenkey", map[string]string{
		"encryption": "customer", "kmsKeyArn": "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555",
	})
	l, err := run(t, system)
	require.NoError(t, err)
	require.Empty(t, l.refused())
	changes := 0
	for _, c := range removals(t, system) {
		if !strings.Contains(c.name, " without kms:") {
			continue
		}
		changes++
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			changed := c.apply(t, system)
			on, asked := l.asked(lost(t, system, changed))
			require.True(t, asked)
			l, err := take(t, changed, on)
			require.Error(t, err)
			require.NotEmpty(t, l.refused())
		})
	}
	require.Greater(t, changes, 5)
	said, _ := system.Outputs["kmsKeyPolicy"].(string)
	for _, service := range []string{"events.amazonaws.com", "logs.eu-central-1.amazonaws.com"} {
		changed := &declared.System{Resources: system.Resources, Outputs: maps.Clone(system.Outputs)}
		changed.Outputs["kmsKeyPolicy"] = strings.ReplaceAll(said, `"`+service+`"`, `"none.amazonaws.com"`)
		require.NotEqual(t, said, changed.Outputs["kmsKeyPolicy"], service)
		_, err := run(t, changed)
		require.ErrorContains(t, err, service+" is not authorized to perform: kms:")
	}
}

// What EventBridge may not start goes to the dead-letter queue without a retry.
func TestStartRefused(t *testing.T) {
	t.Parallel()
	system := declare(t, "unstarted", map[string]string{})
	for _, grant := range []string{
		"uploads-start without states:StartExecution of StartExecutions",
		"uploads-role without sts:AssumeRole of AssumeRole",
	} {
		t.Run(grant, func(t *testing.T) {
			t.Parallel()
			trace := follow(t, without(t, system, "upload-router-unstarted-"+grant), 5)
			require.Empty(t, trace.Executions)
			require.Len(t, trace.DeadLetters, 1)
			letter := trace.DeadLetters[0]
			require.NotEmpty(t, letter.QueueARN)
			require.Equal(t, "NO_PERMISSIONS", letter.Attributes["ERROR_CODE"])
			require.Equal(t, "0", letter.Attributes["RETRY_ATTEMPTS"])
			require.JSONEq(t, string(trace.Event), string(letter.Body))
		})
	}
}

// What EventBridge publishes doesn't say which rule it comes from: under a condition on that no notice would arrive, in either policy.
func TestEventBridgeTellsTopicsNoSource(t *testing.T) {
	t.Parallel()
	system := declare(t, "sourced", map[string]string{"encryption": "customer"})
	account := map[string]any{"StringEquals": map[string]any{"aws:SourceAccount": localtest.AccountID}}
	changes := 0
	documents(t, system, func(resource, input string, fresh func() map[string]any, statement int) {
		document := fresh()
		changed := document["Statement"].([]any)[statement].(map[string]any)
		if sid, _ := changed["Sid"].(string); sid != "PublishStatusChanges" && sid != "EncryptStatusChangeNotices" {
			return
		}
		changes++
		changed["Condition"] = account
		_, err := begin(t, change{"", resource, input, document}.apply(t, system), nil)
		require.ErrorContains(t, err, "its notice would not arrive", resource)
	})
	require.Equal(t, 2, changes, "of the topic and of its key")
}

// Step Functions uses the machine's key in the machine's role: for that no condition on kms:ViaService holds, and AWS has executions fail
// by one. What DynamoDB and SNS use for the role, and Step Functions for the sweep, has one.
// https://docs.aws.amazon.com/step-functions/latest/dg/encryption-at-rest.html
func TestStepFunctionsUsesTheKeyByNoService(t *testing.T) {
	t.Parallel()
	system := declare(t, "byservice", map[string]string{"encryption": "customer"})
	via := map[string]string{
		"DecryptLedger": "dynamodb.", "EncryptNotices": "sns.", "DecryptExecutions": "states.", "DecryptUploads": "s3.",
		"EncryptResults": "s3.", "DecryptLists": "s3.",
		"EncryptExecutions": "", "EncryptExecutionLogs": "", // Step Functions' own
	}
	seen := map[string]bool{}
	documents(t, system, func(resource, input string, fresh func() map[string]any, statement int) {
		document := fresh()
		changed := document["Statement"].([]any)[statement].(map[string]any)
		sid, _ := changed["Sid"].(string)
		actions, _ := changed["Action"].([]any)
		if changed["Principal"] != nil || !strings.HasPrefix(fmt.Sprint(actions...), "kms:") {
			return
		}
		seen[sid] = true
		host, known := via[sid]
		require.True(t, known, "%s of %s uses a key: by which service?", sid, resource)
		equals, _ := conditionsOf(changed)["StringEquals"].(map[string]any)
		if host != "" {
			require.Equal(t, []any{host + "eu-central-1.amazonaws.com"}, equals["kms:ViaService"], "%s of %s", sid, resource)
			return
		}
		require.NotContains(t, equals, "kms:ViaService", "%s of %s", sid, resource)
		conditionsOf(changed)["StringEquals"] = map[string]any{"kms:ViaService": "states.eu-central-1.amazonaws.com"}
		_, err := begin(t, change{"", resource, input, document}.apply(t, system), nil)
		require.Error(t, err, sid)
		require.ErrorContains(t, err, "is not authorized to perform: kms:")
	})
	require.Len(t, seen, len(via))
}

// What AWS refuses to create, or what would fail unseen later, doesn't start.
func TestDeploymentsRefused(t *testing.T) {
	t.Parallel()
	system := declare(t, "undeployed", map[string]string{})
	for grant, says := range map[string]string{
		"workflow-role without sts:AssumeRole of AssumeRole":              "neither the global service principal states.amazonaws.com",
		"workflow-run without events:PutRule of ManageTaskEventsRule":     "is not authorized to create managed-rule",
		"function-role without sts:AssumeRole of AssumeRole":              "cannot be assumed by Lambda",
		"encryption-key without kms:GenerateDataKey* of EncryptLogGroups": "the specified KMS key does not exist or is not allowed",
		"notifications-policy without sns:Publish of PublishAlarms":       "its notice would not arrive",
		"uploads-dlq without sqs:SendMessage of SendUndeliveredEvents":    "its events would not arrive in the queue",
		"uploads-paused without sqs:SendMessage of SendEvents":            "its events would not arrive in the queue",
	} {
		t.Run(grant, func(t *testing.T) {
			t.Parallel()
			_, err := begin(t, without(t, system, "upload-router-undeployed-"+grant), nil)
			require.ErrorContains(t, err, says)
			require.ErrorContains(t, err, "is not authorized to perform", fmt.Sprint(err))
		})
	}
}
