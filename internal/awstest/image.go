package awstest

import (
	"net/http"
	"strings"
)

// What [Image] is, unless a test says otherwise.
const (
	imageManifest = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"digest":"sha256:0a"},"layers":[]}`
	imageConfig   = `{"architecture":"amd64","os":"linux","config":{"Entrypoint":["/usr/local/bin/upload-worker"]}}`

	// imageConfigPath is where an image's configuration can be had.
	imageConfigPath = "/image-config"
)

// SetImage says what the image in ECR is: its manifest and its configuration, as JSON. No manifest: there is no image.
func (s *Server) SetImage(manifest, config string) {
	s.set(func() { s.manifest, s.imageConfig = manifest, config })
}

// getImage does BatchGetImage.
func (s *Server) getImage(request) (any, error) {
	if s.manifest == "" {
		return map[string]any{"images": []any{}, "failures": []any{map[string]any{"failureCode": "ImageNotFound"}}}, nil
	}
	_, rest, _ := strings.Cut(s.manifest, `"mediaType":"`)
	mediaType, _, _ := strings.Cut(rest, `"`)
	return map[string]any{"images": []any{map[string]any{
		"imageManifest": s.manifest, "imageManifestMediaType": mediaType, "imageId": map[string]any{"imageDigest": "sha256:1b"},
	}}}, nil
}

// layer does GetDownloadUrlForLayer.
func (s *Server) layer(request) (any, error) {
	return map[string]any{"downloadUrl": s.Endpoint() + imageConfigPath}, nil
}

// serveImage answers who gets an image's configuration.
func (s *Server) serveImage(w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Path != imageConfigPath {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = w.Write([]byte(s.imageConfig))
	return true
}
