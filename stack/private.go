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

// endpointsArgs says what may be asked of each service. The state machine and the
// uploads' bucket aren't there yet.
func endpointsArgs(
	cfg *settings.Settings, at location.Location, name string, net *network.Network, img *image, large *task.Task, log *logs.Logs,
) *endpoints.Args {
	through := func(role pulumi.StringInput, statements ...policy.Statement) pulumi.StringInput {
		return policy.Document(policy.Through(role, statements...)...)
	}
	// For both endpoints of ECR, as AWS recommends: it doesn't say which of them each call takes.
	// https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html
	pulls := through(large.ExecutionRoleARN, policy.PullImage(img.repositoryARN)...)
	machine := workflow.StateMachineARN(at, name+"-workflow", cfg.StateMachineName)
	policies := map[string]pulumi.StringInput{
		serviceRegistry: pulls,
		serviceImages:   pulls,
		serviceLogs:     through(large.ExecutionRoleARN, policy.WriteLogs(log.Groups[taskLogs].ARN)),
		serviceStates:   through(large.TaskRoleARN, policy.SendTaskResult(pulumi.String(machine))),
		serviceTraces:   through(large.TaskRoleARN, policy.SendTraces("xray:PutTraceSegments")),
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

// readThrough is for S3's endpoint, by which the image's layers come, too: ECR
// keeps them in a bucket of its own in each Region, and signs the addresses itself.
func readThrough(at location.Location, large *task.Task, bucket string) pulumi.StringInput {
	own := policy.When("StringEquals", "aws:ResourceAccount", pulumi.String(at.AccountID))
	layers := "arn:" + at.Partition + ":s3:::prod-" + at.Region + "-starport-layer-bucket/*"
	return policy.Document(append(policy.Through(large.TaskRoleARN, policy.ReadObjects(pulumi.String(bucket), own)), policy.Statement{
		Sid:       "PullImageLayers",
		Principal: policy.Everyone(),
		Actions:   []string{"s3:GetObject"},
		Resources: []pulumi.StringInput{pulumi.String(layers)},
	})...)
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
