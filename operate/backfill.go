package operate

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/pricing"
)

// The limits of a backfill.
const (
	// MostParallel is how many files a backfill processes at a time at most: a Distributed Map runs no more children.
	// https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html
	MostParallel = 10_000
	// UsualParallel is how many it is if nothing else is said.
	UsualParallel = 100
	// UsualTolerated is the percentage of files that may fail before a backfill ends if nothing else is said.
	UsualTolerated = 1
	// childrenPerSecond is how many Standard children a Distributed Map starts in a second.
	childrenPerSecond = 100
)

// errNoBackfill is for a stack that was deployed before there were backfills.
var errNoBackfill = fmt.Errorf("%w: it was deployed by a version that had no backfill: `upload-router up` adds what it takes", ErrNotReady)

// backfillable says whether what a backfill takes is deployed.
func (s *System) backfillable() error {
	if s.Outputs.BackfillStateMachineARN == "" || s.Outputs.BackfillBucketName == "" {
		return errNoBackfill
	}
	return nil
}

// RunOptions say how the files of a list are processed.
type RunOptions struct {
	// Batch is what the ledger has as the batch of the files. Default: the backfill's name.
	Batch string
	// MaxParallel is how many files are processed at a time, up to [MostParallel]. Default: [UsualParallel], or the fewest tasks that a route
	// with files runs at a time, if those are fewer: more would wait for its task slots, as uploads do.
	MaxParallel int
	// Tolerate is the percentage of files, 0 to 100, that may fail before the rest isn't begun. Default: [UsualTolerated]; nil is that.
	Tolerate *float64
	// DryRun has nothing uploaded: the plan can't be started.
	DryRun bool
	// OnListed hears now and then how many files were found; nil is nobody.
	OnListed func(files int64)
}

// BackfillOptions choose what a backfill processes.
type BackfillOptions struct {
	RunOptions

	// Prefix leaves out keys that begin otherwise, NewerThan what was modified until then.
	Prefix    string
	NewerThan time.Time
	// Manifest is the address of the manifest.json of an S3 Inventory report, s3://BUCKET/KEY, that is read instead of listing the bucket.
	// Parquet reads a report in Parquet.
	Manifest string
	Parquet  ParquetReader
	// Again has also processed what the ledger has as succeeded.
	Again bool
}

// check takes the defaults. The error matches [ErrInput].
func (o *RunOptions) check() error {
	if o.Tolerate == nil {
		o.Tolerate = aws.Float64(UsualTolerated)
	}
	switch {
	case o.MaxParallel < 0 || o.MaxParallel > MostParallel:
		return fmt.Errorf("%w: from 1 to %d files can be processed at a time, not %d", ErrInput, MostParallel, o.MaxParallel)
	case !(*o.Tolerate >= 0 && *o.Tolerate <= 100): // it may be no number
		return fmt.Errorf("%w: from 0 %% to 100 %% of the files may fail, not %g %%", ErrInput, *o.Tolerate)
	case o.Batch != "":
		return CheckBatch(o.Batch)
	}
	return nil
}

// RoutePlan is what of a plan takes a route.
type RoutePlan struct {
	// Name is the route's, Files how many files take it, Bytes their sizes together.
	Name  string `json:"name"`
	Files int64  `json:"files"`
	Bytes int64  `json:"bytes"`

	route   machine.Route
	seconds float64
}

