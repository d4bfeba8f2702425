package secrets

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/upload"
)

const (
	secretARN    = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-a1b2c3"
	parameterARN = "arn:aws:ssm:eu-central-1:123456789012:parameter/token"
)

// answer is what AWS says to a request.
type answer struct {
	status int
	body   string
}

// service answers requests in turn, the last one from then on, and keeps them.
type serviceDouble struct {
	mu      sync.Mutex
	answers []answer
	asked   []string // target and body
}

func (s *serviceDouble) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	s.asked = append(s.asked, r.Header.Get("X-Amz-Target")+" "+string(body)+" "+strings.Split(r.Header.Get("Authorization"), ",")[0])
	next := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	w.WriteHeader(next.status)
	_, _ = io.WriteString(w, next.body)
}

func clientOf(t *testing.T, answers ...answer) (*client, *serviceDouble) {
	t.Helper()
	double := &serviceDouble{answers: answers}
	server := httptest.NewServer(double)
	t.Cleanup(server.Close)
	c := newClient(func(name string) (string, bool) { return server.URL, strings.HasPrefix(name, "AWS_ENDPOINT_URL_S") })
	c.configuration = func() (aws.Config, error) {
		return aws.Config{Region: "eu-central-1", Credentials: credentials.NewStaticCredentialsProvider("AKIA", "secret", "session")}, nil
	}
	c.sleep = func(context.Context, time.Duration) error { return nil }
	return c, double
}

func TestBothServicesAreAsked(t *testing.T) {
	t.Parallel()
	for arn, test := range map[string]struct{ service, answer, asked string }{
		secretARN: {
			"secretsmanager", `{"SecretString":"hunter2"}`, `secretsmanager.GetSecretValue {"SecretId":"` + secretARN + `"}`,
		},
		parameterARN: {
			"ssm", `{"Parameter":{"Value":"hunter2"}}`, `AmazonSSM.GetParameter {"Name":"` + parameterARN + `","WithDecryption":true}`,
		},
	} {
		c, double := clientOf(t, answer{200, test.answer})
		value, err := c.fetch(t.Context(), arn)
		require.NoError(t, err)
		assert.Equal(t, "hunter2", value)
		require.Len(t, double.asked, 1)
		assert.Contains(t, double.asked[0], test.asked)
		assert.Regexp(t, `Credential=AKIA/\d{8}/eu-central-1/`+test.service+`/aws4_request`, double.asked[0])
	}
}

func TestEndpoints(t *testing.T) {
	t.Parallel()
	c := newClient(func(string) (string, bool) { return "", false })
	assert.Equal(t, "https://ssm.eu-central-1.amazonaws.com/", c.endpoint(apis["ssm"], "eu-central-1"))
	assert.Equal(t, "https://secretsmanager.cn-north-1.amazonaws.com.cn/", c.endpoint(apis["secretsmanager"], "cn-north-1"))
}

func TestFailures(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answers []answer
		code    upload.Code // empty for none
		asked   int
	}{
		"throttled once":   {[]answer{{400, `{"__type":"ThrottlingException"}`}, {200, `{"SecretString":"v"}`}}, "", 2},
		"down for a while": {[]answer{{503, ``}, {500, `{}`}, {200, `{"SecretString":"v"}`}}, "", 3},
		"down":             {[]answer{{503, `not JSON`}}, upload.Unavailable, attempts},
		"not allowed":      {[]answer{{400, `{"__type":"com.amazonaws#AccessDeniedException","message":"no"}`}}, upload.AccessDenied, 1},
		"key not allowed":  {[]answer{{400, `{"__type":"DecryptionFailure"}`}}, upload.AccessDenied, 1},
		"not there":        {[]answer{{400, `{"__type":"ResourceNotFoundException","message":"gone"}`}}, upload.Failed, 1},
		"binary":           {[]answer{{200, `{"SecretBinary":"aHVudGVyMg=="}`}}, upload.Failed, 1},
		"not JSON":         {[]answer{{200, `hunter2`}}, upload.Failed, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, double := clientOf(t, test.answers...)
			_, err := c.fetch(t.Context(), secretARN)
			assert.Len(t, double.asked, test.asked)
			if test.code == "" {
				require.NoError(t, err)
				return
			}
			assert.Equal(t, test.code, upload.CodeOf(err))
			assert.Contains(t, err.Error(), secretARN)
			assert.NotContains(t, err.Error(), "hunter2")
			assert.NotContains(t, err.Error(), "aHVudGVyMg")
		})
	}
}

