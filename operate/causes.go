package operate

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/smithy-go"
)

// requestIDs are the parts of a message that help nobody but AWS's support, each
// with what separates it from the others: brackets of its own, what is before it,
// or, of the first in a list, what is behind it.
var requestIDs = regexp.MustCompile(`(?i) ?\(` + requestID + `\)| ?\[` + requestID + `\]|[,;] ` + requestID + `|\b` + requestID + `[,;]? ?`)

// requestID is an id as the SDKs write it: Go's RequestID and HostID, which may be
// empty, or request id and host id, and Java's Request ID and Extended Request ID.
const requestID = `(?:Extended )?(?:Request|Host) ?ID: ?[\w+/=-]*`

// cause pairs what a message says with what it likely means.
type cause struct {
	pattern *regexp.Regexp
	text    string
}

// forceDestroyFirst is how what holds data is deleted with it. A deployment after a
// destroy that has broken off makes anew what that has deleted.
const forceDestroyFirst = "it deleted with them: `pulumi config set forceDestroy true` and `upload-router up`, which makes anew " +
	"what is deleted by now; then destroy again"

// The likely causes, the more telling patterns first. $1 is the pattern's group.
var causes = []cause{
	{
		regexp.MustCompile(`(?i)cannot be assumed|role.*is not (?:yet )?(?:valid|authorized to be assumed)|` +
			`MalformedPolicyDocument.*principal|Invalid principal in policy|no permissions to assume`),
		"a new role or its rights need up to a minute to reach all of AWS (IAM propagation): run `upload-router up` again",
	},
	{
		regexp.MustCompile(`(?i)is not authorized to perform:? ([\w:]+)`),
		"the credentials that deploy lack the right $1: add it to them (`upload-router deployer-policy` prints all that a deployment needs), " +
			"or use others (AWS_PROFILE)",
	},
	{
		regexp.MustCompile(`BucketAlreadyExists|BucketAlreadyOwnedByYou|The requested bucket name is not available`),
		"the bucket's name is taken, and bucket names are unique in all of AWS: `pulumi config set bucketName` another, or leave it out",
	},
	{
		regexp.MustCompile(`(?i)AlreadyExists|already exist|EntityAlreadyExists|ResourceConflictException`),
		"the name is taken by something that this stack didn't make: choose another name, or delete or `pulumi import` that",
	},
	{
		regexp.MustCompile(`(?i)LimitExceeded|QuotaExceeded|service quota|(?:reached|exceed)[^.]* (?:limit|quota)|` +
			`maximum number of (?:[b-z]|a[^t])|TooManyBuckets`),
		"a quota of the account is used up: delete what isn't needed, or ask for more in the console of Service Quotas",
	},
	{
		regexp.MustCompile(`ExpiredToken|RequestExpired`),
		"the credentials have expired: get new ones, such as by `aws sso login`",
	},
	{
		regexp.MustCompile(`(?i)InvalidClientTokenId|UnrecognizedClient|SignatureDoesNotMatch|no valid credential sources|` +
			`no EC2 IMDS role|failed to refresh cached credentials|InvalidAccessKeyId|security token included in the request is invalid`),
		"there are no credentials that AWS knows: `aws configure`, `aws sso login`, or set AWS_PROFILE",
	},
	{
		regexp.MustCompile(`(?i)OptInRequired|is not enabled in this account|AuthFailure.*region`),
		"the Region isn't enabled for the account: enable it in the console, at the account's settings, or set aws:region",
	},
	{
		regexp.MustCompile(`(?i)no such host|could not resolve|invalid AWS Region|Invalid region`),
		"the Region's name is wrong, or this machine has no network: `pulumi config get aws:region`",
	},
	{
		regexp.MustCompile(`(?i)connection (?:refused|reset)|broken pipe|\bEOF\b|i/o timeout|TLS handshake timeout|network is unreachable`),
		"AWS can't be reached from here: look at the network, a proxy, and AWS_ENDPOINT_URL",
	},
	{
		regexp.MustCompile(`BucketNotEmpty`),
		"it holds object versions, which `aws s3 rm` alone leaves there: empty it in S3's console, or have " + forceDestroyFirst,
	},
	{
		regexp.MustCompile(`RepositoryNotEmpty|not empty, consider using force_delete`),
		"it holds images: delete them (`aws ecr batch-delete-image`), or have " + forceDestroyFirst,
	},
	{
		regexp.MustCompile(`DependencyViolation|has a dependent object|in use`),
		"something else uses it, such as a task that is ending: try again in a few minutes",
	},
	{
		regexp.MustCompile(`(?i)Cannot connect to the Docker daemon|docker.*not found|error during connect`),
		"Docker isn't running: https://docs.docker.com/get-docker/, or set `image` to one that you have pushed",
	},
	{
		regexp.MustCompile(`(?i)Throttl|Rate exceeded|RequestLimitExceeded|TooManyRequests|SlowDown`),
		"AWS slows requests down: try again in a minute",
	},
	{
		regexp.MustCompile(`passphrase must be set|incorrect passphrase`),
		"the secrets of the stack are encrypted with a passphrase: set PULUMI_CONFIG_PASSPHRASE to it",
	},
	{
		regexp.MustCompile(`(?i)pulumi login|PULUMI_ACCESS_TOKEN`),
		"Pulumi keeps its state somewhere: `pulumi login`, or `pulumi login --local` to keep it on this machine",
	},
	{
		regexp.MustCompile(`signal: (?:killed|terminated)`),
		"the Pulumi CLI was ended, by somebody or for want of memory: `pulumi cancel` frees the stack, and `upload-router refresh` " +
			"takes in what was made",
	},
	{
		regexp.MustCompile(`invalid configuration`),
		"the stack's configuration breaks a rule: see what the message says of each key",
	},
	{
		regexp.MustCompile(`(?i)AccessDenied|UnauthorizedOperation|Forbidden`),
		"the credentials lack a right: ask for it, or use others (AWS_PROFILE)",
	},
}

