package eventbridge_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/eventbridge"
)

func created() eventbridge.ObjectCreated {
	return eventbridge.ObjectCreated{
		ID:              "6c540ad4-0671-9974-6511-756fbd7771c3",
		Account:         "123456789012",
		Region:          "us-east-2",
		Time:            time.Date(2023, 6, 24, 1, 45, 48, 999, time.FixedZone("CEST", 2*60*60)),
		Bucket:          "username-sfn-tutorial",
		Key:             "test.png",
		Size:            800704,
		ETag:            `"f31d8546bb67845b4d3048cde533b937"`,
		Sequencer:       "00621049BA9A8C712B",
		RequestID:       "79104EXAMPLEB723",
		SourceIPAddress: "200.0.100.11",
	}
}

// TestS3ObjectCreatedIsTheSample compares the event with the sample of the Step Functions guide (requirement C39).
func TestS3ObjectCreatedIsTheSample(t *testing.T) {
	t.Parallel()
	event, err := eventbridge.S3ObjectCreated(created())
	require.NoError(t, err)
	got, err := event.JSON()
	require.NoError(t, err)
	assert.JSONEq(t, `{
	  "version": "0", "id": "6c540ad4-0671-9974-6511-756fbd7771c3", "detail-type": "Object Created", "source": "aws.s3",
	  "account": "123456789012", "time": "2023-06-23T23:45:48Z", "region": "us-east-2",
	  "resources": ["arn:aws:s3:::username-sfn-tutorial"],
	  "detail": {
	    "version": "0", "bucket": {"name": "username-sfn-tutorial"},
	    "object": {"key": "test.png", "size": 800704, "etag": "f31d8546bb67845b4d3048cde533b937", "sequencer": "00621049BA9A8C712B"},
	    "request-id": "79104EXAMPLEB723", "requester": "123456789012", "source-ip-address": "200.0.100.11", "reason": "PutObject"
	  }
	}`, string(got))
}

func TestS3ObjectCreatedOptions(t *testing.T) {
	t.Parallel()
	in := created()
	in.ID, in.VersionID, in.SourceIPAddress = "", "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e", ""
	in.Requester, in.Reason = "210987654321", eventbridge.ReasonCompleteMultipartUpload
	in.Region = "cn-north-1"
	in.Key = "a b/<&>+%20/ü"

	event, err := eventbridge.S3ObjectCreated(in)
	require.NoError(t, err)
	require.NoError(t, uuid.Validate(event.ID))
	got, err := event.JSON()
	require.NoError(t, err)
	assert.Contains(t, string(got), `"key":"a b/<&>+%20/ü"`, "the key is neither URL- nor HTML-encoded")
	assert.Contains(t, string(got), `"version-id":"IYV3p45BT0ac8hjHg1houSdS1a.Mro8e"`)
	assert.Contains(t, string(got), `"arn:aws-cn:s3:::username-sfn-tutorial"`)
	assert.Contains(t, string(got), `"requester":"210987654321"`)
	assert.Contains(t, string(got), `"reason":"CompleteMultipartUpload"`)
	assert.NotContains(t, string(got), "source-ip-address")

	in.Region = "us-gov-west-1"
	event, err = eventbridge.S3ObjectCreated(in)
	require.NoError(t, err)
	assert.Equal(t, []string{"arn:aws-us-gov:s3:::username-sfn-tutorial"}, event.Resources)
}

func TestS3ObjectCreatedMatchesTheRule(t *testing.T) {
	t.Parallel()
	pattern, err := eventbridge.ParsePattern([]byte(
		`{"source":["aws.s3"],"detail-type":["Object Created"],"detail":{"bucket":{"name":["username-sfn-tutorial"]}}}`))
	require.NoError(t, err)
	event, err := eventbridge.S3ObjectCreated(created())
	require.NoError(t, err)
	matched, err := pattern.MatchValue(event)
	require.NoError(t, err)
	assert.True(t, matched)
}

func TestS3ObjectCreatedNamesEveryFault(t *testing.T) {
	t.Parallel()
	_, err := eventbridge.S3ObjectCreated(eventbridge.ObjectCreated{ID: "x", Size: -1, Key: "\xff", Reason: "Guess"})
	require.ErrorIs(t, err, eventbridge.ErrInvalidEvent)
	for _, field := range []string{
		"ID", "Account", "Region", "Time", "Bucket", "UTF-8", "Size", "ETag", "Sequencer", "RequestID", "Reason",
	} {
		assert.Contains(t, err.Error(), field)
	}

	for key, ok := range map[string]bool{"": false, strings.Repeat("k", 1024): true, strings.Repeat("k", 1025): false} {
		in := created()
		in.Key = key
		_, err := eventbridge.S3ObjectCreated(in)
		assert.Equal(t, ok, err == nil, "a key of %d bytes", len(key))
	}
}
