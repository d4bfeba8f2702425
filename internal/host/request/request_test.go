package request_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/internal/host/uploadtest"
	"example.com/upload-router/upload"
)

const (
	bucket  = "uploads"
	key     = "report.csv"
	version = "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e"
	etag    = "5b83f2bd03fc5a2b4ee0e6be8e5ac7ae"
)

func TestFromEvent(t *testing.T) {
	t.Parallel()
	tests := map[string]upload.Object{
		"a versioned bucket":    {Bucket: bucket, Key: key, VersionID: version, ETag: etag, Size: 5, Sequencer: "0A1B2C"},
		"an unversioned bucket": {Bucket: bucket, Key: key, ETag: etag, Size: 5, Sequencer: "0A1B2C"},
		"nothing optional":      {Bucket: bucket, Key: key, Size: 5},
		"a key left as it is":   {Bucket: bucket, Key: "a%20b+c", Size: 5},
	}
	for what, hostile := range uploadtest.HostileKeys() {
		tests["a key that "+what] = upload.Object{Bucket: bucket, Key: hostile, Size: 1}
	}
	for name, object := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, _, err := request.FromEvent(uploadtest.Event(t, object))
			require.NoError(t, err)
			require.Equal(t, object, got)
		})
	}
}

func TestFromPayload(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ payload, event, execution string }{
		"a request":                 {`{"event": {"detail": 1}, "execution": "arn"}`, `{"detail": 1}`, "arn"},
		"without an execution":      {`{"event": {}}`, `{}`, ""},
		"an event alone":            {`{"detail": {}}`, `{"detail": {}}`, ""},
		"no JSON":                   {`{`, `{`, ""},
		"another kind of JSON":      {`[]`, `[]`, ""},
		"an execution of no text":   {`{"event": {}, "execution": 1}`, `{"event": {}, "execution": 1}`, ""},
		"nothing where an event is": {`{"event": null}`, `null`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := request.FromPayload([]byte(test.payload))
			assert.Equal(t, test.event, string(got.Event))
			assert.Equal(t, test.execution, got.Execution)
		})
	}
}

func TestFromEventTakesADetailAlone(t *testing.T) {
	t.Parallel()
	got, _, err := request.FromEvent([]byte(`{"detail":{"bucket":{"name":"uploads"},"object":{"key":"report.csv","size":0}}}`))
	require.NoError(t, err)
	require.Equal(t, upload.Object{Bucket: bucket, Key: key}, got)
}

// A number is the same number in each form that JSON has for it. Step Functions doesn't say which it writes.
func TestASizeIsReadHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"0": 0, "0.0": 0, "12000000": 12_000_000, "1.2E7": 12_000_000, "1.2e+07": 12_000_000, "1.2E+7": 12_000_000, "12000000.0": 12_000_000,
		"6291457.0": 6_291_457, "6.291457E6": 6_291_457, "5.36870912E13": 53_687_091_200_000, "1e0": 1,
	} {
		event := `{"detail":{"bucket":{"name":"uploads"},"object":{"key":"report.csv","size":` + text + `}}}`
		got, _, err := request.FromEvent([]byte(event))
		require.NoError(t, err, text)
		assert.Equal(t, want, got.Size, text)
		got, err = request.FromEnvironment(environment(map[string]string{
			"UPLOAD_BUCKET": bucket, "UPLOAD_KEY_BASE64": base64.StdEncoding.EncodeToString([]byte(key)), "UPLOAD_SIZE": text,
		}))
		require.NoError(t, err, text)
		assert.Equal(t, want, got.Size, text)
	}
	for _, text := range []string{"1.5", "1.2E-1", "1e99", "9007199254740992.0", "0x1p4", "1_000.0", "Inf", "NaN", "1.", ".0", " 1", "1e"} {
		_, err := request.FromEnvironment(environment(map[string]string{"UPLOAD_BUCKET": bucket, "UPLOAD_KEY": key, "UPLOAD_SIZE": text}))
		uploadtest.RequireCode(t, upload.Invalid, err)
		event := `{"detail":{"bucket":{"name":"uploads"},"object":{"key":"report.csv","size":` + strings.TrimSpace(text) + `}}}`
		if text == " 1" {
			continue // a space beside a number is no part of it in JSON
		}
		_, _, err = request.FromEvent([]byte(event))
		uploadtest.RequireCode(t, upload.Invalid, err)
	}
}

