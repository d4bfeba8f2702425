package stack

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/location"
	"example.com/upload-router/internal/settings"
)

// configure reads the stack's configuration, finds where the stack is, and tags and protects all that is declared from now on.
func configure(ctx *pulumi.Context) (*settings.Settings, location.Location, error) {
	cfg, err := loadConfig(ctx)
	if err != nil {
		return nil, location.Location{}, err
	}
	at, err := location.Of(ctx)
	if err != nil {
		return nil, location.Location{}, fmt.Errorf("finding where the stack is: %w", err)
	}
	return cfg, at, tagAndProtect(ctx, cfg)
}

// loadConfig reads the stack's configuration. It reports all that is wrong with it
// at once, and warns of what is allowed but hardly meant.
func loadConfig(ctx *pulumi.Context) (*settings.Settings, error) {
	full := func(key string) string { return ctx.Project() + ":" + key }
	cfg, err := settings.Load(
		func(key string) (string, bool) { return ctx.GetConfig(full(key)) },
		settings.WithProject(ctx.Project()),
		settings.WithStack(ctx.Stack()),
		settings.WithSecrets(func(key string) bool { return ctx.IsConfigSecret(full(key)) }),
		settings.WithKeys(givenKeys()),
		settings.WithRegion(region(ctx)),
	)
	if err != nil {
		return nil, fmt.Errorf("reading the stack's configuration: %w", err)
	}
	for _, w := range cfg.Warnings() {
		if err := ctx.Log.Warn(w.String(), nil); err != nil {
			return nil, fmt.Errorf("warning of %s: %w", w.Key, err)
		}
	}
	return cfg, nil
}

// region is where the provider will deploy to, as far as the configuration and
// the environment say; empty if only the AWS profile does.
func region(ctx *pulumi.Context) string {
	configured, _ := ctx.GetConfig("aws:region")
	return cmp.Or(configured, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"))
}

// givenKeys are the keys that the stack sets. The SDK gives a value for a key but not which keys there are, so a misspelt one is
// looked for where the engine hands the configuration over; an inline program's isn't there.
func givenKeys() []string {
	var values map[string]json.RawMessage
	if err := json.Unmarshal([]byte(os.Getenv(pulumi.EnvConfig)), &values); err != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(values))
}

// prefixLength leaves room for the longest suffix that a component adds and for
// Pulumi's own in the shortest limit, the 63 characters of a bucket's name.
const prefixLength = 32

var (
	notForNames = regexp.MustCompile(`[^a-z0-9]+`)
	withDigest  = regexp.MustCompile(`-[0-9a-f]{6}$`)
	// reserved is what AWS lets no name begin with: a repository's with a digit, a security group's with its id's prefix, a bucket's with
	// those of S3's own.
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
	// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html
	reserved = regexp.MustCompile(`^(?:[0-9]|sg-|xn--|sthree-|amzn-s3-demo-)`)
)

// prefix starts the name of every resource, so that a person who sees one in the console knows whose it is: project and stack, in
// the characters that all services take.
//
// No two stacks have the same one, as not every name gets a random suffix of Pulumi's: a dashboard's and a log group's don't. The
// stack's name is what follows the last hyphen. Where that isn't so (project a and stack b-c, beside project a-b and stack c), or
// the name is too long, or has other characters or a beginning that AWS reserves, it ends with a digest of both, and so does one
// that looks as if it did.
func prefix(project, stack string) string {
	whole := project + "-" + stack
	name := strings.Trim(notForNames.ReplaceAllString(strings.ToLower(whole), "-"), "-")
	if reserved.MatchString(name) {
		name = "u-" + name
	}
	if name == whole && len(name) <= prefixLength && !strings.Contains(stack, "-") && !withDigest.MatchString(name) {
		return name
	}
	sum := sha256.Sum256([]byte(project + "/" + stack))
	digest := "-" + hex.EncodeToString(sum[:])[:6]
	return strings.TrimRight(name[:min(len(name), prefixLength-len(digest))], "-") + digest
}
