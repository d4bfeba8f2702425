package operate

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"

	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/filter"
	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/partition"
	"example.com/upload-router/internal/pricing"
	"example.com/upload-router/internal/settings"
	api "example.com/upload-router/upload"
)

// What one run writes into its log: Lambda's own lines and the processor's, the task's two. An event of the execution's own log
// has its type, state and ARNs, and its state's data only with executionLogData: what `try --json` shows of it, in JSON once
// more.
const (
	functionLogBytes = 1500
	taskLogBytes     = 1300
	eventLogBytes    = 400
	eventDataBytes   = 850
)

// What an estimate leaves out, whatever the processor, and of the processor. How often DynamoDB and the others ask KMS again for a data
// key that they keep, AWS doesn't say.
const (
	notCounted = "retries and failures, reading logs, data transfer to other Regions or the internet, " +
		"what goes through interface endpoints, flow logs, what logs and the image in ECR take to keep, " +
		"the $1 a month that each of the first two yearly rotations adds to a KMS key, " +
		"uses of such a key by DynamoDB, SQS, SNS, CloudWatch Logs and S3's bucket keys, "
	ownTimeNotCounted = "whatever your own processor does beyond reading the object"
	ownUseNotCounted  = "what your own processor calls and writes"
)

// tierNotCounted is of AWS's free tier. What the price list of DynamoDB has for nothing of every table is in the estimate.
// https://aws.amazon.com/dynamodb/pricing/on-demand/
var tierNotCounted = fmt.Sprintf(", and AWS's free tier but for DynamoDB's %d GB", pricing.TableFreeGB)

// CostNotCounted is what an estimate leaves out that doesn't know the processor's own time.
var CostNotCounted = notCounted + ownTimeNotCounted + tierNotCounted

// What it leaves out besides where tasks run on Spot.
const (
	costNotCountedOnSpot   = "tasks that Spot takes back or has no capacity for, which run again on demand"
	costNotCountedDiscount = "what Spot costs less, as no discount is given"
)

// SizeShare is a part of the uploads that is of one size.
type SizeShare struct {
	// Size is in bytes. Share is above 0 and at most 1.
	Size  int64   `json:"size"`
	Share float64 `json:"share"`
	// Key is the key of such an upload, where routes are chosen by it. Empty: one that no route's keys have.
	Key string `json:"key,omitempty"`
}

// mostOutputs is more than anybody unpacks of an upload.
const mostOutputs = 1e6

// mostUploads is more than EventBridge delivers in a month anywhere.
const mostUploads = 1e12

// percentForm is a number as people write it: no exponent, no sign, no zero in front.
var percentForm = regexp.MustCompile(`^(?:0|[1-9][0-9]*)(?:\.[0-9]+)?$`)

// ParsePercent reads a share from 0 to 100 %, such as 65% or 65, as a number from 0 to 1. The error matches [ErrInput].
func ParsePercent(text string) (float64, error) {
	number := strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), "%"))
	percent, err := strconv.ParseFloat(number, 64)
	if err != nil || !percentForm.MatchString(number) {
		return 0, fmt.Errorf("%w: %q is no share from 0 %% to 100 %%: write it as 65%%", ErrInput, text)
	}
	if percent > 100 {
		return 0, fmt.Errorf("%w: %q is no share from 0 %% to 100 %%", ErrInput, text)
	}
	return percent / 100, nil
}

// Number is a number for people: without an exponent, as far as that can be read.
func Number(n float64) string {
	const most = 1e15
	if math.Abs(n) < most {
		return humanize.Commaf(n)
	}
	return fmt.Sprint(n) // or NaN, or an infinity
}

// Percent is a share in percent, without the noise of binary fractions.
func Percent(share float64) string {
	const digits = 1e6
	return Number(math.Round(100*digits*share) / digits)
}

