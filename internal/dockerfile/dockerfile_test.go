package dockerfile_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/dockerfile"
)

// context is the folder that the tests' images are made from.
func context(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for name, file := range map[string]struct {
		text string
		mode fs.FileMode
	}{
		"upload-worker": {"\x7fELF", 0o755}, "task": {"\x7fELF", 0o755}, "process.py": {"print(1)", 0o644},
		"process.sh": {"#!/bin/sh\n", 0o755}, "env.sh": {"#!/usr/bin/env sh\n", 0o755}, "lost.sh": {"#!/opt/none/python9\n", 0o755},
		"lib/a.py": {"a", 0o644}, "lib/b.txt": {"b", 0o644}, "lib/deep/c.py": {"c", 0o644}, "tmp/keep": {"", 0o644},
	} {
		path := filepath.Join(folder, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(file.text), file.mode))
	}
	return folder
}

// layOut lays a Dockerfile out.
func layOut(t *testing.T, folder, text string, args map[string]string) (*dockerfile.Image, error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "Dockerfile")
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	return dockerfile.LayOut(dockerfile.Options{File: name, Context: folder, Root: t.TempDir(), Args: args})
}

const (
	worker = "COPY upload-worker /usr/local/bin/\nENTRYPOINT [\"/usr/local/bin/upload-worker\"]\n"
	python = "FROM python:3.13-slim\n" + worker
)

// files are those that an image has.
func files(t *testing.T, image *dockerfile.Image) []string {
	t.Helper()
	var out []string
	require.NoError(t, filepath.WalkDir(image.Root, func(file string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			out = append(out, filepath.ToSlash(strings.TrimPrefix(file, image.Root)))
		}
		return err
	}))
	return out
}

func TestWhatIsCopied(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		lines   string
		ignored string
		want    []string
	}{
		"a file":               {"COPY process.py /app/process.py", "", []string{"/app/process.py"}},
		"a file into a folder": {"COPY process.py /app/", "", []string{"/app/process.py"}},
		"into a folder there is": {
			"COPY lib /app\nCOPY process.py /app", "", []string{"/app/a.py", "/app/b.txt", "/app/deep/c.py", "/app/process.py"},
		},
		"several":                 {"COPY process.py process.sh /app/", "", []string{"/app/process.py", "/app/process.sh"}},
		"a pattern":               {"COPY *.sh /app/", "", []string{"/app/env.sh", "/app/lost.sh", "/app/process.sh"}},
		"what a folder holds":     {"COPY lib /app", "", []string{"/app/a.py", "/app/b.txt", "/app/deep/c.py"}},
		"relative to WORKDIR":     {"WORKDIR /srv\nWORKDIR app\nCOPY process.py .", "", []string{"/srv/app/process.py"}},
		"with owner and mode":     {"COPY --chown=1:2 --chmod=755 --link process.py /app/", "", []string{"/app/process.py"}},
		"the JSON form":           {`COPY ["process.py", "/app/a b.py"]`, "", []string{"/app/a b.py"}},
		"on several lines":        {"COPY process.py \\\n  # why\n  /app/", "", []string{"/app/process.py"}},
		"a text":                  {"COPY <<EOF /app/x.txt\nhello\nEOF", "", []string{"/app/x.txt"}},
		"by an argument":          {"ARG FILE=process.py\nCOPY ${FILE} /app/", "", []string{"/app/process.py"}},
		"by a variable":           {"ENV TO=/app/\nCOPY process.py $TO", "", []string{"/app/process.py"}},
		"but for what is ignored": {"COPY lib /app", "**/*.py\n!lib/deep/*.py\n", []string{"/app/b.txt", "/app/deep/c.py"}},
		"from a stage": {
			"FROM scratch AS other\nCOPY lib /lib\nFROM scratch\nCOPY --from=other /lib/deep /app", "", []string{"/app/c.py"},
		},
		"upon a stage": {
			"FROM scratch AS other\nCOPY lib/a.py /lib/\nFROM other\nCOPY process.py /", "", []string{"/lib/a.py", "/process.py"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := context(t)
			if test.ignored != "" {
				require.NoError(t, os.WriteFile(filepath.Join(folder, ".dockerignore"), []byte(test.ignored), 0o600))
			}
			image, err := layOut(t, folder, "FROM scratch\n"+test.lines+"\nENTRYPOINT [\"/x\"]\n", nil)
			require.NoError(t, err)
			assert.Equal(t, test.want, files(t, image))
		})
	}
}

