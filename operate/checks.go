package operate

import (
	"regexp"
	"slices"
	"strings"
)

// CheckStatus is how a check ended.
type CheckStatus string

// How a check can end.
const (
	// CheckOK is that all is well.
	CheckOK CheckStatus = "ok"
	// CheckFailed is that a deployment would fail, that uploads to a bucket would never be processed, or that nobody would hear if something
	// that is protected fails.
	CheckFailed CheckStatus = "failed"
	// CheckUnknown is that it can't be determined, such as for want of a permission, or that it may be meant; a deployment may succeed.
	CheckUnknown CheckStatus = "unknown"
)

// Check is one thing that a deployment needs.
type Check struct {
	// Name is what was looked at, Found what was seen.
	Name  string `json:"name"`
	Found string `json:"found"`
	// Status is how it ended.
	Status CheckStatus `json:"status"`
	// Why says what needs it, Fix is the one command, or the page, that fixes it. Only if not ok.
	Why string `json:"why,omitempty"`
	Fix string `json:"fix,omitempty"`
	// Commands are lines for a shell that Fix speaks of, each to be run if the one before has succeeded.
	Commands []string `json:"commands,omitempty"`
}

// Diagnosis is what [Doctor] found.
type Diagnosis struct {
	Checks []Check `json:"checks"`
}

// Ready says whether nothing stands in the way of a deployment.
func (d Diagnosis) Ready() bool {
	return !slices.ContainsFunc(d.Checks, func(c Check) bool { return c.Status == CheckFailed })
}

// checks gathers checks.
type checks struct {
	done    []Check
	onCheck func(Check) // is called with each check as it ends; nil is nobody
	of      string      // the stack that commands are to name, if it isn't the one that is selected
}

// aboutStack are the commands in a fix that take a stack.
var aboutStack = regexp.MustCompile(`pulumi config (set|rm)|upload-router (pause|resume|up)\b`)

func (c *checks) add(check Check) {
	if c.of != "" && !strings.Contains(check.Fix, "--stack") {
		check.Fix = aboutStack.ReplaceAllString(check.Fix, "$0 --stack "+c.of)
	}
	c.done = append(c.done, check)
	if c.onCheck != nil {
		c.onCheck(check)
	}
}

func (c *checks) ok(name, found string) { c.add(Check{Name: name, Found: found, Status: CheckOK}) }

func (c *checks) failed(name, found, why, fix string) {
	c.add(Check{Name: name, Found: found, Status: CheckFailed, Why: why, Fix: fix})
}

func (c *checks) unknown(name, found, why, fix string) {
	c.add(Check{Name: name, Found: found, Status: CheckUnknown, Why: why, Fix: fix})
}
