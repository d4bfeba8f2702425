package stack_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/declared/declaredtest"
	"example.com/upload-router/internal/eventbridge"
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
	require.NoError(t, json.Unmarshal([]byte(only(t, own, "aws:s3/bucketPolicy:BucketPolicy").Text("policy")), &want))
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
	board := only(t, system, "aws:cloudwatch/dashboard:Dashboard").Text("dashboardBody")
	require.Contains(t, board, `"BucketSizeBytes","BucketName","theirs"`)
	require.Contains(t, board, `"BucketSizeBytes","BucketName","more"`)
}

// Two teams with a stack each take the objects of one bucket, each its own part, and share nothing by name.
func TestTwoTeamsSideBySide(t *testing.T) {
	t.Parallel()
	keys := map[string]string{"invoices": `["invoices/*"]`, "films": `["films/*"]`}
	named := map[string]string{} // resources' names, by the stack that has them
	taken := map[string][]string{}
	for team, globs := range keys {
		system := declaredtest.Evaluate(t, declared.Options{Stack: team, Config: config{"buckets": `["acme-uploads"]`, "keys": globs}}, program)
		for _, r := range system.Resources {
			name, _ := r.Outputs["name"].(string)
			require.Empty(t, named[r.Type+" "+name], r.Name)
			if r.Custom && name != "" {
				named[r.Type+" "+name] = team
			}
		}
		rule := declaredtest.Named(t, system, typeRule, "upload-router-"+team+"-uploads-rule")
		pattern, err := eventbridge.ParsePattern([]byte(rule.Text("eventPattern")))
		require.NoError(t, err)
		for _, key := range []string{"invoices/1.pdf", "films/1.mp4", "others/1.txt"} {
			event, err := eventbridge.S3ObjectCreated(eventbridge.ObjectCreated{
				Account: declaredtest.AccountID, Region: "eu-central-1", Time: time.Now(), Bucket: "acme-uploads", Key: key, Size: 1, ETag: "e",
				Sequencer: "0062E99A88DC407460", RequestID: "N4N7GDK58NMKJ12R", SourceIPAddress: "192.0.2.1", Reason: "PutObject",
			})
			require.NoError(t, err)
			body, err := event.JSON()
			require.NoError(t, err)
			matches, err := pattern.Match(body)
			require.NoError(t, err)
			if matches {
				taken[key] = append(taken[key], team)
			}
		}
	}
	require.Equal(t, map[string][]string{"invoices/1.pdf": {"invoices"}, "films/1.mp4": {"films"}}, taken)
}
