package network

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/vpc"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/egress"
)

// slug names the rule after what it allows, not after its place in the list,
// so that adding or reordering rules touches no other rule.
func slug(r egress.Rule) string {
	parts := []string{r.Protocol}
	if r.Protocol == "-1" {
		parts = []string{"all"}
	} else {
		parts = append(parts, strconv.Itoa(r.FromPort))
		if r.ToPort != r.FromPort {
			parts = append(parts, strconv.Itoa(r.ToPort))
		}
	}
	if r.PrefixListID != "" {
		return strings.Join(append(parts, r.PrefixListID), "-")
	}
	return strings.Join(append(parts, r.CIDR.String()), "-")
}

// egress makes the rules. The group itself has none: the provider revokes EC2's
// default allow-all rule when it makes a group (requirement A15).
func (n *Network) egress(
	ctx *pulumi.Context, name string, group *ec2.SecurityGroup, rules []egress.Rule,
) ([]pulumi.Resource, error) {
	made := make([]pulumi.Resource, 0, len(rules))
	for _, r := range rules {
		args := &vpc.SecurityGroupEgressRuleArgs{
			SecurityGroupId: group.ID(),
			IpProtocol:      pulumi.String(r.Protocol),
		}
		if r.Description != "" {
			args.Description = pulumi.String(r.Description)
		}
		if r.Protocol != "-1" { // for which EC2 takes no ports
			args.FromPort, args.ToPort = pulumi.Int(r.FromPort), pulumi.Int(r.ToPort)
		}
		switch {
		case r.PrefixListID != "":
			args.PrefixListId = pulumi.String(r.PrefixListID)
		case r.CIDR.Addr().Is6():
			args.CidrIpv6 = pulumi.String(r.CIDR.String())
		default:
			args.CidrIpv4 = pulumi.String(r.CIDR.String())
		}
		rule, err := vpc.NewSecurityGroupEgressRule(ctx, name+"-egress-"+slug(r), args, pulumi.Parent(n))
		if err != nil {
			return nil, fmt.Errorf("creating the egress rule %s: %w", slug(r), err)
		}
		made = append(made, rule)
	}
	return made, nil
}
