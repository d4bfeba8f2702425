package deployer

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/partition"
)

// permission lets actions be called on what a resource becomes.
type permission struct {
	// sid is the statement that it becomes a part of, with all others of this sid and the same condition. The actions of a statement are
	// allowed on each of its resources; that grants no more than the parts do, as an action takes one type of resource.
	sid string
	// only says whether the permission is for this resource; nil is for each.
	only func(declared.Resource) bool
	// on are the ARNs, with wildcards.
	on func(scope, declared.Resource) []string
	// when is the condition; nil is none.
	when func(scope, declared.Resource) condition
	// actions are the actions, such as s3:CreateBucket.
	actions []string
}

// condition is a condition by operator and key.
type condition map[string]map[string][]string

// scope is what the permissions of a resource are seen from.
type scope struct {
	at     Location
	system *declared.System
}

// list gives the actions of a service.
func list(service string, actions ...string) []string {
	out := make([]string, len(actions))
	for i, action := range actions {
		out[i] = service + ":" + action
	}
	return out
}

// arn is an ARN in this place.
func (s scope) arn(service, resource string) string {
	return fmt.Sprintf("arn:%s:%s:%s:%s:%s", s.at.Partition, service, s.at.Region, s.at.AccountID, resource)
}

// global is the ARN of a service that has no Regions.
func (s scope) global(service, resource string) string {
	return fmt.Sprintf("arn:%s:%s::%s:%s", s.at.Partition, service, s.at.AccountID, resource)
}

// madeUp ends a name that Pulumi makes of the logical name: seven digits in base 16.
// https://www.pulumi.com/docs/iac/concepts/resources/names/#autonaming
var madeUp = regexp.MustCompile(`-[0-9a-f]{7}$`)

// anyEnd matches what Pulumi may make up.
const anyEnd = "-???????"

// name is a resource's physical name; what Pulumi makes up of it is wildcards.
func name(r declared.Resource) string {
	for _, input := range r.Inputs {
		if input == r.ID {
			return r.ID // it was given
		}
	}
	if r.ID == r.Name+madeUp.FindString(r.ID) && r.ID != r.Name {
		return r.Name + anyEnd
	}
	return r.ID
}

// named is the ARN of a resource that has its name in it.
func named(service, prefix string) func(scope, declared.Resource) []string {
	return func(s scope, r declared.Resource) []string {
		if service == "iam" {
			return []string{s.global(service, prefix+name(r))}
		}
		return []string{s.arn(service, prefix+name(r))}
	}
}

// fewNames is up to how many resources of a kind are each named.
const fewNames = 4

// many puts what the names have in common in their place where there are many of a type: the policy has a limit.
func many(on func(scope, declared.Resource) []string) func(scope, declared.Resource) []string {
	return func(s scope, r declared.Resource) []string {
		all := s.system.OfType(r.Type)
		if len(all) <= fewNames {
			return on(s, r)
		}
		common := on(s, all[0])[0]
		for _, other := range all[1:] {
			common = commonPrefix(common, on(s, other)[0])
		}
		return []string{common + "*"}
	}
}

func commonPrefix(a, b string) string {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return a[:n]
}

// of is the ARN of the resource of a type that an input names, by its id, its ARN or its URL.
func of(typ, input string) func(scope, declared.Resource) []string {
	return func(s scope, r declared.Resource) []string { return s.called(typ, r.Text(input)) }
}

// called are the ARNs of the resource of a type with a name, which isn't declared if it is somebody else's.
func (s scope) called(typ, reference string) []string {
	physical := reference[strings.LastIndexAny(reference, "/:")+1:]
	own := declared.Resource{Type: typ, Name: physical, ID: physical}
	for _, r := range s.system.OfType(typ) {
		if r.ID == physical {
			own = r
		}
	}
	return ownARN(typ)(s, own)
}

// ownARN finds how a type's ARN is written.
func ownARN(typ string) func(scope, declared.Resource) []string {
	return map[string]func(scope, declared.Resource) []string{
		declared.TypeBucket: bucket(""), declared.TypeCluster: named("ecs", "cluster/"), declared.TypeEventRule: named("events", "rule/"),
		declared.TypeFunction: named("lambda", "function:"),
		declared.TypeQueue:    named("sqs", ""), declared.TypeRepository: named("ecr", "repository/"), declared.TypeRole: named("iam", "role/"),
		declared.TypeScheduleGroup: named("scheduler", "schedule-group/"), declared.TypeTopic: named("sns", ""),
	}[typ]
}

