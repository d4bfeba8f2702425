// Command probe is a processor that does what the object's key says, as a Lambda function and as a task. The tests of package
// local put it in the place of the declared ones.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambda/messages"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// started is the variable with the path of a pipe, in which the probe says that it hangs, and who does.
const started = "PROBE_STARTED"

func main() {
	if len(os.Args) > 1 {
		program(os.Args[1])
	}
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
		Detail struct {
			Bucket struct{ Name string }
			Object struct{ Key string }
		}
	}
}

// program is what the probe does as a program of the worker's: it starts another one, in a session of its own, that nothing but SIGKILL
// ends and that says who it is. Neither ends.
func program(what string) {
	if what == "leave" {
		daemon := exec.CommandContext(context.Background(), os.Args[0], "stay")
		daemon.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := daemon.Start(); err != nil {
			fail(err)
		}
		_ = daemon.Wait() // which it doesn't end
	}
	signal.Ignore(syscall.SIGTERM, syscall.SIGHUP)
	said, err := http.Get(os.Getenv(started) + "/" + strconv.Itoa(os.Getpid()))
	if err != nil {
		fail(err)
	}
	_ = said.Body.Close()
	for {
		time.Sleep(time.Hour)
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
	case "write":
		if err := write(ctx, r.Event.Detail.Bucket.Name, of); err != nil {
			return nil, messages.InvokeResponse_Error{Type: "Upload.Failed", Message: err.Error()}
		}
	}
	return r.Event.Detail.Object.Key, nil
}

// task gives the exit code.
func task(key string) int {
	switch what, of, _ := strings.Cut(key, " "); what {
	case "exit":
		fmt.Fprintln(os.Stderr, "leaving with "+of)
		return number(of)
	case "create":
		answer(fmt.Sprint(os.WriteFile(of, []byte("x"), 0o600)))
	case "run":
		answer(fmt.Sprint(exec.CommandContext(context.Background(), of, "-c", "true").Run()))
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
	case "write":
		if err := write(context.Background(), os.Getenv("UPLOAD_BUCKET"), of); err != nil {
			fail(err)
		}
		answer(key)
	default:
		answer(key)
	}
	return 0
}

// write writes an object by a client of the probe's own: "how bucket key", with a bucket . for that of the upload.
func write(ctx context.Context, own, what string) error {
	how, place, _ := strings.Cut(what, " ")
	bucket, key, _ := strings.Cut(place, " ")
	if bucket == "." {
		bucket = own
	}
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return fmt.Errorf("finding the credentials: %w", err)
	}
	client := s3.NewFromConfig(cfg)
	switch how {
	case "put", "untold":
		if how == "untold" { // by whom
			client = s3.NewFromConfig(cfg, func(o *s3.Options) {
				o.Credentials = credentials.NewStaticCredentialsProvider(os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), "")
			})
		}
		_, err = client.PutObject(ctx, &s3.PutObjectInput{
			Bucket: &bucket, Key: &key, Body: strings.NewReader("written"), ContentType: aws.String("text/plain"),
		})
	case "parts":
		err = parts(ctx, client, bucket, key)
	case "copy":
		if _, err = client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("other/temporary")}); err == nil {
			_, err = client.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &bucket, Key: &key, CopySource: aws.String(bucket + "/other/temporary")})
		}
		if err == nil {
			_, err = client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: aws.String("other/temporary")})
		}
	case "lock":
		_, err = client.PutObjectLegalHold(ctx, &s3.PutObjectLegalHoldInput{
			Bucket: &bucket, Key: &key, LegalHold: &types.ObjectLockLegalHold{Status: types.ObjectLockLegalHoldStatusOn},
		})
	}
	return err //nolint:wrapcheck // It says it all.
}

// parts writes an object by a multipart upload.
func parts(ctx context.Context, client *s3.Client, bucket, key string) error {
	created, err := client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return err //nolint:wrapcheck // As above.
	}
	part, err := client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: &bucket, Key: &key, UploadId: created.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader("written"),
	})
	if err != nil {
		return err //nolint:wrapcheck // As above.
	}
	_, err = client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &bucket, Key: &key, UploadId: created.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: part.ETag}}},
	})
	return err //nolint:wrapcheck // As above.
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
