// Package network is where the Fargate tasks run: a VPC with two subnets and a security group that lets out only what the egress
// rules name (requirements A12 to A18).
package network

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/egress"
	"example.com/upload-router/internal/arguments"
	"example.com/upload-router/internal/order"
	"example.com/upload-router/internal/outputs"
)

// Type is the component's type token.
const Type = "upload-router:components:Network"

// subnetCount is how many subnets tasks are spread over (requirement A13).
const subnetCount = 2

var (
	errNoDefaultVPC  = errors.New("there is no default VPC here")
	errTooFewSubnets = errors.New("too few subnets")
	errTooFewZones   = errors.New("too few Availability Zones")
	errNotInVPC      = errors.New("subnets aren't in the VPC")
)

// Args configure a Network. With VPCID it is that VPC, with CIDR one that is made, and
// else the Region's default VPC and two of its subnets.
type Args struct {
	// Region names the Region in error messages and endpoint names. Required.
	Region string `required:"true"`
	// VPCID is an existing VPC, SubnetIDs are those of its subnets to use, two or more.
	VPCID     string
	SubnetIDs []string
	// CIDR is the IPv4 block of a VPC that is made, /16 to /26. Its first two quarters become subnets, in two Availability Zones.
	CIDR netip.Prefix
	// Isolated says that the VPC that is made has no internet gateway, and its subnets no
	// route out of it: only VPC endpoints make it useful.
	Isolated bool
	// Architecture is that of the tasks, ARM64 or X86_64, which not every zone with Fargate has. Required.
	Architecture string `required:"true"`
	// ServiceZones are the names of the Availability Zones that have each of the services that the VPC's endpoints are of; nil is
	// all. The subnets are in zones that have all of them if there are two.
	ServiceZones [][]string
	// Egress is all that tasks may reach. Empty: nothing.
	Egress []egress.Rule
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
	// RouteTableID is the route table of isolated subnets, else empty.
	RouteTableID pulumi.StringOutput `pulumi:"routeTableId"`

	// Zones are the names of the Availability Zones of the subnets that are made, in their order; else there are none.
	Zones []string
}

// place is the VPC and the subnets that were found or made. Resources that
// are to be there before a task starts are in the outputs' dependencies.
type place struct {
	vpc     pulumi.StringOutput
	subnets pulumi.StringArrayOutput
	routes  pulumi.StringInput // of isolated subnets; else nil
	zones   []string           // of subnets that were made
}

// New makes a Network. It fails, before it registers a child, if the default VPC or the named subnets aren't there.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Network, error) {
	if err := arguments.Check(args); err != nil {
		return nil, err //nolint:wrapcheck // It names the fields.
	}
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
	switch {
	case args.VPCID != "":
		return n.useExisting(ctx, args)
	case args.CIDR.IsValid():
		return n.create(ctx, name, args)
	default:
		return n.useDefault(ctx, args)
	}
}
