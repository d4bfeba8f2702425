package operate

import (
	"fmt"

	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/pricing"
)

// scheduled says what a backfill by the clock takes for what it looks at, which isn't counted: how many objects there are by then, nobody
// has said. What is processed already is looked up all the same.
func (c *costing) scheduled() {
	if c.settings.BackfillSchedule == "" {
		return
	}
	var look float64
	for _, route := range c.estimator.routes {
		look = max(look, lookAt(route))
	}
	const many = 1000
	c.report.NotCounted = fmt.Sprintf("what backfillSchedule looks at, each time up to about $%.2f for %d objects, processed already or not, "+
		"and what it processes, ", many*look, many) + c.report.NotCounted
}

// lookAt is what a child of a backfill takes at most for an object that it looks at, without its processing: a state more than an upload
// has, as it looks the object up, and no notice.
func lookAt(route machine.Route) float64 {
	return float64(len(route.Steps)-route.Calls("sns")+1)*pricing.StateTransition + pricing.GetRequest
}
