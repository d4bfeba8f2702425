package outputs

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
)

func TestTheTaggedFieldsAreTheOutputs(t *testing.T) {
	t.Parallel()
	name, names := pulumi.String("a").ToStringOutput(), pulumi.StringMap{"b": pulumi.String("c")}.ToStringMapOutput()
	outputs, err := of(&struct {
		pulumi.ResourceState

		Name  pulumi.StringOutput    `pulumi:"name"`
		Names pulumi.StringMapOutput `pulumi:"names"`
		Other pulumi.StringOutput
		own   string
	}{Name: name, Names: names, Other: name, own: "own"})
	require.NoError(t, err)
	require.Equal(t, pulumi.Map{"name": name, "names": names}, outputs)

	_, err = of(&struct {
		Name string `pulumi:"name"`
	}{"a"})
	require.ErrorIs(t, err, errNoInput)
}
