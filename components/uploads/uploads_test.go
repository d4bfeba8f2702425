package uploads_test

import (
	"encoding/json"
	"fmt"
	"path"
	"testing"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sqs"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/components/location"
	"example.com/upload-router/components/uploads"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/declared/declaredtest"
)

const (
	typeBucket       = "aws:s3/bucketV2:BucketV2"
	typeAccess       = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
	typeOwnership    = "aws:s3/bucketOwnershipControls:BucketOwnershipControls"
	typeBucketPolicy = "aws:s3/bucketPolicy:BucketPolicy"
	typeEncryption   = "aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2"
	typeVersioning   = "aws:s3/bucketVersioningV2:BucketVersioningV2"
	typeLifecycle    = "aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2"
	typeNotification = "aws:s3/bucketNotification:BucketNotification"
	typeRule         = "aws:cloudwatch/eventRule:EventRule"
	typeTarget       = "aws:cloudwatch/eventTarget:EventTarget"
	typeQueue        = "aws:sqs/queue:Queue"
	typeQueuePolicy  = "aws:sqs/queuePolicy:QueuePolicy"
	typeRole         = "aws:iam/role:Role"
	typePolicy       = "aws:iam/rolePolicy:RolePolicy"
)

func args(at location.Location) *uploads.Args {
	return &uploads.Args{
		Location:                 at,
		AbortIncompleteAfterDays: 7,
		ReaderRoles:              map[string]pulumi.StringInput{"function": pulumi.String("role-f"), "task": pulumi.String("role-t")},
		StateMachineARN:          pulumi.String(at.ARN("states", "stateMachine:m")),
		MaximumEventAgeSeconds:   86400,
		MaximumRetryAttempts:     185,
	}
}

func declare(t *testing.T, args *uploads.Args) *declared.System {
	t.Helper()
	return declaredtest.Evaluate(t, declaredtest.At(args.Location), declaredtest.Export(func(ctx *pulumi.Context) (pulumi.Map, error) {
		u, err := uploads.New(ctx, "up", args)
		if err != nil {
			return nil, err
		}
		return pulumi.Map{
			"bucketName": u.BucketName, "bucketArn": u.BucketARN, "ruleName": u.RuleName,
			"queueName": u.DeadLetterQueueName, "queueUrl": u.DeadLetterQueueURL,
		}, nil
	}))
}

func TestItIsOneBucketWithARuleAndAQueueAndThoseOfAPause(t *testing.T) {
	t.Parallel()
	system := declare(t, args(declaredtest.Home()))
	require.Equal(t, map[string]int{
		uploads.Type: 1, typeBucket: 1, typeAccess: 1, typeOwnership: 1, typeBucketPolicy: 1, typeEncryption: 1, typeVersioning: 1,
		typeLifecycle: 1, typeNotification: 1, typeRule: 2, typeTarget: 2, typeQueue: 2, typeQueuePolicy: 2, typeRole: 1, typePolicy: 3,
	}, declaredtest.Counts(system))
}

// Requirement A16: whoever has the task's credentials can use them by its endpoint alone.
func TestAPrivateReaderReadsByItsEndpointAlone(t *testing.T) {
	t.Parallel()
	with := args(declaredtest.Home())
	with.Private = &uploads.Private{
		EndpointID: pulumi.String("vpce-1"), RoleARN: pulumi.String("arn:aws:iam::123456789012:role/role-t"),
	}
	system := declare(t, with)
	bucket, _ := declaredtest.Only(t, system, typeBucket).Outputs["arn"].(string)
	var document struct{ Statement []json.RawMessage }
	require.NoError(t, json.Unmarshal([]byte(declaredtest.Only(t, system, typeBucketPolicy).Text("policy")), &document))
	require.Len(t, document.Statement, 3)
	require.JSONEq(t, `{"Sid":"DenyTaskOutsideEndpoint","Effect":"Deny","Principal":"*","Action":["s3:*"],
		"Resource":["`+bucket+`","`+bucket+`/*"],
		"Condition":{"ArnEquals":{"aws:PrincipalArn":["arn:aws:iam::123456789012:role/role-t"]},
		             "StringNotEquals":{"aws:SourceVpce":["vpce-1"]}}}`, string(document.Statement[2]))
}

func TestVersionsExpireOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	with := args(declaredtest.Home())
	with.KeepVersionsDays = 90
	rules, _ := declaredtest.Only(t, declare(t, with), typeLifecycle).Inputs["rules"].([]any)
	require.Len(t, rules, 2)
	require.Equal(t, map[string]any{
		"id": "expire-noncurrent-versions", "status": "Enabled", "filter": map[string]any{"prefix": ""},
		"noncurrentVersionExpiration": map[string]any{"noncurrentDays": 90.0},
		"expiration":                  map[string]any{"expiredObjectDeleteMarker": true},
	}, rules[1])
}

// What is there before the bucket can name it.
func TestTheARNOfTheBucketIsKnownBefore(t *testing.T) {
	t.Parallel()
	for _, given := range []string{"", "ours"} {
		with := args(declaredtest.Home())
		with.BucketName = given
		arn, _ := declare(t, with).Outputs["bucketArn"].(string)
		matches, err := path.Match(uploads.BucketARN(declaredtest.Home(), "up", given), arn)
		require.NoError(t, err)
		require.True(t, matches, arn)
	}
	require.Equal(t, "arn:aws:s3:::ours", uploads.BucketARN(declaredtest.Home(), "up", "ours"))
	require.Equal(t, "arn:aws:s3:::up-bucket*", uploads.BucketARN(declaredtest.Home(), "up", ""))
}

// Nothing of the bucket depends on the Region: the location constraint, which
// us-east-1 refuses, is the provider's (requirement A31).
func TestTheBucketIsTheSameInEveryRegion(t *testing.T) {
	t.Parallel()
	declaredtest.InEach(t, func(t *testing.T, at location.Location) {
		t.Helper()
		system := declare(t, args(at))
		require.Equal(t, map[string]any{"forceDestroy": false}, declaredtest.Only(t, system, typeBucket).Inputs)
		require.Equal(t, fmt.Sprintf("arn:%s:s3:::%v", at.Partition, system.Outputs["bucketName"]), system.Outputs["bucketArn"])
	})
}

func TestTheBucketHasTheNameAndTheEndThatAreGiven(t *testing.T) {
	t.Parallel()
	with := args(declaredtest.Home())
	with.BucketName, with.ForceDestroy = "ours", true
	system := declare(t, with)
	require.Equal(t, map[string]any{"bucket": "ours", "forceDestroy": true}, declaredtest.Only(t, system, typeBucket).Inputs)
	require.Equal(t, "ours", system.Outputs["bucketName"])
}

func TestEachProtectionOfTheBucketIsExactlyThis(t *testing.T) {
	t.Parallel()
	for typ, want := range map[string]map[string]any{
		typeAccess: {
			"blockPublicAcls": true, "blockPublicPolicy": true, "ignorePublicAcls": true, "restrictPublicBuckets": true,
		},
		typeOwnership: {"rule": map[string]any{"objectOwnership": "BucketOwnerEnforced"}},
		typeEncryption: {"rules": []any{map[string]any{ // requirement A33
			"applyServerSideEncryptionByDefault": map[string]any{"sseAlgorithm": "aws:kms"}, "bucketKeyEnabled": true,
		}}},
		typeVersioning: {"versioningConfiguration": map[string]any{"status": "Enabled"}},
		typeLifecycle: {"rules": []any{map[string]any{
			"id": "abort-incomplete-uploads", "status": "Enabled", "filter": map[string]any{"prefix": ""},
			"abortIncompleteMultipartUpload": map[string]any{"daysAfterInitiation": 7.0},
		}}},
		typeNotification: {"eventbridge": true}, // requirement A32
	} {
		t.Run(typ, func(t *testing.T) {
			t.Parallel()
			system := declare(t, args(declaredtest.Home()))
			want["bucket"] = declaredtest.Only(t, system, typeBucket).ID
			require.Equal(t, want, declaredtest.Only(t, system, typ).Inputs)
		})
	}
}

