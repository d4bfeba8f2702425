// Package contract is what the state machine and the processor's hosts agree on:
// how a task is told its object, and how it says that another attempt may succeed.
package contract

// The environment variables by which the state machine tells the task which object to process. They are the container override of the
// run (requirement B12); the whole event is not passed because overrides are limited to 8,192 characters.
const (
	// EnvironmentBucket holds the bucket's name. Required.
	EnvironmentBucket = "UPLOAD_BUCKET"
	// EnvironmentKey holds the object's key in Base64: 1,368 characters at most. Raw, its 1,024 bytes could take 6,144 characters of the
	// overrides' JSON, which with a task token is more than there are. Required.
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
	// EnvironmentHeartbeat holds the seconds after which a missing heartbeat ends the wait for the token, in decimal; 0 for no limit.
	// Required with a token.
	EnvironmentHeartbeat = "UPLOAD_HEARTBEAT_SECONDS"
)

// The errors of a processor that the state machine names.
const (
	// ErrorInvalid means that what a run was started with doesn't name an object.
	ErrorInvalid = "Upload.Invalid"
	// ErrorUnavailable means that S3 did not answer, answered that it cannot now, or stopped in the middle. Retryable.
	ErrorUnavailable = "Upload.Unavailable"
	// ErrorInterrupted means that the host is stopping or the time is up. Retryable.
	ErrorInterrupted = "Upload.Interrupted"
)

// ExitRetryable is the exit code of a task for every retryable error, and for no other: EX_TEMPFAIL of sysexits.h.
const ExitRetryable = 75
