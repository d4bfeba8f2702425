package terraform_test

import (
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/terraform"
)

func custom(typ, name string, inputs, outputs map[string]any) declared.Resource {
	return declared.Resource{Type: typ, Name: name, ID: name + "-id", Custom: true, Inputs: inputs, Outputs: outputs}
}

func write(t *testing.T, resources ...declared.Resource) string {
	t.Helper()
	text, err := terraform.Write(&declared.System{Resources: resources}, "eu-central-1")
	require.NoError(t, err)
	_, problems := hclsyntax.ParseConfig(text, "main.tf", hcl.InitialPos)
	require.False(t, problems.HasErrors(), problems.Error())
	return string(text)
}

func TestWrite(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		resources []declared.Resource
		want      string
	}{
		"values and their names": {
			[]declared.Resource{custom("aws:sqs/queue:Queue", "a", map[string]any{
				"sqsManagedSseEnabled": true, "messageRetentionSeconds": 1209600.0, "tags": map[string]any{"Owner Name": "x"},
			}, nil)},
			`resource "aws_sqs_queue" "a" {
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
  tags = {
    "Owner Name" = "x"
  }
}
`,
		},
		"an object is a block": {
			[]declared.Resource{custom("aws:ecr/repository:Repository", "a", map[string]any{
				"imageScanningConfiguration": map[string]any{"scanOnPush": true},
			}, nil)},
			`resource "aws_ecr_repository" "a" {
  image_scanning_configuration {
    scan_on_push = true
  }
}
`,
		},
		"a list of objects is a block each, in the singular": {
			[]declared.Resource{custom("aws:ec2/routeTable:RouteTable", "a", map[string]any{
				"routes": []any{map[string]any{"cidrBlock": "0.0.0.0/0"}, map[string]any{"cidrBlock": "10.0.0.0/8"}},
			}, nil)},
			`resource "aws_route_table" "a" {
  route {
    cidr_block = "0.0.0.0/0"
  }
  route {
    cidr_block = "10.0.0.0/8"
  }
}
`,
		},
		"blocks within blocks": {
			[]declared.Resource{custom("aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2", "a", map[string]any{
				"rules": []any{map[string]any{"transitions": []any{map[string]any{"days": 30.0}}}},
			}, nil)},
			`resource "aws_s3_bucket_lifecycle_configuration" "a" {
  rule {
    transition {
      days = 30
    }
  }
}
`,
		},
		"references": {
			[]declared.Resource{
				custom("aws:sns/topic:Topic", "topic", nil, map[string]any{"arn": "arn:aws:sns:r:1:t", "name": "t"}),
				custom("aws:cloudwatch/metricAlarm:MetricAlarm", "alarm", map[string]any{
					"alarmActions": []any{"arn:aws:sns:r:1:t", "arn:aws:sns:r:1:other"}, "dimensions": map[string]any{"Topic": "t"},
				}, nil),
			},
			`resource "aws_sns_topic" "topic" {
}
resource "aws_cloudwatch_metric_alarm" "alarm" {
  alarm_actions = [aws_sns_topic.topic.arn, "arn:aws:sns:r:1:other"]
  dimensions = {
    "Topic" = aws_sns_topic.topic.name
  }
}
`,
		},
		"an ARN that is an input is somebody else's": {
			[]declared.Resource{
				custom("aws:sns/topic:Topic", "topic", nil, map[string]any{"arn": "arn:aws:sns:r:1:t"}),
				custom("aws:sns/topicPolicy:TopicPolicy", "policy", map[string]any{"arn": "arn:aws:sns:r:1:t"},
					map[string]any{"arn": "arn:aws:sns:r:1:t"}),
			},
			`resource "aws_sns_topic" "topic" {
}
resource "aws_sns_topic_policy" "policy" {
  arn = aws_sns_topic.topic.arn
}
`,
		},
		"by id": {
			[]declared.Resource{
				custom("aws:ec2/vpc:Vpc", "vpc", nil, nil),
				custom("aws:ec2/subnet:Subnet", "subnet", map[string]any{"vpcId": "vpc-id"}, nil),
			},
			`resource "aws_vpc" "vpc" {
}
resource "aws_subnet" "subnet" {
  vpc_id = aws_vpc.vpc.id
}
`,
		},
		"what looks like a template is none": {
			[]declared.Resource{custom("aws:sns/topic:Topic", "a@b.c", map[string]any{"displayName": "${x} %{y} \"z\""}, nil)},
			`resource "aws_sns_topic" "a_b_c" {
  display_name = "$${x} %%{y} \"z\""
}
`,
		},
		"components and images deploy nothing": {
			[]declared.Resource{
				{Type: "upload-router:components:Task", Name: "c"},
				custom("docker:index/image:Image", "i", map[string]any{"registry": map[string]any{"password": "secret"}}, nil),
			}, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const provider = "provider \"aws\" {\n  region = \"eu-central-1\"\n}\n"
			require.Equal(t, provider+test.want, write(t, test.resources...))
		})
	}
}

func TestUnknownTypesAreErrors(t *testing.T) {
	t.Parallel()
	_, err := terraform.Write(&declared.System{Resources: []declared.Resource{custom("aws:glacier/vault:Vault", "v", nil, nil)}}, "r")
	require.ErrorIs(t, err, terraform.ErrUnknownType)
	require.ErrorContains(t, err, "aws:glacier/vault:Vault v")
}
