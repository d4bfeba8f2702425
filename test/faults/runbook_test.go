package faults_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/build"
	declaration "example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/docs"
	"example.com/upload-router/internal/faults"
	"example.com/upload-router/internal/local/localtest"
	"example.com/upload-router/internal/routemetric"
	"example.com/upload-router/internal/settings"
	"example.com/upload-router/internal/stackfile"
)

const typeAlarm = "aws:cloudwatch/metricAlarm:MetricAlarm"

func runbook(t *testing.T) string {
	t.Helper()
	root, err := build.Root()
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(root, "docs", "runbook.md"))
	require.NoError(t, err)
	return string(text)
}

// Whoever gets an alarm's message finds its section by the end of its name.
func TestEveryAlarmIsInTheRunbook(t *testing.T) {
	t.Parallel()
	root, err := build.Root()
	require.NoError(t, err)
	names, err := stackfile.Names(root)
	require.NoError(t, err)
	text := runbook(t)
	declared := map[string]bool{}
	note := func(system *declaration.System) {
		for _, alarm := range system.OfType(typeAlarm) {
			_, key, found := strings.Cut(alarm.Name, "-alarms-")
			require.True(t, found, alarm.Name)
			if route, ok := alarm.Object("dimensions")[routemetric.DimensionRoute].(string); ok {
				key = strings.TrimSuffix(key, "-"+route) // one section is for all routes
			}
			declared[key] = true
		}
	}
	note(localtest.Declare(t, "dev", docs.ThreeTiers))
	note(localtest.Declare(t, "dev", map[string]string{"backfillSchedule": "rate(1 day)"}))
	for _, name := range names {
		config, err := stackfile.Read(root, name)
		require.NoError(t, err)
		note(localtest.Declare(t, name, config))
	}
	for key := range declared {
		assert.Equal(t, 1, strings.Count(text, "\n### "+key+"\n"),
			"%s: docs/runbook.md needs a section: what it means, where to look, what to do", key)
	}
	for _, section := range sections(text, "## Alarms") {
		assert.True(t, declared[section], "docs/runbook.md tells of an alarm that no stack has: %s", section)
	}
}

// The mail and the runbook say the same of when the sweep is silent.
func TestTheSweepsSilenceIsTheSameEverywhere(t *testing.T) {
	t.Parallel()
	for _, alarm := range localtest.Declare(t, "dev", map[string]string{}).OfType(typeAlarm) {
		if !strings.HasSuffix(alarm.Name, "-sweep-silence") {
			continue
		}
		says, _, found := strings.Cut(alarm.Text("alarmDescription"), ":")
		require.True(t, found)
		assert.Contains(t, runbook(t), "\n### sweep-silence\n\n"+says+".")
		return
	}
	assert.Fail(t, "no such alarm")
}

// sections are the headings below a part.
func sections(text, part string) []string {
	_, text, _ = strings.Cut(text, "\n"+part+"\n")
	text, _, _ = strings.Cut(text, "\n## ")
	var out []string
	for line := range strings.Lines(text) {
		if heading, ok := strings.CutPrefix(strings.TrimSpace(line), "### "); ok {
			out = append(out, heading)
		}
	}
	return out
}

func TestEveryFaultIsInTheRunbook(t *testing.T) {
	t.Parallel()
	text := runbook(t)
	names := map[string]bool{}
	for _, row := range faults.Cases() {
		names[row.Name] = true
		assert.Contains(t, text, "\n**"+row.Name, "docs/runbook.md needs a paragraph for this fault: what it means and what to do")
	}
	_, part, _ := strings.Cut(text, "\n## Faults\n")
	part, _, _ = strings.Cut(part, "\n## ")
	for line := range strings.Lines(part) {
		if bold, ok := strings.CutPrefix(line, "**"); ok {
			name, _, _ := strings.Cut(bold, "**")
			assert.True(t, names[strings.TrimSuffix(name, ".")], "docs/runbook.md tells of a fault that no test brings about: %s", name)
		}
	}
}

// What the runbook tells people to change exists.
func TestTheRunbookNamesSettingsThatExist(t *testing.T) {
	t.Parallel()
	text := runbook(t)
	for _, name := range []string{
		"lambdaMemory", "lambdaTimeout", "sizeThreshold", "taskMemory", "taskTimeout", "taskCpu", "executionTimeout", "eventMaxAge",
		"eventRetryAttempts", "network", "taskCompletion", "maxParallelTasks",
	} {
		assert.Contains(t, text, "`"+name+"`")
		assert.Contains(t, settings.Markdown(), "`"+name+"`")
	}
}

// What the runbook says that `verify` looks at is what it calls it (requirements A42 to A46).
func TestTheRunbookNamesTheLinksThatVerifyWalks(t *testing.T) {
	t.Parallel()
	root, err := build.Root()
	require.NoError(t, err)
	walked, err := os.ReadFile(filepath.Join(root, "operate", "links.go"))
	require.NoError(t, err)
	links := 0
	_, table, found := strings.Cut(runbook(t), "| what `verify` looks at | by hand |\n|---|---|---|---|\n")
	require.True(t, found)
	table, _, _ = strings.Cut(table, "\n\n")
	for line := range strings.Lines(table) {
		cells := strings.Split(line, " | ")
		require.Len(t, cells, 4)
		for link := range strings.SplitSeq(cells[2], ", ") {
			links++
			assert.Contains(t, string(walked), `"`+link+`"`)
		}
	}
	require.Equal(t, 15, links)
}
