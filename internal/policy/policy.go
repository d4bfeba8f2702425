// Package policy writes IAM policy documents from typed statements whose resources may be outputs of other resources.
//
// The JSON is canonical (sorted keys, lists always lists), so that the same statements give the same plan. The grammar is AWS's:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/location"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/statustag"
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

// actionDecrypt is what a role takes that is to read what a customer managed key encrypts.
const actionDecrypt = "kms:Decrypt"

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

// Via holds for what a service asks of KMS for its caller, and not for what it asks for itself, in a role that it has taken.
// https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service
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

// Grants gives the role of a name these permissions, by an inline policy for each purpose, whose name begins with the name given.
func Grants(
	ctx *pulumi.Context, parent pulumi.Resource, name string, role pulumi.StringInput, statements map[string][]Statement,
) ([]pulumi.Resource, error) {
	granted := make([]pulumi.Resource, 0, len(statements))
	for _, purpose := range slices.Sorted(maps.Keys(statements)) {
		grant, err := Grant(ctx, parent, name+"-"+purpose, role, statements[purpose]...)
		if err != nil {
			return nil, fmt.Errorf("granting the permissions %s-%s: %w", name, purpose, err)
		}
		granted = append(granted, grant)
	}
	return granted, nil
}

// Attach gives the role of a name what a policy document says.
func Attach(
	ctx *pulumi.Context, parent pulumi.Resource, name string, role pulumi.StringInput, document string,
) (*iam.RolePolicy, error) {
	return iam.NewRolePolicy(ctx, name, &iam.RolePolicyArgs{Role: role, Policy: pulumi.String(document)}, pulumi.Parent(parent))
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

// objectsOf are all objects in buckets.
func objectsOf(bucketARNs []pulumi.StringInput) []pulumi.StringInput {
	objects := make([]pulumi.StringInput, len(bucketARNs))
	for i, bucketARN := range bucketARNs {
		objects[i] = pulumi.Sprintf("%s/*", bucketARN)
	}
	return objects
}

// ReadObjects lets a processor read the objects of buckets, in any version.
func ReadObjects(bucketARNs []pulumi.StringInput, conditions ...Condition) Statement {
	return Statement{
		Sid:        "ReadUploads",
		Actions:    []string{"s3:GetObject", "s3:GetObjectVersion"},
		Resources:  objectsOf(bucketARNs),
		Conditions: conditions,
	}
}

// TagUploads lets a processor tag the versions of the objects of buckets with what became of them. As S3 sets all tags at once, it may set
// others too, if that one is among them.
//
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/tagging-and-policies.html
func TagUploads(bucketARNs []pulumi.StringInput) []Statement {
	objects := objectsOf(bucketARNs)
	return []Statement{
		{Sid: "ReadUploadTags", Actions: []string{actionGetVersionTags}, Resources: objects},
		{
			Sid: "TagUploads", Actions: []string{actionPutVersionTags}, Resources: objects,
			Conditions: []Condition{When("StringEquals", "s3:RequestObjectTag/"+statustag.Key, Literals(statustag.Values())...)},
		},
	}
}

// ReachUploadTags lets what [TagUploads] allows through an endpoint. Which tags is for the role's policy to say: AWS doesn't document that
// an endpoint's policy knows those of a request.
func ReachUploadTags(bucketARNs []pulumi.StringInput, conditions ...Condition) Statement {
	return Statement{
		Sid: "TagUploads", Actions: []string{actionGetVersionTags, actionPutVersionTags},
		Resources: objectsOf(bucketARNs), Conditions: conditions,
	}
}

// The actions on the tags of a version.
const (
	actionGetVersionTags = "s3:GetObjectVersionTagging"
	actionPutVersionTags = "s3:PutObjectVersionTagging"
)

// KeepStatus refuses all but some roles to say by the tag what became of an object: with the object, afterwards, or by a replication, of
// which no policy sees the tags. Roles are told apart by aws:PrincipalArn, which is the role's for each of its sessions; NotPrincipal would
// have to name the sessions too. The case of the tag's key doesn't count, as it doesn't where the tag is asked for.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalarn
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition.html
func KeepStatus(objects pulumi.StringInput, roleARNs ...pulumi.StringInput) []Statement {
	return []Statement{
		refuseOthers("DenyStatusOfOthers", objects, roleARNs, []string{"s3:PutObject", "s3:PutObjectTagging", actionPutVersionTags},
			When("ForAnyValue:StringEqualsIgnoreCase", "s3:RequestObjectTagKeys", pulumi.String(statustag.Key))),
		refuseOthers("DenyReplicatedStatus", objects, roleARNs, []string{"s3:ReplicateTags"}),
	}
}

// Quarantine refuses all but some roles to read an object that isn't tagged as processed. One without the tag is refused as well, and one
// that isn't there.
func Quarantine(objects pulumi.StringInput, roleARNs ...pulumi.StringInput) Statement {
	return refuseOthers("DenyUnprocessed", objects, roleARNs, []string{"s3:GetObject", "s3:GetObjectVersion"},
		When("StringNotEquals", "s3:ExistingObjectTag/"+statustag.Key, pulumi.String(statustag.Succeeded)))
}

// refuseOthers refuses actions to whoever isn't one of the roles.
func refuseOthers(
	sid string, objects pulumi.StringInput, roleARNs []pulumi.StringInput, actions []string, conditions ...Condition,
) Statement {
	return Statement{
		Sid: sid, Effect: Deny, Principal: Everyone(), Actions: actions, Resources: []pulumi.StringInput{objects},
		Conditions: append(conditions, When("ArnNotEquals", "aws:PrincipalArn", roleARNs...)),
	}
}

// WriteOutputs lets a processor write the objects of a bucket whose keys begin with a prefix, in one request or in parts. keyARN is the
// customer managed key that they are encrypted with, or nil: S3 asks for a data key for whoever writes, and to have it decrypted for each
// part. As the worker asks for a bucket key, the encryption context is the bucket.
//
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-key.html
func WriteOutputs(at location.Location, bucketARN pulumi.StringInput, prefix string, keyARN pulumi.StringInput) []Statement {
	write := Statement{
		Sid:       "WriteOutputs",
		Actions:   []string{"s3:AbortMultipartUpload", "s3:PutObject"},
		Resources: []pulumi.StringInput{pulumi.Sprintf("%s/%s*", bucketARN, prefix)},
	}
	if keyARN == nil {
		return []Statement{write}
	}
	return []Statement{write, {
		Sid:        "EncryptOutputs",
		Actions:    []string{actionDecrypt, "kms:GenerateDataKey"},
		Resources:  []pulumi.StringInput{keyARN},
		Conditions: []Condition{Via("s3", at), When("ArnEquals", "kms:EncryptionContext:aws:s3:arn", bucketARN)},
	}}
}

// ReadSecrets lets a processor read these secrets of Secrets Manager and these parameters of Systems Manager, and have both decrypted with
// these customer managed keys.
//
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
// https://docs.aws.amazon.com/kms/latest/developerguide/services-parameter-store.html
func ReadSecrets(at location.Location, secrets, parameters, keys []string) []Statement {
	var statements []Statement
	for _, kept := range []struct {
		arns                                   []string
		sid, action, decrypt, service, context string
	}{
		{secrets, "ReadSecrets", "secretsmanager:GetSecretValue", "DecryptSecrets", "secretsmanager", "SecretARN"},
		{parameters, "ReadParameters", "ssm:GetParameter", "DecryptParameters", "ssm", "PARAMETER_ARN"},
	} {
		if len(kept.arns) == 0 {
			continue
		}
		statements = append(statements, Statement{Sid: kept.sid, Actions: []string{kept.action}, Resources: Literals(kept.arns)})
		if len(keys) > 0 {
			statements = append(statements, Statement{
				Sid: kept.decrypt, Actions: []string{actionDecrypt}, Resources: Literals(keys),
				Conditions: []Condition{
					Via(kept.service, at), When("StringEquals", "kms:EncryptionContext:"+kept.context, Literals(kept.arns)...),
				},
			})
		}
	}
	return statements
}

// Literals are texts as the inputs of a statement.
func Literals(texts []string) []pulumi.StringInput {
	inputs := make([]pulumi.StringInput, len(texts))
	for i, text := range texts {
		inputs[i] = pulumi.String(text)
	}
	return inputs
}

// WriteLogs lets a processor write to its log group.
func WriteLogs(groupARN pulumi.StringInput) Statement {
	return Statement{
		Sid:       "WriteLogs",
		Actions:   []string{"logs:CreateLogStream", "logs:PutLogEvents"},
		Resources: []pulumi.StringInput{pulumi.Sprintf("%s:*", groupARN)},
	}
}

// UseLedger lets a role write the items of uploads in the ledger, each by its key, and of the ledger's own ([ledger.OwnPartitions]) those
// whose partition keys these patterns match. keyARN is the customer managed key of the table, or nil.
func UseLedger(at location.Location, tableARN, tableName, keyARN pulumi.StringInput, own ...string) []Statement {
	use := Statement{
		Sid: "UseLedger", Actions: []string{"dynamodb:UpdateItem"}, Resources: []pulumi.StringInput{tableARN}, Conditions: NotOwn(own...),
	}
	if keyARN == nil {
		return []Statement{use}
	}
	return []Statement{use, DecryptLedger(at, tableName, keyARN)}
}

// NotOwn holds for calls of the ledger that name the items they are about, and of its own items none but those whose partition keys these
// patterns match. Of a call that names none ForAllValues alone would hold, so the keys must be there.
//
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
func NotOwn(own ...string) []Condition {
	const key = "dynamodb:LeadingKeys"
	var others []pulumi.StringInput
	for _, partition := range ledger.OwnPartitions() {
		if !slices.Contains(own, partition) {
			others = append(others, pulumi.String(partition))
		}
	}
	if len(others) == 0 {
		return nil
	}
	return []Condition{When("ForAllValues:StringNotLike", key, others...), When("Null", key, pulumi.String("false"))}
}

// DecryptLedger lets DynamoDB decrypt the key of a table for whoever calls it: it asks KMS in the caller's name, and not by the grants that
// it has of the key for what it does by itself.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html
func DecryptLedger(at location.Location, tableName, keyARN pulumi.StringInput) Statement {
	return Statement{
		Sid:       "DecryptLedger",
		Actions:   []string{actionDecrypt},
		Resources: []pulumi.StringInput{keyARN},
		Conditions: []Condition{
			Via("dynamodb", at), When("StringEquals", "kms:EncryptionContext:aws:dynamodb:tableName", tableName),
		},
	}
}

// EncryptNotices lets SNS use the key that a topic is encrypted with, for whoever publishes to it.
// https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
func EncryptNotices(at location.Location, keyARN, topicARN pulumi.StringInput) Statement {
	return Statement{
		Sid:        "EncryptNotices",
		Actions:    []string{actionDecrypt, "kms:GenerateDataKey"},
		Resources:  []pulumi.StringInput{keyARN},
		Conditions: []Condition{Via("sns", at), When("ArnEquals", "kms:EncryptionContext:aws:sns:topicArn", topicARN)},
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
// the permissions can't be narrower than the state machines.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsstepfunctions.html
func SendTaskResult(machineARNs ...pulumi.StringInput) Statement {
	return Statement{
		Sid:       "SendTaskResult",
		Actions:   []string{"states:SendTaskFailure", "states:SendTaskHeartbeat", "states:SendTaskSuccess"},
		Resources: machineARNs,
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
