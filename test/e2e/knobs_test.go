package e2e_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/settings"
)

// root is the project's folder.
const root = "../.."

// change is something that is changed by itself, and what of a deployed stack it changes. The tests with the engine preview each.
type change struct {
	// config are the knobs that are set: one, with those that it can't be set without. A list or an object is set by its parts.
	config map[string]string
	// code changes what the processors are built as.
	code func(t *testing.T, built build.Artifacts) build.Artifacts
	// want is what is done to which resources.
	want map[string]string
	// loses are those of stateful that are deleted or replaced: no change of the code
	// does so, and of the knobs only those that say so.
	loses []string
	// refused is what the plan's error says, if it has one.
	refused string
}

// stateful are the kinds of resources that hold data, or are known to others by
// their name or address: no change replaces or deletes them that doesn't say so.
var stateful = []string{
	"uploads-bucket", "output-bucket", "uploads-dlq", "uploads-paused", "statuschange-dlq", "encryption-key", "logs-connections",
	"logs-executions",
	"logs-function", "logs-sweep", "logs-task", "notifications-topic", "image-repository", "workflow-machine", "function", "sweep",
	"network-vpc", "ledger-table",
}

// require holds what is done, or why nothing is, against what should be.
func (c change) require(t *testing.T, got map[string]string, err error) {
	t.Helper()
	if c.refused != "" {
		require.ErrorContains(t, err, c.refused)
		return
	}
	require.NoError(t, err)
	require.Equal(t, c.want, got)
	var lost []string
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if (got[name] == "replace" || got[name] == "delete") && slices.Contains(stateful, name) {
			lost = append(lost, name)
		}
	}
	require.Equal(t, c.loses, lost, "what holds data, or is known by its name, stays")
}

// What a change's configuration has in the place of what only a test with the engine knows, as ${…}.
const (
	defaultVPC    = "defaultVPC"
	defaultSubnet = "defaultSubnet" // and its number
)

// tagged is what a stack changes that tags what it has processed.
var tagged = map[string]string{
	"function": "update", "task-definition": "replace", "uploads-policy": "update", "uploads-read-function": "update",
	"uploads-read-task": "update", "workflow-machine": "update", "backfill-machine": "update",
}

