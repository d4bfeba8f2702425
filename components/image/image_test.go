package image_test

import (
	"encoding/json"
	"testing"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sqs"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/components/image"
	"example.com/upload-router/components/location"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/declared/declaredtest"
)

const (
	typeRepository = "aws:ecr/repository:Repository"
	typeLifecycle  = "aws:ecr/lifecyclePolicy:LifecyclePolicy"
	typeImage      = "docker:index/image:Image"
)

func built() *image.Args {
	return &image.Args{
		Location: declaredtest.Home(), Context: "build/image", Dockerfile: "task/Dockerfile", Tag: "0123abcd", Platform: "linux/arm64",
	}
}

func declare(t *testing.T, args *image.Args) *declared.System {
	t.Helper()
	return declaredtest.Evaluate(t, declaredtest.At(args.Location), declaredtest.Export(func(ctx *pulumi.Context) (pulumi.Map, error) {
		i, err := image.New(ctx, "img", args)
		if err != nil {
			return nil, err
		}
		return pulumi.Map{"uri": i.URI, "repositoryUri": i.RepositoryURI, "repositoryArn": i.RepositoryARN}, nil
	}))
}

func TestTheRepositoryIsImmutableAndScanned(t *testing.T) {
	t.Parallel()
	system := declare(t, built())
	require.Equal(t, map[string]int{image.Type: 1, typeRepository: 1, typeLifecycle: 1, typeImage: 1}, declaredtest.Counts(system))
	require.Equal(t, map[string]any{
		"forceDelete":                false,
		"imageScanningConfiguration": map[string]any{"scanOnPush": true},
		"imageTagMutability":         "IMMUTABLE",
	}, declaredtest.Only(t, system, typeRepository).Inputs)
}

func TestTheRepositoryHasTheNameThatIsGiven(t *testing.T) {
	t.Parallel()
	args := built()
	args.RepositoryName = "team/uploads"
	require.Equal(t, "team/uploads", declaredtest.Only(t, declare(t, args), typeRepository).Text("name"))
}

func TestImagesGoWithTheStackOnlyIfThatIsAskedFor(t *testing.T) {
	t.Parallel()
	args := built()
	args.ForceDestroy = true
	require.Equal(t, true, declaredtest.Only(t, declare(t, args), typeRepository).Inputs["forceDelete"])
}

