package partition_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/partition"
)

// regions are all that the AWS SDK names in its partitions.json of November 2026.
var regions = map[string][]string{
	"aws": {
		"af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-south-2",
		"ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5", "ap-southeast-6", "ap-southeast-7",
		"ca-central-1", "ca-west-1", "eu-central-1", "eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2",
		"eu-west-3", "il-central-1", "me-central-1", "me-south-1", "mx-central-1", "sa-east-1", "us-east-1", "us-east-2", "us-west-1",
		"us-west-2",
	},
	"aws-cn":     {"cn-north-1", "cn-northwest-1"},
	"aws-eusc":   {"eusc-de-east-1"},
	"aws-iso":    {"us-iso-east-1", "us-iso-west-1"},
	"aws-iso-b":  {"us-isob-east-1", "us-isob-west-1"},
	"aws-iso-e":  {"eu-isoe-west-1"},
	"aws-iso-f":  {"us-isof-east-1", "us-isof-south-1"},
	"aws-us-gov": {"us-gov-east-1", "us-gov-west-1"},
}

func TestEachRegionIsInItsPartition(t *testing.T) {
	t.Parallel()
	var names []string
	for name := range regions {
		names = append(names, name)
	}
	require.ElementsMatch(t, names, partition.Names())
	for name, of := range regions {
		for _, region := range of {
			got, ok := partition.OfRegion(region)
			require.True(t, ok, region)
			require.Equal(t, name, got.Name, region)
		}
		got, ok := partition.Named(name)
		require.True(t, ok, name)
		require.Equal(t, name, got.Name)
	}
	// One that AWS may open.
	for region, name := range map[string]string{"nz-north-1": "aws", "eusc-fr-west-1": "aws-eusc", "us-iso-north-12": "aws-iso"} {
		got, ok := partition.OfRegion(region)
		require.True(t, ok, region)
		require.Equal(t, name, got.Name, region)
	}
}

func TestWhatCantBeARegionIsInNone(t *testing.T) {
	t.Parallel()
	for _, region := range []string{
		"", "nowhere", "Frankfurt", "eu-central", "eu-central-", "eu-central-100", "EU-central-1", "eu_central_1", "eu-central-1a",
		" eu-central-1", "eu-central-1\n", "europe-west1", "eusc-east-1", "aws-global", "e-central-1", "eu--1",
	} {
		got, ok := partition.OfRegion(region)
		require.False(t, ok, region)
		require.Equal(t, "aws", got.Name, region)
	}
	got, ok := partition.Named("amazon")
	require.False(t, ok)
	require.Equal(t, "aws", got.Name)
}

// The SDK is the judge of the domains.
func TestTheDomainsAreThoseThatTheSDKCalls(t *testing.T) {
	t.Parallel()
	for name, of := range regions {
		p, _ := partition.Named(name)
		for _, region := range of {
			endpoint, err := sfn.NewDefaultEndpointResolverV2().ResolveEndpoint(t.Context(), sfn.EndpointParameters{Region: aws.String(region)})
			require.NoError(t, err)
			assert.Equal(t, "states."+region+"."+p.DNSSuffix, endpoint.URI.Host)
			endpoint, err = ecr.NewDefaultEndpointResolverV2().ResolveEndpoint(t.Context(), ecr.EndpointParameters{
				Region: aws.String(region), UseDualStack: aws.Bool(true),
			})
			require.NoError(t, err)
			assert.True(t, strings.HasSuffix(endpoint.URI.Host, "."+region+"."+p.DualStackSuffix), endpoint.URI.Host)
		}
	}
}

// The names that EC2 has for services, as the AWS CDK has them in aws-ec2/lib/vpc-endpoint.ts.
func TestTheNamesOfVPCEndpoints(t *testing.T) {
	t.Parallel()
	for region, names := range map[string]map[string]string{
		"eu-central-1":  {"s3": "com.amazonaws", "ecr.api": "com.amazonaws", "logs": "com.amazonaws", "states": "com.amazonaws"},
		"us-gov-west-1": {"s3": "com.amazonaws", "ecr.dkr": "com.amazonaws", "xray": "com.amazonaws"},
		"cn-north-1": {
			"s3": "com.amazonaws", "logs": "com.amazonaws",
			"ecr.api": "cn.com.amazonaws", "ecr.dkr": "cn.com.amazonaws", "states": "cn.com.amazonaws", "xray": "cn.com.amazonaws",
		},
		"eusc-de-east-1": {"s3": "com.amazonaws", "logs": "com.amazonaws", "states": "com.amazonaws", "ecr.api": "eu.amazonaws"},
		"us-iso-east-1":  {"s3": "com.amazonaws", "logs": "com.amazonaws", "ecr.dkr": "gov.ic.c2s"},
		"us-isob-east-1": {"states": "com.amazonaws", "ecr.api": "gov.sgov.sc2s"},
		"us-isof-east-1": {"xray": "com.amazonaws", "ecr.api": "gov.ic.hci.csp"},
		"eu-isoe-west-1": {"logs": "com.amazonaws", "ecr.dkr": "uk.adc-e.cloud"},
	} {
		p, _ := partition.OfRegion(region)
		for service, prefix := range names {
			assert.Equal(t, prefix+"."+region+"."+service, p.EndpointService(region, service))
		}
	}
}

