package docs_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"example.com/upload-router/components/routing"
	"example.com/upload-router/components/task"
	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/docs"
	"example.com/upload-router/internal/factors"
	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/routemetric"
	"example.com/upload-router/internal/settings"
	"example.com/upload-router/operate"
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
	variants := factors.Variants(factors.All())
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
	return tableName.ReplaceAllString(string(out), "")
}

// tableName is the table's name in a call that an expression makes.
var tableName = regexp.MustCompile(`'TableName': '[^']*', `)

// document is a document, and stackFiles the files of a stack in it, each as a text for each of its keys.
func document(t *testing.T, name string) (text string, stackFiles []map[string]string) {
	t.Helper()
	root, err := build.Root()
	require.NoError(t, err)
	content, err := os.ReadFile(filepath.Join(root, "docs", name))
	require.NoError(t, err)
	blocks := strings.Split(string(content), "```yaml\n")
	for _, block := range blocks[1:] {
		block, _, _ = strings.Cut(block, "```")
		var file struct{ Config map[string]any }
		if !strings.HasPrefix(block, "config:") {
			block = "config:\n  " + strings.ReplaceAll(block, "\n", "\n  ")
		}
		require.NoError(t, yaml.Unmarshal([]byte(block), &file))
		values := map[string]string{}
		for key, value := range file.Config {
			encoded, err := json.Marshal(value)
			require.NoError(t, err)
			if key, ours := strings.CutPrefix(key, settings.Namespace+":"); ours {
				values[key] = string(encoded)
			}
		}
		stackFiles = append(stackFiles, values)
	}
	return string(content), stackFiles
}

// What the generated tables and the drawing show of three tiers is the configuration that people copy.
func TestTheThreeTiersAreThoseOfTheDocuments(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"configuration.md", "routes.md"} {
		_, files := document(t, name)
		i := slices.IndexFunc(files, func(file map[string]string) bool { return strings.Contains(file["routes"], `"video"`) })
		require.GreaterOrEqual(t, i, 0, name)
		require.Len(t, files[i], len(docs.ThreeTiers), name)
		for key, want := range docs.ThreeTiers {
			require.JSONEq(t, want, files[i][key], name)
		}
	}
}

// What docs/routes.md has been printed by `cost` is what it prints: each position of each of its two stacks.
func TestTheRoutesDocumentHasWhatCostPrints(t *testing.T) {
	t.Parallel()
	text, files := document(t, "routes.md")
	require.Len(t, files, 2)
	commands := regexp.MustCompile(`upload-router cost --stack \w+ --uploads-per-month (\d+) --size-distribution (\S+)`).
		FindAllStringSubmatch(text, -1)
	require.Len(t, commands, len(files))
	for i, command := range commands {
		uploads, err := strconv.ParseFloat(command[1], 64)
		require.NoError(t, err)
		sizes, err := operate.ParseSizes(command[2])
		require.NoError(t, err)
		report, err := operate.Costs(operate.CostOptions{Config: files[i], Uploads: uploads, Sizes: sizes})
		require.NoError(t, err)
		for _, item := range report.Items {
			if item.Route == "" {
				continue
			}
			dollars := "$" + humanize.FormatFloat("#,###.##", item.Dollars)
			if item.Dollars < 0.01 {
				dollars = "< $0.01"
			}
			row := regexp.MustCompile(`(?m)^` + item.Route + ` +` + item.What + ` +[\d,.]+ +` + regexp.QuoteMeta(dollars) + `$`)
			require.True(t, row.MatchString(text), row.String()) // nobody reads the whole document
		}
		require.Contains(t, text, fmt.Sprintf("\nAll together: $%.2f a month.\n", report.Total))
	}
}

// A metric has its row in the table, with its unit.
func TestTheRoutesDocumentHasTheMetrics(t *testing.T) {
	t.Parallel()
	text, _ := document(t, "routes.md")
	names := []string{routemetric.Duration, routemetric.Size, routemetric.Failed, routemetric.Retried}
	directive := routemetric.Of(time.Now(), names...).CloudWatchMetrics[0]
	for _, metric := range directive.Metrics {
		require.Contains(t, text, "\n| `"+metric.Name+"` | "+metric.Unit+" | ")
	}
	require.Contains(t, text, "those of the namespace `"+directive.Namespace+"`, with\nthe dimensions `"+
		strings.Join(directive.Dimensions[0], "` and `")+"`")
}
