// Package awsquery asks EC2 and IAM, which take a form and answer with XML.
//
// The SDK's clients of the two are among its largest, and are compiled whole: 133 s of processor time, a fifth of the command line's first
// build, for 8 of their 900 operations. So these are written out here. Endpoints of one's own, credentials, signatures, retries and the
// forms of errors are the SDK's.
package awsquery

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// client asks one service.
type client struct {
	config aws.Config
	// id is the service's name in errors and in the names of settings, such as AWS_ENDPOINT_URL_EC2.
	id string
	// signingName is the name in signatures and of the endpoint, version that of the API.
	signingName, version string
	// endpoint gives the address, and the Region that is signed for.
	endpoint func(region string, fips bool) (address, signingRegion string)
}

// call makes a request and has the answer read, an XML document. The error is what the SDK's clients would give.
func (c *client) call(ctx context.Context, operation string, form url.Values, read func(io.Reader) error) error {
	address, region, err := c.resolve(ctx)
	if err != nil {
		return fmt.Errorf("finding the endpoint of %s: %w", c.id, err)
	}
	body := "Action=" + operation + "&Version=" + c.version
	if len(form) > 0 {
		body += "&" + form.Encode()
	}
	stack := middleware.NewStack(operation, smithyhttp.NewStackRequest)
	for _, add := range []func(*middleware.Stack) error{
		func(s *middleware.Stack) error {
			return s.Serialize.Add(serializer(address, body), middleware.After)
		},
		func(s *middleware.Stack) error {
			return s.Finalize.Add(retry.NewAttemptMiddleware(c.retryer(), smithyhttp.RequestCloner), middleware.After)
		},
		func(s *middleware.Stack) error { return s.Finalize.Add(c.signer(body, region), middleware.After) },
		func(s *middleware.Stack) error { return s.Deserialize.Add(deserializer(read), middleware.After) },
		awsmiddleware.AddRequestIDRetrieverMiddleware,
		awshttp.AddResponseErrorMiddleware,
	} {
		if err := add(stack); err != nil {
			return fmt.Errorf("preparing %s: %w", operation, err)
		}
	}
	var sender smithyhttp.ClientDo = awshttp.NewBuildableClient()
	if c.config.HTTPClient != nil {
		sender = c.config.HTTPClient
	}
	handler := middleware.DecorateHandler(smithyhttp.NewClientHandlerWithOptions(sender), stack)
	if _, _, err := handler.Handle(ctx, nil); err != nil {
		return &smithy.OperationError{ServiceID: c.id, OperationName: operation, Err: err}
	}
	return nil
}

// serializer writes a request.
func serializer(address, body string) middleware.SerializeMiddleware {
	return middleware.SerializeMiddlewareFunc("OperationSerializer", func(
		ctx context.Context, in middleware.SerializeInput, next middleware.SerializeHandler,
	) (out middleware.SerializeOutput, metadata middleware.Metadata, err error) {
		request, ok := in.Request.(*smithyhttp.Request)
		if !ok {
			return out, metadata, &smithy.SerializationError{Err: fmt.Errorf("unknown kind of request: %T", in.Request)}
		}
		if request.URL, err = url.Parse(address); err != nil {
			return out, metadata, &smithy.SerializationError{Err: err}
		}
		if request.URL.Path == "" {
			request.URL.Path = "/"
		}
		request.Method = http.MethodPost
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if in.Request, err = request.SetStream(strings.NewReader(body)); err != nil {
			return out, metadata, &smithy.SerializationError{Err: err}
		}
		return next.HandleSerialize(ctx, in)
	})
}

func (c *client) retryer() aws.Retryer {
	if c.config.Retryer != nil {
		return c.config.Retryer()
	}
	return retry.NewStandard(func(o *retry.StandardOptions) {
		if c.config.RetryMaxAttempts > 0 {
			o.MaxAttempts = c.config.RetryMaxAttempts
		}
	})
}

