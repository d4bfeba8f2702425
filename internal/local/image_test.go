package local_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/local"
)

// worker makes a folder to build an image from, with the worker in it.
func worker(t *testing.T, files map[string]string) (folder string) {
	t.Helper()
	folder = t.TempDir()
	binary, err := os.Open(filepath.Join(root, built.ImageContext, build.Worker))
	require.NoError(t, err)
	defer func() { require.NoError(t, binary.Close()) }()
	to, err := os.OpenFile(filepath.Join(folder, build.Worker), os.O_CREATE|os.O_WRONLY, 0o755)
	require.NoError(t, err)
	_, err = io.Copy(to, binary)
	require.NoError(t, err)
	require.NoError(t, to.Close())
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o755))
	}
	return folder
}

// bothRoutes gives both routes the image that a folder's Dockerfile makes.
func bothRoutes(folder string) func(*declared.System) {
	return func(s *declared.System) {
		with(typeImage, "build", map[string]any{"context": folder, "dockerfile": filepath.Join(folder, "Dockerfile")})(s)
		image := s.OfType(typeImage)[0]
		for _, r := range s.OfType(typeFunction) {
			if r.Outputs["name"] == s.Outputs["sweepFunctionName"] {
				continue
			}
			delete(r.Inputs, "code")
			delete(r.Inputs, "runtime")
			delete(r.Inputs, "handler")
			r.Inputs["packageType"], r.Inputs["imageUri"] = "Image", image.Outputs["repoDigest"]
		}
	}
}

// routes are the configurations whose small files go either way.
var routes = map[string]string{"function": "default", "task": viaTask}

const pythonProgram = `import json, os, sys
data = sys.stdin.buffer.read()
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import words
json.dump({"count": words.count(data), "key": os.environ["UPLOAD_KEY"], "mode": os.environ["MODE"], "cwd": os.getcwd(),
    "folder": os.environ["TMPDIR"], "argument": sys.argv[1]}, sys.stdout)
`

// A program in Python runs through both routes, and what is this machine's is said.
func TestPythonThroughBothRoutes(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("there is no python3 on this machine")
	}
	folder := worker(t, map[string]string{
		"process.py": pythonProgram, "words.py": "def count(data): return len(data.split())\n",
		"Dockerfile": `FROM python:3.13-slim
RUN pip install nothing
COPY upload-worker /usr/local/bin/
WORKDIR /app
COPY *.py ./
ENV MODE=fast
USER 65532:65532
VOLUME /tmp
ENTRYPOINT ["/usr/local/bin/upload-worker"]
CMD ["python3", "/app/process.py", "/app/words.py"]
`,
	})
	for name, config := range routes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			router := start(t, changed(t, config, bothRoutes(folder), variable("UPLOAD_PROGRAM_FOLDER", "/tmp")))
			require.Len(t, router.Notes(), 1)
			assert.Contains(t, router.Notes()[0], "python3 is this machine's /")
			assert.Contains(t, router.Notes()[0], "RUN lines weren't executed")
			trace, e := upload(t, router, "a ü.txt", file(t, "one two three"))
			requireSucceeded(t, trace)
			require.Len(t, e.Runs, 1)
			answer := string(e.Runs[0].Answer)
			assert.Contains(t, answer, `"count":3`, answer)
			assert.Contains(t, answer, `"mode":"fast"`)
			assert.Contains(t, answer, "/app/words.py")
			assert.Contains(t, answer, `"folder":"`+router.Scratch(), "never this machine's /tmp")
		})
	}
}

func TestShellThroughBothRoutes(t *testing.T) {
	t.Parallel()
	folder := worker(t, map[string]string{
		"process.sh": "#!/bin/sh\nprintf '{\"bytes\": %d}' \"$(wc -c)\"\n",
		"Dockerfile": `FROM debian:12
COPY upload-worker process.sh /opt/
ENTRYPOINT ["/opt/upload-worker", "/opt/process.sh"]
`,
	})
	for name, config := range routes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trace, e := upload(t, start(t, changed(t, config, bothRoutes(folder))), "a.txt", file(t, "twelve bytes"))
			requireSucceeded(t, trace)
			assert.Contains(t, string(e.Runs[0].Answer), `12`)
		})
	}
}

