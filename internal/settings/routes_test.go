package settings_test

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/components/routing"
	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/settings"
)

// tiers are three routes.
const tiers = `[{"name":"small","maxSize":"6MiB","compute":"lambda"},` +
	`{"name":"video","keys":["*.mp4","*.mov"],"compute":"fargate","cpu":16384,"memory":"32768","storage":200,"timeout":1600,` +
	`"maxParallel":20,"capacity":"spot"},` +
	`{"name":"large","compute":"fargate"}]`

// What a route doesn't say is as the keys for all have it.
func TestRoutesTakeWhatTheyDontSayFromTheKeysForAll(t *testing.T) {
	t.Parallel()
	size := int64(6 << 20)
	loaded := mustLoad(t, config{
		"routes": tiers, "lambdaTimeout": "30", "taskTimeout": "1000", "taskCapacity": "fargate", "executionTimeout": "86400",
	})
	assert.Equal(t, []routing.Route{
		{Name: "small", Compute: routing.Lambda, MaxSize: &size, Timeout: 30 * time.Second},
		{
			Name: "video", Compute: routing.Fargate, Keys: []string{"*.mp4", "*.mov"}, Timeout: 1600 * time.Second,
			CPU: 16384, Memory: 32768, Storage: 200, MaxParallel: 20, Spot: true,
		},
		{Name: "large", Compute: routing.Fargate, Timeout: 1000 * time.Second},
	}, loaded.Machine().Routes)

	other := mustLoad(t, config{
		"routes": `[{"name":"own","keys":["a"],"compute":"fargate","cpu":512,"memory":1024,"maxParallel":0,"capacity":"fargate"},` +
			`{"name":"all","compute":"fargate"}]`,
		"taskCpu":    "512",
		"taskMemory": "1024", "taskCapacity": "spot", "maxParallelTasks": "4", "executionTimeout": "86400",
	}).Machine().Routes
	assert.Equal(t, routing.Route{Name: "own", Compute: routing.Fargate, Keys: []string{"a"}, Timeout: 25 * time.Minute}, other[0],
		"what is as in the task's definition is no override")
	assert.Equal(t, routing.Route{Name: "all", Compute: routing.Fargate, Timeout: 25 * time.Minute, Spot: true, MaxParallel: 4}, other[1])

	short := mustLoad(t, config{}).Machine().Routes
	assert.Equal(t, []string{"Lambda", "Fargate"}, []string{short[0].Name, short[1].Name})
}

// last is a route that takes all else, as the last one has to.
const last = `,{"name":"last","compute":"fargate"}]`

