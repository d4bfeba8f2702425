package build_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/rand"
	"debug/elf"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/settings"
)

// The tests change the process's folder and environment, which the build is about, and so don't run in parallel.

const (
	function = "functions/process/main.go"
	sweep    = "functions/sweep/main.go"
	task     = "task/main.go"
)

// project writes a project as small as one can be, with the files given instead.
func project(t *testing.T, instead map[string]string) string {
	t.Helper()
	root := t.TempDir()
	files := map[string]string{
		"Pulumi.yaml":    "name: p\n",
		"go.mod":         "module example.com/p\n\ngo 1.24\n",
		function:         "package main\n\nfunc main() { println(\"function\") }\n",
		sweep:            "package main\n\nfunc main() { println(\"sweep\") }\n",
		task:             "package main\n\nfunc main() { println(\"task\") }\n",
		build.Dockerfile: "FROM scratch\n",
	}
	maps.Copy(files, instead)
	for name, content := range files {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		if content != "" {
			require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		}
	}
	return root
}

// processors builds in the current folder and gives the zip's bytes too.
func processors(t *testing.T, architecture settings.Architecture) (build.Artifacts, []byte) {
	t.Helper()
	out, err := build.Processors(t.Context(), build.Target{Architecture: architecture})
	require.NoError(t, err)
	root, err := build.Root()
	require.NoError(t, err)
	archive, err := os.ReadFile(filepath.Join(root, out.FunctionArchive))
	require.NoError(t, err)
	return out, archive
}

// requireStatic checks that a binary runs on Linux, on that processor, with nothing else in the file system.
func requireStatic(t *testing.T, content []byte, machine elf.Machine) {
	t.Helper()
	binary, err := elf.NewFile(bytes.NewReader(content))
	require.NoError(t, err)
	require.Equal(t, machine, binary.Machine)
	require.Equal(t, elf.ET_EXEC, binary.Type)
	libraries, err := binary.ImportedLibraries()
	require.NoError(t, err)
	require.Empty(t, libraries)
	for _, part := range binary.Progs {
		require.NotEqual(t, elf.PT_INTERP, part.Type, "no dynamic loader")
	}
}

// requireBootstrap checks that an archive is what Lambda's provided runtimes start, and nothing else.
func requireBootstrap(t *testing.T, archive []byte, machine elf.Machine) {
	t.Helper()
	zipped, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	require.NoError(t, err)
	require.Len(t, zipped.File, 1)
	require.Equal(t, "bootstrap", zipped.File[0].Name)
	require.Equal(t, os.FileMode(0o755), zipped.File[0].Mode())
	require.True(t, zipped.File[0].Modified.Equal(time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)))
	content, err := zipped.File[0].Open()
	require.NoError(t, err)
	binary, err := io.ReadAll(content)
	require.NoError(t, err)
	requireStatic(t, binary, machine)
}

func TestEachArchitectureGetsItsProcessors(t *testing.T) {
	for _, c := range []struct {
		architecture settings.Architecture
		machine      elf.Machine
		want         build.Artifacts
	}{
		{settings.X86, elf.EM_X86_64, build.Artifacts{
			FunctionArchive: ".build/amd64/function.zip", SweepArchive: ".build/amd64/sweep.zip",
			ImageContext: ".build/amd64/image", Dockerfile: "task/Dockerfile", ImagePlatform: "linux/amd64",
		}},
		{settings.ARM64, elf.EM_AARCH64, build.Artifacts{
			FunctionArchive: ".build/arm64/function.zip", SweepArchive: ".build/arm64/sweep.zip",
			ImageContext: ".build/arm64/image", Dockerfile: "task/Dockerfile", ImagePlatform: "linux/arm64",
		}},
	} {
		t.Run(string(c.architecture), func(t *testing.T) {
			root := project(t, nil)
			t.Chdir(root)
			got, archive := processors(t, c.architecture)
			require.Regexp(t, "^[0-9a-f]{24}$", got.ImageTag)
			got.ImageTag = ""
			require.Equal(t, c.want, got, "relative to the project, so that the plan is the same on every machine")

			requireBootstrap(t, archive, c.machine)
			archive, err := os.ReadFile(filepath.Join(root, got.SweepArchive))
			require.NoError(t, err)
			requireBootstrap(t, archive, c.machine)

			context, err := os.ReadDir(filepath.Join(root, got.ImageContext))
			require.NoError(t, err)
			require.Len(t, context, 2, "the image's context is the binary, and an empty folder")
			info, err := context[0].Info()
			require.NoError(t, err)
			require.Equal(t, "tmp", info.Name())
			require.Equal(t, os.ModeDir|0o755, info.Mode())
			info, err = context[1].Info()
			require.NoError(t, err)
			require.Equal(t, "upload-worker", info.Name())
			require.Equal(t, os.FileMode(0o755), info.Mode())
			for _, path := range []string{
				got.ImageContext, filepath.Join(got.ImageContext, build.Worker), filepath.Join(got.ImageContext, "tmp"),
			} {
				info, err := os.Stat(filepath.Join(root, path))
				require.NoError(t, err)
				require.Equal(t, os.FileMode(0o755), info.Mode().Perm(), path)
				require.True(t, info.ModTime().Equal(time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)), "%s: a builder takes the time over", path)
			}
			binary, err := os.ReadFile(filepath.Join(root, got.ImageContext, build.Worker))
			require.NoError(t, err)
			requireStatic(t, binary, c.machine)
		})
	}
}

