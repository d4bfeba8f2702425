package deployer

import "example.com/upload-router/internal/declared"

// The ids of statements that several kinds contribute to.
const (
	sidBuckets        = "Buckets"
	sidChangeNetwork  = "ChangeNetwork"
	sidClusters       = "Clusters"
	sidDescribe       = "DescribeResources"
	sidCreateGroups   = "CreateSecurityGroups"
	sidCreateNetwork  = "CreateNetwork"
	sidQueues         = "Queues"
	sidRepositories   = "Repositories"
	sidRoles          = "Roles"
	sidRules          = "Rules"
	sidTopics         = "Topics"
	sidKeys           = "Keys"
	sidTagNewNetworks = "TagNewNetworks"
	// What AWS takes no resource for, and so can't be narrowed, changes something by these.
	sidWithoutResource = "WithoutResource"
)

// Actions that are written more than once.
const (
	createTags = "ec2:CreateTags"
	deleteTags = "ec2:DeleteTags"
	passRole   = "iam:PassRole"
)

// kinds has every type of resource that the program may declare, with the actions that the Terraform AWS provider 5.100, which
// Pulumi's 6.83 wraps, calls to create, read, update, tag and delete it. What it calls was recorded before an emulator
// (test/e2e/deployer_test.go holds the table to that); which resources and conditions an action knows is AWS's service
// authorization reference:
// https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
var kinds = map[string][]permission{
	declared.TypeDashboard: {
		{sid: "Dashboards", on: dashboard, actions: list("cloudwatch", "DeleteDashboards", "GetDashboard", "PutDashboard")},
	},
	declared.TypeEventRule: {
		{sid: sidRules, on: named("events", "rule/"), actions: list("events",
			"DeleteRule", "DescribeRule", "ListTagsForResource", "PutRule", "TagResource", "UntagResource")},
	},
	declared.TypeEventTarget: {
		{sid: sidRules, on: of(declared.TypeEventRule, "rule"), actions: list("events", "ListTargetsByRule", "PutTargets", "RemoveTargets")},
		{sid: "PassRoleToEventBridge", on: roles("roleArn"), when: passedTo("events"), actions: []string{passRole}},
	},
	declared.TypeLogGroup: {
		{sid: "LogGroups", on: logGroup, actions: list("logs", "AssociateKmsKey", "CreateLogGroup", "DeleteLogGroup", "DeleteRetentionPolicy",
			"DisassociateKmsKey", "ListTagsForResource", "PutRetentionPolicy", "TagResource", "UntagResource")},
		{sid: sidDescribe, on: everything, actions: list("logs", "DescribeLogGroups")},
	},
	declared.TypeAlarm: {
		{sid: "Alarms", on: many(named("cloudwatch", "alarm:")), actions: list("cloudwatch",
			"DeleteAlarms", "ListTagsForResource", "PutMetricAlarm", "TagResource", "UntagResource")},
		// It lists, and is authorized for all alarms of the account, whichever it is asked for.
		{sid: "DescribeAlarms", on: account("cloudwatch", "alarm:*"), actions: list("cloudwatch", "DescribeAlarms")},
	},
	declared.TypeQueryDefinition: {
		{sid: sidDescribe, on: everything, actions: list("logs", "DescribeQueryDefinitions")},
		{sid: sidWithoutResource, on: everything, actions: list("logs", "DeleteQueryDefinition", "PutQueryDefinition")},
	},

	declared.TypeTable: {
		{sid: "Tables", on: named("dynamodb", "table/"), actions: list("dynamodb", "CreateTable", "DeleteTable", "DescribeContinuousBackups",
			"DescribeTable", "DescribeTimeToLive", "ListTagsOfResource", "TagResource", "UntagResource", "UpdateContinuousBackups", "UpdateTable",
			"UpdateTimeToLive")},
		// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html
		{sid: "KeysByDynamoDB", only: hasKey("serverSideEncryption", "kmsKeyArn"), on: anyKey, when: via("dynamodb"), actions: list("kms",
			"CreateGrant", "Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom",
			"ReEncryptTo")},
	},

	declared.TypeDefaultSecurityGroup: {
		// The provider tags it first, and may then take its rules away as from what the stack made.
		{sid: "TagDefaultSecurityGroup", on: ec2("security-group"), when: both(requestTags, untagged), actions: []string{createTags}},
		changes("security-group", "AuthorizeSecurityGroupEgress", "AuthorizeSecurityGroupIngress", "RevokeSecurityGroupEgress",
			"RevokeSecurityGroupIngress"),
		looks("DescribeSecurityGroups", "DescribeSecurityGroupRules", "DescribeVpcs"),
	},
	declared.TypeFlowLog: {
		{sid: "CreateFlowLogs", on: ec2("vpc-flow-log"), when: requestTags, actions: list("ec2", "CreateFlowLogs")},
		tagsNew("vpc-flow-log"),
		changes("vpc-flow-log", "DeleteFlowLogs"),
		changes("vpc", "CreateFlowLogs"),
		// https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam.html
		{sid: sidWithoutResource, on: everything, actions: list("logs", "CreateLogDelivery", "DeleteLogDelivery")},
		{sid: "PassRoleToFlowLogs", on: roles("iamRoleArn"), when: passedTo("vpc-flow-logs"), actions: []string{passRole}},
		looks("DescribeFlowLogs"),
	},
	declared.TypeInternetGateway: {
		makes("internet-gateway", "CreateInternetGateway"), tagsNew("internet-gateway"),
		changes("internet-gateway", "AttachInternetGateway", "DeleteInternetGateway", "DetachInternetGateway"),
		changes("vpc", "AttachInternetGateway", "DetachInternetGateway"),
		looks("DescribeInternetGateways"),
	},
	declared.TypeRouteTable: {
		makes("route-table", "CreateRouteTable"), tagsNew("route-table"),
		changes("route-table", "CreateRoute", "DeleteRoute", "DeleteRouteTable", "ReplaceRoute"),
		changes("vpc", "CreateRouteTable"),
		looks("DescribeRouteTables"),
	},
	declared.TypeRouteTableAssociation: {
		changes("route-table", "AssociateRouteTable", "DisassociateRouteTable", "ReplaceRouteTableAssociation"),
		changes("subnet", "AssociateRouteTable", "DisassociateRouteTable", "ReplaceRouteTableAssociation"),
		looks("DescribeRouteTables"),
	},
	declared.TypeSecurityGroup: {
		{sid: sidCreateGroups, on: ec2("security-group"), when: requestTags, actions: list("ec2", "CreateSecurityGroup")},
		tagsNew("security-group"),
		changes("security-group", "DeleteSecurityGroup", "RevokeSecurityGroupEgress", "RevokeSecurityGroupIngress"),
		changes("vpc", "CreateSecurityGroup"),
		{sid: "UseVPC", on: foreignVPC, actions: list("ec2", "CreateSecurityGroup")},
		// What still uses a group is looked for when it can't be deleted yet.
		looks("DescribeNetworkInterfaces", "DescribeSecurityGroups"),
	},
	declared.TypeSubnet: {
		makes("subnet", "CreateSubnet"), tagsNew("subnet"),
		changes("subnet", "DeleteSubnet", "ModifySubnetAttribute"), changes("vpc", "CreateSubnet"),
		looks("DescribeNetworkInterfaces", "DescribeSubnets"),
	},
	declared.TypeVPC: {
		{sid: "CreateVPCs", on: ec2("vpc"), when: requestTags, actions: list("ec2", "CreateVpc")}, tagsNew("vpc"),
		changes("vpc", "DeleteVpc", "ModifyVpcAttribute"),
		looks("DescribeNetworkAcls", "DescribeRouteTables", "DescribeSecurityGroups", "DescribeVpcAttribute", "DescribeVpcs"),
	},
	declared.TypeVPCEndpoint: {
		makes("vpc-endpoint", "CreateVpcEndpoint"), tagsNew("vpc-endpoint"),
		changes("vpc-endpoint", "DeleteVpcEndpoints", "ModifyVpcEndpoint"),
		changes("vpc", "CreateVpcEndpoint"), changes("subnet", "CreateVpcEndpoint", "ModifyVpcEndpoint"),
		changes("route-table", "CreateVpcEndpoint", "ModifyVpcEndpoint"), changes("security-group", "CreateVpcEndpoint", "ModifyVpcEndpoint"),
		// Private DNS is a hosted zone that EC2 associates with the VPC in the caller's name.
		// https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-iam.html
		{sid: "PrivateDNS", only: interfaceEndpoint, on: hostedZones, actions: list("route53", "AssociateVPCWithHostedZone")},
		looks("DescribeNetworkInterfaces", "DescribePrefixLists", "DescribeVpcEndpoints"),
	},
	declared.TypeSecurityGroupEgressRule: {
		makes("security-group-rule", "AuthorizeSecurityGroupEgress"), tagsNew("security-group-rule"),
		changes("security-group-rule", "ModifySecurityGroupRules"),
		changes("security-group", "AuthorizeSecurityGroupEgress", "ModifySecurityGroupRules", "RevokeSecurityGroupEgress"),
		looks("DescribeSecurityGroupRules"),
	},
	declared.TypeSecurityGroupIngressRule: {
		makes("security-group-rule", "AuthorizeSecurityGroupIngress"), tagsNew("security-group-rule"),
		changes("security-group-rule", "ModifySecurityGroupRules"),
		changes("security-group", "AuthorizeSecurityGroupIngress", "ModifySecurityGroupRules", "RevokeSecurityGroupIngress"),
		looks("DescribeSecurityGroupRules"),
	},

	declared.TypeLifecyclePolicy: {
		{sid: sidRepositories, on: of(declared.TypeRepository, "repository"), actions: list("ecr",
			"DeleteLifecyclePolicy", "GetLifecyclePolicy", "PutLifecyclePolicy")},
	},
	declared.TypeRepositoryPolicy: {
		{sid: sidRepositories, on: of(declared.TypeRepository, "repository"), actions: list("ecr",
			"DeleteRepositoryPolicy", "GetRepositoryPolicy", "SetRepositoryPolicy")},
	},
	declared.TypeRepository: {
		{sid: sidRepositories, on: named("ecr", "repository/"), actions: list("ecr", "CreateRepository", "DeleteRepository",
			"DescribeRepositories", "ListTagsForResource", "PutImageScanningConfiguration", "PutImageTagMutability", "TagResource",
			"UntagResource")},
		// https://docs.aws.amazon.com/AmazonECR/latest/userguide/encryption-at-rest.html
		{sid: "KeysByECR", only: hasKey("encryptionConfigurations", "kmsKey"), on: anyKey, when: via("ecr"), actions: list("kms",
			"CreateGrant", "DescribeKey", "RetireGrant")},
	},
	declared.TypeImage: {
		// Docker's, not the provider's: https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
		{sid: sidRepositories, on: pushedTo, actions: list("ecr", "BatchCheckLayerAvailability", "BatchGetImage", "CompleteLayerUpload",
			"GetDownloadUrlForLayer", "InitiateLayerUpload", "PutImage", "UploadLayerPart")},
	},

	declared.TypeCluster: {
		{sid: sidClusters, on: named("ecs", "cluster/"), actions: list("ecs", "CreateCluster", "DeleteCluster", "DescribeClusters",
			"ListTagsForResource", "TagResource",
			"UntagResource", "UpdateCluster")},
		// The first cluster of an account makes the role that ECS calls other services by.
		// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using-service-linked-roles.html
		{sid: "FirstUseOfECS", on: serviceLinkedRole("ecs", "AWSServiceRoleForECS*"), when: forService("ecs"),
			actions: list("iam", "CreateServiceLinkedRole")},
	},
	declared.TypeClusterCapacityProviders: {
		{sid: sidClusters, on: of(declared.TypeCluster, "clusterName"), actions: list("ecs", "DescribeClusters",
			"PutClusterCapacityProviders")},
	},
	declared.TypeTaskDefinition: {
		// AWS began to take a resource for it; where it doesn't yet, nothing but * does.
		{sid: "RegisterTaskDefinitions", on: everything, when: requestTags, actions: list("ecs", "RegisterTaskDefinition")},
		{sid: "TaskDefinitions", on: taskDefinition, actions: list("ecs", "ListTagsForResource", "TagResource", "UntagResource")},
		{sid: sidDescribe, on: everything, actions: list("ecs", "DescribeTaskDefinition")},
		{sid: sidWithoutResource, on: everything, actions: list("ecs", "DeregisterTaskDefinition")},
		{sid: "PassRoleToECS", on: roles("executionRoleArn", "taskRoleArn"), when: passedTo("ecs-tasks"), actions: []string{passRole}},
	},

	declared.TypeRole: {
		{sid: sidRoles, on: named("iam", "role/"), actions: list("iam", "CreateRole", "DeleteRole", "GetRole", "ListAttachedRolePolicies",
			"ListInstanceProfilesForRole", "ListRolePolicies", "TagRole", "UntagRole", "UpdateAssumeRolePolicy", "UpdateRole",
			"UpdateRoleDescription")},
	},
	declared.TypeRolePolicy: {
		{sid: sidRoles, on: of(declared.TypeRole, "role"), actions: list("iam", "DeleteRolePolicy", "GetRolePolicy", "PutRolePolicy")},
	},

	declared.TypeAlias: {
		{sid: "Aliases", on: named("kms", "alias/"), actions: list("kms", "CreateAlias", "DeleteAlias", "UpdateAlias")},
		{sid: sidKeys, on: anyKey, when: resourceTags, actions: list("kms", "CreateAlias", "DeleteAlias", "UpdateAlias")},
		{sid: "NewKeys", on: anyKey, actions: list("kms", "CreateAlias")},
		{sid: sidDescribe, on: everything, actions: list("kms", "ListAliases")},
	},
	declared.TypeKey: {
		{sid: "CreateKeys", on: everything, when: requestTags, actions: list("kms", "CreateKey")},
		{sid: "TagNewKeys", on: anyKey, when: both(requestTags, untagged), actions: list("kms", "TagResource")},
		// A new key's tags take up to five minutes to count, so what is asked of it at once can't depend on them.
		// https://docs.aws.amazon.com/kms/latest/developerguide/abac.html
		{sid: "NewKeys", on: anyKey, actions: list("kms", "DescribeKey", "EnableKeyRotation", "GetKeyPolicy", "GetKeyRotationStatus",
			"ListResourceTags")},
		{sid: sidKeys, on: anyKey, when: resourceTags, actions: list("kms", "DisableKeyRotation", "PutKeyPolicy", "ScheduleKeyDeletion",
			"TagResource", "UntagResource", "UpdateKeyDescription")},
	},

	declared.TypeFunction: {
		{sid: "Functions", on: named("lambda", "function:"), actions: list("lambda", "CreateFunction", "DeleteFunction",
			"DeleteFunctionConcurrency", "GetFunction", "GetFunctionCodeSigningConfig", "ListTags",
			"ListVersionsByFunction", "PutFunctionConcurrency", "TagResource", "UntagResource", "UpdateFunctionCode",
			"UpdateFunctionConfiguration")},
		{sid: "PassRoleToLambda", on: roles("role"), when: passedTo("lambda"), actions: []string{passRole}},
		// Whoever makes a function of an image, or gives it another one, may get that image.
		// https://docs.aws.amazon.com/lambda/latest/dg/images-create.html
		{sid: sidRepositories, only: hasInput("imageUri"), on: imagesRepository, actions: list("ecr", "BatchGetImage",
			"GetDownloadUrlForLayer")},
	},

	declared.TypePermission: {
		{sid: "Functions", on: of(declared.TypeFunction, "function"), actions: list("lambda", "AddPermission", "GetPolicy", "RemovePermission")},
	},

	declared.TypeBucketLifecycle:         {ofBucket("GetLifecycleConfiguration", "PutLifecycleConfiguration")},
	declared.TypeBucketNotification:      {ofBucket("GetBucketNotification", "PutBucketNotification")},
	declared.TypeBucketOwnershipControls: {ofBucket("GetBucketOwnershipControls", "PutBucketOwnershipControls")},
	declared.TypeBucketPolicy:            {ofBucket("DeleteBucketPolicy", "GetBucketPolicy", "PutBucketPolicy")},
	declared.TypeBucketPublicAccessBlock: {ofBucket("GetBucketPublicAccessBlock", "PutBucketPublicAccessBlock")},
	declared.TypeBucketEncryption:        {ofBucket("GetEncryptionConfiguration", "PutEncryptionConfiguration")},
	declared.TypeBucketVersioning:        {ofBucket("GetBucketVersioning", "PutBucketVersioning")},
	declared.TypeBucket: {
		{sid: sidBuckets, on: bucket(""), actions: list("s3", "CreateBucket", "DeleteBucket", "GetAccelerateConfiguration", "GetBucketAcl",
			"GetBucketCORS", "GetBucketLogging", "GetBucketObjectLockConfiguration", "GetBucketPolicy", "GetBucketRequestPayment",
			"GetBucketTagging", "GetBucketVersioning", "GetBucketWebsite", "GetEncryptionConfiguration", "GetLifecycleConfiguration",
			"GetReplicationConfiguration", "ListBucket", "PutBucketTagging")},
		// Only a bucket that may be deleted with what is in it is emptied.
		{sid: sidBuckets, only: isTrue("forceDestroy"), on: bucket(""), actions: list("s3", "ListBucketVersions")},
		{sid: "EmptyBuckets", only: isTrue("forceDestroy"), on: bucket("/*"), actions: list("s3", "DeleteObject", "DeleteObjectVersion")},
	},

	declared.TypeStateMachine: {
		{sid: "StateMachines", on: named("states", "stateMachine:"), actions: list("states", "CreateStateMachine", "DeleteStateMachine",
			"DescribeStateMachine", "ListStateMachineVersions", "ListTagsForResource", "TagResource", "UntagResource", "UpdateStateMachine")},
		{sid: sidDescribe, on: everything, actions: list("states", "ValidateStateMachineDefinition")},
		{sid: "PassRoleToStepFunctions", on: roles("roleArn"), when: passedTo("states"), actions: []string{passRole}},
		// The definition is encrypted, in the name of who creates, updates or reads it.
		// https://docs.aws.amazon.com/step-functions/latest/dg/encryption-at-rest.html
		{sid: "KeysByStepFunctions", only: hasKey("encryptionConfiguration", "kmsKeyId"), on: anyKey, when: encryptsMachine,
			actions: list("kms", "Decrypt", "GenerateDataKey")},
		{sid: "NewKeys", only: hasKey("encryptionConfiguration", "kmsKeyId"), on: anyKey, actions: list("kms", "DescribeKey")},
	},

	declared.TypeScheduleGroup: {
		{sid: "Schedules", on: named("scheduler", "schedule-group/"), actions: list("scheduler", "CreateScheduleGroup", "DeleteScheduleGroup",
			"GetScheduleGroup", "ListTagsForResource", "TagResource", "UntagResource")},
	},
	declared.TypeSchedule: {
		{sid: "Schedules", on: schedule, actions: list("scheduler", "CreateSchedule", "DeleteSchedule", "GetSchedule", "UpdateSchedule")},
		{sid: "PassRoleToScheduler", on: scheduleRole, when: passedTo("scheduler"), actions: []string{passRole}},
	},

	declared.TypeTopic: {
		{sid: sidTopics, on: named("sns", ""), actions: list("sns", "CreateTopic", "DeleteTopic", "GetTopicAttributes", "ListTagsForResource",
			"SetTopicAttributes", "TagResource", "UntagResource")},
	},
	declared.TypeTopicPolicy: {
		{sid: sidTopics, on: of(declared.TypeTopic, "arn"), actions: list("sns", "GetTopicAttributes", "SetTopicAttributes")},
	},
	declared.TypeTopicSubscription: {
		{sid: sidTopics, on: of(declared.TypeTopic, "topic"), actions: list("sns", "ListSubscriptionsByTopic", "Subscribe")},
		// A subscription is no resource of its own.
		// https://docs.aws.amazon.com/sns/latest/dg/sns-using-identity-based-policies.html
		{sid: sidWithoutResource, on: everything, actions: list("sns", "GetSubscriptionAttributes", "SetSubscriptionAttributes", "Unsubscribe")},
	},

	declared.TypeQueue: {
		{sid: sidQueues, on: named("sqs", ""), actions: list("sqs", "CreateQueue", "DeleteQueue", "GetQueueAttributes", "ListQueueTags",
			"SetQueueAttributes", "TagQueue", "UntagQueue")},
	},
	declared.TypeQueuePolicy: {
		{sid: sidQueues, on: of(declared.TypeQueue, "queueUrl"), actions: list("sqs", "GetQueueAttributes", "SetQueueAttributes")},
	},
}

