package machine_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/ledger/ledgertest"
	"example.com/upload-router/internal/machine"
)

// S11: what the console's "Create folder" puts in a bucket is no upload. Whatever has another key, or content, is.
func TestFolderMarkersAreLeftAlone(t *testing.T) {
	t.Parallel()
	for key, marker := range map[string]bool{
		"folder/": true, "a/b/": true, "/": true, "//": true, "folder": false, "folder/x": false, "folder/.": false,
	} {
		for _, size := range []int64{0, 5, large} {
			t.Run(key, func(t *testing.T) {
				t.Parallel()
				table := ledgertest.Table()
				o := execution{routing: described(), random: 1, table: table}.run(t, event(t, object{key: key, version: "v1", etag: "e", size: size}))
				requireSucceeded(t, o)
				if !marker || size > 0 {
					assert.NotEmpty(t, slices.Concat(o.of(machine.ResourceLambda), o.of(machine.ResourceECS)))
					return
				}
				assert.Equal(t, []string{"Check file size", "Record folder marker", "Folder marker"}, o.states())
				assert.Len(t, o.calls, 1, "no run, no notice")
				assert.Equal(t, "skipped", *itemOf(t, table, ledger.UploadOf("uploads", key, "v1", "e", ""))[ledger.Status].S)
			})
		}
	}
}

// A folder marker is none the more an upload where the ledger is away.
func TestAFolderMarkerThatIsntRecorded(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"DynamoDB.ConditionalCheckFailedException", "DynamoDB.InternalServerErrorException", asl.ErrorTimeout} {
		o := run(t, services{update: fails(name, "no")}, event(t, object{key: "folder/", size: 0}))
		requireSucceeded(t, o)
		assert.Equal(t, []string{"Check file size", "Record folder marker", "Folder marker"}, o.states())
	}
}
