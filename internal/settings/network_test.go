package settings_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/components/egress"
	"example.com/upload-router/internal/settings"
)

func TestVPCCIDR(t *testing.T) {
	t.Parallel()
	checkRules(t, config{}, "vpcCidr", []rule{
		{"10.64.0.0/24", ""}, {"10.0.0.0/16", ""}, {"10.0.0.0/26", ""}, {"172.16.0.0/16", ""}, {"172.31.0.0/16", ""}, {"192.168.0.0/16", ""},
		{"100.64.0.0/16", ""}, {"100.127.255.192/26", ""}, {"10.255.255.192/26", ""},
		{"10.0.0.0/15", "from /16"}, {"10.0.0.0/8", "from /16"}, {"10.0.0.0/27", "not /27"},
		{"172.32.0.0/16", "must lie in"}, {"172.15.0.0/16", "must lie in"}, {"11.0.0.0/16", "must lie in"}, {"100.128.0.0/16", "must lie in"},
		{"192.169.0.0/16", "must lie in"}, {"0.0.0.0/16", "must lie in"},
		{"10.64.0.1/24", "network form: 10.64.0.0/24"}, {"10.64.0.0", "10.64.0.0/32 is this one address"}, {"", ""},
		{"10.64.0.0/33", "such as"}, {"10.64.0.0/024", "such as"}, {"fd00::/24", "IPv4"}, {"::ffff:10.0.0.0/120", "such as"},
	})
}

func TestNetworkModes(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		values config
		want   map[string]string
	}{
		{"existing in full", existing(), nil},
		{"existing without public addresses", existing().with("assignPublicIp", "false"), nil},
		{"existing with the default block", existing().with("vpcCidr", "10.64.0.0/24"), nil},
		{"existing by its name only", config{"network": "existing"}, map[string]string{
			"vpcId": "must be set with network existing", "subnetIds": "must be set with network existing",
		}},
		{"existing with one subnet", existing().with("subnetIds", `["`+subnet1+`"]`), map[string]string{
			"subnetIds": "2 to 16 subnets, this has 1",
		}},
		{"existing with 16 subnets", existing().with("subnetIds", subnets(16)), nil},
		{"existing with 17 subnets", existing().with("subnetIds", subnets(17)), map[string]string{"subnetIds": "2 to 16 subnets, this has 17"}},
		{"existing with a block", existing().with("vpcCidr", "10.1.0.0/24"), map[string]string{"vpcCidr": "network create or private only"}},
		{"create with a VPC", config{"vpcId": vpc}, map[string]string{"vpcId": "network existing only, not with create"}},
		{"create with subnets", config{"subnetIds": subnets(2)}, map[string]string{"subnetIds": "network existing only, not with create"}},
		{"create without public addresses", config{"assignPublicIp": "false"}, map[string]string{
			"assignPublicIp": "internet gateway and no NAT",
		}},
		{"default with a VPC, subnets and a block", existing().with("network", "default").with("vpcCidr", "10.1.0.0/24"), map[string]string{
			"vpcId": "not with default", "subnetIds": "not with default", "vpcCidr": "not with default",
		}},
		{"default without public addresses", config{"network": "default", "assignPublicIp": "false"}, map[string]string{
			"assignPublicIp": "with network default",
		}},
		{"a mode that is none says nothing about the rest", existing().with("network", "other").with("vpcCidr", "10.1.0.0/24"),
			map[string]string{"network": "create, default, existing or private"}},
		{"private", private(), nil},
		{"private without public addresses", private().with("assignPublicIp", "false"), nil},
		{"private with a block", private().with("vpcCidr", "10.1.0.0/24"), nil},
		{"private with public addresses", private().with("assignPublicIp", "true"), map[string]string{
			"assignPublicIp": "must be false, or empty, with network private, whose subnets are isolated",
		}},
		{"private with a VPC, subnets and egress", private().with("vpcId", vpc).with("subnetIds", subnets(2)).with("egress", "[]"),
			map[string]string{
				"vpcId": "not with private", "subnetIds": "not with private", "egress": "not with private: the task reaches the VPC endpoints and S3",
			}},
		{"private with an image that can't be reached", private().with("image", "registry.example.com/a/b:1"), map[string]string{
			"image": "must be in ECR of the stack's own Region with network private",
		}},
		{"private with an image of ECR by a name that the endpoints don't have",
			private().with("image", "123456789012.dkr-ecr.eu-central-1.on.aws/a:1"), map[string]string{"image": "must be in ECR"}},
		{"private with an image of ECR", private().with("image", "123456789012.dkr.ecr.eu-central-1.amazonaws.com/a:1"), nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			problems := problemsOf(t, row.values)
			require.Len(t, problems, len(row.want))
			for _, problem := range problems {
				require.Contains(t, row.want, problem.Key)
				assert.Contains(t, problem.Rule, row.want[problem.Key])
				assert.NotEmpty(t, problem.Fix.String())
			}
		})
	}
	assert.False(t, mustLoad(t, config{"network": "default"}).VPCCIDR.IsValid(), "no block where no VPC is made")
}

