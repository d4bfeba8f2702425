//go:build e2e

package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/settings"
)

// preview runs a preview of a project in a folder that isn't the repository's, and gives all that it printed.
func preview(t *testing.T, folder, stackFile string, environ ...string) (string, error) {
	t.Helper()
	env := append(os.Environ(), environ...)
	for name, value := range environment(t) {
		env = append(env, name+"="+value)
	}
	const name = "e2e-config"
	var output []byte
	var err error
	for _, args := range [][]string{{"stack", "init", name}, {"preview", "--stack", name}} {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		cmd := exec.CommandContext(ctx, "pulumi", append(args, "--non-interactive")...)
		cmd.Dir, cmd.Env = folder, env
		output, err = cmd.CombinedOutput()
		cancel()
		if args[0] == "stack" {
			require.NoError(t, err, string(output))
			file, err := os.OpenFile(filepath.Join(folder, "Pulumi."+name+".yaml"), os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
			require.NoError(t, err)
			_, err = file.WriteString(stackFile) // after the salt of the stack's secrets
			require.NoError(t, err)
			require.NoError(t, file.Close())
		}
	}
	return string(output), err
}

// TestValuesAreWhatTheEngineHandsOver holds what internal/stackfile is tested with against the CLI (cases S7 and S12).
func TestValuesAreWhatTheEngineHandsOver(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for name, text := range map[string]string{
		"Pulumi.yaml": "name: team-a\nruntime: go\n",
		"go.mod":      "module handed\n\ngo 1.26\n",
		"main.go": "package main\n\nimport \"os\"\n\nfunc main() {\n" +
			"\tif os.WriteFile(os.Getenv(\"HANDED\"), []byte(os.Getenv(\"PULUMI_CONFIG\")), 0o600) != nil {\n\t\tos.Exit(1)\n\t}\n}\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
	}
	file, err := os.Open(filepath.Join(root, "internal", "stackfile", "testdata", "values.jsonl"))
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	var stackFile strings.Builder
	stackFile.WriteString("config:\n")
	names, want := map[string]string{}, map[string]string{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var row struct{ Name, YAML, Handed string }
		require.NoError(t, json.Unmarshal(lines.Bytes(), &row))
		key := fmt.Sprintf("team-a:key%d", len(names))
		names[key], want[key] = row.Name, row.Handed
		fmt.Fprintf(&stackFile, "  %s: %s\n", key, row.YAML)
	}
	output := filepath.Join(t.TempDir(), "handed.json")
	said, _ := preview(t, folder, stackFile.String(), "HANDED="+output) // which fails: the program registers no stack
	text, err := os.ReadFile(output)
	require.NoError(t, err, said)
	var handed map[string]string
	require.NoError(t, json.Unmarshal(text, &handed))
	require.Len(t, handed, len(want))
	for key, value := range handed {
		require.Equal(t, want[key], value, names[key])
	}
}

// TestARenamedProjectReadsItsOwnKeys is the program under another name (cases S7 and S13).
func TestARenamedProjectReadsItsOwnKeys(t *testing.T) {
	t.Parallel()
	ours, err := os.ReadFile(filepath.Join(root, "Pulumi.yaml"))
	require.NoError(t, err)
	program, err := filepath.Abs(root)
	require.NoError(t, err)
	renamed := strings.Replace(string(ours), "name: "+project, "name: team-a\nmain: "+program, 1)
	var blanks strings.Builder
	for _, key := range settings.Keys() {
		if key.Name != "lambdaMemory" {
			fmt.Fprintf(&blanks, "  team-a:%s:\n", key.Name)
		}
	}
	blank := "config:\n  aws:region:\n" + blanks.String()
	for name, test := range map[string]struct{ config, want string }{
		"its own":   {"config:\n  team-a:lambdaMemory: 7\n", "team-a:lambdaMemory: 7: must be a whole number of MB from 128 to 10240"},
		"a list":    {"config:\n  team-a:notify: '[\"ops\"]'\n", "team-a:notify[0]: ops: must be an e-mail address"},
		"all blank": {blank + "  lambdaMemory: 7\n", "team-a:lambdaMemory: 7: must be a whole number of MB from 128 to 10240"},
		"a stale": {
			"config:\n  upload-router:lambdaMemory: 256\n",
			"upload-router:lambdaMemory: is not read, since the project is called team-a",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(folder, "Pulumi.yaml"), []byte(renamed), 0o600))
			output, err := preview(t, folder, test.config)
			require.Error(t, err)
			require.Contains(t, output, "invalid configuration: 1 problem, nothing was created")
			require.Contains(t, output, test.want)
		})
	}
}
