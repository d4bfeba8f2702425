package stackfile_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"upload-router/internal/build"
	"upload-router/internal/stackfile"
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
	_, err = stackfile.Read(write(t, "Pulumi.x.yaml", "config: ["), "x")
	require.ErrorContains(t, err, "Pulumi.x.yaml")
}

func TestReadLeavesSecretsToOthers(t *testing.T) {
	t.Parallel()
	folder := write(t, "Pulumi.x.yaml", "config:\n  upload-router:notify: {secure: AAAB}\n")
	_, err := stackfile.Read(folder, "x")
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
