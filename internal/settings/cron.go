package settings

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The years that a cron expression may have.
const (
	firstYear = 1970
	lastYear  = 2199
)

// cronField is a field of a cron expression: what its values are, and which wildcards may be among them.
type cronField struct {
	name        string
	least, most int
	// names are other words for the values, the first one for the least.
	names []string
	// wildcards are those that it may have, as AWS lists them. A comma, a hyphen and an asterisk are in all.
	wildcards string
	// circle says that a range may go on from the last value to the first: FRI-MON.
	circle bool
	// example is one that is valid.
	example string
}

// commonWildcards are those of the fields that aren't days.
const commonWildcards = ", - * /"

// The places of fields in a cron expression.
const (
	cronMonthDay = 2
	cronMonth    = 3
	cronWeekday  = 4
	cronYear     = 5
)

// fifth is the last of one day of the week that a month can have.
const fifth = 5

// cronFields are the fields, in order. https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#cron-based
func cronFields() []cronField {
	return []cronField{
		{name: "minutes", least: 0, most: 59, wildcards: commonWildcards, example: "0/15"},
		{name: "hours", least: 0, most: 23, wildcards: commonWildcards, example: "8-18"},
		{name: "day of the month", least: 1, most: 31, wildcards: ", - * ? / L W", example: "1,15"},
		{name: "month", least: 1, most: 12, names: strings.Fields("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC"),
			wildcards: commonWildcards, example: "JAN-MAR"},
		{name: "day of the week", least: 1, most: 7, names: strings.Fields("SUN MON TUE WED THU FRI SAT"),
			wildcards: ", - * ? L #", circle: true, example: "MON-FRI"},
		{name: "year", least: firstYear, most: lastYear, wildcards: commonWildcards, example: "2026-2030"},
	}
}

// checkCron checks the fields of a cron expression. What AWS's documentation leaves open is let pass: names in small letters, steps from a
// range or from nothing, L with a number or a day, and years that are past, by which a configuration would be valid until a certain day.
func checkCron(texts []string) error {
	fields := cronFields()
	if len(texts) != len(fields) {
		return breaks("must have six fields between the parentheses, minutes, hours, the day of the month, the month, the weekday and the year: "+
			"this has %d", len(texts))
	}
	sets := make([][]int, len(fields))
	for i, field := range fields {
		values, ok := field.values(texts[i])
		if !ok {
			return breaks("must have as %s %s, such as %s: this has %s", field.name, field.allowed(), field.example, display(texts[i]))
		}
		sets[i] = values
	}
	if (texts[cronMonthDay] == "?") == (texts[cronWeekday] == "?") {
		return breaks("must have ? as the day of the month or as the day of the week, and not as both")
	}
	if texts[cronMonthDay] != "?" && !comes(sets[cronYear], sets[cronMonth], slices.Min(sets[cronMonthDay])) {
		return breaks("must have as day of the month one that a month has which it is for, such as 28 or L: there is no %s in %s of %s",
			display(texts[cronMonthDay]), display(texts[cronMonth]), display(texts[cronYear]))
	}
	return nil
}

// comes says whether one of the months has a day, in one of the years.
func comes(years, months []int, day int) bool {
	for _, year := range years {
		for _, month := range months {
			if time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC).Day() == day {
				return true
			}
		}
	}
	return false
}

// allowed is what a field may have.
func (f cronField) allowed() string {
	allowed := fmt.Sprintf("%d-%d", f.least, f.most)
	if len(f.names) > 0 {
		allowed += " or " + f.names[0] + "-" + f.names[len(f.names)-1]
	}
	return allowed + ", or the wildcards " + f.wildcards
}

// has says whether a field may have a wildcard.
func (f cronField) has(wildcard string) bool { return strings.Contains(f.wildcards, wildcard) }

// all are the values from one to another one, so many apart.
func (f cronField) all(from, to, step int) []int {
	var values []int
	for ; from <= to && step > 0; from += min(step, f.most+1) {
		values = append(values, from)
	}
	return values
}

