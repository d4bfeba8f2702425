package settings

import (
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// maxKey is how many bytes a key may have, and so what one begins with.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
const maxKey = 1024

// cronFields are minutes, hours, the month's day, month, the weekday, and year.
const cronFields = 6

// exampleSchedule is one that is valid.
const exampleSchedule = "rate(1 day)"

var (
	rateExpression = regexp.MustCompile(`^rate\((1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))\)$`)
	cronExpression = regexp.MustCompile(`^cron\(([0-9A-Za-z*?,/#LW -]+)\)$`)
	onceExpression = regexp.MustCompile(`^at\((.+)\)$`)
)

// checkSchedule checks an expression of EventBridge Scheduler.
// https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
func checkSchedule(expression string) error {
	if rateExpression.MatchString(expression) {
		return nil
	}
	if at := onceExpression.FindStringSubmatch(expression); at != nil {
		if _, err := time.Parse("2006-01-02T15:04:05", at[1]); err != nil {
			return breaks("must have a time such as 2026-12-24T03:00:00 between the parentheses")
		}
		return nil
	}
	if cron := cronExpression.FindStringSubmatch(expression); cron != nil {
		return checkCron(strings.Fields(cron[1]))
	}
	return breaks("must be a rate such as rate(1 day) or rate(12 hours), a cron expression such as cron(0 3 * * ? *), or " +
		"a time such as at(2026-12-24T03:00:00)")
}

// checkCron checks what can be said of all six fields without the values that each may have.
func checkCron(fields []string) error {
	if len(fields) != cronFields {
		return breaks("must have six fields between the parentheses, minutes, hours, the day of the month, the month, the weekday and the year: "+
			"this has %d", len(fields))
	}
	if (fields[2] == "?") == (fields[4] == "?") {
		return breaks("must have ? as the day of the month or as the day of the week, and not as both")
	}
	return nil
}

// checkPrefix checks what keys begin with.
func checkPrefix(prefix string) error {
	switch {
	case len(prefix) > maxKey:
		return breaks("must have at most %d bytes, this has %d", maxKey, len(prefix))
	case !utf8.ValidString(prefix):
		return breaks("must be valid UTF-8")
	}
	return nil
}
