// Package declared evaluates a Pulumi program without an engine and gives what it registered: the system as it would be deployed.
// The local run, the documents and the tests all start from here.
//
// The providers' part is played by a table of the values that AWS would fill in (see provider.go). A function that it doesn't
// know is an error, so that nothing is silently made up. A resource type that the table doesn't know is recorded with a name and
// an ARN to be recognised by, and is in [System.Unknown].
package declared

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/internals"

	"example.com/upload-router/internal/partition"
)

// Options say for which stack a program is evaluated.
type Options struct {
	// Project is the project's name and so the namespace of Config. Default upload-router.
	Project string
	// Stack is the stack's name. Default local.
	Stack string
	// Config are the stack's values without namespace, as Pulumi keeps them: lists and objects are JSON.
	Config map[string]string
	// AccountID, Region and Partition are where AWS would say that the stack is.
	// Default 123456789012, eu-central-1, the partition of the Region.
	AccountID, Region, Partition string
	// NoDefaultVPC lets the look-up of the default VPC fail.
	NoDefaultVPC bool
	// Subnets are the ids of the subnets of every VPC that is looked up. Default: three.
	Subnets []string
	// Zones are the Region's Availability Zones. Default: three.
	Zones []string
	// Images are the digests of what is in ECR before, by repository and tag: "repository:tag". An image that the program pushes is there
	// as soon as it is declared.
	Images map[string]string
	// EndpointZones are the zones that have a service's interface endpoints, by the endpoint's name. Default: all.
	EndpointZones map[string][]string
}

// System is what a program registered.
type System struct {
	// Resources are the resources in the order of their names.
	Resources []Resource
	// Functions are the tokens of the providers' functions that were called, such
	// as aws:ec2/getVpc:getVpc, each once and in order.
	Functions []string
	// Outputs are the stack's outputs.
	Outputs map[string]any
}

// Resource is a resource as it was registered.
type Resource struct {
	// Type is the type token, such as aws:sqs/queue:Queue.
	Type string
	// Name is the logical name.
	Name string
	// URN is the resource's URN, which the dependencies of others name.
	URN string
	// ID is the physical id that AWS would have given.
	ID string
	// Custom is false for components.
	Custom bool
	// Inputs are the inputs as plain values. Secrets are opened; archives are paths.
	Inputs map[string]any
	// Outputs are the inputs and what AWS would have filled in.
	Outputs map[string]any
	// Secrets are the paths of the inputs that were marked as secret.
	Secrets []string
	// Parent is the URN of the resource's parent.
	Parent string
	// Dependencies are the URNs of all that must be there first, in order.
	Dependencies []string
	// PropertyDependencies are the URNs that each input's value comes from.
	PropertyDependencies map[string][]string
	// Protect says whether Pulumi refuses to delete it.
	Protect bool
}

func (o Options) withDefaults() Options {
	o.Project, o.Stack = cmp.Or(o.Project, "upload-router"), cmp.Or(o.Stack, "local")
	o.AccountID, o.Region = cmp.Or(o.AccountID, "123456789012"), cmp.Or(o.Region, "eu-central-1")
	own, _ := partition.OfRegion(o.Region)
	o.Partition = cmp.Or(o.Partition, own.Name)
	if o.Subnets == nil {
		o.Subnets = []string{"subnet-0b", "subnet-0a", "subnet-0c"}
	}
	if o.Zones == nil {
		o.Zones = []string{o.Region + "b", o.Region + "a", o.Region + "c"}
	}
	return o
}

// Evaluate runs the program and gives what it registered.
func Evaluate(program pulumi.RunFunc, options Options) (*System, error) {
	o := options.withDefaults()
	r := &recorder{provider: provider{o}}
	system := &System{Outputs: map[string]any{}}
	config := map[string]string{}
	for k, v := range o.Config {
		if !strings.Contains(k, ":") {
			k = o.Project + ":" + k
		}
		config[k] = v
	}
	err := pulumi.RunErr(func(ctx *pulumi.Context) error {
		if err := program(ctx); err != nil {
			return err
		}
		// An output that no resource is behind is not waited for by the SDK.
		for name, value := range ctx.GetCurrentExportMap() {
			output, err := internals.UnsafeAwaitOutput(ctx.Context(), pulumi.ToOutput(value))
			if err != nil {
				return fmt.Errorf("resolving the stack's output %s: %w", name, err)
			}
			system.Outputs[name] = output.Value
		}
		return nil
	}, pulumi.WithMocks(o.Project, o.Stack, r), func(info *pulumi.RunInfo) {
		info.Config, info.DryRun = config, false
	})
	if err != nil {
		return nil, fmt.Errorf("evaluating the program: %w", withoutBullets(err))
	}
	slices.SortFunc(r.resources, func(a, b Resource) int {
		return strings.Compare(a.Type+" "+a.Name, b.Type+" "+b.Name)
	})
	system.Resources = r.resources
	slices.Sort(r.functions)
	system.Functions = slices.Compact(r.functions)
	return system, nil
}

