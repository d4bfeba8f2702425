package machine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/components/routing"
	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/machine"
)

// four gives a description four routes: by size, by keys, by both, and all else.
func four(d *machine.Description) {
	tiny, middling := int64(threshold), int64(10*threshold)
	d.Routes = []routing.Route{
		{Name: "small", Compute: routing.Lambda, MaxSize: &tiny, Timeout: time.Minute},
		{
			Name: "video", Compute: routing.Fargate, Keys: []string{"*.mp4", "in/*.mov"}, Timeout: 25 * time.Minute,
			CPU: 16384, Memory: 32768, Storage: 200,
		},
		{Name: "text", Compute: routing.Lambda, MaxSize: &middling, Keys: []string{`\\notes\**`}, Timeout: 2 * time.Minute},
		{Name: "large", Compute: routing.Fargate, Timeout: 20 * time.Minute},
	}
}

// chosen is the route by which each of these objects goes: whatever its size, also where numbers of EventBridge's patterns end.
func chosen() map[string]object {
	const tera = 1_000_000_000_000
	return map[string]object{
		"small/as small as can be":     {key: "report.csv", size: 0},
		"small/at the limit":           {key: "report.csv", size: threshold},
		"small/before any key":         {key: "film.mp4", size: threshold},
		"video/a suffix":               {key: "film.mp4", size: threshold + 1},
		"video/across slashes":         {key: "a/b/c/film.mp4", size: 6_000_000_000},
		"video/the largest":            {key: "film.mp4", size: 50 * tera},
		"video/the other glob":         {key: "in/a/film.mov", size: threshold + 1},
		"video/nothing for the star":   {key: "in/.mov", size: threshold + 1},
		"text/escapes":                 {key: `\notes*.txt`, size: threshold + 1},
		"text/at its limit":            {key: `\notes*`, size: 10 * threshold},
		"large/above the text's":       {key: `\notes*`, size: 10*threshold + 1},
		"large/no asterisk":            {key: `\notes-1`, size: threshold + 1},
		"large/another case":           {key: "film.MP4", size: threshold + 1},
		"large/not at the end":         {key: "film.mp4.txt", size: threshold + 1},
		"large/another folder":         {key: "out/film.mov", size: threshold + 1},
		"large/6 GB":                   {key: "dump", size: 6_000_000_000},
		"large/50 TB":                  {key: "dump", size: 50 * tera},
		"large/a key of another world": {key: "日本/🎬 \u202emp4.", size: threshold + 1},
	}
}

// An object takes the first route whose condition it meets, in the definition and in the table, and the route's name is in all that is told
// of it.
func TestAnObjectTakesTheFirstRouteThatTakesIt(t *testing.T) {
	t.Parallel()
	d := routed(four)
	for name, o := range chosen() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			route, _, _ := cut(name)
			o.version, o.etag = "v1", "e"
			for _, r := range d.Table() {
				if r.Takes(o.key, o.size) {
					assert.Equal(t, route, r.Name)
					break
				}
			}
			ran := execution{routing: d, random: 1}.run(t, event(t, o))
			requireSucceeded(t, ran)
			assert.Equal(t, "Choose route", ran.states()[0])
			var end struct{ Result struct{ Route string } }
			require.NoError(t, json.Unmarshal(ran.Output, &end))
			assert.Equal(t, route, end.Result.Route)
			_, message := ran.notice(t)
			assert.Contains(t, message, "\nRoute: "+route+"\n")
			for _, call := range ran.of(machine.ResourceLambda) {
				assert.Equal(t, route, call.Parameters.(map[string]any)["Payload"].(map[string]any)["route"])
			}
			for _, call := range ran.of(machine.ResourceECS) {
				assert.Equal(t, route, environment(t, call)[request.EnvironmentRoute])
			}
			assert.Len(t, append(ran.of(machine.ResourceLambda), ran.of(machine.ResourceECS)...), 1)
		})
	}
}

// cut parts the name of a case at its first slash.
func cut(name string) (route, what string, found bool) {
	for i := range name {
		if name[i] == '/' {
			return name[:i], name[i+1:], true
		}
	}
	return name, "", false
}

