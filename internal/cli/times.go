package cli

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/spf13/pflag"
)

// span is a length of time as flags take it: as Go writes it, or in days.
type span time.Duration

var (
	inDays   = regexp.MustCompile(`^([0-9]{1,5})d$`)
	errSpan  = errors.New("is no length of time")
	errPast  = errors.New("can't be negative")
	errNever = errors.New("is no time: write " + momentForm)
)

// Set implements [pflag.Value].
func (s *span) Set(text string) error {
	if found := inDays.FindStringSubmatch(text); found != nil {
		days, _ := strconv.Atoi(found[1]) // it has digits only
		*s = span(time.Duration(days) * 24 * time.Hour)
		return nil
	}
	read, err := time.ParseDuration(text)
	if err != nil {
		return errSpan
	}
	*s = span(read)
	return nil
}

// String implements [pflag.Value].
func (s *span) String() string { return time.Duration(*s).String() }

// Type implements [pflag.Value].
func (s *span) Type() string { return "duration" }

// spanVar adds a flag with a length of time.
func spanVar(flags *pflag.FlagSet, to *time.Duration, name string, usual time.Duration, usage string) {
	*to = usual
	flags.Var((*span)(to), name, usage)
}

// momentForm is how a time is written.
const momentForm = "90m, 24h or 30d ago, a day such as 2026-03-01, or a time such as 2026-03-01T12:00:00Z"

// moment reads a flag's time: so long ago, or a day, which is its beginning here, or a time.
func moment(flag, text string, now time.Time) (time.Time, error) {
	var ago span
	if ago.Set(text) == nil {
		if ago < 0 {
			return time.Time{}, fmt.Errorf("%w: --%s %w", errFlag, flag, errPast)
		}
		return now.Add(-time.Duration(ago)), nil
	}
	if day, err := time.ParseInLocation(time.DateOnly, text, now.Location()); err == nil {
		return day, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: --%s %q %w", errFlag, flag, text, errNever)
	}
	return at, nil
}

// past is moment for a time before now.
func past(flag, text string) (time.Time, error) {
	now := time.Now()
	at, err := moment(flag, text, now)
	if err == nil && !at.Before(now) {
		err = fmt.Errorf("%w: --%s must be before now", errFlag, flag)
	}
	return at, err
}
