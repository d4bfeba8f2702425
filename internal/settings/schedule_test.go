package settings_test

import "testing"

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
	})
	checkRules(t, config{"backfillSchedule": "rate(1 day)"}, "backfillPrefix", []rule{{"incoming/", ""}, {"größe/", ""}})
	checkRules(t, config{}, "backfillPrefix", []rule{{"incoming/", "backfillSchedule"}})
}
