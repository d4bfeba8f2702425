package operate

import (
	"fmt"

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
		look = max(look, float64(childTransitions(route))*pricing.StateTransition+pricing.GetRequest)
	}
	const many = 1000
	c.report.NotCounted = fmt.Sprintf("what backfillSchedule looks at, each time up to about $%.2f for %d objects, processed already or not, "+
		"and what it processes, ", many*look, many) + c.report.NotCounted
}
