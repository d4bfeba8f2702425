package stack

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/settings"
)

// tagAndProtect gives every resource that is declared from now on the stack's tags if it can have any, and protects what is
// stateful. It is done here and not in the components, so that none can be forgotten. Tags of the provider's own
// (aws:defaultTags) go beside these.
func tagAndProtect(ctx *pulumi.Context, cfg *settings.Settings) error {
	tags := maps.Clone(cfg.Tags)
	if tags == nil {
		tags = map[string]string{}
	}
	tags[settings.TagProject], tags[settings.TagStack] = ctx.Project(), ctx.Stack()
	err := ctx.RegisterStackTransformation(func(r *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
		opts := r.Opts
		if kind, _ := declared.KindOf(r.Type); cfg.Protect && kind.Stateful != "" {
			opts = append(slices.Clone(opts), pulumi.Protect(true))
		}
		return &pulumi.ResourceTransformationResult{Props: tagged(r.Props, tags), Opts: opts}
	})
	if err != nil {
		return fmt.Errorf("tagging and protecting all resources: %w", err)
	}
	return nil
}

// tagged gives a resource's inputs with the tags, if it can have any. Those that it has already stay.
func tagged(inputs pulumi.Input, tags map[string]string) pulumi.Input {
	value := reflect.ValueOf(inputs)
	if value.Kind() != reflect.Pointer || value.IsNil() || value.Elem().Kind() != reflect.Struct {
		return inputs
	}
	field := value.Elem().FieldByName("Tags")
	if !field.IsValid() || field.Type() != reflect.TypeFor[pulumi.StringMapInput]() {
		return inputs
	}
	var merged pulumi.StringMapInput = pulumi.ToStringMap(tags)
	if own, ok := reflect.TypeAssert[pulumi.StringMapInput](field); ok {
		merged = own.ToStringMapOutput().ApplyT(func(own map[string]string) map[string]string {
			both := maps.Clone(tags)
			maps.Copy(both, own)
			return both
		}).(pulumi.StringMapOutput)
	}
	copied := reflect.New(value.Elem().Type())
	copied.Elem().Set(value.Elem())
	copied.Elem().FieldByName("Tags").Set(reflect.ValueOf(merged))
	return copied.Interface().(pulumi.Input)
}
