package stack_test

import (
	"context"
	"errors"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/declared/declaredtest"
	"example.com/upload-router/internal/settings"
	"example.com/upload-router/stack"
)

// problems gives the keys that an error complains of.
func problems(t *testing.T, err error) []string {
	t.Helper()
	require.ErrorIs(t, err, settings.ErrInvalid)
	var invalid *settings.InvalidError
	require.ErrorAs(t, err, &invalid)
	var keys []string
	for _, p := range invalid.Problems {
		keys = append(keys, p.Key)
	}
	return keys
}

// neverBuilt fails a test in which something is compiled all the same.
func neverBuilt(t *testing.T) pulumi.RunFunc {
	t.Helper()
	return func(ctx *pulumi.Context) error {
		return stack.Declare(ctx, func(context.Context, build.Target) (build.Artifacts, error) {
			assert.Fail(t, "compiled for a configuration that is wrong")
			return build.Artifacts{}, nil
		})
	}
}

// Requirement A7.
func TestAllThatIsWrongIsSaidAtOnceAndNothingIsMade(t *testing.T) {
	t.Parallel()
	registered, err := declaredtest.Fail(t, declared.Options{Config: config{
		"bucketName": "Not A Bucket", "architecture": "mips", "lambdaMemory": "1", "taskMemory": "1000", "network": "shared",
		"egress": `[{"protocol":"tcp"}]`, "kmsKeyArn": "alias/x", "notify": `["nobody"]`, "forceDestroy": "maybe",
	}}, neverBuilt(t))
	require.ElementsMatch(t, []string{
		"bucketName", "architecture", "lambdaMemory", "taskMemory", "network", "egress[0].port", "egress[0].cidr", "kmsKeyArn",
		"notify[0]", "forceDestroy",
	}, problems(t, err))
	require.ErrorContains(t, err, "reading the stack's configuration: ")
	require.Empty(t, registered)
}

func TestKeyAndTopicMustBeInTheStacksRegion(t *testing.T) {
	t.Parallel()
	_, err := declaredtest.Fail(t, declared.Options{Config: config{
		"aws:region": "us-east-1", "kmsKeyArn": givenKey, "notify": `["` + givenTopic + `"]`,
	}}, neverBuilt(t))
	require.Equal(t, []string{"kmsKeyArn", "notify[0]"}, problems(t, err))
}

func TestAMisspeltKeyIsFoundWhereTheEngineHandsItOver(t *testing.T) {
	t.Setenv(pulumi.EnvConfig, `{"upload-router:bucketNmae":"b","aws:region":"eu-central-1","other:key":"x"}`)
	registered, err := declaredtest.Fail(t, declared.Options{}, neverBuilt(t))
	require.Equal(t, []string{"bucketNmae"}, problems(t, err))
	require.ErrorContains(t, err, "bucketName")
	require.Empty(t, registered)
}

// Case S13. The namespace of the configuration is the project's own name, and what is in another is reported.
func TestS13TheConfigurationIsTheProjectsOwn(t *testing.T) {
	t.Setenv(pulumi.EnvConfig, `{"upload-router:lambdaMemory":"256","team-a:taskCpu":"1","aws:region":"eu-central-1"}`)
	registered, err := declaredtest.Fail(t, declared.Options{Project: "team-a", Config: config{"taskCpu": "1"}}, neverBuilt(t))
	require.Equal(t, []string{"taskCpu", "upload-router:lambdaMemory"}, problems(t, err))
	require.ErrorContains(t, err, "team-a:taskCpu: 1: must be 256, ")
	require.ErrorContains(t, err, "upload-router:lambdaMemory: is not read, since the project is called team-a")
	require.Empty(t, registered)
}

// Case S12.
func TestS12ARegionThatCantBeOneIsRefused(t *testing.T) {
	t.Parallel()
	_, err := declaredtest.Fail(t, declared.Options{Config: config{"aws:region": "nowhere"}}, neverBuilt(t))
	require.Equal(t, []string{"aws:region"}, problems(t, err))
}

func TestTheErrorOfASecretDoesNotShowIt(t *testing.T) {
	t.Setenv("PULUMI_CONFIG_SECRET_KEYS", `["upload-router:kmsKeyArn"]`)
	_, err := declaredtest.Fail(t, declared.Options{Config: config{"kmsKeyArn": "arn:aws:kms:hush"}}, neverBuilt(t))
	require.Equal(t, []string{"kmsKeyArn"}, problems(t, err))
	require.NotContains(t, err.Error(), "hush")
}

var (
	errCompiler = errors.New("main.go:1:1: expected 'package'")
	errAWS      = errors.New("no credentials")
)

func TestACompilersErrorEndsTheProgramBeforeAnythingIsMade(t *testing.T) {
	t.Parallel()
	registered, err := declaredtest.Fail(t, declared.Options{}, func(ctx *pulumi.Context) error {
		return stack.Declare(ctx, func(context.Context, build.Target) (build.Artifacts, error) {
			return build.Artifacts{}, errCompiler
		})
	})
	require.ErrorIs(t, err, errCompiler)
	require.Empty(t, registered)
}

func TestWithoutADefaultVPCNothingIsMade(t *testing.T) {
	t.Parallel()
	registered, err := declaredtest.Fail(t, declared.Options{NoDefaultVPC: true, Config: config{"network": "default"}}, program)
	require.ErrorContains(t, err, "aws ec2 create-default-vpc --region eu-central-1")
	require.Equal(t, []string{"upload-router:components:Network upload-router-local-network"}, registered)
}

// lost is AWS without usable credentials.
type lost struct{}

func (lost) NewResource(pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	return "", nil, errAWS
}

func (lost) Call(pulumi.MockCallArgs) (resource.PropertyMap, error) { return nil, errAWS }

// Requirement A10.
func TestWithoutCredentialsNothingIsCompiledOrMade(t *testing.T) {
	t.Parallel()
	err := pulumi.RunErr(neverBuilt(t), pulumi.WithMocks("upload-router", "test", lost{}))
	require.ErrorContains(t, err, "aws sts get-caller-identity")
	require.ErrorContains(t, err, errAWS.Error())
}
