package stack

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/endpoints"
	"example.com/upload-router/components/flowlogs"
	"example.com/upload-router/components/location"
	"example.com/upload-router/components/logs"
	"example.com/upload-router/components/network"
	"example.com/upload-router/components/task"
	"example.com/upload-router/components/uploads"
	"example.com/upload-router/components/workflow"
	"example.com/upload-router/internal/policy"
	"example.com/upload-router/internal/settings"
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

// newNetwork makes the network. It gives the zones of the services' endpoints as
// well, by the service, as [endpointZones] has them.
func newNetwork(
	ctx *pulumi.Context, name string, cfg *settings.Settings, at location.Location,
) (*network.Network, map[string][]string, error) {
	services, err := endpointZones(ctx, cfg, at)
	if err != nil {
		return nil, nil, err
	}
	net, err := network.New(ctx, name, networkArgs(cfg, at, services))
	return net, services, err
}

// vpcEndpoints is what the task reaches out of a private network; nil in the others.
func vpcEndpoints(
	ctx *pulumi.Context, name string, cfg *settings.Settings, at location.Location, zones map[string][]string,
	net *network.Network, img *image, large *task.Task, log *logs.Logs,
) (*endpoints.Endpoints, error) {
	if cfg.Network != settings.NetworkPrivate {
		return nil, nil //nolint:nilnil // there is nothing to reach, and nothing wrong
	}
	args := endpointsArgs(cfg, at, name, net, img, large, log)
	for i, service := range args.Services {
		args.Services[i].Zones = zones[service.Name]
	}
	return endpoints.New(ctx, name+"-endpoints", args)
}

// interfaces are the services that the task needs interface endpoints of: it gets
// its image, writes its logs, and reports its end and sends its trace if it is to.
// Notices aren't its business, so there is none of SNS.
func interfaces(cfg *settings.Settings) []string {
	services := []string{serviceRegistry, serviceImages, serviceLogs}
	if cfg.TaskCompletion == settings.CompletionCallback {
		services = append(services, serviceStates)
	}
	if cfg.Tracing {
		services = append(services, serviceTraces)
	}
	return services
}

// The services that have interface endpoints, as they call themselves.
const (
	serviceRegistry = "ecr.api"
	serviceImages   = "ecr.dkr"
	serviceLogs     = "logs"
	serviceStates   = "states"
	serviceTraces   = "xray"
)

// endpointZones are the Availability Zones that have each of the endpoints that are
// needed, by the service; none are in the networks with a way out.
func endpointZones(ctx *pulumi.Context, cfg *settings.Settings, at location.Location) (map[string][]string, error) {
	if cfg.Network != settings.NetworkPrivate {
		return nil, nil //nolint:nilnil // there is nothing to reach, and nothing wrong
	}
	zones := map[string][]string{}
	for _, service := range interfaces(cfg) {
		var err error
		if zones[service], err = at.EndpointZones(ctx, service); err != nil {
			return nil, err
		}
	}
	return zones, nil
}

// endpointsArgs says what may be asked of each service.
func endpointsArgs(
	cfg *settings.Settings, at location.Location, name string,
	net *network.Network, img *image, large *task.Task, log *logs.Logs,
) *endpoints.Args {
	pulls := pullThrough(img, large)
	policies := map[string]pulumi.StringInput{
		serviceRegistry: pulls,
		serviceImages:   pulls,
		serviceLogs:     logThrough(large, log),
		serviceStates:   reportThrough(large, workflow.StateMachineARN(at, name+"-workflow", cfg.StateMachineName)),
		serviceTraces:   traceThrough(large),
	}
	names := interfaces(cfg)
	services := make([]endpoints.Service, 0, len(names))
	for _, service := range names {
		services = append(services, endpoints.Service{Name: service, Policy: policies[service]})
	}
	return &endpoints.Args{
		Location:        at,
		VPCID:           net.VPCID,
		SubnetIDs:       net.SubnetIDs,
		Zones:           net.Zones,
		RouteTableID:    net.RouteTableID,
		SecurityGroupID: net.SecurityGroupID,
		S3Policy:        readThrough(at, large, uploads.BucketARN(at, name+"-uploads", cfg.BucketName)),
		Services:        services,
	}
}

// pullThrough is for both endpoints of ECR, as AWS recommends: it doesn't say
// which of them each call takes.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html
func pullThrough(img *image, large *task.Task) pulumi.StringInput {
	return policy.Document(
		policy.Statement{
			Sid:        "PullImage",
			Principal:  policy.Everyone(),
			Actions:    []string{"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"},
			Resources:  []pulumi.StringInput{img.repositoryARN},
			Conditions: []policy.Condition{as(large.ExecutionRoleARN)},
		},
		policy.Statement{
			Sid:        "LogInToRegistry",
			Principal:  policy.Everyone(),
			Actions:    []string{"ecr:GetAuthorizationToken"},
			Resources:  []pulumi.StringInput{pulumi.String("*")}, // the action knows no resources
			Conditions: []policy.Condition{as(large.ExecutionRoleARN)},
		},
	)
}

func logThrough(large *task.Task, log *logs.Logs) pulumi.StringInput {
	return policy.Document(policy.Statement{
		Sid:        "WriteLogs",
		Principal:  policy.Everyone(),
		Actions:    []string{"logs:CreateLogStream", "logs:PutLogEvents"},
		Resources:  []pulumi.StringInput{pulumi.Sprintf("%s:*", log.Groups[taskLogs].ARN)},
		Conditions: []policy.Condition{as(large.ExecutionRoleARN)},
	})
}

// reportThrough is for a task that reports its end itself. The state machine isn't
// there yet.
func reportThrough(large *task.Task, machine string) pulumi.StringInput {
	return policy.Document(policy.Statement{
		Sid:        "SendTaskResult",
		Principal:  policy.Everyone(),
		Actions:    []string{"states:SendTaskFailure", "states:SendTaskHeartbeat", "states:SendTaskSuccess"},
		Resources:  []pulumi.StringInput{pulumi.String(machine)},
		Conditions: []policy.Condition{as(large.TaskRoleARN)},
	})
}

// traceThrough is for a task that is traced.
func traceThrough(large *task.Task) pulumi.StringInput {
	send := policy.SendTraces("xray:PutTraceSegments")
	send.Principal, send.Conditions = policy.Everyone(), []policy.Condition{as(large.TaskRoleARN)}
	return policy.Document(send)
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
func readThrough(at location.Location, large *task.Task, bucket string) pulumi.StringInput {
	layers := "arn:" + at.Partition + ":s3:::prod-" + at.Region + "-starport-layer-bucket/*"
	return policy.Document(
		policy.Statement{
			Sid:       "ReadUploads",
			Principal: policy.Everyone(),
			Actions:   []string{"s3:GetObject", "s3:GetObjectVersion"},
			Resources: []pulumi.StringInput{pulumi.String(bucket + "/*")},
			Conditions: []policy.Condition{
				as(large.TaskRoleARN),
				policy.When("StringEquals", "aws:ResourceAccount", pulumi.String(at.AccountID)),
			},
		},
		policy.Statement{
			Sid:       "PullImageLayers",
			Principal: policy.Everyone(),
			Actions:   []string{"s3:GetObject"},
			Resources: []pulumi.StringInput{pulumi.String(layers)},
		},
	)
}

// restrictToEndpoint has the task read the uploads by the endpoint of S3 alone; nil
// where there is none.
func restrictToEndpoint(out *endpoints.Endpoints, large *task.Task) *uploads.Private {
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
