package sweep

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"golang.org/x/sync/errgroup"

	"example.com/upload-router/internal/ledger"
)

const (
	// childrenAtOnce is how many children of a stopped backfill are looked after at a time: 10,000, as many as can run, in half a minute.
	childrenAtOnce = 32
	// listed is the longest page of executions.
	listed = 1000
)

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
func (s *Sweep) list(ctx context.Context, in sfn.ListExecutionsInput) iter.Seq2[string, error] {
	in.MaxResults = listed
	return func(yield func(string, error) bool) {
		pages := sfn.NewListExecutionsPaginator(s.States, &in)
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield("", fmt.Errorf("listing the %s executions: %w", in.StatusFilter, err))
				return
			}
			for _, x := range page.Executions {
				if !yield(aws.ToString(x.ExecutionArn), nil) {
					return
				}
			}
		}
	}
}

// children are a backfill's child workflow executions that have a status.
func (s *Sweep) children(ctx context.Context, backfill string, status sfntypes.ExecutionStatus) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		pages := sfn.NewListMapRunsPaginator(s.States, &sfn.ListMapRunsInput{ExecutionArn: &backfill})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield("", fmt.Errorf("listing the Map Runs of %s: %w", backfill, err))
				return
			}
			for _, run := range page.MapRuns {
				for arn, err := range s.list(ctx, sfn.ListExecutionsInput{MapRunArn: run.MapRunArn, StatusFilter: status}) {
					if !yield(arn, err) {
						return
					}
				}
			}
		}
	}
}

// backfillEnded looks after the children that ended with a backfill that was stopped. AWS doesn't document that EventBridge is told of
// them, and what is missed here is failed once its lease is over.
func (s *Sweep) backfillEnded(ctx context.Context, arn string) error {
	var looking errgroup.Group
	looking.SetLimit(childrenAtOnce)
	var errs []error
	for child, err := range s.children(ctx, arn, sfntypes.ExecutionStatusAborted) {
		if err != nil {
			errs = append(errs, err)
			break
		}
		looking.Go(func() error { return s.ended(ctx, event{Detail: detail{ExecutionARN: child}}) })
	}
	return errors.Join(append(errs, looking.Wait())...)
}

// uploadOf is the upload that a child has: its input has the key, and what was there when it began has the version. False: it has none.
func (s *Sweep) uploadOf(ctx context.Context, object, child string) (ledger.Upload, bool, error) {
	for item, err := range s.Ledger.Versions(ctx, object) {
		if err != nil {
			return ledger.Upload{}, false, err
		}
		if item.Execution == child {
			return item.Upload, true, nil
		}
	}
	return ledger.Upload{}, false, nil
}
