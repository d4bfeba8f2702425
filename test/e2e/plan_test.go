//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"upload-router/internal/build"
	"upload-router/internal/settings"
	"upload-router/stack"
)

// planned is a stack that is deployed once, and then only previewed.
type planned struct {
	auto.Stack

	// artifacts are what the program takes in the place of what it would build.
	artifacts build.Artifacts
}

// deploy deploys a stack of this configuration, until the end of the test.
func deploy(t *testing.T, name string, config map[string]string) *planned {
	t.Helper()
	folder, err := filepath.Abs(root)
	require.NoError(t, err)
	p := &planned{}
	p.artifacts, err = build.Processors(t.Context(), settings.X86)
	require.NoError(t, err)
	program := func(ctx *pulumi.Context) error {
		return stack.Declare(ctx, func(context.Context, settings.Architecture) (build.Artifacts, error) { return p.artifacts, nil })
	}
	p.Stack, err = auto.UpsertStackInlineSource(t.Context(), name, project, program, auto.EnvVars(environment(t)), auto.WorkDir(folder))
	require.NoError(t, err)
	all := auto.ConfigMap{
		"aws:region":                    {Value: "eu-central-1"},
		"aws:skipCredentialsValidation": {Value: "true"},
		"aws:skipMetadataApiCheck":      {Value: "true"},
		"aws:s3UsePathStyle":            {Value: "true"},
		project + ":forceDestroy":       {Value: "true"},
	}
	for k, v := range overlay() {
		all[k] = auto.ConfigValue{Value: v}
	}
	for k, v := range config {
		all[project+":"+k] = auto.ConfigValue{Value: v}
	}
	require.NoError(t, p.SetAllConfig(t.Context(), all))
	t.Cleanup(func() {
		_, err := p.Destroy(context.Background(), optdestroy.Remove())
		require.NoError(t, err)
	})
	var progress bytes.Buffer
	_, err = p.Up(t.Context(), optup.ProgressStreams(&progress), optup.ErrorProgressStreams(&progress))
	require.NoError(t, err, progress.String())
	return p
}

// plan previews, and gives what would be done, by the name of the resource.
func (p *planned) plan(t *testing.T) map[string]string {
	t.Helper()
	stream := make(chan events.EngineEvent)
	changes := map[string]string{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for event := range stream {
			if event.ResourcePreEvent == nil {
				continue
			}
			step := event.ResourcePreEvent.Metadata
			if step.Op == apitype.OpSame || step.Op == apitype.OpRead {
				continue
			}
			name := p.short(step.URN)
			changes[name] = merged(changes[name], string(step.Op))
		}
	}()
	var progress bytes.Buffer
	_, err := p.Preview(t.Context(), optpreview.EventStreams(stream), optpreview.ProgressStreams(&progress),
		optpreview.ErrorProgressStreams(&progress))
	require.NoError(t, err, progress.String())
	<-done
	return changes
}

// merged makes one of the steps of a replacement.
func merged(before, op string) string {
	if strings.Contains(before, "replace") || strings.Contains(op, "replace") {
		return "replace"
	}
	return op
}

// short is a URN's resource, without what begins the name of all of the stack's.
func (p *planned) short(urn string) string {
	parts := strings.Split(urn, "::")
	return strings.TrimPrefix(parts[len(parts)-1], project+"-"+p.Name()+"-")
}

// stateful are the kinds of resources that hold data, or are known to others by
// their name or address: no change of the code or of a knob may replace them.
var stateful = []string{
	"uploads-bucket", "uploads-dlq", "logs-key", "logs-function", "logs-task", "notifications-topic", "image-repository",
	"workflow-machine", "lambda-function", "network-vpc", "claims-table",
}

// What can be switched on stays as it was deployed, too.
func TestWhatIsSwitchedOnDoesNotChangeByItself(t *testing.T) {
	p := deploy(t, "e2e-on", map[string]string{
		"taskCompletion": "callback", "taskCapacity": "spot", "deduplicate": "true", "maxParallelTasks": "5", "executionTimeout": "7200",
	})
	require.Empty(t, p.plan(t))
}