// ParseSizes reads a distribution of sizes, such as 100KB:70%,20MB:25%,2GB:5%:film.mp4, where a key says by which route they go. The
// shares must add up to 100 %. The error matches [ErrInput].
func ParseSizes(text string) ([]SizeShare, error) {
	wrong := func(why string, args ...any) error {
		return fmt.Errorf("%w: sizes %q: %s: write them as 100KB:70%%,20MB:30%%", ErrInput, text, fmt.Sprintf(why, args...))
	}
	var shares []SizeShare
	sum := 0.0
	for part := range strings.SplitSeq(text, ",") {
		size, share, found := strings.Cut(strings.TrimSpace(part), ":")
		if !found {
			return nil, wrong("%q has no share", part)
		}
		share, key, keyed := strings.Cut(share, ":")
		if keyed && key == "" {
			return nil, wrong("%q has no key behind its share", part)
		}
		bytes, err := settings.ParseSize(size)
		if err != nil {
			return nil, wrong("%q is no size: it %s", size, err)
		}
		part, err := ParsePercent(share)
		if err != nil || part == 0 {
			return nil, wrong("%q is no share between 0 and 100 %%", share)
		}
		shares = append(shares, SizeShare{Size: bytes, Share: part, Key: key})
		sum += part
	}
	if math.Abs(sum-1) > 1e-4 {
		return nil, wrong("the shares add up to %s %%", Percent(sum))
	}
	return shares, nil
}

// CostOptions say what is estimated.
type CostOptions struct {
	// Config is the stack's configuration without namespace, such as sizeThreshold. Default: the defaults.
	Config map[string]string
	// Uploads is how many there are in a month, Sizes how large they are. Required.
	Uploads float64
	Sizes   []SizeShare
	// SpotDiscount is the share, from 0 to below 1, that a task's processor and memory cost less on Fargate Spot; only where
	// taskCapacity is spot. AWS has another one for every day and Region. Default: 0, as on demand.
	SpotDiscount float64
	// SecondsPerGB is how many seconds your own processor takes for 10^9 bytes on one vCPU, reading included. With less than a vCPU it
	// takes longer in proportion; with more it is taken to be no faster. Default: as the processor that comes was measured.
	SecondsPerGB float64
	// ResultBytes is how long the processor's result is, as JSON. One of more than 4 KiB isn't in the ledger. Default: as long as that
	// of the processor that comes, 360.
	ResultBytes int64
	// Outputs is how many outputs the processor writes of an upload, and OutputBytes how many bytes each has; only with outputBucket.
	// Default: one, as large as the upload.
	Outputs     float64
	OutputBytes int64
	// AtOnce is how many uploads come at once, of the sizes as above; only with maxParallelTasks. Default: nothing is said of waiting but
	// what an hour of it costs.
	AtOnce float64
}

// check finds what no estimate can be made of.
func (o CostOptions) check() error {
	wrong := func(why string, args ...any) error { return fmt.Errorf("%w: %s", ErrInput, fmt.Sprintf(why, args...)) }
	switch {
	case len(o.Sizes) == 0:
		return wrong("it takes the sizes of the uploads")
	case !(o.Uploads >= 0 && o.Uploads <= mostUploads): // which NaN isn't
		return wrong("the uploads of a month are a number from 0 to %s, not %s", Number(mostUploads), Number(o.Uploads))
	case !(o.SecondsPerGB >= 0 && o.SecondsPerGB <= machine.MaxExecutionTime.Seconds()):
		return wrong("the seconds for a GB are a number above 0 and at most %s, not %s",
			Number(machine.MaxExecutionTime.Seconds()), Number(o.SecondsPerGB))
	}
	if o.ResultBytes < 0 {
		return wrong("a result can't have %d bytes", o.ResultBytes)
	}
	if !(o.AtOnce == 0 || o.AtOnce >= 1 && o.AtOnce <= o.Uploads) {
		return wrong("the uploads that come at once are a number from 1 to those of a month, %s, not %s", Number(o.Uploads), Number(o.AtOnce))
	}
	for _, s := range o.Sizes {
		if s.Size < 0 || s.Size > settings.MaxObjectSize {
			return wrong("an object has from 0 to %d bytes, not %d", settings.MaxObjectSize, s.Size)
		}
		if !(s.Share > 0 && s.Share <= 1) {
			return wrong("a share is above 0 and at most 1, not %g", s.Share)
		}
	}
	return o.checkOutputs()
}

// checkOutputs finds outputs that there can't be.
func (o CostOptions) checkOutputs() error {
	if !(o.Outputs >= 0 && o.Outputs <= mostOutputs) { // which NaN isn't
		return fmt.Errorf("%w: the outputs of an upload are a number above 0 and at most %s, not %s",
			ErrInput, Number(mostOutputs), Number(o.Outputs))
	}
	if o.OutputBytes < 0 || o.OutputBytes > api.MaxOutputSize {
		return fmt.Errorf("%w: an output has from 0 to %d bytes, not %d", ErrInput, int64(api.MaxOutputSize), o.OutputBytes)
	}
	return nil
}

