package location_test

import (
	"errors"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/components/location"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/declared/declaredtest"
)

func TestALocationIsWhereTheProviderSaysItIs(t *testing.T) {
	t.Parallel()
	for _, want := range declaredtest.Locations() {
		t.Run(want.Region, func(t *testing.T) {
			t.Parallel()
			var got location.Location
			_, err := declared.Evaluate(func(ctx *pulumi.Context) error {
				var err error
				got, err = location.Of(ctx)
				return err
			}, declaredtest.At(want))
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	}
}

func TestARNsAndDomainsAreThePartitionsOwn(t *testing.T) {
	t.Parallel()
	for region, want := range map[string]struct{ arn, suffix string }{
		"eu-central-1":    {"arn:aws:ecs:eu-central-1:123456789012:cluster/c", "amazonaws.com"},
		"us-east-1":       {"arn:aws:ecs:us-east-1:123456789012:cluster/c", "amazonaws.com"},
		"cn-north-1":      {"arn:aws-cn:ecs:cn-north-1:123456789012:cluster/c", "amazonaws.com.cn"},
		"us-gov-west-1":   {"arn:aws-us-gov:ecs:us-gov-west-1:123456789012:cluster/c", "amazonaws.com"},
		"eusc-de-east-1":  {"arn:aws-eusc:ecs:eusc-de-east-1:123456789012:cluster/c", "amazonaws.eu"},
		"us-iso-east-1":   {"arn:aws-iso:ecs:us-iso-east-1:123456789012:cluster/c", "c2s.ic.gov"},
		"us-isob-east-1":  {"arn:aws-iso-b:ecs:us-isob-east-1:123456789012:cluster/c", "sc2s.sgov.gov"},
		"eu-isoe-west-1":  {"arn:aws-iso-e:ecs:eu-isoe-west-1:123456789012:cluster/c", "cloud.adc-e.uk"},
		"us-isof-south-1": {"arn:aws-iso-f:ecs:us-isof-south-1:123456789012:cluster/c", "csp.hci.ic.gov"},
	} {
		t.Run(region, func(t *testing.T) {
			t.Parallel()
			for _, at := range declaredtest.Locations() {
				if at.Region == region {
					require.Equal(t, want.arn, at.ARN("ecs", "cluster/c"))
					require.Equal(t, want.suffix, at.DNSSuffix())
					return
				}
			}
			require.Fail(t, "not among the locations")
		})
	}
}

var errRefused = errors.New("refused")

// refusing answers every look-up but one.
type refusing string

func (refusing) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	return args.Name, args.Inputs, nil
}

func (r refusing) Call(args pulumi.MockCallArgs) (resource.PropertyMap, error) {
	if args.Token == string(r) {
		return nil, errRefused
	}
	return resource.PropertyMap{}, nil
}

func TestALookUpThatFailsSaysWhatToDo(t *testing.T) {
	t.Parallel()
	for function, says := range map[string]string{
		"aws:index/getCallerIdentity:getCallerIdentity": "asking AWS whose credentials these are (try `aws sts get-caller-identity`): ",
		"aws:index/getRegion:getRegion":                 "finding the Region (set it with `pulumi config set aws:region`): ",
		"aws:index/getPartition:getPartition":           "finding the Region's partition: ",
	} {
		t.Run(function, func(t *testing.T) {
			t.Parallel()
			err := pulumi.RunErr(func(ctx *pulumi.Context) error {
				_, err := location.Of(ctx)
				return err
			}, pulumi.WithMocks("upload-router", "test", refusing(function)))
			require.ErrorContains(t, err, says)
			require.ErrorContains(t, err, errRefused.Error())
		})
	}
}