// What is wrong with a route is said where it is, with a fix.
func TestRoutesThatAreWrong(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ routes, key, rule, fix string }{
		"no list": {`small`, "routes", "must be a list of objects", "in Pulumi.<stack>.yaml, below config: upload-router:routes: ["},
		"no object": {
			`["small"` + last,
			"routes[0]", "must be an object with fields out of name, maxSize", "upload-router:routes: [",
		},
		"a field twice": {
			`[{"name":"a","name":"b","compute":"lambda"}` + last,
			"routes[0]", "has name twice", "upload-router:routes: [",
		},
		"an unknown field": {
			`[{"name":"a","maxsize":1,"compute":"lambda"}` + last,
			"routes[0].maxsize", "did you mean maxSize?", "config rm --path 'routes[0].maxsize'",
		},
		"no name": {
			`[{"keys":["a"],"compute":"lambda"}` + last,
			"routes[0].name", "must be 1 to 31 lowercase", "--path 'routes[0].name' large",
		},
		"a name": {
			`[{"name":"A b","keys":["a"],"compute":"lambda"}` + last,
			"routes[0].name", "must be 1 to 31 lowercase", "--path 'routes[0].name' large",
		},
		"a long name": {
			`[{"name":"` + strings.Repeat("a", 32) + `","keys":["a"],"compute":"lambda"}` + last,
			"routes[0].name", "must be 1 to 31 lowercase", "large",
		},
		"a name twice": {
			`[{"name":"last","keys":["a"],"compute":"lambda"}` + last,
			"routes[1].name", "is the name of routes[0], too", "'routes[1].name' last-2",
		},
		"no compute": {
			`[{"name":"a","keys":["a"]}` + last,
			"routes[0].compute", "must be lambda or fargate", "'routes[0].compute' fargate",
		},
		"a compute": {
			`[{"name":"a","keys":["a"],"compute":"Lamda"}` + last,
			"routes[0].compute", "must be lambda or fargate", "'routes[0].compute' lambda",
		},
		"a size": {
			`[{"name":"a","maxSize":"6 Mio","compute":"lambda"}` + last,
			"routes[0].maxSize", "has no unit of bytes", "'routes[0].maxSize' 6MiB",
		},
		"a size as a list": {
			`[{"name":"a","maxSize":[6],"compute":"lambda"}` + last,
			"routes[0].maxSize", "must be text or a number", "'routes[0].maxSize' 6MiB",
		},
		"no globs": {
			`[{"name":"a","keys":[],"compute":"lambda"}` + last,
			"routes[0].keys", "must be a list of globs", `routes: [{"compute":"lambda","keys":["*"],"name":"a"},{`,
		},
		"a glob alone": {
			`[{"name":"a","keys":"*.mp4","compute":"lambda"}` + last,
			"routes[0].keys", "must be a list of globs", `"keys":["*.mp4"]`,
		},
		"an empty glob": {
			`[{"name":"a","keys":[""],"compute":"lambda"}` + last,
			"routes[0].keys[0]", "must not be empty, as no key is", "'routes[0].keys[0]' '*'",
		},
		"an escape": {
			`[{"name":"a","keys":["a\\b*"],"compute":"lambda"}` + last,
			"routes[0].keys[0]", "may have a backslash before * or another backslash only", `'routes[0].keys[0]' 'a\\b*'`,
		},
		"a long glob": {
			`[{"name":"a","keys":["` + strings.Repeat("a", 3000) + `"],"compute":"lambda"}` + last,
			"routes[0].keys[0]", "must have at most 1024 bytes besides *", "'*'",
		},
		"a glob twice": {
			`[{"name":"a","keys":["a","a"],"compute":"lambda"}` + last,
			"routes[0].keys[1]", "is in the list already", "config rm --path 'routes[0].keys[1]'",
		},
		"a size of Fargate": {
			`[{"name":"a","keys":["a"],"compute":"fargate","cpu":1000}` + last,
			"routes[0].cpu", "must be 256, 512", "'routes[0].cpu' 1024",
		},
		"no pair": {
			`[{"name":"a","keys":["a"],"compute":"fargate","cpu":32768,"memory":65536}` + last,
			"routes[0].memory", "with cpu 32768 Fargate takes 61440, 122880, 249856 MiB", "'routes[0].memory' 122880",
		},
		"half of a pair": {
			`[{"name":"a","keys":["a"],"compute":"fargate","cpu":16384}` + last,
			"routes[0].memory", "not the 2048 of taskMemory", "'routes[0].memory' 32768",
		},
		"a disk": {
			`[{"name":"a","keys":["a"],"compute":"fargate","storage":20}` + last,
			"routes[0].storage", "from 21 to 200", "'routes[0].storage' 50",
		},
		"a capacity": {
			`[{"name":"a","keys":["a"],"compute":"fargate","capacity":"FARGATE_SPOT"}` + last,
			"routes[0].capacity", "must be fargate or spot", "'routes[0].capacity' spot",
		},
		"a function's CPU": {
			`[{"name":"a","keys":["a"],"compute":"lambda","cpu":1024}` + last,
			"routes[0].cpu", "goes with compute fargate only", "config rm --path 'routes[0].cpu'",
		},
		"a function's time": {
			`[{"name":"a","keys":["a"],"compute":"lambda","timeout":9}` + last,
			"routes[0].timeout", "whose time is lambdaTimeout", "config rm --path 'routes[0].timeout'",
		},
		"an escape beside others": {
			`[{"name":"a","keys":["\\\\b\\***\\c"],"compute":"lambda"}` + last,
			"routes[0].keys[0]", "must not have two * in a row", `'routes[0].keys[0]' '\\b\**\\c'`,
		},
		"a glob of a shell": {
			`[{"name":"a","keys":["in/**"],"compute":"lambda"}` + last,
			"routes[0].keys[0]", "must not have two * in a row", "'routes[0].keys[0]' 'in/*'",
		},
		"covered by a wider glob": {
			`[{"name":"a","keys":["*.mp4"],"compute":"lambda"},{"name":"b","keys":["in/*.mp4","a.mp4"],"compute":"lambda"}` + last,
			"routes[1]", "routes[0] comes before it, and takes all", "config rm --path 'routes[1]'",
		},
		"covered by two, each of a part": {
			`[{"name":"a","keys":["in/*"],"compute":"lambda"},{"name":"b","maxSize":9,"compute":"lambda"},` +
				`{"name":"c","keys":["*.mov"],"compute":"lambda"},{"name":"d","keys":["in/*.mp4","out/*.mov"],"compute":"lambda"}` + last,
			"routes[3]", "routes[0], routes[2] come before it, and together take all", "config rm --path 'routes[3]'",
		},
		"covered by size and keys": {
			`[{"name":"a","maxSize":9,"compute":"lambda"},{"name":"b","maxSize":9,"keys":["*.mp4"],"compute":"lambda"}` + last,
			"routes[1]", "routes[0] comes before it, and takes all", "config rm --path 'routes[1]'",
		},
		"as large as an object can be": {
			`[{"name":"a","maxSize":53687091200000,"keys":["*"],"compute":"lambda"}` + last,
			"routes[1]", "routes[0] comes before it, and takes all", "config rm --path 'routes[1]'",
		},
		"folder markers": {
			`[{"name":"a","maxSize":0,"keys":["*/","in/*/"],"compute":"lambda"}` + last,
			"routes[0]", "are folder markers, which are not processed", "config rm --path 'routes[0]'",
		},
		"covered by size": {
			`[{"name":"a","maxSize":9,"compute":"lambda"},{"name":"b","maxSize":9,"compute":"lambda"}` + last,
			"routes[1]", "routes[0] comes before it, and takes all", "config rm --path 'routes[1]'",
		},
		"covered by keys": {
			`[{"name":"a","keys":["x","y"],"compute":"lambda"},{"name":"b","keys":["y"],"maxSize":9,"compute":"lambda"}` + last,
			"routes[1]", "routes[0] comes before it, and takes all", "config rm --path 'routes[1]'",
		},
		"after the last": {
			`[{"name":"a","compute":"lambda"}` + last,
			"routes[1]", "routes[0] comes before it, and has neither maxSize nor keys", "config rm --path 'routes[1]'",
		},
		"the last": {
			`[{"name":"a","maxSize":9,"compute":"lambda"}]`,
			"routes[0]", "the last route must have neither", `{"name":"other","compute":"fargate"}]`,
		},
		"more than there may": {
			"[" + strings.Repeat(`{"name":"a","maxSize":9,"compute":"lambda"},`, 50) + last[1:],
			"routes", "must have at most 50 routes, this has 51", "upload-router:routes: [",
		},
		"silent for too long": {
			`[{"name":"a","keys":["a"],"compute":"fargate","timeout":100}` + last,
			"routes[0].timeout", "must be at least 301 with taskCompletion callback", "'routes[0].timeout' 301",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			problems := problemsOf(t, config{"routes": test.routes, "taskCompletion": "callback"})
			require.Len(t, problems, 1, "%v", problems)
			assert.Equal(t, test.key, problems[0].Key)
			assert.Contains(t, problems[0].Rule, test.rule)
			assert.Contains(t, problems[0].Fix.String(), test.fix)
		})
	}
}

