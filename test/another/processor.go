// Package processor is another one than the module's, which CI puts in that one's place: with another result, a parameter of its own and
// the AWS SDK. Nothing else of the module may break by that.
package processor

import (
	"bufio"
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"

	"example.com/upload-router/upload"
)

// Words are how many words an object has.
type Words struct {
	// Count is their number; nil for an object without any.
	Count *int `json:"count"`
}

// Process counts the words of an object.
func Process(ctx context.Context, in *upload.Input, _ *upload.Output) (*Words, error) {
	scanner := bufio.NewScanner(in)
	scanner.Split(bufio.ScanWords)
	count := 0
	for scanner.Scan() {
		count++
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("reading the words: %w", err)
	}
	upload.Logger(ctx).Info("counted", "object", in.Object().String())
	if count == 0 {
		return &Words{}, nil
	}
	return &Words{Count: aws.Int(count)}, nil
}
