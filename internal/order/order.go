// Package order has things wait for each other without hiding their values.
package order

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// After is a value for those who need the others to be there as well, such as a security group's id for who needs its rules.
//
// Unlike a value that is computed from the others' too, it stays known in a plan
// in which one of them is new: what uses it isn't shown as changed.
func After[T pulumi.Output](ctx *pulumi.Context, value T, others ...pulumi.Resource) T {
	return pulumi.OutputWithDependencies(ctx.Context(), value, others...).(T) //nolint:forcetypeassert // It gives what it takes.
}