// What can't be run is an error before any file is put.
func TestAProgramThatThisMachineHasNot(t *testing.T) {
	t.Parallel()
	folder := worker(t, map[string]string{
		"Dockerfile": "FROM x\nCOPY upload-worker /opt/\nENTRYPOINT [\"/opt/upload-worker\", \"none-such-program\"]\n",
	})
	for name, config := range routes {
		_, err := local.Start(t.Context(), changed(t, config, bothRoutes(folder)), options())
		require.ErrorContains(t, err, "has no none-such-program on its PATH: install it here\nOr let Docker build it (", name)
		require.ErrorIs(t, err, local.ErrImage)
		require.NotContains(t, err.Error(), "state", "where it is declared is nothing to whoever writes the Dockerfile")
	}
}

// A processor in a root of its own has what its image has, and can't write but to /tmp.
func TestARootOfItsOwn(t *testing.T) {
	t.Parallel()
	if err := local.OwnRoot(t.Context(), t.TempDir()); err != nil {
		t.Skip(err)
	}
	folder := t.TempDir()
	require.NoError(t, os.Link(filepath.Join(probeRoot, "task"), filepath.Join(folder, "task")))
	require.NoError(t, os.Mkdir(filepath.Join(folder, "empty"), 0o700))
	const dockerfile = "FROM scratch\nCOPY task /bin/task\nCOPY --chown=65532:65532 empty /tmp\nVOLUME /tmp\nENTRYPOINT [\"/bin/task\"]\n"
	require.NoError(t, os.WriteFile(filepath.Join(folder, "Dockerfile"), []byte(dockerfile), 0o600))
	router := start(t, changed(t, viaTask, bothRoutes(folder)))
	assert.Empty(t, router.Notes())
	assert.Equal(t, local.NotChecked, router.NotChecked())
	for key, want := range map[string]string{
		"create /tmp/x": "nil", "create /x": "permission denied", "create /bin/x": "permission denied",
		"create /etc/x": "no such file", "run /bin/sh": "no such file",
	} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			trace, e := upload(t, router, key, file(t, "x"))
			requireSucceeded(t, trace)
			assert.Contains(t, string(e.Runs[0].Answer), want)
		})
	}
}

// Where the task's user couldn't write to /tmp on Fargate, it can't here.
func TestATemporaryFolderOfRoots(t *testing.T) {
	t.Parallel()
	if err := local.OwnRoot(t.Context(), t.TempDir()); err != nil {
		t.Skip(err)
	}
	for name, test := range map[string]struct{ lines, want string }{
		"no /tmp":            {"VOLUME /tmp\n", "permission denied"},
		"no volume":          {"COPY --chown=65532:65532 empty /tmp\n", "permission denied"},
		"root's":             {"COPY empty /tmp\nVOLUME /tmp\n", "permission denied"},
		"another user's":     {"COPY --chown=1000 empty /tmp\nVOLUME /tmp\n", "permission denied"},
		"the user's":         {"COPY --chown=65532 empty /tmp\nVOLUME /tmp\n", "nil"},
		"everyone's":         {"COPY --chmod=777 empty /tmp\nVOLUME /tmp\n", "nil"},
		"what RUN may make":  {"RUN [\"/mkdir\"]\nVOLUME /tmp\n", "nil"},
		"as another has it":  {"COPY --from=other /tmp /tmp\nVOLUME /tmp\n", "nil"},
		"the stage's before": {"COPY --chown=65532 empty /tmp\nVOLUME /tmp\nFROM own\n", "nil"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			require.NoError(t, os.Link(filepath.Join(probeRoot, "task"), filepath.Join(folder, "task")))
			require.NoError(t, os.Mkdir(filepath.Join(folder, "empty"), 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(folder, "Dockerfile"), []byte(
				"FROM scratch AS other\nCOPY empty /tmp\nFROM scratch AS own\nCOPY task /bin/task\n"+test.lines+"ENTRYPOINT [\"/bin/task\"]\n"), 0o600))
			router := start(t, changed(t, viaTask, bothRoutes(folder)))
			trace, e := upload(t, router, "create /tmp/x", file(t, "x"))
			requireSucceeded(t, trace)
			assert.Contains(t, string(e.Runs[0].Answer), test.want)
		})
	}
}

