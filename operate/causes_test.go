package operate

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestIDsAreLeftOut leaves of AWS's words all but the ids, whichever SDK wrote them.
func TestIDsAreLeftOut(t *testing.T) {
	t.Parallel()
	const host = "Vs3+9Z/abc+DEF/0123456789aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789abcdEFGH+0="
	for name, test := range map[string]struct{ message, want string }{
		"S14, Go's of S3": {
			"operation error S3: CreateMultipartUpload, https response error StatusCode: 403, RequestID: 4442587FB7D0A2F9, HostID: " + host +
				", api error AccessDenied: User: arn:aws:iam::1:user/a is not authorized to perform: s3:PutObject",
			"operation error S3: CreateMultipartUpload, https response error StatusCode: 403" +
				", api error AccessDenied: User: arn:aws:iam::1:user/a is not authorized to perform: s3:PutObject",
		},
		"S14, without a host": {
			"operation error S3: CreateMultipartUpload, https response error StatusCode: 403, RequestID: 4442587FB7D0A2F9, HostID: , " +
				"api error AccessDenied: Access Denied",
			"operation error S3: CreateMultipartUpload, https response error StatusCode: 403, api error AccessDenied: Access Denied",
		},
		"S14, without ids": {
			"operation error S3: CreateMultipartUpload, https response error StatusCode: 400, RequestID: , HostID: , api error BadRequest: ",
			"operation error S3: CreateMultipartUpload, https response error StatusCode: 400, api error BadRequest:",
		},
		"Go's of others": {
			"operation error ECS: CreateCluster, https response error StatusCode: 400, RequestID: 1b2c-3d, ClientException: no role yet",
			"operation error ECS: CreateCluster, https response error StatusCode: 400, ClientException: no role yet",
		},
		"Go's, nobody answered": {
			`operation error SFN: ListExecutions, https response error StatusCode: 0, RequestID: , request send failed, Post "https://x/": EOF`,
			`operation error SFN: ListExecutions, https response error StatusCode: 0, request send failed, Post "https://x/": EOF`,
		},
		"Go's first version": {
			"AccessDenied: Access Denied\n\tstatus code: 403, request id: 4442587FB7D0A2F9, host id: " + host,
			"AccessDenied: Access Denied status code: 403",
		},
		"Java's": {
			"Too many. (Service: AmazonECS; Status Code: 400; Error Code: ClientException; Request ID: 1b2c-3d; Proxy: null)",
			"Too many. (Service: AmazonECS; Status Code: 400; Error Code: ClientException; Proxy: null)",
		},
		"Java's second version": {
			"Rate exceeded (Service: S3, Status Code: 503, Request ID: 1b2c-3d, Extended Request ID: " + host + ") (SDK Attempt Count: 3)",
			"Rate exceeded (Service: S3, Status Code: 503) (SDK Attempt Count: 3)",
		},
		"the first of a list":    {"refused (Request ID: 1b2c-3d, Status Code: 400)", "refused (Status Code: 400)"},
		"alone in brackets":      {"refused (Request ID: 1b2c-3d).", "refused."},
		"in square ones":         {"refused [RequestId: 1b2c-3d]", "refused"},
		"the message alone":      {"RequestID: 1b2c-3d, refused", "refused"},
		"what is no id":          {"the request id is missing, the host idles: wait", "the request id is missing, the host idles: wait"},
		"longer than is read":    {strings.Repeat("é", 500), strings.Repeat("é", 400) + " …"},
		"a word that ends alike": {"myRequestID: 7 is set", "myRequestID: 7 is set"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, shorten(test.message))
		})
	}
}
