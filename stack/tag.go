package stack

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/internal/settings"
)

// protected are the types of the stateful resources: what holds data, what data
// can't be read without, and what people or running executions count on.
var protected = []string{
	"aws:cloudwatch/logGroup:LogGroup",  // what happened
	"aws:dynamodb/table:Table",          // what was processed
	"aws:ecr/repository:Repository",     // the images that running executions name by their digest
	"aws:kms/key:Key",                   // what else can't be read
	"aws:s3/bucketV2:BucketV2",          // the files
	"aws:sfn/stateMachine:StateMachine", // the executions' histories
	"aws:sns/topic:Topic",               // the subscriptions that people have confirmed
	"aws:sqs/queue:Queue",               // the events that wait in it
}

// tagAndProtect gives every resource that is declared from now on the stack's tags if it
// can have any, and protects what is to be protected. It is done here and not in
// the components, so that none can be forgotten. Tags of the provider's own
// (aws:defaultTags) go beside these.
func tagAndProtect(ctx *pulumi.Context, cfg *settings.Settings) error {
	tags := maps.Clone(cfg.Tags)
	if tags == nil {
		tags = map[string]string{}
	}
	tags[settings.TagProject], tags[settings.TagStack] = ctx.Project(), ctx.Stack()
	err := ctx.RegisterStackTransformation(func(r *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
		opts := r.Opts
		if cfg.Protect && slices.Contains(protected, r.Type) {
			opts = append(slices.Clone(opts), pulumi.Protect(true))
		}
		return &pulumi.ResourceTransformationResult{Props: tagged(r.Props, tags), Opts: opts}
	})
	if err != nil {
		return fmt.Errorf("tagging and protecting all resources: %w", err)
	}
	return nil
}

// tagged gives a resource's inputs with the tags, if it can have any. Those that
// it has already stay.
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