// Whatever a program has started ends with its worker, daemons that take no hint included: where somebody interrupts, on both routes, in a
// root of its own and beside everything else.
func TestNothingOfAProgramIsLeft(t *testing.T) {
	t.Parallel()
	bases := map[string]string{"beside": "x"}
	if local.OwnRoot(t.Context(), t.TempDir()) == nil {
		bases["own root"] = "scratch\nCOPY --chmod=777 empty /tmp\nVOLUME /tmp"
	}
	for base, from := range bases {
		folder := worker(t, map[string]string{
			"Dockerfile": "FROM " + from + "\nCOPY upload-worker task /opt/\nENTRYPOINT [\"/opt/upload-worker\", \"/opt/task\", \"leave\"]\n",
		})
		require.NoError(t, os.Link(filepath.Join(probeRoot, "task"), filepath.Join(folder, "task")))
		require.NoError(t, os.Mkdir(filepath.Join(folder, "empty"), 0o700))
		for route, config := range routes {
			t.Run(base+" "+route, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithCancel(t.Context())
				daemons := make(chan string, 1)
				server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
					daemons <- strings.TrimPrefix(request.URL.Path, "/")
					cancel()
				}))
				t.Cleanup(server.Close)
				router := start(t, changed(t, config, bothRoutes(folder), variable("PROBE_STARTED", server.URL)))
				trace, err := router.Upload(ctx, "a.txt", file(t, "x"))
				require.NoError(t, err)
				require.Len(t, trace.Executions, 1)
				assert.Equal(t, asl.StatusAborted, trace.Executions[0].Status)
				requireEnded(t, <-daemons)
			})
		}
	}
}

// fakeDocker is a command that answers as Docker's does, and runs the worker in the place of containers. Each call is a line of a file.
func fakeDocker(t *testing.T, folder, pull string) (command, calls string) {
	t.Helper()
	command, calls = filepath.Join(t.TempDir(), "docker"), filepath.Join(t.TempDir(), "calls")
	require.NoError(t, os.WriteFile(command, []byte(`#!/bin/sh
echo "$*" >> `+calls+`
case "$1 $2" in
version*) echo 20.10.24 ;;
"image inspect") case "$4" in *Config*) echo '{"Env": ["PATH=/usr/bin:/bin", "MODE=image"], "Volumes": {"/tmp": {}}}' ;;
  *) exit 1 ;; esac ;;
pull*) `+pull+` ;;
build*) echo sha256:1234 ;;
run*)
  while [ "$1" != sha256:1234 ]; do [ "$1" = --env ] && export "$2"; shift; done
  exec `+filepath.Join(folder, "upload-worker")+` /bin/sh -c 'printf "{\"mode\": \"%s\"}" "$MODE"' ;;
esac
`), 0o700))
	return command, calls
}

