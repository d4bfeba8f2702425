// Package getobject is S3's GetObject for a host that does nothing else with S3: one attempt, with little work for each request.
//
// It takes the SDK's rules for endpoints, its signer, its credentials, its HTTP client and its types, and leaves out what the SDK's
// client does for every other operation. That is most of the work for a small object: 150 µs of each request, where hashing 16 KiB takes
// 12 (docs/performance.md). How often a request is made again is the caller's business, who knows what other connections met with.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
package getobject

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithy "github.com/aws/smithy-go"
	"github.com/aws/smithy-go/auth"
	"github.com/aws/smithy-go/encoding/httpbinding"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

const (
	service = "S3"
	// noPayload is the SHA-256 of nothing, which is what a GET sends.
	noPayload = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	// signingName is what S3 is called in signatures, and sigV4 is how it wants them.
	signingName = "s3"
	sigV4       = "sigv4"
	// mostOfAnError is how much is read of an error's document, which is a few hundred bytes.
	mostOfAnError = 64 << 10
)

// Options configure a Client.
type Options struct {
	// Region is where the buckets are. Required.
	Region string
	// Credentials sign the requests; they should be cached. Required.
	Credentials aws.CredentialsProvider
	// HTTPClient sends the requests. Required.
	HTTPClient aws.HTTPClient
	// BaseEndpoint is the URL of another S3 than AWS's. Default: AWS's own for the Region.
	BaseEndpoint string
	// UsePathStyle names the bucket in the path and not in the host name.
	UsePathStyle bool
	// UseFIPS and UseDualStack choose among AWS's endpoints.
	UseFIPS, UseDualStack bool
}

// Client gets objects. It is safe for concurrent use.
type Client struct {
	options   Options
	resolver  s3.EndpointResolverV2
	signer    *v4.Signer
	endpoints sync.Map // of endpoint, by bucket
}

// endpoint is where a bucket is.
type endpoint struct {
	url           url.URL
	signingRegion string
}

// New makes a Client.
func New(options Options) *Client {
	return &Client{
		options: options, resolver: s3.NewDefaultEndpointResolverV2(),
		// S3 takes keys as they are: its paths are escaped once, and never shortened.
		signer: v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }),
	}
}

// Options are those that the client was made with.
func (c *Client) Options() Options { return c.options }

var errAuthentication = errors.New("the bucket takes another kind of signature than version 4")

// GetObject makes one attempt to get an object. Of the input it knows Bucket, Key, VersionId, Range, IfMatch and ChecksumMode; it fills
// in of the output Body, ContentLength, ContentRange, ETag, VersionId, the checksums and their type. The body must be closed.
//
// Errors are those of the SDK: what S3 answers is a [smithy.APIError] in an [awshttp.ResponseError], and a [smithyhttp.RequestSendError]
// is one of the connection.
func (c *Client) GetObject(ctx context.Context, input *s3.GetObjectInput) (*s3.GetObjectOutput, error) {
	output, err := c.get(ctx, input)
	if err != nil {
		return nil, &smithy.OperationError{ServiceID: service, OperationName: "GetObject", Err: err}
	}
	return output, nil
}

