package stackfile_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

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

func TestReadNamesTheFileThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := stackfile.Read(t.TempDir(), "prod")
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "Pulumi.prod.yaml")
	_, err = stackfile.Read(write(t, "Pulumi.x.yaml", "config: ["), "x")
	require.ErrorContains(t, err, "Pulumi.x.yaml")
}
