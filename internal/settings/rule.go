package settings

import "fmt"

// brokenRule is the rule a value breaks, as the user is to read it.
type brokenRule string

func (r brokenRule) Error() string { return string(r) }

// breaks makes the error of a check.
func breaks(format string, args ...any) error { return brokenRule(fmt.Sprintf(format, args...)) }
