package factors_test

import (
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/factors"
	"example.com/upload-router/internal/settings"
)

// at gives the value that a variant has of a key, and its number among the factor's.
func at(t *testing.T, f factors.Factor, v factors.Variant) int {
	t.Helper()
	i := slices.IndexFunc(f.Values, func(value factors.Value) bool { return value.Config[f.Key] == v.Config[f.Key] })
	require.GreaterOrEqual(t, i, 0, "%s of %s", f.Key, v.Name)
	return i
}

// agree is the rule of what may occur together, written once more: the product that the cover stands for is made by it.
func agree(values ...factors.Value) bool {
	all := map[string]string{}
	for _, v := range values {
		for key, value := range v.Config {
			if before, given := all[key]; given && before != value {
				return false
			}
			all[key] = value
		}
	}
	return true
}

// product are all combinations of values that may occur together, as a value of each factor.
func product(all []factors.Factor) [][]int {
	rows := [][]int{{}}
	for i, f := range all {
		var more [][]int
		for _, row := range rows {
			for v := range f.Values {
				values := []factors.Value{f.Values[v]}
				for j := range i {
					values = append(values, all[j].Values[row[j]])
				}
				if agree(values...) {
					more = append(more, append(slices.Clone(row), v))
				}
			}
		}
		rows = more
	}
	return rows
}

// lost are the pairs of the product that no variant has.
func lost(t *testing.T, all []factors.Factor, variants []factors.Variant) int {
	t.Helper()
	type pair [4]int
	pairs := func(row []int, do func(pair)) {
		for j := range row {
			for i := range j {
				do(pair{i, row[i], j, row[j]})
			}
		}
	}
	missing := map[pair]bool{}
	for _, row := range product(all) {
		pairs(row, func(p pair) { missing[p] = true })
	}
	for _, v := range variants {
		row := make([]int, len(all))
		for i, f := range all {
			row[i] = at(t, f, v)
		}
		pairs(row, func(p pair) { delete(missing, p) })
	}
	return len(missing)
}

// value is a value of a factor of the tests.
func value(config ...string) factors.Value {
	out := map[string]string{}
	for i := 0; i < len(config); i += 2 {
		out[config[i]] = config[i+1]
	}
	return factors.Value{Config: out}
}

// tables are factors of many kinds: ours, and those that are harder to cover.
func tables() map[string][]factors.Factor {
	three := func(key string) factors.Factor {
		return factors.Factor{Key: key, Values: []factors.Value{value(key, "0"), value(key, "1"), value(key, "2")}}
	}
	return map[string][]factors.Factor{
		"the machine":  factors.Machine(),
		"all":          factors.All(),
		"three values": {three("a"), three("b"), three("c"), three("d")},
		"one factor":   {three("a")},
		"values that exclude each other": {
			{Key: "a", Values: []factors.Value{value("a", "0"), value("a", "1", "x", "1")}},
			{Key: "b", Values: []factors.Value{value("b", "0"), value("b", "1", "x", "2")}},
			{Key: "c", Values: []factors.Value{value("c", "0"), value("c", "1", "x", "1"), value("c", "2", "y", "2")}},
		},
		// A pair that is allowed by itself, and leaves no value of the third factor.
		"a pair without a third": {
			{Key: "a", Values: []factors.Value{value("a", "0"), value("a", "1", "x", "1")}},
			{Key: "b", Values: []factors.Value{value("b", "0"), value("b", "1", "y", "1")}},
			{Key: "c", Values: []factors.Value{value("c", "0", "x", "0"), value("c", "1", "y", "0"), value("c", "2", "x", "0", "y", "0")}},
		},
	}
}

func TestEachPairOfValuesOccurs(t *testing.T) {
	t.Parallel()
	for name, all := range tables() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			variants := factors.Variants(all)
			require.Zero(t, lost(t, all, variants))
			require.LessOrEqual(t, len(variants), len(product(all)))
			require.Equal(t, names(variants), names(factors.Variants(all)), "it is the same each time")
			require.Len(t, slices.Compact(slices.Sorted(slices.Values(names(variants)))), len(variants), "none is there twice")
		})
	}
}

// The cover by itself has each pair, and the check of that can fail: without the rows that only the cover has, pairs are lost.
func TestLostPairsAreFound(t *testing.T) {
	t.Parallel()
	all := factors.Machine()
	variants := factors.Variants(all)
	plain := 2 + len(all)
	require.Equal(t, []string{factors.Default(all).Name, factors.AllOn(all).Name}, names(variants)[:2])
	require.Positive(t, lost(t, all, variants[:plain]))
	require.Zero(t, lost(t, all, variants))
	for i := range all { // what a variant too few takes away
		require.Positive(t, lost(t, all, slices.DeleteFunc(slices.Clone(variants), func(v factors.Variant) bool { return at(t, all[i], v) > 0 })))
	}
}

func names(variants []factors.Variant) []string {
	out := make([]string, len(variants))
	for i, v := range variants {
		out[i] = v.Name
	}
	return out
}

// Every factor is a key, its first value is the default, and every variant is a configuration that is accepted.
func TestVariantsAreConfigurations(t *testing.T) {
	t.Parallel()
	all := factors.Machine()
	defaults := map[string]string{}
	var shapes []string
	for _, key := range settings.Keys() {
		defaults[key.Name] = key.Text()
		if key.Shape != nil {
			shapes = append(shapes, key.Name)
		}
	}
	var keys []string
	for _, f := range all {
		keys = append(keys, f.Key)
		assert.Equal(t, defaults[f.Key], f.Values[0].Config[f.Key])
	}
	assert.ElementsMatch(t, shapes, keys, "each key whose row changes the machine's shape is a factor")
	for _, v := range append(factors.Variants(all), factors.Variants(factors.All())...) {
		loaded, err := settings.Load(func(key string) (string, bool) { value, ok := v.Config[key]; return value, ok })
		require.NoError(t, err, v.Name)
		assert.Equal(t, v.Config["ledgerRetentionDays"], strconv.Itoa(loaded.LedgerRetentionDays))
	}
	differs := maps.Clone(factors.AllOn(all).Config)
	maps.DeleteFunc(differs, func(key, value string) bool { return defaults[key] == value })
	require.Equal(t, map[string]string{
		"taskCompletion": "callback", "taskCapacity": "spot", "maxParallelTasks": "1", "executionTimeout": "10800",
		"tracing": "true",
	}, differs)
}
