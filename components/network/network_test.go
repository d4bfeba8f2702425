package network_test

import (
	"cmp"
	"fmt"
	"net/netip"
	"testing"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sqs"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/components/egress"
	"example.com/upload-router/components/network"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/declared/declaredtest"
)

const (
	typeVPC          = "aws:ec2/vpc:Vpc"
	typeDefaultGroup = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
	typeGateway      = "aws:ec2/internetGateway:InternetGateway"
	typeRoutes       = "aws:ec2/routeTable:RouteTable"
	typeAssociation  = "aws:ec2/routeTableAssociation:RouteTableAssociation"
	typeSubnet       = "aws:ec2/subnet:Subnet"
	typeGroup        = "aws:ec2/securityGroup:SecurityGroup"
	typeEgress       = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
	typeProbe        = "aws:sqs/queue:Queue"
)

func everywhere() netip.Prefix { return netip.MustParsePrefix("0.0.0.0/0") }

// usual are the rules of requirement A15.
func usual() []egress.Rule {
	return []egress.Rule{
		{Protocol: "tcp", FromPort: 443, ToPort: 443, CIDR: everywhere(), Description: "HTTPS"},
		{Protocol: "udp", FromPort: 53, ToPort: 53, CIDR: everywhere(), Description: "DNS"},
	}
}

func creating(cidr string, rules ...egress.Rule) *network.Args {
	return &network.Args{Region: "eu-central-1", CIDR: netip.MustParsePrefix(cidr), Egress: rules}
}

// somewhere is args with a Region and an architecture, if it has none.
func somewhere(args network.Args) *network.Args {
	args.Region, args.Architecture = cmp.Or(args.Region, "eu-central-1"), cmp.Or(args.Architecture, "X86_64")
	return &args
}

func program(args *network.Args) pulumi.RunFunc {
	return declaredtest.Export(func(ctx *pulumi.Context) (pulumi.Map, error) {
		n, err := network.New(ctx, "net", somewhere(*args))
		if err != nil {
			return nil, err
		}
		return pulumi.Map{
			"vpcId": n.VPCID, "subnetIds": n.SubnetIDs, "securityGroupId": n.SecurityGroupID, "routeTableId": n.RouteTableID,
		}, nil
	})
}

func declare(t *testing.T, options declared.Options, args *network.Args) *declared.System {
	t.Helper()
	return declaredtest.Evaluate(t, options, program(args))
}

func TestCreateMakesAVPCWithTwoSubnetsAndAWayOut(t *testing.T) {
	t.Parallel()
	system := declare(t, declared.Options{}, creating("10.64.0.0/24", usual()...))
	require.Equal(t, map[string]int{
		network.Type: 1, typeVPC: 1, typeDefaultGroup: 1, typeGateway: 1, typeRoutes: 1,
		typeSubnet: 2, typeAssociation: 2, typeGroup: 1, typeEgress: 2,
	}, declaredtest.Counts(system))
	vpc, gateway := declaredtest.Only(t, system, typeVPC), declaredtest.Only(t, system, typeGateway)
	routes := declaredtest.Only(t, system, typeRoutes)
	first := declaredtest.Named(t, system, typeSubnet, "net-subnet-0")
	second := declaredtest.Named(t, system, typeSubnet, "net-subnet-1")

	require.Equal(t, map[string]any{
		"cidrBlock": "10.64.0.0/24", "enableDnsHostnames": true, "enableDnsSupport": true,
		"tags": map[string]any{"Name": "net-vpc"},
	}, vpc.Inputs)
	require.Equal(t, map[string]any{"vpcId": vpc.ID}, declaredtest.Only(t, system, typeDefaultGroup).Inputs,
		"the default group keeps no rule, inward or outward")
	require.Equal(t, map[string]any{"vpcId": vpc.ID, "tags": map[string]any{"Name": "net-gateway"}}, gateway.Inputs)
	require.Equal(t, map[string]any{
		"vpcId":  vpc.ID,
		"routes": []any{map[string]any{"cidrBlock": "0.0.0.0/0", "gatewayId": gateway.ID}},
		"tags":   map[string]any{"Name": "net-routes"},
	}, routes.Inputs)
	// No mapPublicIpOnLaunch: only the tasks, which ask for it, get an address.
	require.Equal(t, map[string]any{
		"vpcId": vpc.ID, "availabilityZone": "eu-central-1a", "cidrBlock": "10.64.0.0/26",
		"tags": map[string]any{"Name": "net-subnet-0"},
	}, first.Inputs)
	require.Equal(t, map[string]any{
		"vpcId": vpc.ID, "availabilityZone": "eu-central-1b", "cidrBlock": "10.64.0.64/26",
		"tags": map[string]any{"Name": "net-subnet-1"},
	}, second.Inputs)
	for i, subnet := range []declared.Resource{first, second} {
		association := declaredtest.Named(t, system, typeAssociation, []string{"net-subnet-0-routes", "net-subnet-1-routes"}[i])
		require.Equal(t, map[string]any{"routeTableId": routes.ID, "subnetId": subnet.ID}, association.Inputs)
	}
	require.Equal(t, map[string]any{
		"vpcId":           vpc.ID,
		"subnetIds":       []string{first.ID, second.ID},
		"securityGroupId": declaredtest.Only(t, system, typeGroup).ID,
		"routeTableId":    "",
	}, system.Outputs)
}

