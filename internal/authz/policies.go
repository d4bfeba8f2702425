package authz

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"example.com/upload-router/internal/declared"
)

var (
	errHolder     = errors.New("its policies aren't known here: teach internal/authz this type of resource")
	errManaged    = errors.New("a managed policy that isn't declared: what it allows isn't known, and may change")
	errRole       = errors.New("no such role is declared")
	errBoundary   = errors.New("this input of a role isn't known here")
	errPermission = errors.New("this input of a permission isn't known here")
)

// notAccess are types whose names speak of policies that grant nothing.
var notAccess = []string{declared.TypeLifecyclePolicy}

// Policies are all policies of a declared system.
type Policies struct {
	roles     map[string]*role // by ARN
	resources map[string][]statement
	endpoints map[string]endpoint
	declared  map[string]bool   // every ARN that a resource has
	told      map[string]string // the outputs with the policies of what isn't declared, by its ARN
	order     []string          // owners, in the order in which Grants shows them
	notes     []string
}

type role struct {
	name, arn string
	identity  []statement
}

type endpoint struct {
	vpc, service string
	open         bool // it has no policy, and so lets everything through
	statements   []statement
}

// Options say how policies are read.
type Options struct {
	// Shown is what a role's policy, by its logical name, is called in what is said of it, such as the key that it is given by. Its
	// statements may have conditions and resources that can't be judged here: an Allow is taken to hold, and a Deny is left out, as
	// [Policies.Notes] say. Empty, and without it: what can't be judged is an error.
	Shown func(policy string) string
}

// Load reads every policy that is declared. Its errors name the resource; those about a document match [ErrPolicy].
func Load(system *declared.System) (*Policies, error) { return LoadWith(system, Options{}) }

// LoadWith is [Load] with options.
func LoadWith(system *declared.System, options Options) (*Policies, error) {
	p := &Policies{
		roles: map[string]*role{}, resources: map[string][]statement{},
		endpoints: map[string]endpoint{}, declared: map[string]bool{}, told: map[string]string{},
	}
	for _, r := range system.Resources {
		// One with an ARN among its inputs is about another resource.
		if arn, ok := r.Outputs["arn"].(string); ok && r.Custom && r.Inputs["arn"] == nil {
			p.declared[arn] = true
		}
	}
	l := loader{p, system, options}
	loaders := map[string]func(declared.Resource) error{
		declared.TypeRole: l.role, declared.TypeRolePolicy: l.rolePolicy, declared.TypeRolePolicyAttachment: l.attachment,
		declared.TypePolicy:       func(declared.Resource) error { return nil }, // by its attachments
		declared.TypeBucketPolicy: l.on("bucket", declared.TypeBucket, "id"),
		declared.TypeQueuePolicy:  l.on("queueUrl", declared.TypeQueue, "url"), declared.TypeQueue: l.inline,
		declared.TypeTopicPolicy: l.on("arn", declared.TypeTopic, "arn"), declared.TypeTopic: l.inline,
		declared.TypeKey: l.key, declared.TypeKeyPolicy: l.on("keyId", declared.TypeKey, "keyId"),
		declared.TypeRepositoryPolicy: l.repository,
		declared.TypeVPCEndpoint:      l.endpoint, declared.TypePermission: l.permission,
	}
	// The roles come first: their policies name them.
	rest := slices.DeleteFunc(slices.Clone(system.Resources), func(r declared.Resource) bool { return r.Type == declared.TypeRole })
	for _, r := range slices.Concat(system.OfType(declared.TypeRole), rest) {
		load, known := loaders[r.Type]
		if !known {
			if r.Custom && holdsPolicies(r) {
				return nil, fmt.Errorf("%s %s: %w", r.Type, r.Name, errHolder)
			}
			continue
		}
		if err := load(r); err != nil {
			return nil, fmt.Errorf("reading the policy of %s: %w", r.Name, err)
		}
	}
	return p, p.tell(system.Outputs)
}

// toldPolicies are the outputs that say what the policy of a resource must hold which
// isn't declared but given, by the outputs with its ARN.
var toldPolicies = map[string]string{"kmsKeyArn": "kmsKeyPolicy", "topicArn": "topicPolicy"}

