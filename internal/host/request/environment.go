// Package request is what the state machine tells a host: which object to process, and what for. The function gets it as the payload of its
// invocation, the task as environment variables.
package request

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"time"

	"example.com/upload-router/upload"
)

// The environment variables by which the state machine tells the task which object to process. They are the container override of the
// run (requirement B12); the whole event is not passed because overrides are limited to 8,192 characters.
const (
	// EnvironmentBucket holds the bucket's name. Required.
	EnvironmentBucket = "UPLOAD_BUCKET"
	// EnvironmentKey holds the object's key in Base64, as [EncodeKey] gives it: 1,368 characters at most. Raw, its 1,024 bytes could take
	// 6,144 characters of the overrides' JSON, which with a task token is more than there are. Required.
	EnvironmentKey = "UPLOAD_KEY_BASE64"
	// EnvironmentVersionID holds the version to read. Empty or unset means "not given".
	EnvironmentVersionID = "UPLOAD_VERSION_ID"
	// EnvironmentSize holds the announced size in bytes, as a JSON number. Required.
	EnvironmentSize = "UPLOAD_SIZE"
	// EnvironmentETag holds the entity tag, with or without quotes. Empty or unset means "not given".
	EnvironmentETag = "UPLOAD_ETAG"
	// EnvironmentExecution holds the ARN of the execution that the task runs for, which its log lines name. Empty or unset means "not
	// given".
	EnvironmentExecution = "UPLOAD_EXECUTION"

	// EnvironmentSequencer and EnvironmentCreated hold the event's sequencer and time, EnvironmentStarted the time at which the execution
	// started, EnvironmentRoute the name of the object's route, and EnvironmentAttempt the number of this attempt, beginning with 1. Empty
	// or unset means "not given".
	EnvironmentSequencer = "UPLOAD_SEQUENCER"
	EnvironmentCreated   = "UPLOAD_CREATED"
	EnvironmentStarted   = "UPLOAD_STARTED"
	EnvironmentRoute     = "UPLOAD_ROUTE"
	EnvironmentAttempt   = "UPLOAD_ATTEMPT"

	// EnvironmentBatch holds the name of what the object belongs to. Empty or unset means "nothing".
	EnvironmentBatch = "UPLOAD_BATCH"

	// EnvironmentTrace holds the X-Ray trace header of the execution, by the name that Lambda has for it. Empty means a trace of the
	// task's own, unset means "not to be traced".
	//
	// https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader
	EnvironmentTrace = "_X_AMZN_TRACE_ID"

	// EnvironmentTaskToken holds the token that the state waits for, by the name that AWS's page has for it (requirement B11). Empty or
	// unset means that it waits for the container's end.
	//
	// https://docs.aws.amazon.com/step-functions/latest/dg/connect-ecs.html
	EnvironmentTaskToken = "TASK_TOKEN_ENV_VARIABLE" //nolint:gosec // It is the name of a variable.
	// EnvironmentTaskMemory holds the memory of the task in MiB: its container has no limit of its own to find.
	EnvironmentTaskMemory = "UPLOAD_TASK_MEMORY"
	// EnvironmentHeartbeat holds the seconds after which a missing heartbeat ends the wait for the token, in decimal; 0 for no limit.
	// Required with a token.
	EnvironmentHeartbeat = "UPLOAD_HEARTBEAT_SECONDS"
)

// The environment variables by which the stack tells the worker, in the function and in the task alike, where outputs go.
const (
	// EnvironmentOutputBucket holds the name of the output bucket. Empty or unset means that there is none.
	EnvironmentOutputBucket = "UPLOAD_OUTPUT_BUCKET"
	// EnvironmentOutputPrefix holds what the key of each output begins with, as it is. Empty or unset means nothing.
	EnvironmentOutputPrefix = "UPLOAD_OUTPUT_PREFIX"
	// EnvironmentOutputKMSKey holds the ARN of the KMS key that outputs are encrypted with. Empty or unset means the bucket's own default.
	EnvironmentOutputKMSKey = "UPLOAD_OUTPUT_KMS_KEY_ARN"
)

// EnvironmentTagUploads says, by the value "true", that the processed version is tagged. The stack sets it in both processors; unset means
// that it isn't.
const EnvironmentTagUploads = "UPLOAD_TAG_UPLOADS"

// TagsUploads says whether the processed version is tagged; lookup is [os.LookupEnv] in a real host.
func TagsUploads(lookup func(string) (string, bool)) bool {
	value, _ := lookup(EnvironmentTagUploads)
	return value == "true"
}

// Outputs is where outputs go.
type Outputs struct {
	// Bucket is the output bucket's name; empty if there is none.
	Bucket string
	// Prefix is what each key begins with.
	Prefix string
	// KMSKeyARN is the key that they are encrypted with; empty for the bucket's default.
	KMSKeyARN string
}

