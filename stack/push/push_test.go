package push_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sqs"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/components/repository"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/declared/declaredtest"
	"example.com/upload-router/stack/push"
)

const (
	typeRepository = "aws:ecr/repository:Repository"
	typeImage      = "docker:index/image:Image"

	name    = "team/uploads"
	address = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/" + name
	tagged  = address + ":0123abcd"
	content = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

// image declares a repository and the image in it.
func image(ctx *pulumi.Context) (*repository.Repository, pulumi.StringOutput, error) {
	to, err := repository.New(ctx, "img", &repository.Args{Name: name})
	if err != nil {
		return nil, pulumi.StringOutput{}, err
	}
	uri, err := push.Image(ctx, "img-build", &push.Args{
		Repository: to, Context: "build/image", Dockerfile: "task/Dockerfile", Tag: "0123abcd", Platform: "linux/arm64",
	})
	return to, uri, err
}

func declare(t *testing.T, images map[string]string) *declared.System {
	t.Helper()
	return declaredtest.Evaluate(t, declared.Options{Images: images}, func(ctx *pulumi.Context) error {
		_, uri, err := image(ctx)
		ctx.Export("uri", uri)
		return err
	})
}

func TestTheImageIsBuiltForThePlatformAndPushedUnderItsTag(t *testing.T) {
	t.Parallel()
	system := declare(t, nil)
	made := declaredtest.Only(t, system, typeImage)
	require.Equal(t, map[string]any{
		"imageName": tagged,
		"build": map[string]any{
			"context": "build/image", "dockerfile": "task/Dockerfile", "platform": "linux/arm64",
			"args": map[string]any{"SOURCE_DATE_EPOCH": "315532800", "LOGIN_EXPIRES": "2026-01-01T12:00:00Z"},
		},
		"registry":       map[string]any{"server": address, "username": "AWS", "password": "registry-password"},
		"buildOnPreview": false,
		"skipPush":       false,
	}, made.Inputs)
	require.Equal(t, []string{"registry.password"}, made.Secrets, "the password is a secret")
	require.Equal(t, declaredtest.Only(t, system, repository.Type).URN, made.Parent)
	declaredtest.RequireDependsOn(t, made, declaredtest.Only(t, system, typeRepository))
}

// A tag names what was pushed under it, a digest is the image.
func TestItGivesTheDigestOfWhatWasPushed(t *testing.T) {
	t.Parallel()
	system := declare(t, nil)
	require.Equal(t, map[string]any{"uri": declaredtest.Only(t, system, typeImage).Outputs["repoDigest"]}, system.Outputs)
	require.Regexp(t, `@sha256:[0-9a-f]{64}$`, system.Outputs["uri"])
}

func TestWhoeverTakesTheURIWaitsForThePush(t *testing.T) {
	t.Parallel()
	system := declaredtest.Evaluate(t, declared.Options{}, func(ctx *pulumi.Context) error {
		to, uri, err := image(ctx)
		if err != nil {
			return err
		}
		_, err = sqs.NewQueue(ctx, "probe", &sqs.QueueArgs{Name: uri}, pulumi.Parent(to))
		return err
	})
	declaredtest.RequireDependsOn(t, declaredtest.Only(t, system, "aws:sqs/queue:Queue"), declaredtest.Only(t, system, typeImage))
}

// What is there isn't built, pushed, updated or deleted, and so isn't among what is declared.
func TestAnImageThatIsThereIsTakenAsItIs(t *testing.T) {
	t.Parallel()
	system := declare(t, map[string]string{name + ":0123abcd": content})
	require.Empty(t, system.OfType(typeImage))
	require.Equal(t, map[string]any{"uri": address + "@" + content}, system.Outputs)
}

// ecr answers as the plugins do. A look-up that isn't answered finds nothing.
type ecr struct {
	mu       sync.Mutex
	look     []answer // one look-up each
	docker   string   // what Docker says of what it pushed
	read     resource.PropertyMap
	replaced []string
}

type answer struct {
	digest string
	err    error
}

var errNotThere = errors.New(`invocation of aws:ecr/getImage:getImage returned an error: reading ECR Images: operation error ECR: ` +
	`DescribeImages, https response error StatusCode: 400, RequestID: 1, ImageNotFoundException: The image with imageId ` +
	`{imageDigest:'null', imageTag:'0123abcd'} does not exist within the repository with name 'team/uploads'`)

func (e *ecr) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := args.Inputs.Copy()
	switch args.TypeToken {
	case typeRepository:
		out["name"], out["registryId"] = resource.NewProperty(name), resource.NewProperty("123456789012")
		out["repositoryUrl"], out["arn"] = resource.NewProperty(address), resource.NewProperty("arn")
	case typeImage:
		if args.ReadRPC != nil {
			e.read = args.Inputs
			return args.ID, out, nil
		}
		e.replaced = args.RegisterRPC.GetReplaceOnChanges()
		out["repoDigest"] = resource.NewProperty(e.docker)
	}
	return args.Name, out, nil
}

