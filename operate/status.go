package operate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"golang.org/x/sync/errgroup"

	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/ledger/client"
)

const (
	// failedSince is how far back what failed is looked for.
	failedSince = 24 * time.Hour
	// rateSince is of how long a time the rate is: CloudWatch has a metric a minute or so after it was logged.
	rateSince = 5 * time.Minute
	// namedFailed is of how many that failed it is said which.
	namedFailed = 10
	// monthEvery is how often the month's costs are asked for anew while they are watched.
	monthEvery = 10 * time.Minute
)

// The bounds of [StatusOptions.Period], and its default.
const (
	leastPeriod = time.Minute
	usualPeriod = time.Hour
)

// StatusOptions say what is counted.
type StatusOptions struct {
	// Period is how far back what was done and what failed is counted: from a minute to a day. Default: an hour.
	Period time.Duration
}

func (o *StatusOptions) check() error {
	o.Period = cmp.Or(o.Period, usualPeriod)
	if o.Period < leastPeriod || o.Period > failedSince {
		return fmt.Errorf("%w: %s: what was done and what failed is counted from a minute to a day back; the ledger has what is older",
			ErrInput, o.Period)
	}
	return nil
}

// Status is how the system gets on. What couldn't be asked for has no value, and is in Unknown.
type Status struct {
	// At is when it was asked for, PeriodSeconds of how long a time before it Done and Failed of the routes are.
	At            time.Time `json:"at"`
	PeriodSeconds float64   `json:"periodSeconds"`
	// Pause says whether uploads are paused; nil if that isn't known, or if the stack can't be paused.
	Pause *PauseState `json:"pause,omitempty"`
	// Routes are the stack's, in order. Behind them may be one without a name, for what has none.
	Routes []RouteStatus `json:"routes"`
	// Failed is how many uploads failed within a day and weren't processed since, Newest are the newest of them.
	Failed int          `json:"failed"`
	Newest []Processing `json:"newestFailed,omitempty"`
	// DeadLetters is about how many events could not be delivered, Alarms are the names of those in alarm; nil if that isn't known.
	DeadLetters *int64   `json:"deadLetters,omitempty"`
	Alarms      []string `json:"alarms"`
	// Backfills are those that run.
	Backfills []Backfill `json:"backfills,omitempty"`
	// Month is about what this month's uploads cost so far; nil if that isn't known.
	Month *MonthCost `json:"month,omitempty"`
	// Unknown says what could not be asked for, and why.
	Unknown []string `json:"unknown,omitempty"`
}

// RouteStatus is how the uploads of a route get on.
type RouteStatus struct {
	Route string `json:"route"`
	// Running are those that are processed, Waiting those that wait for a task slot, OldestWaiting is since when the first of them does.
	Running       int       `json:"running"`
	Waiting       int       `json:"waiting"`
	OldestWaiting time.Time `json:"oldestWaiting,omitzero"`
	// Lost are running by the ledger, and for longer than their executions can live.
	Lost int `json:"lost"`
	// Done is how many were processed in the period, Failed how many failed in it and weren't processed since.
	Done   int64 `json:"done"`
	Failed int   `json:"failed"`
	// PerMinute is how many are processed in a minute, over the last five.
	PerMinute float64 `json:"perMinute"`
}

// Status asks how the system gets on: the ledger for what runs and what failed within a day, CloudWatch for the rest. The error matches
// [ErrInput] for a period that can't be, and [ErrCanceled]; what AWS refuses is in the status.
func (s *System) Status(ctx context.Context, options StatusOptions) (*Status, error) {
	return (&statusReader{System: s, options: options}).read(ctx)
}

// WatchStatus asks again and again until ctx ends, which is no error. It waits for longer the longer it takes to read the ledger.
func (s *System) WatchStatus(ctx context.Context, options StatusOptions, told func(*Status) error) error {
	reader := &statusReader{System: s, options: options}
	for {
		began := time.Now()
		status, err := reader.read(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // To have seen enough is how it ends.
		}
		if err == nil {
			err = told(status)
		}
		if err != nil {
			return err
		}
		_ = sleep(ctx, max(5*s.Poll, 4*time.Since(began))) // whether ctx has ended is looked at above
	}
}

// statusReader reads a status, again and again.
type statusReader struct {
	*System

	options StatusOptions
	sizes   *estimator
	lease   time.Duration
	month   *MonthCost
	monthAt time.Time

	mu  sync.Mutex
	now *Status
}

