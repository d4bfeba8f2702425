package filter

import "strings"

// Effort is what may be spent on telling whether globs cover each other. Of most globs that is little; of some, whose texts take many
// asterisks each, the keys that two have in common are more than anybody would wait for.
type Effort struct{ left int }

// effortOfAll is for a whole configuration: some tenths of a second.
const effortOfAll = 1 << 21

// NewEffort is the effort for all globs of a configuration together.
func NewEffort() *Effort { return &Effort{left: effortOfAll} }

// spend takes something for so many bytes that are looked at, and says whether there was as much.
func (e *Effort) spend(bytes int) bool {
	const together = 64 // of which a comparison takes as long as a step
	e.left -= 1 + bytes/together
	return e.left >= 0
}

// Beyond says whether there is a key that a glob takes, and one of within, if there are any, and none of others. It is false if there is
// surely none, and true as well if the effort doesn't suffice to tell.
//
// A key with a byte in place of each asterisk that is in no glob says it: whatever takes that key takes it by an asterisk of its own, and
// so takes all that may stand there. Thus a glob that several cover is covered by one of them.
func (e *Effort) Beyond(g Glob, within, others Keys) bool {
	beyond := func(key string) bool {
		for _, o := range others {
			if !e.spend(len(key)) {
				return true
			}
			if o.Match(key) {
				return false
			}
		}
		return true
	}
	if len(within) == 0 {
		return beyond(g.filled())
	}
	for _, w := range within {
		if e.common(g, w, beyond) {
			return true
		}
	}
	return false
}

// anything is the byte that stands for whatever an asterisk does. No glob has it, as it is none of UTF-8.
const anything = "\xff"

// filled is the key that stands for all that match.
func (g Glob) filled() string { return strings.Join(g.pieces, anything) }

// common says whether a condition holds for one of the keys that stand for all that two globs have in common.
func (e *Effort) common(a, b Glob, holds func(key string) bool) bool {
	switch {
	case !e.spend(len(a.text) + len(b.text)):
		return true
	case b.Match(a.filled()): // which takes all that the other one does
		return holds(a.filled())
	case a.Match(b.filled()):
		return holds(b.filled())
	}
	c := commonKeys{effort: e, a: a.filled(), b: b.filled(), holds: holds, none: map[[2]int]bool{}}
	_, found := c.from(0, 0, nil)
	return found
}

// commonKeys reads two globs side by side. Where both are at an asterisk, the key may have anything; where one is, it has what the other
// one wants, or the asterisk ends.
type commonKeys struct {
	effort *Effort
	a, b   string
	holds  func(key string) bool
	// none are the places from which no key leads to the end of both.
	none map[[2]int]bool
}

// from goes on at a place in each. There is any key if both get to their ends, and one is found if the condition holds for it, or the
// effort is spent.
func (c *commonKeys) from(i, j int, key []byte) (some, found bool) {
	switch {
	case !c.effort.spend(0):
		return true, true
	case i == len(c.a) && j == len(c.b):
		return true, c.holds(string(key))
	case c.none[[2]int{i, j}]:
		return false, false
	}
	for _, next := range c.next(i, j) {
		leads, found := c.from(next.i, next.j, append(key, next.key...))
		if found {
			return true, true
		}
		some = some || leads
	}
	if !some {
		c.none[[2]int{i, j}] = true
	}
	return some, false
}

// step leads to a place in each glob, and adds to the key.
type step struct {
	i, j int
	key  string
}

// next are the steps from a place in each.
func (c *commonKeys) next(i, j int) []step {
	a, b := at(c.a, i), at(c.b, j)
	switch {
	case a == anything && b == anything:
		out := []step{{i + 1, j + 1, anything}}
		if text := at(c.a, i+1); text != "" {
			out = append(out, step{i + 2, j, anything + text})
		}
		if text := at(c.b, j+1); text != "" {
			out = append(out, step{i, j + 2, anything + text})
		}
		return out
	case a == anything && b == "":
		return []step{{i + 1, j, ""}}
	case a == "" && b == anything:
		return []step{{i, j + 1, ""}}
	case a == anything:
		return []step{{i + 1, j, ""}, {i, j + 1, b}}
	case b == anything:
		return []step{{i, j + 1, ""}, {i + 1, j, a}}
	case a == b && a != "":
		return []step{{i + 1, j + 1, a}}
	}
	return nil
}

// at is what a filled glob has at a place; nothing at its end.
func at(filled string, i int) string {
	if i >= len(filled) {
		return ""
	}
	return filled[i : i+1]
}
