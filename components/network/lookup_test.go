package network_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/components/network"
)

var errUnexpected = errors.New("unexpected call")

// asked answers the network's look-ups and keeps what they asked for, which a declared.System doesn't.
type asked struct {
	mu    sync.Mutex
	calls []pulumi.MockCallArgs
}

func (a *asked) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	return args.Name + "-id", args.Inputs, nil
}

func (a *asked) Call(args pulumi.MockCallArgs) (resource.PropertyMap, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls = append(a.calls, args)
	switch args.Token {
	case "aws:index/getAvailabilityZones:getAvailabilityZones":
		return resource.NewPropertyMapFromMap(map[string]any{"names": []any{"b", "a"}}), nil
	case "aws:ec2/getVpc:getVpc":
		return resource.NewPropertyMapFromMap(map[string]any{"id": "vpc-0default"}), nil
	case "aws:ec2/getSubnets:getSubnets":
		return resource.NewPropertyMapFromMap(map[string]any{"ids": []any{"subnet-0b", "subnet-0a"}}), nil
	}
	return nil, fmt.Errorf("%w: %s", errUnexpected, args.Token)
}

// lookups evaluates a network under an explicit provider and gives what it asked for.
func lookups(t *testing.T, args *network.Args) []pulumi.MockCallArgs {
	t.Helper()
	var answers asked
	require.NoError(t, pulumi.RunErr(func(ctx *pulumi.Context) error {
		provider, err := aws.NewProvider(ctx, "elsewhere", &aws.ProviderArgs{Region: pulumi.String("us-west-2")})
		if err != nil {
			return err
		}
		_, err = network.New(ctx, "net", somewhere(*args), pulumi.Providers(provider))
		return err
	}, pulumi.WithMocks("upload-router", "test", &answers)))
	return answers.calls
}

func filter(name string, values ...any) map[string]any {
	return map[string]any{"name": name, "values": values}
}

func TestTheLookUpsAskForExactlyWhatIsNeeded(t *testing.T) {
	t.Parallel()
	type call struct {
		function string
		args     map[string]any
	}
	zones := func(without ...any) call {
		return call{"getAvailabilityZones", map[string]any{
			"state":   "available",
			"filters": []any{filter("opt-in-status", "opt-in-not-required")}, // no Local or Wavelength Zones
			// Where https://docs.aws.amazon.com/AmazonECS/latest/developerguide/AWS_Fargate-Regions.html has no Fargate.
			"excludeZoneIds": append([]any{"apne1-az3", "cnn1-az3", "cnn1-az4", "usw1-az2"}, without...),
		}}
	}
	for name, c := range map[string]struct {
		args *network.Args
		want []call
	}{
		"create": {
			&network.Args{CIDR: netip.MustParsePrefix("10.64.0.0/24"), Architecture: "X86_64"},
			[]call{zones()},
		},
		"private": {
			&network.Args{Isolated: true, CIDR: netip.MustParsePrefix("10.64.0.0/24"), Architecture: "ARM64"},
			[]call{zones("use1-az3")},
		},
		"default": {
			&network.Args{Architecture: "ARM64"},
			[]call{
				{"getVpc", map[string]any{"default": true}},
				zones("use1-az3"),
				{"getSubnets", map[string]any{"filters": []any{
					filter("vpc-id", "vpc-0default"), filter("default-for-az", "true"), filter("availability-zone", "a", "b"),
				}}},
			},
		},
		"existing": {
			&network.Args{VPCID: "vpc-1", SubnetIDs: []string{"subnet-0a", "subnet-0b"}},
			[]call{{"getSubnets", map[string]any{"filters": []any{filter("vpc-id", "vpc-1")}}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []call
			for _, made := range lookups(t, c.args) {
				got = append(got, call{made.Token[strings.LastIndex(made.Token, ":")+1:], made.Args.Mappable()})
			}
			require.Equal(t, c.want, got)
		})
	}
}

// With the default provider a network in another Region or account would be made of zones and subnets that aren't there.
func TestTheLookUpsGoWhereTheComponentsProviderGoes(t *testing.T) {
	t.Parallel()
	for name, args := range map[string]*network.Args{
		"create":   {CIDR: netip.MustParsePrefix("10.64.0.0/24")},
		"default":  {},
		"existing": {VPCID: "vpc-1", SubnetIDs: []string{"subnet-0a", "subnet-0b"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calls := lookups(t, args)
			require.NotEmpty(t, calls)
			for _, made := range calls {
				assert.Contains(t, made.Provider, "::elsewhere", made.Token)
			}
		})
	}
}