func TestTheSameSourceGivesTheSameBytesInAnyFolder(t *testing.T) {
	t.Chdir(project(t, nil))
	first, firstZip := processors(t, settings.X86)
	again, againZip := processors(t, settings.X86)
	t.Chdir(project(t, nil))
	elsewhere, elsewhereZip := processors(t, settings.X86)
	require.Equal(t, first, again)
	require.Equal(t, first, elsewhere)
	require.True(t, bytes.Equal(firstZip, againZip), "built twice")
	require.True(t, bytes.Equal(firstZip, elsewhereZip), "built elsewhere")
}

func TestTheTagFollowsWhatIsInTheImage(t *testing.T) {
	tags := map[string]string{}
	for name, instead := range map[string]map[string]string{
		"as it is":           nil,
		"another function":   {function: "package main\n\nfunc main() { println(\"other\") }\n"},
		"another task":       {task: "package main\n\nfunc main() { println(\"other\") }\n"},
		"another Dockerfile": {build.Dockerfile: "FROM scratch\nUSER 1\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(project(t, instead))
			out, _ := processors(t, settings.X86)
			tags[name] = out.ImageTag
		})
	}
	require.Equal(t, tags["as it is"], tags["another function"], "it isn't in the image")
	require.NotEqual(t, tags["as it is"], tags["another task"])
	require.NotEqual(t, tags["as it is"], tags["another Dockerfile"])
	require.NotEqual(t, tags["another task"], tags["another Dockerfile"])
}

// What lies in the context from elsewhere would be in the image, or make another tag of the same image.
func TestNothingElseIsInTheContext(t *testing.T) {
	root := project(t, nil)
	t.Chdir(root)
	want, _ := processors(t, settings.X86)
	for _, left := range []string{"left.txt", ".left", "folder/left.txt", "tmp/left.txt"} {
		path := filepath.Join(root, want.ImageContext, left)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte("left"), 0o600))
	}
	got, _ := processors(t, settings.X86)
	require.Equal(t, want, got)
	entries, err := os.ReadDir(filepath.Join(root, got.ImageContext))
	require.NoError(t, err)
	require.Len(t, entries, 2)
	entries, err = os.ReadDir(filepath.Join(root, got.ImageContext, "tmp"))
	require.NoError(t, err)
	require.Empty(t, entries)
}

