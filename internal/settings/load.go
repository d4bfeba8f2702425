package settings

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/upload-router/internal/partition"
)

// Lookup hands out the value of a key, without its namespace, as Pulumi's configuration holds it: text as it is, numbers and
// booleans in their usual spelling, lists and objects as JSON. ok is false for a key that is not set.
type Lookup func(key string) (value string, ok bool)

// Option gives [Load] what a [Lookup] cannot.
type Option func(*loader)

// WithSecrets names the keys whose values are secret; errors then show neither the value nor anything taken from it.
func WithSecrets(isSecret func(key string) bool) Option {
	return func(l *loader) { l.isSecret = isSecret }
}

// WithKeys reports each of the given keys that does not exist together with all other problems.
func WithKeys(keys []string) Option {
	return func(l *loader) { l.given = keys }
}

// WithRegion checks that the stack's Region can be one, and makes the key of kmsKeyArn and the topic of notify lie in it, as
// CloudWatch demands of both. An empty region checks nothing.
func WithRegion(region string) Option {
	return func(l *loader) { l.region = region }
}

// WithProject names the project that the configuration belongs to, whose name is the namespace of its keys. Default: [Namespace].
func WithProject(name string) Option {
	return func(l *loader) { l.project = name }
}

// WithStack names the stack that the configuration is of, which is in the name of its file: without those of organization and project.
func WithStack(name string) Option {
	return func(l *loader) { l.stack = name[strings.LastIndex(name, "/")+1:] }
}

// LoadMap is [Load] of all that there is to read, by key, each with the project's namespace or without: every key has to be one of
// [Keys], and aws:region one that can be a Region. Everything that reads a configuration outside of Pulumi reads it through here.
func LoadMap(project string, values map[string]string, options ...Option) (*Settings, error) {
	own := make(map[string]string, len(values))
	for key, value := range values {
		own[strings.TrimPrefix(key, project+":")] = value
	}
	options = append(options, WithProject(project), WithKeys(slices.Collect(maps.Keys(own))), WithRegion(own[keyRegion]))
	return Load(func(key string) (string, bool) {
		value, ok := own[key]
		return value, ok
	}, options...)
}

// Load reads and checks the whole configuration. An empty value is as good as none: so Pulumi hands over a key that was left blank
// in a stack's file. The error is an [*InvalidError] with every problem there is; settings are nil then.
//
// https://github.com/pulumi/pulumi/pull/19483
func Load(lookup Lookup, options ...Option) (*Settings, error) {
	return load(Keys(), lookup, options...)
}

// load is Load of the given rows.
func load(rows []Key, lookup Lookup, options ...Option) (*Settings, error) {
	l := &loader{lookup: lookup, isSecret: func(string) bool { return false }, keys: map[string]Key{}, project: Namespace}
	for _, key := range rows {
		l.keys[key.Name] = key
		l.order = append(l.order, key.Name)
	}
	for _, option := range options {
		option(l)
	}

	loaded := &Settings{region: l.region}
	if l.project != Namespace {
		loaded.project = l.project
	}
	l.checkRegion()
	for _, key := range rows {
		l.readKey(key, loaded)
	}
	l.relate(loaded)
	l.sortProblems()
	l.problems = append(l.problems, l.unknown()...)
	if len(l.problems) > 0 {
		for i := range l.problems {
			l.problems[i].project = loaded.project
		}
		return nil, &InvalidError{Problems: l.problems}
	}
	return loaded, nil
}

// loader collects problems while it reads, so that one bad value does not hide the next.
type loader struct {
	lookup   Lookup
	isSecret func(key string) bool
	given    []string
	region   string
	project  string
	stack    string
	keys     map[string]Key
	order    []string
	problems []Problem
}

// keyRegion is the provider's key of the Region that everything is made in, and exampleRegion that of the examples.
const (
	keyRegion     = "aws:region"
	exampleRegion = "eu-central-1"
)

// checkRegion checks that the stack's Region can be one, by its form. Whether there is such a Region is left to AWS, which opens new ones.
func (l *loader) checkRegion() {
	if _, known := partition.OfRegion(l.region); known || l.region == "" {
		return
	}
	l.problems = append(l.problems, Problem{
		Key: keyRegion, Value: display(l.region), Rule: "must be a Region such as " + exampleRegion, Fix: set(keyRegion, exampleRegion),
	})
	l.region = "" // of which nothing more can be told
}