func TestConsoles(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"aws": "console.aws.amazon.com", "aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com",
		"aws-eusc": "console.amazonaws-eusc.eu", "aws-iso": "", "aws-iso-b": "", "aws-iso-e": "", "aws-iso-f": "",
	} {
		p, _ := partition.Named(name)
		assert.Equal(t, want, p.ConsoleDomain, name)
	}
}

func TestServicePrincipals(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"lambda.amazonaws.com", "ecs-tasks.amazonaws.com", "delivery.logs.amazonaws.com", "logs.eu-central-1.amazonaws.com",
		"logs.cn-north-1.amazonaws.com.cn", "logs.eusc-de-east-1.amazonaws.eu", "logs.us-iso-east-1.c2s.ic.gov",
		"logs.us-isob-east-1.sc2s.sgov.gov", "logs.eu-isoe-west-1.cloud.adc-e.uk", "logs.us-isof-south-1.csp.hci.ic.gov",
	} {
		assert.True(t, partition.IsServicePrincipal(name), name)
	}
	for _, name := range []string{
		"", "*", "amazonaws.com", ".amazonaws.com", "lambda", "Lambda.amazonaws.com", "lambda.amazonaws.com.example.com", "lambda.example.com",
		"lambda.amazonaws.org", "lambda..amazonaws.com", "arn:aws:iam::123456789012:root",
	} {
		assert.False(t, partition.IsServicePrincipal(name), name)
	}
	for region, want := range map[string]string{
		"eu-central-1": "logs.eu-central-1.amazonaws.com", "cn-north-1": "logs.cn-north-1.amazonaws.com.cn",
		"us-iso-east-1": "logs.us-iso-east-1.c2s.ic.gov", "eusc-de-east-1": "logs.eusc-de-east-1.amazonaws.eu",
	} {
		p, _ := partition.OfRegion(region)
		assert.Equal(t, want, p.RegionalPrincipal(region, "logs"))
	}
}

func TestRegistries(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]struct {
		region, partition string
		plain             bool
	}{
		"123456789012.dkr.ecr.eu-central-1.amazonaws.com":             {"eu-central-1", "aws", true},
		"123456789012.dkr.ecr-fips.us-east-1.amazonaws.com":           {"us-east-1", "aws", false},
		"123456789012.dkr-ecr.us-east-1.on.aws":                       {"us-east-1", "aws", false},
		"123456789012.dkr-ecr-fips.us-east-1.on.aws":                  {"us-east-1", "aws", false},
		"123456789012.dkr.ecr.us-gov-west-1.amazonaws.com":            {"us-gov-west-1", "aws-us-gov", true},
		"123456789012.dkr-ecr-fips.us-gov-west-1.on.aws":              {"us-gov-west-1", "aws-us-gov", false},
		"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn":            {"cn-north-1", "aws-cn", true},
		"123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn": {"cn-north-1", "aws-cn", false},
		"123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu":            {"eusc-de-east-1", "aws-eusc", true},
		"123456789012.dkr-ecr.eusc-de-east-1.on.amazonwebservices.eu": {"eusc-de-east-1", "aws-eusc", false},
		"123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov":               {"us-iso-east-1", "aws-iso", true},
		"123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov":           {"us-isob-east-1", "aws-iso-b", true},
		"123456789012.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk":          {"eu-isoe-west-1", "aws-iso-e", true},
		"123456789012.dkr.ecr.us-isof-south-1.csp.hci.ic.gov":         {"us-isof-south-1", "aws-iso-f", true},
	} {
		got, ok := partition.RegistryOf(host)
		require.True(t, ok, host)
		assert.Equal(t, "123456789012", got.AccountID, host)
		assert.Equal(t, want.region, got.Region, host)
		assert.Equal(t, want.partition, got.Partition.Name, host)
		assert.Equal(t, want.plain, got.Plain, host)
	}
	for _, host := range []string{
		"", "docker.io", "public.ecr.aws", "12345678901.dkr.ecr.eu-central-1.amazonaws.com", "123456789012.dkr.ecr.nowhere.amazonaws.com",
		"123456789012.dkr.ecr.eu-central-1.amazonaws.com.cn", "123456789012.dkr.ecr.cn-north-1.amazonaws.com",
		"123456789012.dkr.ecr.eusc-de-east-1.amazonaws.com", "123456789012.dkr.ecr.eu-central-1.amazonaws.com.example.com",
		"123456789012.dkr-ecr.cn-north-1.on.aws", "123456789012.dkr.ecr.eu-central-1.example.com",
		"x123456789012.dkr.ecr.us-east-1.amazonaws.com",
	} {
		_, ok := partition.RegistryOf(host)
		assert.False(t, ok, host)
	}
}

