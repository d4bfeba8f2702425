package stack_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/declared/declaredtest"
)

// ofOthers are two statements: of a service with an endpoint in a private network, and of none; and one that takes away.
const ofOthers = `[
	{"Sid":"ReadModels","Effect":"Allow","Action":["s3:GetObject","sqs:SendMessage"],"Resource":"arn:aws:s3:::models/*",
	 "Condition":{"StringEquals":{"aws:ResourceAccount":"123456789012"}}},
	{"Sid":"Queue","Effect":"Allow","Action":"sqs:SendMessage","Resource":"arn:aws:sqs:eu-central-1:123456789012:q"},
	{"Sid":"NoModels","Effect":"Deny","Action":"s3:GetObject","Resource":"arn:aws:s3:::models/secret"}]`

func TestBothProcessorsHaveTheirVariables(t *testing.T) {
	t.Parallel()
	plainFunction, plainTask := processors(t, declare(t, nil))
	plain := map[string]map[string]any{"function": plainFunction, "task": plainTask}
	function, task := processors(t, declare(t, config{"environment": `{"LOG_LEVEL":"debug","RETRIES":3}`}))
	for name, environment := range map[string]map[string]any{"function": function, "task": task} {
		require.Len(t, environment, len(plain[name])+2, name)
		require.Equal(t, "debug", environment["LOG_LEVEL"], name)
		require.Equal(t, "3", environment["RETRIES"], name)
	}
}

// The sweep is none of the processors: it has neither their variables nor their permissions.
func TestTheSweepHasNothingOfTheProcessors(t *testing.T) {
	t.Parallel()
	system := declare(t, config{"environment": `{"LOG_LEVEL":"debug"}`, "outputBucket": "create", "permissions": ofOthers})
	require.Equal(t, declaredtest.Named(t, declare(t, nil), typeFunction, "upload-router-local-sweep").Object("environment")["variables"],
		declaredtest.Named(t, system, typeFunction, "upload-router-local-sweep").Object("environment")["variables"])
	for _, p := range system.OfType(typePolicy) {
		require.False(t, strings.Contains(p.Name, "sweep-permissions") || strings.Contains(p.Name, "sweep-output"), p.Name)
	}
}

func TestPermissionsAreAPolicyOfTheirOwn(t *testing.T) {
	t.Parallel()
	system := declare(t, config{"permissions": ofOthers})
	want := `{"Version":"2012-10-17","Statement":[
		{"Sid":"ReadModels","Effect":"Allow","Action":["s3:GetObject","sqs:SendMessage"],"Resource":["arn:aws:s3:::models/*"],
		 "Condition":{"StringEquals":{"aws:ResourceAccount":["123456789012"]}}},
		{"Sid":"Queue","Effect":"Allow","Action":["sqs:SendMessage"],"Resource":["arn:aws:sqs:eu-central-1:123456789012:q"]},
		{"Sid":"NoModels","Effect":"Deny","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::models/secret"]}]}`
	for who, user := range map[string]string{"function": typeFunction, "task": typeDefinition} {
		policy := declaredtest.Named(t, system, typePolicy, "upload-router-local-"+who+"-permissions")
		require.JSONEq(t, want, policy.Text("policy"))
		require.Equal(t, declaredtest.Named(t, system, typeRole, "upload-router-local-"+who+"-role").Outputs["name"], policy.Text("role"))
		for _, r := range system.OfType(user) {
			if !strings.HasSuffix(r.Name, "-sweep") {
				declaredtest.RequireDependsOn(t, r, policy)
			}
		}
	}
	function, task := processors(t, system)
	require.Equal(t, "true", function["UPLOAD_PROGRAM_CREDENTIALS"])
	require.Equal(t, "true", task["UPLOAD_PROGRAM_CREDENTIALS"])
	function, _ = processors(t, declare(t, nil))
	require.NotContains(t, function, "UPLOAD_PROGRAM_CREDENTIALS")
}

// A program of an image has /tmp to itself; a processor in Go has no program.
func TestTheFolderOfAProgram(t *testing.T) {
	t.Parallel()
	const folder = "UPLOAD_PROGRAM_FOLDER"
	_, task := processors(t, declare(t, config{"image": givenImage}))
	require.Equal(t, "/tmp", task[folder])
	function, task := processors(t, declare(t, nil))
	require.NotContains(t, function, folder)
	require.NotContains(t, task, folder)
}

