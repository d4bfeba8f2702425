package awsquery_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awsquery"
)

// service answers requests in turn, and keeps them.
type service struct {
	mu       sync.Mutex
	answers  []answer
	requests []*http.Request
	forms    []url.Values
}

type answer struct {
	status int
	body   string
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	s.requests, s.forms = append(s.requests, r), append(s.forms, form)
	next := s.answers[min(len(s.requests), len(s.answers))-1]
	w.WriteHeader(next.status)
	_, _ = io.WriteString(w, next.body)
}

// serve gives the configuration of a service that answers so.
func serve(t *testing.T, answers ...answer) (*service, aws.Config) {
	t.Helper()
	s := &service{answers: answers}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, aws.Config{
		Region: "eu-central-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", "token"),
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxBackoff = time.Millisecond })
		},
	}
}

func ok(body string) answer { return answer{http.StatusOK, body} }

// The forms and elements are those of the examples in the API references of EC2 and IAM.
func TestRequestsAndAnswers(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	for name, test := range map[string]struct {
		ask     func(context.Context, *awsquery.EC2, *awsquery.IAM) (any, error)
		answers []answer
		forms   []string
		want    any
	}{
		"a Region": {
			func(ctx context.Context, ec2 *awsquery.EC2, _ *awsquery.IAM) (any, error) {
				return ec2.DescribeRegion(ctx, "af-south-1")
			},
			[]answer{ok(`<DescribeRegionsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId><regionInfo><item>
<regionName>af-south-1</regionName><optInStatus>not-opted-in</optInStatus></item></regionInfo></DescribeRegionsResponse>`)},
			[]string{"Action=DescribeRegions&AllRegions=true&RegionName.1=af-south-1&Version=2016-11-15"},
			[]awsquery.Region{{OptInStatus: "not-opted-in"}},
		},
		"VPCs in pages": {
			func(ctx context.Context, ec2 *awsquery.EC2, _ *awsquery.IAM) (any, error) {
				return ec2.DescribeVPCs(ctx, map[string]string{"is-default": "true", "cidr": "10.0.0.0/16"})
			},
			[]answer{
				ok(`<R><nextToken>two</nextToken><vpcSet><item><vpcId>vpc-1</vpcId></item><item><vpcId>vpc-2</vpcId></item></vpcSet></R>`),
				ok(`<R><vpcSet><item><vpcId>vpc-3</vpcId></item></vpcSet></R>`),
			},
			[]string{
				"Action=DescribeVpcs&Filter.1.Name=cidr&Filter.1.Value.1=10.0.0.0%2F16&Filter.2.Name=is-default&Filter.2.Value.1=true" +
					"&Version=2016-11-15",
				"Action=DescribeVpcs&Filter.1.Name=cidr&Filter.1.Value.1=10.0.0.0%2F16&Filter.2.Name=is-default&Filter.2.Value.1=true" +
					"&NextToken=two&Version=2016-11-15",
			},
			[]awsquery.VPC{{ID: "vpc-1"}, {ID: "vpc-2"}, {ID: "vpc-3"}},
		},
		"no VPC": {
			func(ctx context.Context, ec2 *awsquery.EC2, _ *awsquery.IAM) (any, error) {
				return ec2.DescribeVPCs(ctx, nil)
			},
			[]answer{ok(`<DescribeVpcsResponse><vpcSet/></DescribeVpcsResponse>`)},
			[]string{"Action=DescribeVpcs&Version=2016-11-15"}, []awsquery.VPC(nil),
		},
		"subnets": {
			func(ctx context.Context, ec2 *awsquery.EC2, _ *awsquery.IAM) (any, error) {
				return ec2.DescribeSubnets(ctx, []string{"subnet-1", "subnet-2"})
			},
			[]answer{ok(`<R><subnetSet><item><subnetId>subnet-1</subnetId><vpcId>vpc-1</vpcId></item></subnetSet></R>`)},
			[]string{"Action=DescribeSubnets&SubnetId.1=subnet-1&SubnetId.2=subnet-2&Version=2016-11-15"},
			[]awsquery.Subnet{{ID: "subnet-1", VPCID: "vpc-1"}},
		},
		"route tables": {
			func(ctx context.Context, ec2 *awsquery.EC2, _ *awsquery.IAM) (any, error) {
				return ec2.DescribeRouteTables(ctx, "vpc-1")
			},
			[]answer{ok(`<R><routeTableSet><item><routeTableId>rtb-1</routeTableId><routeSet><item>
<destinationCidrBlock>0.0.0.0/0</destinationCidrBlock><gatewayId>igw-1</gatewayId>
<state>active</state></item></routeSet><associationSet><item><main>true</main></item><item><subnetId>subnet-1</subnetId><main>false</main>
</item></associationSet></item></routeTableSet></R>`)},
			[]string{"Action=DescribeRouteTables&Filter.1.Name=vpc-id&Filter.1.Value.1=vpc-1&Version=2016-11-15"},
			[]awsquery.RouteTable{{
				ID:           "rtb-1",
				Associations: []awsquery.RouteTableAssociation{{Main: true}, {SubnetID: "subnet-1"}},
				Routes:       []awsquery.Route{{Destination: "0.0.0.0/0", State: "active", GatewayID: "igw-1"}},
			}},
		},
		"endpoints": {
			func(ctx context.Context, ec2 *awsquery.EC2, _ *awsquery.IAM) (any, error) {
				return ec2.DescribeVPCEndpoints(ctx, "vpc-1")
			},
			[]answer{ok(`<R><vpcEndpointSet><item><serviceName>com.amazonaws.eu-central-1.s3</serviceName><state>available</state>
<vpcEndpointType>Gateway</vpcEndpointType><routeTableIdSet><item>rtb-1</item></routeTableIdSet><privateDnsEnabled>false</privateDnsEnabled>
</item></vpcEndpointSet></R>`)},
			[]string{"Action=DescribeVpcEndpoints&Filter.1.Name=vpc-id&Filter.1.Value.1=vpc-1&Version=2016-11-15"},
			[]awsquery.VPCEndpoint{{
				ServiceName: "com.amazonaws.eu-central-1.s3", Type: "Gateway", State: "available", RouteTables: []string{"rtb-1"},
			}},
		},
		"a prefix list": {
			func(ctx context.Context, ec2 *awsquery.EC2, _ *awsquery.IAM) (any, error) {
				return ec2.DescribePrefixList(ctx, "com.amazonaws.eu-central-1.dynamodb")
			},
			[]answer{ok(`<R><prefixListSet><item><prefixListId>pl-1</prefixListId><cidrSet><item>3.122.0.0/19</item></cidrSet></item>
</prefixListSet></R>`)},
			[]string{"Action=DescribePrefixLists&Filter.1.Name=prefix-list-name&Filter.1.Value.1=com.amazonaws.eu-central-1.dynamodb" +
				"&Version=2016-11-15"},
			[]awsquery.PrefixList{{ID: "pl-1", CIDRs: []string{"3.122.0.0/19"}}},
		},
		"a security group": {
			func(ctx context.Context, ec2 *awsquery.EC2, _ *awsquery.IAM) (any, error) {
				return ec2.DescribeSecurityGroup(ctx, "sg-1")
			},
			[]answer{ok(`<R><securityGroupInfo><item><ipPermissionsEgress><item><ipProtocol>tcp</ipProtocol><fromPort>443</fromPort>
<toPort>444</toPort></item></ipPermissionsEgress></item></securityGroupInfo></R>`)},
			[]string{"Action=DescribeSecurityGroups&GroupId.1=sg-1&Version=2016-11-15"},
			[]awsquery.SecurityGroup{{Egress: []awsquery.IPPermission{{Protocol: "tcp", FromPort: 443, ToPort: 444}}}},
		},
		"a role": {
			func(ctx context.Context, _ *awsquery.EC2, iam *awsquery.IAM) (any, error) {
				return iam.Role(ctx, "one")
			},
			[]answer{ok(`<GetRoleResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><GetRoleResult><Role>
<Arn>arn:aws:iam::123456789012:role/a/one</Arn></Role></GetRoleResult></GetRoleResponse>`)},
			[]string{"Action=GetRole&RoleName=one&Version=2010-05-08"}, "arn:aws:iam::123456789012:role/a/one",
		},
		"a simulation in pages": {
			func(ctx context.Context, _ *awsquery.EC2, iam *awsquery.IAM) (any, error) {
				return iam.Simulate(ctx, "role", []string{"s3:GetObject", "s3:PutObject"}, "*", map[string]string{"b": "2", "a": "1"})
			},
			[]answer{
				ok(`<R><SimulatePrincipalPolicyResult><IsTruncated>true</IsTruncated><Marker>m</Marker><EvaluationResults><member>
<EvalActionName>s3:GetObject</EvalActionName><EvalResourceName>*</EvalResourceName><EvalDecision>allowed</EvalDecision></member>
</EvaluationResults></SimulatePrincipalPolicyResult></R>`),
				ok(`<R><SimulatePrincipalPolicyResult><EvaluationResults><member><EvalActionName>s3:PutObject</EvalActionName>
<EvalResourceName>*</EvalResourceName><EvalDecision>implicitDeny</EvalDecision><MissingContextValues><member>aws:x</member>
</MissingContextValues><OrganizationsDecisionDetail><AllowedByOrganizations>false</AllowedByOrganizations></OrganizationsDecisionDetail>
<PermissionsBoundaryDecisionDetail><AllowedByPermissionsBoundary>true</AllowedByPermissionsBoundary></PermissionsBoundaryDecisionDetail>
</member></EvaluationResults></SimulatePrincipalPolicyResult></R>`),
			},
			[]string{
				"Action=SimulatePrincipalPolicy&ActionNames.member.1=s3%3AGetObject&ActionNames.member.2=s3%3APutObject" +
					"&ContextEntries.member.1.ContextKeyName=a&ContextEntries.member.1.ContextKeyType=string" +
					"&ContextEntries.member.1.ContextKeyValues.member.1=1&ContextEntries.member.2.ContextKeyName=b" +
					"&ContextEntries.member.2.ContextKeyType=string&ContextEntries.member.2.ContextKeyValues.member.1=2" +
					"&PolicySourceArn=role&ResourceArns.member.1=%2A&Version=2010-05-08",
				"Action=SimulatePrincipalPolicy&ActionNames.member.1=s3%3AGetObject&ActionNames.member.2=s3%3APutObject" +
					"&ContextEntries.member.1.ContextKeyName=a&ContextEntries.member.1.ContextKeyType=string" +
					"&ContextEntries.member.1.ContextKeyValues.member.1=1&ContextEntries.member.2.ContextKeyName=b" +
					"&ContextEntries.member.2.ContextKeyType=string&ContextEntries.member.2.ContextKeyValues.member.1=2" +
					"&Marker=m&PolicySourceArn=role&ResourceArns.member.1=%2A&Version=2010-05-08",
			},
			[]awsquery.Evaluation{
				{Action: "s3:GetObject", Resource: "*", Decision: "allowed"},
				{
					Action: "s3:PutObject", Resource: "*", Decision: "implicitDeny", MissingContextValues: []string{"aws:x"},
					ByOrganization: &no, ByBoundary: &yes,
				},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, cfg := serve(t, test.answers...)
			got, err := test.ask(t.Context(), awsquery.NewEC2(cfg), awsquery.NewIAM(cfg))
			require.NoError(t, err)
			require.Equal(t, test.want, got)
			var forms []string
			for _, form := range s.forms {
				forms = append(forms, form.Encode())
			}
			require.Equal(t, test.forms, forms)
		})
	}
}

