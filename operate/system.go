package operate

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go/logging"
	"github.com/dustin/go-humanize"

	"example.com/upload-router/internal/awsquery"
)

// What is said of a store without data, and of one that isn't there any more.
const (
	nothingInIt = "empty"
	gone        = "gone"
)

// System is a deployed system. It is safe for concurrent use.
type System struct {
	// Outputs are what is deployed.
	Outputs Outputs
	// Poll is how often AWS is asked while something is waited for. [Connect] sets a second.
	Poll time.Duration

	objects    *s3.Client
	states     *sfn.Client
	queues     *sqs.Client
	items      *dynamodb.Client
	logs       *cloudwatchlogs.Client
	alarms     *cloudwatch.Client
	events     *eventbridge.Client
	images     *ecr.Client
	functions  *lambda.Client
	containers *ecs.Client
	network    *awsquery.EC2
	roles      *awsquery.IAM
}

// answerTimeout is how long AWS may take from the whole of a request to the beginning of its answer. The SDK sets no limit: somebody
// who accepts connections and never answers would be waited for without end.
const answerTimeout = time.Minute

// LoadAWS gives the AWS configuration that the AWS CLI would use: environment,
// profile, role. An empty profile is the default one.
func LoadAWS(ctx context.Context, region, profile string) (aws.Config, error) {
	options := []func(*config.LoadOptions) error{
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
			t.ResponseHeaderTimeout = answerTimeout
		})),
		config.WithLogger(logging.Nop{}), // which would write into what a command prints, such as of a connection that can't be used again
	}
	if os.Getenv("AWS_MAX_ATTEMPTS") == "" { // the user's own goes before
		options = append(options, config.WithRetryMaxAttempts(6))
	}
	if region != "" {
		options = append(options, config.WithRegion(region))
	}
	if profile != "" {
		options = append(options, config.WithSharedConfigProfile(profile))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return aws.Config{}, fmt.Errorf("%w: finding AWS credentials: %w", ErrNotReady, err)
	}
	return cfg, nil
}

// Connect gives the deployed system that outputs name. Its Region is the one
// in the outputs, whatever cfg says. Nothing is asked yet.
func Connect(cfg aws.Config, outputs Outputs) *System {
	cfg = cfg.Copy()
	if region := outputs.Region(); region != "" { // which a stack that isn't deployed whole doesn't say
		cfg.Region = region
	}
	return &System{
		Outputs:    outputs,
		objects:    newS3(cfg),
		states:     sfn.NewFromConfig(cfg),
		queues:     sqs.NewFromConfig(cfg),
		items:      dynamodb.NewFromConfig(cfg),
		logs:       cloudwatchlogs.NewFromConfig(cfg),
		alarms:     cloudwatch.NewFromConfig(cfg),
		events:     eventbridge.NewFromConfig(cfg),
		images:     ecr.NewFromConfig(cfg),
		functions:  lambda.NewFromConfig(cfg),
		containers: ecs.NewFromConfig(cfg),
		network:    awsquery.NewEC2(cfg),
		roles:      awsquery.NewIAM(cfg),
		Poll:       time.Second,
	}
}

// newS3 gives a client. An endpoint of one's own rarely has a name for each bucket.
func newS3(cfg aws.Config) *s3.Client {
	return s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.UsePathStyle = o.BaseEndpoint != nil
		o.APIOptions = append(o.APIOptions, readableXML)
	})
}

// atLeast is a count that was stopped.
const countLimit = 10_000

func (s *System) countObjects(ctx context.Context) (string, error) {
	var n, bytes int64
	more := ""
	for page, err := range s.versions(ctx, "") {
		if hasCode(err, "NoSuchBucket") {
			return gone, nil
		}
		if err != nil {
			return "", err
		}
		n += int64(len(page.Versions) + len(page.DeleteMarkers))
		for _, v := range page.Versions {
			bytes += aws.ToInt64(v.Size)
		}
		if n >= countLimit {
			if aws.ToBool(page.IsTruncated) {
				more = "more than "
			}
			break
		}
	}
	if n == 0 {
		return nothingInIt, nil
	}
	return fmt.Sprintf("%s%s, %s", more, plural(n, "object version"), humanize.IBytes(uint64(max(0, bytes)))), nil
}

func (s *System) countMessages(ctx context.Context) (string, error) {
	n, err := s.DeadLetterCount(ctx)
	return eventsOf(n, "undelivered event", err)
}

func (s *System) countWaiting(ctx context.Context) (string, error) {
	n, err := s.countPaused(ctx)
	return eventsOf(n, "waiting event", err)
}

// eventsOf says how many events are in a queue.
func eventsOf(n int64, what string, err error) (string, error) {
	switch {
	case err != nil:
		return "", err
	case n == 0:
		return nothingInIt, nil
	}
	return plural(n, what), nil
}

// DeadLetterCount is about how many messages the dead-letter queue holds, those that somebody is reading included.
func (s *System) DeadLetterCount(ctx context.Context) (int64, error) {
	visible, hidden, err := s.countDeadLetters(ctx)
	return visible + hidden, err
}

// countDeadLetters distinguishes the messages that can be read from those that somebody is reading.
func (s *System) countDeadLetters(ctx context.Context) (visible, hidden int64, err error) {
	return s.countQueue(ctx, s.Outputs.DeadLetterQueueURL)
}

// countQueue counts the messages of a queue.
func (s *System) countQueue(ctx context.Context, url string) (visible, hidden int64, err error) {
	counts := map[sqstypes.QueueAttributeName]*int64{
		sqstypes.QueueAttributeNameApproximateNumberOfMessages:           &visible,
		sqstypes.QueueAttributeNameApproximateNumberOfMessagesNotVisible: &hidden,
	}
	answer, err := s.queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &url, AttributeNames: slices.Collect(maps.Keys(counts)),
	})
	if err != nil {
		return 0, 0, asked("counting the messages of "+lastPart(url, "/"), err)
	}
	for name, count := range counts {
		if *count, err = strconv.ParseInt(answer.Attributes[string(name)], 10, 64); err != nil {
			return 0, 0, fmt.Errorf("counting the messages of %s: %s: %w", lastPart(url, "/"), name, err)
		}
	}
	return visible, hidden, nil
}

func (s *System) countImages(repository string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		pages := ecr.NewDescribeImagesPaginator(s.images, &ecr.DescribeImagesInput{RepositoryName: &repository})
		var n int64
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if hasCode(err, "RepositoryNotFoundException") {
				return gone, nil
			}
			if err != nil {
				return "", fmt.Errorf("listing the images: %w", err)
			}
			n += int64(len(page.ImageDetails))
		}
		if n == 0 {
			return nothingInIt, nil
		}
		return plural(n, "image"), nil
	}
}

func (s *System) countLogs(group string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		groups, err := s.logs.DescribeLogGroups(ctx, &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: &group})
		if err != nil {
			return "", fmt.Errorf("looking at the log group: %w", err)
		}
		for _, g := range groups.LogGroups {
			if aws.ToString(g.LogGroupName) != group {
				continue
			}
			if stored := aws.ToInt64(g.StoredBytes); stored > 0 {
				return humanize.IBytes(uint64(stored)), nil
			}
			return nothingInIt, nil
		}
		return gone, nil
	}
}

// plural counts things.
func plural(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return humanize.Comma(n) + " " + thing + "s"
}
