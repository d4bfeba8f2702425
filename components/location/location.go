// Package location is where a stack is deployed: the account, Region and
// partition that its ARNs and policies name (requirement A10).
package location

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/internal/partition"
)

// Location is where a stack is deployed.
type Location struct {
	// AccountID is the account's twelve digits.
	AccountID string
	// Region is the Region's name, such as eu-central-1.
	Region string
	// Partition is the name of one of AWS's partitions, such as aws or aws-cn.
	Partition string
}

// Of asks AWS where the stack's provider deploys to. It fails without usable
// credentials or without a Region, before any resource is made.
func Of(ctx *pulumi.Context) (Location, error) {
	identity, err := aws.GetCallerIdentity(ctx, &aws.GetCallerIdentityArgs{})
	if err != nil {
		return Location{}, fmt.Errorf("asking AWS whose credentials these are (try `aws sts get-caller-identity`): %w", err)
	}
	region, err := aws.GetRegion(ctx, &aws.GetRegionArgs{})
	if err != nil {
		return Location{}, fmt.Errorf("finding the Region (set it with `pulumi config set aws:region`): %w", err)
	}
	own, err := aws.GetPartition(ctx, &aws.GetPartitionArgs{})
	if err != nil {
		return Location{}, fmt.Errorf("finding the Region's partition: %w", err)
	}
	return Location{AccountID: identity.AccountId, Region: region.Name, Partition: own.Partition}, nil
}

// ARN is the ARN of a resource of a service in this account and Region.
func (l Location) ARN(service, resource string) string {
	return fmt.Sprintf("arn:%s:%s:%s:%s:%s", l.Partition, service, l.Region, l.AccountID, resource)
}

// DNSSuffix is the partition's domain.
func (l Location) DNSSuffix() string { return l.own().DNSSuffix }

// Hosts are the names by which KMS may see a service, such as s3.
func (l Location) Hosts(service string) []string { return l.own().Hosts(service, l.Region) }

// RegionalPrincipal is the principal of a service that has one in each Region, such as logs.
func (l Location) RegionalPrincipal(service string) string {
	return l.own().RegionalPrincipal(l.Region, service)
}

// EndpointService is the name of a service's VPC endpoint here, for a service as it calls itself, such as ecr.api.
func (l Location) EndpointService(service string) string {
	return l.own().EndpointService(l.Region, service)
}

// own is the partition's row; for one that the table doesn't know yet it is that of the standard partition.
func (l Location) own() partition.Partition {
	p, _ := partition.Named(l.Partition)
	return p
}
