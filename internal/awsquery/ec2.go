package awsquery

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"

	"example.com/upload-router/internal/partition"
)

// EC2 asks Amazon EC2. Errors have its codes, such as InvalidSubnetID.NotFound.
type EC2 struct{ client client }

// NewEC2 gives a client.
func NewEC2(config aws.Config) *EC2 {
	return &EC2{client{config: config, id: "EC2", signingName: "ec2", version: "2016-11-15", endpoint: ec2Endpoint}}
}

// ec2Endpoint gives the endpoints that the SDK's rules for EC2 give; the Regions of GovCloud have FIPS without a name of its own.
func ec2Endpoint(region string, fips bool) (address, signingRegion string) {
	of, _ := partition.OfRegion(region)
	host := "ec2."
	if fips && of.Name != partition.USGov {
		host = "ec2-fips."
	}
	return "https://" + host + region + "." + of.DNSSuffix, region
}

// Region is one of the Regions that AWS has.
type Region struct {
	// OptInStatus is opt-in-not-required, opted-in, or not-opted-in: the Region isn't enabled for the account.
	OptInStatus string `xml:"optInStatus"`
}

// DescribeRegion gives the Region of a name, enabled or not. One that isn't there is InvalidParameterValue.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeRegions.html
func (c *EC2) DescribeRegion(ctx context.Context, name string) ([]Region, error) {
	return describe[Region](ctx, c, "DescribeRegions", "regionInfo", url.Values{"AllRegions": {"true"}, "RegionName.1": {name}})
}

// VPC is a virtual private cloud.
type VPC struct {
	ID string `xml:"vpcId"`
}

// DescribeVPCs gives the VPCs for which the filters hold, such as is-default.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVpcs.html
func (c *EC2) DescribeVPCs(ctx context.Context, filters map[string]string) ([]VPC, error) {
	return describe[VPC](ctx, c, "DescribeVpcs", "vpcSet", filtered(filters))
}

// Subnet is a subnet of a VPC.
type Subnet struct {
	ID    string `xml:"subnetId"`
	VPCID string `xml:"vpcId"`
}

// DescribeSubnets gives the subnets of the ids. One that isn't there is InvalidSubnetID.NotFound.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSubnets.html
func (c *EC2) DescribeSubnets(ctx context.Context, ids []string) ([]Subnet, error) {
	form := url.Values{}
	number(form, "SubnetId", ids...)
	return describe[Subnet](ctx, c, "DescribeSubnets", "subnetSet", form)
}

// RouteTable is a table of routes, and the subnets that it is for.
type RouteTable struct {
	ID           string                  `xml:"routeTableId"`
	Associations []RouteTableAssociation `xml:"associationSet>item"`
	Routes       []Route                 `xml:"routeSet>item"`
}

// RouteTableAssociation is a subnet that a table is for. The main one is for all of the VPC that have none of their own.
type RouteTableAssociation struct {
	Main     bool   `xml:"main"`
	SubnetID string `xml:"subnetId"`
}

// Route is where packets for some addresses go: one of the targets is set.
type Route struct {
	Destination        string `xml:"destinationCidrBlock"`
	State              string `xml:"state"` // active, or blackhole: what it leads to is gone
	GatewayID          string `xml:"gatewayId"`
	NATGatewayID       string `xml:"natGatewayId"`
	TransitGatewayID   string `xml:"transitGatewayId"`
	NetworkInterfaceID string `xml:"networkInterfaceId"`
}

// DescribeRouteTables gives the route tables of a VPC.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeRouteTables.html
func (c *EC2) DescribeRouteTables(ctx context.Context, vpc string) ([]RouteTable, error) {
	return describe[RouteTable](ctx, c, "DescribeRouteTables", "routeTableSet", filtered(map[string]string{"vpc-id": vpc}))
}

// VPCEndpoint is a way from a VPC to a service.
type VPCEndpoint struct {
	ServiceName string `xml:"serviceName"`
	// Type is Gateway, with the route tables that lead to it, or Interface, and so on. State is available if it can be used. PrivateDNS is
	// that the service's usual name leads to it.
	Type        string   `xml:"vpcEndpointType"`
	State       string   `xml:"state"`
	RouteTables []string `xml:"routeTableIdSet>item"`
	PrivateDNS  bool     `xml:"privateDnsEnabled"`
}

// DescribeVPCEndpoints gives the endpoints of a VPC.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVpcEndpoints.html
func (c *EC2) DescribeVPCEndpoints(ctx context.Context, vpc string) ([]VPCEndpoint, error) {
	return describe[VPCEndpoint](ctx, c, "DescribeVpcEndpoints", "vpcEndpointSet", filtered(map[string]string{"vpc-id": vpc}))
}

// PrefixList is the addresses of a service of AWS in a Region.
type PrefixList struct {
	ID    string   `xml:"prefixListId"`
	CIDRs []string `xml:"cidrSet>item"`
}

// DescribePrefixList gives the prefix list of a name, such as com.amazonaws.eu-central-1.dynamodb; none if there is none.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribePrefixLists.html
func (c *EC2) DescribePrefixList(ctx context.Context, name string) ([]PrefixList, error) {
	return describe[PrefixList](ctx, c, "DescribePrefixLists", "prefixListSet", filtered(map[string]string{"prefix-list-name": name}))
}

// SecurityGroup is a set of rules of what may go in and out.
type SecurityGroup struct {
	Egress []IPPermission `xml:"ipPermissionsEgress>item"`
}

// IPPermission is a rule. The protocol -1 is all of them, on all ports.
type IPPermission struct {
	Protocol string `xml:"ipProtocol"`
	FromPort int    `xml:"fromPort"`
	ToPort   int    `xml:"toPort"`
}

// DescribeSecurityGroup gives the security group of an id. One that isn't there is InvalidGroup.NotFound.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSecurityGroups.html
func (c *EC2) DescribeSecurityGroup(ctx context.Context, id string) ([]SecurityGroup, error) {
	return describe[SecurityGroup](ctx, c, "DescribeSecurityGroups", "securityGroupInfo", url.Values{"GroupId.1": {id}})
}

// describe gives all elements of one of EC2's lists.
func describe[T any](ctx context.Context, c *EC2, operation, name string, form url.Values) ([]T, error) {
	return list[T](ctx, &c.client, operation, form, name, "nextToken", "NextToken")
}

// filtered is a form with filters, each of one value.
func filtered(filters map[string]string) url.Values {
	form := url.Values{}
	for i, name := range slices.Sorted(maps.Keys(filters)) {
		filter := "Filter." + strconv.Itoa(i+1)
		form.Set(filter+".Name", name)
		form.Set(filter+".Value.1", filters[name])
	}
	return form
}
