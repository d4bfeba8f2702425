package local

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"example.com/upload-router/internal/authz"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/eventbridge"
	"example.com/upload-router/internal/objectstore"
	"example.com/upload-router/internal/partition"
)

// guard has every call of the local run decided by the declared policies.
type guard struct {
	policies *authz.Policies
	system   *declared.System
	options  Options
	signers  map[string]string // roles, by the access keys of their local sessions

	mu      sync.Mutex
	assumed map[string]bool
}

// The services that call by themselves.
const (
	serviceECS        = "ecs-tasks.amazonaws.com"
	serviceEvents     = "events.amazonaws.com"
	serviceFlowLogs   = "vpc-flow-logs.amazonaws.com"
	serviceScheduler  = "scheduler.amazonaws.com"
	serviceLambda     = "lambda.amazonaws.com"
	serviceStates     = "states.amazonaws.com"
	serviceCloudWatch = "cloudwatch.amazonaws.com"
)

// The condition keys that calls are made with.
const (
	keySourceAccount = "aws:SourceAccount"
	keySourceARN     = "aws:SourceArn"
	keyCluster       = "ecs:cluster"
	keyLeadingKeys   = "dynamodb:LeadingKeys"
	keyPassedTo      = "iam:PassedToService"
	keyViaService    = "kms:ViaService"
	keyEncryption    = "kms:EncryptionContext:"
)

// keyPermissions is the key of the statements that are the user's own, and ends the names of the policies that have them.
const keyPermissions = "permissions"

// newGuard reads the policies.
func newGuard(system *declared.System, options Options) (*guard, error) {
	policies, err := authz.LoadWith(system, authz.Options{Shown: func(policy string) string {
		if strings.HasSuffix(policy, "-"+keyPermissions) {
			return keyPermissions
		}
		return ""
	}})
	if err != nil {
		return nil, fmt.Errorf("reading the declared policies: %w", err)
	}
	g := &guard{policies: policies, system: system, options: options, signers: map[string]string{}, assumed: map[string]bool{}}
	for _, r := range system.OfType(declared.TypeRole) {
		g.signers[accessKey(r.ARN())] = r.ARN()
	}
	return g, nil
}

// accessKey is the access key of a role's local sessions: S3 knows by it who asks.
func accessKey(roleARN string) string {
	sum := sha256.Sum256([]byte(roleARN))
	return "ASIA" + strings.ToUpper(hex.EncodeToString(sum[:8]))
}

// ask decides on a request, keeps what that assumes, and tells Options.Decided.
func (g *guard) ask(r authz.Request) error {
	decision := g.policies.Authorize(r)
	if decision.Assumed != "" {
		g.mu.Lock()
		g.assumed[decision.Assumed] = true
		g.mu.Unlock()
	}
	if g.options.Decided != nil {
		g.options.Decided(decision)
	}
	return decision.Err()
}

// Assumed says what the calls that were allowed so far depend on that isn't declared here, such as the policy of a key that was given
// by its ARN: each once, in alphabetical order.
func (r *Router) Assumed() []string {
	r.guard.mu.Lock()
	defer r.guard.mu.Unlock()
	return slices.Sorted(maps.Keys(r.guard.assumed))
}

// may asks for an action of a role.
func (g *guard) may(role, action, resource string, context map[string][]string) error {
	return g.ask(authz.Request{Principal: authz.Principal{Role: role}, Action: action, Resource: resource, Context: context})
}

// serves gives the first refusal of what a service does by itself, for a resource of this account, or without a word of which if source
// is empty.
func (g *guard) serves(service, resource, source string, more map[string][]string, actions ...string) error {
	context := map[string][]string{}
	if source != "" {
		context[keySourceAccount], context[keySourceARN] = []string{g.options.AccountID}, []string{source}
	}
	maps.Copy(context, more)
	for _, action := range actions {
		err := g.ask(authz.Request{Principal: authz.Principal{Service: service}, Action: action, Resource: resource, Context: context})
		if err != nil {
			return err
		}
	}
	return nil
}

// through asks for an action of a role that goes by a service's VPC endpoint, if there is one on its way.
func (g *guard) through(service, role, action, resource string, context map[string][]string) error {
	return g.ask(authz.Request{
		Principal: authz.Principal{Role: role}, Action: action, Resource: resource, Context: context, Endpoint: g.endpointOf(role, service),
	})
}

// assumes asks whether a service may take a role, acting for a resource.
func (g *guard) assumes(service, role, source string) error {
	return g.serves(service, role, source, nil, "sts:AssumeRole")
}

