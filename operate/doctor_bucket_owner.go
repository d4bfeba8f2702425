package operate

import (
	"fmt"
	"maps"
	"regexp"

	"example.com/upload-router/internal/filter"
	"example.com/upload-router/internal/partition"
	"example.com/upload-router/internal/settings"
)

// forOwner are the commands that have a bucket of another account processed. The first is for this account, whose default bus takes the
// owner's events from then on. The others are for the owner: EventBridge in the bucket's notification configuration, a rule that sends the
// bucket's events to that bus, the role that it sends them by, and what lets the processors read, in the policies of the bucket and of the
// keys.
//
// The rule here has no field account in its pattern, and so takes events of every account that may send any. Which keys are taken is for it
// to say, so that a change of `keys` is none for the owner.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-cross-account.html
func (b *adoptedBucket) forOwner() []string {
	name := notForNames.ReplaceAllString(b.stack.Project()+"-"+lastPart(b.stack.Name(), "/"), "-")
	region := " --region " + b.aws.Region
	bus := b.arn("events", b.aws.Region, "event-bus/default")
	own, _ := partition.OfRegion(b.aws.Region)
	// What the shell fills in, within single quotes: the owner's account.
	const owner = `'"$owner"'`
	rule := fmt.Sprintf("arn:%s:events:%s:%s:rule/%s", own.Name, b.aws.Region, owner, name)
	pattern, _ := filter.Keys{}.Pattern(b.name) // a name and no globs can always be written
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},` +
		`"Action":"sts:AssumeRole","Condition":{"StringEquals":{"aws:SourceAccount":"` + owner + `"},` +
		`"ArnEquals":{"aws:SourceArn":"` + rule + `"}}}]}`
	send := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"events:PutEvents","Resource":"` + bus + `"}]}`
	keys := make([]string, len(b.settings.BucketKMSKeyARNs))
	for i, key := range b.settings.BucketKMSKeyARNs {
		keys[i] = b.addToKey(key, name)
	}
	return append([]string{
		"aws events put-permission" + region + " --event-bus-name default --action events:PutEvents --statement-id " + name +
			"-uploads --principal OWNER_ACCOUNT_ID",
		"owner=$(aws sts get-caller-identity --query Account --output text)",
		addEventBridge(b.name, b.aws.Region),
		"aws iam create-role --role-name " + name + "-events --assume-role-policy-document '" + trust + "'",
		"aws iam put-role-policy --role-name " + name + "-events --policy-name send --policy-document " + settings.ShellQuote(send),
		"aws events put-rule" + region + " --name " + name + " --event-pattern " + settings.ShellQuote(pattern),
		"aws events put-targets" + region + " --rule " + name + ` --targets "Id=` + name + ",Arn=" + bus + ",RoleArn=arn:" + own.Name +
			":iam::$owner:role/" + name + `-events"`,
		addStatements(b.name, b.aws.Region, b.reading(name)),
	}, keys...)
}

// What a Sid has no place for, and what the names of rules, roles and statements have none for.
var (
	notForSids  = regexp.MustCompile(`[^A-Za-z0-9]+`)
	notForNames = regexp.MustCompile(`[^A-Za-z0-9-]+`)
)

// granted is a statement that lets the processors do something.
func (b *adoptedBucket) granted(sid string, actions []string, resource string, conditions map[string]any) statement {
	// By the account and a condition it holds before the roles are there, and after they were made anew.
	all := map[string]any{"ArnLike": map[string]any{"aws:PrincipalArn": b.roles}}
	maps.Copy(all, conditions)
	return statement{
		"Sid": notForSids.ReplaceAllString(sid, ""), "Effect": "Allow", "Principal": map[string]any{"AWS": b.arn("iam", "", "root")},
		"Action": actions, "Resource": resource, "Condition": all,
	}
}

// reading are the statements of the bucket's policy by which the processors read, and tag what they have processed if they are to.
func (b *adoptedBucket) reading(name string) []statement {
	return []statement{b.granted("ReadUploads-"+name, b.actions(), b.arnOf()+"/*", nil)}
}

// addToKey is the command that adds to a key's policy what lets the processors have S3 decrypt by it.
func (b *adoptedBucket) addToKey(key, name string) string {
	own, _ := partition.OfRegion(b.aws.Region)
	decrypt := b.granted("DecryptUploads-"+name, []string{"kms:Decrypt"}, "*", map[string]any{
		"StringEquals": map[string]any{"kms:ViaService": own.Hosts("s3", b.aws.Region)},
	})
	file := lastPart(key, "/") + "-policy"
	of := " --key-id " + key + " --policy-name default --region " + b.aws.Region
	return "aws kms get-key-policy" + of + " --query Policy --output text > " + file + "-before.json && " +
		joined(file, []statement{decrypt}) + " && aws kms put-key-policy" + of + " --policy file://" + file + "-after.json"
}
