package network

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// useDefault finds the default VPC and two of its default subnets (requirement A12).
func (n *Network) useDefault(ctx *pulumi.Context, args *Args) (place, error) {
	vpc, err := ec2.LookupVpc(ctx, &ec2.LookupVpcArgs{Default: pulumi.BoolRef(true)}, pulumi.Parent(n))
	if err != nil {
		return place{}, fmt.Errorf("%w: make one with `aws ec2 create-default-vpc --region %s`, "+
			"or set `network` to create or existing: %w", errNoDefaultVPC, args.Region, err)
	}
	zones, err := n.zones(ctx, args)
	if err != nil {
		return place{}, err
	}
	ids, err := n.subnetsOf(ctx, vpc.Id,
		ec2.GetSubnetsFilter{Name: "default-for-az", Values: []string{"true"}}, ec2.GetSubnetsFilter{Name: "availability-zone", Values: zones})
	if err != nil {
		return place{}, err
	}
	if len(ids) < subnetCount {
		return place{}, fmt.Errorf("%w: the default VPC %s has %d default subnets in zones with Fargate, %s, but tasks need %d: "+
			"make one with `aws ec2 create-default-subnet --availability-zone ... --region %s`",
			errTooFewSubnets, vpc.Id, len(ids), strings.Join(zones, ", "), subnetCount, args.Region)
	}
	return found(vpc.Id, ids[:subnetCount]), nil
}

// useExisting takes the given VPC and subnets, once it has seen that they belong together.
func (n *Network) useExisting(ctx *pulumi.Context, args *Args) (place, error) {
	if len(args.SubnetIDs) < subnetCount {
		return place{}, fmt.Errorf("%w: %d given, but tasks need %d", errTooFewSubnets, len(args.SubnetIDs), subnetCount)
	}
	ids, err := n.subnetsOf(ctx, args.VPCID)
	if err != nil {
		return place{}, err
	}
	strangers := slices.DeleteFunc(slices.Clone(args.SubnetIDs), func(id string) bool { return slices.Contains(ids, id) })
	if len(strangers) > 0 {
		return place{}, fmt.Errorf("%w: %s has no %s, only %s", errNotInVPC, args.VPCID,
			strings.Join(strangers, ", "), strings.Join(ids, ", "))
	}
	return found(args.VPCID, args.SubnetIDs), nil
}

// subnetsOf gives the ids of a VPC's subnets in a stable order.
func (n *Network) subnetsOf(ctx *pulumi.Context, vpc string, more ...ec2.GetSubnetsFilter) ([]string, error) {
	subnets, err := ec2.GetSubnets(ctx, &ec2.GetSubnetsArgs{
		Filters: append([]ec2.GetSubnetsFilter{{Name: "vpc-id", Values: []string{vpc}}}, more...),
	}, pulumi.Parent(n))
	if err != nil {
		return nil, fmt.Errorf("listing the subnets of %s: %w", vpc, err)
	}
	return slices.Sorted(slices.Values(subnets.Ids)), nil
}

func found(vpc string, subnets []string) place {
	return place{
		vpc:     pulumi.String(vpc).ToStringOutput(),
		subnets: pulumi.ToStringArray(subnets).ToStringArrayOutput(),
	}
}
