package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/local"
	"example.com/upload-router/operate"
)

// writingBesides lets the processors write into any bucket.
const writingBesides = `permissions=[{"Sid":"Write","Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::*/*"}]`

// all are the files below a folder, with their content.
func all(t *testing.T, folder string) map[string]string {
	t.Helper()
	found := map[string]string{}
	require.NoError(t, filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err == nil {
			name, _ := filepath.Rel(folder, path)
			found[name] = string(content)
		}
		return err
	}))
	return found
}

// What a processor writes is listed with key, size and type, and kept where that is asked for, by either command and by both routes.
func TestOutputsAreListedAndKept(t *testing.T) {
	t.Parallel()
	lines := named(t, "in.txt", "output one.txt\noutput /two/three.txt\n")
	for route, threshold := range map[string]string{"Lambda": "6MiB", "Fargate": "0"} {
		t.Run(route, func(t *testing.T) {
			t.Parallel()
			with := []string{"-c", "outputBucket=create", "-c", "outputPrefix=made/", "-c", "sizeThreshold=" + threshold, lines}
			var bucket string
			for _, command := range [][]string{{"try"}, {"send", "--local"}} {
				folder := filepath.Join(t.TempDir(), "not", "there")
				out, err := run(t, writing, append(append(command, "--keep", folder), with...)...)
				require.NoError(t, err, out)
				requireShowable(t, out)
				bucket = onlyName(t, folder)
				assert.Equal(t, map[string]string{
					filepath.Join(bucket, "made", "in.txt", "one.txt"): "this is one.txt",
					filepath.Join(bucket, "made", "two", "three.txt"):  "this is /two/three.txt",
				}, all(t, folder))
				assert.Contains(t, out, "Kept in "+folder+": 2 outputs, by bucket and key.")
				for _, want := range []string{"s3://" + bucket + "/made/in.txt/one.txt", "15 bytes, text/plain", "22 bytes, text/plain"} {
					assert.Contains(t, out, want)
				}
			}
			out, err := run(t, writing, append([]string{"try", "--json"}, with...)...)
			require.NoError(t, err, out)
			var tried struct {
				Files []struct {
					Executions []struct{ Outputs []operate.LocalOutput }
				}
			}
			require.NoError(t, json.Unmarshal([]byte(out), &tried))
			outputs := tried.Files[0].Executions[0].Outputs
			require.Len(t, outputs, 2)
			assert.Equal(t, "made/in.txt/one.txt", outputs[0].Key)
			assert.Equal(t, "text/plain", outputs[1].Type)
			assert.Empty(t, outputs[0].File)
			out, err = run(t, writing, append([]string{"send", "--local", "--json"}, with...)...)
			require.NoError(t, err, out)
			var sent sendReport
			require.NoError(t, json.Unmarshal([]byte(out), &sent))
			assert.Equal(t, []string{"made/in.txt/one.txt", "made/two/three.txt"}, keysOf(sent.Files[0].Outputs))
		})
	}
}

func keysOf(outputs []operate.LocalOutput) []string {
	keys := make([]string, len(outputs))
	for i, o := range outputs {
		keys[i] = o.Key
	}
	return keys
}

// onlyName is the one thing in a folder.
func onlyName(t *testing.T, folder string) string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	return entries[0].Name()
}

