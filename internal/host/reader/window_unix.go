//go:build unix

package reader

import "syscall"

// newWindow takes memory from the system rather than from Go's heap: the garbage collector lets the heap grow to twice of what is in use,
// so that the window would count twice. Pages that are never written to are never resident.
func newWindow(size int) ([]byte, func()) {
	window, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return make([]byte, size), func() {}
	}
	return window, func() { _ = syscall.Munmap(window) }
}
