package operate

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"example.com/upload-router/internal/claimtable"
	"example.com/upload-router/internal/machine"
)

// A redrive goes on where an execution ended, and doesn't look at its claim again: once the claim's lease is over another
// execution may have the object, or get it meanwhile. A new execution is no better off: it ends as a duplicate as long as the
// ended one's claim lasts. So whoever runs an execution again settles its claim first, which the state machine can't do for them.

var (
	errClaimChanged = errors.New("its claim has changed since it was looked at: run the same command again")
	errItem         = errors.New("the item isn't a claim")
)

// ClaimPermissions are the permissions that it takes to settle the claims of what is run again, if the system claims objects: on
// its executions, and on the table twice.
func ClaimPermissions() []string {
	return []string{
		"states:DescribeStateMachineForExecution", "dynamodb:GetItem", "dynamodb:UpdateItem",
	}
}

// claims are the claims of a system that processes each object once.
type claims struct {
	system *System
	table  string
}

// claims are those of the system; nil if it claims nothing.
func (s *System) claims() *claims {
	if s.Outputs.claimsTable == "" {
		return nil
	}
	return &claims{s, s.Outputs.claimsTable}
}

// held is an object's claim, as it was at a time; nil if there is none. The time is
// AWS's, as the state machine's is: the clock of this machine may be wrong.
type held struct {
	claim *claimtable.Claim
	now   time.Time
}

// look reads an object's claim.
func (c *claims) look(ctx context.Context, object claimtable.Object) (held, error) {
	answer, err := c.system.items.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &c.table, Key: keyOf(object), ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return held{}, asked("asking for the object's claim in the table "+c.table, err)
	}
	now, known := awsmiddleware.GetServerTime(answer.ResultMetadata)
	if !known {
		now = time.Now()
	}
	if len(answer.Item) == 0 {
		return held{now: now}, nil
	}
	claim, err := readClaim(answer.Item)
	return held{claim, now}, err
}

func keyOf(object claimtable.Object) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{claimtable.HashKey: inText(object.Key), claimtable.RangeKey: inText(object.Version)}
}

