package local_test

import (
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/local"
)

const bucketOfMaps = "acme-map-results"

// overListing has a Distributed Map over a bucket as the state machine.
func overListing(s *declared.System) {
	with(typeMachine, "definition", `{"StartAt":"Map","States":{"Map":{"Type":"Map","Label":"backfill","End":true,
		"ItemReader":{"Resource":"arn:aws:states:::s3:listObjectsV2","Parameters":{"Bucket":"`+bucketOfMaps+`","Prefix":"in/"}},
		"ItemSelector":{"key.$":"$$.Map.Item.Value.Key","size.$":"$$.Map.Item.Value.Size"},
		"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},
			"StartAt":"Pass","States":{"Pass":{"Type":"Pass","End":true}}},
		"ResultWriter":{"Resource":"arn:aws:states:::s3:putObject","WriterConfig":{"Transformation":"COMPACT"},
			"Parameters":{"Bucket":"`+bucketOfMaps+`","Prefix":"out"}}}}}`)(s)
}

// may lets all roles do something to the bucket.
func may(actions ...string) func(*declared.System) {
	return inJSON(typePolicy, "policy", func(document map[string]any) {
		document["Statement"] = append(document["Statement"].([]any), map[string]any{
			"Sid": "Maps", "Effect": "Allow", "Action": actions,
			"Resource": []string{"arn:aws:s3:::" + bucketOfMaps, "arn:aws:s3:::" + bucketOfMaps + "/*"},
		})
	})
}

// mayRunChildren lets all roles do with child executions what a Distributed Map does, but one of these.
func mayRunChildren(not string) func(*declared.System) {
	actions := slices.DeleteFunc([]string{
		"states:StartExecution", "states:DescribeExecution", "states:StopExecution", "states:RedriveExecution",
	}, func(action string) bool { return action == not })
	return inJSON(typePolicy, "policy", func(document map[string]any) {
		document["Statement"] = append(document["Statement"].([]any), map[string]any{
			"Sid": "Children", "Effect": "Allow", "Action": actions, "Resource": "*",
		})
	})
}

// Without the rights to its child executions a Distributed Map isn't declared: no state would show what it lacks.
func TestDistributedMapNeedsItsChildren(t *testing.T) {
	t.Parallel()
	for _, not := range []string{"states:StartExecution", "states:DescribeExecution", "states:StopExecution", "states:RedriveExecution"} {
		_, err := local.Start(t.Context(), changed(t, "quiet", overListing, may("s3:*"), mayRunChildren(not)), options())
		require.ErrorContains(t, err, `the state "Map" can't start its child executions, or redrive them`)
		require.ErrorContains(t, err, not)
	}
}

// mapOver runs the state machine over 1,100 objects: two pages of a listing.
func mapOver(t *testing.T, actions ...string) (*local.Router, *local.Execution) {
	t.Helper()
	system := changed(t, "quiet", overListing, may(actions...), mayRunChildren(""))
	router := start(t, system)
	for i := range 1100 {
		_, err := router.Client().PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: aws.String(bucketOfMaps), Key: aws.String("in/" + strconv.Itoa(i)), Body: strings.NewReader("x"),
		})
		require.NoError(t, err)
	}
	execution, err := router.StartExecution(t.Context(), ofUploads(system, typeMachine)[0].ARN(), "", json.RawMessage(`{}`))
	require.NoError(t, err)
	return router, execution
}

// A Distributed Map reads its dataset of the local S3, and writes its results there, with the permissions of the state machine's role.
func TestDistributedMap(t *testing.T) {
	t.Parallel()
	router, execution := mapOver(t, "s3:ListBucket", "s3:PutObject")
	require.Equal(t, asl.StatusSucceeded, execution.Status, execution.Cause)
	require.Equal(t, 1100, execution.MapRuns[0].Items.Succeeded)

	var output struct{ ResultWriterDetails struct{ Bucket, Key string } }
	require.NoError(t, json.Unmarshal(execution.Output, &output))
	read := func(key string, into any) {
		object, err := router.Client().GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucketOfMaps), Key: &key})
		require.NoError(t, err)
		defer func() { _ = object.Body.Close() }()
		text, err := io.ReadAll(object.Body)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, into))
	}
	var manifest struct {
		ResultFiles map[string][]struct{ Key string }
	}
	read(output.ResultWriterDetails.Key, &manifest)
	var results []struct {
		Key  string
		Size int
	}
	read(manifest.ResultFiles["SUCCEEDED"][0].Key, &results)
	require.Len(t, results, 1100)
	require.Equal(t, 1, results[0].Size)
}

// Without the permission to read or write it fails with the error of that.
func TestDistributedMapIsDenied(t *testing.T) {
	t.Parallel()
	for action, want := range map[string]string{"s3:PutObject": asl.ErrorItemReaderFailed, "s3:ListBucket": asl.ErrorResultWriterFailed} {
		_, execution := mapOver(t, action)
		require.Equal(t, asl.StatusFailed, execution.Status)
		require.Equal(t, want, execution.Error)
		require.Contains(t, execution.Cause, "S3.AccessDenied: ")
	}
}

// A Map's parameters are looked at when the definition is loaded, and those of the states in it.
func TestMapIsPrepared(t *testing.T) {
	t.Parallel()
	for _, change := range [][2]string{
		{`"Prefix":"in/"`, `"Delimiter":"/"`},
		{`"Prefix":"out"`, `"Folder":"out"`},
		{`{"Type":"Pass","End":true}`, `{"Type":"Task","Resource":"arn:aws:states:::sns:publish","Parameters":{"Topic":"x"},"End":true}`},
	} {
		system := changed(t, "quiet", overListing, may("s3:*"), mayRunChildren(""), func(s *declared.System) {
			definition := ofUploads(s, typeMachine)[0].Inputs
			definition["definition"] = strings.Replace(definition["definition"].(string), change[0], change[1], 1)
		})
		_, err := local.Start(t.Context(), system, options())
		require.ErrorContains(t, err, `state "Map": `, change[1])
	}
}
