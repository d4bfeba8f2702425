//go:build unix

package files_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/files"
	"example.com/upload-router/internal/settings"
)

func write(t *testing.T, path, text string) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// TestFindInFolder is S4: what is linked in a folder is found, and what can't be sent is named with the reason.
func TestFindInFolder(t *testing.T) {
	t.Parallel()
	folder, elsewhere := filepath.Join(t.TempDir(), "real"), t.TempDir()
	write(t, folder+"/a.txt", "a")
	write(t, folder+"/sub/b.bin", "b")
	write(t, elsewhere+"/linked.txt", "file")
	write(t, elsewhere+"/folder/c.txt", "c")
	for link, target := range map[string]string{
		"file": elsewhere + "/linked.txt", "folder": elsewhere + "/folder", "again": elsewhere + "/folder",
		"dangling": "nowhere", "sub/loop": "..", "itself": "itself",
	} {
		require.NoError(t, os.Symlink(target, filepath.Join(folder, link)))
	}
	require.NoError(t, syscall.Mkfifo(folder+"/pipe", 0o600))
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", folder+"/socket")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	current := filepath.Join(t.TempDir(), "current")
	require.NoError(t, os.Symlink(folder, current))

	for name, named := range map[string]string{"a folder": folder, "S4, a link to it": current} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, err := files.Find(t.Context(), []string{named}, "in/")
			require.NoError(t, err)
			got := map[string]string{}
			for _, f := range found {
				require.Equal(t, named, f.Path[:len(named)])
				got[f.Key] = f.ContentType
				if f.Problem != nil {
					got[f.Key] = f.Problem.Error()
				}
			}
			const text = "text/plain; charset=utf-8"
			require.Equal(t, map[string]string{
				"in/a.txt":        text,
				"in/sub/b.bin":    "application/octet-stream",
				"in/file":         text,
				"in/folder/c.txt": text,
				"in/again/c.txt":  text,
				"in/dangling":     "the link can't be followed: it leads to nowhere, which doesn't exist",
				"in/itself":       "the link can't be followed: it leads to itself: too many levels of symbolic links",
				"in/sub/loop":     "the link can't be followed: it leads to .., a folder that it is in",
				"in/pipe":         "it is not a file but a named pipe (FIFO): write what it gives into a file first",
				"in/socket":       "it is not a file but a socket",
			}, got)
		})
	}
}

// Every link that leads up is refused where it is, however it is come to: nothing is sent that wasn't asked for.
func TestALinkThatLeadsUpIsNotFollowed(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	write(t, top+"/parent/beside.txt", "not asked for")
	nested := top + "/parent/nested"
	write(t, nested+"/a.txt", "a")
	write(t, top+"/other/inside/b.txt", "b")
	for link, target := range map[string]string{
		nested + "/loop": "..", nested + "/top": top, nested + "/root": "/", nested + "/other": top + "/other/inside",
		top + "/other/inside/up": "..", top + "/other/inside/back": nested, top + "/other/inside/above": top + "/parent",
	} {
		require.NoError(t, os.Symlink(target, link))
	}
	refused := func(target string) string {
		return "the link can't be followed: it leads to " + target + ", a folder that it is in"
	}
	found, err := files.Find(t.Context(), []string{nested}, "")
	require.NoError(t, err)
	got := map[string]string{}
	for _, f := range found {
		got[f.Key] = ""
		if f.Problem != nil {
			got[f.Key] = f.Problem.Error()
		}
	}
	require.Equal(t, map[string]string{
		"a.txt": "", "loop": refused(".."), "top": refused(top), "root": refused("/"),
		"other/b.txt": "", "other/up": refused(".."), "other/back": refused(nested), "other/above": refused(top + "/parent"),
	}, got)
}

