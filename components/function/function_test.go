package function_test

import (
	"fmt"
	"path"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/components/function"
	"example.com/upload-router/components/location"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/declared/declaredtest"
)

const (
	typeRole     = "aws:iam/role:Role"
	typePolicy   = "aws:iam/rolePolicy:RolePolicy"
	typeFunction = "aws:lambda/function:Function"
)

func declare(t *testing.T, at location.Location, architecture string) *declared.System {
	t.Helper()
	return declaredtest.Evaluate(t, declaredtest.At(at), declaredtest.Export(func(ctx *pulumi.Context) (pulumi.Map, error) {
		f, err := function.New(ctx, "fn", &function.Args{
			Location:       at,
			Code:           pulumi.NewFileArchive("build/function.zip"),
			Architecture:   architecture,
			MemoryMB:       512,
			StorageMB:      1024,
			TimeoutSeconds: 60,
			LogGroupName:   pulumi.String("group"),
			LogGroupARN:    pulumi.String(at.ARN("logs", "log-group:group")),
		})
		if err != nil {
			return nil, err
		}
		return pulumi.Map{"arn": f.ARN, "name": f.Name, "roleName": f.RoleName, "roleArn": f.RoleARN}, nil
	}))
}

// declareWith is the function with more arguments.
func declareWith(t *testing.T, more func(*function.Args)) *declared.System {
	t.Helper()
	return declaredtest.Evaluate(t, declared.Options{}, func(ctx *pulumi.Context) error {
		at := declaredtest.Home()
		args := &function.Args{
			Location: at, Code: pulumi.NewFileArchive("build/function.zip"), Architecture: "arm64", MemoryMB: 512, TimeoutSeconds: 60,
			LogGroupName: pulumi.String("group"), LogGroupARN: pulumi.String(at.ARN("logs", "log-group:group")),
		}
		more(args)
		_, err := function.New(ctx, "fn", args)
		return err
	})
}

func TestAProcessorFindsTheLedgerAndMayWriteIt(t *testing.T) {
	t.Parallel()
	for name, test := range declaredtest.LedgerGrants() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			system := declareWith(t, func(args *function.Args) {
				args.Environment = pulumi.StringMap{"UPLOAD_LEDGER_TABLE": pulumi.String("ledger")}
				args.TableARN, args.TableName, args.TableKMSKeyARN = test.TableARN, test.TableName, test.KeyARN
			})
			made := declaredtest.Only(t, system, typeFunction)
			require.Equal(t, map[string]any{"variables": map[string]any{"UPLOAD_LEDGER_TABLE": "ledger"}}, made.Inputs["environment"])
			granted := declaredtest.Named(t, system, typePolicy, "fn-ledger")
			require.JSONEq(t, test.Policy, granted.Text("policy"))
			declaredtest.RequireDependsOn(t, made, granted)
		})
	}
}

func TestAProcessorMayWriteOutputs(t *testing.T) {
	t.Parallel()
	for name, test := range declaredtest.OutputGrants() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			system := declareWith(t, func(args *function.Args) {
				args.OutputBucketARN, args.OutputPrefix, args.OutputKMSKeyARN = test.BucketARN, test.Prefix, test.KeyARN
			})
			granted := declaredtest.Named(t, system, typePolicy, "fn-output")
			require.Equal(t, declaredtest.Only(t, system, typeRole).Outputs["name"], granted.Text("role"))
			require.JSONEq(t, test.Policy, granted.Text("policy"))
			declaredtest.RequireDependsOn(t, declaredtest.Only(t, system, typeFunction), granted)
		})
	}
}

func TestAnotherProgramSaysWhatItDoes(t *testing.T) {
	t.Parallel()
	system := declareWith(t, func(args *function.Args) { args.Description = "Looks after it" })
	require.Equal(t, "Looks after it", declaredtest.Only(t, system, typeFunction).Text("description"))
	require.Equal(t, "Runs the Lambda function: Looks after it", declaredtest.Only(t, system, typeRole).Text("description"))
}

// An image has its own runtime and entry point.
func TestAFunctionOfAnImage(t *testing.T) {
	t.Parallel()
	const uri = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/a@sha256:0123456789abcdef"
	system := declareWith(t, func(args *function.Args) { args.Code, args.ImageURI = nil, pulumi.String(uri) })
	made := declaredtest.Only(t, system, typeFunction)
	require.Equal(t, "Image", made.Text("packageType"))
	require.Equal(t, uri, made.Text("imageUri"))
	for _, input := range []string{"code", "runtime", "handler"} {
		require.NotContains(t, made.Inputs, input)
	}
	require.Equal(t, []any{"arm64"}, made.Inputs["architectures"])
}

