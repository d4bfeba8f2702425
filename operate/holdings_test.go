package operate_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awstest"
	"example.com/upload-router/operate"
)

// inState is a resource as a stack's state has it.
func inState(typ, id, outputs string) string {
	return fmt.Sprintf(`{"urn":"urn:pulumi:dev::p::%s::r","type":%q,"id":%q,"outputs":{%s}}`, typ, typ, id, outputs)
}

func objects(server *awstest.Server) *s3.Client {
	return s3.NewFromConfig(server.Config(), func(o *s3.Options) { o.UsePathStyle = true })
}

// TestHoldingsOfWhatStaysWithSomethingInIt refuses what a destroy would fail at, when the key and all else is deleted.
func TestHoldingsOfWhatStaysWithSomethingInIt(t *testing.T) {
	const bucket, repository = "aws:s3/bucketV2:BucketV2", "aws:ecr/repository:Repository"
	for name, test := range map[string]struct {
		resources []string
		files     int
		refused   string // an operation
		nothing   bool   // only a part is deployed: there are no outputs
		want      []operate.Holding
		says      []string // nil: a destroy may begin
	}{
		"an empty bucket": {
			resources: []string{inState(bucket, awstest.Bucket, `"forceDestroy":false`)},
			want:      []operate.Holding{{What: "bucket", Name: awstest.Bucket, Content: "empty", Kept: true}},
		},
		"a full bucket": {
			resources: []string{inState(bucket, awstest.Bucket, `"forceDestroy":false`)}, files: 2,
			want: []operate.Holding{{What: "bucket", Name: awstest.Bucket, Content: "2 object versions, 20 B", Kept: true}},
			says: []string{
				"nothing was deleted", "bucket uploads-bucket: 2 object versions, 20 B",
				"`pulumi config set forceDestroy true --stack dev`, `upload-router up --stack dev`, and destroy again",
				"aws s3 sync s3://uploads-bucket FOLDER",
			},
		},
		"a full bucket of a stack that is deployed in part": {
			resources: []string{inState(bucket, awstest.Bucket, "")}, files: 1, nothing: true,
			want: []operate.Holding{{What: "bucket", Name: awstest.Bucket, Content: "1 object version, 10 B", Kept: true}},
			says: []string{"bucket uploads-bucket: 1 object version"},
		},
		"a full bucket that is deployed with forceDestroy": {
			resources: []string{inState(bucket, awstest.Bucket, `"forceDestroy":true`)}, files: 1,
			want: []operate.Holding{{What: "bucket", Name: awstest.Bucket, Content: "1 object version, 10 B"}},
		},
		"a bucket that somebody has deleted": {
			resources: []string{inState(bucket, "no-such-bucket", "")},
			want:      []operate.Holding{{What: "bucket", Name: "no-such-bucket", Content: "gone", Kept: true}},
		},
		"a repository with an image": {
			resources: []string{inState(repository, "ours", `"forceDelete":false`)},
			want:      []operate.Holding{{What: "image repository", Name: "ours", Content: "1 image", Kept: true}},
			says:      []string{"image repository ours: 1 image", "aws ecr batch-delete-image --repository-name ours "},
		},
		"a repository that is deployed with forceDestroy": {
			resources: []string{inState(repository, "ours", `"forceDelete":true`)},
			want:      []operate.Holding{{What: "image repository", Name: "ours", Content: "1 image"}},
		},
		"a repository that may not be asked": {
			resources: []string{inState(repository, "ours", "")}, refused: "DescribeImages",
			want: []operate.Holding{{
				What: "image repository", Name: "ours", Kept: true,
				Error: "AccessDeniedException: refused by the test " +
					"(likely: the credentials lack a permission: ask for it, or use others (AWS_PROFILE))",
			}},
		},
		"an image of the user's own has no repository here": {},
	} {
		t.Run(name, func(t *testing.T) {
			server := awstest.Start(t)
			s := newStandIn(t, "good")
			t.Setenv("CONFIG", "{}")
			t.Setenv("RESOURCES", strings.Join(test.resources, ","))
			if !test.nothing {
				t.Setenv("OUTPUTS", string(server.Outputs()))
			}
			for name, value := range map[string]string{
				"AWS_ENDPOINT_URL": server.Endpoint(), "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": awstest.Region,
				"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_PROFILE": "", "AWS_MAX_ATTEMPTS": "1",
			} {
				t.Setenv(name, value)
			}
			server.Refuse("AccessDeniedException", test.refused)
			for i := range test.files {
				_, err := objects(server).PutObject(t.Context(), &s3.PutObjectInput{
					Bucket: aws.String(awstest.Bucket), Key: aws.String(strconv.Itoa(i)), Body: strings.NewReader("ten bytes."),
				})
				require.NoError(t, err)
			}
			stack := s.open(nil)
			holdings, err := stack.Holdings(t.Context())
			require.NoError(t, err)
			var stays []operate.Holding
			for _, h := range holdings {
				if h.What == "bucket" || h.What == "image repository" {
					stays = append(stays, h)
				}
			}
			require.Equal(t, test.want, stays)
			err = stack.Kept(holdings)
			if test.says == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, operate.ErrNotReady)
			for _, said := range test.says {
				require.ErrorContains(t, err, said)
			}
		})
	}
}