// All that is wrong with routes is said at once. What depends on a field that is wrong, or misspelt, isn't judged before that is right.
func TestAllThatIsWrongWithRoutesIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		values config
		want   []string
	}{
		"fields, a pair, a name twice, the last": {
			config{"routes": `[{"name":"a","keys":["a"],"compute":"fargate","timout":9},` +
				`{"name":"b","keys":["b"],"compute":"fargate","cpu":16384,"memory":1000},` +
				`{"name":"a","maxSize":9,"compute":"fargate","cpu":16384,"memory":2048}]`},
			[]string{
				"routes[0].timout: a route has no such field, did you mean timeout?", "routes[2].name: is the name of routes[0], too",
				"routes[2]: the last route must have neither", "routes[1].memory: with cpu 16384 Fargate takes 32768",
				"routes[2].memory: with cpu 16384 Fargate takes 32768",
			},
		},
		"one that can't be taken, beside one whose size is wrong": {
			config{"routes": `[{"name":"a","keys":["*.mp4"],"compute":"lambda"},{"name":"b","maxSize":"6 Mio","compute":"lambda"},` +
				`{"name":"c","keys":["in/*.mp4"],"compute":"lambda"},{"name":"d","keys":["*.mov"],"maxSize":1,"compute":"lambda"}` + last},
			[]string{"routes[1].maxSize: has no unit", "routes[2]: can never be taken: routes[0] comes before it"},
		},
		"a glob that is wrong, and what it covers": {
			config{"routes": `[{"name":"a","keys":["**"],"compute":"lambda"},{"name":"b","keys":["b"],"compute":"lambda","keyes":1}` + last},
			[]string{"routes[0].keys[0]: must not have two *", "routes[1].keyes: a route has no such field, did you mean keys?"},
		},
		"a glob twice says nothing else": {
			config{"routes": `[{"name":"a","keys":["b","b"],"compute":"lambda"},{"name":"b","keys":["b"],"compute":"lambda"}` + last},
			[]string{"routes[0].keys[1]: is in the list already", "routes[1]: can never be taken: routes[0] comes before it"},
		},
		"what may be meant as a condition is none that is missing": {
			config{"routes": `[{"name":"a","glob":"*.mp4","compute":"lambda"},{"name":"b","keys":["*"],"compute":"Fargate","cpu":16384}]`},
			[]string{
				"routes[0].glob: a route has no such field; there are", "routes[1].compute: must be lambda or fargate",
				"routes[1]: the last route must have neither", "routes[1].memory: with cpu 16384",
			},
		},
		"names that are missing or misspelt": {
			config{"routes": `[{"nam":"a","keys":["a"],"compute":"lambda"},{"keys":["b"],"computer":"lambda"},"c",{"compute":"fargate"}]`},
			[]string{
				"routes[0].nam: a route has no such field, did you mean name?", "routes[1].computer: a route has no such field, did you mean",
				"routes[1].name: must be 1 to 31", "routes[2]: must be an object", "routes[3].name: must be 1 to 31",
			},
		},
		"times": {
			config{"taskCompletion": "callback", "routes": `[{"name":"a","keys":["a"],"compute":"fargate","timeout":100,"maxParallel":-1},` +
				`{"name":"a","keys":["b"],"compute":"fargate","timeout":9000},{"name":"c","keys":["c"],"compute":"fargate","timeout":"x"}` + last},
			[]string{
				"routes[0].maxParallel: must be", "routes[2].timeout: must be", "routes[1].name: is the name of routes[0]",
				"routes[0].timeout: must be at least 301", "executionTimeout: must be at least 18528: the a route can take 2 tasks of 9000 s " +
					"(routes[1].timeout)",
			},
		},
		"a time is judged though the name is twice": {
			config{"routes": `[{"name":"a","keys":["a"],"compute":"fargate"},{"name":"a","keys":["b"],"compute":"fargate","timeout":9000}` + last},
			[]string{
				"routes[1].name: is the name of routes[0]",
				"executionTimeout: must be at least 18528: the routes[1] route can take 2 tasks of 9000 s (routes[1].timeout)",
			},
		},
		"of routes that aren't known there is no time": {
			config{"routes": `[{"name":"a","compute":"fargate","timeout":"x"}]`, "taskTimeout": "9000"},
			[]string{"routes[0].timeout: must be"},
		},
		"of no list there is no time": {
			config{"routes": `small`, "taskTimeout": "9000"}, []string{"routes: must be a list of objects"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			problems := problemsOf(t, test.values)
			require.Len(t, problems, len(test.want), "%v", problems)
			for i, want := range test.want {
				assert.Contains(t, problems[i].Key+": "+problems[i].Rule, want)
			}
		})
	}
}