// A route that has a size of its own gives it to the whole task, as text where ECS takes text; one without leaves the definition's.
func TestARouteGivesItsTaskASize(t *testing.T) {
	t.Parallel()
	sizes := map[string]string{
		"video": `{"Cpu": "16384", "Memory": "32768", "EphemeralStorage": {"SizeInGiB": 200}}`,
		"large": `{}`,
	}
	d := routed(four)
	for _, r := range d.Table() {
		if r.Compute != machine.Fargate {
			continue
		}
		ran := execution{routing: d, random: 1}.run(t, event(t, taking(r)))
		overrides := ran.of(machine.ResourceECS)[0].Parameters.(map[string]any)["Overrides"].(map[string]any)
		memory := environment(t, ran.of(machine.ResourceECS)[0])["UPLOAD_TASK_MEMORY"]
		assert.Equal(t, map[string]string{"video": "32768", "large": ""}[r.Name], memory)
		delete(overrides, "ContainerOverrides")
		text, err := json.Marshal(overrides)
		require.NoError(t, err)
		assert.JSONEq(t, sizes[r.Name], string(text), r.Name)
	}
}

// The failure of a route is recorded and announced as its own, and tried again in its own states.
func TestAFailureNamesItsRoute(t *testing.T) {
	t.Parallel()
	d := routed(four)
	for _, r := range d.Table() {
		t.Run(r.Name, func(t *testing.T) {
			t.Parallel()
			broken := services{lambda: fails("Upload.Invalid", "no such object"), ecs: exits(75)}
			ran := execution{routing: d, random: 1, services: broken}.run(t, event(t, taking(r)))
			require.Equal(t, asl.StatusFailed, ran.Status)
			_, message := ran.notice(t)
			assert.Contains(t, message, "\nRoute: "+r.Name+"\n")
			assert.Contains(t, ran.states(), r.State)
			assert.Equal(t, r.Name, machine.RouteOf(r.State))
			if r.Compute == machine.Fargate {
				assert.Len(t, ran.of(machine.ResourceECS), machine.TaskAttempts)
				assert.Subset(t, ran.states(), []string{"Begin", "Choose task", "Retry task?", "Wait before retry"})
			}
		})
	}
}

// Each route has slots of its own: who waits for one of the one doesn't wait for the other's.
func TestEachRouteHasItsOwnSlots(t *testing.T) {
	t.Parallel()
	d := routed(four, func(d *machine.Description) { d.Routes[1].MaxParallel, d.Routes[3].MaxParallel = 3, 7 })
	for _, r := range d.Table() {
		t.Run(r.Name, func(t *testing.T) {
			t.Parallel()
			var items, most []string
			table := execution{routing: d, random: 1}
			table.services.update = func(_ context.Context, call asl.Call) (any, error) {
				in := call.Parameters.(map[string]any)
				key := in["Key"].(map[string]any)
				if ledger.IsSlots(key[ledger.Object].(map[string]any)["S"].(string)) {
					items = append(items, key[ledger.Object].(map[string]any)["S"].(string)+" "+key[ledger.Version].(map[string]any)["S"].(string))
					if limit, ok := in["ExpressionAttributeValues"].(map[string]any)[":most"]; ok {
						most = append(most, limit.(map[string]any)["N"].(string))
					}
				}
				return map[string]any{}, nil
			}
			ran := table.run(t, event(t, taking(r)))
			requireSucceeded(t, ran)
			if r.MaxParallel == 0 {
				assert.Empty(t, items)
				assert.False(t, r.LosesSlot("Choose task"))
				return
			}
			item := ledger.SlotsOf(r.Name) + " " + r.Name
			assert.Equal(t, []string{item, item}, items, "one is taken, and returned")
			assert.Equal(t, []string{strconv.Itoa(r.MaxParallel)}, most)
			assert.True(t, r.LosesSlot(r.State))
			assert.True(t, r.LosesSlot("Choose task"), "it may have had it before a second try")
			assert.False(t, r.LosesSlot("Begin"))
			assert.False(t, r.LosesSlot("Wait for a slot: "+r.Name))
			assert.Greater(t, r.EventsFrom("Wait for a slot: "+r.Name), r.EventsFrom(r.State))
		})
	}
}