// readKey reads a key into its field. Where it doesn't go with another one's value, the field stays empty, and the key has to be as by
// default.
func (l *loader) readKey(k Key, s *Settings) {
	filled, before := *s, len(l.problems)
	if k.read != nil {
		k.read(l, k, &filled)
	} else {
		l.fill(k, k.field(&filled))
	}
	set := l.raw(k.Name) != k.Text()
	switch goes, known := l.goes(k); {
	case !known: // the other key was reported; what would go with it can't be told
	case goes:
		*s = filled
		if k.Only != nil && k.Only.Needed && !set {
			l.report(k.Name, "", fmt.Sprintf("must be set with %s %s", k.Only.Key, l.shown(k.Only.Key)))
		}
	case set:
		if !k.Only.Change { // what is wrong with a value that is to go doesn't matter
			l.problems = l.problems[:before]
		}
		l.misplaced(k)
	}
}

// goes says whether a key goes with the other keys as they are; known is false if those are wrong.
func (l *loader) goes(k Key) (goes, known bool) {
	if k.Only == nil {
		return true, true
	}
	other, value := l.keys[k.Only.Key], l.raw(k.Only.Key)
	if k.Only.Or != "" {
		return value != other.Text(), value == other.Text() || other.check(l, value) == nil
	}
	known = slices.Contains(other.choices(), value) || other.Type == TypeBoolean && (value == yes || value == no)
	return slices.Contains(k.Only.Values, value), known
}

// misplaced reports a key that is set and doesn't go with another one.
func (l *loader) misplaced(k Key) {
	rule := fmt.Sprintf("goes with %s %s only, not with %s", k.Only.Key, k.Only.values(), l.shown(k.Only.Key))
	if k.Only.Why != "" {
		rule += ": " + k.Only.Why
	}
	fix := remove(k.Name)
	if k.Only.Change {
		fix = set(k.Only.Key, k.Only.Values[0])
	}
	l.reportAt(k.Name, k.Name, l.raw(k.Name), rule, fix)
}

// relate checks what several keys have to be together.
func (l *loader) relate(s *Settings) {
	l.taskSize(s)
	l.routeSizes(s)
	l.routesTaken(s)
	l.pattern(s)
	l.adopted(s)
	l.loop(s)
	l.backfills(s)
	l.secretNames(s)
	l.variablesSize(s)
	l.timeouts(s)
	l.reachableImage(s)
	l.oneImage(s)
	l.targets(s)
}

// fill reads a key by the type of the field that it fills. A value that is refused leaves the field empty.
func (l *loader) fill(k Key, field any) {
	switch field := field.(type) {
	case *string:
		*field = l.text(k)
	case *int64:
		*field, _ = ParseSize(l.text(k))
	case *netip.Prefix:
		*field, _ = netip.ParsePrefix(l.text(k))
	case *int:
		*field = l.number(k)
	case *time.Duration:
		*field = time.Duration(l.number(k)) * time.Second
	case *bool:
		*field = l.boolean(k)
	case *[]string:
		*field = l.strings(k)
	default:
		reflect.ValueOf(field).Elem().SetString(l.choice(k))
	}
}

// raw is a key's value, or its default when it is not set or blank.
func (l *loader) raw(key string) string {
	if l.lookup != nil {
		if value, ok := l.lookup(key); ok && value != "" {
			return value
		}
	}
	return l.keys[key].Text()
}

// shown is how a rule about another key may cite a key's value.
func (l *loader) shown(key string) string {
	if l.isSecret(key) {
		return hidden
	}
	return cmp.Or(display(l.raw(key)), "none")
}

// report notes that a key's value breaks a rule, with the key's example as the way out.
func (l *loader) report(key, value, rule string) {
	l.reportAt(key, key, value, rule, l.fix(key))
}

// reportAt notes a problem at a path inside a key. A secret's problem says the key's documented rule only: the precise rule may
// cite parts of the value, and so may the fix and the path behind a list's index.
func (l *loader) reportAt(key, path, value, rule string, fix Fix) {
	if l.isSecret(key) {
		path, _, _ = strings.Cut(path, ".")
		l.problems = append(l.problems, Problem{
			Key: path, Value: hidden, Rule: "breaks the key's rule: " + l.keys[key].Doc, Fix: l.keys[key].secretFix(),
		})
		return
	}
	l.problems = append(l.problems, Problem{Key: path, Value: display(value), Rule: rule, Fix: fix})
}

