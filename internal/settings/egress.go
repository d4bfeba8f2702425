package settings

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// The protocols of an egress rule, as EC2 spells them.
const (
	protocolTCP  = "tcp"
	protocolUDP  = "udp"
	protocolICMP = "icmp"
	protocolAll  = "-1"
)

// The fields of an egress rule in the configuration.
const (
	fieldProtocol     = "protocol"
	fieldPort         = "port"
	fieldCIDR         = "cidr"
	fieldPrefixListID = "prefixListId"
	fieldDescription  = "description"
)

// egressFields are those fields, in the order in which their problems are reported.
var egressFields = []string{fieldProtocol, fieldPort, fieldCIDR, fieldPrefixListID, fieldDescription}

// defaultEgress is requirement A15: HTTPS and DNS to anywhere, nothing else.
func defaultEgress() []any {
	return []any{
		map[string]any{
			fieldProtocol: protocolTCP, fieldPort: "443", fieldCIDR: "0.0.0.0/0", fieldDescription: "HTTPS to AWS and the image registry",
		},
		map[string]any{
			fieldProtocol: protocolUDP, fieldPort: "53", fieldCIDR: "0.0.0.0/0", fieldDescription: "DNS",
		},
	}
}

// EgressRule is something the task may connect to. Exactly one of CIDR and PrefixListID is set.
//
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupEgress.html
type EgressRule struct {
	// Protocol is tcp, udp, icmp, or -1 for all (written all or -1 in the configuration).
	Protocol string
	// FromPort and ToPort are the first and the last port with tcp and udp; -1 and -1, all types and codes, with icmp; 0 and 0, as
	// Terraform's and Pulumi's provider want it, with -1.
	FromPort, ToPort int
	// CIDR is an IPv4 or IPv6 block in network form, or the zero value.
	CIDR netip.Prefix
	// PrefixListID is a managed prefix list such as S3's, or empty.
	PrefixListID string
	// Description is at most 255 of the characters EC2 allows; it may be empty.
	Description string
}

// descriptionPattern has the characters EC2 allows in a rule's description.
//
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpRange.html
var descriptionPattern = regexp.MustCompile(`^[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]*$`)

// egressReader reads one rule and knows where its problems are.
type egressReader struct {
	*loader
	path   string
	fields map[string]string
	// sound turns false with the first problem.
	sound bool
}

// egress reads what the task may connect to.
func (l *loader) egress(k Key, s *Settings) {
	elements, _ := l.list(k, l.fix(keyEgress))
	seen := map[EgressRule]int{}
	for i, element := range elements {
		rule, ok := l.egressRule(i, element)
		if !ok {
			continue
		}
		same := rule
		same.Description = ""
		if first, double := seen[same]; double {
			path := fmt.Sprintf("%s[%d]", keyEgress, i)
			l.reportAt(keyEgress, path, string(element),
				fmt.Sprintf("allows the same as %s[%d], which EC2 refuses whatever the descriptions are", keyEgress, first),
				remove(path))
			continue
		}
		seen[same] = i
		s.Egress = append(s.Egress, rule)
	}
}

// egressRule reads one element of the list.
func (l *loader) egressRule(index int, element json.RawMessage) (EgressRule, bool) {
	r := &egressReader{loader: l, path: fmt.Sprintf("%s[%d]", keyEgress, index), fields: map[string]string{}, sound: true}
	object, err := decodeJSON[map[string]json.RawMessage](string(element))
	if err != nil || object == nil {
		l.reportAt(keyEgress, r.path, string(element),
			jsonRule(err, "must be an object with fields out of "+strings.Join(egressFields, ", ")), l.fix(keyEgress))
		return EgressRule{}, false
	}
	r.scalars(object)
	rule := EgressRule{Protocol: r.protocol()}
	rule.FromPort, rule.ToPort = r.ports(rule.Protocol)
	rule.CIDR, rule.PrefixListID = r.destination(rule.Protocol)
	rule.Description = r.description()
	return rule, r.sound
}

// report notes a problem of one field.
func (r *egressReader) report(field, value, rule, better string) {
	r.sound = false
	path := r.path + "." + field
	r.reportAt(keyEgress, path, value, rule, set(path, better))
}

// scalars takes the fields' texts out of an object. Numbers count as text, since `pulumi config set --path` makes a number of
// every value that looks like one.
func (r *egressReader) scalars(object map[string]json.RawMessage) {
	for _, field := range slices.Sorted(maps.Keys(object)) {
		raw := object[field]
		if !slices.Contains(egressFields, field) {
			r.unknownField(field, raw)
			continue
		}
		if number, err := decodeJSON[json.Number](string(raw)); err == nil && raw[0] != 'n' {
			r.fields[field] = number.String()
		}
		if text, err := decodeJSON[*string](string(raw)); err == nil && text != nil {
			r.fields[field] = *text
		}
		if _, ok := r.fields[field]; !ok {
			r.report(field, string(raw), "must be a string", exampleOf(field))
			r.fields[field] = exampleOf(field)
		}
	}
}