// fromDefaults are changes of a stack with no knob set.
var fromDefaults = map[string]change{
	"a threshold": {
		config: map[string]string{"sizeThreshold": "1MiB"},
		want: map[string]string{
			"backfill-machine": "update",
			"workflow-machine": "update",
		},
	},
	"a filter": {
		config: map[string]string{"keys[0]": "invoices/*.pdf", "keys[1]": "*/in/*"},
		want: map[string]string{
			"backfill-machine":    "update",
			"uploads-paused-rule": "update", "uploads-rule": "update",
		},
	},
	"a pause": {
		config: map[string]string{"paused": "true"},
		want:   map[string]string{"uploads-paused-rule": "update", "uploads-rule": "update"},
	},
	"the notices": {
		config: map[string]string{"notifySuccess": "false"},
		want:   map[string]string{"workflow-machine": "update"},
	},
	"the time of an execution": {
		config: map[string]string{"executionTimeout": "7200"},
		want: map[string]string{
			"backfill-machine":      "update",
			"alarms-execution-time": "update", "function": "update", "sweep": "update", "task-definition": "replace",
			"workflow-machine": "update",
		},
	},
	"the function's memory": {
		config: map[string]string{"lambdaMemory": "1024"},
		want:   map[string]string{"function": "update"},
	},
	"the function's time, which its state has to wait for": {
		config: map[string]string{"lambdaTimeout": "90"},
		want: map[string]string{
			"backfill-machine":         "update",
			"alarms-route-time-Lambda": "update", "function": "update", "workflow-machine": "update",
		},
	},
	"the task's memory": {
		config: map[string]string{"taskMemory": "4096"},
		want: map[string]string{
			"backfill-machine": "update",
			"task-definition":  "replace", "workflow-machine": "update",
		},
	},
	"the task's own word of its end": {
		config: map[string]string{"taskCompletion": "callback"},
		// The integration that the metrics of the tasks are of is another one then.
		want: map[string]string{
			"backfill-machine": "update",
			"backfill-report":  "create",
			"backfill-run":     "update",
			"workflow-run":     "update", "workflow-machine": "update", "workflow-report": "create",
			"alarms-task-failures": "update", "alarms-task-timeouts": "update", "dashboard-board": "update",
		},
	},
	"traces": {
		config: map[string]string{"tracing": "true"},
		want: map[string]string{
			"backfill-machine": "update",
			"backfill-tracing": "create",
			"function":         "update", "function-tracing": "create", "task-tracing": "create",
			"workflow-machine": "update", "workflow-tracing": "create", "workflow-see": "create",
		},
	},
	"three routes": {
		config: map[string]string{
			"routes[0].name": "small", "routes[0].maxSize": "1MiB", "routes[0].compute": "lambda",
			"routes[1].name": "video", "routes[1].keys[0]": "*.mp4", "routes[1].compute": "fargate", "routes[1].cpu": "2048",
			"routes[1].memory": "4096",
			"routes[2].name":   "large", "routes[2].compute": "fargate",
		},
		// Two routes of tasks share the alarm task-failures, and have one more each.
		want: map[string]string{
			"backfill-machine":            "update",
			"alarms-route-failures-large": "create", "alarms-route-failures-video": "create", "alarms-route-time-Fargate": "delete",
			"alarms-route-time-Lambda": "delete", "alarms-route-time-large": "create", "alarms-route-time-small": "create",
			"alarms-route-time-video": "create", "dashboard-board": "update", "workflow-machine": "update",
		},
	},
	"tasks only": {
		config: map[string]string{"routes[0].name": "all", "routes[0].compute": "fargate"},
		want: map[string]string{
			"backfill-machine":          "update",
			"backfill-run":              "update",
			"alarms-route-time-Fargate": "delete", "alarms-route-time-Lambda": "delete", "alarms-route-time-all": "create",
			"dashboard-board": "update", "workflow-machine": "update", "workflow-run": "update",
		},
	},
	"tasks on Spot": {
		config: map[string]string{"taskCapacity": "spot"},
		want: map[string]string{
			"backfill-machine": "update",
			"task-capacity":    "create", "workflow-machine": "update",
		},
	},
	"how long the ledger keeps an upload": {
		config: map[string]string{"ledgerRetentionDays": "30"},
		want: map[string]string{
			"backfill-machine": "update",
			"function":         "update", "sweep": "update", "task-definition": "replace", "workflow-machine": "update",
		},
	},
	"few tasks at a time": {
		config: map[string]string{"maxParallelTasks": "5", "executionTimeout": "7200"},
		want: map[string]string{
			"backfill-machine":      "update",
			"backfill-run":          "update",
			"alarms-execution-time": "update", "function": "update", "sweep": "update", "sweep-run": "update",
			"task-definition": "replace", "workflow-machine": "update", "workflow-run": "update",
		},
	},
	"how long logs are kept": {
		config: map[string]string{"logRetentionDays": "7"},
		want: map[string]string{
			"backfill-machine": "update",
			"function":         "update", "logs-executions": "update", "logs-function": "update", "logs-sweep": "update",
			"logs-task": "update", "task-definition": "replace", "workflow-machine": "update",
		},
	},
	"one more way out": {
		config: map[string]string{
			"egress[0].protocol": "tcp", "egress[0].port": "443", "egress[0].cidr": "0.0.0.0/0",
			"egress[0].description": "HTTPS to AWS and the image registry",
			"egress[1].protocol":    "udp", "egress[1].port": "53", "egress[1].cidr": "0.0.0.0/0", "egress[1].description": "DNS",
			"egress[2].protocol": "tcp", "egress[2].port": "5432", "egress[2].cidr": "10.1.0.0/16", "egress[2].description": "Database",
		},
		want: map[string]string{"network-egress-tcp-5432-10.1.0.0/16": "create"},
	},
	"how long events are delivered": {
		config: map[string]string{"eventMaxAge": "3600"},
		want:   map[string]string{"uploads-paused-target": "update", "uploads-target": "update"},
	},
	"a backfill every day": {
		config: map[string]string{"backfillSchedule": "rate(1 day)", "backfillPrefix": "incoming/"},
		want: map[string]string{
			"alarms-backfill-schedule": "create", "schedule": "create", "schedule-0": "create", "schedule-group": "create",
			"schedule-role": "create", "schedule-start": "create",
		},
	},
	"how long parts of uploads are kept": {
		config: map[string]string{"abortUploadsAfterDays": "3"},
		want: map[string]string{
			"backfill-lifecycle": "update",
			"uploads-lifecycle":  "update",
		},
	},
	"a bucket for outputs": {
		config: map[string]string{"outputBucket": "create"},
		want: map[string]string{
			"backfill-machine": "update",
			"function":         "update", "function-output": "create", "output": "create", "output-access": "create", "output-bucket": "create",
			"output-encryption": "create", "output-lifecycle": "create", "output-ownership": "create", "output-policy": "create",
			"output-versioning": "create", "task-definition": "replace", "task-output": "create", "workflow-machine": "update",
		},
	},
	"outputs in a bucket that is there": {
		config: map[string]string{
			"outputBucket": "upload-router-e2e-results", "outputPrefix": "results/",
			"outputKmsKeyArn": "arn:aws:kms:eu-central-1:000000000000:key/0a1b2c3d-0000-4000-8000-0123456789ab",
		},
		want: map[string]string{
			"backfill-machine": "update",
			"function":         "update", "function-output": "create", "task-definition": "replace", "task-output": "create",
			"workflow-machine": "update",
		},
	},
	"tags of what is processed": {
		config: map[string]string{"tagUploads": "status"},
		want:   tagged,
	},
	"a quarantine": {
		config: map[string]string{"tagUploads": "quarantine"},
		want:   tagged,
	},
	"how long what is processed is kept": {
		config: map[string]string{"tagUploads": "status", "expireProcessedAfterDays": "30"},
		want: map[string]string{
			"backfill-machine": "update",
			"function":         "update", "task-definition": "replace", "uploads-lifecycle": "update", "uploads-policy": "update",
			"uploads-read-function": "update", "uploads-read-task": "update", "workflow-machine": "update",
		},
	},
	"variables of the processor": {
		config: map[string]string{"environment.LOG_LEVEL": "debug"},
		want: map[string]string{
			"backfill-machine": "update",
			"function":         "update", "task-definition": "replace", "workflow-machine": "update",
		},
	},
	"secrets of the processor": {
		config: map[string]string{
			"secrets.PASSWORD":    "arn:aws:secretsmanager:eu-central-1:000000000000:secret:db-a1b2c3",
			"secretKmsKeyArns[0]": "arn:aws:kms:eu-central-1:000000000000:key/0a1b2c3d-0000-4000-8000-0123456789ab",
		},
		want: map[string]string{
			"backfill-machine": "update",
			"function":         "update", "function-secrets": "create", "task-definition": "replace", "task-secrets": "create",
			"workflow-machine": "update",
		},
	},
	"permissions of the processor": {
		config: map[string]string{
			"permissions[0].Sid": "ReadModels", "permissions[0].Effect": "Allow", "permissions[0].Action": "s3:GetObject",
			"permissions[0].Resource": "arn:aws:s3:::upload-router-e2e-models/*",
		},
		want: map[string]string{
			"backfill-machine": "update",
			"function":         "update", "function-permissions": "create", "task-definition": "replace", "task-permissions": "create",
			"workflow-machine": "update",
		},
	},
	"somebody to tell": {
		config: map[string]string{"notify[0]": "ops@example.com"},
		want:   map[string]string{"notifications-ops@example.com": "create"},
	},
	"a share of the account's runs": {
		config: map[string]string{"lambdaReservedConcurrency": "10"},
		want:   map[string]string{"function": "update"},
	},
	"disk of the function": {
		config: map[string]string{"lambdaStorage": "2048"},
		want:   map[string]string{"function": "update"},
	},
	"disk of the task": {
		config: map[string]string{"taskStorage": "30"},
		want: map[string]string{
			"backfill-machine": "update",
			"task-definition":  "replace", "workflow-machine": "update",
		},
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
		want: map[string]string{"function": "update"},
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
		want: map[string]string{
			"backfill-machine": "update",
			"image-build":      "replace", "task-definition": "replace", "workflow-machine": "update",
		},
	},
	"a name of the bucket": {
		config: map[string]string{"bucketName": "upload-router-e2e-other"},
		want: map[string]string{
			"uploads-backfill":      "update",
			"dashboard-board":       "update",
			"uploads-access":        "replace",
			"uploads-bucket":        "replace",
			"uploads-encryption":    "replace",
			"uploads-events":        "replace",
			"uploads-lifecycle":     "replace",
			"uploads-ownership":     "replace",
			"uploads-policy":        "replace",
			"uploads-read-function": "update",
			"uploads-read-task":     "update",
			"uploads-paused-rule":   "update",
			"uploads-rule":          "update",
			"uploads-versioning":    "replace",
		},
		loses: []string{"uploads-bucket"},
	},
	"buckets that are there": {
		config: map[string]string{
			"buckets[0]": "upload-router-e2e-theirs", "buckets[1]": "upload-router-e2e-more",
			"bucketKmsKeyArns[0]": "arn:aws:kms:eu-central-1:000000000000:key/0a1b2c3d-0000-4000-8000-0123456789ab",
		},
		want: map[string]string{
			"uploads-backfill":      "update",
			"dashboard-board":       "update",
			"uploads-access":        "delete",
			"uploads-bucket":        "delete",
			"uploads-encryption":    "delete",
			"uploads-events":        "delete",
			"uploads-lifecycle":     "delete",
			"uploads-ownership":     "delete",
			"uploads-policy":        "delete",
			"uploads-read-function": "update",
			"uploads-read-task":     "update",
			"uploads-paused-rule":   "update",
			"uploads-rule":          "update",
			"uploads-versioning":    "delete",
		},
		loses: []string{"uploads-bucket"},
	},
	"a name of the repository": {
		config: map[string]string{"ecrRepoName": "upload-router-e2e-other"},
		want: map[string]string{
			"backfill-machine": "update",
			"task-definition":  "replace",
			"task-execution":   "update",
			"image-build":      "replace",
			"image-lifecycle":  "replace",
			"image-repository": "replace",
			"workflow-machine": "update",
		},
		loses: []string{"image-repository"},
	},
	"a name of the state machine": {
		config: map[string]string{"stateMachineName": "upload-router-e2e-other"},
		want: map[string]string{
			"alarms-execution-aborts": "update", "alarms-execution-failures": "update", "alarms-execution-throttles": "update",
			"alarms-execution-time": "update", "alarms-execution-timeouts": "update", "alarms-route-time-Fargate": "update",
			"alarms-route-time-Lambda": "update", "dashboard-board": "update",
			"statuschange-rule": "update", "sweep": "update", "sweep-run": "update", "uploads-start": "update",
			"uploads-target": "update", "workflow-machine": "replace",
		},
		loses: []string{"workflow-machine"},
	},
	"the other architecture": {
		config: map[string]string{"architecture": "arm64"},
		code: func(t *testing.T, built build.Artifacts) build.Artifacts {
			t.Helper()
			built.FunctionArchive = appended(t, built.FunctionArchive)
			built.ImagePlatform, built.ImageTag = "linux/arm64", "arm"
			return built
		},
		want: map[string]string{
			"backfill-machine": "update",
			"function":         "update", "image-build": "replace", "sweep": "update", "task-definition": "replace",
			"workflow-machine": "update",
		},
	},
	"the task's processor": {
		config: map[string]string{"taskCpu": "512"},
		want: map[string]string{
			"backfill-machine": "update",
			"task-definition":  "replace", "workflow-machine": "update",
		},
	},
	"the task's time": {
		config: map[string]string{"taskTimeout": "1200"},
		want: map[string]string{
			"backfill-machine":          "update",
			"alarms-route-time-Fargate": "update", "workflow-machine": "update",
		},
	},
	// The function is auto-named, so that the new one is there before the old one goes: what names it is updated in between.
	"a Dockerfile of one's own": {
		config: map[string]string{"dockerfile": "processor/Dockerfile"},
		want: map[string]string{
			"backfill-machine":       "update",
			"backfill-run":           "update",
			"alarms-function-errors": "update", "alarms-function-throttles": "update", "dashboard-board": "update",
			"function": "replace", "image-policy": "create", "task-definition": "replace", "workflow-machine": "update",
			"workflow-run": "update",
		},
		loses: []string{"function"},
	},
	"an image of one's own": {
		config: map[string]string{"image": "registry.example.com/team/app:1.2"},
		want: map[string]string{
			"backfill-machine": "update",
			"image":            "delete",
			"task-definition":  "replace",
			"task-execution":   "update",
			"image-build":      "delete",
			"image-lifecycle":  "delete",
			"image-repository": "delete",
			"workflow-machine": "update",
		},
		loses: []string{"image-repository"},
	},
	"the Region's default network": {
		config: map[string]string{"network": "default"},
		want: map[string]string{
			"backfill-machine":                 "update",
			"network-default":                  "delete",
			"network-egress-tcp-443-0.0.0.0/0": "replace",
			"network-egress-udp-53-0.0.0.0/0":  "replace",
			"network-gateway":                  "delete",
			"network-routes":                   "delete",
			"network-subnet-0":                 "delete",
			"network-subnet-0-routes":          "delete",
			"network-subnet-1":                 "delete",
			"network-subnet-1-routes":          "delete",
			"network-tasks":                    "replace",
			"network-vpc":                      "delete",
			"workflow-machine":                 "update",
		},
		loses: []string{"network-vpc"},
	},
	"a network that is there": {
		config: map[string]string{
			"network": "existing", "vpcId": "${" + defaultVPC + "}",
			"subnetIds[0]": "${" + defaultSubnet + "0}", "subnetIds[1]": "${" + defaultSubnet + "1}",
		},
		want: map[string]string{
			"backfill-machine":                 "update",
			"network-default":                  "delete",
			"network-egress-tcp-443-0.0.0.0/0": "replace",
			"network-egress-udp-53-0.0.0.0/0":  "replace",
			"network-gateway":                  "delete",
			"network-routes":                   "delete",
			"network-subnet-0":                 "delete",
			"network-subnet-0-routes":          "delete",
			"network-subnet-1":                 "delete",
			"network-subnet-1-routes":          "delete",
			"network-tasks":                    "replace",
			"network-vpc":                      "delete",
			"workflow-machine":                 "update",
		},
		loses: []string{"network-vpc"},
	},
	"a network that is there, with a NAT gateway": {
		config: map[string]string{
			"network": "existing", "vpcId": "${" + defaultVPC + "}",
			"subnetIds[0]": "${" + defaultSubnet + "0}", "subnetIds[1]": "${" + defaultSubnet + "1}", "assignPublicIp": "false",
		},
		want: map[string]string{
			"backfill-machine":                 "update",
			"network-default":                  "delete",
			"network-egress-tcp-443-0.0.0.0/0": "replace",
			"network-egress-udp-53-0.0.0.0/0":  "replace",
			"network-gateway":                  "delete",
			"network-routes":                   "delete",
			"network-subnet-0":                 "delete",
			"network-subnet-0-routes":          "delete",
			"network-subnet-1":                 "delete",
			"network-subnet-1-routes":          "delete",
			"network-tasks":                    "replace",
			"network-vpc":                      "delete",
			"workflow-machine":                 "update",
		},
		loses: []string{"network-vpc"},
	},
	"a network without a way out": {
		config: map[string]string{"network": "private"},
		want: map[string]string{
			"backfill-machine": "update",
			"endpoints":        "create", "endpoints-dynamodb": "create", "endpoints-ecr-api": "create", "endpoints-ecr-dkr": "create",
			"endpoints-from-tasks": "create", "endpoints-group": "create", "endpoints-logs": "create", "endpoints-s3": "create",
			"endpoints-to-dynamodb": "create", "endpoints-to-endpoints": "create", "endpoints-to-s3": "create",
			"network-egress-tcp-443-0.0.0.0/0": "delete", "network-egress-udp-53-0.0.0.0/0": "delete", "network-gateway": "delete",
			"uploads-policy": "update", "workflow-machine": "update",
		},
	},
	"another address block": {
		config: map[string]string{"vpcCidr": "10.65.0.0/24"},
		want: map[string]string{
			"backfill-machine":                 "update",
			"network-default":                  "replace",
			"network-egress-tcp-443-0.0.0.0/0": "replace",
			"network-egress-udp-53-0.0.0.0/0":  "replace",
			"network-gateway":                  "update",
			"network-routes":                   "replace",
			"network-subnet-0":                 "replace",
			"network-subnet-0-routes":          "replace",
			"network-subnet-1":                 "replace",
			"network-subnet-1-routes":          "replace",
			"network-tasks":                    "replace",
			"network-vpc":                      "replace",
			"workflow-machine":                 "update",
		},
		loses: []string{"network-vpc"},
	},
	"connections are logged": {
		config: map[string]string{"flowLogs": "true"},
		want: map[string]string{
			"dashboard-board":  "update",
			"flow":             "create",
			"flow-log":         "create",
			"flow-role":        "create",
			"flow-write":       "create",
			"logs-connections": "create",
		},
	},
	"a key of one's own": {
		config: map[string]string{"encryption": "customer"},
		want: map[string]string{
			"backfill-encryption": "update",
			"backfill-keys":       "create",
			"backfill-machine":    "update",
			"backfill-run":        "update",
			"encryption-key":      "update", "function-ledger": "update", "image-build": "replace", "image-lifecycle": "replace",
			"image-repository": "replace", "ledger-table": "update", "notifications-topic": "update", "statuschange-dlq": "update",
			"sweep-run": "update", "task-definition": "replace", "task-execution": "update", "task-ledger": "update",
			"uploads-dlq": "update", "uploads-encryption": "update", "uploads-paused": "update", "uploads-read-function": "update",
			"uploads-read-task": "update",
			"workflow-keys":     "create", "workflow-machine": "update",
		},
		loses: []string{"image-repository"},
	},
	"a key that is there": {
		config: map[string]string{"kmsKeyArn": "arn:aws:kms:eu-central-1:000000000000:key/0a1b2c3d-0000-4000-8000-0123456789ab"},
		want: map[string]string{
			"encryption-key": "delete", "logs-executions": "update", "logs-function": "update", "logs-sweep": "update",
			"logs-task": "update",
		},
		loses: []string{"encryption-key"},
	},
	"fewer tries to deliver": {
		config: map[string]string{"eventRetryAttempts": "10"},
		want:   map[string]string{"uploads-paused-target": "update", "uploads-target": "update"},
	},
	"protection": {
		config: map[string]string{"protect": "true", "forceDestroy": "false"}, // which it doesn't go with
		want: map[string]string{
			"image-repository": "update", "ledger-table": "update", "task-definition": "update", "uploads-bucket": "update",
		},
	},
	"nothing is deleted with what is in it": {
		config: map[string]string{"forceDestroy": "false"},
		want: map[string]string{
			"task-definition":  "update",
			"image-repository": "update",
			"uploads-bucket":   "update",
		},
	},
	"more of what happens is logged": {
		config: map[string]string{"executionLogLevel": "ALL"},
		want: map[string]string{
			"backfill-machine": "update",
			"workflow-machine": "update",
		},
	},
	"no log of the executions": {
		config: map[string]string{"executionLogLevel": "OFF"},
		want: map[string]string{
			"backfill-logging": "delete",
			"backfill-machine": "update",
			"dashboard-board":  "update",
			"logs-executions":  "delete",
			"workflow-logging": "delete",
			"workflow-machine": "update",
		},
		loses: []string{"logs-executions"},
	},
	"the files' names in the executions' log": {
		config: map[string]string{"executionLogData": "true"},
		want: map[string]string{
			"backfill-machine": "update",
			"workflow-machine": "update",
		},
	},
}

