package leastprivilege_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/authz"
	"example.com/upload-router/internal/local"
	"example.com/upload-router/internal/machine"
)

// put stores objects in a bucket that no event tells of, and gives a list of them; of one it names the version.
func (l *decided) put(
	ctx context.Context, r *local.Router, bucket string, sizes map[string]int, versioned string,
) (list string, err error) {
	var items []string
	for key, size := range sizes {
		stored, err := r.Client().PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(make([]byte, size))})
		if err != nil {
			return "", err
		}
		line := map[string]any{"Key": key, "Size": size}
		if key == versioned {
			line["VersionId"] = *stored.VersionId
		}
		text, err := json.Marshal(line)
		if err != nil {
			return "", err
		}
		items = append(items, string(text))
	}
	lists, _ := l.system.Outputs["backfillBucketName"].(string)
	list = machine.BackfillLists + "list.json"
	_, err = r.Client().PutObject(ctx, &s3.PutObjectInput{
		Bucket: &lists, Key: &list, Body: strings.NewReader("[" + strings.Join(items, ",") + "]"),
	})
	return list, err
}

// buckets are those of the uploads.
func (l *decided) buckets() []string {
	names := []string{}
	text, _ := json.Marshal(l.system.Outputs["bucketNames"])
	if err := json.Unmarshal(text, &names); err != nil || len(names) == 0 {
		first, _ := l.system.Outputs["bucketName"].(string)
		return []string{first}
	}
	return names
}

// backfill starts a backfill and waits for its end.
func (l *decided) backfill(ctx context.Context, r *local.Router, name string, input machine.BackfillInput) (*local.Execution, error) {
	arn, _ := l.system.Outputs["backfillStateMachineArn"].(string)
	input.MaxParallel = 1
	text, err := json.Marshal(input)
	if err != nil {
		return nil, err
	}
	return r.StartExecution(ctx, arn, name, text)
}

// ended keeps what a child was refused that went on all the same.
func (l *decided) ended(child *local.Execution) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refusals = append(l.refusals, child.Refused...)
}

// unrefused is an error if a child was refused something.
func (l *decided) unrefused() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.refusals) > 0 {
		return fmt.Errorf("%w: children were refused %v", errNotProcessed, l.refusals)
	}
	return nil
}

// ends runs a backfill to its end, at which so many files have been processed and so many have failed.
func (l *decided) ends(ctx context.Context, r *local.Router, name string, input machine.BackfillInput, succeeded, failed string) error {
	e, err := l.backfill(ctx, r, name, input)
	if err != nil {
		return err
	}
	var output struct{ Succeeded, Failed string }
	err = json.Unmarshal(e.Output, &output)
	if err != nil || output.Succeeded != succeeded || output.Failed != failed || len(e.Refused) > 0 || len(e.Notices) != 1 {
		return fmt.Errorf("%w: backfill %s: %s %s, of which %s, refused %v, notices %v", errNotProcessed, name, e.Status, e.Cause, e.Output,
			e.Refused, e.Notices)
	}
	return l.unrefused()
}

// backfilled processes what is there already in each bucket: by a list, one object in a version, and by a listing.
func backfilled(ctx context.Context, r *local.Router, l *decided, _ string) error {
	for _, bucket := range l.buckets() {
		list, err := l.put(ctx, r, bucket, map[string]int{"filled/small": 5, "filled/large": 50}, "filled/small")
		if err != nil {
			return err
		}
		if err := errors.Join(
			l.ends(ctx, r, "by-list-of-"+bucket, machine.BackfillInput{Bucket: bucket, List: list}, "2", "0"),
			l.ends(ctx, r, "by-listing-of-"+bucket, machine.BackfillInput{Bucket: bucket, Prefix: "filled/", Again: true}, "2", "0"),
		); err != nil {
			return err
		}
	}
	return nil
}

// deletedMeanwhile has the task of a backfill fail, which tells it if the state waits for that.
func deletedMeanwhile(ctx context.Context, r *local.Router, l *decided, _ string) error {
	bucket, key := l.buckets()[0], "deleted"
	list, err := l.put(ctx, r, bucket, map[string]int{key: 50}, "")
	if err != nil {
		return err
	}
	head, err := r.Client().HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return err
	}
	var deleted error
	l.on(func(d authz.Decision) {
		if d.Request.Action == "ecs:RunTask" {
			_, deleted = r.Client().DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: &key, VersionId: head.VersionId})
		}
	})
	defer l.on(nil)
	return errors.Join(l.ends(ctx, r, key, machine.BackfillInput{Bucket: bucket, List: list, Tolerate: 100}, "0", "1"), deleted)
}

// stoppedBackfill is stopped while its large file is read, of which the sweep hears; before that the sweep looks for who has a slot.
func stoppedBackfill(ctx context.Context, r *local.Router, l *decided, _ string) error {
	bucket := l.buckets()[0]
	list, err := l.put(ctx, r, bucket, map[string]int{"stopped": 50}, "")
	if err != nil {
		return err
	}
	arn, _ := l.system.Outputs["backfillStateMachineArn"].(string)
	execution := local.ExecutionARN(arn, "stopped")
	var swept error
	stopped := false
	l.on(func(d authz.Decision) {
		if stopped || !strings.HasPrefix(d.Request.Action, "s3:GetObjectVersion") || !strings.Contains(d.Request.Resource, "/stopped") ||
			!strings.Contains(d.Request.Principal.Role, "-task-role") {
			return
		}
		stopped = true
		swept = sweep(ctx, r)
		r.StopExecution(execution, "Upload.Stopped", "enough")
	})
	defer l.on(nil)
	e, err := l.backfill(ctx, r, "stopped", machine.BackfillInput{Bucket: bucket, List: list})
	if err := errors.Join(swept, err); err != nil {
		return err
	}
	if e.Status != asl.StatusAborted {
		return fmt.Errorf("%w: it should have been stopped: %s %s %s", errNotProcessed, e.Status, e.Error, e.Cause)
	}
	if err := l.unrefused(); err != nil {
		return err
	}
	for _, run := range e.Swept {
		if run.Detail != "" {
			return fmt.Errorf("%w: the sweep: %s", errNotProcessed, aws.ToString(&run.Detail))
		}
	}
	return nil
}
