package settings

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"example.com/upload-router/internal/partition"
)

// Fix is what to do about a [Problem]: to set a value, to remove one, or to rename keys.
type Fix struct {
	// Path is the key, without the project's namespace, or the path in a list or an object: "notify[0]".
	Path string
	// Value is the value to set there, a list or an object as JSON.
	Value string
	// Remove says to take out what is there.
	Remove bool
	// Secret says that the value is to be set again, and kept a secret. To propose one would tell how far it is from the secret, or mean the
	// opposite of it. With Remove it is a list or an object, whose elements are set one by one.
	Secret bool
	// Rename are the keys of another namespace, with it, that are to have the project's in its place.
	Rename []string
	// File is the stack's file that has to be written to, since Pulumi's command line sets no list or object at once, and renames no key.
	// Empty where its command line does it.
	File string
	// Project is the namespace that keys have in that file.
	Project string
	// Stack is the stack that Pulumi's command has to name. Default: the one that is selected.
	Stack string
	// Text is to be said in place of all that, by who has a way of his own to set values.
	Text string

	// verbatim says that Path is a key as it was given, whatever it looks like.
	verbatim bool
}

// String is the command or, where there is none, what to write in the stack's file.
func (f Fix) String() string {
	if f.Text != "" {
		return f.Text
	}
	path, stack := f.Path, ""
	if RootOf(path) != path && !f.verbatim {
		path = "--path '" + path + "'"
	}
	if f.Stack != "" {
		stack = " --stack " + f.Stack
	}
	switch {
	case len(f.Rename) > 0:
		namespace, name, _ := strings.Cut(f.Rename[0], ":")
		from, to := display(namespace)+":", f.Project+":"
		if len(f.Rename) == 1 {
			from, to = display(f.Rename[0]), to+display(name)
		}
		return "in " + f.File + ", write " + to + " in place of " + from
	case f.File != "":
		return "in " + f.File + ", below config: " + f.Project + ":" + path + ": " + f.Value
	case f.Secret && f.Remove:
		return "pulumi config rm " + path + stack + ", then pulumi config set --secret --path for each element"
	case f.Secret:
		return "pulumi config set --secret " + path + stack
	case f.Remove:
		return "pulumi config rm " + path + stack
	}
	return "pulumi config set " + path + " " + ShellQuote(f.Value) + stack
}

// set gives a key, or a path inside a list or an object, another value, and remove takes it out, so that a key's default counts again.
func set(path, value string) Fix { return Fix{Path: path, Value: value} }

func remove(path string) Fix { return Fix{Path: path, Remove: true} }

// secretFix has a secret set again.
func (k Key) secretFix() Fix { return Fix{Path: k.Name, Secret: true, Remove: k.structured()} }

// RootOf is the key whose value a path leads into.
func RootOf(path string) string {
	if at := strings.IndexAny(path, "[."); at >= 0 {
		return path[:at]
	}
	return path
}

// ShellQuote quotes what a shell would not take as one plain word.
func ShellQuote(value string) string {
	plain := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-_./:@,+", r)
	}
	if value != "" && !strings.ContainsFunc(value, func(r rune) bool { return !plain(r) }) {
		return value
	}
	return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
}

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
func (l *loader) propose(key, value string) Fix {
	if value == "" {
		return l.fix(key)
	}
	return set(key, value)
}

// fix gives a key its default or, where it has none, its example. Pulumi's command line sets a list or an object one element at a time, so
// the stack's file it is.
func (l *loader) fix(key string) Fix {
	k := l.keys[key]
	if k.structured() {
		return l.fileFix(key, l.here(k.Example))
	}
	return set(key, l.here(cmp.Or(k.Text(), k.Example)))
}

// listFix is fix of a list that was written as text: the strings in it, if each may be an element.
func (l *loader) listFix(k Key) Fix {
	words := strings.FieldsFunc(l.raw(k.Name), func(r rune) bool { return strings.ContainsRune(`," `, r) })
	wrong := func(word string) bool { return k.check(l, word) != nil }
	if len(words) == 0 || slices.ContainsFunc(words, wrong) {
		return l.fix(k.Name)
	}
	return l.fileFix(k.Name, CompactJSON(words))
}

// fileFix gives a key a value in the stack's file.
func (l *loader) fileFix(key, value string) Fix {
	return Fix{Path: key, Value: value, File: l.file(), Project: l.project}
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

// fixedARN is an ARN in its Region's partition if that is all that it lacks, or else the example.
func (l *loader) fixedARN(value, example string, check func(string) error) string {
	if parsed, err := arn.Parse(value); err == nil {
		p, _ := partition.OfRegion(parsed.Region)
		parsed.Partition = p.Name
		if fixed := parsed.String(); check(fixed) == nil {
			return fixed
		}
	}
	return l.here(example)
}

// fixedNumber is a number without the zeros in front if that is all that was wrong with it, or else empty.
func fixedNumber(text string, allowed func(int) bool) string {
	digits := cmp.Or(strings.TrimLeft(text, "0"), "0")
	if number, err := wholeNumber(digits); err != nil || digits == text || !allowed(number) {
		return ""
	}
	return digits
}

// fixedBlock is the network that a text means which is an address block but for the bits behind the prefix, or one address alone.
func fixedBlock(text string) (netip.Prefix, bool) {
	if block, err := netip.ParsePrefix(text); err == nil && !block.Addr().Is4In6() {
		return block.Masked(), true
	}
	if address, err := netip.ParseAddr(text); err == nil && address.Zone() == "" && !address.Is4In6() {
		return netip.PrefixFrom(address, address.BitLen()), true
	}
	return netip.Prefix{}, false
}
