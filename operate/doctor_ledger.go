package operate

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"example.com/upload-router/components/egress"
	"example.com/upload-router/internal/awsquery"
	"example.com/upload-router/internal/settings"
)

// ledgerService is DynamoDB's end in the names of its endpoints and of its prefix list.
const ledgerService = ".dynamodb"

// wayToLedger looks whether the task gets to the ledger's table from subnets that are given: there the stack makes neither a VPC endpoint
// nor routes.
func (d *doctor) wayToLedger(ctx context.Context) {
	if d.settings.Network != settings.NetworkExisting {
		return
	}
	client := awsquery.NewEC2(*d.aws)
	const name = "Route to DynamoDB"
	tables, err := client.DescribeRouteTables(ctx, d.settings.VPCID)
	if err != nil {
		d.unasked(name, "", actionRoutes, err)
		return
	}
	all, err := client.DescribeVPCEndpoints(ctx, d.settings.VPCID)
	if err != nil {
		d.unasked(name, "", actionEndpoints, err)
		return
	}
	endpoints := slices.DeleteFunc(all, func(e awsquery.VPCEndpoint) bool {
		return !strings.HasSuffix(e.ServiceName, ledgerService) || !strings.EqualFold(e.State, "available")
	})
	const why = "the ledger is asked for every large file: a task that can't reach it ends with Upload.LedgerUnreachable"
	fix := "aws ec2 create-vpc-endpoint --vpc-id " + d.settings.VPCID + " --service-name com.amazonaws." + d.aws.Region + ledgerService +
		" --route-table-ids "
	private := slices.ContainsFunc(endpoints, func(e awsquery.VPCEndpoint) bool { return e.Type == "Interface" && e.PrivateDNS })
	for _, subnet := range d.settings.SubnetIDs {
		table := tableOf(tables, subnet)
		gateway := slices.ContainsFunc(endpoints, func(e awsquery.VPCEndpoint) bool {
			return e.Type == "Gateway" && slices.Contains(e.RouteTables, table.ID)
		})
		switch way := defaultRoute(tables, subnet); {
		case gateway, private:
		case way == "":
			d.failed(name, subnet+" has none: neither a gateway endpoint in its route table nor a route to the internet", why, fix+table.ID)
			return
		case strings.HasPrefix(way, "igw-") && !d.settings.AssignPublicIP:
			d.failed(name, subnet+"'s way is an internet gateway, and the task has no public address", why,
				fix+table.ID+", or: pulumi config set assignPublicIp true")
			return
		}
	}
	d.ok(name, "every subnet has one")
	if private {
		return // its addresses are the subnets' own
	}
	d.egressToLedger(ctx, client)
}

// egressToLedger looks whether the task's security group lets it out to DynamoDB.
func (d *doctor) egressToLedger(ctx context.Context, client *awsquery.EC2) {
	const name = "Egress to DynamoDB"
	if slices.ContainsFunc(d.settings.Egress, func(r egress.Rule) bool { return letsOut(r) && r.CIDR.Addr().Is4() && r.CIDR.Bits() == 0 }) {
		d.ok(name, "to anywhere")
		return
	}
	lists, err := client.DescribePrefixList(ctx, "com.amazonaws."+d.aws.Region+ledgerService)
	if err != nil {
		d.unasked(name, "", actionPrefixLists, err)
		return
	}
	if len(lists) == 0 {
		d.unknown(name, "there is no prefix list of DynamoDB in "+d.aws.Region, "its addresses aren't known", "look at `egress` yourself")
		return
	}
	if allowed(d.settings.Egress, lists[0]) {
		d.ok(name, "by `egress`")
		return
	}
	d.failed(name, "`egress` doesn't let the task out to DynamoDB's addresses, "+lists[0].ID,
		"the ledger is asked for every large file: a task that can't reach it ends with Upload.LedgerUnreachable",
		`add to egress: {"protocol":"tcp","port":"443","prefixListId":"`+lists[0].ID+`"}`)
}

// letsOut says whether a rule is for HTTPS.
func letsOut(r egress.Rule) bool {
	const https = 443
	return r.Protocol == "-1" || r.Protocol == "tcp" && r.FromPort <= https && https <= r.ToPort
}

// allowed says whether rules let HTTPS out to all that is in a prefix list.
func allowed(rules []egress.Rule, list awsquery.PrefixList) bool {
	rules = slices.DeleteFunc(slices.Clone(rules), func(r egress.Rule) bool { return !letsOut(r) })
	if slices.ContainsFunc(rules, func(r egress.Rule) bool { return r.PrefixListID == list.ID }) {
		return true
	}
	for _, text := range list.CIDRs {
		block, err := netip.ParsePrefix(text)
		if err != nil || !slices.ContainsFunc(rules, func(r egress.Rule) bool {
			return r.CIDR.IsValid() && r.CIDR.Bits() <= block.Bits() && r.CIDR.Contains(block.Addr())
		}) {
			return false
		}
	}
	return len(list.CIDRs) > 0
}