func TestRequestsAreSigned(t *testing.T) {
	t.Parallel()
	s, cfg := serve(t, ok(`<R><vpcSet/></R>`), ok(`<R><GetRoleResult/></R>`))
	_, err := awsquery.NewEC2(cfg).DescribeVPCs(t.Context(), nil)
	require.NoError(t, err)
	_, err = awsquery.NewIAM(cfg).Role(t.Context(), "one")
	require.NoError(t, err)
	for i, scope := range []string{"/eu-central-1/ec2/aws4_request", "/us-east-1/iam/aws4_request"} {
		authorization := s.requests[i].Header.Get("Authorization")
		assert.True(t, strings.HasPrefix(authorization, "AWS4-HMAC-SHA256 Credential=AKID/"), authorization)
		assert.Contains(t, authorization, scope)
		assert.Equal(t, "token", s.requests[i].Header.Get("X-Amz-Security-Token"))
		assert.Equal(t, []string{http.MethodPost, "/"}, []string{s.requests[i].Method, s.requests[i].URL.Path})
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer answer
		code   string
		status int
		tries  int
		text   string
	}{
		"EC2's": {
			answer{400, `<?xml version="1.0"?><Response><Errors><Error><Code>InvalidSubnetID.NotFound</Code><Message>not there</Message></Error>
</Errors><RequestID>1</RequestID></Response>`},
			"InvalidSubnetID.NotFound", 400, 1, "operation error EC2: DescribeVpcs, https response error StatusCode: 400",
		},
		"IAM's": {
			answer{404, `<ErrorResponse><Error><Type>Sender</Type><Code>NoSuchEntity</Code><Message>no role</Message></Error></ErrorResponse>`},
			"NoSuchEntity", 404, 1, "api error NoSuchEntity: no role",
		},
		"too often": {
			answer{503, `<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>slow</Message></Error></Errors></Response>`},
			"RequestLimitExceeded", 503, 3, "exceeded maximum number of attempts, 3",
		},
		"a proxy's page":    {answer{403, `<html><body>Blocked<br></body></html>`}, "UnknownError", 403, 1, "StatusCode: 403"},
		"an empty body":     {answer{500, ``}, "UnknownError", 500, 3, "StatusCode: 500"},
		"a page with 200":   {answer{200, `<html></html>`}, "", 200, 1, "deserialization failed, the answer doesn't have the list vpcSet"},
		"half an answer":    {answer{200, `<R><vpcSet><item>`}, "", 200, 1, "deserialization failed, reading the answer's vpcSet"},
		"something not XML": {answer{200, `{"a": "<"}`}, "", 200, 1, "deserialization failed, reading the answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, cfg := serve(t, test.answer)
			_, err := awsquery.NewEC2(cfg).DescribeVPCs(t.Context(), nil)
			require.ErrorContains(t, err, test.text)
			response, found := errors.AsType[*awshttp.ResponseError](err)
			require.True(t, found)
			require.Equal(t, test.status, response.HTTPStatusCode())
			code := ""
			if refused, found := errors.AsType[smithy.APIError](err); found {
				code = refused.ErrorCode()
			}
			require.Equal(t, test.code, code)
			require.Len(t, s.requests, test.tries)
		})
	}
}

