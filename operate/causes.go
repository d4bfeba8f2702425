package operate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// requestIDs are the parts of a message that help nobody but AWS's support, each with what separates it from the others: brackets
// of its own, what is before it, or, of the first in a list, what is behind it.
var requestIDs = regexp.MustCompile(`(?i) ?\(` + requestID + `\)| ?\[` + requestID + `\]|[,;] ` + requestID + `|\b` + requestID + `[,;]? ?`)

// requestID is an id as the SDKs write it: Go's RequestID and HostID, which may be
// empty, or request id and host id, and Java's Request ID and Extended Request ID.
const requestID = `(?:Extended )?(?:Request|Host) ?ID: ?[\w+/=-]*`

// cause pairs what an error says with what it likely means.
type cause struct {
	// codes are the telling ones among AWS's names of errors: what says only that
	// something is wrong, such as ValidationException, or AccessDenied, isn't one.
	codes *regexp.Regexp
	// pattern is what a message says, the codes included.
	pattern *regexp.Regexp
	text    string
}

// when is a cause by codes and by other words; either may be empty.
func when(codes, words, text string) cause {
	c := cause{text: text, pattern: regexp.MustCompile(`(?i)` + words)}
	if codes == "" {
		return c
	}
	c.codes = regexp.MustCompile(`^(?:` + codes + `)(?:Exception|Fault|Error)?$`)
	either := `\b(?:` + codes + `)(?:Exception|Fault|Error)?\b`
	if words != "" {
		either += `|(?i:` + words + `)`
	}
	c.pattern = regexp.MustCompile(either)
	return c
}

// forceDestroyFirst is how what holds data is deleted with it. A deployment after a
// destroy that has broken off makes anew what that has deleted.
const forceDestroyFirst = "it deleted with them: `pulumi config set forceDestroy true` and `upload-router up`, which makes anew " +
	"what is deleted by now; then destroy again"

