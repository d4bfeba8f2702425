// Package engines_test holds our own interpreters against engines that others keep: a case file says input and expected value,
// our own tests read it where they stand, and the tests here ask the engine for the same cases.
//
// The engines are those of package.json, in exact versions. They are looked for in the folder that the environment variable
// UPLOAD_ROUTER_ENGINES names, or in this one; `.ci/run` installs them. Without an engine its test is skipped, and says what it
// takes.
package engines_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// folderVariable names the folder with node_modules and bin.
const folderVariable = "UPLOAD_ROUTER_ENGINES"

// folder is where the engines are, or would be.
func folder(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv(folderVariable); dir != "" {
		return dir
	}
	dir, err := os.Getwd()
	require.NoError(t, err)
	return dir
}

// program is the path of an engine that is a program, below the folder's bin.
func program(t *testing.T, name, install string) string {
	t.Helper()
	path := filepath.Join(folder(t), "bin", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("left out: %s isn't at %s. To have it: %s", name, path, install)
	}
	return path
}

// modulesWith is the folder of npm's packages, in which this one is; without it the test is skipped.
func modulesWith(t *testing.T, pkg string) string {
	t.Helper()
	modules := filepath.Join(folder(t), "node_modules")
	if _, err := os.Stat(filepath.Join(modules, filepath.FromSlash(pkg))); err != nil {
		t.Skipf("left out: the npm package %s isn't in %s. To have it: npm install --prefix test/engines", pkg, modules)
	}
	return modules
}

// node runs a script of this folder with a package of package.json. It writes each request as a line of JSON and gives the lines
// that the script answers, one a request.
func node[R any](t *testing.T, pkg, script string, requests []R) []json.RawMessage {
	t.Helper()
	modules := modulesWith(t, pkg)
	var input, said bytes.Buffer
	for _, request := range requests {
		require.NoError(t, json.NewEncoder(&input).Encode(request))
	}
	command := exec.CommandContext(t.Context(), "node", script)
	command.Env = append(os.Environ(), "NODE_PATH="+modules)
	command.Stdin, command.Stderr = &input, &said
	output, err := command.Output()
	require.NoError(t, err, "%s: %s", script, said.String())
	var answers []json.RawMessage
	lines := bufio.NewScanner(bytes.NewReader(output))
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		answers = append(answers, json.RawMessage(bytes.Clone(lines.Bytes())))
	}
	require.NoError(t, lines.Err())
	require.Len(t, answers, len(requests), "%s answers each request by a line; it said: %s", script, said.String())
	return answers
}
