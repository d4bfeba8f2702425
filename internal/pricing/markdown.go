package pricing

import (
	"fmt"
	"math"
	"strings"
)

const terabyte = 1e12

// tasks are the sizes of the table: what processing needs of memory is less than the smallest has.
func tasks() []Task {
	return []Task{
		{CPU: 256, Memory: 512}, {CPU: 512, Memory: 1024}, {CPU: 1024, Memory: 2048}, {CPU: 1024, Memory: 8192}, {CPU: 2048, Memory: 4096},
	}
}

// Markdown is the part of docs/performance.md about prices.
func Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Prices are those of %s, as of %s; `internal/pricing` has each one with its source.\n\n", Region, Date)
	writeTasks(&b)
	b.WriteString("\n")
	writeBreakEven(&b)
	return b.String()
}

func writeTasks(b *strings.Builder) {
	b.WriteString("| task: CPU units, MiB | MB/s | hours for 1 TB |")
	for _, a := range Architectures() {
		fmt.Fprintf(b, " 1 TB on %s |", a.Name)
	}
	b.WriteString("\n|---|--:|--:|--:|--:|\n")
	for _, t := range tasks() {
		fmt.Fprintf(b, "| %d, %d | %.0f | %.2f |", t.CPU, t.Memory, t.Rate()/1e6, terabyte/t.Rate()/3600)
		for _, a := range Architectures() {
			fmt.Fprintf(b, " $%.3f |", t.Cost(a, terabyte))
		}
		b.WriteString("\n")
	}
	requests := gets(terabyte)
	fmt.Fprintf(b, "\nOf each, $%.3f are S3's price for %.0f GETs of 8 MiB.\n", requests, requests/GetRequest)
}

func writeBreakEven(b *strings.Builder) {
	b.WriteString("| function, MB | task: CPU units, MiB | architecture | the task is cheaper from | the function takes for that | " +
		"6 MiB in the function | 6 MiB in the task |\n|--:|---|---|--:|--:|--:|--:|\n")
	const threshold = 6 << 20
	for _, f := range []Function{{Memory: 512}, {Memory: LambdaCPUMemory}} {
		for _, t := range []Task{{CPU: 256, Memory: 512}, {CPU: 1024, Memory: 2048}} {
			for _, a := range Architectures() {
				from, taken := "never", "–"
				if size := BreakEven(a, f, t); !math.IsInf(size, 1) {
					from, taken = fmt.Sprintf("%.1f GB", size/1e9), fmt.Sprintf("%.0f s", f.Seconds(size))
				}
				fmt.Fprintf(b, "| %d | %d, %d | %s | %s | %s | $%.7f | $%.7f |\n", f.Memory, t.CPU, t.Memory, a.Name, from, taken,
					f.Cost(a, threshold), t.Cost(a, threshold))
			}
		}
	}
}