func private() config { return config{"network": "private"} }

func TestWhatFollowsFromAPrivateNetwork(t *testing.T) {
	t.Parallel()
	loaded := mustLoad(t, private())
	assert.False(t, loaded.AssignPublicIP)
	assert.Empty(t, loaded.Egress, "what may go out is the endpoints' business")
	assert.Equal(t, netip.MustParsePrefix("10.64.0.0/24"), loaded.VPCCIDR)
	for _, warning := range loaded.Warnings() {
		assert.NotEqual(t, "egress", warning.Key)
	}
	elsewhere := private().with("image", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/a:1")
	problems := problemsOf(t, elsewhere, settings.WithRegion("eu-central-1"))
	require.Len(t, problems, 1)
	assert.Equal(t, "image", problems[0].Key)
	assert.Empty(t, problemsOf(t, elsewhere, settings.WithRegion("eu-west-1")))

	for region, domain := range map[string]string{ // S10
		"cn-north-1": "amazonaws.com.cn", "us-gov-west-1": "amazonaws.com", "eusc-de-east-1": "amazonaws.eu", "us-iso-east-1": "c2s.ic.gov",
		"us-isob-east-1": "sc2s.sgov.gov", "eu-isoe-west-1": "cloud.adc-e.uk", "us-isof-south-1": "csp.hci.ic.gov",
	} {
		there := private().with("image", "123456789012.dkr.ecr."+region+"."+domain+"/a:1")
		assert.Empty(t, problemsOf(t, there, settings.WithRegion(region)), region)
		if domain != "amazonaws.com" {
			there["image"] = "123456789012.dkr.ecr." + region + ".amazonaws.com/a:1"
			assert.Len(t, problemsOf(t, there, settings.WithRegion(region)), 1, region)
		}
	}
}

func TestPublicAddresses(t *testing.T) {
	t.Parallel()
	checkRules(t, existing(), "assignPublicIp", []rule{
		{"", ""}, {"true", ""}, {"false", ""},
		{"True", "must be true or false"}, {"yes", "must be true or false"}, {"1", "must be true or false"},
	})
	assert.True(t, mustLoad(t, existing()).AssignPublicIP)
	assert.False(t, mustLoad(t, existing().with("assignPublicIp", "false")).AssignPublicIP)
}

// subnets is a list of so many distinct subnets.
func subnets(count int) string {
	ids := make([]string, 0, count)
	for i := range count {
		ids = append(ids, fmt.Sprintf(`"subnet-%017x"`, i))
	}
	return "[" + strings.Join(ids, ",") + "]"
}

func TestResourceIDs(t *testing.T) {
	t.Parallel()
	checkRules(t, existing(), "vpcId", []rule{
		{vpc, ""}, {"vpc-0a1b2c3d", ""}, {"vpc-0a1b2c3", "vpc- and 17"}, {"vpc-0a1b2c3d4e5f607189", "vpc- and 17"}, {"vpc-0A1B2C3D", "vpc-"},
		{subnet1, "vpc-"}, {vpc + "\n", "vpc-"},
	})
	checkRules(t, existing(), "subnetIds", []rule{
		{`["` + subnet1 + `","` + vpc + `"]`, "subnet- and 17"}, {`["` + subnet1 + `","` + subnet1 + `"]`, "already, as subnetIds[0]"},
		{subnet1, "list of strings"}, {`["` + subnet1 + `",2]`, "must be a string"},
	})
}

func TestEgress(t *testing.T) {
	t.Parallel()
	anywhere := netip.MustParsePrefix("0.0.0.0/0")
	for _, row := range []struct {
		name, value string
		want        []egress.Rule
	}{
		{"nothing", `[]`, nil},
		{"a port", `[{"protocol":"tcp","port":"443","cidr":"0.0.0.0/0"}]`,
			[]egress.Rule{{Protocol: "tcp", FromPort: 443, ToPort: 443, CIDR: anywhere}}},
		{"a number for a port, as the command line makes it", `[{"protocol":"udp","port":53,"cidr":"0.0.0.0/0","description":"DNS"}]`,
			[]egress.Rule{{Protocol: "udp", FromPort: 53, ToPort: 53, CIDR: anywhere, Description: "DNS"}}},
		{"all ports", `[{"protocol":"tcp","port":"0-65535","cidr":"10.0.0.0/8"}]`,
			[]egress.Rule{{Protocol: "tcp", ToPort: 65535, CIDR: netip.MustParsePrefix("10.0.0.0/8")}}},
		{"IPv6", `[{"protocol":"tcp","port":"443","cidr":"2001:DB8::/32"}]`,
			[]egress.Rule{{Protocol: "tcp", FromPort: 443, ToPort: 443, CIDR: netip.MustParsePrefix("2001:db8::/32")}}},
		{"a prefix list", `[{"protocol":"tcp","port":"443","prefixListId":"pl-0a1b2c3d4e5f60718"}]`,
			[]egress.Rule{{Protocol: "tcp", FromPort: 443, ToPort: 443, PrefixListID: "pl-0a1b2c3d4e5f60718"}}},
		{"ping", `[{"protocol":"icmp","cidr":"0.0.0.0/0"}]`,
			[]egress.Rule{{Protocol: "icmp", FromPort: -1, ToPort: -1, CIDR: anywhere}}},
		{"everything", `[{"protocol":"all","cidr":"0.0.0.0/0"},{"protocol":-1,"cidr":"::/0"}]`,
			[]egress.Rule{{Protocol: "-1", CIDR: anywhere}, {Protocol: "-1", CIDR: netip.MustParsePrefix("::/0")}}},
		{"the same block on another port or protocol", `[{"protocol":"tcp","port":"53","cidr":"0.0.0.0/0"},` +
			`{"protocol":"udp","port":"53","cidr":"0.0.0.0/0"},` +
			`{"protocol":"tcp","port":"53-54","cidr":"0.0.0.0/0"}]`,
			[]egress.Rule{
				{Protocol: "tcp", FromPort: 53, ToPort: 53, CIDR: anywhere}, {Protocol: "udp", FromPort: 53, ToPort: 53, CIDR: anywhere},
				{Protocol: "tcp", FromPort: 53, ToPort: 54, CIDR: anywhere},
			}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, row.want, mustLoad(t, config{"egress": row.value}).Egress)
		})
	}
}