// Requirement A16: nothing in it can reach the internet, or be reached from there.
func TestPrivateMakesAVPCWithoutAWayOut(t *testing.T) {
	t.Parallel()
	args := creating("10.64.0.0/24")
	args.Isolated = true
	system := declare(t, declared.Options{}, args)
	require.Equal(t, map[string]int{
		network.Type: 1, typeVPC: 1, typeDefaultGroup: 1, typeRoutes: 1, typeSubnet: 2, typeAssociation: 2, typeGroup: 1,
	}, declaredtest.Counts(system), "no gateway and no rule")
	vpc, routes := declaredtest.Only(t, system, typeVPC), declaredtest.Only(t, system, typeRoutes)
	require.Equal(t, map[string]any{
		"cidrBlock": "10.64.0.0/24", "enableDnsHostnames": true, "enableDnsSupport": true,
		"tags": map[string]any{"Name": "net-vpc"},
	}, vpc.Inputs, "the endpoints' private DNS needs both")
	require.Equal(t, map[string]any{"vpcId": vpc.ID, "tags": map[string]any{"Name": "net-routes"}}, routes.Inputs)
	for i, block := range []string{"10.64.0.0/26", "10.64.0.64/26"} {
		name := fmt.Sprintf("net-subnet-%d", i)
		subnet := declaredtest.Named(t, system, typeSubnet, name)
		require.Equal(t, block, subnet.Text("cidrBlock"))
		require.Equal(t, map[string]any{"routeTableId": routes.ID, "subnetId": subnet.ID},
			declaredtest.Named(t, system, typeAssociation, name+"-routes").Inputs)
	}
	require.Equal(t, routes.ID, system.Outputs["routeTableId"])
}

func TestTheSubnetsAreTheFirstTwoQuartersOfTheBlock(t *testing.T) {
	t.Parallel()
	for block, want := range map[string][]string{
		"10.0.0.0/16":     {"10.0.0.0/18", "10.0.64.0/18"},
		"100.64.128.0/17": {"100.64.128.0/19", "100.64.160.0/19"},
		"10.1.64.0/18":    {"10.1.64.0/20", "10.1.80.0/20"},
		"10.1.32.0/19":    {"10.1.32.0/21", "10.1.40.0/21"},
		"172.31.240.0/20": {"172.31.240.0/22", "172.31.244.0/22"},
		"10.9.2.0/23":     {"10.9.2.0/25", "10.9.2.128/25"},
		"10.64.0.0/24":    {"10.64.0.0/26", "10.64.0.64/26"},
		"10.64.0.128/25":  {"10.64.0.128/27", "10.64.0.160/27"},
		"192.168.0.64/26": {"192.168.0.64/28", "192.168.0.80/28"},
	} {
		t.Run(block, func(t *testing.T) {
			t.Parallel()
			system := declare(t, declared.Options{}, creating(block))
			got := []string{
				declaredtest.Named(t, system, typeSubnet, "net-subnet-0").Text("cidrBlock"),
				declaredtest.Named(t, system, typeSubnet, "net-subnet-1").Text("cidrBlock"),
			}
			require.Equal(t, want, got)
			require.Equal(t, block, declaredtest.Only(t, system, typeVPC).Text("cidrBlock"))
		})
	}
}

