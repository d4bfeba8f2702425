package cli

import (
	"errors"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awstest"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/objectstore"
	"example.com/upload-router/operate"
)

// What a command asks AWS for is what [operate.Permissions] says, and no more: each is run in all ways on which it asks for something.
func TestSessionPermissions(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newSession(t)
	asked := map[string]map[string]bool{}
	run := func(args ...string) {
		t.Helper()
		s.run(args...)
		if asked[args[0]] == nil {
			asked[args[0]] = map[string]bool{}
		}
		for _, action := range s.server.Asked() {
			asked[args[0]][action] = true
		}
	}
	past := func(key string, script awstest.Script) string {
		return s.server.Past(key, 10<<20, time.Now().Add(-time.Hour), script)
	}
	s.server.Script("broken.txt", awstest.Script{Error: "Upload.Failed", Cause: `{"errorMessage":"not today"}`})

	film := s.file("film.mp4", 17<<20)
	for _, meanwhile := range []func(parts string){
		func(string) {}, // it goes on with the parts that there are
		func(string) { require.NoError(t, os.WriteFile(film, make([]byte, 16<<20), 0o600)) }, // and throws another file's away
		func(parts string) { // and looks for the object where there are none
			r, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, s.server.Endpoint()+parts, nil)
			require.NoError(t, err)
			response, err := http.DefaultClient.Do(r)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			require.Equal(t, http.StatusNoContent, response.StatusCode)
		},
	} {
		var parts string
		s.server.Cut(func(r *http.Request) bool {
			parts = r.URL.Path + "?uploadId=" + r.URL.Query().Get("uploadId")
			return r.URL.Query().Get("partNumber") == "3"
		})
		run("send", film, "--part-size", "5MiB", "--parallel", "1")
		s.server.Cut(nil)
		meanwhile(parts)
		s.server.Asked()
		run("send", film, "--part-size", "5MiB", "--parallel", "1")
	}
	run("send", s.file("small.txt", 10), s.file("broken.txt", 20))

	s.server.Record(ledger.Item{ // whose execution is asked for
		Upload: ledger.UploadOf(awstest.Bucket, "running", "v", "e", ""), State: ledger.Running, Started: time.Now(),
		Execution: "arn:aws:states:eu-central-1:123456789012:execution:workflow:running",
	})
	run("executions")
	run("executions", "--key", "running")
	run("results", "--status", "running")
	run("results")
	run("show", "broken.txt")
	run("logs", "broken.txt", "--since", "1h")

	unended := past("late.bin", awstest.Script{TimedOut: true})
	s.server.Record(ledger.Item{
		Upload: ledger.UploadOf(awstest.Bucket, "late.bin", "version-of-late.bin", "etag", ""), State: ledger.Running,
		Execution: "arn:aws:states:eu-central-1:123456789012:execution:workflow:" + unended, Started: time.Now().Add(-time.Hour),
	})
	run("show", unended)
	run("logs", unended, "--follow=false")
	s.server.DeadLetter(awstest.Event(objectstore.Stored{Key: "lost", Size: 1, ETag: "e", VersionID: "v"}), time.Now())
	s.server.DeadLetter("no event", time.Now())
	run("redrive", "--dlq", "--yes")
	run("redrive", unended, "--restart")
	run("watch", "--until-idle") // what was run again ends
	run("redrive", past("aborted.bin", awstest.Script{Aborted: true}))
	run("redrive", "--failed")

	s.server.Script("*", awstest.Script{Polls: 1 << 30, Unswept: true})
	s.server.Callback()
	s.run("send", "--no-wait", s.file("endless.bin", 3<<20))
	s.server.Asked()
	run("stop", "--all", "--yes")
	s.server.Script("*", awstest.Script{})
	for i := range 9 {
		s.server.Put(awstest.Bucket, "listed-"+strconv.Itoa(i), []byte("x"))
	}
	run("backfill", "--yes")
	run("backfill", "--manifest", s.longInventory()) // nobody says yes to a list of several parts
	run("backfill", "--prefix", "listed", "--max-parallel", "1", "--again", "--no-wait", "--yes")
	s.server.Slots(1) // whose holders it reads
	require.NoError(t, os.WriteFile(s.outputs, s.server.Outputs(), 0o600))
	run("status") // with a backfill that runs
	run("backfill", "list")
	running := s.server.Backfills()[0]
	run("backfill", "show", running)
	run("backfill", "stop", running, "--yes")
	run("backfill", "redrive", running, "--yes")
	run("reprocess", "small.txt", "--yes")
	run("reprocess", "--since", "1h", "--status", "failed", "--dry-run")

	// These take Pulumi, for the stack's file.
	outputs, err := operate.ParseOutputs(s.server.Outputs())
	require.NoError(t, err)
	system := operate.Connect(s.server.Config(), outputs)
	system.Poll = time.Millisecond
	asks := func(command string, call func() error) {
		t.Helper()
		require.NoError(t, call())
		asked[command] = map[string]bool{}
		for _, action := range s.server.Asked() {
			asked[command][action] = true
		}
	}
	asks("pause", func() error {
		_, err := system.PauseState(t.Context())
		return errors.Join(err, system.Pause(t.Context(), nil))
	})
	s.server.Paused(awstest.Event(objectstore.Stored{Key: "paused", Size: 1, ETag: "e", VersionID: "v"}))
	asks("resume", func() error {
		s.server.Refuse("AccessDeniedException", "StartExecution")
		_, err := system.Resume(t.Context(), nil, nil)
		require.Error(t, err)
		s.server.Refuse("", "StartExecution")
		_, err = system.Resume(t.Context(), nil, nil) // of the message that it has given back
		return err
	})

	also := func(command string, call func() error) {
		t.Helper()
		known := asked[command]
		asks(command, call)
		maps.Copy(asked[command], known)
	}
	also("reprocess", func() error { // Ctrl-C, and the parts of a list that nobody says yes to, are those of backfill
		run("reprocess", "small.txt", "--no-wait", "--yes")
		_, err := system.StopBackfill(t.Context(), s.server.Backfills()[0])
		return err
	})
	asked["reprocess"]["s3:AbortMultipartUpload"] = true
	asked["verify"] = askedByVerify(t)

	commands := map[string]bool{}
	for _, p := range operate.Permissions() {
		for _, command := range p.Commands {
			commands[command] = true
		}
	}
	require.Equal(t, slices.Sorted(maps.Keys(asked)), slices.Sorted(maps.Keys(commands)))
	for command := range commands {
		require.Equal(t, operate.PermissionsOf(command), slices.Sorted(maps.Keys(asked[command])), command)
	}
}

// askedByVerify are the actions that `verify` asks with: where all is well, where files fail on both routes, and where none arrives.
func askedByVerify(t *testing.T) map[string]bool {
	t.Helper()
	asked := map[string]bool{"s3:AbortMultipartUpload": true, "s3:GetObject": true} // of files of one's own that go in parts, as of send's
	for _, script := range []awstest.Script{{}, {Error: "Upload.Failed", Cause: "because"}, {Lost: true}} {
		server := awstest.Start(t)
		server.Script("*", script)
		if script.Lost {
			server.DeadLetter(awstest.Event(objectstore.Stored{Key: "lost", Size: 1, ETag: "e", VersionID: "v"}), time.Now())
		}
		outputs, err := operate.ParseOutputs(server.Outputs())
		require.NoError(t, err)
		system := operate.Connect(server.Config(), outputs)
		system.Poll = time.Millisecond
		limit := time.Minute // which none takes that starts
		if script.Lost {
			limit = time.Millisecond
		}
		_, err = system.Verify(t.Context(), operate.VerifyOptions{StartTimeout: limit})
		require.NoError(t, err)
		for _, action := range server.Asked() {
			asked[action] = true
		}
	}
	return asked
}
