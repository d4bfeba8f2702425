package settings

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrInvalid is what every error of [Load] matches with [errors.Is].
var ErrInvalid = errors.New("invalid configuration")

const (
	// hidden stands for the value of a secret.
	hidden = "[secret]"
	// shownRunes is how much of a value an error repeats; the rest is cut, since a list can be as long as its author likes.
	shownRunes = 120
)

// Problem is one configuration value that breaks a rule.
type Problem struct {
	// Key is the key without the project's namespace, with the path inside a list: "taskMemory", "egress[0].cidr". A key of another
	// namespace has that: "aws:region". Several keys with the same problem are parted by commas.
	Key string
	// Value is the value as it may be shown: cut when long, quoted when it would not be readable, "[secret]" for a secret,
	// empty when there is nothing to show, as for an unknown key.
	Value string
	// Rule says what is expected, and why where that is not plain.
	Rule string
	// Fix is what to do about it.
	Fix Fix
	// Meant is the key that is most likely meant by one that there isn't; empty for others.
	Meant string

	// project is the name of a project that is called otherwise than [Namespace].
	project string
}

// String is the problem in one line: namespace and key, value, rule. The fix is left to [InvalidError], which has room for it.
func (p Problem) String() string {
	key := fullKey(p.project, p.Key)
	if p.Value == "" {
		return fmt.Sprintf("%s: %s", key, p.Rule)
	}
	return fmt.Sprintf("%s: %s: %s", key, p.Value, p.Rule)
}

// fullKey is a key with its namespace: that of the project, if it has none yet.
func fullKey(project, key string) string {
	root, _, _ := strings.Cut(key, ".") // a tag's name may have a colon
	if strings.Contains(root, ":") {
		return key
	}
	return cmp.Or(project, Namespace) + ":" + key
}

// InvalidError is all that is wrong with a configuration. It matches [ErrInvalid].
type InvalidError struct {
	// Problems has at least one entry; known keys come in the order of [Keys], unknown ones after them.
	Problems []Problem
}

// Error lists each problem on a line of its own, followed by its fix.
func (e *InvalidError) Error() string {
	var text strings.Builder
	noun := "problems"
	if len(e.Problems) == 1 {
		noun = "problem"
	}
	fmt.Fprintf(&text, "%s: %d %s, nothing was created", ErrInvalid, len(e.Problems), noun)
	for _, problem := range e.Problems {
		fmt.Fprintf(&text, "\n  %s\n    to fix it: %s", problem, problem.Fix)
	}
	return text.String()
}

// Is reports whether target is [ErrInvalid].
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }

// ruleError is the rule a value breaks, as the user is to read it.
type ruleError string

func (r ruleError) Error() string { return string(r) }

// breaks makes the error of a check.
func breaks(format string, args ...any) error { return ruleError(fmt.Sprintf(format, args...)) }

// display makes a value fit to be printed in an error.
func display(value string) string {
	if utf8.RuneCountInString(value) > shownRunes {
		value = string([]rune(value)[:shownRunes]) + "…"
	}
	if value == "" || strings.TrimSpace(value) != value || strings.ContainsFunc(value, func(r rune) bool {
		return r == utf8.RuneError || !unicode.IsPrint(r)
	}) {
		return strconv.Quote(value)
	}
	return value
}
