package settings

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// Lookup hands out the value of a key, without its namespace, as Pulumi's configuration holds it: text as it is, numbers and
// booleans in their usual spelling, lists and objects as JSON. ok is false for a key that is not set.
type Lookup func(key string) (value string, ok bool)

// Option tells [Load] what a [Lookup] cannot.
type Option func(*loader)

// WithSecrets names the keys whose values are secret; errors then show neither the value nor anything taken from it.
func WithSecrets(isSecret func(key string) bool) Option {
	return func(l *loader) { l.isSecret = isSecret }
}

// WithKeys reports each of the given keys that does not exist together with all other problems; see [Unknown].
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
	l := &loader{lookup: lookup, isSecret: func(string) bool { return false }, keys: map[string]Key{}, project: Namespace}
	for _, key := range Keys() {
		l.keys[key.Name] = key
		l.order = append(l.order, key.Name)
	}
	for _, option := range options {
		option(l)
	}

	loaded := &Settings{}
	if l.project != Namespace {
		loaded.project = l.project
	}
	l.checkRegion()
	l.names(loaded)
	l.observation(loaded)
	l.compute(loaded) // whose time-outs depend on what is looked up
	l.network(loaded)
	l.encryption(loaded)
	l.operation(loaded)
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

// names reads the keys of nameKeys.
func (l *loader) names(s *Settings) {
	s.BucketName = l.text(keyBucketName, optional(checkBucketName))
	s.ECRRepoName = l.text(keyECRRepoName, optional(checkRepositoryName))
	s.StateMachineName = l.text(keyStateMachineName, optional(checkStateMachineName))
	s.SizeThreshold = l.size(keySizeThreshold)
}

// size reads the size of an object.
func (l *loader) size(key string) int64 {
	raw := l.raw(key)
	size, err := ParseSize(raw)
	if err == nil {
		return size
	}
	mended := strings.TrimLeft(raw, "0")
	if _, err := ParseSize(mended); err != nil {
		mended = ""
	}
	l.reportAt(key, key, raw, err.Error(), l.propose(key, mended))
	return 0
}

// compute reads the keys of computeKeys.
func (l *loader) compute(s *Settings) {
	s.Architecture = Architecture(l.choice(keyArchitecture, string(X86), string(ARM64)))
	s.LambdaMemory, _ = l.integer(keyLambdaMemory, "MB", 128, 10240)
	s.LambdaConcurrency, _ = l.integer(keyLambdaConcurrency, "runs", 0, math.MaxInt32)
	s.TaskStorage = l.taskStorage()
	s.TaskCPU, s.TaskMemory = l.taskSize()
	s.Image = l.textOr(keyImage, optional(checkImage), mendedImage)
	s.TaskCompletion = TaskCompletion(l.choice(keyTaskCompletion, string(CompletionSync), string(CompletionCallback)))
	s.TaskCapacity = TaskCapacity(l.choice(keyTaskCapacity, string(CapacityFargate), string(CapacitySpot)))
	s.MaxParallelTasks, _ = l.integer(keyMaxParallelTasks, "tasks", 0, 1000)
	s.Deduplicate = l.boolean(keyDeduplicate)
	l.timeouts(s) // which depend on those above
}

// operation reads the keys of operationKeys.
func (l *loader) operation(s *Settings) {
	s.LogRetentionDays = l.logRetention()
	s.NotifyEmails, s.NotifyTopicARN = l.notify()
	s.NotifySuccess = l.boolean(keyNotifySuccess)
	s.EventMaxAge, _ = l.seconds(keyEventMaxAge, 60, 86400)
	s.EventRetryAttempts, _ = l.integer(keyEventRetryAttempts, "attempts", 0, 185)
	s.AbortUploadsAfterDays, _ = l.integer(keyAbortUploadsAfterDays, "days", 1, maxDays)
	s.NoncurrentVersionsAfterDays, _ = l.integer(keyKeepVersionsDays, "days", 0, maxDays)
	s.Tags = l.tags()
	s.Protect = l.boolean(keyProtect)
	s.ForceDestroy = l.boolean(keyForceDestroy)
	if s.Protect && s.ForceDestroy {
		l.reportAt(keyForceDestroy, keyForceDestroy, yes,
			fmt.Sprintf("must be false with %s: what is protected isn't to be deleted with all that is in it", keyProtect),
			setCommand(keyForceDestroy, no))
	}
}

// maxDays is the largest number a lifecycle rule can hold.
const maxDays = math.MaxInt32

// raw is a key's value, or its default when it is not set or blank.
func (l *loader) raw(key string) string {
	if l.lookup != nil {
		if value, ok := l.lookup(key); ok && value != "" {
			return value
		}
	}
	return l.keys[key].raw()
}

// shownNetwork is how a rule about another key may cite the network's mode.
func (l *loader) shownNetwork() string {
	if l.isSecret(keyNetwork) {
		return hidden
	}
	return display(l.raw(keyNetwork))
}

// report notes that a key's value breaks a rule, with the key's example as the way out.
func (l *loader) report(key, value, rule string) {
	l.reportAt(key, key, value, rule, l.fix(key))
}

