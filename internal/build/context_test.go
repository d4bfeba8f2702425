package build_test

import (
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/settings"
)

// dockerfile is one of the user's own.
const dockerfile = "python/Dockerfile"

// withDockerfile is a project with a folder of the user's own.
func withDockerfile(t *testing.T, more map[string]string) string {
	t.Helper()
	files := map[string]string{
		dockerfile:          "FROM python:3.13-slim\nCOPY upload-worker /usr/local/bin/\nENTRYPOINT [\"/usr/local/bin/upload-worker\"]\n",
		"python/process.py": "print(1)\n",
	}
	maps.Copy(files, more)
	return project(t, files)
}

// builds makes the image by the Dockerfile, in the current folder.
func builds(t *testing.T) (build.Artifacts, error) {
	t.Helper()
	return build.Processors(t.Context(), build.Target{Architecture: settings.X86, Dockerfile: dockerfile})
}

// write writes a file in the folder that it is given.
func write(name, content string) func(folder string) error {
	return func(folder string) error { return os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600) }
}

// inContext are all files, folders and links of a build context, with what is in them.
func inContext(t *testing.T, folder string) map[string]string {
	t.Helper()
	found := map[string]string{}
	require.NoError(t, filepath.WalkDir(folder, func(file string, entry fs.DirEntry, err error) error {
		require.NoError(t, err)
		name, err := filepath.Rel(folder, file)
		require.NoError(t, err)
		switch {
		case name == "." || name == build.Worker:
		case entry.IsDir():
			found[name+"/"] = ""
		case entry.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(file)
			require.NoError(t, err)
			found[name] = "-> " + target
		default:
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			found[name] = string(content)
		}
		return nil
	}))
	return found
}

func TestAnImageOfOnesOwnIsBuiltFromItsFolderAndTheWorker(t *testing.T) {
	root := withDockerfile(t, map[string]string{"python/lib/a.py": "a\n"})
	require.NoError(t, os.Mkdir(filepath.Join(root, "python", "bare"), 0o700))
	require.NoError(t, os.Symlink("lib/a.py", filepath.Join(root, "python", "link")))
	require.NoError(t, os.Chmod(filepath.Join(root, "python", "process.py"), 0o700))
	t.Chdir(root)
	got, err := builds(t)
	require.NoError(t, err)
	require.Regexp(t, "^[0-9a-f]{24}$", got.ImageTag)
	got.ImageTag = ""
	require.Equal(t, build.Artifacts{
		SweepArchive: ".build/amd64/sweep.zip", ImageContext: ".build/amd64/images/python/Dockerfile",
		Dockerfile: ".build/amd64/images/python/Dockerfile/Dockerfile", ImagePlatform: "linux/amd64",
	}, got, "the function runs the image as well, so there is no zip of it")
	context := filepath.Join(root, got.ImageContext)
	require.Equal(t, map[string]string{
		"Dockerfile": "FROM python:3.13-slim\nCOPY upload-worker /usr/local/bin/\nENTRYPOINT [\"/usr/local/bin/upload-worker\"]\n\nVOLUME /tmp\n",
		"process.py": "print(1)\n", "lib/": "", "lib/a.py": "a\n", "bare/": "", "link": "-> lib/a.py",
	}, inContext(t, context), "with /tmp as a volume, which the task's user can write to by that")
	for name, mode := range map[string]fs.FileMode{"process.py": 0o755, "lib/a.py": 0o644, build.Worker: 0o755, "bare": 0o755, ".": 0o755} {
		info, err := os.Stat(filepath.Join(context, name))
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm(), "%s: every user can read it", name)
		require.True(t, info.ModTime().Equal(time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)), "%s: a builder takes the time over", name)
	}
}

