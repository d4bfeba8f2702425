package settings_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/settings"
)

func TestBackfillSchedule(t *testing.T) {
	t.Parallel()
	checkRules(t, config{}, "backfillSchedule", []rule{
		{"rate(1 day)", ""},
		{"rate(12 hours)", ""},
		{"rate(1 days)", "must be a rate such as"},
		{"rate(2 day)", "must be a rate such as"},
		{"rate(0 days)", "must be a rate such as"},
		{"daily", "must be a rate such as"},
		{"cron(0 3 * * ? *)", ""},
		{"cron(15 10 ? * MON-FRI *)", ""},
		{"cron(0 3 * * *)", "must have six fields"},
		{"cron(0 3 * * * *)", "must have ? as the day of the month or as the day of the week"},
		{"cron(0 3 ? * ? *)", "must have ? as the day of the month or as the day of the week"},
		{"at(2026-12-24T03:00:00)", ""},
		{"at(2026-13-24T03:00:00)", "must have a time such as"},
		{"at(2027-02-29T03:00:00)", "must have a time such as"},
		{"at(2026-12-24T3:00:00)", "must have a time such as"},
		{"at(2026-12-24T03:00:00.5)", "must have a time such as"},
		{"at(2026-12-24T03:00:00Z)", "must have a time such as"},
		{"at(2020-01-01T00:00:00)", ""}, // the clock decides nothing
		{"rate(83585 days)", ""},
		{"rate(83586 days)", "must have a rate of at most 83585 days"},
		{"rate(99999999999999999999 days)", "must have a rate of at most 83585 days"},
		{"rate(2006041 hours)", "must have a rate of at most 2006040 hours"},
		{"rate(120362401 minutes)", "must have a rate of at most 120362400 minutes"},
		{"cron(0 3 * * ? *" + strings.Repeat(" ", 241) + ")", "must have at most 256 characters, this has 258"},
	})
}

// The values and wildcards are those of AWS's table; what its documentation leaves open is taken.
func TestCronFields(t *testing.T) {
	t.Parallel()
	checkRules(t, config{}, "backfillSchedule", []rule{
		{"cron(0/15 8-18 ? * MON-FRI *)", ""},
		{"cron(0,30 0-23/2 1,15,L 1-6 ? 2026-2030)", ""},
		{"cron(*/5 /6 1/10 JAN,jul ? 1970/1)", ""},
		{"cron(59 23 31 12 ? 2199)", ""},
		{"cron(05 03 * * ? *)", ""},
		{"cron(0/100 3 * * ? *)", ""},
		{"cron(0 3 L * ? *)", ""},
		{"cron(0 3 LW * ? *)", ""},
		{"cron(0 3 L-3 2 ? *)", ""},
		{"cron(0 3 15W * ? *)", ""},
		{"cron(0 3 ? * L *)", ""},
		{"cron(0 3 ? * FRIL *)", ""},
		{"cron(0 3 ? * 6#3 *)", ""},
		{"cron(0 3 ? * mon#5 *)", ""},
		{"cron(0 3 ? * FRI-MON *)", ""},
		{"cron(60 3 * * ? *)", "must have as minutes 0-59, or the wildcards , - * /, such as 0/15: this has 60"},
		{"cron(-1 3 * * ? *)", "this has -1"},
		{"cron(5-1 3 * * ? *)", "must have as minutes 0-59, or the wildcards , - * /, such as 0/15: this has 5-1"},
		{"cron(0/0 3 * * ? *)", "must have as minutes 0-59, or the wildcards , - * /, such as 0/15: this has 0/0"},
		{"cron(0/ 3 * * ? *)", "this has 0/"},
		{"cron(0/x 3 * * ? *)", "this has 0/x"},
		{"cron(60/5 3 * * ? *)", "this has 60/5"},
		{"cron(0, 3 * * ? *)", "this has 0,"},
		{"cron(? 3 * * ? *)", "must have as minutes"},
		{"cron(L 3 * * ? *)", "must have as minutes"},
		{"cron(+1 3 * * ? *)", "this has +1"},
		{"cron(99999999999999999999 3 * * ? *)", "must have as minutes"},
		{"cron(0 24 * * ? *)", "must have as hours 0-23, or the wildcards , - * /, such as 8-18: this has 24"},
		{"cron(0 3 0 * ? *)", "must have as day of the month 1-31, or the wildcards , - * ? / L W, such as 1,15: this has 0"},
		{"cron(0 3 32 * ? *)", "this has 32"},
		{"cron(0 3 W * ? *)", "this has W"},
		{"cron(0 3 32W * ? *)", "this has 32W"},
		{"cron(0 3 1L * ? *)", "this has 1L"},
		{"cron(0 3 L-31 * ? *)", "this has L-31"},
		{"cron(0 3 ?,1 * ? *)", "this has ?,1"},
		{"cron(0 3 * 13 ? *)", "must have as month 1-12 or JAN-DEC, or the wildcards , - * /, such as JAN-MAR: this has 13"},
		{"cron(0 3 * JANUARY ? *)", "this has JANUARY"},
		{"cron(0 3 * MON ? *)", "this has MON"},
		{"cron(0 3 ? * 8 *)", "must have as day of the week 1-7 or SUN-SAT, or the wildcards , - * ? L #, such as MON-FRI: this has 8"},
		{"cron(0 3 ? * 0 *)", "this has 0"},
		{"cron(0 3 ? * MON#6 *)", "must have as day of the week 1-7 or SUN-SAT, or the wildcards , - * ? L #, such as MON-FRI: this has MON#6"},
		{"cron(0 3 ? * MON#0 *)", "this has MON#0"},
		{"cron(0 3 ? * 8#1 *)", "this has 8#1"},
		{"cron(0 3 ? * 3#1,6#3 *)", "this has 3#1,6#3"},
		{"cron(0 3 ? * 2/2 *)", "this has 2/2"},
		{"cron(0 3 ? * 2W *)", "this has 2W"},
		{"cron(0 3 ? * L-3 *)", "this has L-3"},
		{"cron(0 3 * * ? 1969)", "must have as year 1970-2199, or the wildcards , - * /, such as 2026-2030: this has 1969"},
		{"cron(0 3 * * ? 2200)", "this has 2200"},
		{"cron(0 3 \x1b * ? *)", `this has "\x1b"`},
	})
}

