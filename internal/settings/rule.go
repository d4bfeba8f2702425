package settings

import "fmt"

// ruleError is the rule a value breaks, as the user is to read it.
type ruleError string

func (r ruleError) Error() string { return string(r) }

// breaks makes the error of a check.
func breaks(format string, args ...any) error { return ruleError(fmt.Sprintf(format, args...)) }
