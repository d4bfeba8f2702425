//go:build !unix

package files

import "os"

// changeTime isn't known.
func changeTime(*os.File) int64 { return 0 }

// openWithoutWaiting opens a file for reading.
func openWithoutWaiting(path string) (*os.File, error) { return os.Open(path) } //nolint:wrapcheck // Who calls it does.
