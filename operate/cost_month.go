package operate

import (
	"context"
	"time"

	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/pricing"
)

// MonthCost is about what the uploads of this month cost so far: counts and times that the worker has measured, by the prices.
type MonthCost struct {
	// Since is the beginning of the month, in UTC, as AWS bills it.
	Since time.Time `json:"since"`
	// Uploads are those that were processed, Failed those that failed for good, Retried the runs that asked for another one.
	Uploads float64 `json:"uploads"`
	Failed  float64 `json:"failed"`
	Retried float64 `json:"retried"`
	// Routes is what each costs, in US dollars, by its name; Dollars is all of it.
	Routes  map[string]float64 `json:"routes"`
	Dollars float64            `json:"dollars"`
	// Prices says which prices these are, OtherRegion why they aren't those of the Region, and NotCounted what isn't in it.
	Prices      string `json:"prices"`
	OtherRegion string `json:"otherRegion,omitempty"`
	NotCounted  string `json:"notCounted"`
}

// monthNotCounted is what isn't in [MonthCost].
const monthNotCounted = "what costs without uploads and storage, of which `upload-router cost` has an estimate, waiting for task slots, " +
	"starts of tasks, what Spot costs less, what your own processor calls"

// measured is what the worker has measured of a route in a time.
type measured struct{ done, failed, retried, seconds, bytes float64 }

// monthOf is when the month of a time began.
func monthOf(now time.Time) time.Time {
	now = now.UTC()
	return time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
}

// month asks for the counts of this month and multiplies them. Its metrics are those of days: CloudWatch keeps them for longer.
func (s *System) month(ctx context.Context, e *estimator, now time.Time) (*MonthCost, error) {
	const day = 24 * time.Hour
	m := &MonthCost{
		Since: monthOf(now), Routes: map[string]float64{}, Prices: prices, NotCounted: monthNotCounted,
		OtherRegion: otherRegion(s.Outputs.Region()),
	}
	all, err := s.metrics(ctx, m.Since, now, day, statDone, statTime, statBytes, statFailed, statRetried)
	if err != nil {
		return nil, err
	}
	for _, route := range s.Outputs.routes {
		of := func(what statistic) float64 { return sum(all, what, route.Name, m.Since) }
		was := measured{of(statDone), of(statFailed), of(statRetried), of(statTime) / 1e3, of(statBytes)}
		m.Uploads, m.Failed, m.Retried = m.Uploads+was.done, m.Failed+was.failed, m.Retried+was.retried
		m.Routes[route.Name] = e.cost(route, was)
		m.Dollars += m.Routes[route.Name]
	}
	return m, nil
}

// cost is what the uploads of a route cost. The size and the time of runs that failed aren't known: they are taken to be as the others are.
func (e *estimator) cost(route machine.Route, was measured) float64 {
	ended := was.done + was.failed
	runs := ended + was.retried
	if runs == 0 {
		return 0
	}
	size, seconds := was.bytes/max(1, was.done), was.seconds/max(1, was.done)
	var run, logged float64
	begins := 1
	if route.Compute == machine.Lambda {
		run, logged = e.function.RunCost(e.lambdaArchitecture, size, seconds), functionLogBytes
	} else {
		task := e.taskOf(route)
		run, logged = task.RunCost(e.architectureOf(route), size, seconds), taskLogBytes
		if !route.PublicAddress {
			run -= max(seconds, pricing.FargateMinimum.Seconds()) / 3600 * pricing.PublicAddressHour
		}
	}
	if route.Calls("dynamodb") > 0 {
		begins++ // the state machine begins before a task does
	}
	each := float64(len(route.Steps))*pricing.StateTransition + pricing.Event +
		pricing.LedgerWrites(begins, pricing.UsualResult)*pricing.TableWrite + float64(route.Calls("sns"))*pricing.Publish
	return runs*(run+logged/1e9*pricing.LogGB) + ended*each + was.retried*pricing.StateTransition
}
