package repository_test

import (
	"encoding/json"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/components/repository"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/declared/declaredtest"
)

const (
	typeRepository = "aws:ecr/repository:Repository"
	typeLifecycle  = "aws:ecr/lifecyclePolicy:LifecyclePolicy"
)

func declare(t *testing.T, args repository.Args) *declared.System {
	t.Helper()
	return declaredtest.Evaluate(t, declared.Options{}, declaredtest.Export(func(ctx *pulumi.Context) (pulumi.Map, error) {
		r, err := repository.New(ctx, "img", &args)
		if err != nil {
			return nil, err
		}
		return pulumi.Map{"uri": r.URI, "arn": r.ARN, "name": r.Name, "registryId": r.RegistryID}, nil
	}))
}

func TestTheRepositoryIsImmutableAndScanned(t *testing.T) {
	t.Parallel()
	system := declare(t, repository.Args{})
	require.Equal(t, map[string]int{repository.Type: 1, typeRepository: 1, typeLifecycle: 1}, declaredtest.Counts(system))
	require.Equal(t, map[string]any{
		"forceDelete":                false,
		"imageScanningConfiguration": map[string]any{"scanOnPush": true},
		"imageTagMutability":         "IMMUTABLE",
	}, declaredtest.Only(t, system, typeRepository).Inputs)
}

func TestTheRepositoryHasTheNameThatIsGiven(t *testing.T) {
	t.Parallel()
	system := declare(t, repository.Args{Name: "team/uploads"})
	require.Equal(t, "team/uploads", declaredtest.Only(t, system, typeRepository).Text("name"))
	require.Equal(t, map[string]any{
		"uri":        "123456789012.dkr.ecr.eu-central-1.amazonaws.com/team/uploads",
		"arn":        "arn:aws:ecr:eu-central-1:123456789012:repository/team/uploads",
		"name":       "team/uploads",
		"registryId": "123456789012",
	}, system.Outputs)
}

func TestImagesGoWithTheStackOnlyIfThatIsAskedFor(t *testing.T) {
	t.Parallel()
	system := declare(t, repository.Args{ForceDestroy: true})
	require.Equal(t, true, declaredtest.Only(t, system, typeRepository).Inputs["forceDelete"])
}

// The functions are those of the stack, and of nobody else.
func TestLambdaPullsForTheFunctionsThatAreNamed(t *testing.T) {
	t.Parallel()
	const functions = "arn:aws:lambda:eu-central-1:123456789012:function:fn-*"
	system := declare(t, repository.Args{FunctionARN: functions})
	policy := declaredtest.Only(t, system, "aws:ecr/repositoryPolicy:RepositoryPolicy")
	require.Equal(t, declaredtest.Only(t, system, typeRepository).Outputs["name"], policy.Text("repository"))
	require.JSONEq(t, `{"Version": "2012-10-17", "Statement": [{
		"Sid": "LambdaECRImageRetrievalPolicy", "Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"},
		"Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
		"Condition": {"StringLike": {"aws:SourceArn": ["`+functions+`"]}}
	}]}`, policy.Text("policy"))
}

func TestTheRepositoryKeepsThirtyImages(t *testing.T) {
	t.Parallel()
	system := declare(t, repository.Args{})
	lifecycle := declaredtest.Only(t, system, typeLifecycle)
	require.Equal(t, declaredtest.Only(t, system, typeRepository).Outputs["name"], lifecycle.Text("repository"))
	require.True(t, json.Valid([]byte(lifecycle.Text("policy"))))
	require.JSONEq(t, `{"rules": [{
		"rulePriority": 1,
		"description": "Untagged images are left-overs of a broken push",
		"selection": {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 1},
		"action": {"type": "expire"}
	}, {
		"rulePriority": 2,
		"description": "Keep the last 30 images to go back to",
		"selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 30},
		"action": {"type": "expire"}
	}]}`, lifecycle.Text("policy"))
}

func TestWithAKeyOfTheAccountsOwnTheRepositoryIsEncryptedWithIt(t *testing.T) {
	t.Parallel()
	const key = "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-0000-4000-8000-0123456789ab"
	system := declare(t, repository.Args{KMSKeyARN: pulumi.String(key)})
	require.Equal(t, []any{map[string]any{"encryptionType": "KMS", "kmsKey": key}},
		declaredtest.Only(t, system, typeRepository).Inputs["encryptionConfigurations"])
}
