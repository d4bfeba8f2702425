//go:build e2e

package e2e_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"example.com/upload-router/internal/stackfile"
)

// fileFor is the configuration of a stack that has a file, for the emulator:
// with how to reach it, and a tag of the provider's own.
func fileFor(t *testing.T, name string) []byte {
	t.Helper()
	var emulated, own struct {
		Config map[string]any `yaml:"config"`
	}
	for file, into := range map[string]any{"local": &emulated, name: &own} {
		text, err := os.ReadFile(filepath.Join(root, "Pulumi."+file+".yaml"))
		require.NoError(t, err)
		require.NoError(t, yaml.Unmarshal(text, into))
	}
	for key, value := range emulated.Config {
		if strings.HasPrefix(key, "aws:") {
			own.Config[key] = value
		}
	}
	own.Config["aws:defaultTags"] = map[string]any{"tags": map[string]string{"costs": "4711"}}
	text, err := yaml.Marshal(own)
	require.NoError(t, err)
	return text
}

// TestStacks deploys the stacks that have a file, as it is.
func TestStacks(t *testing.T) {
	t.Parallel()
	for name, look := range map[string]func(*deployed, *testing.T){
		"dev": (*deployed).exists, "prod": (*deployed).isPrivate,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCLIWith(t, "e2e-"+name, fileFor(t, name))
			t.Cleanup(func() {
				if state, _ := c.export(); len(state.Deployment.Resources) > 0 {
					c.unprotect()
					c.destroy()
				}
			})
			c.up()
			d := inspect(t, "eu-central-1", c.outputs())
			look(d, t)
			d.isTagged(t, "e2e-"+name)
			c.ok("preview", "--expect-no-changes", "--config-file", c.config)
			c.planned().changes(t, name)

			if name == "prod" {
				t.Log("what is protected stays, and with it all the rest: the plan to destroy fails before anything is deleted")
				before, _ := c.export()
				output, err := c.run("destroy", "--yes", "--config-file", c.config)
				require.Error(t, err)
				require.Contains(t, output, "cannot be deleted")
				after, _ := c.export()
				require.Len(t, after.Deployment.Resources, len(before.Deployment.Resources))
				c.unprotect()
				c.planned().changes(t, "unprotected")
			}
			c.destroy()
			state, _ := c.export()
			require.Empty(t, state.Deployment.Resources)
			d.gone(t)
		})
	}
}

// planned is the stack to be previewed by the Automation API, which is faster. It
// takes the configuration from the file that the CLI keeps the salt of secrets in.
func (c *cli) planned() *planned {
	c.t.Helper()
	salted := fileOf(c.t, c.stack)
	own, whole := map[string]any{}, map[string]any{}
	for path, into := range map[string]*map[string]any{c.config: &own, salted: &whole} {
		text, err := os.ReadFile(path)
		require.NoError(c.t, err)
		require.NoError(c.t, yaml.Unmarshal(text, into))
	}
	whole["config"] = own["config"]
	text, err := yaml.Marshal(whole)
	require.NoError(c.t, err)
	require.NoError(c.t, os.WriteFile(salted, text, 0o600))
	plain, err := stackfile.Parse(project, text)
	require.NoError(c.t, err)
	config := auto.ConfigMap{}
	for key, value := range plain {
		config[project+":"+key] = auto.ConfigValue{Value: value}
	}
	return inline(c.t, c.stack, c.vars, config)
}

// unprotect takes the protection away as a user does: AWS has its own of some resources.
func (c *cli) unprotect() {
	c.t.Helper()
	c.ok("config", "set", "--config-file", c.config, "protect", "false")
	c.up()
}