// unknownField reports a field that no rule has.
func (r *egressReader) unknownField(field string, raw json.RawMessage) {
	rule := "a rule has no such field; the fields are " + strings.Join(egressFields, ", ")
	if near := nearest(field, egressFields); near != "" {
		rule = fmt.Sprintf("a rule has no such field, did you mean %s?", near)
	}
	r.sound = false
	path := r.path + "." + display(field)
	r.reportAt(keyEgress, path, string(raw), rule, remove(path))
}

// exampleOf is a valid value of a field.
func exampleOf(field string) string {
	return map[string]string{
		fieldProtocol: protocolTCP, fieldPort: "443", fieldCIDR: "10.0.0.0/16", fieldPrefixListID: "pl-0a1b2c3d4e5f60718",
		fieldDescription: "HTTPS",
	}[field]
}

// protocol reads the protocol; it is empty when it is none.
func (r *egressReader) protocol() string {
	switch value := r.fields[fieldProtocol]; value {
	case protocolTCP, protocolUDP, protocolICMP, protocolAll:
		return value
	case "all":
		return protocolAll
	default:
		near := nearestChoice(value, []string{protocolTCP, protocolUDP, protocolICMP, "all"})
		r.report(fieldProtocol, value, "must be tcp, udp, icmp or all", cmp.Or(near, protocolTCP))
		return ""
	}
}

// ports reads one port or a range, or gives a protocol without ports what EC2 wants in their place.
func (r *egressReader) ports(protocol string) (from, to int) {
	value, given := r.fields[fieldPort]
	switch protocol {
	case protocolICMP, protocolAll:
		if given {
			r.sound = false
			path := r.path + "." + fieldPort
			r.reportAt(keyEgress, path, value, "must be left out: only tcp and udp have ports",
				remove(path))
		}
		if protocol == protocolICMP {
			return -1, -1
		}
		return 0, 0
	}
	first, last, isRange := strings.Cut(value, "-")
	if !isRange {
		last = first
	}
	from, fromErr := parsePort(first)
	to, toErr := parsePort(last)
	switch {
	case fromErr != nil || toErr != nil:
		r.report(fieldPort, value, "must be a port such as 443 or a range such as 1024-2048, from 0 to 65535"+
			noted(errors.Join(fromErr, toErr)), exampleOf(fieldPort))
	case from > to:
		r.report(fieldPort, value, "must be a range from the lower port to the higher", fmt.Sprintf("%d-%d", to, from))
	}
	return from, to
}

// errPort is a number that no port has.
var errPort = errors.New("it is no port")

// parsePort reads a port's number.
func parsePort(text string) (int, error) {
	port, err := wholeNumber(text)
	if err != nil {
		return 0, err
	}
	if port < 0 || port > math.MaxUint16 {
		return 0, errPort
	}
	return port, nil
}

// destination reads the block or the prefix list.
func (r *egressReader) destination(protocol string) (netip.Prefix, string) {
	cidr, hasCIDR := r.fields[fieldCIDR]
	list, hasList := r.fields[fieldPrefixListID]
	if hasList {
		if err := checkID("pl")(list); err != nil {
			r.report(fieldPrefixListID, list, err.Error(), exampleOf(fieldPrefixListID))
		}
	}
	if hasCIDR == hasList {
		r.report(fieldCIDR, cidr, fmt.Sprintf("a rule must have exactly one of %s and %s", fieldCIDR, fieldPrefixListID),
			exampleOf(fieldCIDR))
		return netip.Prefix{}, ""
	}
	if hasList {
		return netip.Prefix{}, list
	}
	block, err := parseCIDR(cidr)
	if err != nil {
		better := exampleOf(fieldCIDR)
		if meant, ok := fixedBlock(cidr); ok {
			better = meant.String()
		}
		r.report(fieldCIDR, cidr, err.Error(), better)
		return netip.Prefix{}, ""
	}
	if protocol == protocolICMP && block.Addr().Is6() {
		r.report(fieldCIDR, cidr, "must be an IPv4 block with protocol icmp, which is IPv4's; use protocol all for IPv6", "0.0.0.0/0")
	}
	return block, ""
}

// description reads the description.
func (r *egressReader) description() string {
	text := r.fields[fieldDescription]
	if len([]rune(text)) > 255 {
		r.report(fieldDescription, text, fmt.Sprintf("must have at most 255 characters, this has %d", len([]rune(text))),
			exampleOf(fieldDescription))
		return ""
	}
	if !descriptionPattern.MatchString(text) {
		r.report(fieldDescription, text, "may have letters, digits, spaces and ._-:/()#,@[]+=&;{}!$* only", exampleOf(fieldDescription))
	}
	return text
}
