package awstest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/loopback"
)

// The links between an upload and its result that can be broken.
const (
	LinkRule         = "rule"          // the rule is gone
	LinkRuleDisabled = "rule disabled" // the rule is disabled
	LinkPattern      = "pattern"       // its pattern matches another bucket
	LinkTarget       = "target"        // it has another target
	LinkTargetRole   = "target role"   // its target has no role
	LinkPermissions  = "permissions"   // no role may do anything
	LinkImage        = "image"         // the image isn't in ECR
	LinkRoute        = "route"         // the subnets have no way out
	LinkStates       = "states"        // they have one by endpoints, but for Step Functions
	LinkEgress       = "egress"        // the security group lets nothing out
)

// What an account can lack.
const (
	LackRegion = "region" // the Region is none
	LackOptIn  = "opt in" // it isn't enabled
	LackQuota  = "quota"  // every quota is used up
	LackVPC    = "vpc"    // there is no default VPC

	LackECSRole = "ecs role" // ECS has no role of its own yet
)

// PrefixList is DynamoDB's, of the networks 3.122.0.0/19 and 52.94.198.0/24.
const PrefixList = "pl-66a5400f"

// Gateway gives the VPC a gateway endpoint of a service, such as dynamodb, in the subnets' route table.
func (s *Server) Gateway(service string) { s.set(func() { s.gateways = append(s.gateways, service) }) }

// Break breaks a link.
func (s *Server) Break(link string) { s.set(func() { s.broken[link] = true }) }

func (s *Server) describeRule(in request) (any, error) {
	if err := s.knowsRule(in.Name); err != nil {
		return nil, err
	}
	bucket := Bucket
	if s.broken[LinkPattern] {
		bucket = "another-bucket"
	}
	return map[string]any{
		"Name": in.Name, "State": map[bool]string{true: "ENABLED", false: "DISABLED"}[s.ruleEnabled(in.Name)],
		"EventPattern": fmt.Sprintf(`{"source":["aws.s3"],"detail-type":["Object Created"],"detail":{"bucket":{"name":[%q]}}}`, bucket),
	}, nil
}

// knowsRule refuses a rule that isn't there.
func (s *Server) knowsRule(name string) error {
	known := name == PausedRule || name == Rule && !s.broken[LinkRule]
	if s.Router != nil {
		known = s.Router.HasRule(name)
	}
	if known {
		return nil
	}
	return loopback.Refuse("ResourceNotFoundException", "Rule "+name+" does not exist on EventBus default.")
}

func (s *Server) ruleEnabled(name string) bool {
	if s.Router != nil {
		return s.Router.RuleEnabled(name)
	}
	return s.enabled[name] && (name != Rule || !s.broken[LinkRuleDisabled])
}

// setRule enables rules or disables them.
func (s *Server) setRule(enabled bool) func(request) (any, error) {
	return func(in request) (any, error) {
		if err := s.knowsRule(in.Name); err != nil {
			return nil, err
		}
		s.enabled[in.Name] = enabled
		if s.Router != nil {
			return map[string]any{}, s.Router.SetRule(in.Name, enabled)
		}
		return map[string]any{}, nil
	}
}

func (s *Server) listTargets(request) (any, error) {
	if s.broken[LinkRule] {
		return nil, loopback.Refuse("ResourceNotFoundException", "Rule "+Rule+" does not exist on EventBus default.")
	}
	target := map[string]any{"Id": "StepFunctionsTarget", "Arn": Machine, "RoleArn": "arn:aws:iam::" + Account + ":role/events"}
	if s.broken[LinkTarget] {
		target["Arn"] = Machine + "-of-old"
	}
	if s.broken[LinkTargetRole] {
		delete(target, "RoleArn")
	}
	return map[string]any{"Targets": []any{target}}, nil
}

// What is taken, or there, in the account.
const (
	// Repository is an image repository's name.
	Repository = "processors"
	// VPC has the subnets Subnet1 and Subnet2.
	VPC     = "vpc-0a1b2c3d4e5f60718"
	Subnet1 = "subnet-0a1b2c3d4e5f60718"
	Subnet2 = "subnet-0b2c3d4e5f607189a"
	// Concurrency is how many runs of functions there may be at once. Nobody has reserved any.
	Concurrency = 1000
)