// fromDev are changes of the stack to develop with.
var fromDev = map[string]change{
	"as much memory as by default": {
		config: map[string]string{"lambdaMemory": "512"},
		want:   map[string]string{"function": "update"},
	},
	"a larger task": {
		config: map[string]string{"taskCpu": "1024", "taskMemory": "2048"},
		want: map[string]string{
			"backfill-machine": "update",
			"task-definition":  "replace", "workflow-machine": "update",
		},
	},
	"more time": {
		config: map[string]string{"taskTimeout": "1500", "executionTimeout": "3600"},
		want: map[string]string{
			"backfill-machine":      "update",
			"alarms-execution-time": "update", "alarms-route-time-Fargate": "update", "function": "update", "sweep": "update",
			"task-definition":  "replace",
			"workflow-machine": "update",
		},
	},
	"logs are kept": {
		config: map[string]string{"logRetentionDays": "30"},
		want: map[string]string{
			"backfill-machine": "update",
			"function":         "update", "logs-executions": "update", "logs-function": "update", "logs-sweep": "update",
			"logs-task": "update", "task-definition": "replace", "workflow-machine": "update",
		},
	},
	"protection": {
		config: map[string]string{"protect": "true", "forceDestroy": "false"}, // which it doesn't go with
		want: map[string]string{
			"image-repository": "update", "ledger-table": "update", "task-definition": "update", "uploads-bucket": "update",
		},
	},
}

