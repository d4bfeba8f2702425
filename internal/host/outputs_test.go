package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda/messages"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/internal/host/uploadtest"
	"example.com/upload-router/internal/host/writer"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/objectstore"
	"example.com/upload-router/upload"
)

// writing is a warm function with an output bucket, and the outputs that are visible there.
func writing(t *testing.T, fault func(*http.Request) objectstore.Fault, process Processor) (*invocation, func() []string) {
	t.Helper()
	server, err := objectstore.Start(t.Context(), objectstore.Options{
		Dir: t.TempDir(), Buckets: []objectstore.Bucket{{Name: "results", Versioned: true}}, Fault: fault,
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, server.Close()) })
	i := warm(t, process)
	i.storage.to = request.Outputs{Bucket: "results", Prefix: "out/"}
	i.storage.writer = writer.NewClient(aws.Config{
		Region: uploadtest.Region, BaseEndpoint: aws.String(server.Endpoint()), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(uploadtest.AccessKeyID, uploadtest.SecretAccessKey, ""),
	})
	return i, func() []string {
		uploads, err := server.Client().ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: aws.String("results")})
		require.NoError(t, err)
		assert.Empty(t, uploads.Uploads)
		listed, err := server.Client().ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("results")})
		require.NoError(t, err)
		keys := []string{}
		for _, object := range listed.Contents {
			keys = append(keys, *object.Key)
		}
		return keys
	}
}

func put(out *upload.Output, name, content string) error {
	w, err := out.Create(name, &upload.WriterOptions{ContentType: "text/plain"})
	if err != nil {
		return err //nolint:wrapcheck // As a processor might.
	}
	if _, err := io.WriteString(w, content); err != nil {
		return err //nolint:wrapcheck // As a processor might.
	}
	return w.Close() //nolint:wrapcheck // As a processor might.
}

func list(t *testing.T, item ledger.Item) ledger.OutputList {
	t.Helper()
	var list ledger.OutputList
	require.NoError(t, json.Unmarshal(item.Outputs, &list))
	return list
}

func TestTheLedgerHasTheOutputs(t *testing.T) {
	t.Parallel()
	i, visible := writing(t, nil, func(_ context.Context, in *upload.Input, out *upload.Output) (json.RawMessage, error) {
		if _, err := io.Copy(io.Discard, in); err != nil {
			return nil, err
		}
		return json.RawMessage(`{}`), errors.Join(put(out, "words.txt", "three"), put(out, "/index.txt", strings.Repeat("x", 9<<20)))
	})
	out, err := i.invoke(t, execution, "request-1")
	require.NoError(t, err)
	assert.JSONEq(t, `{"result":{}}`, out)
	assert.Equal(t, []string{"out/index.txt", "out/report.txt/words.txt"}, visible())
	outputs := list(t, i.keeper.item(t))
	require.Len(t, outputs.Listed, 2)
	first := outputs.Listed[0]
	assert.Equal(t, ledger.OutputList{Bucket: "results", Count: 2, Bytes: 5 + 9<<20, Listed: outputs.Listed}, outputs)
	assert.Equal(t, ledger.Output{
		Key: "out/report.txt/words.txt", Size: 5, ETag: "35d6d33467aae9a2e3dccb4b6b027878", Version: first.Version, ContentType: "text/plain",
	}, first)
	assert.NotEmpty(t, first.Version)
	assert.Contains(t, i.log.String(), first.ETag, "a line for each")

	again, err := i.invoke(t, execution, "request-2")
	require.NoError(t, err)
	assert.Equal(t, out, again, "the stored answer")
	assert.Equal(t, int64(1), i.runs.Load())
}

func TestManyOutputsAreListedAsFarAsThereIsRoom(t *testing.T) {
	t.Parallel()
	i, visible := writing(t, nil, func(_ context.Context, _ *upload.Input, out *upload.Output) (json.RawMessage, error) {
		for n := range 60 {
			if err := put(out, fmt.Sprintf("%03d", n), "x"); err != nil {
				return nil, err
			}
		}
		return json.RawMessage(`null`), nil
	})
	_, err := i.invoke(t, execution, "request-1")
	require.NoError(t, err)
	assert.Len(t, visible(), 60)
	item := i.keeper.item(t)
	assert.LessOrEqual(t, len(item.Outputs), ledger.MaxOutputs)
	outputs := list(t, item)
	assert.Equal(t, 60, outputs.Count)
	assert.Greater(t, len(outputs.Listed), 15)
	require.NotNil(t, outputs.Rest)
	assert.Equal(t, "/aws/lambda/f", outputs.Rest.LogGroup)
	assert.Equal(t, 60, strings.Count(i.log.String(), `"msg":"output"`)+strings.Count(i.log.String(), `"message":"output"`))
}

