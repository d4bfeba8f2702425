package routemetric_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/routemetric"
)

// The form is that of the specification's example: a number of milliseconds, one directive, one set of dimensions.
func TestTheMetadataIsThatOfTheSpecification(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(routemetric.Of(time.UnixMilli(1583902595342), routemetric.Duration, routemetric.Size))
	require.NoError(t, err)
	assert.JSONEq(t, `{"Timestamp":1583902595342,"CloudWatchMetrics":[{"Namespace":"upload-router",`+
		`"Dimensions":[["stateMachine","route"]],`+
		`"Metrics":[{"Name":"durationMs","Unit":"Milliseconds"},{"Name":"size","Unit":"Bytes"}]}]}`, string(text))
}

// CloudWatch leaves out a metric whose unit it doesn't know.
func TestEachMetricHasAUnit(t *testing.T) {
	t.Parallel()
	names := []string{routemetric.Duration, routemetric.Size, routemetric.Failed, routemetric.Retried}
	for i, metric := range routemetric.Of(time.Now(), names...).CloudWatchMetrics[0].Metrics {
		assert.Equal(t, names[i], metric.Name)
		assert.Contains(t, []string{"Milliseconds", "Bytes", "Count"}, metric.Unit, metric.Name)
	}
}

func TestTheStateMachineOfAnARN(t *testing.T) {
	t.Parallel()
	for arn, want := range map[string]string{
		"arn:aws:states:eu-central-1:123456789012:stateMachine:router":                 "router",
		"arn:aws-cn:states:cn-north-1:123456789012:execution:router:3472797d":          "router",
		"arn:aws:states:eu-central-1:123456789012:execution:router:a:b":                "router",
		"arn:aws:states:eu-central-1:123456789012:express:router:n:1b2c":               "router",
		"arn:aws:states:eu-central-1:123456789012:execution:backfill/objects:0f6c1b5e": "backfill",
		"arn:aws:states:eu-central-1:123456789012:activity:router":                     "",
		"arn:aws:lambda:eu-central-1:123456789012:function:router":                     "",
		"3472797d-6e6d-4601-acd0-68fe3123060b":                                         "",
		"":                                                                             "",
	} {
		assert.Equal(t, want, routemetric.StateMachine(arn), arn)
	}
}

func TestALineWithoutItsMetadata(t *testing.T) {
	t.Parallel()
	metadata, err := json.Marshal(routemetric.Of(time.Now(), routemetric.Failed))
	require.NoError(t, err)
	for line, want := range map[string]string{
		`{"key":"a","_aws":` + string(metadata) + `}`:                       `{"key":"a"}`,
		`{"key":"a","_aws":` + string(metadata) + `,"timestamp":"t"}`:       `{"key":"a","timestamp":"t"}`,
		`{"key":",\"_aws\":{}","failed":1,"_aws":` + string(metadata) + `}`: `{"key":",\"_aws\":{}","failed":1}`,
		`{"key":",\"_aws\":{}"}`:                                            `{"key":",\"_aws\":{}"}`,
		`half a line of somebody,"_aws":{"Timestamp":`:                      `half a line of somebody,"_aws":{"Timestamp":`,
		"plain text": "plain text",
	} {
		assert.Equal(t, want, routemetric.Without(line))
	}
}
