// Package policy writes IAM policy documents from typed statements whose resources may be outputs of other resources.
//
// The JSON is canonical (sorted keys, lists always lists), so that the same statements give the same plan. The grammar is AWS's:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
package policy

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/location"
)

// version is the only current version of the policy language.
const version = "2012-10-17"

// Effects of a statement.
const (
	Allow = "Allow"
	Deny  = "Deny"
)

// errTwice keeps a condition from replacing another one without a word. Merging
// the values would be no cure: one of them would be enough then.
var errTwice = errors.New("two conditions with the same operator and key: give one of them all the values")

// Statement is one statement of a policy document.
type Statement struct {
	// Sid names the statement for people; AWS takes letters and digits only.
	Sid string
	// Effect is Allow (the default, when empty) or Deny.
	Effect string
	// Principal says who: left out (nil) in policies that are attached to a role.
	Principal *Principal
	// Actions are the actions, such as s3:GetObject.
	Actions []string
	// Resources are the ARNs; left out (nil) in trust policies.
	Resources []pulumi.StringInput
	// Conditions must all hold. No two have the same operator and key.
	Conditions []Condition
}

// Principal is who a resource policy or a trust policy speaks of.
type Principal struct {
	// Kind is AWS or Service; empty stands for everyone ("*").
	Kind string
	// ID is the account's root ARN or the service's name; for everyone it is "*".
	ID string
}

// Service is the principal of an AWS service, such as lambda.amazonaws.com.
func Service(name string) *Principal { return &Principal{Kind: "Service", ID: name} }

// Account is the principal of a whole account: whom its own IAM policies allow.
func Account(at location.Location) *Principal {
	return &Principal{Kind: "AWS", ID: fmt.Sprintf("arn:%s:iam::%s:root", at.Partition, at.AccountID)}
}

// Everyone is the principal "*"; it belongs in Deny statements, and in the
// policies of VPC endpoints, which only narrow what other policies allow.
func Everyone() *Principal { return &Principal{ID: "*"} }

// Condition is one condition of a statement.
type Condition struct {
	// Operator is the condition operator, such as StringEquals.
	Operator string
	// Key is the condition key, such as aws:SourceAccount.
	Key string
	// Values are the values; one of them must match.
	Values []pulumi.StringInput
}

// When is a condition.
func When(operator, key string, values ...pulumi.StringInput) Condition {
	return Condition{Operator: operator, Key: key, Values: values}
}

// FromAccount holds for a service that acts for this account, which keeps it
// from being used by another one (the confused deputy).
// https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
func FromAccount(at location.Location) Condition {
	return When("StringEquals", "aws:SourceAccount", pulumi.String(at.AccountID))
}

// Via holds for what a service asks of KMS for its caller.
func Via(service string, at location.Location) Condition {
	hosts := at.Hosts(service)
	names := make([]pulumi.StringInput, len(hosts))
	for i, host := range hosts {
		names[i] = pulumi.String(host)
	}
	return When("StringEquals", "kms:ViaService", names...)
}

// Trust is the trust policy of a role for one service, which must act for this account and satisfy the other conditions.
func Trust(service string, at location.Location, conditions ...Condition) pulumi.StringOutput {
	return Document(Statement{
		Sid:        "AssumeRole",
		Principal:  Service(service),
		Actions:    []string{"sts:AssumeRole"},
		Conditions: append([]Condition{FromAccount(at)}, conditions...),
	})
}

// Role makes a role for one service, with the trust policy of [Trust].
func Role(
	ctx *pulumi.Context, parent pulumi.Resource, name, description, service string, at location.Location, conditions ...Condition,
) (*iam.Role, error) {
	return iam.NewRole(ctx, name, &iam.RoleArgs{
		Description: pulumi.String(description), AssumeRolePolicy: Trust(service, at, conditions...),
	}, pulumi.Parent(parent))
}

// Grant gives the role of a name these permissions, by an inline policy.
func Grant(
	ctx *pulumi.Context, parent pulumi.Resource, name string, role pulumi.StringInput, statements ...Statement,
) (*iam.RolePolicy, error) {
	return iam.NewRolePolicy(ctx, name, &iam.RolePolicyArgs{Role: role, Policy: Document(statements...)}, pulumi.Parent(parent))
}

// Through are statements as the policy of a VPC endpoint has them, for the sessions of a role. Such a policy can name a role as
// its principal, too, but would go on naming one that was deleted.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalarn
func Through(roleARN pulumi.StringInput, statements ...Statement) []Statement {
	through := make([]Statement, len(statements))
	for i, s := range statements {
		s.Principal = Everyone()
		s.Conditions = append([]Condition{When("ArnEquals", "aws:PrincipalArn", roleARN)}, s.Conditions...)
		through[i] = s
	}
	return through
}

