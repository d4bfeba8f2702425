package operate_test

import (
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"upload-router/internal/awstest"
	"upload-router/operate"
)

// examine has the doctor look at a stack with a configuration in YAML-free form:
// the account is a fake one, and so is the CLI.
func examine(t *testing.T, play string, config string, prepare func(*awstest.Server)) operate.Diagnosis {
	t.Helper()
	newStandIn(t, play)
	server := awstest.Start(t)
	prepare(server)
	for name, value := range map[string]string{
		"CONFIG": config, "AWS_ENDPOINT_URL": server.Endpoint(), "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_PROFILE": "", "AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_MAX_ATTEMPTS": "3",
	} {
		t.Setenv(name, value)
	}
	if play == "no credentials" {
		t.Setenv("AWS_ACCESS_KEY_ID", "")
		t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	}
	if play == "nowhere" {
		t.Setenv("AWS_ENDPOINT_URL_STS", "http://sts.mars-north-1.invalid")
	}
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "Pulumi.yaml"), []byte("name: upload-router\nruntime: go\n"), 0o600))
	var told []operate.Check
	diagnosis, err := operate.Doctor(t.Context(), operate.DoctorOptions{
		Stack:   operate.StackOptions{Name: "dev", Folder: folder},
		OnCheck: func(c operate.Check) { told = append(told, c) },
		Timeout: time.Minute,
	})
	require.NoError(t, err)
	require.Equal(t, diagnosis.Checks, told, "each is told as it ends")
	for _, c := range diagnosis.Checks {
		if c.Status == operate.CheckFailed {
			require.NotEmpty(t, c.Why, c.Name)
			require.NotEmpty(t, c.Mend, c.Name)
		}
	}
	return diagnosis
}

const imageConfig = `"aws:region":{"value":"eu-central-1"},"upload-router:image":{"value":"` + awstest.Image + `"}`

func TestDoctorFindsAllThatIsNeeded(t *testing.T) { //nolint:paralleltest // It sets the environment.
	d := examine(t, "good", "{"+imageConfig+"}", func(*awstest.Server) {})
	require.True(t, d.Ready(), "%+v", d.Checks)
	want := map[string]operate.CheckStatus{
		"Go": "ok", "Pulumi CLI": "ok", "Stack": "ok", "Configuration": "ok", "Image": "ok", "Credentials": "ok", "Region": "ok",
		"Quota of VPCs": "ok", "Quota of Fargate": "ok",
	}
	require.Equal(t, want, statuses(d.Checks))
}

func TestDoctorNamesWhatIsMissing(t *testing.T) { //nolint:paralleltest // It sets the environment.
	lack := func(what string) func(*awstest.Server) { return func(s *awstest.Server) { s.Break(what) } }
	nothing := func(*awstest.Server) {}
	for name, test := range map[string]struct { //nolint:paralleltest // See above.
		play, config string
		prepare      func(*awstest.Server)
		failed       string
		found        string
	}{
		"credentials":      {"no credentials", imageConfig, nothing, "Credentials", ""},
		"Region":           {"good", imageConfig, lack(awstest.LackRegion), "Region", "eu-central-1 is no Region of AWS"},
		"Region nowhere":   {"nowhere", imageConfig, nothing, "Region", "eu-central-1: there is no such Region"},
		"Region's opt-in":  {"good", imageConfig, lack(awstest.LackOptIn), "Region", "isn't enabled for the account"},
		"no Region at all": {"good", `"upload-router:image":{"value":"` + awstest.Image + `"}`, nothing, "Region", "none is set"},
		"quotas":           {"good", imageConfig, lack(awstest.LackQuota), "Quota of VPCs", "1 of 0 used"},
		"name": {
			"good", imageConfig + `,"upload-router:bucketName":{"value":"` + awstest.Bucket + `"}`, nothing,
			"Bucket's name", "is taken, by a bucket of this account",
		},
		"default VPC": {
			"good", imageConfig + `,"upload-router:network":{"value":"default"}`, lack(awstest.LackVPC), "Default VPC", "there is none",
		},
		"configuration": {
			"good", imageConfig + `,"upload-router:taskCpu":{"value":"100"},"upload-router:lambdaMemory":{"value":"3"}`, nothing,
			"Configuration", "upload-router:taskCpu: 100",
		},
		"stack": {"no stack", imageConfig, nothing, "Stack", "there is no stack dev"},
	} {
		t.Run(name, func(t *testing.T) {
			d := examine(t, test.play, "{"+test.config+"}", test.prepare)
			require.False(t, d.Ready())
			found := map[string]string{}
			for _, c := range d.Checks {
				if c.Status == operate.CheckFailed {
					found[c.Name] = c.Found
				}
			}
			require.Contains(t, found, test.failed, "%+v", d.Checks)
			require.Contains(t, found[test.failed], test.found)
		})
	}
}

func TestDoctorGoesOnWithoutTools(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	d, err := operate.Doctor(t.Context(), operate.DoctorOptions{Stack: operate.StackOptions{Name: "dev", Folder: t.TempDir()}})
	require.NoError(t, err)
	found := statuses(d.Checks)
	maps.DeleteFunc(found, func(name string, _ operate.CheckStatus) bool { return name == "Credentials" || name == "Region" })
	require.Equal(t, map[string]operate.CheckStatus{"Go": "failed", "Pulumi CLI": "failed", "Stack": "failed", "Docker": "failed"}, found)
}