// A tag can't be moved, so that all that is copied into an image counts in it, and nothing else.
func TestTheTagCountsAllThatTheImageIsBuiltFrom(t *testing.T) {
	t.Parallel()
	tag := func(t *testing.T, platform string, change func(folder, dockerfile string) error) string {
		t.Helper()
		root := t.TempDir()
		folder, dockerfile := filepath.Join(root, "context"), filepath.Join(root, "Dockerfile")
		require.NoError(t, os.MkdirAll(filepath.Join(folder, "etc"), 0o755))
		for path, content := range map[string]string{
			filepath.Join(folder, "task"): "program", filepath.Join(folder, "etc", "passwd"): "nonroot", dockerfile: "FROM scratch\n",
		} {
			require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		}
		require.NoError(t, os.Symlink("task", filepath.Join(folder, "link")))
		if change != nil {
			require.NoError(t, change(folder, dockerfile))
		}
		got, err := build.ContentTag(folder, dockerfile, platform)
		require.NoError(t, err)
		return got
	}
	asItIs := tag(t, "linux/amd64", nil)
	require.NotEqual(t, asItIs, tag(t, "linux/arm64", nil))
	for name, c := range map[string]struct {
		change func(folder, dockerfile string) error
		same   bool
	}{
		"nothing": {func(string, string) error { return nil }, true},
		"times": {func(folder, _ string) error {
			return errors.Join(os.Chtimes(folder, time.Now(), time.Now()), os.Chtimes(filepath.Join(folder, "task"), time.Now(), time.Now()))
		}, true},
		"a file's content": {func(folder, _ string) error {
			return os.WriteFile(filepath.Join(folder, "task"), []byte("other"), 0o600)
		}, false},
		"a file below":    {func(folder, _ string) error { return os.WriteFile(filepath.Join(folder, "etc", "passwd"), nil, 0o600) }, false},
		"a file's mode":   {func(folder, _ string) error { return os.Chmod(filepath.Join(folder, "task"), 0o700) }, false},
		"a folder's mode": {func(folder, _ string) error { return os.Chmod(filepath.Join(folder, "etc"), 0o700) }, false},
		"a file's name": {func(folder, _ string) error {
			return os.Rename(filepath.Join(folder, "task"), filepath.Join(folder, "program"))
		}, false},
		"another file":    {func(folder, _ string) error { return os.WriteFile(filepath.Join(folder, "new"), nil, 0o600) }, false},
		"an empty folder": {func(folder, _ string) error { return os.Mkdir(filepath.Join(folder, "new"), 0o755) }, false},
		"a file gone":     {func(folder, _ string) error { return os.Remove(filepath.Join(folder, "task")) }, false},
		"where a link leads": {func(folder, _ string) error {
			link := filepath.Join(folder, "link")
			return errors.Join(os.Remove(link), os.Symlink("etc", link))
		}, false},
		"the Dockerfile":            {func(_, dockerfile string) error { return os.WriteFile(dockerfile, []byte("FROM x\n"), 0o600) }, false},
		"what the Dockerfile omits": {func(_, dockerfile string) error { return os.WriteFile(dockerfile+".dockerignore", nil, 0o600) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := tag(t, "linux/amd64", c.change); c.same {
				require.Equal(t, asItIs, got)
			} else {
				require.NotEqual(t, asItIs, got)
			}
		})
	}
}

func TestTheDevelopersBuildSettingsDontMatter(t *testing.T) {
	t.Chdir(project(t, map[string]string{
		"task/other.go": "//go:build windows || cgo\n\npackage main\n\nfunc init() { println(\"wrong\") }\n",
	}))
	t.Setenv("CGO_ENABLED", "0") // whose default depends on the machine
	want, wantZip := processors(t, settings.X86)
	for name, value := range map[string]string{
		"GOFLAGS":      "-gcflags=-N",
		"GOOS":         "windows",
		"GOARCH":       "arm64",
		"GOAMD64":      "v3",
		"CGO_ENABLED":  "1",
		"GOEXPERIMENT": "nogreenteagc",
		"GOFIPS140":    "latest",
		"GO111MODULE":  "off",
		"GOWORK":       "/nowhere/go.work",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			got, gotZip := processors(t, settings.X86)
			require.Equal(t, want, got)
			require.True(t, bytes.Equal(wantZip, gotZip))
		})
	}
}

func TestACompilersErrorIsGivenAsItIs(t *testing.T) {
	const broken = "package main\n\nfunc main() { missing() }\n"
	for file, says := range map[string][]string{
		function: {"building the Lambda function: go build ./functions/process: ", "functions/process/main.go:3:15: undefined: missing"},
		sweep:    {"building the sweep: go build ./functions/sweep: ", "functions/sweep/main.go:3:15: undefined: missing"},
		task:     {"building the worker: go build ./task: ", "task/main.go:3:15: undefined: missing"},
	} {
		t.Run(file, func(t *testing.T) {
			root := project(t, map[string]string{file: broken})
			t.Chdir(root)
			out, err := build.Processors(t.Context(), build.Target{Architecture: settings.X86})
			for _, part := range says {
				require.ErrorContains(t, err, part)
			}
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit)
			require.Equal(t, build.Artifacts{}, out)
			scratch, err := filepath.Glob(filepath.Join(root, ".build", "*", ".*"))
			require.NoError(t, err)
			require.Empty(t, scratch, "nothing is left lying about")
		})
	}
}