// tell reads the policies of resources that are given: they are taken to hold what
// the outputs say, and no more. They are nobody's grants here.
func (p *Policies) tell(outputs map[string]any) error {
	for _, output := range slices.Sorted(maps.Keys(toldPolicies)) {
		arn, _ := outputs[output].(string)
		document, _ := outputs[toldPolicies[output]].(string)
		if arn == "" || document == "" || p.declared[arn] {
			continue
		}
		statements, err := parse("output "+toldPolicies[output], arn, document, resourceForm)
		if err != nil {
			return fmt.Errorf("reading what the policy of %s must hold: %w", arn, err)
		}
		p.resources[arn], p.told[arn] = statements, toldPolicies[output]
	}
	return nil
}

// holdsPolicies says whether a resource that isn't known here may grant something.
func holdsPolicies(r declared.Resource) bool {
	if slices.Contains(notAccess, r.Type) {
		return false
	}
	_, inline := r.Inputs["policy"]
	kind := strings.ToLower(r.Type)
	return inline || strings.HasPrefix(kind, "aws:iam/") || strings.Contains(kind, "policy") || strings.Contains(kind, "permission")
}

type loader struct {
	p      *Policies
	system *declared.System

	options Options
}

func (l loader) role(r declared.Resource) error {
	for _, input := range []string{"inlinePolicies", "permissionsBoundary"} {
		if r.Inputs[input] != nil {
			return fmt.Errorf("%w: %s", errBoundary, input)
		}
	}
	arn, _ := r.Outputs["arn"].(string)
	name, _ := r.Outputs["name"].(string)
	trust, err := parse(r.Name, arn, r.Text("assumeRolePolicy"), trustForm)
	if err != nil {
		return err
	}
	made := &role{name: name, arn: arn}
	l.p.roles[arn] = made
	l.p.add(arn, trust)
	managed, _ := r.Inputs["managedPolicyArns"].([]any)
	for _, arn := range managed {
		if err := l.attach(made, arn); err != nil {
			return err
		}
	}
	return nil
}

func (l loader) named(name any) (*role, error) {
	for _, r := range l.p.roles {
		if r.name == name {
			return r, nil
		}
	}
	return nil, fmt.Errorf("%w: %v", errRole, name)
}

func (l loader) rolePolicy(r declared.Resource) error {
	to, err := l.named(r.Inputs["role"])
	if err != nil {
		return err
	}
	shown := ""
	if l.options.Shown != nil {
		shown = l.options.Shown(r.Name)
	}
	statements, err := parseShown(r.Name, shown, to.arn, r.Text("policy"), identityForm)
	for _, s := range statements {
		if note := s.note(); note != "" && !slices.Contains(l.p.notes, note) { // that of another role, too
			l.p.notes = append(l.p.notes, note)
		}
		if !s.deny || len(s.unjudged) == 0 {
			to.identity = append(to.identity, s)
		}
	}
	return err
}

func (l loader) attachment(r declared.Resource) error {
	to, err := l.named(r.Inputs["role"])
	if err != nil {
		return err
	}
	return l.attach(to, r.Inputs["policyArn"])
}

func (l loader) attach(to *role, arn any) error {
	managed, err := l.system.Where(declared.TypePolicy, "arn", arn)
	if err != nil {
		return fmt.Errorf("%w: %v", errManaged, arn)
	}
	statements, err := parse(managed.Name, to.arn, managed.Text("policy"), identityForm)
	to.identity = append(to.identity, statements...)
	return err
}

// on reads a policy that is a resource of its own, of the resource that one of its inputs names.
func (l loader) on(input, typ, output string) func(declared.Resource) error {
	return func(r declared.Resource) error {
		owner, err := l.owner(typ, output, r.Inputs[input])
		if err != nil {
			return fmt.Errorf("finding what it is the policy of: %w", err)
		}
		arn, _ := owner.Outputs["arn"].(string)
		statements, err := parse(r.Name, arn, r.Text("policy"), resourceForm)
		l.p.add(arn, statements)
		return err
	}
}

// repository reads the policy of a repository of ECR, whose statements have no Resource: it is the repository.
//
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-policies.html
func (l loader) repository(r declared.Resource) error {
	owner, err := l.owner(declared.TypeRepository, "name", r.Inputs["repository"])
	if err != nil {
		return fmt.Errorf("finding what it is the policy of: %w", err)
	}
	statements, err := parse(r.Name, owner.ARN(), r.Text("policy"), trustForm)
	for i := range statements {
		statements[i].form, statements[i].resources = resourceForm, []string{owner.ARN()}
	}
	l.p.add(owner.ARN(), statements)
	return err
}