// values are those that a field's text has; ok is false if it can't be one.
func (f cronField) values(text string) (values []int, ok bool) {
	if text == "?" {
		return f.all(f.least, f.most, 1), f.has("?")
	}
	elements := strings.Split(strings.ToUpper(text), ",")
	for _, element := range elements {
		some := f.element(element)
		// AWS takes two expressions with # for none.
		if len(some) == 0 || strings.Contains(element, "#") && len(elements) > 1 {
			return nil, false
		}
		values = append(values, some...)
	}
	return values, true
}

// element are the values of one element of a field's list; none if it can't be one.
func (f cronField) element(text string) []int {
	start, step, steps := strings.Cut(text, "/")
	day, nth, counts := strings.Cut(text, "#")
	switch {
	case steps && f.has("/"):
		return f.stepped(start, step)
	case counts && f.has("#"):
		return f.counted(day, nth)
	case f.has("W") && strings.HasSuffix(text, "W"):
		return f.workday(strings.TrimSuffix(text, "W"))
	case f.has("L") && strings.Contains(text, "L"):
		return f.last(text)
	}
	return f.span(text)
}

// stepped are every so many values from the first one on: 0/15, 8-18/2.
func (f cronField) stepped(start, step string) []int {
	by, ok := cronNumber(step)
	if !ok {
		return nil
	}
	if start == "" {
		start = "*"
	}
	span := f.span(start)
	if len(span) == 0 {
		return nil
	}
	to := span[len(span)-1]
	if !strings.Contains(start, "-") {
		to = f.most
	}
	return f.all(span[0], to, by)
}

// counted is the day of the week that is the first to fifth of its month: MON#1.
func (f cronField) counted(day, nth string) []int {
	if n, ok := cronNumber(nth); !ok || n < 1 || n > fifth {
		return nil
	}
	return f.one(day)
}

// workday is the day of the month that a working day is nearest to, or the last working day: 15W, LW.
func (f cronField) workday(day string) []int {
	if day == "L" {
		return f.last(day)
	}
	return f.one(day)
}

// last is the last day of the month or of the week, so many days before it, or the last one of a day of the week: L, L-3, FRIL. Of a month
// it is the earliest such day, that of the shortest month which has one.
func (f cronField) last(text string) []int {
	before, isBefore := strings.CutPrefix(text, "L-")
	switch {
	case text == "L":
		return []int{f.least}
	case isBefore && !f.circle:
		days, ok := cronNumber(before)
		if !ok || days >= f.most {
			return nil
		}
		return []int{days + 1}
	case f.circle && strings.HasSuffix(text, "L"):
		return f.one(strings.TrimSuffix(text, "L"))
	}
	return nil
}

// span are the values of a range, of one value or of the asterisk.
func (f cronField) span(text string) []int {
	if text == "*" {
		return f.all(f.least, f.most, 1)
	}
	from, to, isRange := strings.Cut(text, "-")
	if !isRange {
		return f.one(text)
	}
	first, last := f.one(from), f.one(to)
	switch {
	case len(first) == 0 || len(last) == 0:
		return nil
	case first[0] > last[0] && f.circle:
		return append(f.all(first[0], f.most, 1), f.all(f.least, last[0], 1)...)
	}
	return f.all(first[0], last[0], 1)
}

// one is a single value, by its number or name; none if the field has no such value.
func (f cronField) one(text string) []int {
	if i := slices.Index(f.names, text); i >= 0 {
		return []int{f.least + i}
	}
	value, ok := cronNumber(text)
	if !ok || value < f.least || value > f.most {
		return nil
	}
	return []int{value}
}

// cronNumber reads a number of a cron expression, which has no sign, and zeros in front as it likes: cron(05 03 * * ? *).
func cronNumber(text string) (number int, ok bool) {
	n, err := strconv.ParseUint(text, 10, 31)
	return int(n), err == nil
}