// withoutBullets takes errors out of the list with bullets that the SDK puts even a single one into.
func withoutBullets(err error) error {
	var list interface{ WrappedErrors() []error }
	if errors.As(err, &list) {
		return errors.Join(list.WrappedErrors()...)
	}
	return err
}

// typeStackReference is another stack's outputs.
const typeStackReference = "pulumi:pulumi:StackReference"

// recorder is the SDK's mock: it keeps each resource and answers for the providers.
type recorder struct {
	provider provider

	mu        sync.Mutex
	resources []Resource
	functions []string
}

// NewResource records a resource and gives its outputs.
func (r *recorder) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	if args.ReadRPC != nil { // What is read isn't declared: it is there, and no part of the system.
		state := args.Inputs.Copy()
		if args.TypeToken == typeStackReference { // what another stack has isn't known here
			state["outputs"], state["secretOutputNames"] = resource.NewObjectProperty(nil), resource.NewArrayProperty(nil)
		}
		return args.ID, state, nil
	}
	made := Resource{Type: args.TypeToken, Name: args.Name, Custom: args.Custom}
	made.Inputs = plainMap(args.Inputs)
	made.Secrets = secrets("", resource.NewObjectProperty(args.Inputs))
	if rpc := args.RegisterRPC; rpc != nil {
		made.Parent, made.Protect = rpc.GetParent(), rpc.GetProtect()
		made.Dependencies = slices.Sorted(slices.Values(rpc.GetDependencies()))
		made.PropertyDependencies = map[string][]string{}
		for property, on := range rpc.GetPropertyDependencies() {
			if len(on.GetUrns()) > 0 {
				made.PropertyDependencies[property] = slices.Sorted(slices.Values(on.GetUrns()))
			}
		}
		made.URN = r.provider.urn(made)
	}
	outputs := args.Inputs.Copy()
	if args.Custom {
		var computed map[string]any
		made.ID, computed = r.provider.create(args.TypeToken, args.Name, made.Inputs)
		for k, v := range computed {
			if _, given := outputs[resource.PropertyKey(k)]; !given {
				outputs[resource.PropertyKey(k)] = resource.NewPropertyValue(v)
			}
		}
	}
	made.Outputs = plainMap(outputs)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.resources = append(r.resources, made)
	return made.ID, outputs, nil
}

// Call answers a provider's function.
func (r *recorder) Call(args pulumi.MockCallArgs) (resource.PropertyMap, error) {
	r.mu.Lock()
	r.functions = append(r.functions, args.Token)
	r.mu.Unlock()
	given := plainMap(args.Args)
	if args.Token == functionImage {
		if pushed := r.pushed(given); pushed != "" {
			return resource.NewPropertyMapFromMap(map[string]any{"imageDigest": pushed}), nil
		}
	}
	result, err := r.provider.call(args.Token, given)
	if err != nil {
		return nil, err
	}
	return resource.NewPropertyMapFromMap(result), nil
}

// pushed is the digest of an image that the program has pushed; empty if it hasn't.
func (r *recorder) pushed(look map[string]any) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, made := range r.resources {
		name, _ := made.Inputs["imageName"].(string)
		if made.Type == TypeImage && strings.HasSuffix(name, "/"+imageName(look)) {
			_, pushed, _ := strings.Cut(made.Output("repoDigest"), "@")
			return pushed
		}
	}
	return ""
}

// plainMap gives the properties as plain values.
func plainMap(m resource.PropertyMap) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		out[string(k)] = plain(v)
	}
	return out
}

func plain(v resource.PropertyValue) any {
	switch {
	case v.IsSecret():
		return plain(v.SecretValue().Element)
	case v.IsOutput():
		return plain(v.OutputValue().Element)
	case v.IsArchive():
		return v.ArchiveValue().Path
	case v.IsAsset():
		return v.AssetValue().Path
	case v.IsArray():
		out := make([]any, len(v.ArrayValue()))
		for i, e := range v.ArrayValue() {
			out[i] = plain(e)
		}
		return out
	case v.IsObject():
		return plainMap(v.ObjectValue())
	}
	return v.Mappable()
}

// secrets gives the paths of the values that are marked as secret.
func secrets(path string, v resource.PropertyValue) []string {
	switch {
	case v.IsSecret():
		return []string{path}
	case v.IsArray():
		var out []string
		for i, e := range v.ArrayValue() {
			out = append(out, secrets(fmt.Sprintf("%s[%d]", path, i), e)...)
		}
		return out
	case v.IsObject():
		var out []string
		object := v.ObjectValue()
		for _, k := range slices.Sorted(maps.Keys(object)) {
			out = append(out, secrets(strings.TrimPrefix(path+"."+string(k), "."), object[k])...)
		}
		return out
	}
	return nil
}
