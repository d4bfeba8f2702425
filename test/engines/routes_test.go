package engines_test

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/settings"
)

// manyRoutes go by size, by key, by both, by what has to be escaped, and take all else.
const manyRoutes = `[
	{"name":"small","maxSize":"6MiB","compute":"lambda"},
	{"name":"video","keys":["*.mp4","in/*.mov"],"compute":"fargate"},
	{"name":"text","maxSize":"5GB","keys":["notes/*.txt"],"compute":"lambda"},
	{"name":"odd","maxSize":"6GB","keys":["\\\\*\\*","日*本"],"compute":"fargate","capacity":"spot","maxParallel":2},
	{"name":"middling","maxSize":"40TB","keys":["*"],"compute":"fargate"},
	{"name":"large","compute":"fargate"}]`

// keysAndSizes are the keys and sizes of the table: odd ones, and sizes at each limit exactly, above it, and beyond what numbers of
// EventBridge's patterns are.
func keysAndSizes() (keys []string, sizes []int64) {
	const mib, gb, tb = 1 << 20, 1_000_000_000, 1_000_000_000_000
	return []string{
			"report.csv", "film.mp4", "a/b/film.mp4", ".mp4", "film.MP4", "film.mp4.txt", "in/.mov", "in/a/film.mov", "out/film.mov",
			"notes/a.txt", "notes/.txt", "notes/a.txt/", `\a*`, `\*`, `\a`, "*", "日本", "日\u202e🎬本", "日本.", "mp4", " .mp4", "?.mp4", "[a].mp4",
			"+%2B.mp4", "$.mp4", "{% 1 %}.mp4", "'.mp4", strings.Repeat("k", 1020) + ".mp4",
		}, []int64{
			0, 1, 6*mib - 1, 6 * mib, 6*mib + 1, 5*gb - 1, 5 * gb, 5*gb + 1, 6 * gb, 6*gb + 1, 40 * tb, 40*tb + 1, 50 * tb, 53_687_091_200_000,
		}
}

// takenBy is the route that a run took, by its states.
func takenBy(states []string) string {
	for _, state := range states {
		if route := machine.RouteOf(state); route != "" {
			return route
		}
	}
	return ""
}

// TestRoutes holds the definition in the engine, in our own interpreter, and what the table of routes says of each key and size to the same
// route.
func TestRoutes(t *testing.T) {
	t.Parallel()
	config := map[string]string{"routes": manyRoutes, "executionTimeout": "36000"}
	system, err := evaluate("engines", config)
	require.NoError(t, err)
	res, err := system.Where("aws:sfn/stateMachine:StateMachine", "arn", system.Outputs["stateMachineArn"])
	require.NoError(t, err)
	loaded, err := settings.Load(func(key string) (string, bool) { value, set := config[key]; return value, set })
	require.NoError(t, err)
	table := loaded.Machine().Table()

	var names, want []string
	var requests []request
	reached := map[string]int{}
	keys, sizes := keysAndSizes()
	for _, key := range keys {
		for _, size := range sizes {
			if strings.HasSuffix(key, "/") && size == 0 {
				continue // a folder marker
			}
			s := scenario{input: uploaded(key, size), answers: map[string][]taskOutcome{}}
			ours, definition := interpreted(t, res.Text("definition"), s)
			first := slices.IndexFunc(table, func(r machine.Route) bool { return r.Takes(key, size) })
			require.GreaterOrEqual(t, first, 0)
			name := strconv.Quote(key) + " of " + strconv.FormatInt(size, 10)
			assert.Equal(t, table[first].Name, takenBy(ours.States), name)
			reached[table[first].Name]++
			names, want = append(names, name), append(want, table[first].Name)
			requests = append(requests, request{
				Definition: definition, Input: json.RawMessage(s.input), Answers: s.answers, Context: map[string]any{
					"Execution":    map[string]any{"Id": executionARN, "Input": json.RawMessage(s.input)},
					"StateMachine": map[string]any{"Name": "machine"}, "Task": map[string]any{"Token": "token"},
				},
			})
		}
	}
	require.Len(t, reached, len(table), "each route is taken")
	for i, got := range asked(t, requests) {
		assert.Equal(t, want[i], takenBy(got.States), names[i])
	}
}
