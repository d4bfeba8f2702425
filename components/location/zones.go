package location

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// zonesWithoutFargate are the ids of the Availability Zones in which Fargate runs no task, in Regions that have it elsewhere, by
// the architecture of the task; the empty one is all. Ids, since each account may have names of its own for the zones.
//
// As of November 2026: Beijing, California and Tokyo from
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/AWS_Fargate-Regions.html,
// Virginia's for ARM64 from
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-arm64.html.
// Local and Wavelength Zones have none either, and aren't listed.
var zonesWithoutFargate = map[string][]string{
	"":      {"apne1-az3", "cnn1-az3", "cnn1-az4", "usw1-az2"},
	"ARM64": {"use1-az3"},
}

// ZonesWithoutFargate are the ids of the Availability Zones in which Fargate runs no
// task of an architecture, which is as ECS has it: ARM64 or X86_64.
func ZonesWithoutFargate(architecture string) []string {
	var ids []string
	for _, of := range []string{"", architecture} {
		ids = append(ids, zonesWithoutFargate[of]...)
	}
	return ids
}

// EndpointZones are the names of the Availability Zones that have a service's interface endpoints, for a service as it calls
// itself, such as ecr.api. An endpoint in another one is refused.
//
// Nil stands for all: where AWS can't be asked, which is said in a warning.
func (l Location) EndpointZones(ctx *pulumi.Context, service string) ([]string, error) {
	name, interfaces := l.EndpointService(service), "Interface"
	found, err := ec2.LookupVpcEndpointService(ctx, &ec2.LookupVpcEndpointServiceArgs{ServiceName: &name, ServiceType: &interfaces})
	if err == nil {
		return found.AvailabilityZones, nil
	}
	// Most services are everywhere: whoever may not ask, or can't, is not to be kept from deploying.
	warning := fmt.Sprintf("Finding the Availability Zones that have endpoints of %s (ec2:DescribeVpcEndpointServices): %v. "+
		"They are taken to be in all of them.", name, err)
	if err := ctx.Log.Warn(warning, nil); err != nil {
		return nil, fmt.Errorf("warning of the zones of %s: %w", name, err)
	}
	return nil, nil
}
