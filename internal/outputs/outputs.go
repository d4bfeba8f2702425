// Package outputs registers a component's outputs by the tags of its fields.
package outputs

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

var errNoInput = errors.New("a tagged field is no pulumi.Input")

// Register registers each field of the component, a pointer to a struct, that has a tag `pulumi:"…"` as the output of that name,
// as the SDK does with what a component provider constructs (provider.NewConstructResult). It fails for such a field that is no
// pulumi.Input, and as RegisterResourceOutputs does.
// https://www.pulumi.com/docs/iac/concepts/resources/components/#registering-component-outputs
func Register(ctx *pulumi.Context, component pulumi.ComponentResource) error {
	outputs, err := of(component)
	if err != nil {
		return err
	}

	return ctx.RegisterResourceOutputs(component, outputs)
}

func of(component any) (pulumi.Map, error) {
	value := reflect.ValueOf(component).Elem()
	outputs := pulumi.Map{}
	for i := range value.NumField() {
		field := value.Type().Field(i)
		name, tagged := field.Tag.Lookup("pulumi")
		if !tagged {
			continue
		}
		output, ok := reflect.TypeAssert[pulumi.Input](value.Field(i))
		if !ok {
			return nil, fmt.Errorf("%w: %s.%s", errNoInput, value.Type(), field.Name)
		}
		outputs[name] = output
	}

	return outputs, nil
}
