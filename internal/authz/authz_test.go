package authz_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/authz"
	"example.com/upload-router/internal/declared"
)

const (
	role    = "arn:aws:iam::123456789012:role/reader"
	bucket  = "arn:aws:s3:::uploads"
	object  = bucket + "/a/b.txt"
	keyARN  = "arn:aws:kms:eu-central-1:123456789012:key/k"
	queue   = "arn:aws:sqs:eu-central-1:123456789012:letters"
	ruleARN = "arn:aws:events:eu-central-1:123456789012:rule/created"
)

// document is a policy of statements as JSON.
func document(statements string) string {
	return `{"Version": "2012-10-17", "Statement": [` + statements + `]}`
}

func resource(typ, name, id string, inputs, outputs map[string]any) declared.Resource {
	return declared.Resource{Type: typ, Name: name, ID: id, Custom: true, Inputs: inputs, Outputs: outputs}
}

// system has a role, a bucket, a key and a queue; an empty policy is left out.
func system(identity, bucketPolicy, keyPolicy, queuePolicy string) *declared.System {
	s := &declared.System{Resources: []declared.Resource{
		resource("aws:iam/role:Role", "role", "reader", map[string]any{"assumeRolePolicy": document(
			`{"Sid": "Trust", "Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole",
			  "Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}}}`,
		)}, map[string]any{"arn": role, "name": "reader"}),
		resource("aws:s3/bucketV2:BucketV2", "bucket", "uploads", nil, map[string]any{"arn": bucket}),
		resource("aws:kms/key:Key", "key", "k", map[string]any{"policy": keyPolicy}, map[string]any{"arn": keyARN, "keyId": "k"}),
		resource("aws:sqs/queue:Queue", "queue", "u", nil, map[string]any{"arn": queue, "url": "u"}),
	}}
	if identity != "" {
		s.Resources = append(s.Resources, resource("aws:iam/rolePolicy:RolePolicy", "identity", "i",
			map[string]any{"role": "reader", "policy": document(identity)}, nil))
	}
	if bucketPolicy != "" {
		s.Resources = append(s.Resources, resource("aws:s3/bucketPolicy:BucketPolicy", "bucket-policy", "b",
			map[string]any{"bucket": "uploads", "policy": document(bucketPolicy)}, nil))
	}
	if queuePolicy != "" {
		s.Resources = append(s.Resources, resource("aws:sqs/queuePolicy:QueuePolicy", "queue-policy", "q",
			map[string]any{"queueUrl": "u", "policy": document(queuePolicy)}, nil))
	}
	return s
}

const (
	readAll = `{"Sid": "Read", "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::uploads/*"}`
	decrypt = `{"Sid": "Decrypt", "Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*"}`
	root    = `{"Sid": "Root", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
		"Action": "kms:*", "Resource": "*"}`
	denyNoTLS = `{"Sid": "TLS", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*",
		"Condition": {"Bool": {"aws:SecureTransport": "false"}}}`
	sendByRule = `{"Sid": "Send", "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage",
		"Resource": "` + queue + `", "Condition": {"ArnEquals": {"aws:SourceArn": "` + ruleARN + `"}}}`
)

