package stack

import (
	"encoding/json"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/output"
	"example.com/upload-router/components/schedule"
	"example.com/upload-router/components/workflow"
	"example.com/upload-router/internal/machine"
	"example.com/upload-router/internal/policy"
)

// expireBackfillsDays is how long the lists of backfills and their results are kept: a backfill can be redriven for 14 days, and Step
// Functions knows of it for 90.
const expireBackfillsDays = 90

// scheduledParallel is how many files a backfill by the clock processes at a time at most.
const scheduledParallel = 100

// scheduledAtOnce is how many it processes: no more than the function and each route's tasks run at a time, as those that wait may fail,
// and uploads with them.
func (s *system) scheduledAtOnce() int {
	most := scheduledParallel
	if limit := s.cfg.LambdaConcurrency; limit > 0 {
		most = min(most, limit)
	}
	for _, r := range s.cfg.Machine().Routes {
		if r.MaxParallel > 0 {
			most = min(most, r.MaxParallel)
		}
	}
	return most
}

// backfill makes the state machine that processes what is in the buckets already, and the bucket of its lists and results.
func (s *system) backfill() error {
	kept := &output.Args{
		KMSKeyARN:                s.customerKey(),
		ForceDestroy:             true, // what is in it is made of what is elsewhere
		AbortIncompleteAfterDays: s.cfg.AbortUploadsAfterDays,
		KeepVersionsDays:         1,
		ExpireDays:               expireBackfillsDays,
	}
	if kept.KMSKeyARN != nil {
		kept.Key = s.key
	}
	lists, err := output.New(s.ctx, s.name+"-backfill", kept)
	if err != nil {
		return err
	}
	args := s.workflowArgs()
	args.Name = "" // stateMachineName is the router's
	args.Backfill = &workflow.Backfill{
		BucketName: lists.BucketName, BucketARN: lists.BucketARN, BucketKMSKeyARN: s.customerKey(), Keys: s.cfg.KeyGlobs,
	}
	s.lists = lists
	s.backfills, err = workflow.New(s.ctx, s.name+"-backfill", args)
	return err
}

// schedule has all that is in the buckets looked through by the clock, if it is to be.
func (s *system) schedule() error {
	if s.cfg.BackfillSchedule == "" {
		return nil
	}
	buckets := []pulumi.StringInput{s.up.BucketName}
	if len(s.cfg.Buckets) > 0 {
		buckets = policy.Literals(s.cfg.Buckets)
	}
	inputs := make([]pulumi.StringInput, len(buckets))
	for i, bucket := range buckets {
		inputs[i] = bucket.ToStringOutput().ApplyT(func(bucket string) (string, error) {
			text, err := json.Marshal(machine.BackfillInput{
				// What fails stays to be found in the ledger, and keeps nothing else from being processed.
				Bucket: bucket, Prefix: s.cfg.BackfillPrefix, MaxParallel: s.scheduledAtOnce(), Tolerate: 100,
			})
			if err != nil {
				return "", fmt.Errorf("writing the input of the schedule: %w", err)
			}
			return string(text), nil
		}).(pulumi.StringOutput)
	}
	scheduled, err := schedule.New(s.ctx, s.name+"-schedule", &schedule.Args{
		Location: s.at, Expression: s.cfg.BackfillSchedule, StateMachineARN: s.backfills.ARN, Inputs: inputs,
	})
	if err != nil {
		return err
	}
	s.scheduled = scheduled
	return nil
}