// everyOf are the ARNs of all that is declared of a type.
func everyOf(typ string) func(scope, declared.Resource) []string {
	return func(s scope, _ declared.Resource) []string {
		resources := s.system.OfType(typ)
		arns := make([]string, 0, len(resources))
		for _, r := range resources {
			arns = append(arns, ownARN(typ)(s, r)...)
		}
		return arns
	}
}

// roles are the ARNs of the roles that inputs name by their ARNs.
func roles(inputs ...string) func(scope, declared.Resource) []string {
	return func(s scope, r declared.Resource) []string {
		var arns []string
		for _, input := range inputs {
			if r.Text(input) != "" {
				arns = append(arns, s.called(declared.TypeRole, r.Text(input))...)
			}
		}
		return arns
	}
}

// schedule is a schedule's ARN, in which its group's name comes before its own.
func schedule(s scope, r declared.Resource) []string {
	group := s.called(declared.TypeScheduleGroup, r.Text("groupName"))[0]
	return []string{strings.Replace(group, ":schedule-group/", ":schedule/", 1) + "/" + name(r)}
}

// scheduleRole is the role that a schedule starts its target in.
func scheduleRole(s scope, r declared.Resource) []string {
	role, _ := r.Object("target")["roleArn"].(string)
	return s.called(declared.TypeRole, role)
}

// account is an ARN that has no name of the stack's.
func account(service, resource string) func(scope, declared.Resource) []string {
	return func(s scope, _ declared.Resource) []string { return []string{s.arn(service, resource)} }
}

// everything is for actions that take no resource.
func everything(scope, declared.Resource) []string { return []string{"*"} }

func dashboard(s scope, r declared.Resource) []string {
	return []string{s.global("cloudwatch", "dashboard/"+name(r))}
}

// logGroup is a log group's ARN in both forms: only tags are asked for without the end.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/iam-access-control-overview-cwl.html
func logGroup(s scope, r declared.Resource) []string {
	arn := s.arn("logs", "log-group:"+name(r))
	return []string{arn, arn + ":*"}
}

func bucket(objects string) func(scope, declared.Resource) []string {
	return func(s scope, r declared.Resource) []string {
		return []string{fmt.Sprintf("arn:%s:s3:::%s%s", s.at.Partition, name(r), objects)}
	}
}

func taskDefinition(s scope, r declared.Resource) []string {
	family := r.Text("family")
	if cluster, found := find(s.system.OfType(declared.TypeCluster), family); found { // which it has its name from
		family = name(cluster)
	} else if family == "" {
		family = name(r)
	}
	return []string{s.arn("ecs", "task-definition/"+family+":*")}
}

func find(resources []declared.Resource, id string) (declared.Resource, bool) {
	i := slices.IndexFunc(resources, func(r declared.Resource) bool { return r.ID == id })
	if i < 0 {
		return declared.Resource{}, false
	}
	return resources[i], true
}

// pushedTo is the repository in an image's name, less the registry and the tag.
func pushedTo(s scope, r declared.Resource) []string {
	repository, _ := partition.RepositoryOf(r.Text("imageName"))
	return s.called(declared.TypeRepository, repository)
}

// imagesRepository is the repository of a function's image, which may be another account's.
func imagesRepository(s scope, r declared.Resource) []string {
	repository, arn := partition.RepositoryOf(r.Text("imageUri"))
	for _, own := range s.system.OfType(declared.TypeRepository) {
		if own.Output("repositoryUrl") == repository {
			return ownARN(declared.TypeRepository)(s, own)
		}
	}
	return []string{arn}
}

// ec2 are all resources of one of EC2's types, whose ids AWS makes up.
func ec2(typ string) func(scope, declared.Resource) []string { return account("ec2", typ+"/*") }

// foreignVPC is the VPC of a resource if it isn't the stack's own, and so has no tags of it.
func foreignVPC(s scope, r declared.Resource) []string {
	id := r.Text("vpcId")
	if _, own := find(s.system.OfType(declared.TypeVPC), id); own {
		return nil
	}
	if slices.Contains(s.system.Functions, "aws:ec2/getVpc:getVpc") { // it was looked up, and is known to AWS alone
		id = "*"
	}
	return []string{s.arn("ec2", "vpc/"+id)}
}

