//go:build e2e

package e2e_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/stretchr/testify/require"
)

// environmentRegistry names the registry that the toolchain's Docker plugin pushes to, by this same program.
const environmentRegistry = "E2E_REGISTRY"

// images is the registry of all tests.
var images = &registry{blobs: map[string][]byte{}, tags: map[string]string{}}

// TestMain serves the registry, and is the command that builds and pushes.
func TestMain(m *testing.M) {
	if address := os.Getenv(environmentRegistry); address != "" {
		if err := buildAndPush(address, os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	server := httptest.NewServer(images)
	defer server.Close()
	self, err := os.Executable()
	if err == nil {
		err = errors.Join(os.Setenv("DOCKER_BUILD_CMD", self), os.Setenv(environmentRegistry, server.URL))
	}
	if err != nil {
		return 0, fmt.Errorf("serving the registry: %w", err)
	}
	if os.Getenv(endpoint) != "" { // else each test says that it takes one
		end, err := answerLater()
		if err != nil {
			return 0, err
		}
		defer end()
	}
	return m.Run(), nil
}

// registry is a small ECR: the requests of a push, as the distribution specification has them, and tags that can't be moved. What was
// pushed is put into the emulator's ECR, which has no such address itself.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md
type registry struct {
	mu     sync.Mutex
	blobs  map[string][]byte // by digest
	tags   map[string]string // the digest of each repository:tag
	pushes []string          // what was pushed, as repository:tag
	breaks int               // so many manifests are refused before one is taken
}

// pushed gives what was pushed to a repository.
func (r *registry) pushed(repository string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var of []string
	for _, name := range r.pushes {
		if strings.HasPrefix(name, repository+":") {
			of = append(of, name)
		}
	}
	return of
}

// digest is that of a repository:tag.
func (r *registry) digest(name string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tags[name]
}

// breakPush lets the next push fail once its layers are there.
func (r *registry) breakPush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.breaks++
}

// broke says whether the pushes that were to fail have failed.
func (r *registry) broke() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.breaks == 0
}

// expire deletes an image, as a lifecycle policy does.
func (r *registry) expire(t *testing.T, region, name string) {
	t.Helper()
	repository, tag, _ := strings.Cut(name, ":")
	answer, err := ecrIn(t.Context(), region).BatchDeleteImage(t.Context(), &ecr.BatchDeleteImageInput{
		RepositoryName: &repository, ImageIds: []ecrtypes.ImageIdentifier{{ImageTag: &tag}},
	})
	require.NoError(t, err)
	require.Empty(t, answer.Failures)
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.tags, name)
}

func ecrIn(ctx context.Context, region string) *ecr.Client {
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion(region))
	if err != nil {
		panic(err) // The environment is the test's own.
	}
	return ecr.NewFromConfig(cfg)
}

func (r *registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	path := strings.TrimPrefix(req.URL.Path, "/v2/")
	body, err := io.ReadAll(req.Body)
	if err != nil {
		refuse(w, http.StatusBadRequest, "SIZE_INVALID", err.Error())
		return
	}
	switch repository, reference, manifest := strings.Cut(path, "/manifests/"); {
	case manifest && req.Method == http.MethodPut:
		r.putManifest(w, req, repository, reference, body)
	case req.Method == http.MethodPost && strings.HasSuffix(path, "/blobs/uploads/"):
		w.Header().Set("Location", req.URL.Path+rand.Text())
		w.WriteHeader(http.StatusAccepted)
	case req.Method == http.MethodPut && strings.Contains(path, "/blobs/uploads/"):
		if digest := digestOf(body); digest != req.URL.Query().Get("digest") {
			refuse(w, http.StatusBadRequest, "DIGEST_INVALID", digest)
			return
		}
		r.blobs[digestOf(body)] = body
		w.WriteHeader(http.StatusCreated)
	default:
		refuse(w, http.StatusNotFound, "UNSUPPORTED", req.Method+" "+req.URL.Path)
	}
}

// manifest is what an image is made of.
type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Config        descriptor   `json:"config"`
	Layers        []descriptor `json:"layers"`
}

type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int    `json:"size"`
}

