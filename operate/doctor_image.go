package operate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"example.com/upload-router/internal/partition"
	"example.com/upload-router/internal/settings"
)

// The media types of manifests: of one image, which Lambda takes, and of an index of several, which it doesn't.
//
// https://docs.aws.amazon.com/lambda/latest/dg/images-create.html
// https://github.com/opencontainers/image-spec/blob/main/media-types.md
var (
	imageManifests = []string{
		"application/vnd.docker.distribution.manifest.v2+json", "application/vnd.oci.image.manifest.v1+json",
	}
	imageIndexes = []string{
		"application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.oci.image.index.v1+json",
	}
)

// mostImageConfig is more than any image's configuration has, in bytes.
const mostImageConfig = 4 << 20

var errImageConfig = errors.New("its configuration can't be had")

// imageConfig is what an image says of itself.
//
// https://github.com/opencontainers/image-spec/blob/main/config.md
type imageConfig struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
	Config       struct{ Entrypoint, Cmd []string }
}

// image looks at the image that is given, if it is in ECR, as whoever runs it will.
func (d *doctor) image(ctx context.Context) {
	const name, why = "Image in ECR", "the task runs it, and the function if Lambda can take it"
	repository, arn := partition.RepositoryOf(d.settings.Image)
	if arn == "" { // nobody else can be asked
		return
	}
	host, named, _ := strings.Cut(repository, "/")
	registry, _ := partition.RegistryOf(host)
	of := d.aws.Copy()
	of.Region = registry.Region
	client := ecr.NewFromConfig(of)
	id := ecrtypes.ImageIdentifier{}
	if _, digest, pinned := strings.Cut(d.settings.Image, "@"); pinned {
		id.ImageDigest = &digest
	} else {
		id.ImageTag = aws.String(strings.TrimPrefix(d.settings.Image, repository+":"))
	}
	answer, err := client.BatchGetImage(ctx, &ecr.BatchGetImageInput{
		RegistryId: &registry.AccountID, RepositoryName: &named, ImageIds: []ecrtypes.ImageIdentifier{id},
		AcceptedMediaTypes: slices.Concat(imageManifests, imageIndexes),
	})
	switch {
	case hasCode(err, "RepositoryNotFoundException") || err == nil && len(answer.Images) == 0:
		d.failed(name, d.settings.Image+" isn't there", why, "push it, or: pulumi config set image REPOSITORY@sha256:DIGEST")
		return
	case err != nil:
		d.unasked(name, "", actionImage, err)
		return
	}
	found := answer.Images[0]
	manifest, mediaType := readManifest(found)
	function := d.settings.FunctionImage(d.aws.Region) != ""
	if wrong, fix := wrongManifest(mediaType, function); wrong != "" {
		d.failed(name, wrong, why, fix)
		return
	}
	digest := ""
	if found.ImageId != nil {
		digest = aws.ToString(found.ImageId.ImageDigest)
	}
	if slices.Contains(imageIndexes, mediaType) {
		d.ok(name, "an index, of which ECS takes the image for its architecture, "+digest)
		return
	}
	config, err := configOf(ctx, client, registry.AccountID, named, manifest.Config.Digest)
	if err != nil {
		d.unasked(name, "", actionLayer, err)
		return
	}
	if wrong, fix := wrongConfig(config, d.settings.Architecture); wrong != "" {
		d.failed(name, wrong, why, fix)
		return
	}
	who := "for the task"
	if function {
		who = "for function and task"
	}
	d.ok(name, fmt.Sprintf("%s, %s/%s, %s, %s", who, config.OS, config.Architecture, config.Config.Entrypoint[0], digest))
}

// imageManifest is what a manifest says.
type imageManifest struct {
	MediaType string `json:"mediaType"`
	Config    struct {
		Digest string `json:"digest"`
	} `json:"config"`
}

// readManifest gives a manifest with its media type, which ECR says, or it itself.
func readManifest(image ecrtypes.Image) (manifest imageManifest, mediaType string) {
	if json.Unmarshal([]byte(aws.ToString(image.ImageManifest)), &manifest) != nil {
		return imageManifest{}, aws.ToString(image.ImageManifestMediaType)
	}
	if mediaType = aws.ToString(image.ImageManifestMediaType); mediaType == "" {
		mediaType = manifest.MediaType
	}
	return manifest, mediaType
}

// wrongManifest says what is wrong with a manifest, and what to do; empty if nothing is.
func wrongManifest(mediaType string, function bool) (wrong, fix string) {
	const rebuild = "docker buildx build --platform linux/ARCHITECTURE --provenance=false --sbom=false --push ..."
	switch {
	case slices.Contains(imageManifests, mediaType):
		return "", ""
	case !slices.Contains(imageIndexes, mediaType):
		return "its manifest is of the type " + mediaType + ", which neither Lambda nor ECS knows", rebuild
	case function:
		return "it is an index of several images, or has attestations (" + mediaType + "), which Lambda refuses", rebuild
	}
	return "", ""
}

// wrongConfig says what is wrong with an image, and what to do; empty if nothing is.
func wrongConfig(config imageConfig, architecture settings.Architecture) (wrong, fix string) {
	entry := config.Config.Entrypoint
	switch {
	case config.OS != "linux" || config.Architecture != architecture.GOARCH():
		return fmt.Sprintf("it is for %s/%s, and `architecture` is %s", config.OS, config.Architecture, architecture),
			"build it for linux/" + architecture.GOARCH() + ", or set architecture"
	case len(entry) == 0:
		return "it has no ENTRYPOINT, so that upload-worker isn't started", `ENTRYPOINT ["/usr/local/bin/upload-worker"] in its Dockerfile`
	case !path.IsAbs(entry[0]):
		return "its ENTRYPOINT is " + entry[0] + ", which Lambda doesn't look for on PATH", "write the path from / in its Dockerfile"
	}
	return "", ""
}

// configOf gets an image's configuration, which is stored as a layer is.
func configOf(ctx context.Context, client *ecr.Client, account, repository, digest string) (config imageConfig, err error) {
	where, err := client.GetDownloadUrlForLayer(ctx, &ecr.GetDownloadUrlForLayerInput{
		RegistryId: &account, RepositoryName: &repository, LayerDigest: &digest,
	})
	if err != nil {
		return imageConfig{}, err //nolint:wrapcheck // Who calls it says what was looked at.
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, aws.ToString(where.DownloadUrl), nil)
	if err != nil {
		return imageConfig{}, fmt.Errorf("%w: %w", errImageConfig, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return imageConfig{}, fmt.Errorf("%w: %w", errImageConfig, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return imageConfig{}, fmt.Errorf("%w: %s", errImageConfig, response.Status)
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, mostImageConfig)).Decode(&config); err != nil {
		return imageConfig{}, fmt.Errorf("%w: %w", errImageConfig, err)
	}
	return config, nil
}
