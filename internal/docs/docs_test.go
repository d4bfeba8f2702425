package docs_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"example.com/upload-router/components/routing"
	"example.com/upload-router/components/task"
	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/docs"
	"example.com/upload-router/internal/factors"
	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/settings"
)

func TestDocumentsAreCurrent(t *testing.T) {
	t.Parallel()
	root, err := build.Root()
	require.NoError(t, err)
	files, err := docs.Files(root)
	require.NoError(t, err)
	for name, want := range files {
		have, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, have), "%s is out of date: go run ./internal/docs/generate", name) // nobody reads two documents
	}
}

// What the program declares in a variant is what the table of the factors says of it: tests of the definition alone go through the
// same variants.
func TestVariantsAreDistinctAndThoseOfTheTable(t *testing.T) {
	t.Parallel()
	definitions, err := docs.Variants()
	require.NoError(t, err)
	seen := map[string]string{}
	variants := factors.Variants(factors.Machine())
	require.Len(t, definitions, len(variants))
	for _, v := range variants {
		definition := definitions[v.Name]
		machine, err := asl.Parse([]byte(definition))
		require.NoError(t, err, v.Name)
		require.NotContains(t, seen, definition, "%s is the same as %s", v.Name, seen[definition])
		seen[definition] = v.Name
		require.Equal(t, shape(t, of(t, v)), shape(t, machine), v.Name)
	}
}

// of is the definition of a variant, of made up resources.
func of(t *testing.T, v factors.Variant) *asl.Machine {
	t.Helper()
	config, err := settings.Load(func(key string) (string, bool) { value, set := v.Config[key]; return value, set })
	require.NoError(t, err)
	routing := machine.Description{
		Routes:           routing.BySize(config.SizeThreshold, config.LambdaTimeout, config.TaskTimeout),
		ExecutionTimeout: config.ExecutionTimeout,
		ContainerName:    task.ContainerName, AssignPublicIP: true, NotifySuccess: true,
		LedgerRetentionDays: config.LedgerRetentionDays,
	}
	v.Route(&routing)
	return machine.Definition(routing, machine.References{})
}

// named are the parameters that name resources.
var named = []string{"Cluster", "FunctionName", "SecurityGroups", "Subnets", "TableName", "TaskDefinition", "TopicArn"}

// shape is a definition without the names of resources, as JSON.
func shape(t *testing.T, m *asl.Machine) string {
	t.Helper()
	text, err := m.JSON()
	require.NoError(t, err)
	var value any
	require.NoError(t, json.Unmarshal([]byte(text), &value))
	var strip func(value any)
	strip = func(value any) {
		switch v := value.(type) {
		case map[string]any:
			for key, of := range v {
				if slices.Contains(named, key) {
					delete(v, key)
				}
				strip(of)
			}
		case []any:
			for _, of := range v {
				strip(of)
			}
		}
	}
	strip(value)
	out, err := json.Marshal(value)
	require.NoError(t, err)
	return string(out)
}

// What the generated tables and the drawing show of three tiers is the configuration that people copy.
func TestTheThreeTiersAreThoseOfTheDocument(t *testing.T) {
	t.Parallel()
	root, err := build.Root()
	require.NoError(t, err)
	document, err := os.ReadFile(filepath.Join(root, "docs", "configuration.md"))
	require.NoError(t, err)
	_, after, found := bytes.Cut(document, []byte("```yaml\nupload-router:routes:\n"))
	require.True(t, found)
	block, _, _ := bytes.Cut(after, []byte("```"))
	var copied map[string]any
	require.NoError(t, yaml.Unmarshal(append([]byte("upload-router:routes:\n"), block...), &copied))
	routes, err := json.Marshal(copied["upload-router:routes"])
	require.NoError(t, err)
	require.JSONEq(t, docs.ThreeTiers["routes"], string(routes))
	require.Equal(t, docs.ThreeTiers["executionTimeout"], fmt.Sprint(copied["upload-router:executionTimeout"]))
	require.Len(t, copied, len(docs.ThreeTiers))
}