// What stands for a path in the image's folder is written as ROOT, and this machine's programs as MACHINE/name.
func TestCommandOnThisMachine(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text  string
		argv  []string
		dir   string
		env   []string
		taken []string
	}{
		"an interpreter of this machine": {
			python + "COPY process.py /app/\nCMD [\"sh\", \"/app/process.py\"]",
			[]string{"ROOT/usr/local/bin/upload-worker", "MACHINE/sh", "ROOT/app/process.py"}, "ROOT", nil, []string{"sh"},
		},
		"that the image has elsewhere": {
			python + "COPY process.py /app/\nCMD [\"/opt/image/bin/sh\", \"/app/process.py\"]",
			[]string{"ROOT/usr/local/bin/upload-worker", "MACHINE/sh", "ROOT/app/process.py"}, "ROOT", nil, []string{"sh"},
		},
		"a script": {
			python + "COPY process.sh /app/\nCMD [\"/app/process.sh\", \"-x\"]",
			[]string{"ROOT/usr/local/bin/upload-worker", "ROOT/app/process.sh", "-x"}, "ROOT", nil, []string{"/bin/sh"},
		},
		"a script by env and PATH": {
			python + "WORKDIR /app\nCOPY env.sh .\nENV PATH=/app:$PATH\nCMD [\"env.sh\"]",
			[]string{"ROOT/usr/local/bin/upload-worker", "ROOT/app/env.sh"}, "ROOT/app", []string{"PATH=ROOT/app:"}, []string{"sh"},
		},
		"an option and variables": {
			python + "COPY lib /app/lib\nENV PYTHONPATH=/app/lib:/else A=b\nCMD [\"sh\", \"--lib=/app/lib/a.py\", \"/application\", \"/tmp\"]",
			[]string{"ROOT/usr/local/bin/upload-worker", "MACHINE/sh", "--lib=ROOT/app/lib/a.py", "/application", "/tmp"},
			"ROOT", []string{"PYTHONPATH=ROOT/app/lib:/else", "A=b"}, []string{"sh is this", "/application isn't here"},
		},
		"a folder of what was copied": {
			python + "COPY lib/a.py /of-the-image/\nENV PYTHONPATH=/of-the-image\nCMD [\"sh\", \"/usr/local/bin\"]",
			[]string{"ROOT/usr/local/bin/upload-worker", "MACHINE/sh", "/usr/local/bin"},
			"ROOT", []string{"PYTHONPATH=ROOT/of-the-image"}, []string{"sh"},
		},
		"what makes no difference": {
			python + "LABEL a=b\nEXPOSE 80\nSTOPSIGNAL SIGTERM\nHEALTHCHECK NONE\nUSER 65532:65532\nVOLUME /tmp\nRUN pip install x\nCMD [\"sh\"]",
			[]string{"ROOT/usr/local/bin/upload-worker", "MACHINE/sh"}, "ROOT", nil, []string{"sh"},
		},
		"the processor itself": {python, []string{"ROOT/usr/local/bin/upload-worker"}, "ROOT", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			image, err := layOut(t, context(t), test.text, nil)
			require.NoError(t, err)
			command, err := image.Here()
			require.NoError(t, err)
			argv := command.Argv
			for i, argument := range argv {
				if filepath.Base(argument) == "sh" && !strings.HasPrefix(argument, image.Root) {
					argument = "MACHINE/sh"
				}
				argv[i] = strings.ReplaceAll(argument, image.Root, "ROOT")
			}
			assert.Equal(t, test.argv, argv)
			assert.Equal(t, test.dir, strings.ReplaceAll(command.Dir, image.Root, "ROOT"))
			env := strings.ReplaceAll(strings.Join(command.Env, "\n"), image.Root, "ROOT")
			for _, variable := range test.env {
				assert.Contains(t, env, variable)
			}
			assert.Len(t, command.Taken, len(test.taken))
			for i, program := range test.taken {
				assert.Contains(t, command.Taken[i], program)
			}
		})
	}
}