func TestAnEndedContextIsAnInterruption(t *testing.T) {
	t.Parallel()
	c, _ := clientOf(t, answer{503, ""})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.fetch(ctx, secretARN)
	require.Equal(t, upload.Interrupted, upload.CodeOf(err))
}

func TestFromEnvironment(t *testing.T) {
	t.Parallel()
	lookup := func(text string) func(string) (string, bool) {
		return func(name string) (string, bool) { return text, name == Environment && text != "" }
	}
	none, err := FromEnvironment(lookup(""))
	require.NoError(t, err)
	require.Nil(t, none)
	ctx, err := none.Context(t.Context())
	require.NoError(t, err)
	_, err = upload.Secret(ctx, "PASSWORD")
	require.ErrorIs(t, err, upload.ErrNoSecret)
	all, err := Of(ctx)
	require.NoError(t, err)
	require.Empty(t, all)
	_, err = FromEnvironment(lookup("PASSWORD=x"))
	require.Equal(t, upload.Invalid, upload.CodeOf(err))
	some, err := FromEnvironment(lookup(`{"PASSWORD":"` + secretARN + `"}`))
	require.NoError(t, err)
	require.Equal(t, map[string]string{"PASSWORD": secretARN}, some.arns)
}

// Values are read before a processor begins, once in a quarter of an hour, and go on to count while AWS can't give them.
func TestValuesAreReadAgain(t *testing.T) {
	t.Parallel()
	now, reads, fails := time.Unix(0, 0), 0, errors.New("")
	fails = nil
	s := &Secrets{arns: map[string]string{"PASSWORD": secretARN}, now: func() time.Time { return now }}
	s.fetch = func(context.Context, string) (string, error) {
		reads++
		return map[bool]string{true: "first", false: "second"}[reads == 1], fails
	}
	var log bytes.Buffer
	ctx, err := s.Context(upload.WithLogger(t.Context(), slog.New(slog.NewJSONHandler(&log, nil))))
	require.NoError(t, err)
	require.Equal(t, 1, reads)
	for _, step := range []struct {
		after time.Duration
		fails error
		want  string
		reads int
	}{
		{0, nil, "first", 1}, {maxAge - time.Second, nil, "first", 1},
		{time.Second, &upload.Error{Code: upload.Unavailable, Err: errors.New("down")}, "first", 2}, // and no sooner than in a minute
		{30 * time.Second, nil, "first", 2}, {time.Minute, nil, "second", 3},
	} {
		now, fails = now.Add(step.after), step.fails
		value, err := upload.Secret(ctx, "PASSWORD")
		require.NoError(t, err)
		require.Equal(t, step.want, value)
		require.Equal(t, step.reads, reads)
	}
	all, err := Of(ctx)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"PASSWORD": "second"}, all)
	require.Equal(t, 3, reads, "a program gets what has been read")
	_, err = upload.Secret(ctx, "OTHER")
	require.ErrorIs(t, err, upload.ErrNoSecret)
	require.Contains(t, log.String(), "down")
	require.NotContains(t, log.String(), "first")

	broken := &Secrets{arns: s.arns, now: s.now, fetch: func(context.Context, string) (string, error) {
		return "", &upload.Error{Code: upload.AccessDenied, Err: errors.New("no")}
	}}
	_, err = broken.Context(t.Context())
	require.Equal(t, upload.AccessDenied, upload.CodeOf(err))
	require.ErrorContains(t, err, "PASSWORD")
}
