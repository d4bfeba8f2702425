package settings_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/settings"
)

func TestEnvironment(t *testing.T) {
	t.Parallel()
	require.Equal(t, map[string]string{"LOG_LEVEL": "info", "Retries": "3", "DRY_RUN": "true", "EMPTY": ""},
		mustLoad(t, config{"environment": `{"LOG_LEVEL":"info","Retries":3,"DRY_RUN":true,"EMPTY":""}`}).Environment)
	one := func(name string) string { return fmt.Sprintf(`{%q:"x"}`, name) }
	value := func(length int) string { return fmt.Sprintf(`{"NAME":%q}`, strings.Repeat("x", length)) }
	const around = len(`{"NAME":""}`)
	rules := []rule{
		{"", ""}, {"{}", ""}, {one("LOG_LEVEL"), ""}, {one("A1"), ""}, {one("path"), ""}, {one("MY_AWS_ROLE"), ""}, {one("UPLOADS"), ""},
		{value(3072 - around), ""}, {value(3073 - around), "at most 3072 bytes as JSON, with outputPrefix"},
		{`{"NAME":"` + "\\u0000" + `"}`, "without a zero byte"}, {`{"NAME":null}`, "must be a string"}, {`{"NAME":["x"]}`, "must be a string"},
		{"[]", "must be an object"}, {"LOG_LEVEL=info", "must be an object"}, {`{"NAME":"a","NAME":"b"}`, "has NAME twice"},
	}
	for _, name := range []string{"", "A", "1A", "_A", "A-B", "A B", "Ä1", "A.B", "_HANDLER", "_X_AMZN_TRACE_ID"} {
		rules = append(rules, rule{one(name), "which is what Lambda takes"})
	}
	for _, name := range []string{"UPLOAD_BUCKET", "upload_bucket", "AWS_REGION", "LAMBDA_TASK_ROOT", "ECS_X", "TASK_TOKEN_ENV_VARIABLE"} {
		rules = append(rules, rule{one(name), "which is for those that AWS and the stack set"})
	}
	for _, row := range rules {
		t.Run(row.value[:min(40, len(row.value))], func(t *testing.T) {
			t.Parallel()
			problems := problemsOf(t, config{"environment": row.value})
			if row.want == "" {
				require.Empty(t, problems)
				return
			}
			require.Len(t, problems, 1)
			assert.Equal(t, "environment", settings.RootOf(problems[0].Key))
			assert.Contains(t, problems[0].Rule, row.want)
		})
	}
}

// What Lambda measures has the prefix of the outputs in it.
func TestAPrefixLeavesLessForVariables(t *testing.T) {
	t.Parallel()
	base := config{"outputBucket": "create", "outputPrefix": strings.Repeat("a", 512)}
	most := fmt.Sprintf(`{"NAME":%q}`, strings.Repeat("x", 3072-512-len(`{"NAME":""}`)))
	require.Empty(t, problemsOf(t, base.with("environment", most)))
	require.Len(t, problemsOf(t, base.with("environment", strings.Replace(most, "x", "xx", 1))), 1)
}

// statement is one that is valid, with other elements.
func statement(elements string) string {
	if elements != "" {
		elements = "," + elements
	}
	return `{"Sid":"ReadModels","Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::models/*"` + elements + `}`
}

func TestPermissions(t *testing.T) {
	t.Parallel()
	loaded := mustLoad(t, config{"permissions": "[" +
		statement(`"Condition":{"StringEquals":{"aws:ResourceAccount":["1","2"],"s3:prefix":"a"}}`) +
		`,{"Sid":"NoDelete","Effect":"Deny","Action":["s3:Delete*","s3:Put*"],"Resource":["*"]}]`})
	require.Equal(t, []settings.Permission{
		{
			Sid: "ReadModels", Effect: "Allow", Action: []string{"s3:GetObject"}, Resource: []string{"arn:aws:s3:::models/*"},
			Condition: map[string]map[string][]string{"StringEquals": {"aws:ResourceAccount": {"1", "2"}, "s3:prefix": {"a"}}},
		},
		{Sid: "NoDelete", Effect: "Deny", Action: []string{"s3:Delete*", "s3:Put*"}, Resource: []string{"*"}},
	}, loaded.Permissions)
	require.JSONEq(t, `{"Version":"2012-10-17","Statement":[
		{"Sid":"ReadModels","Effect":"Allow","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::models/*"],
		 "Condition":{"StringEquals":{"aws:ResourceAccount":["1","2"],"s3:prefix":["a"]}}},
		{"Sid":"NoDelete","Effect":"Deny","Action":["s3:Delete*","s3:Put*"],"Resource":["*"]}]}`, loaded.PermissionsPolicy())
	require.Empty(t, mustLoad(t, config{}).PermissionsPolicy())
}

