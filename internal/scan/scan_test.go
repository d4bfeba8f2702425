package scan_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/scan"
	"example.com/upload-router/internal/stackfile"
)

func declare(t *testing.T, stack string) *declared.System {
	t.Helper()
	root, err := build.Root()
	require.NoError(t, err)
	system, err := scan.Declare(root, stack)
	require.NoError(t, err)
	return system
}

// The own rules need no checker, and hold for every stack.
func TestNoStackBreaksARule(t *testing.T) {
	t.Parallel()
	root, err := build.Root()
	require.NoError(t, err)
	names, err := stackfile.Names(root)
	require.NoError(t, err)
	for _, name := range names {
		violations, err := scan.Violations(declare(t, name))
		require.NoError(t, err)
		require.Empty(t, violations, name)
	}
}

// given are resources of kinds that dev has none of, with nothing wrong.
func given() []declared.Resource {
	return []declared.Resource{
		{Type: "aws:ec2/vpcEndpoint:VpcEndpoint", Name: "given-endpoint", ID: "vpce-1", Custom: true, Inputs: map[string]any{
			"serviceName": "com.amazonaws.eu-central-1.s3",
			"policy": `{"Version":"2012-10-17","Statement":[{"Sid":"Read","Effect":"Allow","Principal":"*","Action":"s3:GetObject",` +
				`"Resource":"arn:aws:s3:::bucket/*"}]}`,
		}},
	}
}

// Each rule finds the fault that it is for, and no other rule does.
func TestEachRuleFindsItsFault(t *testing.T) {
	t.Parallel()
	statement := func(change func(statement map[string]any)) func(inputs map[string]any) {
		return func(inputs map[string]any) {
			for _, input := range []string{"policy", "assumeRolePolicy"} {
				text, _ := inputs[input].(string)
				var document map[string]any
				if json.Unmarshal([]byte(text), &document) != nil {
					continue
				}
				for _, s := range document["Statement"].([]any) {
					change(s.(map[string]any))
				}
				changed, _ := json.Marshal(document)
				inputs[input] = string(changed)
			}
		}
	}
	named := func(sid string, change func(statement map[string]any)) func(inputs map[string]any) {
		return statement(func(s map[string]any) {
			if s["Sid"] == sid {
				change(s)
			}
		})
	}
	replaced := func(input, old, replacement string) func(inputs map[string]any) {
		return func(inputs map[string]any) {
			before := inputs[input].(string)
			inputs[input] = strings.Replace(before, old, replacement, 1)
			require.NotEqual(t, before, inputs[input])
		}
	}
	definition := func(old, replacement string) func(inputs map[string]any) {
		return replaced("definition", old, replacement)
	}
	for id, test := range map[string]struct {
		resource string // the end of its name
		change   func(inputs map[string]any)
	}{
		"alarm-without-action":       {"alarms-execution-failures", func(in map[string]any) { delete(in, "alarmActions") }},
		"alarm-without-missing-data": {"alarms-execution-aborts", func(in map[string]any) { delete(in, "treatMissingData") }},
		"target-without-dlq":         {"uploads-target", func(in map[string]any) { delete(in, "deadLetterConfig") }},
		"dlq-without-policy": {"uploads-dlq", named("SendUndeliveredEvents", func(s map[string]any) {
			s["Action"] = "sqs:ReceiveMessage"
		})},
		"pass-role-without-service":   {"workflow-run", named("PassTaskRoles", func(s map[string]any) { delete(s, "Condition") })},
		"log-group-without-retention": {"logs-function", func(in map[string]any) { delete(in, "retentionInDays") }},
		"log-group-without-key":       {"logs-task", func(in map[string]any) { delete(in, "kmsKeyId") }},
		"task-without-timeout":        {"workflow-machine", definition(`"TimeoutSeconds":30`, `"Comment":"30"`)},
		"action-any":                  {"function-logs", named("WriteLogs", func(s map[string]any) { s["Action"] = "logs:*" })},
		"resource-any":                {"workflow-run", named("Notify", func(s map[string]any) { s["Resource"] = "*" })},
		"service-without-source":      {"function-role", statement(func(s map[string]any) { delete(s, "Condition") })},
		"public-image-tag": {"task-definition", func(in map[string]any) {
			before, after, _ := strings.Cut(in["containerDefinitions"].(string), "@sha256:")
			_, rest, _ := strings.Cut(after, `"`)
			in["containerDefinitions"] = before + `:latest"` + rest
		}},
		"task-without-catch": {"workflow-machine", definition(
			`"Catch":[{"ErrorEquals":["States.ALL"]`, `"Catch":[{"ErrorEquals":["States.TaskFailed"]`)},
		"dlq-without-alarm": {"alarms-undelivered-events", func(in map[string]any) {
			in["dimensions"] = map[string]any{"QueueName": "another"}
		}},
		"function-without-log-group": {"dev-function", func(in map[string]any) { delete(in, "loggingConfig") }},
		"container-with-permissions": {"task-definition", replaced(
			"containerDefinitions", `"readonlyRootFilesystem":true`, `"readonlyRootFilesystem":false`)},
		"endpoint-without-policy": {"given-endpoint", func(in map[string]any) { delete(in, "policy") }},
		"table-without-recovery":  {"ledger-table", func(in map[string]any) { delete(in, "pointInTimeRecovery") }},
		"table-without-expiry":    {"ledger-table", func(in map[string]any) { delete(in, "ttl") }},
	} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			system := declare(t, "dev")
			system.Resources = append(system.Resources, given()...)
			changed := false
			for _, r := range system.Resources {
				if r.Custom && strings.HasSuffix(r.Name, test.resource) {
					changed = true
					test.change(r.Inputs)
				}
			}
			require.True(t, changed)
			violations, err := scan.Violations(system)
			require.NoError(t, err)
			require.NotEmpty(t, violations)
			for _, v := range violations { // one for each target of a dead-letter queue
				require.Equal(t, id, v.ID)
				require.True(t, v.Serious())
				require.NotEmpty(t, v.Message)
			}
		})
	}
}