// An image FROM scratch has no /tmp but one that is copied.
func TestAnImageFromScratchIsGivenATemporaryFolder(t *testing.T) {
	const give, entry = "\nCOPY --chown=65532:65532 upload-worker-tmp /tmp", "ENTRYPOINT [\"/upload-worker\"]\n"
	for name, c := range map[string]struct {
		text string
		want bool
	}{
		"scratch":                 {"FROM scratch\nCOPY upload-worker /\n" + entry, true},
		"by an argument":          {"ARG BASE=scratch\nFROM $BASE\n" + entry, true},
		"a stage on it":           {"FROM scratch AS a\n" + entry + "FROM a\n", true},
		"one that makes it":       {"FROM scratch\nCOPY --chown=65532 some /tmp/\n" + entry, false},
		"a stage that makes it":   {"FROM scratch AS a\nCOPY --chmod=777 some /tmp\nFROM a\n" + entry, false},
		"one of another's stages": {"FROM x AS a\nFROM scratch\nCOPY --from=a /tmp /tmp\n" + entry, false},
		"another":                 {"FROM scratch\nFROM debian\n" + entry, false},
	} {
		t.Run(name, func(t *testing.T) {
			root := withDockerfile(t, map[string]string{dockerfile: c.text, "python/some/a": ""})
			t.Chdir(root)
			got, err := builds(t)
			require.NoError(t, err)
			found := inContext(t, got.ImageContext)
			_, made := found["upload-worker-tmp/"]
			require.Equal(t, c.want, made)
			if c.want {
				c.text += give
			}
			require.Equal(t, c.text+"\nVOLUME /tmp\n", found["Dockerfile"])
		})
	}
}

// What a .dockerignore names is neither in the image nor in its tag.
func TestAnImageHasNothingThatIsIgnored(t *testing.T) {
	everything := map[string]string{
		"python/process_test.py": "test\n", "python/lib/a.py": "a\n", "python/lib/a.pyc": "a\n",
		"python/notes/n.md": "n\n", "python/notes/keep.md": "k\n",
	}
	lib, notes := []string{"lib/", "lib/a.py"}, []string{"notes/", "notes/keep.md", "notes/n.md"}
	for name, c := range map[string]struct {
		file, ignored string
		want          []string
	}{
		"nothing": {
			"python/.dockerignore", "# nothing\n", slices.Concat(lib, notes, []string{"lib/a.pyc", "process.py", "process_test.py"}),
		},
		"files by their ends": {
			"python/.dockerignore", "*_test.py\n**/*.pyc\n", slices.Concat(lib, notes, []string{"process.py"}),
		},
		"a folder": {
			"python/.dockerignore", "/notes\n", slices.Concat(lib, []string{"lib/a.pyc", "process.py", "process_test.py"}),
		},
		"all but a few": {
			"python/.dockerignore", "*\n!process.py\n!notes/keep.md\n", []string{"notes/", "notes/keep.md", "process.py"},
		},
		"the Dockerfile's own list": {"python/Dockerfile.dockerignore", "*\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{c.file: c.ignored}
			maps.Copy(files, everything)
			root := withDockerfile(t, files)
			t.Chdir(root)
			got, err := builds(t)
			require.NoError(t, err)
			require.FileExists(t, filepath.Join(got.ImageContext, build.Worker))
			found := inContext(t, got.ImageContext)
			require.Contains(t, found, "Dockerfile")
			delete(found, "Dockerfile")
			names := make([]string, 0, len(found))
			for name := range found {
				names = append(names, name)
			}
			require.ElementsMatch(t, c.want, names)
		})
	}
}

