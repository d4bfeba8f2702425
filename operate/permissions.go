package operate

import "slices"

// Permission is an action that commands ask AWS with, on what is deployed.
type Permission struct {
	// Action is the action of IAM.
	Action string
	// On is what it is on.
	On string
	// Commands are the names of the commands that ask with it, in alphabetical order.
	Commands []string
	// Key are the actions of KMS that the call takes on a customer managed key. Nil: none.
	Key []string
}

// What permissions are on.
const (
	onAny        = "`*`: it knows no resources"
	onBucket     = "the uploads' bucket"
	onTable      = "the ledger's table"
	onQueue      = "the dead-letter queue of uploads"
	onPaused     = "the queue of paused uploads"
	onRules      = "both rules of uploads"
	onRoles      = "the roles of state machine, task and rule"
	onObjects    = "the objects of the uploads' bucket"
	onMachine    = "the state machine"
	onExecutions = "the state machine's executions"
	onTasks      = "the tasks of the cluster"
	onLists      = "the lists in the bucket of backfills, `lists/*`"
	onBackfills  = "the state machine of backfills"
	onRuns       = "the backfills, their Map Runs and their files' executions"
)

// actionDecrypt is the action of KMS that reading takes.
const actionDecrypt = "kms:Decrypt"

// The commands that have permissions here.
const (
	commandBackfill   = "backfill"
	commandExecutions = "executions"
	commandLogs       = "logs"
	commandPause      = "pause"
	commandRedrive    = "redrive"
	commandReprocess  = "reprocess"
	commandResults    = "results"
	commandResume     = "resume"
	commandSend       = "send"
	commandShow       = "show"
	commandStatus     = "status"
	commandStop       = "stop"
	commandVerify     = "verify"
	commandWatch      = "watch"
)

