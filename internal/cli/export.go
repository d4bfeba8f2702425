package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"example.com/upload-router/internal/filelock"
	"example.com/upload-router/internal/resultrow"
	"example.com/upload-router/operate"
)

// encoder writes rows in a format; the first line of CSV has the names of the columns, unless that is there by now. What is written is only
// sure to be there after flush.
func encoder(format string, to io.Writer, heading bool) (encode func(resultrow.Row) error, flush func() error) {
	buffered := bufio.NewWriterSize(to, 1<<16)
	if format == formatCSV {
		w := csv.NewWriter(buffered)
		var err error
		if heading {
			err = w.Write(resultrow.Columns())
		}
		return func(r resultrow.Row) error { return errors.Join(err, w.Write(r.CSV())) }, func() error {
			w.Flush()
			return errors.Join(w.Error(), buffered.Flush())
		}
	}
	w := json.NewEncoder(buffered)
	w.SetEscapeHTML(false)
	return func(r resultrow.Row) error { return w.Encode(r) }, buffered.Flush
}

// The files beside one that isn't whole: the rows so far, how far that is, and the Parquet file that is being made of them.
const (
	endingPart    = ".part"
	endingState   = ".state"
	endingParquet = ".parquet.part"
)

// checkpointTime is how often it is written down how far an export is.
const checkpointTime = time.Second

// exportState is how far an export is.
type exportState struct {
	// Question is what it is of.
	Question string `json:"question"`
	// Table is the ARN of the ledger's table that is read.
	Table string `json:"table"`
	// Since and Until are the times that its first command meant.
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until"`
	// Began is when its first command began to read.
	Began time.Time `json:"began,omitzero"`
	// LeftOut is what couldn't be read before the last row.
	LeftOut leftOut `json:"leftOut,omitzero"`
	// After is the position of the last row, Rows how many there are, Bytes how long they are.
	After string `json:"after"`
	Rows  int64  `json:"rows"`
	Bytes int64  `json:"bytes"`
}

// export is a file with results that has its name only when it is whole. The rows of a Parquet file are JSON Lines until then: these can be
// gone on with, and a Parquet file can't, as its end says where all is.
type export struct {
	path, format string
	query        operate.RecordQuery
	file         *os.File
	release      func()
	encode       func(resultrow.Row) error
	flush        func() error
	state        exportState
	written      time.Time
}

// Write implements [io.Writer]: it counts.
func (e *export) Write(text []byte) (int, error) {
	n, err := e.file.Write(text)
	e.state.Bytes += int64(n)
	return n, err //nolint:wrapcheck // It is a file's.
}

// exportOf is what an export is of.
type exportOf struct {
	// question is the format and the filters, table the ARN of the ledger's table.
	question, table string
}

// openExport begins a file, or, with resume, goes on with one that was interrupted.
func openExport(path, format string, of exportOf, query operate.RecordQuery, resume bool) (*export, error) {
	if query.Until.IsZero() {
		query.Until = time.Now()
	}
	e := &export{path: path, format: format, query: query, state: exportState{
		Question: of.question, Table: of.table, Since: query.Since, Until: query.Until, Began: time.Now(),
	}}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: --output %s is there already: delete it, or name another file", errFlag, path)
	}
	err := e.open(resume)
	if err == nil && resume {
		err = e.read()
	}
	if err != nil {
		return nil, errors.Join(err, e.close())
	}
	if err := e.begin(); err != nil {
		if err = errors.Join(err, e.close()); e.state.Rows > 0 {
			return nil, e.goesOn(err)
		}
		return nil, errors.Join(err, e.tidy()) // half of a heading is nothing to go on with
	}
	return e, nil
}

