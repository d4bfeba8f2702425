package operate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"example.com/upload-router/internal/awsquery"
	bus "example.com/upload-router/internal/eventbridge"
	"example.com/upload-router/internal/machine"
)

// fixByUp is what fixes a link that was changed by hand.
const fixByUp = "upload-router refresh, then upload-router up: it puts back what the project declares"

// diagnose walks the links that could have kept a file from its end.
func (v *verifier) diagnose(ctx context.Context) {
	for _, f := range v.result.Files {
		switch {
		case f.State == FileSucceeded || f.VersionID == "" && f.ETag == "":
			continue // or it was never uploaded, which its error says
		case f.Execution == nil:
			v.ruleLinks(ctx, f)
		case v.Outputs.routes.computeOf(f.Execution.Route) == machine.Lambda:
			v.functionLinks(ctx, f)
		default:
			v.taskLinks(ctx, f)
		}
	}
}

// link adds a link, once.
func (v *verifier) link(c Check) {
	if !slices.ContainsFunc(v.result.Diagnosis, func(known Check) bool { return known.Name == c.Name }) {
		v.result.Diagnosis = append(v.result.Diagnosis, c)
	}
}

// judged adds a link: broken, if found says what is wrong with it, or whole.
func (v *verifier) judged(name, whole, broken, why, fix string, err error) {
	switch {
	case err != nil:
		v.link(Check{Name: name, Status: CheckUnknown, Found: refusal(err).Error(), Why: "it could not be asked"})
	case broken != "":
		v.link(Check{Name: name, Status: CheckFailed, Found: broken, Why: why, Fix: fix})
	default:
		v.link(Check{Name: name, Status: CheckOK, Found: whole})
	}
}

// ruleLinks are those between the upload and the execution (requirement A42).
func (v *verifier) ruleLinks(ctx context.Context, f Sent) {
	v.notificationLink(ctx)
	v.ruleLink(ctx, f)
	v.targetLink(ctx)
	v.messageLink(ctx, f)
}

func (v *verifier) notificationLink(ctx context.Context) {
	fix := fixByUp
	if len(v.Outputs.BucketNames) > 0 {
		fix = "upload-router up --enable-eventbridge"
	}
	answer, err := v.objects.GetBucketNotificationConfiguration(ctx, &s3.GetBucketNotificationConfigurationInput{
		Bucket: &v.Outputs.BucketName,
	})
	broken := ""
	if err == nil && answer.EventBridgeConfiguration == nil {
		broken = "the bucket sends no events to EventBridge"
	}
	v.judged("Bucket's notification", "goes to EventBridge", broken, "no upload is heard of", fix, err)
}

func (v *verifier) ruleLink(ctx context.Context, f Sent) {
	answer, err := v.events.DescribeRule(ctx, &eventbridge.DescribeRuleInput{Name: &v.Outputs.RuleName})
	broken, fix := "", fixByUp
	switch {
	case hasCode(err, "ResourceNotFoundException"):
		broken, err = "there is no rule "+v.Outputs.RuleName, nil
	case err == nil && answer.State == eventtypes.RuleStateDisabled:
		broken, fix = "the rule is disabled", "upload-router resume, if uploads are paused; else: aws events enable-rule --name "+
			v.Outputs.RuleName
	case err == nil:
		broken, err = v.unmatched(aws.ToString(answer.EventPattern), f)
	}
	v.judged("Rule", v.Outputs.RuleName+" is enabled, and its pattern matches the file", broken, "it picks the bucket's events", fix, err)
}

// unmatched says whether a pattern leaves out the event of a file.
func (v *verifier) unmatched(text string, f Sent) (string, error) {
	pattern, err := bus.ParsePattern([]byte(text))
	if err != nil {
		return "", fmt.Errorf("reading the rule's pattern: %w", err)
	}
	event, err := bus.S3ObjectCreated(bus.ObjectCreated{
		Account: v.Outputs.AccountID(), Region: v.Outputs.Region(), Time: f.Arrived, Bucket: v.Outputs.BucketName,
		Key: f.Key, Size: f.Size, ETag: f.ETag, VersionID: f.VersionID, Sequencer: "0062E99A88DC407460",
		RequestID: "N4N7GDK58NMKJ12R", SourceIPAddress: "192.0.2.1", Reason: "PutObject",
	})
	if err != nil {
		return "", fmt.Errorf("making the file's event: %w", err)
	}
	body, err := event.JSON()
	if err != nil {
		return "", fmt.Errorf("making the file's event: %w", err)
	}
	matches, err := pattern.Match(body)
	if err != nil || matches {
		return "", err
	}
	return "its pattern doesn't match the file's event: " + shorten(text), nil
}

