package program

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/upload"
)

// The environment variables that a program gets besides those by which the state machine tells a task the same. All are there always; what
// isn't known is empty.
const (
	// EnvironmentKey holds the object's key, raw.
	EnvironmentKey = "UPLOAD_KEY"
	// EnvironmentURL is where the object is read by HTTP.
	EnvironmentURL = "UPLOAD_URL"
	// EnvironmentOutputFolder is a folder, what is in which is published.
	EnvironmentOutputFolder = "UPLOAD_OUTPUT_DIR"
	// EnvironmentOutputURL is where outputs are written by HTTP.
	EnvironmentOutputURL = "UPLOAD_OUTPUT_URL"
)

// The environment variables by which the stack tells the worker how it runs a program.
const (
	// EnvironmentFolder is the folder that is for the program to write to, and for no one else: [Options.Folder].
	EnvironmentFolder = "UPLOAD_PROGRAM_FOLDER"
	// EnvironmentCredentials is "true" if the program has the worker's role: [Options.Credentials].
	EnvironmentCredentials = "UPLOAD_PROGRAM_CREDENTIALS"
)

// defaultPath is the PATH where the worker has none: that of container engines.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// ownPrefixes begin the names of what is the worker's alone: how it is run, and by whom it is told what to do. ownNames are the others.
//
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
var (
	ownPrefixes = []string{"UPLOAD_", "AWS_LAMBDA_", "LAMBDA_", "_LAMBDA_", "ECS_"}
	ownNames    = []string{"_HANDLER", request.EnvironmentTrace, request.EnvironmentTaskToken}
)

// credentialsPrefix begins the names of all that an AWS SDK reads.
const credentialsPrefix = "AWS_"

// isOwn reports whether a variable of the worker's environment is kept from the program.
func isOwn(name string, credentials bool) bool {
	for _, prefix := range ownPrefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return slices.Contains(ownNames, name) || !credentials && strings.HasPrefix(name, credentialsPrefix)
}

// variables are an environment; what is set last counts.
type variables map[string]string

// inherited is what a program has of the worker's environment, such as the variables of its image.
func inherited(environment []string, credentials bool) variables {
	v := variables{"PATH": defaultPath, "LANG": "C.UTF-8"}
	for _, entry := range environment {
		if name, value, ok := strings.Cut(entry, "="); ok && name != "" && !isOwn(name, credentials) {
			v[name] = value
		}
	}
	return v
}

// tell sets what the program is told of the upload.
func (v variables) tell(object upload.Object, run request.Run) {
	maps.Copy(v, variables{
		request.EnvironmentBucket:    object.Bucket,
		EnvironmentKey:               object.Key,
		request.EnvironmentVersionID: object.VersionID,
		request.EnvironmentETag:      object.ETag,
		request.EnvironmentSize:      strconv.FormatInt(object.Size, 10),
		request.EnvironmentExecution: run.Execution,
		request.EnvironmentRoute:     run.Route,
		request.EnvironmentAttempt:   strconv.Itoa(max(1, run.Attempt)),
	})
}

// list is the environment as [os/exec.Cmd] takes it.
func (v variables) list() []string {
	out := make([]string, 0, len(v))
	for name, value := range v {
		out = append(out, name+"="+value)
	}
	return out
}

// fileName is the last part of a key, as a part of a URL: by its ending many programs know what they read.
func fileName(key string) string {
	name := key[strings.LastIndexByte(key, '/')+1:]
	if name == "" || name == "." || name == ".." {
		return "object"
	}
	return url.PathEscape(name)
}
