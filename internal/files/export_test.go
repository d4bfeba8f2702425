package files

// OpenAtMost is Open with another limit than MaxUnsized.
func OpenAtMost(path string, most int64) (*Content, error) { return open(path, suspectSize, most) }
