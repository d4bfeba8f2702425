package operate

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"example.com/upload-router/internal/routemetric"
)

// mostMetrics is for how many metrics a request can ask.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
const mostMetrics = 500

// statSum is the statistic that adds up.
const statSum = "Sum"

// statistic is a statistic of a metric of the routes.
type statistic struct{ metric, stat string }

// The statistics that are asked for: [routemetric] says what each is.
var (
	statDone    = statistic{routemetric.Duration, routemetric.Processed}
	statTime    = statistic{routemetric.Duration, statSum}
	statBytes   = statistic{routemetric.Size, statSum}
	statFailed  = statistic{routemetric.Failed, statSum}
	statRetried = statistic{routemetric.Retried, statSum}
)

// series is a statistic of a route of a state machine over a time.
type series struct {
	statistic

	route  string
	times  []time.Time
	values []float64
}

// since adds up what there is from a time on.
func (s series) since(from time.Time) float64 {
	sum := 0.0
	for i, at := range s.times {
		if !at.Before(from) {
			sum += s.values[i]
		}
	}
	return sum
}

// metrics asks CloudWatch for statistics of every route, by so long intervals. CloudWatch has those of a minute for 15 days, and those of
// an hour for 455: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html
func (s *System) metrics(ctx context.Context, from, to time.Time, interval time.Duration, of ...statistic) ([]series, error) {
	machines, names := s.Outputs.machines(), s.Outputs.routes.names()
	all := make([]series, 0, len(machines)*len(names)*len(of))
	asks := make([]cwtypes.MetricDataQuery, 0, cap(all))
	for _, machine := range machines {
		for _, route := range names {
			for _, what := range of {
				asks = append(asks, cwtypes.MetricDataQuery{
					Id: aws.String("m" + strconv.Itoa(len(all))),
					MetricStat: &cwtypes.MetricStat{
						Period: aws.Int32(int32(interval.Seconds())), Stat: aws.String(what.stat),
						Metric: &cwtypes.Metric{
							Namespace: aws.String(routemetric.Namespace), MetricName: aws.String(what.metric),
							Dimensions: []cwtypes.Dimension{
								{Name: aws.String(routemetric.DimensionStateMachine), Value: aws.String(machine)},
								{Name: aws.String(routemetric.DimensionRoute), Value: aws.String(route)},
							},
						},
					},
				})
				all = append(all, series{statistic: what, route: route})
			}
		}
	}
	for some := range slices.Chunk(asks, mostMetrics) {
		in := &cloudwatch.GetMetricDataInput{MetricDataQueries: some, StartTime: aws.Time(from), EndTime: aws.Time(to)}
		if err := s.addMetrics(ctx, in, all); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// addMetrics adds what a request gives, page by page.
func (s *System) addMetrics(ctx context.Context, in *cloudwatch.GetMetricDataInput, to []series) error {
	pages := cloudwatch.NewGetMetricDataPaginator(s.alarms, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return asked("asking for the metrics", err)
		}
		for _, result := range page.MetricDataResults {
			i, err := strconv.Atoi(cmp.Or(aws.ToString(result.Id), "m")[1:])
			if err != nil || i >= len(to) {
				return fmt.Errorf("%w: asking for the metrics: the answer has one that nobody asked for, %q", ErrRefused,
					aws.ToString(result.Id))
			}
			switch result.StatusCode {
			case cwtypes.StatusCodeForbidden, cwtypes.StatusCodeInternalError:
				return fmt.Errorf("%w: asking for the metrics: %s", ErrRefused, result.StatusCode)
			case cwtypes.StatusCodeComplete, cwtypes.StatusCodePartialData: // the rest of the latter is on the next page
			}
			n := min(len(result.Timestamps), len(result.Values))
			to[i].times, to[i].values = append(to[i].times, result.Timestamps[:n]...), append(to[i].values, result.Values[:n]...)
		}
	}
	return nil
}

// sum adds up a statistic of a route, of all state machines, from a time on.
func sum(all []series, of statistic, route string, from time.Time) float64 {
	total := 0.0
	for _, s := range all {
		if s.statistic == of && s.route == route {
			total += s.since(from)
		}
	}
	return total
}
