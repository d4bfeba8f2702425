package tracing_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/xray"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/host/tracing"
	"example.com/upload-router/internal/traceapi"
	"example.com/upload-router/upload"
)

const (
	execution = "arn:aws:states:eu-central-1:123456789012:execution:machine:one"
	root      = "1-5759e988-bd862e3fe1be46a994272793"
)

var object = upload.Object{Bucket: "uploads", Key: "a\nb.csv", VersionID: "v1", Size: 7}

// client is a client of X-Ray at a URL.
func client(url string) *xray.Client {
	return xray.New(xray.Options{
		Region: "eu-central-1", BaseEndpoint: aws.String(url), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", ""),
	})
}

// traced is a tracer, its X-Ray, and what it logs.
func traced(t *testing.T, header string) (*tracing.Tracer, *traceapi.Server, *bytes.Buffer) {
	t.Helper()
	server, err := traceapi.Start(t.Context(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	log := &bytes.Buffer{}
	return &tracing.Tracer{Client: client(server.Endpoint()), Header: header, Logger: slog.New(slog.NewJSONHandler(log, nil))}, server, log
}

// The segment is part of the execution's trace, and can be found by whatever one knows of the file.
func TestSegment(t *testing.T) {
	t.Parallel()
	tracer, server, log := traced(t, "Root="+root+";Parent=53995c3f42cd8ad8;Sampled=1")
	before := time.Now().Add(-time.Millisecond)
	require.NoError(t, tracer.Do(t.Context(), execution, object, func(context.Context) error { return nil }))
	sent := server.Take(root)
	require.Len(t, sent, 1)
	got := sent[0]
	assert.GreaterOrEqual(t, got.StartTime, float64(before.UnixMilli())/1000)
	assert.GreaterOrEqual(t, got.EndTime, got.StartTime)
	assert.LessOrEqual(t, got.EndTime, float64(time.Now().UnixMilli())/1000)
	got.StartTime, got.EndTime = 0, 0
	assert.Equal(t, traceapi.Segment{
		Name: "upload-router task", ID: got.ID, TraceID: root, ParentID: "53995c3f42cd8ad8", Origin: "AWS::ECS::Fargate",
		Annotations: map[string]any{"execution": execution, "bucket": "uploads", "key": "a\nb.csv", "version": "v1"},
		Metadata:    map[string]any{"upload": map[string]any{"size": 7.0}},
	}, got)
	assert.Empty(t, log.String())
}

// A task that is killed can say nothing more: what it said when it began stays.
func TestATaskThatHasBegunIsInProgress(t *testing.T) {
	t.Parallel()
	tracer, server, _ := traced(t, "Root="+root+";Sampled=1")
	require.NoError(t, tracer.Do(t.Context(), execution, object, func(context.Context) error {
		var begun []traceapi.Segment
		require.Eventually(t, func() bool {
			begun = server.Take(root)
			return len(begun) == 1
		}, 10*time.Second, time.Millisecond)
		assert.True(t, begun[0].InProgress)
		assert.Zero(t, begun[0].EndTime)
		return nil
	}))
	ended := server.Take(root)
	require.Len(t, ended, 1)
	assert.False(t, ended[0].InProgress)
}

// X-Ray tells faults of the service from errors of its client.
func TestFailure(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err          error
		typ, message string
		fault        bool
	}{
		"of the processor":   {errors.New("out of ideas"), "Upload.Failed", "out of ideas", true},
		"of S3":              {&upload.Error{Code: upload.Unavailable, Err: errors.New("503")}, "Upload.Unavailable", "503", true},
		"of the object":      {&upload.Error{Code: upload.ObjectMissing, Err: errors.New("gone")}, "Upload.ObjectMissing", "gone", false},
		"of what it is told": {&upload.Error{Code: upload.Invalid, Err: errors.New("no key")}, "Upload.Invalid", "no key", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tracer, server, _ := traced(t, "Root="+root+";Sampled=1")
			require.ErrorIs(t, tracer.Do(t.Context(), execution, object, func(context.Context) error { return test.err }), test.err)
			sent := server.Take(root)
			require.Len(t, sent, 1)
			assert.Equal(t, test.fault, sent[0].Fault)
			assert.Equal(t, !test.fault, sent[0].Error)
			require.Len(t, sent[0].Cause.Exceptions, 1)
			assert.Equal(t, test.typ, sent[0].Cause.Exceptions[0].Type)
			assert.Contains(t, sent[0].Cause.Exceptions[0].Message, test.message)
		})
	}
}