func TestPermissionsThatAreRefused(t *testing.T) {
	t.Parallel()
	with := func(element, value string) string {
		elements := map[string]string{
			"Sid": `"A"`, "Effect": `"Allow"`, "Action": `"s3:GetObject"`, "Resource": `"arn:aws:s3:::models/*"`,
		}
		elements[element] = value
		var parts []string
		for name, text := range elements {
			if text != "" {
				parts = append(parts, fmt.Sprintf("%q:%s", name, text))
			}
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	sts := func(action, resource string) string {
		return fmt.Sprintf(`{"Sid":"A","Effect":"Allow","Action":%q,"Resource":%q}`, action, resource)
	}
	long := `"arn:aws:s3:::` + strings.Repeat("a", 6144) + `"`
	for statements, want := range map[string]struct{ key, rule string }{
		`{}`:               {"permissions", "must be a list of objects"},
		`["s3:GetObject"]`: {"permissions[0]", "must be an object with Sid, Effect, Action, Resource, Condition"},
		"[" + statement("") + "," + statement("") + "]":         {"permissions[1].Sid", "is the Sid of permissions[0], too"},
		"[" + with("Sid", "") + "]":                             {"permissions[0].Sid", "must be letters and digits"},
		"[" + with("Sid", `"a b"`) + "]":                        {"permissions[0].Sid", "must be letters and digits"},
		"[" + with("Effect", `"allow"`) + "]":                   {"permissions[0].Effect", "must be Allow or Deny"},
		"[" + with("Action", "") + "]":                          {"permissions[0].Action", "a list of one or more"},
		"[" + with("Action", "[]") + "]":                        {"permissions[0].Action", "a list of one or more"},
		"[" + with("Action", `[["s3:GetObject"]]`) + "]":        {"permissions[0].Action", "a list of one or more"},
		"[" + with("Action", `"*"`) + "]":                       {"permissions[0].Action", "with the service in front, not *"},
		"[" + with("Action", `"GetObject"`) + "]":               {"permissions[0].Action", "with the service in front"},
		"[" + with("Resource", "") + "]":                        {"permissions[0].Resource", "a list of one or more"},
		"[" + with("Resource", `"models"`) + "]":                {"permissions[0].Resource", "must be ARNs, or *"},
		"[" + with("NotAction", `"s3:*"`) + "]":                 {"permissions[0].NotAction", "what will be added to AWS"},
		"[" + with("NotResource", `"*"`) + "]":                  {"permissions[0].NotResource", "what will be added to AWS"},
		"[" + with("Principal", `"*"`) + "]":                    {"permissions[0].Principal", "for the processors' roles"},
		"[" + with("Actions", `"s3:GetObject"`) + "]":           {"permissions[0].Actions", "did you mean Action?"},
		"[" + with("Condition", `{}`) + "]":                     {"permissions[0].Condition", "must be an object of condition operators"},
		"[" + with("Condition", `{"equals":{"a:b":"c"}}`) + "]": {"permissions[0].Condition", "operators of IAM, such as StringEquals"},
		"[" + with("Condition", `{"StringEqual":{"a:b":"c"}}`) + "]": {
			"permissions[0].Condition", "which StringEqual isn't, did you mean StringEquals?",
		},
		"[" + with("Condition", `{"ForAnyValue:StringLikesIfExists":{"a:b":"c"}}`) + "]": {
			"permissions[0].Condition", "did you mean ForAnyValue:StringLikeIfExists?",
		},
		"[" + with("Condition", `{"ForSomeValues:StringLike":{"a:b":"c"}}`) + "]": {
			"permissions[0].Condition", "ForAllValues: or ForAnyValue:",
		},
		"[" + with("Condition", `{"NullIfExists":{"a:b":"true"}}`) + "]": {"permissions[0].Condition", "did you mean Null?"},
		"[" + with("Condition", `{"Bool":{}}`) + "]":                     {"permissions[0].Condition", "aws:ResourceTag/team for Bool"},
		"[" + with("Condition", `{"StringEquals":{"b":"c"}}`) + "]":      {"permissions[0].Condition", "condition keys such as"},
		"[" + with("Condition", `{"Bool":{"a:b":[]}}`) + "]":             {"permissions[0].Condition", "a list of one or more"},
		"[" + sts("iam:PassRole", "arn:aws:iam::1:role/a") + "]":         {"permissions[0].Action", "must not allow actions of iam"},
		"[" + sts("organizations:LeaveOrganization", "*") + "]":          {"permissions[0].Action", "must not allow actions of organizations"},
		"[" + sts("sts:AssumeRole", "*") + "]":                           {"permissions[0].Action", "by their whole ARN only"},
		"[" + sts("sts:*", "arn:aws:iam::1:role/a*") + "]":               {"permissions[0].Action", "by their whole ARN only"},
		"[" + with("Resource", long) + "]":                               {"permissions", "at most 6144 characters"},
	} {
		t.Run(statements[:min(60, len(statements))], func(t *testing.T) {
			t.Parallel()
			problems := problemsOf(t, config{"permissions": statements})
			require.Len(t, problems, 1)
			assert.Equal(t, want.key, problems[0].Key)
			assert.Contains(t, problems[0].Rule, want.rule)
		})
	}
	for _, fine := range []string{
		sts("sts:AssumeRole", "arn:aws:iam::123456789012:role/reader"), sts("sts:GetCallerIdentity", "*"),
		`{"Sid":"A","Effect":"Deny","Action":"iam:*","Resource":"*"}`,
		with("Condition", `{"ForAllValues:StringNotLikeIfExists":{"a:b":"c"},"DateLessThan":{"aws:CurrentTime":"2030-01-01T00:00:00Z"}}`),
		with("Condition", `{"Null":{"a:b":"true"},"BinaryEquals":{"a:b":"QmluYXJ5"},"ForAnyValue:ArnLike":{"a:b":"arn:aws:s3:::a"}}`),
	} {
		require.Empty(t, problemsOf(t, config{"permissions": "[" + fine + "]"}), fine)
	}
}

func TestPermissionsWorthAWord(t *testing.T) {
	t.Parallel()
	const broad, unreachable = "has no condition", "reaches S3 and DynamoDB alone"
	for statement, want := range map[string]string{
		statement(""): "",
		`{"Sid":"A","Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::models/*"}`:                                          broad,
		`{"Sid":"A","Effect":"Allow","Action":"s3:GetObject","Resource":"*"}`:                                                      broad,
		`{"Sid":"A","Effect":"Allow","Action":"s3:GetObject","Resource":"*","Condition":{"Bool":{"aws:ViaAWSService":"true"}}}`:    "",
		`{"Sid":"A","Effect":"Deny","Action":"s3:*","Resource":"*"}`:                                                               "",
		`{"Sid":"A","Effect":"Allow","Action":"sqs:SendMessage","Resource":"arn:aws:sqs:eu-central-1:123456789012:q"}`:             unreachable,
		`{"Sid":"A","Effect":"Deny","Action":"sqs:SendMessage","Resource":"arn:aws:sqs:eu-central-1:123456789012:q"}`:              "",
		`{"Sid":"A","Effect":"Allow","Action":"dynamodb:GetItem","Resource":"arn:aws:dynamodb:eu-central-1:123456789012:table/t"}`: "",
	} {
		var said []string
		for _, w := range mustLoad(t, config{"network": "private", "permissions": "[" + statement + "]"}).Warnings() {
			if w.Key == "permissions" {
				said = append(said, w.Text)
			}
		}
		if want == "" {
			require.Empty(t, said, statement)
			continue
		}
		require.Len(t, said, 1, statement)
		require.Contains(t, said[0], want)
	}
}