// Who waits in vain for a slot of a route hears of the limit that the route has.
func TestAWaitInVainNamesTheLimitOfItsRoute(t *testing.T) {
	t.Parallel()
	d := routed(four, func(d *machine.Description) { d.Routes[1].MaxParallel = 1 })
	full := fails("DynamoDB.ConditionalCheckFailedException", "")
	ran := execution{routing: d, random: 1, services: services{update: func(ctx context.Context, call asl.Call) (any, error) {
		key := call.Parameters.(map[string]any)["Key"].(map[string]any)
		if ledger.IsSlots(key[ledger.Object].(map[string]any)["S"].(string)) {
			return full(ctx, call)
		}
		return map[string]any{}, nil
	}}}.run(t, event(t, taking(d.Table()[1])))
	requireFailed(t, ran, "Upload.NoTaskSlot")
	_, message := ran.notice(t)
	assert.Contains(t, message, "Raise maxParallel of the route video (maxParallelTasks if it has none) or executionTimeout.")
}

// The least time of an execution is that of the longest route.
func TestTheLongestRouteDecidesOnTheTimeOfAnExecution(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		set  func(*machine.Description)
		want string
	}{
		"a task":           {func(*machine.Description) {}, "video"},
		"a function":       {func(d *machine.Description) { d.Routes[2].Timeout = 15 * time.Minute }, "text"},
		"a wait":           {func(d *machine.Description) { d.Routes[3].MaxParallel = 1 }, "large"},
		"the first of two": {func(d *machine.Description) { d.Routes[3].Timeout = d.Routes[1].Timeout }, "video"},
	} {
		d := routed(four, test.set)
		longest := d.Longest()
		assert.Equal(t, test.want, longest.Name, name)
		assert.Equal(t, longest.LeastTime(), d.MinExecutionTimeout(), name)
		for _, r := range d.Rows() {
			assert.LessOrEqual(t, r.Time()+r.QueueingTime()+r.LedgerTime()+machine.AnnounceAllowance, d.MinExecutionTimeout(), name)
		}
	}
}

// The definition is a tenth of what Step Functions takes with eight routes, and a further one adds little, with all that can be switched
// on: its task, its slots, and how it is chosen. The rest is all routes'.
// https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
func TestARouteAddsLittleToTheDefinition(t *testing.T) {
	t.Parallel()
	length := func(d machine.Description) int {
		text, err := machine.Definition(d, references()).JSON()
		require.NoError(t, err)
		return len(text)
	}
	for name, d := range variants() {
		tasks := slices.DeleteFunc(slices.Clone(d.Routes), func(r routing.Route) bool { return r.Compute != routing.Fargate })
		another := tasks[0]
		another.Keys, another.CPU, another.Memory, another.Storage = []string{"films/*.mkv", "films/*.webm"}, 16384, 32768, 200
		d.Routes = slices.Concat(tasks, d.Routes)
		for i := range d.Routes {
			d.Routes[i].Name = "route-of-" + strconv.Itoa(i) // none of the threshold's, whose states need no names
		}
		for i := len(d.Routes); i < 8; i++ {
			before := length(d)
			another.Name = "films-" + strconv.Itoa(i)
			d.Routes = append([]routing.Route{another}, d.Routes...)
			assert.LessOrEqual(t, length(d)-before, 5_000, name)
		}
		assert.LessOrEqual(t, length(d), 100_000, name)
	}
}

