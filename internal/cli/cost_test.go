package cli

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSessionCost counts Spot by what one says that it costs less, and by nothing else.
func TestSessionCost(t *testing.T) { //nolint:paralleltest // It sets the environment.
	s := newSession(t)
	ask := func(code int, want string, args ...string) string {
		t.Helper()
		a := s.runIn(t.Context(), "", append([]string{"cost", "--uploads-per-month", "1000", "--size-distribution", "20MB:100%"}, args...)...)
		require.Equal(t, code, a.code, a.out)
		require.Contains(t, a.out, want)
		return a.out
	}
	require.NotContains(t, ask(0, "Fargate tasks, with reading", "-c", "taskCapacity=fargate"), "Spot")
	ask(0, "as no discount is given", "-c", "taskCapacity=spot")
	ask(0, "Spot is counted as 65 % below the price on demand.", "-c", "taskCapacity=spot", "--spot-discount", "65%")
	ask(0, `"spotDiscount": 0.65`, "-c", "taskCapacity=spot", "--spot-discount", "65", "--json")
	ask(exitUsage, "write it as 65%", "--spot-discount", "much")
	ask(exitUsage, "from 0 % to below 100 %, not 100 %", "-c", "taskCapacity=spot", "--spot-discount", "100%")
	ask(0, "The processor is counted as 12 s for 10^9 bytes on one vCPU.", "--seconds-per-gb", "12")
	ask(0, "The processor is counted as 1,000,000 s for 10^9 bytes on one vCPU.", "--seconds-per-gb", "1e6")
	ask(0, "Spot is counted as 0.65 % below the price on demand.", "-c", "taskCapacity=spot", "--spot-discount", "0.65%")
	ask(0, "Spot is counted as 7 % below the price on demand.", "-c", "taskCapacity=spot", "--spot-discount", "7")
	ask(0, `"secondsPerGB": 12`, "--seconds-per-gb", "12", "--json")
	ask(0, "Files of 19 MiB would fail: to process one takes longer than its time-out", "--seconds-per-gb", "80000")
	tiers := []string{"-c", "executionTimeout=14400", "-c", "routes=" +
		`[{"name":"small","maxSize":"6MiB","compute":"lambda"},{"name":"video","keys":["*.mp4"],"compute":"fargate","cpu":16384,` +
		`"memory":32768},{"name":"large","compute":"fargate"}]`}
	require.Contains(t, ask(0, "A task of large is cheaper from about ", tiers...), "Lambda takes files up to 6.0 MiB.\n")
	ask(0, "Lambda takes files of any size", "-c", `routes=[{"name":"all","compute":"lambda"}]`)
	some := []string{"-c", "maxParallelTasks=10", "-c", "executionTimeout=7200", "--uploads-at-once"}
	require.Contains(t, strings.Join(strings.Fields(ask(0, "", append(some, "25")...)), " "),
		"10 tasks at a time: an hour of waiting costs an execution $0.0015 (a try every 1m3s). "+
			"Of 25 files at once 15 wait, for 1m20s on average.")
	ask(0, "at once none waits", append(some, "10")...)
	ask(exitUsage, "set maxParallelTasks", "--uploads-at-once", "10")
	// Case S9.
	for want, args := range map[string][]string{
		"from 0 to 1,000,000,000,000, not NaN":                                   {"--uploads-per-month", "NaN"},
		"from 0 to 1,000,000,000,000, not +Inf":                                  {"--uploads-per-month", "Inf"},
		"from 0 to 1,000,000,000,000, not -1":                                    {"--uploads-per-month", "-1"},
		`"NaN%" is no share between 0 and 100 %`:                                 {"--size-distribution", "100KB:NaN%"},
		"at most 53687091200000 bytes, S3's largest":                             {"--size-distribution", "60TB:100%"},
		"the shares add up to 90 %":                                              {"--size-distribution", "1MB:90%"},
		"above 0 and at most 31,536,000, not 1,000,000,000":                      {"--seconds-per-gb", "1e9"},
		"the shares add up to 110 %":                                             {"--size-distribution", "1MB:50%,2MB:60%"},
		"--spot-discount 0.65: it would be 0.65 %: write 0.65% for that, or 65%": {"--spot-discount", "0.65"},
		`"NaN%" is no share from 0 % to 100 %`:                                   {"--spot-discount", "NaN%"},
		"--seconds-per-gb must be above 0":                                       {"--seconds-per-gb", "0"},
		"above 0 and at most 31,536,000, not NaN":                                {"--seconds-per-gb", "NaN"},
		"above 0 and at most 31,536,000, not +Inf":                               {"--seconds-per-gb", "Inf"},
		"above 0 and at most 31,536,000, not -1":                                 {"--seconds-per-gb", "-1"},
		`--uploads-per-month "many": write a number`:                             {"--uploads-per-month", "many"},
		`--seconds-per-gb "abc": write a number such`:                            {"--seconds-per-gb", "abc"},
	} {
		ask(exitUsage, want, args...)
	}
	ask(exitUsage, "set taskCapacity to spot", "-c", "taskCapacity=fargate", "--spot-discount", "65%")
	for region, want := range map[string]string{
		"eu-central-1":  "The prices are those of us-east-1, and eu-central-1 has others",
		"cn-north-1":    "and don't hold in cn-north-1: it is sold by another company, in yuan",
		"us-gov-west-1": "and don't hold in us-gov-west-1: the partition aws-us-gov has a price list",
	} {
		require.Contains(t, strings.ReplaceAll(strings.SplitN(ask(0, "", "-c", "aws:region="+region), "ROUTE", 2)[0], "\n", " "), want)
	}
	require.NotContains(t, ask(0, "ROUTE", "-c", "aws:region=us-east-1"), "has others")
}