// all gives the first refusal of a role's calls to a resource.
func (g *guard) all(role, resource string, context map[string][]string, actions ...string) error {
	for _, action := range actions {
		if err := g.may(role, action, resource, context); err != nil {
			return err
		}
	}
	return nil
}

// beside is the ARN of another resource of a service, in the account and Region of an ARN.
func beside(arn, service, resource string) string {
	const parts = 6
	p := strings.SplitN(arn, ":", parts)
	if len(p) < parts {
		return ""
	}
	return strings.Join([]string{p[0], p[1], service, p[3], p[4], resource}, ":")
}

// text is a parameter that is text; empty if it isn't.
func text(parameters map[string]any, name string) string {
	value, _ := parameters[name].(string)
	return value
}

// message is a refusal without the name of its kind.
func message(err error) string { return strings.TrimPrefix(err.Error(), authz.ErrDenied.Error()+": ") }

// object is what s3 asks for a request of a processor.
func (g *guard) object(a objectstore.Access) error {
	role, known := g.signers[a.AccessKeyID]
	if !known {
		return fmt.Errorf("%w: The AWS Access Key Id you provided does not exist in our records: %q", authz.ErrDenied, a.AccessKeyID)
	}
	resource := g.bucketARN(a.Bucket)
	if a.Key != "" {
		resource += "/" + a.Key
	}
	if err := g.ask(authz.Request{
		Principal: authz.Principal{Role: role}, Action: a.Action, Resource: resource,
		Context:  g.objectContext(a),
		Endpoint: g.endpointOf(role, "s3"),
	}); err != nil {
		return err
	}
	if a.Action == "s3:PutObject" {
		return g.encryptObject(role, a)
	}
	return g.decryptObject(role, resource, a)
}

// objectContext are the condition keys of a request of S3's.
//
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/tagging-and-policies.html
func (g *guard) objectContext(a objectstore.Access) map[string][]string {
	// The local S3 speaks HTTP; the SDKs speak TLS 1.2 or later with AWS.
	context := map[string][]string{
		"aws:SecureTransport": {"true"}, "s3:TlsVersion": {"1.3"}, "aws:ResourceAccount": {g.options.AccountID},
	}
	for key, value := range a.Tags {
		context["s3:ExistingObjectTag/"+key] = []string{value}
	}
	for key, value := range a.NewTags {
		context["s3:RequestObjectTag/"+key] = []string{value}
	}
	if len(a.NewTags) > 0 {
		context["s3:RequestObjectTagKeys"] = slices.Sorted(maps.Keys(a.NewTags))
	}
	return context
}

// bucketARN is that of a bucket.
func (g *guard) bucketARN(name string) string { return "arn:" + g.partition().Name + ":s3:::" + name }