// CostItem is one position of a bill for a month.
type CostItem struct {
	// Route is the route's name; empty for what is there without uploads, or for all of them.
	Route string `json:"route,omitempty"`
	// What is billed, and how much of it.
	What     string  `json:"what"`
	Quantity float64 `json:"quantity"`
	// Dollars is the price of it, in US dollars.
	Dollars float64 `json:"dollars"`
}

// CostReport is about what a month costs.
type CostReport struct {
	// Items are the positions: by route, then for all uploads, then what costs without uploads.
	Items []CostItem `json:"items"`
	// Uploads are how many go each route, Routes what they cost there.
	Uploads map[string]float64 `json:"uploads"`
	Routes  map[string]float64 `json:"routes"`
	// Fixed costs without any upload. Total is all of it. Both are a month's.
	Fixed float64 `json:"fixed"`
	Total float64 `json:"total"`
	// Threshold is the size of the largest object that goes to Lambda, in bytes (sizeThreshold, or the maxSize of a Lambda route).
	Threshold int64 `json:"thresholdBytes"`
	// BreakEven is from which size on, in bytes, a task of a route costs less for an object than the function does, by route. There is none
	// of a route whose task is never cheaper.
	BreakEven map[string]int64 `json:"breakEvenBytes,omitempty"`
	// SpotDiscount is the assumption about Fargate Spot that it is made with.
	SpotDiscount float64 `json:"spotDiscount,omitempty"`
	// SecondsPerGB is the assumption about the processor, if one was made.
	SecondsPerGB float64 `json:"secondsPerGB,omitempty"`
	// OutputsPerUpload is how many outputs each upload is taken to have, OutputBytes how large they are, where that isn't as large as the
	// upload; only with outputBucket.
	OutputsPerUpload float64 `json:"outputsPerUpload,omitempty"`
	OutputBytes      int64   `json:"outputBytes,omitempty"`
	// Waiting is about the wait for task slots, of each route that has some, in order.
	Waiting []Waiting `json:"waiting,omitempty"`
	// Late are the sizes, in bytes, whose processing would take longer than its time-out: they would fail.
	Late []int64 `json:"lateBytes,omitempty"`
	// Prices says which prices these are, OtherRegion why they aren't those of the configuration's Region, and NotCounted what isn't in it.
	Prices      string `json:"prices"`
	OtherRegion string `json:"otherRegion,omitempty"`
	NotCounted  string `json:"notCounted"`
}

// Costs estimates a month, from what the project declares for a configuration.
func Costs(options CostOptions) (*CostReport, error) {
	if err := options.check(); err != nil {
		return nil, err
	}
	system, err := declare("", "local", options.Config)
	if err != nil {
		return nil, err
	}
	loaded, err := loadSettings(settings.Namespace, options.Config)
	if err != nil {
		return nil, err
	}
	c, err := newCosting(system)
	if err != nil {
		return nil, err
	}
	c.settings, c.rows = loaded, loaded.Machine().Rows()
	c.processor(options.SecondsPerGB)
	c.result = float64(cmp.Or(options.ResultBytes, pricing.UsualResult))
	if c.result > ledger.MaxResult {
		c.result, c.loggedResult = 0, c.result
	}
	if err := c.discount(options.SpotDiscount); err != nil {
		return nil, err
	}
	if err := c.writes(options.Outputs, options.OutputBytes); err != nil {
		return nil, err
	}
	keys, err := filter.ParseKeys(loaded.KeyGlobs)
	if err != nil {
		return nil, err //nolint:wrapcheck // It says which one.
	}
	for _, share := range options.Sizes {
		if share.Key != "" {
			if err := keys.Check(share.Key); err != nil {
				return nil, fmt.Errorf("%w: the share of %s: %w", ErrInput, share.Key, err)
			}
		}
		c.uploads(share.Key, share.Size, options.Uploads*share.Share)
	}
	if err := c.waits(options.Uploads, options.AtOnce); err != nil {
		return nil, err
	}
	c.scheduled()
	c.kept(options.Uploads)
	c.metrics()
	c.fixed()
	c.compare()
	c.report.OtherRegion = otherRegion(options.Config["aws:region"])
	return c.finish(), nil
}