func TestTheBucketRefusesConnectionsWithoutModernTLS(t *testing.T) {
	t.Parallel()
	declaredtest.InEach(t, func(t *testing.T, at location.Location) {
		t.Helper()
		system := declare(t, args(at))
		bucket := declaredtest.Only(t, system, typeBucket)
		protects := declaredtest.Only(t, system, typeBucketPolicy)
		require.Equal(t, bucket.ID, protects.Text("bucket"))
		require.JSONEq(t, fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{
			"Sid": "DenyInsecureTransport",
			"Effect": "Deny",
			"Principal": "*",
			"Action": ["s3:*"],
			"Resource": ["arn:%[1]s:s3:::%[2]s", "arn:%[1]s:s3:::%[2]s/*"],
			"Condition": {"Bool": {"aws:SecureTransport": ["false"]}}
		}, {
			"Sid": "DenyOldTLS",
			"Effect": "Deny",
			"Principal": "*",
			"Action": ["s3:*"],
			"Resource": ["arn:%[1]s:s3:::%[2]s", "arn:%[1]s:s3:::%[2]s/*"],
			"Condition": {"NumericLessThan": {"s3:TlsVersion": ["1.2"]}}
		}]}`, at.Partition, bucket.ID), protects.Text("policy"))
		// S3 refuses to change both at once.
		declaredtest.RequireDependsOn(t, protects, declaredtest.Only(t, system, typeAccess))
	})
}

func TestEachProcessorMayReadTheObjectsAndNothingElse(t *testing.T) {
	t.Parallel()
	declaredtest.InEach(t, func(t *testing.T, at location.Location) {
		t.Helper()
		system := declare(t, args(at))
		for name, role := range map[string]string{"up-read-function": "role-f", "up-read-task": "role-t"} {
			granted := declaredtest.Named(t, system, typePolicy, name)
			require.Equal(t, role, granted.Text("role"))
			require.JSONEq(t, fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{
				"Sid": "ReadUploads",
				"Effect": "Allow",
				"Action": ["s3:GetObject", "s3:GetObjectVersion"],
				"Resource": ["%v/*"]
			}]}`, system.Outputs["bucketArn"]), granted.Text("policy"))
		}
	})
}

// Requirement A36.
func TestTheRuleMatchesObjectsCreatedInThisBucket(t *testing.T) {
	t.Parallel()
	system := declare(t, args(declaredtest.Home()))
	rule := declaredtest.Named(t, system, typeRule, "up-rule")
	require.JSONEq(t, fmt.Sprintf(`{
		"source": ["aws.s3"], "detail-type": ["Object Created"], "detail": {"bucket": {"name": ["%s"]}}
	}`, declaredtest.Only(t, system, typeBucket).ID), rule.Text("eventPattern"))
	inputs := rule.Inputs
	delete(inputs, "eventPattern")
	require.Equal(t, map[string]any{
		"description": "Starts the state machine for each object that is created and whose key is taken", "state": "ENABLED",
	}, inputs, "on the default bus, and enabled")
}

// A filter is in the rule, and in nothing else.
func TestTheRuleTakesTheKeysThatAreGiven(t *testing.T) {
	t.Parallel()
	with := args(declaredtest.Home())
	with.BucketName, with.Keys = "ours", []string{"in/*", "*.pdf", `a\*b`, "x/*/y"}
	system := declare(t, with)
	require.JSONEq(t, `{
		"source": ["aws.s3"], "detail-type": ["Object Created"],
		"detail": {"bucket": {"name": ["ours"]}, "object": {"key": [{"prefix": "in/"}, {"suffix": ".pdf"}, "a*b", {"wildcard": "x/*/y"}]}}
	}`, declaredtest.Named(t, system, typeRule, "up-rule").Text("eventPattern"))
	without := args(declaredtest.Home())
	without.BucketName = "ours"
	for i, r := range declare(t, without).Resources {
		if r.Type != typeRule {
			require.Equal(t, r.Inputs, system.Resources[i].Inputs, r.Name)
		}
	}
	with.Keys = []string{"a**b"}
	_, err := declared.Evaluate(func(ctx *pulumi.Context) error {
		_, err := uploads.New(ctx, "up", with)
		return err
	}, declared.Options{})
	require.ErrorContains(t, err, `reading the glob "a**b" of keys`)
}