// TestNothingIsPublished is for all that must keep outputs from being seen.
func TestNothingIsPublished(t *testing.T) {
	t.Parallel()
	full := func(_ context.Context, _ *upload.Input, out *upload.Output) error {
		return errors.Join(put(out, "small", "x"), put(out, "large", strings.Repeat("x", 9<<20)))
	}
	tests := map[string]struct {
		process func(i *invocation, ctx context.Context, in *upload.Input, out *upload.Output) error
		result  string
		code    upload.Code // Empty for a duplicate.
		want    string
	}{
		"the processor fails": {
			process: func(_ *invocation, ctx context.Context, in *upload.Input, out *upload.Output) error {
				return errors.Join(full(ctx, in, out), errors.New("the file is corrupt"))
			},
			code: upload.Failed, want: "the file is corrupt",
		},
		"it panics": {
			process: func(_ *invocation, ctx context.Context, in *upload.Input, out *upload.Output) error {
				_ = full(ctx, in, out)
				panic("index out of range")
			},
			code: upload.Failed, want: "panicked",
		},
		"it leaves a writer open": {
			process: func(_ *invocation, ctx context.Context, in *upload.Input, out *upload.Output) error {
				_, err := out.Create("open.txt", nil)
				return errors.Join(full(ctx, in, out), err)
			},
			code: upload.Failed, want: `"open.txt" was not closed`,
		},
		"it makes of a failure of writing what it likes": {
			process: func(_ *invocation, _ context.Context, _ *upload.Input, out *upload.Output) error {
				_ = put(out, "refused", strings.Repeat("x", 9<<20))
				return errors.New("something else")
			},
			code: upload.AccessDenied, want: `"out/report.txt/refused" to the output bucket "results": the host's role may not do that (s3:`,
		},
		"another run has the upload": {
			process: func(i *invocation, ctx context.Context, in *upload.Input, out *upload.Output) error {
				run := runOf(object("report.txt"), request.Run{Execution: execution}, "request-2", "small", startedAt)
				_, err := i.keeper.client.BeginRun(ctx, run, startedAt)
				return errors.Join(full(ctx, in, out), err)
			},
			result: `{"duplicate":{"outcome":"superseded","execution":"` + execution + `"}}`,
		},
		"the execution has been given up": {
			process: func(i *invocation, ctx context.Context, in *upload.Input, out *upload.Output) error {
				u := ledger.UploadOf("uploads", "report.txt", "v1", "e1", "")
				_, err := i.keeper.client.FailEnded(ctx, u, execution, "States.Timeout", "", startedAt, time.Now().Add(2*i.keeper.client.Lease))
				return errors.Join(full(ctx, in, out), err)
			},
			code: upload.NotAwaited, want: "had the upload as failed",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i, visible := writing(t, func(r *http.Request) objectstore.Fault {
				if strings.HasSuffix(r.URL.Path, "/refused") {
					return objectstore.Fault{Kind: objectstore.FaultStatus, Status: http.StatusForbidden, Code: "AccessDenied"}
				}
				return objectstore.Fault{}
			}, nil)
			i.process = func(ctx context.Context, in *upload.Input, out *upload.Output) (json.RawMessage, error) {
				return json.RawMessage(`{}`), test.process(i, ctx, in, out)
			}
			out, err := i.invoke(t, execution, "request-1")
			assert.Empty(t, visible())
			assert.Empty(t, i.keeper.item(t).Outputs)
			if test.code == "" {
				require.NoError(t, err)
				assert.JSONEq(t, test.result, out)
				return
			}
			assert.Equal(t, test.code, code(t, err))
			failure, _ := errors.AsType[messages.InvokeResponse_Error](err)
			assert.Contains(t, failure.Message, test.want)
		})
	}
}

func TestAResultThatIsTooLargeHasNoOutputs(t *testing.T) {
	t.Parallel()
	i, visible := writing(t, nil, func(_ context.Context, _ *upload.Input, out *upload.Output) (json.RawMessage, error) {
		return json.RawMessage(`"` + strings.Repeat("x", 300<<10) + `"`), put(out, "small", "x")
	})
	_, err := i.invoke(t, execution, "request-1")
	assert.Equal(t, upload.ResultTooLarge, code(t, err))
	assert.Empty(t, visible())
}