// Each route that an object can take gets one whose key has the prefix in it, and it takes it.
func TestSamples(t *testing.T) {
	t.Parallel()
	routes := routed(four).Table()
	same := func(key string) []string { return []string{key} }
	films := func(key string) []string { // a system that takes nothing else
		if strings.HasSuffix(key, ".mp4") {
			return []string{key}
		}
		return nil
	}
	exact := slices.Clone(routes)
	exact[1].Keys = []string{"in/report.csv"}
	for name, test := range map[string]struct {
		routes []machine.Route
		fit    func(string) []string
		want   []string
	}{
		"all":                    {routes, same, []string{"small", "video", "text", "large"}},
		"another one's":          {routes, films, []string{"video"}},
		"a key that may be used": {exact, same, []string{"small", "text", "large"}},
	} {
		var names []string
		samples, without := machine.Samples(test.routes, "verify/some/", math.MaxInt64, test.fit)
		assert.Len(t, without, len(test.routes)-len(test.want), name)
		for _, s := range samples {
			names = append(names, s.Route.Name)
			assert.Contains(t, s.Key, "verify/some/", name)
			assert.NotContains(t, s.Name, "/", name)
			ran := execution{routing: routed(four), random: 1}.run(t, event(t, object{key: s.Key, version: "v1", etag: "e", size: s.Size}))
			assert.Contains(t, ran.states(), s.Route.State, s.Key)
		}
		assert.Equal(t, test.want, names, name)
	}
	var plain []machine.Sample
	samples, _ := machine.Samples(described().Table(), "in/", math.MaxInt64, same)
	for _, s := range samples {
		plain = append(plain, machine.Sample{Key: s.Key, Name: s.Name, Size: s.Size})
	}
	assert.Equal(t, []machine.Sample{
		{Key: "in/just-under.txt", Name: "just-under.txt", Size: threshold - 1},
		{Key: "in/just-over.txt", Name: "just-over.txt", Size: threshold + 1},
	}, plain)
}

// A file that is too large to be made isn't one, and a smaller one shows a route as well; every asterisk of a glob may be where the prefix
// goes.
func TestSamplesOfFarLimitsAndSeveralAsterisks(t *testing.T) {
	t.Parallel()
	const mib, gib = 1 << 20, 1 << 30
	size := func(bytes int64) *int64 { return &bytes }
	tiers := []machine.Route{
		{Name: "small", Compute: machine.Lambda, MaxSize: size(6 * mib)}, {Name: "raw", Compute: machine.Fargate, Keys: []string{"*/raw/*"}},
		{Name: "middle", Compute: machine.Fargate, MaxSize: size(20 * gib)}, {Name: "rest", Compute: machine.Fargate},
	}
	samples, without := machine.Samples(tiers, "verify/", 5*gib, func(key string) []string {
		return []string{"a/raw/elsewhere", key} // of two globs of keys: the first has no room in the middle route
	})
	found := map[string]string{}
	for _, s := range samples {
		found[s.Route.Name] = fmt.Sprintf("%s %d", s.Key, s.Size)
	}
	assert.Equal(t, map[string]string{
		"small": "a/raw/elsewhere 6291455", "raw": "a/raw/elsewhere 6291457",
		"middle": "verify/middle-just-over.txt 6291457",
	}, found)
	require.Len(t, without, 1)
	assert.Equal(t, "rest", without[0].Name)
}

// What the Fargate routes share leads each upload back to its own task, also for a second try, for which a slot is held already; and only
// routes on Spot get a capacity, which is on demand for the second try.
func TestFargateRoutesShareStates(t *testing.T) {
	t.Parallel()
	d := routed(four, func(d *machine.Description) { d.Routes[1].MaxParallel, d.Routes[1].Spot = 3, true })
	for _, r := range d.Table() {
		if r.Compute != machine.Fargate {
			continue
		}
		t.Run(r.Name, func(t *testing.T) {
			t.Parallel()
			broken := services{ecs: exits(75)}
			ran := execution{routing: d, random: 1, services: broken}.run(t, event(t, taking(r)))
			require.Equal(t, asl.StatusFailed, ran.Status)
			run := "Run Fargate task: " + r.Name
			want := []string{
				"Choose route", "Begin", "Choose task", run, "Retry task?", "Wait before retry", "Choose task", run, "Retry task?",
				"Record failure", "Notify failure", "File failed",
			}
			if r.MaxParallel > 0 {
				want = slices.Insert(want, 9, "Return the failed task's slot")
				want = slices.Insert(want, 3, "Take a slot: "+r.Name)
			}
			assert.Equal(t, want, ran.states())
			var capacities []any
			for _, call := range ran.of(machine.ResourceECS) {
				capacities = append(capacities, call.Parameters.(map[string]any)["CapacityProviderStrategy"])
			}
			if !r.Spot {
				assert.Equal(t, []any{nil, nil}, capacities)
				return
			}
			assert.JSONEq(t, `[[{"CapacityProvider": "FARGATE_SPOT", "Weight": 1}], [{"CapacityProvider": "FARGATE", "Weight": 1}]]`,
				asJSON(t, capacities))
		})
	}
}
