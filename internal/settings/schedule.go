package settings

import (
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"example.com/upload-router/internal/filter"
	"example.com/upload-router/upload"
)

// maxExpression is how many characters a schedule's expression may have.
// https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html
const maxExpression = 256

// exampleSchedule is one that is valid, and exampleOnce one time. oneTime is how Go has the latter.
const (
	exampleSchedule = "rate(1 day)"
	exampleOnce     = "at(2026-12-24T03:00:00)"
	oneTime         = "2006-01-02T15:04:05"
)

// longestRate is the longest time between two starts, in days of which a year has 365: from the first year that a schedule may have to the
// last one. No more is documented of a rate than that it is positive, but what is longer never comes a second time.
const longestRate = (lastYear - firstYear) * 365

var (
	rateExpression = regexp.MustCompile(`^rate\((1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))\)$`)
	cronExpression = regexp.MustCompile(`^cron\((.*)\)$`)
	onceExpression = regexp.MustCompile(`^at\((.+)\)$`)
)

// checkSchedule checks an expression of EventBridge Scheduler.
// https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
func checkSchedule(expression string) error {
	if length := utf8.RuneCountInString(expression); length > maxExpression {
		return breaks("must have at most %d characters, this has %d", maxExpression, length)
	}
	if rate := rateExpression.FindStringSubmatch(expression); rate != nil {
		return checkRate(rate[3], rate[4])
	}
	if at := onceExpression.FindStringSubmatch(expression); at != nil {
		return checkOnce(at[1])
	}
	if cron := cronExpression.FindStringSubmatch(expression); cron != nil {
		return checkCron(strings.Fields(cron[1]))
	}
	return breaks("must be a rate such as rate(1 day) or rate(12 hours), a cron expression such as cron(0 3 * * ? *), or " +
		"a time such as " + exampleOnce)
}

// checkRate checks a rate of more than one minute, hour or day; of one there is nothing to check.
func checkRate(number, unit string) error {
	if number == "" {
		return nil
	}
	most := map[string]int{"days": longestRate, "hours": longestRate * 24, "minutes": longestRate * 24 * 60}[unit]
	if n, err := strconv.Atoi(number); err != nil || n > most {
		return breaks("must have a rate of at most %d %s, all years that a schedule may have, such as %s: this has %s",
			most, unit, exampleSchedule, number)
	}
	return nil
}

// checkOnce checks one time, such as the night after a deployment, by which all is looked through once. It may be past: the schedule that
// was deployed with it is still there when the time has come, and whether a configuration is valid must not change with the clock.
func checkOnce(at string) error {
	// Go also takes fractions of a second, and an hour of one digit.
	if read, err := time.Parse(oneTime, at); err != nil || read.Format(oneTime) != at {
		return breaks("must have a time such as 2026-12-24T03:00:00 between the parentheses")
	}
	return nil
}

// checkPrefix checks what keys begin with.
func checkPrefix(prefix string) error {
	switch {
	case len(prefix) > upload.MaxKeyLength:
		return breaks("must have at most %d bytes, this has %d", upload.MaxKeyLength, len(prefix))
	case !utf8.ValidString(prefix):
		return breaks("must be valid UTF-8")
	}
	return nil
}

// backfills refuses a prefix that no key which is taken can begin with: the schedule would look through it, and start nothing.
func (l *loader) backfills(s *Settings) {
	if s.BackfillPrefix == "" || len(s.KeyGlobs) == 0 {
		return // or what is wrong with them was reported
	}
	keys, err := filter.ParseKeys(s.KeyGlobs)
	if err != nil {
		return // which was reported
	}
	if _, met := keys.MeetPrefix(s.BackfillPrefix); met {
		return
	}
	refused := "must be what a key can begin with that " + keyKeys + " takes"
	if l.isSecret(keyKeys) {
		l.reportAt(keyBackfillPrefix, keyBackfillPrefix, s.BackfillPrefix, refused, remove(keyBackfillPrefix))
		return
	}
	// A glob that begins with an asterisk would meet any prefix, and so each begins with some text.
	l.reportAt(keyBackfillPrefix, keyBackfillPrefix, s.BackfillPrefix, refused+", and none of "+display(keys.String())+" does",
		set(keyBackfillPrefix, keys[0].Beginning()))
}
