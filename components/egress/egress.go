// Package egress describes what the Fargate tasks may reach, as plain Go: the
// security group's rules are made of it, the configuration gives it.
package egress

import "net/netip"

// Rule is something that tasks may connect to. Exactly one of CIDR and PrefixListID is set.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupEgress.html
type Rule struct {
	// Protocol is tcp, udp, icmp, or -1 for all (written all or -1 in the configuration).
	Protocol string
	// FromPort and ToPort are the first and the last port with tcp and udp; -1 and -1,
	// all types and codes, with icmp; not used with -1.
	FromPort, ToPort int
	// CIDR is an IPv4 or IPv6 block in network form, or the zero value.
	CIDR netip.Prefix
	// PrefixListID is a managed prefix list, such as S3's of the Region, or empty.
	PrefixListID string
	// Description is shown in the console: at most 255 of the characters that EC2 allows. It may be empty.
	Description string
}
