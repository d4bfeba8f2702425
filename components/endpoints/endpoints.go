// Package endpoints are the only ways out of a network without a route to the internet: VPC endpoints, and the rules by which the
// tasks reach them and nothing else (requirement A16).
package endpoints

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/vpc"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/location"
	"example.com/upload-router/internal/arguments"
	"example.com/upload-router/internal/order"
	"example.com/upload-router/internal/outputs"
)

// Type is the component's type token.
const Type = "upload-router:components:Endpoints"

// https is the one port that AWS's services are on.
const https = 443

var errNoZone = errors.New("no Availability Zone of the network has endpoints of the service")

// Args configure Endpoints.
type Args struct {
	// Location is where the stack is. Required.
	Location location.Location `required:"true"`
	// VPCID and SubnetIDs are where the interface endpoints are. Required.
	VPCID     pulumi.StringInput      `required:"true"`
	SubnetIDs pulumi.StringArrayInput `required:"true"`
	// Zones are the names of the Availability Zones of the subnets, in their order: which of them are in a Service's Zones.
	Zones []string
	// RouteTableID is the subnets' route table, which gets the routes to S3 and DynamoDB. Required.
	RouteTableID pulumi.StringInput `required:"true"`
	// SecurityGroupID is the group of the tasks. It gets the rules that let them reach the endpoints. Required.
	SecurityGroupID pulumi.StringInput `required:"true"`
	// S3Policy is all that may be asked of S3, DynamoDBPolicy all that may be asked of DynamoDB, as Policy of a Service is. Required.
	S3Policy, DynamoDBPolicy pulumi.StringInput `required:"true"`
	// Services are those that the tasks call, besides S3 and DynamoDB. Required.
	Services []Service `required:"true"`
}

// Service is a service of AWS that is reached by an interface endpoint.
type Service struct {
	// Name is the service's, without Region: ecr.api, logs.
	// https://docs.aws.amazon.com/vpc/latest/privatelink/aws-services-privatelink-support.html
	Name string
	// Zones are the names of the Availability Zones that have its endpoints; nil is all.
	Zones []string
	// Policy is all that may be asked of it through the endpoint, as a policy document whose statements are for everyone under
	// the condition of who it is. Required: without a policy an endpoint lets everything through.
	Policy pulumi.StringInput `required:"true"`
}

// Endpoints are VPC endpoints.
type Endpoints struct {
	pulumi.ResourceState

	// SecurityGroupID is the group of the tasks, once they can reach all endpoints.
	SecurityGroupID pulumi.StringOutput `pulumi:"securityGroupId"`
	// S3EndpointID is the endpoint of S3, for policies of buckets.
	S3EndpointID pulumi.StringOutput `pulumi:"s3EndpointId"`
}

// New makes Endpoints.
//
// Fargate itself needs none: ECS reaches a task's host by a network of its own.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/vpc-endpoints.html
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Endpoints, error) {
	if err := arguments.Check(args); err != nil {
		return nil, err //nolint:wrapcheck // It names the fields.
	}
	e := &Endpoints{}
	if err := ctx.RegisterComponentResource(Type, name, e, opts...); err != nil {
		return nil, fmt.Errorf("registering the endpoints: %w", err)
	}
	gateways, err := e.gateways(ctx, name, args)
	if err != nil {
		return nil, err
	}
	group, err := ec2.NewSecurityGroup(ctx, name+"-group", &ec2.SecurityGroupArgs{
		Description: pulumi.String("Security group for the VPC endpoints"),
		VpcId:       args.VPCID,
	}, pulumi.Parent(e))
	if err != nil {
		return nil, fmt.Errorf("creating the endpoints' security group: %w", err)
	}
	ready, err := e.open(ctx, name, args, group, gateways)
	if err != nil {
		return nil, err
	}
	for _, service := range args.Services {
		made, err := e.service(ctx, name, args, group, service)
		if err != nil {
			return nil, err
		}
		ready = append(ready, made)
	}
	e.S3EndpointID = gateways[serviceS3].ID().ToStringOutput()
	e.SecurityGroupID = order.After(ctx, args.SecurityGroupID.ToStringOutput(), ready...)

	return e, outputs.Register(ctx, e)
}

// The services that have gateway endpoints, as they call themselves.
const (
	serviceS3       = "s3"
	serviceDynamoDB = "dynamodb"
)

// gateways are the endpoints of S3 and DynamoDB: routes, which cost nothing.
// https://docs.aws.amazon.com/vpc/latest/privatelink/gateway-endpoints.html
func (e *Endpoints) gateways(ctx *pulumi.Context, name string, args *Args) (map[string]*ec2.VpcEndpoint, error) {
	made := map[string]*ec2.VpcEndpoint{}
	for service, policy := range map[string]pulumi.StringInput{serviceS3: args.S3Policy, serviceDynamoDB: args.DynamoDBPolicy} {
		endpoint, err := ec2.NewVpcEndpoint(ctx, name+"-"+service, &ec2.VpcEndpointArgs{
			VpcId:           args.VPCID,
			ServiceName:     pulumi.String(args.Location.EndpointService(service)),
			VpcEndpointType: pulumi.String("Gateway"),
			RouteTableIds:   pulumi.StringArray{args.RouteTableID},
			Policy:          policy,
			Tags:            named(name + "-" + service),
		}, pulumi.Parent(e))
		if err != nil {
			return nil, fmt.Errorf("creating the endpoint of %s: %w", service, err)
		}
		made[service] = endpoint
	}
	return made, nil
}

