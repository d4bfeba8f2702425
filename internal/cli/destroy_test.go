//go:build unix

package cli

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awstest"
)

// TestDestroyBeginsOnlyIfItCanEnd asks before anything is deleted, and takes --yes for no leave to break off halfway.
func TestDestroyBeginsOnlyIfItCanEnd(t *testing.T) {
	t.Parallel()
	const kept, forced = `{"forceDestroy":false}`, `{"forceDestroy":true}`
	for name, test := range map[string]struct {
		outputs string // the bucket's
		files   bool
		cut     bool // nobody answers
		args    []string
		code    int
		says    string
	}{
		"full, yes":           {kept, true, false, []string{"--yes"}, exitNotReady, "bucket uploads-bucket: 1 object version, 1 B"},
		"full, unasked":       {kept, true, false, nil, exitNotReady, "`pulumi config set forceDestroy true --stack dev`"},
		"full, JSON":          {kept, true, false, []string{"--yes", "--json"}, exitNotReady, `"operation":"destroy","succeeded":false`},
		"full, forceDestroy":  {forced, true, false, []string{"--yes"}, 0, "1 object version, 1 B"},
		"empty, yes":          {kept, false, false, []string{"--yes"}, 0, "✓ destroy: "},
		"empty, unasked":      {kept, false, false, nil, exitUsage, "Delete 3 resources of dev for good? (--yes says yes)"},
		"nobody answers, yes": {kept, true, true, []string{"--yes"}, 0, "listing the bucket's objects:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, server, _ := deployed(t)
			d.env = append(d.env, "OUTPUTS="+string(server.Outputs()), "RESOURCE_COUNT=3", "AWS_MAX_ATTEMPTS=1",
				`RESOURCES={"type":"aws:s3/bucketV2:BucketV2","id":"`+awstest.Bucket+`","outputs":`+test.outputs+`}`)
			if test.files {
				client := s3.NewFromConfig(server.Config(), func(o *s3.Options) { o.UsePathStyle = true })
				_, err := client.PutObject(t.Context(), &s3.PutObjectInput{
					Bucket: aws.String(awstest.Bucket), Key: aws.String("a"), Body: strings.NewReader("x"),
				})
				require.NoError(t, err)
			}
			if test.cut {
				d.env = append(d.env, "AWS_ENDPOINT_URL=http://127.0.0.1:9")
			}
			cmd := d.command(append([]string{"destroy", "--stack", "dev"}, test.args...)...)
			output, _ := cmd.CombinedOutput()
			require.Equal(t, test.code, cmd.ProcessState.ExitCode(), "%s", output)
			require.Contains(t, string(output), test.says)
			require.Equal(t, test.code == 0, strings.Contains(d.said(), "\ndestroy "), "whether Pulumi is asked:\n%s", d.said())
		})
	}
}
