// Command probe is a processor that does what the object's key says, as a Lambda function and as a task. The tests of package
// local put it in the place of the declared ones.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambda/messages"
)

// started is the variable with the path of a pipe, in which the probe says that it hangs, and who does.
const started = "PROBE_STARTED"

func main() {
	if os.Getenv("AWS_LAMBDA_RUNTIME_API") == "" {
		key, err := base64.StdEncoding.DecodeString(os.Getenv("UPLOAD_KEY_BASE64"))
		if err != nil {
			panic(err)
		}
		os.Exit(task(string(key)))
	}
	lambda.Start(function)
}

type request struct {
	Event struct {
		Detail struct{ Object struct{ Key string } }
	}
}

// function answers an invocation.
func function(ctx context.Context, r request) (any, error) {
	switch what, of, _ := strings.Cut(r.Event.Detail.Object.Key, " "); what {
	case "fail":
		return nil, messages.InvokeResponse_Error{Type: of, Message: "the probe fails\nas it was told"}
	case "large":
		return strings.Repeat("x", 300<<10), nil
	case "exit":
		fmt.Println("leaving with " + of)
		os.Exit(number(of))
	case "hang":
		announce(os.Getpid())
		<-ctx.Done()
		select {} // which Lambda ends
	case "env":
		return os.Environ(), nil
	}
	return r.Event.Detail.Object.Key, nil
}

// task gives the exit code.
func task(key string) int {
	switch what, of, _ := strings.Cut(key, " "); what {
	case "exit":
		fmt.Fprintln(os.Stderr, "leaving with "+of)
		return number(of)
	case "signal":
		_ = syscall.Kill(os.Getpid(), syscall.Signal(number(of)))
	case "noise":
		fmt.Println(strings.Repeat(strings.Repeat("x", 1023)+"\n", number(of)) + `{"result":"the end"}`)
	case "leave": // a program behind, which has the output open
		answer(child().Process.Pid)
	case "hang":
		pid := os.Getpid()
		if of != "" {
			pid = child().Process.Pid
		}
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM)
		announce(pid)
		<-stop
		return 75
	case "env":
		answer(os.Environ())
	default:
		answer(key)
	}
	return 0
}

// child starts a program that never ends by itself.
func child() *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), "sleep", "1000")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		fail(err)
	}
	return cmd
}

func announce(pid int) {
	if err := os.WriteFile(os.Getenv(started), []byte(strconv.Itoa(pid)), 0); err != nil {
		fail(err)
	}
}

// answer writes a task's result, as the line that the task has for it.
func answer(value any) {
	if err := json.NewEncoder(os.Stdout).Encode(map[string]any{"result": value}); err != nil {
		fail(err)
	}
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		fail(errors.Join(errors.New("the probe is told nonsense"), err))
	}
	return n
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
