package partition

import (
	"regexp"
	"strings"
)

// Registry is a private registry of ECR, as its host's name tells.
type Registry struct {
	// AccountID is whose it is, Region where, both as the name has them.
	AccountID, Region string
	// Partition is the one that the Region is in.
	Partition Partition
	// Plain is false for the names by which ECR can also be called, those with FIPS or IPv6, which VPC endpoints don't lead to.
	Plain bool
}

var (
	registryHost  = regexp.MustCompile(`^([0-9]{12})\.dkr\.ecr(-fips)?\.([a-z0-9-]+)\.(.+)$`)
	dualStackHost = regexp.MustCompile(`^([0-9]{12})\.dkr-ecr(-fips)?\.([a-z0-9-]+)\.on\.(.+)$`)
)

// RegistryOf is the registry of a host's name. It is false for a host that isn't one of ECR's private registries: one of another domain
// than its Region's too.
//
// https://docs.aws.amazon.com/general/latest/gr/ecr.html
func RegistryOf(host string) (Registry, bool) {
	if parts := registryHost.FindStringSubmatch(host); parts != nil {
		p, known := OfRegion(parts[3])
		return Registry{AccountID: parts[1], Region: parts[3], Partition: p, Plain: parts[2] == ""}, known && parts[4] == p.DNSSuffix
	}
	if parts := dualStackHost.FindStringSubmatch(host); parts != nil {
		p, known := OfRegion(parts[3])
		return Registry{AccountID: parts[1], Region: parts[3], Partition: p}, known && parts[4] == strings.TrimPrefix(p.DualStackSuffix, "api.")
	}
	return Registry{}, false
}

// RepositoryOf is the repository of an image's name, without tag and digest, and its ARN if it is in a private registry of ECR, such as
// <account>.dkr.ecr.<region>.amazonaws.com/<name>; else that is empty.
func RepositoryOf(image string) (repository, arn string) {
	repository, _, _ = strings.Cut(image, "@")
	if colon := strings.LastIndex(repository, ":"); colon > strings.LastIndex(repository, "/") {
		repository = repository[:colon]
	}
	host, path, _ := strings.Cut(repository, "/")
	registry, ok := RegistryOf(host)
	if !ok {
		return repository, ""
	}
	return repository, "arn:" + registry.Partition.Name + ":ecr:" + registry.Region + ":" + registry.AccountID + ":repository/" + path
}

// CorrectedRegistry is the name of the private registry of ECR that a host means whose domain isn't its Region's. It is false for a
// host that is right, or that isn't of this form.
func CorrectedRegistry(host string) (string, bool) {
	parts := registryHost.FindStringSubmatch(host)
	if parts == nil {
		return "", false
	}
	p, known := OfRegion(parts[3])
	if !known || parts[4] == p.DNSSuffix {
		return "", false
	}
	return strings.TrimSuffix(host, parts[4]) + p.DNSSuffix, true
}
