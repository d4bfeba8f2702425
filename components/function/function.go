// Package function is the Lambda function that processes small files (requirements A27, A28 and C11).
package function

import (
	"cmp"
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/lambda"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

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
	// Location is where the stack is. Required.
	Location location.Location `required:"true"`
	// Code is a zip with the binary `bootstrap` in it. Required.
	Code pulumi.Archive `required:"true"`
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
	// LogGroupName and LogGroupARN are where it writes. Required.
	LogGroupName, LogGroupARN pulumi.StringInput `required:"true"`
}

// Function is a Lambda function with its role.
type Function struct {
	pulumi.ResourceState

	// ARN is the function's ARN.
	ARN pulumi.StringOutput `pulumi:"arn"`
	// Name is the function's name.
	Name pulumi.StringOutput `pulumi:"name"`
	// RoleName is its role, for whoever grants it more, such as reading a bucket.
	RoleName pulumi.StringOutput `pulumi:"roleName"`
}

// New makes a Function. Its role may write to its log group and send traces; what it may read, the component that has it grants by
// RoleName.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Function, error) {
	if err := arguments.Check(args); err != nil {
		return nil, err //nolint:wrapcheck // It names the fields.
	}
	f := &Function{}
	if err := ctx.RegisterComponentResource(Type, name, f, opts...); err != nil {
		return nil, fmt.Errorf("registering the function: %w", err)
	}
	role, err := policy.Role(ctx, f, name+"-role", "Runs the Lambda function that processes small uploads",
		"lambda.amazonaws.com", args.Location)
	if err != nil {
		return nil, fmt.Errorf("creating the function's role: %w", err)
	}
	logging, err := policy.Grant(ctx, f, name+"-logs", role.Name, policy.WriteLogs(args.LogGroupARN))
	if err != nil {
		return nil, fmt.Errorf("letting the function write its logs: %w", err)
	}
	granted := []pulumi.Resource{logging}
	functionArgs := &lambda.FunctionArgs{
		Description:   pulumi.String("Processes uploads up to the size threshold"),
		Runtime:       pulumi.String("provided.al2023"),
		Handler:       pulumi.String("bootstrap"),
		Code:          args.Code,
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
	if args.Concurrency > 0 {
		functionArgs.ReservedConcurrentExecutions = pulumi.Int(args.Concurrency)
	}
	// Said in any case, or the function would go on with what it once had.
	functionArgs.TracingConfig = &lambda.FunctionTracingConfigArgs{Mode: pulumi.String("PassThrough")}
	if args.Tracing {
		// Lambda asks by itself which invocations to trace.
		// https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html
		tracing, err := policy.Grant(ctx, f, name+"-tracing", role.Name,
			policy.SendTraces("xray:PutTelemetryRecords", "xray:PutTraceSegments"))
		if err != nil {
			return nil, fmt.Errorf("letting the function send its traces: %w", err)
		}
		granted = append(granted, tracing)
		functionArgs.TracingConfig = &lambda.FunctionTracingConfigArgs{Mode: pulumi.String("Active")}
	}
	function, err := lambda.NewFunction(ctx, name, functionArgs, pulumi.Parent(f), pulumi.DependsOn(granted))
	if err != nil {
		return nil, fmt.Errorf("creating the function: %w", err)
	}
	f.ARN, f.Name, f.RoleName = function.Arn, function.Name, role.Name

	return f, outputs.Register(ctx, f)
}
