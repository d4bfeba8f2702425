package operate

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"example.com/upload-router/internal/authz"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/deployer"
	"example.com/upload-router/internal/partition"
	"example.com/upload-router/internal/settings"
)

const checkBucketPolicy = "Bucket's policy"

// policy looks whether the bucket's policy denies the processors what they do, as far as that can be read off it, and whether it keeps the
// tag of what is processed.
func (b *adoptedBucket) policy(ctx context.Context) {
	document := ""
	answer, err := b.client.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: &b.name})
	if err == nil {
		document = aws.ToString(answer.Policy)
	} else if !hasCode(err, "NoSuchBucketPolicy") {
		b.unasked(checkBucketPolicy, b.name, actionBucketPolicy, err)
		return
	}
	b.refusals(document)
	if b.settings.TagUploads != settings.TagNone {
		b.keepsTag(document)
	}
}

// refusals looks for what the policy denies the processors.
func (b *adoptedBucket) refusals(document string) {
	if document == "" {
		b.ok(checkBucketPolicy, b.name+" has none")
		return
	}
	const why = "every upload whose processor may not read it fails"
	surely, perhaps, err := b.refused(document)
	switch {
	case err != nil:
		b.unknown(checkBucketPolicy, b.name+": its policy can't be read: "+shorten(err.Error()), why,
			"aws s3api get-bucket-policy --bucket "+b.name)
	case len(surely) > 0:
		b.failed(checkBucketPolicy, b.name+": the processors are denied "+strings.Join(surely, "; "), why,
			"except the processors' roles in that statement: ArnNotLike aws:PrincipalArn "+strings.Join(b.roles, ", "))
	case len(perhaps) > 0:
		b.unknown(checkBucketPolicy, b.name+": the processors may be denied "+strings.Join(perhaps, "; "), why,
			"see whether these conditions meet the processors: the roles "+strings.Join(b.roles, ", "))
	default:
		b.ok(checkBucketPolicy, b.name+" denies the processors nothing")
	}
}

// refused are the actions that statements deny the processors in any case, and those of statements with conditions that aren't known here.
func (b *adoptedBucket) refused(document string) (surely, perhaps []string, err error) {
	for _, action := range b.actions() {
		for _, request := range b.requests(action) {
			refusals, err := authz.Refusals(document, request)
			if err != nil {
				return nil, nil, err //nolint:wrapcheck // It says what it is about.
			}
			for _, r := range refusals {
				if len(r.Depends) == 0 {
					surely = append(surely, fmt.Sprintf("%s by %s", action, r.Statement))
				} else {
					perhaps = append(perhaps, fmt.Sprintf("%s by %s, which depends on %s", action, r.Statement, strings.Join(r.Depends, " and ")))
				}
			}
		}
	}
	return distinct(surely), distinct(perhaps), nil
}

// actions are those of the processors on the objects of the bucket.
func (b *adoptedBucket) actions() []string {
	actions := []string{"s3:GetObject", "s3:GetObjectVersion"}
	if b.settings.TagUploads != settings.TagNone {
		actions = append(actions, "s3:GetObjectVersionTagging", "s3:PutObjectVersionTagging")
	}
	return actions
}

// distinct gives texts each once, in order.
func distinct(texts []string) []string {
	slices.Sort(texts)
	return slices.Compact(texts)
}

// requests are those of each processor for an object of the bucket.
func (b *adoptedBucket) requests(action string) []authz.Request {
	requests := make([]authz.Request, len(b.roles))
	for i, role := range b.roles {
		requests[i] = authz.Request{
			Principal: authz.Principal{Role: deployer.Example(role)}, Action: action, Resource: b.arnOf() + "/key",
			Context: map[string][]string{"s3:TlsVersion": {"1.3"}},
		}
	}
	return requests
}

// keepsTag looks whether the policy holds what the stack's output says, without which anybody may say that an upload was processed.
func (b *adoptedBucket) keepsTag(document string) {
	const name = "Bucket's policy for tags"
	const why = "whoever may tag an object may say that it was processed, and with quarantine anybody may read it before it is; " +
		"a deployment succeeds"
	wanted := ""
	if b.outputs != nil {
		wanted = b.outputs.bucketPolicies[b.name]
	}
	if wanted == "" {
		b.unknown(name, b.name+": what it must hold is known once the stack is deployed", why, "upload-router doctor, after the deployment")
		return
	}
	missing, err := missingStatements(document, wanted)
	switch {
	case err != nil:
		b.unknown(name, b.name+": its policy can't be read: "+shorten(err.Error()), why, "aws s3api get-bucket-policy --bucket "+b.name)
	case len(missing) > 0:
		b.add(Check{
			Name: name, Found: b.name + " lacks " + strings.Join(sids(missing), ", "), Status: CheckUnknown, Why: why,
			Fix: "add the statements", Commands: []string{addStatements(b.name, b.aws.Region, missing)},
		})
	default:
		b.ok(name, b.name+" holds what the output bucketPolicies says")
	}
}

// statement is one of a policy, as JSON has it.
type statement = map[string]any

// missingStatements are those of a wanted policy that one which is there doesn't have. A list of one and that one are the same, in any
// order.
func missingStatements(document, wanted string) ([]statement, error) {
	have, err := statementsOf(document)
	if err != nil {
		return nil, err
	}
	want, err := statementsOf(wanted)
	if err != nil {
		return nil, err
	}
	var held []string
	for _, s := range have {
		held = append(held, canonical(s))
	}
	return slices.DeleteFunc(want, func(s statement) bool { return slices.Contains(held, canonical(s)) }), nil
}