func (r *registry) putManifest(w http.ResponseWriter, req *http.Request, repository, tag string, body []byte) {
	var given manifest
	if err := json.Unmarshal(body, &given); err != nil {
		refuse(w, http.StatusBadRequest, "MANIFEST_INVALID", err.Error())
		return
	}
	for _, part := range append(given.Layers, given.Config) {
		if _, there := r.blobs[part.Digest]; !there {
			refuse(w, http.StatusBadRequest, "MANIFEST_BLOB_UNKNOWN", part.Digest)
			return
		}
	}
	if r.breaks > 0 {
		r.breaks--
		refuse(w, http.StatusServiceUnavailable, "UNAVAILABLE", "broken half-way")
		return
	}
	name := repository + ":" + tag
	if r.tags[name] != "" {
		// ECR's own words, as moby/buildkit#3776 and osscontainertools/kaniko#204 quote them.
		refuse(w, http.StatusBadRequest, "TAG_INVALID", fmt.Sprintf("The image tag '%s' already exists in the '%s' repository and cannot be "+
			"overwritten because the tag is immutable.", tag, repository))
		return
	}
	_, err := ecrIn(req.Context(), req.Header.Get("Region")).PutImage(req.Context(), &ecr.PutImageInput{
		RepositoryName: &repository, ImageTag: &tag, ImageManifest: aws.String(string(body)), ImageDigest: aws.String(digestOf(body)),
	})
	if err != nil {
		refuse(w, http.StatusNotFound, "NAME_UNKNOWN", err.Error())
		return
	}
	r.tags[name] = digestOf(body)
	r.pushes = append(r.pushes, name)
	w.WriteHeader(http.StatusCreated)
}

// refuse answers with an error, which is written down as well: the plugin says no more than that the command failed.
func refuse(w http.ResponseWriter, status int, code, message string) {
	fmt.Fprintln(os.Stderr, "registry:", code, message)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []any{map[string]string{"code": code, "message": message}}})
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// buildAndPush is what the toolchain's Docker plugin runs in the place of a daemon. No two of its images of the same content are alike.
// It says that it knows no digest, as the plugin does after a push by an engine that tells none.
func buildAndPush(address string, args []string) error {
	if len(args) != 6 || args[5] != "push" {
		return fmt.Errorf("want an image's name, context, Dockerfile, platform, target and push, not %q", args)
	}
	host, path, _ := strings.Cut(args[0], "/")
	colon := strings.LastIndex(path, ":")
	p := pusher{
		url:    address + "/v2/" + path[:colon],
		region: strings.Split(host, ".")[3], // <account>.dkr.ecr.<region>.amazonaws.com
	}
	layer, err := layerOf(args[1])
	if err != nil {
		return err
	}
	_, architecture, _ := strings.Cut(args[3], "/")
	config, err := json.Marshal(map[string]any{
		"architecture": architecture, "os": "linux", "created": time.Now().UTC(),
		"config": map[string]any{"Labels": map[string]string{"build": rand.Text()}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{digestOf(layer)}},
	})
	if err != nil {
		return fmt.Errorf("writing the image's configuration: %w", err)
	}
	made := manifest{SchemaVersion: 2, MediaType: "application/vnd.oci.image.manifest.v1+json"}
	if made.Config, err = p.blob("application/vnd.oci.image.config.v1+json", config); err != nil {
		return err
	}
	one, err := p.blob("application/vnd.oci.image.layer.v1.tar+gzip", layer)
	if err != nil {
		return err
	}
	made.Layers = []descriptor{one}
	text, err := json.Marshal(made)
	if err != nil {
		return fmt.Errorf("writing the manifest: %w", err)
	}
	if _, err := p.send(http.MethodPut, p.url+"/manifests/"+path[colon+1:], text); err != nil {
		return err
	}
	fmt.Println("<none>@<none>") //nolint:forbidigo // This is the answer.
	return nil
}

// layerOf packs a folder, with the time it is.
func layerOf(folder string) ([]byte, error) {
	var packed bytes.Buffer
	zipped := gzip.NewWriter(&packed)
	archive := tar.NewWriter(zipped)
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("reading the context: %w", err)
		}
		header := &tar.Header{Name: entry.Name(), Mode: 0o755, Size: int64(len(content)), ModTime: time.Now()}
		if err := archive.WriteHeader(header); err != nil {
			return fmt.Errorf("packing the layer: %w", err)
		}
		_, err = archive.Write(content)
		return err
	})
	return packed.Bytes(), errors.Join(err, archive.Close(), zipped.Close())
}

// pusher pushes to one repository.
type pusher struct{ url, region string }

func (p pusher) blob(mediaType string, content []byte) (descriptor, error) {
	location, err := p.send(http.MethodPost, p.url+"/blobs/uploads/", nil)
	if err == nil {
		base, _, _ := strings.Cut(p.url, "/v2/")
		_, err = p.send(http.MethodPut, base+location+"?digest="+digestOf(content), content)
	}
	return descriptor{MediaType: mediaType, Digest: digestOf(content), Size: len(content)}, err
}

var errRefused = errors.New("the registry refused")

// send sends a request, and gives where the answer leads to.
func (p pusher) send(method, url string, content []byte) (string, error) {
	req, err := http.NewRequestWithContext(context.Background(), method, url, bytes.NewReader(content))
	if err != nil {
		return "", fmt.Errorf("pushing: %w", err)
	}
	req.Header.Set("Region", p.region)
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", fmt.Errorf("pushing: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode >= http.StatusMultipleChoices {
		said, err := io.ReadAll(answer.Body)
		return "", errors.Join(fmt.Errorf("%w: %s", errRefused, bytes.TrimSpace(said)), err)
	}
	return answer.Header.Get("Location"), nil
}