// otherRegion says what the prices are worth in a Region; nothing where they hold, or where none is named.
func otherRegion(region string) string {
	if region == "" || region == pricing.Region {
		return ""
	}
	switch own, _ := partition.OfRegion(region); own.Name {
	case partition.Standard:
		return fmt.Sprintf("The prices are those of %s, and %s has others: look them up before you rely on a sum", pricing.Region, region)
	case partition.China:
		return fmt.Sprintf("The prices are those of %s and don't hold in %s: it is sold by another company, in yuan", pricing.Region, region)
	default:
		return fmt.Sprintf("The prices are those of %s and don't hold in %s: the partition %s has a price list of its own",
			pricing.Region, region, own.Name)
	}
}

// processor takes the assumption about the processor.
func (c *costing) processor(secondsPerGB float64) {
	if secondsPerGB == 0 {
		return
	}
	c.report.SecondsPerGB, c.report.NotCounted = secondsPerGB, notCounted+ownUseNotCounted+tierNotCounted
	c.estimator.function.Processor, c.estimator.task.Processor = pricing.Processor(secondsPerGB), pricing.Processor(secondsPerGB)
}

// compare finds from which size on which of both is cheaper.
func (c *costing) compare() {
	e := &c.estimator
	c.report.Threshold = e.threshold()
	for _, route := range e.routes {
		if route.Compute != machine.Fargate {
			continue
		}
		// The function's architecture is the task's, which may have a discount besides.
		size := pricing.BreakEven(e.architectureOf(route), e.function, e.taskOf(route))
		if math.IsInf(size, 1) {
			continue
		}
		if c.report.BreakEven == nil {
			c.report.BreakEven = map[string]int64{}
		}
		c.report.BreakEven[route.Name] = int64(size)
	}
}

// taskKey is the path of what the configuration has for the first route of tasks, by one of the settings' methods.
func (c *costing) taskKey(of func(s *settings.Settings, route string) string) string {
	for _, r := range c.rows {
		if r.Compute == machine.Fargate {
			return of(c.settings, r.Name)
		}
	}
	return of(c.settings, "")
}

// discount takes the assumption about Spot.
func (c *costing) discount(share float64) error {
	switch {
	case share < 0 || share >= 1 || math.IsNaN(share):
		return fmt.Errorf("%w: Spot's discount is from 0 %% to below 100 %%, not %s %%", ErrInput, Percent(share))
	case share > 0 && !c.spot:
		return fmt.Errorf("%w: a discount is for Spot, and the tasks run on demand: set %s to spot", ErrInput,
			c.taskKey((*settings.Settings).CapacityKey))
	case !c.spot:
		return nil
	}
	c.report.SpotDiscount = share
	c.report.NotCounted = costNotCountedOnSpot + ", " + c.report.NotCounted
	if share == 0 {
		c.report.NotCounted = costNotCountedDiscount + ", " + c.report.NotCounted
	}
	c.estimator.spotDiscount = share
	return nil
}

// writes takes the assumption about the outputs.
func (c *costing) writes(outputs float64, bytes int64) error {
	if !c.outputs {
		if outputs > 0 || bytes > 0 {
			return fmt.Errorf("%w: outputs are written to a bucket of their own: set outputBucket", ErrInput)
		}
		return nil
	}
	c.report.OutputsPerUpload, c.report.OutputBytes = cmp.Or(outputs, 1), bytes
	return nil
}

// output adds what n uploads of a size write.
func (c *costing) output(size int64, n float64) {
	if !c.outputs {
		return
	}
	n *= c.report.OutputsPerUpload
	bytes := float64(cmp.Or(c.report.OutputBytes, size))
	parts := 1.0
	if bytes > api.OutputPartSize {
		parts = math.Ceil(bytes/api.OutputPartSize) + 2
	}
	c.add("", "PUTs and parts of outputs", n*parts, n*parts*pricing.PutRequest)
	if c.ownOutputs {
		c.add("", "GB of outputs, kept for a month", n*bytes/1e9, n*bytes/1e9*pricing.StorageGBMonth)
	}
}