// TestFindNamed refuses what was asked for by name and can't be sent, all of it at once.
func TestFindNamed(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := write(t, folder+"/a.txt", "a")
	pipe, link, dangling, only := folder+"/pipe", folder+"/link", folder+"/dangling", folder+"/only"
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	require.NoError(t, os.Symlink(file, link))
	require.NoError(t, os.Symlink("nowhere", dangling))
	require.NoError(t, os.Mkdir(only, 0o700))
	require.NoError(t, os.Symlink(pipe, only+"/pipe"))
	latin := write(t, filepath.Join(folder, "caf\xe9.txt"), "a")
	for name, test := range map[string]struct {
		named  []string
		prefix string
		kind   error
		want   []string
	}{
		"no name":               {[]string{""}, "", os.ErrNotExist, []string{`"": no such file or directory`}},
		"missing":               {[]string{folder + "/no"}, "", os.ErrNotExist, []string{"no: no such file or directory"}},
		"pipe":                  {[]string{pipe}, "", files.ErrNotFile, []string{pipe + ": it is not a file but a named pipe"}},
		"dangling link":         {[]string{dangling}, "", files.ErrLink, []string{"it leads to nowhere, which doesn't exist"}},
		"device":                {[]string{os.DevNull}, "", files.ErrNotFile, []string{os.DevNull + ": it is not a file but a device"}},
		"several":               {[]string{file, pipe, dangling}, "", files.ErrNotFile, []string{pipe, dangling}},
		"nothing but a pipe":    {[]string{only}, "", files.ErrNone, []string{"no file in " + only, "/pipe: it is not a file but a named pipe"}},
		"empty":                 {[]string{t.TempDir()}, "", files.ErrNone, []string{"there is no file in "}},
		"S6, ../":               {[]string{file}, "../", files.ErrKey, []string{`prefix "../"`, "its .. lead out of the bucket"}},
		"S6, a/../../b/":        {[]string{folder}, "a/../../b/", files.ErrKey, []string{`prefix "a/../../b/"`}},
		"key of 1,025 bytes":    {[]string{file}, strings.Repeat("é", 510), files.ErrKey, []string{"it has 1025 bytes, and S3 takes 1024"}},
		"no UTF-8":              {[]string{latin}, "", files.ErrKey, []string{`"caf\xe9.txt": it isn't UTF-8`}},
		"prefix without UTF-8":  {[]string{file}, "\xff/", files.ErrKey, []string{`prefix "\xff/"`}},
		"prefix that is a file": {[]string{file + "/"}, "", syscall.ENOTDIR, []string{"not a directory"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := files.Find(t.Context(), test.named, test.prefix)
			require.ErrorIs(t, err, test.kind)
			for _, text := range test.want {
				require.ErrorContains(t, err, text)
			}
		})
	}
	found, err := files.Find(t.Context(), []string{link}, "a/../b/")
	require.NoError(t, err)
	require.Equal(t, []files.File{{Path: link, Key: "a/../b/link", Size: 1, ContentType: "text/plain; charset=utf-8"}}, found)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = files.Find(ctx, []string{folder}, "")
	require.ErrorIs(t, err, context.Canceled)
}

// TestCheckKey takes what S3 takes. The examples with videos are those of
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html, the
// measured ones of floci#1231 and #1320.
func TestCheckKey(t *testing.T) {
	t.Parallel()
	for _, key := range []string{
		"a", strings.Repeat("k", 1024), "videos/2014/../../video1.wmv", "a/../b/x", "./x", "a/./x", "..x", "a..", ".../x", "a//../../x", "/x",
		"a\x08.bin", "a\x1b.bin", "a\uffff.bin",
	} {
		require.NoError(t, files.CheckKey(key), "%q", key)
	}
	for _, key := range []string{
		"", strings.Repeat("k", 1025), "..", "../x", "../floci-invalid-key-test/object", "a/../../b/x", "videos/../../video1.wmv",
		"videos/../../2014/video1.wmv", "a/../..", "x\xff", "\xed\xa0\x80",
	} {
		require.ErrorIs(t, files.CheckKey(key), files.ErrKey, "%q", key)
	}
}

// TestOpenUnsized is S5: a file of which the system says that it is empty, or a page, has what is read of it.
func TestOpenUnsized(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"S5, /proc": "/proc/self/status", "/sys": "/sys/kernel/mm/transparent_hugepage/enabled"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			said, err := os.Stat(path)
			if err != nil {
				t.Skip("this system has no " + path)
			}
			content, err := files.Open(t.Context(), path)
			require.NoError(t, err)
			text, err := io.ReadAll(content.Reader())
			require.NoError(t, err)
			require.NotEmpty(t, text)
			require.EqualValues(t, len(text), content.Size())
			require.NotEqual(t, said.Size(), content.Size(), "which is why it is a case")
			touched, err := content.Touched()
			require.NoError(t, err)
			require.False(t, touched)
			require.NoError(t, content.Close())
		})
	}
	if _, err := os.Stat("/proc/self/status"); err == nil {
		found, err := files.Find(t.Context(), []string{"/proc/self/status"}, "")
		require.NoError(t, err)
		require.NotZero(t, found[0].Size)
		_, err = files.OpenAtMost(t.Context(), "/proc/self/status", 100)
		require.ErrorIs(t, err, files.ErrSize)
		require.ErrorContains(t, err, "the system doesn't know its size, and it has more than 100 bytes")
	}
}