// BackfillPlan is what is about to be processed. It must be closed.
type BackfillPlan struct {
	// Name is the name that the backfill will have, Batch its batch in the ledger, Bucket the bucket of its files.
	Name   string `json:"name"`
	Batch  string `json:"batch"`
	Bucket string `json:"bucket"`
	// Files is how many there are, Bytes their sizes together, Routes the same by the routes that they take. What the ledger has as
	// processed is among them: it is skipped when its turn comes, unless Again is set.
	Files  int64       `json:"files"`
	Bytes  int64       `json:"bytes"`
	Routes []RoutePlan `json:"routes"`
	// LeftOut is how many are left out.
	LeftOut LeftOut `json:"leftOut"`
	// MaxParallel, Tolerate, in percent, and Again are those of the options.
	MaxParallel int     `json:"maxParallel"`
	Tolerate    float64 `json:"toleratePercent"`
	Again       bool    `json:"again"`
	// Cost is about what it costs if every file is processed, and at once; nil if the sizes could not be asked for, as CostError says.
	// Seconds is about how long it takes then at least.
	Cost      *Estimate `json:"cost,omitempty"`
	CostError string    `json:"costError,omitempty"`
	Seconds   float64   `json:"seconds,omitempty"`

	system    *System
	list      *listFile // nil if the plan can't be started
	estimator *estimator
	listed    func(int64)
	told      time.Time
}

// PlanBackfill finds out what a backfill would process, in constant memory, and uploads the list of it, which is no object until the plan
// is started. Nothing else is changed.
func (s *System) PlanBackfill(ctx context.Context, options BackfillOptions) (*BackfillPlan, error) {
	plan, err := s.newPlan(ctx, "backfill", &options.RunOptions)
	if err != nil {
		return nil, err
	}
	plan.Again = options.Again
	objects := s.listObjects(ctx, options.Prefix)
	if options.Manifest != "" {
		report, err := s.openReport(ctx, options.Manifest, options.Parquet)
		if err != nil {
			return nil, err
		}
		if !options.NewerThan.IsZero() && !report.HasModified() {
			return nil, fmt.Errorf("%w: %s doesn't say when objects were modified: add the field LastModifiedDate to the inventory, "+
				"or leave out the time", ErrInput, options.Manifest)
		}
		objects = report.objects(ctx)
	}
	return plan.take(ctx, s.choose(objects, options.Prefix, options.NewerThan, &plan.LeftOut))
}

// newPlan is a plan without files.
func (s *System) newPlan(ctx context.Context, kind string, options *RunOptions) (*BackfillPlan, error) {
	if err := s.backfillable(); err != nil {
		return nil, err
	}
	if err := options.check(); err != nil {
		return nil, err
	}
	plan := &BackfillPlan{
		Name: newBackfillName(cmp.Or(options.Batch, kind), time.Now()), Bucket: s.Outputs.BucketName, Routes: []RoutePlan{},
		MaxParallel: options.MaxParallel, Tolerate: *options.Tolerate, system: s, listed: options.OnListed,
	}
	plan.Batch = cmp.Or(options.Batch, plan.Name)
	if !options.DryRun {
		plan.list = &listFile{objects: s.objects, bucket: s.Outputs.BackfillBucketName, key: machine.BackfillLists + plan.Name + ".json"}
	}
	for _, route := range s.Outputs.routes {
		plan.Routes = append(plan.Routes, RoutePlan{Name: route.Name, route: route})
	}
	var err error
	if plan.estimator, err = s.estimator(ctx); err != nil {
		plan.CostError = err.Error() // the plan is worth having without
	} else {
		plan.Cost = &Estimate{Prices: prices}
	}
	return plan, nil
}

// newBackfillName is a name that no backfill has had: of what it is, when, and four random digits.
func newBackfillName(kind string, at time.Time) string {
	var random [2]byte
	_, _ = rand.Read(random[:]) // it never fails
	end := "-" + at.UTC().Format("20060102-150405") + "-" + hex.EncodeToString(random[:])
	return kind[:min(len(kind), mostName-len(end))] + end
}

// take takes files into the plan.
func (p *BackfillPlan) take(ctx context.Context, files iter.Seq2[ListedFile, error]) (*BackfillPlan, error) {
	for file, err := range files {
		if err == nil && p.list != nil {
			err = p.list.add(ctx, file)
		}
		if err != nil {
			return nil, errors.Join(err, p.Close(ctx))
		}
		p.count(file)
	}
	p.finish()
	return p, nil
}

