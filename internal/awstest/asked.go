package awstest

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// services are IAM's prefixes: by what the header X-Amz-Target names, and by the version of a protocol that writes forms.
var services = map[string]string{
	"AWSStepFunctions": "states", "DynamoDB_20120810": "dynamodb", "AmazonSQS": "sqs", "Logs_20140328": "logs", "AWSEvents": "events",
	"AmazonEC2ContainerServiceV20141113": "ecs", "AmazonEC2ContainerRegistry_V20150921": "ecr", "ServiceQuotasV20190624": "servicequotas",
	"2010-08-01": "cloudwatch", "2016-11-15": "ec2", "2010-05-08": "iam", "2010-03-31": "sns", "2011-06-15": "sts",
}

// otherwise are the actions that IAM calls otherwise than the operation.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html
var otherwise = map[string]string{
	"sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility", "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
}

// actionOf is the action of IAM that an operation takes, by what [services] knows its service by.
func actionOf(service, operation string) string {
	action := services[service] + ":" + operation
	if other := otherwise[action]; other != "" {
		return other
	}
	return action
}

// objectAction is the action that a request of S3 takes.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
func objectAction(r *http.Request) string {
	query := r.URL.Query()
	_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	version := map[bool]string{true: "Version"}[query.Has("versionId")]
	switch {
	case query.Has("versions"):
		return "s3:ListBucketVersions"
	case query.Has("notification"):
		return "s3:GetBucketNotification"
	case key == "":
		return "s3:ListBucket"
	case query.Has("uploadId") && r.Method == http.MethodGet:
		return "s3:ListMultipartUploadParts"
	case query.Has("uploadId") && r.Method == http.MethodDelete:
		return "s3:AbortMultipartUpload"
	case r.Method == http.MethodPut || r.Method == http.MethodPost:
		return "s3:PutObject"
	case r.Method == http.MethodDelete:
		return "s3:DeleteObject" + version
	}
	return "s3:GetObject" + version
}

// Asked are the actions of IAM that the requests took since it was last asked for, each once, in alphabetical order.
func (s *Server) Asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := slices.Sorted(maps.Keys(s.asked))
	clear(s.asked)
	return asked
}