// likelyCause is what a message of AWS, Pulumi or Docker likely means; empty
// when there is no telling.
func likelyCause(message string) string {
	for _, c := range causes {
		if match := c.pattern.FindStringSubmatchIndex(message); match != nil {
			return string(c.pattern.ExpandString(nil, c.text, message, match))
		}
	}
	return ""
}

// RefusalError is a request that AWS refused. It matches [ErrRefused].
type RefusalError struct {
	// Code is AWS's name of the error, Message what it says, Cause what it likely means and how to mend it.
	Code, Message, Cause string
	err                  error
}

// Error tells code, message and likely cause.
func (e *RefusalError) Error() string {
	text := e.Message
	switch {
	case text == "":
		text = e.Code // S3 answers some requests without a body
	case e.Code != "":
		text = e.Code + ": " + text
	}
	if e.Cause != "" {
		text += " (likely: " + e.Cause + ")"
	}
	return text
}

// Is reports whether target is [ErrRefused].
func (e *RefusalError) Is(target error) bool { return target == ErrRefused }

// Unwrap gives the SDK's error.
func (e *RefusalError) Unwrap() error { return e.err }

// refusal makes an SDK's error readable.
func refusal(err error) error {
	if err == nil {
		return nil
	}
	if _, known := errors.AsType[*RefusalError](err); known {
		return err
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return &RefusalError{
			Code: api.ErrorCode(), Message: shorten(api.ErrorMessage()), Cause: likelyCause(api.ErrorCode() + ": " + api.ErrorMessage()), err: err,
		}
	}
	// Around the innermost error there is only what the SDK did about it.
	innermost := lastCause(err)
	if found := likelyCause(innermost); found != "" {
		return &RefusalError{Message: shorten(innermost), Cause: found, err: err}
	}
	return err
}

// lastCause is the innermost error's text, without the SDK's preamble.
func lastCause(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil || !strings.Contains(err.Error(), inner.Error()) {
			return err.Error()
		}
		err = inner
	}
}

// asked wraps what a request to AWS came back with.
func asked(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, refusal(err))
}

// hasCode says whether AWS answered with one of the codes.
func hasCode(err error, codes ...string) bool {
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return false
	}
	for _, code := range codes {
		if api.ErrorCode() == code {
			return true
		}
	}
	return false
}
