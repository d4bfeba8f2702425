//go:build e2e

package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/ledger/client"
	"example.com/upload-router/internal/machine"
)

// region is the one of Pulumi.local.yaml.
const region = "eu-central-1"

// inspect looks at what the commands deployed.
func (c *commands) inspect() *deployed {
	c.t.Helper()
	var outputs map[string]any
	require.NoError(c.t, json.Unmarshal([]byte(c.run(0, "bucketName", "summary", "--json")), &outputs))
	return inspect(c.t, region, outputs)
}

// start starts an execution for a key, as the rule would: the emulator delivers no events.
func (d *deployed) start(t *testing.T, key string, size int64) (name string) {
	t.Helper()
	name, err := d.started(t, key, size)
	require.NoError(t, err)
	return name
}

func (d *deployed) started(t *testing.T, key string, size int64) (name string, err error) {
	t.Helper()
	event, err := json.Marshal(map[string]any{
		"version": "0", "id": "5f1b7d5e-0c5b-4d28-9d0a-6a1e0d1f2b3c", "source": "aws.s3", "detail-type": "Object Created",
		"account": "123456789012", "time": time.Now().UTC().Format(time.RFC3339), "region": region, "resources": []string{},
		"detail": map[string]any{
			"version": "0", "bucket": map[string]any{"name": d.text(t, "bucketName")},
			"object":     map[string]any{"key": key, "size": size, "etag": "0", "version-id": "v-" + key, "sequencer": "0"},
			"request-id": "0", "requester": "123456789012", "source-ip-address": "192.0.2.1", "reason": "PutObject",
		},
	})
	if err != nil {
		return "", fmt.Errorf("writing the event: %w", err)
	}
	answer, err := sfn.NewFromConfig(d.cfg).StartExecution(t.Context(), &sfn.StartExecutionInput{
		StateMachineArn: aws.String(d.text(t, "stateMachineArn")), Input: aws.String(string(event)),
	})
	if err != nil {
		return "", fmt.Errorf("starting an execution: %w", err)
	}
	arn := aws.ToString(answer.ExecutionArn)
	return arn[strings.LastIndex(arn, ":")+1:], nil
}

// abort ends an execution: those of the emulator run until then.
func (d *deployed) abort(t *testing.T, name string) {
	t.Helper()
	machine := d.text(t, "stateMachineArn")
	_, err := sfn.NewFromConfig(d.cfg).StopExecution(t.Context(), &sfn.StopExecutionInput{
		ExecutionArn: aws.String(strings.Replace(machine, ":stateMachine:", ":execution:", 1) + ":" + name),
	})
	require.NoError(t, err)
}

// looksAt shows and watches an execution that runs, and then was aborted, which can't be redriven here: the emulator has no
// redrives, and says nothing why. It gives the execution's name.
func (c *commands) looksAt(d *deployed) string {
	c.t.Helper()
	name := d.start(c.t, "reports/one.pdf", 20<<20)
	require.Contains(c.t, c.run(0, "reports/one.pdf  RUNNING", "show", name), "No log lines of this file.")
	c.run(0, `"key": "reports/one.pdf"`, "show", name, "--json")
	c.run(0, "No log lines", "logs", name)
	c.run(0, "No log lines", "logs", "reports/one.pdf", "--since", "1h")
	require.Contains(c.t, c.run(0, "skip     reports/one.pdf", "redrive", name), "it is running")

	c.t.Log("it is watched to its end")
	watch := c.command("watch", "--json", "--until-idle")
	var stderr bytes.Buffer
	watch.Stderr = &stderr
	stdout, err := watch.StdoutPipe()
	require.NoError(c.t, err)
	require.NoError(c.t, watch.Start())
	var seen []string
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		var execution struct{ Name, Status string }
		require.NoError(c.t, json.Unmarshal(lines.Bytes(), &execution), lines.Text())
		require.Equal(c.t, name, execution.Name)
		if seen = append(seen, execution.Status); len(seen) == 1 {
			d.abort(c.t, name)
		}
	}
	require.NoError(c.t, watch.Wait(), stderr.String())
	require.Equal(c.t, []string{"RUNNING", "ABORTED"}, slices.Compact(seen))

	c.t.Log("a redrive is refused")
	refused := c.run(1, "refuse   reports/one.pdf", "redrive", name)
	require.Contains(c.t, refused, "Step Functions refuses to redrive it")
	require.Contains(c.t, refused, "upload-router: completed with failures: 1 of 1 can't be run again")
	c.run(1, "refuse   reports/one.pdf", "redrive", "--failed", "--yes")
	c.run(2, "`upload-router executions` lists them", "redrive", "nobody")
	require.Contains(c.t, c.run(0, "1 of 1 run again", "redrive", name, "--restart"), "✓ reports/one.pdf  "+name+"-r1")
	c.run(0, "it was run again as "+name+"-r1", "redrive", name, "--restart")
	d.abort(c.t, name+"-r1")
	processed := d.start(c.t, "reports/two.pdf", 20<<20)
	d.abort(c.t, processed)
	d.record(c.t, "reports/two.pdf", processed, 0, true)
	c.run(0, `"status": "succeeded"`, "executions", "--key", "reports/two.pdf", "--json")
	c.run(0, "reports/two.pdf", "show", "reports/two.pdf")
	c.run(0, "skip     reports/two.pdf", "redrive", processed)
	c.run(0, `"lines":3`, "results", "--format", "jsonl")
	return name
}