// TestOneKnobChangesOnlyWhatItShould deploys once, and previews each change by
// itself.
func TestOneKnobChangesOnlyWhatItShould(t *testing.T) {
	p := deploy(t, "e2e-plan", map[string]string{})
	require.Empty(t, p.plan(t), "nothing changes by itself")
	for name, test := range map[string]struct {
		config map[string]string
		code   func(t *testing.T, built build.Artifacts) build.Artifacts
		want   map[string]string
	}{
		"a threshold": {
			config: map[string]string{"sizeThreshold": "1MiB"},
			want:   map[string]string{"workflow-machine": "update"},
		},
		"the notices": {
			config: map[string]string{"notifySuccess": "false"},
			want:   map[string]string{"workflow-machine": "update"},
		},
		"the time of an execution": {
			config: map[string]string{"executionTimeout": "7200"},
			want:   map[string]string{"workflow-machine": "update", "alarms-execution-time": "update"},
		},
		"the function's memory": {
			config: map[string]string{"lambdaMemory": "1024"},
			want:   map[string]string{"lambda-function": "update"},
		},
		"the function's time, which its state has to wait for": {
			config: map[string]string{"lambdaTimeout": "90"},
			want:   map[string]string{"lambda-function": "update", "workflow-machine": "update"},
		},
		"the task's memory": {
			config: map[string]string{"taskMemory": "4096"},
			want:   map[string]string{"fargate-definition": "replace", "workflow-machine": "update"},
		},
		"the task's own word of its end": {
			config: map[string]string{"taskCompletion": "callback"},
			// The integration that the metrics of the tasks are of is another one then.
			want: map[string]string{
				"workflow-run": "update", "workflow-machine": "update", "workflow-tell": "create",
				"alarms-task-failures": "update", "alarms-task-timeouts": "update", "dashboard-board": "update",
			},
		},
		"traces": {
			config: map[string]string{"tracing": "true"},
			want: map[string]string{
				"lambda-function": "update", "lambda-tracing": "create", "fargate-tracing": "create",
				"workflow-machine": "update", "workflow-tracing": "create", "workflow-see": "create",
			},
		},
		"tasks on Spot": {
			config: map[string]string{"taskCapacity": "spot"},
			want:   map[string]string{"fargate-capacity": "update", "workflow-machine": "update"},
		},
		"each version once": {
			config: map[string]string{"deduplicate": "true"},
			want: map[string]string{
				"claims": "create", "claims-table": "create", "workflow-run": "update", "workflow-machine": "update",
			},
		},
		"few tasks at a time": {
			config: map[string]string{"maxParallelTasks": "5", "executionTimeout": "7200"},
			want: map[string]string{
				"claims": "create", "claims-table": "create", "workflow-run": "update", "workflow-machine": "update", "workflow-see": "create",
				"alarms-execution-time": "update",
			},
		},
		"how long logs are kept": {
			config: map[string]string{"logRetentionDays": "7"},
			want:   map[string]string{"logs-executions": "update", "logs-function": "update", "logs-task": "update"},
		},
		"one more way out": {
			config: rules("tcp 443 0.0.0.0/0 HTTPS to AWS and the image registry", "udp 53 0.0.0.0/0 DNS", "tcp 5432 10.1.0.0/16 Database"),
			want:   map[string]string{"network-egress-tcp-5432-10.1.0.0/16": "create"},
		},
		"how long events are delivered": {
			config: map[string]string{"eventMaxAge": "3600"},
			want:   map[string]string{"uploads-target": "update"},
		},
		"how long parts of uploads are kept": {
			config: map[string]string{"abortUploadsAfterDays": "3"},
			want:   map[string]string{"uploads-lifecycle": "update"},
		},
		"somebody to tell": {
			config: map[string]string{"notify[0]": "ops@example.com"},
			want:   map[string]string{"notifications-ops@example.com": "create"},
		},
		"a share of the account's runs": {
			config: map[string]string{"lambdaReservedConcurrency": "10"},
			want:   map[string]string{"lambda-function": "update"},
		},
		"disk of the task": {
			config: map[string]string{"taskStorage": "30"},
			want:   map[string]string{"fargate-definition": "replace", "workflow-machine": "update"},
		},
		"how long what was overwritten is kept": {
			config: map[string]string{"noncurrentVersionsAfterDays": "30"},
			want:   map[string]string{"uploads-lifecycle": "update"},
		},
		"new code of the function": {
			code: func(t *testing.T, built build.Artifacts) build.Artifacts {
				t.Helper()
				built.FunctionArchive = appended(t, built.FunctionArchive)
				return built
			},
			want: map[string]string{"lambda-function": "update"},
		},
		"new code of the task": {
			code: func(t *testing.T, built build.Artifacts) build.Artifacts {
				t.Helper()
				folder := t.TempDir()
				require.NoError(t, os.CopyFS(folder, os.DirFS(filepath.Join(root, built.ImageContext))))
				require.NoError(t, os.WriteFile(filepath.Join(folder, "new"), []byte("code"), 0o600))
				built.ImageContext, built.ImageTag = folder, "new"
				return built
			},
			want: map[string]string{"image-build": "update", "fargate-definition": "replace", "workflow-machine": "update"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := p.artifacts
			if test.code != nil {
				p.artifacts = test.code(t, before)
			}
			path := &auto.ConfigOptions{Path: true}
			for _, k := range slices.Sorted(maps.Keys(test.config)) { // lists grow by one
				require.NoError(t, p.SetConfigWithOptions(t.Context(), project+":"+k, auto.ConfigValue{Value: test.config[k]}, path))
			}
			t.Cleanup(func() {
				p.artifacts = before
				for k := range test.config {
					k, _, _ = strings.Cut(k, "[")
					require.NoError(t, p.RemoveConfig(context.Background(), project+":"+k))
				}
			})
			got := p.plan(t)
			require.Equal(t, test.want, got)
			for _, name := range slices.Sorted(maps.Keys(got)) {
				require.False(t, got[name] == "replace" && slices.Contains(stateful, name), name)
			}
		})
	}
}

// rules are egress rules, each by protocol, port, block and description.
func rules(texts ...string) map[string]string {
	out := map[string]string{}
	for i, text := range texts {
		for j, part := range strings.SplitN(text, " ", 4) {
			out[fmt.Sprintf("egress[%d].%s", i, []string{"protocol", "port", "cidr", "description"}[j])] = part
		}
	}
	return out
}

// appended is a copy of an archive with a comment at its end, in the folder of
// the other: other bytes of the same program.
func appended(t *testing.T, archive string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, archive))
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "function.zip")
	comment := "new"
	text[len(text)-2] = byte(len(comment)) // the length of the comment ends the archive
	require.NoError(t, os.WriteFile(path, append(text, comment...), 0o600))
	return path
}
