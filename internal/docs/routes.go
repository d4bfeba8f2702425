package docs

import (
	"fmt"
	"strings"

	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/routemetric"
	"example.com/upload-router/internal/settings"
)

// ThreeTiers is the configuration with routes of its own that the documents show.
var ThreeTiers = map[string]string{
	"executionTimeout": "14400",
	"routes": `[{"name":"small","maxSize":"6MiB","compute":"lambda"},` +
		`{"name":"video","keys":["*.mp4","*.mov"],"compute":"fargate","cpu":16384,"memory":32768,"storage":200,` +
		`"timeout":3600,"maxParallel":20},` +
		`{"name":"large","compute":"fargate","capacity":"spot"}]`,
}

// tables are those of the routes that there are without any of one's own, and of [ThreeTiers].
type tables struct{ two, three string }

func routeTables(without, tiers *declared.System) (out tables, err error) {
	if out.two, err = routeTable(without, nil); err != nil {
		return out, err
	}
	out.three, err = routeTable(tiers, ThreeTiers)
	return out, err
}

// routeTable says of each route of a configuration what it does and where to look.
func routeTable(system *declared.System, config map[string]string) (string, error) {
	loaded, err := settings.LoadMap(settings.Namespace, config)
	if err != nil {
		return "", fmt.Errorf("reading the configuration of the documents: %w", err)
	}
	var out strings.Builder
	out.WriteString("| route | its state | its state waits | runs of an upload | log group | alarms | which failed |\n" +
		"|---|---|---|---|---|---|---|\n")
	for _, route := range loaded.Machine().Table() {
		logs := "functionLogGroup"
		if route.Compute == machine.Fargate {
			logs = "taskLogGroup"
		}
		fmt.Fprintf(&out, "| `%s` | %s | %d s | %d at most | output `%s`, lines with `\"route\":\"%[1]s\"` | %[6]s | "+
			"`upload-router executions --route %[1]s --status failed` |\n",
			route.Name, route.State, route.TimeoutSeconds, route.Attempts, logs, alarmsOf(system, route))
	}
	return out.String(), nil
}

// alarmsOf are the keys of the alarms that are of a route: those of its metrics, and those of what it processes with.
func alarmsOf(system *declared.System, route machine.Route) string {
	compute := map[machine.Compute]string{machine.Lambda: "function-", machine.Fargate: "task-"}[route.Compute]
	var keys []string
	for _, alarm := range system.OfType(declared.TypeAlarm) {
		_, key, _ := strings.Cut(alarm.Name, "-alarms-")
		if strings.HasPrefix(key, compute) || alarm.Object("dimensions")[routemetric.DimensionRoute] == route.Name {
			keys = append(keys, key)
		}
	}
	return strings.Join(keys, ", ")
}