// count counts a file.
func (p *BackfillPlan) count(file ListedFile) {
	p.Files++
	p.Bytes += file.Size
	at := 0
	for i := range p.Routes {
		if p.Routes[i].route.Takes(file.Key, file.Size) {
			at = i
			break
		}
	}
	route := &p.Routes[at]
	route.Files++
	route.Bytes += file.Size
	if p.estimator != nil {
		seconds := p.estimator.addChild(p.Cost, route.route, file.Size)
		route.seconds += seconds
		p.Seconds = max(p.Seconds, seconds) // the longest, until all are known
	}
	if p.listed != nil && time.Since(p.told) > tellInterval {
		p.told = time.Now()
		p.listed(p.Files)
	}
}

// childTransitions are the state transitions of a child of a backfill, which looks its object up, and sends no notice.
func childTransitions(route machine.Route) int { return len(route.Steps) - route.Calls("sns") + 1 }

// addChild adds what a child of a backfill takes for an object, and gives how long its processor runs, in seconds.
func (e *estimator) addChild(to *Estimate, route machine.Route, size int64) (seconds float64) {
	transitions := childTransitions(route)
	to.Transitions += transitions
	to.Dollars += float64(transitions)*pricing.StateTransition + pricing.GetRequest
	if route.Compute == machine.Lambda {
		to.Lambda++
		to.Dollars += e.function.Cost(e.lambdaArchitecture, float64(size))
		return e.function.Seconds(float64(size))
	}
	to.Fargate++
	task := e.taskOf(route)
	to.Dollars += task.Cost(e.architectureOf(route), float64(size))
	return task.Seconds(float64(size))
}

// finish says how long it takes: no shorter than the longest file and than the children take to start, than all routes take together, and
// than each takes that runs few tasks at a time.
func (p *BackfillPlan) finish() {
	if p.MaxParallel == 0 { // which Step Functions takes for no limit
		p.MaxParallel = p.usualParallel()
	}
	if p.estimator == nil {
		return
	}
	p.Seconds = max(p.Seconds, float64(p.Files)/childrenPerSecond)
	all := 0.0
	for _, r := range p.Routes {
		all += r.seconds
		if most := r.route.MaxParallel; most > 0 {
			p.Seconds = max(p.Seconds, r.seconds/float64(most))
		}
	}
	p.Seconds = max(p.Seconds, all/float64(p.MaxParallel))
}

// usualParallel is how many files are processed at a time if nobody says how many: as many as the route takes with the fewest tasks.
func (p *BackfillPlan) usualParallel() int {
	usual := UsualParallel
	for _, r := range p.Routes {
		if most := r.route.MaxParallel; most > 0 && r.Files > 0 {
			usual = min(usual, most)
		}
	}
	return usual
}

// Start makes the list and starts the backfill. It goes on without whoever started it. One that is there already by the name is this one,
// whose answer was lost: no other has the name.
func (p *BackfillPlan) Start(ctx context.Context) error {
	if p.list == nil || p.Files == 0 {
		return fmt.Errorf("%w: there is nothing to start", ErrInput)
	}
	if err := p.list.complete(ctx); err != nil {
		return err
	}
	input, err := json.Marshal(machine.BackfillInput{
		Batch: p.Batch, Bucket: p.Bucket, List: p.list.key, Again: p.Again, MaxParallel: p.MaxParallel, Tolerate: p.Tolerate,
	})
	if err != nil {
		return fmt.Errorf("starting the backfill: %w", err)
	}
	_, err = p.system.states.StartExecution(ctx, &sfn.StartExecutionInput{
		StateMachineArn: &p.system.Outputs.BackfillStateMachineARN, Name: &p.Name, Input: aws.String(string(input)),
	})
	if err == nil || hasCode(err, "ExecutionAlreadyExists") {
		return nil
	}
	return fmt.Errorf("starting the backfill %s: %w", p.Name, unsure(err, showBackfill(p.Name)))
}

// showBackfill is the command that says what became of a backfill.
func showBackfill(name string) string { return "upload-router backfill show " + name }

// Close throws away what was uploaded of a list of a plan that wasn't started.
func (p *BackfillPlan) Close(ctx context.Context) error {
	if p.list == nil {
		return nil
	}
	return p.list.abandon(ctx)
}
