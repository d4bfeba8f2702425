//go:build !race

// These evaluate the program, as those of cost_test.go do.

package operate_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awstest"
	"example.com/upload-router/operate"
)

const (
	bridged = "<EventBridgeConfiguration></EventBridgeConfiguration>"
	kept    = "<Status>Enabled</Status>"
	theirs  = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
)

// encrypted is a bucket's default with a key.
func encrypted(key string) string {
	return "<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>" + key +
		"</KMSMasterKeyID></ApplyServerSideEncryptionByDefault></Rule>"
}

// adopting has the doctor look at one bucket that is there, which is well but for what is changed.
func adopting(t *testing.T, change func(*awstest.Adopted), config ...string) map[string]operate.Check {
	t.Helper()
	bucket := awstest.Adopted{Region: awstest.Region, Owner: awstest.Account, Notification: bridged, Versioning: kept}
	change(&bucket)
	d := examine(t, "good", "{"+with(append([]string{"buckets", `["theirs"]`}, config...)...)+"}", func(s *awstest.Server) {
		s.Adopt("theirs", bucket)
	})
	rows := map[string]operate.Check{}
	for _, c := range d.Checks {
		if strings.HasPrefix(c.Name, "Bucket") {
			rows[c.Name] = c
		}
	}
	return rows
}

func TestDoctorFindsAnAdoptedBucketWell(t *testing.T) { //nolint:paralleltest // It sets the environment.
	want := map[string]string{
		"Bucket": "theirs, in eu-central-1, this account's", "Bucket's events": "theirs sends them to EventBridge",
		"Bucket's versioning": "theirs keeps versions", "Bucket's encryption": "theirs has no default, and so keys of S3's own",
		"Bucket's policy": "theirs has none",
	}
	found := map[string]string{}
	for name, c := range adopting(t, func(*awstest.Adopted) {}) {
		require.Equal(t, operate.CheckOK, c.Status, "%+v", c)
		found[name] = c.Found
	}
	require.Equal(t, want, found)
}