// Of buckets that are there already nothing is declared: only who may read them, and the one rule over all.
func TestOfBucketsThatAreThereNothingIsMade(t *testing.T) {
	t.Parallel()
	declaredtest.InEach(t, func(t *testing.T, at location.Location) {
		t.Helper()
		with := tagging(at, true, 0)
		with.KMSKeyARN = pulumi.String("arn:aws:kms:eu-central-1:123456789012:key/of-the-queue")
		with.Buckets, with.BucketKMSKeyARNs, with.Keys = []string{"theirs", "more"}, []string{customerKey}, []string{"in/*"}
		system := declare(t, with)
		require.Equal(t, map[string]int{
			uploads.Type: 1, typeRule: 2, typeTarget: 2, typeQueue: 2, typeQueuePolicy: 2, typeRole: 1, typePolicy: 3,
		}, declaredtest.Counts(system))
		rule := declaredtest.Named(t, system, typeRule, "up-rule")
		require.JSONEq(t, `{"source": ["aws.s3"], "detail-type": ["Object Created"],
			"detail": {"bucket": {"name": ["theirs", "more"]}, "object": {"key": [{"prefix": "in/"}]}}}`, rule.Text("eventPattern"))
		theirs, more := "arn:"+at.Partition+":s3:::theirs", "arn:"+at.Partition+":s3:::more"
		require.JSONEq(t, fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [
			{"Sid": "ReadUploads", "Effect": "Allow", "Action": ["s3:GetObject", "s3:GetObjectVersion"], "Resource": ["%[1]s/*", "%[2]s/*"]},
			{"Sid": "ReadUploadTags", "Effect": "Allow", "Action": ["s3:GetObjectVersionTagging"], "Resource": ["%[1]s/*", "%[2]s/*"]},
			{"Sid": "TagUploads", "Effect": "Allow", "Action": ["s3:PutObjectVersionTagging"], "Resource": ["%[1]s/*", "%[2]s/*"], "Condition": {
				"StringEquals": {"s3:RequestObjectTag/upload-router-status": ["succeeded", "failed"]}
			}},
			{"Sid": "DecryptUploads", "Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": ["`+customerKey+`"], "Condition": {
				"StringEquals": {"kms:ViaService": %[3]s},
				"ArnLike": {"kms:EncryptionContext:aws:s3:arn": ["%[1]s", "%[1]s/*", "%[2]s", "%[2]s/*"]}
			}}
		]}`, theirs, more, declaredtest.Hosts(at, "s3")), declaredtest.Named(t, system, typePolicy, "up-read-task").Text("policy"))
		require.Equal(t, "theirs", system.Outputs["bucketName"])
		require.Equal(t, theirs, system.Outputs["bucketArn"])
		declaredtest.RequireDependsOn(t, declaredtest.Named(t, system, typeTarget, "up-target"), system.OfType(typePolicy)...)
	})
}

// Without the policy EventBridge drops what it can't deliver and says nothing (trap 2).
func TestTheRulesAloneWriteToTheDeadLetterQueue(t *testing.T) {
	t.Parallel()
	declaredtest.InEach(t, func(t *testing.T, at location.Location) {
		t.Helper()
		system := declare(t, args(at))
		queue := declaredtest.Named(t, system, typeQueue, "up-dlq")
		require.Equal(t, map[string]any{"messageRetentionSeconds": 1209600.0, "sqsManagedSseEnabled": true}, queue.Inputs)
		access := declaredtest.Named(t, system, typeQueuePolicy, "up-dlq")
		require.Equal(t, queue.Outputs["url"], access.Text("queueUrl"))
		require.JSONEq(t, fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{
			"Sid": "SendUndeliveredEvents",
			"Effect": "Allow",
			"Principal": {"Service": "events.amazonaws.com"},
			"Action": ["sqs:SendMessage"],
			"Resource": ["%[1]s"],
			"Condition": {"ArnEquals": {"aws:SourceArn": ["%[2]s", "%[3]s"]}}
		}, {
			"Sid": "DenyInsecureTransport",
			"Effect": "Deny",
			"Principal": "*",
			"Action": ["sqs:*"],
			"Resource": ["%[1]s"],
			"Condition": {"Bool": {"aws:SecureTransport": ["false"]}}
		}]}`, queue.Outputs["arn"], declaredtest.Named(t, system, typeRule, "up-rule").Outputs["arn"],
			declaredtest.Named(t, system, typeRule, "up-paused-rule").Outputs["arn"]), access.Text("policy"))
	})
}

