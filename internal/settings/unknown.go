package settings

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
)

// packageNamespaces are the namespaces whose keys are not the project's: those of the providers in use, and Pulumi's own.
var packageNamespaces = []string{providerNamespace, "docker", "pulumi"}

// The provider's keys that are told from their typing errors, since nothing else reports one: the Region would be another. It has many
// more.
const providerNamespace = "aws"

var providerKeys = []string{"region", "profile"}

// unknown returns a [Problem] for each of the given keys that nothing reads, in order: those that [Keys] does not have, with the
// nearest known key where one is near, and, in one for each namespace, those that were another project's, or this one's under an earlier
// name. Keys may come with or without a namespace; those of other packages, such as aws:profile, are not judged, but for typing errors.
func (l *loader) unknown() []Problem {
	var unknown []Problem
	foreign := map[string][]string{}
	for _, key := range slices.Sorted(slices.Values(l.given)) {
		namespace, name, found := strings.Cut(key, ":")
		if !found {
			namespace, name = l.project, key
		}
		known := slices.Contains(l.order, name)
		switch {
		case namespace == l.project && !known:
			unknown = append(unknown, unknownProblem(display(name), l.nearestKey(name)))
		case namespace != l.project && l.isAnothers(namespace, known):
			foreign[namespace] = append(foreign[namespace], key)
		case namespace == providerNamespace && !slices.Contains(providerKeys, name):
			if near := nearestWithin(name, providerKeys, 2); near != "" {
				unknown = append(unknown, unknownProblem(display(key), providerNamespace+":"+near))
			}
		}
	}
	for _, namespace := range slices.Sorted(maps.Keys(foreign)) {
		unknown = append(unknown, l.foreignProblem(foreign[namespace]))
	}
	return unknown
}

// nearestKey is the key that is most likely meant by one that there isn't: that of the list or object if it is a path in one.
func (l *loader) nearestKey(name string) string {
	if root := RootOf(name); root != name && slices.Contains(l.order, root) {
		return root
	}
	return nearest(name, l.order)
}

// isAnothers says whether a key that isn't in the project's namespace is one of this program all the same: because the namespace is
// the one that the project comes with, or because there is such a key.
func (l *loader) isAnothers(namespace string, known bool) bool {
	return namespace == Namespace || known && !slices.Contains(packageNamespaces, namespace)
}

// foreignProblem is of all keys that have another namespace. It leaves the values out, like [unknownProblem].
func (l *loader) foreignProblem(keys []string) Problem {
	shown := make([]string, 0, len(keys))
	for _, key := range keys {
		shown = append(shown, display(key))
	}
	verb := "are"
	if len(keys) == 1 {
		verb = "is"
	}
	return Problem{
		Key: strings.Join(shown, ", "),
		Rule: fmt.Sprintf("%s not read, since the project is called %s (name: in Pulumi.yaml), and so is the namespace of its keys",
			verb, l.project),
		Fix: Fix{Rename: keys, File: l.file(), Project: l.project},
	}
}

// removed are the keys that there were, with what a stack that has one must know.
var removed = map[string]string{
	"deduplicate": "each upload is always processed once, whatever its value was: the ledger has an item for each, " +
		"which one execution has at a time",
}

// unknownProblem leaves the value out: what a mistyped key holds may be a secret.
func unknownProblem(name, near string) Problem {
	rule := "there is no such key; docs/configuration.md lists all of them"
	if near != "" {
		rule = fmt.Sprintf("there is no such key, did you mean %s?", near)
	}
	if why := removed[name]; why != "" {
		rule, near = "there is no such key any more: "+why, ""
	}
	return Problem{Key: name, Rule: rule, Fix: Fix{Path: name, Remove: true, verbatim: true}, Meant: near}
}

// nearest is the candidate that fewest typing errors turn into name. It is empty when that takes more than two of them and more
// than a third of the name's length.
func nearest(name string, candidates []string) string {
	return nearestWithin(name, candidates, max(len(name)/3, 2))
}

// nearestWithin is the candidate that fewest typing errors turn into name, of which there may be so many. It is empty if there is none.
func nearestWithin(name string, candidates []string, errors int) string {
	best, distance := "", errors+1
	for _, candidate := range candidates {
		if d := levenshtein.Distance(strings.ToLower(name), strings.ToLower(candidate), nil); d < distance {
			best, distance = candidate, d
		}
	}
	return best
}
