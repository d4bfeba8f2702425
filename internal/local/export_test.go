package local

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"example.com/upload-router/internal/objectstore"
)

// ItemsAs is a client of the local DynamoDB with the credentials that a process gets which has a role.
func (r *Router) ItemsAs(roleARN string) *awsdynamodb.Client {
	return awsdynamodb.New(awsdynamodb.Options{
		BaseEndpoint: aws.String(r.items.Endpoint()), Region: r.options.Region,
		Credentials: credentials.NewStaticCredentialsProvider(accessKey(roleARN), localSecretKey, ""),
	})
}

// Store is the local S3, for tests that change objects behind the Router's back.
func (r *Router) Store() *objectstore.Server { return r.store }

// Scratch is the Router's folder, which must be gone in the end.
func (r *Router) Scratch() string { return r.scratch }

// OwnRoot tries whether a process can have a root of its own here.
func OwnRoot(ctx context.Context, folder string) error { return ownRoot(ctx, folder) }