func TestTheZonesAreTheFirstTwoByNameWhateverTheAPIsOrder(t *testing.T) {
	t.Parallel()
	for name, zones := range map[string][]string{
		"sorted":  {"us-east-1a", "us-east-1b", "us-east-1c"},
		"reverse": {"us-east-1f", "us-east-1b", "us-east-1a"},
		"two":     {"us-east-1b", "us-east-1a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			system := declare(t, declared.Options{Region: "us-east-1", Zones: zones}, creating("10.64.0.0/24"))
			require.Equal(t, "us-east-1a", declaredtest.Named(t, system, typeSubnet, "net-subnet-0").Text("availabilityZone"))
			require.Equal(t, "us-east-1b", declaredtest.Named(t, system, typeSubnet, "net-subnet-1").Text("availabilityZone"))
		})
	}
}

// An endpoint in a zone that doesn't have its service is refused.
func TestTheSubnetsAreWhereTheServicesAre(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		services [][]string
		want     []string
	}{
		"no services":                       {nil, []string{"a", "b"}},
		"in all zones":                      {[][]string{{"a", "b", "c", "d"}, {"d", "c", "b", "a"}}, []string{"a", "b"}},
		"nobody knows where":                {[][]string{nil, nil}, []string{"a", "b"}},
		"one isn't in the first zone":       {[][]string{{"b", "c", "d"}, {"a", "b", "c", "d"}, nil}, []string{"b", "c"}},
		"each is missing somewhere":         {[][]string{{"a", "c", "d"}, {"a", "b", "d"}}, []string{"a", "d"}},
		"all are in one zone only":          {[][]string{{"c"}, {"c", "b"}}, []string{"b", "c"}},
		"in a zone that Fargate isn't in":   {[][]string{{"x", "b", "c"}}, []string{"b", "c"}},
		"in one zone, and that is the last": {[][]string{{"d"}}, []string{"a", "d"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := creating("10.64.0.0/24")
			args.Isolated, args.ServiceZones = true, c.services
			system := declare(t, declared.Options{Zones: []string{"d", "b", "a", "c"}}, args)
			for i, zone := range c.want {
				require.Equal(t, zone, declaredtest.Named(t, system, typeSubnet, fmt.Sprintf("net-subnet-%d", i)).Text("availabilityZone"))
			}
		})
	}
}

func TestWhatIsMissingIsSaidBeforeAnythingIsMade(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options declared.Options
		args    *network.Args
		says    []string
	}{
		"one zone": {
			declared.Options{Zones: []string{"eu-central-1a"}}, creating("10.64.0.0/24"),
			[]string{"too few Availability Zones: 1, but the subnets need 2"},
		},
		"no default VPC": {
			declared.Options{NoDefaultVPC: true}, &network.Args{Region: "us-west-2"},
			[]string{"there is no default VPC here", "`aws ec2 create-default-vpc --region us-west-2`", "create or existing"},
		},
		"one default subnet": {
			declared.Options{Subnets: []string{"subnet-0a"}}, &network.Args{Region: "us-west-2"},
			[]string{
				"too few subnets", "need 2",
				"vpc-0default has 1 default subnets in zones with Fargate, eu-central-1a, eu-central-1b, eu-central-1c",
				"create-default-subnet", "--region us-west-2",
			},
		},
		"one subnet given": {
			declared.Options{}, &network.Args{VPCID: "vpc-1", SubnetIDs: []string{"subnet-0a"}},
			[]string{"too few subnets", "1 given", "need 2"},
		},
		"subnets of another VPC": {
			declared.Options{Subnets: []string{"subnet-0b", "subnet-0a"}},
			&network.Args{VPCID: "vpc-1", SubnetIDs: []string{"subnet-0a", "subnet-1x", "subnet-1y"}},
			[]string{"subnets aren't in the VPC: vpc-1 has no subnet-1x, subnet-1y, only subnet-0a, subnet-0b"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			registered, err := declaredtest.Fail(t, c.options, program(c.args))
			for _, part := range c.says {
				require.ErrorContains(t, err, part)
			}
			require.Equal(t, []string{network.Type + " net"}, registered, "the component itself and nothing else")
		})
	}
}

