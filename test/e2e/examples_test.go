package e2e_test

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	commandline "example.com/upload-router/internal/cli"
)

// example is how a line of a command's help ends on the emulator.
type example struct {
	// line is what the help has, without the first "upload-router ".
	line string
	// code is the exit code, and want what is said.
	code int
	want string
	// more are flags for here: without them the line would wait for what an emulator never does.
	more string
	// asIs is that the stack's name stands: the line takes the file of the project's own stack dev.
	asIs bool
	// stop is that the line goes on until Ctrl-C, which comes after some seconds.
	stop bool
}

// Why an example doesn't end with 0 here.
const (
	nobodyToAsk   = 2 // it asks at a terminal, and there is none
	nothingStarts = 1 // the emulator executes nothing: no file is processed
	noRedrives    = 1 // the emulator has no redrives
	unknownName   = 2 // nothing has that name, or that key
	// Step Functions' TestState isn't in the emulator.
	nothingCompared = 4
)

// nothingThere is a prefix that no object has: a backfill would never end.
const nothingThere = " --prefix nothing-has-this/"

// soon is how long an execution may take to start that never does.
const soon = " --start-timeout 2s"

// examples has every line of every command's help.
func examples() []example {
	return []example{
		{
			line: "backfill --stack dev --prefix invoices/2025/ --dry-run",
			want: "There is nothing to process.",
		},
		{
			line: "backfill --stack prod --newer-than 2026-03-01 --batch march --yes",
			want: "There is nothing to process.", more: nothingThere,
		},
		{
			line: "backfill --stack prod --manifest s3://reports/uploads/all/2026-03-01T01-00Z/manifest.json --yes",
			code: unknownName, want: "there is no s3://reports/uploads/all/2026-03-01T01-00Z/manifest.json",
		},
		{
			line: "backfill --stack prod --max-parallel 1000 --tolerate 0.1% --again --no-wait --yes",
			want: "There is nothing to process.", more: nothingThere,
		},
		{
			line: "backfill list --stack dev",
			want: "There are no backfills.",
		},
		{line: "backfill list --stack dev --limit 0 --json | jq '.[] | select(.status == \"FAILED\").name'"},
		{
			line: "backfill redrive --stack dev backfill-20260301-120000-3fa9",
			code: unknownName, want: `there is no backfill "backfill-20260301-120000-3fa9"`,
		},
		{
			line: "backfill redrive --stack dev backfill-20260301-120000-3fa9 --yes --no-wait",
			code: unknownName, want: `there is no backfill "backfill-20260301-120000-3fa9"`,
		},
		{
			line: "backfill show --stack dev backfill-20260301-120000-3fa9",
			code: unknownName, want: `there is no backfill "backfill-20260301-120000-3fa9"`,
		},
		{
			line: "backfill show --stack dev backfill-20260301-120000-3fa9 --follow",
			code: unknownName, want: `there is no backfill "backfill-20260301-120000-3fa9"`,
		},
		{
			line: "backfill stop --stack dev backfill-20260301-120000-3fa9 --yes",
			code: unknownName, want: `there is no backfill "backfill-20260301-120000-3fa9"`,
		},
		{
			line: "check-aws --stack dev",
			code: nothingCompared, want: "✓ Definition",
		},
		{
			line: "check-aws --config aws:region=eu-central-1 --config taskCompletion=callback",
			code: nothingCompared, want: "could be asked.",
		},
		{
			line: `check-aws --stack prod --json | jq '.checks[] | select(.status == "failed")'`,
			code: nothingCompared, want: "not all could be asked",
		},
		{
			line: "cost --uploads-per-month 100000 --size-distribution 100KB:70%,20MB:25%,2GB:5%",
			want: "All together: $",
		},
		{
			line: "cost --stack prod --uploads-per-month 5e6 --size-distribution 1MB:100%",
			want: "All together: $",
		},
		{
			line: "cost --uploads-per-month 1000 --size-distribution 10MB:100% --config sizeThreshold=20MB --json",
			want: `"route": "Lambda"`,
		},
		{
			line: "cost --size-distribution 20MB:100% --config taskCapacity=spot --spot-discount 65%",
			want: "Spot is counted as 65 % below the price on demand.",
		},
		{
			line: "cost --config maxParallelTasks=20 --config executionTimeout=14400 --uploads-at-once 500",
			want: "All together: $",
		},
		{
			line: "cost --size-distribution 2GB:100% --seconds-per-gb 12",
			want: "The processor is counted as 12 s for 10^9 bytes on one vCPU.",
		},
		{
			line: "deployer-policy --stack dev",
			want: "attach all of them",
		},
		{
			line: "deployer-policy --stack prod --account 123456789012 --config aws:region=eu-central-1",
			want: "attach all of them",
		},
		{line: "deployer-policy --stack prod --part 1 > deploy-1.json"},
		{
			line: "destroy --stack dev",
			code: nobodyToAsk, want: "--yes says yes",
		},
		{
			line: "destroy --stack dev --yes",
			want: "deleted",
		},
		{
			line: "diagram",
			want: "size #lt;= 6291456",
		},
		{line: "diagram --svg > machine.svg"},
		{line: "diagram --svg --stack dev > deployed.svg"},
		{
			line: "diagram --config notifySuccess=false",
			want: "stateDiagram-v2",
		},
		{
			line: "doctor --stack dev",
			want: "✓ Stack                  e2e-commands, deployed",
		},
		{
			line: `doctor --stack dev --json | jq '.checks[] | select(.status != "ok")'`,
			want: "Quota of Fargate",
		},
		{
			line: "executions --stack dev",
			want: "reports/two.pdf",
		},
		{
			line: "executions --stack dev --status failed --since 1h",
			want: "No executions.",
		},
		{
			line: "executions --stack dev --key report.pdf",
			want: "No executions.",
		},
		{
			line: "executions --stack dev --since 2026-03-01 --until 2026-04-01 --prefix invoices/ --limit 0",
			want: "No executions.",
		},
		{
			line: `executions --stack dev --limit 0 --json | jq -r '.[] | select(.route == "Fargate").key'`,
			want: "reports/two.pdf",
		},
		{
			line: "init --stack dev",
			want: "Nothing to change",
		},
		{
			line: "init --stack prod --from https://config.example.com/uploads/prod.yaml",
			code: nobodyToAsk, want: "--yes says yes",
		},
		{
			line: "init --stack dev --config aws:region=eu-central-1 --config sizeThreshold=1MB --yes",
			want: "✓ e2e-commands set up",
		},
		{
			line: `echo '{"aws:region": "eu-central-1"}' | upload-router init --stack dev --from - --yes`,
			want: "Nothing to change",
		},
		{
			line: "logs --stack dev report.pdf --since 1h",
			want: "No log lines",
		},
		{
			line: "logs --stack dev 0f6c1b5e-8f7e-4d0e-9d39-6b0b0f6c2a11 --follow",
			want: "No log lines",
		},
		{
			line: "pause --stack dev",
			want: "✓ Uploads are paused: about 0 events waiting.",
		},
		{
			line: "resume --stack dev",
			want: "✓ Uploads are processed again: 0 executions started for what waited.",
		},
		{
			line: "preview --stack dev",
			want: "✓ preview: ",
		},
		{
			line: "redrive --stack dev 0f6c1b5e-8f7e-4d0e-9d39-6b0b0f6c2a11",
			code: noRedrives, want: "refuse ",
		},
		{
			line: "redrive --stack dev --failed --since 24h",
			code: noRedrives, want: "refuse ",
		},
		{
			line: "redrive --stack dev --failed --since 7d --yes",
			code: noRedrives, want: "refuse ",
		},
		{
			line: "redrive --stack dev --dlq --yes",
			want: "There is nothing to run again.",
		},
		{
			line: "refresh --stack dev --yes",
			want: "✓ refresh: ",
		},
		{
			line: "reprocess --stack dev report.pdf",
			code: unknownName, want: "the ledger has nothing of the key ",
		},
		{line: "reprocess --stack dev --status failed --since 24h --dry-run"},
		{
			line: "reprocess --stack prod --prefix invoices/ --since 2026-03-01 --until 2026-04-01 --yes",
			want: "There is nothing to process.",
		},
		{
			line: "reprocess --stack prod --batch march --status failed --yes",
			want: "There is nothing to process.",
		},
		{
			line: "results --stack dev",
			want: "reports/two.pdf",
		},
		{line: "results --stack dev --key report.pdf --format jsonl | jq .result"},
		{
			line: "results --stack prod --batch march --status failed",
			want: "No results.",
		},
		{line: "results --stack prod --since 2026-03-01 --until 2026-04-01 --format csv --output march.csv"},
		{
			line: "results --stack prod --since 400d --oldest --format parquet --output all.parquet --resume",
			want: "all.parquet: 1 result",
		},
		{
			line: "send --stack dev report.pdf video.mp4",
			code: nothingStarts, want: "0 of 2 files processed.", more: soon,
		},
		{
			line: "send --stack dev --prefix 2026/ --no-wait photos",
			want: "2 of 2 files uploaded.",
		},
		{
			line: "send --stack dev --batch march --no-wait photos",
			want: "2 of 2 files uploaded.",
		},
		{
			line: "send --local report.pdf --config sizeThreshold=1MB",
			want: "1 of 1 file processed.",
		},
		{
			line: "send --stack dev --json report.pdf | jq '.files[].execution.answer.sha256'",
			code: nothingStarts, want: "null", more: soon,
		},
		{
			line: "show --stack dev 0f6c1b5e-8f7e-4d0e-9d39-6b0b0f6c2a11",
			want: "reports/one.pdf  ABORTED",
		},
		{
			line: "show --stack dev report.pdf",
			code: 2, want: "report.pdf",
		},
		{
			line: `show --stack dev --short "$(upload-router executions --stack dev -n 1 --json | jq -r '.[0].name')"`,
			want: "ABORTED",
		},
		{
			line: "status --stack dev",
			want: "Uploads are processed.",
		},
		{
			line: "status --stack prod --period 24h --json",
			want: `"periodSeconds": 86400`,
		},
		{
			line: "status --stack prod --watch",
			want: "RUNNING", stop: true,
		},
		{
			line: "status --stack prod --batch march",
			want: "The ledger has no file of the batch march.",
		},
		{
			line: "stop --stack dev --all",
			want: "Nothing runs.",
		},
		{
			line: "stop --stack dev --route Fargate",
			want: "Nothing runs.",
		},
		{
			line: "stop --stack dev --key report.pdf --yes",
			want: "Nothing runs.",
		},
		{
			line: "stop --stack dev 0f6c1b5e-8f7e-4d0e-9d39-6b0b0f6c2a11",
			want: "Nothing runs.",
		},
		{
			line: "summary --stack dev",
			want: "Dead-letter queue",
		},
		{
			line: `aws s3 ls "s3://$(upload-router summary --stack dev --json | jq -r .bucketName)"`,
			want: "s3 ls s3://upload-router-e2e-command-", // and a digest, as the stack's name has a hyphen
		},
		{
			line: "try",
			want: "2 of 2 files processed.",
		},
		{
			line: "try --config sizeThreshold=1MB report.pdf video.mp4",
			want: "2 of 2 files processed.",
		},
		{
			line: "try --keep outputs report.pdf",
			want: "1 of 1 file processed.",
		},
		{
			line: "try --stack dev --json | jq '.files[].executions[].status'",
			want: `"SUCCEEDED"`, asIs: true,
		},
		{
			line: "up --stack dev",
			code: nobodyToAsk, want: "--yes says yes",
		},
		{
			line: "up --stack dev --enable-eventbridge",
			code: nobodyToAsk, want: "--yes says yes",
		},
		{
			line: "up --stack prod --yes --json | tee deployment.jsonl",
			want: `"succeeded":true`,
		},
		{
			line: "verify --stack dev",
			code: nothingStarts, want: "From the upload to the result:", more: soon,
		},
		{
			line: `verify --stack dev --json | jq '.diagnosis[] | select(.status == "failed")'`,
			code: nothingStarts, more: soon,
		},
		{
			line: "watch --stack dev",
			want: "ended while watched", stop: true,
		},
		{line: "watch --stack dev --until-idle --json"},
	}
}

// matched are the lines of the help with how they end. Each has its one.
func matched(t *testing.T) (all []example) {
	t.Helper()
	known := map[string]example{}
	for _, e := range examples() {
		known[e.line] = e
	}
	for _, line := range exampleLines(commandline.Command()) {
		key := strings.TrimPrefix(line, "upload-router ")
		e, ok := known[key]
		require.True(t, ok, "this example isn't run: say how it ends: %s", line)
		delete(known, key)
		e.line = line
		all = append(all, e)
	}
	require.Empty(t, known, "no command has these examples")
	return all
}

// exampleLines are the lines of all commands' examples, those that delete last.
func exampleLines(cmd *cobra.Command) []string {
	var lines, last []string
	for line := range strings.Lines(cmd.Example) {
		lines = append(lines, strings.TrimSpace(line))
	}
	for _, sub := range cmd.Commands() {
		if sub.Name() == "destroy" {
			last = exampleLines(sub)
			continue
		}
		lines = append(lines, exampleLines(sub)...)
	}
	return append(lines, last...)
}

// TestEveryExampleIsRun needs nothing deployed: it says at once that an example was written and not its end.
func TestEveryExampleIsRun(t *testing.T) {
	t.Parallel()
	require.NotEmpty(t, matched(t))
}
