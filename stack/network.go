package stack

import (
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/endpoints"
	"example.com/upload-router/components/network"
	"example.com/upload-router/components/uploads"
	"example.com/upload-router/components/workflow"
	"example.com/upload-router/internal/ledger"
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

// interfaces are the services that the task needs interface endpoints of: it gets its image, writes its logs, and reports its end,
// sends its trace and reads its secrets if it is to. Notices aren't its business, so there is none of SNS.
func (s *system) interfaces() []string {
	services := []string{serviceRegistry, serviceImages, serviceLogs}
	if s.cfg.TaskCompletion == settings.CompletionCallback {
		services = append(services, serviceStates)
	}
	if s.cfg.Tracing {
		services = append(services, serviceTraces)
	}
	for _, service := range []string{settings.ServiceSecrets, settings.ServiceParameters} {
		if len(s.cfg.SecretARNs(service)) > 0 {
			services = append(services, service)
		}
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
	backfills := workflow.StateMachineARN(s.at, s.name+"-backfill", "")
	policies := map[string]pulumi.StringInput{
		serviceRegistry: pulls,
		serviceImages:   pulls,
		serviceLogs:     through(s.large.ExecutionRoleARN, policy.WriteLogs(s.log.Groups[taskLogs].ARN)),
		serviceStates:   through(s.large.TaskRoleARN, policy.SendTaskResult(pulumi.String(machine), pulumi.String(backfills))),
		serviceTraces:   through(s.large.TaskRoleARN, policy.SendTraces("xray:PutTraceSegments")),
		settings.ServiceSecrets: through(s.large.TaskRoleARN,
			policy.ReadSecrets(s.at, s.cfg.SecretARNs(settings.ServiceSecrets), nil, nil)...),
		settings.ServiceParameters: through(s.large.TaskRoleARN,
			policy.ReadSecrets(s.at, nil, s.cfg.SecretARNs(settings.ServiceParameters), nil)...),
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
		S3Policy:        s.objectsThrough(),
		// Which items is for the role's policy to say: AWS doesn't document that an endpoint's policy knows a call's keys.
		DynamoDBPolicy: through(s.large.TaskRoleARN, append(
			policy.UseLedger(s.at, s.table.TableARN, s.table.TableName, nil, ledger.OwnPartitions()...), s.permitted("dynamodb")...)...),
		Services: services,
	})
	return err
}

// objectsThrough is for S3's endpoint, by which the image's layers come, too: ECR
// keeps them in a bucket of its own in each Region, and signs the addresses itself.
func (s *system) objectsThrough() pulumi.StringInput {
	own := policy.When("StringEquals", "aws:ResourceAccount", pulumi.String(s.at.AccountID))
	layers := "arn:" + s.at.Partition + ":s3:::prod-" + s.at.Region + "-starport-layer-bucket/*"
	buckets := policy.Literals(uploads.ARNs(s.at, s.cfg.Buckets))
	if len(buckets) == 0 {
		buckets = policy.Literals([]string{uploads.BucketARN(s.at, s.uploadsName(), s.cfg.BucketName)})
	}
	objects := []policy.Statement{policy.ReadObjects(buckets, own)}
	if s.tagsUploads() {
		objects = append(objects, policy.ReachUploadTags(buckets, own))
	}
	if s.outputs.bucketARN != nil { // the key is S3's affair, which asks for it out of this network
		outputs := policy.WriteOutputs(s.at, s.outputs.bucketARN, s.cfg.OutputPrefix, nil)
		if s.cfg.OutputBucket == settings.OutputCreate || s.cfg.OutputsInOwnBucket() { // one that is there may be another account's
			outputs[0].Conditions = append(outputs[0].Conditions, own)
		}
		objects = append(objects, outputs...)
	}
	objects = append(objects, s.permitted("s3")...)
	return policy.Document(append(policy.Through(s.large.TaskRoleARN, objects...), policy.Statement{
		Sid:       "PullImageLayers",
		Principal: policy.Everyone(),
		Actions:   []string{"s3:GetObject"},
		Resources: []pulumi.StringInput{pulumi.String(layers)},
	})...)
}

// permitted are the configuration's permissions for a service, for its endpoint. They have names that no other statement has.
func (s *system) permitted(service string) []policy.Statement {
	var statements []policy.Statement
	for _, p := range s.cfg.Permissions {
		if p.Effect != policy.Allow { // which the role's policy has
			continue
		}
		statement := policy.Statement{Sid: "Permissions" + p.Sid}
		for _, action := range p.Action {
			if strings.HasPrefix(action, service+":") {
				statement.Actions = append(statement.Actions, action)
			}
		}
		if statement.Actions == nil {
			continue
		}
		statement.Resources = policy.Literals(p.Resource)
		for operator, keys := range p.Condition {
			for key, values := range keys {
				statement.Conditions = append(statement.Conditions, policy.When(operator, key, policy.Literals(values)...))
			}
		}
		statements = append(statements, statement)
	}
	return statements
}