// functions has every function of a provider that the program may call.
var functions = map[string][]permission{
	"aws:index/getCallerIdentity:getCallerIdentity": nil, // takes none
	"aws:index/getPartition:getPartition":           nil, // asks nobody
	"aws:index/getRegion:getRegion":                 nil, // asks nobody
	"aws:index/getAvailabilityZones:getAvailabilityZones": {
		looks("DescribeAvailabilityZones"),
	},
	"aws:ec2/getSubnets:getSubnets":                       {looks("DescribeSubnets")},
	"aws:ec2/getVpc:getVpc":                               {looks("DescribeRouteTables", "DescribeVpcAttribute", "DescribeVpcs")},
	"aws:ec2/getVpcEndpointService:getVpcEndpointService": {looks("DescribeVpcEndpointServices")},
	"aws:ecr/getAuthorizationToken:getAuthorizationToken": {
		{sid: sidDescribe, on: everything, actions: list("ecr", "GetAuthorizationToken")},
	},
	"aws:ecr/getImage:getImage": {
		{sid: sidRepositories, on: everyOf(declared.TypeRepository), actions: list("ecr", "DescribeImages")},
	},
}

// makes creates what the stack's tags are given to, and nothing else.
func makes(typ string, actions ...string) permission {
	return permission{sid: sidCreateNetwork, on: ec2(typ), when: requestTags, actions: list("ec2", actions...)}
}

// changes changes, deletes and tags what has the stack's tags.
func changes(typ string, actions ...string) permission {
	return permission{
		sid: sidChangeNetwork, on: ec2(typ), when: resourceTags, actions: append(list("ec2", actions...), createTags, deleteTags),
	}
}

// tagsNew tags what is being created.
func tagsNew(typ string) permission {
	return permission{sid: sidTagNewNetworks, on: ec2(typ), when: both(requestTags, creating), actions: []string{createTags}}
}

// ofBucket changes what a bucket has, and reads it.
func ofBucket(actions ...string) permission {
	return permission{sid: sidBuckets, on: of(declared.TypeBucket, "bucket"), actions: list("s3", actions...)}
}

// looks reads what EC2 has, for which it takes no resource.
func looks(actions ...string) permission {
	return permission{sid: sidDescribe, on: everything, actions: list("ec2", actions...)}
}