// costing adds up the bill of a declared system.
type costing struct {
	system    *declared.System
	estimator estimator
	// spot is whether tasks of a route run on Spot first, public whether they have an address, traced whether they are traced, keyed
	// whether each object takes KMS.
	spot, public, traced, keyed bool
	// event is how many bytes the log takes for an event of an execution that succeeds.
	event float64
	// settings are the configuration, rows its routes.
	settings *settings.Settings
	rows     []machine.Row
	// lambdaTimeout is the time that a run of the function has, in seconds.
	lambdaTimeout float64
	endpoints     float64 // interface endpoints, times zones
	// outputs is whether there is a bucket for outputs, ownOutputs whether it is one of the stack's.
	outputs, ownOutputs bool
	// ledger is whether there is one, retention for how many days it keeps an upload, 0 for good. result is how long a result is in the
	// ledger, loggedResult in the log alone, in bytes.
	ledger               bool
	retention            float64
	result, loggedResult float64
	// tagged is whether versions are tagged with what became of them.
	tagged bool
	// tasksStarted is how many tasks there are of each route, taskSeconds how long they run together.
	tasksStarted, taskSeconds map[string]float64

	sweep  *declared.Resource
	items  []CostItem
	report *CostReport
}

func newCosting(system *declared.System) (*costing, error) {
	c := &costing{system: system, tasksStarted: map[string]float64{}, taskSeconds: map[string]float64{}, report: &CostReport{
		Uploads: map[string]float64{}, Routes: map[string]float64{}, Prices: prices, NotCounted: CostNotCounted,
	}}
	router, err := system.Router()
	if err != nil {
		return nil, fmt.Errorf("finding the state machine: %w", err)
	}
	outputs, err := outputsOf(system.Outputs)
	if err != nil {
		return nil, err
	}
	c.estimator.routes = outputs.routes
	if name, _ := system.Outputs["outputBucketName"].(string); name != "" {
		c.outputs = true
		_, err := system.Where(declared.TypeBucket, "bucket", name)
		c.ownOutputs = err == nil
	}
	task := c.estimator.tasks()
	c.public = task.PublicAddress
	c.spot = slices.ContainsFunc(outputs.routes, func(r machine.Route) bool { return r.Spot })
	c.event = eventBytes(router.Object("loggingConfiguration"))
	c.traced, _ = router.Object("tracingConfiguration")["enabled"].(bool)
	if err := c.processors(outputs.LambdaFunctionARN); err != nil {
		return nil, err
	}
	for _, endpoint := range system.OfType(declared.TypeVPCEndpoint) {
		if endpoint.Text("vpcEndpointType") == "Interface" {
			subnets, _ := endpoint.Inputs["subnetIds"].([]any)
			c.endpoints += float64(max(1, len(subnets)))
		}
	}
	for _, sse := range system.OfType(declared.TypeBucketEncryption) {
		text := fmt.Sprint(sse.Inputs)
		c.keyed = c.keyed || strings.Contains(text, "aws:kms") && !strings.Contains(text, "bucketKeyEnabled:true")
	}
	return c, nil
}

// eventBytes is how many bytes the log takes for an event of an execution that succeeds: those are logged at the level ALL alone.
// ERROR has only what goes wrong, FATAL what ends an execution badly.
// https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html#cloudwatch-log-level
func eventBytes(logging map[string]any) float64 {
	if level, _ := logging["level"].(string); level != string(settings.LogAll) {
		return 0
	}
	if data, _ := logging["includeExecutionData"].(bool); data {
		return eventLogBytes + eventDataBytes
	}
	return eventLogBytes
}

// processors takes the sizes of both.
func (c *costing) processors(functionARN string) error {
	function, err := c.system.Where(declared.TypeFunction, "arn", functionARN)
	if err != nil {
		return fmt.Errorf("finding the function: %w", err)
	}
	c.ledger = len(c.system.OfType(declared.TypeTable)) > 0
	variables, _ := function.Object("environment")["variables"].(map[string]any)
	c.tagged = variables[request.EnvironmentTagUploads] != nil
	days, _ := variables[ledger.EnvironmentRetention].(string)
	c.retention, _ = strconv.ParseFloat(days, 64) // without one it is 0
	for _, other := range c.system.OfType(declared.TypeFunction) {
		if other.ARN() != functionARN {
			c.sweep = &other
		}
	}
	task, err := c.system.Only(declared.TypeTaskDefinition)
	if err != nil {
		return fmt.Errorf("finding the task: %w", err)
	}
	e := &c.estimator
	e.function.Memory, c.lambdaTimeout = int(function.Number("memorySize")), function.Number("timeout")
	e.function.Storage = int(number(function.Object("ephemeralStorage")["size"]))
	e.lambdaArchitecture = pricing.ArchitectureOf("") // the one that Lambda takes where none is named
	if names, _ := function.Inputs["architectures"].([]any); len(names) > 0 {
		e.lambdaArchitecture = pricing.ArchitectureOf(fmt.Sprint(names[0]))
	}
	platform, _ := task.Object("runtimePlatform")["cpuArchitecture"].(string)
	return e.setTask(task.Text("cpu"), task.Text("memory"), int(number(task.Object("ephemeralStorage")["sizeInGib"])), platform)
}