// Being told to stop doesn't keep the end from being told.
func TestTheEndIsSentAlthoughTheTaskIsStopped(t *testing.T) {
	t.Parallel()
	tracer, server, log := traced(t, "Root="+root)
	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, tracer.Do(ctx, execution, object, func(context.Context) error {
		cancel()
		return nil
	}))
	sent := server.Take(root)
	require.Len(t, sent, 1)
	assert.NotZero(t, sent[0].EndTime)
	assert.Empty(t, log.String())
}

// Without a header the segment begins a trace of its own.
func TestATraceOfItsOwn(t *testing.T) {
	t.Parallel()
	var documents atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		_, _ = body.ReadFrom(r.Body)
		documents.Store(body.String())
	}))
	defer server.Close()
	tracer := &tracing.Tracer{Client: client(server.URL), Logger: slog.New(slog.DiscardHandler)}
	require.NoError(t, tracer.Do(t.Context(), execution, object, func(context.Context) error { return nil }))
	assert.Regexp(t, `\\"trace_id\\":\\"1-[0-9a-f]{8}-[0-9a-f]{24}\\"`, documents.Load())
	assert.NotContains(t, documents.Load(), "parent_id")
}

// Nothing fails for want of a trace.
func TestWhatCannotBeSentIsLogged(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		header string
		answer http.HandlerFunc
		says   string
	}{
		"refused": {"", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Amzn-Errortype", "AccessDeniedException")
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"Message":"no"}`))
		}, "AccessDeniedException"},
		"unprocessed": {"", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"UnprocessedTraceSegments":[{"ErrorCode":"ParseError","Message":"bad"}]}`))
		}, "ParseError: bad"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(test.answer)
			defer server.Close()
			log := &bytes.Buffer{}
			tracer := &tracing.Tracer{Client: client(server.URL), Header: test.header, Logger: slog.New(slog.NewJSONHandler(log, nil))}
			require.NoError(t, tracer.Do(t.Context(), execution, object, func(context.Context) error { return nil }))
			assert.Equal(t, 2, strings.Count(log.String(), `"msg":"trace not sent"`), log.String())
			assert.Contains(t, log.String(), test.says)
		})
	}
}

func TestWhatIsTraced(t *testing.T) {
	for name, test := range map[string]struct {
		variables map[string]string
		traced    bool
	}{
		"no header":     {map[string]string{}, false},
		"an empty one":  {map[string]string{"_X_AMZN_TRACE_ID": ""}, true},
		"kept":          {map[string]string{"_X_AMZN_TRACE_ID": "Root=" + root + ";Sampled=1"}, true},
		"not kept":      {map[string]string{"_X_AMZN_TRACE_ID": "Root=" + root + ";Sampled=0"}, false},
		"without a say": {map[string]string{"_X_AMZN_TRACE_ID": "Root=" + root}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AWS_REGION", "eu-central-1")
			t.Setenv("AWS_ACCESS_KEY_ID", "AKID")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
			tracer, err := tracing.FromEnvironment(func(name string) (string, bool) {
				value, ok := test.variables[name]
				return value, ok
			}, slog.Default())
			require.NoError(t, err)
			assert.Equal(t, test.traced, tracer != nil)
			worked := false
			if tracer == nil {
				require.NoError(t, tracer.Do(t.Context(), execution, object, func(context.Context) error {
					worked = true
					return nil
				}))
				assert.True(t, worked)
			}
		})
	}
}

// Without a Region there is nobody to tell, which the log says.
func TestAHostWithoutRegion(t *testing.T) {
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	_, err := tracing.FromEnvironment(func(string) (string, bool) { return "", true }, slog.Default())
	require.ErrorIs(t, err, &upload.Error{Code: upload.Failed})
}
