// Package partition has AWS's partitions, the groups of Regions that share nothing: each has ARNs, domains and accounts of its own.
// Whatever is derived from a Region's partition is derived from this one table.
//
// The names, domains and forms of Regions are those of the AWS SDK's own partitions.json, as of November 2026; the test compares them
// with what the SDK resolves. The home Regions and IAM's hosts are those of the SDK's rules for IAM's endpoints. The rest has its
// source beside it.
package partition

import (
	"regexp"
	"slices"
	"strings"
)

// Partitions with rules of their own elsewhere.
const (
	// Standard is the partition of the Regions that every account can use.
	Standard = "aws"
	// China is that of the Regions that other companies sell.
	China = "aws-cn"
	// USGov is that of GovCloud.
	USGov = "aws-us-gov"
)

// Partition is a group of Regions.
type Partition struct {
	// Name is the partition as ARNs have it, such as aws-cn.
	Name string
	// DNSSuffix is the domain of the services' endpoints, of ECR's registries, and of the few service principals that name a Region.
	DNSSuffix string
	// DualStackSuffix is the domain of the endpoints that have IPv6 too.
	DualStackSuffix string
	// HomeRegion is the Region that requests to services with one endpoint for all of the partition, such as IAM, are signed for.
	HomeRegion string
	// IAM is the host of IAM's endpoint.
	IAM string
	// ConsoleDomain is the domain of AWS's console; a Region's console is at <region>.<domain>. Empty: the partition has none in public.
	ConsoleDomain string

	// region is the form of its Regions.
	region *regexp.Regexp
	// reversed are the services, among those that this program makes VPC endpoints of, whose endpoint's name begins with the partition's
	// own domain and not with com.amazonaws.
	reversed []string
}

// registries are the services of ECR, whose endpoints' names are reversed in most of the younger partitions.
var registries = []string{"ecr.api", "ecr.dkr"}

// partitions are in an order in which the first that matches a Region is the right one: the form of the last takes those of others too.
//
// The names of VPC endpoints are those that the AWS CDK has from describe-vpc-endpoint-services, in aws-ec2/lib/vpc-endpoint.ts, of
// November 2026. The consoles are those of https://docs.aws.amazon.com/general/latest/gr/rande.html and, for the European Sovereign
// Cloud, of https://docs.aws.eu/general/latest/gr/endpoints.html.
var partitions = []Partition{
	{
		Name: China, DNSSuffix: "amazonaws.com.cn", DualStackSuffix: "api.amazonwebservices.com.cn",
		HomeRegion: "cn-north-1", IAM: "iam.cn-north-1.amazonaws.com.cn",
		ConsoleDomain: "console.amazonaws.cn", region: form(`cn-[a-z]+`), reversed: append([]string{"states", "xray"}, registries...),
	},
	{
		Name: USGov, DNSSuffix: "amazonaws.com", DualStackSuffix: "api.aws",
		HomeRegion: "us-gov-west-1", IAM: "iam.us-gov.amazonaws.com",
		ConsoleDomain: "console.amazonaws-us-gov.com", region: form(`us-gov-[a-z]+`),
	},
	{
		Name: "aws-eusc", DNSSuffix: "amazonaws.eu", DualStackSuffix: "api.amazonwebservices.eu",
		HomeRegion: "eusc-de-east-1", IAM: "iam.eusc-de-east-1.amazonaws.eu",
		ConsoleDomain: "console.amazonaws-eusc.eu", region: form(`eusc-[a-z]{2}-[a-z]+`), reversed: registries,
	},
	{
		Name: "aws-iso", DNSSuffix: "c2s.ic.gov", DualStackSuffix: "api.aws.ic.gov",
		HomeRegion: "us-iso-east-1", IAM: "iam.us-iso-east-1.c2s.ic.gov",
		region: form(`us-iso-[a-z]+`), reversed: registries,
	},
	{
		Name: "aws-iso-b", DNSSuffix: "sc2s.sgov.gov", DualStackSuffix: "api.aws.scloud",
		HomeRegion: "us-isob-east-1", IAM: "iam.us-isob-east-1.sc2s.sgov.gov",
		region: form(`us-isob-[a-z]+`), reversed: registries,
	},
	{
		Name: "aws-iso-e", DNSSuffix: "cloud.adc-e.uk", DualStackSuffix: "api.cloud-aws.adc-e.uk",
		HomeRegion: "eu-isoe-west-1", IAM: "iam.eu-isoe-west-1.cloud.adc-e.uk",
		region: form(`eu-isoe-[a-z]+`), reversed: registries,
	},
	{
		Name: "aws-iso-f", DNSSuffix: "csp.hci.ic.gov", DualStackSuffix: "api.aws.hci.ic.gov",
		HomeRegion: "us-isof-south-1", IAM: "iam.us-isof-south-1.csp.hci.ic.gov",
		region: form(`us-isof-[a-z]+`), reversed: registries,
	},
	// Any two letters: a Region in a new country is to work before this table knows of it.
	{
		Name: Standard, DNSSuffix: "amazonaws.com", DualStackSuffix: "api.aws",
		HomeRegion: "us-east-1", IAM: "iam.amazonaws.com",
		ConsoleDomain: "console.aws.amazon.com", region: form(`[a-z]{2}-[a-z]+`),
	},
}