// The globs of all routes have a limit, below which a definition is taken: whatever they are, with as many routes as there may be.
func TestGlobsOfRoutesFitIntoADefinition(t *testing.T) {
	t.Parallel()
	for name, glob := range map[string]string{
		"long": strings.Repeat("a", 900) + "%d-%d", "short": "%d/%d", "of escapes": strings.Repeat(`\\`, 100) + "%d-%d",
		"of characters that JSON escapes": strings.Repeat(`&"<`, 50) + "%d-%d",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			routes := func(globs int) config {
				var out strings.Builder
				for r := range 49 {
					keys := make([]string, globs)
					for k := range globs {
						keys[k] = fmt.Sprintf(glob, r, k)
					}
					fmt.Fprintf(&out, `{"name":"a-name-of-31-characters--%05d","keys":%s,"compute":"fargate","cpu":16384,"memory":32768,`+
						`"storage":200,"maxParallel":5,"capacity":"spot"},`, r, settings.CompactJSON(keys))
				}
				return config{
					"routes": "[" + strings.TrimSuffix(out.String(), ",") + last, "executionTimeout": "86400", "taskCompletion": "callback",
					"tracing": "true",
				}
			}
			tooMany := 1 + sort.Search(150, func(less int) bool { return len(problemsOf(t, routes(1+less))) > 0 })
			definition, err := json.Marshal(machine.Backfill(mustLoad(t, routes(tooMany-1)).Machine(), machine.References{}))
			require.NoError(t, err)
			request, err := json.Marshal(string(definition))
			require.NoError(t, err)
			assert.Less(t, len(request), 1_000_000)
			assert.Greater(t, len(request), 500_000, "the limit is no lower than it has to be")
			problems := problemsOf(t, routes(tooMany))
			require.Len(t, problems, 1)
			assert.Equal(t, "routes", problems[0].Key)
			assert.Contains(t, problems[0].Rule, "of which they may take 150000")
			assert.Contains(t, problems[0].Fix.String(), "take globs out of routes in Pulumi.<stack>.yaml")
		})
	}
}

