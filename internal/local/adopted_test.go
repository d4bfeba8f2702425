package local_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/local"
)

// Buckets that the stack hasn't made are there, and the one rule hears of each. Where an event has no version, as of a bucket without them,
// both routes pin what they read by its entity tag.
func TestBucketsThatAreThere(t *testing.T) {
	t.Parallel()
	for route, config := range map[string]string{"Lambda": "adopted", "Fargate": "adopted 0"} {
		t.Run(route, func(t *testing.T) {
			t.Parallel()
			router := start(t, changed(t, config))
			trace, e := upload(t, router, "in/k", file(t, "x"))
			requireSucceeded(t, trace)
			assert.Equal(t, "acme-uploads", trace.Bucket, "the first, as nothing else is said")
			assert.NotEmpty(t, trace.VersionID)
			assert.Equal(t, route, e.Runs[0].Route)

			// The event of another one, of the same key: it is another upload.
			_, err := router.Client().PutObject(t.Context(), &s3.PutObjectInput{
				Bucket: aws.String("acme-more"), Key: aws.String("in/k"), Body: strings.NewReader("x"),
			})
			require.NoError(t, err)
			body := strings.ReplaceAll(string(trace.Event), "acme-uploads", "acme-more")
			body = strings.Replace(body, `,"version-id":"`+trace.VersionID+`"`, "", 1)
			require.NotContains(t, body, "version-id")
			other := &local.Trace{}
			require.NoError(t, router.Deliver(t.Context(), []byte(body), other))
			requireSucceeded(t, other)
			assert.Empty(t, other.Executions[0].NotProcessed())
		})
	}
}
