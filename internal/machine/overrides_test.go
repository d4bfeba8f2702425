package machine_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/internal/host/uploadtest"
	"example.com/upload-router/internal/machine"
	"example.com/upload-router/upload"
)

// The most that AWS gives each part of the overrides, in characters.
const (
	// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html, the JSON's own characters among them
	mostOverrides = 8192
	// https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskSuccess.html
	mostToken = 2048
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html and versioning-workflows.html
	mostKey, mostVersion = 1024, 1024
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
	mostBucket = 63
	// https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
	mostExecution = 256
	// Some 18, with what else may be in it: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
	mostSequencer = 64
	// https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html: some 120, with what else may be in it
	mostTrace = 512
)

// Every file that S3 can hold can be named to a task: none fails, or is retried, for the length of its key.
func TestTheOverridesFitWhateverTheKey(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]string{
		"letters":            strings.Repeat("k", mostKey),
		"control characters": strings.Repeat("\x01", mostKey), // six characters each in JSON
		"quotes":             strings.Repeat(`"`, mostKey),
		"line feeds":         strings.Repeat("\n", mostKey),
		"angle brackets":     strings.Repeat("<", mostKey),
		"two bytes each":     strings.Repeat("é", mostKey/2),
		"emoji":              strings.Repeat("😀", mostKey/4),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := described()
			r.TaskCallback, r.Tracing = true, true
			route := onFargate(&r)
			route.Name, route.CPU, route.Memory, route.Storage = strings.Repeat("r", 31), 32768, 249856, 200
			o := execution{
				routing: r, id: strings.Repeat("e", mostExecution),
				services: services{describe: gives(map[string]any{"TraceHeader": strings.Repeat("t", mostTrace), "Status": "RUNNING"})},
			}.run(t, string(uploadtest.Event(t, upload.Object{
				Bucket: strings.Repeat("b", mostBucket), Key: key, VersionID: strings.Repeat("v", mostVersion),
				ETag: strings.Repeat("f", 32) + "-10000", Size: 50e12, Sequencer: strings.Repeat("9", mostSequencer),
			})))
			requireSucceeded(t, o)
			call := o.of(machine.ResourceECSCallback)[0]
			overrides, err := json.Marshal(call.Parameters.(map[string]any)["Overrides"])
			require.NoError(t, err)
			text := strings.Replace(string(overrides), call.TaskToken, strings.Repeat("T", mostToken), 1)
			require.LessOrEqual(t, len(text), mostOverrides)
			require.Greater(t, len(text), mostToken+mostVersion, "each part is in it")
			got, err := request.FromEnvironment(func(name string) (string, bool) {
				value, given := environment(t, call)[name]
				return value, given
			})
			require.NoError(t, err)
			require.Equal(t, key, got.Key)
		})
	}
}
