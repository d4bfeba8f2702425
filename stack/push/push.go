// Package push builds the processors' image and pushes it to ECR, unless its tag is there (requirements A21 and A22).
package push

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ecr"
	"github.com/pulumi/pulumi-docker/sdk/v4/go/docker"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/internals"

	"example.com/upload-router/components/repository"
)

const (
	// typeDocker is the type token of what builds and pushes.
	typeDocker = "docker:index/image:Image"

	// argSourceDate is the build argument that BuildKit takes the image's time of creation from, and sourceDate the time that package
	// build gives the files as well, 1980-01-01. Other builders ignore it.
	// https://docs.docker.com/build/ci/github-actions/reproducible-builds/
	argSourceDate, sourceDate = "SOURCE_DATE_EPOCH", "315532800"
	// argLogin is a build argument that no Dockerfile reads, with a value that differs from deployment to deployment. If the image of this
	// very resource was deleted from the repository by others, no other input would have changed, and nothing would be pushed.
	argLogin = "LOGIN_EXPIRES"
)

var (
	errNotPushed = errors.New("the image was pushed, and ECR doesn't have it: run `pulumi up` again, which pushes what isn't there")
	errDigest    = errors.New("no digest that an image can be named by")
)

// digest is how ECR names an image. Docker's "<none>", of an engine that doesn't know what it pushed, isn't one.
var digest = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// Args say what is pushed. All are required.
type Args struct {
	// Repository is where it is pushed to. It is the parent of what is declared.
	Repository *repository.Repository
	// Context is the folder that the image is built from, and Dockerfile the Dockerfile's path: both relative to the project's folder.
	Context, Dockerfile string
	// Tag is made of all of the image's content: an image that is there under it is taken as it is, and tags can't be moved.
	Tag string
	// Platform is Docker's name of the platform, such as linux/arm64.
	Platform string
}

// Image declares the image, and gives its name by the digest that ECR has it by. Unknown in the preview of a deployment that builds it.
//
// A tag can't be moved to another digest, and no builder gives the same digest on every machine. So an image is built and pushed only if
// its tag, which is made of its content, isn't there; else the one in the repository is taken. That is asked anew each time: after a
// rollback, on another machine and after a loss of the state the image is found, and one that has expired is pushed again.
//
// The image is one manifest, as Lambda takes no other: the Docker plugin asks the Engine's API for one platform, and it is the client
// docker buildx that would ask for attestations besides, and so for an index.
//
// https://github.com/docker/buildx/blob/master/build/opt.go
// https://github.com/pulumi/pulumi-docker/blob/master/provider/image.go
//
// The digest is ECR's in either case. What Docker says of it depends on the engine: the digest of an index that isn't pushed, the one of
// the local store, "<none>@<none>".
func Image(ctx *pulumi.Context, name string, args *Args) (pulumi.StringOutput, error) {
	there, err := args.pushed(ctx)
	if err != nil {
		return pulumi.StringOutput{}, err
	}
	if there == nil {
		return args.push(ctx, name)
	}
	return args.read(ctx, name, there)
}

// reference is an image in ECR.
type reference struct {
	// registry is the account of the registry, uri the repository's address, repository its name.
	registry, uri, repository string
	tag, digest               string
}

func (r reference) tagged() string { return r.uri + ":" + r.tag }
func (r reference) pinned() string { return r.uri + "@" + r.digest }

// pushed is the image under the tag; nil if there is none. In the preview of a repository that isn't there yet, there is none either.
func (a *Args) pushed(ctx *pulumi.Context) (*reference, error) {
	// Whether the image is to be pushed decides what is declared, so it can't be left to an output's Apply: in the preview of the first
	// deployment, that wouldn't run, and the image wouldn't be shown.
	awaited, err := internals.UnsafeAwaitOutput(ctx.Context(),
		pulumi.StringArray{a.Repository.RegistryID, a.Repository.URI, a.Repository.Name}.ToStringArrayOutput())
	if err != nil {
		return nil, fmt.Errorf("making the image's repository: %w", err)
	}
	of, ok := awaited.Value.([]string)
	if !awaited.Known || !ok {
		return nil, nil //nolint:nilnil // No image is no error.
	}
	return a.lookUp(ctx, reference{registry: of[0], uri: of[1], repository: of[2], tag: a.Tag})
}

// notThere is what the AWS plugin says of an image that isn't there, and of a repository.
var notThere = regexp.MustCompile(`ImageNotFoundException|RepositoryNotFoundException|couldn't find resource|query returned no results`)

