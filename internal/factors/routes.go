package factors

import (
	"fmt"

	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/settings"
)

// fourRoutes go by size, by key, by both, and take all else. Of two Fargate routes one has a size of its own, runs on Spot and has task
// slots, whatever the keys for all say; the other one is as those have it. Files that take each are small.
const fourRoutes = `[{"name":"small","maxSize":10,"compute":"lambda"},` +
	`{"name":"video","keys":["*.mp4","in/*.mov"],"compute":"fargate","cpu":4096,"memory":8192,"storage":100,` +
	`"capacity":"spot","maxParallel":1},` +
	`{"name":"text","maxSize":1000,"keys":["in/*.txt"],"compute":"lambda"},{"name":"large","compute":"fargate"}]`

// Routes are the routes as a factor: the two of a size threshold, or four. It has to come before those of [Machine], of which some set
// something in each route.
func Routes() Factor {
	const key = "routes"
	config := map[string]string{key: fourRoutes, "executionTimeout": "10800"}
	return Factor{Key: key, Values: []Value{{Config: map[string]string{key: "[]"}}, {
		Name: "four", Config: config, Route: func(d *machine.Description) {
			loaded, err := settings.Load(func(key string) (string, bool) { value, set := config[key]; return value, set })
			if err != nil {
				panic(fmt.Sprintf("routes of the tests that the configuration refuses: %v", err))
			}
			d.Routes = loaded.Machine().Routes
		},
	}}}
}

// All are the routes and [Machine].
func All() []Factor { return append([]Factor{Routes()}, Machine()...) }
