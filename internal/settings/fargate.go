package settings

import (
	"fmt"
	"slices"
	"strings"
)

// taskSizes is Fargate's table: what memory, in MiB, each processor goes with.
//
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-cpu-memory-error.html
var taskSizes = []struct {
	cpu    int
	memory []int
}{
	{256, []int{512, 1024, 2048}},
	{512, steps(1024, 4096, 1024)},
	{1024, steps(2048, 8192, 1024)},
	{2048, steps(4096, 16384, 1024)},
	{4096, steps(8192, 30720, 1024)},
	{8192, steps(16384, 61440, 4096)},
	{16384, steps(32768, 122880, 8192)},
	{32768, []int{61440, 122880, 249856}},
}

// steps counts from least to most.
func steps(least, most, step int) []int {
	var values []int
	for value := least; value <= most; value += step {
		values = append(values, value)
	}
	return values
}

// taskSize reads the task's processor and memory, which Fargate takes in pairs only.
func (l *loader) taskSize() (cpu, memory int) {
	rawCPU, rawMemory := l.raw(keyTaskCPU), l.raw(keyTaskMemory)
	memory, memoryErr := wholeNumber(rawMemory)
	isMemory := memoryErr == nil && memory > 0
	wanted, err := wholeNumber(rawCPU)
	var allowed []int
	cpus := make([]string, 0, len(taskSizes))
	for _, size := range taskSizes {
		cpus = append(cpus, decimal(size.cpu))
		if wanted == size.cpu {
			cpu, allowed = size.cpu, size.memory
		}
	}
	if cpu == 0 {
		l.reportAt(keyTaskCPU, keyTaskCPU, rawCPU, "Fargate takes "+orList(cpus)+" units of 1/1024 vCPU"+noted(err),
			l.propose(keyTaskCPU, l.processorFor(wanted, memory)))
	}
	if !isMemory {
		l.reportAt(keyTaskMemory, keyTaskMemory, rawMemory, "must be a whole number of MiB"+noted(memoryErr),
			l.propose(keyTaskMemory, l.memoryFor(rawMemory, allowed)))
	}
	if cpu == 0 || !isMemory {
		return 0, 0
	}
	if !slices.Contains(allowed, memory) {
		rule := fmt.Sprintf("with %s %d Fargate takes %s MiB", keyTaskCPU, cpu, abridged(allowed))
		fix := setCommand(keyTaskMemory, decimal(nextAllowed(allowed, memory)))
		if l.isSecret(keyTaskCPU) {
			rule = fmt.Sprintf("Fargate does not take this memory with %s %s", keyTaskCPU, hidden)
			fix = l.keys[keyTaskCPU].secretFix()
		}
		l.reportAt(keyTaskMemory, keyTaskMemory, rawMemory, rule, fix)
	}
	return cpu, memory
}

// processorFor is the smallest processor that is enough and goes with a memory, or else the largest that goes with it. It is empty for a
// memory that none goes with, and for a secret one, of which it would tell.
func (l *loader) processorFor(wanted, memory int) string {
	best := ""
	if l.isSecret(keyTaskMemory) {
		return best
	}
	for _, size := range taskSizes {
		if !slices.Contains(size.memory, memory) {
			continue
		}
		best = decimal(size.cpu)
		if size.cpu >= wanted {
			break
		}
	}
	return best
}

// memoryFor is a memory that the processor goes with in place of a text that is none: what it is but for zeros in front, or the least. It
// is empty if the default goes with the processor as well, if that isn't known, and if it is a secret.
func (l *loader) memoryFor(text string, allowed []int) string {
	if allowed == nil || l.isSecret(keyTaskCPU) {
		return ""
	}
	goes := func(memory int) bool { return slices.Contains(allowed, memory) }
	if mended := mendedNumber(text, goes); mended != "" || mendedNumber("0"+l.keys[keyTaskMemory].raw(), goes) != "" {
		return mended
	}
	return decimal(allowed[0])
}

// nextAllowed is the smallest allowed value that is enough, or the largest there is.
func nextAllowed(allowed []int, wanted int) int {
	at := slices.IndexFunc(allowed, func(value int) bool { return value >= wanted })
	if at < 0 {
		return allowed[len(allowed)-1]
	}
	return allowed[at]
}

// abridged lists values that go up in equal steps by the first two and the last.
func abridged(values []int) string {
	words := decimals(values)
	if len(words) <= 4 {
		return strings.Join(words, ", ")
	}
	return fmt.Sprintf("%s, %s, … %s", words[0], words[1], words[len(words)-1])
}

// The sizes of a task's disk that can be asked for, in GiB.
//
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-task-storage.html
const minTaskStorage, maxTaskStorage = 21, 200

// taskStorage reads the task's disk; 0 asks for none.
func (l *loader) taskStorage() int {
	raw := l.raw(keyTaskStorage)
	size, err := wholeNumber(raw)
	if err != nil || size != 0 && (size < minTaskStorage || size > maxTaskStorage) {
		allowed := func(size int) bool { return size >= minTaskStorage && size <= maxTaskStorage }
		l.reportAt(keyTaskStorage, keyTaskStorage, raw, fmt.Sprintf(
			"must be a whole number of GiB from %d to %d, or 0 for the 20 that come with every task",
			minTaskStorage, maxTaskStorage)+noted(err), l.propose(keyTaskStorage, mendedNumber(raw, allowed)))
		return 0
	}
	return size
}
