package main

import (
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// engine is what Pulumi's mocks ask: it keeps what is declared, and makes up what AWS would answer.
type engine struct {
	mutex    sync.Mutex
	declared map[string][]resource.PropertyMap // by type
}

func (e *engine) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.declared[args.TypeToken] = append(e.declared[args.TypeToken], args.Inputs)
	state := args.Inputs.Copy()
	state["arn"] = resource.NewProperty("arn:aws:made:eu-central-1:123456789012:" + args.Name)
	if _, named := state["name"]; !named {
		state["name"] = resource.NewProperty(args.Name)
	}
	return args.Name + "-id", state, nil
}

func (e *engine) Call(args pulumi.MockCallArgs) (resource.PropertyMap, error) {
	answers := map[string]map[string]any{
		"aws:index/getCallerIdentity:getCallerIdentity": {"accountId": "123456789012"},
		"aws:index/getRegion:getRegion":                 {"name": "eu-central-1"},
		"aws:index/getPartition:getPartition":           {"partition": "aws"},
		"aws:ec2/getVpc:getVpc":                         {"id": "vpc-1"},
		"aws:ec2/getSubnets:getSubnets":                 {"ids": []any{"subnet-a", "subnet-b"}},
	}
	return resource.NewPropertyMapFromMap(answers[args.Token]), nil
}

func TestAProgramOfAnotherModuleWiresASystem(t *testing.T) {
	t.Setenv(pulumi.EnvConfig, `{"consumer:function": "function.zip", "consumer:logKey": "arn:aws:kms:key",
		"consumer:image": "registry.example/app@sha256:01"}`)
	e := &engine{declared: map[string][]resource.PropertyMap{}}
	require.NoError(t, pulumi.RunErr(program, pulumi.WithMocks("consumer", "dev", e)))

	only := func(token, property string) string {
		require.Len(t, e.declared[token], 1, token)
		return e.declared[token][0][resource.PropertyKey(property)].StringValue()
	}
	disk := e.declared["aws:lambda/function:Function"][0]["ephemeralStorage"].ObjectValue()
	require.InDelta(t, 512, disk["size"].NumberValue(), 0, "the default, as Lambda takes no less")
	definition := only("aws:sfn/stateMachine:StateMachine", "definition")
	for _, name := range []string{":small\"", "large-cluster", "subnet-a"} {
		assert.Contains(t, definition, name)
	}
	assert.Contains(t, only("aws:ecs/taskDefinition:TaskDefinition", "containerDefinitions"), "registry.example/app@sha256:01")
	assert.Len(t, e.declared["aws:s3/bucketV2:BucketV2"], 1)
	assert.NotEmpty(t, e.declared["aws:cloudwatch/eventTarget:EventTarget"])
}
