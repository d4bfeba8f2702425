//go:build unix

package runtimeapi

import "io/fs"

// executable reports whether anybody may execute the file.
func executable(info fs.FileInfo) bool { return info.Mode().Perm()&0o111 != 0 }