// One of the rules is enabled, and the one to be enabled is so before the other one is disabled: no event is lost in between.
func TestWhatIsPausedIsStored(t *testing.T) {
	t.Parallel()
	for _, paused := range []bool{false, true} {
		with := args(declaredtest.Home())
		with.Paused = paused
		system := declare(t, with)
		starts, stores := declaredtest.Named(t, system, typeRule, "up-rule"), declaredtest.Named(t, system, typeRule, "up-paused-rule")
		require.Equal(t, starts.Text("eventPattern"), stores.Text("eventPattern"))
		first, second := starts, stores
		if paused {
			first, second = stores, starts
		}
		require.Equal(t, "ENABLED", first.Text("state"))
		require.Equal(t, "DISABLED", second.Text("state"))
		declaredtest.RequireDependsOn(t, second, first)

		queue, access := declaredtest.Named(t, system, typeQueue, "up-paused"), declaredtest.Named(t, system, typeQueuePolicy, "up-paused")
		require.InDelta(t, 14*24*3600, queue.Inputs["messageRetentionSeconds"], 0)
		var document struct{ Statement []json.RawMessage }
		require.NoError(t, json.Unmarshal([]byte(access.Text("policy")), &document))
		require.JSONEq(t, fmt.Sprintf(`{"Sid": "SendEvents", "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"},
			"Action": ["sqs:SendMessage"], "Resource": ["%s"], "Condition": {"ArnEquals": {"aws:SourceArn": ["%s"]}}}`,
			queue.Outputs["arn"], stores.Outputs["arn"]), string(document.Statement[0]))
		require.Equal(t, map[string]any{
			"rule": stores.Outputs["name"], "targetId": "PausedUploadsQueue", "arn": queue.Outputs["arn"],
			"deadLetterConfig": map[string]any{"arn": declaredtest.Named(t, system, typeQueue, "up-dlq").Outputs["arn"]},
			"retryPolicy":      map[string]any{"maximumEventAgeInSeconds": 86400.0, "maximumRetryAttempts": 185.0},
		}, declaredtest.Named(t, system, typeTarget, "up-paused-target").Inputs)
	}
}

// Requirements A37 and A38.
func TestTheTargetIsTheMachineWithRetriesAndTheQueue(t *testing.T) {
	t.Parallel()
	with := args(declaredtest.Home())
	with.MaximumEventAgeSeconds, with.MaximumRetryAttempts = 3600, 0
	system := declare(t, with)
	require.Equal(t, map[string]any{
		"rule":             declaredtest.Named(t, system, typeRule, "up-rule").Outputs["name"],
		"targetId":         "StepFunctionsTarget",
		"arn":              "arn:aws:states:eu-central-1:123456789012:stateMachine:m",
		"roleArn":          declaredtest.Only(t, system, typeRole).Outputs["arn"],
		"deadLetterConfig": map[string]any{"arn": declaredtest.Named(t, system, typeQueue, "up-dlq").Outputs["arn"]},
		"retryPolicy":      map[string]any{"maximumEventAgeInSeconds": 3600.0, "maximumRetryAttempts": 0.0},
	}, declaredtest.Named(t, system, typeTarget, "up-target").Inputs)
}

func TestTheRulesRoleStartsTheMachineAndNothingElse(t *testing.T) {
	t.Parallel()
	declaredtest.InEach(t, func(t *testing.T, at location.Location) {
		t.Helper()
		system := declare(t, args(at))
		role, granted := declaredtest.Only(t, system, typeRole), declaredtest.Named(t, system, typePolicy, "up-start")
		require.JSONEq(t, fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{
			"Sid": "AssumeRole",
			"Effect": "Allow",
			"Principal": {"Service": "events.amazonaws.com"},
			"Action": ["sts:AssumeRole"],
			"Condition": {
				"StringEquals": {"aws:SourceAccount": ["123456789012"]},
				"ArnEquals": {"aws:SourceArn": ["%s"]}
			}
		}]}`, declaredtest.Named(t, system, typeRule, "up-rule").Outputs["arn"]), role.Text("assumeRolePolicy"))
		require.NotContains(t, role.Inputs, "managedPolicyArns")
		require.Equal(t, role.Outputs["name"], granted.Text("role"))
		require.JSONEq(t, fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{
			"Sid": "StartExecutions",
			"Effect": "Allow",
			"Action": ["states:StartExecution"],
			"Resource": ["arn:%s:states:%s:123456789012:stateMachine:m"]
		}]}`, at.Partition, at.Region), granted.Text("policy"))
	})
}

