package cli

import (
	"runtime"
	"runtime/debug"
	"strings"
)

// version is what a build is known by: the module's version, the commit, whether there was more than that, and Go's version. It is devel
// where Go noted nothing, as under `go run` and in tests.
func version(info *debug.BuildInfo, noted bool) string {
	if !noted {
		return "devel, " + runtime.Version()
	}
	said := "devel"
	if v := info.Main.Version; v != "" && v != "(devel)" {
		said = v
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	var commit []string
	if revision := settings["vcs.revision"]; revision != "" {
		commit = append(commit, "commit "+revision)
	}
	if settings["vcs.modified"] == "true" {
		commit = append(commit, "modified")
	}
	return strings.Join(append(append([]string{said}, commit...), info.GoVersion), ", ")
}