func (l loader) owner(typ, output string, value any) (declared.Resource, error) {
	if output != "id" {
		return l.system.Where(typ, output, value) //nolint:wrapcheck // its caller says what it is of
	}
	for _, r := range l.system.OfType(typ) {
		if r.ID == value {
			return r, nil
		}
	}
	return declared.Resource{}, fmt.Errorf("%w: %s %v", errNoOwner, typ, value)
}

var errNoOwner = errors.New("no such resource is declared")

// inline reads a policy that is an input of what it is the policy of.
func (l loader) inline(r declared.Resource) error {
	document := r.Text("policy")
	if document == "" {
		return nil
	}
	arn, _ := r.Outputs["arn"].(string)
	statements, err := parse(r.Name, arn, document, resourceForm)
	l.p.add(arn, statements)
	return err
}

// key reads a key's policy; the one that KMS writes for a key without one lets the account's IAM policies govern it.
// https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
func (l loader) key(r declared.Resource) error {
	if r.Text("policy") != "" || slices.ContainsFunc(l.system.OfType(declared.TypeKeyPolicy), func(p declared.Resource) bool {
		return p.Inputs["keyId"] == r.Outputs["keyId"]
	}) {
		return l.inline(r)
	}
	arn, _ := r.Outputs["arn"].(string)
	parts := strings.SplitN(arn, ":", arnParts)
	if len(parts) != arnParts {
		return fmt.Errorf("%w: its ARN is %q", errElement, arn)
	}
	l.p.add(arn, []statement{{
		form: resourceForm, policy: r.Name, owner: arn, sid: "default key policy", actions: []string{"kms:*"}, resources: []string{everyone},
		accounts: []string{fmt.Sprintf("arn:%s:iam::%s:root", parts[1], parts[4])},
	}})
	return nil
}

// permission reads a statement of a function's policy as Lambda writes it.
// https://docs.aws.amazon.com/lambda/latest/dg/permissions-function-services.html
func (l loader) permission(r declared.Resource) error {
	for _, input := range slices.Sorted(maps.Keys(r.Inputs)) {
		if !slices.Contains([]string{"action", "function", "principal", "sourceArn", "statementId"}, input) {
			return fmt.Errorf("%w: %s", errPermission, input)
		}
	}
	function, err := l.function(r.Text("function"))
	if err != nil {
		return err
	}
	statement := map[string]any{
		"Sid": r.Output("statementId"), "Effect": "Allow", "Principal": map[string]any{"Service": r.Text("principal")},
		"Action": r.Text("action"), "Resource": function.ARN(),
	}
	if source := r.Text("sourceArn"); source != "" {
		statement["Condition"] = map[string]any{"ArnLike": map[string]any{"aws:SourceArn": source}}
	}
	document, err := json.Marshal(map[string]any{"Version": version, "Statement": []any{statement}})
	if err != nil {
		return fmt.Errorf("writing a function's policy: %w", err)
	}
	statements, err := parse(r.Name, function.ARN(), string(document), resourceForm)
	l.p.add(function.ARN(), statements)
	return err
}

// function is the one of a name or an ARN.
func (l loader) function(named string) (declared.Resource, error) {
	for _, output := range []string{"name", "arn"} {
		if r, err := l.system.Where(declared.TypeFunction, output, named); err == nil {
			return r, nil
		}
	}
	return declared.Resource{}, fmt.Errorf("%w: %s %v", errNoOwner, declared.TypeFunction, named)
}

// endpoint reads the policy of a VPC endpoint, which all that goes through it must be allowed by, besides all else.
// https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html
func (l loader) endpoint(r declared.Resource) error {
	made := endpoint{vpc: r.Text("vpcId"), service: r.Text("serviceName")}
	if document := r.Text("policy"); document != "" {
		var err error
		if made.statements, err = parse(r.Name, r.ID, document, resourceForm); err != nil {
			return err
		}
	} else {
		made.open = true
	}
	l.p.endpoints[r.ID] = made
	l.p.order = append(l.p.order, r.ID)
	return nil
}

