package declared

import (
	"fmt"
	"strings"
)

// The types that are known, by Pulumi's tokens of them.
const (
	TypeDashboard                = "aws:cloudwatch/dashboard:Dashboard"
	TypeEventRule                = "aws:cloudwatch/eventRule:EventRule"
	TypeEventTarget              = "aws:cloudwatch/eventTarget:EventTarget"
	TypeLogGroup                 = "aws:cloudwatch/logGroup:LogGroup"
	TypeAlarm                    = "aws:cloudwatch/metricAlarm:MetricAlarm"
	TypeQueryDefinition          = "aws:cloudwatch/queryDefinition:QueryDefinition"
	TypeTable                    = "aws:dynamodb/table:Table"
	TypeDefaultSecurityGroup     = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
	TypeFlowLog                  = "aws:ec2/flowLog:FlowLog"
	TypeInternetGateway          = "aws:ec2/internetGateway:InternetGateway"
	TypeRouteTable               = "aws:ec2/routeTable:RouteTable"
	TypeRouteTableAssociation    = "aws:ec2/routeTableAssociation:RouteTableAssociation"
	TypeSecurityGroup            = "aws:ec2/securityGroup:SecurityGroup"
	TypeSubnet                   = "aws:ec2/subnet:Subnet"
	TypeVPC                      = "aws:ec2/vpc:Vpc"
	TypeVPCEndpoint              = "aws:ec2/vpcEndpoint:VpcEndpoint"
	TypeLifecyclePolicy          = "aws:ecr/lifecyclePolicy:LifecyclePolicy"
	TypeRepository               = "aws:ecr/repository:Repository"
	TypeRepositoryPolicy         = "aws:ecr/repositoryPolicy:RepositoryPolicy"
	TypeCluster                  = "aws:ecs/cluster:Cluster"
	TypeClusterCapacityProviders = "aws:ecs/clusterCapacityProviders:ClusterCapacityProviders"
	TypeTaskDefinition           = "aws:ecs/taskDefinition:TaskDefinition"
	TypePolicy                   = "aws:iam/policy:Policy"
	TypeRole                     = "aws:iam/role:Role"
	TypeRolePolicy               = "aws:iam/rolePolicy:RolePolicy"
	TypeRolePolicyAttachment     = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
	TypeAlias                    = "aws:kms/alias:Alias"
	TypeKey                      = "aws:kms/key:Key"
	TypeKeyPolicy                = "aws:kms/keyPolicy:KeyPolicy"
	TypeFunction                 = "aws:lambda/function:Function"
	TypePermission               = "aws:lambda/permission:Permission"
	TypeBucketLifecycle          = "aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2"
	TypeBucketNotification       = "aws:s3/bucketNotification:BucketNotification"
	TypeBucketOwnershipControls  = "aws:s3/bucketOwnershipControls:BucketOwnershipControls"
	TypeBucketPolicy             = "aws:s3/bucketPolicy:BucketPolicy"
	TypeBucketPublicAccessBlock  = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
	TypeBucketEncryption         = "aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2"
	TypeBucket                   = "aws:s3/bucketV2:BucketV2"
	TypeBucketVersioning         = "aws:s3/bucketVersioningV2:BucketVersioningV2"
	TypeSchedule                 = "aws:scheduler/schedule:Schedule"
	TypeScheduleGroup            = "aws:scheduler/scheduleGroup:ScheduleGroup"
	TypeStateMachine             = "aws:sfn/stateMachine:StateMachine"
	TypeTopic                    = "aws:sns/topic:Topic"
	TypeTopicPolicy              = "aws:sns/topicPolicy:TopicPolicy"
	TypeTopicSubscription        = "aws:sns/topicSubscription:TopicSubscription"
	TypeQueue                    = "aws:sqs/queue:Queue"
	TypeQueuePolicy              = "aws:sqs/queuePolicy:QueuePolicy"
	TypeSecurityGroupEgressRule  = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
	TypeSecurityGroupIngressRule = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
	TypeImage                    = "docker:index/image:Image"
)

// Kind is a type of resource.
type Kind struct {
	// Terraform is Terraform's type; empty for what deploys nothing in AWS.
	Terraform string
	// RefersBy are Terraform's attributes besides the ARN by which others refer to it.
	RefersBy []string
	// Renamed are inputs, by their path, that Terraform calls otherwise: blocks
	// that may be there several times have names in the singular.
	Renamed map[string]string
	// Stateful says what would be lost with it: what holds data, what data can't be read without, and what people or running
	// executions count on. Empty for what can be made anew.
	Stateful string

	// named is the input that holds the physical name; empty if the id is AWS's own.
	named string
	// prefix starts the ids that AWS makes up, such as vpc.
	prefix string
	// fill gives further values that AWS fills in; may be nil.
	fill computed
}

// What most others are referred to by.
var (
	byName = []string{"name"}
	byID   = []string{"id"}
)