// open opens the file with the rows so far, and keeps others from it.
func (e *export) open(resume bool) error {
	part := e.path + endingPart
	err := os.ErrNotExist
	if resume {
		e.file, err = os.OpenFile(part, os.O_WRONLY, 0)
	}
	if errors.Is(err, os.ErrNotExist) {
		if _, there := os.Stat(e.path + endingState); resume && there == nil {
			return fmt.Errorf("%w: %s is there, and %s, of which it says how far that is, isn't: delete %[2]s to begin anew", errFlag,
				e.path+endingState, part)
		}
		e.file, err = os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // results are nobody else's
	}
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%w: %s is of a command that was interrupted, or still runs: --resume goes on with it; or delete it", errFlag, part)
	}
	if err == nil {
		if e.release, err = filelock.Open(part); errors.Is(err, filelock.ErrHeld) {
			err = errWritten
		}
	}
	if err == nil && !filelock.IsAt(e.file, part) {
		err = errWritten // and it has ended between one and the other
	}
	if errors.Is(err, errWritten) {
		return fmt.Errorf("%w: %s: %w: wait for its end, or name another file", errFlag, part, err)
	}
	if err != nil {
		return fmt.Errorf("opening the file with the results: %w", err)
	}
	return nil
}

// errWritten is that another process has the file.
var errWritten = errors.New("another upload-router is writing it")

// begin goes to the end of the rows so far.
func (e *export) begin() error {
	err := e.file.Truncate(e.state.Bytes) // what is behind may be half of a row
	if err == nil {
		_, err = e.file.Seek(e.state.Bytes, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("opening the file with the results: %w", err)
	}
	e.encode, e.flush = encoder(e.format, e, e.state.Rows == 0)
	return e.checkpoint()
}

// close lets others have the file.
func (e *export) close() error {
	var err error
	if e.file != nil {
		if err = e.file.Close(); errors.Is(err, os.ErrClosed) {
			err = nil
		}
	}
	if e.release != nil {
		e.release()
	}
	if err != nil {
		return fmt.Errorf("closing the file with the results: %w", err)
	}
	return nil
}

// read takes the state of an interrupted export, if there is something to go on with.
func (e *export) read() error {
	part, path := e.path+endingPart, e.path+endingState
	const anew = "delete both to begin anew"
	info, err := e.file.Stat()
	if err != nil {
		return fmt.Errorf("reading how long %s is: %w", part, err)
	}
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist) && info.Size() == 0:
		return nil // it was interrupted before its beginning, or begins now
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%w: %s is there, and %s, which says how far it is, isn't: delete %[2]s to begin anew", errFlag, part, path)
	case err != nil:
		return fmt.Errorf("reading how far %s is: %w", e.path, err)
	case len(bytes.TrimSpace(text)) == 0:
		return fmt.Errorf("%w: %s is empty, and doesn't say how far %s is: %s", errFlag, path, part, anew)
	}
	var state exportState
	if err := json.Unmarshal(text, &state); err != nil {
		return fmt.Errorf("%w: %s is broken, and doesn't say how far %s is: %w: %s", errFlag, path, part, err, anew)
	}
	if why := state.wrong(); why != "" {
		return fmt.Errorf("%w: %s is broken: %s: %s", errFlag, path, why, anew)
	}
	if state.Table != e.state.Table {
		return fmt.Errorf("%w: %s is of another system, with the table %s; this one has the table %s: name another file", errFlag,
			part, state.Table, e.state.Table)
	}
	if state.Question != e.state.Question {
		return fmt.Errorf("%w: %s is of another command: %s; this one is: %s", errFlag, part, state.Question, e.state.Question)
	}
	if state.Rows == 0 {
		state.Bytes = 0 // the heading is written again
	}
	if info.Size() < state.Bytes {
		return fmt.Errorf("%w: %s has %d bytes, and %s says that %d were written: rows are lost: %s", errFlag,
			part, info.Size(), path, state.Bytes, anew)
	}
	if err := e.compare(state); errors.Is(err, errRows) {
		return fmt.Errorf("%w: %s is broken: %w in %s: %s", errFlag, path, err, part, anew)
	} else if err != nil {
		return err
	}
	e.state = state
	return nil
}

// errRows is that a state isn't of the rows that are there.
var errRows = errors.New("it says how many rows there are, and how long they are, which isn't so")