// TestSomebodyHearsOfWhatIsCompiled has a package that no cache can have.
func TestSomebodyHearsOfWhatIsCompiled(t *testing.T) {
	t.Chdir(project(t, map[string]string{
		"fresh/fresh.go": "package fresh // " + rand.Text() + "\n",
		function:         "package main\n\nimport _ \"example.com/p/fresh\"\n\nfunc main() {}\n",
	}))
	var heard []string
	_, err := build.Reporting(func(pkg string) { heard = append(heard, pkg) })(t.Context(), build.Target{Architecture: settings.X86})
	require.NoError(t, err)
	require.Contains(t, heard, "example.com/p/fresh")
	require.NotContains(t, heard, "")
	heard = nil
	_, err = build.Reporting(func(pkg string) { heard = append(heard, pkg) })(t.Context(), build.Target{Architecture: settings.X86})
	require.NoError(t, err)
	require.NotContains(t, heard, "example.com/p/fresh", "the cache has it")
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	t.Run("the project", func(t *testing.T) {
		t.Chdir(t.TempDir())
		_, err := build.Processors(t.Context(), build.Target{Architecture: settings.X86})
		require.EqualError(t, err, "no Pulumi.yaml in this folder or above it: run this inside the project")
	})
	t.Run("Go", func(t *testing.T) {
		t.Chdir(project(t, nil))
		t.Setenv("PATH", t.TempDir())
		_, err := build.Processors(t.Context(), build.Target{Architecture: settings.X86})
		require.ErrorContains(t, err, "there is no `go` on PATH, which compiles the processors: see https://go.dev/doc/install")
	})
	t.Run("the Dockerfile", func(t *testing.T) {
		t.Chdir(project(t, map[string]string{build.Dockerfile: ""}))
		_, err := build.Processors(t.Context(), build.Target{Architecture: settings.X86})
		require.ErrorIs(t, err, os.ErrNotExist)
		require.ErrorContains(t, err, "laying out what the image is built from: ")
		require.ErrorContains(t, err, build.Dockerfile)
	})
}

func TestABuildEndsWithItsContext(t *testing.T) {
	t.Chdir(project(t, nil))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := build.Processors(ctx, build.Target{Architecture: settings.X86})
	require.ErrorIs(t, err, context.Canceled)
}

// The folder of a build that was killed goes with the next one.
func TestWhatAKilledBuildLeftIsCleared(t *testing.T) {
	root := project(t, nil)
	t.Chdir(root)
	left := filepath.Join(root, ".build", "amd64", ".making-left")
	require.NoError(t, os.MkdirAll(left, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(left, "bootstrap"), []byte("half"), 0o600))
	require.NoError(t, os.WriteFile(left+".lock", nil, 0o600))
	_, err := build.Processors(t.Context(), build.Target{Architecture: settings.X86})
	require.NoError(t, err)
	scratch, err := filepath.Glob(filepath.Join(root, ".build", "*", ".*"))
	require.NoError(t, err)
	require.Empty(t, scratch)
}

func TestTheProjectIsFoundFromAnyFolderInIt(t *testing.T) {
	root := project(t, nil)
	for _, below := range []string{".", "task", "functions/process"} {
		t.Run(below, func(t *testing.T) {
			t.Chdir(filepath.Join(root, below))
			got, err := build.Root()
			require.NoError(t, err)
			require.Equal(t, root, got)
		})
	}
}

// What is deployed is small: a function's start is as slow as its archive is large, and each task pulls the image. How small is in
// docs/performance.md.
func TestWhatIsDeployedIsSmall(t *testing.T) { //nolint:paralleltest // The others change the process's folder.
	const mostArchive, mostImage = 8e6, 12e6 // bytes
	got, archive := processors(t, settings.X86)
	root, err := build.Root()
	require.NoError(t, err)
	t.Logf("archive %d bytes", len(archive))
	require.Less(t, len(archive), int(mostArchive))
	task, err := os.Stat(filepath.Join(root, got.ImageContext, build.Worker))
	require.NoError(t, err)
	t.Logf("image %d bytes", task.Size())
	require.Less(t, task.Size(), int64(mostImage))
}