func TestFromEventRefuses(t *testing.T) {
	t.Parallel()
	const detail = `"detail":{"bucket":{"name":"uploads"},"object":{"key":"k","size":1}}`
	tests := map[string]struct{ payload, want string }{
		"nothing":                 {``, "not an EventBridge event"},
		"no JSON":                 {`{`, "not an EventBridge event"},
		"another JSON type":       {`[]`, "not an EventBridge event"},
		"no detail":               {`{"source":"aws.s3"}`, "it has no detail"},
		"null":                    {`null`, "it has no detail"},
		"a detail of another":     {`{"detail":{"bucket":"uploads"}}`, "its detail is not that of an S3 event"},
		"a plain S3 notification": {`{"Records":[{"eventSource":"aws:s3"}]}`, "it has no detail"},
		"another source":          {`{"source":"aws.ecs",` + detail + `}`, `its source is "aws.ecs"; want "aws.s3"`},
		"another type":            {`{"detail-type":"Object Deleted",` + detail + `}`, `its detail-type is "Object Deleted"; want "Obj`},
		"no size":                 {`{"detail":{"bucket":{"name":"uploads"},"object":{"key":"k"}}}`, "it has no detail.object.size"},
		"a size in words":         {`{"detail":{"bucket":{"name":"uploads"},"object":{"key":"k","size":"1"}}}`, "its detail is not"},
		"a fractional size":       {`{"detail":{"bucket":{"name":"uploads"},"object":{"key":"k","size":1.5}}}`, "its detail is not"},
		"an immense size":         {`{"detail":{"bucket":{"name":"uploads"},"object":{"key":"k","size":1e99}}}`, "its detail is not"},
		"a negative size":         {`{"detail":{"bucket":{"name":"uploads"},"object":{"key":"k","size":-1}}}`, "the size is -1"},
		"no key":                  {`{"detail":{"bucket":{"name":"uploads"},"object":{"size":1}}}`, "the object key is missing"},
		"no bucket":               {`{"detail":{"object":{"key":"k","size":1}}}`, "the bucket name is missing"},
		"a NUL in the key":        {`{"detail":{"bucket":{"name":"uploads"},"object":{"key":"a\u0000b","size":1}}}`, "NUL"},
		"bytes that are no UTF-8": {"{\"detail\":{\"object\":{\"key\":\"caf\xe9\"}}}", "not valid UTF-8"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := request.FromEvent([]byte(test.payload))
			message := uploadtest.RequireCode(t, upload.Invalid, err)
			assert.Contains(t, message, test.want)
		})
	}
}

// Whoever looks for a file in the log finds as well that nobody could tell what to do with it.
func TestWhatIsRefusedIsStillNamed(t *testing.T) {
	t.Parallel()
	named := upload.Object{Bucket: "uploads", Key: "k", VersionID: version}
	object, _, err := request.FromEvent([]byte(
		`{"detail":{"bucket":{"name":"uploads"},"object":{"key":"k","version-id":"` + version + `"}}}`))
	uploadtest.RequireCode(t, upload.Invalid, err)
	assert.Equal(t, named, object)

	object, err = request.FromEnvironment(environment(map[string]string{
		"UPLOAD_BUCKET": "uploads", "UPLOAD_KEY_BASE64": request.EncodeKey("k"), "UPLOAD_VERSION_ID": version, "UPLOAD_SIZE": "6 MiB",
	}))
	uploadtest.RequireCode(t, upload.Invalid, err)
	assert.Equal(t, named, object)

	object, _, err = request.FromEvent([]byte(`{"source":"aws.ecs","detail":{"bucket":{"name":"uploads"},"object":{"key":"k","size":1}}}`))
	uploadtest.RequireCode(t, upload.Invalid, err)
	assert.Empty(t, object, "another service's event names no object of S3")
}

func environment(pairs map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := pairs[name]
		return value, ok
	}
}