func (c *Client) get(ctx context.Context, input *s3.GetObjectInput) (*s3.GetObjectOutput, error) {
	to, err := c.endpoint(ctx, aws.ToString(input.Bucket))
	if err != nil {
		return nil, err
	}
	request := (&http.Request{
		Method: http.MethodGet, URL: to.object(input), Host: to.url.Host, Header: headers(input),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	credentials, err := c.options.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, fmt.Errorf("getting the credentials: %w", err)
	}
	if err := c.signer.SignHTTP(ctx, credentials, request, noPayload, signingName, to.signingRegion, time.Now()); err != nil {
		return nil, fmt.Errorf("signing the request: %w", err)
	}
	response, err := c.options.HTTPClient.Do(request)
	if err != nil {
		return nil, &smithyhttp.RequestSendError{Err: err}
	}
	if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusPartialContent {
		defer func() { _ = response.Body.Close() }()
		return nil, failure(response)
	}
	return outputOf(response), nil
}

// endpoint asks the SDK's rules once for each bucket.
func (c *Client) endpoint(ctx context.Context, bucket string) (*endpoint, error) {
	if known, ok := c.endpoints.Load(bucket); ok {
		return known.(*endpoint), nil //nolint:forcetypeassert // Nothing else is put there.
	}
	parameters := s3.EndpointParameters{
		Bucket: &bucket, Region: &c.options.Region, ForcePathStyle: &c.options.UsePathStyle,
		UseFIPS: &c.options.UseFIPS, UseDualStack: &c.options.UseDualStack,
	}
	if c.options.BaseEndpoint != "" {
		parameters.Endpoint = &c.options.BaseEndpoint
	}
	resolved, err := c.resolver.ResolveEndpoint(ctx, parameters)
	if err != nil {
		return nil, fmt.Errorf("finding the endpoint of the bucket: %w", err)
	}
	found := &endpoint{url: resolved.URI, signingRegion: c.options.Region}
	schemes, _ := auth.GetAuthOptions(&resolved.Properties)
	for i, scheme := range schemes {
		if scheme.SchemeID == sigV4 {
			if region, ok := smithyhttp.GetSigV4SigningRegion(&scheme.SignerProperties); ok {
				found.signingRegion = region
			}
			break
		}
		if i == len(schemes)-1 {
			return nil, fmt.Errorf("%w: %s", errAuthentication, scheme.SchemeID)
		}
	}
	c.endpoints.Store(bucket, found)
	return found, nil
}

// object is the URL of an object. The path is escaped as S3 wants it, and not as net/url would.
func (e *endpoint) object(input *s3.GetObjectInput) *url.URL {
	u := e.url
	key := aws.ToString(input.Key)
	u.RawPath = strings.TrimSuffix(u.EscapedPath(), "/") + "/" + httpbinding.EscapePath(key, false)
	u.Path = strings.TrimSuffix(u.Path, "/") + "/" + key
	if input.VersionId != nil {
		u.RawQuery = "versionId=" + url.QueryEscape(*input.VersionId)
	}
	return &u
}

func headers(input *s3.GetObjectInput) http.Header {
	h := http.Header{
		"Accept-Encoding":      {"identity"}, // what is stored, and not what is in it
		"User-Agent":           {"upload-router"},
		"X-Amz-Content-Sha256": {noPayload},
	}
	if input.Range != nil {
		h["Range"] = []string{*input.Range}
	}
	if input.IfMatch != nil {
		h["If-Match"] = []string{*input.IfMatch}
	}
	if input.ChecksumMode != "" {
		h["X-Amz-Checksum-Mode"] = []string{string(input.ChecksumMode)}
	}
	return h
}

func outputOf(response *http.Response) *s3.GetObjectOutput {
	h := response.Header
	optional := func(name string) *string {
		if values := h[name]; len(values) > 0 && values[0] != "" {
			return &values[0]
		}
		return nil
	}
	output := &s3.GetObjectOutput{
		Body:              response.Body,
		ContentRange:      optional("Content-Range"),
		ETag:              optional("Etag"),
		VersionId:         optional("X-Amz-Version-Id"),
		ChecksumCRC32:     optional("X-Amz-Checksum-Crc32"),
		ChecksumCRC32C:    optional("X-Amz-Checksum-Crc32c"),
		ChecksumCRC64NVME: optional("X-Amz-Checksum-Crc64nvme"),
		ChecksumSHA1:      optional("X-Amz-Checksum-Sha1"),
		ChecksumSHA256:    optional("X-Amz-Checksum-Sha256"),
		ChecksumSHA512:    optional("X-Amz-Checksum-Sha512"),
		ChecksumType:      types.ChecksumType(h.Get("X-Amz-Checksum-Type")),
	}
	for name, values := range h {
		if own, is := strings.CutPrefix(name, "X-Amz-Meta-"); is && len(values) > 0 {
			if output.Metadata == nil {
				output.Metadata = map[string]string{}
			}
			output.Metadata[strings.ToLower(own)] = values[0]
		}
	}
	if response.ContentLength >= 0 {
		output.ContentLength = &response.ContentLength
	}
	return output
}

// failure is the error of an answer that is none.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
func failure(response *http.Response) error {
	var document struct {
		XMLName                  xml.Name `xml:"Error"`
		Code, Message, RequestId string   //nolint:revive // S3's names.
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, mostOfAnError))
	if err == nil && len(text) > 0 {
		err = xml.Unmarshal(text, &document)
	}
	if document.Code == "" { // such as one of something in between
		document.Code = strings.ReplaceAll(http.StatusText(response.StatusCode), " ", "")
		if err != nil {
			document.Message = "its document can't be read: " + err.Error()
		}
	}
	id := response.Header.Get("X-Amz-Request-Id")
	if id == "" {
		id = document.RequestId
	}
	return &awshttp.ResponseError{RequestID: id, ResponseError: &smithyhttp.ResponseError{
		Response: &smithyhttp.Response{Response: response},
		Err:      &smithy.GenericAPIError{Code: document.Code, Message: document.Message},
	}}
}
