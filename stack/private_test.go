package stack_test

import (
	"fmt"
	"path"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/components/location"
	"example.com/upload-router/internal/declared/declaredtest"
)

// Requirement A16.
func TestAPrivateNetworkHasNoOtherWayOutThanItsEndpoints(t *testing.T) {
	t.Parallel()
	system := declare(t, config{"network": "private"})
	var services []string
	for _, e := range system.OfType(typeEndpoint) {
		services = append(services, e.Text("serviceName"))
	}
	require.Equal(t, []string{
		"com.amazonaws.eu-central-1.dynamodb", "com.amazonaws.eu-central-1.ecr.api", "com.amazonaws.eu-central-1.ecr.dkr",
		"com.amazonaws.eu-central-1.logs", "com.amazonaws.eu-central-1.s3",
	}, services, "the task uses no other service")
	for _, rule := range system.OfType(typeEgress) {
		require.NotContains(t, rule.Inputs, "cidrIpv4", rule.Name)
		require.NotContains(t, rule.Inputs, "cidrIpv6", rule.Name)
	}
}

// Each service's endpoint is where the service is, and so are the subnets.
func TestThePrivateNetworkIsWhereItsServicesAre(t *testing.T) {
	t.Parallel()
	options := declaredtest.At(declaredtest.Home())
	options.Config = config{"network": "private", "taskCompletion": "callback", "tracing": "true"}
	options.EndpointZones = map[string][]string{
		"com.amazonaws.eu-central-1.ecr.dkr": {"eu-central-1b", "eu-central-1c"},
		"com.amazonaws.eu-central-1.states":  {"eu-central-1a", "eu-central-1c"},
		"com.amazonaws.eu-central-1.xray":    {"eu-central-1a", "eu-central-1b"},
	}
	system := declaredtest.Evaluate(t, options, program)
	subnets := map[any]string{}
	for _, subnet := range system.OfType(typeSubnet) {
		subnets[subnet.ID] = subnet.Text("availabilityZone")
	}
	got := map[string][]string{}
	for _, e := range system.OfType(typeEndpoint) {
		if ids, inSubnets := e.Inputs["subnetIds"].([]any); inSubnets {
			for _, id := range ids {
				got[e.Text("serviceName")] = append(got[e.Text("serviceName")], subnets[id])
			}
		}
	}
	both := []string{"eu-central-1a", "eu-central-1b"} // each zone lacks one of them
	require.Equal(t, map[string][]string{
		"com.amazonaws.eu-central-1.ecr.api": both, "com.amazonaws.eu-central-1.logs": both, "com.amazonaws.eu-central-1.xray": both,
		"com.amazonaws.eu-central-1.ecr.dkr": {"eu-central-1b"}, "com.amazonaws.eu-central-1.states": {"eu-central-1a"},
	}, got)
}

// Requirement C38.
func TestATaskThatTellsItsEndReachesStepFunctions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]config{"made": {}, "given": {"stateMachineName": "ours"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c["network"], c["taskCompletion"] = "private", "callback"
			system := declare(t, c)
			machine := map[string]string{"made": "upload-router-local-workflow-machine*", "given": "ours"}[name]
			arn, _ := only(t, system, typeMachine).Outputs["arn"].(string)
			matches, err := path.Match("arn:aws:states:eu-central-1:123456789012:stateMachine:"+machine, arn)
			require.NoError(t, err)
			require.True(t, matches, arn)
			role, _ := declaredtest.Named(t, system, typeRole, "upload-router-local-task-role").Outputs["arn"].(string)
			require.JSONEq(t, `{"Version":"2012-10-17","Statement":[{"Sid":"SendTaskResult","Effect":"Allow","Principal":"*",
				"Action":["states:SendTaskFailure","states:SendTaskHeartbeat","states:SendTaskSuccess"],
				"Resource":["arn:aws:states:eu-central-1:123456789012:stateMachine:`+machine+`",
					"arn:aws:states:eu-central-1:123456789012:stateMachine:upload-router-local-backfill-machine*"],
				"Condition":{"ArnEquals":{"aws:PrincipalArn":["`+role+`"]}}}]}`,
				declaredtest.Named(t, system, typeEndpoint, "upload-router-local-endpoints-states").Text("policy"))
		})
	}
}