func (v *verifier) targetLink(ctx context.Context) {
	answer, err := v.events.ListTargetsByRule(ctx, &eventbridge.ListTargetsByRuleInput{Rule: &v.Outputs.RuleName})
	const name, why = "Rule's target", "it starts the state machine"
	if hasCode(err, "ResourceNotFoundException") {
		return // the rule's own link has said so
	}
	if err != nil {
		v.judged(name, "", "", why, fixByUp, err)
		return
	}
	i := slices.IndexFunc(answer.Targets, func(t eventtypes.Target) bool { return aws.ToString(t.Arn) == v.Outputs.StateMachineARN })
	if i < 0 {
		v.judged(name, "", "the rule has no target "+v.Outputs.StateMachineARN, why, fixByUp, nil)
		return
	}
	role := aws.ToString(answer.Targets[i].RoleArn)
	if role == "" {
		v.judged(name, "", "it has no role", why, fixByUp, nil)
		return
	}
	v.judged(name, "the state machine, with "+lastPart(role, "/"), "", why, fixByUp, nil)
	v.allowed(ctx, "EventBridge's role", role, "states:StartExecution", v.Outputs.StateMachineARN, nil)
}

// messageLink looks for what EventBridge says of an event that it gave up on.
func (v *verifier) messageLink(ctx context.Context, f Sent) {
	plan := &RedrivePlan{system: v.System}
	err := plan.takeMessages(ctx)
	broken, fix := "", "upload-router redrive --dlq, once that is fixed"
	for _, item := range plan.Items {
		if item.Key == f.Key {
			broken = fmt.Sprintf("EventBridge could not deliver the event: %s: %s", item.Message.ErrorCode, item.Message.ErrorMessage)
		}
	}
	if err == nil {
		err = plan.Close(context.WithoutCancel(ctx))
	}
	v.judged("Delivery", "the dead-letter queue has nothing of the file; the first events of a new bucket can take minutes: try again",
		broken, "EventBridge starts the state machine", fix, err)
}

// allowed asks IAM whether a role may do something.
func (v *verifier) allowed(ctx context.Context, name, role, action, resource string, values map[string]string) {
	answer, err := v.roles.Simulate(ctx, role, []string{action}, resource, values)
	if hasCode(err, "NoSuchEntity") {
		v.judged(name, "", "there is no role "+role, action+" needs it", fixByUp, nil)
		return
	}
	broken := ""
	for _, result := range answer {
		if !result.Allowed() {
			broken = fmt.Sprintf("%s may not %s on %s (%s)", lastPart(role, "/"), action, resource, result.Decision)
		}
	}
	v.judged(name, lastPart(role, "/")+" may "+action+" on "+lastPart(resource, ":"), broken, action+" is refused without", fixByUp, err)
}

// machineRole is the state machine's role.
func (v *verifier) machineRole(ctx context.Context) (string, error) {
	answer, err := v.states.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: &v.Outputs.StateMachineARN})
	if err != nil {
		return "", asked("asking for the state machine's role", err)
	}
	return aws.ToString(answer.RoleArn), nil
}

// functionLinks are those of the Lambda route (requirement A44).
func (v *verifier) functionLinks(ctx context.Context, f Sent) {
	role, err := v.machineRole(ctx)
	if err != nil {
		v.judged("State machine's role", "", "", "", "", err)
	} else {
		v.allowed(ctx, "Permission to invoke the function", role, "lambda:InvokeFunction", v.Outputs.LambdaFunctionARN, nil)
	}
	v.logLink(ctx, "Function's log", f)
}

