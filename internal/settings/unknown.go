package settings

import (
	"fmt"
	"slices"
	"strings"
)

// packageNamespaces are the namespaces whose keys are not the project's: those of the providers in use, and Pulumi's own.
var packageNamespaces = []string{"aws", "docker", "pulumi"}

// unknown returns a [Problem] for each of the given keys that nothing reads, in order: those that [Keys] does not have, with the
// nearest known key where one is near, and those that were another project's, or this one's under an earlier name. Keys may come with
// or without a namespace; those of other packages, such as aws:profile, are not judged.
func (l *loader) unknown() []Problem {
	var unknown []Problem
	for _, key := range slices.Sorted(slices.Values(l.given)) {
		namespace, name, found := strings.Cut(key, ":")
		if !found {
			namespace, name = l.project, key
		}
		known := slices.Contains(l.order, name)
		switch {
		case namespace == l.project && !known:
			unknown = append(unknown, unknownProblem(display(name), nearest(name, l.order)))
		case namespace != l.project && l.isAnothers(namespace, known):
			unknown = append(unknown, l.foreignProblem(key, name))
		}
	}
	return unknown
}

// isAnothers says whether a key that isn't in the project's namespace is one of this program all the same: because the namespace is
// the one that the project comes with, or because there is such a key.
func (l *loader) isAnothers(namespace string, known bool) bool {
	return namespace == Namespace || known && !slices.Contains(packageNamespaces, namespace)
}

// foreignProblem leaves the value out, like [unknownProblem].
func (l *loader) foreignProblem(key, name string) Problem {
	return Problem{
		Key:  display(key),
		Rule: fmt.Sprintf("is not read, since the project is called %s (name: in Pulumi.yaml), and so is the namespace of its keys", l.project),
		Fix:  fmt.Sprintf("in Pulumi.<stack>.yaml, write %s:%s in place of %s", l.project, display(name), display(key)),
	}
}

// unknownProblem leaves the value out: what a mistyped key holds may be a secret.
func unknownProblem(name, near string) Problem {
	rule := "there is no such key; docs/configuration.md lists all of them"
	if near != "" {
		rule = fmt.Sprintf("there is no such key, did you mean %s?", near)
	}
	return Problem{Key: name, Rule: rule, Fix: removeCommand(name)}
}

// nearest is the candidate that fewest typing errors turn into name. It is empty when that takes more than two of them and more
// than a third of the name's length.
func nearest(name string, candidates []string) string {
	best, distance := "", max(len(name)/3, 2)+1
	for _, candidate := range candidates {
		if d := editDistance(strings.ToLower(name), strings.ToLower(candidate)); d < distance {
			best, distance = candidate, d
		}
	}
	return best
}

// editDistance is Levenshtein's: how many letters to insert, drop or replace to get from one word to the other.
func editDistance(from, to string) int {
	a, b := []rune(from), []rune(to)
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i, left := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j, right := range b {
			replace := diagonal
			if left != right {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