// With Docker both routes run the image itself, as the task and the function have it in AWS.
func TestContainersThroughBothRoutes(t *testing.T) {
	t.Parallel()
	const tiny, video = 1, 1<<20 + 1
	for name, test := range map[string]struct {
		config, key string
		size        int
		want        []string
	}{
		"a task of another size": {"routes", "film.mp4", video, []string{"--memory 8192m --memory-swap 8192m --env"}},
		"function":               {"default", "a.txt", tiny, []string{":/tmp --env", "--cpus 0.29 --memory 512m --memory-swap 512m"}},
		"task":                   {viaTask, "a.txt", tiny, []string{"--user 65532:65532 --cpus 1.00 --memory 2048m --memory-swap 2048m --env"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := worker(t, map[string]string{"Dockerfile": "FROM debian:12\nRUN true\n"})
			command, calls := fakeDocker(t, folder, "true")
			with := options()
			with.Docker = command
			router, err := local.Start(t.Context(), changed(t, test.config, bothRoutes(folder)), with)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, router.Close()) })
			require.Len(t, router.Notes(), 1)
			assert.Contains(t, router.Notes()[0], "runs in containers of Docker 20.10.24")
			assert.NotContains(t, router.NotChecked(), "limits")
			laid, err := filepath.Glob(filepath.Join(router.Scratch(), "image-*"))
			require.NoError(t, err)
			assert.Empty(t, laid, "nothing is laid out for Docker")
			trace, e := upload(t, router, test.key, sized(t, test.size))
			requireSucceeded(t, trace)
			assert.Contains(t, string(e.Runs[0].Answer), "image")
			text, err := os.ReadFile(calls)
			require.NoError(t, err)
			for _, want := range append(test.want, "pull --quiet debian:12\n", "build --quiet --file "+filepath.Join(folder, "Dockerfile"),
				"--network host --read-only --cap-drop ALL --security-opt no-new-privileges --user ") {
				assert.Contains(t, string(text), want)
			}
		})
	}
}

// Without the base image the program runs beside everything else on this machine, and why is said.
func TestDockerWithoutTheBaseImage(t *testing.T) {
	t.Parallel()
	folder := worker(t, map[string]string{
		"Dockerfile": "FROM debian:12\nCOPY upload-worker /opt/\nENTRYPOINT [\"/opt/upload-worker\", \"sh\", \"-c\", \"echo 1\"]\n",
	})
	command, _ := fakeDocker(t, folder, "echo 'no route to registry' >&2; exit 1")
	for docker, want := range map[string]string{
		command:                          "docker pull debian:12, the base image: no route to registry",
		filepath.Join(folder, "nothing"): "there is no Docker",
	} {
		with := options()
		with.Docker = docker
		router, err := local.Start(t.Context(), changed(t, viaTask, bothRoutes(folder)), with)
		require.NoError(t, err)
		require.Len(t, router.Notes(), 1)
		assert.Contains(t, router.Notes()[0], want)
		require.NoError(t, router.Close())
	}
}

// The same with a daemon, if there is one: containers run, and are gone when the Router is closed.
func TestDocker(t *testing.T) { //nolint:tparallel // See below.
	t.Parallel()
	docker := func(args ...string) (string, error) {
		out, err := exec.CommandContext(t.Context(), "docker", args...).CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	if out, err := docker("version", "--format", "{{.Server.Version}}"); err != nil {
		t.Skip("no Docker answers: ", out)
	}
	base := "upload-router-test-" + uuid.NewString()
	tar := exec.CommandContext(t.Context(), "sh", "-c", "tar -C "+t.TempDir()+" -c . | docker import - "+base)
	out, err := tar.CombinedOutput()
	require.NoError(t, err, "%s", out)
	t.Cleanup(func() {
		_ = exec.CommandContext(context.WithoutCancel(t.Context()), "docker", "image", "rm", "--force", base).Run()
	})
	folder := worker(t, map[string]string{"Dockerfile": fmt.Sprintf(`FROM %s
COPY upload-worker /usr/local/bin/
VOLUME /tmp
ENTRYPOINT ["/usr/local/bin/upload-worker"]
`, base)})
	for name, config := range routes { //nolint:paralleltest // Each looks whether any container is left.
		t.Run(name, func(t *testing.T) {
			with := options()
			with.Docker = "docker"
			router, err := local.Start(t.Context(), changed(t, config, bothRoutes(folder)), with)
			require.NoError(t, err)
			require.Contains(t, strings.Join(router.Notes(), ""), "runs in containers of Docker")
			trace, e := upload(t, router, "a.txt", file(t, "x"))
			assert.Len(t, e.Runs, 1)
			requireSucceeded(t, trace)
			require.NoError(t, router.Close())
			left, err := docker("ps", "--all", "--quiet", "--filter", "label=upload-router=local")
			require.NoError(t, err)
			assert.Empty(t, left)
		})
	}
}