// A day that none of the months has never comes.
func TestCronDaysThatNeverCome(t *testing.T) {
	t.Parallel()
	const never = "must have as day of the month one that a month has which it is for, such as 28 or L: there is no "
	checkRules(t, config{}, "backfillSchedule", []rule{
		{"cron(0 3 31 2,3 ? *)", ""},
		{"cron(0 3 28,31 2 ? *)", ""},
		{"cron(0 3 29 FEB ? *)", ""},
		{"cron(0 3 29 2 ? 2027-2028)", ""},
		{"cron(0 3 31 2 ? *)", never + "31 in 2 of *"},
		{"cron(0 3 30,31W FEB ? *)", never + "30,31W in FEB of *"},
		{"cron(0 3 31 APR,JUN,SEP,NOV ? *)", never + "31 in APR,JUN,SEP,NOV of *"},
		{"cron(0 3 L-29 2 ? *)", never + "L-29 in 2 of *"},
		{"cron(0 3 29 2 ? 2027)", never + "29 in 2 of 2027"},
		{"cron(0 3 29 2 ? 2100)", never + "29 in 2 of 2100"},
	})
}

func TestBackfillPrefix(t *testing.T) {
	t.Parallel()
	daily := config{"backfillSchedule": "rate(1 day)"}
	checkRules(t, daily, "backfillPrefix", []rule{{"incoming/", ""}, {"größe/", ""}})
	checkRules(t, config{}, "backfillPrefix", []rule{{"incoming/", "backfillSchedule"}})
	checkRules(t, daily.with("keys", `["in/*","*.pdf"]`), "backfillPrefix", []rule{{"", ""}, {"in/2026/", ""}, {"out/", ""}})
	checkRules(t, daily.with("keys", `["in/*","old/a.txt"]`), "backfillPrefix", []rule{
		{"", ""}, {"in/", ""}, {"i", ""}, {"in/2026/", ""}, {"old/a.txt", ""},
		{"out/", "must be what a key can begin with that keys takes, and none of in/*, old/a.txt does"},
		{"old/a.txt.gz", "must be what a key can begin with that keys takes"},
	})
}

// What to set is what a glob begins with, and nothing of globs that are secret.
func TestABackfillPrefixThatNoKeyHasHasAWayOut(t *testing.T) {
	t.Parallel()
	values := config{"backfillSchedule": "rate(1 day)", "backfillPrefix": "out/", "keys": `["in/*"]`}
	problems := problemsOf(t, values)
	require.Len(t, problems, 1)
	assert.Equal(t, "pulumi config set backfillPrefix in/", problems[0].Fix.String())
	problems = problemsOf(t, values, settings.WithSecrets(func(key string) bool { return key == "keys" }))
	require.Len(t, problems, 1)
	assert.NotContains(t, problems[0].String()+problems[0].Fix.String(), "in/*")
	assert.Equal(t, "pulumi config rm backfillPrefix", problems[0].Fix.String())
	values["backfillSchedule"] = "cron(60 3 * * ? *)"
	problems = problemsOf(t, values)
	require.Len(t, problems, 1, "what goes with a schedule isn't judged where that is wrong")
	values["backfillSchedule"], values["lambdaMemory"] = "rate(1 day)", "1"
	require.Len(t, problemsOf(t, values), 2, "all at once")
}
