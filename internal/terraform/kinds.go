package terraform

// kind is how a type of resource is written.
type kind struct {
	// name is Terraform's type.
	name string
	// refersBy are the attributes besides the ARN that others refer to it by.
	refersBy []string
	// renamed are inputs, by their path, that Terraform calls otherwise: blocks
	// that may be there several times have names in the singular.
	renamed map[string]string
}

// ownNames are inputs whose keys are no names of inputs.
var ownNames = []string{"tags", "dimensions", "variables"}

// notAWS are types that deploy nothing in AWS, which the checkers are about. The
// image has its own: it is made of a file and nothing else.
var notAWS = []string{"docker:index/image:Image"}

// What most others are referred to by.
var (
	byName = []string{"name"}
	byID   = []string{"id"}
)

// kinds are all types that may be declared.
var kinds = map[string]kind{
	"aws:cloudwatch/compositeAlarm:CompositeAlarm":       {name: "aws_cloudwatch_composite_alarm"},
	"aws:cloudwatch/dashboard:Dashboard":                 {name: "aws_cloudwatch_dashboard"},
	"aws:cloudwatch/eventRule:EventRule":                 {name: "aws_cloudwatch_event_rule", refersBy: byName},
	"aws:cloudwatch/eventTarget:EventTarget":             {name: "aws_cloudwatch_event_target"},
	"aws:cloudwatch/logGroup:LogGroup":                   {name: "aws_cloudwatch_log_group", refersBy: byName},
	"aws:cloudwatch/logResourcePolicy:LogResourcePolicy": {name: "aws_cloudwatch_log_resource_policy"},
	"aws:cloudwatch/metricAlarm:MetricAlarm": {
		name: "aws_cloudwatch_metric_alarm", renamed: map[string]string{"metricQueries": "metric_query"},
	},
	"aws:cloudwatch/queryDefinition:QueryDefinition": {name: "aws_cloudwatch_query_definition"},

	"aws:dynamodb/table:Table": {name: "aws_dynamodb_table", refersBy: byName, renamed: map[string]string{
		"attributes": "attribute", "globalSecondaryIndexes": "global_secondary_index", "localSecondaryIndexes": "local_secondary_index",
	}},

	"aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": {name: "aws_default_security_group", refersBy: byID},
	"aws:ec2/flowLog:FlowLog":                           {name: "aws_flow_log"},
	"aws:ec2/internetGateway:InternetGateway":           {name: "aws_internet_gateway", refersBy: byID},
	"aws:ec2/routeTable:RouteTable": {
		name: "aws_route_table", refersBy: byID, renamed: map[string]string{"routes": "route"},
	},
	"aws:ec2/routeTableAssociation:RouteTableAssociation": {name: "aws_route_table_association"},
	"aws:ec2/securityGroup:SecurityGroup":                 {name: "aws_security_group", refersBy: byID},
	"aws:ec2/subnet:Subnet":                               {name: "aws_subnet", refersBy: byID},
	"aws:ec2/vpc:Vpc":                                     {name: "aws_vpc", refersBy: byID},
	"aws:ec2/vpcEndpoint:VpcEndpoint":                     {name: "aws_vpc_endpoint", refersBy: byID},
	"aws:ec2/vpcEndpointRouteTableAssociation:VpcEndpointRouteTableAssociation": {
		name: "aws_vpc_endpoint_route_table_association",
	},
	"aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule":   {name: "aws_vpc_security_group_egress_rule"},
	"aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": {name: "aws_vpc_security_group_ingress_rule"},

	"aws:ecr/lifecyclePolicy:LifecyclePolicy": {name: "aws_ecr_lifecycle_policy"},
	"aws:ecr/repository:Repository": {name: "aws_ecr_repository", refersBy: byName, renamed: map[string]string{
		"encryptionConfigurations": "encryption_configuration",
	}},
	"aws:ecr/repositoryPolicy:RepositoryPolicy": {name: "aws_ecr_repository_policy"},

	"aws:ecs/cluster:Cluster": {name: "aws_ecs_cluster", refersBy: byName, renamed: map[string]string{"settings": "setting"}},
	"aws:ecs/clusterCapacityProviders:ClusterCapacityProviders": {
		name:    "aws_ecs_cluster_capacity_providers",
		renamed: map[string]string{"defaultCapacityProviderStrategies": "default_capacity_provider_strategy"},
	},
	"aws:ecs/taskDefinition:TaskDefinition": {name: "aws_ecs_task_definition", renamed: map[string]string{"volumes": "volume"}},

	"aws:iam/policy:Policy":                             {name: "aws_iam_policy"},
	"aws:iam/role:Role":                                 {name: "aws_iam_role", refersBy: byName},
	"aws:iam/rolePolicy:RolePolicy":                     {name: "aws_iam_role_policy"},
	"aws:iam/rolePolicyAttachment:RolePolicyAttachment": {name: "aws_iam_role_policy_attachment"},

	"aws:kms/alias:Alias":         {name: "aws_kms_alias", refersBy: byName},
	"aws:kms/key:Key":             {name: "aws_kms_key", refersBy: []string{"key_id"}},
	"aws:kms/keyPolicy:KeyPolicy": {name: "aws_kms_key_policy"},

	"aws:lambda/function:Function": {
		name: "aws_lambda_function", refersBy: byName, renamed: map[string]string{"code": "filename", "name": "function_name"},
	},

	"aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2": {
		name: "aws_s3_bucket_lifecycle_configuration", renamed: map[string]string{
			"rules": "rule", "rules.transitions": "transition", "rules.noncurrentVersionTransitions": "noncurrent_version_transition",
		},
	},
	"aws:s3/bucketNotification:BucketNotification":           {name: "aws_s3_bucket_notification"},
	"aws:s3/bucketLoggingV2:BucketLoggingV2":                 {name: "aws_s3_bucket_logging"},
	"aws:s3/bucketOwnershipControls:BucketOwnershipControls": {name: "aws_s3_bucket_ownership_controls"},
	"aws:s3/bucketPolicy:BucketPolicy":                       {name: "aws_s3_bucket_policy"},
	"aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": {name: "aws_s3_bucket_public_access_block"},
	"aws:s3/bucketVersioningV2:BucketVersioningV2":           {name: "aws_s3_bucket_versioning"},
	"aws:s3/bucketV2:BucketV2":                               {name: "aws_s3_bucket", refersBy: byID},
	"aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2": {
		name: "aws_s3_bucket_server_side_encryption_configuration", renamed: map[string]string{"rules": "rule"},
	},

	"aws:sfn/stateMachine:StateMachine": {name: "aws_sfn_state_machine", refersBy: byName},

	"aws:sns/topic:Topic":             {name: "aws_sns_topic", refersBy: byName},
	"aws:sns/topicPolicy:TopicPolicy": {name: "aws_sns_topic_policy"},
	"aws:sns/topicSubscription:TopicSubscription": {
		name: "aws_sns_topic_subscription", renamed: map[string]string{"topic": "topic_arn"},
	},

	"aws:sqs/queue:Queue":             {name: "aws_sqs_queue", refersBy: []string{"url", "name"}},
	"aws:sqs/queuePolicy:QueuePolicy": {name: "aws_sqs_queue_policy"},
}
