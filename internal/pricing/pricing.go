// Package pricing says what processing an upload costs on either route: AWS's prices as constants, with their date and source, and what
// this project was measured to need. docs/performance.md has its tables from here.
package pricing

import (
	"math"
	"strings"
	"time"

	"example.com/upload-router/internal/host/limits"
)

// Date is when the constants were last gone through, and Region what they are for. Prices change, and differ between Regions. They were
// compared with AWS's price list, of August and September 2026, as others quote it; with no such list at hand, those of state
// transitions and traces with AWS's pages, which have no date, and that of events with what others quote from AWS's page.
const (
	Date   = "2026-11-27"
	Region = "us-east-1"
)

// The prices, in US dollars, on demand and without any free tier.
const (
	// LambdaRequest is for one invocation. https://aws.amazon.com/lambda/pricing/
	LambdaRequest = 0.20 / 1e6
	// StateTransition is for one transition of a standard workflow. https://aws.amazon.com/step-functions/pricing/
	StateTransition = 0.025 / 1e3
	// GetRequest is for one GET of S3 Standard. https://aws.amazon.com/s3/pricing/
	GetRequest = 0.0004 / 1e3
	// PublicAddressHour is for the public IPv4 address of a task that has one. https://aws.amazon.com/vpc/pricing/
	PublicAddressHour = 0.005
)

// FargateStorageHour is for one GB of a task's disk beyond the FargateStorageFree GB that come with it.
// https://aws.amazon.com/fargate/pricing/
const (
	FargateStorageHour = 0.000111
	FargateStorageFree = 20
)

// LambdaStorageGBSecond is for one GB of a function's disk beyond the LambdaStorageFree MB that come with it, on either architecture.
// https://aws.amazon.com/lambda/pricing/
const (
	LambdaStorageGBSecond = 0.0000000309
	LambdaStorageFree     = 512
)

// FargateMinimum is the smallest bill for a task, from the start of the image's pull on. https://aws.amazon.com/fargate/pricing/
const FargateMinimum = time.Minute

// Architecture is a processor architecture with its prices in US dollars.
type Architecture struct {
	// Name is the name that the configuration has for it.
	Name string
	// FargateCPUHour is for one vCPU, FargateGBHour for one GB of memory. https://aws.amazon.com/fargate/pricing/
	FargateCPUHour, FargateGBHour float64
	// LambdaGBSecond is for one GB of memory in the first tier. https://aws.amazon.com/lambda/pricing/
	LambdaGBSecond float64
}

// Architectures are those that Lambda and Fargate both have.
func Architectures() []Architecture {
	return []Architecture{
		{"x86_64", 0.04048, 0.004445, 0.0000166667},
		{"arm64", 0.03238, 0.00356, 0.0000133334},
	}
}

// Spot is the architecture with tasks on Fargate Spot, for a share of 0 to 1 less: of the processor and the memory, not of the disk and
// the address. How much less it is changes from day to day and from Region to Region, so there is no constant for it here: AWS says up to
// 70 %, and what it is now. https://aws.amazon.com/fargate/pricing/
func (a Architecture) Spot(discount float64) Architecture {
	a.FargateCPUHour *= 1 - discount
	a.FargateGBHour *= 1 - discount
	return a
}

// ArchitectureOf gives an architecture by the name that Lambda or ECS has for it; any that isn't ARM is x86_64.
func ArchitectureOf(name string) Architecture {
	all := Architectures()
	if strings.EqualFold(name, all[1].Name) {
		return all[1]
	}
	return all[0]
}

// What was measured; see docs/performance.md. A processor core at AWS is another one: half a hyper-threaded core on x86_64.
const (
	// CPUSecondsPerGB is the processor time for 10^9 bytes, over several connections.
	CPUSecondsPerGB = 1.47
	// OneCore is what SHA-256 does on one core, in bytes per second, which nothing makes faster.
	OneCore = 1.4e9
	// ManyConnections is what comes over many connections of 50 MB/s and 20 ms each, through the window of constant size.
	ManyConnections = 863e6
	// OneConnection is what S3 gives to one.
	OneConnection = 50e6
	// PartSize is what one request asks for.
	PartSize = 8 << 20
	// FirstByte is the latency of S3.
	FirstByte = 20 * time.Millisecond
	// LambdaCPUMemory is the memory in MB with which a function has one vCPU.
	LambdaCPUMemory = limits.LambdaProcessorMB
)