// OutputsFromEnvironment reads where outputs go; lookup is [os.LookupEnv] in a real host.
func OutputsFromEnvironment(lookup func(string) (string, bool)) Outputs {
	optional := func(name string) string {
		value, _ := lookup(name)
		return value
	}
	return Outputs{
		Bucket: optional(EnvironmentOutputBucket), Prefix: optional(EnvironmentOutputPrefix), KMSKeyARN: optional(EnvironmentOutputKMSKey),
	}
}

// EncodeKey gives an object's key as [EnvironmentKey] holds it: as the intrinsic States.Base64Encode does, which encodes text as UTF-8
// (measured: ministackorg/ministack#1360).
func EncodeKey(key string) string { return base64.StdEncoding.EncodeToString([]byte(key)) }

// DecodeKey reads what [EncodeKey] gives. Lines may be broken, as those of MIME are.
func DecodeKey(encoded string) (string, error) {
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return "", fmt.Errorf("the environment variable %s is not Base64: %w", EnvironmentKey, err)
	}
	return string(key), nil
}

// FromEnvironment reads the object out of the environment variables of the task; lookup is [os.LookupEnv] in a real one.
// Every error is an [upload.Error] with code [upload.Invalid], and names all the variables that are missing or wrong. What could be read
// comes with it, for the log and for nothing else.
func FromEnvironment(lookup func(string) (string, bool)) (upload.Object, error) {
	required := func(name string) (string, error) {
		value, ok := lookup(name)
		if !ok || value == "" {
			return "", fmt.Errorf("the environment variable %s is not set; the state machine sets it in the container override", name)
		}
		return value, nil
	}
	optional := func(name string) string {
		value, _ := lookup(name)
		return value
	}

	bucket, noBucket := required(EnvironmentBucket)
	encoded, noKey := required(EnvironmentKey)
	key, badKey := DecodeKey(encoded)
	text, noSize := required(EnvironmentSize)
	size, badSize := parseSize(text)
	if noSize != nil {
		badSize = nil
	}
	object := upload.Object{
		Bucket:    bucket,
		Key:       key,
		VersionID: optional(EnvironmentVersionID),
		ETag:      TrimETag(optional(EnvironmentETag)),
		Size:      size,
		Sequencer: optional(EnvironmentSequencer),
	}
	if err := errors.Join(noBucket, noKey, badKey, noSize, badSize); err != nil {
		return object, &upload.Error{Code: upload.Invalid, Err: err}
	}
	return object, object.Validate()
}

// RunFromEnvironment reads what else the state machine tells the task. Every error is an [upload.Error] with code [upload.Invalid], and
// names all the variables that are wrong. What could be read comes with it, for the log and for nothing else.
func RunFromEnvironment(lookup func(string) (string, bool)) (Run, error) {
	optional := func(name string) string {
		value, _ := lookup(name)
		return value
	}
	run := Run{Execution: optional(EnvironmentExecution), Route: optional(EnvironmentRoute), Batch: optional(EnvironmentBatch)}
	var errs []error
	moment := func(name string) (at time.Time) {
		if text := optional(name); text != "" {
			var err error
			if at, err = time.Parse(time.RFC3339, text); err != nil {
				errs = append(errs, fmt.Errorf("the environment variable %s is not a time in RFC 3339: %w", name, err))
			}
		}
		return at
	}
	run.Created, run.Started = moment(EnvironmentCreated), moment(EnvironmentStarted)
	if text := optional(EnvironmentAttempt); text != "" {
		attempt, err := wholeNumber(text)
		if err != nil || attempt < 1 || attempt > math.MaxInt32 {
			errs = append(errs, fmt.Errorf("the environment variable %s is %q; want a number from 1 on", EnvironmentAttempt, text))
		}
		run.Attempt = int(attempt)
	}
	if err := errors.Join(errs...); err != nil {
		return run, &upload.Error{Code: upload.Invalid, Err: err}
	}
	return run, nil
}

func parseSize(text string) (int64, error) {
	size, err := wholeNumber(text)
	if err != nil {
		return 0, fmt.Errorf("the environment variable %s is not a number of bytes: %w", EnvironmentSize, err)
	}
	return size, nil
}

// exactBelow is 2^53: a whole number below it is exact as a JSON number, however that is written.
const exactBelow = 1 << 53

// wholeNumber reads a whole number as Step Functions may write it. Its numbers are JSON's, which are IEEE 754 doubles, and it isn't
// documented that one of a size comes out without a fraction or an exponent, as 12000000 and not as 1.2E7.
//
// https://docs.aws.amazon.com/step-functions/latest/dg/concepts-state-machine-data.html
func wholeNumber(text string) (int64, error) {
	whole, err := strconv.ParseInt(text, 10, 64)
	if err == nil {
		return whole, nil
	}
	number, floatErr := strconv.ParseFloat(text, 64)
	if floatErr != nil || number != math.Trunc(number) || math.Abs(number) >= exactBelow || !jsonNumber.MatchString(text) {
		return 0, err
	}
	return int64(number), nil
}

// jsonNumber is JSON's form of a number; Go's has others too. https://www.rfc-editor.org/rfc/rfc8259#section-6
var jsonNumber = regexp.MustCompile(`^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$`)