// Quota sets a quota by its code; the others are 6.
func (s *Server) Quota(code string, value float64) { s.set(func() { s.quotas[code] = value }) }

// Unreserved sets how many runs of functions nobody has reserved.
func (s *Server) Unreserved(runs int) { s.set(func() { s.unreserved = runs }) }

func (s *Server) quota(in request) (any, error) {
	value, known := s.quotas[in.QuotaCode]
	if !known {
		value = 6
	}
	if s.broken[LackQuota] {
		value = 0
	}
	return map[string]any{"Quota": map[string]any{"Value": value}}, nil
}

// serveLambda answers Lambda, which tells its operations apart by paths.
func (s *Server) serveLambda(w http.ResponseWriter, r *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	var operation string
	var out any
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, "/2015-03-31/functions/"):
		name, _, _ := strings.Cut(strings.TrimPrefix(path, "/2015-03-31/functions/"), "/")
		function := s.declared(declared.TypeFunction, name)
		disk, _ := function.Inputs["ephemeralStorage"].(map[string]any)
		operation, out = "GetFunctionConfiguration", map[string]any{
			"MemorySize": function.Inputs["memorySize"], "Architectures": function.Inputs["architectures"],
			"EphemeralStorage": map[string]any{"Size": disk["size"]},
			"Environment":      map[string]any{"Variables": function.Object("environment")["variables"]},
		}
	case strings.HasPrefix(path, "/2016-08-19/account-settings"):
		operation, out = "GetAccountSettings", map[string]any{"AccountLimit": map[string]any{
			"ConcurrentExecutions": Concurrency, "UnreservedConcurrentExecutions": s.unreserved,
		}}
	case strings.HasPrefix(path, "/2019-09-30/functions/"):
		operation, out = "GetFunctionConcurrency", map[string]any{"ReservedConcurrentExecutions": Concurrency - s.unreserved}
	default:
		return false
	}
	s.calls[operation]++
	s.asked["lambda:"+operation] = true
	w.Header().Set("Content-Type", "application/json")
	if err := s.mayNot(operation); err != nil {
		w.Header().Set("X-Amzn-Errortype", s.refused[operation])
		w.WriteHeader(http.StatusForbidden)
		out = map[string]string{"Message": refusedByTest}
	}
	_ = json.NewEncoder(w).Encode(out)
	return true
}

func (s *Server) describeRepositories(in request) (any, error) {
	if slices.Equal(in.RepositoryNames, []string{Repository}) {
		return map[string]any{"repositories": []any{map[string]any{"repositoryName": Repository}}}, nil
	}
	return nil, loopback.Refuse("RepositoryNotFoundException", "The repository does not exist in the registry")
}

func (s *Server) describeImages(request) (any, error) {
	if s.broken[LinkImage] {
		return nil, loopback.Refuse("ImageNotFoundException", "The image with imageId {imageTag:'1'} does not exist")
	}
	return map[string]any{"imageDetails": []any{map[string]any{"imageTags": []any{"1"}}}}, nil
}

// account answers STS, SNS and EC2, as far as they are asked what a deployment needs.
func (s *Server) account() map[string]string {
	optIn, vpcs := "opt-in-not-required", "<item><vpcId>"+VPC+"</vpcId></item>"
	if s.broken[LackOptIn] {
		optIn = "not-opted-in"
	}
	if s.broken[LackVPC] {
		vpcs = ""
	}
	var subscribed strings.Builder
	for _, arn := range s.subscribed {
		subscribed.WriteString("<member><SubscriptionArn>" + arn + "</SubscriptionArn></member>")
	}
	return map[string]string{
		"ListSubscriptionsByTopic": `<ListSubscriptionsByTopicResponse><ListSubscriptionsByTopicResult><Subscriptions>` +
			subscribed.String() + `</Subscriptions></ListSubscriptionsByTopicResult></ListSubscriptionsByTopicResponse>`,
		"GetCallerIdentity": `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>` + s.callerARN() + `</Arn>
<Account>` + Account + `</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`,
		"DescribeRegions": `<DescribeRegionsResponse><regionInfo><item><regionName>` + Region + `</regionName><optInStatus>` + optIn +
			`</optInStatus></item></regionInfo></DescribeRegionsResponse>`,
		"DescribeSubnets": `<DescribeSubnetsResponse><subnetSet><item><subnetId>` + Subnet1 + `</subnetId><vpcId>` + VPC + `</vpcId></item>
<item><subnetId>` + Subnet2 + `</subnetId><vpcId>` + VPC + `</vpcId></item></subnetSet></DescribeSubnetsResponse>`,
		"DescribeVpcs": `<DescribeVpcsResponse><vpcSet>` + vpcs + `</vpcSet></DescribeVpcsResponse>`,
	}
}

