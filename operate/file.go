package operate

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
)

// File is the whole life of a key, as far as the ledger, Step Functions and the logs remember it.
type File struct {
	Bucket string `json:"bucket"`
	Key    string `json:"key"`
	// Versions are its versions, the newest first; one in a bucket without versions. Older is how many there are besides.
	Versions []FileVersion `json:"versions"`
	Older    int           `json:"olderVersions,omitempty"`
	// Unreadable are the versions of which the ledger has what can't be read.
	Unreadable []*UnreadableError `json:"unreadable,omitempty"`
}

// FileVersion is one version of a file.
type FileVersion struct {
	// Record is what the ledger has of it. Its ExecutionStatus is known, whatever its status is.
	Record
	// Console is the execution's page in AWS's console; empty where there is none in public.
	Console string `json:"console,omitempty"`
	// Logs are the lines that the processor wrote for it, in whichever execution. LogsError says why there are none.
	Logs      []LogLine `json:"logs"`
	LogsError string    `json:"logsError,omitempty"`
}

// ErrUnknownKey is that the ledger has nothing of a key.
var ErrUnknownKey = fmt.Errorf("%w: the ledger has nothing of the key", ErrInput)

// File gives the life of a key: of so many of its newest versions, or of all if most is 0. The error matches [ErrUnknownKey], and
// [ErrInput], if the ledger has nothing of the key.
func (s *System) File(ctx context.Context, key string, most int) (*File, error) {
	file := &File{Bucket: s.Outputs.BucketName, Key: key, Versions: []FileVersion{}}
	for r, err := range s.Records(ctx, RecordQuery{Key: key}) {
		if wrong, is := errors.AsType[*UnreadableError](err); is {
			file.Unreadable = append(file.Unreadable, wrong)
			continue
		}
		if err != nil {
			return nil, err
		}
		if most > 0 && len(file.Versions) == most {
			file.Older++
			continue
		}
		file.Versions = append(file.Versions, FileVersion{Record: r, Logs: []LogLine{}})
	}
	if len(file.Versions)+len(file.Unreadable) == 0 {
		return nil, fmt.Errorf("%w: %q: `upload-router executions` lists what it has", ErrUnknownKey, key)
	}
	return file, eachOf(ctx, file.Versions, s.completeVersion)
}

// completeVersion asks Step Functions and the logs.
func (s *System) completeVersion(ctx context.Context, v *FileVersion) error {
	if v.ARN != "" {
		v.Console = s.Outputs.consolePage("states", "/v2/executions/details/"+url.PathEscape(v.ARN))
		status, err := s.status(ctx, v.ARN)
		if err != nil {
			return err
		}
		if v.ExecutionStatus = status; status == "" {
			v.ExecutionStatus = Gone
		}
	}
	e := Execution{Processing: v.Processing}
	if !v.Created.IsZero() && v.Created.Before(e.Started) {
		e.Started = v.Created // an earlier execution may have logged something
	}
	lines, err := s.executionLogs(ctx, e, nil)
	if err != nil {
		v.LogsError = err.Error() // the rest is worth showing without them
	}
	v.Logs = slices.Concat(v.Logs, lines)
	return nil
}
