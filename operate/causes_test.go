package operate

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/stretchr/testify/require"
)

// refusedBy is an error as the SDK's clients give it.
func refusedBy(service, operation string, status int, err error) error {
	response := &smithyhttp.Response{Response: &http.Response{StatusCode: status}}
	return fmt.Errorf("testing the state Throttle: %w", &smithy.OperationError{
		ServiceID: service, OperationName: operation, Err: fmt.Errorf("exceeded maximum number of attempts, 3, %w",
			&smithyhttp.ResponseError{Response: response, Err: err}),
	})
}

func said(code, message string) error { return &smithy.GenericAPIError{Code: code, Message: message} }

// TestTheCauseIsByTheCode takes neither the operation's name nor the SDK's own words for what is wrong.
func TestTheCauseIsByTheCode(t *testing.T) {
	t.Parallel()
	const (
		unreachable  = "AWS can't be reached from here"
		slow         = "AWS slows requests down"
		used         = "a quota of the account is used up"
		noPermission = "the credentials lack a permission"
		unknownHere  = "what is asked for isn't there, or isn't known in this Region"
		lacking      = "the endpoint that is asked doesn't have the operation"
	)
	for name, test := range map[string]struct {
		err  error
		want string // how it begins; empty: no telling
	}{
		"nobody answers, after three attempts": {
			refusedBy("SFN", "TestState", 0, errors.New(`request send failed, Post "http://127.0.0.1:9/": dial tcp: connect: connection refused`)),
			unreachable,
		},
		"nobody answers for quotas": {
			refusedBy("Service Quotas", "GetServiceQuota", 0, errors.New("read: connection reset by peer")), unreachable,
		},
		"a quota that isn't there": {
			refusedBy("Service Quotas", "GetServiceQuota", 400, said("NoSuchResourceException",
				"This service is not available in the current Region. Choose a different Region or a different service.")), unknownHere,
		},
		"no operation": {refusedBy("SFN", "TestState", 400, said("UnknownOperationException", "")), lacking},
		"not implemented": {
			refusedBy("Service Quotas", "GetServiceQuota", 400, said("NotImplemented", "in use already exist")), lacking,
		},
		"not implemented, by the status": {refusedBy("SFN", "TestState", 501, said("InternalFailure", "no")), lacking},
		"throttled":                      {refusedBy("SFN", "TestState", 400, said("ThrottlingException", "Rate exceeded")), slow},
		"throttled by EC2": {
			refusedBy("EC2", "DescribeVpcs", 503, said("RequestLimitExceeded", "Request limit exceeded.")), slow,
		},
		"throttled by Service Quotas": {refusedBy("Service Quotas", "GetServiceQuota", 429, said("TooManyRequestsException", "no")), slow},
		"a used-up quota": {
			refusedBy("EC2", "CreateVpc", 400, said("VpcLimitExceeded", "The maximum number of VPCs has been reached.")), used,
		},
		"a used-up quota of a table": {refusedBy("DynamoDB", "CreateTable", 400, said("LimitExceededException", "no")), used},
		"access denied":              {refusedBy("Service Quotas", "GetServiceQuota", 400, said("AccessDeniedException", "no")), noPermission},
		"access denied, and for what": {
			refusedBy("SFN", "TestState", 400, said("AccessDeniedException", "User: a is not authorized to perform: "+
				"states:TestState")), "the credentials that deploy lack the permission states:TestState",
		},
		"a role that is new": {
			refusedBy("Lambda", "CreateFunction", 400, said("InvalidParameterValueException",
				"The role defined for the function cannot be assumed by "+
					"Lambda.")), "a new role or its permissions need",
		},
		"a code that says all": {
			refusedBy("S3", "DeleteBucket", 409, said("BucketNotEmpty", "in use, access Forbidden")), "it holds object versions",
		},
		"a code that says little": {refusedBy("Service Quotas", "GetServiceQuota", 500, said("ServiceException", "no")), ""},
		"a page of a proxy": {
			refusedBy("SFN", "TestState", 500, &smithy.DeserializationError{Err: errors.New("invalid character " +
				"'<'")}), "what answered isn't in AWS's form",
		},
		"no credentials, and none in time": {
			refusedBy("S3", "ListBuckets", 0, errors.New("failed to refresh cached credentials, no EC2 IMDS role "+
				"found, operation error ec2imds: GetMetadata, request canceled")), "there are no credentials",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := causeOf(test.err)
			require.True(t, strings.HasPrefix(got, test.want) && (got == "") == (test.want == ""), "%s\n%s", test.err, got)
			// Pulumi's provider gives the same as text.
			got = likelyCause("1 error occurred:\n\t* creating Throttled Thing (quota): " + errors.Unwrap(test.err).Error())
			if _, form := errors.AsType[*smithy.DeserializationError](test.err); form || strings.HasSuffix(name, "by the status") {
				require.Empty(t, got)
				return
			}
			require.True(t, strings.HasPrefix(got, test.want) && (got == "") == (test.want == ""), "%s\n%s", test.err, got)
		})
	}
}

