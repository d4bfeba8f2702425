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

// project is what of Pulumi.yaml matters here.
type project struct {
	Name    string
	Runtime string
	Config  yaml.Node
}

// declaration is one key in Pulumi.yaml.
type declaration struct {
	Description string
	Type        string
	Default     any
}

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

func TestProjectFileDeclaresTheKeys(t *testing.T) {
	t.Parallel()
	var file project
	readYAML(t, "Pulumi.yaml", &file)
	assert.Equal(t, settings.Namespace, file.Name)
	assert.Equal(t, "go", file.Runtime)

	// A mapping's node has its keys and values in turn; that keeps the order, which is the documentation's too.
	want := make([]string, 0, len(settings.Keys()))
	var names []string
	defaults := config{}
	declared := map[string]declaration{}
	for i := 0; i < len(file.Config.Content); i += 2 {
		var one declaration
		require.NoError(t, file.Config.Content[i+1].Decode(&one))
		name := file.Config.Content[i].Value
		names = append(names, name)
		declared[name] = one
		require.NotNil(t, one.Default, "Pulumi demands a value of every key without a default: %s", name)
		// Pulumi's own check of a type refuses a blank value, and a list that is given as JSON: that is left to this package.
		require.Empty(t, one.Type, name)
		defaults[name] = raw(t, one.Default)
	}
	for _, key := range settings.Keys() {
		want = append(want, key.Name)
		assert.Equal(t, key.Doc, declared[key.Name].Description, key.Name)
		assert.Equal(t, key.Default, declared[key.Name].Default, key.Name)
	}
	require.Equal(t, want, names)
	require.Equal(t, mustLoad(t, config{}), mustLoad(t, defaults))
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
			base := config{}
			if key.Name == "vpcId" || key.Name == "subnetIds" {
				base = existing()
			}
			require.Empty(t, problemsOf(t, base.with(key.Name, key.Example)))
		})
	}
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	lines := strings.Split(strings.TrimSuffix(settings.Markdown(), "\n"), "\n")
	require.Len(t, lines, len(settings.Keys())+2)
	assert.Equal(t, "| key | type | default | meaning |", lines[0])
	for i, key := range settings.Keys() {
		cells := strings.Split(lines[i+2], " | ")
		require.Len(t, cells, 4, lines[i+2])
		assert.Equal(t, "| `"+key.Name+"`", cells[0])
		assert.Equal(t, key.Doc+" |", cells[3])
	}
	assert.Contains(t, settings.Markdown(), "| `taskCpu` | integer | `1024` | ")
	assert.Contains(t, settings.Markdown(), "| `bucketName` | string | none | ")
	assert.Contains(t, settings.Markdown(), "| `notify` | list of strings | `[]` | ")
	assert.Contains(t, settings.Markdown(), "`<br>`")
}
