package local

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// ObjectsAs is a client of the local S3 with the credentials that a process gets which has a role.
func (r *Router) ObjectsAs(roleARN string) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(r.store.Endpoint()), Region: r.options.Region, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(accessKey(roleARN), localSecretKey, ""),
	})
}
