package files

import "context"

// ReadAll reads to the end, and ends when nothing comes for a while.
var ReadAll = readAll

// OpenAtMost is Open with another limit than MaxUnsized.
func OpenAtMost(ctx context.Context, path string, most int64) (*Content, error) {
	return open(ctx, path, suspectSize, most)
}