// number is an input that is a number; 0 if it isn't.
func number(input any) float64 {
	n, _ := input.(float64)
	return n
}

// add adds to a position; positions of the same name are one.
func (c *costing) add(route, what string, quantity, dollars float64) {
	if quantity == 0 {
		return
	}
	for i := range c.items {
		if c.items[i].Route == route && c.items[i].What == what {
			c.items[i].Quantity += quantity
			c.items[i].Dollars += dollars
			return
		}
	}
	c.items = append(c.items, CostItem{Route: route, What: what, Quantity: quantity, Dollars: dollars})
}

// uploads adds n uploads of a size.
func (c *costing) uploads(key string, size int64, n float64) {
	e, bytes := &c.estimator, float64(size)
	route := e.of(key, size)
	c.report.Uploads[route.Name] += n
	transitions := float64(len(route.Steps)) * n
	c.add(route.Name, "state transitions", transitions, transitions*pricing.StateTransition)
	var logged float64
	if c.late(route, bytes) && !slices.Contains(c.report.Late, size) {
		c.report.Late = append(c.report.Late, size)
	}
	if route.Compute == machine.Lambda {
		c.add(route.Name, "Lambda runs, with reading", n, n*e.function.Cost(e.lambdaArchitecture, bytes))
		logged = functionLogBytes
	} else {
		task := e.taskOf(route)
		each := task.Cost(e.architectureOf(route), bytes)
		c.tasksStarted[route.Name] += n
		c.taskSeconds[route.Name] += n * task.Seconds(bytes)
		if !c.public {
			each -= task.Seconds(bytes) / 3600 * pricing.PublicAddressHour
		}
		what := "Fargate tasks, with reading"
		if route.Spot {
			what = "Fargate tasks on Spot, with reading"
		}
		c.add(route.Name, what, n, n*each)
		logged = taskLogBytes
	}
	logged += c.event*float64(route.Events()) + c.loggedResult
	c.add(route.Name, "GB of logs", n*logged/1e9, n*logged/1e9*pricing.LogGB)
	c.services(route, n)
	c.add("", "events", n, n*pricing.Event)
	parts := 1.0
	if size > defaultPartSize {
		// A larger file has larger parts.
		parts = min(math.Ceil(bytes/defaultPartSize), mostParts) + 2
	}
	c.add("", "PUTs and parts", n*parts, n*parts*pricing.PutRequest)
	if c.tagged { // to keep the other tags they are asked for first
		c.add("", "GETs and PUTs of tags", 2*n, n*(pricing.GetRequest+pricing.PutRequest))
		c.add("", "tags, kept for a month", n, n*pricing.TagMonth)
	}
	if len(c.settings.Buckets) == 0 { // what others' buckets keep they would keep without this
		c.add("", "GB of objects, kept for a month", n*bytes/1e9, n*bytes/1e9*pricing.StorageGBMonth)
	}
	c.output(size, n)
	if c.keyed {
		c.add("", "uses of the key", 2*n, 2*n*pricing.KeyRequest)
	}
	if c.traced {
		c.add("", "traces", n, n*pricing.Trace)
	}
}

// late says whether a run takes longer than the time that it has.
func (c *costing) late(route machine.Route, bytes float64) bool {
	if route.Compute == machine.Lambda {
		return c.lambdaTimeout > 0 && c.estimator.function.Seconds(bytes) > c.lambdaTimeout
	}
	// What a task is billed at least isn't what it takes.
	return bytes/c.estimator.taskOf(route).Rate() > float64(route.TimeoutSeconds)
}

