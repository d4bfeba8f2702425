package callback_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/host/callback"
	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/internal/tokenapi"
	"example.com/upload-router/upload"
)

// states is a Step Functions whose state waits for "token".
type states struct {
	*tokenapi.Wait

	token *callback.Token
	log   *bytes.Buffer

	mu    sync.Mutex
	calls []string
}

// waiting makes a state that waits. Each call goes through refuse first, which may answer in its place; it is told how many calls of
// this operation there were before.
func waiting(t *testing.T, refuse func(w http.ResponseWriter, operation string, before int) bool) *states {
	t.Helper()
	server, err := tokenapi.Start(t.Context(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	target, err := url.Parse(server.Endpoint())
	require.NoError(t, err)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	s := &states{Wait: server.Await("token", "machine"), log: &bytes.Buffer{}}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".SendTask")
		before := s.called(operation)
		if refuse == nil || !refuse(w, operation, before) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(front.Close)
	s.token = &callback.Token{
		Client: sfn.New(sfn.Options{
			Region: "eu-central-1", BaseEndpoint: aws.String(front.URL),
			Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""),
			Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
				o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
			}),
		}),
		Value: "token", Heartbeat: time.Hour, Logger: slog.New(slog.NewJSONHandler(s.log, nil)),
	}
	return s
}

func (s *states) called(operation string) (before int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		if c == operation {
			before++
		}
	}
	s.calls = append(s.calls, operation)
	return before
}

// answer is what was told, if anything was.
func (s *states) answer() *tokenapi.Answer {
	select {
	case a := <-s.Answer():
		return &a
	default:
		return nil
	}
}

// afterFirstBeat is work that ends when Step Functions knows of it.
func (s *states) afterFirstBeat(result json.RawMessage, err error) callback.Work {
	return func(ctx context.Context) (json.RawMessage, error) {
		select {
		case <-s.Beats():
		case <-ctx.Done():
		}
		return result, err
	}
}

func down(w http.ResponseWriter) bool {
	w.WriteHeader(http.StatusServiceUnavailable)
	return true
}

func TestTheResultIsTold(t *testing.T) {
	t.Parallel()
	s := waiting(t, nil)
	require.NoError(t, s.token.Do(t.Context(), s.afterFirstBeat(json.RawMessage(`{"lines":3}`), nil)))
	assert.Equal(t, &tokenapi.Answer{Output: json.RawMessage(`{"lines":3}`)}, s.answer())
	assert.Equal(t, []string{"Heartbeat", "Success"}, s.calls)
	assert.Empty(t, s.log.String())
}

func TestAFailureIsToldByItsCode(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err         error
		code, cause string
	}{
		"with a code": {&upload.Error{Code: upload.Unavailable, Err: errors.New("S3 is\nbusy")}, "Upload.Unavailable", "S3 is; busy"},
		"without":     {errors.New("no"), "Upload.Failed", "no"},
		"a long one":  {errors.New(strings.Repeat("x", 1<<20)), "Upload.Failed", strings.Repeat("x", 4090) + " [...]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := waiting(t, nil)
			require.ErrorIs(t, s.token.Do(t.Context(), s.afterFirstBeat(nil, test.err)), test.err)
			assert.Equal(t, &tokenapi.Answer{Error: test.code, Cause: test.cause}, s.answer())
		})
	}
}

func TestAResultThatIsTooLargeIsAFailure(t *testing.T) {
	t.Parallel()
	result := func(size int) json.RawMessage { return json.RawMessage(`"` + strings.Repeat("x", size-2) + `"`) }
	s := waiting(t, nil)
	require.NoError(t, s.token.Do(t.Context(), s.afterFirstBeat(result(callback.MaxOutput), nil)))
	assert.Len(t, s.answer().Output, callback.MaxOutput)

	s = waiting(t, nil)
	err := s.token.Do(t.Context(), s.afterFirstBeat(result(callback.MaxOutput+1), nil))
	require.ErrorIs(t, err, &upload.Error{Code: upload.ResultTooLarge})
	assert.Equal(t, &tokenapi.Answer{
		Error: "Upload.ResultTooLarge", Cause: "the result has 262145 bytes as JSON; Step Functions takes 262144",
	}, s.answer())
}

func TestATokenThatHasTimedOutIsNotWorkedFor(t *testing.T) {
	t.Parallel()
	s := waiting(t, nil)
	s.Close()
	err := s.token.Do(t.Context(), func(context.Context) (json.RawMessage, error) {
		assert.Fail(t, "it works for nobody")
		return nil, nil
	})
	require.ErrorIs(t, err, &upload.Error{Code: upload.NotAwaited})
	require.ErrorContains(t, err, "TaskTimedOut")
	assert.Equal(t, []string{"Heartbeat"}, s.calls, "there is nobody to tell")
}

