package engines_test

import (
	"bufio"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// readCases reads a file of one case a line.
func readCases[C any](t *testing.T, path string) []C {
	t.Helper()
	file, err := os.Open(path)
	require.NoError(t, err)
	defer func() { _ = file.Close() }()
	var out []C
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var c C
		require.NoError(t, json.Unmarshal(lines.Bytes(), &c), lines.Text())
		out = append(out, c)
	}
	require.NoError(t, lines.Err())
	require.NotEmpty(t, out, path)
	return out
}