// read asks for everything at once.
func (r *statusReader) read(ctx context.Context) (*Status, error) {
	if err := r.options.check(); err != nil {
		return nil, err
	}
	r.now = &Status{At: time.Now().UTC(), PeriodSeconds: r.options.Period.Seconds()}
	for _, route := range r.Outputs.routes {
		r.now.Routes = append(r.now.Routes, RouteStatus{Route: route.Name})
	}
	var group errgroup.Group
	for _, part := range []struct {
		name string
		ask  func(context.Context) error
	}{
		{"whether uploads are paused", r.askPause}, {"what could not be delivered", r.askDeadLetters}, {"alarms", r.askAlarms},
		{"what was done", r.askDone}, {"what runs, and what failed", r.askLedger}, {"what this month costs", r.askMonth},
		{"backfills", r.askBackfills},
	} {
		group.Go(func() error {
			if err := part.ask(ctx); err != nil {
				r.unknown(part.name + ": " + err.Error())
			}
			return nil
		})
	}
	_ = group.Wait() // what can't be asked is unknown
	if ctx.Err() != nil {
		return nil, fmt.Errorf("asking for the status: %w", ErrCanceled)
	}
	slices.Sort(r.now.Unknown)
	return r.now, nil
}

// set changes the status.
func (r *statusReader) set(change func(*Status)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r.now)
}

func (r *statusReader) unknown(text string) {
	r.set(func(s *Status) { s.Unknown = append(s.Unknown, text) })
}

// route is that of a name, or the one without.
func (s *Status) route(name string) *RouteStatus {
	i := slices.IndexFunc(s.Routes, func(r RouteStatus) bool { return r.Route == name })
	if i < 0 && name != "" {
		return s.route("") // such as one that an earlier deployment had
	}
	if i < 0 {
		s.Routes = append(s.Routes, RouteStatus{})
		i = len(s.Routes) - 1
	}
	return &s.Routes[i]
}

func (r *statusReader) askPause(ctx context.Context) error {
	state, err := r.PauseState(ctx)
	if errors.Is(err, errNoPause) {
		return nil // then it isn't
	}
	if err == nil {
		r.set(func(s *Status) { s.Pause = &state })
	}
	return err
}

func (r *statusReader) askDeadLetters(ctx context.Context) error {
	n, err := r.DeadLetterCount(ctx)
	if err == nil {
		r.set(func(s *Status) { s.DeadLetters = &n })
	}
	return err
}

func (r *statusReader) askAlarms(ctx context.Context) error {
	names, err := r.ringing(ctx)
	if err == nil {
		slices.Sort(names)
		r.set(func(s *Status) { s.Alarms = append([]string{}, names...) })
	}
	return err
}

func (r *statusReader) askBackfills(ctx context.Context) error {
	running, err := r.runningBackfills(ctx)
	if err == nil {
		r.set(func(s *Status) { s.Backfills = running })
	}
	return err
}

// runningBackfills are the backfills that run; none if the stack can't have any.
func (s *System) runningBackfills(ctx context.Context) ([]Backfill, error) {
	if s.Outputs.BackfillStateMachineARN == "" {
		return nil, nil
	}
	names, err := s.runningNames(ctx, s.Outputs.BackfillStateMachineARN)
	if err != nil {
		return nil, err
	}
	running := make([]Backfill, len(names))
	for i, name := range names {
		running[i].ARN = executionOf(s.Outputs.BackfillStateMachineARN, name)
	}
	return running, eachOf(ctx, running, func(ctx context.Context, b *Backfill) (err error) {
		*b, err = s.describeBackfill(ctx, b.ARN)
		return err
	})
}

// askDone asks how many were processed, by the minute.
func (r *statusReader) askDone(ctx context.Context) error {
	now := r.now.At
	from := now.Add(-max(r.options.Period, rateSince)).Truncate(time.Minute)
	all, err := r.metrics(ctx, from, now.Add(time.Minute), time.Minute, statDone)
	if err != nil {
		return err
	}
	r.set(func(s *Status) {
		for _, name := range r.Outputs.routes.names() {
			route := s.route(name)
			route.Done = int64(sum(all, statDone, name, now.Add(-r.options.Period).Truncate(time.Minute)))
			route.PerMinute = sum(all, statDone, name, now.Add(-rateSince).Truncate(time.Minute)) / rateSince.Minutes()
		}
	})
	return nil
}

// askMonth asks for the month's cost, and not every time.
func (r *statusReader) askMonth(ctx context.Context) error {
	if r.month == nil || r.now.At.Sub(r.monthAt) > monthEvery || !monthOf(r.now.At).Equal(r.month.Since) {
		if r.sizes == nil {
			sizes, err := r.estimator(ctx)
			if err != nil {
				return err
			}
			r.sizes = sizes
		}
		month, err := r.System.month(ctx, r.sizes, r.now.At)
		if err != nil {
			return err
		}
		r.month, r.monthAt = month, r.now.At
	}
	r.set(func(s *Status) { s.Month = r.month })
	return nil
}