func (e *ecr) Call(args pulumi.MockCallArgs) (resource.PropertyMap, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if args.Token != "aws:ecr/getImage:getImage" {
		return resource.PropertyMap{"password": resource.NewProperty("p"), "userName": resource.NewProperty("AWS")}, nil
	}
	next := answer{err: errNotThere}
	if len(e.look) > 0 {
		next, e.look = e.look[0], e.look[1:]
	}
	return resource.PropertyMap{"imageDigest": resource.NewProperty(next.digest)}, next.err
}

// deploy runs the program, and gives the image's name.
func (e *ecr) deploy(t *testing.T) (uri string, err error) {
	t.Helper()
	err = pulumi.RunErr(func(ctx *pulumi.Context) error {
		_, pushed, err := image(ctx)
		if err != nil {
			return err
		}
		ctx.Export("uri", pushed)
		pushed.ApplyT(func(found string) string {
			uri = found
			return found
		})
		return nil
	}, pulumi.WithMocks("p", "s", e))
	return uri, err
}

// What Docker says depends on the engine: a digest of another store, or none.
func TestTheDigestIsTheRegistrysWhateverDockerSays(t *testing.T) {
	t.Parallel()
	for _, docker := range []string{
		address + "@sha256:fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210", "<none>@<none>", "",
	} {
		t.Run(docker, func(t *testing.T) {
			t.Parallel()
			e := &ecr{docker: docker, look: []answer{{err: errNotThere}, {digest: content}}}
			uri, err := e.deploy(t)
			require.NoError(t, err)
			require.Equal(t, address+"@"+content, uri)
			require.Equal(t, []string{"imageName"}, e.replaced, "another tag is another image")
		})
	}
}

func TestAReadKnowsTheImageByWhatThePushCalledIt(t *testing.T) {
	t.Parallel()
	pushing := &ecr{look: []answer{{err: errNotThere}, {digest: content}}}
	pushed, err := pushing.deploy(t)
	require.NoError(t, err)
	reading := &ecr{look: []answer{{digest: content}}}
	read, err := reading.deploy(t)
	require.NoError(t, err)
	require.Equal(t, pushed, read)
	require.Equal(t, resource.PropertyMap{
		"imageName": resource.NewProperty(tagged), "repoDigest": resource.NewProperty(address + "@" + content),
	}, reading.read)
}

func TestWhatECRSays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		look []answer
		says string
	}{
		"no image, and none after the push": {
			nil, "the image was pushed, and ECR doesn't have it: run `pulumi up` again, which pushes what isn't there: " + tagged,
		},
		"no repository, which is about to be made": {
			[]answer{{err: errors.New("reading ECR Images: couldn't find resource")}, {digest: content}}, "",
		},
		"no results": {
			[]answer{{err: errors.New("reading ECR Images: Your query returned no results")}, {digest: content}}, "",
		},
		"no right to ask": {
			[]answer{{err: errors.New("AccessDeniedException: not authorized to perform: ecr:DescribeImages")}},
			"looking whether ECR has the image " + tagged + ": ",
		},
		"no right to ask after the push": {
			[]answer{{err: errNotThere}, {err: errors.New("AccessDeniedException: not authorized to perform: ecr:DescribeImages")}},
			"AccessDeniedException",
		},
		"no digest": {
			[]answer{{digest: "<none>"}}, `no digest that an image can be named by: ECR has ` + tagged + ` as "<none>"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			uri, err := (&ecr{docker: "<none>@<none>", look: c.look}).deploy(t)
			if c.says != "" {
				require.ErrorContains(t, err, c.says)
				require.Empty(t, uri)
				return
			}
			require.NoError(t, err)
			require.Equal(t, address+"@"+content, uri)
		})
	}
}