func TestDoctorLooksAtAdoptedBuckets(t *testing.T) { //nolint:paralleltest // It sets the environment.
	deny := func(condition string) string {
		return `{"Version":"2012-10-17","Statement":[{"Sid":"Lock","Effect":"Deny","Principal":"*","Action":"s3:*",` +
			`"Resource":"arn:aws:s3:::theirs/*"` + condition + `}]}`
	}
	const policy, encryption, versioning = "Bucket's policy", "Bucket's encryption", "Bucket's versioning"
	key := func(key string) func(*awstest.Adopted) {
		return func(b *awstest.Adopted) { b.Encryption = encrypted(key) }
	}
	may := []string{"bucketKmsKeyArns", `["` + theirs + `"]`}
	const account, foreign = "arn:aws:iam::123456789012:role/", "210987654321"
	for name, test := range map[string]struct { //nolint:paralleltest // See above.
		change func(*awstest.Adopted)
		config []string
		row    string
		status operate.CheckStatus
		says   []string // found, fix and commands
	}{
		"another Region": {
			func(b *awstest.Adopted) { b.Region = "eu-west-1" }, nil, "Bucket", "failed",
			[]string{"theirs is in eu-west-1", "init --stack dev-eu-west-1 --config aws:region=eu-west-1"},
		},
		"another account": {
			func(b *awstest.Adopted) { b.Owner = foreign }, nil, "Bucket", "unknown",
			[]string{
				"theirs is another account's", "put-permission --region eu-central-1 --event-bus-name default --action events:PutEvents",
				`"detail":{"bucket":{"name":["theirs"]}}`, "Arn=arn:aws:events:eu-central-1:123456789012:event-bus/default",
				`"ArnLike":{"aws:PrincipalArn":["` + account, `"Principal":{"AWS":"arn:aws:iam::123456789012:root"}`,
			},
		},
		"another account's keys": {
			func(b *awstest.Adopted) { b.Owner = foreign }, append([]string{"tagUploads", "status"}, may...), "Bucket", "unknown",
			[]string{"aws kms put-key-policy --key-id " + theirs, "s3.eu-central-1.amazonaws.com", "s3:PutObjectVersionTagging"},
		},
		"EventBridge is off": {
			func(b *awstest.Adopted) { b.Notification = notified }, nil, "Bucket's events", "failed",
			[]string{
				"theirs: EventBridge is off", "upload-router up --stack dev --enable-eventbridge",
				"aws s3api put-bucket-notification-configuration",
			},
		},
		"never versioned":  {func(b *awstest.Adopted) { b.Versioning = "" }, nil, versioning, "unknown", []string{"keeps no versions"}},
		"versions no more": {func(b *awstest.Adopted) { b.Versioning = "<Status>Suspended</Status>" }, nil, versioning, "unknown", nil},
		"AWS's key":        {key(""), nil, encryption, "ok", nil},
		"AWS's key, named": {key("arn:aws:kms:x:1:alias/aws/s3"), nil, encryption, "ok", nil},
		"a key": {key(theirs), nil, encryption, "failed", []string{
			"pulumi config set --stack dev --path 'bucketKmsKeyArns[0]' " + theirs,
		}},
		"a key that may be": {key(theirs), may, encryption, "ok", nil},
		"a key by its id": {
			key(lastOf(theirs, "/")), may, encryption, "ok", nil,
		},
		"a second key": {
			func(b *awstest.Adopted) { b.Encryption = encrypted(lastOf(theirs, "/")) },
			[]string{"bucketKmsKeyArns", `["` + strings.Replace(theirs, "1234abcd", "00000000", 1) + `"]`}, encryption, "failed",
			[]string{"pulumi config set --stack dev --path 'bucketKmsKeyArns[1]' " + theirs},
		},
		"an alias": {
			key("alias/ours"), nil, encryption, "failed",
			[]string{`bucketKmsKeyArns[0]' "$(aws kms describe-key --key-id alias/ours --region eu-central-1`},
		},
		"an alias of a key that may be": {
			key("alias/ours"), may, encryption, "unknown", nil,
		},
		"a policy that denies": {
			func(b *awstest.Adopted) { b.Policy = deny("") }, nil, policy, "failed",
			[]string{"denied s3:GetObject by Lock; s3:GetObjectVersion by Lock", account + "upload-router-dev-"},
		},
		"a policy that denies without TLS": {
			func(b *awstest.Adopted) { b.Policy = deny(`,"Condition":{"Bool":{"aws:SecureTransport":"false"}}`) }, nil, policy, "ok", nil,
		},
		"a policy that may deny": {
			func(b *awstest.Adopted) {
				b.Policy = deny(`,"Condition":{"StringNotEquals":{"aws:SourceVpc":"vpc-1"}}`)
			}, nil, policy, "unknown",
			[]string{`depends on StringNotEquals aws:SourceVpc ["vpc-1"]`},
		},
		"a policy that denies others": {
			func(b *awstest.Adopted) {
				b.Policy = deny(`,"Condition":{"ArnNotLike":{"aws:PrincipalArn":"` + account + `upload-router-dev-*"}}`)
			}, nil, policy, "ok", nil,
		},
		"a policy that is none": {func(b *awstest.Adopted) { b.Policy = "{" }, nil, policy, "unknown", []string{"can't be read"}},
		"tags, before there is a policy": {
			func(*awstest.Adopted) {}, []string{"tagUploads", "status"}, "Bucket's policy for tags", "unknown",
			[]string{"known once the stack is deployed"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, there := adopting(t, test.change, test.config...)[test.row]
			require.True(t, there)
			require.Equal(t, test.status, c.Status, "%+v", c)
			said := strings.Join(append([]string{c.Found, c.Fix}, c.Commands...), "\n")
			for _, text := range test.says {
				require.Contains(t, said, text)
			}
		})
	}
}

func lastOf(text, separator string) string { return text[strings.LastIndex(text, separator)+1:] }

// One that isn't there is said to be, and nothing else is asked about it.
func TestDoctorMissesAnAdoptedBucket(t *testing.T) { //nolint:paralleltest // It sets the environment.
	rows := adopting(t, func(*awstest.Adopted) {}, "buckets", `["nowhere"]`)
	require.Len(t, rows, 1)
	require.Equal(t, operate.CheckFailed, rows["Bucket"].Status)
	require.Contains(t, rows["Bucket"].Found, "nowhere isn't there")
}

// The command that is printed adds EventBridge to what is there, and puts nothing if that can't be had.
func TestThePrintedCommandLosesNothing(t *testing.T) { //nolint:paralleltest // It sets the environment.
	command := adopting(t, func(b *awstest.Adopted) { b.Notification = "" })["Bucket's events"].Commands[0]
	for there, want := range map[string]string{
		"": `{"EventBridgeConfiguration":{}}`,
		`{"QueueConfigurations":[{"Id":"q"}],"New":1}`: `{"QueueConfigurations":[{"Id":"q"}],"New":1,"EventBridgeConfiguration":{}}`,
	} {
		put, err := shellAnd(t, command, there, "")
		require.NoError(t, err)
		require.JSONEq(t, want, put)
	}
	put, err := shellAnd(t, command, "", "AccessDenied")
	require.Error(t, err)
	require.Empty(t, put)
}

