// Command writing is a processor that does what each line of the object says, as a Lambda function and as a task. The tests of the command
// put it in the place of the declared ones.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"example.com/upload-router/upload"
	"example.com/upload-router/worker"
)

func main() { worker.Main(process) }

func process(ctx context.Context, in *upload.Input, out *upload.Output) (json.RawMessage, error) {
	var result json.RawMessage
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "output": // a name
			if err := write(out, rest); err != nil {
				return nil, err
			}
		case "put", "again": // an object of this key beside the upload, which says the same if it is to go on
			content := map[string]string{"again": lines.Text()}[word]
			if err := put(ctx, in.Object(), rest, content+"\n"); err != nil {
				return nil, err
			}
		case "result":
			result = json.RawMessage(rest)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading the lines: %w", err)
	}
	return result, nil
}

func write(out *upload.Output, name string) error {
	w, err := out.Create(name, &upload.WriterOptions{ContentType: "text/plain"})
	if err != nil {
		return fmt.Errorf("creating %s: %w", name, err)
	}
	if _, err := io.WriteString(w, "this is "+name); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("closing %s: %w", name, err)
	}
	return nil
}

func put(ctx context.Context, beside upload.Object, key, content string) error {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return fmt.Errorf("finding the credentials: %w", err)
	}
	_, err = s3.NewFromConfig(cfg).PutObject(ctx, &s3.PutObjectInput{
		Bucket: &beside.Bucket, Key: &key, Body: strings.NewReader(content),
	})
	if err != nil {
		return fmt.Errorf("putting %s: %w", key, err)
	}
	return nil
}