// suffixes is a configuration of so many routes, each with so many globs that no other has, and one behind them.
func suffixes(routes, globs int, glob string) config {
	var out strings.Builder
	for r := range routes {
		keys := make([]string, globs)
		for k := range globs {
			keys[k] = fmt.Sprintf(`"%s%d-%d"`, glob, r, k)
		}
		fmt.Fprintf(&out, `{"name":"r%d","keys":[%s],"compute":"lambda"},`, r, strings.Join(keys, ","))
	}
	return config{"routes": "[" + strings.TrimSuffix(out.String(), ",") + last}
}

// How long many routes with many globs take to read. It is for a person to compare: a timed test would fail by itself.
func BenchmarkLoadRoutes(b *testing.B) {
	for name, values := range map[string]config{
		"20 with 5 globs of two asterisks": suffixes(20, 5, "*/p/*.x"), "20 with 10 globs": suffixes(20, 10, "*.x"),
		"49 with 10 globs":              suffixes(49, 10, "*.x"),
		"49 with 10 globs, within keys": suffixes(49, 10, "*/p/*.x").with("keys", `["in/*","*/p/*"]`),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_, err := settings.Load(values.lookup)
				require.NoError(b, err)
			}
		})
	}
}

// What takes too long to tell is let through: routes[1] can't be taken, as each key with all letters of both has one of two in some order.
func TestRoutesThatTakeTooLongToCompareAreLetThrough(t *testing.T) {
	t.Parallel()
	covered := func(letters, others string) config {
		glob := "*" + strings.Join(strings.Split(letters, ""), "*") + "*"
		keys := "*" + strings.Join(strings.Split(others, ""), "*") + "*"
		return config{
			"keys":   `["` + keys + `"]`,
			"routes": `[{"name":"a","keys":["*a*n*","*n*a*"],"compute":"lambda"},{"name":"b","keys":["` + glob + `"],"compute":"lambda"}` + last,
		}
	}
	assert.Len(t, problemsOf(t, covered("abcd", "nopq")), 1)
	assert.Empty(t, problemsOf(t, covered("abcdefghijklmABCDEFGHIJKLM", "nopqrstu")))
}

