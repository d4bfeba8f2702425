package stackfile_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/stackfile"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
	return folder
}

func TestReadGivesWhatPulumiWouldHandOver(t *testing.T) {
	t.Parallel()
	folder := write(t, "Pulumi.x.yaml", `config:
  aws:region: eu-west-1
  upload-router:lambdaMemory: 256
  upload-router:forceDestroy: true
  upload-router:notify: [a@example.com]
  upload-router:sizeThreshold: "1MB"
`)
	config, err := stackfile.Read(folder, "x")
	require.NoError(t, err)
	require.Equal(t, map[string]string{
		"aws:region": "eu-west-1", "lambdaMemory": "256", "forceDestroy": "true",
		"notify": `["a@example.com"]`, "sizeThreshold": "1MB",
	}, config)
	names, err := stackfile.Names(folder)
	require.NoError(t, err)
	require.Equal(t, []string{"x"}, names)
}

// An end-to-end test that runs, or was interrupted, makes no stack for anybody else.
func TestNamesLeavesTheStacksOfTestsOut(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for _, name := range []string{"Pulumi.prod.yaml", "Pulumi.e2e-prod.yaml", "Pulumi.dev.yaml", "Pulumi.yaml"} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), nil, 0o600))
	}
	names, err := stackfile.Names(folder)
	require.NoError(t, err)
	require.Equal(t, []string{"dev", "prod"}, names)

	root, err := build.Root()
	require.NoError(t, err)
	ignored, err := os.ReadFile(filepath.Join(root, ".gitignore"))
	require.NoError(t, err)
	require.Contains(t, string(ignored), "\n/Pulumi."+stackfile.EndToEnd+"*.yaml\n")
}

func TestReadNamesTheFileThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := stackfile.Read(t.TempDir(), "prod")
	require.ErrorIs(t, err, stackfile.ErrMissing)
	require.ErrorContains(t, err, "Pulumi.prod.yaml; there is none")
	for _, text := range []string{
		"config: [", "config: [a]", "config: a", "config:\n  a: 1\n  a: 2\n", "config:\n  a: .inf\n", "config:\n  a:b:c: 1\n", "- a\n",
	} {
		_, err = stackfile.Read(write(t, "Pulumi.x.yaml", text), "x")
		require.ErrorContains(t, err, "Pulumi.x.yaml", text)
	}
	for _, text := range []string{"", "config:\n", "secretsprovider: passphrase\n"} {
		values, err := stackfile.Read(write(t, "Pulumi.x.yaml", text), "x")
		require.NoError(t, err)
		require.Empty(t, values)
	}
}

// Pulumi passes over what isn't below config:, and takes either of two that are one key.
func TestWhatPulumiWouldNotReadIsRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"config:\n  lambdaMemory: 1\n  upload-router:lambdaMemory: 2\n": "lambdaMemory and upload-router:lambdaMemory are one key: remove one",
		"config:\n  aws:region: a\n  aws:config:region: b\n":            "aws:config:region and aws:region are one key",
		"config:\n  aws:region: a\nupload-router:lambdaMemory: 2\n":     "move upload-router:lambdaMemory below config",
		"encryptionsalt: v1\nlambdaMemory: 2\n":                         "move lambdaMemory below config",
	} {
		_, err := stackfile.Read(write(t, "Pulumi.x.yaml", text), "x")
		require.ErrorIs(t, err, stackfile.ErrUnread)
		require.ErrorContains(t, err, want)
	}
	_, err := stackfile.Parse("upload-router", []byte("config:\n  a: 1\n  upload-router:a: 2\nb: 1\n"))
	require.ErrorContains(t, err, "move b below config\n")
	require.ErrorContains(t, err, "a and upload-router:a are one key")
}

