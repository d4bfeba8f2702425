package host

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/internal/host/tagger"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/statustag"
	"example.com/upload-router/upload"
)

// tagged is an S3 that has the tags of one version, and keeps what they were.
type tagged struct {
	tagger.API

	statuses []string
	// before is called before each change; its error is the answer.
	before func() error
}

func (s *tagged) GetObjectTagging(context.Context, *s3.GetObjectTaggingInput, ...func(*s3.Options)) (*s3.GetObjectTaggingOutput, error) {
	if len(s.statuses) == 0 {
		return &s3.GetObjectTaggingOutput{}, nil
	}
	last := s.statuses[len(s.statuses)-1]
	return &s3.GetObjectTaggingOutput{TagSet: []types.Tag{{Key: aws.String(statustag.Key), Value: &last}}}, nil
}

func (s *tagged) PutObjectTagging(
	_ context.Context, in *s3.PutObjectTaggingInput, _ ...func(*s3.Options),
) (*s3.PutObjectTaggingOutput, error) {
	if s.before != nil {
		if err := s.before(); err != nil {
			return nil, err
		}
	}
	s.statuses = append(s.statuses, *in.VersionId+" "+*in.Tagging.TagSet[0].Value)
	return &s3.PutObjectTaggingOutput{}, nil
}

// answeredWith is an error of S3 with a status.
func answeredWith(status int) error {
	return &awshttp.ResponseError{ResponseError: &smithyhttp.ResponseError{
		Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status}}, Err: errors.New("refused"),
	}}
}

func TestTheVersionIsTaggedWithWhatBecameOfIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		process Processor
		want    []string
	}{
		"processed":                   {answers(`1`), []string{"v1 succeeded"}},
		"failed":                      {fails(errors.New("infected")), []string{"v1 failed"}},
		"to be tried again":           {fails(upload.Retry(errors.New("later"))), nil},
		"a result that is too large":  {answers(`"` + strings.Repeat("x", 300<<10) + `"`), []string{"v1 failed"}},
		"a processor that is stopped": {fails(&upload.Error{Code: upload.Interrupted, Err: errors.New("stopped")}), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i, s := warm(t, c.process), &tagged{}
			i.storage.tags = s
			s.before = func() error {
				assert.Equal(t, ledger.Running, i.keeper.item(t).State, "whoever finds it in the ledger finds the tag")
				return nil
			}
			_, _ = i.invoke(t, execution, "request-1")
			assert.Equal(t, c.want, s.statuses)
		})
	}
}

// What is published is there once it may be read.
func TestTheTagComesAfterTheOutputs(t *testing.T) {
	t.Parallel()
	i, visible := writing(t, nil, func(_ context.Context, _ *upload.Input, out *upload.Output) (json.RawMessage, error) {
		return json.RawMessage(`1`), put(out, "words.txt", "three")
	})
	s := &tagged{before: func() error {
		assert.Len(t, visible(), 1)
		return nil
	}}
	i.storage.tags = s
	_, err := i.invoke(t, execution, "request-1")
	require.NoError(t, err)
	assert.Equal(t, []string{"v1 succeeded"}, s.statuses)
}

// A run that can't tag its version hasn't ended, and the next one does all of it again.
func TestAVersionThatCantBeTaggedIsProcessedAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		want   upload.Code
	}{
		"S3 can't now": {http.StatusServiceUnavailable, upload.Unavailable},
		"it may not":   {http.StatusForbidden, upload.AccessDenied},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i, s, tries := warm(t, answers(`1`)), &tagged{}, 0
			i.storage.tags = s
			s.before = func() error {
				tries++
				return answeredWith(c.status)
			}
			_, err := i.invoke(t, execution, "request-1")
			assert.Equal(t, c.want, code(t, err))
			item := i.keeper.item(t)
			assert.Equal(t, []any{ledger.Running, string(c.want)}, []any{item.State, item.Error})
			assert.Equal(t, 1, tries, "not as failed either")
			s.before = nil
			_, err = i.invoke(t, execution, "request-2")
			require.NoError(t, err)
			assert.Equal(t, ledger.Succeeded, i.keeper.item(t).State)
			assert.Equal(t, []string{"v1 succeeded"}, s.statuses)
			assert.EqualValues(t, 2, i.runs.Load())
		})
	}
}

// A file's failure is told, whether its version can be tagged or not.
func TestAFailureThatCantBeTaggedIsLogged(t *testing.T) {
	t.Parallel()
	i := warm(t, fails(errors.New("infected")))
	i.storage.tags = &tagged{before: func() error { return answeredWith(http.StatusForbidden) }}
	_, err := i.invoke(t, execution, "request-1")
	require.ErrorContains(t, err, "infected")
	assert.Contains(t, i.log.String(), "failure not tagged")
}

// A run that another one replaced says nothing of the version any more.
func TestARunThatIsReplacedTagsNothing(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]error{"succeeds": nil, "fails": errors.New("infected")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := replaced(t, other, end)
			s := &tagged{}
			i.storage.tags = s
			_, _ = i.invoke(t, execution, "request-1")
			assert.Empty(t, s.statuses)
			assert.NotContains(t, i.log.String(), "failure not tagged")
		})
	}
}

// Without the stack's variable nothing is tagged.
func TestOnlyWhatIsToBeTaggedIs(t *testing.T) {
	t.Setenv("AWS_REGION", "eu-central-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "a")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "s")
	for value, want := range map[string]bool{"": false, "true": true, "false": false} {
		made, err := newStorage(t.Context(), func(name string) (string, bool) {
			return map[string]string{request.EnvironmentTagUploads: value}[name], true
		})
		require.NoError(t, err)
		assert.Equal(t, want, made.tags != nil, value)
		assert.Nil(t, made.writer)
		assert.Equal(t, want, made.tagging(object("a")) != nil)
	}
}
