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
	ask(exitUsage, "set taskCapacity to spot", "-c", "taskCapacity=fargate", "--spot-discount", "65%")
}