// decryptObject asks for the key of an object that is encrypted with one of the
// account's own. The key aws/s3 is for all who may read. A HEAD takes it for the checksums alone.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
func (g *guard) decryptObject(role, object string, a objectstore.Access) error {
	reads := strings.HasPrefix(a.Action, "s3:GetObject")
	if a.Key == "" || !reads || a.Head {
		return nil
	}
	key, bucketKey := g.bucketKey(a.Bucket)
	if key == "" {
		return nil
	}
	contexts := []string{object} // of one that was uploaded without a bucket key, whatever the bucket's default
	if bucketKey {
		contexts = append(contexts, g.bucketARN(a.Bucket))
	}
	for _, context := range contexts {
		err := g.may(role, "kms:Decrypt", key, map[string][]string{
			keyViaService: {g.via("s3")}, keyEncryption + "aws:s3:arn": {context},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// encryptObject asks for the key that an object is written with, if that is one of the account's own: for a data key, or to have that of a
// multipart upload decrypted for one of its parts. Nothing but a bucket key is asked for.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions
func (g *guard) encryptObject(role string, a objectstore.Access) error {
	key, _ := g.bucketKey(a.Bucket)
	if a.KMSKeyARN != "" {
		key = g.keyARN(a.KMSKeyARN)
	}
	if key == "" {
		return nil
	}
	action := "kms:GenerateDataKey"
	if a.Part {
		action = "kms:Decrypt"
	}
	return g.may(role, action, key, map[string][]string{
		keyViaService: {g.via("s3")}, keyEncryption + "aws:s3:arn": {g.bucketARN(a.Bucket)},
	})
}

// via is what KMS calls the service that a call comes by.
// https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service
func (g *guard) via(service string) string {
	return service + "." + g.options.Region + "." + g.partition().DNSSuffix
}

// partition is the one that the system's Region is in.
func (g *guard) partition() partition.Partition {
	own, _ := partition.OfRegion(g.options.Region)
	return own
}

// bucketKey is the customer managed key that a bucket encrypts with, and
// whether it goes by one data key for the whole bucket.
func (g *guard) bucketKey(bucket string) (key string, whole bool) {
	for _, r := range g.system.OfType(declared.TypeBucketEncryption) {
		rules, _ := r.Inputs["rules"].([]any)
		if r.Inputs["bucket"] != bucket || len(rules) == 0 {
			continue
		}
		rule, _ := rules[0].(map[string]any)
		by, _ := rule["applyServerSideEncryptionByDefault"].(map[string]any)
		whole, _ = rule["bucketKeyEnabled"].(bool)
		return g.keyARN(by["kmsMasterKeyId"]), whole
	}
	return g.adoptedKey(bucket), false
}

// adoptedKey is the key of a bucket that isn't the stack's: of those that are given, the one in its place, and the last for all others.
// What is in such a bucket may be encrypted without a bucket key.
func (g *guard) adoptedKey(bucket string) string {
	buckets, err := textsOf(g.system, outputAdopted)
	keys, wrong := textsOf(g.system, outputAdoptedKeys)
	at := slices.Index(buckets, bucket)
	if err != nil || wrong != nil || at < 0 || len(keys) == 0 {
		return "" // the former was looked at when the buckets were made
	}
	return g.keyARN(keys[min(at, len(keys)-1)])
}

// keyARN is the ARN of a customer managed key; empty for none and for those
// that AWS manages, whose policies let everyone use them through their service.
// https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#aws-managed-cmk
func (g *guard) keyARN(named any) string {
	name, _ := named.(string)
	if name == "" || strings.HasPrefix(name, "alias/aws/") {
		return ""
	}
	for _, r := range g.system.OfType(declared.TypeKey) {
		if name == r.ARN() || name == r.Output("keyId") {
			return r.ARN()
		}
	}
	for _, r := range g.system.OfType(declared.TypeAlias) {
		if r.Outputs["name"] == name {
			return g.keyARN(r.Inputs["targetKeyId"])
		}
	}
	return name
}

// endpointOf is the VPC endpoint by which a role's calls to a service go: the
// tasks' own calls and those that start them go out of their subnets.
func (g *guard) endpointOf(role, service string) string {
	for _, task := range g.system.OfType(declared.TypeTaskDefinition) {
		if role == task.Text("taskRoleArn") || role == task.Text("executionRoleArn") {
			return g.policies.Endpoint(service)
		}
	}
	return ""
}

// start asks for what EventBridge does to start an execution.
func (g *guard) start(ruleARN, roleARN, machineARN string) error {
	err := g.assumes(serviceEvents, roleARN, ruleARN)
	if err == nil {
		err = g.may(roleARN, "states:StartExecution", machineARN, nil)
	}
	if err != nil {
		return &eventbridge.TargetError{Code: "AccessDeniedException", Message: err.Error(), StatusCode: http.StatusBadRequest}
	}
	return nil
}

// deadLetter asks for what EventBridge does to put an event into a dead-letter queue. What it may not put there is lost.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
func (g *guard) deadLetter(ruleARN, queueARN string) error {
	err := g.ask(authz.Request{
		Principal: authz.Principal{Service: serviceEvents}, Action: "sqs:SendMessage", Resource: queueARN,
		Context: map[string][]string{keySourceARN: {ruleARN}}, // and no account, for all that AWS says
	})
	if err != nil {
		return err
	}
	return g.queueKey(serviceEvents, queueARN, ruleARN)
}

// queueKey asks whether a service may use the key that a queue or a topic is encrypted with, if that is one of the account's own.
// SQS and SNS say what it is for.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html
// https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
func (g *guard) queueKey(service, arn, source string) error {
	key := g.keyOf(arn)
	if key == "" {
		return nil
	}
	context := map[string][]string{keyEncryption + "aws:sqs:arn": {arn}}
	if strings.Contains(arn, ":sns:") {
		context = map[string][]string{keyEncryption + "aws:sns:topicArn": {arn}}
	}
	return g.serves(service, key, source, context, "kms:GenerateDataKey", "kms:Decrypt")
}

// keyOf is the key that a queue or a topic is encrypted with.
func (g *guard) keyOf(arn string) string {
	for _, typ := range []string{declared.TypeQueue, declared.TypeTopic} {
		if r, err := g.system.Where(typ, "arn", arn); err == nil {
			return g.keyARN(r.Inputs["kmsMasterKeyId"])
		}
	}
	return ""
}