func TestFromEnvironment(t *testing.T) {
	t.Parallel()
	encoded := request.EncodeKey(key)
	tests := map[string]struct {
		variables map[string]string
		want      upload.Object
	}{
		"everything": {
			map[string]string{
				"UPLOAD_BUCKET": bucket, "UPLOAD_KEY_BASE64": encoded, "UPLOAD_VERSION_ID": version, "UPLOAD_SIZE": "6291457",
				"UPLOAD_ETAG": etag,
			},
			upload.Object{Bucket: bucket, Key: key, VersionID: version, Size: 6291457, ETag: etag},
		},
		"empty means not given": {
			map[string]string{"UPLOAD_BUCKET": bucket, "UPLOAD_KEY_BASE64": encoded, "UPLOAD_VERSION_ID": "", "UPLOAD_SIZE": "0", "UPLOAD_ETAG": ""},
			upload.Object{Bucket: bucket, Key: key},
		},
		"unset means not given": {
			map[string]string{"UPLOAD_BUCKET": bucket, "UPLOAD_KEY_BASE64": encoded, "UPLOAD_SIZE": "1"},
			upload.Object{Bucket: bucket, Key: key, Size: 1},
		},
		"a key in lines, as MIME has it": {
			map[string]string{"UPLOAD_BUCKET": bucket, "UPLOAD_KEY_BASE64": "a2\r\nV5\r\n", "UPLOAD_SIZE": "1"},
			upload.Object{Bucket: bucket, Key: "key", Size: 1},
		},
		"a quoted entity tag": {
			map[string]string{"UPLOAD_BUCKET": bucket, "UPLOAD_KEY_BASE64": encoded, "UPLOAD_SIZE": "1", "UPLOAD_ETAG": `"` + etag + `"`},
			upload.Object{Bucket: bucket, Key: key, Size: 1, ETag: etag},
		},
	}
	for what, hostile := range uploadtest.HostileKeys() {
		tests["a key that "+what] = struct {
			variables map[string]string
			want      upload.Object
		}{
			map[string]string{"UPLOAD_BUCKET": bucket, "UPLOAD_KEY_BASE64": request.EncodeKey(hostile), "UPLOAD_SIZE": "1"},
			upload.Object{Bucket: bucket, Key: hostile, Size: 1},
		}
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := request.FromEnvironment(environment(test.variables))
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}

func TestRunFromEnvironment(t *testing.T) {
	t.Parallel()
	created := time.Date(2026, 11, 29, 9, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		variables map[string]string
		want      request.Run
		wrong     []string
	}{
		"everything": {map[string]string{
			"UPLOAD_EXECUTION": "arn", "UPLOAD_ROUTE": "large", "UPLOAD_CREATED": "2026-11-29T09:00:00Z",
			"UPLOAD_STARTED": "2026-11-29T09:00:00.123Z", "UPLOAD_ATTEMPT": "3",
		}, request.Run{
			Execution: "arn", Route: "large", Created: created, Started: created.Add(123 * time.Millisecond), Attempt: 3,
		}, nil},
		"nothing":                         {nil, request.Run{}, nil},
		"empty means not given":           {map[string]string{"UPLOAD_STARTED": "", "UPLOAD_ATTEMPT": ""}, request.Run{}, nil},
		"a number as States may write it": {map[string]string{"UPLOAD_ATTEMPT": "2.0"}, request.Run{Attempt: 2}, nil},
		"all of it wrong": {
			map[string]string{"UPLOAD_CREATED": "yesterday", "UPLOAD_STARTED": "1", "UPLOAD_ATTEMPT": "0"}, request.Run{},
			[]string{"UPLOAD_CREATED is not a time", "UPLOAD_STARTED is not a time", `UPLOAD_ATTEMPT is "0"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := request.RunFromEnvironment(environment(test.variables))
			if test.wrong == nil {
				require.NoError(t, err)
				assert.Equal(t, test.want, got)
				return
			}
			message := uploadtest.RequireCode(t, upload.Invalid, err)
			for _, wrong := range test.wrong {
				assert.Contains(t, message, wrong)
			}
		})
	}
	object, err := request.FromEnvironment(environment(map[string]string{
		"UPLOAD_BUCKET": bucket, "UPLOAD_KEY_BASE64": request.EncodeKey(key), "UPLOAD_SIZE": "1", "UPLOAD_SEQUENCER": "0A1B",
	}))
	require.NoError(t, err)
	assert.Equal(t, "0A1B", object.Sequencer)
}

func TestRunOfARequest(t *testing.T) {
	t.Parallel()
	_, created, err := request.FromEvent(uploadtest.Event(t, upload.Object{Bucket: bucket, Key: key}))
	require.NoError(t, err)
	assert.Equal(t, time.Date(2021, 11, 12, 0, 0, 0, 0, time.UTC), created)
	asked := request.FromPayload([]byte(`{"event":{},"execution":"arn","started":"2026-11-29T09:00:00.123Z","route":"small"}`))
	run, err := asked.Run(created)
	require.NoError(t, err)
	assert.Equal(t, request.Run{
		Execution: "arn", Route: "small", Created: created, Started: time.Date(2026, 11, 29, 9, 0, 0, 123_000_000, time.UTC),
	}, run)
	asked.Started = "now"
	_, err = asked.Run(created)
	uploadtest.RequireCode(t, upload.Invalid, err)
}

func TestFromEnvironmentRefuses(t *testing.T) {
	t.Parallel()
	encoded := request.EncodeKey(key)
	tests := map[string]struct {
		variables map[string]string
		want      []string
	}{
		"nothing set": {nil, []string{"UPLOAD_BUCKET is not set", "UPLOAD_KEY_BASE64 is not set", "UPLOAD_SIZE is not set"}},
		"a size with a unit": {
			map[string]string{"UPLOAD_BUCKET": bucket, "UPLOAD_SIZE": "6 MiB"},
			[]string{"UPLOAD_KEY_BASE64 is not set", "UPLOAD_SIZE is not a number of bytes"},
		},
		"a key that is raw": {
			map[string]string{"UPLOAD_BUCKET": bucket, "UPLOAD_KEY_BASE64": "a/b.txt", "UPLOAD_SIZE": "1"},
			[]string{"UPLOAD_KEY_BASE64 is not Base64"},
		},
		"a size out of range": {
			map[string]string{"UPLOAD_BUCKET": bucket, "UPLOAD_KEY_BASE64": encoded, "UPLOAD_SIZE": "9223372036854775808"},
			[]string{"UPLOAD_SIZE is not a number of bytes"},
		},
		"what S3 could not announce": {
			map[string]string{
				"UPLOAD_BUCKET": "a/b", "UPLOAD_KEY_BASE64": request.EncodeKey(strings.Repeat("k", 1025)), "UPLOAD_SIZE": "-1",
				"UPLOAD_ETAG": "a b",
			},
			[]string{"the bucket name", "the object key", "the size", "the entity tag"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := request.FromEnvironment(environment(test.variables))
			message := uploadtest.RequireCode(t, upload.Invalid, err)
			for _, want := range test.want {
				assert.Contains(t, message, want)
			}
		})
	}
}

// requireSound holds for whatever an object is read from: it is valid, or the error has code Invalid and one line.
func requireSound(t *testing.T, object upload.Object, err error) {
	t.Helper()
	if err != nil {
		uploadtest.RequireCode(t, upload.Invalid, err)
		return
	}
	require.NoError(t, object.Validate())
}

func FuzzFromEvent(f *testing.F) {
	for _, hostile := range uploadtest.HostileKeys() {
		f.Add(uploadtest.Event(f, upload.Object{Bucket: bucket, Key: hostile, VersionID: version, ETag: etag, Size: 5, Sequencer: "0A"}))
	}
	f.Add([]byte(`{"detail":{"bucket":{"name":"b"},"object":{"key":"\ud800","size":1e3,"etag":"\"\""}}}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		object, _, err := request.FromEvent(payload)
		requireSound(t, object, err)
		if err != nil {
			return
		}
		again, _, err := request.FromEvent(uploadtest.Event(t, object))
		require.NoError(t, err)
		require.Equal(t, object, again)
	})
}

func FuzzFromEnvironment(f *testing.F) {
	for _, hostile := range uploadtest.HostileKeys() {
		f.Add(bucket, hostile, version, "6291457", etag)
	}
	f.Add("", "", "", "", "")
	f.Add("a/b", "\x00", "\r\n", "-1", `W/"x"`)
	f.Fuzz(func(t *testing.T, bucket, key, version, size, etag string) {
		object, err := request.FromEnvironment(environment(map[string]string{
			request.EnvironmentBucket:    bucket,
			request.EnvironmentKey:       request.EncodeKey(key),
			request.EnvironmentVersionID: version,
			request.EnvironmentSize:      size,
			request.EnvironmentETag:      etag,
		}))
		requireSound(t, object, err)
		if err == nil {
			require.Equal(t, key, object.Key)
			_, jsonErr := json.Marshal(object)
			require.NoError(t, jsonErr)
		}
	})
}

// BenchmarkFromEvent reads the event of an upload, which each run begins with.
func BenchmarkFromEvent(b *testing.B) {
	event := uploadtest.Event(b, upload.Object{Bucket: bucket, Key: key, VersionID: version, ETag: etag, Size: 5, Sequencer: "0A1B2C"})
	b.ReportAllocs()
	for b.Loop() {
		_, _, err := request.FromEvent(event)
		require.NoError(b, err)
	}
}

func TestWhereOutputsGo(t *testing.T) {
	t.Parallel()
	set := map[string]string{
		"UPLOAD_OUTPUT_BUCKET": "results", "UPLOAD_OUTPUT_PREFIX": "out/", "UPLOAD_OUTPUT_KMS_KEY_ARN": "arn:aws:kms:eu-central-1:1:key/1",
	}
	lookup := func(name string) (string, bool) { value, ok := set[name]; return value, ok }
	assert.Equal(t, request.Outputs{Bucket: "results", Prefix: "out/", KMSKeyARN: "arn:aws:kms:eu-central-1:1:key/1"},
		request.OutputsFromEnvironment(lookup))
	assert.Empty(t, request.OutputsFromEnvironment(func(string) (string, bool) { return "", false }))
}