// Processor is how fast what is done to an object is: the seconds that one vCPU takes for 10^9 bytes, reading included. 0 is what was
// measured of the processor as this project comes, which works on a second vCPU too; any other is taken not to.
type Processor float64

// Rate is the speed in bytes per second with so many vCPUs: what they can do, or the network gives.
func (p Processor) Rate(cpus float64) float64 {
	if p == 0 {
		return min(cpus/CPUSecondsPerGB*1e9, OneCore, ManyConnections)
	}
	return min(min(cpus, 1)/float64(p)*1e9, ManyConnections)
}

// Task is a size of a Fargate task.
type Task struct {
	// CPU is in units of 1/1024 vCPU, Memory in MiB, Storage in GiB; 0 is the disk that comes with it.
	CPU, Memory, Storage int
	// Processor is what it runs.
	Processor Processor
}

// Hour is the price of one hour of the task, with its public address.
func (t Task) Hour(a Architecture) float64 {
	disk := float64(max(0, t.Storage-FargateStorageFree)) * FargateStorageHour
	return float64(t.CPU)/1024*a.FargateCPUHour + float64(t.Memory)/1024*a.FargateGBHour + disk + PublicAddressHour
}

// Rate is the task's speed in bytes per second.
func (t Task) Rate() float64 { return t.Processor.Rate(float64(t.CPU) / 1024) }

// Cost is the price of processing one object of so many bytes, with its GETs and without the state machine.
func (t Task) Cost(a Architecture, size float64) float64 { return t.RunCost(a, size, t.Seconds(size)) }

// RunCost is the price of a run of so many seconds, of which [FargateMinimum] is the least that is billed.
func (t Task) RunCost(a Architecture, size, seconds float64) float64 {
	return max(seconds, FargateMinimum.Seconds())/3600*t.Hour(a) + gets(size)
}

// Seconds is for how long a task is billed that processes one object of so many bytes.
func (t Task) Seconds(size float64) float64 { return max(size/t.Rate(), FargateMinimum.Seconds()) }

// gets is the price of the requests for an object.
func gets(size float64) float64 { return max(1, math.Ceil(size/PartSize)) * GetRequest }

// Function is a size of a Lambda function.
type Function struct {
	// Memory and Storage are in MB; no Storage is the disk that comes with it.
	Memory, Storage int
	// Processor is what it runs.
	Processor Processor
}

// Seconds is how long a warm function takes for an object of so many bytes.
func (f Function) Seconds(size float64) float64 {
	return FirstByte.Seconds() + size/f.rate(size)
}

// rate is the function's speed in bytes per second: Lambda's network gives much less than many connections would.
func (f Function) rate(size float64) float64 {
	network := float64(OneConnection)
	if size > PartSize {
		network = limits.LambdaBytesPerSecond
	}
	return min(f.Processor.Rate(float64(f.Memory)/LambdaCPUMemory), network)
}

// Cost is the price of processing one object of so many bytes, with its GETs and without the state machine.
func (f Function) Cost(a Architecture, size float64) float64 {
	return f.RunCost(a, size, f.Seconds(size))
}

// RunCost is the price of a run of so many seconds.
func (f Function) RunCost(a Architecture, size, seconds float64) float64 {
	disk := float64(max(0, f.Storage-LambdaStorageFree)) / 1024 * LambdaStorageGBSecond
	return seconds*(float64(f.Memory)/1024*a.LambdaGBSecond+disk) + LambdaRequest + gets(size)
}

// largest is the size of the largest object there is.
const largest = 50e12

// BreakEven is the size in bytes from which on the task is cheaper than the function; infinite when it never is.
func BreakEven(a Architecture, f Function, t Task) float64 {
	if f.Cost(a, largest) < t.Cost(a, largest) {
		return math.Inf(1)
	}
	low, high := 1.0, float64(largest)
	for high-low > 1 {
		if middle := (low + high) / 2; f.Cost(a, middle) < t.Cost(a, middle) {
			low = middle
		} else {
			high = middle
		}
	}
	return high
}