// The evaluation logic of one account:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
func TestAuthorize(t *testing.T) {
	t.Parallel()
	byRole := authz.Principal{Role: role}
	events := authz.Principal{Service: "events.amazonaws.com"}
	read := authz.Request{Principal: byRole, Action: "s3:GetObject", Resource: object}
	use := authz.Request{Principal: byRole, Action: "kms:Decrypt", Resource: keyARN}
	send := authz.Request{
		Principal: events, Action: "sqs:SendMessage", Resource: queue,
		Context: map[string][]string{"aws:SourceArn": {ruleARN}},
	}
	allowRole := `{"Sid": "ByName", "Effect": "Allow", "Principal": {"AWS": "` + role + `"}, 
		"Action": "s3:GetObject", "Resource": "arn:aws:s3:::uploads/*"}`
	for name, test := range map[string]struct {
		identity, bucket, key, queue string
		request                      authz.Request
		refused                      string // part of the message; empty if it is allowed
		by                           []string
	}{
		"nothing allows it": {request: read, refused: "no identity-based policy allows the s3:GetObject action"},
		"its own policy allows it": {
			identity: readAll, request: read, by: []string{"Read"},
		},
		"case of the action makes no difference": {
			identity: readAll, request: authz.Request{Principal: byRole, Action: "S3:getobject", Resource: object}, by: []string{"Read"},
		},
		"another action": {
			identity: readAll, request: authz.Request{Principal: byRole, Action: "s3:GetObjectVersion", Resource: object}, refused: "no identity",
		},
		"another resource": {
			identity: readAll, request: authz.Request{Principal: byRole, Action: "s3:GetObject", Resource: bucket + "-2/a"}, refused: "no identity",
		},
		"the bucket's policy alone allows the role by name": {bucket: allowRole, request: read, by: []string{"ByName"}},
		"each of both is enough": {
			identity: readAll, bucket: allowRole, request: read, by: []string{"Read", "ByName"},
		},
		"the bucket's policy for the account leaves it to IAM": {
			bucket:  `{"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "s3:*", "Resource": "*"}`,
			request: read, refused: "no identity-based policy",
		},
		"an explicit deny in its own policy wins": {
			identity: readAll + `, {"Sid": "No", "Effect": "Deny", "Action": "s3:*", "Resource": "*"}`,
			request:  read, refused: "with an explicit deny in a identity-based policy: No of identity",
		},
		"an explicit deny of the bucket wins": {
			identity: readAll, bucket: denyNoTLS,
			request: authz.Request{
				Principal: byRole, Action: "s3:GetObject", Resource: object,
				Context: map[string][]string{"aws:SecureTransport": {"false"}},
			},
			refused: "with an explicit deny in a resource-based policy: TLS of bucket-policy",
		},
		"a deny whose condition doesn't hold": {identity: readAll, bucket: denyNoTLS, request: read, by: []string{"Read"}},
		"a deny for the account is for its roles": {
			identity: readAll,
			bucket:   `{"Sid": "No", "Effect": "Deny", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "s3:*", "Resource": "*"}`,
			request:  read, refused: "explicit deny",
		},
		"all actions but some": {
			identity: `{"Sid": "But", "Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}`, request: read, by: []string{"But"},
		},
		"one of the actions it is not about": {
			identity: `{"Effect": "Allow", "NotAction": "s3:Get*", "Resource": "*"}`, request: read, refused: "no identity",
		},
		"one of the resources it is not about": {
			identity: `{"Effect": "Allow", "Action": "s3:*", "NotResource": "arn:aws:s3:::uploads/*"}`, request: read, refused: "no identity",
		},
		"a role that isn't declared": {
			request: authz.Request{Principal: authz.Principal{Role: role + "2"}, Action: "s3:GetObject", Resource: object},
			refused: "no such role is declared",
		},

		"a key needs its own policy to leave it to IAM": {
			identity: decrypt, key: document(sendByRule), request: use, refused: "no resource-based policy allows the kms:Decrypt action",
		},
		"a key's policy for the account alone is not enough": {key: document(root), request: use, refused: "no identity-based policy"},
		"a key by both":                         {identity: decrypt, key: document(root), request: use, by: []string{"Decrypt", "Root"}},
		"a key without policy leaves it to IAM": {identity: decrypt, request: use, by: []string{"Decrypt", "default key policy"}},
		"a key for the role by name": {
			key:     document(`{"Sid": "ByName", "Effect": "Allow", "Principal": {"AWS": "` + role + `"}, "Action": "kms:Dec*", "Resource": "*"}`),
			request: use, by: []string{"ByName"},
		},

		"a service needs the resource's policy": {request: send, refused: "Service: events.amazonaws.com is not authorized to perform"},
		"a service by the resource's policy":    {queue: sendByRule, request: send, by: []string{"Send"}},
		"a service on behalf of something else": {
			queue: sendByRule,
			request: authz.Request{
				Principal: events, Action: "sqs:SendMessage", Resource: queue,
				Context: map[string][]string{"aws:SourceArn": {ruleARN + "2"}},
			},
			refused: "(Send of queue-policy would, but for its condition ArnEquals aws:SourceArn",
		},
		"another service": {
			queue: sendByRule,
			request: authz.Request{
				Principal: authz.Principal{Service: "s3.amazonaws.com"}, Action: "sqs:SendMessage", Resource: queue, Context: send.Context,
			},
			refused: "no resource-based policy",
		},

		"a role is for the service it trusts": {
			request: authz.Request{
				Principal: authz.Principal{Service: "lambda.amazonaws.com"}, Action: "sts:AssumeRole", Resource: role,
				Context: map[string][]string{"aws:SourceAccount": {"123456789012"}},
			},
			by: []string{"Trust"},
		},
		"acting for that account": {
			request: authz.Request{
				Principal: authz.Principal{Service: "lambda.amazonaws.com"}, Action: "sts:AssumeRole", Resource: role,
				Context: map[string][]string{"aws:SourceAccount": {"999999999999"}},
			},
			refused: "but for its condition StringEquals aws:SourceAccount",
		},
		"and for no other": {
			request: authz.Request{Principal: events, Action: "sts:AssumeRole", Resource: role},
			refused: "no resource-based policy allows the sts:AssumeRole action",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			policies, err := authz.Load(system(test.identity, test.bucket, test.key, test.queue))
			require.NoError(t, err)
			decision := policies.Authorize(test.request)
			if test.refused != "" {
				require.False(t, decision.Allowed)
				require.Empty(t, decision.Grants)
				require.ErrorIs(t, decision.Err(), authz.ErrDenied)
				require.ErrorContains(t, decision.Err(), test.refused)
				require.ErrorContains(t, decision.Err(), test.request.Action)
				return
			}
			require.NoError(t, decision.Err())
			require.Empty(t, decision.Assumed)
			var by []string
			for _, g := range decision.Grants {
				by = append(by, g.Statement)
				require.Contains(t, keys(policies.Grants()), g.Key(), "what allows is among what is granted")
			}
			require.Equal(t, test.by, by)
		})
	}
}