// The likely causes, the more telling ones first. $1 is the pattern's group.
var causes = []cause{
	when("",
		`cannot be assumed|role.*is not (?:yet )?(?:valid|authorized to be assumed)|`+
			`MalformedPolicyDocument.*principal|Invalid principal in policy|no permissions to assume`,
		"a new role or its permissions need up to a minute to reach all of AWS (IAM propagation): run `upload-router up` again"),
	when("", `is not authorized to perform:? ([\w:]+)`,
		"the credentials that deploy lack the permission $1: add it to them (`upload-router deployer-policy` prints all that one needs), "+
			"or use others (AWS_PROFILE)"),
	when(`NotImplemented|UnknownOperation|InvalidAction`, `not (?:yet )?(?:been )?implemented`,
		"the endpoint that is asked doesn't have the operation: an emulator doesn't have all, and neither has every Region"),
	when(`BucketAlreadyExists|BucketAlreadyOwnedByYou`, `The requested bucket name is not available`,
		"the bucket's name is taken, and bucket names are unique in all of AWS: `pulumi config set bucketName` another, or leave it out"),
	when(`\w*AlreadyExists|ResourceConflict`, `already exist`,
		"the name is taken by something that this stack didn't make: choose another name, or delete or `pulumi import` that"),
	when(`Throttl\w*|RequestLimitExceeded|RequestThrottled|TooManyRequests|SlowDown|BandwidthLimitExceeded|ProvisionedThroughputExceeded`,
		`rate exceeded|too many requests`, "AWS slows requests down: try again in a minute"),
	when(`\w*LimitExceeded|\w*QuotaExceeded|TooManyBuckets`,
		`(?:exceed|reach|increase)[^.]*\bservice quota|\b(?:reached|exceed)[^.]* (?:limit|quota)|maximum number of (?:[b-z]|a[^t])`,
		"a quota of the account is used up: delete what isn't needed, or ask for more in the console of Service Quotas"),
	when(`ExpiredToken|RequestExpired`, "", "the credentials have expired: get new ones, such as by `aws sso login`"),
	when(`InvalidClientTokenId|UnrecognizedClient|SignatureDoesNotMatch|InvalidAccessKeyId`,
		`no valid credential sources|no EC2 IMDS role|failed to refresh cached credentials|`+
			`security token included in the request is invalid`,
		"there are no credentials that AWS knows: `aws configure`, `aws sso login`, or set AWS_PROFILE"),
	when(`OptInRequired`, `is not enabled in this account|AuthFailure.*region`,
		"the Region isn't enabled for the account: enable it in the console, at the account's settings, or set aws:region"),
	when("NoSuchResource", "", "what is asked for isn't there, or isn't known in this Region"),
	when("", `no such host|could not resolve|invalid AWS Region|Invalid region`,
		"the Region's name is wrong, or this machine has no network: `pulumi config get aws:region`"),
	when("", `connection (?:refused|reset)|broken pipe|\bEOF\b|i/o timeout|TLS handshake timeout|network is unreachable`,
		"AWS can't be reached from here: look at the network, a proxy, and AWS_ENDPOINT_URL"),
	when("BucketNotEmpty", "",
		"it holds object versions, which `aws s3 rm` alone leaves there: empty it in S3's console, or have "+forceDestroyFirst),
	when("RepositoryNotEmpty", "not empty, consider using force_delete",
		"it holds images: delete them (`aws ecr batch-delete-image`), or have "+forceDestroyFirst),
	when("DependencyViolation", `has a dependent object|\bin use\b`,
		"something else uses it, such as a task that is ending: try again in a few minutes"),
	when("", `Cannot connect to the Docker daemon|docker.*not found|error during connect`,
		"Docker isn't running: https://docs.docker.com/get-docker/, or set `image` to one that you have pushed"),
	when("", `passphrase must be set|incorrect passphrase`,
		"the secrets of the stack are encrypted with a passphrase: set PULUMI_CONFIG_PASSPHRASE to it"),
	when("", `pulumi login|PULUMI_ACCESS_TOKEN`,
		"Pulumi keeps its state somewhere: `pulumi login`, or `pulumi login --local` to keep it on this machine"),
	when("", `signal: (?:killed|terminated)`,
		"the Pulumi CLI was ended, by somebody or for want of memory: `pulumi cancel` frees the stack, and `upload-router refresh` "+
			"takes in what was made"),
	when("", `invalid configuration`, "the stack's configuration breaks a rule: see what the message says of each key"),
	when("", `AccessDenied|UnauthorizedOperation|Forbidden`, "the credentials lack a permission: ask for it, or use others (AWS_PROFILE)"),
}

// head is what the SDK says before an error: which operation of which service it was, how often it was tried, and how it was
// answered. All of these have words that mean something else in an error, such as Service Quotas, and attempts exceeded.
var head = regexp.MustCompile(`operation error [\w ]+: \w+, (?:exceeded maximum number of attempts, \d+, )?` +
	`(?:https response error StatusCode: \d+, (?:RequestID: [^,]*, )?(?:HostID: [^,]*, )?)?(?:api error )?`)

// ownCode is the code that what is left of a message begins with.
var ownCode = regexp.MustCompile(`^\s*([A-Z]\w+)(?::|$)`)

// likelyCause is what a message of AWS, Pulumi or Docker likely means; empty when it isn't known.
func likelyCause(message string) string {
	code := ""
	if at := head.FindStringIndex(message); at != nil {
		message = head.ReplaceAllString(message[at[0]:], "")
		if found := ownCode.FindStringSubmatch(message); found != nil {
			code = found[1]
		}
	}
	return causeBy(code, message)
}