func TestTheRepositoryKeepsThirtyImages(t *testing.T) {
	t.Parallel()
	system := declare(t, built())
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

func TestTheImageIsBuiltForThePlatformAndPushedUnderItsTag(t *testing.T) {
	t.Parallel()
	system := declare(t, built())
	repository := declaredtest.Only(t, system, typeRepository).Outputs["repositoryUrl"].(string)
	require.Equal(t, "123456789012.dkr.ecr.eu-central-1.amazonaws.com/"+declaredtest.Only(t, system, typeRepository).ID, repository)
	made := declaredtest.Only(t, system, typeImage)
	require.Equal(t, map[string]any{
		"imageName": repository + ":0123abcd",
		"build": map[string]any{
			"context": "build/image", "dockerfile": "task/Dockerfile", "platform": "linux/arm64",
			"args": map[string]any{"SOURCE_DATE_EPOCH": "315532800", "LOGIN_EXPIRES": "2026-01-01T12:00:00Z"},
		},
		"registry":       map[string]any{"server": repository, "username": "AWS", "password": "registry-password"},
		"buildOnPreview": false,
		"skipPush":       false,
	}, made.Inputs)
	require.Equal(t, []string{"registry.password"}, made.Secrets, "the password is a secret")
	declaredtest.RequireDependsOn(t, made, declaredtest.Only(t, system, typeRepository))
}

// A tag names what was pushed under it, a digest is the image.
func TestTheOutputIsTheDigestOfWhatWasPushed(t *testing.T) {
	t.Parallel()
	system := declare(t, built())
	repository := declaredtest.Only(t, system, typeRepository)
	require.Equal(t, map[string]any{
		"uri":           declaredtest.Only(t, system, typeImage).Outputs["repoDigest"],
		"repositoryUri": repository.Outputs["repositoryUrl"],
		"repositoryArn": repository.Outputs["arn"],
	}, system.Outputs)
	require.Regexp(t, `@sha256:[0-9a-f]{64}$`, system.Outputs["uri"])
}

func TestWhoeverTakesTheURIWaitsForThePush(t *testing.T) {
	t.Parallel()
	system := declaredtest.Evaluate(t, declared.Options{}, func(ctx *pulumi.Context) error {
		i, err := image.New(ctx, "img", built())
		if err != nil {
			return err
		}
		_, err = sqs.NewQueue(ctx, "probe", &sqs.QueueArgs{Name: i.URI}, pulumi.Parent(i))
		return err
	})
	declaredtest.RequireDependsOn(t, declaredtest.Only(t, system, "aws:sqs/queue:Queue"), declaredtest.Only(t, system, typeImage))
}

func TestTheComponentIsTheParentOfAll(t *testing.T) {
	t.Parallel()
	system := declare(t, built())
	for _, r := range system.Resources {
		if r.Custom {
			assert.Equal(t, declaredtest.Only(t, system, image.Type).URN, r.Parent, r.Name)
		}
	}
}

func TestAGivenImageIsUsedAsItIs(t *testing.T) {
	t.Parallel()
	const digest = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for name, c := range map[string]struct{ uri, repository, arn string }{
		"ECR with a tag": {
			"123456789012.dkr.ecr.eu-central-1.amazonaws.com/team/app:v1",
			"123456789012.dkr.ecr.eu-central-1.amazonaws.com/team/app", "arn:aws:ecr:eu-central-1:123456789012:repository/team/app",
		},
		"ECR with a digest": {
			"123456789012.dkr.ecr.us-east-1.amazonaws.com/app" + digest,
			"123456789012.dkr.ecr.us-east-1.amazonaws.com/app", "arn:aws:ecr:us-east-1:123456789012:repository/app",
		},
		"ECR with both": {
			"123456789012.dkr.ecr.us-east-1.amazonaws.com/app:v1" + digest,
			"123456789012.dkr.ecr.us-east-1.amazonaws.com/app", "arn:aws:ecr:us-east-1:123456789012:repository/app",
		},
		"ECR of another account and Region": {
			"210987654321.dkr.ecr.ap-southeast-2.amazonaws.com/app:v1",
			"210987654321.dkr.ecr.ap-southeast-2.amazonaws.com/app", "arn:aws:ecr:ap-southeast-2:210987654321:repository/app",
		},
		"ECR in China": {
			"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/app:v1",
			"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/app", "arn:aws-cn:ecr:cn-north-1:123456789012:repository/app",
		},
		"ECR in GovCloud": {
			"123456789012.dkr.ecr.us-gov-west-1.amazonaws.com/app:v1",
			"123456789012.dkr.ecr.us-gov-west-1.amazonaws.com/app", "arn:aws-us-gov:ecr:us-gov-west-1:123456789012:repository/app",
		},
		"ECR in the European Sovereign Cloud": {
			"123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu/app:v1",
			"123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu/app", "arn:aws-eusc:ecr:eusc-de-east-1:123456789012:repository/app",
		},
		"ECR in an isolated Region": {
			"123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov/app:v1",
			"123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov/app", "arn:aws-iso:ecr:us-iso-east-1:123456789012:repository/app",
		},
		"ECR's FIPS endpoint": {
			"123456789012.dkr.ecr-fips.us-east-1.amazonaws.com/app:v1",
			"123456789012.dkr.ecr-fips.us-east-1.amazonaws.com/app", "arn:aws:ecr:us-east-1:123456789012:repository/app",
		},
		"ECR's dual-stack endpoint": {
			"123456789012.dkr-ecr.us-east-1.on.aws/app:v1",
			"123456789012.dkr-ecr.us-east-1.on.aws/app", "arn:aws:ecr:us-east-1:123456789012:repository/app",
		},
		"ECR's dual-stack endpoint with FIPS": {
			"123456789012.dkr-ecr-fips.us-east-1.on.aws/app:v1",
			"123456789012.dkr-ecr-fips.us-east-1.on.aws/app", "arn:aws:ecr:us-east-1:123456789012:repository/app",
		},
		"ECR's public gallery": {"public.ecr.aws/team/app:v1", "public.ecr.aws/team/app", ""},
		"Docker Hub":           {"library/busybox:1.37", "library/busybox", ""},
		"Docker Hub, official": {"busybox:1.37", "busybox", ""},
		"Docker Hub by digest": {"busybox" + digest, "busybox", ""},
		"a port":               {"registry.example.com:5000/team/app:v1", "registry.example.com:5000/team/app", ""},
		"a port, no tag":       {"registry.example.com:5000/app" + digest, "registry.example.com:5000/app", ""},
		"a host like ECR's": {
			"123456789012.dkr.ecr.eu-central-1.example.com/app:v1", "123456789012.dkr.ecr.eu-central-1.example.com/app", "",
		},
		"a host that begins like ECR's": {
			"123456789012.dkr.ecr.eu-central-1.amazonaws.com.example.com/app:v1",
			"123456789012.dkr.ecr.eu-central-1.amazonaws.com.example.com/app", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			system := declare(t, &image.Args{
				Location: location.Location{AccountID: declaredtest.AccountID, Region: "eu-central-1", Partition: "aws"}, URI: c.uri,
			})
			require.Equal(t, map[string]int{image.Type: 1}, declaredtest.Counts(system), "nothing is built, no repository made")
			require.Equal(t, map[string]any{"uri": c.uri, "repositoryUri": c.repository, "repositoryArn": c.arn}, system.Outputs)
		})
	}
}

func TestWithAKeyOfTheAccountsOwnTheRepositoryIsEncryptedWithIt(t *testing.T) {
	t.Parallel()
	const key = "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-0000-4000-8000-0123456789ab"
	args := built()
	args.KMSKeyARN = pulumi.String(key)
	require.Equal(t, []any{map[string]any{"encryptionType": "KMS", "kmsKey": key}},
		declaredtest.Only(t, declare(t, args), typeRepository).Inputs["encryptionConfigurations"])
}
