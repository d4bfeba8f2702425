package awstest

import (
	"fmt"
	"net/http"
)

// The links between an upload and its result that can be broken.
const (
	LinkRule         = "rule"          // the rule is gone
	LinkRuleDisabled = "rule disabled" // the rule is disabled
	LinkPattern      = "pattern"       // its pattern matches another bucket
	LinkTarget       = "target"        // it has another target
	LinkTargetRole   = "target role"   // its target has no role
	LinkRights       = "rights"        // no role may do anything
	LinkImage        = "image"         // the image isn't in ECR
	LinkRoute        = "route"         // the subnets have no way out
	LinkEgress       = "egress"        // the security group lets nothing out
)

// What an account can lack.
const (
	LackRegion = "region" // the Region is none
	LackOptIn  = "opt in" // it isn't enabled
	LackQuota  = "quota"  // every quota is used up
	LackVPC    = "vpc"    // there is no default VPC
)

// Break breaks a link.
func (s *Server) Break(link string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken == nil {
		s.broken = map[string]bool{}
	}
	s.broken[link] = true
}

func (s *Server) describeRule(map[string]any) (any, error) {
	if s.broken[LinkRule] {
		return nil, &refusal{"ResourceNotFoundException", "Rule " + Rule + " does not exist on EventBus default."}
	}
	bucket, state := Bucket, "ENABLED"
	if s.broken[LinkPattern] {
		bucket = "another-bucket"
	}
	if s.broken[LinkRuleDisabled] {
		state = "DISABLED"
	}
	return map[string]any{
		"Name": Rule, "State": state,
		"EventPattern": fmt.Sprintf(`{"source":["aws.s3"],"detail-type":["Object Created"],"detail":{"bucket":{"name":[%q]}}}`, bucket),
	}, nil
}

func (s *Server) listTargets(map[string]any) (any, error) {
	if s.broken[LinkRule] {
		return nil, &refusal{"ResourceNotFoundException", "Rule " + Rule + " does not exist on EventBus default."}
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

func (s *Server) quota(map[string]any) (any, error) {
	value := 6.0
	if s.broken[LackQuota] {
		value = 0
	}
	return map[string]any{"Quota": map[string]any{"Value": value}}, nil
}

func (s *Server) describeRepositories(map[string]any) (any, error) {
	return nil, &refusal{"RepositoryNotFoundException", "The repository does not exist in the registry"}
}

func (s *Server) describeImages(map[string]any) (any, error) {
	if s.broken[LinkImage] {
		return nil, &refusal{"ImageNotFoundException", "The image with imageId {imageTag:'1'} does not exist"}
	}
	return map[string]any{"imageDetails": []any{map[string]any{"imageTags": []any{"1"}}}}, nil
}

// serveAccount answers STS and EC2, as far as they are asked what a deployment needs.
func (s *Server) serveAccount(w http.ResponseWriter, action string) bool {
	optIn, vpcs := "opt-in-not-required", "<item><vpcId>vpc-1</vpcId></item>"
	if s.broken[LackOptIn] {
		optIn = "not-opted-in"
	}
	if s.broken[LackVPC] {
		vpcs = ""
	}
	answers := map[string]string{
		"GetCallerIdentity": `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::` + Account + `:user/ann</Arn>
<Account>` + Account + `</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`,
		"DescribeRegions": `<DescribeRegionsResponse><regionInfo><item><regionName>` + Region + `</regionName><optInStatus>` + optIn +
			`</optInStatus></item></regionInfo></DescribeRegionsResponse>`,
		"DescribeVpcs": `<DescribeVpcsResponse><vpcSet>` + vpcs + `</vpcSet></DescribeVpcsResponse>`,
	}
	answer, known := answers[action]
	if !known {
		return false
	}
	w.Header().Set("Content-Type", "text/xml")
	if action == "DescribeRegions" && s.broken[LackRegion] {
		w.WriteHeader(http.StatusBadRequest)
		answer = `<Response><Errors><Error><Code>InvalidParameterValue</Code><Message>Invalid region</Message></Error></Errors></Response>`
	}
	_, _ = w.Write([]byte(answer))
	return true
}

// serveLinks answers IAM and EC2, as far as the links ask them.
func (s *Server) serveLinks(w http.ResponseWriter, action string) bool {
	decision, gateway, port := "allowed", "igw-1", 443
	if s.broken[LinkRights] {
		decision = "implicitDeny"
	}
	if s.broken[LinkRoute] {
		gateway = ""
	}
	if s.broken[LinkEgress] {
		port = 53
	}
	answers := map[string]string{
		"SimulatePrincipalPolicy": `<SimulatePrincipalPolicyResponse><SimulatePrincipalPolicyResult><EvaluationResults><member>
<EvalActionName>a</EvalActionName><EvalDecision>` + decision + `</EvalDecision></member></EvaluationResults>
</SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>`,
		"DescribeRouteTables": `<DescribeRouteTablesResponse><routeTableSet><item><routeTableId>rtb-1</routeTableId>
<routeSet><item><destinationCidrBlock>0.0.0.0/0</destinationCidrBlock><gatewayId>` + gateway + `</gatewayId>
<state>active</state></item></routeSet>
<associationSet><item><main>false</main><subnetId>subnet-1</subnetId></item><item><main>true</main></item></associationSet>
</item></routeTableSet></DescribeRouteTablesResponse>`,
		"DescribeVpcEndpoints": `<DescribeVpcEndpointsResponse><vpcEndpointSet/></DescribeVpcEndpointsResponse>`,
		"DescribeSecurityGroups": fmt.Sprintf(`<DescribeSecurityGroupsResponse><securityGroupInfo><item><groupId>sg-1</groupId>
<ipPermissionsEgress><item><ipProtocol>tcp</ipProtocol><fromPort>%d</fromPort><toPort>%d</toPort></item></ipPermissionsEgress>
</item></securityGroupInfo></DescribeSecurityGroupsResponse>`, port, port),
	}
	answer, known := answers[action]
	if !known {
		return false
	}
	w.Header().Set("Content-Type", "text/xml")
	_, _ = w.Write([]byte(answer))
	return true
}