// record writes to the ledger what a worker would, and the state machine of a failure, of an upload whose execution started a while ago:
// the emulator runs none.
func (d *deployed) record(t *testing.T, key, execution string, ago time.Duration, processed bool) {
	t.Helper()
	table := &client.Client{API: dynamodb.NewFromConfig(d.cfg), Table: d.text(t, "ledgerTable"), Lease: 2 * time.Hour}
	now := time.Now()
	run := client.Run{
		Upload:    ledger.UploadOf(d.text(t, "bucketName"), key, "v-"+key, "", ""),
		Execution: strings.Replace(d.text(t, "stateMachineArn"), ":stateMachine:", ":execution:", 1) + ":" + execution,
		ID:        "one", Route: machine.RouteFargate, Size: 20 << 20, Created: now.Add(-ago), Started: now.Add(-ago),
	}
	attempts, err := table.BeginRun(t.Context(), run, now)
	require.NoError(t, err)
	if !processed {
		_, err = table.FailEnded(t.Context(), run.Upload, run.Execution, "Upload.Failed", "no such column", now, now.Add(table.Lease+time.Second))
		require.NoError(t, err)
		return
	}
	require.NoError(t, table.Finish(t.Context(), run, client.End{Attempts: attempts, Result: json.RawMessage(`{"lines":3}`)}, now))
	run.Execution += "-r2"
	_, err = table.BeginRun(t.Context(), run, now)
	refused, ok := errors.AsType[*client.RefusedError](err)
	require.True(t, ok, "what is processed isn't begun again: %v", err)
	require.Equal(t, ledger.Succeeded, refused.Item.State)
}

// TestDoctorAfterAnInterruption has a bucket's name be taken by the very stack
// that asks for it, whose deployment was interrupted once the bucket was there.
func TestDoctorAfterAnInterruption(t *testing.T) {
	t.Parallel()
	c := newCommands(t, "e2e-interrupted")
	bucket := fmt.Sprintf("e2e-interrupted-%d", time.Now().UnixNano())
	c.run(0, "set up", "init", "--from", "Pulumi.local.yaml", "-c", "image="+image(), "-c", "bucketName="+bucket, "--yes")
	t.Cleanup(func() { c.run(0, "", "destroy", "--yes") })
	c.run(0, bucket+" is free", "doctor")
	c.interruptAfter("-uploads-bucket")
	said := c.run(0, bucket+", this stack's", "doctor")
	require.Contains(t, said, "✓ Stack                  e2e-interrupted, not deployed yet")
}

// interruptAfter starts up, and presses Ctrl-C once a resource is there whose name ends so.
func (c *commands) interruptAfter(name string) {
	c.t.Helper()
	up := c.command("up", "--yes", "--json", "--skip-doctor", "--skip-preview")
	stdout, err := up.StdoutPipe()
	require.NoError(c.t, err)
	require.NoError(c.t, up.Start())
	interrupted := false
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		var event struct {
			Resource struct{ Name string }
			State    string
		}
		require.NoError(c.t, json.Unmarshal(lines.Bytes(), &event), lines.Text())
		if strings.HasSuffix(event.Resource.Name, name) && event.State == "done" && !interrupted {
			interrupted = true
			require.NoError(c.t, up.Process.Signal(os.Interrupt))
		}
	}
	require.Error(c.t, up.Wait())
	require.True(c.t, interrupted, "there was none")
	require.Equal(c.t, 130, up.ProcessState.ExitCode())
}