// A route of which no key is taken at all can't be taken either, nor one of which others take what is.
func TestARouteHasToTakeSomeOfTheKeys(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ keys, routes, rule string }{
		"none":     {`["docs/*.pdf"]`, `[{"name":"a","keys":["*.mp4"],"compute":"lambda"}` + last, "no key that it takes is one that keys takes"},
		"no other": {`["docs/*"]`, `[{"name":"a","keys":["docs/*"],"compute":"lambda"}` + last, "routes[0] comes before it, and takes all"},
		"some":     {`["docs/*"]`, `[{"name":"a","keys":["*.mp4"],"compute":"lambda"}` + last, ""},
	} {
		problems := problemsOf(t, config{"routes": test.routes, "keys": test.keys})
		if test.rule == "" {
			assert.Empty(t, problems, name)
			continue
		}
		require.Len(t, problems, 1, name)
		assert.Contains(t, problems[0].Rule, test.rule, name)
	}
}

// What a route takes is more than others before it do, if there is one object.
func TestARouteThatCanBeTakenIsNoError(t *testing.T) {
	t.Parallel()
	for _, routes := range []string{
		`[{"name":"a","keys":["in/*.mp4"],"compute":"lambda"},{"name":"b","keys":["*.mp4"],"compute":"lambda"}` + last,
		`[{"name":"a","maxSize":9,"keys":["*.mp4"],"compute":"lambda"},{"name":"b","maxSize":10,"keys":["*.mp4"],"compute":"lambda"}` + last,
		`[{"name":"a","maxSize":9,"compute":"lambda"},{"name":"b","keys":["*.mp4"],"compute":"lambda"}` + last,
		`[{"name":"a","maxSize":0,"keys":["*/","a"],"compute":"lambda"}` + last,
		`[{"name":"a","keys":["*.MP4"],"compute":"lambda"},{"name":"b","keys":["*.mp4"],"compute":"lambda"}` + last,
	} {
		assert.Empty(t, problemsOf(t, config{"routes": routes}), routes)
	}
}

// The two ways to say where uploads go don't go together.
func TestTheShortFormDoesntGoWithRoutes(t *testing.T) {
	t.Parallel()
	problems := problemsOf(t, config{"routes": tiers, "sizeThreshold": "5MiB", "executionTimeout": "86400"})
	require.Len(t, problems, 1)
	assert.Equal(t, "sizeThreshold", problems[0].Key)
	assert.Equal(t, "pulumi config rm sizeThreshold", problems[0].Fix.String())
}

// The rule of executionTimeout cites the route that takes the most time, and where its time is set.
func TestTheExecutionsTimeFollowsFromTheLongestRoute(t *testing.T) {
	t.Parallel()
	problems := problemsOf(t, config{"routes": tiers})
	require.Len(t, problems, 1)
	assert.Equal(t, "executionTimeout", problems[0].Key)
	assert.Contains(t, problems[0].Rule, "the video route can take 2 tasks of 1600 s (routes[1].timeout)")
	assert.Contains(t, problems[0].Rule, "to wait for another's end (routes[1].maxParallel)")
	mustLoad(t, config{"routes": tiers, "executionTimeout": problems[0].Fix.Value})
	for _, problem := range problemsOf(t, config{"routes": tiers}, settings.WithSecrets(func(key string) bool { return key == "routes" })) {
		assert.NotContains(t, problem.String(), "1600")
		assert.NotContains(t, problem.String(), "video")
	}
}

// A Lambda route whose objects a function can't read in its time is a warning.
func TestASlowLambdaRouteIsAWarning(t *testing.T) {
	t.Parallel()
	for routes, want := range map[string]string{
		`[{"name":"small","maxSize":"5GB","compute":"lambda"},{"name":"large","compute":"fargate"}]`: "routes[0]",
		`[{"name":"small","maxSize":"1GB","compute":"lambda"},{"name":"large","compute":"fargate"}]`: "",
		`[{"name":"large","maxSize":"1GB","compute":"fargate"},{"name":"all","compute":"lambda"}]`:   "routes[1]",
		`[{"name":"a","maxSize":9,"compute":"lambda"},{"name":"b","keys":["b"],"maxSize":"6GB","compute":"lambda"},` +
			`{"name":"c","compute":"lambda"}]`: "routes[1],routes[2]",
	} {
		var keys []string
		for _, w := range mustLoad(t, config{"routes": routes}).Warnings() {
			if strings.HasPrefix(w.Key, "routes") {
				keys = append(keys, w.Key)
			}
		}
		assert.Equal(t, want, strings.Join(keys, ","), routes)
	}
}
