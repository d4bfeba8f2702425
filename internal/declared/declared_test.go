package declared_test

import (
	"errors"
	"testing"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ecr"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/lambda"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/s3"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sns"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sqs"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/declared"
)

const (
	typeQueue = "aws:sqs/queue:Queue"
	typeTopic = "aws:sns/topic:Topic"
)

func evaluate(t *testing.T, program pulumi.RunFunc) *declared.System {
	t.Helper()
	system, err := declared.Evaluate(program, declared.Options{})
	require.NoError(t, err)
	return system
}

func only(t *testing.T, system *declared.System, typ string) declared.Resource {
	t.Helper()
	r, err := system.Only(typ)
	require.NoError(t, err)
	return r
}

func TestAResourceIsRecordedWithAllThatWasRegistered(t *testing.T) {
	t.Parallel()
	system := evaluate(t, func(ctx *pulumi.Context) error {
		parent := &pulumi.ResourceState{}
		if err := ctx.RegisterComponentResource("test:components:Parent", "parent", parent); err != nil {
			return err
		}
		before, err := sns.NewTopic(ctx, "before", &sns.TopicArgs{}, pulumi.Parent(parent))
		if err != nil {
			return err
		}
		source, err := sns.NewTopic(ctx, "source", &sns.TopicArgs{}, pulumi.Parent(parent))
		if err != nil {
			return err
		}
		_, err = sqs.NewQueue(ctx, "queue", &sqs.QueueArgs{
			Name:         pulumi.String("given"),
			DelaySeconds: pulumi.Int(5),
			Policy:       pulumi.ToSecret(source.Arn).(pulumi.StringOutput),
			Tags:         pulumi.StringMap{"secret": pulumi.ToSecret(pulumi.String("s")).(pulumi.StringOutput), "open": pulumi.String("o")},
		}, pulumi.Parent(parent), pulumi.DependsOn([]pulumi.Resource{before}))
		return err
	})
	queue := only(t, system, typeQueue)
	before, err := system.Where(typeTopic, "name", "before-"+suffix(t, system, "before"))
	require.NoError(t, err)
	source := named(t, system, "source")
	parent := only(t, system, "test:components:Parent")

	assert.True(t, queue.Custom)
	assert.False(t, parent.Custom)
	assert.Equal(t, "urn:pulumi:local::upload-router::test:components:Parent$aws:sqs/queue:Queue::queue", queue.URN)
	assert.Equal(t, parent.URN, queue.Parent)
	assert.Equal(t, "given", queue.ID)
	assert.Equal(t, map[string]any{
		"name": "given", "delaySeconds": 5.0, "policy": source.Outputs["arn"], "tags": map[string]any{"secret": "s", "open": "o"},
	}, queue.Inputs)
	assert.Equal(t, []string{"policy", "tags.secret"}, queue.Secrets)
	assert.Equal(t, []string{before.URN, source.URN}, queue.Dependencies)
	assert.Equal(t, map[string][]string{"policy": {source.URN}}, queue.PropertyDependencies)
	assert.Equal(t, "arn:aws:sqs:eu-central-1:123456789012:given", queue.Outputs["arn"])
	assert.InDelta(t, 5, queue.Outputs["delaySeconds"], 0, "inputs are outputs too")
}

func named(t *testing.T, system *declared.System, name string) declared.Resource {
	t.Helper()
	for _, r := range system.Resources {
		if r.Name == name {
			return r
		}
	}
	require.Fail(t, "no resource "+name)
	return declared.Resource{}
}

// suffix is what auto-naming put behind a resource's name.
func suffix(t *testing.T, system *declared.System, name string) string {
	t.Helper()
	physical, _ := named(t, system, name).Outputs["name"].(string)
	require.Regexp(t, "^"+name+"-[0-9a-f]{7}$", physical)
	return physical[len(name)+1:]
}

func TestTheResourcesAreInTheOrderOfTypeAndName(t *testing.T) {
	t.Parallel()
	system := evaluate(t, func(ctx *pulumi.Context) error {
		for _, name := range []string{"c", "a", "b"} {
			if _, err := sqs.NewQueue(ctx, name, nil); err != nil {
				return err
			}
			if _, err := sns.NewTopic(ctx, name, nil); err != nil {
				return err
			}
		}
		return nil
	})
	var order []string
	for _, r := range system.Resources {
		order = append(order, r.Type+" "+r.Name)
	}
	require.Equal(t, []string{
		typeTopic + " a", typeTopic + " b", typeTopic + " c", typeQueue + " a", typeQueue + " b", typeQueue + " c",
	}, order)
	require.Len(t, system.OfType(typeQueue), 3)
	require.Empty(t, system.OfType("aws:s3/bucketV2:BucketV2"))
}

