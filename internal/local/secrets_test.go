package local_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/local"
	"example.com/upload-router/internal/local/localtest"
)

// A value that this machine doesn't have is a failure that says what to do, on both routes.
func TestASecretThatTheLocalRunHasNoValueFor(t *testing.T) {
	t.Parallel()
	system := localtest.Declare(t, "secret", map[string]string{
		"sizeThreshold": "10", "secrets": `{"PASSWORD":"arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-a1b2c3"}`,
	})
	for name, test := range map[string]struct {
		has  bool
		want asl.Status
	}{
		"there": {true, asl.StatusSucceeded}, "missing": {false, asl.StatusFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			router := localtest.Start(t, system, local.Options{Secret: func(asked string) (string, bool) {
				return "hunter2", test.has && asked == "PASSWORD"
			}})
			for _, size := range []int{5, 50} {
				_, e := upload(t, router, strconv.Itoa(size), sized(t, size))
				require.Equal(t, test.want, e.Status, e.Cause)
				if !test.has {
					require.Equal(t, "Upload.Failed", e.Error)
					require.Contains(t, e.Cause, "set the environment variable PASSWORD")
				}
			}
		})
	}
}
