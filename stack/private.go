package stack

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"upload-router/components/endpoints"
	"upload-router/components/flowlogs"
	"upload-router/components/image"
	"upload-router/components/logs"
	"upload-router/components/network"
	"upload-router/components/task"
	"upload-router/components/uploads"
	"upload-router/components/workflow"
	"upload-router/internal/location"
	"upload-router/internal/policy"
	"upload-router/internal/settings"
)

// logConnections logs what connects to what in the stack's VPC, if it is to.
func logConnections(
	ctx *pulumi.Context, name string, cfg *settings.Settings, at location.Location, net *network.Network, log *logs.Logs,
) error {
	if !cfg.FlowLogs {
		return nil
	}
	_, err := flowlogs.New(ctx, name, &flowlogs.Args{
		Location: at, VPCID: net.VPCID, LogGroupARN: log.Groups[connectionLogs].ARN,
	})
	return err
}

// wayOut is what the task reaches out of a private network; nil in the others.
func wayOut(
	ctx *pulumi.Context, name string, cfg *settings.Settings, at location.Location,
	net *network.Network, img *image.Image, large *task.Task, log *logs.Logs,
) (*endpoints.Endpoints, error) {
	if cfg.Network != settings.NetworkPrivate {
		return nil, nil //nolint:nilnil // there is nothing to reach, and nothing wrong
	}
	return endpoints.New(ctx, name+"-endpoints", endpointsArgs(cfg, at, name, net, img, large, log))
}

// endpointsArgs has the services that the task needs: it gets its image, writes
// its logs, and tells its end and sends its trace if it is to. Notices aren't its business, so there is no endpoint of SNS.
func endpointsArgs(
	cfg *settings.Settings, at location.Location, name string,
	net *network.Network, img *image.Image, large *task.Task, log *logs.Logs,
) *endpoints.Args {
	pulls := pullThrough(img, large)
	services := []endpoints.Service{
		{Name: "ecr.api", Allows: pulls},
		{Name: "ecr.dkr", Allows: pulls},
		{Name: "logs", Allows: logThrough(large, log)},
	}
	if cfg.TaskCompletion == settings.CompletionCallback {
		machine := workflow.StateMachineARN(at, name+"-workflow", cfg.StateMachineName)
		services = append(services, endpoints.Service{Name: "states", Allows: tellThrough(large, machine)})
	}
	if cfg.Tracing {
		services = append(services, endpoints.Service{Name: "xray", Allows: traceThrough(large)})
	}
	return &endpoints.Args{
		Location:        at,
		VPCID:           net.VPCID,
		SubnetIDs:       net.SubnetIDs,
		RouteTableID:    net.RouteTableID,
		SecurityGroupID: net.SecurityGroupID,
		S3Allows:        readThrough(at, large, uploads.BucketARN(at, name+"-uploads", cfg.BucketName)),
		Services:        services,
	}
}

// pullThrough is for both endpoints of ECR, as AWS recommends: it doesn't say
// which of them each call takes.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html
func pullThrough(img *image.Image, large *task.Task) []policy.Statement {
	return []policy.Statement{
		{
			Sid:        "PullTheImage",
			Principal:  policy.Everyone(),
			Actions:    []string{"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"},
			Resources:  []pulumi.StringInput{img.RepositoryARN},
			Conditions: []policy.Condition{as(large.ExecutionRoleARN)},
		},
		{
			Sid:        "LogInToTheRegistry",
			Principal:  policy.Everyone(),
			Actions:    []string{"ecr:GetAuthorizationToken"},
			Resources:  []pulumi.StringInput{pulumi.String("*")}, // the action knows no resources
			Conditions: []policy.Condition{as(large.ExecutionRoleARN)},
		},
	}
}

func logThrough(large *task.Task, log *logs.Logs) []policy.Statement {
	return []policy.Statement{{
		Sid:        "WriteItsLogs",
		Principal:  policy.Everyone(),
		Actions:    []string{"logs:CreateLogStream", "logs:PutLogEvents"},
		Resources:  []pulumi.StringInput{pulumi.Sprintf("%s:*", log.Groups[taskLogs].ARN)},
		Conditions: []policy.Condition{as(large.ExecutionRoleARN)},
	}}
}

// tellThrough is for a task that tells its end itself. The state machine isn't
// there yet.
func tellThrough(large *task.Task, machine string) []policy.Statement {
	return []policy.Statement{{
		Sid:        "TellTheEnd",
		Principal:  policy.Everyone(),
		Actions:    []string{"states:SendTaskFailure", "states:SendTaskHeartbeat", "states:SendTaskSuccess"},
		Resources:  []pulumi.StringInput{pulumi.String(machine)},
		Conditions: []policy.Condition{as(large.TaskRoleARN)},
	}}
}

// traceThrough is for a task that is traced.
func traceThrough(large *task.Task) []policy.Statement {
	send := policy.SendTraces("xray:PutTraceSegments")
	send.Principal, send.Conditions = policy.Everyone(), []policy.Condition{as(large.TaskRoleARN)}
	return []policy.Statement{send}
}

// as holds for the sessions of a role. An endpoint's policy can name a role as
// its principal, too, but would go on naming one that was deleted.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalarn
func as(role pulumi.StringInput) policy.Condition {
	return policy.When("ArnEquals", "aws:PrincipalArn", role)
}

// readThrough is for S3's endpoint, by which the image's layers come, too: ECR
// keeps them in a bucket of its own in each Region, and signs the addresses
// itself. The uploads' bucket isn't there yet.
func readThrough(at location.Location, large *task.Task, bucket string) []policy.Statement {
	layers := "arn:" + at.Partition + ":s3:::prod-" + at.Region + "-starport-layer-bucket/*"
	return []policy.Statement{
		{
			Sid:       "ReadUploads",
			Principal: policy.Everyone(),
			Actions:   []string{"s3:GetObject", "s3:GetObjectVersion"},
			Resources: []pulumi.StringInput{pulumi.String(bucket + "/*")},
			Conditions: []policy.Condition{
				as(large.TaskRoleARN),
				policy.When("StringEquals", "aws:ResourceAccount", pulumi.String(at.AccountID)),
			},
		},
		{
			Sid:       "GetTheImagesLayers",
			Principal: policy.Everyone(),
			Actions:   []string{"s3:GetObject"},
			Resources: []pulumi.StringInput{pulumi.String(layers)},
		},
	}
}

// onlyThrough has the task read the uploads by the endpoint of S3 alone; nil
// where there is none.
func onlyThrough(out *endpoints.Endpoints, large *task.Task) *uploads.Private {
	if out == nil {
		return nil
	}
	return &uploads.Private{EndpointID: out.S3EndpointID, RoleARN: large.TaskRoleARN}
}

// taskGroup is the tasks' security group, once they can reach what they need.
func taskGroup(net *network.Network, out *endpoints.Endpoints) pulumi.StringInput {
	if out == nil {
		return net.SecurityGroupID
	}
	return out.SecurityGroupID
}
