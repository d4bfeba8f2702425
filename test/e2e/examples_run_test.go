//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"
)

// examples runs every line of every command's help on what is deployed, those of destroy at last, after what else there is to do.
// The execution's name stands for those in the lines.
func (c *commands) examples(execution string, beforeDestroy func()) {
	c.t.Helper()
	bench := c.bench(execution)
	for _, e := range matched(c.t) {
		if beforeDestroy != nil && strings.HasPrefix(e.line, "upload-router destroy ") {
			beforeDestroy()
			beforeDestroy = nil
		}
		bench.run(e)
	}
}

// bench is what the examples' words stand for.
type bench struct {
	*commands
	words *strings.Replacer
	env   []string
}

func (c *commands) bench(execution string) *bench {
	c.t.Helper()
	folder := c.t.TempDir()
	for name, size := range map[string]int{"report.pdf": 100, "video.mp4": 7 << 20, "photos/1.jpg": 10, "photos/2.jpg": 20} {
		path := filepath.Join(folder, name)
		require.NoError(c.t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(c.t, os.WriteFile(path, bytes.Repeat([]byte("x"), size), 0o600))
	}
	// The page has what the stack has, but for one value.
	parameters, err := os.ReadFile(filepath.Join(root, "Pulumi.local.yaml"))
	require.NoError(c.t, err)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/uploads/prod.yaml" {
			_, _ = w.Write(append(parameters, []byte("  upload-router:lambdaMemory: \"1024\"\n")...))
		}
	}))
	c.t.Cleanup(server.Close)
	authority := filepath.Join(folder, "authority.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	require.NoError(c.t, os.WriteFile(authority, certificate, 0o600))
	in := func(name string) string { return filepath.Join(folder, name) }
	return &bench{
		commands: c,
		words: strings.NewReplacer(
			"--stack dev", "--stack "+c.stack, "--stack prod", "--stack "+c.stack,
			"0f6c1b5e-8f7e-4d0e-9d39-6b0b0f6c2a11", execution,
			"https://config.example.com", server.URL,
			" report.pdf", " "+in("report.pdf"), " video.mp4", " "+in("video.mp4"), " photos", " "+in("photos"),
			"machine.svg", in("machine.svg"), "deployed.svg", in("deployed.svg"), "deployment.jsonl", in("deployment.jsonl"),
			"march.csv", in("march.csv"), "all.parquet", in("all.parquet"), "deploy-1.json", in("deploy-1.json"),
			"aws s3 ls", "echo s3 ls", // the command line of AWS isn't everywhere
		),
		env: slices.Concat(c.env, []string{
			"PATH=" + filepath.Dir(c.binary) + string(os.PathListSeparator) + os.Getenv("PATH"), "SSL_CERT_FILE=" + authority,
		}),
	}
}

// run runs a line in a shell, as a user types it.
func (b *bench) run(known example) {
	b.t.Helper()
	command := known.line
	if !known.asIs {
		command = b.words.Replace(command)
	}
	if known.more != "" {
		head, pipe, piped := strings.Cut(command, " | ")
		if command = head + known.more; piped {
			command += " | " + pipe
		}
	}
	if known.stop {
		command = "timeout --preserve-status --signal INT 5 " + command
	}
	if _, err := exec.LookPath("jq"); err != nil && strings.Contains(command, "jq ") {
		b.t.Logf("left out, as there is no jq: %s", known.line)
		return
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-o", "pipefail", "-c", command)
	cmd.Dir, cmd.Env = root, b.env
	output, err := cmd.CombinedOutput()
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else {
		require.NoError(b.t, err, command)
	}
	require.Equal(b.t, known.code, code, "%s:\n%s", command, output)
	require.Contains(b.t, string(output), known.want, command)
	require.NotContains(b.t, string(output), "goroutine ", command)
}