func TestDefaultTakesTwoDefaultSubnetsInOrder(t *testing.T) {
	t.Parallel()
	options := declared.Options{Subnets: []string{"subnet-0c", "subnet-0a", "subnet-0b"}}
	system := declare(t, options, &network.Args{Region: "us-east-1", Egress: usual()})
	require.Equal(t, map[string]int{network.Type: 1, typeGroup: 1, typeEgress: 2}, declaredtest.Counts(system))
	require.Equal(t, "vpc-0default", declaredtest.Only(t, system, typeGroup).Text("vpcId"))
	require.Equal(t, "vpc-0default", system.Outputs["vpcId"])
	require.Equal(t, []string{"subnet-0a", "subnet-0b"}, system.Outputs["subnetIds"])
}

func TestExistingTakesWhatIsGivenAsItIsGiven(t *testing.T) {
	t.Parallel()
	options := declared.Options{Subnets: []string{"subnet-0c", "subnet-0a", "subnet-0b"}}
	args := &network.Args{
		VPCID: "vpc-1", SubnetIDs: []string{"subnet-0c", "subnet-0a", "subnet-0b"}, Egress: usual(),
	}
	system := declare(t, options, args)
	require.Equal(t, map[string]int{network.Type: 1, typeGroup: 1, typeEgress: 2}, declaredtest.Counts(system))
	require.Equal(t, "vpc-1", declaredtest.Only(t, system, typeGroup).Text("vpcId"))
	require.Equal(t, "vpc-1", system.Outputs["vpcId"])
	require.Equal(t, []string{"subnet-0c", "subnet-0a", "subnet-0b"}, system.Outputs["subnetIds"])
}

func TestTheTasksGroupHasNoRuleOfItsOwn(t *testing.T) {
	t.Parallel()
	for name, args := range map[string]*network.Args{
		"create":   creating("10.64.0.0/24", usual()...),
		"default":  {Region: "us-east-1", Egress: usual()},
		"existing": {VPCID: "vpc-1", SubnetIDs: []string{"subnet-0a", "subnet-0b"}, Egress: usual()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			system := declare(t, declared.Options{}, args)
			// Exactly these: neither ingress nor egress, whose default would allow all.
			require.Equal(t, map[string]any{
				"description": "Security group for Fargate tasks", "vpcId": system.Outputs["vpcId"],
			}, declaredtest.Named(t, system, typeGroup, "net-tasks").Inputs)
			require.Empty(t, system.OfType("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"))
			require.Empty(t, system.OfType("aws:ec2/securityGroupRule:SecurityGroupRule"))
		})
	}
}