// reportAt notes a problem at a path inside a key. A secret's problem tells the key's documented rule only: the precise rule may
// cite parts of the value, and so may the fix and the path behind a list's index.
func (l *loader) reportAt(key, path, value, rule, fix string) {
	if l.isSecret(key) {
		path, _, _ = strings.Cut(path, ".")
		l.problems = append(l.problems, Problem{
			Key: path, Value: hidden, Rule: "breaks the key's rule: " + l.keys[key].Doc, Fix: l.keys[key].secretFix(),
		})
		return
	}
	l.problems = append(l.problems, Problem{Key: path, Value: display(value), Rule: rule, Fix: fix})
}

// sortProblems puts problems in the order of the keys; those of one key stay as they were found.
func (l *loader) sortProblems() {
	position := func(problem Problem) int {
		key, _, _ := strings.Cut(problem.Key, "[")
		key, _, _ = strings.Cut(key, ".")
		return slices.Index(l.order, key)
	}
	slices.SortStableFunc(l.problems, func(a, b Problem) int { return cmp.Compare(position(a), position(b)) })
}

// optional lets an empty value, which stands for "not set", pass a check.
func optional(check func(string) error) func(string) error {
	return func(value string) error {
		if value == "" {
			return nil
		}
		return check(value)
	}
}

// text reads a key that has to pass a check.
func (l *loader) text(key string, check func(string) error) string {
	return l.textOr(key, check, func(string) string { return "" })
}

// textOr is text with what to propose for a value that doesn't pass, which is empty where there is nothing better than the example.
func (l *loader) textOr(key string, check func(string) error, mended func(string) string) string {
	value := l.raw(key)
	if kind := structure(value); kind != "" {
		l.report(key, value, "must be text, not "+kind)
		return ""
	}
	if err := check(value); err != nil {
		l.reportAt(key, key, value, err.Error(), l.propose(key, mended(value)))
	}
	return value
}

// choice reads a key that has one of a few values. It returns an empty string for any other.
func (l *loader) choice(key string, allowed ...string) string {
	value := l.raw(key)
	if slices.Contains(allowed, value) {
		return value
	}
	l.reportAt(key, key, value, "must be "+orList(allowed), l.propose(key, nearestChoice(value, allowed)))
	return ""
}

// integer reads a whole number within bounds.
func (l *loader) integer(key, unit string, least, most int) (number int, ok bool) {
	raw := l.raw(key)
	number, err := wholeNumber(raw)
	within := func(number int) bool { return number >= least && number <= most }
	if err != nil || !within(number) {
		l.reportAt(key, key, raw, fmt.Sprintf("must be a whole number of %s from %d to %d", unit, least, most)+noted(err),
			l.propose(key, mendedNumber(raw, within)))
		return 0, false
	}
	return number, true
}

// seconds reads a whole number of seconds within bounds.
func (l *loader) seconds(key string, least, most int) (duration time.Duration, ok bool) {
	number, ok := l.integer(key, "seconds", least, most)
	return time.Duration(number) * time.Second, ok
}

// The two values of a boolean.
const (
	yes = "true"
	no  = "false"
)

// boolean reads true or false.
func (l *loader) boolean(key string) bool {
	raw := l.raw(key)
	if raw != yes && raw != no {
		l.reportAt(key, key, raw, "must be true or false", l.propose(key, nearestBoolean(raw)))
	}
	return raw == yes
}

// list reads a JSON list, whose elements are left to the caller.
func (l *loader) list(key, fix string) (elements []json.RawMessage, ok bool) {
	raw := l.raw(key)
	elements, err := decodeJSON[[]json.RawMessage](raw)
	if err != nil || elements == nil {
		l.reportAt(key, key, raw, fmt.Sprintf("must be a list of %ss", l.keys[key].Items), fix)
		return nil, false
	}
	return elements, true
}

// elementRule is what holds for each string of a list.
type elementRule struct {
	check func(string) error
	// same gives two strings that mean the same the same form; mended is what to propose for one that the check refuses.
	same, mended func(string) string
}

// strings reads a list of strings and checks each of them. Duplicates are refused.
func (l *loader) strings(key string, each elementRule) (values []string, ok bool) {
	elements, ok := l.list(key, l.listFix(key, each.check))
	seen := map[string]int{}
	for i, element := range elements {
		path := fmt.Sprintf("%s[%d]", key, i)
		value, err := decodeJSON[*string](string(element))
		if err != nil || value == nil {
			l.reportAt(key, path, string(element), "must be a string", setCommand(path, l.keys[key].elementExample()))
			ok = false
			continue
		}
		if err := each.check(*value); err != nil {
			l.reportAt(key, path, *value, err.Error(), setCommand(path, each.mended(*value)))
			ok = false
		}
		if first, double := seen[each.same(*value)]; double {
			l.reportAt(key, path, *value, fmt.Sprintf("is in the list already, as %s[%d]", key, first),
				removePath(path))
			ok = false
			continue
		}
		seen[each.same(*value)] = i
		values = append(values, *value)
	}
	return values, ok
}

// orList joins words as a sentence does: "a, b or c".
func orList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