func TestAFunctionRunsOneThing(t *testing.T) {
	t.Parallel()
	for name, args := range map[string]function.Args{
		"neither": {}, "both": {Code: pulumi.NewFileArchive("build/function.zip"), ImageURI: pulumi.String("image")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args.Location, args.Architecture, args.MemoryMB, args.TimeoutSeconds = declaredtest.Home(), "arm64", 512, 60
			args.LogGroupName, args.LogGroupARN = pulumi.String("group"), pulumi.String("arn")
			_, err := declared.Evaluate(func(ctx *pulumi.Context) error {
				_, err := function.New(ctx, "fn", &args)
				return err
			}, declared.Options{})
			require.ErrorContains(t, err, "the function takes either Code or ImageURI")
		})
	}
}

// What is there before the function names it by its ARN.
func TestTheARNIsKnownBeforehand(t *testing.T) {
	t.Parallel()
	declaredtest.InEach(t, func(t *testing.T, at location.Location) {
		t.Helper()
		arn := declaredtest.Only(t, declare(t, at, "arm64"), typeFunction).Output("arn")
		matches, err := path.Match(function.ARN(at, "fn"), arn)
		require.NoError(t, err)
		require.True(t, matches, arn)
	})
}

func TestItIsOneFunctionWithOneRoleAndOnePolicy(t *testing.T) {
	t.Parallel()
	require.Equal(t, map[string]int{function.Type: 1, typeRole: 1, typePolicy: 1, typeFunction: 1},
		declaredtest.Counts(declare(t, declaredtest.Home(), "x86_64")))
}

func TestTheFunctionHasExactlyTheseProperties(t *testing.T) {
	t.Parallel()
	for _, architecture := range []string{"x86_64", "arm64"} {
		t.Run(architecture, func(t *testing.T) {
			t.Parallel()
			system := declare(t, declaredtest.Home(), architecture)
			require.Equal(t, map[string]any{
				"architectures":    []any{architecture},
				"code":             "build/function.zip",
				"description":      "Processes uploads that go to Lambda",
				"ephemeralStorage": map[string]any{"size": 1024.0},
				"handler":          "bootstrap",
				"loggingConfig":    map[string]any{"logFormat": "JSON", "logGroup": "group"},
				"memorySize":       512.0,
				"role":             declaredtest.Only(t, system, typeRole).Outputs["arn"],
				"runtime":          "provided.al2023",
				"timeout":          60.0,
				"tracingConfig":    map[string]any{"mode": "PassThrough"},
			}, declaredtest.Only(t, system, typeFunction).Inputs)
		})
	}
}

func TestLambdaOfThisAccountAloneTakesTheRole(t *testing.T) {
	t.Parallel()
	declaredtest.InEach(t, func(t *testing.T, at location.Location) {
		t.Helper()
		role := declaredtest.Only(t, declare(t, at, "x86_64"), typeRole)
		require.JSONEq(t, `{"Version": "2012-10-17", "Statement": [{
			"Sid": "AssumeRole",
			"Effect": "Allow",
			"Principal": {"Service": "lambda.amazonaws.com"},
			"Action": ["sts:AssumeRole"],
			"Condition": {"StringEquals": {"aws:SourceAccount": ["123456789012"]}}
		}]}`, role.Text("assumeRolePolicy"))
		require.NotContains(t, role.Inputs, "managedPolicyArns")
		require.NotContains(t, role.Inputs, "inlinePolicies")
	})
}

func TestTheRoleMayWriteItsLogsAndNothingElse(t *testing.T) {
	t.Parallel()
	declaredtest.InEach(t, func(t *testing.T, at location.Location) {
		t.Helper()
		system := declare(t, at, "x86_64")
		granted := declaredtest.Only(t, system, typePolicy)
		require.Equal(t, declaredtest.Only(t, system, typeRole).Outputs["name"], granted.Text("role"))
		require.JSONEq(t, fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{
			"Sid": "WriteLogs",
			"Effect": "Allow",
			"Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
			"Resource": ["arn:%s:logs:%s:123456789012:log-group:group:*"]
		}]}`, at.Partition, at.Region), granted.Text("policy"))
	})
}

// A function that runs before its role may write would lose its first logs.
func TestTheFunctionWaitsForItsPolicy(t *testing.T) {
	t.Parallel()
	system := declare(t, declaredtest.Home(), "x86_64")
	made := declaredtest.Only(t, system, typeFunction)
	declaredtest.RequireDependsOn(t, made, declaredtest.Only(t, system, typePolicy), declaredtest.Only(t, system, typeRole))
}

func TestTheOutputsAreTheFunctionsOwn(t *testing.T) {
	t.Parallel()
	system := declare(t, declaredtest.Home(), "x86_64")
	made, role := declaredtest.Only(t, system, typeFunction), declaredtest.Only(t, system, typeRole)
	require.Equal(t, map[string]any{
		"arn": made.Outputs["arn"], "name": made.Outputs["name"], "roleName": role.Outputs["name"], "roleArn": role.Outputs["arn"],
	}, system.Outputs)
}
