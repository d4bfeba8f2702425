package settings

import (
	"fmt"
	"slices"
	"strconv"
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

// taskCPUs are the processors of the table.
func taskCPUs() []int {
	cpus := make([]int, 0, len(taskSizes))
	for _, size := range taskSizes {
		cpus = append(cpus, size.cpu)
	}
	return cpus
}

// memoryWith is what memory goes with a processor; nil for one that there isn't.
func memoryWith(cpu int) []int {
	for _, size := range taskSizes {
		if size.cpu == cpu {
			return size.memory
		}
	}
	return nil
}

// taskSize checks that processor and memory are a pair.
func (l *loader) taskSize(s *Settings) {
	allowed := memoryWith(s.TaskCPU)
	if s.TaskCPU == 0 || s.TaskMemory == 0 || slices.Contains(allowed, s.TaskMemory) {
		return
	}
	rule := fmt.Sprintf("with %s %d Fargate takes %s MiB", keyTaskCPU, s.TaskCPU, abridged(allowed))
	fix := set(keyTaskMemory, strconv.Itoa(nextAllowed(allowed, s.TaskMemory)))
	if l.isSecret(keyTaskCPU) {
		rule = fmt.Sprintf("Fargate does not take this memory with %s %s", keyTaskCPU, hidden)
		fix = l.keys[keyTaskCPU].secretFix()
	}
	l.reportAt(keyTaskMemory, keyTaskMemory, l.raw(keyTaskMemory), rule, fix)
}

// fixedCPU is the smallest processor that is enough and goes with the memory, or else the largest that goes with it. It is empty for a
// memory that none goes with, and for a secret one, of which it would tell.
func (l *loader) fixedCPU(value string) string {
	wanted, _ := wholeNumber(value)
	memory, err := wholeNumber(l.raw(keyTaskMemory))
	best := ""
	if err != nil || l.isSecret(keyTaskMemory) {
		return best
	}
	for _, size := range taskSizes {
		if !slices.Contains(size.memory, memory) {
			continue
		}
		best = strconv.Itoa(size.cpu)
		if size.cpu >= wanted {
			break
		}
	}
	return best
}

// fixedMemory is a memory that the processor goes with in place of a text that is none: what it is but for zeros in front, the default if
// the processor goes with that, or else the least. It is empty if the processor isn't known, and if it is a secret.
func (l *loader) fixedMemory(value string) string {
	cpu, _ := wholeNumber(l.raw(keyTaskCPU))
	allowed := memoryWith(cpu)
	if allowed == nil || l.isSecret(keyTaskCPU) {
		return ""
	}
	for _, text := range []string{value, "0" + l.keys[keyTaskMemory].Text()} {
		if fixed := fixedNumber(text, func(memory int) bool { return slices.Contains(allowed, memory) }); fixed != "" {
			return fixed
		}
	}
	return strconv.Itoa(allowed[0])
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