// The values must not depend on when they resolve.
func TestEveryOutputIsThereWhateverItIsMadeOf(t *testing.T) {
	t.Parallel()
	system := evaluate(t, func(ctx *pulumi.Context) error {
		topic, err := sns.NewTopic(ctx, "topic", &sns.TopicArgs{Name: pulumi.String("given")})
		if err != nil {
			return err
		}
		ctx.Export("ofAResource", topic.Arn)
		ctx.Export("plain", pulumi.String("text"))
		ctx.Export("ofNoResource", pulumi.String("text").ToStringOutput())
		ctx.Export("applied", pulumi.String("text").ToStringOutput().ApplyT(func(s string) string { return s + "!" }))
		ctx.Export("list", pulumi.ToStringArray([]string{"a", "b"}))
		ctx.Export("secret", pulumi.ToSecret(pulumi.String("s")))
		return nil
	})
	require.Equal(t, map[string]any{
		"ofAResource":  "arn:aws:sns:eu-central-1:123456789012:given",
		"plain":        "text",
		"ofNoResource": "text",
		"applied":      "text!",
		"list":         []string{"a", "b"},
		"secret":       "s",
	}, system.Outputs)
}

func TestARegionAndAnAccountOfTheirOwn(t *testing.T) {
	t.Parallel()
	system, err := declared.Evaluate(func(ctx *pulumi.Context) error {
		queue, err := sqs.NewQueue(ctx, "queue", &sqs.QueueArgs{Name: pulumi.String("q")})
		if err != nil {
			return err
		}
		bucket, err := s3.NewBucketV2(ctx, "bucket", &s3.BucketV2Args{Bucket: pulumi.String("b")})
		if err != nil {
			return err
		}
		region, err := aws.GetRegion(ctx, nil)
		if err != nil {
			return err
		}
		repository, err := ecr.NewRepository(ctx, "images", &ecr.RepositoryArgs{Name: pulumi.String("i")})
		if err != nil {
			return err
		}
		ctx.Export("queue", queue.Arn)
		ctx.Export("queueUrl", queue.Url)
		ctx.Export("repositoryUrl", repository.RepositoryUrl)
		ctx.Export("bucket", bucket.Arn)
		ctx.Export("region", pulumi.String(region.Name))
		ctx.Export("names", pulumi.ToStringArray([]string{ctx.Project(), ctx.Stack(), config.Get(ctx, "key"), config.Get(ctx, "aws:key")}))
		return nil
	}, declared.Options{
		Project: "other", Stack: "prod", AccountID: "210987654321", Region: "cn-north-1", Partition: "aws-cn",
		Config: map[string]string{"key": "own", "aws:key": "foreign"},
	})
	require.NoError(t, err)
	require.Equal(t, map[string]any{
		"queue":         "arn:aws-cn:sqs:cn-north-1:210987654321:q",
		"bucket":        "arn:aws-cn:s3:::b",
		"queueUrl":      "https://sqs.cn-north-1.amazonaws.com.cn/210987654321/q",
		"repositoryUrl": "210987654321.dkr.ecr.cn-north-1.amazonaws.com.cn/i",
		"region":        "cn-north-1",
		"names":         []string{"other", "prod", "own", "foreign"},
	}, system.Outputs)
}

// Of a type that nothing is known of the program gets a name and an ARN, and who evaluates it hears that there is one.
func TestTypesThatNothingIsKnownOf(t *testing.T) {
	t.Parallel()
	system := evaluate(t, func(ctx *pulumi.Context) error {
		for _, name := range []string{"live", "next"} {
			alias, err := lambda.NewAlias(ctx, name, &lambda.AliasArgs{FunctionName: pulumi.String("f"), FunctionVersion: pulumi.String("1")})
			if err != nil {
				return err
			}
			ctx.Export(name, alias.Arn)
		}
		if _, err := pulumi.NewStackReference(ctx, "acme/network/prod", nil); err != nil { // it has no outputs here
			return err
		}
		_, err := sqs.NewQueue(ctx, "queue", nil)
		return err
	})
	require.Equal(t, []string{"aws:lambda/alias:Alias"}, system.Unknown())
	require.Regexp(t, "^arn:aws:lambda:eu-central-1:123456789012:live-[0-9a-f]{7}$", system.Outputs["live"])
	require.NotEqual(t, system.Outputs["live"], system.Outputs["next"])
	require.Equal(t, system.Outputs["live"], named(t, system, "live").Outputs["arn"])
}