// The first upload must find everything in place: the permissions to start the
// machine, to read the object and to keep the event if that fails.
func TestEventsFlowOnlyWhenAllIsThere(t *testing.T) {
	t.Parallel()
	system := declare(t, args(declaredtest.Home()))
	target := declaredtest.Named(t, system, typeTarget, "up-target")
	declaredtest.RequireDependsOn(t, target, system.OfType(typePolicy)...)
	require.Len(t, system.OfType(typePolicy), 3, "to start the machine, and to read twice")
	declaredtest.RequireDependsOn(t, target,
		declaredtest.Named(t, system, typeQueuePolicy, "up-dlq"), declaredtest.Only(t, system, typeRole),
		declaredtest.Named(t, system, typeRule, "up-rule"))
	notification := declaredtest.Only(t, system, typeNotification)
	declaredtest.RequireDependsOn(t, notification, target)
	for _, protection := range []string{
		typeAccess, typeOwnership, typeBucketPolicy, typeEncryption, typeVersioning, typeLifecycle,
	} {
		declaredtest.RequireDependsOn(t, notification, declaredtest.Only(t, system, protection))
	}
	declaredtest.RequireDependsOn(t, declaredtest.Only(t, system, typeLifecycle), declaredtest.Only(t, system, typeVersioning))
}

func TestWhoeverUploadsWaitsForTheEventsAndSoForAllElse(t *testing.T) {
	t.Parallel()
	system := declaredtest.Evaluate(t, declared.Options{}, func(ctx *pulumi.Context) error {
		u, err := uploads.New(ctx, "up", args(declaredtest.Home()))
		if err != nil {
			return err
		}
		_, err = sqs.NewQueue(ctx, "probe", &sqs.QueueArgs{Name: u.BucketName}, pulumi.Parent(u))
		return err
	})
	declaredtest.RequireDependsOn(t, declaredtest.Named(t, system, typeQueue, "probe"), declaredtest.Only(t, system, typeNotification))
}

func TestTheOutputsAreTheUploadsOwn(t *testing.T) {
	t.Parallel()
	system := declare(t, args(declaredtest.Home()))
	bucket, queue := declaredtest.Only(t, system, typeBucket), declaredtest.Named(t, system, typeQueue, "up-dlq")
	require.Equal(t, map[string]any{
		"bucketName": bucket.Outputs["bucket"],
		"bucketArn":  bucket.Outputs["arn"],
		"ruleName":   declaredtest.Named(t, system, typeRule, "up-rule").Outputs["name"],
		"queueName":  queue.Outputs["name"],
		"queueUrl":   queue.Outputs["url"],
	}, system.Outputs)
}

const customerKey = "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-0000-4000-8000-0123456789ab"

func TestWithAKeyOfTheAccountsOwnBucketAndQueueAreEncryptedWithIt(t *testing.T) {
	t.Parallel()
	with := args(declaredtest.Home())
	with.KMSKeyARN = pulumi.String(customerKey)
	system := declare(t, with)
	require.Equal(t, []any{map[string]any{
		"applyServerSideEncryptionByDefault": map[string]any{"sseAlgorithm": "aws:kms", "kmsMasterKeyId": customerKey},
		"bucketKeyEnabled":                   true,
	}}, declaredtest.Only(t, system, typeEncryption).Inputs["rules"])
	require.Equal(t, map[string]any{"kmsMasterKeyId": customerKey, "messageRetentionSeconds": 1209600.0},
		declaredtest.Named(t, system, typeQueue, "up-dlq").Inputs)
}

