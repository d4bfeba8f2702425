package operate

import (
	"fmt"
	"regexp"
)

// batchName is what the name of a batch may be: that of an execution can be one, and it is in an object's metadata.
var batchName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$`)

// CheckBatch refuses what can't be the name of a batch. The error matches [ErrInput].
func CheckBatch(name string) error {
	if batchName.MatchString(name) {
		return nil
	}
	return fmt.Errorf("%w: %q can't be the name of a batch: it has 1 to 80 letters, digits, and . _ - behind the first", ErrInput, name)
}