var errOfTheProgram = errors.New("the program's own")

func TestWhatFailsSaysWhatItIs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		program pulumi.RunFunc
		options declared.Options
		says    string
	}{
		"a function that nothing is known of": {
			func(ctx *pulumi.Context) error {
				_, err := aws.GetRegions(ctx, nil)
				return err
			},
			declared.Options{},
			"aws:index/getRegions:getRegions(map[]): no answer is known for this function: add it to internal/declared",
		},
		"no default VPC": {
			func(ctx *pulumi.Context) error {
				_, err := ec2.LookupVpc(ctx, &ec2.LookupVpcArgs{Default: pulumi.BoolRef(true)})
				return err
			},
			declared.Options{NoDefaultVPC: true},
			"no matching EC2 VPC found",
		},
		"the program itself": {
			func(*pulumi.Context) error { return errOfTheProgram },
			declared.Options{},
			"the program's own",
		},
		"an output": {
			func(ctx *pulumi.Context) error {
				ctx.Export("bad", pulumi.String("").ToStringOutput().ApplyT(func(string) (string, error) { return "", errOfTheProgram }))
				return nil
			},
			declared.Options{},
			"the program's own",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			system, err := declared.Evaluate(c.program, c.options)
			require.Nil(t, system)
			require.ErrorContains(t, err, c.says)
			require.ErrorContains(t, err, "evaluating the program: ")
		})
	}
}

func TestTheProgramsErrorIsStillItsOwn(t *testing.T) {
	t.Parallel()
	_, err := declared.Evaluate(func(*pulumi.Context) error { return errOfTheProgram }, declared.Options{})
	require.ErrorIs(t, err, errOfTheProgram)
}

func TestLookingForOneResourceFindsOneOrSaysWhyNot(t *testing.T) {
	t.Parallel()
	system := evaluate(t, func(ctx *pulumi.Context) error {
		for name, delay := range map[string]int{"a": 1, "b": 1, "c": 2} {
			if _, err := sqs.NewQueue(ctx, name, &sqs.QueueArgs{DelaySeconds: pulumi.Int(delay)}); err != nil {
				return err
			}
		}
		return nil
	})
	found, err := system.Where(typeQueue, "delaySeconds", 2.0)
	require.NoError(t, err)
	require.Equal(t, "c", found.Name)
	_, err = system.Where(typeQueue, "delaySeconds", 1.0)
	require.EqualError(t, err, "several such resources are declared: 2 of aws:sqs/queue:Queue with delaySeconds 1")
	_, err = system.Where(typeQueue, "delaySeconds", 3.0)
	require.EqualError(t, err, "no such resource is declared: aws:sqs/queue:Queue with delaySeconds 3")
	_, err = system.Only(typeQueue)
	require.EqualError(t, err, "several such resources are declared: 3 of aws:sqs/queue:Queue")
	_, err = system.Only(typeTopic)
	require.EqualError(t, err, "no such resource is declared: aws:sns/topic:Topic")
}

func TestAnInputIsReadAsWhatItIsOrAsNothing(t *testing.T) {
	t.Parallel()
	r := declared.Resource{Inputs: map[string]any{"text": "t", "number": 2.0, "object": map[string]any{"k": "v"}}}
	require.Equal(t, "t", r.Text("text"))
	require.InDelta(t, 2.0, r.Number("number"), 0)
	require.Equal(t, map[string]any{"k": "v"}, r.Object("object"))
	for _, other := range []string{"text", "number", "object", "missing"} {
		if other != "text" {
			require.Empty(t, r.Text(other), other)
		}
		if other != "number" {
			require.Zero(t, r.Number(other), other)
		}
		if other != "object" {
			require.Nil(t, r.Object(other), other)
		}
	}
}