// A bucket key makes the bucket the encryption context of its objects; whoever uploads one without has the object as its context.
func TestReadersMayDecryptWhatS3ReadsForThemFromThisBucketAlone(t *testing.T) {
	t.Parallel()
	declaredtest.InEach(t, func(t *testing.T, at location.Location) {
		t.Helper()
		with := args(at)
		with.KMSKeyARN = pulumi.String(customerKey)
		system := declare(t, with)
		for _, reader := range []string{"function", "task"} {
			require.JSONEq(t, fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [
				{"Sid": "ReadUploads", "Effect": "Allow", "Action": ["s3:GetObject", "s3:GetObjectVersion"], "Resource": ["%[1]s/*"]},
				{"Sid": "DecryptUploads", "Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": ["`+customerKey+`"], "Condition": {
					"StringEquals": {"kms:ViaService": %[2]s},
					"ArnLike": {"kms:EncryptionContext:aws:s3:arn": ["%[1]s", "%[1]s/*"]}
				}}
			]}`, system.Outputs["bucketArn"], declaredtest.Hosts(at, "s3")),
				declaredtest.Named(t, system, typePolicy, "up-read-"+reader).Text("policy"))
		}
	})
}

const (
	functionRole = "arn:aws:iam::123456789012:role/role-f"
	taskRole     = "arn:aws:iam::123456789012:role/role-t"
)

// tagging are uploads whose processed versions are tagged.
func tagging(at location.Location, quarantine bool, days int) *uploads.Args {
	with := args(at)
	with.Tags = &uploads.Tags{
		RoleARNs:   []pulumi.StringInput{pulumi.String(functionRole), pulumi.String(taskRole)},
		Quarantine: quarantine, ExpireDays: days,
	}
	return with
}

// The tags of versions are the readers' to write, of this bucket alone, and never without the status.
func TestReadersMayTagWhatTheyHaveProcessed(t *testing.T) {
	t.Parallel()
	declaredtest.InEach(t, func(t *testing.T, at location.Location) {
		t.Helper()
		system := declare(t, tagging(at, false, 0))
		for _, reader := range []string{"function", "task"} {
			require.JSONEq(t, fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [
				{"Sid": "ReadUploads", "Effect": "Allow", "Action": ["s3:GetObject", "s3:GetObjectVersion"], "Resource": ["%[1]s/*"]},
				{"Sid": "ReadUploadTags", "Effect": "Allow", "Action": ["s3:GetObjectVersionTagging"], "Resource": ["%[1]s/*"]},
				{"Sid": "TagUploads", "Effect": "Allow", "Action": ["s3:PutObjectVersionTagging"], "Resource": ["%[1]s/*"], "Condition": {
					"StringEquals": {"s3:RequestObjectTag/upload-router-status": ["succeeded", "failed"]}
				}}
			]}`, system.Outputs["bucketArn"]), declaredtest.Named(t, system, typePolicy, "up-read-"+reader).Text("policy"))
		}
	})
}

// Nobody but the processors says what became of an upload, and with a quarantine nobody else reads it before.
func TestTheBucketKeepsTheStatus(t *testing.T) {
	t.Parallel()
	const others = `"ArnNotEquals": {"aws:PrincipalArn": ["` + functionRole + `", "` + taskRole + `"]}`
	for _, quarantine := range []bool{false, true} {
		system := declare(t, tagging(declaredtest.Home(), quarantine, 0))
		objects := fmt.Sprintf(`"Effect": "Deny", "Principal": "*", "Resource": ["%s/*"]`, system.Outputs["bucketArn"])
		var document struct{ Statement []json.RawMessage }
		require.NoError(t, json.Unmarshal([]byte(declaredtest.Only(t, system, typeBucketPolicy).Text("policy")), &document))
		want := []string{
			`{"Sid": "DenyStatusOfOthers", ` + objects + `, "Action": ["s3:PutObject", "s3:PutObjectTagging", "s3:PutObjectVersionTagging"],
			  "Condition": {` + others + `,
			                "ForAnyValue:StringEqualsIgnoreCase": {"s3:RequestObjectTagKeys": ["upload-router-status"]}}}`,
			`{"Sid": "DenyReplicatedStatus", ` + objects + `, "Action": ["s3:ReplicateTags"], "Condition": {` + others + `}}`,
		}
		if quarantine {
			want = append(want, `{"Sid": "DenyUnprocessed", `+objects+`, "Action": ["s3:GetObject", "s3:GetObjectVersion"],
			  "Condition": {`+others+`, "StringNotEquals": {"s3:ExistingObjectTag/upload-router-status": ["succeeded"]}}}`)
		}
		const always = 2 // without TLS, and with an old one
		require.Len(t, document.Statement, always+len(want))
		for i, statement := range want {
			require.JSONEq(t, statement, string(document.Statement[always+i]))
		}
	}
}

func TestWhatIsProcessedExpires(t *testing.T) {
	t.Parallel()
	rules := func(with *uploads.Args) any {
		return declaredtest.Only(t, declare(t, with), typeLifecycle).Inputs["rules"]
	}
	abort := map[string]any{
		"id": "abort-incomplete-uploads", "status": "Enabled", "filter": map[string]any{"prefix": ""},
		"abortIncompleteMultipartUpload": map[string]any{"daysAfterInitiation": 7.0},
	}
	require.Equal(t, []any{abort}, rules(tagging(declaredtest.Home(), true, 0)))
	require.Equal(t, []any{abort, map[string]any{
		"id": "expire-tagged", "status": "Enabled", "expiration": map[string]any{"days": 30.0},
		"filter": map[string]any{"tag": map[string]any{"key": "upload-router-status", "value": "succeeded"}},
	}}, rules(tagging(declaredtest.Home(), true, 30)))
}
