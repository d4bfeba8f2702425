//go:build !unix

package runtimeapi

import "io/fs"

// executable is always true: the file mode does not tell here.
func executable(fs.FileInfo) bool { return true }
