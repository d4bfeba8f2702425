package settings

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// variablePattern is the form of a variable's name that Lambda takes, which is narrower than ECS's.
//
// https://docs.aws.amazon.com/lambda/latest/api/API_Environment.html
var variablePattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]+$`)

// reservedVariables begin the names that this system, Lambda or ECS sets, or refuses.
//
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
var reservedVariables = []string{"UPLOAD_", "AWS_", "LAMBDA_", "ECS_", "TASK_TOKEN_"}

// Lambda's limit of all variables, as the JSON that it measures, and what is kept of it for those that the stack sets itself, but for
// outputPrefix, which may be long.
//
// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
const (
	maxVariables = 4096
	ownVariables = 1024
)

// environment reads the variables of the processors.
func (l *loader) environment(k Key, s *Settings) {
	s.Environment = l.texts(k, func(name, value string) error {
		if err := checkVariable(name); err != nil {
			return err
		}
		if strings.ContainsRune(value, 0) {
			return breaks("must have a value without a zero byte")
		}
		return nil
	})
}

// checkVariable checks the name of a variable.
func checkVariable(name string) error {
	if !variablePattern.MatchString(name) {
		return breaks("must have a name that begins with a letter, and two or more letters, digits and underscores, which is what Lambda takes")
	}
	for _, prefix := range reservedVariables {
		if strings.HasPrefix(strings.ToUpper(name), prefix) {
			return breaks("must not have a name that begins with %s, which is for those that AWS and the stack set", prefix)
		}
	}
	return nil
}

// variablesSize refuses more variables than Lambda takes.
func (l *loader) variablesSize(s *Settings) {
	size := len(CompactJSON(s.Environment)) + len(s.OutputPrefix)
	if len(s.Secrets) > 0 {
		size += len(CompactJSON(CompactJSON(s.Secrets))) // a variable that holds JSON
	}
	if most := maxVariables - ownVariables; size > most {
		l.report(keyEnvironment, l.raw(keyEnvironment), fmt.Sprintf("must have at most %d bytes as JSON, with outputPrefix and secrets: "+
			"Lambda takes %d, of which the stack needs the rest; this has %d", most, maxVariables, size))
	}
}

// texts reads an object of texts, each of which has to pass a check by its name. Numbers and booleans count as text, since
// `pulumi config set --path` makes them of every value that looks like one. It is nil if there is none.
func (l *loader) texts(k Key, check func(name, value string) error) map[string]string {
	raw := l.raw(k.Name)
	given, err := decodeJSON[map[string]json.RawMessage](raw)
	if err != nil || given == nil {
		l.report(k.Name, raw, jsonRule(err, "must be an object of names and values"))
		return nil
	}
	var texts map[string]string
	for _, name := range slices.Sorted(maps.Keys(given)) {
		value, problem := scalarText(given[name])
		if problem == nil {
			problem = check(name, value)
		}
		if problem != nil {
			l.reportAt(k.Name, k.Name+"."+display(name), string(given[name]), problem.Error(), l.fix(k.Name))
			continue
		}
		if texts == nil {
			texts = map[string]string{}
		}
		texts[name] = value
	}
	return texts
}

// scalarText is a value as text.
func scalarText(raw json.RawMessage) (string, error) {
	if text, err := decodeJSON[*string](string(raw)); err == nil && text != nil {
		return *text, nil
	}
	if structure(string(raw)) != "" || string(raw) == "null" {
		return "", breaks("must be a string")
	}
	return string(raw), nil // a number or a boolean, as it was written
}