// causeOf is what an error of the SDK likely means: by the code that AWS gave, and else by what it said.
func causeOf(err error) string {
	if response, ok := errors.AsType[*smithyhttp.ResponseError](err); ok && response.HTTPStatusCode() == http.StatusNotImplemented {
		return causeBy("NotImplemented", "")
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return causeBy(api.ErrorCode(), api.ErrorCode()+": "+api.ErrorMessage())
	}
	if _, ok := errors.AsType[*smithy.DeserializationError](err); ok {
		return "what answered isn't in AWS's form, such as a page of a proxy or of an emulator: look at AWS_ENDPOINT_URL, and for a proxy"
	}
	// Around the innermost error there is only what the SDK did about it.
	found := likelyCause(lastCause(err))
	if _, ok := errors.AsType[*smithy.OperationError](err); found == "" && ok { // such as of credentials that weren't found in time
		found = likelyCause(err.Error())
	}
	return found
}

// fixAsking is what helps when AWS could not be asked: again is a command that
// asks once more, which helps if the answer may be another one then.
func fixAsking(err error, again string) string {
	if found := causeOf(err); found != "" {
		return found
	}
	if permanent(err) {
		return "see what AWS says: asking once more gives the same"
	}
	return again
}

// permanent says whether AWS refuses the very request, whenever it is made.
func permanent(err error) bool {
	response, ok := errors.AsType[*smithyhttp.ResponseError](err)
	if !ok {
		return false
	}
	status := response.HTTPStatusCode()
	return status == http.StatusNotImplemented || status >= http.StatusBadRequest && status < http.StatusInternalServerError &&
		status != http.StatusTooManyRequests && !retry.IsErrorThrottles(retry.DefaultThrottles).IsErrorThrottle(err).Bool()
}

// causeBy has a telling code go before the words of a message, which may be about something else.
func causeBy(code, message string) string {
	for _, c := range causes {
		if c.codes != nil && c.codes.MatchString(code) {
			return c.text
		}
	}
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

// Error gives code, message and likely cause. Some services begin their messages with the code.
func (e *RefusalError) Error() string {
	text := e.Message
	switch {
	case text == "":
		text = e.Code // S3 answers some requests without a body
	case e.Code != "" && !strings.HasPrefix(text, e.Code+": "):
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

// refusal makes an SDK's error readable. That of a request that wasn't waited for is [ErrCanceled].
func refusal(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.Canceled) {
		return ErrCanceled
	}
	if _, known := errors.AsType[*RefusalError](err); known {
		return err
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return &RefusalError{
			Code: api.ErrorCode(), Message: shorten(api.ErrorMessage()), Cause: causeOf(err), err: err,
		}
	}
	if found := causeOf(err); found != "" {
		return &RefusalError{Message: shorten(lastCause(err)), Cause: found, err: err}
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

// unanswered says whether AWS may have done what a request asks for though it failed: it was sent, and no answer came, none that can be
// read, or one that AWS had failed itself. What fails while credentials are looked for, by a request of its own, is none of these.
func unanswered(err error) bool {
	operation, ok := errors.AsType[*smithy.OperationError](err)
	if !ok {
		return false
	}
	if _, other := errors.AsType[*smithy.OperationError](operation.Err); other {
		return false
	}
	response, ok := errors.AsType[*smithyhttp.ResponseError](err)
	if !ok {
		return false
	}
	status := response.HTTPStatusCode() // 0 without an answer
	return status < http.StatusBadRequest || status >= http.StatusInternalServerError && status != http.StatusNotImplemented
}

// unsure is what a request came back with that changes something. If its answer was lost or not waited for, it isn't known whether it was
// done: tells is the command that says it.
func unsure(err error, tells string) error {
	if err = refusal(err); !errors.Is(err, ErrCanceled) && !unanswered(err) {
		return err
	}
	return fmt.Errorf("whether it was done isn't known, `%s` tells: %w", tells, err)
}

// hasCode says whether AWS answered with one of the codes.
func hasCode(err error, codes ...string) bool {
	api, ok := errors.AsType[smithy.APIError](err)
	return ok && slices.Contains(codes, api.ErrorCode())
}