// Cases S7 and S12. What each form of a value becomes is held against the CLI by an end-to-end test.
func TestS7S12ReadGivesEachFormOfAValueAsPulumiDoes(t *testing.T) {
	t.Parallel()
	file, err := os.Open(filepath.Join("testdata", "values.jsonl"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var row struct{ Name, YAML, Handed string }
		require.NoError(t, json.Unmarshal(lines.Bytes(), &row))
		t.Run(row.Name, func(t *testing.T) {
			t.Parallel()
			values, err := stackfile.Read(write(t, "Pulumi.x.yaml", "config:\n  upload-router:key: "+row.YAML+"\n"), "x")
			require.NoError(t, err)
			require.Equal(t, map[string]string{"key": row.Handed}, values)
			for _, text := range []string{"key: " + row.YAML, "config:\n  key: " + row.YAML} {
				parsed, err := stackfile.Parse("upload-router", []byte(text+"\n"))
				require.NoError(t, err)
				require.Equal(t, values, parsed)
			}
		})
	}
	require.NoError(t, lines.Err())
	parsed, err := stackfile.Parse("upload-router", []byte(`{"stateMachineName": null, "aws:region": null}`))
	require.NoError(t, err)
	require.Equal(t, map[string]string{"stateMachineName": "", "aws:region": ""}, parsed)
}

// Case S13. Keys without a namespace are the project's own, and the old form of a key still counts.
func TestS13TheProjectGivesTheNamespace(t *testing.T) {
	t.Parallel()
	folder := write(t, "Pulumi.x.yaml", `config:
  team-a:lambdaMemory: 7
  team-a:config:taskCpu: 512
  taskMemory: 3072
  upload-router:lambdaTimeout: 60
  aws:config:region: eu-west-1
`)
	project := "name: team-a\nruntime: go\nconfig:\n  sizeThreshold: 1MB\n  lambdaMemory: {default: 256, type: integer}\n" +
		"  notify: {default: [a@example.com]}\n  aws:profile: ours\n"
	require.NoError(t, os.WriteFile(filepath.Join(folder, "Pulumi.yaml"), []byte(project), 0o600))
	values, err := stackfile.Read(folder, "x")
	require.NoError(t, err)
	require.Equal(t, map[string]string{
		"lambdaMemory": "7", "taskCpu": "512", "taskMemory": "3072", "upload-router:lambdaTimeout": "60", "aws:region": "eu-west-1",
	}, values)
	file, err := stackfile.ReadProject(folder)
	require.NoError(t, err)
	require.Equal(t, stackfile.Project{Name: "team-a", Values: map[string]string{
		"sizeThreshold": "1MB", "lambdaMemory": "256", "notify": `["a@example.com"]`, "aws:profile": "ours",
	}}, file)

	require.NoError(t, os.WriteFile(filepath.Join(folder, "Pulumi.yaml"), []byte("runtime: go\n"), 0o600))
	_, err = stackfile.Read(folder, "x")
	require.ErrorContains(t, err, "reading the project's file: ")
}

func TestReadLeavesSecretsToOthers(t *testing.T) {
	t.Parallel()
	_, err := stackfile.Read(write(t, "Pulumi.x.yaml", "config:\n  upload-router:tags: {a: [{secure: AAAB}]}\n"), "x")
	require.ErrorIs(t, err, stackfile.ErrSecret, "deep in a value")
	folder := write(t, "Pulumi.x.yaml", "config:\n  upload-router:notify: {secure: AAAB}\n")
	_, err = stackfile.Read(folder, "x")
	require.ErrorIs(t, err, stackfile.ErrSecret)
	require.ErrorContains(t, err, "upload-router:notify")
	config, err := stackfile.ReadBut(folder, "x", map[string]string{"notify": "[]"})
	require.NoError(t, err)
	require.Empty(t, config)
}

func TestParseTakesAStackFileOrItsKeys(t *testing.T) {
	t.Parallel()
	want := map[string]string{"aws:region": "eu-west-1", "lambdaMemory": "256", "notify": `["a@example.com"]`}
	for name, text := range map[string]string{
		"stack file": "config:\n  aws:region: eu-west-1\n  upload-router:lambdaMemory: 256\n  upload-router:notify: [a@example.com]\n",
		"keys":       "aws:region: eu-west-1\nlambdaMemory: 256\nnotify: [a@example.com]\n",
		"JSON":       `{"aws:region": "eu-west-1", "lambdaMemory": 256, "notify": ["a@example.com"]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, err := stackfile.Parse("upload-router", []byte(text))
			require.NoError(t, err)
			require.Equal(t, want, config)
		})
	}
	_, err := stackfile.Parse("upload-router", []byte("- a list"))
	require.ErrorContains(t, err, "neither YAML nor JSON")
}