func statementsOf(document string) ([]statement, error) {
	if document == "" {
		return nil, nil
	}
	var policy struct{ Statement json.RawMessage }
	if err := json.Unmarshal([]byte(document), &policy); err != nil {
		return nil, fmt.Errorf("reading the policy: %w", err)
	}
	var list []statement
	if json.Unmarshal(policy.Statement, &list) == nil {
		return list, nil
	}
	var one statement
	if err := json.Unmarshal(policy.Statement, &one); err != nil {
		return nil, fmt.Errorf("reading the policy's statements: %w", err)
	}
	return []statement{one}, nil
}

// canonical is what a statement says, whatever its Sid: {"AWS": "*"} and "*" deny the same.
func canonical(s statement) string {
	said := statement{}
	for element, value := range s {
		if principal, ok := value.(map[string]any); ok && element == "Principal" && len(principal) == 1 && principal["AWS"] == "*" {
			value = "*"
		}
		if element != "Sid" {
			said[element] = flat(value)
		}
	}
	text, _ := json.Marshal(said) // what was read can be written
	return string(text)
}

// flat is a value with every list in order, and one text as a list of it.
func flat(value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, field := range v {
			out[key] = flat(field)
		}
		return out
	case []any:
		texts := make([]string, len(v))
		for i := range v {
			texts[i] = fmt.Sprint(v[i])
		}
		return distinct(texts)
	default:
		return []string{fmt.Sprint(v)}
	}
}

// sids are the names of statements.
func sids(list []statement) []string {
	names := make([]string, len(list))
	for i, s := range list {
		names[i] = fmt.Sprint(s["Sid"])
	}
	return names
}

// addStatements is the command that adds statements to a bucket's policy, in the place of those of the same names, and leaves the others. A
// bucket without a policy gets one; where the policy can't be read, nothing is put.
func addStatements(bucket, region string, statements []statement) string {
	of := " --bucket " + bucket + " --region " + region
	file := bucket + "-policy"
	return "{ aws s3api get-bucket-policy" + of + " --query Policy --output text > " + file + "-before.json 2> " + file + "-error.txt || " +
		"{ grep -q NoSuchBucketPolicy " + file + `-error.txt && echo '{"Version":"2012-10-17","Statement":[]}' > ` + file +
		"-before.json; }; } && " + joined(file, statements) + " && aws s3api put-bucket-policy" + of + " --policy file://" + file + "-after.json"
}

// joined is the command that makes one policy of one that is there and statements, by files.
func joined(file string, statements []statement) string {
	text, _ := json.Marshal(statements) // what was read can be written
	return "jq --argjson add " + settings.ShellQuote(string(text)) +
		` '.Statement = ([.Statement] | flatten | map(select(.Sid as $sid | any($add[]; .Sid == $sid) | not))) + $add' ` +
		file + "-before.json > " + file + "-after.json"
}

// arn is the ARN of something of the account.
func (d *doctor) arn(service, region, resource string) string {
	own, _ := partition.OfRegion(d.aws.Region)
	return strings.Join([]string{"arn", own.Name, service, region, d.account, resource}, ":")
}

// arnOf is the bucket's ARN.
func (b *adoptedBucket) arnOf() string {
	own, _ := partition.OfRegion(b.aws.Region)
	return "arn:" + own.Name + ":s3:::" + b.name
}

// processorRoles are the ARNs of the roles of function and task, as the stack's state has them, or, before it is deployed, patterns of what
// they will be.
func (d *doctor) processorRoles(ctx context.Context) []string {
	if d.outputs != nil {
		if roles := d.deployedRoles(ctx); len(roles) > 0 {
			return roles
		}
	}
	system, err := declare(d.stack.Project(), lastPart(d.stack.Name(), "/"), d.config)
	if err != nil {
		return nil
	}
	var roles []string
	for _, r := range slices.Concat(system.OfType(declared.TypeFunction), system.OfType(declared.TypeTaskDefinition)) {
		if arn := r.Outputs["arn"]; arn != system.Outputs["lambdaFunctionArn"] && arn != system.Outputs["taskDefinitionArn"] {
			continue
		}
		role, err := system.Where(declared.TypeRole, "arn", cmp.Or(r.Text("taskRoleArn"), r.Text("role")))
		if err == nil {
			roles = append(roles, d.arn("iam", "", "role/"+role.Name+"-*"))
		}
	}
	return distinct(roles)
}

// deployedRoles are the roles of function and task in the stack's state.
func (d *doctor) deployedRoles(ctx context.Context) []string {
	resources, err := d.stack.resources(ctx)
	if err != nil {
		return nil
	}
	var roles []string
	for _, r := range resources {
		var outputs struct{ ARN, Role, TaskRoleARN string }
		if json.Unmarshal(r.Outputs, &outputs) != nil {
			continue
		}
		switch {
		case r.Type == declared.TypeFunction && outputs.ARN == d.outputs.LambdaFunctionARN:
			roles = append(roles, outputs.Role)
		case r.Type == declared.TypeTaskDefinition && outputs.ARN == d.outputs.TaskDefinitionARN:
			roles = append(roles, outputs.TaskRoleARN)
		}
	}
	return distinct(slices.DeleteFunc(roles, func(role string) bool { return role == "" }))
}
