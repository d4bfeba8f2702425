package operate_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awstest"
	"example.com/upload-router/operate"
)

// connect starts an AWS, sets what is deployed in it, and connects to it.
func connect(t *testing.T, deployed ...func(*awstest.Server)) (*awstest.Server, *operate.System) {
	t.Helper()
	server := awstest.Start(t)
	for _, set := range deployed {
		set(server)
	}
	outputs, err := operate.ParseOutputs(server.Outputs())
	require.NoError(t, err)
	system := operate.Connect(server.Config(), outputs)
	system.Poll = time.Millisecond
	return server, system
}

// file makes a file of random bytes.
func file(t *testing.T, folder, name string, size int) string {
	t.Helper()
	content := make([]byte, size)
	_, err := rand.Read(content)
	require.NoError(t, err)
	path := filepath.Join(folder, filepath.FromSlash(name))
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

const mib = 1 << 20

func TestSendFollowsEachFileToItsEnd(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	folder := t.TempDir()
	noText := file(t, folder, "a/small.txt", 10)
	require.NoError(t, os.WriteFile(noText, bytes.Repeat([]byte{0}, 10), 0o600)) // what is at random may look like text
	file(t, folder, "large.bin", 12*mib)
	file(t, folder, "broken.txt", 20)
	server.Script("in/broken.txt", awstest.Script{Error: "Upload.Failed", Cause: `{"errorMessage":"not today","errorType":"Upload.Failed"}`})

	var mu sync.Mutex
	states := map[string][]operate.FileState{}
	files, err := system.Send(t.Context(), operate.SendOptions{
		Files: []string{folder}, Prefix: "in/", ResumeFolder: t.TempDir(), PartSize: 5 * mib,
		OnFile: func(f operate.Sent) {
			mu.Lock()
			defer mu.Unlock()
			if known := states[f.Key]; len(known) == 0 || known[len(known)-1] != f.State {
				states[f.Key] = append(known, f.State)
			}
		},
	})
	require.NoError(t, err)
	require.Len(t, files, 3)
	byKey := map[string]operate.Sent{}
	for _, f := range files {
		byKey[f.Key] = f
	}
	small := byKey["in/a/small.txt"]
	require.Equal(t, operate.FileSucceeded, small.State)
	require.Equal(t, operate.RouteLambda, small.Execution.Route)
	require.NotEmpty(t, small.Execution.Answer)
	require.Equal(t, small.VersionID, small.Execution.VersionID, "the execution of this very version")
	require.Equal(t, "text/plain", small.ContentType, "by its name: the content is no text, and shows no charset")
	require.Equal(t, operate.RouteFargate, byKey["in/large.bin"].Execution.Route)
	require.Equal(t, 3, server.Calls("PUT part"), "12 MiB in parts of 5")
	broken := byKey["in/broken.txt"]
	require.Equal(t, operate.FileFailed, broken.State)
	require.Equal(t, "Upload.Failed: not today", broken.Error)
	require.Equal(t, []operate.FileState{
		operate.FileQueued, operate.FileUploading, operate.FileUploaded, operate.FileRunning, operate.FileSucceeded,
	}, states["in/large.bin"])
}

func TestSendGoesOnAfterABreak(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	path := file(t, t.TempDir(), "film.mp4", 23*mib)
	options := operate.SendOptions{Files: []string{path}, ResumeFolder: t.TempDir(), PartSize: 5 * mib, Parallel: 1}
	server.Cut(func(r *http.Request) bool { return r.URL.Query().Get("partNumber") == "4" })
	files, err := system.Send(t.Context(), options)
	require.NoError(t, err)
	require.Equal(t, operate.FileFailed, files[0].State)
	require.Contains(t, files[0].Error, "run the same command again")
	require.Equal(t, 3, server.Calls("PUT part"))

	server.Cut(nil)
	files, err = system.Send(t.Context(), options)
	require.NoError(t, err)
	require.Equal(t, operate.FileSucceeded, files[0].State, files[0].Error)
	require.EqualValues(t, 15*mib, files[0].Resumed)
	require.Equal(t, 5, server.Calls("PUT part"), "the first three are not sent again")
	left, err := os.ReadDir(options.ResumeFolder)
	require.NoError(t, err)
	require.Empty(t, left, "nothing is left to go on with")
}

func TestSendStartsAnewWhenTheFileChanged(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	folder := t.TempDir()
	path := file(t, folder, "film.mp4", 12*mib)
	options := operate.SendOptions{Files: []string{path}, ResumeFolder: t.TempDir(), PartSize: 5 * mib, Parallel: 1}
	server.Cut(func(r *http.Request) bool { return r.URL.Query().Get("partNumber") == "3" })
	_, err := system.Send(t.Context(), options)
	require.NoError(t, err)
	server.Cut(nil)
	file(t, folder, "film.mp4", 12*mib)
	require.NoError(t, os.Chtimes(path, time.Now(), time.Now().Add(time.Minute)))
	files, err := system.Send(t.Context(), options)
	require.NoError(t, err)
	require.Equal(t, operate.FileSucceeded, files[0].State, files[0].Error)
	require.Zero(t, files[0].Resumed)
}

func TestSendEndsWhenNothingStarts(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	server.Script("lost.txt", awstest.Script{Lost: true})
	files, err := system.Send(t.Context(), operate.SendOptions{
		Files: []string{file(t, t.TempDir(), "lost.txt", 1)}, StartTimeout: time.Millisecond,
	})
	require.NoError(t, err)
	require.Equal(t, operate.FileFailed, files[0].State)
	require.Contains(t, files[0].Error, "no execution started within 1ms")
	require.NotEmpty(t, files[0].VersionID, "it was uploaded")
}

func TestSendWithoutWaiting(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	files, err := system.Send(t.Context(), operate.SendOptions{Files: []string{file(t, t.TempDir(), "a.txt", 1)}, NoWait: true})
	require.NoError(t, err)
	require.Equal(t, operate.FileUploaded, files[0].State)
	require.Zero(t, server.Calls("ListExecutions"))
}

func TestSendIsCanceled(t *testing.T) {
	t.Parallel()
	server, system := connect(t)
	server.Script("a.txt", awstest.Script{Polls: 1 << 30})
	ctx, cancel := context.WithCancel(t.Context())
	files, err := system.Send(ctx, operate.SendOptions{
		Files: []string{file(t, t.TempDir(), "a.txt", 1)},
		OnFile: func(f operate.Sent) {
			if f.State == operate.FileRunning {
				cancel()
			}
		},
	})
	require.ErrorIs(t, err, operate.ErrCanceled)
	require.Equal(t, operate.FileRunning, files[0].State)
	require.Equal(t, "Invoke Lambda function", files[0].Step)
}

func TestCollectFiles(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	one := file(t, folder, "one/a.txt", 1)
	two := file(t, folder, "two/a.txt", 1)
	require.NoError(t, os.Mkdir(filepath.Join(folder, "empty"), 0o700))
	for name, test := range map[string]struct {
		files  []string
		prefix string
		want   string
	}{
		"none":      {want: "no file is named"},
		"missing":   {files: []string{filepath.Join(folder, "no")}, want: "no such file"},
		"one key":   {files: []string{one, two}, want: "would both get the key a.txt"},
		"empty":     {files: []string{filepath.Join(folder, "empty")}, want: "there is no file in"},
		"key limit": {files: []string{one}, prefix: strings.Repeat("é", 600), want: "S3 takes 1024"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := operate.CollectFiles(t.Context(), test.files, test.prefix)
			require.ErrorIs(t, err, operate.ErrInput)
			require.ErrorContains(t, err, test.want)
		})
	}
	files, err := operate.CollectFiles(t.Context(), []string{folder}, "p/")
	require.NoError(t, err)
	require.Equal(t, "p/one/a.txt", files[0].Key)
	require.Equal(t, "p/two/a.txt", files[1].Key)
}

func TestSendOptionsAreChecked(t *testing.T) {
	t.Parallel()
	_, system := connect(t)
	_, err := system.Send(t.Context(), operate.SendOptions{Files: []string{"x"}, PartSize: 1})
	require.ErrorIs(t, err, operate.ErrInput)
	for _, parallel := range []int{-1, 257, math.MaxInt} {
		_, err = system.Send(t.Context(), operate.SendOptions{Files: []string{"x"}, Parallel: parallel})
		require.ErrorIs(t, err, operate.ErrInput)
		require.ErrorContains(t, err, "--parallel, takes 1 to 256")
	}
	_, err = system.Send(t.Context(), operate.SendOptions{Files: []string{file(t, t.TempDir(), "x", 1)}, Parallel: 256, NoWait: true})
	require.NoError(t, err)
}
