//go:build !unix

package reader

// newWindow takes memory from Go's heap.
func newWindow(size int) ([]byte, func()) { return make([]byte, size), func() {} }