func TestEachEndpointLetsThroughWhatTheTaskNeedsAndNothingElse(t *testing.T) {
	t.Parallel()
	declaredtest.InEach(t, func(t *testing.T, at location.Location) {
		t.Helper()
		options := declaredtest.At(at)
		options.Config = config{"network": "private", "tracing": "true"}
		system := declaredtest.Evaluate(t, options, program)
		arn := func(typ, name string) string {
			arn, _ := declaredtest.Named(t, system, typ, "upload-router-local-"+name).Outputs["arn"].(string)
			return arn
		}
		as := func(role string) string {
			return fmt.Sprintf(`"Condition":{"ArnEquals":{"aws:PrincipalArn":["%s"]}}`, arn(typeRole, role))
		}
		pull := `{"Version":"2012-10-17","Statement":[
			{"Sid":"PullImage","Effect":"Allow","Principal":"*",
			 "Action":["ecr:BatchCheckLayerAvailability","ecr:BatchGetImage","ecr:GetDownloadUrlForLayer"],
			 "Resource":["` + arn(typeRepository, "image-repository") + `"],` + as("task-execution") + `},
			{"Sid":"LogInToRegistry","Effect":"Allow","Principal":"*","Action":["ecr:GetAuthorizationToken"],
			 "Resource":["*"],` + as("task-execution") + `}]}`
		for name, want := range map[string]string{
			"s3": `{"Version":"2012-10-17","Statement":[
				{"Sid":"ReadUploads","Effect":"Allow","Principal":"*","Action":["s3:GetObject","s3:GetObjectVersion"],
				 "Resource":["arn:` + at.Partition + `:s3:::upload-router-local-uploads-bucket*/*"],
				 "Condition":{"ArnEquals":{"aws:PrincipalArn":["` + arn(typeRole, "task-role") + `"]},
				              "StringEquals":{"aws:ResourceAccount":["` + at.AccountID + `"]}}},
				{"Sid":"PullImageLayers","Effect":"Allow","Principal":"*","Action":["s3:GetObject"],
				 "Resource":["arn:` + at.Partition + `:s3:::prod-` + at.Region + `-starport-layer-bucket/*"]}]}`,
			"dynamodb": `{"Version":"2012-10-17","Statement":[
				{"Sid":"UseLedger","Effect":"Allow","Principal":"*","Action":["dynamodb:UpdateItem"],
				 "Resource":["` + arn(typeTable, "ledger-table") + `"],
				 "Condition":{"ArnEquals":{"aws:PrincipalArn":["` + arn(typeRole, "task-role") + `"]}}}]}`,
			"ecr-api": pull,
			"ecr-dkr": pull,
			"logs": `{"Version":"2012-10-17","Statement":[
				{"Sid":"WriteLogs","Effect":"Allow","Principal":"*","Action":["logs:CreateLogStream","logs:PutLogEvents"],
				 "Resource":["` + arn(typeLogGroup, "logs-task") + `:*"],` + as("task-execution") + `}]}`,
			"xray": `{"Version":"2012-10-17","Statement":[
				{"Sid":"SendTraces","Effect":"Allow","Principal":"*","Action":["xray:PutTraceSegments"],
				 "Resource":["*"],` + as("task-role") + `}]}`,
		} {
			endpoint := declaredtest.Named(t, system, typeEndpoint, "upload-router-local-endpoints-"+name)
			require.JSONEq(t, want, endpoint.Text("policy"), name)
		}
	})
}

// A task that starts before its endpoints are there can't pull its image.
func TestTheMachineWaitsForTheEndpoints(t *testing.T) {
	t.Parallel()
	system := declare(t, config{"network": "private"})
	for _, name := range []string{"ecr-api", "ecr-dkr", "logs"} {
		declaredtest.RequireDependsOn(t, only(t, system, typeMachine),
			declaredtest.Named(t, system, typeEndpoint, "upload-router-local-endpoints-"+name))
	}
	declaredtest.RequireDependsOn(t, only(t, system, typeMachine), system.OfType(typeEgress)...)
}