// TestOpenDoesNotWait opens what became a named pipe after it was looked at: nobody will ever write to it.
func TestOpenDoesNotWait(t *testing.T) {
	t.Parallel()
	pipe := t.TempDir() + "/pipe"
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	_, err := files.Open(t.Context(), pipe)
	require.ErrorIs(t, err, files.ErrNotFile)
	require.ErrorContains(t, err, "it is not a file but a named pipe (FIFO): write what it gives into a file first")
}

// TestReadAllEnds has a file give something and then nothing more, as /proc/kmsg does.
func TestReadAllEnds(t *testing.T) {
	t.Parallel()
	silent := func(t *testing.T) io.Reader {
		t.Helper()
		reader, writer, err := os.Pipe()
		require.NoError(t, err)
		t.Cleanup(func() { _, _ = reader.Close(), writer.Close() })
		_, err = writer.WriteString("something")
		require.NoError(t, err)
		return reader
	}
	_, err := files.ReadAll(t.Context(), silent(t), 50*time.Millisecond)
	require.ErrorIs(t, err, files.ErrNotFile)
	require.EqualError(t, err, "it is not a file that has an end: nothing more came for 50ms: copy what it gives into a file first")

	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	_, err = files.ReadAll(ctx, silent(t), time.Hour)
	require.ErrorIs(t, err, context.Canceled)

	slow := iotest.OneByteReader(strings.NewReader("it comes"))
	text, err := files.ReadAll(t.Context(), readerFunc(func(p []byte) (int, error) {
		time.Sleep(20 * time.Millisecond)
		return slow.Read(p)
	}), 100*time.Millisecond)
	require.NoError(t, err)
	require.Equal(t, "it comes", string(text), "each byte has the whole time")
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestTruncatedFileHasChanged and is no reason to send a request again.
func TestTruncatedFileHasChanged(t *testing.T) {
	t.Parallel()
	const size = 100_000 // more than is read at once
	path := write(t, t.TempDir()+"/x", strings.Repeat("a", size))
	content, err := files.Open(t.Context(), path)
	require.NoError(t, err)
	t.Cleanup(func() { _ = content.Close() })
	_, err = io.Copy(io.Discard, content.Reader())
	require.NoError(t, err)
	require.NoError(t, os.Truncate(path, size/2))
	n, err := io.Copy(io.Discard, content.Reader())
	require.EqualValues(t, size/2, n)
	require.ErrorIs(t, err, files.ErrChanged)
	require.Equal(t, aws.FalseTernary, retry.RetryableError{}.IsErrorRetryable(fmt.Errorf("sending: %w", err)))
}

// TestLargestFile is S3: what is larger than S3's largest object is refused before anything is sent.
func TestLargestFile(t *testing.T) {
	t.Parallel()
	large := func(t *testing.T, size int64) string {
		t.Helper()
		folder := t.TempDir()
		if shm, err := os.MkdirTemp("/dev/shm", "files-*"); err == nil { //nolint:usetesting // Many a file system has no files so large.
			folder = shm
			t.Cleanup(func() { _ = os.RemoveAll(shm) })
		}
		path := write(t, folder+"/sparse.bin", "")
		if err := os.Truncate(path, size); err != nil {
			t.Skip("no file system here takes so large a file: ", err)
		}
		return path
	}
	t.Run("S3, 45 TiB", func(t *testing.T) {
		t.Parallel()
		found, err := files.Find(t.Context(), []string{large(t, 45<<40)}, "")
		require.NoError(t, err)
		require.EqualValues(t, 45<<40, found[0].Size)
	})
	t.Run("the largest", func(t *testing.T) {
		t.Parallel()
		_, err := files.Find(t.Context(), []string{large(t, settings.MaxObjectSize)}, "")
		require.NoError(t, err)
	})
	t.Run("one byte more", func(t *testing.T) {
		t.Parallel()
		_, err := files.Find(t.Context(), []string{large(t, settings.MaxObjectSize+1)}, "")
		require.ErrorIs(t, err, files.ErrSize)
		require.ErrorContains(t, err, "it has 53687091200001 bytes, and S3's largest object 53687091200000")
	})
}

// TestTouched tells what may have changed from what hasn't, even with the time set back.
func TestTouched(t *testing.T) {
	t.Parallel()
	const size = 100_000 // more than is read at once
	begun := time.Now().Add(-time.Hour)
	for name, test := range map[string]struct {
		change  func(t *testing.T, path string)
		touched bool
		err     error
	}{
		"nothing": {func(*testing.T, string) {}, false, nil},
		"deleted": {func(t *testing.T, path string) { t.Helper(); require.NoError(t, os.Remove(path)) }, true, nil},
		"permissions": {func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.Chmod(path, 0o400))
		}, true, nil},
		"longer": {func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.Truncate(path, size+1))
		}, false, files.ErrChanged},
		"replaced": {func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.Rename(write(t, path+".new", strings.Repeat("a", size)), path))
		}, false, files.ErrChanged},
		"written to, and its time set back": {func(t *testing.T, path string) {
			t.Helper()
			write(t, path, strings.Repeat("b", size))
			require.NoError(t, os.Chtimes(path, begun, begun))
		}, true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := write(t, t.TempDir()+"/x", strings.Repeat("a", size))
			require.NoError(t, os.Chtimes(path, begun, begun))
			content, err := files.Open(t.Context(), path)
			require.NoError(t, err)
			time.Sleep(20 * time.Millisecond) // the clock of a file system may be as slow as this
			test.change(t, path)
			touched, err := content.Touched()
			require.ErrorIs(t, err, test.err)
			require.Equal(t, test.touched, touched)
			require.NoError(t, content.Close())
		})
	}
}