func (p *Policies) add(owner string, statements []statement) {
	if !slices.Contains(p.order, owner) {
		p.order = append(p.order, owner)
	}
	p.resources[owner] = append(p.resources[owner], statements...)
}

// Endpoint gives the id of the VPC endpoint that calls to a service from a VPC go through, by the service's name without Region,
// such as ecr.api; empty if none is declared.
func (p *Policies) Endpoint(service string) string {
	for _, id := range slices.Sorted(maps.Keys(p.endpoints)) {
		if strings.HasSuffix(p.endpoints[id].service, "."+service) {
			return id
		}
	}
	return ""
}

// Declares says whether a resource with this ARN is declared, so that its policy is known: for an object in S3, its bucket.
func (p *Policies) Declares(arn string) bool { return p.declared[ownerOf(arn)] }

// Notes say of each statement that can't be judged here what it is taken for. See [Options.Shown].
func (p *Policies) Notes() []string { return slices.Clone(p.notes) }

// ownerOf is the ARN of what holds the policy of a resource.
func ownerOf(arn string) string {
	if isBucket(arn) {
		bucket, _, _ := strings.Cut(arn, "/")
		return bucket
	}
	return arn
}

// isBucket says whether the ARN is that of a bucket in S3 or of an object in one. It names no account.
func isBucket(arn string) bool {
	parts := strings.SplitN(arn, ":", arnParts)
	return len(parts) == arnParts && parts[2] == "s3"
}

// Grant is something that an Allow statement lets happen: an action of the
// statement on a resource of it, as they are written, wildcards and all.
type Grant struct {
	// Policy is the logical name of the resource that declares the policy.
	Policy string
	// Owner is the ARN of the role or the resource that has the policy; of an endpoint it is the id.
	Owner string
	// Statement is the statement's Sid, or "statement" and its number.
	Statement string
	// Principal is who may: a service, an account or "*"; empty in a role's policy.
	Principal string
	// Action and Resource are those of the statement; Resource is empty in a trust policy.
	Action, Resource string
	// Conditions are the statement's conditions.
	Conditions []Condition
}

// String names the grant in a line.
func (g Grant) String() string {
	line := fmt.Sprintf("%s: %s: Allow %s", g.Policy, g.Statement, g.Action)
	if g.Resource != "" {
		line += " on " + g.Resource
	}
	if g.Principal != "" {
		line += " for " + g.Principal
	}
	return line
}

// Key tells grants apart.
func (g Grant) Key() string {
	return strings.Join([]string{g.Owner, g.Policy, g.Statement, g.Principal, g.Action, g.Resource}, "\x00")
}

// Grants are all grants of all policies: of each role and resource with a trust
// or resource policy first, then of the roles' own policies, in a fixed order.
func (p *Policies) Grants() []Grant {
	var out []Grant
	for _, owner := range p.order {
		for _, s := range slices.Concat(p.resources[owner], p.endpoints[owner].statements) {
			out = append(out, s.grants()...)
		}
	}
	for _, arn := range slices.Sorted(maps.Keys(p.roles)) {
		for _, s := range p.roles[arn].identity {
			out = append(out, s.grants()...)
		}
	}
	return out
}

func (s statement) grants() []Grant {
	if s.deny {
		return nil
	}
	principals := slices.Concat(s.services, s.accounts)
	if s.anyone {
		principals = append(principals, everyone)
	}
	if len(principals) == 0 {
		principals = []string{""}
	}
	resources := s.resources
	if len(resources) == 0 {
		resources = []string{""}
	}
	var out []Grant
	for _, principal := range principals {
		for _, action := range s.actions {
			for _, resource := range resources {
				out = append(out, s.grant(principal, action, resource))
			}
		}
	}
	return out
}

func (s statement) grant(principal, action, resource string) Grant {
	if s.not {
		action = "all but " + action
	}
	if s.notThese {
		resource = "all but " + resource
	}
	conditions := make([]Condition, len(s.when))
	for i, c := range s.when {
		conditions[i] = c.Condition
	}
	return Grant{
		Policy: s.policy, Owner: s.owner, Statement: s.sid, Principal: principal,
		Action: action, Resource: resource, Conditions: conditions,
	}
}