// logLink shows the processor's last word.
func (v *verifier) logLink(ctx context.Context, name string, f Sent) {
	timeline, err := v.Show(ctx, f.Execution.ARN)
	if err == nil && timeline.LogsError != "" {
		err = errors.New(timeline.LogsError)
	}
	if err != nil {
		v.judged(name, "", "", "", "", err)
		return
	}
	if len(timeline.Logs) == 0 {
		v.link(Check{Name: name, Status: CheckUnknown, Found: "nothing: the processor never ran", Why: "what failed came before it"})
		return
	}
	const last = 3
	var lines []string
	for _, line := range timeline.Logs[max(0, len(timeline.Logs)-last):] {
		lines = append(lines, shorten(line.Message))
	}
	v.link(Check{Name: name, Status: CheckOK, Found: strings.Join(lines, " | ")})
}

// taskLinks are those of the Fargate route (requirements A43, A45, A46).
func (v *verifier) taskLinks(ctx context.Context, f Sent) {
	answer, err := v.containers.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &v.Outputs.TaskDefinitionARN})
	if err != nil {
		v.judged("Task definition", "", "", "", "", err)
	} else {
		v.passRoleLinks(ctx, answer.TaskDefinition)
		v.imageLink(ctx, answer.TaskDefinition)
	}
	v.wayLink(ctx)
	v.egressLink(ctx)
	v.logLink(ctx, "Task's log", f)
}

func (v *verifier) passRoleLinks(ctx context.Context, task *ecstypes.TaskDefinition) {
	role, err := v.machineRole(ctx)
	if err != nil {
		v.judged("State machine's role", "", "", "", "", err)
		return
	}
	to := map[string]string{"iam:PassedToService": "ecs-tasks.amazonaws.com"} //nolint:gosec // It is a condition key.
	v.allowed(ctx, "Permission to pass the task's role", role, "iam:PassRole", aws.ToString(task.TaskRoleArn), to)
	v.allowed(ctx, "Permission to pass the execution role", role, "iam:PassRole", aws.ToString(task.ExecutionRoleArn), to)
	if v.Outputs.routes.tasks().Callback {
		v.allowed(ctx, "Task's permission to report its end", aws.ToString(task.TaskRoleArn), "states:SendTaskSuccess",
			v.Outputs.StateMachineARN, nil)
	}
}

// imageLink looks whether the task's image is there. One that isn't in ECR can't be asked for.
func (v *verifier) imageLink(ctx context.Context, task *ecstypes.TaskDefinition) {
	const name, why = "Image", "the task is made of it"
	if len(task.ContainerDefinitions) == 0 {
		return
	}
	image := aws.ToString(task.ContainerDefinitions[0].Image)
	registry, rest, _ := strings.Cut(image, "/")
	if !strings.Contains(registry, ".dkr.ecr.") {
		v.link(Check{Name: name, Status: CheckUnknown, Found: image + " isn't in ECR", Why: "only ECR can be asked"})
		return
	}
	id := &ecrtypes.ImageIdentifier{}
	repository, digest, pinned := strings.Cut(rest, "@")
	if pinned {
		id.ImageDigest = &digest
	}
	repository, tag, tagged := strings.Cut(repository, ":")
	if tagged && !pinned {
		id.ImageTag = &tag
	}
	account, _, _ := strings.Cut(registry, ".")
	_, err := v.images.DescribeImages(ctx, &ecr.DescribeImagesInput{
		RegistryId: &account, RepositoryName: &repository, ImageIds: []ecrtypes.ImageIdentifier{*id},
	})
	broken := ""
	if hasCode(err, "ImageNotFoundException", "RepositoryNotFoundException") {
		broken, err = image+" isn't in ECR", nil
	}
	v.judged(name, image, broken, why, "upload-router up: it builds and pushes the image again", err)
}

