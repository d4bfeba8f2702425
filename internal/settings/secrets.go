package settings

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
)

// The services that keep secrets, as ARNs name them.
const (
	ServiceSecrets    = "secretsmanager"
	ServiceParameters = "ssm"
)

var (
	// The name of a secret is followed by a hyphen and six characters of Secrets Manager's: without them a permission wouldn't be for it.
	//
	// https://docs.aws.amazon.com/secretsmanager/latest/userguide/getting-started.html#term_secret
	secretPattern = regexp.MustCompile(`^secret:[A-Za-z0-9/_+=.@-]{1,512}-[A-Za-z0-9]{6}$`)
	// https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html
	parameterPattern = regexp.MustCompile(`^parameter/[A-Za-z0-9_./-]+$`)
)

// secrets reads the secrets of the processors.
func (l *loader) secrets(k Key, s *Settings) {
	s.Secrets = l.texts(k, func(name, value string) error {
		if err := checkVariable(name); err != nil {
			return err
		}
		return l.checkSecretARN(value)
	})
}

// checkSecretARN checks the ARN of a secret or of a parameter.
func (l *loader) checkSecretARN(value string) error {
	service := serviceOf(value)
	if service != ServiceSecrets && service != ServiceParameters {
		return breaks("must be the ARN of a secret of Secrets Manager or of a parameter of Systems Manager")
	}
	resource, err := checkARN(value, service, l.region)
	switch {
	case err != nil:
		return err
	case service == ServiceSecrets && !secretPattern.MatchString(resource):
		return breaks("must be the whole ARN, which ends with the secret's name, a hyphen and six characters")
	case service == ServiceParameters && !parameterPattern.MatchString(resource):
		return breaks("must end with :parameter/ and the parameter's name")
	}
	return nil
}

// SecretARNs are the ARNs of the secrets that a service keeps, each once, in alphabetical order.
func (s *Settings) SecretARNs(service string) []string {
	var arns []string
	for _, arn := range slices.Sorted(maps.Values(s.Secrets)) {
		if serviceOf(arn) == service && !slices.Contains(arns, arn) {
			arns = append(arns, arn)
		}
	}
	return arns
}

// secretNames refuses what would be both a variable and a secret of a program.
func (l *loader) secretNames(s *Settings) {
	for _, name := range slices.Sorted(maps.Keys(s.Secrets)) {
		if _, double := s.Environment[name]; double {
			path := keySecrets + "." + name
			l.reportAt(keySecrets, path, s.Secrets[name], fmt.Sprintf("is a name of %s, too: a program would find one of them only", keyEnvironment),
				remove(path))
		}
	}
}