// Where AWS would be asked, with nothing of the environment but what is set here. The hosts are those that the SDK's rules give.
func TestEndpoints(t *testing.T) { // not in parallel: it sets the environment
	for _, test := range []struct {
		region, set, to, ec2, iam string
	}{
		{"eu-central-1", "", "", "ec2.eu-central-1.amazonaws.com", "iam.amazonaws.com"},
		{"cn-north-1", "", "", "ec2.cn-north-1.amazonaws.com.cn", "iam.cn-north-1.amazonaws.com.cn"},
		{"us-gov-east-1", "", "", "ec2.us-gov-east-1.amazonaws.com", "iam.us-gov.amazonaws.com"},
		{"eusc-de-east-1", "", "", "ec2.eusc-de-east-1.amazonaws.eu", "iam.eusc-de-east-1.amazonaws.eu"},
		{"us-iso-west-1", "", "", "ec2.us-iso-west-1.c2s.ic.gov", "iam.us-iso-east-1.c2s.ic.gov"},
		{"us-isob-east-1", "", "", "ec2.us-isob-east-1.sc2s.sgov.gov", "iam.us-isob-east-1.sc2s.sgov.gov"},
		{"eu-isoe-west-1", "", "", "ec2.eu-isoe-west-1.cloud.adc-e.uk", "iam.eu-isoe-west-1.cloud.adc-e.uk"},
		{"us-isof-east-1", "", "", "ec2.us-isof-east-1.csp.hci.ic.gov", "iam.us-isof-south-1.csp.hci.ic.gov"},
		{"us-east-1", "AWS_USE_FIPS_ENDPOINT", "true", "ec2-fips.us-east-1.amazonaws.com", "iam-fips.amazonaws.com"},
		{"us-gov-west-1", "AWS_USE_FIPS_ENDPOINT", "true", "ec2.us-gov-west-1.amazonaws.com", "iam.us-gov.amazonaws.com"},
		{"us-east-1", "AWS_ENDPOINT_URL", "http://one.test", "one.test", "one.test"},
		{"us-east-1", "AWS_ENDPOINT_URL_EC2", "http://two.test", "two.test", "iam.amazonaws.com"},
		{"us-east-1", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true", "ec2.us-east-1.amazonaws.com", "iam.amazonaws.com"},
	} {
		t.Run(test.region+" "+test.set, func(t *testing.T) {
			for _, name := range []string{
				"AWS_USE_FIPS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_EC2", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
			} {
				t.Setenv(name, "")
			}
			t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
			if test.set != "" {
				t.Setenv(test.set, test.to)
			}
			if test.set == "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS" {
				t.Setenv("AWS_ENDPOINT_URL_EC2", "http://two.test")
			}
			var hosts []string
			cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRegion(test.region),
				config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("AKID", "secret", "")))
			require.NoError(t, err)
			cfg.HTTPClient = doer(func(r *http.Request) (*http.Response, error) {
				hosts = append(hosts, r.URL.Host)
				return &http.Response{StatusCode: http.StatusBadRequest, Body: http.NoBody, Header: http.Header{}, Request: r}, nil
			})
			_, err = awsquery.NewEC2(cfg).DescribeVPCs(t.Context(), nil)
			require.Error(t, err)
			_, err = awsquery.NewIAM(cfg).Role(t.Context(), "one")
			require.Error(t, err)
			require.Equal(t, []string{test.ec2, test.iam}, hosts)
		})
	}
}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }
