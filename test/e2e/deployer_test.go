//go:build e2e

package e2e_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/deployer"
	"example.com/upload-router/internal/stackfile"
	"example.com/upload-router/operate"
)

// TestDeployer holds the deployer's policy to what the provider asks of AWS, as a recorder before the emulator sees it: each
// request is granted, on a resource that it names, and all that is granted is used, or has a reason here. The stack dev, and so
// the last of it, takes E2E_FULL to be set: it is four minutes more.
func TestDeployer(t *testing.T) { //nolint:tparallel // What is granted and used is of all stacks.
	t.Parallel()
	granted, used := map[string]bool{}, map[string]bool{}
	stacks, full := []string{"prod"}, os.Getenv("E2E_FULL") != ""
	if full {
		stacks = append(stacks, "dev")
	}
	for _, name := range stacks {
		t.Run(name, func(t *testing.T) {
			r := record(t)
			c := newCLIWith(t, "e2e-policy-"+name, fileFor(t, name))
			c.env, c.vars[endpoint] = append(c.env, endpoint+"="+r.http.URL), r.http.URL
			t.Cleanup(func() {
				if state, _ := c.export(); len(state.Deployment.Resources) > 0 {
					c.unprotect()
					c.destroy()
				}
			})
			policies := c.policies()
			for _, policy := range policies {
				for _, s := range policy.Statement {
					for _, action := range s.Action {
						granted[action] = true
					}
				}
			}
			told := map[string]bool{}
			check := func(step string) {
				t.Helper()
				for _, asked := range r.asked() {
					for _, action := range asked.actions() {
						used[action] = true
						if err := grants(policies, action, asked); err != nil && !told[err.Error()] {
							told[err.Error()] = true
							assert.NoError(t, err, "%s: %s %q", step, asked, asked.values)
						}
					}
				}
			}
			c.up()
			check("up")
			c.ok("refresh", "--yes", "--skip-preview", "--config-file", c.config)
			check("refresh")
			c.ok("preview", "--config-file", c.config)
			check("preview")

			for key, value := range map[string]string{
				"tags.reviewed": "true", "logRetentionDays": "14", "lambdaMemory": "1024", "lambdaTimeout": "90", "sizeThreshold": "1MiB",
				"abortUploadsAfterDays": "2", "taskCpu": "512",
			} {
				c.ok("config", "set", "--config-file", c.config, "--path", project+":"+key, value)
			}
			policies = c.policies() // another tag is no other resource, but let us not assume it
			c.up()
			check("a change")
			c.ok("config", "rm", "--config-file", c.config, "--path", project+":tags.reviewed")
			c.unprotect()
			check("a tag less")

			if name == "dev" { // what may be deleted with what is in it
				_, err := inspect(t, region, c.outputs()).s3().PutObject(t.Context(), &s3.PutObjectInput{
					Bucket: aws.String(c.outputs()["bucketName"].(string)), Key: aws.String("left behind"), Body: strings.NewReader("x"),
				})
				require.NoError(t, err)
			}
			c.destroy()
			check("destroy")
		})
	}
	if full {
		checkUsed(t, granted, used)
	}
}

// checkUsed holds that what is granted is used, or has a reason.
func checkUsed(t *testing.T, granted, used map[string]bool) {
	t.Helper()
	var idle []string
	for action := range granted {
		if !used[action] {
			idle = append(idle, action)
		}
	}
	assert.ElementsMatch(t, slices.Collect(maps.Keys(unseen)), idle)
}

// policies are what the deployer of the stack would be given.
func (c *cli) policies() []deployer.Policy {
	c.t.Helper()
	text, err := os.ReadFile(c.config)
	require.NoError(c.t, err)
	config, err := stackfile.Parse(project, text)
	require.NoError(c.t, err)
	documents, err := operate.DeployerPolicy(operate.DeployerOptions{Stack: c.stack, Config: config, AccountID: account})
	require.NoError(c.t, err)
	policies := make([]deployer.Policy, len(documents))
	for i, d := range documents {
		require.NoError(c.t, json.Unmarshal([]byte(d.JSON), &policies[i]))
	}
	return policies
}