// links answers IAM and EC2, as far as the links ask them.
func (s *Server) links(r *http.Request) map[string]string {
	gateway, port := "igw-1", 443
	var endpoints strings.Builder
	if s.broken[LinkRoute] || s.broken[LinkStates] {
		gateway = ""
	}
	if s.broken[LinkStates] {
		for _, service := range []string{"ecr.api", "ecr.dkr", "logs", "s3"} {
			endpoints.WriteString("<item><serviceName>com.amazonaws." + Region + "." + service + "</serviceName></item>")
		}
	}
	if s.broken[LinkEgress] {
		port = 53
	}
	for _, service := range s.gateways {
		endpoints.WriteString("<item><serviceName>com.amazonaws." + Region + "." + service + "</serviceName><vpcEndpointType>Gateway" +
			"</vpcEndpointType><state>available</state><routeTableIdSet><item>rtb-1</item></routeTableIdSet></item>")
	}
	return map[string]string{
		"SimulatePrincipalPolicy": s.simulate(r),
		"GetRole":                 s.role(r),
		"DescribeRouteTables": `<DescribeRouteTablesResponse><routeTableSet><item><routeTableId>rtb-1</routeTableId>
<routeSet><item><destinationCidrBlock>0.0.0.0/0</destinationCidrBlock><gatewayId>` + gateway + `</gatewayId>
<state>active</state></item></routeSet>
<associationSet><item><main>false</main><subnetId>subnet-1</subnetId></item><item><main>true</main></item></associationSet>
</item></routeTableSet></DescribeRouteTablesResponse>`,
		"DescribePrefixLists": `<DescribePrefixListsResponse><prefixListSet><item><prefixListId>` + PrefixList + `</prefixListId>
<cidrSet><item>3.122.0.0/19</item><item>52.94.198.0/24</item></cidrSet></item></prefixListSet></DescribePrefixListsResponse>`,
		"DescribeVpcEndpoints": `<DescribeVpcEndpointsResponse><vpcEndpointSet>` + endpoints.String() +
			`</vpcEndpointSet></DescribeVpcEndpointsResponse>`,
		"DescribeSecurityGroups": fmt.Sprintf(`<DescribeSecurityGroupsResponse><securityGroupInfo><item><groupId>sg-1</groupId>
<ipPermissionsEgress><item><ipProtocol>tcp</ipProtocol><fromPort>%d</fromPort><toPort>%d</toPort></item></ipPermissionsEgress>
</item></securityGroupInfo></DescribeSecurityGroupsResponse>`, port, port),
	}
}

// serveXML answers what [Server.account] and [Server.links] know.
func (s *Server) serveXML(w http.ResponseWriter, r *http.Request, action string) bool {
	answers := s.account()
	maps.Copy(answers, s.links(r))
	answer, known := answers[action]
	if !known {
		return false
	}
	w.Header().Set("Content-Type", "text/xml")
	code := ""
	if action == "DescribeRegions" && s.broken[LackRegion] {
		code = "InvalidParameterValue"
	}
	for name, values := range r.Form {
		if strings.HasPrefix(name, "SubnetId.") && values[0] != Subnet1 && values[0] != Subnet2 {
			code = "InvalidSubnetID.NotFound"
		}
	}
	switch {
	case code != "":
		w.WriteHeader(http.StatusBadRequest)
		answer = "<Response><Errors><Error><Code>" + code + "</Code><Message>there is none</Message></Error></Errors></Response>"
	case action == "GetRole" && s.broken[LackECSRole]: // IAM's errors have no list around them
		w.WriteHeader(http.StatusNotFound)
		answer = "<ErrorResponse><Error><Code>NoSuchEntity</Code><Message>there is none</Message></Error></ErrorResponse>"
	}
	_, _ = io.WriteString(w, answer)
	return true
}