// lookUp asks ECR for the image under a tag; nil if there is none.
func (a *Args) lookUp(ctx *pulumi.Context, r reference) (*reference, error) {
	found, err := ecr.GetImage(ctx, &ecr.GetImageArgs{
		RegistryId: &r.registry, RepositoryName: r.repository, ImageTag: &r.tag,
	}, pulumi.Parent(a.Repository))
	if err != nil {
		if notThere.MatchString(err.Error()) {
			return nil, nil //nolint:nilnil // No image is no error.
		}
		return nil, fmt.Errorf("looking whether ECR has the image %s: %w", r.tagged(), err)
	}
	r.digest = found.ImageDigest
	if !digest.MatchString(r.digest) {
		return nil, fmt.Errorf("%w: ECR has %s as %q", errDigest, r.tagged(), r.digest)
	}
	return &r, nil
}

// push builds the image and pushes it, and takes the digest that ECR has it by.
func (a *Args) push(ctx *pulumi.Context, name string) (pulumi.StringOutput, error) {
	// The token is twelve hours old at most and never read from the state. The
	// password is a secret all the same: it goes through the engine.
	token := ecr.GetAuthorizationTokenOutput(ctx, ecr.GetAuthorizationTokenOutputArgs{
		RegistryId: a.Repository.RegistryID.ToStringPtrOutput(),
	}, pulumi.Parent(a.Repository))
	made, err := docker.NewImage(ctx, name, &docker.ImageArgs{
		ImageName: pulumi.Sprintf("%s:%s", a.Repository.URI, a.Tag),
		Build: &docker.DockerBuildArgs{
			Args:       pulumi.StringMap{argSourceDate: pulumi.String(sourceDate), argLogin: token.ExpiresAt()},
			Context:    pulumi.String(a.Context),
			Dockerfile: pulumi.String(a.Dockerfile),
			Platform:   pulumi.String(a.Platform),
		},
		Registry: &docker.RegistryArgs{
			Server:   a.Repository.URI,
			Username: token.UserName(),
			Password: pulumi.ToSecret(token.Password()).(pulumi.StringOutput),
		},
		// Another tag is another image: as an update it would keep the id, by which a read knows it again.
	}, pulumi.Parent(a.Repository), pulumi.ReplaceOnChanges([]string{"imageName"}))
	if err != nil {
		return pulumi.StringOutput{}, fmt.Errorf("building the image: %w", err)
	}
	// Docker's digest says that the push is over: in a preview that would push, it is unknown. The name is the resource's own, which
	// is the old one if the deployment leaves this resource out.
	return pulumi.All(a.Repository.RegistryID, made.ImageName, made.RepoDigest).ApplyT(func(of []any) (string, error) {
		r, err := parseReference(of[0].(string), of[1].(string))
		if err != nil {
			return "", err
		}
		found, err := a.lookUp(ctx, r)
		if err == nil && found == nil {
			err = fmt.Errorf("%w: %s", errNotPushed, r.tagged())
		}
		if err != nil {
			return "", err
		}
		return found.pinned(), nil
	}).(pulumi.StringOutput), nil
}

// read declares an image that is in the repository: the resource that pushed it, but as one that is read and not managed. The engine
// doesn't build, push, update or delete it then, and a plan shows no change, whoever pushed it.
func (a *Args) read(ctx *pulumi.Context, name string, r *reference) (pulumi.StringOutput, error) {
	// docker.GetImage would lose what is known of it: the plugin gives back what it is given, and that has no fields for it.
	var there docker.Image
	if err := ctx.ReadResource(typeDocker, name, pulumi.ID(r.tagged()), pulumi.Map{
		"imageName": pulumi.String(r.tagged()), "repoDigest": pulumi.String(r.pinned()),
	}, &there, pulumi.Parent(a.Repository)); err != nil {
		return pulumi.StringOutput{}, fmt.Errorf("reading the image: %w", err)
	}
	// From the look-up, and not from what the plugin makes of it.
	return there.ImageName.ApplyT(func(string) string { return r.pinned() }).(pulumi.StringOutput), nil
}

// parseReference takes an image's name apart, as it was made.
func parseReference(registry, tagged string) (reference, error) {
	colon := strings.LastIndex(tagged, ":")
	if colon < 0 || colon < strings.LastIndex(tagged, "/") {
		return reference{}, fmt.Errorf("%w: the image %q has no tag", errDigest, tagged)
	}
	_, repository, _ := strings.Cut(tagged[:colon], "/")
	return reference{registry: registry, uri: tagged[:colon], repository: repository, tag: tagged[colon+1:]}, nil
}