// Of keys that no file has, and of those that are a file's and a folder's at once, the run says so, and keeps the others.
func TestWhatCannotBeKeptIsSaid(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	lines := []string{"put good", "put a//b", "put a/../c", "put folder/", "put ./d", "put " + strings.Repeat("x", 256), "put good/below"}
	out, err := run(t, writing, "try", "-c", writingBesides, "--keep", folder, "--json", named(t, "in.txt", strings.Join(lines, "\n")+"\n"))
	require.NoError(t, err, out)
	kept := all(t, folder)
	assert.Len(t, kept, 1)
	var tried struct {
		Files []struct {
			Executions []struct{ Outputs []operate.LocalOutput }
			Following  []struct{ Key string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(out), &tried))
	said := map[string]string{}
	for _, o := range tried.Files[0].Executions[0].Outputs {
		assert.Equal(t, o.NotKept == "", o.File != "", o.Key)
		said[o.Key] = o.NotKept
	}
	assert.Len(t, said, len(lines))
	for key, want := range map[string]string{
		"good": "", "a//b": `the element ""`, "a/../c": `the element ".."`, "folder/": "ends with a slash", "./d": `the element "."`,
		strings.Repeat("x", 256): "256 bytes, and a file's name has at most 255", "good/below": "as a file's name beside the others: ",
	} {
		assert.Contains(t, said[key], want, key)
	}
	out, err = run(t, writing, "try", "-c", writingBesides, "--keep", t.TempDir(), named(t, "in.txt", "put a//b\n"))
	require.NoError(t, err, out)
	assert.Contains(t, strings.Join(strings.Fields(out), " "), `not kept: its key has the element "", which no file has`)
	assert.Contains(t, out, "Nothing is kept in ")
}

// A folder with something in it is refused before anything is built, and not touched.
func TestKeepRefuses(t *testing.T) {
	t.Parallel()
	full, taken := filepath.Dir(named(t, "mine.txt", "x")), filepath.Join(t.TempDir(), "new", "folder")
	other, err := local.OpenKeep(taken)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, other.Close())
		assert.NoDirExists(t, filepath.Dir(taken), "it wasn't there, and nothing is kept")
	})
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"something in it": {[]string{"try", "--keep", full}, "has something in it, such as mine.txt: name a folder that is empty"},
		"a file":          {[]string{"try", "--keep", filepath.Join(full, "mine.txt")}, "name a folder that is empty"},
		"sent":            {[]string{"send", "--local", "--keep", full, full}, "has something in it"},
		"another run's":   {[]string{"try", "--keep", taken}, "another local run keeps its outputs in " + taken + ": name another folder"},
		"deployed":        {[]string{"send", "--keep", full, full}, "--keep is for --local"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := run(t, writing, test.args...)
			require.Error(t, err)
			assert.Equal(t, exitUsage, exitCode(err), out)
			assert.Contains(t, err.Error(), test.want)
			assert.Equal(t, map[string]string{"mine.txt": "x"}, all(t, full))
		})
	}
}

// A loop ends a run of several files with the first, by either command.
func TestALoopIsSaid(t *testing.T) {
	t.Parallel()
	first, second := named(t, "first.txt", "again first.txt\n"), named(t, "second.txt", "again second.txt\n")
	out, err := run(t, writing, "try", "-c", writingBesides, first, second)
	require.ErrorIs(t, err, errNotProcessed)
	assert.Equal(t, exitFailed, exitCode(err))
	requireInOrder(t, out, "its output started the system again (generation 2):", "its output started the system again (generation 3):",
		"✗ your processor's output started the system again:", "s3://", "/first.txt", "outputBucket", "0 of 1 file processed.")
	assert.NotContains(t, out, "second.txt")
	out, err = run(t, writing, "send", "--local", "-c", writingBesides, first)
	require.ErrorIs(t, err, errNotProcessed)
	assert.Contains(t, out, "your processor's output started the system again")
}

// A result is shown whatever JSON it is.
func TestAResultOfAnyShapeIsShown(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ result, want string }{
		"text":   {`"done \u001b[31m"`, `"done \u001b[31m"`},
		"number": {`-1.5e3`, "-1.5e3"},
		"truth":  {"true", "true"},
		"null":   {"null", "null"},
		"list":   {`[1,"a",null]`, "[\n   1,\n   \"a\",\n   null\n  ]"},
		"nested": {`{"a":{"b":[{}]},"result":1}`, "\"b\": [\n     {}\n    ]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, threshold := range []string{"6MiB", "0"} {
				lines := named(t, "in.txt", "result "+test.result+"\n")
				out, err := run(t, writing, "try", "-c", "sizeThreshold="+threshold, lines)
				require.NoError(t, err, out)
				requireShowable(t, out)
				assert.Contains(t, out, test.want)
			}
		})
	}
}
