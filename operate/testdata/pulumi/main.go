// Command pulumi stands in for the Pulumi CLI in the tests of package operate: a real process that the Automation API starts,
// with the CLI's own answers, event log and signals. What it plays is in PLAY; what it was asked is written to the file that SAID
// names, and what isn't known is an error.
//
// It is of a version that sends its events instead of writing them to a file: the Automation API misses a file that is complete
// before it has looked for it, which takes a busy machine and a preview of no time at all.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func main() {
	args := slices.DeleteFunc(os.Args[1:], func(a string) bool { return a == "--non-interactive" })
	said(strings.Join(args, " "))
	os.Exit(run(args))
}

// said notes something for the test.
func said(text string) {
	f, err := os.OpenFile(os.Getenv("SAID"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	fmt.Fprintln(f, text)
}

func run(args []string) int {
	command := strings.Join(args[:min(2, len(args))], " ")
	switch {
	case args[0] == "version":
		fmt.Println("v3.206.0")
	case command == "stack select":
		if os.Getenv("PLAY") == "no stack" {
			fmt.Fprintln(os.Stderr, "error: no stack named 'dev' found")
			return 255
		}
	case command == "stack init", command == "config set-all":
		// said is enough
	case args[0] == "config":
		fmt.Println(os.Getenv("CONFIG"))
	case command == "stack output":
		fmt.Println(cmp.Or(os.Getenv("OUTPUTS"), "{}"))
	case command == "stack export":
		fmt.Printf(`{"version":3,"deployment":{"resources":[%s]}}`, os.Getenv("RESOURCES"))
	case command == "stack ls":
		fmt.Printf(`[{"name":"dev","current":true,"resourceCount":%s}]`, cmp.Or(os.Getenv("RESOURCE_COUNT"), "0"))
	case command == "stack history":
		fmt.Println("[]")
	case args[0] == "up", args[0] == "preview", args[0] == "destroy", args[0] == "refresh":
		return operation(args)
	default:
		fmt.Fprintln(os.Stderr, "this stand-in doesn't know", args)
		return 1
	}
	return 0
}

// log sends events to the Automation API.
type log struct {
	connection *grpc.ClientConn
	stream     pulumirpc.Events_StreamEventsClient
}

func openLog(url string) log {
	connection, err := grpc.NewClient(strings.TrimPrefix(url, "tcp://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		panic(err)
	}
	stream, err := pulumirpc.NewEventsClient(connection).StreamEvents(context.Background())
	if err != nil {
		panic(err)
	}
	return log{connection, stream}
}

func (l log) event(kind string, value map[string]any) {
	text, err := json.Marshal(map[string]any{"timestamp": 1790000000, kind: value})
	if err != nil {
		panic(err)
	}
	if err := l.stream.Send(&pulumirpc.EventRequest{Event: string(text)}); err != nil {
		panic(err)
	}
}

// close returns when all events have been taken.
func (l log) close() {
	if _, err := l.stream.CloseAndRecv(); err != nil {
		panic(err)
	}
	_ = l.connection.Close() // nothing is under way
}

func resource(kind, name, op string) map[string]any {
	urn := "urn:pulumi:dev::upload-router::" + kind + "::" + name
	return map[string]any{"metadata": map[string]any{"op": op, "urn": urn, "type": kind, "diffs": []string{"tags"}}}
}

const (
	bucket   = "aws:s3/bucketV2:BucketV2"
	provider = "pulumi:providers:aws"
)

func operation(args []string) int {
	l := openLog(args[slices.Index(args, "--event-log")+1])
	defer l.close()
	interrupts := make(chan os.Signal, 2)
	signal.Notify(interrupts, os.Interrupt)
	l.event("preludeEvent", map[string]any{})
	if os.Getenv("PLAY") == "locked" {
		fmt.Fprintln(os.Stderr, "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or "+
			"delete the lock file with `pulumi cancel`.\n  file:///state/.pulumi/locks/1.json: created by ann@office (pid 7) at 2026-11-20")
		return 255
	}
	l.event("resourcePreEvent", resource(provider, "default", "create"))
	l.event("resOutputsEvent", resource(provider, "default", "create"))
	l.event("resourcePreEvent", resource(bucket, "uploads", "create"))
	switch os.Getenv("PLAY") {
	case "taken":
		l.event("resOpFailedEvent", resource(bucket, "uploads", "create"))
		l.event("diagnosticEvent", map[string]any{
			"urn": "urn:pulumi:dev::upload-router::" + bucket + "::uploads", "severity": "error",
			"message": "<{%reset%}>creating S3 Bucket (acme): operation error S3: CreateBucket, https response error StatusCode: 409, " +
				"RequestID: ABC, HostID: DEF, BucketAlreadyExists: <{%reset%}>",
		})
		l.event("diagnosticEvent", map[string]any{"severity": "error", "message": "update failed"})
		return 255
	case "slow": // until somebody has had enough
		said("waiting")
		<-interrupts
		said("interrupted")
		l.event("resOutputsEvent", resource(bucket, "uploads", "create")) // what is under way is finished
		fmt.Fprintln(os.Stderr, "error: update canceled")
		return 255
	case "killed":
		self, err := os.FindProcess(os.Getpid())
		if err != nil {
			panic(err)
		}
		_ = self.Kill()
		select {} // until it comes
	case "deaf": // ends only when it is killed
		said("waiting")
		for range interrupts {
			said("interrupted")
		}
	}
	l.event("diagnosticEvent", map[string]any{"severity": "warning", "message": "nobody will hear of a failure"})
	l.event("resOutputsEvent", resource(bucket, "uploads", "create"))
	said("done")
	l.event("summaryEvent", map[string]any{"resourceChanges": map[string]int{"create": 1, "same": 2}})
	return 0
}
