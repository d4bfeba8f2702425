package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// result is one contestant's runs on one object.
type result struct {
	contestant string
	absent     string
	runs       []usage
	size       int64
}

var errWrongDigest = errors.New("a contestant printed another digest")

// race has every contestant process an object, in turns, so that what else the machine does hits all of them.
func race(ctx context.Context, all []contestant, s *server, key string, runs int) ([]result, error) {
	results := make([]result, len(all))
	for i, c := range all {
		results[i] = result{contestant: c.name, absent: c.absent, size: s.objects[key].size}
	}
	for range runs {
		for i, c := range all {
			if c.absent != "" {
				continue
			}
			u, err := measure(ctx, c.command(s, key), c.environment(s, key)...)
			if err != nil {
				return nil, err
			}
			if !strings.Contains(u.output, s.objects[key].sha256) {
				return nil, fmt.Errorf("%w: %s: %s", errWrongDigest, c.name, u.output)
			}
			if c.timesItself {
				if u.wall, err = ownTime(u.output); err != nil {
					return nil, err
				}
			}
			results[i].runs = append(results[i].runs, u)
		}
	}
	return results, nil
}

// ownTime is what a contestant says that it took.
func ownTime(output string) (time.Duration, error) {
	text, _, _ := strings.Cut(output, " ")
	wall, err := time.ParseDuration(text + "s")
	if err != nil {
		return 0, fmt.Errorf("reading the time that a contestant took: %w", err)
	}
	return wall, nil
}

// median of the values; the mean of the middle two when their number is even.
func median[T int64 | float64 | time.Duration](values []T) T {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// rates are the runs in MB/s; 1 MB is 10^6 bytes.
func (r result) rates() []float64 {
	rates := make([]float64, len(r.runs))
	for i, run := range r.runs {
		rates[i] = float64(r.size) / run.wall.Seconds() / 1e6
	}
	return rates
}

// memory is the largest peak of all runs.
func (r result) memory() int64 {
	var peak int64
	for _, run := range r.runs {
		peak = max(peak, run.memory)
	}
	return peak
}

// cpuPerGB is the processor time in seconds per 10^9 bytes.
func (r result) cpuPerGB() float64 {
	times := make([]float64, len(r.runs))
	for i, run := range r.runs {
		times[i] = run.cpu.Seconds() / float64(r.size) * 1e9
	}
	return median(times)
}
