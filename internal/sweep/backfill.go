package sweep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/ledger/client"
)

// listed is the longest page of executions.
const listed = 1000

const (
	// endingPause and endingLooks are how often it is asked whether the children of a backfill that has ended have ended too: what
	// ListExecutions says follows what happens, usually within seconds.
	endingPause = 2 * time.Second
	endingLooks = 30
)

// errEnding has the event come again.
var errEnding = errors.New("its children haven't all ended yet")

// executionsOf is how the ARNs of a state machine's executions begin, without what follows its name: a colon, or behind a slash the label
// of a Map state, for that one's child workflow executions.
func executionsOf(machineARN string) string {
	return strings.Replace(machineARN, ":stateMachine:", ":execution:", 1)
}

func (s *Sweep) isBackfill(arn string) bool {
	return s.BackfillARN != "" && strings.HasPrefix(arn, executionsOf(s.BackfillARN)+":")
}

// isChild says whether an execution is one of a backfill's child workflow executions.
func (s *Sweep) isChild(arn string) bool {
	return s.BackfillARN != "" && strings.HasPrefix(arn, executionsOf(s.BackfillARN)+"/")
}

// knows says whether an execution is one that the sweep may ask for.
func (s *Sweep) knows(arn string) bool {
	return strings.HasPrefix(arn, executionsOf(s.MachineARN)+":") || s.isBackfill(arn) || s.isChild(arn)
}

// list are the executions of a state machine, or of a Map Run, that have a status.
func (s *Sweep) list(ctx context.Context, in sfn.ListExecutionsInput) iter.Seq2[sfntypes.ExecutionListItem, error] {
	in.MaxResults = listed
	return func(yield func(sfntypes.ExecutionListItem, error) bool) {
		pages := sfn.NewListExecutionsPaginator(s.States, &in)
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(sfntypes.ExecutionListItem{}, fmt.Errorf("listing the %s executions: %w", in.StatusFilter, err))
				return
			}
			for _, x := range page.Executions {
				if !yield(x, nil) {
					return
				}
			}
		}
	}
}

// children are a backfill's child workflow executions that have a status.
func (s *Sweep) children(
	ctx context.Context, backfill string, status sfntypes.ExecutionStatus,
) iter.Seq2[sfntypes.ExecutionListItem, error] {
	return func(yield func(sfntypes.ExecutionListItem, error) bool) {
		pages := sfn.NewListMapRunsPaginator(s.States, &sfn.ListMapRunsInput{ExecutionArn: &backfill})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(sfntypes.ExecutionListItem{}, fmt.Errorf("listing the Map Runs of %s: %w", backfill, err))
				return
			}
			for _, run := range page.MapRuns {
				for x, err := range s.list(ctx, sfn.ListExecutionsInput{MapRunArn: run.MapRunArn, StatusFilter: status}) {
					if !yield(x, err) {
						return
					}
				}
			}
		}
	}
}

// backfillEnded looks after the children that were stopped with a backfill, however it ended: it fails the uploads that they have, and
// gives their task slots back. AWS doesn't document that EventBridge is told of them. They are told apart by what lists them, as there may
// be thousands, and DescribeExecution may be called a few times a second; what is missed here is failed once its lease is over.
func (s *Sweep) backfillEnded(ctx context.Context, arn string) error {
	if err := s.untilChildrenEnd(ctx, arn); err != nil {
		return err
	}
	stopped := map[string]execution{}
	for x, err := range s.children(ctx, arn, sfntypes.ExecutionStatusAborted) {
		if err != nil {
			return err
		}
		stopped[aws.ToString(x.ExecutionArn)] = execution{
			status: x.Status, started: aws.ToTime(x.StartDate), ended: aws.ToTime(x.StopDate),
		}
	}
	if len(stopped) == 0 {
		return nil
	}
	return errors.Join(s.failStopped(ctx, stopped), s.returnStopped(ctx, stopped))
}

// untilChildrenEnd waits until none of them runs: Step Functions stops them after the backfill.
func (s *Sweep) untilChildrenEnd(ctx context.Context, arn string) error {
	for look := 1; ; look++ {
		running := false
		for _, err := range s.children(ctx, arn, sfntypes.ExecutionStatusRunning) {
			if err != nil {
				return err
			}
			running = true
			break
		}
		if !running {
			return nil
		}
		if look == endingLooks {
			return fmt.Errorf("the backfill %s: %w", arn, errEnding)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the backfill %s: %w", arn, ctx.Err())
		case <-time.After(cmp.Or(s.Pause, endingPause)):
		}
	}
}

// failStopped fails the uploads that stopped executions have: they are among those that the ledger has as running, in their lease.
func (s *Sweep) failStopped(ctx context.Context, stopped map[string]execution) error {
	now := s.now()
	from := now.Add(-s.Ledger.Lease)
	var errs []error
	for _, partition := range partitions(from, now) {
		query := client.Query{Partition: partition, From: from, To: now, States: []ledger.State{ledger.Running}}
		for item, err := range s.Ledger.Query(ctx, query) {
			if err != nil {
				errs = append(errs, err)
				continue
			}
			if x, is := stopped[item.Execution]; is {
				errs = append(errs, s.failItem(ctx, item, x))
			}
		}
	}
	return errors.Join(errs...)
}

// failItem fails an upload that a stopped execution has, unless that has gone on with it since.
func (s *Sweep) failItem(ctx context.Context, item ledger.Item, x execution) error {
	code, cause := x.failure()
	failed, err := s.Ledger.FailEnded(ctx, item.Upload, item.Execution, code, cause, s.now(), x.latest(s.Ledger.Lease))
	if _, refused := errors.AsType[*client.RefusedError](err); refused {
		return nil
	}
	if err != nil {
		return fmt.Errorf("execution %s: %w", item.Execution, err)
	}
	s.did(ctx, "failed", append(about(failed), slog.String("execution", item.Execution))...)
	return nil
}

// returnStopped gives back the task slots that stopped executions hold.
func (s *Sweep) returnStopped(ctx context.Context, stopped map[string]execution) error {
	holders := make(map[string]string, len(stopped))
	for arn := range stopped {
		holders[ledger.Holder(arn)] = arn
	}
	var errs []error
	for _, route := range s.Routes {
		slots, err := s.Ledger.Slots(ctx, route)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, holder := range slots.Holders {
			if arn, is := holders[holder]; is {
				errs = append(errs, s.returnSlot(ctx, route, arn))
			}
		}
	}
	return errors.Join(errs...)
}