// ReadObjects lets a processor read the objects of a bucket, in any version.
func ReadObjects(bucketARN pulumi.StringInput, conditions ...Condition) Statement {
	return Statement{
		Sid:        "ReadUploads",
		Actions:    []string{"s3:GetObject", "s3:GetObjectVersion"},
		Resources:  []pulumi.StringInput{pulumi.Sprintf("%s/*", bucketARN)},
		Conditions: conditions,
	}
}

// WriteLogs lets a processor write to its log group.
func WriteLogs(groupARN pulumi.StringInput) Statement {
	return Statement{
		Sid:       "WriteLogs",
		Actions:   []string{"logs:CreateLogStream", "logs:PutLogEvents"},
		Resources: []pulumi.StringInput{pulumi.Sprintf("%s:*", groupARN)},
	}
}

// PullImage lets ECS pull an image from a repository.
func PullImage(repositoryARN pulumi.StringInput) []Statement {
	return []Statement{{
		Sid:       "PullImage",
		Actions:   []string{"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"},
		Resources: []pulumi.StringInput{repositoryARN},
	}, {
		Sid:       "LogInToRegistry",
		Actions:   []string{"ecr:GetAuthorizationToken"},
		Resources: []pulumi.StringInput{pulumi.String("*")}, // the action knows no resources
	}}
}

// SendTaskResult lets a task report its end. The token is what says which state is meant;
// the permissions can't be narrower than the state machine.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsstepfunctions.html
func SendTaskResult(machineARN pulumi.StringInput) Statement {
	return Statement{
		Sid:       "SendTaskResult",
		Actions:   []string{"states:SendTaskFailure", "states:SendTaskHeartbeat", "states:SendTaskSuccess"},
		Resources: []pulumi.StringInput{machineARN},
	}
}

// DenyInsecureTransport refuses every request to the resources without TLS.
func DenyInsecureTransport(actions []string, resources ...pulumi.StringInput) Statement {
	return Statement{
		Sid:        "DenyInsecureTransport",
		Effect:     Deny,
		Principal:  Everyone(),
		Actions:    actions,
		Resources:  resources,
		Conditions: []Condition{When("Bool", "aws:SecureTransport", pulumi.String("false"))},
	}
}

// SendTraces lets a role do these actions of X-Ray, which know no resources.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html
func SendTraces(actions ...string) Statement {
	return Statement{Sid: "SendTraces", Actions: actions, Resources: []pulumi.StringInput{pulumi.String("*")}}
}

// Document is the policy document with these statements, as JSON. The output
// fails for a statement with two conditions that IAM can't have side by side.
func Document(statements ...Statement) pulumi.StringOutput {
	var inputs []any
	for _, s := range statements {
		inputs = appendInputs(inputs, s.Resources)
		for _, c := range s.Conditions {
			inputs = appendInputs(inputs, c.Values)
		}
	}
	return pulumi.All(inputs...).ApplyT(func(values []any) (string, error) {
		return render(statements, values)
	}).(pulumi.StringOutput)
}

func appendInputs(inputs []any, more []pulumi.StringInput) []any {
	for _, m := range more {
		inputs = append(inputs, m)
	}
	return inputs
}

// render writes the statements, taking the values in the order in which Document collected their inputs.
func render(statements []Statement, values []any) (string, error) {
	next := func(n int) []any {
		head := values[:n]
		values = values[n:]
		return head
	}
	rendered := make([]map[string]any, len(statements))
	for i, s := range statements {
		var err error
		if rendered[i], err = s.render(next); err != nil {
			return "", fmt.Errorf("writing the statement %s of a policy document: %w", s.Sid, err)
		}
	}
	b, err := json.Marshal(map[string]any{"Version": version, "Statement": rendered})
	if err != nil {
		return "", fmt.Errorf("writing a policy document: %w", err)
	}
	return string(b), nil
}

func (s Statement) render(next func(n int) []any) (map[string]any, error) {
	out := map[string]any{"Effect": Allow, "Action": s.Actions}
	if s.Effect != "" {
		out["Effect"] = s.Effect
	}
	if s.Sid != "" {
		out["Sid"] = s.Sid
	}
	if s.Principal != nil {
		out["Principal"] = s.Principal.render()
	}
	if s.Resources != nil {
		out["Resource"] = next(len(s.Resources))
	}
	if len(s.Conditions) == 0 {
		return out, nil
	}
	conditions := map[string]map[string]any{}
	for _, c := range s.Conditions {
		if conditions[c.Operator] == nil {
			conditions[c.Operator] = map[string]any{}
		}
		if _, double := conditions[c.Operator][c.Key]; double {
			return nil, fmt.Errorf("%w: %s %s", errTwice, c.Operator, c.Key)
		}
		conditions[c.Operator][c.Key] = next(len(c.Values))
	}
	out["Condition"] = conditions
	return out, nil
}

func (p Principal) render() any {
	if p.Kind == "" {
		return p.ID
	}
	return map[string]string{p.Kind: p.ID}
}
