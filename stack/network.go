package stack

import (
	"maps"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/endpoints"
	"example.com/upload-router/components/network"
	"example.com/upload-router/components/uploads"
	"example.com/upload-router/components/workflow"
	"example.com/upload-router/internal/policy"
	"example.com/upload-router/internal/settings"
)

// private says whether the tasks run in isolated subnets, where they reach what they need by VPC endpoints alone.
func (s *system) private() bool { return s.cfg.Network == settings.NetworkPrivate }

func (s *system) network() (err error) {
	if s.private() {
		s.zones = map[string][]string{}
		for _, service := range s.interfaces() {
			if s.zones[service], err = s.at.EndpointZones(s.ctx, service); err != nil {
				return err
			}
		}
	}
	args := &network.Args{
		Region:       s.at.Region,
		VPCID:        s.cfg.VPCID,
		SubnetIDs:    s.cfg.SubnetIDs,
		Isolated:     s.private(),
		Architecture: s.cfg.Architecture.ECS(),
		ServiceZones: slices.Collect(maps.Values(s.zones)),
		Egress:       s.cfg.Egress,
	}
	if s.cfg.Network == settings.NetworkCreate || s.private() {
		args.CIDR = s.cfg.VPCCIDR
	}
	s.net, err = network.New(s.ctx, s.name+"-network", args)
	return err
}

// The services that have interface endpoints, as they call themselves.
const (
	serviceRegistry = "ecr.api"
	serviceImages   = "ecr.dkr"
	serviceLogs     = "logs"
	serviceStates   = "states"
	serviceTraces   = "xray"
)

// interfaces are the services that the task needs interface endpoints of: it gets its image, writes its logs, and reports its end
// and sends its trace if it is to. Notices aren't its business, so there is none of SNS.
func (s *system) interfaces() []string {
	services := []string{serviceRegistry, serviceImages, serviceLogs}
	if s.cfg.TaskCompletion == settings.CompletionCallback {
		services = append(services, serviceStates)
	}
	if s.cfg.Tracing {
		services = append(services, serviceTraces)
	}
	return services
}

// endpoints are what the task reaches out of a private network, and what may be asked of
// each service. The state machine and the uploads' bucket aren't there yet.
func (s *system) endpoints() (err error) {
	if !s.private() {
		return nil
	}
	through := func(role pulumi.StringInput, statements ...policy.Statement) pulumi.StringInput {
		return policy.Document(policy.Through(role, statements...)...)
	}
	// For both endpoints of ECR, as AWS recommends: it doesn't say which of them each call takes.
	// https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html
	pulls := through(s.large.ExecutionRoleARN, policy.PullImage(s.repositoryARN)...)
	machine := workflow.StateMachineARN(s.at, s.name+"-workflow", s.cfg.StateMachineName)
	policies := map[string]pulumi.StringInput{
		serviceRegistry: pulls,
		serviceImages:   pulls,
		serviceLogs:     through(s.large.ExecutionRoleARN, policy.WriteLogs(s.log.Groups[taskLogs].ARN)),
		serviceStates:   through(s.large.TaskRoleARN, policy.SendTaskResult(pulumi.String(machine))),
		serviceTraces:   through(s.large.TaskRoleARN, policy.SendTraces("xray:PutTraceSegments")),
	}
	names := s.interfaces()
	services := make([]endpoints.Service, len(names))
	for i, name := range names {
		services[i] = endpoints.Service{Name: name, Policy: policies[name], Zones: s.zones[name]}
	}
	s.out, err = endpoints.New(s.ctx, s.name+"-endpoints", &endpoints.Args{
		Location:        s.at,
		VPCID:           s.net.VPCID,
		SubnetIDs:       s.net.SubnetIDs,
		Zones:           s.net.Zones,
		RouteTableID:    s.net.RouteTableID,
		SecurityGroupID: s.net.SecurityGroupID,
		S3Policy:        s.readThrough(),
		Services:        services,
	})
	return err
}

// readThrough is for S3's endpoint, by which the image's layers come, too: ECR
// keeps them in a bucket of its own in each Region, and signs the addresses itself.
func (s *system) readThrough() pulumi.StringInput {
	bucket := pulumi.String(uploads.BucketARN(s.at, s.name+"-uploads", s.cfg.BucketName))
	own := policy.When("StringEquals", "aws:ResourceAccount", pulumi.String(s.at.AccountID))
	layers := "arn:" + s.at.Partition + ":s3:::prod-" + s.at.Region + "-starport-layer-bucket/*"
	return policy.Document(append(policy.Through(s.large.TaskRoleARN, policy.ReadObjects(bucket, own)), policy.Statement{
		Sid:       "PullImageLayers",
		Principal: policy.Everyone(),
		Actions:   []string{"s3:GetObject"},
		Resources: []pulumi.StringInput{pulumi.String(layers)},
	})...)
}