// form is a Region's form: the given one and its number.
func form(pattern string) *regexp.Regexp { return regexp.MustCompile(`^` + pattern + `-[0-9]{1,2}$`) }

// Names are the partitions' names, in alphabetical order.
func Names() []string {
	names := make([]string, len(partitions))
	for i, p := range partitions {
		names[i] = p.Name
	}
	slices.Sort(names)
	return names
}

// OfRegion is the partition that a Region is in. It is false for what can't be a Region, with the standard partition, as the SDK has it.
func OfRegion(region string) (Partition, bool) {
	for _, p := range partitions {
		if p.region.MatchString(region) {
			return p, true
		}
	}
	standard, _ := Named(Standard)
	return standard, false
}

// Named is the partition of a name. It is false for a name that is none's, with the standard partition.
func Named(name string) (Partition, bool) {
	i := slices.IndexFunc(partitions, func(p Partition) bool { return p.Name == name })
	if i < 0 {
		return partitions[len(partitions)-1], false
	}
	return partitions[i], true
}

// Rename is an ARN as another partition has it: China and GovCloud have names of their own for what is the same, such as the
// integrations of Step Functions.
func Rename(arn, partition string) string {
	_, rest, _ := strings.Cut(strings.TrimPrefix(arn, "arn:"), ":")
	return "arn:" + partition + ":" + rest
}

// Hosts are the names by which KMS may see a service of a Region that asks for its caller: where the partition's domain is another than the
// standard one's either, since AWS doesn't say which it is.
//
// https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service
func (p Partition) Hosts(service, region string) []string {
	host := service + "." + region + "."
	names := []string{host + p.DNSSuffix}
	if standard, _ := Named(Standard); standard.DNSSuffix != p.DNSSuffix {
		names = append(names, host+standard.DNSSuffix)
	}
	return names
}

// EndpointService is the name of a service's VPC endpoint in a Region of the partition, for a service as it calls itself, such as ecr.api.
//
// https://docs.aws.amazon.com/vpc/latest/privatelink/aws-services-privatelink-support.html
func (p Partition) EndpointService(region, service string) string {
	prefix := "com.amazonaws"
	if slices.Contains(p.reversed, service) {
		labels := strings.Split(p.DNSSuffix, ".")
		slices.Reverse(labels)
		prefix = strings.Join(labels, ".")
	}
	return prefix + "." + region + "." + service
}

// RegionalPrincipal is the principal of a service that has one in each Region, such as that of CloudWatch Logs for its keys. Most have
// one for all partitions, <service>.amazonaws.com, that of the European Sovereign Cloud and the isolated ones among them.
//
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html, and for the other partitions
// aws-cdk-lib/region-info/lib/default.ts.
func (p Partition) RegionalPrincipal(region, service string) string {
	return service + "." + region + "." + p.DNSSuffix
}

// servicePrincipal is the form of a service's principal, without its domain.
var servicePrincipal = regexp.MustCompile(`^[a-z0-9-]+(?:\.[a-z0-9-]+)*$`)

// IsServicePrincipal says whether a name is that of a service's principal in any partition.
func IsServicePrincipal(name string) bool {
	return slices.ContainsFunc(partitions, func(p Partition) bool {
		service, ok := strings.CutSuffix(name, "."+p.DNSSuffix)
		return ok && servicePrincipal.MatchString(service)
	})
}