// service is the endpoint of another service. With private DNS its name leads to
// the endpoint, so that no program need know of it.
// https://docs.aws.amazon.com/vpc/latest/privatelink/create-interface-endpoint.html
func (e *Endpoints) service(
	ctx *pulumi.Context, name string, args *Args, group *ec2.SecurityGroup, service Service,
) (*ec2.VpcEndpoint, error) {
	name += "-" + strings.ReplaceAll(service.Name, ".", "-")
	subnets, err := subnetsWith(args, service)
	if err != nil {
		return nil, err
	}
	endpoint, err := ec2.NewVpcEndpoint(ctx, name, &ec2.VpcEndpointArgs{
		VpcId:             args.VPCID,
		ServiceName:       pulumi.String(args.Location.EndpointService(service.Name)),
		VpcEndpointType:   pulumi.String("Interface"),
		PrivateDnsEnabled: pulumi.Bool(true),
		SubnetIds:         subnets,
		SecurityGroupIds:  pulumi.StringArray{group.ID()},
		Policy:            service.Policy,
		Tags:              named(name),
	}, pulumi.Parent(e))
	if err != nil {
		return nil, fmt.Errorf("creating the endpoint of %s: %w", service.Name, err)
	}
	return endpoint, nil
}

// subnetsWith are the subnets that a service's endpoint can be in. By its private DNS tasks reach it from the others, too.
func subnetsWith(args *Args, service Service) (pulumi.StringArrayInput, error) {
	if service.Zones == nil {
		return args.SubnetIDs, nil
	}
	var in pulumi.StringArray
	for i, zone := range args.Zones {
		if slices.Contains(service.Zones, zone) {
			in = append(in, args.SubnetIDs.ToStringArrayOutput().Index(pulumi.Int(i)))
		}
	}
	switch len(in) {
	case 0:
		return nil, fmt.Errorf("%w: %s is in %s, and the network in %s", errNoZone, service.Name,
			strings.Join(service.Zones, ", "), strings.Join(args.Zones, ", "))
	case len(args.Zones):
		return args.SubnetIDs, nil
	}
	return in, nil
}

// open lets the tasks reach the endpoints, S3 and DynamoDB by HTTPS. There is no rule for
// DNS: security groups don't filter what goes to the VPC's own resolver.
// https://docs.aws.amazon.com/vpc/latest/userguide/vpc-security-groups.html
func (e *Endpoints) open(
	ctx *pulumi.Context, name string, args *Args, group *ec2.SecurityGroup, gateways map[string]*ec2.VpcEndpoint,
) ([]pulumi.Resource, error) {
	parent := pulumi.Parent(e)
	inward, err := vpc.NewSecurityGroupIngressRule(ctx, name+"-from-tasks", &vpc.SecurityGroupIngressRuleArgs{
		SecurityGroupId:           group.ID(),
		ReferencedSecurityGroupId: args.SecurityGroupID,
		IpProtocol:                pulumi.String("tcp"),
		FromPort:                  pulumi.Int(https),
		ToPort:                    pulumi.Int(https),
		Description:               pulumi.String("HTTPS from the tasks"),
	}, parent)
	if err != nil {
		return nil, fmt.Errorf("opening the endpoints for the tasks: %w", err)
	}
	outward, err := vpc.NewSecurityGroupEgressRule(ctx, name+"-to-endpoints", &vpc.SecurityGroupEgressRuleArgs{
		SecurityGroupId:           args.SecurityGroupID,
		ReferencedSecurityGroupId: group.ID(),
		IpProtocol:                pulumi.String("tcp"),
		FromPort:                  pulumi.Int(https),
		ToPort:                    pulumi.Int(https),
		Description:               pulumi.String("HTTPS to the VPC endpoints"),
	}, parent)
	if err != nil {
		return nil, fmt.Errorf("letting the tasks reach the endpoints: %w", err)
	}
	rules := []pulumi.Resource{inward, outward}
	for service, called := range map[string]string{serviceS3: "S3", serviceDynamoDB: "DynamoDB"} {
		rule, err := vpc.NewSecurityGroupEgressRule(ctx, name+"-to-"+service, &vpc.SecurityGroupEgressRuleArgs{
			SecurityGroupId: args.SecurityGroupID,
			PrefixListId:    gateways[service].PrefixListId,
			IpProtocol:      pulumi.String("tcp"),
			FromPort:        pulumi.Int(https),
			ToPort:          pulumi.Int(https),
			Description:     pulumi.String("HTTPS to " + called + " by its endpoint"),
		}, parent)
		if err != nil {
			return nil, fmt.Errorf("letting the tasks reach %s: %w", called, err)
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

// named gives what the console shows as an endpoint's name.
func named(name string) pulumi.StringMap { return pulumi.StringMap{"Name": pulumi.String(name)} }
