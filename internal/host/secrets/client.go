package secrets

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"example.com/upload-router/internal/host/reader"
	"example.com/upload-router/internal/partition"
	"example.com/upload-router/upload"
)

const (
	// attempts are those of each request, with a pause between them that doubles from pause on.
	attempts = 5
	pause    = 200 * time.Millisecond
	// attemptTimeout is for one of them.
	attemptTimeout = 5 * time.Second
	// maxAnswer is larger than any answer: a secret has 64 KiB at most, which as JSON may be six times as many.
	maxAnswer = 1 << 20
)

// api is how a service is asked for a value. The two calls are all that is taken of the services' SDKs, whose modules would make the
// function larger, and so its start slower.
type api struct {
	// service is its name in ARNs, host names and signatures, target the operation, and endpoint the variable by which AWS's SDKs find the
	// service elsewhere.
	service, target, endpoint string
	// ask is the request's body, and value finds the value in the answer.
	ask   func(arn string) any
	value func(answer []byte) (string, error)
}

var (
	errNoValue = errors.New("it has no text: a binary secret can't be a variable")
	errAnswer  = errors.New("the answer isn't one of AWS")
)

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html
var apis = map[string]api{
	"secretsmanager": {
		service: "secretsmanager", target: "secretsmanager.GetSecretValue", endpoint: "AWS_ENDPOINT_URL_SECRETS_MANAGER",
		ask: func(arn string) any { return map[string]any{"SecretId": arn} },
		value: func(answer []byte) (string, error) {
			var got struct{ SecretString *string }
			if err := json.Unmarshal(answer, &got); err != nil || got.SecretString == nil {
				return "", errNoValue // and nothing of the answer, which may be the value
			}
			return *got.SecretString, nil
		},
	},
	"ssm": {
		service: "ssm", target: "AmazonSSM.GetParameter", endpoint: "AWS_ENDPOINT_URL_SSM",
		ask: func(arn string) any { return map[string]any{"Name": arn, "WithDecryption": true} },
		value: func(answer []byte) (string, error) {
			var got struct{ Parameter struct{ Value *string } }
			if err := json.Unmarshal(answer, &got); err != nil || got.Parameter.Value == nil {
				return "", errNoValue
			}
			return *got.Parameter.Value, nil
		},
	},
}

// client calls both services with the host's credentials.
type client struct {
	lookup func(string) (string, bool)
	http   *http.Client
	// configuration is the host's, which is loaded once it is needed.
	configuration func() (aws.Config, error)
	sleep         func(ctx context.Context, d time.Duration) error
}

func newClient(lookup func(string) (string, bool)) *client {
	return &client{
		lookup: lookup, http: &http.Client{Timeout: attemptTimeout}, sleep: sleep,
		configuration: sync.OnceValues(reader.NewConfig),
	}
}

// sleep waits, unless the context ends first.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// fetch gives the value of an ARN. Every error is an [upload.Error].
func (c *client) fetch(ctx context.Context, of string) (string, error) {
	parsed, _ := arn.Parse(of) // What is no ARN is of no service.
	asked, known := apis[parsed.Service]
	if !known {
		return "", &upload.Error{Code: upload.Invalid, Err: fmt.Errorf("%s is neither a secret nor a parameter", of)}
	}
	for attempt := range attempts {
		if attempt > 0 {
			if err := c.sleep(ctx, pause<<(attempt-1)); err != nil {
				return "", &upload.Error{Code: upload.Interrupted, Err: err}
			}
		}
		answer, err := c.call(ctx, asked, of)
		if err == nil {
			value, err := asked.value(answer)
			if err != nil {
				return "", &upload.Error{Code: upload.Failed, Err: fmt.Errorf("%s: %w", of, err)}
			}
			return value, nil
		}
		failed := classify(ctx, of, err)
		if failed.Code != upload.Unavailable || attempt == attempts-1 {
			return "", failed
		}
	}
	panic("unreachable")
}

// refusal is an answer that isn't the value.
type refusal struct {
	status        int
	code, message string
}

func (r *refusal) Error() string {
	return fmt.Sprintf("%s: %s (status %d)", r.code, r.message, r.status)
}

// temporary are AWS's names of what another try may mend.
//
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/CommonErrors.html
var temporary = []string{"Throttling", "TooManyRequests", "RequestLimitExceeded", "InternalServ", "ServiceUnavailable"}

// denied are AWS's names of what the role may not do, or KMS not for it.
var denied = []string{"AccessDenied", "DecryptionFailure", "InvalidKeyId", "UnrecognizedClient", "InvalidSignature", "ExpiredToken"}

func classify(ctx context.Context, of string, err error) *upload.Error {
	failed := &upload.Error{Code: upload.Unavailable, Err: fmt.Errorf("%s: %w", of, err)}
	answered, ok := errors.AsType[*refusal](err)
	names := func(list []string) bool {
		for _, name := range list {
			if strings.HasPrefix(answered.code, name) {
				return true
			}
		}
		return false
	}
	switch {
	case ctx.Err() != nil:
		failed.Code = upload.Interrupted
	case !ok || answered.status >= http.StatusInternalServerError || answered.status == http.StatusTooManyRequests || names(temporary):
	case names(denied) || answered.status == http.StatusForbidden:
		failed.Code = upload.AccessDenied
	default:
		failed.Code = upload.Failed
	}
	return failed
}

// call makes one request.
func (c *client) call(ctx context.Context, asked api, of string) ([]byte, error) {
	cfg, err := c.configuration()
	if err != nil {
		return nil, fmt.Errorf("loading the host's configuration: %w", err)
	}
	body, err := json.Marshal(asked.ask(of))
	if err != nil {
		return nil, fmt.Errorf("writing the request: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint(asked, cfg.Region), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("writing the request: %w", err)
	}
	request.Header.Set("Content-Type", "application/x-amz-json-1.1")
	request.Header.Set("X-Amz-Target", asked.target)
	credentials, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, fmt.Errorf("getting the role's credentials: %w", err)
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(
		ctx, credentials, request, hex.EncodeToString(sum[:]), asked.service, cfg.Region, time.Now()); err != nil {
		return nil, fmt.Errorf("signing the request: %w", err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking for it: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	if response.StatusCode == http.StatusOK {
		return answer, nil
	}
	return nil, refused(response.StatusCode, answer)
}

// refused reads what AWS says in the place of the value.
func refused(status int, answer []byte) error {
	var said struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(answer, &said); err != nil {
		return &refusal{status: status, code: "UnknownError", message: errAnswer.Error()}
	}
	code := said.Type[strings.LastIndexByte(said.Type, '#')+1:]
	return &refusal{status: status, code: code, message: said.Message}
}

// endpoint is where a service is.
func (c *client) endpoint(asked api, region string) string {
	for _, name := range []string{asked.endpoint, "AWS_ENDPOINT_URL"} {
		if url, ok := c.lookup(name); ok && url != "" {
			return strings.TrimSuffix(url, "/") + "/"
		}
	}
	p, _ := partition.OfRegion(region)
	return fmt.Sprintf("https://%s.%s.%s/", asked.service, region, p.DNSSuffix)
}
