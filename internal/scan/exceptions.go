package scan

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Exception is a serious finding that is meant.
type Exception struct {
	// ID is the rule.
	ID string
	// Resource is a pattern of the resource's address, as path.Match has it; the
	// names in it begin with the project and the stack.
	Resource string
	// Stacks are those that it is for; empty for all.
	Stacks []string
	// Reason says why it stays.
	Reason string
}

// exceptions are all there are. One that excuses nothing is an error, so that none outlives its finding.
func exceptions() []Exception {
	const (
		wildcards = "AVD-AWS-0057"
		cheap     = "dev has no key of its own but for its logs: what AWS manages costs nothing. "
		runs      = "The wildcards are for the revisions of one task definition (an execution that began before an update runs the one it " +
			"began with), and for the tasks of one cluster, whose ids nobody knows before they run; under the condition of the " +
			"cluster, or for their tags of RunTask. https://docs.aws.amazon.com/step-functions/latest/dg/connect-ecs.html"
		delivery = "The actions by which Step Functions has its log delivered know no resources: a delivery is the account's. " +
			"https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html#cloudwatch-iam-policy"
		log = "The wildcard is for the streams of one log group, which the service names. AWS: the ARN of a log group " +
			"in a policy ends with \":*\", https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/iam-access-control-overview-cwl.html"
	)
	dev, prod := []string{"dev"}, []string{"prod"}
	return []Exception{
		{wildcards, "aws_iam_role_policy.*-function-logs", nil, log},
		{wildcards, "aws_iam_role_policy.*-sweep-logs", nil, log},
		{wildcards, "aws_iam_role_policy.*-task-execution", nil, log},
		{
			wildcards, "aws_iam_role_policy.*-sweep-run", nil,
			"The wildcard is for the executions of one state machine, which have their names from EventBridge; the sweep may look at them, " +
				"and change nothing. https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsstepfunctions.html",
		},
		{wildcards, "aws_iam_role_policy.*-workflow-run", nil, runs},
		{wildcards, "aws_iam_role_policy.*-backfill-run", nil, runs},
		{
			wildcards, "aws_iam_role_policy.*-backfill-children", nil,
			"The wildcards are for the executions of one state machine and for its Map Runs, whose ids nobody knows before they run: a " +
				"Distributed Map takes them to start its children and to redrive them. " +
				"https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html",
		},
		{wildcards, "aws_iam_role_policy.*-flow-write", prod, log},
		{
			wildcards, "aws_iam_role_policy.*-workflow-see", prod,
			"The wildcard is for the executions of one state machine, which have their names from EventBridge; they may look their traces " +
				"up, and change nothing. https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsstepfunctions.html",
		},
		{wildcards, "aws_iam_role_policy.*-workflow-logging", nil, delivery},
		{wildcards, "aws_iam_role_policy.*-backfill-logging", nil, delivery},
		{
			"AVD-AWS-0023", "aws_dynamodb_table.*-ledger-table", dev,
			cheap + "DynamoDB encrypts every table, this one with a key of its own, which its API calls not enabled. " +
				"https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.howitworks.html",
		},
		{
			"AVD-AWS-0132", "aws_s3_bucket_server_side_encryption_configuration.*-encryption", dev,
			cheap + "The buckets are encrypted with the account's key aws/s3.",
		},
		{
			"AVD-AWS-0095", "aws_sns_topic.*-notifications-topic", dev,
			cheap + "The key aws/sns would keep CloudWatch's alarms out, as its policy can't be changed: " +
				"https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html. The notices hold names of files and no content.",
		},
		{
			"aws-vpc-no-public-egress-sgr", "aws_vpc_security_group_egress_rule.*-network-egress-*", dev,
			"dev has no VPC endpoints, which cost by the hour: the task reaches S3, DynamoDB, ECR and CloudWatch Logs, whose addresses " +
				"change, by 443 and DNS alone. Nothing can connect to it.",
		},
	}
}

// Judge tells the findings in a stack that must be fixed from those that an
// exception is for, and gives the exceptions that are for none.
func Judge(stack string, findings []Finding) (open []Finding, stale []Exception) {
	used := map[int]bool{}
	all := exceptions()
	for _, f := range findings {
		if !f.Serious() {
			continue
		}
		i := slices.IndexFunc(all, func(e Exception) bool { return e.excuses(stack, f) })
		if i < 0 {
			open = append(open, f)
			continue
		}
		used[i] = true
	}
	for i, e := range all {
		if !used[i] && e.isFor(stack) {
			stale = append(stale, e)
		}
	}
	return open, stale
}

func (e Exception) isFor(stack string) bool {
	return len(e.Stacks) == 0 || slices.Contains(e.Stacks, stack)
}

func (e Exception) excuses(stack string, f Finding) bool {
	matches, err := path.Match(e.Resource, f.Resource)
	return err == nil && matches && e.ID == f.ID && e.isFor(stack)
}

// Markdown is the table of the exceptions.
func Markdown() string {
	var out strings.Builder
	out.WriteString("| finding | of | in | reason |\n|---|---|---|---|\n")
	for _, e := range exceptions() {
		stacks := "every stack"
		if len(e.Stacks) > 0 {
			stacks = strings.Join(e.Stacks, ", ")
		}
		fmt.Fprintf(&out, "| %s | `%s` | %s | %s |\n", e.ID, e.Resource, stacks, e.Reason)
	}
	return out.String()
}