// What is allowed passes the endpoints that there are, for the task alone.
func TestPermissionsPassTheEndpoints(t *testing.T) {
	t.Parallel()
	system := declare(t, config{"network": "private", "permissions": ofOthers})
	role, _ := declaredtest.Named(t, system, typeRole, "upload-router-local-task-role").Outputs["arn"].(string)
	s3 := declaredtest.Named(t, system, typeEndpoint, "upload-router-local-endpoints-s3").Text("policy")
	require.Contains(t, s3, `{"Action":["s3:GetObject"],"Condition":{"ArnEquals":{"aws:PrincipalArn":["`+role+`"]},`+
		`"StringEquals":{"aws:ResourceAccount":["123456789012"]}},"Effect":"Allow","Principal":"*","Resource":["arn:aws:s3:::models/*"],`+
		`"Sid":"PermissionsReadModels"}`)
	require.NotContains(t, s3, "sqs:")
	require.NotContains(t, s3, "Deny")
	require.NotContains(t, declaredtest.Named(t, system, typeEndpoint, "upload-router-local-endpoints-dynamodb").Text("policy"), "Permissions")
}

const (
	secretARN    = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-a1b2c3"
	parameterARN = "arn:aws:ssm:eu-central-1:123456789012:parameter/token"
	bothSecrets  = `{"PASSWORD":"` + secretARN + `","TOKEN":"` + parameterARN + `"}`
)

// Both roles may read these, and have them decrypted with these keys; nothing but their ARNs is declared.
func TestProcessorsReadTheirSecrets(t *testing.T) {
	t.Parallel()
	system := declare(t, config{"secrets": bothSecrets, "secretKmsKeyArns": `["` + givenKey + `"]`})
	want := `{"Version":"2012-10-17","Statement":[
		{"Sid":"ReadSecrets","Effect":"Allow","Action":["secretsmanager:GetSecretValue"],"Resource":["` + secretARN + `"]},
		{"Sid":"DecryptSecrets","Effect":"Allow","Action":["kms:Decrypt"],"Resource":["` + givenKey + `"],"Condition":{"StringEquals":{
			"kms:ViaService":["secretsmanager.eu-central-1.amazonaws.com"],"kms:EncryptionContext:SecretARN":["` + secretARN + `"]}}},
		{"Sid":"ReadParameters","Effect":"Allow","Action":["ssm:GetParameter"],"Resource":["` + parameterARN + `"]},
		{"Sid":"DecryptParameters","Effect":"Allow","Action":["kms:Decrypt"],"Resource":["` + givenKey + `"],"Condition":{"StringEquals":{
			"kms:ViaService":["ssm.eu-central-1.amazonaws.com"],"kms:EncryptionContext:PARAMETER_ARN":["` + parameterARN + `"]}}}]}`
	for _, who := range []string{"function", "task"} {
		require.JSONEq(t, want, declaredtest.Named(t, system, typePolicy, "upload-router-local-"+who+"-secrets").Text("policy"))
	}
	function, task := processors(t, system)
	require.JSONEq(t, bothSecrets, function["UPLOAD_SECRETS"].(string))
	require.Equal(t, function["UPLOAD_SECRETS"], task["UPLOAD_SECRETS"])
}

// A private network has an endpoint of each service that keeps one.
func TestSecretsPassTheirEndpoints(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		secrets string
		want    map[string]string
	}{
		"none":        {"{}", map[string]string{"secretsmanager": "", "ssm": ""}},
		"a secret":    {`{"PASSWORD":"` + secretARN + `"}`, map[string]string{"secretsmanager": "secretsmanager:GetSecretValue", "ssm": ""}},
		"a parameter": {`{"TOKEN":"` + parameterARN + `"}`, map[string]string{"secretsmanager": "", "ssm": "ssm:GetParameter"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			system := declare(t, config{"network": "private", "secrets": c.secrets})
			got := map[string]string{"secretsmanager": "", "ssm": ""}
			for _, e := range system.OfType(typeEndpoint) {
				service := strings.TrimPrefix(e.Text("serviceName"), "com.amazonaws.eu-central-1.")
				if action, ours := c.want[service]; ours {
					require.Contains(t, e.Text("policy"), `"`+action+`"`)
					require.Contains(t, e.Text("policy"), "aws:PrincipalArn")
					got[service] = action
				}
			}
			require.Equal(t, c.want, got)
		})
	}
}