// fromProd are changes of the stack that people rely on.
var fromProd = map[string]change{
	"a threshold": {
		config: map[string]string{"sizeThreshold": "1MiB"},
		want:   map[string]string{"backfill-machine": "update", "workflow-machine": "update"},
	},
	"the task's memory": {
		config: map[string]string{"taskMemory": "4096"},
		want:   map[string]string{"backfill-machine": "update", "task-definition": "replace", "workflow-machine": "update"},
	},
	"the notices": {
		config: map[string]string{"notifySuccess": "true"},
		want:   map[string]string{"workflow-machine": "update"},
	},
	"the use of the key": {
		config: map[string]string{"kmsDataKeyReuse": "900"},
		want: map[string]string{
			"backfill-machine": "update",
			"workflow-machine": "update",
		},
	},
	"the task's own word of its end, for which there is an endpoint": {
		config: map[string]string{"taskCompletion": "callback"},
		want: map[string]string{
			"backfill-machine":     "update",
			"backfill-report":      "create",
			"backfill-run":         "update",
			"alarms-task-failures": "update",
			"alarms-task-timeouts": "update",
			"dashboard-board":      "update",
			"endpoints-states":     "create",
			"workflow-machine":     "update",
			"workflow-run":         "update",
			"workflow-report":      "create",
		},
	},
	"no traces": {
		config: map[string]string{"tracing": "false"},
		want: map[string]string{
			"backfill-machine": "update",
			"backfill-tracing": "delete",
			"endpoints-xray":   "delete",
			"task-tracing":     "delete",
			"function":         "update",
			"function-tracing": "delete",
			"workflow-machine": "update",
			"workflow-see":     "delete",
			"workflow-tracing": "delete",
		},
	},
	"few tasks at a time, in the table that is there": {
		config: map[string]string{"maxParallelTasks": "5", "executionTimeout": "7200"},
		want: map[string]string{
			"backfill-machine":      "update",
			"backfill-run":          "update",
			"alarms-execution-time": "update", "function": "update", "sweep": "update", "sweep-run": "update",
			"task-definition": "replace", "workflow-machine": "update", "workflow-run": "update",
		},
	},
	"connections aren't logged any more, but what was logged is protected": {
		config:  map[string]string{"flowLogs": "false"},
		refused: "cannot be deleted",
	},
	"the bucket is protected": {
		config:  map[string]string{"bucketName": "upload-router-e2e-other"},
		refused: "unable to replace resource",
	},
	"no protection": {
		config: map[string]string{"protect": "false"},
		want: map[string]string{
			"ledger-table": "update",
		},
	},
	"an owner": {
		config: map[string]string{"tags.owner": "e2e"},
		want:   updated(taggable),
	},
}