// seeing is a checker that objects to what it finds, as tfsec and trivy do.
func seeing(more ...scan.Finding) scan.Checker {
	return func(_ context.Context, folder string) ([]scan.Finding, error) {
		text, err := os.ReadFile(filepath.Join(folder, "main.tf"))
		if err != nil {
			return nil, err
		}
		found := more
		if !strings.Contains(string(text), "aws_s3_bucket_server_side_encryption_configuration") {
			found = append(found, scan.Finding{ID: "AVD-AWS-0088", Severity: "HIGH", Resource: "aws_s3_bucket.b"})
		}
		if !strings.Contains(string(text), "sqs_managed_sse_enabled") {
			found = append(found, scan.Finding{ID: "AVD-AWS-0096", Severity: "HIGH", Resource: "aws_sqs_queue.q"})
		}
		return found, nil
	}
}

var errBroken = errors.New("broken")

func TestCheck(t *testing.T) {
	t.Parallel()
	system := declare(t, "dev")
	finding := scan.Finding{Checker: "x", ID: "X-1", Severity: "HIGH", Resource: "aws_vpc.v", Message: "m"}
	found, err := scan.Check(t.Context(), system, map[string]scan.Checker{"x": seeing(finding)})
	require.NoError(t, err)
	require.Equal(t, []scan.Finding{finding}, found)

	_, err = scan.Check(t.Context(), system, map[string]scan.Checker{
		"blind": func(context.Context, string) ([]scan.Finding, error) { return nil, nil },
	})
	require.ErrorContains(t, err, "blind: it finds no fault")
	_, err = scan.Check(t.Context(), system, map[string]scan.Checker{
		"broken": func(context.Context, string) ([]scan.Finding, error) { return nil, errBroken },
	})
	require.ErrorIs(t, err, errBroken)
}

func TestJudge(t *testing.T) {
	t.Parallel()
	excused := scan.Finding{ID: "AVD-AWS-0095", Severity: "HIGH", Resource: "aws_sns_topic.upload-router-dev-notifications-topic"}
	for name, test := range map[string]struct {
		stack   string
		finding scan.Finding
		open    bool
	}{
		"an exception":     {"dev", excused, false},
		"of another stack": {"other", excused, true},
		"another rule":     {"dev", scan.Finding{ID: "AVD-AWS-0096", Severity: "HIGH", Resource: excused.Resource}, true},
		"another resource": {"dev", scan.Finding{ID: excused.ID, Severity: "CRITICAL", Resource: "aws_sns_topic.other"}, true},
		"nothing serious":  {"prod", scan.Finding{ID: "X", Severity: "MEDIUM", Resource: "r"}, false},
		"of any severity":  {"dev", scan.Finding{ID: excused.ID, Severity: "CRITICAL", Resource: excused.Resource}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			open, stale := scan.Judge(test.stack, []scan.Finding{test.finding})
			require.Equal(t, test.open, len(open) == 1)
			require.NotEmpty(t, stale, "all others excuse nothing here")
			for _, e := range stale {
				require.NotEmpty(t, e.Reason)
				if test.finding == excused && test.stack == "dev" {
					require.NotEqual(t, excused.ID, e.ID, "it is in use")
				}
			}
		})
	}
}

// What a program says that isn't a report is an error, with the program's words.
func TestCheckersThatFail(t *testing.T) {
	t.Parallel()
	program := func(script string) string {
		path := filepath.Join(t.TempDir(), "checker")
		require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o700))
		return path
	}
	for name, of := range map[string]func(string) scan.Checker{"tfsec": scan.Tfsec, "trivy": scan.Trivy} {
		_, err := of("/nowhere/checker")(t.Context(), t.TempDir())
		require.ErrorIs(t, err, os.ErrNotExist, name)
		_, err = of(program("echo no >&2; exit 3"))(t.Context(), t.TempDir())
		require.ErrorContains(t, err, "exit status 3: no", name)
		_, err = of(program("echo hello"))(t.Context(), t.TempDir())
		require.ErrorContains(t, err, "reading what "+name+" says", name)
	}
	found, err := scan.Tfsec(program(
		`echo '{"results":[{"rule_id":"A","severity":"HIGH","resource":"r","description":"d"}]}'`,
	))(t.Context(), "f")
	require.NoError(t, err)
	require.Equal(t, []scan.Finding{{"tfsec", "A", "HIGH", "r", "d"}}, found)
	found, err = scan.Trivy(program(
		`echo '{"Results":[{"Misconfigurations":[{"ID":"A","Severity":"LOW","Message":"m","CauseMetadata":{"Resource":"r"}}]}]}'`,
	))(t.Context(), "f")
	require.NoError(t, err)
	require.Equal(t, []scan.Finding{{"trivy", "A", "LOW", "r", "m"}}, found)
}
