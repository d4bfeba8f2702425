package operate_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awstest"
	"example.com/upload-router/internal/objectstore"
	"example.com/upload-router/operate"
)

// The stack's file says whether uploads are paused, and AWS does: a deployment changes nothing of it, so both must say the same.
func TestDoctorHasTheFileAndAWSAgreeOnAPause(t *testing.T) { //nolint:paralleltest // It sets the environment.
	paused := func(t *testing.T, s *awstest.Server) {
		t.Helper()
		outputs, err := operate.ParseOutputs(s.Outputs())
		require.NoError(t, err)
		system := operate.Connect(s.Config(), outputs)
		system.Poll = time.Millisecond
		require.NoError(t, system.Pause(t.Context(), nil))
	}
	event := awstest.Event(objectstore.Stored{Key: "late.txt", Size: 1, ETag: "e", VersionID: "v"})
	for name, test := range map[string]struct { //nolint:paralleltest // As above.
		config  string
		prepare func(*testing.T, *awstest.Server)
		status  operate.CheckStatus
		found   string
	}{
		"neither":  {imageConfig, func(*testing.T, *awstest.Server) {}, operate.CheckOK, "uploads are processed"},
		"both":     {with("paused", "true"), paused, operate.CheckOK, "uploads are paused: 0 events waiting"},
		"the file": {with("paused", "true"), func(*testing.T, *awstest.Server) {}, operate.CheckFailed, "uploads aren't paused"},
		"AWS":      {imageConfig, paused, operate.CheckFailed, "uploads are paused, and the stack's file says they aren't"},
		"what is left": {imageConfig, func(_ *testing.T, s *awstest.Server) {
			s.Paused(event)
		}, operate.CheckFailed, "1 event of a pause waiting"},
		"not allowed": {imageConfig, func(_ *testing.T, s *awstest.Server) {
			s.Refuse("AccessDeniedException", "DescribeRule")
		}, operate.CheckUnknown, "AccessDeniedException"},
	} {
		t.Run(name, func(t *testing.T) {
			deployed(t, awstest.Account)
			d := examine(t, "good", "{"+test.config+"}", func(s *awstest.Server) { test.prepare(t, s) })
			check := d.Checks[0]
			for _, c := range d.Checks {
				if c.Name == "Pause" {
					check = c
				}
			}
			require.Equal(t, "Pause", check.Name)
			require.Equal(t, test.status, check.Status, check.Found)
			require.Contains(t, check.Found, test.found)
			require.Equal(t, test.status != operate.CheckFailed, d.Ready(), "`up` refuses")
		})
	}
}
