package endpoints_test

import (
	"testing"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sqs"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/components/endpoints"
	"example.com/upload-router/components/location"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/declared/declaredtest"
	"example.com/upload-router/internal/policy"
)

const (
	typeEndpoint = "aws:ec2/vpcEndpoint:VpcEndpoint"
	typeGroup    = "aws:ec2/securityGroup:SecurityGroup"
	typeIngress  = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
	typeEgress   = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
	typeProbe    = "aws:sqs/queue:Queue"
)

func frankfurt() location.Location {
	return location.Location{AccountID: "123456789012", Region: "eu-central-1", Partition: "aws"}
}

func args(at location.Location, services ...string) *endpoints.Args {
	a := &endpoints.Args{
		Location: at, VPCID: pulumi.String("vpc-1"), SubnetIDs: pulumi.ToStringArray([]string{"subnet-a", "subnet-b"}),
		RouteTableID: pulumi.String("rtb-1"), SecurityGroupID: pulumi.String("sg-tasks"),
	}
	use := func(service string) pulumi.StringInput {
		return policy.Document(policy.Statement{
			Sid: "Use", Principal: policy.Everyone(), Actions: []string{service + ":Use"}, Resources: []pulumi.StringInput{pulumi.String("*")},
		})
	}
	a.S3Policy, a.DynamoDBPolicy = use("s3"), use("dynamodb")
	for _, s := range services {
		a.Services = append(a.Services, endpoints.Service{Name: s, Policy: use("x")})
	}
	return a
}

func declare(t *testing.T, args *endpoints.Args) *declared.System {
	t.Helper()
	return declaredtest.Evaluate(t, declared.Options{}, declaredtest.Export(func(ctx *pulumi.Context) (pulumi.Map, error) {
		e, err := endpoints.New(ctx, "out", args)
		if err != nil {
			return nil, err
		}
		if _, err := sqs.NewQueue(ctx, "probe", &sqs.QueueArgs{Name: e.SecurityGroupID}, pulumi.Parent(e)); err != nil {
			return nil, err
		}
		return pulumi.Map{"group": e.SecurityGroupID, "s3": e.S3EndpointID}, nil
	}))
}

// Requirement A16.
func TestTheEndpointsAreExactlyThose(t *testing.T) {
	t.Parallel()
	system := declare(t, args(frankfurt(), "ecr.api", "logs"))
	require.Equal(t, map[string]int{
		endpoints.Type: 1, typeEndpoint: 4, typeGroup: 1, typeIngress: 1, typeEgress: 3, typeProbe: 1,
	}, declaredtest.Counts(system))
	group := declaredtest.Only(t, system, typeGroup)
	for _, service := range []string{"s3", "dynamodb"} {
		require.Equal(t, map[string]any{
			"vpcId": "vpc-1", "serviceName": "com.amazonaws.eu-central-1." + service, "vpcEndpointType": "Gateway",
			"routeTableIds": []any{"rtb-1"}, "tags": map[string]any{"Name": "out-" + service},
			"policy": `{"Statement":[{"Action":["` + service + `:Use"],"Effect":"Allow","Principal":"*","Resource":["*"],"Sid":"Use"}],` +
				`"Version":"2012-10-17"}`,
		}, declaredtest.Named(t, system, typeEndpoint, "out-"+service).Inputs)
	}
	for name, service := range map[string]string{"out-ecr-api": "ecr.api", "out-logs": "logs"} {
		require.Equal(t, map[string]any{
			"vpcId": "vpc-1", "serviceName": "com.amazonaws.eu-central-1." + service, "vpcEndpointType": "Interface",
			"privateDnsEnabled": true, "subnetIds": []any{"subnet-a", "subnet-b"}, "securityGroupIds": []any{group.ID},
			"policy": `{"Statement":[{"Action":["x:Use"],"Effect":"Allow","Principal":"*","Resource":["*"],"Sid":"Use"}],` +
				`"Version":"2012-10-17"}`,
			"tags": map[string]any{"Name": name},
		}, declaredtest.Named(t, system, typeEndpoint, name).Inputs)
	}
	require.Equal(t, map[string]any{"group": "sg-tasks", "s3": declaredtest.Named(t, system, typeEndpoint, "out-s3").ID}, system.Outputs)
}