// What would need a container engine is never run wrongly: the error names the line and what to write instead.
func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, want string }{
		"a program this machine hasn't": {python + `CMD ["none-such-program", "x"]`, "no none-such-program on its PATH: install it here"},
		"no worker":                     {"FROM x\nENTRYPOINT [\"/usr/local/bin/upload-worker\"]", "write COPY upload-worker /usr/local/bin/"},
		"a script without its interpreter": {
			python + "COPY lost.sh /app/\nCMD [\"/app/lost.sh\"]", "begins with #!/opt/none/python9, which isn't on this machine",
		},
		"a script that isn't executable":  {python + "COPY process.py /app/\nCMD [\"/app/process.py\"]", "write COPY --chmod=755"},
		"a script that isn't copied":      {python + "CMD [\"/app/gone.py\"]", "no COPY makes the program /app/gone.py"},
		"a path within something else":    {python + "COPY process.sh /app/\nCMD [\"sh\", \"-c\", \"/app/process.sh | cat\"]", "name it alone"},
		"a path within a variable":        {python + "COPY lib /app\nENV U=file:///app/a.py\nCMD [\"sh\"]", "ENV U: it has /app"},
		"a program not copied to scratch": {"FROM scratch\n" + worker + `CMD ["sh"]`, "no COPY makes the program sh"},
		"a folder as program":             {"FROM scratch\nCOPY lib /task\nENTRYPOINT [\"/task\"]", "the program /task is no file"},
		"what RUN would make": {
			"FROM golang AS b\nRUN go build -o /out/x\nFROM scratch\nCOPY --from=b /out/x /x\nENTRYPOINT [\"/x\"]",
			"line 4: COPY /out/x: it isn't in the stage b",
		},
		"an argument that RUN would make": {
			python + "RUN pip install --target /app/lib x\nCMD [\"sh\", \"/app/lib/main.py\"]",
			"line 5: the argument \"/app/lib/main.py\": no COPY makes it, and RUN isn't executed: copy it",
		},
		"what another image has":    {python + "COPY --from=ffmpeg:7 /ffmpeg /usr/bin/", "line 4: COPY --from=ffmpeg:7: that image isn't here"},
		"what isn't there":          {python + "COPY gone.py /app/", "line 4: COPY gone.py: it isn't in the build context"},
		"what is outside":           {python + "COPY ../gone /app/", "line 4: COPY ../gone: it isn't in the build context"},
		"the shell form":            {python + "CMD python3 /app/process.py", "line 4: CMD python3 /app/process.py: only the exec form"},
		"the entry point's as well": {"FROM x\nENTRYPOINT python3", "line 2: ENTRYPOINT python3: only the exec form"},
		"no entry point":            {"FROM python\nCMD [\"python3\"]", "has no ENTRYPOINT"},
		"an empty one":              {python + "ENTRYPOINT []", "has no ENTRYPOINT"},
		"another volume":            {python + "VOLUME /data", "line 4: VOLUME /data: only VOLUME /tmp"},
		"ADD":                       {python + "ADD process.py /app/", "line 4: ADD: write COPY"},
		"--parents":                 {python + "COPY --parents lib/a.py /app/", "line 4: COPY with --parents"},
		"a mode in words":           {python + "COPY --chmod=u+x process.py /app/", "line 4: COPY --chmod=u+x: only a number"},
		"the base's variable":       {python + "ENV A=$PYTHON_VERSION", "line 4: $PYTHON_VERSION is set by no ENV or ARG before"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			image, err := layOut(t, context(t), test.text, nil)
			if err == nil {
				_, err = image.Here()
			}
			require.ErrorIs(t, err, dockerfile.ErrUnsupported)
			assert.ErrorContains(t, err, test.want)
		})
	}
}

// A text that isn't a Dockerfile is wrong with an engine as well.
func TestWhatIsNoDockerfile(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"nothing": "", "no FROM": "COPY a /a", "no instruction": "FROM scratch\nCOPI a /a"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := layOut(t, context(t), text, nil)
			require.Error(t, err)
			assert.NotErrorIs(t, err, dockerfile.ErrUnsupported)
		})
	}
}

func TestArgumentsOfTheBuild(t *testing.T) {
	t.Parallel()
	const text = "ARG TAG=1\nFROM scratch\nARG TAG\nARG MODE=slow\nENV SEEN=$TAG-$MODE\nCOPY task /\nENTRYPOINT [\"/task\"]"
	for want, args := range map[string]map[string]string{"1-slow": nil, "2-fast": {"TAG": "2", "MODE": "fast"}} {
		image, err := layOut(t, context(t), text, args)
		require.NoError(t, err)
		assert.Contains(t, image.Env, "SEEN="+want)
	}
}

func TestBases(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "Dockerfile")
	const text = "ARG V=3\nFROM golang AS b\nFROM b AS c\nCOPY --from=ffmpeg /f /\nCOPY --from=0 /g /\n" +
		"FROM python:$V\nCOPY --from=c /f /\nFROM scratch"
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	bases, err := dockerfile.Bases(name, nil)
	require.NoError(t, err)
	assert.Equal(t, []string{"golang", "ffmpeg", "python:3"}, bases)
}

// The project's own Dockerfile is one that can be followed, in a root of its own.
func TestProjectsDockerfile(t *testing.T) {
	t.Parallel()
	root, err := build.Root()
	require.NoError(t, err)
	image, err := dockerfile.LayOut(dockerfile.Options{File: filepath.Join(root, build.Dockerfile), Context: context(t), Root: t.TempDir()})
	require.NoError(t, err)
	assert.True(t, image.Scratch)
	command, err := image.Own()
	require.NoError(t, err)
	assert.Equal(t, []string{"/upload-worker"}, command.Argv)
	assert.Equal(t, "/", command.Dir)
}