// With tags, the policy that is there is compared with what the deployed stack says, and the command that adds what it lacks keeps the
// rest.
func TestDoctorComparesThePolicyForTags(t *testing.T) { //nolint:paralleltest // It sets the environment.
	const role = "arn:aws:iam::123456789012:role/task"
	statement := func(sid, action, principal string) string {
		return fmt.Sprintf(`{"Sid":%q,"Effect":"Deny","Principal":%s,"Action":%s,"Resource":"arn:aws:s3:::theirs/*",`+
			`"Condition":{"ArnNotEquals":{"aws:PrincipalArn":[%q]}}}`, sid, principal, action, role)
	}
	policy := func(statements ...string) string {
		return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
	}
	keep, more := statement("Keep", `["s3:PutObject","s3:PutObjectTagging"]`, `"*"`), statement("More", `["s3:ReplicateTags"]`, `"*"`)
	same := statement("other", `["s3:PutObjectTagging","s3:PutObject"]`, `{"AWS":"*"}`)
	deployedWith := func(t *testing.T) {
		t.Helper()
		deployed(t, awstest.Account)
		var outputs map[string]any
		require.NoError(t, json.Unmarshal(awstest.Start(t).Outputs(), &outputs))
		outputs["bucketPolicies"] = map[string]string{"theirs": policy(keep, more)}
		text, err := json.Marshal(outputs)
		require.NoError(t, err)
		t.Setenv("OUTPUTS", string(text))
		t.Setenv("RESOURCES", fmt.Sprintf(`{"type":"aws:lambda/function:Function","id":"f","outputs":{"arn":%q,"role":%q}}`,
			outputs["lambdaFunctionArn"], role))
	}
	for name, test := range map[string]struct { //nolint:paralleltest // See above.
		there  string
		lacks  string
		status operate.CheckStatus
	}{
		"all":            {policy(keep, more), "", "ok"},
		"another order":  {policy(more, same), "", "ok"},
		"none":           {"", "Keep, More", "unknown"},
		"one is missing": {policy(same), "More", "unknown"},
		"one differs":    {policy(keep, strings.Replace(more, "s3:ReplicateTags", "s3:Other", 1)), "More", "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			deployedWith(t)
			rows := adopting(t, func(b *awstest.Adopted) { b.Policy = test.there }, "tagUploads", "status")
			c := rows["Bucket's policy for tags"]
			require.Equal(t, operate.CheckOK, rows["Bucket's policy"].Status, "%+v", rows["Bucket's policy"])
			require.Equal(t, test.status, c.Status, "%+v", c)
			if test.lacks == "" {
				return
			}
			require.Equal(t, "theirs lacks "+test.lacks, c.Found)
			fails := ""
			if test.there == "" {
				fails = "An error occurred (NoSuchBucketPolicy) when calling the GetBucketPolicy operation"
			}
			put, err := shellAnd(t, c.Commands[0], test.there, fails)
			require.NoError(t, err)
			again := adopting(t, func(b *awstest.Adopted) { b.Policy = put }, "tagUploads", "status")["Bucket's policy for tags"]
			require.Equal(t, operate.CheckOK, again.Status, "%+v", again)
			if test.there != "" {
				require.Contains(t, put, "s3:PutObject", "what was there stays")
			}
			put, err = shellAnd(t, c.Commands[0], test.there, "AccessDenied")
			require.Error(t, err)
			require.Empty(t, put, "what can't be read isn't replaced")
		})
	}
}

// What comes after the command isn't in the way of it.
func TestDoctorLetsEventBridgeBeTurnedOn(t *testing.T) { //nolint:paralleltest // It sets the environment.
	config := "{" + with("buckets", `["theirs"]`) + "}"
	for enable, status := range map[bool]operate.CheckStatus{true: operate.CheckOK, false: operate.CheckFailed} {
		d := examineWith(t, operate.DoctorOptions{EnableEventBridge: enable}, "upload-router", "good", config, func(s *awstest.Server) {
			s.Adopt("theirs", awstest.Adopted{Region: awstest.Region})
		})
		i := slices.IndexFunc(d.Checks, func(c operate.Check) bool { return c.Name == "Bucket's events" })
		require.Equal(t, status, d.Checks[i].Status)
		require.Equal(t, enable, d.Ready())
	}
}