// S15: a charset that is told to S3 goes before the one that the content has, so the content tells it, whatever the name.
func TestTheMediaTypeHasTheCharsetThatIsThere(t *testing.T) {
	t.Parallel()
	const page = "<!DOCTYPE html>\n<meta charset=\"utf-16\">\n<p>a\n</p>\n"
	for name, c := range map[string]struct{ file, content, want string }{
		"HTML as UTF-16":             {"file", page, "text/html; charset=utf-8"},
		"XML as UTF-16":              {"file", "<?xml version=\"1.0\" encoding=\"UTF-16\"?>\n<a/>\n", "text/xml; charset=utf-8"},
		"UTF-16":                     {"file", "\xff\xfea\x00", "text/plain; charset=utf-16le"},
		"nothing":                    {"file", "", "application/octet-stream"},
		"HTML as UTF-16, by name":    {"page.HTML", page, "text/html; charset=utf-8"},
		"UTF-16, little end, .txt":   {"a.txt", "\xff\xfea\x00", "text/plain; charset=utf-16le"},
		"UTF-16, big end, .csv":      {"a.csv", "\xfe\xff\x00a\x00,\x00b\x00\n", "text/csv; charset=utf-16be"},
		"UTF-8, .csv":                {"a.csv", "id,näme\n1,2\n", "text/csv; charset=utf-8"},
		"UTF-8, .md":                 {"a.md", "# ä\n", "text/markdown; charset=utf-8"},
		"JSON, .txt":                 {"a.txt", `{"a": 1}`, "text/plain; charset=utf-8"},
		"a character cut at the end": {"a.csv", "a,b\n" + strings.Repeat("ää", 2000), "text/csv; charset=utf-8"},
		"Latin 1, .csv":              {"a.csv", "id,name\n1,caf\xe9\n", "text/csv"},
		"no text, .txt":              {"a.txt", "\x89PNG\r\n\x1a\n", "text/plain"},
		"no text by its name":        {"a.json", `{"a": 1}`, "application/json"},
		"nothing, .txt":              {"a.txt", "", "text/plain"},
		"nothing, .png":              {"a.png", "", "image/png"},
		"nothing, .nonesuch":         {"a.nonesuch", "", "application/octet-stream"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), c.file)
			require.NoError(t, os.WriteFile(path, []byte(c.content), 0o600))
			found, err := files.Find(t.Context(), []string{path}, "")
			require.NoError(t, err)
			require.Equal(t, c.want, found[0].ContentType)
		})
	}
}
