package network

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/location"
	"example.com/upload-router/internal/order"
)

// create makes a VPC: with its way to the internet (requirements A2 and A17), or without any (requirement A16).
func (n *Network) create(ctx *pulumi.Context, name string, args *Args) (place, error) {
	all, err := n.zones(ctx, args)
	if err != nil {
		return place{}, err
	}
	zones, err := twoOf(all, args.ServiceZones)
	if err != nil {
		return place{}, err
	}
	blocks := subnetBlocks(args.CIDR)
	parent := pulumi.Parent(n)
	vpc, err := ec2.NewVpc(ctx, name+"-vpc", &ec2.VpcArgs{
		CidrBlock:          pulumi.String(args.CIDR.String()),
		EnableDnsHostnames: pulumi.Bool(true),
		EnableDnsSupport:   pulumi.Bool(true),
		Tags:               named(name + "-vpc"),
	}, parent)
	if err != nil {
		return place{}, fmt.Errorf("creating the VPC: %w", err)
	}
	// Nothing is to use the VPC's default group, which lets its members talk: it loses its rules.
	if _, err := ec2.NewDefaultSecurityGroup(ctx, name+"-default", &ec2.DefaultSecurityGroupArgs{
		VpcId: vpc.ID(),
	}, parent); err != nil {
		return place{}, fmt.Errorf("emptying the VPC's default security group: %w", err)
	}
	table, err := n.routes(ctx, name, vpc, args.Isolated)
	if err != nil {
		return place{}, err
	}
	ids := make(pulumi.StringArray, subnetCount)
	for i := range ids {
		if ids[i], err = n.subnet(ctx, fmt.Sprintf("%s-subnet-%d", name, i), vpc, table, zones[i], blocks[i]); err != nil {
			return place{}, err
		}
	}
	at := place{vpc: vpc.ID().ToStringOutput(), subnets: ids.ToStringArrayOutput(), zones: zones}
	if args.Isolated {
		at.routes = table.ID().ToStringOutput()
	}
	return at, nil
}

// routes is the subnets' route table. That of isolated subnets has no route but the VPC's
// own: it names none, so that the provider leaves those of gateway endpoints alone.
func (n *Network) routes(ctx *pulumi.Context, name string, vpc *ec2.Vpc, isolated bool) (*ec2.RouteTable, error) {
	args := &ec2.RouteTableArgs{VpcId: vpc.ID(), Tags: named(name + "-routes")}
	if !isolated {
		gateway, err := ec2.NewInternetGateway(ctx, name+"-gateway", &ec2.InternetGatewayArgs{
			VpcId: vpc.ID(),
			Tags:  named(name + "-gateway"),
		}, pulumi.Parent(n))
		if err != nil {
			return nil, fmt.Errorf("creating the internet gateway: %w", err)
		}
		args.Routes = ec2.RouteTableRouteArray{&ec2.RouteTableRouteArgs{
			CidrBlock: pulumi.String("0.0.0.0/0"),
			GatewayId: gateway.ID(),
		}}
	}
	table, err := ec2.NewRouteTable(ctx, name+"-routes", args, pulumi.Parent(n))
	if err != nil {
		return nil, fmt.Errorf("creating the route table: %w", err)
	}
	return table, nil
}

// subnet gives the id of a subnet that has its routes. Tasks ask for a public
// address themselves, so the subnet gives none to whatever else starts in it.
func (n *Network) subnet(
	ctx *pulumi.Context, name string, vpc *ec2.Vpc, table *ec2.RouteTable, zone, block string,
) (pulumi.StringOutput, error) {
	subnet, err := ec2.NewSubnet(ctx, name, &ec2.SubnetArgs{
		VpcId:            vpc.ID(),
		AvailabilityZone: pulumi.String(zone),
		CidrBlock:        pulumi.String(block),
		Tags:             named(name),
	}, pulumi.Parent(n))
	if err != nil {
		return pulumi.StringOutput{}, fmt.Errorf("creating the subnet in %s: %w", zone, err)
	}
	association, err := ec2.NewRouteTableAssociation(ctx, name+"-routes", &ec2.RouteTableAssociationArgs{
		RouteTableId: table.ID(),
		SubnetId:     subnet.ID(),
	}, pulumi.Parent(n))
	if err != nil {
		return pulumi.StringOutput{}, fmt.Errorf("giving the subnet in %s its routes: %w", zone, err)
	}
	return order.After(ctx, subnet.ID().ToStringOutput(), association), nil
}

// named gives what the console shows as a network resource's name.
func named(name string) pulumi.StringMap { return pulumi.StringMap{"Name": pulumi.String(name)} }

// zones gives the names of the Availability Zones in which Fargate runs the tasks, in their order, which the API doesn't promise.
// Local and Wavelength Zones are left out.
func (n *Network) zones(ctx *pulumi.Context, args *Args) ([]string, error) {
	found, err := aws.GetAvailabilityZones(ctx, &aws.GetAvailabilityZonesArgs{
		State:          pulumi.StringRef("available"),
		ExcludeZoneIds: location.ZonesWithoutFargate(args.Architecture),
		Filters:        []aws.GetAvailabilityZonesFilter{{Name: "opt-in-status", Values: []string{"opt-in-not-required"}}},
	}, pulumi.Parent(n))
	if err != nil {
		return nil, fmt.Errorf("listing the Availability Zones: %w", err)
	}
	return slices.Sorted(slices.Values(found.Names)), nil
}

// twoOf gives the zones of the subnets: the first that have most of the services that are needed there.
func twoOf(zones []string, services [][]string) ([]string, error) {
	if len(zones) < subnetCount {
		return nil, fmt.Errorf("%w: %d, but the subnets need %d", errTooFewZones, len(zones), subnetCount)
	}
	missing := func(zone string) (count int) {
		for _, has := range services {
			if has != nil && !slices.Contains(has, zone) {
				count++
			}
		}
		return count
	}
	best := slices.Clone(zones)
	slices.SortStableFunc(best, func(a, b string) int { return missing(a) - missing(b) })
	return slices.Sorted(slices.Values(best[:subnetCount])), nil
}

// subnetBlocks gives the first two quarters of a block: the other half stays free for subnets without a way to the internet.
func subnetBlocks(vpc netip.Prefix) []string {
	const quarter = 2 // bits
	bits := vpc.Bits() + quarter
	first := binary.BigEndian.Uint32(vpc.Masked().Addr().AsSlice())
	blocks := make([]string, subnetCount)
	for i := range blocks {
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], first|uint32(i)<<(32-bits))
		blocks[i] = netip.PrefixFrom(netip.AddrFrom4(a), bits).String()
	}
	return blocks
}
