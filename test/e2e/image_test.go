//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ecs"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/components/repository"
	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/settings"
	container "example.com/upload-router/stack/push"
)

// clone is a folder with the project's source in it, as small as one can be.
type clone struct {
	folder    string
	artifacts build.Artifacts
}

// newClone makes a clone of a source, and builds it as the program does.
func newClone(t *testing.T, source string) clone {
	t.Helper()
	c := clone{folder: t.TempDir()}
	program := "package main\n\nfunc main() { println(" + source + ") }\n"
	for name, content := range map[string]string{
		"Pulumi.yaml":               "name: " + project + "\nruntime: go\n",
		"go.mod":                    "module example.com/clone\n\ngo 1.24\n",
		"functions/process/main.go": program,
		"functions/sweep/main.go":   program,
		"task/main.go":              program,
		build.Dockerfile:            "FROM scratch\nCOPY " + build.Worker + " /\n",
	} {
		path := filepath.Join(c.folder, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	here, err := os.Getwd()
	require.NoError(t, err)
	t.Chdir(c.folder)
	c.artifacts, err = build.Processors(t.Context(), build.Target{Architecture: settings.X86})
	require.NoError(t, err)
	t.Chdir(here)
	return c
}

// imageStack is a stack that has the image, and a task definition that names it.
type imageStack struct {
	env        map[string]string
	repository string
}

// in is the stack with a clone's program.
func (s *imageStack) in(t *testing.T, c clone) *planned {
	t.Helper()
	program := func(ctx *pulumi.Context) error {
		to, err := repository.New(ctx, "image", &repository.Args{Name: s.repository, ForceDestroy: true})
		if err != nil {
			return err
		}
		uri, err := container.Image(ctx, "image-build", &container.Args{
			Repository: to,
			Context:    c.artifacts.ImageContext, Dockerfile: c.artifacts.Dockerfile, Tag: c.artifacts.ImageTag, Platform: c.artifacts.ImagePlatform,
		})
		if err != nil {
			return err
		}
		ctx.Export("uri", uri)
		_, err = ecs.NewTaskDefinition(ctx, "definition", &ecs.TaskDefinitionArgs{
			Family:               pulumi.String("e2e-image"),
			ContainerDefinitions: pulumi.Sprintf(`[{"name":"task","image":"%s","memory":128,"essential":true}]`, uri),
		})
		return err
	}
	stack, err := auto.UpsertStackInlineSource(t.Context(), "e2e-image", project, program, auto.EnvVars(s.env), auto.WorkDir(c.folder))
	require.NoError(t, err)
	require.NoError(t, stack.SetAllConfig(t.Context(), auto.ConfigMap{
		"aws:region":                    {Value: region},
		"aws:skipCredentialsValidation": {Value: "true"},
		"aws:skipMetadataApiCheck":      {Value: "true"},
	}))
	return &planned{Stack: stack}
}

// up deploys, and gives the image's name by digest.
func (p *planned) up(t *testing.T) string {
	t.Helper()
	uri, err := p.deployed(t)
	require.NoError(t, err)
	return uri
}

func (p *planned) deployed(t *testing.T) (string, error) {
	t.Helper()
	var progress bytes.Buffer
	result, err := p.Up(t.Context(), optup.ProgressStreams(&progress), optup.ErrorProgressStreams(&progress))
	t.Log(progress.String())
	if err != nil {
		return "", err
	}
	uri, _ := result.Outputs["uri"].Value.(string)
	return uri, nil
}

// isClean checks that a plan has no change, as the CLI sees it, too.
func (p *planned) isClean(t *testing.T) {
	t.Helper()
	require.Empty(t, p.plan(t))
	_, err := p.Preview(t.Context(), optpreview.ExpectNoChanges())
	require.NoError(t, err)
}

// lose takes resources out of the state.
func (p *planned) lose(t *testing.T, names ...string) {
	t.Helper()
	state, err := p.Export(t.Context())
	require.NoError(t, err)
	var deployment map[string]json.RawMessage
	var resources []map[string]any
	require.NoError(t, json.Unmarshal(state.Deployment, &deployment))
	require.NoError(t, json.Unmarshal(deployment["resources"], &resources))
	before := len(resources)
	resources = slices.DeleteFunc(resources, func(r map[string]any) bool {
		urn, _ := r["urn"].(string)
		return slices.ContainsFunc(names, func(name string) bool { return strings.HasSuffix(urn, "::"+name) })
	})
	require.Len(t, resources, before-len(names))
	for _, r := range resources { // on what is lost
		delete(r, "dependencies")
		delete(r, "propertyDependencies")
	}
	deployment["resources"], err = json.Marshal(resources)
	require.NoError(t, err)
	state.Deployment, err = json.Marshal(deployment)
	require.NoError(t, err)
	require.NoError(t, p.Import(t.Context(), state))
}

// What is in the repository is never pushed again: not from another clone, after a rollback, or by a state that has lost it. The registry
// refuses to move a tag, and the builder gives no image twice.
func TestAnImageIsPushedOnce(t *testing.T) {
	const repository = "e2e-image"
	old, again, changed := newClone(t, `"old"`), newClone(t, `"old"`), newClone(t, `"changed"`)
	require.Equal(t, old.artifacts, again.artifacts)
	stack := &imageStack{env: environment(t), repository: repository}
	first := stack.in(t, old)
	t.Cleanup(func() {
		_, err := first.Destroy(context.Background(), optdestroy.Remove())
		require.NoError(t, err)
	})
	name := func(c clone) string { return repository + ":" + c.artifacts.ImageTag }
	deploys := func(p *planned, c clone) { // after a push
		t.Helper()
		uri := p.up(t)
		require.Equal(t, "123456789012.dkr.ecr."+region+".amazonaws.com/"+repository+"@"+images.digest(name(c)), uri)
		p.isClean(t)
	}

	t.Log("the first plan shows the push, and a push that breaks half-way is begun anew")
	require.Equal(t, map[string]string{
		"definition": "create", "image": "create", "image-build": "create", "image-lifecycle": "create", "image-repository": "create",
		project + "-e2e-image": "create",
	}, first.plan(t))
	images.breakPush()
	_, err := first.deployed(t)
	require.ErrorContains(t, err, "image-build **creating failed**")
	require.True(t, images.broke())
	require.Empty(t, images.pushed(repository))
	deploys(first, old)
	require.Equal(t, []string{name(old)}, images.pushed(repository))
	first.isClean(t)

	t.Log("nothing changes by itself, nor in another clone")
	second := stack.in(t, again)
	second.isClean(t)
	_, err = second.Refresh(t.Context())
	require.NoError(t, err)
	second.isClean(t)
	deploys(second, old)

	t.Log("other content is another image")
	third := stack.in(t, changed)
	require.Equal(t, map[string]string{"image-build": "replace", "definition": "replace"}, third.plan(t))
	deploys(third, changed)
	both := []string{name(old), name(changed)}
	require.Equal(t, both, images.pushed(repository))
	third.isClean(t)

	t.Log("a rollback takes the old one, and the way forth the new one")
	deploys(second, old)
	deploys(third, changed)

	t.Log("a state that has lost the image, or all but the repository, finds it")
	third.lose(t, "image-build")
	third.isClean(t)
	third.up(t)
	third.isClean(t)
	third.lose(t, "image-build", "image-lifecycle", "definition")
	require.Equal(t, map[string]string{"definition": "create", "image-lifecycle": "create"}, third.plan(t))
	deploys(third, changed)
	require.Equal(t, both, images.pushed(repository), "nothing was pushed")

	t.Log("an image that has expired is pushed again")
	images.expire(t, region, name(changed))
	require.Equal(t, map[string]string{"image-build": "replace", "definition": "replace"}, third.plan(t))
	deploys(third, changed)
	require.Equal(t, append(both, name(changed)), images.pushed(repository))
	third.isClean(t)

	t.Log("another repository gets it as well")
	stack.repository = "e2e-image-other"
	fourth := stack.in(t, changed)
	require.Equal(t, "replace", fourth.plan(t)["image-build"])
	require.Contains(t, fourth.up(t), "/e2e-image-other@sha256:")
	require.Equal(t, []string{"e2e-image-other:" + changed.artifacts.ImageTag}, images.pushed("e2e-image-other"))
	fourth.isClean(t)

	t.Log("and the registry does refuse a tag that is there")
	push := exec.CommandContext(t.Context(), os.Getenv("DOCKER_BUILD_CMD"),
		"123456789012.dkr.ecr."+region+".amazonaws.com/e2e-image-other:"+changed.artifacts.ImageTag,
		filepath.Join(changed.folder, changed.artifacts.ImageContext), build.Dockerfile, changed.artifacts.ImagePlatform, "", "push")
	said, err := push.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(said), "cannot be overwritten because the tag is immutable")
}

// A function of a zip can't become one of an image: it is replaced, and what names it follows, on a stack that lives.
func TestAFunctionGoesFromAZipToAnImageAndBack(t *testing.T) {
	t.Parallel()
	p := deploy(t, "e2e-package", map[string]string{})
	zip := p.artifacts
	image := p.artifacts
	image.FunctionArchive = ""
	is := func(artifacts build.Artifacts, config map[string]string) (name string) {
		t.Helper()
		p.artifacts = artifacts
		for key, value := range config {
			require.NoError(t, p.SetConfig(t.Context(), project+":"+key, auto.ConfigValue{Value: value}))
		}
		var progress bytes.Buffer
		result, err := p.Up(t.Context(), optup.ProgressStreams(&progress), optup.ErrorProgressStreams(&progress))
		require.NoError(t, err, progress.String())
		require.Empty(t, p.plan(t), "nothing changes by itself")
		arn, _ := result.Outputs["lambdaFunctionArn"].Value.(string)
		name = arn[strings.LastIndex(arn, ":")+1:]
		ctx, cfg := t.Context(), inspect(t, region, nil).cfg
		found, err := lambda.NewFromConfig(cfg).GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: &name})
		require.NoError(t, err)
		want := lambdatypes.PackageTypeZip
		if config["dockerfile"] != "" {
			want = lambdatypes.PackageTypeImage
			require.Contains(t, aws.ToString(found.Code.ImageUri), "@sha256:")
		}
		require.Equal(t, want, found.Configuration.PackageType)
		machine, _ := result.Outputs["stateMachineArn"].Value.(string)
		definition, err := sfn.NewFromConfig(cfg).DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: &machine})
		require.NoError(t, err)
		require.Contains(t, aws.ToString(definition.Definition), arn, "the state machine calls it")
		return name
	}
	first := is(zip, nil)
	second := is(image, map[string]string{"dockerfile": "processor/Dockerfile"})
	require.NotEqual(t, first, second, "the new one is there before the old one goes")
	third := is(zip, map[string]string{"dockerfile": ""})
	require.NotEqual(t, second, third)
	functions := lambda.NewFromConfig(inspect(t, region, nil).cfg)
	for _, gone := range []string{first, second} {
		_, err := functions.GetFunction(t.Context(), &lambda.GetFunctionInput{FunctionName: &gone})
		require.ErrorContains(t, err, "ResourceNotFoundException")
	}
}