func hostedZones(s scope, _ declared.Resource) []string {
	return []string{fmt.Sprintf("arn:%s:route53:::hostedzone/*", s.at.Partition)}
}

func serviceLinkedRole(service, role string) func(scope, declared.Resource) []string {
	return func(s scope, _ declared.Resource) []string {
		return []string{s.global("iam", "role/aws-service-role/"+service+".amazonaws.com/"+role)}
	}
}

// anyKey is every key: AWS makes their ids up.
func anyKey(s scope, _ declared.Resource) []string { return []string{s.arn("kms", "key/*")} }

// The tags by which a stack's resources are known.
var stackTags = []string{"project", "stack"}

// tags is the condition that tags have the resource's own values.
func tags(prefix string, r declared.Resource) condition {
	keys := map[string][]string{}
	for _, tag := range stackTags {
		value, _ := r.Object("tags")[tag].(string)
		keys[prefix+tag] = []string{value}
	}
	return condition{"StringEquals": keys}
}

// requestTags holds if the request gives the stack's tags.
func requestTags(s scope, r declared.Resource) condition { return tags("aws:RequestTag/", s.tagged(r)) }

// resourceTags holds if what is there has the stack's tags.
func resourceTags(s scope, r declared.Resource) condition {
	return tags("aws:ResourceTag/", s.tagged(r))
}

// tagged gives a resource with the stack's tags: itself, or, if its type has none, another.
func (s scope) tagged(r declared.Resource) declared.Resource {
	for _, other := range append([]declared.Resource{r}, s.system.Resources...) {
		if other.Object("tags")[stackTags[0]] != nil {
			return other
		}
	}
	return r
}

// untagged holds if what is there doesn't belong to a project yet.
func untagged(scope, declared.Resource) condition {
	return condition{"Null": {"aws:ResourceTag/" + stackTags[0]: {"true"}}}
}

// creating holds for tags that are given to what is being created.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html
func creating(scope, declared.Resource) condition {
	return condition{"Null": {"ec2:CreateAction": {"false"}}}
}

// both holds if all conditions do.
func both(conditions ...func(scope, declared.Resource) condition) func(scope, declared.Resource) condition {
	return func(s scope, r declared.Resource) condition {
		all := condition{}
		for _, c := range conditions {
			for operator, keys := range c(s, r) {
				if all[operator] == nil {
					all[operator] = map[string][]string{}
				}
				maps.Copy(all[operator], keys)
			}
		}
		return all
	}
}

// passedTo holds for roles that are given to a service.
func passedTo(service string) func(scope, declared.Resource) condition {
	return func(scope, declared.Resource) condition {
		return condition{"StringEquals": {"iam:PassedToService": {service + ".amazonaws.com"}}}
	}
}

// forService holds for the role of a service.
func forService(service string) func(scope, declared.Resource) condition {
	return func(scope, declared.Resource) condition {
		return condition{"StringEquals": {"iam:AWSServiceName": {service + ".amazonaws.com"}}}
	}
}

// via holds for a service that uses a key in the caller's name.
// https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service
func via(service string) func(scope, declared.Resource) condition {
	return func(s scope, _ declared.Resource) condition {
		own, _ := partition.Named(s.at.Partition)
		return condition{"StringLike": {"kms:ViaService": own.Hosts(service, s.at.Region)}}
	}
}

// encryptsMachine holds for what Step Functions encrypts of the state machine.
func encryptsMachine(s scope, r declared.Resource) condition {
	return condition{"ArnLike": {"kms:EncryptionContext:aws:states:stateMachineArn": named("states", "stateMachine:")(s, r)}}
}

// hasKey tells whether a block of the inputs names a key.
func hasKey(block, input string) func(declared.Resource) bool {
	return func(r declared.Resource) bool {
		value := r.Inputs[block]
		if list, ok := value.([]any); ok && len(list) > 0 {
			value = list[0]
		}
		object, _ := value.(map[string]any)
		return object[input] != nil && object[input] != ""
	}
}

// hasInput tells whether an input is given.
func hasInput(input string) func(declared.Resource) bool {
	return func(r declared.Resource) bool { return r.Text(input) != "" }
}

func isTrue(input string) func(declared.Resource) bool {
	return func(r declared.Resource) bool { return r.Inputs[input] == true }
}

func interfaceEndpoint(r declared.Resource) bool { return r.Inputs["privateDnsEnabled"] == true }
