package workflow

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/internal/policy"
)

// useKeys lets the role use the customer managed keys that its machine and the
// topic are encrypted with, by a policy of its own; none if there are no such keys.
func (w *Workflow) useKeys(ctx *pulumi.Context, name string, args *Args, role *iam.Role) ([]pulumi.Resource, error) {
	statements := keyStatements(name, args)
	if len(statements) == 0 {
		return nil, nil
	}
	grants, err := policy.Grant(ctx, w, name+"-keys", role.Name, statements...)
	if err != nil {
		return nil, fmt.Errorf("letting the state machine use its keys: %w", err)
	}
	return []pulumi.Resource{grants}, nil
}

// keyStatements are what the role may use the keys for. Step Functions uses the machine's key in this role, so that kms:ViaService wouldn't
// hold: AWS has executions fail by it (requirement C15). The ledger's and the topic's are used by DynamoDB and SNS, for the role as their
// caller.
// https://docs.aws.amazon.com/step-functions/latest/dg/encryption-at-rest.html
func keyStatements(name string, args *Args) []policy.Statement {
	at := args.Location
	encrypt := func(sid, context, pattern string, actions ...string) policy.Statement {
		return policy.Statement{
			Sid: sid, Actions: actions, Resources: []pulumi.StringInput{args.KMSKeyARN},
			Conditions: []policy.Condition{policy.When("ArnLike", "kms:EncryptionContext:"+context, pulumi.String(pattern))},
		}
	}
	var statements []policy.Statement
	if args.KMSKeyARN != nil {
		// The machine gets its name after its role has its policies.
		statements = append(statements,
			encrypt("EncryptExecutions", "aws:states:stateMachineArn", StateMachineARN(at, name, args.Name), "kms:Decrypt", "kms:GenerateDataKey"),
			policy.DecryptLedger(at, args.TableName, args.KMSKeyARN))
	}
	if args.KMSKeyARN != nil && args.Logging != nil {
		// What is logged is encrypted on its way to CloudWatch (requirement C16). AWS writes the context with a star at its end, be that
		// the star itself or any log group.
		statements = append(statements, encrypt("EncryptExecutionLogs", "SourceArn", at.ARN("logs", "*"), "kms:GenerateDataKey"))
	}
	if args.TopicKMSKeyARN != nil {
		statements = append(statements, policy.EncryptNotices(at, args.TopicKMSKeyARN, args.TopicARN))
	}
	return statements
}