func TestARegistryOfAnotherDomainIsFixed(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"123456789012.dkr.ecr.cn-north-1.amazonaws.com":          "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
		"123456789012.dkr.ecr.eu-central-1.amazonaws.com.cn":     "123456789012.dkr.ecr.eu-central-1.amazonaws.com",
		"123456789012.dkr.ecr-fips.eusc-de-east-1.amazonaws.com": "123456789012.dkr.ecr-fips.eusc-de-east-1.amazonaws.eu",
		"123456789012.dkr.ecr.eu-central-1.amazonaws.com":        "",
		"123456789012.dkr.ecr.nowhere.amazonaws.com":             "",
		"docker.io": "",
		"":          "",
	} {
		fixed, ok := partition.CorrectedRegistry(host)
		assert.Equal(t, want, fixed, host)
		assert.Equal(t, want != "", ok, host)
	}
}

func TestRepositories(t *testing.T) {
	t.Parallel()
	const digest = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for name, c := range map[string]struct{ image, repository, arn string }{
		"ECR with a tag": {
			"123456789012.dkr.ecr.eu-central-1.amazonaws.com/team/app:v1",
			"123456789012.dkr.ecr.eu-central-1.amazonaws.com/team/app", "arn:aws:ecr:eu-central-1:123456789012:repository/team/app",
		},
		"ECR with a digest": {
			"123456789012.dkr.ecr.us-east-1.amazonaws.com/app" + digest,
			"123456789012.dkr.ecr.us-east-1.amazonaws.com/app", "arn:aws:ecr:us-east-1:123456789012:repository/app",
		},
		"ECR with both": {
			"123456789012.dkr.ecr.us-east-1.amazonaws.com/app:v1" + digest,
			"123456789012.dkr.ecr.us-east-1.amazonaws.com/app", "arn:aws:ecr:us-east-1:123456789012:repository/app",
		},
		"ECR of another account and Region": {
			"210987654321.dkr.ecr.ap-southeast-2.amazonaws.com/app:v1",
			"210987654321.dkr.ecr.ap-southeast-2.amazonaws.com/app", "arn:aws:ecr:ap-southeast-2:210987654321:repository/app",
		},
		"ECR in China": {
			"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/app:v1",
			"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/app", "arn:aws-cn:ecr:cn-north-1:123456789012:repository/app",
		},
		"ECR in GovCloud": {
			"123456789012.dkr.ecr.us-gov-west-1.amazonaws.com/app:v1",
			"123456789012.dkr.ecr.us-gov-west-1.amazonaws.com/app", "arn:aws-us-gov:ecr:us-gov-west-1:123456789012:repository/app",
		},
		"ECR in the European Sovereign Cloud": {
			"123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu/app:v1",
			"123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu/app", "arn:aws-eusc:ecr:eusc-de-east-1:123456789012:repository/app",
		},
		"ECR in an isolated Region": {
			"123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov/app:v1",
			"123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov/app", "arn:aws-iso:ecr:us-iso-east-1:123456789012:repository/app",
		},
		"ECR's FIPS endpoint": {
			"123456789012.dkr.ecr-fips.us-east-1.amazonaws.com/app:v1",
			"123456789012.dkr.ecr-fips.us-east-1.amazonaws.com/app", "arn:aws:ecr:us-east-1:123456789012:repository/app",
		},
		"ECR's dual-stack endpoint": {
			"123456789012.dkr-ecr.us-east-1.on.aws/app:v1",
			"123456789012.dkr-ecr.us-east-1.on.aws/app", "arn:aws:ecr:us-east-1:123456789012:repository/app",
		},
		"ECR's dual-stack endpoint with FIPS": {
			"123456789012.dkr-ecr-fips.us-east-1.on.aws/app:v1",
			"123456789012.dkr-ecr-fips.us-east-1.on.aws/app", "arn:aws:ecr:us-east-1:123456789012:repository/app",
		},
		"ECR's public gallery": {"public.ecr.aws/team/app:v1", "public.ecr.aws/team/app", ""},
		"Docker Hub":           {"library/busybox:1.37", "library/busybox", ""},
		"Docker Hub, official": {"busybox:1.37", "busybox", ""},
		"Docker Hub by digest": {"busybox" + digest, "busybox", ""},
		"a port":               {"registry.example.com:5000/team/app:v1", "registry.example.com:5000/team/app", ""},
		"a port, no tag":       {"registry.example.com:5000/app" + digest, "registry.example.com:5000/app", ""},
		"a host like ECR's": {
			"123456789012.dkr.ecr.eu-central-1.example.com/app:v1", "123456789012.dkr.ecr.eu-central-1.example.com/app", "",
		},
		"a host that begins like ECR's": {
			"123456789012.dkr.ecr.eu-central-1.amazonaws.com.example.com/app:v1",
			"123456789012.dkr.ecr.eu-central-1.amazonaws.com.example.com/app", "",
		},
	} {
		repository, arn := partition.RepositoryOf(c.image)
		assert.Equal(t, c.repository, repository, name)
		assert.Equal(t, c.arn, arn, name)
	}
}
