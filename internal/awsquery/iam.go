package awsquery

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"

	"example.com/upload-router/internal/partition"
)

// IAM asks AWS Identity and Access Management. Errors have its codes, such as NoSuchEntity.
type IAM struct{ client client }

// NewIAM gives a client.
func NewIAM(config aws.Config) *IAM {
	return &IAM{client{config: config, id: "IAM", signingName: "iam", version: "2010-05-08", endpoint: iamEndpoint}}
}

// iamEndpoint is that of the partition: IAM is one for all its Regions.
func iamEndpoint(region string, fips bool) (address, signingRegion string) {
	of, _ := partition.OfRegion(region)
	host := of.IAM
	if fips && of.Name != partition.USGov {
		host = "iam-fips." + of.DNSSuffix
	}
	return "https://" + host, of.HomeRegion
}

// Role gives the ARN of a role. One that isn't there is NoSuchEntity.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRole.html
func (c *IAM) Role(ctx context.Context, name string) (string, error) {
	var answer struct {
		ARN string `xml:"GetRoleResult>Role>Arn"`
	}
	err := c.client.call(ctx, "GetRole", url.Values{"RoleName": {name}}, func(body io.Reader) error {
		if err := xml.NewDecoder(body).Decode(&answer); err != nil {
			return fmt.Errorf("reading the answer: %w", err)
		}
		return nil
	})
	return answer.ARN, err
}

// Evaluation is what the policies say to an action on a resource.
type Evaluation struct {
	Action   string `xml:"EvalActionName"`
	Resource string `xml:"EvalResourceName"`
	// Decision is allowed, explicitDeny or implicitDeny.
	Decision string `xml:"EvalDecision"`
	// MissingContextValues are the context keys that the policies ask for and the simulation wasn't given.
	MissingContextValues []string `xml:"MissingContextValues>member"`
	// ByOrganization and ByBoundary say whether the organization's policies and the permissions boundary allow it; nil if there are none.
	ByOrganization *bool `xml:"OrganizationsDecisionDetail>AllowedByOrganizations"`
	ByBoundary     *bool `xml:"PermissionsBoundaryDecisionDetail>AllowedByPermissionsBoundary"`
}

// Allowed says whether the policies allow it.
func (e Evaluation) Allowed() bool { return e.Decision == "allowed" }

// Simulate gives what the policies of a user or role say to actions on a resource. A condition sees the values of the context, which are
// text. A user or role that isn't there is NoSuchEntity.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
func (c *IAM) Simulate(
	ctx context.Context, principal string, actions []string, resource string, values map[string]string,
) ([]Evaluation, error) {
	form := url.Values{"PolicySourceArn": {principal}, "ResourceArns.member.1": {resource}}
	number(form, "ActionNames.member", actions...)
	for i, key := range slices.Sorted(maps.Keys(values)) {
		entry := "ContextEntries.member." + strconv.Itoa(i+1)
		form.Set(entry+".ContextKeyName", key)
		form.Set(entry+".ContextKeyType", "string")
		form.Set(entry+".ContextKeyValues.member.1", values[key])
	}
	return list[Evaluation](ctx, &c.client, "SimulatePrincipalPolicy", form, "EvaluationResults", "Marker", "Marker")
}
