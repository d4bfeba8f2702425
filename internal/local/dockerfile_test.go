package local_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/local"
)

func TestReadDockerfile(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text   string
		binary string
		args   []string
	}{
		"one file":             {"FROM scratch\nCOPY task /task\nENTRYPOINT [\"/task\"]", "ctx/task", []string{}},
		"with arguments":       {"FROM scratch\nCOPY task /task\nENTRYPOINT [\"/task\", \"-v\", \"a b\"]", "ctx/task", []string{"-v", "a b"}},
		"into a folder":        {"FROM scratch\nCOPY bin/task /opt/\nENTRYPOINT [\"/opt/task\"]", "ctx/bin/task", []string{}},
		"by a relative path":   {"FROM scratch\nCOPY ./task task\nENTRYPOINT [\"/task\"]", "ctx/task", []string{}},
		"by an unclean path":   {"FROM scratch\nCOPY task /bin/../task\nENTRYPOINT [\"/./task\"]", "ctx/task", []string{}},
		"comments and a user":  {"# it\n\nFROM scratch\n  # so\nCOPY task /task\nUSER 65532\nENTRYPOINT [\"/task\"]\n", "ctx/task", []string{}},
		"small letters":        {"from scratch\ncopy task /task\nentrypoint [\"/task\"]", "ctx/task", []string{}},
		"tabs":                 {"FROM\tscratch\nCOPY\ttask\t/task\nENTRYPOINT\t[\"/task\"]", "ctx/task", []string{}},
		"Windows line ends":    {"FROM scratch\r\nCOPY task /task\r\nENTRYPOINT [\"/task\"]\r\n", "ctx/task", []string{}},
		"the last entry point": {"FROM scratch\nCOPY a /a\nCOPY b /b\nENTRYPOINT [\"/a\",\"x\"]\nENTRYPOINT [\"/b\"]", "ctx/b", []string{}},
		"the last copy":        {"FROM scratch\nCOPY a /task\nCOPY b /task\nENTRYPOINT [\"/task\"]", "ctx/b", []string{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			binary, args, err := local.ReadDockerfile(test.text, "ctx")
			require.NoError(t, err)
			assert.Equal(t, filepath.FromSlash(test.binary), binary)
			assert.Equal(t, test.args, args)
		})
	}
}

// What would need a container engine is never run wrongly.
func TestDockerfileThatCannotBeFollowed(t *testing.T) {
	t.Parallel()
	const start, end = "FROM scratch\nCOPY task /task\n", "ENTRYPOINT [\"/task\"]\n"
	tests := map[string]struct{ text, want string }{
		"a base image":              {"FROM alpine:3\nCOPY task /task\n" + end, "line 1: unsupported operation: FROM alpine:3"},
		"a named stage":             {"FROM scratch AS build\n" + end, "line 1: unsupported operation: FROM scratch AS build"},
		"a command that is run":     {start + "RUN apk add ffmpeg\n" + end, "line 3: unsupported operation: RUN"},
		"a variable":                {start + "ENV MODE=fast\n" + end, "line 3: unsupported operation: ENV"},
		"a working folder":          {start + "WORKDIR /data\n" + end, "line 3: unsupported operation: WORKDIR"},
		"default arguments":         {start + end + "CMD [\"-v\"]\n", "line 4: unsupported operation: CMD"},
		"a copy with an option":     {"FROM scratch\nCOPY --chmod=755 task /task\n" + end, "line 2: unsupported operation: COPY --chmod"},
		"a copy of two files":       {"FROM scratch\nCOPY a b /\n" + end, "line 2: unsupported operation: COPY a b /"},
		"a copy by a pattern":       {"FROM scratch\nCOPY ta* /\n" + end, "line 2: unsupported operation: COPY ta*"},
		"a copy in the JSON form":   {"FROM scratch\nCOPY [\"task\", \"/task\"]\n" + end, "line 2: unsupported operation: COPY ["},
		"a copy from elsewhere":     {"FROM scratch\nCOPY ../task /task\n" + end, "line 2: unsupported operation: COPY ../task"},
		"a continued line":          {"FROM scratch\nCOPY task \\\n  /task\n" + end, `line 2: unsupported operation: COPY task \`},
		"a shell as entry point":    {start + "ENTRYPOINT /task -v\n", "line 3: unsupported operation: ENTRYPOINT /task -v"},
		"no entry point":            {start, `it has no ENTRYPOINT ["..."]`},
		"an empty entry point":      {start + "ENTRYPOINT []\n", `it has no ENTRYPOINT ["..."]`},
		"an entry point left empty": {start + end + "ENTRYPOINT []\n", `it has no ENTRYPOINT ["..."]`},
		"an entry point not copied": {start + "ENTRYPOINT [\"/other\"]\n", "no COPY makes the entry point /other"},
		"copied in another stage":   {start + "FROM scratch\n" + end, "no COPY makes the entry point /task"},
		"nothing":                   {"", `it has no ENTRYPOINT ["..."]`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := local.ReadDockerfile(test.text, "ctx")
			require.ErrorContains(t, err, "the local run can't follow this Dockerfile")
			assert.ErrorContains(t, err, test.want)
		})
	}
}

// The project's own Dockerfile is one that can be followed.
func TestProjectsDockerfile(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, build.Dockerfile))
	require.NoError(t, err)
	binary, args, err := local.ReadDockerfile(string(text), "ctx")
	require.NoError(t, err)
	assert.Equal(t, filepath.Join("ctx", "task"), binary)
	assert.Empty(t, args)
}
