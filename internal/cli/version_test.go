package cli

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVersion(t *testing.T) {
	t.Parallel()
	vcs := func(revision, modified string) []debug.BuildSetting {
		return []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: revision}, {Key: "vcs.modified", Value: modified}}
	}
	for want, info := range map[string]*debug.BuildInfo{
		"devel, " + runtime.Version():            nil,
		"devel, go1.26.1":                        {GoVersion: "go1.26.1", Main: debug.Module{Version: "(devel)"}},
		"devel, go1.26.2":                        {GoVersion: "go1.26.2"},
		"devel, commit 9f3c, go1.26.3":           {GoVersion: "go1.26.3", Settings: vcs("9f3c", "false")},
		"devel, commit 9f3c, modified, go1.26.4": {GoVersion: "go1.26.4", Settings: vcs("9f3c", "true")},
		"v1.2.3, commit 9f3c, go1.26.5": {
			GoVersion: "go1.26.5", Main: debug.Module{Version: "v1.2.3"}, Settings: vcs("9f3c", "false"),
		},
	} {
		require.Equal(t, want, version(info, info != nil))
	}
}