// wayLink looks for the subnets' way to ECR, S3 and the logs: a route to the internet, or VPC endpoints.
func (v *verifier) wayLink(ctx context.Context) {
	const name, why = "Subnets' route", "without one the task stays in PROVISIONING, can't pull its image, or can't report its end"
	needed := []string{".ecr.api", ".ecr.dkr", ".logs", ".s3"}
	if v.Outputs.routes.tasks().Callback {
		needed = append(needed, ".states") // by which the task reports its end
	}
	fix := "a route 0.0.0.0/0 to an internet gateway (with assignPublicIp) or a NAT gateway, or VPC endpoints for " +
		strings.ReplaceAll(strings.Join(needed, ", "), " .", " ")[1:]
	tables, err := v.network.DescribeRouteTables(ctx, v.Outputs.VPCID)
	if err != nil {
		v.judged(name, "", "", why, fix, err)
		return
	}
	endpoints, err := v.network.DescribeVPCEndpoints(ctx, v.Outputs.VPCID)
	if err != nil {
		v.judged(name, "", "", why, fix, err)
		return
	}
	var missing []string
	for _, service := range needed {
		if !slices.ContainsFunc(endpoints, func(e awsquery.VPCEndpoint) bool { return strings.HasSuffix(e.ServiceName, service) }) {
			missing = append(missing, service[1:])
		}
	}
	for _, subnet := range v.Outputs.SubnetIDs {
		way := defaultRoute(tables, subnet)
		if way == "" && len(missing) > 0 {
			v.judged(name, "", fmt.Sprintf("%s has no route out, and its VPC has no endpoint for %s", subnet, strings.Join(missing, ", ")),
				why, fix, nil)
			return
		}
		if strings.HasPrefix(way, "igw-") && !v.Outputs.routes.tasks().PublicAddress {
			v.judged(name, "", subnet+"'s way is an internet gateway, and the task has no public address", why,
				"pulumi config set assignPublicIp true, then upload-router up", nil)
			return
		}
	}
	v.judged(name, "every subnet has one", "", why, fix, nil)
}

// defaultRoute is what a subnet's default route goes to; empty without one.
func defaultRoute(tables []awsquery.RouteTable, subnet string) string {
	for _, route := range tableOf(tables, subnet).Routes {
		if route.Destination != "0.0.0.0/0" || route.State == "blackhole" {
			continue
		}
		if to := cmp.Or(route.GatewayID, route.NATGatewayID, route.TransitGatewayID, route.NetworkInterfaceID); to != "" {
			return to
		}
	}
	return ""
}

// tableOf is a subnet's route table: the VPC's main one if it has none of its own.
func tableOf(tables []awsquery.RouteTable, subnet string) awsquery.RouteTable {
	var main awsquery.RouteTable
	for _, table := range tables {
		for _, a := range table.Associations {
			if a.SubnetID == subnet {
				return table
			}
			if a.Main {
				main = table
			}
		}
	}
	return main
}

// egressLink looks whether the task may connect to port 443 at all.
func (v *verifier) egressLink(ctx context.Context) {
	const https = 443
	answer, err := v.network.DescribeSecurityGroup(ctx, v.Outputs.SecurityGroupID)
	broken := ""
	switch {
	case hasCode(err, "InvalidGroup.NotFound"):
		broken, err = "there is no security group "+v.Outputs.SecurityGroupID, nil
	case err == nil:
		if !slices.ContainsFunc(answer, func(g awsquery.SecurityGroup) bool {
			return slices.ContainsFunc(g.Egress, func(p awsquery.IPPermission) bool {
				return p.Protocol == "-1" || p.Protocol == "tcp" && p.FromPort <= https && https <= p.ToPort
			})
		}) {
			broken = v.Outputs.SecurityGroupID + " lets nothing out to port 443"
		}
	}
	v.judged("Security group", v.Outputs.SecurityGroupID+" lets the task out to port 443", broken,
		"ECR, S3 and the logs are reached there", "add a rule to `egress`, or take it out, then upload-router up", err)
}

// waitHint is after how long a user reads why nothing happens yet.
const waitHint = 30 * time.Second

// StillNothing says what to report of an upload that nothing has come of yet; empty as long as that is usual.
func StillNothing(f Sent) string {
	if f.State != FileUploaded || f.Arrived.IsZero() || time.Since(f.Arrived) < waitHint {
		return ""
	}
	return "no execution yet; the first events of a new bucket can take about five minutes to arrive"
}
