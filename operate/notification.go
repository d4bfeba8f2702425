package operate

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"example.com/upload-router/internal/settings"
)

// Notification is what became of the notification configuration of a bucket that is there already.
type Notification struct {
	// Bucket is the bucket's name.
	Bucket string `json:"bucket"`
	// Added says whether EventBridge was added to it. Otherwise it was on, and nothing was put.
	Added bool `json:"added"`
}

// Buckets are the buckets that are there already and whose uploads the configuration has processed; none if the stack makes one.
func (s *Stack) Buckets(ctx context.Context) ([]string, error) {
	config, err := s.Config(ctx)
	if err != nil {
		return nil, err
	}
	loaded, err := loadSettings(s.project, config, settings.WithStack(s.name))
	if err != nil {
		return nil, err
	}
	return loaded.Buckets, nil
}

// EnableEventBridge adds EventBridge to the notification configuration of each of [Stack.Buckets], with all else in there as it is. S3
// takes about five minutes until it sends the events. The error matches [ErrRefused] if AWS refuses it, and [ErrTimeout] if what S3 has in
// the end isn't what was put.
func (s *Stack) EnableEventBridge(ctx context.Context, onBucket func(Notification)) error {
	buckets, err := s.Buckets(ctx)
	if err != nil {
		return err
	}
	config, err := s.Config(ctx)
	if err != nil {
		return err
	}
	cfg, err := LoadAWS(ctx, config[keyRegion], config["aws:profile"])
	if err != nil {
		return err
	}
	client := newS3(cfg)
	for _, bucket := range buckets {
		added, err := enableEventBridge(ctx, client, bucket)
		if err != nil {
			return err
		}
		onBucket(Notification{Bucket: bucket, Added: added})
	}
	return nil
}

// enableEventBridge gets a bucket's notification configuration, adds EventBridge, puts it back and gets it again, as there is no way to put
// it on the condition that nobody else has changed it. What is there already isn't put.
//
// The destinations aren't validated: they are as they were, S3 would send a test notification to each, and would refuse all of it for one
// that isn't there any more.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketNotificationConfiguration.html
func enableEventBridge(ctx context.Context, client *s3.Client, bucket string) (added bool, err error) {
	before, err := notificationOf(ctx, client, bucket)
	if err != nil || before.EventBridgeConfiguration != nil {
		return false, err
	}
	wanted := *before
	wanted.EventBridgeConfiguration = &s3types.EventBridgeConfiguration{}
	if _, err := client.PutBucketNotificationConfiguration(ctx, &s3.PutBucketNotificationConfigurationInput{
		Bucket: &bucket, NotificationConfiguration: &wanted, SkipDestinationValidation: aws.Bool(true),
	}); err != nil {
		return false, asked("adding EventBridge to the notification configuration of "+bucket, err)
	}
	// "Amazon S3 bucket configurations have an eventual consistency model."
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html#ConsistencyModel
	const attempts, wait = 5, time.Second
	for attempt := 1; ; attempt++ {
		after, err := notificationOf(ctx, client, bucket)
		if err != nil {
			return false, err
		}
		if bytes.Equal(written(after), written(&wanted)) {
			return true, nil
		}
		if attempt == attempts {
			return false, fmt.Errorf("%w: the notification configuration of %s isn't what was put: somebody else has changed it meanwhile, or S3 "+
				"doesn't show it yet; it was %s and is %s", ErrTimeout, bucket, written(before), written(after))
		}
		if err := sleep(ctx, wait); err != nil {
			return false, err
		}
	}
}

func notificationOf(ctx context.Context, client *s3.Client, bucket string) (*s3types.NotificationConfiguration, error) {
	answer, err := client.GetBucketNotificationConfiguration(ctx, &s3.GetBucketNotificationConfigurationInput{Bucket: &bucket})
	if err != nil {
		return nil, asked("reading the notification configuration of "+bucket, err)
	}
	return &s3types.NotificationConfiguration{
		EventBridgeConfiguration: answer.EventBridgeConfiguration, LambdaFunctionConfigurations: answer.LambdaFunctionConfigurations,
		QueueConfigurations: answer.QueueConfigurations, TopicConfigurations: answer.TopicConfigurations,
	}, nil
}

// written is a notification configuration as the AWS CLI takes it, in an order of its own.
func written(c *s3types.NotificationConfiguration) []byte {
	sorted := *c
	sorted.LambdaFunctionConfigurations = byID(c.LambdaFunctionConfigurations,
		func(f s3types.LambdaFunctionConfiguration) *string { return f.Id })
	sorted.QueueConfigurations = byID(c.QueueConfigurations, func(q s3types.QueueConfiguration) *string { return q.Id })
	sorted.TopicConfigurations = byID(c.TopicConfigurations, func(t s3types.TopicConfiguration) *string { return t.Id })
	text, err := json.Marshal(sorted)
	var tree any
	if err = errors.Join(err, json.Unmarshal(text, &tree)); err != nil {
		return []byte(err.Error()) // texts and lists can always be written
	}
	text, _ = json.Marshal(withoutNothing(tree))
	return text
}

func byID[T any](list []T, id func(T) *string) []T {
	return slices.SortedStableFunc(slices.Values(list), func(a, b T) int { return cmp.Compare(aws.ToString(id(a)), aws.ToString(id(b))) })
}

// withoutNothing leaves the fields of objects out that are null or an empty list.
func withoutNothing(tree any) any {
	switch value := tree.(type) {
	case map[string]any:
		for key, field := range value {
			list, isList := field.([]any)
			if field == nil || isList && len(list) == 0 {
				delete(value, key)
				continue
			}
			value[key] = withoutNothing(field)
		}
	case []any:
		for i := range value {
			value[i] = withoutNothing(value[i])
		}
	}
	return tree
}
