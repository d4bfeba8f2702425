package settings_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"example.com/upload-router/internal/settings"
)

// readYAML reads a file of the repository's top folder.
func readYAML(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", name))
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, into))
}

// raw writes a YAML value as Pulumi's configuration hands it out.
func raw(t *testing.T, value any) string {
	t.Helper()
	switch value.(type) {
	case []any, map[string]any:
		text, err := json.Marshal(value)
		require.NoError(t, err)
		return string(text)
	}
	return fmt.Sprint(value)
}

// Pulumi reads each key's meaning and default as the rows have them. Its own check of a type would refuse a blank value, and a list that is
// given as JSON: that is left to this package.
func TestProjectConfigDeclaresTheKeys(t *testing.T) {
	t.Parallel()
	var file struct{ Config map[string]map[string]any }
	require.NoError(t, yaml.Unmarshal([]byte(settings.ProjectConfig()), &file))
	require.Len(t, file.Config, len(settings.Keys()))
	for _, key := range settings.Keys() {
		assert.Equal(t, map[string]any{"description": key.Doc, "default": key.Default}, file.Config[key.Name], key.Name)
	}
	for line := range strings.Lines(settings.ProjectConfig()) {
		assert.LessOrEqual(t, len(line), 140)
	}
}

func TestStackFiles(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		file string
		aws  map[string]string
		// lasting are those that aren't thrown away.
		lasting bool
	}{
		{"Pulumi.dev.yaml", map[string]string{}, false},
		{"Pulumi.prod.yaml", map[string]string{}, true},
		{"Pulumi.local.yaml", map[string]string{
			"aws:region": "eu-central-1", "aws:skipCredentialsValidation": "true", "aws:skipMetadataApiCheck": "true",
			"aws:s3UsePathStyle": "true",
		}, false},
	} {
		t.Run(row.file, func(t *testing.T) {
			t.Parallel()
			var file struct{ Config map[string]any }
			readYAML(t, row.file, &file)
			ours, others := config{}, map[string]string{}
			var keys []string
			for key, value := range file.Config {
				keys = append(keys, key)
				if name, found := strings.CutPrefix(key, settings.Namespace+":"); found {
					ours[name] = raw(t, value)
					continue
				}
				others[key] = raw(t, value)
			}
			if row.file != "Pulumi.local.yaml" {
				delete(others, "aws:region") // each developer's own; the repository's file has none
			}
			assert.Equal(t, row.aws, others)
			require.Empty(t, problemsOf(t, ours, settings.WithKeys(keys)))
			loaded := mustLoad(t, ours)
			assert.Equal(t, row.lasting, !loaded.ForceDestroy, "a stack to throw away")
			assert.Equal(t, row.lasting, loaded.Protect, "a stack to keep")
			text, err := json.Marshal(file.Config)
			require.NoError(t, err)
			assert.NotRegexp(t, `arn:|[0-9]{12}|@`, string(text), "it names no account and nobody")
		})
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, key := range settings.Keys() {
		assert.False(t, seen[key.Name], "%s is there once", key.Name)
		seen[key.Name] = true
		assert.NotEmpty(t, key.Doc, key.Name)
		assert.Equal(t, key.Type == settings.TypeArray, key.Items != "", key.Name)
	}
	settings.Keys()[0].Name = "changed"
	assert.Equal(t, "bucketName", settings.Keys()[0].Name, "the list is the caller's own")
}

func TestExamplesAreValid(t *testing.T) {
	t.Parallel()
	for _, key := range settings.Keys() {
		t.Run(key.Name, func(t *testing.T) {
			t.Parallel()
			require.Empty(t, problemsOf(t, baseOf(key).with(key.Name, key.Example)))
		})
	}
}
