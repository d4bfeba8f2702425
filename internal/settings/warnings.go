package settings

import (
	"fmt"
	"slices"
	"strings"

	"example.com/upload-router/internal/host/limits"
)

// rulesPerGroup is EC2's quota of egress rules in one security group, before it is raised.
//
// https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html#vpc-limits-security-groups
const rulesPerGroup = 60

// deadLetterRetentionDays is how long the dead-letter queue keeps an event.
const deadLetterRetentionDays = 14

// Warning is a value that is allowed and still probably not meant.
type Warning struct {
	// Key is the key without its namespace.
	Key string
	// Text says what will happen, and holds nothing of the value itself.
	Text string

	// project is as in [Problem].
	project string
}

// String is the warning in one line.
func (w Warning) String() string { return fmt.Sprintf("%s: %s", fullKey(w.project, w.Key), w.Text) }

// Warnings are what is allowed but worth a word, in the order of [Keys]. None of them stops a deployment.
func (s *Settings) Warnings() []Warning {
	checks := []struct {
		key   string
		holds bool
		text  string
	}{
		{keyBucketName, strings.Contains(s.BucketName, "."),
			"S3's TLS certificate does not cover bucket names with periods, so clients need path-style addresses"},
		{keyDecryption, len(s.SecretKMSKeyARNs) > 0 && len(s.Secrets) == 0,
			"there are no " + keySecrets + " that are encrypted with these keys, and so nobody may use them: " + remove(keyDecryption).String()},
		{keyPermissions, slices.ContainsFunc(s.Permissions, (Permission).broad),
			"a statement allows all of a service, or any resource, and has no condition: so may a processor that is taken over"},
		{keyPermissions, s.Network == NetworkPrivate && slices.ContainsFunc(s.Permissions, (Permission).unreachable),
			"of what is allowed, the task of a private network reaches S3 and DynamoDB alone; other services take endpoints in stack/network.go"},
		{keyBucketKeys, len(s.BucketKMSKeyARNs) > 0 && len(s.Buckets) == 0,
			"there are no " + keyBuckets + " that are encrypted with these keys, and so nobody may use them: " + remove(keyBucketKeys).String()},
		{keyKeys, slices.ContainsFunc(s.KeyGlobs, func(glob string) bool { return strings.ContainsAny(glob, "?[{") }),
			"?, [ and { stand for themselves: * alone matches other characters"},
		{keyKeys, slices.ContainsFunc(s.KeyGlobs, func(glob string) bool { return strings.HasPrefix(glob, "/") }),
			"a key hardly ever begins with a slash: reports/*, and not /reports/*"},
		{keyKeys, slices.ContainsFunc(s.KeyGlobs, func(glob string) bool { return strings.HasSuffix(glob, "/") }),
			"what ends with a slash is a folder marker, which is never processed: reports/*, and not reports/"},
		{keyKeys, slices.ContainsFunc(s.KeyGlobs, func(glob string) bool { return strings.Contains(glob, "://") }),
			"a key has no bucket in it: reports/*, and not s3://acme-uploads/reports/*"},
		{keySizeThreshold, len(s.Routes) == 0 && s.SizeThreshold/limits.LambdaBytesPerSecond >= int64(s.LambdaTimeout.Seconds()),
			"the Lambda function will not get through objects of this size within " + keyLambdaTimeout},
		{keyImage, s.Image != "" && !strings.Contains(s.Image, "@"),
			"a tag can be moved to another image; a digest cannot"},
		{keyImage, s.Image != "" && s.FunctionImage(s.region) == "",
			"Lambda takes images from ECR in its own Region alone: the task runs this one, and the function the program that is built from " +
				"this project"},
		{keyEgress, len(s.Egress) == 0 && s.Network != NetworkPrivate,
			"the task may connect to nothing: it can neither pull its image nor write logs nor read the object"},
		{keyEgress, len(s.Egress) > rulesPerGroup,
			fmt.Sprintf("a security group takes %d rules unless that quota was raised", rulesPerGroup)},
		{keyNotify, !s.Notifies() && !s.Protect, "nobody will hear of a failure"},
		{keyNotify, !s.Notifies() && s.Protect,
			"nobody will hear of a failure of what people rely on: " + set(keyNotify+"[0]", "ops@example.com").String()},
		{keyKeepVersionsDays, s.NoncurrentVersionsAfterDays > 0 && s.NoncurrentVersionsAfterDays < deadLetterRetentionDays,
			"what waits in the dead-letter queue for longer can't be processed any more once it is overwritten"},
		{keyExpireProcessed, s.ExpireProcessedAfterDays > 0 && s.NoncurrentVersionsAfterDays == 0,
			"what expires only gets a delete marker, and is kept and paid for: " + set(keyKeepVersionsDays, "30").String()},
		{keyPaused, s.Paused, "uploads are paused: their events wait in a queue, for up to 14 days, until `upload-router resume`"},
		{keyBackfillSchedule, s.Paused && s.BackfillSchedule != "",
			"backfills begin while uploads are paused, too, and process what waits: take it out until `upload-router resume`, if nothing may run"},
		{keyTags, s.Protect && !s.owned(),
			"nobody is named as the owner of what is kept: " + set(keyTags+"."+TagOwner, "my-team").String()},
		{keyForceDestroy, s.ForceDestroy, "pulumi destroy will delete every object and image"},
	}
	var warnings []Warning //nolint:prealloc // Hardly any of them holds.
	for _, check := range checks {
		warnings = append(warnings, s.warningsOf(check.key, check.holds, check.text)...)
	}
	return warnings
}

// warningsOf are the warning of a key, if it holds, and behind that of the size threshold those of the routes that stand in place of it.
func (s *Settings) warningsOf(key string, holds bool, text string) []Warning {
	switch {
	case holds:
		return []Warning{{Key: key, Text: text, project: s.project}}
	case key == keySizeThreshold:
		return s.slowRouteWarnings()
	}
	return nil
}

// slowRouteWarnings are those of the Lambda routes that are too slow for their largest objects.
func (s *Settings) slowRouteWarnings() []Warning {
	paths := s.slowRoutes()
	warnings := make([]Warning, 0, len(paths))
	for _, path := range paths {
		warnings = append(warnings, Warning{Key: path, project: s.project, Text: "the Lambda function will not get through the largest objects " +
			"of this route within " + keyLambdaTimeout + ": lower its " + fieldMaxSize + ", or give it one"})
	}
	return warnings
}

// owned says whether the tags name an owner, however they write the word.
func (s *Settings) owned() bool {
	for key, value := range s.Tags {
		if strings.EqualFold(key, TagOwner) && value != "" {
			return true
		}
	}
	return false
}
