package asl

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxResultFile is the most bytes of a file with results; a longer one is continued in another.
// https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html
const maxResultFile = 5 << 30

// The files with results, by how their names begin.
const (
	succeededFile = "SUCCEEDED"
	failedFile    = "FAILED"
	pendingFile   = "PENDING"
)

// writerNode is a ResultWriter.
type writerNode struct {
	resource    string
	integration Integration
	arguments   computed
	config      WriterConfig
}

// destination is where results go; without a bucket they become the Map's output.
type destination struct{ bucket, prefix string }

func (d destination) given() bool { return d.bucket != "" }

// key is that of a file of a Map Run.
func (d destination) key(run *MapRun, file string) string {
	return strings.TrimPrefix(strings.TrimSuffix(d.prefix, "/")+"/"+run.name+"/"+file, "/")
}

func (m *mapRun) destination() (destination, error) {
	if m.writer == nil || m.writer.resource == "" {
		return destination{}, nil
	}

	var parameters any

	if m.writer.arguments.given() {
		var err error
		if parameters, err = m.writer.arguments.eval(m.scope, m.evaluation); err != nil {
			return destination{}, err
		}
	}

	out := destination{}

	if members, ok := parameters.(*object); ok {
		out.bucket, _ = members.values["Bucket"].(string)
		out.prefix, _ = members.values["Prefix"].(string)
	}

	if out.bucket == "" {
		return out, m.scope.failf(ErrorResultWriterFailed, "the ResultWriter's Bucket must be a text that isn't empty")
	}

	return out, nil
}

// resultFile is one that is written.
type resultFile struct {
	key  string
	size int64
}

// resultFiles are the results of an attempt of a Map Run, on disk until it has ended.
type resultFiles struct {
	to     destination
	run    *MapRun
	lines  bool
	most   int64
	done   bool
	byKind map[string][]*spool
}

// spool is a file that is being made.
type spool struct {
	file *os.File
	size int64
	// whole says that nothing can follow what is in it.
	whole bool
}

// write appends to it.
func (s *spool) write(text ...[]byte) error {
	for _, t := range text {
		n, err := s.file.Write(t)
		s.size += int64(n)

		if err != nil {
			return fmt.Errorf("keeping a result: %w", err)
		}
	}

	return nil
}

// add takes the result of a child execution.
func (f *resultFiles) add(m *mapRun, c *child) error {
	shown := m.shown(c)

	if c.result.Status != StatusSucceeded {
		return f.text(failedFile, shown)
	}

	if m.transformation() != WriteFlatten {
		return f.text(succeededFile, shown)
	}

	value, err := decodeJSON(shown)
	if err != nil {
		return fmt.Errorf("reading a result: %w", err)
	}

	items, ok := value.([]any)
	if !ok {
		return f.text(succeededFile, shown)
	}

	for _, item := range items {
		if err := f.text(succeededFile, encodeTree(item)); err != nil {
			return err
		}
	}

	return nil
}

// text appends a JSON text to the last file of a kind, or begins one.
func (f *resultFiles) text(kind string, text []byte) error {
	files := f.byKind[kind]
	// With what is before and behind a text.
	if len(files) == 0 || files[len(files)-1].whole || files[len(files)-1].size+int64(len(text))+2 > f.most {
		file, err := os.CreateTemp("", "map-run-*.json")
		if err != nil {
			return fmt.Errorf("keeping a result: %w", err)
		}

		// Where an open file may be removed it doesn't outlive the process.
		_ = os.Remove(file.Name())

		files = append(files, &spool{file: file})
		f.byKind[kind] = files
	}

	last := files[len(files)-1]

	switch {
	case f.lines:
		return last.write(text, []byte("\n"))
	case last.size == 0:
		return last.write([]byte("["), text)
	default:
		return last.write([]byte(","), text)
	}
}

// close removes what is on disk, but for what succeeded and isn't written yet.
func (f *resultFiles) close() error {
	var failed error

	for kind, files := range f.byKind {
		if kind == succeededFile && !f.done {
			f.run.unwritten = files

			continue
		}

		for _, s := range files {
			failed = errors.Join(failed, s.file.Close())
			_ = os.Remove(s.file.Name()) // It may be removed already.
		}
	}

	return failed
}

// write puts the files into the bucket, the manifest last, and gives the Map's output. The manifest names the files with what succeeded in
// all attempts, and those with what didn't in this one.
func (f *resultFiles) write(m *mapRun) (any, error) {
	listed := map[string][]resultFile{succeededFile: f.run.files}

	for _, kind := range []string{succeededFile, failedFile, pendingFile} {
		for _, s := range f.byKind[kind] {
			if !f.lines && !s.whole {
				if err := s.write([]byte("]")); err != nil {
					return nil, err
				}
			}

			s.whole = true

			key := f.to.key(f.run, fmt.Sprintf("%s_%d.json", kind, len(listed[kind])))
			if err := m.put(key, s.file, s.size); err != nil {
				return nil, err
			}

			listed[kind] = append(listed[kind], resultFile{key, s.size})
		}
	}

	results := newObject(3)

	for _, kind := range []string{failedFile, pendingFile, succeededFile} {
		files := []any{}
		for _, file := range listed[kind] {
			files = append(files, objectOf("Key", file.key, "Size", intNumber(file.size)))
		}

		results.set(kind, files)
	}

	manifest := encodeTree(objectOf("DestinationBucket", f.to.bucket, "MapRunArn", f.run.ARN, "ResultFiles", results))
	key := f.to.key(f.run, "manifest.json")

	if err := m.put(key, bytes.NewReader(manifest), int64(len(manifest))); err != nil {
		return nil, err
	}

	f.run.files, f.run.unwritten, f.done = listed[succeededFile], nil, true
	m.Items.ResultsWritten = m.Items.Total - m.Items.Pending
	m.Executions.ResultsWritten = m.Executions.Total - m.Executions.Pending

	return objectOf("MapRunArn", f.run.ARN, "ResultWriterDetails", objectOf("Bucket", f.to.bucket, "Key", key)), nil
}

// put writes an object.
func (m *mapRun) put(key string, body io.ReadSeeker, size int64) error {
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("reading the results: %w", err)
	}

	parameters := objectOf("Bucket", m.to.bucket, "Key", key)

	_, err := m.writer.integration(m.run.ctx, Call{
		State: m.run.state, Resource: m.writer.resource, Attempt: m.run.retries, Parameters: plain(parameters), JSON: encodeTree(parameters),
		Context: plain(m.scope.context), Clock: m.run.clock, Body: body, Size: size,
	})

	if stop := m.run.check(); stop != nil {
		return stop
	}

	if err != nil {
		return failf(ErrorResultWriterFailed, "%s: %v", putObject, err)
	}

	return nil
}
