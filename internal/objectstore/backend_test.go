package objectstore

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// newView is the backend as gofakes3 has it. Some of what its interfaces demand is not reached over HTTP, since the
// server answers those requests itself; it must do what gofakes3 expects all the same.
func newView(t *testing.T) *view {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	s := newStore(t.TempDir())
	require.NoError(t, s.createBucket("bucket"))
	return &view{store: s, request: &request{server: &Server{store: s}, r: r, w: httptest.NewRecorder()}}
}

func contents(t *testing.T, object *gofakes3.Object) string {
	t.Helper()
	text, err := io.ReadAll(object.Contents)
	require.NoError(t, err)
	require.NoError(t, object.Contents.Close())
	return string(text)
}

func TestBackendObjects(t *testing.T) {
	t.Parallel()
	v := newView(t)
	require.NoError(t, v.SetVersioningConfiguration("bucket", gofakes3.VersioningConfiguration{Status: gofakes3.VersioningEnabled}))
	put := func(content string) gofakes3.VersionID {
		result, err := v.PutObject("bucket", "key", nil, strings.NewReader(content), int64(len(content)), nil)
		require.NoError(t, err)
		return result.VersionID
	}
	one, two := put("one"), put("two!")

	object, err := v.GetObject("bucket", "key", nil)
	require.NoError(t, err)
	assert.Equal(t, two, object.VersionID)
	assert.Equal(t, "two!", contents(t, object))
	object, err = v.GetObjectVersion("bucket", "key", one, &gofakes3.ObjectRangeRequest{Start: 1, End: 2})
	require.NoError(t, err)
	assert.Equal(t, "ne", contents(t, object))
	_, err = v.GetObjectVersion("bucket", "key", one, &gofakes3.ObjectRangeRequest{Start: 9, End: gofakes3.RangeNoEnd})
	assert.True(t, gofakes3.HasErrorCode(err, gofakes3.ErrInvalidRange))
	object, err = v.HeadObjectVersion("bucket", "key", one)
	require.NoError(t, err)
	assert.Equal(t, int64(3), object.Size)
	assert.Empty(t, contents(t, object))

	result, err := v.DeleteObject("bucket", "key")
	require.NoError(t, err)
	assert.True(t, result.IsDeleteMarker)
	_, err = v.GetObject("bucket", "key", nil)
	assert.True(t, gofakes3.HasErrorCode(err, gofakes3.ErrNoSuchKey))
	result, err = v.DeleteObjectVersion("bucket", "key", result.VersionID)
	require.NoError(t, err)
	assert.True(t, result.IsDeleteMarker)
	result, err = v.DeleteObjectVersion("bucket", "key", "none")
	require.NoError(t, err)
	assert.Equal(t, gofakes3.ObjectDeleteResult{}, result)

	_, err = v.DeleteMulti("bucket", "key")
	require.NoError(t, err)
	assert.True(t, gofakes3.HasErrorCode(v.DeleteBucket("bucket"), gofakes3.ErrBucketNotEmpty))
	require.NoError(t, v.ForceDeleteBucket("bucket"))
	_, err = v.PutObject("bucket", "key", nil, strings.NewReader("x"), 1, nil)
	assert.True(t, gofakes3.HasErrorCode(err, gofakes3.ErrNoSuchBucket))
	_, err = v.DeleteObject("bucket", "key")
	assert.True(t, gofakes3.HasErrorCode(err, gofakes3.ErrNoSuchBucket))
}
