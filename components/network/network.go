// Package network is where the Fargate tasks run: a VPC with two subnets and a
// security group that lets out only what the egress rules name (requirements
// A12 to A18).
package network

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/internal/order"
	"example.com/upload-router/internal/outputs"
)

// Type is the component's type token.
const Type = "upload-router:components:Network"

// Mode says where the VPC comes from.
type Mode string

const (
	// Create makes a VPC with two subnets in two Availability Zones, an
	// internet gateway and the route to it.
	Create Mode = "create"
	// Default takes the Region's default VPC and two of its subnets.
	Default Mode = "default"
	// Existing takes the VPC and the subnets that the arguments name.
	Existing Mode = "existing"
	// Private makes a VPC with two subnets in two Availability Zones that have no
	// route out of it: only VPC endpoints make it useful.
	Private Mode = "private"
)

// subnetCount is how many subnets tasks are spread over (requirement A13).
const subnetCount = 2

var (
	errNoDefaultVPC  = errors.New("there is no default VPC here")
	errTooFewSubnets = errors.New("too few subnets")
	errTooFewZones   = errors.New("too few Availability Zones")
	errUnknownMode   = errors.New("unknown network mode")
	errNotInVPC      = errors.New("subnets aren't in the VPC")
)

// Args configure a Network.
type Args struct {
	// Mode says where the VPC comes from. Required.
	Mode Mode
	// Region names the Region in error messages and endpoint names. Required.
	Region string
	// CIDR is the IPv4 block of the VPC that Create and Private make, /16 to /26.
	// Its first two quarters become the subnets.
	CIDR netip.Prefix
	// VPCID is the VPC to use with Existing.
	VPCID string
	// SubnetIDs are the subnets to use with Existing, two or more of VPCID.
	SubnetIDs []string
	// Architecture is that of the tasks, ARM64 or X86_64, which not every zone with
	// Fargate has. Required.
	Architecture string
	// ServiceZones are the names of the Availability Zones that have each of the
	// services that Private's endpoints are of; nil is all. The subnets are in zones
	// that have all of them if there are two.
	ServiceZones [][]string
	// Egress is all that tasks may reach. Empty: nothing.
	Egress []EgressRule
}

// Network is a VPC with subnets, and the security group of the tasks.
type Network struct {
	pulumi.ResourceState

	// VPCID is the VPC's id.
	VPCID pulumi.StringOutput `pulumi:"vpcId"`
	// SubnetIDs are the subnets that tasks run in, at least two.
	SubnetIDs pulumi.StringArrayOutput `pulumi:"subnetIds"`
	// SecurityGroupID is the group of the tasks: no ingress, egress as configured.
	SecurityGroupID pulumi.StringOutput `pulumi:"securityGroupId"`
	// RouteTableID is the subnets' route table with Private, else empty.
	RouteTableID pulumi.StringOutput `pulumi:"routeTableId"`

	// Zones are the names of the Availability Zones of the subnets that Create and
	// Private make, in their order; else there are none.
	Zones []string
}

// place is the VPC and the subnets that a mode found or made. Resources that
// are to be there before a task starts are in the outputs' dependencies.
type place struct {
	vpc     pulumi.StringOutput
	subnets pulumi.StringArrayOutput
	routes  pulumi.StringInput // of Private; nil with the others
	zones   []string           // of Create and Private
}

// New makes a Network. It fails, before it registers a child, if the default
// VPC or the named subnets aren't there.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Network, error) {
	n := &Network{}
	if err := ctx.RegisterComponentResource(Type, name, n, opts...); err != nil {
		return nil, fmt.Errorf("registering the network: %w", err)
	}
	at, err := n.place(ctx, name, args)
	if err != nil {
		return nil, err
	}
	n.VPCID, n.SubnetIDs, n.RouteTableID = at.vpc, at.subnets, pulumi.String("").ToStringOutput()
	n.Zones = at.zones
	if at.routes != nil {
		n.RouteTableID = at.routes.ToStringOutput()
	}

	group, err := ec2.NewSecurityGroup(ctx, name+"-tasks", &ec2.SecurityGroupArgs{
		// A group's description can't be changed in place: it stays requirement A14's.
		Description: pulumi.String("Security group for Fargate tasks"),
		VpcId:       n.VPCID,
	}, pulumi.Parent(n))
	if err != nil {
		return nil, fmt.Errorf("creating the tasks' security group: %w", err)
	}
	rules, err := n.egress(ctx, name, group, args.Egress)
	if err != nil {
		return nil, err
	}
	n.SecurityGroupID = order.After(ctx, group.ID().ToStringOutput(), rules...)

	return n, outputs.Register(ctx, n)
}

func (n *Network) place(ctx *pulumi.Context, name string, args *Args) (place, error) {
	switch args.Mode {
	case Create, Private:
		return n.create(ctx, name, args)
	case Default:
		return n.useDefault(ctx, args)
	case Existing:
		return n.useExisting(ctx, args)
	}
	return place{}, fmt.Errorf("%w: %q isn't one of create, default, existing, private", errUnknownMode, args.Mode)
}