func TestEachEgressRuleIsExactlyWhatIsConfigured(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rule egress.Rule
		want map[string]any
	}{
		"net-egress-tcp-443-0.0.0.0/0": {
			usual()[0],
			map[string]any{"ipProtocol": "tcp", "fromPort": 443.0, "toPort": 443.0, "cidrIpv4": "0.0.0.0/0", "description": "HTTPS"},
		},
		"net-egress-udp-53-0.0.0.0/0": {
			usual()[1],
			map[string]any{"ipProtocol": "udp", "fromPort": 53.0, "toPort": 53.0, "cidrIpv4": "0.0.0.0/0", "description": "DNS"},
		},
		"net-egress-tcp-1024-2048-10.0.0.0/8": {
			egress.Rule{Protocol: "tcp", FromPort: 1024, ToPort: 2048, CIDR: netip.MustParsePrefix("10.0.0.0/8")},
			map[string]any{"ipProtocol": "tcp", "fromPort": 1024.0, "toPort": 2048.0, "cidrIpv4": "10.0.0.0/8"},
		},
		"net-egress-tcp-0-0.0.0.0/0": {
			egress.Rule{Protocol: "tcp", CIDR: everywhere()},
			map[string]any{"ipProtocol": "tcp", "fromPort": 0.0, "toPort": 0.0, "cidrIpv4": "0.0.0.0/0"},
		},
		"net-egress-icmp--1-0.0.0.0/0": {
			egress.Rule{Protocol: "icmp", FromPort: -1, ToPort: -1, CIDR: everywhere()},
			map[string]any{"ipProtocol": "icmp", "fromPort": -1.0, "toPort": -1.0, "cidrIpv4": "0.0.0.0/0"},
		},
		"net-egress-all-10.0.0.0/8": {
			egress.Rule{Protocol: "-1", CIDR: netip.MustParsePrefix("10.0.0.0/8")},
			map[string]any{"ipProtocol": "-1", "cidrIpv4": "10.0.0.0/8"},
		},
		"net-egress-tcp-443-::/0": {
			egress.Rule{Protocol: "tcp", FromPort: 443, ToPort: 443, CIDR: netip.MustParsePrefix("::/0")},
			map[string]any{"ipProtocol": "tcp", "fromPort": 443.0, "toPort": 443.0, "cidrIpv6": "::/0"},
		},
		"net-egress-tcp-443-pl-63a5400a": {
			egress.Rule{Protocol: "tcp", FromPort: 443, ToPort: 443, PrefixListID: "pl-63a5400a", Description: "S3"},
			map[string]any{
				"ipProtocol": "tcp", "fromPort": 443.0, "toPort": 443.0, "prefixListId": "pl-63a5400a", "description": "S3",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			system := declare(t, declared.Options{}, creating("10.64.0.0/24", c.rule))
			c.want["securityGroupId"] = declaredtest.Only(t, system, typeGroup).ID
			require.Equal(t, c.want, declaredtest.Only(t, system, typeEgress).Inputs)
			require.Equal(t, name, declaredtest.Only(t, system, typeEgress).Name)
		})
	}
}

func TestNoEgressIsNoRule(t *testing.T) {
	t.Parallel()
	system := declare(t, declared.Options{}, creating("10.64.0.0/24"))
	require.Empty(t, system.OfType(typeEgress))
	require.Len(t, system.OfType(typeGroup), 1)
}

// A name that came from the place in the list would replace rules that didn't change.
func TestReorderedRulesKeepTheirNames(t *testing.T) {
	t.Parallel()
	rules := usual()
	names := func(rules ...egress.Rule) (names []string) {
		for _, r := range declare(t, declared.Options{}, creating("10.64.0.0/24", rules...)).OfType(typeEgress) {
			names = append(names, r.Name)
		}
		return names
	}
	require.Equal(t, []string{"net-egress-tcp-443-0.0.0.0/0", "net-egress-udp-53-0.0.0.0/0"}, names(rules[0], rules[1]))
	require.Equal(t, names(rules[0], rules[1]), names(rules[1], rules[0]))
}

// A task that starts before its route or its rules are there can't pull its image.
func TestWhoeverTakesTheIDsWaitsForTheRoutesAndTheRules(t *testing.T) {
	t.Parallel()
	system := declaredtest.Evaluate(t, declared.Options{}, func(ctx *pulumi.Context) error {
		n, err := network.New(ctx, "net", somewhere(*creating("10.64.0.0/24", usual()...)))
		if err != nil {
			return err
		}
		for name, id := range map[string]pulumi.StringOutput{
			"group": n.SecurityGroupID, "first": n.SubnetIDs.Index(pulumi.Int(0)),
		} {
			if _, err := sqs.NewQueue(ctx, name, &sqs.QueueArgs{Name: id}, pulumi.Parent(n)); err != nil {
				return err
			}
		}
		return nil
	})
	declaredtest.RequireDependsOn(t, declaredtest.Named(t, system, typeProbe, "group"), system.OfType(typeEgress)...)
	declaredtest.RequireDependsOn(t, declaredtest.Named(t, system, typeProbe, "first"), system.OfType(typeAssociation)...)
	declaredtest.RequireDependsOn(t, declaredtest.Only(t, system, typeRoutes), declaredtest.Only(t, system, typeGateway))
}