func keys(grants []authz.Grant) []string {
	out := make([]string, len(grants))
	for i, g := range grants {
		out[i] = g.Key()
	}
	return out
}

// A key or queue that was given by its ARN has a policy that nobody here knows.
func TestWhatIsntDeclaredIsAssumedAndSaid(t *testing.T) {
	t.Parallel()
	policies, err := authz.Load(system(decrypt, "", "", ""))
	require.NoError(t, err)
	for _, r := range []authz.Request{
		{Principal: authz.Principal{Role: role}, Action: "kms:Decrypt", Resource: keyARN + "2"},
		{Principal: authz.Principal{Service: "events.amazonaws.com"}, Action: "sqs:SendMessage", Resource: queue + "2"},
	} {
		decision := policies.Authorize(r)
		require.NoError(t, decision.Err())
		require.Contains(t, decision.Assumed, r.Resource)
	}
	require.ErrorIs(t, policies.Authorize(authz.Request{
		Principal: authz.Principal{Role: role}, Action: "sqs:SendMessage", Resource: queue + "2",
	}).Err(), authz.ErrDenied, "a role's own right doesn't depend on it")
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
func TestConditions(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		condition string
		context   map[string][]string
		want      bool
	}{
		"StringEquals":                 {`"StringEquals": {"s3:prefix": ["a", "b"]}`, of("s3:prefix", "b"), true},
		"StringEquals, other case":     {`"StringEquals": {"s3:prefix": "a"}`, of("s3:prefix", "A"), false},
		"StringEquals has no wildcard": {`"StringEquals": {"s3:prefix": "a*"}`, of("s3:prefix", "ab"), false},
		"keys have no case":            {`"StringEquals": {"S3:Prefix": "a"}`, of("s3:prefix", "a"), true},
		"a missing key":                {`"StringEquals": {"s3:prefix": "a"}`, nil, false},
		"an object's tag":              {`"StringEquals": {"s3:ExistingObjectTag/a": "b"}`, of("s3:ExistingObjectTag/a", "b"), true},
		"an object's other tag":        {`"StringNotEquals": {"s3:ExistingObjectTag/a": "b"}`, of("s3:ExistingObjectTag/c", "b"), true},
		"a new tag":                    {`"StringEquals": {"s3:RequestObjectTag/a": "b"}`, of("s3:RequestObjectTag/a", "c"), false},
		"new tags":                     {`"ForAnyValue:StringLike": {"s3:RequestObjectTagKeys": "a*"}`, of("s3:RequestObjectTagKeys", "a"), true},
		"IfExists, missing":            {`"StringEqualsIfExists": {"s3:prefix": "a"}`, nil, true},
		"IfExists, other":              {`"StringEqualsIfExists": {"s3:prefix": "a"}`, of("s3:prefix", "b"), false},
		"StringNotEquals, missing":     {`"StringNotEquals": {"s3:prefix": "a"}`, nil, true},
		"StringNotEquals, one of them": {`"StringNotEquals": {"s3:prefix": ["a", "b"]}`, of("s3:prefix", "b"), false},
		"StringNotEquals, another":     {`"StringNotEquals": {"s3:prefix": ["a", "b"]}`, of("s3:prefix", "c"), true},
		"EqualsIgnoreCase":             {`"StringEqualsIgnoreCase": {"s3:prefix": "a"}`, of("s3:prefix", "A"), true},
		"NotEqualsIgnoreCase":          {`"StringNotEqualsIgnoreCase": {"s3:prefix": "a"}`, of("s3:prefix", "A"), false},
		"StringLike":                   {`"StringLike": {"s3:prefix": "a?c*"}`, of("s3:prefix", "abc/d"), true},
		"StringLike, ? is one":         {`"StringLike": {"s3:prefix": "a?c"}`, of("s3:prefix", "ac"), false},
		"StringNotLike":                {`"StringNotLike": {"s3:prefix": "a*"}`, of("s3:prefix", "b"), true},
		"ArnLike":                      {`"ArnLike": {"aws:SourceArn": "arn:aws:ecs:*:1:*"}`, of(source, "arn:aws:ecs:r:1:task/c:d"), true},
		"ArnLike ends at colons":       {`"ArnLike": {"aws:SourceArn": "arn:*:r:1:task:c"}`, of(source, "arn:aws:ecs:r:1:task:c"), false},
		"ArnEquals takes wildcards":    {`"ArnEquals": {"aws:SourceArn": "arn:aws:ecs:r:1:task/*"}`, of(source, "arn:aws:ecs:r:1:task/c"), true},
		"ArnNotEquals":                 {`"ArnNotEquals": {"aws:SourceArn": "arn:aws:ecs:r:1:t*"}`, of(source, "arn:aws:ecs:r:1:task/c"), false},
		"ArnNotLike, missing":          {`"ArnNotLike": {"aws:SourceArn": "arn:aws:ecs:r:1:*"}`, nil, true},
		"Bool":                         {`"Bool": {"aws:SecureTransport": true}`, nil, true},
		"Bool, false":                  {`"Bool": {"aws:SecureTransport": "false"}`, nil, false},
		"NumericLessThan":              {`"NumericLessThan": {"s3:TlsVersion": "1.2"}`, of("s3:TlsVersion", "1.1"), true},
		"NumericLessThan, equal":       {`"NumericLessThan": {"s3:TlsVersion": 1.2}`, of("s3:TlsVersion", "1.2"), false},
		"NumericLessThanEquals":        {`"NumericLessThanEquals": {"s3:TlsVersion": "1.2"}`, of("s3:TlsVersion", "1.20"), true},
		"NumericGreaterThan":           {`"NumericGreaterThan": {"s3:TlsVersion": "1.2"}`, of("s3:TlsVersion", "1.3"), true},
		"NumericGreaterThanEquals":     {`"NumericGreaterThanEquals": {"s3:TlsVersion": "1.3"}`, of("s3:TlsVersion", "1.2"), false},
		"NumericEquals":                {`"NumericEquals": {"s3:TlsVersion": "1.2"}`, of("s3:TlsVersion", "1.20"), true},
		"NumericNotEquals":             {`"NumericNotEquals": {"s3:TlsVersion": "1.2"}`, of("s3:TlsVersion", "1.2"), false},
		"numbers of no number":         {`"NumericEquals": {"s3:TlsVersion": "1.2"}`, of("s3:TlsVersion", "x"), false},
		"IpAddress":                    {`"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}`, of("aws:SourceIp", "10.1.2.3"), true},
		"IpAddress, one":               {`"IpAddress": {"aws:SourceIp": "10.0.0.1"}`, of("aws:SourceIp", "10.0.0.2"), false},
		"NotIpAddress":                 {`"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}`, of("aws:SourceIp", "11.0.0.1"), true},
		"Null, missing":                {`"Null": {"aws:SourceVpce": "true"}`, nil, true},
		"Null, there":                  {`"Null": {"aws:SourceVpce": "true"}`, of("aws:SourceVpce", "v"), false},
		"Null false, there":            {`"Null": {"aws:SourceVpce": "false"}`, of("aws:SourceVpce", "v"), true},
		"ForAllValues":                 {`"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["a", "b"]}`, of(leading, "a", "b"), true},
		"ForAllValues, one more":       {`"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["a"]}`, of(leading, "a", "b"), false},
		"ForAllValues, missing":        {`"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["a"]}`, nil, true},
		"ForAnyValue":                  {`"ForAnyValue:StringLike": {"dynamodb:LeadingKeys": ["a*"]}`, of(leading, "b", "ab"), true},
		"ForAnyValue, missing":         {`"ForAnyValue:StringLike": {"dynamodb:LeadingKeys": ["a*"]}`, nil, false},
		"ForAnyValue negated":          {`"ForAnyValue:StringNotEquals": {"dynamodb:LeadingKeys": ["a"]}`, of(leading, "a", "b"), true},
		"ForAnyValue negated, missing": {`"ForAnyValue:StringNotEquals": {"dynamodb:LeadingKeys": ["a"]}`, nil, false},
		"ForAllValues negated":         {`"ForAllValues:StringNotEquals": {"dynamodb:LeadingKeys": ["a"]}`, of(leading, "a", "b"), false},
		"all keys of an operator": {
			`"StringEquals": {"s3:prefix": "a", "aws:PrincipalAccount": "123456789012"}`, of("s3:prefix", "a"), true,
		},
		"all operators": {
			`"StringEquals": {"s3:prefix": "a"}, "Null": {"aws:SourceVpce": "false"}`, of("s3:prefix", "a"), false,
		},
		"the principal":          {`"ArnEquals": {"aws:PrincipalArn": "` + role + `"}`, nil, true},
		"an encryption context":  {`"StringEquals": {"kms:EncryptionContext:aws:logs:arn": "x"}`, of(logGroup, "x"), true},
		"the kind of principal":  {`"Bool": {"aws:PrincipalIsAWSService": "false"}`, nil, true},
		"nothing but wildcards":  {`"StringLike": {"s3:prefix": "**"}`, of("s3:prefix", ""), true},
		"a wildcard comes again": {`"StringLike": {"s3:prefix": "*ab*c"}`, of("s3:prefix", "aababc"), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			policies, err := authz.Load(system(
				`{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", "Condition": {`+test.condition+`}}`, "", "", ""))
			require.NoError(t, err)
			decision := policies.Authorize(authz.Request{
				Principal: authz.Principal{Role: role}, Action: "s3:GetObject", Resource: object, Context: test.context,
			})
			require.Equal(t, test.want, decision.Allowed, decision.Reason)
		})
	}
}

