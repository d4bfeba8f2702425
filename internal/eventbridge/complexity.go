package eventbridge

import (
	"slices"
	"strconv"
	"strings"
)

// MaxWildcardComplexity is how complex the wildcards of one field may be together. AWS documents that there is a limit, and not which: this
// one is what others have measured of PutRule, and agrees with the rules that are known to be taken and to be refused.
//
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
const MaxWildcardComplexity = 10

// maxComplexitySets bounds how many sets of beginnings are looked at. More than any pattern of MaxPatternBytes has that isn't too complex.
const maxComplexitySets = 200_000

// star is the element of a wildcard's beginning that stands for any bytes; all others are bytes.
const star = -1

// wildcardsOf are the wildcards among operators, those of anything-but included, each once.
func wildcardsOf(ops []operator) [][]int {
	var found [][]int
	add := func(w wildcard) {
		elements := w.elements()
		if !slices.ContainsFunc(found, func(other []int) bool { return slices.Equal(other, elements) }) {
			found = append(found, elements)
		}
	}
	for _, op := range ops {
		switch op := op.(type) {
		case wildcard:
			add(op)
		case anythingBut:
			for _, excluded := range op {
				if w, ok := excluded.(wildcard); ok {
					add(w)
				}
			}
		}
	}
	return found
}

// elements are a wildcard's bytes and asterisks within the quotes that AWS's matcher sees a text in.
func (o wildcard) elements() []int {
	elements := []int{'"'}
	for i, piece := range o {
		if i > 0 {
			elements = append(elements, star)
		}
		for j := range len(piece) {
			elements = append(elements, int(piece[j]))
		}
	}
	return append(elements, '"')
}

// place is where in a wildcard a value has come to: how many of its elements have matched.
type place struct{ wildcard, matched int }

// complexity is how many beginnings of wildcards a value can match at once, of the worst value: how much AWS's matcher has to remember. It
// is what event-ruler's MachineComplexityEvaluator counts, and ends early where it is more than MaxWildcardComplexity.
//
// https://github.com/aws/event-ruler
func complexity(wildcards [][]int) int {
	if len(wildcards) == 0 {
		return 0
	}
	alphabet := slices.Concat(append(wildcards, []int{star})...) // star stands for the bytes that are in none
	slices.Sort(alphabet)
	alphabet = slices.Compact(alphabet)
	var start []place
	for i := range wildcards {
		start = append(start, place{wildcard: i})
	}
	most, seen, open := 0, map[string]bool{}, [][]place{start}
	for len(open) > 0 {
		at := open[len(open)-1]
		open = open[:len(open)-1]
		for _, c := range alphabet {
			next := after(wildcards, at, c)
			if most = max(most, len(next)); most > MaxWildcardComplexity {
				return most
			}
			id := identity(next)
			if len(next) == 0 || seen[id] {
				continue
			}
			if seen[id] = true; len(seen) > maxComplexitySets {
				return MaxWildcardComplexity + 1
			}
			open = append(open, next)
		}
	}
	return most
}

// after is where one more byte leads to. An asterisk that comes next may stand for nothing.
func after(wildcards [][]int, at []place, c int) []place {
	reached := map[place]bool{}
	for _, p := range at {
		elements := wildcards[p.wildcard]
		if p.matched > 0 && elements[p.matched-1] == star {
			reached[p] = true
		}
		if p.matched < len(elements) && elements[p.matched] == c && c != star {
			p.matched++
			reached[p] = true
			if p.matched < len(elements) && elements[p.matched] == star {
				p.matched++
				reached[p] = true
			}
		}
	}
	next := make([]place, 0, len(reached))
	for p := range reached {
		next = append(next, p)
	}
	slices.SortFunc(next, func(a, b place) int {
		if a.wildcard != b.wildcard {
			return a.wildcard - b.wildcard
		}
		return a.matched - b.matched
	})
	return next
}

// identity tells sets of places apart.
func identity(places []place) string {
	var id strings.Builder
	for _, p := range places {
		id.WriteString(strconv.Itoa(p.wildcard) + ":" + strconv.Itoa(p.matched) + " ")
	}
	return id.String()
}
