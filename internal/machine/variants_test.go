package machine_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/factors"
	"example.com/upload-router/internal/machine"
)

// variants are the shapes that the configuration can give the definition, by their names: so many that each pair of settings occurs.
func variants() map[string]machine.Description {
	out := map[string]machine.Description{}
	for _, v := range append(factors.Variants(factors.Machine()), factors.Variants(factors.All())...) {
		out[v.Name] = routed(v.Route)
	}
	out["four routes"] = routed(four)
	out["four routes, all on"] = routed(four, factors.AllOn(factors.Machine()).Route)
	return out
}

// routed is the default configuration with what is set.
func routed(set ...func(*machine.Description)) machine.Description {
	r := described()
	for _, s := range set {
		s(&r)
	}
	for i := range r.Routes {
		if most := r.Routes[i].MaxParallel; most > 0 {
			limited(&r, i, most)
		}
	}
	return r
}

// combinations are all that the variants stand for.
func combinations() []machine.Description {
	var out []machine.Description
	all := factors.Machine()
	for combination := range 1 << len(all) {
		var set []func(*machine.Description)
		for i, f := range all {
			if combination&(1<<i) != 0 {
				set = append(set, f.Values[1].Route)
			}
		}
		out = append(out, routed(set...))
	}
	return out
}

var digits = regexp.MustCompile(`[0-9]+`)

// parts are the parts of a definition, each by the state, where it is there and what it is: what is called with what, how long that may
// take, and what comes next. Where in a list it is doesn't count.
func parts(t *testing.T, r machine.Description) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	var collect func(path string, value any)
	collect = func(path string, value any) {
		switch v := value.(type) {
		case map[string]any:
			for key, of := range v {
				collect(path+"."+key, of)
			}
		case []any:
			for _, of := range v {
				collect(path+"[]", of)
			}
		case string: // its numbers are times, which may follow from all of them
			out[path+": "+digits.ReplaceAllString(v, "0")] = true
		default:
			out[fmt.Sprintf("%s: %v", path, v)] = true
		}
	}
	for name, state := range machine.Definition(r, references()).States {
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(asJSON(t, state)), &fields))
		collect(name, fields)
	}
	return out
}

// The variants stand for all combinations as long as no part of the definition depends on more than two settings at once. With one that
// does, this fails; it fails, too, for variants that have no pairs.
func TestVariantsHaveEveryPartOfEveryCombination(t *testing.T) {
	t.Parallel()
	all := map[string]bool{}
	for _, r := range combinations() {
		maps.Copy(all, parts(t, r))
	}
	lost := func(of map[string]machine.Description) []string {
		left := maps.Clone(all)
		for _, r := range of {
			for part := range parts(t, r) {
				delete(left, part)
			}
		}
		return slices.Sorted(maps.Keys(left))
	}
	require.Empty(t, lost(variants()))
	alone := map[string]machine.Description{}
	for _, f := range factors.Machine() {
		alone[f.Key] = routed(f.Values[1].Route)
	}
	require.NotEmpty(t, lost(alone))
}

// Every variant passes the checks of the language, is written the same each time, and reads back as it was written.
func TestEveryVariantIsValid(t *testing.T) {
	t.Parallel()
	for name, r := range variants() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			definition := machine.Definition(r, references())
			require.NoError(t, definition.Validate())
			require.Equal(t, int(r.ExecutionTimeout.Seconds()), definition.TimeoutSeconds)
			text, err := definition.JSON()
			require.NoError(t, err)
			assert.Less(t, len(text), 1<<20, "the longest definition that there can be")

			again, err := machine.Definition(r, references()).JSON()
			require.NoError(t, err)
			assert.Equal(t, text, again)
			parsed, err := asl.Parse([]byte(text))
			require.NoError(t, err)
			reread, err := parsed.JSON()
			require.NoError(t, err)
			assert.Equal(t, text, reread)
		})
	}
}

// unretried says whether a task isn't tried again: without an answer the container's trace begins with the container, and another state
// tries to take a slot.
func unretried(name string) bool {
	return strings.HasPrefix(name, "Look up the trace") || strings.HasPrefix(name, "Take a slot")
}

// tasks are the names of a definition's tasks.
func tasks(m *asl.Machine) []string {
	var out []string
	for name, s := range m.States {
		if _, ok := s.(*asl.Task); ok {
			out = append(out, name)
		}
	}
	return out
}

// unsafe are the tasks of a definition that can hang, or whose failure can go unseen or isn't tried again.
func unsafe(m *asl.Machine) []string {
	var out []string
	for _, name := range tasks(m) {
		task := m.States[name].(*asl.Task)
		bounded := task.TimeoutSeconds > 0 && task.TimeoutSeconds < m.TimeoutSeconds
		caught := len(task.Catch) > 0 && slices.Equal(task.Catch[len(task.Catch)-1].ErrorEquals, []string{asl.ErrorAll})
		retried := slices.ContainsFunc(task.Retry, func(r asl.Retrier) bool { return r.MaxAttempts == nil || *r.MaxAttempts > 0 })
		if !bounded || !caught || !retried && !unretried(name) {
			out = append(out, name)
		}
	}
	return out
}

// No state can hang, and no failure of one goes unseen (requirement C2) or ends a file for what passes.
func TestEveryTaskIsBoundedCaughtAndRetried(t *testing.T) {
	t.Parallel()
	for name, r := range variants() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Empty(t, unsafe(machine.Definition(r, references())))
		})
	}
}

// A task that is spoilt is found in a variant, whichever of any combination it is.
func TestAnUnsafeTaskIsFoundInAVariant(t *testing.T) {
	t.Parallel()
	for what, spoil := range map[string]func(*asl.Task){
		"hangs":             func(task *asl.Task) { task.TimeoutSeconds = 0 },
		"waits too long":    func(task *asl.Task) { task.TimeoutSeconds = math.MaxInt32 },
		"isn't caught":      func(task *asl.Task) { task.Catch = nil },
		"isn't always":      func(task *asl.Task) { task.Catch[len(task.Catch)-1].ErrorEquals = []string{asl.ErrorTimeout} },
		"isn't tried again": func(task *asl.Task) { task.Retry = nil },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			found := map[string]bool{}
			for _, r := range variants() {
				definition := machine.Definition(r, references())
				for _, name := range tasks(definition) {
					spoil(definition.States[name].(*asl.Task))
				}
				for _, name := range unsafe(definition) {
					found[name] = true
				}
			}
			for _, r := range combinations() {
				for _, name := range tasks(machine.Definition(r, references())) {
					assert.True(t, found[name] || unretried(name) && what == "isn't tried again", name)
				}
			}
		})
	}
}
