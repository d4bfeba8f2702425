package stack_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/declared/declaredtest"
)

// Both processors are told to tag, and the sweep isn't.
func TestProcessorsAreToldToTag(t *testing.T) {
	t.Parallel()
	const variable = "UPLOAD_TAG_UPLOADS"
	for _, value := range []string{"none", "status", "quarantine"} {
		system := declare(t, config{"tagUploads": value})
		function, task := processors(t, system)
		sweep, _ := declaredtest.Named(t, system, typeFunction, "upload-router-local-sweep").Object("environment")["variables"].(map[string]any)
		require.NotContains(t, sweep, variable)
		for name, environment := range map[string]map[string]any{"function": function, "task": task} {
			if value == "none" {
				require.NotContains(t, environment, variable, name)
				continue
			}
			require.Equal(t, "true", environment[variable], name)
		}
	}
}

// The roles that the bucket makes an exception of are those that process, and the one that has them process, and those alone.
func TestTheProcessorsAreTheExceptionOfTheQuarantine(t *testing.T) {
	t.Parallel()
	system := declare(t, config{"tagUploads": "quarantine", "outputBucket": "create"})
	policy := declaredtest.Named(t, system, declared.TypeBucketPolicy, "upload-router-local-uploads-policy").Text("policy")
	for _, role := range system.OfType(typeRole) {
		processes := strings.HasSuffix(role.Name, "-function-role") || strings.HasSuffix(role.Name, "-task-role") ||
			strings.HasSuffix(role.Name, "-backfill-role") // which looks up what is to be processed
		require.Equal(t, processes, strings.Contains(policy, role.ARN()), role.Name)
	}
	outputs := declaredtest.Named(t, system, declared.TypeBucketPolicy, "upload-router-local-output-policy").Text("policy")
	require.NotContains(t, outputs, "upload-router-status", "of the uploads alone")
}

// By the endpoint the task reaches the tags, of the uploads' bucket in this account.
func TestTheEndpointLetsTagsThrough(t *testing.T) {
	t.Parallel()
	system := declare(t, config{"network": "private", "tagUploads": "status"})
	role := declaredtest.Named(t, system, typeRole, "upload-router-local-task-role").ARN()
	require.Contains(t, declaredtest.Named(t, system, typeEndpoint, "upload-router-local-endpoints-s3").Text("policy"),
		`{"Action":["s3:GetObjectVersionTagging","s3:PutObjectVersionTagging"],"Condition":{"ArnEquals":{"aws:PrincipalArn":["`+role+`"]},`+
			`"StringEquals":{"aws:ResourceAccount":["123456789012"]}},"Effect":"Allow","Principal":"*",`+
			`"Resource":["arn:aws:s3:::upload-router-local-uploads-bucket*/*"],"Sid":"TagUploads"}`)
	plain := declare(t, config{"network": "private"})
	require.NotContains(t, declaredtest.Named(t, plain, typeEndpoint, "upload-router-local-endpoints-s3").Text("policy"), "Tagging")
}