// isPrivate checks that the task's network leads to its endpoints and nowhere else.
func (d *deployed) isPrivate(t *testing.T) {
	t.Helper()
	ctx, network := t.Context(), ec2.NewFromConfig(d.cfg)
	inVPC := []ec2types.Filter{{Name: aws.String("vpc-id"), Values: []string{d.text(t, "vpcId")}}}

	tables, err := network.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{Filters: inVPC})
	require.NoError(t, err)
	for _, table := range tables.RouteTables {
		for _, route := range table.Routes {
			gateway := aws.ToString(route.GatewayId)
			require.True(t, gateway == "local" || strings.HasPrefix(gateway, "vpce-"), "a route to %s", gateway)
		}
	}
	endpoints, err := network.DescribeVpcEndpoints(ctx, &ec2.DescribeVpcEndpointsInput{Filters: inVPC})
	require.NoError(t, err)
	found := map[string]bool{}
	for _, e := range endpoints.VpcEndpoints {
		found[strings.TrimPrefix(aws.ToString(e.ServiceName), "com.amazonaws.eu-central-1.")] = true
		require.Contains(t, aws.ToString(e.PolicyDocument), "aws:PrincipalArn", "it is for the task's roles alone")
		require.Equal(t, e.VpcEndpointType == ec2types.VpcEndpointTypeInterface, aws.ToBool(e.PrivateDnsEnabled))
	}
	require.Subset(t, found, map[string]bool{"s3": true, "ecr.api": true, "ecr.dkr": true, "logs": true})

	groups, err := network.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{d.text(t, "securityGroupId")}})
	require.NoError(t, err)
	require.Empty(t, groups.SecurityGroups[0].IpPermissions, "nothing comes in")
	for _, p := range groups.SecurityGroups[0].IpPermissionsEgress {
		require.Empty(t, p.IpRanges, "no address is open")
		require.Equal(t, int32(443), aws.ToInt32(p.ToPort))
	}
	logs, err := network.DescribeFlowLogs(ctx, &ec2.DescribeFlowLogsInput{
		Filter: []ec2types.Filter{{Name: aws.String("resource-id"), Values: []string{d.text(t, "vpcId")}}},
	})
	require.NoError(t, err)
	require.Len(t, logs.FlowLogs, 1)
}

// isTagged checks that the stack's tags are there, and the provider's own: on what
// holds data, and on what tasks have theirs from.
func (d *deployed) isTagged(t *testing.T, stack string) {
	t.Helper()
	tagging, err := d.s3().GetBucketTagging(t.Context(), &s3.GetBucketTaggingInput{Bucket: aws.String(d.text(t, "bucketName"))})
	require.NoError(t, err)
	tags := map[string]string{}
	for _, tag := range tagging.TagSet {
		tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	want := map[string]string{"project": project, "stack": stack, "costs": "4711"}
	require.Subset(t, tags, want)

	definition, err := ecs.NewFromConfig(d.cfg).DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{
		TaskDefinition: aws.String(d.text(t, "taskDefinitionArn")), Include: []ecstypes.TaskDefinitionField{ecstypes.TaskDefinitionFieldTags},
	})
	require.NoError(t, err)
	ofTasks := map[string]string{}
	for _, tag := range definition.Tags {
		ofTasks[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	require.Subset(t, ofTasks, want, "a task has those of its definition")
}

// destroy deletes the stack, once its image repository is empty: without forceDestroy ECR keeps one with images in it.
func (c *cli) destroy() {
	c.t.Helper()
	if uri, _ := c.outputs()["ecrRepositoryUri"].(string); uri != "" {
		_, repository, _ := strings.Cut(uri, "/")
		ctx := context.WithoutCancel(c.t.Context()) // as it is in a clean-up, too
		client := ecrIn(ctx, region)
		images, err := client.ListImages(ctx, &ecr.ListImagesInput{RepositoryName: &repository})
		require.NoError(c.t, err)
		if len(images.ImageIds) > 0 {
			_, err := client.BatchDeleteImage(ctx, &ecr.BatchDeleteImageInput{RepositoryName: &repository, ImageIds: images.ImageIds})
			require.NoError(c.t, err)
		}
	}
	c.ok("destroy", "--yes", "--skip-preview", "--config-file", c.config)
}
