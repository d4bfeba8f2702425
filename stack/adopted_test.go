package stack_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/declared/declaredtest"
)

// What is known of buckets that are there, and what their owner has to do, is in the outputs.
func TestOutputsOfBucketsThatAreThere(t *testing.T) {
	t.Parallel()
	system := declare(t, config{"buckets": `["theirs","more"]`, "bucketKmsKeyArns": `["` + givenKey + `"]`, "tagUploads": "quarantine"})
	text, err := json.Marshal(map[string]any{
		"name": system.Outputs["bucketName"], "names": system.Outputs["bucketNames"], "keys": system.Outputs["bucketKmsKeyArns"],
	})
	require.NoError(t, err)
	require.JSONEq(t, `{"name": "theirs", "names": ["theirs", "more"], "keys": ["`+givenKey+`"]}`, string(text))
	policies, err := json.Marshal(system.Outputs["bucketPolicies"])
	require.NoError(t, err)
	var byBucket map[string]string
	require.NoError(t, json.Unmarshal(policies, &byBucket))
	require.Len(t, byBucket, 2)
	own := declare(t, config{"bucketName": "more", "tagUploads": "quarantine"})
	var want, got struct{ Statement []map[string]any }
	require.NoError(t, json.Unmarshal([]byte(declaredtest.Only(t, own, "aws:s3/bucketPolicy:BucketPolicy").Text("policy")), &want))
	require.NoError(t, json.Unmarshal([]byte(byBucket["more"]), &got))
	const always = 2 // about TLS, which is the owner's affair
	require.Equal(t, want.Statement[always:], got.Statement, "the same as of the stack's own")
	require.NotContains(t, declare(t, config{"buckets": `["theirs"]`}).Outputs, "bucketPolicies")
	require.NotContains(t, own.Outputs, "bucketNames")
}

// A private network leads to these buckets and to no others.
func TestThePrivateNetworkLeadsToBucketsThatAreThere(t *testing.T) {
	t.Parallel()
	system := declare(t, config{"buckets": `["theirs","more"]`, "network": "private", "tagUploads": "status"})
	for _, endpoint := range system.OfType(typeEndpoint) {
		if !strings.HasSuffix(endpoint.Name, "-s3") {
			continue
		}
		var document struct {
			Statement []struct {
				Sid      string
				Resource []string
			}
		}
		require.NoError(t, json.Unmarshal([]byte(endpoint.Text("policy")), &document))
		for _, statement := range document.Statement[:2] {
			require.Contains(t, []string{"ReadUploads", "TagUploads"}, statement.Sid)
			require.Equal(t, []string{"arn:aws:s3:::theirs/*", "arn:aws:s3:::more/*"}, statement.Resource)
		}
		return
	}
	require.Fail(t, "there is no endpoint of S3")
}

// The bytes that each of the buckets keeps are on the dashboard.
func TestTheDashboardHasAllBuckets(t *testing.T) {
	t.Parallel()
	system := declare(t, config{"buckets": `["theirs","more"]`})
	board := declaredtest.Only(t, system, "aws:cloudwatch/dashboard:Dashboard").Text("dashboardBody")
	require.Contains(t, board, `"BucketSizeBytes","BucketName","theirs"`)
	require.Contains(t, board, `"BucketSizeBytes","BucketName","more"`)
}
