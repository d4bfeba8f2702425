package awsquery

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// The settings of environment and profile as the SDK's sources give them. The SDK looks for the same methods.
type (
	endpointSource interface {
		GetServiceBaseEndpoint(ctx context.Context, sdkID string) (string, bool, error)
	}
	ignoringSource interface {
		GetIgnoreConfiguredEndpoints(ctx context.Context) (bool, bool, error)
	}
	fipsSource interface {
		GetUseFIPSEndpoint(ctx context.Context) (aws.FIPSEndpointState, bool, error)
	}
)

// resolve gives the address that is asked, and the Region that is signed for: that of a setting of the service's own
// (AWS_ENDPOINT_URL_EC2), of one for all (AWS_ENDPOINT_URL), or AWS's.
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
func (c *client) resolve(ctx context.Context) (address, region string, err error) {
	fips, err := c.fips(ctx)
	if err != nil {
		return "", "", err
	}
	address, region = c.endpoint(c.config.Region, fips)
	for _, source := range c.config.ConfigSources {
		if s, ok := source.(ignoringSource); ok {
			if ignore, found, err := s.GetIgnoreConfiguredEndpoints(ctx); err != nil || found && ignore {
				return address, region, err //nolint:wrapcheck // call does
			}
		}
	}
	for _, source := range c.config.ConfigSources {
		if s, ok := source.(endpointSource); ok {
			if own, found, err := s.GetServiceBaseEndpoint(ctx, c.id); err != nil || found {
				return own, region, err //nolint:wrapcheck // call does
			}
		}
	}
	if c.config.BaseEndpoint != nil {
		address = *c.config.BaseEndpoint
	}
	return address, region, nil
}

// fips says whether endpoints with FIPS 140 are asked for (AWS_USE_FIPS_ENDPOINT).
func (c *client) fips(ctx context.Context) (bool, error) {
	for _, source := range c.config.ConfigSources {
		if s, ok := source.(fipsSource); ok {
			if state, found, err := s.GetUseFIPSEndpoint(ctx); err != nil || found {
				return state == aws.FIPSEndpointStateEnabled, err //nolint:wrapcheck // call does
			}
		}
	}
	return false, nil
}
