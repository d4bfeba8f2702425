package stack_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/declared/declaredtest"
)

// untaggable are the types that can't have tags.
var untaggable = []string{
	"aws:cloudwatch/dashboard:Dashboard",
	"aws:cloudwatch/eventTarget:EventTarget",
	"aws:cloudwatch/queryDefinition:QueryDefinition",
	"aws:ec2/routeTableAssociation:RouteTableAssociation",
	"aws:ecr/lifecyclePolicy:LifecyclePolicy",
	"aws:ecs/clusterCapacityProviders:ClusterCapacityProviders",
	"aws:iam/rolePolicy:RolePolicy",
	"aws:kms/alias:Alias",
	"aws:lambda/permission:Permission",
	"aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2",
	"aws:s3/bucketNotification:BucketNotification",
	"aws:s3/bucketOwnershipControls:BucketOwnershipControls",
	"aws:s3/bucketPolicy:BucketPolicy",
	"aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
	"aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2",
	"aws:s3/bucketVersioningV2:BucketVersioningV2",
	"aws:sns/topicPolicy:TopicPolicy",
	"aws:sns/topicSubscription:TopicSubscription",
	"aws:sqs/queuePolicy:QueuePolicy",
	"docker:index/image:Image",
}

func TestEveryResourceThatCanHaveTagsHasThem(t *testing.T) {
	t.Parallel()
	without := map[string]bool{}
	for name, c := range map[string]config{
		"create":  {"notify": `["a@example.com"]`},
		"private": {"network": "private", "flowLogs": "true", "taskCapacity": "spot"},
	} {
		c["tags"] = `{"owner":"us"}`
		for _, r := range declare(t, c).Resources {
			if !r.Custom {
				continue
			}
			tags := maps.Clone(r.Object("tags"))
			if tags == nil {
				without[r.Type] = true
				continue
			}
			delete(tags, "Name") // the network's
			assert.Equal(t, map[string]any{"project": "upload-router", "stack": "local", "owner": "us"}, tags, "%s: %s", name, r.Name)
		}
	}
	require.Equal(t, untaggable, slices.Sorted(maps.Keys(without)))
}

func TestAResourcesOwnTagsStay(t *testing.T) {
	t.Parallel()
	for _, r := range declare(t, nil).OfType(typeVPC) {
		require.Equal(t, map[string]any{
			"Name": "upload-router-local-network-vpc", "project": "upload-router", "stack": "local",
		}, r.Inputs["tags"])
	}
}

func TestWhatCannotBeHadAgainIsProtected(t *testing.T) {
	t.Parallel()
	names := func(c config) []string {
		var out []string
		for _, r := range declare(t, c).Resources {
			if r.Protect {
				out = append(out, r.Type)
			}
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	require.Empty(t, names(nil))
	require.Equal(t, []string{
		typeLogGroup, typeTable, typeRepository, typeKey, typeBucket, typeMachine, typeTopic, typeQueue,
	}, names(config{"protect": "true"}))
	require.Equal(t, declaredtest.Counts(declare(t, nil)), declaredtest.Counts(declare(t, config{"protect": "true"})))
}
