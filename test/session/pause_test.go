package session_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"example.com/upload-router/internal/awstest"
	"example.com/upload-router/operate"
)

var flood = flag.Int("flood", 300, "how many files are uploaded while uploads are paused and resumed")

// While files are uploaded one after the other, uploads are paused and resumed over and over, and each of these is ended between two of its
// steps, at another one every time, and called again. None is lost, and none processed twice.
func TestAFloodThroughPausesLosesNothing(t *testing.T) {
	t.Parallel()
	s := newSession(t, map[string]string{})
	outputs, err := operate.ParseOutputs(s.aws.Outputs())
	require.NoError(t, err)
	cfg := s.aws.Config()
	cfg.Credentials = credentials.NewStaticCredentialsProvider(awstest.AccessKeyID, "shibboleth", "")
	system := operate.Connect(cfg, outputs)
	system.Poll = time.Millisecond
	const atATime = 10
	var uploading errgroup.Group
	uploading.Go(func() error {
		for sent := 0; sent < *flood; sent += atATime {
			if err := upload(t, system, sent, min(sent+atATime, *flood)); err != nil {
				return err
			}
		}
		return nil
	})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err = uploading.Wait()
	}()
	const steps = 6 // more than either has
	pauses := 0
	for over := false; !over || pauses < steps; pauses++ {
		broken(t, pauses%steps, func(ctx context.Context, told func(string)) error { return system.Pause(ctx, told) })
		require.NoError(t, system.Pause(t.Context(), nil))
		broken(t, pauses%steps, func(ctx context.Context, told func(string)) error {
			_, err := system.Resume(ctx, told, func(operate.Drained) { told("draining") })
			return err
		})
		_, err := system.Resume(t.Context(), nil, nil)
		require.NoError(t, err)
		select {
		case <-ended:
			over = true
		default:
		}
	}
	require.NoError(t, err)
	_, err = system.Resume(t.Context(), nil, nil) // what was uploaded as the last one ended
	require.NoError(t, err)
	s.aws.Wait()
	state, err := system.PauseState(t.Context())
	require.NoError(t, err)
	require.Equal(t, operate.PauseState{Starts: true}, state)

	processed := map[string]int{}
	for _, e := range s.aws.Known() {
		for _, run := range e.Runs {
			var answer struct{ Key string }
			if run.Succeeded() && json.Unmarshal(run.Answer, &answer) == nil {
				processed[answer.Key]++
			}
		}
	}
	for i := range *flood {
		require.Equal(t, 1, processed[name(i)], name(i))
	}
	t.Logf("%d files, %d pauses", len(processed), pauses)
}

func name(i int) string { return fmt.Sprintf("%05d.txt", i) }

// upload uploads files, and waits for nothing.
func upload(t *testing.T, system *operate.System, from, to int) error {
	t.Helper()
	folder := t.TempDir()
	for i := from; i < to; i++ {
		if err := os.WriteFile(filepath.Join(folder, name(i)), fmt.Append(nil, i), 0o600); err != nil {
			return fmt.Errorf("writing a file: %w", err)
		}
	}
	sent, err := system.Send(t.Context(), operate.SendOptions{Files: []string{folder}, NoWait: true, ResumeFolder: t.TempDir()})
	for _, f := range sent {
		if f.Error != "" {
			return fmt.Errorf("%s: %s", f.Key, f.Error) //nolint:err113 // It is shown.
		}
	}
	return err //nolint:wrapcheck // It is shown.
}

// broken ends a call after so many steps.
func broken(t *testing.T, steps int, call func(context.Context, func(string)) error) {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	defer end()
	n := 0
	if err := call(ctx, func(string) {
		if n++; n > steps {
			end()
		}
	}); err != nil {
		require.ErrorIs(t, err, operate.ErrCanceled)
	}
}
