package cli

import (
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
	ask(0, `"secondsPerGB": 12`, "--seconds-per-gb", "12", "--json")
	ask(0, "Files of 19 MiB would fail: to process one takes longer than its time-out", "--seconds-per-gb", "80000")
	// Case S9.
	for want, args := range map[string][]string{
		"from 0 to 1e+12, not NaN":                    {"--uploads-per-month", "NaN"},
		"from 0 to 1e+12, not +Inf":                   {"--uploads-per-month", "Inf"},
		"from 0 to 1e+12, not -1":                     {"--uploads-per-month", "-1"},
		`"NaN%" is no share between 0 and 100 %`:      {"--size-distribution", "100KB:NaN%"},
		"at most 53687091200000 bytes, S3's largest":  {"--size-distribution", "60TB:100%"},
		"the shares add up to 90 %":                   {"--size-distribution", "1MB:90%"},
		`"NaN%" is no share from 0 % to 100 %`:        {"--spot-discount", "NaN%"},
		"--seconds-per-gb must be above 0":            {"--seconds-per-gb", "0"},
		"from above 0 to 3.1536e+07, not NaN":         {"--seconds-per-gb", "NaN"},
		"from above 0 to 3.1536e+07, not +Inf":        {"--seconds-per-gb", "Inf"},
		"from above 0 to 3.1536e+07, not -1":          {"--seconds-per-gb", "-1"},
		`--uploads-per-month "many": write a number`:  {"--uploads-per-month", "many"},
		`--seconds-per-gb "abc": write a number such`: {"--seconds-per-gb", "abc"},
	} {
		ask(exitUsage, want, args...)
	}
	ask(exitUsage, "set taskCapacity to spot", "-c", "taskCapacity=fargate", "--spot-discount", "65%")
}