// account is the emulator's.
const account = "123456789012"

// renamed are the actions of IAM that have another name than the operation.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
var renamed = map[string][]string{
	"s3:DeleteBucketEncryption":             {"s3:PutEncryptionConfiguration"},
	"s3:DeleteBucketLifecycle":              {"s3:PutLifecycleConfiguration"},
	"s3:DeleteBucketOwnershipControls":      {"s3:PutBucketOwnershipControls"},
	"s3:DeleteBucketTagging":                {"s3:PutBucketTagging"},
	"s3:DeleteObjects":                      {"s3:DeleteObject", "s3:DeleteObjectVersion"},
	"s3:DeletePublicAccessBlock":            {"s3:PutBucketPublicAccessBlock"},
	"s3:GetBucketAccelerateConfiguration":   {"s3:GetAccelerateConfiguration"},
	"s3:GetBucketCors":                      {"s3:GetBucketCORS"},
	"s3:GetBucketEncryption":                {"s3:GetEncryptionConfiguration"},
	"s3:GetBucketLifecycleConfiguration":    {"s3:GetLifecycleConfiguration"},
	"s3:GetBucketNotificationConfiguration": {"s3:GetBucketNotification"},
	"s3:GetBucketReplication":               {"s3:GetReplicationConfiguration"},
	"s3:GetObjectLockConfiguration":         {"s3:GetBucketObjectLockConfiguration"},
	"s3:GetPublicAccessBlock":               {"s3:GetBucketPublicAccessBlock"},
	"s3:HeadBucket":                         {"s3:ListBucket"},
	"s3:ListObjectVersions":                 {"s3:ListBucketVersions"},
	"s3:PutBucketEncryption":                {"s3:PutEncryptionConfiguration"},
	"s3:PutBucketLifecycleConfiguration":    {"s3:PutLifecycleConfiguration"},
	"s3:PutBucketNotificationConfiguration": {"s3:PutBucketNotification"},
	"s3:PutPublicAccessBlock":               {"s3:PutBucketPublicAccessBlock"},

	// Nobody needs a permission to know who they are. The provider asks for the user first, and is content with a refusal.
	// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
	"sts:GetCallerIdentity": nil, "iam:GetUser": nil,
}

// actions are what IAM is asked for a request.
func (r request) actions() []string {
	operation := strings.Replace(r.service, "monitoring", "cloudwatch", 1) + ":" + r.operation
	if actions, known := renamed[operation]; known {
		return actions
	}
	return []string{operation}
}

// Why an action is granted that isn't asked for before the emulator.
const (
	byAWS = "AWS asks IAM for it while it does something else"
	push  = "Docker's own protocol: https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html"
	other = "a change takes it that this test doesn't make"
)

