package settings

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"

	"example.com/upload-router/internal/partition"
)

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

// publicIP reads whether the task gets a public address, which some modes leave no choice about.
func (l *loader) publicIP(k Key, s *Settings) {
	raw, mode := l.raw(k.Name), s.Network
	var rule string
	switch {
	case raw == "":
		s.AssignPublicIP = mode != NetworkPrivate
	case raw != yes && raw != no:
		rule = "must be true or false, or empty"
	case raw == yes && mode == NetworkPrivate:
		rule = fmt.Sprintf("must be false, or empty, with %s %s, whose subnets are isolated", keyNetwork, l.shown(keyNetwork))
	case raw == no && (mode == NetworkCreate || mode == NetworkDefault):
		rule = fmt.Sprintf("must be true with %s %s, whose subnets have an internet gateway and no NAT: without a public address "+
			"the task could not pull its image", keyNetwork, l.shown(keyNetwork))
	default:
		s.AssignPublicIP = raw == yes
	}
	if rule == "" {
		return
	}
	fix := remove(k.Name)
	if near := nearestBoolean(raw); near == yes && mode != NetworkPrivate || near == no && mode == NetworkExisting {
		fix = set(k.Name, near)
	}
	l.reportAt(k.Name, k.Name, raw, rule, fix)
}

// reachableImage refuses an image that a network without a way to the internet doesn't lead to.
func (l *loader) reachableImage(s *Settings) {
	if s.Network != NetworkPrivate || s.Image == "" {
		return
	}
	// AWS gives private DNS to the plain form of a registry's name, which is the one that the endpoints of ECR lead to.
	// https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html
	host, _, _ := strings.Cut(s.Image, "/")
	if registry, ok := partition.RegistryOf(host); !ok || !registry.Plain || l.region != "" && registry.Region != l.region {
		l.report(keyImage, s.Image, fmt.Sprintf("must be in ECR of the stack's own Region with %s %s, "+
			"%s/...: no other registry can be reached", keyNetwork, l.shown(keyNetwork), l.registry()))
	}
}

// registry is the form of the host of ECR in the stack's Region.
func (l *loader) registry() string {
	p, _ := partition.OfRegion(l.region)
	return "<account>.dkr.ecr." + cmp.Or(l.region, "<region>") + "." + p.DNSSuffix
}

// fixedVPCBlock is the VPC's block that a text means, in network form and of a size that a VPC can have, or empty.
func fixedVPCBlock(_ *loader, text string) string {
	block, ok := fixedBlock(text)
	if !ok || !block.Addr().Is4() {
		return ""
	}
	fixed := netip.PrefixFrom(block.Addr(), min(max(block.Bits(), largestVPC), smallestVPC)).Masked().String()
	if checkVPCBlock(fixed) != nil {
		return ""
	}
	return fixed
}

// The sizes that the VPC's block can have: the largest VPC, and the smallest whose quarters give two subnets room.
const largestVPC, smallestVPC = 16, 26

// checkVPCBlock checks that a block is private and has quarters of a useful size for subnets.
func checkVPCBlock(text string) error {
	block, err := parseCIDR(text)
	if err != nil {
		return err
	}
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
