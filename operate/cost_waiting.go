package operate

import (
	"fmt"
	"math"
	"slices"

	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/pricing"
	"example.com/upload-router/internal/settings"
)

// costNotCountedWaiting is what an estimate leaves out where it isn't said how many uploads come at once.
const costNotCountedWaiting = "waiting for task slots"

// Waiting is what it costs to wait for a task slot of a route (maxParallelTasks, maxParallel).
type Waiting struct {
	// Route is the route's name.
	Route string `json:"route"`
	// Slots is how many tasks run at a time, and Busy how much of them the month's uploads take, were they spread evenly: above 1 more
	// comes than can be processed.
	Slots int     `json:"slots"`
	Busy  float64 `json:"busy"`
	// TrySeconds is how long an execution waits between two tries to take a slot, and HourDollars what an hour of that costs.
	TrySeconds  float64 `json:"trySeconds"`
	HourDollars float64 `json:"hourDollars"`
	// AtOnce is the assumption how many uploads come at once, of all routes, if one was made. Of those that many wait for a slot of the route,
	// for so long on average, and so many of them in vain: they would fail with Upload.NoTaskSlot.
	AtOnce         float64 `json:"atOnce,omitempty"`
	Waiting        float64 `json:"waiting,omitempty"`
	AverageSeconds float64 `json:"averageSeconds,omitempty"`
	InVain         float64 `json:"inVain,omitempty"`
}

// try is what one try to take a slot costs that fails: a retry is charged as a transition is, and a refused write as one that isn't.
// https://aws.amazon.com/step-functions/pricing/
func try(d machine.Row) float64 {
	return pricing.StateTransition + float64(d.SlotWriteUnits())*pricing.TableWrite
}

// queued is a route as it is configured whose tasks take a slot.
func (c *costing) queued(route string) (machine.Row, bool) {
	i := slices.IndexFunc(c.rows, func(r machine.Row) bool { return r.Name == route && r.MaxParallel > 0 })
	if i < 0 {
		return machine.Row{}, false
	}
	return c.rows[i], true
}

// waits adds what it takes to wait for slots, of the uploads that have been added, on each route that has some.
func (c *costing) waits(uploads, atOnce float64) error {
	for _, route := range c.estimator.routes {
		if row, queued := c.queued(route.Name); queued {
			c.report.Waiting = append(c.report.Waiting, c.wait(row, uploads, atOnce))
		}
	}
	waiting := len(c.report.Waiting) > 0
	switch {
	case !waiting && atOnce > 0:
		return fmt.Errorf("%w: how many files come at once says what it costs to wait, and no task waits: set %s", ErrInput,
			c.taskKey((*settings.Settings).LimitKey))
	case waiting && atOnce == 0:
		c.report.NotCounted = costNotCountedWaiting + ", " + c.report.NotCounted
	}
	return nil
}

// wait adds what it takes to wait for a slot of a route.
func (c *costing) wait(d machine.Row, uploads, atOnce float64) Waiting {
	started, seconds := c.tasksStarted[d.Name], c.taskSeconds[d.Name]
	each := d.SlotWait().Seconds()
	w := Waiting{
		Route: d.Name, Slots: d.MaxParallel, Busy: seconds / 3600 / pricing.HoursPerMonth / float64(d.MaxParallel),
		TrySeconds: each, HourDollars: 3600 / each * try(d), AtOnce: atOnce,
	}
	if atOnce == 0 || started == 0 {
		return w
	}
	tries := w.queue(d, atOnce*started/uploads, seconds/started) * uploads / atOnce
	c.add(d.Name, "tries to take a slot", tries, tries*try(d))
	waits := w.Waiting * uploads / atOnce // each is spread, which is a state
	c.add(d.Name, "waits for a slot", waits, waits*pricing.StateTransition)
	return w
}

// queue has so many tasks of a duration begin at once, as many at a time as there are slots. It gives how often those that wait try again:
// for the first time at any moment of the interval between two tries, so that the last try comes half of one late on average.
func (w *Waiting) queue(d machine.Row, tasks, seconds float64) (tries float64) {
	most, waited := d.QueueTime().Seconds(), 0.0
	left := max(0, tasks-float64(w.Slots))
	w.Waiting = left
	for round := 1.0; left > 0 && round*seconds <= most; round++ {
		some := min(left, float64(w.Slots))
		tries += some * (1 + round*seconds/w.TrySeconds)
		waited += some * round * seconds
		left -= some
	}
	tries += left * (1 + math.Floor(most/w.TrySeconds))
	waited += left * most
	w.InVain = left
	if w.Waiting > 0 {
		w.AverageSeconds = waited / w.Waiting
	}
	return tries
}