// compare counts the rows of which a state speaks: whether they are so many, and end where it says. The error matches [errRows] if not.
func (e *export) compare(state exportState) error {
	if state.Rows == 0 {
		return nil // it begins anew
	}
	file, err := os.Open(e.path + endingPart)
	if err != nil {
		return fmt.Errorf("reading the file with the results: %w", err)
	}
	defer func() { _ = file.Close() }()
	lines, whole, err := countLines(io.LimitReader(file, state.Bytes), e.format == formatCSV)
	if err != nil {
		return fmt.Errorf("reading the file with the results: %w", err)
	}
	if e.format == formatCSV {
		lines-- // the heading
	}
	if !whole || lines != state.Rows {
		return errRows
	}
	return nil
}

// countLines counts lines, and says whether the last one is whole. In CSV a line break between quotation marks ends none.
func countLines(from io.Reader, quoting bool) (lines int64, whole bool, err error) {
	text := bufio.NewReaderSize(from, 1<<16)
	quoted := false
	for {
		part, err := text.ReadSlice('\n')
		ended := err == nil
		if quoting && bytes.Count(part, []byte{'"'})%2 == 1 {
			quoted = !quoted
		}
		if ended && !quoted {
			lines++
		}
		if len(part) > 0 {
			whole = ended && !quoted
		}
		switch {
		case ended, errors.Is(err, bufio.ErrBufferFull): // of a long line
		case errors.Is(err, io.EOF):
			return lines, whole, nil
		default:
			return 0, false, err //nolint:wrapcheck // The caller says what is read.
		}
	}
}

// wrong is what a state can't be, or empty.
func (s exportState) wrong() string {
	switch {
	case s.Question == "" || s.Until.IsZero():
		return "it doesn't say what was asked for"
	case s.Table == "":
		return "it doesn't say which table was read"
	case s.Rows < 0 || s.Bytes < 0:
		return "less than nothing was written"
	case s.Rows > 0 && s.Bytes == 0:
		return "rows have no bytes"
	case s.Rows > 0 && !operate.IsPosition(s.After):
		return "it doesn't say which row was the last"
	case s.Rows == 0 && s.After != "":
		return "it has a last row, and no rows"
	}
	return ""
}

// rest is the query for what the file lacks.
func (e *export) rest() operate.RecordQuery {
	q := e.query
	q.Since, q.Until, q.After, q.Began = e.state.Since, e.state.Until, e.state.After, e.state.Began
	if q.Limit > 0 {
		q.Limit = max(0, q.Limit-int(e.state.Rows))
	}
	return q
}

// missing reads what the file lacks.
func (e *export) missing(ctx context.Context, system *operate.System) iter.Seq2[operate.Record, error] {
	query := e.rest()
	if e.query.Limit > 0 && query.Limit == 0 {
		return func(func(operate.Record, error) bool) {}
	}
	return system.Records(ctx, query)
}

// add adds a row.
func (e *export) add(row resultrow.Row, position string) error {
	if err := e.encode(row); err != nil {
		return fmt.Errorf("writing a result: %w", err)
	}
	e.state.Rows++
	e.state.After = position
	if time.Since(e.written) < checkpointTime {
		return nil
	}
	return e.checkpoint()
}

// checkpoint writes down how far it is, behind what it is about.
func (e *export) checkpoint() error {
	err := e.flush()
	if err == nil {
		err = e.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("writing the results: %w", err)
	}
	text, err := json.Marshal(e.state)
	if err == nil {
		err = os.WriteFile(e.path+endingState+".new", text, 0o600)
	}
	if err == nil {
		err = os.Rename(e.path+endingState+".new", e.path+endingState)
	}
	if err != nil {
		return fmt.Errorf("writing how far it is: %w", err)
	}
	e.written = time.Now()
	return nil
}

// interrupted ends it before its end.
func (e *export) interrupted(why error) error {
	if err := errors.Join(e.checkpoint(), e.close()); err != nil {
		if why.Error() == err.Error() {
			err = nil // the same happened twice
		}
		return e.goesOn(errors.Join(why, err))
	}
	return fmt.Errorf("%w; %s is not whole: %s of it are in %s, and the same command with --resume goes on", why, e.path,
		plural(e.state.Rows, "result"), e.path+endingPart)
}