// Permissions are those of whoever sends files, looks at what became of them, and runs them again, in alphabetical order.
//
//   - https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html
//   - https://docs.aws.amazon.com/step-functions/latest/dg/encryption-at-rest.html
//   - https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuAndPermissions.html
//   - https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html
func Permissions() []Permission {
	decrypt, encrypt := []string{actionDecrypt}, []string{actionDecrypt, "kms:GenerateDataKey"}
	redrive, stops, verifies := []string{commandRedrive}, []string{commandStop}, []string{commandVerify}
	sends := []string{commandSend, commandVerify}
	lists := []string{commandBackfill, commandReprocess}
	listsStatus := slices.Concat(lists, []string{commandStatus})
	sizes := []string{commandBackfill, commandRedrive, commandReprocess, commandStatus}
	pauses, resumes := []string{commandPause, commandResume}, []string{commandRedrive, commandResume}
	return []Permission{
		{"cloudwatch:DescribeAlarms", onAny, []string{commandStatus, commandVerify}, nil},
		{"cloudwatch:GetMetricData", onAny, []string{commandStatus}, nil},
		{
			"dynamodb:BatchGetItem", onTable,
			[]string{commandExecutions, commandRedrive, commandReprocess, commandResults, commandStatus}, decrypt,
		},
		{"dynamodb:GetItem", onTable, []string{commandRedrive, commandStatus, commandStop, commandVerify}, decrypt},
		{
			"dynamodb:Query", onTable + " and its index",
			[]string{commandExecutions, commandRedrive, commandReprocess, commandResults, commandShow, commandStatus}, decrypt,
		},
		{"dynamodb:UpdateItem", onTable, []string{commandRedrive, commandStop}, decrypt},
		{actionRoutes, onAny, verifies, nil},
		{"ec2:DescribeSecurityGroups", onAny, verifies, nil},
		{actionEndpoints, onAny, verifies, nil},
		{"ecr:DescribeImages", "the repository of the task's image", verifies, nil},
		{"ecs:DescribeTaskDefinition", onAny, slices.Concat(sizes, verifies), nil},
		{"ecs:DescribeTasks", onTasks, stops, nil},
		{"ecs:ListTasks", "`*`, with the condition `ecs:cluster`: the cluster", stops, nil},
		{"ecs:StopTask", onTasks, stops, nil},
		{
			actionRule, onRules,
			[]string{commandPause, commandResume, commandSend, commandStatus, commandStop, commandVerify}, nil,
		},
		{"events:DisableRule", onRules, pauses, nil},
		{"events:EnableRule", onRules, pauses, nil},
		{"events:ListTargetsByRule", onRules, verifies, nil},
		{actionSimulate, onRoles, verifies, nil},
		{"lambda:GetFunctionConfiguration", "the function", sizes, nil},
		{"logs:FilterLogEvents", "the log groups of function and task", []string{commandLogs, commandShow, commandVerify}, nil},
		{"s3:AbortMultipartUpload", onLists, lists, nil},
		{"s3:AbortMultipartUpload", onObjects, sends, nil},
		{"s3:DeleteObjectVersion", onObjects + ", `*" + verifyPrefix + "*`", verifies, nil},
		{actionNotification, onBucket, verifies, nil},
		{"s3:GetObject", "the files of an S3 Inventory report, if there is one", []string{commandBackfill}, decrypt},
		{"s3:GetObject", onObjects, sends, decrypt},
		{actionBucket, onBucket, []string{commandBackfill}, nil},
		{"s3:ListBucketVersions", onBucket, verifies, nil},
		{"s3:ListMultipartUploadParts", onObjects, []string{commandSend}, nil},
		{"s3:PutObject", onLists, lists, encrypt},
		{"s3:PutObject", onObjects, sends, encrypt},
		{"sqs:ChangeMessageVisibility", onQueue + " and " + onPaused, slices.Concat(resumes, verifies), nil},
		{"sqs:DeleteMessage", onQueue + " and " + onPaused, resumes, nil},
		{
			actionQueue, onQueue + " and " + onPaused,
			[]string{commandPause, commandRedrive, commandResume, commandStatus, commandStop, commandVerify}, nil,
		},
		{"sqs:ReceiveMessage", onQueue + " and " + onPaused, slices.Concat(resumes, verifies), decrypt},
		{
			"states:DescribeExecution", onRuns,
			append(listsStatus, commandExecutions, commandLogs, commandRedrive, commandShow, commandStop, commandWatch), decrypt,
		},
		{
			"states:DescribeExecution", onExecutions,
			[]string{
				commandExecutions, commandLogs, commandRedrive, commandSend, commandShow, commandStop, commandVerify, commandWatch,
			}, decrypt,
		},
		{"states:DescribeMapRun", onRuns, listsStatus, nil},
		{actionMachine, onMachine, verifies, nil},
		{
			"states:GetExecutionHistory", onExecutions + ", and those of backfills' files",
			[]string{commandLogs, commandRedrive, commandSend, commandShow, commandVerify, commandWatch}, decrypt,
		},
		{
			"states:ListExecutions", onBackfills + " and its Map Runs",
			[]string{commandBackfill, commandReprocess, commandStatus, commandStop}, nil,
		},
		{"states:ListExecutions", onMachine, []string{commandRedrive, commandSend, commandStop, commandVerify, commandWatch}, nil},
		{"states:ListMapRuns", onRuns, listsStatus, nil},
		{"states:RedriveExecution", onRuns, []string{commandBackfill}, nil},
		{"states:RedriveExecution", onExecutions, redrive, nil},
		{"states:StartExecution", onBackfills, lists, nil},
		{"states:StartExecution", onMachine, resumes, nil},
		{"states:StopExecution", onExecutions, stops, nil},
		{"states:StopExecution", onRuns, lists, nil},
	}
}

// PermissionsOf are the actions that one command asks with; nil for a command that isn't among those of [Permissions].
func PermissionsOf(command string) []string {
	var actions []string
	for _, p := range Permissions() {
		if slices.Contains(p.Commands, command) {
			actions = append(actions, p.Action)
		}
	}
	return slices.Compact(actions) // which are in order
}

// KeyPermissionsOf are the actions that one command takes on a customer managed key, in alphabetical order; nil for none.
func KeyPermissionsOf(command string) []string {
	var actions []string
	for _, p := range Permissions() {
		if slices.Contains(p.Commands, command) {
			actions = append(actions, p.Key...)
		}
	}
	slices.Sort(actions)
	return slices.Compact(actions)
}