// TestTheNextAttemptReplacesWhatWasPublished has S3 refuse the second output of the first attempt.
func TestTheNextAttemptReplacesWhatWasPublished(t *testing.T) {
	t.Parallel()
	refuse := true
	i, visible := writing(t, func(r *http.Request) objectstore.Fault {
		if refuse && r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/b") {
			return objectstore.Fault{Kind: objectstore.FaultStatus, Code: "SlowDown"}
		}
		return objectstore.Fault{}
	}, func(_ context.Context, _ *upload.Input, out *upload.Output) (json.RawMessage, error) {
		return json.RawMessage(`{}`), errors.Join(put(out, "a", "x"), put(out, "b", "x"))
	})
	_, err := i.invoke(t, execution, "request-1")
	assert.Equal(t, upload.Unavailable, code(t, err))
	assert.Equal(t, []string{"out/report.txt/a"}, visible())
	item := i.keeper.item(t)
	assert.Equal(t, []any{ledger.Running, "Upload.Unavailable"}, []any{item.State, item.Error})
	refuse = false
	_, err = i.invoke(t, execution, "request-2")
	require.NoError(t, err)
	assert.Equal(t, []string{"out/report.txt/a", "out/report.txt/b"}, visible())
	assert.Equal(t, 2, list(t, i.keeper.item(t)).Count)
}

func TestWithoutAnOutputBucket(t *testing.T) {
	t.Parallel()
	i := warm(t, func(_ context.Context, _ *upload.Input, out *upload.Output) (json.RawMessage, error) {
		return nil, put(out, "a", "x")
	})
	_, err := i.invoke(t, execution, "request-1")
	assert.Equal(t, upload.Failed, code(t, err))
	assert.Contains(t, err.Error(), "set the configuration key outputBucket")
}

func TestRangesAreSaidToBeAll(t *testing.T) {
	t.Parallel()
	i := warm(t, func(_ context.Context, in *upload.Input, _ *upload.Output) (json.RawMessage, error) {
		p := make([]byte, 3)
		_, err := in.ReadAt(p, 1)
		return json.RawMessage(fmt.Sprintf("%q", p)), err
	})
	const want = `{"result":"nam","verified":"ranges"}`
	for _, request := range []string{"request-1", "its answer was lost"} {
		out, err := i.invoke(t, execution, request)
		require.NoError(t, err)
		assert.JSONEq(t, strings.Replace(want, "nam", text[1:4], 1), out)
	}
	assert.Equal(t, ledger.Ranges, i.keeper.item(t).Verified)
	assert.Contains(t, i.log.String(), `"verified":"ranges"`)
}

// TestTheEnvironmentSaysWhereOutputsGo is the whole way, from the variables that a host has.
func TestTheEnvironmentSaysWhereOutputsGo(t *testing.T) { //nolint:paralleltest // The SDK reads the process's environment.
	server, err := objectstore.Start(t.Context(), objectstore.Options{
		Dir: t.TempDir(), Buckets: []objectstore.Bucket{{Name: "uploads", Versioned: true}, {Name: "results"}},
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, server.Close()) })
	for name, value := range map[string]string{
		"AWS_REGION": uploadtest.Region, "AWS_ENDPOINT_URL_S3": server.Endpoint(), "AWS_ACCESS_KEY_ID": uploadtest.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY":         uploadtest.SecretAccessKey,
		request.EnvironmentOutputBucket: "results", request.EnvironmentOutputPrefix: "out/",
	} {
		t.Setenv(name, value)
	}
	stored, err := server.Put(t.Context(), "uploads", "a.txt", strings.NewReader("some words"), 10)
	require.NoError(t, err)
	objects, err := newStorage(t.Context(), os.LookupEnv)
	require.NoError(t, err)
	m, err := objects.work(t.Context(), upload.Object{Bucket: "uploads", Key: "a.txt", VersionID: stored.VersionID, Size: 10},
		func(_ context.Context, in *upload.Input, out *upload.Output) (json.RawMessage, error) {
			content, err := io.ReadAll(in)
			return nil, errors.Join(err, put(out, "upper", strings.ToUpper(string(content))), put(out, "large", strings.Repeat("x", 9<<20)))
		})
	require.NoError(t, err)
	written, err := m.outputs.Publish(t.Context(), func(context.Context) error { return nil })
	require.NoError(t, err)
	require.Len(t, written, 2)
	got, err := server.Client().GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("results"), Key: &written[0].Key})
	require.NoError(t, err)
	content, err := io.ReadAll(got.Body)
	require.NoError(t, err)
	assert.Equal(t, "SOME WORDS", string(content))
}