// goesOn is an error, such as a full disk, after which the file has what the last state says.
func (e *export) goesOn(err error) error {
	return fmt.Errorf("%w; %s is not whole: its beginning is in %s, and when that can be written again, the same command with --resume "+
		"goes on from there", err, e.path, e.path+endingPart)
}

// finish gives the file its name.
func (e *export) finish(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, e.close()) }() // it is nobody else's until it has its name
	if err := errors.Join(e.checkpoint(), e.file.Close()); err != nil {
		return e.goesOn(err)
	}
	whole := e.path + endingPart
	if e.format == formatParquet {
		whole = e.path + endingParquet
		if err := convert(ctx, e.path+endingPart, whole); err != nil {
			return fmt.Errorf("%w; the same command with --resume tries it again", err)
		}
	}
	if err := e.name(whole); errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%w: %s was made by somebody else meanwhile, and stays as it is: all results are in %s; delete %[2]s, or name it "+
			"otherwise, and the same command with --resume ends what is left", errFlag, e.path, whole)
	} else if err != nil {
		return fmt.Errorf("naming the file, which is %s: %w", whole, err)
	}
	return e.tidy()
}

// link is [os.Link]. Tests have it refuse.
var link = os.Link

// name gives a file the name of what was asked for, unless there is one by now: [os.ErrExist]. Where a file can't have two names, such as
// on FAT, an empty one keeps the name from others.
func (e *export) name(whole string) error {
	if err := link(whole, e.path); err == nil || errors.Is(err, os.ErrExist) {
		return err //nolint:wrapcheck // The caller says what is done.
	}
	empty, err := os.OpenFile(e.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err //nolint:wrapcheck // See above.
	}
	if err := errors.Join(empty.Close(), os.Rename(whole, e.path)); err != nil {
		return errors.Join(err, os.Remove(e.path))
	}
	return nil
}

// tidy takes away all but the file.
func (e *export) tidy() error {
	for _, ending := range []string{endingPart, endingParquet, endingState} {
		if err := os.Remove(e.path + ending); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("tidying up: %w", err)
		}
	}
	return nil
}

// converterName is the program that writes Parquet.
const converterName = "upload-router-parquet"

// parquetOutput is what results take it for.
const parquetOutput = "--format parquet"

// converter finds it, beside this program or in PATH, for what takes it.
func converter(what string) (string, error) {
	if own, err := os.Executable(); err == nil {
		if beside, err := exec.LookPath(filepath.Join(filepath.Dir(own), converterName)); err == nil {
			return beside, nil
		}
	}
	path, err := exec.LookPath(converterName)
	if err != nil {
		return "", fmt.Errorf("%w: %s takes the program %s, beside upload-router or in PATH: "+
			"`go install ./cmd/%[3]s` in the project's folder puts it where Go's programs are", operate.ErrNotReady, what, converterName)
	}
	return path, nil
}

// convert makes a Parquet file of JSON Lines.
func convert(ctx context.Context, from, to string) (err error) {
	program, err := converter(parquetOutput)
	if err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("reading the results: %w", err)
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("writing the results: %w", err)
	}
	cmd := exec.CommandContext(ctx, program)
	cmd.Stdin, cmd.Stdout = in, out
	var said limited
	cmd.Stderr = &said
	err = cmd.Run()
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err == nil {
		return nil
	}
	err = errors.Join(fmt.Errorf("writing Parquet: %w: %s", err, said.text), os.Remove(to))
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", operate.ErrCanceled, err)
	}
	return err
}

// limited keeps the beginning of a text.
type limited struct{ text []byte }

// Write implements [io.Writer].
func (l *limited) Write(text []byte) (int, error) {
	l.text = append(l.text, text[:min(len(text), longest-len(l.text))]...)
	return len(text), nil
}