// services adds what the state machine calls besides the processor.
func (c *costing) services(route machine.Route, n float64) {
	notices := n * float64(route.Calls("sns"))
	c.add(route.Name, "notices", notices, notices*pricing.Publish)
	mails := 0.0
	for _, subscription := range c.system.OfType(declared.TypeTopicSubscription) {
		if strings.HasPrefix(subscription.Text("protocol"), "email") {
			mails++
		}
	}
	c.add(route.Name, "e-mails", notices*mails, notices*mails*pricing.Email)
	if !c.ledger {
		return
	}
	begins := 1
	if route.Calls("dynamodb") > 0 {
		begins++ // the state machine begins before a task does
	}
	writes := n * pricing.LedgerWrites(begins, c.result)
	if c.outputs || c.tagged {
		writes += n // the proof before the first output or the tag, which is a write of an item that changes nothing
	}
	if row, queued := c.queued(route.Name); queued { // one to take a slot, one to return it
		writes += n * 2 * float64(row.SlotWriteUnits())
	}
	c.add(route.Name, "write units of the ledger", writes, writes*pricing.TableWrite)
}

// processedMetrics are those of a route that has processed a file: [routemetric.Duration] and [routemetric.Size].
const processedMetrics = 2

// metrics adds those of the routes that are taken, in as many hours as there are uploads for.
func (c *costing) metrics() {
	for _, route := range c.estimator.routes {
		months := processedMetrics * min(1, c.report.Uploads[route.Name]/pricing.HoursPerMonth)
		c.add(route.Name, "metrics, for a month", months, months*pricing.MetricMonth)
	}
}

// year is what is counted of a ledger that is kept for good, in days.
const year = 365

// kept adds what the ledger takes to keep so many uploads a month, once it is as full as it gets.
func (c *costing) kept(uploads float64) {
	if !c.ledger {
		return
	}
	days := cmp.Or(c.retention, year)
	table, all := pricing.LedgerBytes(c.result)
	n := uploads * days * 24 / pricing.HoursPerMonth / 1e9
	c.add("", fmt.Sprintf("GB of the ledger, of %g days", days), n*all, max(0, n*all-pricing.TableFreeGB)*pricing.TableGBMonth)
	c.add("", "GB of the ledger, to be recovered", n*table, n*table*pricing.RecoveryGBMonth)
}

// What a run of the sweep is taken to use: most find nothing to do.
const (
	sweepSeconds = 1
	sweepReads   = 8 // read units
)

// sweeps adds the scheduled runs of the sweep.
func (c *costing) sweeps() {
	if c.sweep == nil {
		return
	}
	runs := 0.0
	for _, rule := range c.system.OfType(declared.TypeEventRule) {
		var minutes float64
		if _, err := fmt.Sscanf(rule.Text("scheduleExpression"), "rate(%f minutes)", &minutes); err == nil && minutes > 0 {
			runs += pricing.HoursPerMonth * 60 / minutes
		}
	}
	second := c.sweep.Number("memorySize") / 1024 * c.estimator.lambdaArchitecture.LambdaGBSecond
	c.add(fixedCost, "runs of the sweep", runs, runs*(pricing.LambdaRequest+sweepSeconds*second+sweepReads*pricing.TableRead))
}

// fixed adds what costs without any upload.
func (c *costing) fixed() {
	for _, position := range []struct {
		what, typ string
		each      float64
	}{
		{"KMS keys", declared.TypeKey, pricing.KeyMonth},
		{"alarms", declared.TypeAlarm, pricing.AlarmMonth},
		{"dashboards", declared.TypeDashboard, pricing.DashboardMonth},
	} {
		n := float64(len(c.system.OfType(position.typ)))
		c.add(fixedCost, position.what, n, n*position.each)
	}
	c.sweeps()
	c.add(fixedCost, "hours of VPC endpoints", c.endpoints*pricing.HoursPerMonth, c.endpoints*pricing.HoursPerMonth*pricing.EndpointHour)
}

// fixedCost marks positions without a route while they are added up.
const fixedCost = "fixed"

// finish sums up.
func (c *costing) finish() *CostReport {
	r := c.report
	order := make([]string, 0, len(c.estimator.routes)+2)
	for _, route := range c.estimator.routes {
		order = append(order, route.Name)
	}
	for _, route := range append(order, "", fixedCost) {
		for _, item := range c.items {
			if item.Route != route {
				continue
			}
			r.Total += item.Dollars
			switch route {
			case "":
			case fixedCost:
				r.Fixed += item.Dollars
				item.Route = ""
			default:
				r.Routes[route] += item.Dollars
			}
			r.Items = append(r.Items, item)
		}
	}
	return r
}