// brokenLink has verify name the rule that somebody disabled.
func (c *commands) brokenLink(d *deployed) {
	c.t.Helper()
	events, rule := eventbridge.NewFromConfig(d.cfg), aws.String(d.text(c.t, "eventBridgeRuleName"))
	_, err := events.DisableRule(c.t.Context(), &eventbridge.DisableRuleInput{Name: rule})
	require.NoError(c.t, err)
	verified := c.run(1, "Broken: Rule: the rule is disabled", "verify", "--start-timeout", "1s")
	require.Contains(c.t, verified, "✓ Bucket's notification")
	_, err = events.EnableRule(c.t.Context(), &eventbridge.EnableRuleInput{Name: rule})
	require.NoError(c.t, err)
}

// pages lists more uploads than DynamoDB gives in one answer, or in one batch.
func (c *commands) pages(d *deployed) {
	c.t.Helper()
	const early, late, failed = 480, 20, 7
	before := c.count("executions", "--limit", "0", "--json")
	for i := range early {
		d.record(c.t, fmt.Sprintf("early-%03d", i), fmt.Sprintf("early-%03d", i), time.Hour, true)
	}
	for i := range late {
		d.record(c.t, fmt.Sprintf("late-%03d", i), fmt.Sprintf("late-%03d", i), 0, i >= failed)
	}

	some := c.run(0, "The newest 50; --limit 0 lists all.", "executions")
	require.Equal(c.t, 50+2, strings.Count(some, "\n"), "a line each, the header, and that there are more")
	all := c.run(0, "early-479", "executions", "--limit", "0")
	require.Equal(c.t, before+early+late+1, strings.Count(all, "\n"))
	require.Equal(c.t, before+early+late, c.count("executions", "--limit", "0", "--json"), "each once")
	require.Equal(c.t, early, c.count("executions", "--limit", "0", "--json", "--prefix", "early-"))
	require.Equal(c.t, late, c.count("executions", "--limit", "0", "--json", "--since", "30m", "--prefix", "late-"))
	require.Zero(c.t, c.count("executions", "--limit", "0", "--json", "--since", "30m", "--prefix", "early-"))
	require.Equal(c.t, failed, c.count("executions", "--status", "failed", "--json"))
	require.Equal(c.t, early, strings.Count(c.run(0, "", "results", "--format", "jsonl", "--prefix", "early-"), `"lines":3`))
	one := c.run(0, "early-123", "executions", "--key", "early-123")
	require.Equal(c.t, 2, strings.Count(one, "\n"))
}

// count is how many different executions a command lists as JSON.
func (c *commands) count(args ...string) int {
	c.t.Helper()
	var found []struct{ Name string }
	require.NoError(c.t, json.Unmarshal([]byte(c.run(0, "", args...)), &found))
	names := map[string]bool{}
	for _, e := range found {
		names[e.Name] = true
	}
	require.Len(c.t, names, len(found))
	return len(found)
}

// wrongRegion has a Region that there is none of, and one in which nothing is deployed.
func (c *commands) wrongRegion(d *deployed) {
	c.t.Helper()
	text, err := json.Marshal(d.outputs)
	require.NoError(c.t, err)
	const unknown = "the Region's name is wrong, or this machine has no network"
	for wrong, test := range map[string]struct {
		env                 []string
		code                int // of executions
		executions, redrive string
	}{
		"eu-west-3":  {nil, 3, "not deployed: there is no table", "StateMachineDoesNotExist"},
		"zz-north-1": {[]string{endpoint + "="}, 4, unknown, unknown},
	} {
		outputs := filepath.Join(c.t.TempDir(), "outputs.json")
		require.NoError(c.t, os.WriteFile(outputs, bytes.ReplaceAll(text, []byte(region), []byte(wrong)), 0o600))
		c.runIn(test.env, test.code, test.executions, "executions", "--outputs", outputs)
		c.runIn(test.env, 4, test.redrive, "redrive", "--failed", "--outputs", outputs)
	}
	other := *c
	other.stack = "e2e-elsewhere"
	removeFile(c.t, other.stack)
	other.run(0, "set up", "init", "--from", "Pulumi.local.yaml", "-c", "image="+image(), "-c", "aws:region=zz-north-1", "--yes")
	other.runIn([]string{endpoint + "="}, 3, "✗ Region", "doctor")
	other.run(0, "set up", "init", "-c", "aws:region=eu-west-3", "--yes")
	other.run(3, "deploy it with `upload-router up --stack e2e-elsewhere`", "executions")
}