// fromUnprotected are changes of that stack, once protect is false.
var fromUnprotected = map[string]change{
	"the keys of AWS": {
		config: map[string]string{"encryption": "aws"},
		want: map[string]string{
			"backfill-encryption": "update",
			"backfill-keys":       "delete",
			"backfill-machine":    "update",
			"backfill-run":        "update",
			"encryption-key":      "update", "endpoints-ecr-api": "update", "endpoints-ecr-dkr": "update", "function-ledger": "update",
			"image-build": "replace", "image-lifecycle": "replace", "image-repository": "replace", "ledger-table": "update",
			"notifications-topic": "update", "statuschange-dlq": "update", "sweep-run": "update", "task-definition": "replace",
			"task-execution": "update", "task-ledger": "update", "uploads-dlq": "update", "uploads-encryption": "update",
			"uploads-paused":        "update",
			"uploads-read-function": "update", "uploads-read-task": "update", "workflow-keys": "delete", "workflow-machine": "update",
		},
		loses: []string{"image-repository"},
	},
}

// taggable are the resources of that stack that have tags.
const taggable = "alarms-backfill-failures backfill-bucket backfill-machine backfill-role statuschange-batch-rule " +
	"alarms-event-failures alarms-execution-aborts alarms-execution-failures alarms-execution-throttles " +
	"alarms-execution-time alarms-execution-timeouts alarms-function-errors alarms-function-throttles " +
	"alarms-ledger-throttles alarms-lost-events alarms-open-executions alarms-paused-events alarms-sweep-errors " +
	"alarms-route-time-Fargate alarms-route-time-Lambda " +
	"alarms-sweep-silence alarms-task-failures alarms-task-timeouts alarms-undelivered-events " +
	"alarms-undelivered-status-changes encryption-key endpoints-dynamodb endpoints-ecr-api endpoints-ecr-dkr " +
	"endpoints-from-tasks endpoints-group endpoints-logs endpoints-s3 endpoints-to-dynamodb " +
	"endpoints-to-endpoints endpoints-to-s3 endpoints-xray flow-log flow-role function function-role " +
	"image-repository ledger-table logs-connections logs-executions logs-function logs-sweep logs-task " +
	"network-default network-routes network-subnet-0 network-subnet-1 network-tasks network-vpc " +
	"notifications-topic statuschange-dlq statuschange-rule sweep sweep-role sweep-rule task-cluster " +
	"task-definition task-execution task-role uploads-bucket uploads-dlq uploads-paused uploads-paused-rule uploads-role uploads-rule " +
	"workflow-machine workflow-role"

// updated is that each of these is updated.
func updated(names string) map[string]string {
	changes := map[string]string{}
	for name := range strings.FieldsSeq(names) {
		changes[name] = "update"
	}
	return changes
}

// No knob is without a change that shows what it does to what is deployed.
func TestEveryKnobIsChanged(t *testing.T) {
	t.Parallel()
	changed := map[string]bool{}
	for _, all := range []map[string]change{fromDefaults, fromDev, fromProd, fromUnprotected} {
		for name, c := range all {
			require.Equal(t, c.refused == "", c.want != nil, name)
			for path := range c.config {
				changed[strings.FieldsFunc(path, func(r rune) bool { return r == '[' || r == '.' })[0]] = true
			}
		}
	}
	for _, key := range settings.Keys() {
		require.True(t, changed[key.Name], "%s needs a change in knobs_test.go", key.Name)
		delete(changed, key.Name)
	}
	require.Empty(t, changed, "there are no such knobs")
}

// appended is a copy of an archive with a comment at its end, in the folder of the other: other bytes of the same program.
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
