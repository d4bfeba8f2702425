package settings

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"example.com/upload-router/internal/partition"
)

// booleans are what people write for true and false elsewhere, in lower case.
var booleans = map[string]string{
	yes: yes, "yes": yes, "y": yes, "on": yes, "1": yes, "t": yes, "enabled": yes,
	no: no, "no": no, "n": no, "off": no, "0": no, "f": no, "disabled": no,
}

// otherNames are the names that AWS, Go and Linux have for some of the values, in lower case.
var otherNames = map[string]string{
	"amd64": string(X86), "aarch64": string(ARM64), "fargate_spot": string(CapacitySpot), "waitfortasktoken": string(CompletionCallback),
}

// nearestChoice is the allowed value that is most likely meant: by another name of it, without regard to case, by its beginning, or by a
// typing error. It is empty if none is near.
func nearestChoice(value string, allowed []string) string {
	given := strings.ToLower(strings.TrimSpace(value))
	given = cmp.Or(otherNames[given], given)
	if given == "" {
		return ""
	}
	begun := make([]string, 0, len(allowed))
	for _, candidate := range allowed {
		lower := strings.ToLower(candidate)
		if lower == given {
			return candidate
		}
		if strings.HasPrefix(lower, given) || strings.HasPrefix(given, lower) {
			begun = append(begun, candidate)
		}
	}
	if len(begun) == 1 {
		return begun[0]
	}
	return nearestWithin(given, allowed, max(len(given)/3, 1))
}

// nearestBoolean is true or false, whichever is meant; it is empty if that can't be told.
func nearestBoolean(value string) string {
	given := strings.ToLower(strings.TrimSpace(value))
	return cmp.Or(booleans[given], nearestWithin(given, []string{yes, no}, 2))
}

// propose gives a key a value, or what it has to be proposed without any.
func (l *loader) propose(key, value string) string {
	if value == "" {
		return l.fix(key)
	}
	return setCommand(key, value)
}

// fix says how to give a key its default or, where it has none, its example. Pulumi's command line sets a list or an object one element
// at a time, so the stack's file it is.
func (l *loader) fix(key string) string {
	k := l.keys[key]
	if k.structured() {
		return l.fileFix(key, l.here(k.Example))
	}
	return setCommand(key, l.here(cmp.Or(k.raw(), k.Example)))
}

// listFix is fix of a list that was written as text: the strings in it, if each may be an element.
func (l *loader) listFix(key string, check func(string) error) string {
	words := strings.FieldsFunc(l.raw(key), func(r rune) bool { return strings.ContainsRune(`," `, r) })
	wrong := func(word string) bool { return check(word) != nil }
	if len(words) == 0 || slices.ContainsFunc(words, wrong) {
		return l.fix(key)
	}
	return l.fileFix(key, CompactJSON(words))
}

// fileFix says how to give a key a value in the stack's file.
func (l *loader) fileFix(key, value string) string {
	return "in " + l.file() + ", below config: " + l.project + ":" + key + ": " + value
}

// file is the name of the stack's file.
func (l *loader) file() string { return "Pulumi." + cmp.Or(l.stack, "<stack>") + ".yaml" }

// here is an example moved to the stack's Region and partition, as far as the Region is known.
func (l *loader) here(example string) string {
	if l.region == "" {
		return example
	}
	p, _ := partition.OfRegion(l.region)
	return strings.NewReplacer(
		"arn:"+partition.Standard+":", "arn:"+p.Name+":", exampleRegion, l.region, ".amazonaws.com/", "."+p.DNSSuffix+"/",
	).Replace(example)
}

// mendedARN is an ARN in its Region's partition if that is all that it lacks, or else the example.
func (l *loader) mendedARN(value, example string, check func(string) error) string {
	if parsed, err := arn.Parse(value); err == nil {
		p, _ := partition.OfRegion(parsed.Region)
		parsed.Partition = p.Name
		if mended := parsed.String(); check(mended) == nil {
			return mended
		}
	}
	return l.here(example)
}

// mendedNumber is a number without the zeros in front if that is all that was wrong with it, or else empty.
func mendedNumber(text string, allowed func(int) bool) string {
	digits := cmp.Or(strings.TrimLeft(text, "0"), "0")
	if number, err := wholeNumber(digits); err != nil || digits == text || !allowed(number) {
		return ""
	}
	return digits
}

// mendedBlock is the network that a text means which is an address block but for the bits behind the prefix, or one address alone.
func mendedBlock(text string) (netip.Prefix, bool) {
	if block, err := netip.ParsePrefix(text); err == nil && !block.Addr().Is4In6() {
		return block.Masked(), true
	}
	if address, err := netip.ParseAddr(text); err == nil && address.Zone() == "" && !address.Is4In6() {
		return netip.PrefixFrom(address, address.BitLen()), true
	}
	return netip.Prefix{}, false
}
