package reader

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"example.com/upload-router/internal/host/getobject"
	"example.com/upload-router/upload"
)

// containerCredentials is where ECS gives a task the credentials of its role, below the path in AWS_CONTAINER_CREDENTIALS_RELATIVE_URI.
// See https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html.
const containerCredentials = "http://169.254.170.2" //nolint:gosec // It is an address.

var (
	errNoRegion      = errors.New("there is no Region: set AWS_REGION, as Lambda and ECS do")
	errNoCredentials = errors.New("there are no credentials: Lambda gives those of the function's role as AWS_ACCESS_KEY_ID, " +
		"AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, ECS those of the task's role at AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
)

// NewClient makes the S3 client of a host out of the environment variables that Lambda and ECS set: Region, credentials of the function
// or the task, AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL, AWS_USE_FIPS_ENDPOINT and AWS_USE_DUALSTACK_ENDPOINT. The SDK's other sources
// (profiles, single sign-on, EC2's metadata) exist on neither host; without them the host starts sooner, and is smaller.
//
// When an endpoint is given, buckets are addressed in the path: a bucket's name in front of the host name of a local runner or of a VPC
// endpoint would not resolve. A connection on which S3 does not start to answer within [StallTimeout] is given up.
//
// An error has code [upload.Failed].
func NewClient(ctx context.Context) (*getobject.Client, error) {
	cfg, environment, err := load()
	if err != nil {
		return nil, err
	}
	base, _, err := environment.GetServiceBaseEndpoint(ctx, s3.ServiceID)
	if err != nil {
		return nil, &upload.Error{Code: upload.Failed, Err: fmt.Errorf("loading the AWS configuration: %w", err)}
	}
	base = cmp.Or(base, aws.ToString(cfg.BaseEndpoint))
	return getobject.New(getobject.Options{
		Region: cfg.Region, Credentials: cfg.Credentials, HTTPClient: cfg.HTTPClient, BaseEndpoint: base, UsePathStyle: base != "",
		UseFIPS:      environment.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled,
		UseDualStack: environment.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled,
	}), nil
}

// NewConfig is the part of [NewClient] that the client of any service needs. An error has code [upload.Failed].
func NewConfig() (aws.Config, error) {
	cfg, _, err := load()
	return cfg, err
}

func load() (aws.Config, config.EnvConfig, error) {
	environment, err := config.NewEnvConfig()
	if err != nil {
		return aws.Config{}, environment, &upload.Error{Code: upload.Failed, Err: fmt.Errorf("loading the AWS configuration: %w", err)}
	}
	if environment.Region == "" {
		return aws.Config{}, environment, &upload.Error{Code: upload.Failed, Err: fmt.Errorf("loading the AWS configuration: %w", errNoRegion)}
	}
	provider, err := credentialsOf(environment)
	if err != nil {
		return aws.Config{}, environment, &upload.Error{Code: upload.Failed, Err: fmt.Errorf("loading the AWS configuration: %w", err)}
	}
	cfg := aws.Config{
		Region:      environment.Region,
		Credentials: aws.NewCredentialsCache(provider),
		HTTPClient: awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
			t.ResponseHeaderTimeout = StallTimeout
			t.MaxIdleConnsPerHost = maxConnections
			// A read from the connection goes straight to the reader when it asks for more than the buffer holds.
			t.ReadBufferSize = transportBuffer
		}),
		RetryMode:        environment.RetryMode,
		RetryMaxAttempts: environment.RetryMaxAttempts,
		ConfigSources:    []any{environment},
	}
	if environment.BaseEndpoint != "" {
		cfg.BaseEndpoint = aws.String(environment.BaseEndpoint)
	}
	return cfg, environment, nil
}

// credentialsOf finds the credentials of the host's role: ECS's when it offers them, as they are renewed, else those in the environment.
func credentialsOf(environment config.EnvConfig) (aws.CredentialsProvider, error) {
	switch {
	case environment.Credentials.HasKeys():
		return credentials.StaticCredentialsProvider{Value: environment.Credentials}, nil
	case environment.ContainerCredentialsRelativePath != "":
		return endpointcreds.New(containerCredentials + environment.ContainerCredentialsRelativePath), nil
	default:
		return nil, errNoCredentials
	}
}
