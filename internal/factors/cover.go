package factors

import "slices"

// choice is one value of one factor, by their numbers.
type choice struct{ factor, value int }

// pair are the values of two factors, that of the earlier factor first.
type pair [2]choice

// unset is the value of a factor that isn't chosen yet.
const unset = -1

// agree says whether two values may occur together: no key has one value for the one and another for the other.
func agree(a, b Value) bool {
	for key, value := range a.Config {
		if other, both := b.Config[key]; both && other != value {
			return false
		}
	}
	return true
}

// cover is a pairwise cover: of rows that can be, so many that each pair of values that may occur together is in one. Each row is
// the one, of those that begin with a pair that is missing, that has the most of them.
func cover(factors []Factor) [][]int {
	missing := pairs(factors)
	var rows [][]int
	for len(missing) > 0 {
		var best []int
		for _, p := range missing {
			row := slices.Repeat([]int{unset}, len(factors))
			row[p[0].factor], row[p[1].factor] = p[0].value, p[1].value
			if row = complete(factors, row, missing); best == nil || count(missing, row) > count(missing, best) {
				best = row
			}
		}
		rows = append(rows, best)
		missing = slices.DeleteFunc(missing, func(p pair) bool { return has(best, p) })
	}
	return rows
}

// pairs are all pairs of values that may occur together, which takes a value of each other factor that goes with both.
func pairs(factors []Factor) []pair {
	var out []pair
	for i := range factors {
		for j := i + 1; j < len(factors); j++ {
			for v := range factors[i].Values {
				for w := range factors[j].Values {
					row := slices.Repeat([]int{unset}, len(factors))
					row[i], row[j] = v, w
					if agree(factors[i].Values[v], factors[j].Values[w]) && complete(factors, row, nil) != nil {
						out = append(out, pair{{i, v}, {j, w}})
					}
				}
			}
		}
	}
	return out
}

// complete chooses a value for each factor that has none, of those that go with all others the one with the most missing pairs,
// and the first of several. It is nil if there is no such row.
func complete(factors []Factor, row []int, missing []pair) []int {
	next := slices.Index(row, unset)
	if next == unset {
		return row
	}
	var best []int
	for value := range factors[next].Values {
		if !fits(factors, row, next, value) {
			continue
		}
		with := slices.Clone(row)
		with[next] = value
		if with = complete(factors, with, missing); with != nil && (best == nil || count(missing, with) > count(missing, best)) {
			best = with
		}
	}
	return best
}

// fits says whether a value goes with all that a row has so far.
func fits(factors []Factor, row []int, factor, value int) bool {
	for i, v := range row {
		if v != unset && i != factor && !agree(factors[i].Values[v], factors[factor].Values[value]) {
			return false
		}
	}
	return true
}

// count is how many of the pairs are in a row.
func count(pairs []pair, row []int) int {
	n := 0
	for _, p := range pairs {
		if has(row, p) {
			n++
		}
	}
	return n
}

func has(row []int, p pair) bool {
	return row[p[0].factor] == p[0].value && row[p[1].factor] == p[1].value
}