// executionLease is for how long an execution can live, which the function is told.
func (s *System) executionLease(ctx context.Context) (time.Duration, error) {
	function, err := s.functions.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{
		FunctionName: &s.Outputs.LambdaFunctionARN,
	})
	if err != nil {
		return 0, asked("asking the function for how long an execution can live", err)
	}
	if function.Environment == nil {
		return 0, fmt.Errorf("%w: the function's environment can't be read, and it says for how long an execution can live: it takes "+
			"kms:Decrypt on the function's key", ErrRefused)
	}
	seconds, err := strconv.Atoi(function.Environment.Variables[ledger.EnvironmentLease])
	if err != nil {
		return 0, fmt.Errorf("%w: the function isn't told for how long an execution can live: %w", ErrNotDeployed, err)
	}
	return time.Duration(seconds) * time.Second, nil
}

// askLedger reads what runs and what failed, which is all that is read of the index.
func (r *statusReader) askLedger(ctx context.Context) error {
	if r.Outputs.ledgerTable == "" {
		return errNoLedger
	}
	if r.lease == 0 {
		lease, err := r.executionLease(ctx)
		if err != nil {
			return err
		}
		r.lease = lease
	}
	holders, err := r.holders(ctx)
	if err != nil {
		return err
	}
	items, err := r.unsettled(ctx, r.now.At.Add(-max(failedSince, r.lease)), r.now.At.Add(clockMargin))
	if err != nil {
		return err
	}
	slices.SortFunc(items, func(a, b ledger.Item) int { return b.Ended.Compare(a.Ended) })
	var newest []found
	r.set(func(s *Status) {
		for _, item := range items {
			if s.take(item, holders) && len(newest) < namedFailed {
				newest = append(newest, found{item: item, at: positionOf(item)})
			}
		}
	})
	failed, err := r.causesOf(ctx, newest, r.now.At)
	if err == nil {
		r.set(func(s *Status) { s.Newest = failed })
	}
	return err
}

// holders are those who hold a task slot, by [ledger.Holder], of each route that has some.
func (s *System) holders(ctx context.Context) (map[string][]string, error) {
	holders := map[string][]string{}
	for _, route := range s.Outputs.routes {
		if route.MaxParallel == 0 {
			continue
		}
		slots, err := s.ledger().Slots(ctx, route.Name)
		if err != nil {
			return nil, s.ledgerRefused(err)
		}
		holders[route.Name] = append([]string{}, slots.Holders...)
	}
	return holders, nil
}

// unsettled are the items of what runs or failed, of those that started in a time.
func (s *System) unsettled(ctx context.Context, from, to time.Time) ([]ledger.Item, error) {
	var mu sync.Mutex
	var items []ledger.Item
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(describeParallel)
	for _, day := range days(from, to) {
		for shard := range ledger.Shards {
			group.Go(func() error {
				query := client.Query{
					Partition: ledger.Partition(day, shard), From: from, To: to, States: []ledger.State{ledger.Running, ledger.Failed},
				}
				for item, err := range s.ledger().Query(ctx, query) {
					if _, unreadable := errors.AsType[*client.UnreadableError](err); unreadable {
						continue // `executions` names it
					}
					if err != nil {
						return s.ledgerRefused(err)
					}
					mu.Lock()
					items = append(items, item)
					mu.Unlock()
				}
				return nil
			})
		}
	}
	return items, group.Wait()
}

// take counts an item, and says whether it is one that failed within a day.
func (s *Status) take(item ledger.Item, holders map[string][]string) bool {
	route := s.route(item.Route)
	switch item.StateAt(s.At) {
	case ledger.Lost:
		route.Lost++
	case ledger.Running:
		slots, limited := holders[item.Route]
		if !limited || slices.Contains(slots, ledger.Holder(item.Execution)) {
			route.Running++
			return false
		}
		route.Waiting++
		if route.OldestWaiting.IsZero() || item.Started.Before(route.OldestWaiting) {
			route.OldestWaiting = item.Started
		}
	case ledger.Failed:
		if s.At.Sub(item.Ended) > failedSince {
			return false
		}
		s.Failed++
		if s.At.Sub(item.Ended) <= time.Duration(s.PeriodSeconds*float64(time.Second)) {
			route.Failed++
		}
		return true
	case ledger.Succeeded, ledger.Skipped: // which weren't asked for
	}
	return false
}
