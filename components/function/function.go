// Package function is a Lambda function: the one that processes small files (requirements A27, A28 and C11), or another program.
package function

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/lambda"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/access"
	"example.com/upload-router/components/location"
	"example.com/upload-router/internal/arguments"
	"example.com/upload-router/internal/outputs"
	"example.com/upload-router/internal/policy"
)

// Type is the component's type token.
const Type = "upload-router:components:Function"

// minStorageMB is the smallest disk that Lambda takes.
//
// https://docs.aws.amazon.com/lambda/latest/api/API_EphemeralStorage.html
const minStorageMB = 512

// Args configure a Function.
type Args struct {
	// Access is what it may do besides writing its log. Default: nothing.
	access.Access

	// Location is where the stack is. Required.
	Location location.Location `required:"true"`
	// Code is a zip with the binary `bootstrap` in it. Required without ImageURI.
	Code pulumi.Archive
	// ImageURI is a container image in place of the zip, in ECR in the function's own Region: by digest, for its architecture, one manifest
	// and no index, with an absolute entry point, and in a repository that Lambda may pull from. Required without Code.
	ImageURI pulumi.StringInput
	// Architecture is arm64 or x86_64. Required.
	Architecture string `required:"true"`
	// MemoryMB is the function's memory, which its share of a CPU follows. Required.
	MemoryMB int `required:"true"`
	// StorageMB is its disk, /tmp, 512 to 10240. Default: 512.
	StorageMB int
	// TimeoutSeconds ends an invocation. Required.
	TimeoutSeconds int `required:"true"`
	// Tracing has X-Ray trace the invocations (requirement C17).
	Tracing bool
	// Concurrency is how many invocations there may be at once, which are kept free
	// for it. 0: as many as the account has, and none kept free.
	Concurrency int
	// Description says what it does. Empty: what the function for small files does.
	Description string
	// Environment are its variables, such as those by which a processor finds the ledger. Empty: none.
	Environment pulumi.StringMap
	// LogGroupName and LogGroupARN are where it writes. Required.
	LogGroupName, LogGroupARN pulumi.StringInput `required:"true"`
}

// errCode is for a function that has no code, or two.
var errCode = errors.New("the function takes either Code or ImageURI")

// ARN is the ARN that the function of a name will have, for the policy of what is there before it: with a wildcard for what Pulumi adds to
// its name.
func ARN(at location.Location, name string) string { return at.ARN("lambda", "function:"+name+"-*") }

// Function is a Lambda function with its role.
type Function struct {
	pulumi.ResourceState

	// ARN is the function's ARN.
	ARN pulumi.StringOutput `pulumi:"arn"`
	// Name is the function's name.
	Name pulumi.StringOutput `pulumi:"name"`
	// RoleName is its role, for whoever grants it more, such as reading a bucket.
	RoleName pulumi.StringOutput `pulumi:"roleName"`
	// RoleARN is the role's ARN, for policies that make an exception of it.
	RoleARN pulumi.StringOutput `pulumi:"roleArn"`
}

// New makes a Function. Its role may write to its log group and to the ledger, and send traces; what it may read, the component that has it
// grants by RoleName.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Function, error) {
	if err := arguments.Check(args); err != nil {
		return nil, err //nolint:wrapcheck // It names the fields.
	}
	if (args.Code == nil) == (args.ImageURI == nil) {
		return nil, errCode
	}
	f := &Function{}
	if err := ctx.RegisterComponentResource(Type, name, f, opts...); err != nil {
		return nil, fmt.Errorf("registering the function: %w", err)
	}
	description := cmp.Or(args.Description, "Processes uploads that go to Lambda")
	role, err := policy.Role(ctx, f, name+"-role", "Runs the Lambda function: "+description, "lambda.amazonaws.com", args.Location)
	if err != nil {
		return nil, fmt.Errorf("creating the function's role: %w", err)
	}
	granted, err := f.grants(ctx, name, args, role.Name)
	if err != nil {
		return nil, err
	}
	functionArgs := &lambda.FunctionArgs{
		Description:   pulumi.String(description),
		Architectures: pulumi.StringArray{pulumi.String(args.Architecture)},
		MemorySize:    pulumi.Int(args.MemoryMB),
		Timeout:       pulumi.Int(args.TimeoutSeconds),
		Role:          role.Arn,
		// Said in any case, or the function would go on with what it once had.
		EphemeralStorage: &lambda.FunctionEphemeralStorageArgs{Size: pulumi.Int(cmp.Or(args.StorageMB, minStorageMB))},
		LoggingConfig: &lambda.FunctionLoggingConfigArgs{
			LogFormat: pulumi.String("JSON"),
			LogGroup:  args.LogGroupName.ToStringOutput().ToStringPtrOutput(),
		},
	}
	args.code(functionArgs)
	if len(args.Environment) > 0 {
		functionArgs.Environment = &lambda.FunctionEnvironmentArgs{Variables: args.Environment}
	}
	if args.Concurrency > 0 {
		functionArgs.ReservedConcurrentExecutions = pulumi.Int(args.Concurrency)
	}
	// Said in any case, or the function would go on with what it once had.
	functionArgs.TracingConfig = &lambda.FunctionTracingConfigArgs{Mode: pulumi.String("PassThrough")}
	if args.Tracing {
		// Lambda asks by itself which invocations to trace.
		// https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html
		functionArgs.TracingConfig = &lambda.FunctionTracingConfigArgs{Mode: pulumi.String("Active")}
	}
	function, err := lambda.NewFunction(ctx, name, functionArgs, pulumi.Parent(f), pulumi.DependsOn(granted))
	if err != nil {
		return nil, fmt.Errorf("creating the function: %w", err)
	}
	f.ARN, f.Name, f.RoleName, f.RoleARN = function.Arn, function.Name, role.Name, role.Arn

	return f, outputs.Register(ctx, f)
}

// code says what the function runs.
//
// Lambda can't turn a function of a zip into one of an image, or back, so the provider replaces it:
// https://docs.aws.amazon.com/lambda/latest/dg/images-create.html. As the function is auto-named, the new one has another name and is
// there before the old one goes, which is what this component relies on: if Lambda refuses the image, the old one still runs. Whoever
// takes the outputs is updated in between. Executions that began before call the old one until the deployment ends; those that still wait
// then for another try fail, as the function that they name is gone, and are to be started anew (docs/runbook.md).
func (a *Args) code(of *lambda.FunctionArgs) {
	if a.ImageURI != nil {
		of.PackageType, of.ImageUri = pulumi.String("Image"), a.ImageURI.ToStringOutput().ToStringPtrOutput()
		return
	}
	of.Runtime, of.Handler, of.Code = pulumi.String("provided.al2023"), pulumi.String("bootstrap"), a.Code
}

// grants lets the function do what it does for itself.
func (f *Function) grants(ctx *pulumi.Context, name string, args *Args, role pulumi.StringInput) ([]pulumi.Resource, error) {
	processor := policy.Processor{At: args.Location, Access: args.Access, LogGroupARN: args.LogGroupARN}
	if args.Tracing {
		processor.Traces = []string{"xray:PutTelemetryRecords", "xray:PutTraceSegments"}
	}
	return processor.Grant(ctx, f, name, role) //nolint:wrapcheck // It says which.
}