// refuse reports a value with what was most likely meant by it: what is given, what the row says, or else the default or the example.
func (l *loader) refuse(k Key, value, rule, meant string) {
	if k.fixed != nil {
		meant = cmp.Or(k.fixed(l, value), meant)
	}
	l.reportAt(k.Name, k.Name, value, rule, l.propose(k.Name, meant))
}

// sortProblems puts problems in the order of the keys; those of one key stay as they were found.
func (l *loader) sortProblems() {
	slices.SortStableFunc(l.problems, func(a, b Problem) int {
		return cmp.Compare(slices.Index(l.order, RootOf(a.Key)), slices.Index(l.order, RootOf(b.Key)))
	})
}

// anywhere is a check that is the same in every Region.
func anywhere(check func(string) error) func(*loader, string) error {
	return func(_ *loader, value string) error { return check(value) }
}

// text reads a text, which has to pass the key's check unless it is empty.
func (l *loader) text(k Key) string {
	value := l.raw(k.Name)
	if kind := structure(value); kind != "" {
		l.report(k.Name, value, "must be text, not "+kind)
		return ""
	}
	if value == "" {
		return ""
	}
	if err := k.check(l, value); err != nil {
		l.refuse(k, value, err.Error(), "")
		return ""
	}
	return value
}

// choice reads a key that has one of a few values.
func (l *loader) choice(k Key) string {
	value, allowed := l.raw(k.Name), k.choices()
	if slices.Contains(allowed, value) {
		return value
	}
	l.refuse(k, value, "must be "+orList(allowed), nearestChoice(value, allowed))
	return ""
}

// number reads a whole number that the key allows.
func (l *loader) number(k Key) int {
	raw := l.raw(k.Name)
	number, err := wholeNumber(raw)
	if err == nil && k.allows(number) {
		return number
	}
	meant := fixedNumber(raw, k.allows)
	if err == nil && number > 0 && len(k.Values) > 0 {
		meant = strconv.Itoa(nextAllowed(k.Values, number))
	}
	l.refuse(k, raw, k.rule()+noted(err), meant)
	return 0
}

// The two values of a boolean.
const (
	yes = "true"
	no  = "false"
)

// boolean reads true or false.
func (l *loader) boolean(k Key) bool {
	raw := l.raw(k.Name)
	if raw != yes && raw != no {
		l.refuse(k, raw, "must be true or false", nearestBoolean(raw))
	}
	return raw == yes
}

// list reads a JSON list, whose elements are left to the caller.
func (l *loader) list(k Key, fix Fix) (elements []json.RawMessage, ok bool) {
	raw := l.raw(k.Name)
	elements, err := decodeJSON[[]json.RawMessage](raw)
	if err != nil || elements == nil {
		l.reportAt(k.Name, k.Name, raw, fmt.Sprintf("must be a list of %ss", k.Items), fix)
		return nil, false
	}
	return elements, true
}

// strings reads a list of strings and checks each of them. One that is there twice is refused; those that differ in capitals only are the
// same, unless the key says otherwise. It is nil if anything is wrong with it.
func (l *loader) strings(k Key) []string {
	before := len(l.problems)
	elements, ok := l.list(k, l.listFix(k))
	var values []string
	for i, element := range elements {
		path := fmt.Sprintf("%s[%d]", k.Name, i)
		value, err := decodeJSON[*string](string(element))
		if err != nil || value == nil {
			l.reportAt(k.Name, path, string(element), "must be a string", set(path, k.elementExample()))
			values = append(values, "") // so that those behind it keep their numbers
			continue
		}
		if err := k.check(l, *value); err != nil {
			meant := k.elementExample()
			if k.fixed != nil {
				meant = k.fixed(l, *value)
			}
			l.reportAt(k.Name, path, *value, err.Error(), set(path, meant))
		}
		if first := slices.IndexFunc(values, k.same(*value)); first >= 0 {
			l.reportAt(k.Name, path, *value, fmt.Sprintf("is in the list already, as %s[%d]", k.Name, first), remove(path))
		}
		values = append(values, *value)
	}
	if goes, known := l.goes(k); ok && goes && known && k.Most > 0 && len(values) > 0 && (len(values) < k.Least || len(values) > k.Most) {
		l.report(k.Name, l.raw(k.Name), fmt.Sprintf("must have %d to %d %s, this has %d", k.Least, k.Most, k.Unit, len(values)))
	}
	if len(l.problems) > before {
		return nil
	}
	return values
}