// Nobody stops a container whose state has stopped waiting: it stops itself.
func TestATokenThatTimesOutMeanwhileEndsTheWork(t *testing.T) {
	t.Parallel()
	s := waiting(t, nil)
	s.token.Heartbeat = 3 * time.Millisecond
	err := s.token.Do(t.Context(), func(ctx context.Context) (json.RawMessage, error) {
		<-s.Beats()
		s.Close()
		<-ctx.Done()
		return nil, ctx.Err()
	})
	require.ErrorIs(t, err, &upload.Error{Code: upload.NotAwaited})
}

func TestATokenThatIsOfNoUseIsAnErrorOfItsOwn(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*states){
		"used":    func(s *states) { s.Close() },
		"unknown": func(s *states) { s.token.Value = "another" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := waiting(t, nil)
			s.token.Heartbeat = 0 // so that the result is the first that is told
			spoil(s)
			err := s.token.Do(t.Context(), func(context.Context) (json.RawMessage, error) { return json.RawMessage(`1`), nil })
			require.ErrorIs(t, err, &upload.Error{Code: upload.NotAwaited})
			assert.Equal(t, []string{"Success"}, s.calls)
		})
	}
}

// ECS stops a container by a signal, which ends the context.
func TestWhoIsToldToStopSaysSo(t *testing.T) {
	t.Parallel()
	s := waiting(t, nil)
	ctx, stop := context.WithCancelCause(t.Context())
	err := s.token.Do(ctx, func(ctx context.Context) (json.RawMessage, error) {
		<-s.Beats()
		stop(errors.New("SIGTERM"))
		<-ctx.Done()
		return nil, &upload.Error{Code: upload.Interrupted, Err: context.Cause(ctx)}
	})
	require.ErrorIs(t, err, &upload.Error{Code: upload.Interrupted})
	assert.Equal(t, &tokenapi.Answer{Error: "Upload.Interrupted", Cause: "SIGTERM"}, s.answer())
}

func TestWhatPassesIsTriedAgain(t *testing.T) {
	t.Parallel()
	s := waiting(t, func(w http.ResponseWriter, _ string, before int) bool { return before < 2 && down(w) })
	require.NoError(t, s.token.Do(t.Context(), s.afterFirstBeat(json.RawMessage(`1`), nil)))
	assert.NotNil(t, s.answer())
	assert.Equal(t, []string{"Heartbeat", "Heartbeat", "Heartbeat", "Success", "Success", "Success"}, s.calls)
}

// A heartbeat that can't be sent is noted, and the next one may be.
func TestHeartbeatsThatFailDoNotEndTheWork(t *testing.T) {
	t.Parallel()
	s := waiting(t, func(w http.ResponseWriter, operation string, before int) bool {
		return operation == "Heartbeat" && before < 3 && down(w)
	})
	require.NoError(t, s.token.Do(t.Context(), func(context.Context) (json.RawMessage, error) { return json.RawMessage(`1`), nil }))
	assert.NotNil(t, s.answer())
	assert.Contains(t, s.log.String(), `"msg":"heartbeat not sent"`)
}

func TestAnEndThatCannotBeToldIsAnError(t *testing.T) {
	t.Parallel()
	silent := func(w http.ResponseWriter, operation string, _ int) bool { return operation != "Heartbeat" && down(w) }
	s := waiting(t, silent)
	err := s.token.Do(t.Context(), s.afterFirstBeat(json.RawMessage(`1`), nil))
	require.ErrorIs(t, err, &upload.Error{Code: upload.Failed})
	require.ErrorContains(t, err, "telling the result")

	s = waiting(t, silent)
	gone := &upload.Error{Code: upload.ObjectMissing, Err: errors.New("gone")}
	require.ErrorIs(t, s.token.Do(t.Context(), s.afterFirstBeat(nil, gone)), gone)
	assert.Contains(t, s.log.String(), `"msg":"failure not told"`)
}

func TestFromEnvironment(t *testing.T) {
	lookup := func(variables map[string]string) func(string) (string, bool) {
		return func(name string) (string, bool) {
			value, ok := variables[name]
			return value, ok
		}
	}
	for _, variables := range []map[string]string{nil, {request.EnvironmentTaskToken: ""}} {
		token, err := callback.FromEnvironment(lookup(variables), nil)
		require.NoError(t, err)
		require.Nil(t, token)
	}
	for _, seconds := range []string{"", "-1", "1.5", "5m"} {
		_, err := callback.FromEnvironment(lookup(map[string]string{
			request.EnvironmentTaskToken: "t", request.EnvironmentHeartbeat: seconds,
		}), nil)
		require.ErrorIs(t, err, &upload.Error{Code: upload.Invalid})
		require.ErrorContains(t, err, "UPLOAD_HEARTBEAT_SECONDS")
	}
	t.Setenv("AWS_REGION", "eu-central-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	token, err := callback.FromEnvironment(lookup(map[string]string{
		request.EnvironmentTaskToken: "t", request.EnvironmentHeartbeat: "300",
	}), nil)
	require.NoError(t, err)
	assert.Equal(t, "t", token.Value)
	assert.Equal(t, 5*time.Minute, token.Heartbeat)
	assert.Equal(t, 8, token.Client.(*sfn.Client).Options().Retryer.MaxAttempts())
}