func inText(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func inSeconds(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

// readClaim reads an item of the table. One that was changed by hand to something
// else is an error: to guess would be to process twice.
func readClaim(item map[string]types.AttributeValue) (*claimtable.Claim, error) {
	var claim claimtable.Claim
	for name, to := range map[string]*string{
		claimtable.Execution: &claim.Execution, claimtable.Sequencer: &claim.Sequencer, claimtable.Status: &claim.Status,
	} {
		value, ok := item[name].(*types.AttributeValueMemberS)
		if !ok {
			return nil, fmt.Errorf("%w: it has no text %q", errItem, name)
		}
		*to = value.Value
	}
	lease, ok := item[claimtable.LeaseUntil].(*types.AttributeValueMemberN)
	if !ok {
		return nil, fmt.Errorf("%w: it has no number %q", errItem, claimtable.LeaseUntil)
	}
	var err error
	if claim.LeaseUntil, err = strconv.ParseInt(lease.Value, 10, 64); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", errItem, claimtable.LeaseUntil, err)
	}
	return &claim, nil
}

// is says whether the claim is an execution's own, with a status.
func (h held) is(arn, status string) bool {
	return h.claim != nil && h.claim.Execution == arn && h.claim.Status == status
}

// others says who else has the object, or had it, and so that an execution has
// nothing to do; empty if the execution may take it, or has it.
func (h held) others(arn string, object claimtable.Object) string {
	if h.claim == nil || h.claim.Execution == arn {
		return ""
	}
	who := nameOf(h.claim.Execution)
	switch h.claim.Standing(object, h.now) {
	case claimtable.AlreadyProcessed:
		return "processed by " + who
	case claimtable.BeingProcessed:
		return fmt.Sprintf("being processed by %s, whose claim lasts until %s if it doesn't end before",
			who, time.Unix(h.claim.LeaseUntil, 0).UTC().Format(time.RFC3339))
	case claimtable.Superseded:
		return "superseded by a newer event, which is " + who + "'s"
	case claimtable.Free:
	}
	return ""
}

// settled is what an item claims, and how that was found by the plan: it is written only as long as it is that.
type settled struct {
	object claimtable.Object
	seen   held
}

// find looks at the claim of an ended execution's object, and says who else has it; empty if the execution may take it. A claim
// whose lease is over is another's all the same while that one runs: somebody has redriven it by other means than this.
func (c *claims) find(ctx context.Context, arn string, object claimtable.Object) (seen held, taken string, err error) {
	seen, err = c.look(ctx, object)
	if err != nil {
		return held{}, "", err
	}
	if taken = seen.others(arn, object); taken != "" || seen.claim == nil {
		return seen, taken, nil
	}
	holder := seen.claim.Execution
	if holder == arn || seen.claim.Status != claimtable.Working {
		return seen, "", nil
	}
	running, err := c.system.running(ctx, holder)
	if err != nil {
		return held{}, "", err
	}
	if running {
		taken = "being processed by " + nameOf(holder) + ", which has been redriven"
	}
	return seen, taken, nil
}

// findAgain gives the claim as it is by now, which is an error if it isn't as it was planned.
func (c *claims) findAgain(ctx context.Context, arn string, planned settled) (held, error) {
	seen, taken, err := c.find(ctx, arn, planned.object)
	switch {
	case err != nil:
		return held{}, err
	case taken != "":
		return held{}, fmt.Errorf("%w: %s", errClaimChanged, taken)
	case !seen.same(planned.seen):
		return held{}, errClaimChanged
	}
	return seen, nil
}

// same says whether two looks found the same claim.
func (h held) same(other held) bool {
	if h.claim == nil || other.claim == nil {
		return h.claim == other.claim
	}
	return *h.claim == *other.claim
}

// renew gives an ended execution its object for another run of so long, if nobody else has it: by a new lease, or by a claim
// anew. It says until when; that is no time for what is done, which needs none.
func (c *claims) renew(ctx context.Context, arn string, planned settled, lease time.Duration) (until time.Time, err error) {
	seen, err := c.findAgain(ctx, arn, planned)
	if err != nil || seen.is(arn, claimtable.Done) {
		return time.Time{}, err
	}
	until = seen.now.Add(lease)
	now := claimtable.Claim{
		Execution: arn, Sequencer: planned.object.Sequencer, Status: claimtable.Working, LeaseUntil: until.Unix(),
	}
	return until, c.write(ctx, planned.object, seen, now, until.Add(machine.ClaimRetention))
}

// free gives an object back that an ended execution has, so that another one gets it, if nobody else has it.
func (c *claims) free(ctx context.Context, arn string, planned settled) error {
	seen, err := c.findAgain(ctx, arn, planned)
	if err != nil || !seen.is(arn, claimtable.Working) { // or it may be claimed
		return err
	}
	now := *seen.claim
	now.Status = claimtable.Failed
	return c.write(ctx, planned.object, seen, now, time.Time{})
}

// write replaces the claim that was seen, if it is still that. It is forgotten at
// expires, or, if that is zero, when it would have been.
func (c *claims) write(ctx context.Context, object claimtable.Object, seen held, claim claimtable.Claim, expires time.Time) error {
	in := &dynamodb.UpdateItemInput{
		TableName: &c.table, Key: keyOf(object),
		UpdateExpression: aws.String("SET #execution = :execution, #sequencer = :sequencer, #status = :status, #leaseUntil = :leaseUntil"),
		ExpressionAttributeNames: map[string]string{
			"#execution": claimtable.Execution, "#sequencer": claimtable.Sequencer, "#status": claimtable.Status,
			"#leaseUntil": claimtable.LeaseUntil,
		},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":execution": inText(claim.Execution), ":sequencer": inText(claim.Sequencer), ":status": inText(claim.Status),
			":leaseUntil": inSeconds(claim.LeaseUntil),
		},
	}
	if !expires.IsZero() {
		*in.UpdateExpression += ", #expires = :expires"
		in.ExpressionAttributeNames["#expires"] = claimtable.TTL
		in.ExpressionAttributeValues[":expires"] = inSeconds(expires.Unix())
	}
	expect(in, seen)
	_, err := c.system.items.UpdateItem(ctx, in)
	if !hasCode(err, "ConditionalCheckFailedException") {
		return asked("writing the object's claim in the table "+c.table, err)
	}
	// Or the answer to a first try was lost, and the SDK has tried again.
	now, err := c.look(ctx, object)
	if err != nil {
		return err
	}
	if now.claim == nil || *now.claim != claim {
		return errClaimChanged
	}
	return nil
}

// expect sets the condition that a claim is still the one that was seen.
func expect(in *dynamodb.UpdateItemInput, seen held) {
	if seen.claim == nil {
		in.ConditionExpression = aws.String("attribute_not_exists(#object)")
		in.ExpressionAttributeNames["#object"] = claimtable.HashKey
		return
	}
	in.ConditionExpression = aws.String("#execution = :who AND #status = :was AND #leaseUntil = :until")
	in.ExpressionAttributeValues[":who"] = inText(seen.claim.Execution)
	in.ExpressionAttributeValues[":was"] = inText(seen.claim.Status)
	in.ExpressionAttributeValues[":until"] = inSeconds(seen.claim.LeaseUntil)
}
