package operate

import (
	"fmt"
	"regexp"
)

// batchName is what the name of a batch may be: it is part of the name of an execution, and of an object's metadata.
var batchName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,49}$`)

// CheckBatch refuses what can't be the name of a batch. The error matches [ErrInput].
func CheckBatch(name string) error {
	if batchName.MatchString(name) {
		return nil
	}
	return fmt.Errorf("%w: %q can't be the name of a batch: it has 1 to 50 letters, digits, and . _ - behind the first", ErrInput, name)
}