// unseen are these actions.
var unseen = map[string]string{
	"iam:CreateServiceLinkedRole": byAWS + ": with the first cluster of an account",
	"iam:PassRole":                byAWS + ": for each role that a service is given",
	"lambda:ListTags":             byAWS + ": GetFunction leaves the tags out without it",
	"logs:AssociateKmsKey":        byAWS + ": for a log group that is created with a key",
	"logs:CreateLogDelivery":      byAWS + ": for flow logs", "logs:DeleteLogDelivery": byAWS + ": for flow logs",
	"ec2:DescribeVpcEndpointServices":    "the provider of these tests doesn't have its look-up; the program says so and goes on",
	"route53:AssociateVPCWithHostedZone": byAWS + ": for private DNS of an endpoint",

	"kms:CreateGrant": byAWS, "kms:Decrypt": byAWS, "kms:Encrypt": byAWS, "kms:GenerateDataKey": byAWS,
	"kms:GenerateDataKeyWithoutPlaintext": byAWS, "kms:ReEncryptFrom": byAWS, "kms:ReEncryptTo": byAWS, "kms:RetireGrant": byAWS,

	"ecr:BatchCheckLayerAvailability": push, "ecr:BatchGetImage": push, "ecr:CompleteLayerUpload": push,
	"ecr:GetDownloadUrlForLayer": push, "ecr:InitiateLayerUpload": push, "ecr:PutImage": push, "ecr:UploadLayerPart": push,

	"ec2:DeleteRoute": other, "ec2:ModifySubnetAttribute": other, "ec2:ModifyVpcEndpoint": other, "ec2:ReplaceRoute": other,
	"ec2:ReplaceRouteTableAssociation": other, "ecr:PutImageScanningConfiguration": other, "ecr:PutImageTagMutability": other,
	"ecs:UpdateCluster": other, "iam:UpdateAssumeRolePolicy": other, "iam:UpdateRole": other, "iam:UpdateRoleDescription": other,
	"kms:DisableKeyRotation": other, "kms:PutKeyPolicy": other, "kms:UpdateAlias": other, "kms:UpdateKeyDescription": other,
	"lambda:DeleteFunctionConcurrency": other, "lambda:UpdateFunctionCode": other, "logs:DeleteRetentionPolicy": other,
	"logs:DisassociateKmsKey": other,
}

// grants gives the reason for which no statement allows a request.
func grants(policies []deployer.Policy, action string, r request) error {
	var why []string
	for _, policy := range policies {
		for _, s := range policy.Statement {
			if !slices.Contains(s.Action, action) {
				continue
			}
			if !slices.ContainsFunc(s.Resource, r.names) {
				why = append(why, s.Sid+" is for others")
				continue
			}
			if missing := r.lacks(s.Condition); missing != "" {
				why = append(why, s.Sid+" takes "+missing)
				continue
			}
			return nil
		}
	}
	return fmt.Errorf("%s isn't granted: %s", action, strings.Join(why, ", "))
}

// names tells whether a request speaks of a resource, by its name or its ARN. Ids that AWS makes up are of any resource of their type.
func (r request) names(pattern string) bool {
	if strings.HasSuffix(pattern, ":alarm:*") { // which all are listed by
		return true
	}
	if strings.HasSuffix(pattern, "*") && !strings.HasSuffix(pattern, ":*") {
		pattern = strings.TrimSuffix(pattern, "*")
		if pattern == "" || strings.HasSuffix(pattern, "/") && !strings.HasPrefix(pattern, "arn:aws:s3:") {
			return true
		}
		pattern += "*"
	}
	qualified := regexp.MustCompile("^" + globbed(pattern) + "$") // such as a task definition with its revision
	pattern = strings.TrimSuffix(strings.TrimSuffix(pattern, ":*"), "/*")
	form := func(glob string) *regexp.Regexp { return regexp.MustCompile("^" + globbed(glob) + "$") }
	name := strings.SplitN(pattern, ":", 6)[5]
	if at := strings.IndexAny(name, ":/"); at > 0 { // what comes before is the type, unless the name begins with /
		name = name[at+1:]
	}
	whole, short := form(pattern), form(name)
	return slices.ContainsFunc(r.values, func(value string) bool {
		return whole.MatchString(value) || qualified.MatchString(value) || short.MatchString(value) ||
			short.MatchString(value[strings.LastIndexAny(value, "/:")+1:]) ||
			short.MatchString(strings.TrimPrefix(value, "alias/"))
	})
}

// globbed is a pattern of IAM's as a regular expression.
func globbed(pattern string) string {
	return strings.NewReplacer(`\?`, ".", `\*`, ".*").Replace(regexp.QuoteMeta(pattern))
}

// lacks gives a tag that a condition wants in the request, and that isn't there.
func (r request) lacks(condition map[string]map[string][]string) string {
	for key, values := range condition["StringEquals"] {
		tag, ofRequest := strings.CutPrefix(key, "aws:RequestTag/")
		if ofRequest && (!slices.Contains(r.values, tag) || !slices.Contains(r.values, values[0])) {
			return key
		}
	}
	return ""
}
