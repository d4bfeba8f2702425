package machine_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"example.com/upload-router/internal/machine"
)

// S11: what the console's "Create folder" puts in a bucket is no upload. Whatever has another key, or content, is.
func TestFolderMarkersAreLeftAlone(t *testing.T) {
	t.Parallel()
	for _, deduplicate := range []bool{false, true} {
		r := routing()
		r.Deduplicate = deduplicate
		for key, marker := range map[string]bool{
			"folder/": true, "a/b/": true, "/": true, "//": true, "folder": false, "folder/x": false, "folder/.": false,
		} {
			for _, size := range []int64{0, 5, large} {
				t.Run(key, func(t *testing.T) {
					t.Parallel()
					o := execution{routing: r, random: 1}.run(t, event(t, object{key: key, version: "v1", etag: "e", size: size}))
					requireSucceeded(t, o)
					if !marker || size > 0 {
						assert.NotEmpty(t, slices.Concat(o.of(machine.ResourceLambda), o.of(machine.ResourceECS)))
						return
					}
					first := "Check file size"
					if deduplicate {
						first = "Check event"
					}
					assert.Equal(t, []string{first, "Folder marker"}, o.states())
					assert.Empty(t, o.calls, "no run, no notice, no claim")
				})
			}
		}
	}
}
