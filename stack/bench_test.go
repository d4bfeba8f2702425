package stack_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/stack"
)

// manyRoutes are a configuration of ten buckets and eight routes.
func manyRoutes() map[string]string {
	buckets := make([]string, 10)
	for i := range buckets {
		buckets[i] = fmt.Sprintf(`"acme-uploads-%d"`, i)
	}
	routes := make([]string, 7)
	for i := range routes {
		routes[i] = fmt.Sprintf(`{"name":"films-%d","keys":["films-%d/*.mp4","*.film%d"],"compute":"fargate","cpu":4096,"memory":8192}`, i, i, i)
	}
	return map[string]string{
		"buckets": "[" + strings.Join(buckets, ",") + "]",
		"routes":  "[" + strings.Join(routes, ",") + `,{"name":"all","compute":"lambda"}]`,
	}
}

// BenchmarkEvaluate is what it costs to evaluate the program with ten buckets and eight routes, and how many times as much that is as with
// one bucket and two routes. Both are evaluated in turns, so that the ratio is one of the same minutes.
func BenchmarkEvaluate(b *testing.B) {
	evaluate := func(config map[string]string) time.Duration {
		began := time.Now()
		if _, err := declared.Evaluate(func(ctx *pulumi.Context) error {
			return stack.Declare(ctx, build.Placeholders)
		}, declared.Options{Stack: "bench", Config: config, AccountID: "123456789012", Region: "eu-central-1"}); err != nil {
			b.Fatal(err)
		}
		return time.Since(began)
	}
	many := manyRoutes()
	evaluate(nil) // what only the first one takes
	var one, all time.Duration
	for b.Loop() {
		one += evaluate(nil)
		all += evaluate(many)
	}
	b.ReportMetric(float64(one.Milliseconds())/float64(b.N), "ms/plain")
	b.ReportMetric(float64(all.Milliseconds())/float64(b.N), "ms/many")
	b.ReportMetric(float64(all)/float64(one), "ratio")
}
