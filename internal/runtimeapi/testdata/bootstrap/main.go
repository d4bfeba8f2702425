// Command bootstrap is the Lambda function the tests run. The event says what it does.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type event struct {
	Do   string
	Text string
	Size int
	File string
}

type answer struct {
	Text     string
	PID      int
	Env      []string
	Dir      string
	ID       string
	ARN      string
	Trace    string
	Left     time.Duration
	Statuses map[string]int
	Bodies   map[string]string
}

type validationError struct{ reason string }

func (e *validationError) Error() string { return e.reason }

func main() {
	switch os.Getenv("INIT") {
	case "exit":
		fmt.Println("the configuration is missing")
		os.Exit(4)
	case "hang":
		time.Sleep(time.Hour)
	case "report":
		report()
	case "report twice":
		report()
		fmt.Println(post("/init/error", `{"errorMessage":"no key","errorType":"Config.Missing"}`))
		return
	case "report and wait":
		report()
		time.Sleep(time.Hour)
	case "handle SIGTERM":
		lambda.StartWithOptions(handle, lambda.WithEnableSIGTERM(func() {
			fmt.Println("terminated")
			os.Exit(0)
		}))
	case "ignore SIGTERM":
		signal.Ignore(syscall.SIGTERM)
	}
	fmt.Println("starting")
	lambda.Start(handle)
}

func report() {
	post("/init/error", `{"errorMessage":"no bucket","errorType":"Config.Missing"}`)
}

func handle(ctx context.Context, e event) (any, error) {
	if e.Text != "" {
		fmt.Println(e.Text)
	}
	switch e.Do {
	case "error":
		return nil, &validationError{reason: e.Text}
	case "untyped":
		return nil, errors.New("plain")
	case "panic":
		panic("it broke")
	case "exit":
		os.Exit(3)
	case "exit 0":
		os.Exit(0)
	case "kill":
		return nil, syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "sleep":
		time.Sleep(time.Hour)
	case "wait for file":
		// A fifo: opening it waits until the test opens its other end.
		file, err := os.OpenFile(e.File, os.O_RDONLY, 0)
		if err != nil {
			return nil, err
		}
		defer file.Close()
	case "big":
		return strings.Repeat("x", e.Size-2), nil
	case "stream":
		return strings.NewReader("streamed"), nil
	case "broken stream":
		return io.MultiReader(strings.NewReader("half"), brokenReader{}), nil
	case "log":
		fmt.Print(strings.Repeat("l", e.Size))
		fmt.Fprint(os.Stderr, "end")
	case "misuse":
		return misuse(ctx), nil
	case "answer twice":
		misuseAnswers(ctx)
		os.Exit(0)
	}
	return describe(ctx, e), nil
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, &validationError{reason: "stream broke"} }

func describe(ctx context.Context, e event) answer {
	lc, _ := lambdacontext.FromContext(ctx)
	deadline, _ := ctx.Deadline()
	dir, _ := os.Getwd()
	return answer{
		Text: e.Text, PID: os.Getpid(), Env: os.Environ(), Dir: dir, ID: lc.AwsRequestID, ARN: lc.InvokedFunctionArn,
		Trace: fmt.Sprint(ctx.Value("x-amzn-trace-id")), Left: time.Until(deadline),
	}
}

// misuse calls the Runtime API as a runtime must not.
func misuse(ctx context.Context) answer {
	lc, _ := lambdacontext.FromContext(ctx)
	a := answer{Statuses: map[string]int{}, Bodies: map[string]string{}}
	for name, path := range map[string]string{
		"wrong response": "/invocation/00000000-0000-0000-0000-000000000000/response",
		"wrong error":    "/invocation/00000000-0000-0000-0000-000000000000/error",
		"unknown path":   "/invocation/" + lc.AwsRequestID + "/answer",
		"init error":     "/init/error",
	} {
		a.Statuses[name], a.Bodies[name] = post(path, `{}`)
	}
	return a
}

// misuseAnswers answers the invocation, and then as a runtime must not; it writes to its log what it is told.
func misuseAnswers(ctx context.Context) {
	lc, _ := lambdacontext.FromContext(ctx)
	for _, path := range []string{"response", "response", "error"} {
		status, body := post("/invocation/"+lc.AwsRequestID+"/"+path, `"answered"`)
		fmt.Println(path, status, body)
	}
}

func post(path, body string) (int, string) {
	url := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime" + path
	response, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	var indented any
	_ = json.Unmarshal(text, &indented)
	return response.StatusCode, string(text)
}
