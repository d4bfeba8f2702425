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

// keyStatements name what is encrypted by the encryption context, and not the service by kms:ViaService, which AWS says doesn't
// hold for a state machine's role (requirement C15).
// https://docs.aws.amazon.com/step-functions/latest/dg/encryption-at-rest.html
func keyStatements(name string, args *Args) []policy.Statement {
	at := args.Location
	use := func(sid string, key pulumi.StringInput, when policy.Condition, actions ...string) policy.Statement {
		return policy.Statement{
			Sid: sid, Actions: actions, Resources: []pulumi.StringInput{key}, Conditions: []policy.Condition{when},
		}
	}
	var statements []policy.Statement
	if args.KMSKeyARN != nil {
		// The machine gets its name after its role has its policies.
		machine := StateMachineARN(at, name, args.Name)
		statements = append(statements, use("EncryptExecutions", args.KMSKeyARN,
			policy.When("ArnLike", "kms:EncryptionContext:aws:states:stateMachineArn", pulumi.String(machine)),
			"kms:Decrypt", "kms:GenerateDataKey"))
	}
	if args.KMSKeyARN != nil && args.TableName != nil {
		statements = append(statements, use("DecryptClaims", args.KMSKeyARN,
			policy.When("StringEquals", "kms:EncryptionContext:aws:dynamodb:tableName", args.TableName), "kms:Decrypt"))
	}
	if args.KMSKeyARN != nil && args.Logging != nil {
		// What is logged is encrypted on its way to CloudWatch (requirement C16). AWS writes the context with a star at its end, be that
		// the star itself or any log group.
		statements = append(statements, use("EncryptExecutionLogs", args.KMSKeyARN,
			policy.When("ArnLike", "kms:EncryptionContext:SourceArn", pulumi.String(at.ARN("logs", "*"))),
			"kms:GenerateDataKey"))
	}
	if args.TopicKMSKeyARN != nil {
		statements = append(statements, use("EncryptNotices", args.TopicKMSKeyARN,
			policy.When("ArnEquals", "kms:EncryptionContext:aws:sns:topicArn", args.TopicARN),
			"kms:Decrypt", "kms:GenerateDataKey"))
	}
	return statements
}
