package stack_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/declared/declaredtest"
)

const (
	typeRepositoryPolicy = "aws:ecr/repositoryPolicy:RepositoryPolicy"

	digest    = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	functions = "upload-router-local-function"
)

// what a function runs, of its inputs.
func whatRuns(f declared.Resource) map[string]any {
	ran := map[string]any{}
	for _, input := range []string{"packageType", "imageUri", "runtime", "handler", "code", "imageConfig", "architectures"} {
		if value, given := f.Inputs[input]; given {
			ran[input] = value
		}
	}
	return ran
}

// zipped is what a function runs by default.
func zipped(name string) map[string]any {
	return map[string]any{
		"runtime": "provided.al2023", "handler": "bootstrap", "code": name + "-x86_64.zip", "architectures": []any{"x86_64"},
	}
}

// Both routes run one image, by its digest, and the sweep stays what it is.
func TestADockerfileMakesOneImageForBothRoutes(t *testing.T) {
	t.Parallel()
	for name, there := range map[string]map[string]string{
		"that is pushed": nil, "that is there": {"images:0123abcd": digest},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			system, err := declared.Evaluate(program, declared.Options{ // what is there is read, and not declared
				Config: config{"dockerfile": "processor/Dockerfile", "ecrRepoName": "images", "architecture": "arm64"}, Images: there,
			})
			require.NoError(t, err)
			var uri string
			if there != nil {
				uri = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/images@" + digest
			} else {
				image := only(t, system, typeImage)
				require.Equal(t, map[string]any{
					"context": "image-arm64", "dockerfile": "processor/Dockerfile", "platform": "linux/arm64",
					"args": image.Object("build")["args"],
				}, image.Object("build"))
				uri = image.Output("repoDigest")
			}
			require.Contains(t, uri, "@sha256:")
			function := declaredtest.Named(t, system, typeFunction, functions)
			require.Equal(t, map[string]any{"packageType": "Image", "imageUri": uri, "architectures": []any{"arm64"}}, whatRuns(function))
			require.Contains(t, only(t, system, typeDefinition).Text("containerDefinitions"), `"image":"`+uri+`"`)
			sweep := declaredtest.Named(t, system, typeFunction, "upload-router-local-sweep")
			require.Equal(t, "sweep-arm64.zip", sweep.Inputs["code"])
			policy := only(t, system, typeRepositoryPolicy)
			declaredtest.RequireDependsOn(t, function, policy)
			require.Equal(t, only(t, system, typeRepository).Output("name"), policy.Text("repository"))
			require.JSONEq(t, `{"Version":"2012-10-17","Statement":[{
				"Sid":"LambdaECRImageRetrievalPolicy","Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},
				"Action":["ecr:BatchGetImage","ecr:GetDownloadUrlForLayer"],
				"Condition":{"StringLike":{"aws:SourceArn":["arn:aws:lambda:eu-central-1:123456789012:function:upload-router-local-function-*"]}}
			}]}`, policy.Text("policy"))
			require.True(t, strings.HasPrefix(function.Output("arn"), "arn:aws:lambda:eu-central-1:123456789012:function:"+functions+"-"),
				"which is what the policy names")
		})
	}
}

// The worker alone starts sooner out of a zip, and then nobody but ECS pulls the image.
func TestWithoutADockerfileTheFunctionIsAZip(t *testing.T) {
	t.Parallel()
	system := declare(t, nil)
	require.Equal(t, zipped("function"), whatRuns(declaredtest.Named(t, system, typeFunction, functions)))
	require.Empty(t, system.OfType(typeRepositoryPolicy))
}

// Lambda takes images from ECR in its own Region alone, in whichever account.
func TestTheFunctionRunsAGivenImageThatLambdaCanGet(t *testing.T) {
	t.Parallel()
	image := func(uri string) map[string]any {
		return map[string]any{"packageType": "Image", "imageUri": uri, "architectures": []any{"x86_64"}}
	}
	const repository = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/team/app"
	const theirs = "210987654321.dkr.ecr.eu-central-1.amazonaws.com/app"
	for given, want := range map[string]map[string]any{
		repository + "@" + digest:     image(repository + "@" + digest),
		repository + ":1.0@" + digest: image(repository + "@" + digest),
		theirs + ":1.0":               image(theirs + ":1.0"),
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com/app@" + digest:   zipped("function"),
		"123456789012.dkr.ecr-fips.eu-central-1.amazonaws.com/app:1.0": zipped("function"),
		"public.ecr.aws/team/app@" + digest:                            zipped("function"),
		givenImage:                                                     zipped("function"),
	} {
		t.Run(given, func(t *testing.T) {
			t.Parallel()
			system := declare(t, config{"image": given})
			require.Equal(t, want, whatRuns(declaredtest.Named(t, system, typeFunction, functions)))
			require.Contains(t, only(t, system, typeDefinition).Text("containerDefinitions"), `"image":"`+given+`"`)
			require.Empty(t, system.OfType(typeRepositoryPolicy), "nothing is changed of what is there")
			require.Equal(t, zipped("sweep"), whatRuns(declaredtest.Named(t, system, typeFunction, "upload-router-local-sweep")))
		})
	}
}
