package location_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/components/location"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/declared/declaredtest"
)

func TestZonesWithoutFargate(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"apne1-az3", "cnn1-az3", "cnn1-az4", "usw1-az2"}, location.ZonesWithoutFargate("X86_64"))
	require.Equal(t, []string{"apne1-az3", "cnn1-az3", "cnn1-az4", "usw1-az2", "use1-az3"}, location.ZonesWithoutFargate("ARM64"))
}

func TestTheZonesOfAServicesEndpoints(t *testing.T) {
	t.Parallel()
	for _, at := range declaredtest.Locations() {
		options := declaredtest.At(at)
		options.EndpointZones = map[string][]string{at.EndpointService("ecr.api"): {at.Region + "b"}}
		_, err := declared.Evaluate(func(ctx *pulumi.Context) error {
			zones, err := at.EndpointZones(ctx, "ecr.api")
			require.NoError(t, err)
			require.Equal(t, []string{at.Region + "b"}, zones)
			return nil
		}, options)
		require.NoError(t, err)
	}
}

// Whoever may not ask deploys all the same.
func TestWhoeverCantAskForTheZonesTakesAll(t *testing.T) {
	t.Parallel()
	err := pulumi.RunErr(func(ctx *pulumi.Context) error {
		zones, err := declaredtest.Home().EndpointZones(ctx, "ecr.api")
		require.NoError(t, err)
		require.Nil(t, zones)
		return nil
	}, pulumi.WithMocks("upload-router", "test", refusing("aws:ec2/getVpcEndpointService:getVpcEndpointService")))
	require.NoError(t, err)
}
