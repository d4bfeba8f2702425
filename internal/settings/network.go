package settings

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"

	"example.com/upload-router/internal/partition"
)

// maxSubnets is how many subnets RunTask takes.
//
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_AwsVpcConfiguration.html
const maxSubnets = 16

// The blocks a VPC's addresses should come from: RFC 1918, and RFC 6598's shared space, which AWS names as the way out when the
// others are used up.
//
// https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html
var privateBlocks = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("100.64.0.0/10"),
}

// network reads where the task runs and what it may reach.
func (l *loader) network(s *Settings) {
	s.Network = NetworkMode(l.choice(keyNetwork,
		string(NetworkCreate), string(NetworkDefault), string(NetworkExisting), string(NetworkPrivate)))
	cidr, cidrOK := l.vpcCIDR()
	s.VPCID = l.text(keyVPCID, optional(checkID("vpc")))
	subnets, subnetsOK := l.strings(keySubnetIDs, elementRule{
		check: checkID("subnet"), same: func(id string) string { return id },
		mended: func(string) string { return l.keys[keySubnetIDs].elementExample() },
	})
	s.SubnetIDs = subnets
	s.AssignPublicIP = l.publicIP(s.Network)
	s.Egress = l.egress()
	s.FlowLogs = l.boolean(keyFlowLogs)

	switch s.Network {
	case NetworkExisting:
		l.checkExisting(s, subnetsOK)
	case NetworkPrivate:
		l.checkOwn(s.VPCID != "", len(subnets) > 0)
		l.checkPrivate(s)
	case NetworkCreate, NetworkDefault:
		l.checkOwn(s.VPCID != "", len(subnets) > 0)
	default:
		// The mode itself was reported; what would go with it cannot be told.
		return
	}
	if s.MakesVPC() && cidrOK {
		s.VPCCIDR = cidr
	}
	if !s.MakesVPC() && s.FlowLogs {
		l.reportAt(keyFlowLogs, keyFlowLogs, yes,
			fmt.Sprintf("goes with %s create and private only, not with %s: the flow logs of a VPC that others use are theirs to set up",
				keyNetwork, l.shownNetwork()), setCommand(keyFlowLogs, no))
	}
	if !s.MakesVPC() && l.raw(keyVPCCIDR) != l.keys[keyVPCCIDR].raw() {
		l.reportAt(keyVPCCIDR, keyVPCCIDR, l.raw(keyVPCCIDR),
			fmt.Sprintf("goes with %s create and private only, not with %s", keyNetwork, l.shownNetwork()), removeCommand(keyVPCCIDR))
	}
}

// publicIP reads whether the task gets a public address, which some modes leave no choice about.
func (l *loader) publicIP(mode NetworkMode) bool {
	raw := l.raw(keyAssignPublicIP)
	var rule string
	switch {
	case raw == "":
		return mode != NetworkPrivate
	case raw != yes && raw != no:
		rule = "must be true or false, or empty"
	case raw == yes && mode == NetworkPrivate:
		rule = fmt.Sprintf("must be false, or empty, with %s %s: no route leads from its subnets to the internet", keyNetwork, l.shownNetwork())
	case raw == no && (mode == NetworkCreate || mode == NetworkDefault):
		rule = fmt.Sprintf("must be true with %s %s, whose subnets have an internet gateway and no NAT: without a public address "+
			"the task could not pull its image", keyNetwork, l.shownNetwork())
	default:
		return raw == yes
	}
	fix := removeCommand(keyAssignPublicIP)
	if near := nearestBoolean(raw); near == yes && mode != NetworkPrivate || near == no && mode == NetworkExisting {
		fix = setCommand(keyAssignPublicIP, near)
	}
	l.reportAt(keyAssignPublicIP, keyAssignPublicIP, raw, rule, fix)
	return false
}

// checkPrivate refuses what a network without a way out has no use for.
func (l *loader) checkPrivate(s *Settings) {
	if l.raw(keyEgress) != l.keys[keyEgress].raw() {
		l.reportAt(keyEgress, keyEgress, l.raw(keyEgress),
			fmt.Sprintf("goes with %s create, default and existing only: with %s the task reaches the VPC endpoints and S3, and no route "+
				"leads to anything else", keyNetwork, l.shownNetwork()), removeCommand(keyEgress))
	}
	s.Egress = nil
	if s.Image == "" {
		return
	}
	// AWS gives private DNS to the plain form of a registry's name, which is the one that the endpoints of ECR lead to.
	// https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html
	host, _, _ := strings.Cut(s.Image, "/")
	if _, told := partition.CorrectedRegistry(host); told {
		return
	}
	if registry, ok := partition.RegistryOf(host); !ok || !registry.Plain || l.region != "" && registry.Region != l.region {
		l.report(keyImage, s.Image, fmt.Sprintf("must be in ECR of the stack's own Region with %s %s, "+
			"%s/...: no other registry can be reached", keyNetwork, l.shownNetwork(), l.registry()))
	}
}

// registry is the form of the host of ECR in the stack's Region.
func (l *loader) registry() string {
	p, _ := partition.OfRegion(l.region)
	return "<account>.dkr.ecr." + cmp.Or(l.region, "<region>") + "." + p.DNSSuffix
}

// checkExisting checks that an existing network is named in full.
func (l *loader) checkExisting(s *Settings, subnetsOK bool) {
	if s.VPCID == "" {
		l.report(keyVPCID, "", fmt.Sprintf("must name the VPC, since %s is %s", keyNetwork, l.shownNetwork()))
	}
	if !subnetsOK {
		return
	}
	if len(s.SubnetIDs) < 2 {
		l.report(keySubnetIDs, l.raw(keySubnetIDs),
			fmt.Sprintf("must name two or more subnets, best in different zones, since %s is %s", keyNetwork, l.shownNetwork()))
	}
	if len(s.SubnetIDs) > maxSubnets {
		l.report(keySubnetIDs, l.raw(keySubnetIDs), fmt.Sprintf("must name at most %d subnets, which is all RunTask takes", maxSubnets))
	}
}

// checkOwn refuses the names of an existing network where none is used.
func (l *loader) checkOwn(hasVPC, hasSubnets bool) {
	rule := fmt.Sprintf("goes with %s existing only, not with %s", keyNetwork, l.shownNetwork())
	if hasVPC {
		l.reportAt(keyVPCID, keyVPCID, l.raw(keyVPCID), rule, setCommand(keyNetwork, string(NetworkExisting)))
	}
	if hasSubnets {
		l.reportAt(keySubnetIDs, keySubnetIDs, l.raw(keySubnetIDs), rule, setCommand(keyNetwork, string(NetworkExisting)))
	}
}

// vpcCIDR reads the address block of the VPC to make.
func (l *loader) vpcCIDR() (block netip.Prefix, ok bool) {
	raw := l.raw(keyVPCCIDR)
	block, problem := parseCIDR(raw)
	if problem == nil {
		problem = checkVPCBlock(block)
	}
	if problem != nil {
		l.reportAt(keyVPCCIDR, keyVPCCIDR, raw, problem.Error(), l.propose(keyVPCCIDR, mendedVPCBlock(raw)))
		return netip.Prefix{}, false
	}
	return block, true
}

// mendedVPCBlock is the VPC's block that a text means, in network form and of a size that a VPC can have, or empty.
func mendedVPCBlock(text string) string {
	block, ok := mendedBlock(text)
	if !ok || !block.Addr().Is4() {
		return ""
	}
	mended := netip.PrefixFrom(block.Addr(), min(max(block.Bits(), largestVPC), smallestVPC)).Masked()
	if checkVPCBlock(mended) != nil {
		return ""
	}
	return mended.String()
}

// The sizes that the VPC's block can have: the largest VPC, and the smallest whose quarters give two subnets room.
const largestVPC, smallestVPC = 16, 26

// checkVPCBlock checks that a block is private and has quarters of a useful size for subnets.
func checkVPCBlock(block netip.Prefix) error {
	if !block.Addr().Is4() {
		return breaks("must be an IPv4 block")
	}
	if block.Bits() < largestVPC || block.Bits() > smallestVPC {
		return breaks("must be from /16, the largest VPC, to /26, the smallest that gives two subnets room, not /%d", block.Bits())
	}
	for _, private := range privateBlocks {
		if private.Contains(block.Addr()) {
			return nil
		}
	}
	return breaks("must lie in 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or 100.64.0.0/10: other addresses belong to somebody else")
}

// parseCIDR reads an address block in network form, with no bit set behind the prefix: EC2 would clear those bits, and every
// preview would then show a difference.
func parseCIDR(text string) (netip.Prefix, error) {
	block, err := netip.ParsePrefix(text)
	if err != nil || block.Addr().Is4In6() {
		if address, err := netip.ParseAddr(text); err == nil && !strings.Contains(text, "%") && !address.Is4In6() {
			return netip.Prefix{}, breaks("must be an address block: %s/%d is this one address", address, address.BitLen())
		}
		return netip.Prefix{}, breaks("must be an address block such as 10.0.0.0/16 or 2001:db8::/32")
	}
	if block != block.Masked() {
		return netip.Prefix{}, breaks("must be in network form: %s", block.Masked())
	}
	return block, nil
}
