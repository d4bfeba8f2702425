package output_test

import (
	"encoding/json"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/components/output"
	"example.com/upload-router/components/uploads"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/declared/declaredtest"
)

// protections are what a bucket has for its safety.
var protections = []string{
	declared.TypeBucketPublicAccessBlock, declared.TypeBucketOwnershipControls, declared.TypeBucketPolicy, declared.TypeBucketEncryption,
	declared.TypeBucketVersioning, declared.TypeBucketLifecycle,
}

const keyARN = "arn:aws:kms:eu-central-1:123456789012:key/k"

func declare(t *testing.T, args *output.Args) *declared.System {
	t.Helper()
	return declaredtest.Evaluate(t, declaredtest.At(declaredtest.Home()), declaredtest.Export(func(ctx *pulumi.Context) (pulumi.Map, error) {
		o, err := output.New(ctx, "it", args)
		if err != nil {
			return nil, err
		}
		return pulumi.Map{"bucketName": o.BucketName, "bucketArn": o.BucketARN}, nil
	}))
}

// Whatever protects the uploads protects what is made of them, in the same words.
func TestItHasAllProtectionsOfTheUploads(t *testing.T) {
	t.Parallel()
	at := declaredtest.Home()
	theirs := declaredtest.Evaluate(t, declaredtest.At(at), declaredtest.Export(func(ctx *pulumi.Context) (pulumi.Map, error) {
		_, err := uploads.New(ctx, "it", &uploads.Args{
			Location: at, BucketName: "ours", KMSKeyARN: pulumi.String(keyARN), ForceDestroy: true, AbortIncompleteAfterDays: 3,
			KeepVersionsDays: 90, ReaderRoles: map[string]pulumi.StringInput{"task": pulumi.String("r")},
			StateMachineARN: pulumi.String(at.ARN("states", "stateMachine:m")), MaximumEventAgeSeconds: 60,
		})
		return pulumi.Map{}, err
	}))
	ours := declare(t, &output.Args{
		BucketName: "ours", KMSKeyARN: pulumi.String(keyARN), ForceDestroy: true, AbortIncompleteAfterDays: 3, KeepVersionsDays: 90,
	})
	for _, typ := range append(protections, declared.TypeBucket) {
		require.Equal(t, declaredtest.Only(t, theirs, typ).Inputs, declaredtest.Only(t, ours, typ).Inputs, typ)
	}
	counts := map[string]int{output.Type: 1, declared.TypeBucket: 1}
	for _, typ := range protections {
		counts[typ] = 1
	}
	require.Equal(t, counts, declaredtest.Counts(ours), "it sends no events, and starts nothing")
	require.Equal(t, map[string]any{"bucketName": "ours", "bucketArn": "arn:aws:s3:::ours"}, ours.Outputs)
}

// Requirement A16: whoever has the task's credentials can write with them from its network alone.
func TestAPrivateWriterWritesFromItsNetworkAlone(t *testing.T) {
	t.Parallel()
	system := declare(t, &output.Args{AbortIncompleteAfterDays: 1, Private: &output.Private{
		VPCID: pulumi.String("vpc-1"), RoleARN: pulumi.String("arn:aws:iam::123456789012:role/task-role-*"),
	}})
	bucket, _ := declaredtest.Only(t, system, declared.TypeBucket).Outputs["arn"].(string)
	var document struct{ Statement []json.RawMessage }
	require.NoError(t, json.Unmarshal([]byte(declaredtest.Only(t, system, declared.TypeBucketPolicy).Text("policy")), &document))
	require.Len(t, document.Statement, 3)
	require.JSONEq(t, `{"Sid":"DenyTaskOutsideEndpoint","Effect":"Deny","Principal":"*","Action":["s3:*"],
		"Resource":["`+bucket+`","`+bucket+`/*"],
		"Condition":{"ArnLike":{"aws:PrincipalArn":["arn:aws:iam::123456789012:role/task-role-*"]},
		             "StringNotEquals":{"aws:SourceVpc":["vpc-1"]}}}`, string(document.Statement[2]))
}

func TestArgsAreChecked(t *testing.T) {
	t.Parallel()
	_, err := declared.Evaluate(func(ctx *pulumi.Context) error {
		_, err := output.New(ctx, "it", &output.Args{})
		return err
	}, declared.Options{})
	require.ErrorContains(t, err, "AbortIncompleteAfterDays")
}
