package operate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"example.com/upload-router/internal/declared"
)

// notices looks whether anybody hears of what goes wrong. It is for what is
// protected only: what people rely on must not fail in silence.
func (d *doctor) notices(ctx context.Context) {
	if d.settings == nil || !d.settings.Protect {
		return
	}
	topics := d.owned[declared.TypeTopic]
	// A topic of others needs none of the stack's own, which a deployment removes.
	if len(topics) == 0 || d.settings.NotifyTopicARN != "" {
		d.named()
		return
	}
	if d.aws == nil {
		return // what is said of the credentials comes first
	}
	ctx, cancel := d.limited(ctx)
	defer cancel()
	subscriptions, err := d.confirmed(ctx, topics[0])
	if err != nil {
		d.unknown(checkNotices, "", actionSubscriptions, err)
		return
	}
	if d.settings.Notifies() {
		d.addresses(len(subscriptions))
		return
	}
	// Those that the stack has subscribed don't count: without notify, a deployment removes them.
	others := slices.DeleteFunc(subscriptions, func(arn string) bool { return slices.Contains(d.owned[declared.TypeTopicSubscription], arn) })
	if len(others) == 0 {
		d.nobodyHears()
		return
	}
	d.ok(checkNotices, "to who has subscribed to the topic: "+plural(int64(len(others)), "subscription"))
}

const checkNotices = "Notices"

// named looks at the configuration, which is all that there is to look at.
func (d *doctor) named() {
	if !d.settings.Notifies() {
		d.nobodyHears()
		return
	}
	d.ok(checkNotices, "to whom notify names")
}

func (d *doctor) nobodyHears() {
	d.add(Check{
		Name: checkNotices, Found: "nobody hears of alarms and of files that fail", Status: CheckFailed,
		Why: "people rely on what is protected (protect is true)", Fix: "pulumi config set --path 'notify[0]' ops@example.com",
	})
}

// addresses looks whether any that notify names has confirmed its subscription. That
// none has may be a matter of minutes, and keeps nobody from deploying a fix.
func (d *doctor) addresses(confirmed int) {
	if confirmed > 0 {
		d.ok(checkNotices, "to whom notify names")
		return
	}
	d.add(Check{
		Name: checkNotices, Found: "no address of notify has confirmed its subscription", Status: CheckUnknown,
		Why: "until then nobody hears of alarms and of files that fail",
		Fix: "follow the link in the e-mail of AWS that asks for it, or list the topic's subscriptions",
	})
}

// confirmed gives who has subscribed to the topic and confirmed it: until then AWS
// lists a word in the place of the ARN.
// https://docs.aws.amazon.com/sns/latest/api/API_ListSubscriptionsByTopic.html
func (d *doctor) confirmed(ctx context.Context, topic string) ([]string, error) {
	var arns []string
	pages := sns.NewListSubscriptionsByTopicPaginator(sns.NewFromConfig(*d.aws), &sns.ListSubscriptionsByTopicInput{TopicArn: &topic})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing who has subscribed to %s: %w", topic, err)
		}
		for _, s := range page.Subscriptions {
			if arn := aws.ToString(s.SubscriptionArn); strings.HasPrefix(arn, "arn:") {
				arns = append(arns, arn)
			}
		}
	}
	return arns, nil
}
