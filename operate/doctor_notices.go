package operate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
)

// notices looks whether anybody hears of what goes wrong. It is for what is
// protected only: what people rely on must not fail in silence.
func (d *doctor) notices(ctx context.Context) {
	if d.settings == nil || !d.settings.Protect {
		return
	}
	const name = "Notices"
	if d.settings.Notifies() {
		d.ok(name, "to whom notify names")
		return
	}
	nobody := Check{
		Name: name, Found: "nobody hears of alarms and of files that fail", Status: CheckFailed,
		Why: "people rely on what is protected (protect is true)", Mend: "pulumi config set --path 'notify[0]' ops@example.com",
	}
	topics := d.owned[typeTopic]
	if len(topics) == 0 {
		d.add(nobody)
		return
	}
	if d.aws == nil {
		return // what is said of the credentials comes first
	}
	ctx, cancel := d.limited(ctx)
	defer cancel()
	others, err := d.subscribed(ctx, topics[0])
	switch {
	case err != nil:
		d.unknown(name, "", rightSubscriptions, err)
	case others == 0:
		d.add(nobody)
	default:
		d.ok(name, "to who has subscribed to the topic: "+plural(int64(others), "subscription"))
	}
}

// subscribed counts who has subscribed to the topic and confirmed it: until then
// AWS lists a word in the place of the ARN. Those that the stack has subscribed
// don't count: without notify, a deployment removes them.
// https://docs.aws.amazon.com/sns/latest/api/API_ListSubscriptionsByTopic.html
func (d *doctor) subscribed(ctx context.Context, topic string) (int, error) {
	count := 0
	pages := sns.NewListSubscriptionsByTopicPaginator(sns.NewFromConfig(*d.aws), &sns.ListSubscriptionsByTopicInput{TopicArn: &topic})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return 0, fmt.Errorf("listing who has subscribed to %s: %w", topic, err)
		}
		for _, s := range page.Subscriptions {
			arn := aws.ToString(s.SubscriptionArn)
			if strings.HasPrefix(arn, "arn:") && !slices.Contains(d.owned[typeSubscription], arn) {
				count++
			}
		}
	}
	return count, nil
}
