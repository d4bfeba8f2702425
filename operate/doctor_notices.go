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
	switch {
	// A topic of others needs none of the stack's own, which a deployment removes: the configuration is all that there is to look at.
	case len(topics) == 0 || d.settings.NotifyTopicARN != "":
		d.heard(d.settings.Notifies(), "to whom notify names")
		return
	case d.aws == nil:
		return // what is said of the credentials comes first
	}
	subscriptions, err := d.confirmed(ctx, topics[0])
	if err != nil {
		d.unasked(checkNotices, "", actionSubscriptions, err)
		return
	}
	if d.settings.Notifies() {
		d.addresses(len(subscriptions))
		return
	}
	// Those that the stack has subscribed don't count: without notify, a deployment removes them.
	others := slices.DeleteFunc(subscriptions, func(arn string) bool { return slices.Contains(d.owned[declared.TypeTopicSubscription], arn) })
	d.heard(len(others) > 0, "to who has subscribed to the topic: "+plural(int64(len(others)), "subscription"))
}

const checkNotices = "Notices"

// heard says who gets the notices, if anybody does.
func (d *doctor) heard(somebody bool, who string) {
	if somebody {
		d.ok(checkNotices, who)
		return
	}
	d.failed(checkNotices, "nobody hears of alarms and of files that fail", "people rely on what is protected (protect is true)",
		"pulumi config set --path 'notify[0]' ops@example.com")
}

// addresses looks whether any that notify names has confirmed its subscription. That
// none has may be a matter of minutes, and keeps nobody from deploying a fix.
func (d *doctor) addresses(confirmed int) {
	if confirmed > 0 {
		d.ok(checkNotices, "to whom notify names")
		return
	}
	d.unknown(checkNotices, "no address of notify has confirmed its subscription",
		"until then nobody hears of alarms and of files that fail",
		"follow the link in the e-mail of AWS that asks for it, or list the topic's subscriptions")
}

// confirmed gives who has subscribed to the topic and confirmed it: until then AWS lists a word in the place of the ARN.
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
