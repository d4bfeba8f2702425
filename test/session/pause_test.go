package session_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"example.com/upload-router/internal/awstest"
	"example.com/upload-router/internal/local"
	"example.com/upload-router/operate"
)

var flood = flag.Int("flood", 300, "how many files are uploaded while uploads are paused and resumed")

// While files are uploaded one after the other, uploads are paused and resumed over and over, and each of these is killed with one of its
// requests of AWS, with another one every time, and run again, while EventBridge follows its rules late. None is lost, and none processed
// twice.
func TestAFloodThroughPausesLosesNothing(t *testing.T) {
	t.Parallel()
	const follows = 40 * time.Millisecond // at the most, which is less than is waited for
	s := newSessionWith(t, map[string]string{}, local.Options{RulesFollow: func() time.Duration { return rand.N(follows) }})
	outputs, err := operate.ParseOutputs(s.aws.Outputs())
	require.NoError(t, err)
	cfg := s.aws.Config()
	cfg.Credentials = credentials.NewStaticCredentialsProvider(awstest.AccessKeyID, "shibboleth", "")
	connect := func(cfg aws.Config) *operate.System {
		system := operate.Connect(cfg, outputs)
		system.Poll = time.Millisecond // the minute are 60 ms
		return system
	}
	system := connect(cfg)
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
	const requests = 24 // more than come before the queue is read over and over
	pauses := 0
	for over := false; !over || pauses < 2*requests; pauses++ {
		killed := cfg.Copy()
		killed.RetryMaxAttempts = 1
		killed.HTTPClient = &killing{HTTPClient: http.DefaultClient, arrives: pauses%2 == 0, at: int64(pauses / 2 % requests)}
		_ = connect(killed).Pause(t.Context(), nil)
		require.NoError(t, system.Pause(t.Context(), nil))
		killed.HTTPClient = &killing{HTTPClient: http.DefaultClient, arrives: pauses%2 == 0, at: int64(pauses / 2 % requests)}
		_, _ = connect(killed).Resume(t.Context(), nil, nil)
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

// killing is what a process reaches AWS by that is killed with one of its requests. That may arrive, but nobody hears the answer, and none
// comes after it.
type killing struct {
	aws.HTTPClient

	at      int64 // how many are answered before
	arrives bool

	asked atomic.Int64
}

var errKilled = errors.New("the process is killed")

func (k *killing) Do(req *http.Request) (*http.Response, error) {
	n := k.asked.Add(1) - 1
	if n > k.at || n == k.at && !k.arrives {
		return nil, errKilled
	}
	answer, err := k.HTTPClient.Do(req)
	if n == k.at && err == nil {
		return nil, errors.Join(errKilled, answer.Body.Close())
	}
	return answer, err //nolint:wrapcheck // It is the client's.
}