// TestACauseAsTheProviderTellsIt has the modeled errors, which are told without "api error".
func TestACauseAsTheProviderTellsIt(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		"deleting S3 Bucket (b): operation error S3: DeleteBucket, https response error StatusCode: 409, RequestID: A, HostID: B, " +
			"api error BucketNotEmpty: The bucket you tried to delete is not empty": "it holds object versions",
		"ECR Repository (r) not empty, consider using force_delete: operation error ECR: DeleteRepository, " +
			"https response error StatusCode: 400, " +
			"RequestID: A, RepositoryNotEmptyException: The repository still contains images": "it holds images",
		"creating S3 Bucket (b): operation error S3: CreateBucket, https response error StatusCode: 409, RequestID: A, HostID: B, " +
			"BucketAlreadyExists: ": "the bucket's name is taken",
		"reading Service Quotas Service Quota (vpc/L-1): operation error Service Quotas: GetServiceQuota, " +
			"https response error StatusCode: 500, RequestID: A, ServiceException: no": "",
	} {
		got := likelyCause(message)
		require.True(t, strings.HasPrefix(got, want) && (got == "") == (want == ""), "%s\n%s", message, got)
	}
}

// TestWhatMayBeDoneAllTheSame is what AWS hasn't refused, though it gave no answer that could be used.
func TestWhatMayBeDoneAllTheSame(t *testing.T) {
	t.Parallel()
	metadata := refusedBy("ec2imds", "GetMetadata", 0, errors.New("dial tcp: i/o timeout"))
	for name, test := range map[string]struct {
		err  error
		want bool
	}{
		"no answer":                    {refusedBy("SFN", "StartExecution", 0, errors.New("EOF")), true},
		"an answer that can't be read": {refusedBy("SFN", "StartExecution", 200, &smithy.DeserializationError{Err: errors.New("EOF")}), true},
		"a failure of AWS's":           {refusedBy("SFN", "StartExecution", 500, said("InternalFailure", "")), true},
		"a refusal":                    {refusedBy("SFN", "StartExecution", 400, said("AccessDeniedException", "no")), false},
		"too many requests":            {refusedBy("SFN", "StartExecution", 400, said("ThrottlingException", "no")), false},
		"no such operation":            {refusedBy("SFN", "StartExecution", 501, said("InternalFailure", "no")), false},
		"no credentials": {
			&smithy.OperationError{ServiceID: "SFN", OperationName: "StartExecution", Err: fmt.Errorf("get credentials: %w", metadata)}, false,
		},
		"no request": {errors.New("EOF"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, unanswered(test.err))
			require.Equal(t, test.want, strings.Contains(unsure(test.err, "tell").Error(), "whether it was done isn't known, `tell` tells: "))
		})
	}
	require.NoError(t, unsure(nil, "tell"))
}

// TestACodeIsSaidOnce, also of services whose messages begin with it.
func TestACodeIsSaidOnce(t *testing.T) {
	t.Parallel()
	for _, message := range []string{"no", "AccessDeniedException: no"} {
		err := asked("asking", refusedBy("Lambda", "GetFunctionConfiguration", 403, said("AccessDeniedException", message)))
		require.Regexp(t, `^asking: AccessDeniedException: no \(likely: `, err.Error())
	}
}

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