// partNumber is in the first line of a request that sends a part.
var partNumber = regexp.MustCompile(`PUT /\S+[?&]partNumber=(\d+)`)

// wire is a TCP connection to the emulator that can be cut. It notes the parts that go over it.
type wire struct {
	listener net.Listener
	to       string

	mu    sync.Mutex
	cutAt string // the part that is cut in its middle
	cut   bool
	parts []string
	open  []net.Conn
}

func newWire(t *testing.T, endpoint string) *wire {
	t.Helper()
	target, err := url.Parse(endpoint)
	require.NoError(t, err)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w := &wire{listener: listener, to: target.Host}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return // the test is over
			}
			go w.connect(t.Context(), near)
		}
	}()
	return w
}

// set cuts the wire once the part is on its way; "" fixes it. It gives the parts since the last time.
func (w *wire) set(cutAt string) (parts []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	parts, w.parts = w.parts, nil
	w.cutAt, w.cut = cutAt, false
	return parts
}

func (w *wire) connect(ctx context.Context, near net.Conn) {
	defer func() { _ = near.Close() }()
	w.mu.Lock()
	cut := w.cut
	w.mu.Unlock()
	if cut {
		return
	}
	far, err := (&net.Dialer{}).DialContext(ctx, "tcp", w.to)
	if err != nil {
		return
	}
	defer func() { _ = far.Close() }()
	w.mu.Lock()
	w.open = append(w.open, near, far)
	w.mu.Unlock()
	go func() {
		_, _ = io.Copy(near, far)
		_ = near.Close()
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := near.Read(buffer)
		if w.passes(buffer[:n]) {
			_, _ = far.Write(buffer[:n])
		}
		if err != nil {
			return
		}
	}
}

// passes notes a part, and cuts all connections if that is the one.
func (w *wire) passes(sent []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut {
		return false
	}
	found := partNumber.FindSubmatch(sent)
	if found == nil {
		return true
	}
	number := string(found[1])
	w.parts = append(w.parts, number)
	if number != w.cutAt {
		return true
	}
	w.cut = true
	for _, c := range w.open {
		_ = c.Close()
	}
	w.open = nil
	return false
}

// cutNetwork breaks an upload off in its third part, and has the same command go on there.
func (c *commands) cutNetwork() {
	c.t.Helper()
	w := newWire(c.t, os.Getenv(endpoint))
	env := []string{"AWS_ENDPOINT_URL_S3=http://" + w.listener.Addr().String(), "XDG_CACHE_HOME=" + c.t.TempDir()}
	film := filepath.Join(c.t.TempDir(), "film.mp4")
	require.NoError(c.t, os.WriteFile(film, bytes.Repeat([]byte("film"), 17<<18), 0o600))
	send := []string{"send", "--no-wait", "--part-size", "5MiB", "--parallel", "1", film}

	w.set("3")
	broken := c.runIn(env, 1, "✗ film.mp4", send...)
	require.Contains(c.t, strings.Join(strings.Fields(broken), " "), "run the same command again to go on") // it is wrapped
	require.Contains(c.t, broken, "not every file was processed: 0 of 1")
	require.Equal(c.t, []string{"1", "2", "3"}, w.set(""))

	c.runIn(env, 0, "film.mp4  goes on: S3 has 10 MiB of 17 MiB from before", send...)
	require.Equal(c.t, []string{"3", "4"}, w.set(""), "what S3 had isn't sent again")
	require.NotContains(c.t, c.runIn(env, 0, "1 of 1 file uploaded.", send...), "goes on", "what has ended is begun anew")
}
