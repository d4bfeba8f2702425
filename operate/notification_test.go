//go:build !race

// These need what doctor_test.go has.

package operate_test

import (
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awstest"
	"example.com/upload-router/operate"
)

// notified is a notification configuration with one of each kind, in the form of before filters had one, and of today's.
const notified = "<QueueConfiguration><Id>q</Id><Queue>arn:aws:sqs:eu-central-1:123456789012:q</Queue><Event>s3:ObjectCreated:*</Event>" +
	"<Event>s3:ObjectRemoved:*</Event><Filter><S3Key><FilterRule><Name>prefix</Name><Value>in/ü&amp;&lt;</Value></FilterRule>" +
	"<FilterRule><Name>suffix</Name><Value>.pdf</Value></FilterRule></S3Key></Filter></QueueConfiguration>" +
	"<TopicConfiguration><Id>t</Id><Topic>arn:aws:sns:eu-central-1:123456789012:t</Topic><Event>s3:ObjectRestore:*</Event>" +
	"</TopicConfiguration>" +
	"<CloudFunctionConfiguration><Id>f</Id><CloudFunction>arn:aws:lambda:eu-central-1:123456789012:function:f</CloudFunction>" +
	"<Event>s3:ObjectTagging:*</Event></CloudFunctionConfiguration>"

// enabling has EventBridge turned on in one bucket.
func enabling(t *testing.T, bucket awstest.Adopted, prepare func(*awstest.Server)) (*awstest.Server, []operate.Notification, error) {
	t.Helper()
	s := newStandIn(t, "good")
	server := awstest.Start(t)
	server.Adopt("theirs", bucket)
	prepare(server)
	emulated(t, server)
	t.Setenv("CONFIG", "{"+with("buckets", `["theirs"]`)+"}")
	var told []operate.Notification
	err := s.open(nil).EnableEventBridge(t.Context(), func(n operate.Notification) { told = append(told, n) })
	return server, told, err
}

// notification is a notification configuration's content, whatever the order of its parts.
type notification struct {
	Parts []struct {
		XMLName xml.Name
		Content string `xml:",innerxml"`
	} `xml:",any"`
}

func notificationParts(t *testing.T, content string) map[string]string {
	t.Helper()
	var n notification
	require.NoError(t, xml.Unmarshal([]byte("<N>"+content+"</N>"), &n))
	parts := map[string]string{}
	for _, p := range n.Parts {
		parts[p.XMLName.Local] = p.Content
	}
	return parts
}

func TestEnableEventBridgeLosesNothing(t *testing.T) { //nolint:paralleltest // It sets the environment.
	for name, before := range map[string]string{"nothing there": "", "one of each": notified} { //nolint:paralleltest // See above.
		t.Run(name, func(t *testing.T) {
			server, told, err := enabling(t, awstest.Adopted{Region: awstest.Region, Notification: before}, func(*awstest.Server) {})
			require.NoError(t, err)
			require.Equal(t, []operate.Notification{{Bucket: "theirs", Added: true}}, told)
			want := notificationParts(t, before)
			want["EventBridgeConfiguration"] = ""
			require.Len(t, want, 1+len(notificationParts(t, before)))
			got := notificationParts(t, server.Notification("theirs"))
			require.Len(t, got, len(want))
			for part, content := range want { // in an order of the SDK's
				require.Len(t, got[part], len(content), "%s: %s", part, got[part])
				require.ElementsMatch(t, strings.SplitAfter(content, ">"), strings.SplitAfter(got[part], ">"), part)
			}
		})
	}
}

func TestEnableEventBridge(t *testing.T) { //nolint:paralleltest // It sets the environment.
	const on = "<EventBridgeConfiguration></EventBridgeConfiguration>"
	const put, get = "PutBucketNotificationConfiguration", "GetBucketNotificationConfiguration"
	for name, test := range map[string]struct { //nolint:paralleltest // See above.
		bucket  awstest.Adopted
		refused string
		kind    error
		says    []string
		puts    int
	}{
		"on already":   {awstest.Adopted{Notification: notified + on}, "", nil, nil, 0},
		"may not look": {awstest.Adopted{}, get, operate.ErrRefused, []string{"reading the notification configuration of theirs"}, 0},
		"may not put":  {awstest.Adopted{}, put, operate.ErrRefused, []string{"adding EventBridge to the notification configuration"}, 1},
		"changed meanwhile": {
			awstest.Adopted{Notification: notified, Meanwhile: on}, "", operate.ErrTimeout,
			[]string{
				"somebody else has changed it meanwhile", `"QueueArn":"arn:aws:sqs:eu-central-1:123456789012:q"`,
				`is {"EventBridgeConfiguration":{}}`,
			}, 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			test.bucket.Region = awstest.Region
			server, told, err := enabling(t, test.bucket, func(s *awstest.Server) {
				if test.refused != "" {
					s.Refuse("AccessDenied", test.refused)
				}
			})
			require.Equal(t, test.puts, server.Calls(put))
			if test.kind == nil {
				require.NoError(t, err)
				require.Equal(t, []operate.Notification{{Bucket: "theirs"}}, told)
				return
			}
			require.ErrorIs(t, err, test.kind)
			for _, text := range test.says {
				require.ErrorContains(t, err, text)
			}
			require.Empty(t, told)
		})
	}
}

// shellAnd runs a printed command where aws prints a text, or fails with another one, and notes what is put.
func shellAnd(t *testing.T, command, there, fails string) (put string, err error) {
	t.Helper()
	if _, err := exec.LookPath("jq"); err != nil {
		t.Skip("jq isn't there, which the command runs")
	}
	folder := t.TempDir()
	script := "#!/bin/sh\ncase \"$2\" in\n" +
		"get-*) if [ -n \"$FAILS\" ]; then echo \"$FAILS\" >&2; exit 255; fi; printf %s \"$THERE\";;\n" +
		"put-*) for last; do :; done; cat \"${last#file://}\" > put;;\nesac\n"
	require.NoError(t, os.WriteFile(filepath.Join(folder, "aws"), []byte(script), 0o700))
	cmd := exec.CommandContext(t.Context(), "sh", "-c", command)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "PATH="+folder+string(os.PathListSeparator)+os.Getenv("PATH"), "THERE="+there, "FAILS="+fails)
	output, err := cmd.CombinedOutput()
	text, _ := os.ReadFile(filepath.Join(folder, "put")) // there is none if nothing was put
	t.Log(string(output))
	return string(text), err
}
