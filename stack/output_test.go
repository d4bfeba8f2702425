package stack_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/declared/declaredtest"
)

// processors are what both are told.
func processors(t *testing.T, system *declared.System) (function, task map[string]any) {
	t.Helper()
	made := declaredtest.Named(t, system, typeFunction, "upload-router-local-function")
	function, _ = made.Object("environment")["variables"].(map[string]any)
	var containers []struct {
		Environment []struct{ Name, Value string }
	}
	require.NoError(t, json.Unmarshal([]byte(only(t, system, typeDefinition).Text("containerDefinitions")), &containers))
	task = map[string]any{}
	for _, variable := range containers[0].Environment {
		task[variable.Name] = variable.Value
	}
	return function, task
}

// outputsOf are the variables about outputs, which both processors have alike.
func outputsOf(t *testing.T, system *declared.System) map[string]any {
	t.Helper()
	function, task := processors(t, system)
	only := func(all map[string]any) map[string]any {
		out := map[string]any{}
		for name, value := range all {
			if strings.HasPrefix(name, "UPLOAD_OUTPUT_") {
				out[name] = value
			}
		}
		return out
	}
	require.Equal(t, only(function), only(task))
	return only(function)
}

const outputBucket = "upload-router-local-output-bucket"

func TestProcessorsAreToldWhereOutputsGo(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		config config
		want   map[string]any // "" is the bucket of the stack's own
	}{
		"nowhere": {nil, map[string]any{}},
		"a bucket of the stack's own": {config{"outputBucket": "create"}, map[string]any{
			"UPLOAD_OUTPUT_BUCKET": "",
		}},
		"one that is there": {
			config{"outputBucket": "theirs", "outputPrefix": "results/", "outputKmsKeyArn": givenKey},
			map[string]any{
				"UPLOAD_OUTPUT_BUCKET": "theirs", "UPLOAD_OUTPUT_PREFIX": "results/", "UPLOAD_OUTPUT_KMS_KEY_ARN": givenKey,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			system := declare(t, test.config)
			if test.want["UPLOAD_OUTPUT_BUCKET"] == "" {
				test.want["UPLOAD_OUTPUT_BUCKET"] = declaredtest.Named(t, system, typeBucket, outputBucket).Outputs["bucket"]
			}
			require.Equal(t, test.want, outputsOf(t, system))
			require.Equal(t, test.want["UPLOAD_OUTPUT_BUCKET"], system.Outputs["outputBucketName"])
		})
	}
}

// Nothing is made of a bucket that is there: no policy, no lifecycle, no notification.
func TestABucketThatIsThereIsLeftAlone(t *testing.T) {
	t.Parallel()
	want := whole()
	want[typePolicy] += 2
	require.Equal(t, want, declaredtest.Counts(declare(t, config{"outputBucket": "theirs"})))
}

// Whoever may write counts on the protections, and the event that starts it comes later still.
func TestABucketForOutputsIsProtectedBeforeItIsWritten(t *testing.T) {
	t.Parallel()
	system := declare(t, config{"outputBucket": "create", "protect": "true"})
	require.True(t, declaredtest.Named(t, system, typeBucket, outputBucket).Protect)
	for _, user := range []declared.Resource{
		declaredtest.Named(t, system, typeFunction, "upload-router-local-function"), only(t, system, typeDefinition),
	} {
		for typ, name := range map[string]string{
			declared.TypeBucketPublicAccessBlock: "access", declared.TypeBucketOwnershipControls: "ownership",
			declared.TypeBucketPolicy: "policy", declared.TypeBucketEncryption: "encryption", declared.TypeBucketVersioning: "versioning",
			declared.TypeBucketLifecycle: "lifecycle",
		} {
			declaredtest.RequireDependsOn(t, user, declaredtest.Named(t, system, typ, "upload-router-local-output-"+name))
		}
	}
}

// Whose key encrypts the outputs is in the bucket and in both roles.
func TestTheKeyOfOutputs(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		config config
		key    string
	}{
		"AWS's":           {config{"outputBucket": "create"}, ""},
		"the stack's":     {config{"outputBucket": "create", "encryption": "customer", "kmsKeyArn": givenKey}, givenKey},
		"its own":         {config{"outputBucket": "create", "outputKmsKeyArn": givenKey}, givenKey},
		"theirs, unknown": {config{"outputBucket": "theirs", "encryption": "customer"}, ""},
		"theirs":          {config{"outputBucket": "theirs", "outputKmsKeyArn": givenKey}, givenKey},
		"the uploads'":    {among("encryption", "customer", "kmsKeyArn", givenKey), givenKey},
		"beside the uploads'": {
			among("encryption", "customer", "outputKmsKeyArn", givenKey), givenKey,
		},
		"AWS's, of the uploads": {among(), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			system := declare(t, test.config)
			for _, who := range []string{"function", "task"} {
				policy := declaredtest.Named(t, system, typePolicy, "upload-router-local-"+who+"-output").Text("policy")
				require.Equal(t, test.key != "", strings.Contains(policy, `"EncryptOutputs"`))
				require.Contains(t, policy, test.key)
			}
			if test.config["outputBucket"] != "create" {
				return
			}
			made := declaredtest.Named(t, system, declared.TypeBucketEncryption, "upload-router-local-output-encryption")
			rules, _ := made.Inputs["rules"].([]any)
			by, _ := rules[0].(map[string]any)["applyServerSideEncryptionByDefault"].(map[string]any)
			key, _ := by["kmsMasterKeyId"].(string)
			require.Equal(t, test.key, key)
		})
	}
}

// A bucket whose name is made up may be named all the same, once it is there.
func TestOutputsAreNotUploads(t *testing.T) {
	t.Parallel()
	_, err := declared.Evaluate(program, declared.Options{Config: config{"outputBucket": "upload-router-local-uploads-bucket-0123456"}})
	require.ErrorContains(t, err, "outputBucket must not be the bucket of the uploads")
}

// among is the configuration of outputs that go among the uploads, with more.
func among(more ...string) config {
	c := config{"bucketName": "ours", "outputBucket": "ours", "outputPrefix": "results/", "keys": `["in/*"]`}
	for i := 0; i < len(more); i += 2 {
		c[more[i]] = more[i+1]
	}
	return c
}

// Outputs among the uploads take no bucket of their own, and from a private network no other account's.
func TestOutputsAmongTheUploads(t *testing.T) {
	t.Parallel()
	system := declare(t, among("network", "private"))
	require.Equal(t, "ours", only(t, system, typeBucket).Outputs["bucket"])
	require.Equal(t, "ours", system.Outputs["outputBucketName"])
	require.Equal(t, map[string]any{"UPLOAD_OUTPUT_BUCKET": "ours", "UPLOAD_OUTPUT_PREFIX": "results/"}, outputsOf(t, system))
	for _, endpoint := range system.OfType(typeEndpoint) {
		if !strings.HasSuffix(endpoint.Name, "-s3") {
			continue
		}
		var document struct {
			Statement []struct {
				Sid       string
				Condition map[string]any
			}
		}
		require.NoError(t, json.Unmarshal([]byte(endpoint.Text("policy")), &document))
		for _, statement := range document.Statement {
			if statement.Sid == "WriteOutputs" {
				require.Contains(t, statement.Condition, "StringEquals")
				return
			}
		}
	}
	require.Fail(t, "nothing can be written by the endpoint")
}