// signer signs each attempt, with the credentials and the time that it is made with.
func (c *client) signer(body, region string) middleware.FinalizeMiddleware {
	hash := sha256.Sum256([]byte(body))
	return middleware.FinalizeMiddlewareFunc("Signing", func(
		ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler,
	) (out middleware.FinalizeOutput, metadata middleware.Metadata, err error) {
		request, ok := in.Request.(*smithyhttp.Request)
		if !ok || c.config.Credentials == nil {
			return out, metadata, &v4.SigningError{Err: errNotSigned}
		}
		keys, err := c.config.Credentials.Retrieve(ctx)
		if err == nil {
			err = v4.NewSigner().SignHTTP(ctx, keys, request.Request, hex.EncodeToString(hash[:]), c.signingName, region, time.Now())
		}
		if err != nil {
			return out, metadata, &v4.SigningError{Err: err}
		}
		return next.HandleFinalize(ctx, in)
	})
}

var errNotSigned = errors.New("there are no credentials to sign with")

// deserializer has an answer read, and makes an error of a refusal.
func deserializer(read func(io.Reader) error) middleware.DeserializeMiddleware {
	return middleware.DeserializeMiddlewareFunc("OperationDeserializer", func(
		ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler,
	) (out middleware.DeserializeOutput, metadata middleware.Metadata, err error) {
		if out, metadata, err = next.HandleDeserialize(ctx, in); err != nil {
			return out, metadata, err
		}
		response, ok := out.RawResponse.(*smithyhttp.Response)
		switch {
		case !ok:
			return out, metadata, &smithy.DeserializationError{Err: fmt.Errorf("unknown kind of response: %T", out.RawResponse)}
		case response.StatusCode >= http.StatusMultipleChoices:
			err = refusal(response.Body)
		default:
			if err = read(response.Body); err != nil {
				err = &smithy.DeserializationError{Err: err}
			}
		}
		smithyhttp.CloseResponseBody(ctx, response, false, err)
		return out, metadata, err
	})
}

// maxRefusal is as much of a refusal as is read, in bytes.
const maxRefusal = 1 << 20

// refusal is the error in an answer: EC2 has <Response><Errors><Error>, IAM <ErrorResponse><Error>.
func refusal(body io.Reader) error {
	refused := smithy.GenericAPIError{Code: "UnknownError", Message: "UnknownError"}
	decoder := xml.NewDecoder(io.LimitReader(body, maxRefusal))
	for {
		token, err := decoder.Token()
		if err != nil {
			return &refused // such as the page of a proxy
		}
		start, ok := token.(xml.StartElement)
		if !ok || start.Name.Local != "Error" {
			continue
		}
		var found struct{ Code, Message string }
		if err := decoder.DecodeElement(&found, &start); err == nil && found.Code != "" {
			refused.Code, refused.Message = found.Code, found.Message
		}
		return &refused
	}
}

// list gives all elements of an answer's list, which may come in pages. The list is the XML element of a name, its elements are called item
// by EC2 and member by IAM; next is the element that leads to the next page, and is sent back as the parameter.
func list[T any](ctx context.Context, c *client, operation string, form url.Values, name, next, parameter string) ([]T, error) {
	var all []T
	for {
		page := page[T]{name: name, next: next}
		if err := c.call(ctx, operation, form, page.read); err != nil {
			return nil, err
		}
		all = append(all, page.items...)
		if page.token == "" || page.token == form.Get(parameter) {
			return all, nil
		}
		form.Set(parameter, page.token)
	}
}

// page is one answer with a part of a list.
type page[T any] struct {
	name, next string
	items      []T
	token      string
}

var errNoList = errors.New("the answer doesn't have the list")

func (p *page[T]) read(body io.Reader) error {
	decoder := xml.NewDecoder(body)
	for found := false; ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) && found {
			return nil
		}
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%w %s", errNoList, p.name)
		}
		if err != nil {
			return fmt.Errorf("reading the answer: %w", err)
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		switch start.Name.Local {
		case p.name:
			var of struct {
				Items   []T `xml:"item"`
				Members []T `xml:"member"`
			}
			err, found = decoder.DecodeElement(&of, &start), true
			p.items = slices.Concat(of.Items, of.Members)
		case p.next:
			err = decoder.DecodeElement(&p.token, &start)
		}
		if err != nil {
			return fmt.Errorf("reading the answer's %s: %w", start.Name.Local, err)
		}
	}
}

// number adds values to a form as a list: name.1, name.2 and so on.
func number(form url.Values, name string, values ...string) {
	for i, value := range values {
		form.Set(name+"."+strconv.Itoa(i+1), value)
	}
}
