package settings

import (
	"io/fs"
	"path"
	"regexp"
	"strings"

	"example.com/upload-router/internal/partition"
)

// The parts of an image reference.
//
// https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
var (
	imageNamePattern = regexp.MustCompile(`^(?:(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)` +
		`(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*(?::[0-9]{1,5})?/)?` +
		`[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
	imageTagPattern    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
	imageDigestPattern = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

// maxImageLength is how long a reference may be, a digest not counted.
const maxImageLength = 255

// checkImage checks that a reference names one image for good: by a digest, or by a tag that is not bound to move.
func checkImage(reference string) error {
	if scheme, _, found := strings.Cut(reference, "://"); found && scheme != "" {
		return breaks("must begin with the registry's host, without https:// or another scheme")
	}
	named, digest, hasDigest := strings.Cut(reference, "@")
	name, tag, hasTag := cutTag(named)
	if !imageNamePattern.MatchString(name) {
		return breaks("must be an image reference: host/repository:tag or host/repository@sha256:digest, the repository in lowercase")
	}
	host, _, _ := strings.Cut(name, "/")
	if right, ok := partition.CorrectedRegistry(host); ok {
		return breaks("must have a registry that there is: that of its Region is %s", right)
	}
	if len(named) > maxImageLength {
		return breaks("must have at most %d characters before any digest, this has %d", maxImageLength, len(named))
	}
	if hasTag && !imageTagPattern.MatchString(tag) {
		return breaks("has a tag that is not one: 1-128 letters, digits, underscores, periods and hyphens, a letter, digit or underscore first")
	}
	if hasDigest {
		return checkDigest(digest)
	}
	if !hasTag {
		return breaks("needs a tag or, better, a digest: without one it means :latest, " +
			"another image after each push, so what runs would change without a deployment")
	}
	if tag == "latest" {
		return breaks("must not be :latest, which names another image after each push, so what runs would change without a deployment; " +
			"use a fixed tag or, better, a digest")
	}
	return nil
}

// fixedImage is a reference with the domain of its registry's Region if that is all that was wrong with it, or else empty.
func fixedImage(_ *loader, reference string) string {
	host, rest, _ := strings.Cut(reference, "/")
	right, ok := partition.CorrectedRegistry(host)
	if fixed := right + "/" + rest; ok && checkImage(fixed) == nil {
		return fixed
	}
	return ""
}

// checkDigest checks the only kind of digest ECS takes.
func checkDigest(digest string) error {
	if !imageDigestPattern.MatchString(digest) {
		return breaks("has a digest that is not one: sha256: and 64 of 0-9 and a-f")
	}
	return nil
}

// cutTag parts name:tag. A colon before the last slash belongs to the host's port.
func cutTag(named string) (name, tag string, found bool) {
	at := strings.LastIndexByte(named, ':')
	if at < 0 || strings.ContainsRune(named[at:], '/') {
		return named, "", false
	}
	return named[:at], named[at+1:], true
}

// FunctionImage is the given image as the function of a Region runs it, too; empty if none is given, or if Lambda can't take it: it takes
// images from the registries of ECR in its own Region, whichever account's they are. Region empty: any.
//
// https://docs.aws.amazon.com/lambda/latest/dg/images-create.html
func (s *Settings) FunctionImage(region string) string {
	host, _, _ := strings.Cut(s.Image, "/")
	registry, ok := partition.RegistryOf(host)
	if !ok || !registry.Plain || region != "" && registry.Region != region {
		return ""
	}
	// Lambda resolves a tag once, so beside a digest it says nothing.
	if named, digest, pinned := strings.Cut(s.Image, "@"); pinned {
		name, _, _ := cutTag(named)
		return name + "@" + digest
	}
	return s.Image
}

// oneImage refuses an image that is given and to be built.
func (l *loader) oneImage(s *Settings) {
	if s.Image == "" || s.Dockerfile == "" {
		return
	}
	l.reportAt(keyDockerfile, keyDockerfile, s.Dockerfile, "goes without "+keyImage+" only: an image is either given or built",
		remove(keyImage))
}

// checkDockerfile checks that a path leads to a file in a folder of the project.
func checkDockerfile(name string) error {
	if !fs.ValidPath(name) || strings.Contains(name, `\`) {
		return breaks("must be a path from the project's folder with slashes, such as processor/Dockerfile, without . and .. in it")
	}
	if !strings.Contains(name, "/") {
		return breaks("must be in a folder below the project's, such as processor/Dockerfile: all that is in its folder can be in the image")
	}
	return nil
}

// fixedDockerfile is a path of a Dockerfile in its shortest form, or empty.
func fixedDockerfile(_ *loader, name string) string {
	if fixed := path.Clean(strings.ReplaceAll(name, `\`, "/")); checkDockerfile(fixed) == nil {
		return fixed
	}
	return ""
}