const (
	leading  = "dynamodb:LeadingKeys"
	source   = "aws:SourceArn"
	logGroup = "kms:EncryptionContext:aws:logs:arn"
)

func of(key string, values ...string) map[string][]string { return map[string][]string{key: values} }

// Half a policy is no policy: what isn't known is refused, and named.
func TestUnknownPartsAreErrors(t *testing.T) {
	t.Parallel()
	statement := func(more string) string { return document(`{"Sid": "S", "Effect": "Allow", ` + more + `}`) }
	when := func(operator, key, value string) string {
		return statement(`"Action": "s3:*", "Resource": "*", "Condition": {"` + operator + `": {"` + key + `": ` + value + `}}`)
	}
	for name, test := range map[string]struct{ document, names string }{
		"no JSON":              {`{`, "unexpected end"},
		"an element":           {`{"Version": "2012-10-17", "Statement": [], "Else": 1}`, "Else"},
		"an old version":       {`{"Version": "2008-10-17", "Statement": []}`, "Version must be 2012-10-17"},
		"no version":           {`{"Statement": []}`, "Version must be 2012-10-17"},
		"a statement's":        {statement(`"Action": "s3:*", "Resource": "*", "Extra": 1`), "S: wrong element: Extra"},
		"a principal":          {statement(`"Action": "s3:*", "Resource": "*", "Principal": "*"`), "Principal"},
		"no action":            {statement(`"Resource": "*"`), "Action"},
		"both actions":         {statement(`"Action": "s3:*", "NotAction": "s3:*", "Resource": "*"`), "one of Action and NotAction"},
		"a malformed action":   {statement(`"Action": "GetObject", "Resource": "*"`), `"GetObject"`},
		"an effect":            {document(`{"Effect": "Maybe", "Action": "s3:*", "Resource": "*"}`), "Maybe"},
		"no resource":          {statement(`"Action": "s3:*"`), "Resource"},
		"a resource":           {statement(`"Action": "s3:*", "Resource": "uploads"`), `"uploads"`},
		"a variable":           {statement(`"Action": "s3:*", "Resource": "arn:aws:s3:::${aws:username}"`), "variables"},
		"an operator":          {when("DateLessThan", "s3:prefix", `"x"`), "DateLessThan"},
		"a quantifier":         {when("ForSomeValues:StringLike", "s3:prefix", `"x"`), "ForSomeValues"},
		"a key":                {when("StringLike", "s3:colour", `"x"`), "s3:colour"},
		"a key without a name": {when("StringLike", "kms:EncryptionContext:", `"x"`), "kms:EncryptionContext:"},
		"no value":             {when("StringLike", "s3:prefix", `[]`), "has none"},
		"a value's variable":   {when("StringLike", "s3:prefix", `"${a}"`), "variables"},
		"no truth value":       {when("Bool", "aws:SecureTransport", `"no"`), `"no"`},
		"no number":            {when("NumericEquals", "s3:TlsVersion", `"one"`), `"one"`},
		"no range":             {when("IpAddress", "aws:SourceIp", `"10.0.0.0/99"`), "10.0.0.0/99"},
		"no ARN":               {when("ArnLike", "aws:SourceArn", `"rule"`), `"rule"`},
		"no null":              {when("Null", "aws:SourceVpce", `"x"`), `"x"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := system("", "", "", "")
			s.Resources = append(s.Resources, resource("aws:iam/rolePolicy:RolePolicy", "identity", "i",
				map[string]any{"role": "reader", "policy": test.document}, nil))
			_, err := authz.Load(s)
			require.ErrorIs(t, err, authz.ErrPolicy)
			require.ErrorContains(t, err, test.names)
			require.ErrorContains(t, err, "identity")
		})
	}
}

// A user's own policy may be finer than what can be judged here.
func TestWhatCantBeJudgedOfAUsersPolicyIsAssumedAndSaid(t *testing.T) {
	t.Parallel()
	statement := func(effect, resource, condition string) string {
		return fmt.Sprintf(`{"Sid": "A", "Effect": %q, "Action": "s3:GetObject", "Resource": %q, "Condition": {%s}}`, effect, resource, condition)
	}
	const tag, tls, noTLS = `"StringEquals": {"aws:ResourceTag/team": "x"}`, `"Bool": {"aws:SecureTransport": "true"}`,
		`"Bool": {"aws:SecureTransport": "false"}`
	const heldTag = "permissions[0].Condition StringEquals aws:ResourceTag/team"
	const took = " can't be judged here: the statement is taken to hold"
	for name, test := range map[string]struct {
		beside, own string
		want        bool
		assumed     string
		notes       []string
	}{
		"a key":                                  {"", statement("Allow", "*", tag), true, heldTag + " holds", []string{heldTag + took}},
		"a key beside one that holds":            {"", statement("Allow", "*", tag+", "+tls), true, heldTag + " holds", []string{heldTag + took}},
		"a key beside one that doesn't":          {"", statement("Allow", "*", tag+", "+noTLS), false, "", []string{heldTag + took}},
		"a key of a statement that isn't needed": {readAll, statement("Allow", "*", tag), true, "", []string{heldTag + took}},
		"a key of another service":               {"", statement("Allow", "arn:aws:s3:::other/*", tag), false, "", []string{heldTag + took}},
		"an operator": {
			"", statement("Allow", "*", `"DateLessThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"}`), true,
			"permissions[0].Condition DateLessThan aws:CurrentTime holds",
			[]string{"permissions[0].Condition DateLessThan aws:CurrentTime" + took},
		},
		"a value's variable": {
			"", statement("Allow", "*", `"StringLike": {"s3:prefix": "${aws:username}/*"}`), true,
			"permissions[0].Condition StringLike s3:prefix holds", []string{"permissions[0].Condition StringLike s3:prefix" + took},
		},
		"a resource's variable": {
			"", statement("Allow", "arn:aws:s3:::${aws:PrincipalTag/team}/*", tls), true,
			"permissions[0].Resource arn:aws:s3:::${aws:PrincipalTag/team}/* holds",
			[]string{"permissions[0].Resource arn:aws:s3:::${aws:PrincipalTag/team}/*" + took},
		},
		"a Deny": {
			readAll, statement("Deny", "*", tag), true, "",
			[]string{heldTag + " can't be judged here: the statement denies nothing here, and does in AWS"},
		},
		"a Deny that can be judged": {readAll, statement("Deny", "*", tls), false, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := system(test.beside, "", "", "")
			for _, name := range []string{"a-permissions", "b-permissions"} {
				s.Resources = append(s.Resources, resource("aws:iam/rolePolicy:RolePolicy", name, name,
					map[string]any{"role": "reader", "policy": document(test.own)}, nil))
			}
			policies, err := authz.LoadWith(s, authz.Options{Shown: func(policy string) string {
				if strings.HasSuffix(policy, "-permissions") {
					return "permissions"
				}
				return ""
			}})
			require.NoError(t, err)
			require.Equal(t, test.notes, policies.Notes())
			decision := policies.Authorize(authz.Request{
				Principal: authz.Principal{Role: role}, Action: "s3:GetObject", Resource: object,
			})
			require.Equal(t, test.want, decision.Allowed, decision.Reason)
			require.Equal(t, test.assumed, decision.Assumed)
		})
	}
}

func TestUnknownHoldersAreErrors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		add   declared.Resource
		names string
	}{
		"a type of policy": {resource("aws:lambda/layerVersionPermission:LayerVersionPermission", "p", "p", nil, nil), "Permission p"},
		"another account": {resource("aws:lambda/permission:Permission", "p", "p", map[string]any{
			"sourceAccount": "1",
		}, nil), "sourceAccount"},
		"a function of nobody": {resource("aws:lambda/permission:Permission", "p", "p", map[string]any{"function": "other"}, nil), "other"},
		"an inline policy":     {resource("aws:glacier/vault:Vault", "v", "v", map[string]any{"policy": "{}"}, nil), "aws:glacier/vault:Vault v"},
		"an IAM resource":      {resource("aws:iam/user:User", "u", "u", nil, nil), "aws:iam/user:User u"},
		"a managed policy": {resource("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "a", "a", map[string]any{
			"role": "reader", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess",
		}, nil), "arn:aws:iam::aws:policy/AdministratorAccess"},
		"a role's boundary": {resource("aws:iam/role:Role", "r", "r", map[string]any{
			"assumeRolePolicy": document(""), "permissionsBoundary": "arn:aws:iam::aws:policy/X",
		}, nil), "permissionsBoundary"},
		"somebody else's role": {resource("aws:iam/rolePolicy:RolePolicy", "p", "p", map[string]any{
			"role": "other", "policy": document(readAll),
		}, nil), "other"},
		"a policy of nothing": {resource("aws:sqs/queuePolicy:QueuePolicy", "p", "p", map[string]any{
			"queueUrl": "v", "policy": document(sendByRule),
		}, nil), "p"},
		"a principal of another kind": {resource("aws:sqs/queuePolicy:QueuePolicy", "p", "p", map[string]any{
			"queueUrl": "u", "policy": document(`{"Effect": "Allow", "Principal": {"Federated": "x"}, "Action": "sqs:*", "Resource": "*"}`),
		}, nil), "Federated"},
		"a principal with a wildcard": {resource("aws:sqs/queuePolicy:QueuePolicy", "p", "p", map[string]any{
			"queueUrl": "u", "policy": document(`{"Effect": "Allow",
				"Principal": {"AWS": "arn:aws:iam::123456789012:role/*"}, "Action": "sqs:*", "Resource": "*"}`),
		}, nil), "role/*"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := system(readAll, "", "", "")
			s.Resources = append(s.Resources, test.add)
			_, err := authz.Load(s)
			require.ErrorContains(t, err, test.names)
		})
	}
}

// A permission of Lambda's is a statement of the function's policy.
func TestPermissions(t *testing.T) {
	t.Parallel()
	const function, next = "arn:aws:lambda:eu-central-1:123456789012:function:sweep", "arn:aws:lambda:eu-central-1:123456789012:function:next"
	s := system("", "", "", "")
	for name, arn := range map[string]string{"sweep": function, "next": next} {
		s.Resources = append(s.Resources, resource("aws:lambda/function:Function", name, name, nil, map[string]any{"arn": arn, "name": name}))
	}
	s.Resources = append(s.Resources, resource("aws:lambda/permission:Permission", "invoke", "ByRule", map[string]any{
		"action": "lambda:InvokeFunction", "function": "sweep", "principal": "events.amazonaws.com", "sourceArn": ruleARN,
	}, map[string]any{"statementId": "ByRule"}))
	policies, err := authz.Load(s)
	require.NoError(t, err)
	require.Contains(t, policies.Grants(), authz.Grant{
		Policy: "invoke", Owner: function, Statement: "ByRule", Principal: "events.amazonaws.com",
		Action: "lambda:InvokeFunction", Resource: function, Conditions: []authz.Condition{{"ArnLike", "aws:SourceArn", []string{ruleARN}}},
	})
	for name, test := range map[string]struct {
		service, function, source string
		allowed                   bool
	}{
		"the rule":         {"events.amazonaws.com", function, ruleARN, true},
		"another rule":     {"events.amazonaws.com", function, ruleARN + "-2", false},
		"another function": {"events.amazonaws.com", next, ruleARN, false},
		"another service":  {"s3.amazonaws.com", function, ruleARN, false},
	} {
		require.Equal(t, test.allowed, policies.Authorize(authz.Request{
			Principal: authz.Principal{Service: test.service}, Action: "lambda:InvokeFunction", Resource: test.function,
			Context: map[string][]string{"aws:SourceArn": {test.source}},
		}).Allowed, name)
	}
}

// A declared managed policy counts as the role's own.
func TestAttachedPolicies(t *testing.T) {
	t.Parallel()
	const managed = "arn:aws:iam::123456789012:policy/read"
	s := system("", "", "", "")
	s.Resources = append(s.Resources,
		resource("aws:iam/policy:Policy", "managed", "m", map[string]any{"policy": document(readAll)}, map[string]any{"arn": managed}),
		resource("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "a", "a", map[string]any{"role": "reader", "policyArn": managed}, nil))
	policies, err := authz.Load(s)
	require.NoError(t, err)
	require.NoError(t, policies.Authorize(authz.Request{
		Principal: authz.Principal{Role: role}, Action: "s3:GetObject", Resource: object,
	}).Err())
}

// What goes through a VPC endpoint must be allowed by its policy too.
func TestEndpoints(t *testing.T) {
	t.Parallel()
	statement := func(effect, principal, action, resource string) string {
		return document(fmt.Sprintf(`{"Sid": "E", "Effect": %q, "Principal": %s, "Action": %q, "Resource": %q}`,
			effect, principal, action, resource))
	}
	for name, test := range map[string]struct {
		policy  any
		through string
		refused string
	}{
		"without policy": {nil, "vpce-1", ""},
		"allowed": {
			statement("Allow", `"*"`, "s3:GetObject", "arn:aws:s3:::uploads/*"),
			"vpce-1", "",
		},
		"for the account": {
			statement("Allow", `{"AWS": "123456789012"}`, "s3:*", "*"),
			"vpce-1", "",
		},
		"not allowed": {
			statement("Allow", `"*"`, "s3:PutObject", "*"),
			"vpce-1", "no VPC endpoint policy allows",
		},
		"denied": {
			statement("Deny", `"*"`, "*", "*"),
			"vpce-1", "explicit deny in a VPC endpoint policy",
		},
		"not through it": {
			statement("Deny", `"*"`, "*", "*"),
			"", "explicit deny in a resource-based policy: Pin",
		},
		"one that isn't one": {nil, "vpce-2", "vpce-2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := system(readAll, `{"Sid": "Pin", "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "*",
				"Condition": {"StringNotEquals": {"aws:SourceVpce": ["vpce-1", "vpce-2"]}}}`, "", "")
			s.Resources = append(s.Resources, resource("aws:ec2/vpcEndpoint:VpcEndpoint", "e", "vpce-1", map[string]any{
				"policy": test.policy, "serviceName": "com.amazonaws.eu-central-1.s3", "vpcId": "vpc-1",
			}, nil))
			policies, err := authz.Load(s)
			require.NoError(t, err)
			require.Equal(t, "vpce-1", policies.Endpoint("s3"))
			require.Empty(t, policies.Endpoint("logs"))
			decision := policies.Authorize(authz.Request{
				Principal: authz.Principal{Role: role}, Action: "s3:GetObject", Resource: object, Endpoint: test.through,
				Context: map[string][]string{},
			})
			if test.refused == "" {
				require.NoError(t, decision.Err())
				return
			}
			require.ErrorContains(t, decision.Err(), test.refused)
		})
	}
}

// The list of grants is what the tests of least privilege go by.
func TestGrantsListsEveryAllow(t *testing.T) {
	t.Parallel()
	policies, err := authz.Load(system(
		`{"Sid": "Many", "Effect": "Allow", "Action": ["s3:GetObject", "s3:GetObjectVersion"],
		"Resource": ["arn:aws:s3:::a/*", "arn:aws:s3:::b/*"]}`,
		denyNoTLS, "", sendByRule))
	require.NoError(t, err)
	var lines []string
	for _, g := range policies.Grants() {
		lines = append(lines, g.String())
	}
	require.Equal(t, []string{
		"role: Trust: Allow sts:AssumeRole for lambda.amazonaws.com",
		"key: default key policy: Allow kms:* on * for arn:aws:iam::123456789012:root",
		"queue-policy: Send: Allow sqs:SendMessage on " + queue + " for events.amazonaws.com",
		"identity: Many: Allow s3:GetObject on arn:aws:s3:::a/*",
		"identity: Many: Allow s3:GetObject on arn:aws:s3:::b/*",
		"identity: Many: Allow s3:GetObjectVersion on arn:aws:s3:::a/*",
		"identity: Many: Allow s3:GetObjectVersion on arn:aws:s3:::b/*",
	}, lines)
}