func TestTheSameContextGivesTheSameTag(t *testing.T) { //nolint:paralleltest // It changes the process's folder.
	tag := func(t *testing.T, change func(folder string) error) string {
		t.Helper()
		root := withDockerfile(t, map[string]string{"python/.dockerignore": "*.log\n"})
		folder := filepath.Join(root, "python")
		require.NoError(t, os.Symlink("process.py", filepath.Join(folder, "link")))
		require.NoError(t, change(folder))
		t.Chdir(root)
		got, err := builds(t)
		require.NoError(t, err)
		return got.ImageTag
	}
	asItIs := tag(t, func(string) error { return nil })
	for name, c := range map[string]struct { //nolint:paralleltest // As above.
		change func(folder string) error
		same   bool
	}{
		"in another folder, at another time": {func(string) error { return nil }, true},
		"another umask":                      {func(folder string) error { return os.Chmod(filepath.Join(folder, "process.py"), 0o664) }, true},
		"what is ignored":                    {write("a.log", ""), true},
		"content":                            {write("process.py", ""), false},
		"a program":                          {func(folder string) error { return os.Chmod(filepath.Join(folder, "process.py"), 0o755) }, false},
		"another file":                       {write("new", ""), false},
		"where a link leads": {func(folder string) error {
			link := filepath.Join(folder, "link")
			return os.Rename(link, link+"2")
		}, false},
		"the Dockerfile": {func(folder string) error {
			return os.WriteFile(filepath.Join(folder, "Dockerfile"),
				[]byte("FROM x\nCOPY upload-worker /bin/w\nENTRYPOINT [\"/sbin/tini\", \"/bin/w\"]\n"), 0o600)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tag(t, c.change); c.same {
				require.Equal(t, asItIs, got)
			} else {
				require.NotEqual(t, asItIs, got)
			}
		})
	}
}

// From one to the other and back, the folder has what belongs there.
func TestAnImageOfOnesOwnAndTheWorkersAloneTakeTurns(t *testing.T) {
	t.Chdir(withDockerfile(t, nil))
	for range 2 {
		alone, _ := processors(t, settings.X86)
		require.Equal(t, map[string]string{"tmp/": ""}, inContext(t, alone.ImageContext))
		own, err := builds(t)
		require.NoError(t, err)
		require.Contains(t, inContext(t, own.ImageContext), "process.py")
		require.NotEqual(t, alone.ImageTag, own.ImageTag)
	}
	left, err := filepath.Glob(filepath.Join(".build", "*", ".*"))
	require.NoError(t, err)
	require.Empty(t, left, "nothing is left lying about")
}

func TestWhatCantBeInAnImageIsRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("it has other kinds of files")
	}
	link := func(target string) func(folder string) error {
		return func(folder string) error { return os.Symlink(target, filepath.Join(folder, "link")) }
	}
	for name, c := range map[string]struct {
		make  func(folder string) error
		wants []string
	}{
		"a file with the worker's name": {
			func(folder string) error { return os.WriteFile(filepath.Join(folder, "upload-worker"), nil, 0o600) },
			[]string{"python/upload-worker can't be in a build context", "call yours otherwise"},
		},
		"a link to the folder above": {link("../go.mod"), []string{"python/link", "a link to ../go.mod, out of python/", ".dockerignore"}},
		"a link to a path from /":    {link("/etc/passwd"), []string{"python/link", "a link to /etc/passwd, out of python/"}},
		"a link that turns back":     {link("lib/../../go.mod"), []string{"python/link", "out of python/"}},
		"a named pipe": {
			func(folder string) error { return syscall.Mkfifo(filepath.Join(folder, "pipe"), 0o600) },
			[]string{"python/pipe", "it is a named pipe"},
		},
		"a socket": {func(folder string) error {
			socket, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(folder, "s"), Net: "unix"})
			if err == nil {
				t.Cleanup(func() { _ = socket.Close() })
			}
			return err
		}, []string{"python/s", "it is a socket"}},
		"no Dockerfile": {
			func(folder string) error { return os.Remove(filepath.Join(folder, "Dockerfile")) },
			[]string{"dockerfile: there is no python/Dockerfile in the project's folder"},
		},
		"a folder in its place": {func(folder string) error {
			file := filepath.Join(folder, "Dockerfile")
			if err := os.Remove(file); err != nil {
				return err
			}
			return os.Mkdir(file, 0o700)
		}, []string{"dockerfile: python/Dockerfile is no file"}},
		"an entry point that Lambda doesn't find": {func(folder string) error {
			return os.WriteFile(filepath.Join(folder, "Dockerfile"),
				[]byte("FROM x\nENTRYPOINT [\"/other\"]\nENTRYPOINT [\"upload-worker\"]\n"), 0o600)
		}, []string{"the ENTRYPOINT of python/Dockerfile is upload-worker", "write the path from /"}},
		"no entry point": {write("Dockerfile", "FROM x\nENTRYPOINT []\nCMD [\"/x\"]\n"), []string{
			"python/Dockerfile has no ENTRYPOINT", "even if the base image has one", `write ENTRYPOINT ["/usr/local/bin/upload-worker"]`,
		}},
		"an entry point in a stage that isn't built upon": {write("Dockerfile", "FROM x AS a\nENTRYPOINT [\"/x\"]\nFROM y\n"), []string{
			"python/Dockerfile has no ENTRYPOINT",
		}},
		"an entry point in the shell form": {write("Dockerfile", "FROM x\nENTRYPOINT /usr/local/bin/upload-worker\n"), []string{
			"the ENTRYPOINT in line 2 of python/Dockerfile is in the shell form", "write ENTRYPOINT [",
		}},
		"an entry point that isn't the worker": {
			write("Dockerfile", "FROM x\nCOPY upload-worker /usr/bin/\nENTRYPOINT [\"/usr/bin/perl\", \"/app/tally.pl\"]\n"), []string{
				"the ENTRYPOINT of python/Dockerfile is /usr/bin/perl /app/tally.pl, and not the worker", "and the program that it runs as CMD",
			},
		},
		"a /tmp of root's": {write("Dockerfile", "FROM scratch\nCOPY tmp /tmp\nENTRYPOINT [\"/upload-worker\"]\n"), []string{
			"line 2 of python/Dockerfile makes /tmp root's", "COPY --chown=65532:65532",
		}},
		"a file with the name of what becomes /tmp": {write("upload-worker-tmp", ""), []string{
			"python/upload-worker-tmp can't be in a build context", "call yours otherwise",
		}},
		"no Dockerfile's text": {
			write("Dockerfile", "FROM x\nENTRYPOIN x\n"), []string{"dockerfile: python/Dockerfile, line 2: unknown instruction: ENTRYPOIN"},
		},
		"a pattern that is none": {
			func(folder string) error {
				return os.WriteFile(filepath.Join(folder, ".dockerignore"), []byte("[\n"), 0o600)
			},
			[]string{"reading .dockerignore: "},
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := withDockerfile(t, nil)
			t.Chdir(root) // a socket's path may not be long
			require.NoError(t, c.make("python"))
			got, err := builds(t)
			for _, part := range c.wants {
				require.ErrorContains(t, err, part)
			}
			require.Equal(t, build.Artifacts{}, got)
			left, err := filepath.Glob(filepath.Join(".build", "*", ".*"))
			require.NoError(t, err)
			require.Empty(t, left, "nothing is left lying about")
		})
	}
	t.Run("the folder of builds", func(t *testing.T) {
		t.Chdir(withDockerfile(t, nil))
		_, err := build.Processors(t.Context(), build.Target{Architecture: settings.X86, Dockerfile: ".build/x/Dockerfile"})
		require.ErrorContains(t, err, "is in .build, where builds go")
	})
	// What is ignored can be anything.
	t.Run("but for what is ignored", func(t *testing.T) {
		root := withDockerfile(t, map[string]string{"python/.dockerignore": "link\nupload-worker\n", "python/upload-worker": "mine\n"})
		require.NoError(t, os.Symlink("/etc", filepath.Join(root, "python", "link")))
		t.Chdir(root)
		got, err := builds(t)
		require.NoError(t, err)
		worker, err := os.ReadFile(filepath.Join(got.ImageContext, build.Worker))
		require.NoError(t, err)
		require.False(t, strings.HasPrefix(string(worker), "mine"))
	})
}

func TestSourceOfALaidOutDockerfile(t *testing.T) {
	t.Parallel()
	for laidOut, want := range map[string]string{
		".build/amd64/images/examples/python/Dockerfile/Dockerfile":        "examples/python/Dockerfile",
		".build/e2e/arm64/images/images/other.Dockerfile/other.Dockerfile": "images/other.Dockerfile",
		"task/Dockerfile":   "task/Dockerfile",
		"images/Dockerfile": "images/Dockerfile",
	} {
		if got := build.Source(laidOut); got != want {
			t.Errorf("%s: got %s, want %s", laidOut, got, want)
		}
	}
}