func TestEgressProblems(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, value, key, want, fix string }{
		{"no list", `443`, "egress", "list of objects", "in Pulumi.<stack>.yaml"},
		{"null", `null`, "egress", "list of objects", "in Pulumi.<stack>.yaml"},
		{"no object", `["tcp"]`, "egress[0]", "must be an object", "in Pulumi.<stack>.yaml"},
		{"null element", `[null]`, "egress[0]", "must be an object", "in Pulumi.<stack>.yaml"},
		{"no protocol", `[{"port":"443","cidr":"0.0.0.0/0"}]`, "egress[0].protocol", "tcp, udp, icmp or all",
			"pulumi config set --path 'egress[0].protocol' tcp"},
		{"capitals", `[{"protocol":"TCP","port":"443","cidr":"0.0.0.0/0"}]`, "egress[0].protocol", "tcp, udp, icmp or all", ""},
		{"no port", `[{"protocol":"tcp","cidr":"0.0.0.0/0"}]`, "egress[0].port", "must be a port", "egress[0].port' 443"},
		{"null port", `[{"protocol":"tcp","port":null,"cidr":"0.0.0.0/0"}]`, "egress[0].port", "must be a string", ""},
		{"too large a port", `[{"protocol":"tcp","port":"65536","cidr":"0.0.0.0/0"}]`, "egress[0].port", "from 0 to 65535", ""},
		{"a negative port", `[{"protocol":"tcp","port":"-1","cidr":"0.0.0.0/0"}]`, "egress[0].port", "must be a port", ""},
		{"half a range", `[{"protocol":"tcp","port":"1-","cidr":"0.0.0.0/0"}]`, "egress[0].port", "must be a port", ""},
		{"two ranges", `[{"protocol":"tcp","port":"1-2-3","cidr":"0.0.0.0/0"}]`, "egress[0].port", "must be a port", ""},
		{"a fraction", `[{"protocol":"tcp","port":1.5,"cidr":"0.0.0.0/0"}]`, "egress[0].port", "must be a port", ""},
		{"a range backwards", `[{"protocol":"tcp","port":"9-8","cidr":"0.0.0.0/0"}]`, "egress[0].port", "lower port", "egress[0].port' 8-9"},
		{"a port for all", `[{"protocol":"all","port":"443","cidr":"0.0.0.0/0"}]`, "egress[0].port", "must be left out",
			"pulumi config rm --path 'egress[0].port'"},
		{"a port for icmp", `[{"protocol":"icmp","port":8,"cidr":"0.0.0.0/0"}]`, "egress[0].port", "must be left out", ""},
		{"nowhere", `[{"protocol":"tcp","port":"443"}]`, "egress[0].cidr", "exactly one of cidr and prefixListId", ""},
		{"two places", `[{"protocol":"tcp","port":"443","cidr":"0.0.0.0/0","prefixListId":"pl-63a5400a"}]`, "egress[0].cidr", "exactly one", ""},
		{"an address", `[{"protocol":"tcp","port":"443","cidr":"10.0.0.1"}]`, "egress[0].cidr", "10.0.0.1/32 is this one address", ""},
		{"a host", `[{"protocol":"tcp","port":"443","cidr":"example.com"}]`, "egress[0].cidr", "must be an address block", ""},
		{"bits behind the prefix", `[{"protocol":"tcp","port":"443","cidr":"10.1.2.3/8"}]`, "egress[0].cidr", "network form: 10.0.0.0/8",
			"pulumi config set --path 'egress[0].cidr' 10.0.0.0/8"},
		{"IPv4 in IPv6", `[{"protocol":"tcp","port":"443","cidr":"::ffff:10.0.0.0/104"}]`, "egress[0].cidr", "must be an address block", ""},
		{"ping in IPv6", `[{"protocol":"icmp","cidr":"::/0"}]`, "egress[0].cidr", "IPv4 block with protocol icmp", ""},
		{"a list that is none", `[{"protocol":"tcp","port":"443","prefixListId":"s3"}]`, "egress[0].prefixListId", "pl- and 17", ""},
		{"a description too long", `[{"protocol":"tcp","port":"443","cidr":"0.0.0.0/0","description":"` + strings.Repeat("a", 256) + `"}]`,
			"egress[0].description", "at most 255 characters, this has 256", ""},
		{"a description EC2 refuses", `[{"protocol":"tcp","port":"443","cidr":"0.0.0.0/0","description":"it's"}]`, "egress[0].description",
			"letters, digits, spaces", ""},
		{"a description that is an object", `[{"protocol":"tcp","port":"443","cidr":"0.0.0.0/0","description":{}}]`, "egress[0].description",
			"must be a string", ""},
		{"a field mistyped", `[{"protocol":"tcp","port":"443","cidr":"0.0.0.0/0","descriptions":"x"}]`, "egress[0].descriptions",
			"did you mean description?", "pulumi config rm --path 'egress[0].descriptions'"},
		{"a field from nowhere", `[{"protocol":"tcp","port":"443","cidr":"0.0.0.0/0","sourceSecurityGroup":"x"}]`,
			"egress[0].sourceSecurityGroup", "the fields are protocol, port, cidr, prefixListId, description", ""},
		{"a duplicate", `[{"protocol":"tcp","port":"443","cidr":"0.0.0.0/0"},` +
			`{"protocol":"tcp","port":"443-443","cidr":"0.0.0.0/0","description":"x"}]`,
			"egress[1]", "the same as egress[0]", "pulumi config rm --path 'egress[1]'"},
		{"a duplicate of all", `[{"protocol":"all","cidr":"0.0.0.0/0"},{"protocol":"-1","cidr":"0.0.0.0/0"}]`,
			"egress[1]", "the same as egress[0]", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			problems := problemsOf(t, config{"egress": row.value})
			require.Len(t, problems, 1)
			assert.Equal(t, row.key, problems[0].Key)
			assert.Contains(t, problems[0].Rule, row.want)
			assert.Contains(t, problems[0].Fix.String(), row.fix)
		})
	}
	longest := `[{"protocol":"tcp","port":"443","cidr":"0.0.0.0/0","description":"` + strings.Repeat("a", 229) +
		` aZ09._-:/()#,@[]+=&;{}!$*"}]`
	require.Len(t, mustLoad(t, config{"egress": longest}).Egress[0].Description, 255)

	problems := problemsOf(t, config{"egress": `[{"protocol":"x","port":"y","cidr":"z"},{"protocol":"tcp","port":"443","cidr":"z"}]`})
	keys := make([]string, 0, len(problems))
	for _, problem := range problems {
		keys = append(keys, problem.Key)
	}
	require.Equal(t, []string{"egress[0].protocol", "egress[0].port", "egress[0].cidr", "egress[1].cidr"}, keys, "all of a rule's problems")
}