func TestOnlyTheTasksReachTheEndpointsAndTheyNothingElse(t *testing.T) {
	t.Parallel()
	system := declare(t, args(frankfurt(), "logs"))
	group := declaredtest.Only(t, system, typeGroup)
	// Exactly these: neither ingress nor egress, whose default would allow all.
	require.Equal(t, map[string]any{"description": "Security group for the VPC endpoints", "vpcId": "vpc-1"}, group.Inputs)
	require.Equal(t, map[string]any{
		"securityGroupId": group.ID, "referencedSecurityGroupId": "sg-tasks", "ipProtocol": "tcp", "fromPort": 443.0, "toPort": 443.0,
		"description": "HTTPS from the tasks",
	}, declaredtest.Only(t, system, typeIngress).Inputs)
	require.Equal(t, map[string]any{
		"securityGroupId": "sg-tasks", "referencedSecurityGroupId": group.ID, "ipProtocol": "tcp", "fromPort": 443.0, "toPort": 443.0,
		"description": "HTTPS to the VPC endpoints",
	}, declaredtest.Named(t, system, typeEgress, "out-to-endpoints").Inputs)
	for service, called := range map[string]string{"s3": "S3", "dynamodb": "DynamoDB"} {
		require.Equal(t, map[string]any{
			"securityGroupId": "sg-tasks", "ipProtocol": "tcp", "fromPort": 443.0, "toPort": 443.0,
			"prefixListId": declaredtest.Named(t, system, typeEndpoint, "out-"+service).Outputs["prefixListId"],
			"description":  "HTTPS to " + called + " by its endpoint",
		}, declaredtest.Named(t, system, typeEgress, "out-to-"+service).Inputs)
	}
}

// A task that starts before them could not pull its image.
func TestWhoeverTakesTheGroupWaitsForAllOfThem(t *testing.T) {
	t.Parallel()
	system := declare(t, args(frankfurt(), "ecr.dkr", "logs"))
	probe := declaredtest.Only(t, system, typeProbe)
	declaredtest.RequireDependsOn(t, probe, declaredtest.Named(t, system, typeEndpoint, "out-ecr-dkr"),
		declaredtest.Named(t, system, typeEndpoint, "out-logs"))
	declaredtest.RequireDependsOn(t, probe, system.OfType(typeEgress)...)
	declaredtest.RequireDependsOn(t, probe, system.OfType(typeIngress)...)
}

// An endpoint is refused in a zone that doesn't have its service.
func TestAnEndpointIsWhereItsServiceIs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		zones []string
		want  []any
	}{
		"nobody knows where": {nil, []any{"subnet-a", "subnet-b"}},
		"everywhere":         {[]string{"c", "b", "a"}, []any{"subnet-a", "subnet-b"}},
		"in the second":      {[]string{"c", "b"}, []any{"subnet-b"}},
		"in the first":       {[]string{"a"}, []any{"subnet-a"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			with := args(frankfurt(), "logs")
			with.Zones, with.Services[0].Zones = []string{"a", "b"}, c.zones
			require.Equal(t, c.want, declaredtest.Named(t, declare(t, with), typeEndpoint, "out-logs").Inputs["subnetIds"])
		})
	}
	with := args(frankfurt(), "logs")
	with.Zones, with.Services[0].Zones = []string{"a", "b"}, []string{"c", "d"}
	_, err := declaredtest.Fail(t, declared.Options{}, func(ctx *pulumi.Context) error {
		_, err := endpoints.New(ctx, "out", with)
		return err
	})
	require.ErrorContains(t, err, "no Availability Zone of the network has endpoints of the service: logs is in c, d, and the network in a, b")
}

func TestServicesHaveTheNamesThatTheyHaveInThePartition(t *testing.T) {
	t.Parallel()
	at := location.Location{AccountID: "123456789012", Region: "cn-north-1", Partition: "aws-cn"}
	system := declare(t, args(at, "ecr.api", "logs"))
	for name, want := range map[string]string{
		"out-s3": "com.amazonaws.cn-north-1.s3", "out-dynamodb": "com.amazonaws.cn-north-1.dynamodb", "out-logs": "com.amazonaws.cn-north-1.logs",
		"out-ecr-api": "cn.com.amazonaws.cn-north-1.ecr.api",
	} {
		require.Equal(t, want, declaredtest.Named(t, system, typeEndpoint, name).Text("serviceName"))
	}
}