// kinds has every type that the program may declare.
var kinds = map[string]Kind{
	TypeDashboard:   {Terraform: "aws_cloudwatch_dashboard", named: "dashboardName"},
	TypeEventRule:   {Terraform: "aws_cloudwatch_event_rule", RefersBy: byName, named: "name", fill: arn("events", "rule/")},
	TypeEventTarget: {Terraform: "aws_cloudwatch_event_target", named: "targetId"},
	TypeLogGroup: {
		Terraform: "aws_cloudwatch_log_group", RefersBy: byName,
		Stateful: "what happened",
		named:    "name", fill: arn("logs", "log-group:"),
	},
	TypeAlarm: {
		Terraform: "aws_cloudwatch_metric_alarm", Renamed: map[string]string{"metricQueries": "metric_query"},
		named: "name", fill: arn("cloudwatch", "alarm:"),
	},
	TypeQueryDefinition: {Terraform: "aws_cloudwatch_query_definition", named: "name"},

	TypeTable: {
		Terraform: "aws_dynamodb_table", RefersBy: byName, Renamed: map[string]string{
			"attributes": "attribute", "globalSecondaryIndexes": "global_secondary_index", "localSecondaryIndexes": "local_secondary_index",
		},
		Stateful: "what became of each upload",
		named:    "name", fill: arn("dynamodb", "table/"),
	},

	TypeDefaultSecurityGroup:  {Terraform: "aws_default_security_group", RefersBy: byID, prefix: "sg"},
	TypeFlowLog:               {Terraform: "aws_flow_log", prefix: "fl", fill: arn("ec2", "vpc-flow-log/")},
	TypeInternetGateway:       {Terraform: "aws_internet_gateway", RefersBy: byID, prefix: "igw"},
	TypeRouteTable:            {Terraform: "aws_route_table", RefersBy: byID, Renamed: map[string]string{"routes": "route"}, prefix: "rtb"},
	TypeRouteTableAssociation: {Terraform: "aws_route_table_association", prefix: "rtbassoc"},
	TypeSecurityGroup:         {Terraform: "aws_security_group", RefersBy: byID, prefix: "sg"},
	TypeSubnet:                {Terraform: "aws_subnet", RefersBy: byID, prefix: "subnet"},
	TypeVPC:                   {Terraform: "aws_vpc", RefersBy: byID, prefix: "vpc"},
	TypeVPCEndpoint: {
		Terraform: "aws_vpc_endpoint", RefersBy: byID,
		prefix: "vpce", fill: func(p provider, id string, in map[string]any) map[string]any {
			filled := map[string]any{"arn": p.arn("ec2", "vpc-endpoint/"+id)}
			if in["vpcEndpointType"] == "Gateway" {
				filled["prefixListId"] = "pl-" + digest(fmt.Sprint(in["serviceName"]))[:8]
			}
			return filled
		},
	},

	TypeLifecyclePolicy: {Terraform: "aws_ecr_lifecycle_policy", prefix: "policy"},
	TypeRepository: {
		Terraform: "aws_ecr_repository", RefersBy: byName, Renamed: map[string]string{
			"encryptionConfigurations": "encryption_configuration",
		},
		Stateful: "the images that running executions name by their digest",
		named:    "name", fill: func(p provider, name string, _ map[string]any) map[string]any {
			return map[string]any{
				"arn":           p.arn("ecr", "repository/"+name),
				"registryId":    p.AccountID,
				"repositoryUrl": fmt.Sprintf("%s.dkr.ecr.%s.%s/%s", p.AccountID, p.Region, p.domain(), name),
			}
		},
	},
	TypeRepositoryPolicy: {Terraform: "aws_ecr_repository_policy", prefix: "policy"},

	TypeCluster: {
		Terraform: "aws_ecs_cluster", RefersBy: byName, Renamed: map[string]string{"settings": "setting"},
		named: "name", fill: arn("ecs", "cluster/"),
	},
	TypeClusterCapacityProviders: {
		Terraform: "aws_ecs_cluster_capacity_providers",
		Renamed:   map[string]string{"defaultCapacityProviderStrategies": "default_capacity_provider_strategy"},
		prefix:    "capacity",
	},
	TypeTaskDefinition: {
		Terraform: "aws_ecs_task_definition", Renamed: map[string]string{"volumes": "volume"},
		named: "family", fill: func(p provider, family string, _ map[string]any) map[string]any {
			return map[string]any{
				"arn":                p.arn("ecs", "task-definition/"+family+":1"),
				"arnWithoutRevision": p.arn("ecs", "task-definition/"+family),
				"revision":           1.0,
			}
		},
	},

	TypePolicy: {Terraform: "aws_iam_policy", named: "name"},
	TypeRole: {
		Terraform: "aws_iam_role", RefersBy: byName,
		named: "name", fill: func(p provider, name string, _ map[string]any) map[string]any {
			return map[string]any{"arn": fmt.Sprintf("arn:%s:iam::%s:role/%s", p.Partition, p.AccountID, name)}
		},
	},
	TypeRolePolicy:           {Terraform: "aws_iam_role_policy", named: "name"},
	TypeRolePolicyAttachment: {Terraform: "aws_iam_role_policy_attachment", prefix: "attachment"},

	TypeAlias: {Terraform: "aws_kms_alias", RefersBy: byName, named: "name"},
	TypeKey: {
		Terraform: "aws_kms_key", RefersBy: []string{"key_id"},
		Stateful: "what else can't be read",
		prefix:   "key", fill: func(p provider, id string, _ map[string]any) map[string]any {
			return map[string]any{"arn": p.arn("kms", "key/"+id), "keyId": id}
		},
	},
	TypeKeyPolicy: {Terraform: "aws_kms_key_policy", prefix: "policy"},

	TypeFunction: {
		Terraform: "aws_lambda_function", RefersBy: byName, Renamed: map[string]string{"code": "filename", "name": "function_name"},
		named: "name", fill: arn("lambda", "function:"),
	},
	TypePermission: {
		Terraform: "aws_lambda_permission", Renamed: map[string]string{"function": "function_name"},
		named: "statementId",
	},

	TypeBucketLifecycle: {
		Terraform: "aws_s3_bucket_lifecycle_configuration", Renamed: map[string]string{
			"rules": "rule", "rules.transitions": "transition", "rules.noncurrentVersionTransitions": "noncurrent_version_transition",
		},
		prefix: "bucket",
	},
	TypeBucketNotification:      {Terraform: "aws_s3_bucket_notification", prefix: "bucket"},
	TypeBucketOwnershipControls: {Terraform: "aws_s3_bucket_ownership_controls", prefix: "bucket"},
	TypeBucketPolicy:            {Terraform: "aws_s3_bucket_policy", prefix: "bucket"},
	TypeBucketPublicAccessBlock: {Terraform: "aws_s3_bucket_public_access_block", prefix: "bucket"},
	TypeBucketEncryption: {
		Terraform: "aws_s3_bucket_server_side_encryption_configuration", Renamed: map[string]string{"rules": "rule"},
		prefix: "bucket",
	},
	TypeBucket: {
		Terraform: "aws_s3_bucket", RefersBy: byID,
		Stateful: "the files",
		named:    "bucket", fill: func(p provider, name string, _ map[string]any) map[string]any {
			return map[string]any{"arn": fmt.Sprintf("arn:%s:s3:::%s", p.Partition, name)}
		},
	},
	TypeBucketVersioning: {Terraform: "aws_s3_bucket_versioning", prefix: "bucket"},

	TypeStateMachine: {
		Terraform: "aws_sfn_state_machine", RefersBy: byName,
		Stateful: "the executions' histories",
		named:    "name", fill: arn("states", "stateMachine:"),
	},

	TypeSchedule:      {Terraform: "aws_scheduler_schedule", named: "name"},
	TypeScheduleGroup: {Terraform: "aws_scheduler_schedule_group", RefersBy: byName, named: "name", fill: arn("scheduler", "schedule-group/")},

	TypeTopic: {
		Terraform: "aws_sns_topic", RefersBy: byName,
		Stateful: "the subscriptions that people have confirmed",
		named:    "name", fill: arn("sns", ""),
	},
	TypeTopicPolicy: {Terraform: "aws_sns_topic_policy", prefix: "policy"},
	TypeTopicSubscription: {
		Terraform: "aws_sns_topic_subscription", Renamed: map[string]string{"topic": "topic_arn"},
		prefix: "subscription",
	},

	TypeQueue: {
		Terraform: "aws_sqs_queue", RefersBy: []string{"url", "name"},
		Stateful: "the events that wait in it",
		named:    "name", fill: func(p provider, name string, _ map[string]any) map[string]any {
			return map[string]any{
				"arn": p.arn("sqs", name),
				"url": fmt.Sprintf("https://sqs.%s.%s/%s/%s", p.Region, p.domain(), p.AccountID, name),
			}
		},
	},
	TypeQueuePolicy: {Terraform: "aws_sqs_queue_policy", prefix: "policy"},

	TypeSecurityGroupEgressRule:  {Terraform: "aws_vpc_security_group_egress_rule", prefix: "sgr"},
	TypeSecurityGroupIngressRule: {Terraform: "aws_vpc_security_group_ingress_rule", prefix: "sgr"},

	TypeImage: {
		prefix: "image", fill: func(_ provider, _ string, in map[string]any) map[string]any {
			name, _ := in["imageName"].(string)
			repository := name[:max(0, strings.LastIndex(name, ":"))]
			return map[string]any{"repoDigest": repository + "@sha256:" + digest(fmt.Sprint(in["imageName"], in["build"]))}
		},
	},
}

// KindOf is the kind that a type token stands for, if it is known.
func KindOf(token string) (Kind, bool) {
	k, known := kinds[token]
	return k, known
}
