package operate

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"example.com/upload-router/internal/files"
	"example.com/upload-router/internal/filter"
)

// FileState is how far a file is.
type FileState string

// The states of a file, in their order.
const (
	FileQueued    FileState = "queued"
	FileChecking  FileState = "checking" // what S3 has of it from an earlier try
	FileUploading FileState = "uploading"
	FileUploaded  FileState = "uploaded" // and no execution is known yet
	FileRunning   FileState = "running"  // the execution is
	FileSucceeded FileState = "succeeded"
	FileFailed    FileState = "failed"
	FileCanceled  FileState = "canceled" // its upload was, or here its execution
)

// Sent is what is known of a file that is sent.
type Sent struct {
	// File is the file's path, Key where it goes in the bucket.
	File string `json:"file"`
	Key  string `json:"key"`
	// Size is in bytes, Uploaded how many of them were sent, or are checked, and Resumed how many S3 had from an earlier try.
	Size     int64 `json:"size"`
	Uploaded int64 `json:"uploaded"`
	Resumed  int64 `json:"resumed,omitempty"`
	// ContentType is what S3 is told that it is.
	ContentType string `json:"contentType"`
	// VersionID and ETag are S3's, once it is uploaded.
	VersionID string `json:"versionId,omitempty"`
	ETag      string `json:"etag,omitempty"`
	// State is how far it is.
	State FileState `json:"state"`
	// Step is the state of the state machine that is being run.
	Step string `json:"step,omitempty"`
	// Execution is the execution that the upload started, once it is found.
	Execution *Execution `json:"execution,omitempty"`
	// Outputs are what the processor wrote in a local run.
	Outputs []LocalOutput `json:"outputs,omitempty"`
	// Error says why it failed.
	Error string `json:"error,omitempty"`
	// Started is when the upload began, Arrived when S3 had it, Ended when all was over.
	Started time.Time `json:"started,omitzero"`
	Arrived time.Time `json:"arrived,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`

	begun time.Time // when its upload did if an earlier command made it: its execution may be as old
}

// Over says whether nothing more will happen to the file.
func (f Sent) Over() bool {
	return f.State == FileSucceeded || f.State == FileFailed || f.State == FileCanceled
}

// SendOptions say what is sent, and how.
type SendOptions struct {
	// Files are files, and folders that are sent with all that is in them. Links are followed. What is in a folder and is no
	// file, or can't be read, fails and says why; the others are sent. Required.
	Files []string
	// Prefix is put before each key, as it is: reports/ makes a folder. Default: none.
	Prefix string
	// Batch is the name of what the files belong together as, which the ledger has of each once a run that read it has ended. It is in the
	// objects' own metadata. Default: none.
	Batch string
	// NoWait ends as soon as all is uploaded.
	NoWait bool
	// StartTimeout is how long an execution may take to start after the upload.
	// Default: 10 minutes, for a new bucket's events take about five to arrive.
	StartTimeout time.Duration
	// Parallel is how many parts are uploaded at a time; in a local run, how many files are on their way. Default: 8.
	Parallel int
	// PartSize is the size of a multipart upload's parts in bytes, at least S3's 5 MiB and at most its 5 GiB; a file of more than
	// one part is uploaded in parts. It grows with files of more than 10,000. Default: 8 MiB.
	PartSize int64
	// ResumeFolder keeps what is needed to go on with a broken upload. Default: upload-router in the user's cache folder.
	ResumeFolder string
	// OnFile hears of each change of a file, one at a time. Default: nobody.
	OnFile func(Sent)
	// OnNote hears of what keeps nothing from being sent, such as that uploads can't be resumed; of each once. Default: nobody.
	OnNote func(string)
}

const (
	defaultParallel = 8
	defaultPartSize = 8 << 20
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
	leastPartSize       = 5 << 20
	mostPartSize        = 5 << 30
	mostParts           = 10_000
	defaultStartTimeout = 10 * time.Minute
)

func (o SendOptions) withDefaults() (SendOptions, error) {
	o.Parallel = cmp.Or(o.Parallel, defaultParallel)
	o.PartSize = cmp.Or(o.PartSize, defaultPartSize)
	o.StartTimeout = cmp.Or(o.StartTimeout, defaultStartTimeout)
	if o.Parallel < 0 || o.Parallel > mostParallel {
		return o, fmt.Errorf("%w: %d parts at a time: Parallel, or --parallel, takes 1 to %d", ErrInput, o.Parallel, mostParallel)
	}
	if o.PartSize < leastPartSize || o.PartSize > mostPartSize {
		return o, fmt.Errorf("%w: parts of %d bytes: S3 takes %d to %d", ErrInput, o.PartSize, leastPartSize, int64(mostPartSize))
	}
	if o.ResumeFolder == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			cache = os.TempDir() // such as in a container without a home
		}
		o.ResumeFolder = filepath.Join(cache, "upload-router", "uploads")
	}
	o.OnNote = onceEach(o.OnNote)
	if o.Batch != "" {
		return o, CheckBatch(o.Batch)
	}
	return o, nil
}

// CollectFiles finds all that is to be sent, in order. What a folder has that can't be sent has failed already. The error matches
// [ErrInput] if a file that is named can't be sent, if none can, or if two would get the same key, and [ErrCanceled] if the
// context ends.
func CollectFiles(ctx context.Context, names []string, prefix string) ([]Sent, error) {
	files, err := FindFiles(ctx, names, prefix)
	if err != nil {
		return nil, err
	}
	keys := map[string]string{}
	for _, f := range files {
		if f.Over() {
			continue
		}
		if other, twice := keys[f.Key]; twice {
			return nil, fmt.Errorf("%w: %s and %s would both get the key %s: send them with different prefixes", ErrInput, other, f.File, f.Key)
		}
		keys[f.Key] = f.File
	}
	return files, nil
}

// FindFiles is [CollectFiles] for who takes several files of one key.
func FindFiles(ctx context.Context, names []string, prefix string) ([]Sent, error) {
	if len(names) == 0 {
		return nil, fmt.Errorf("%w: no file is named", ErrInput)
	}
	found, err := files.Find(ctx, names, prefix)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("looking for files: %w", ErrCanceled)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInput, err)
	}
	sent := make([]Sent, len(found))
	for i, f := range found {
		sent[i] = Sent{File: f.Path, Key: f.Key, Size: f.Size, ContentType: f.ContentType, State: FileQueued}
		if f.Problem != nil {
			sent[i].State, sent[i].Error = FileFailed, "not sent: "+f.Problem.Error()
		}
	}
	return sent, nil
}

// Send uploads files whose keys are taken, finds the execution that each upload starts, and follows
// it to its end. What becomes of a file is in its [Sent]: a file that fails is
// no error. The error is about what keeps all from being sent, and it matches
// [ErrCanceled] if ctx ends; what is known by then is given all the same.
func (s *System) Send(ctx context.Context, options SendOptions) ([]Sent, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	files, err := CollectFiles(ctx, options.Files, options.Prefix)
	if err != nil {
		return nil, err
	}
	return s.send(ctx, files, options)
}

// send is Send of files that were found.
func (s *System) send(ctx context.Context, files []Sent, options SendOptions) ([]Sent, error) {
	if !options.NoWait {
		if err := s.refusePaused(ctx); err != nil {
			return nil, err
		}
	}
	refuseUnrouted(files, s.Outputs.filter())
	board := newBoard(files, options.OnFile)
	watch, stop := context.WithCancel(ctx)
	defer stop()
	watched := make(chan error, 1)
	if options.NoWait {
		watched <- nil
	} else {
		go func() { watched <- s.watchUploads(watch, board, options.StartTimeout) }()
	}
	lanes := newLanes(options.Parallel)
	defer lanes.close()
	eachFile(ctx, files, options.PartSize, options.Parallel, options.Parallel, func(i int) {
		s.uploadFile(ctx, board, i, options, lanes)
	})
	board.uploaded()
	err := <-watched
	if ctx.Err() != nil {
		return board.all(), fmt.Errorf("sending: %w", ErrCanceled)
	}
	return board.all(), err
}

// refuseUnrouted has each file fail that no rule would hear of: it would be stored, and waited for without end.
func refuseUnrouted(files []Sent, keys filter.Keys) {
	for i := range files {
		if err := keys.Check(files[i].Key); err != nil && !files[i].Over() {
			files[i].State, files[i].Error = FileFailed, err.Error()+": it isn't uploaded"
		}
	}
}

func (s *System) uploadFile(ctx context.Context, board *board, i int, options SendOptions, lanes *lanes) {
	var file Sent
	board.change(i, func(f *Sent) {
		f.State, f.Started = FileUploading, time.Now()
		file = *f
	})
	u := upload{
		system: s, file: file, options: options, lanes: lanes,
		progress: func(p progress) {
			board.change(i, func(f *Sent) { f.State, f.Size, f.Uploaded, f.Resumed = p.state, p.size, p.sent, p.resumed })
		},
	}
	stored, err := u.run(ctx)
	board.change(i, func(f *Sent) {
		switch {
		case err != nil && ctx.Err() != nil:
			f.State, f.Error, f.Ended = FileCanceled, "the upload was canceled", time.Now()
			if u.kept {
				f.Error += ": run the same command again to go on"
			}
		case err != nil:
			f.State, f.Error, f.Ended = FileFailed, "uploading: "+refusal(err).Error(), time.Now()
		default:
			f.Uploaded, f.VersionID, f.ETag = f.Size, stored.versionID, stored.etag
			f.State, f.Arrived, f.begun = FileUploaded, time.Now(), stored.begun
			if options.NoWait {
				f.Ended = f.Arrived
			}
		}
	})
}

// board has the files, as several goroutines know of them.
type board struct {
	mu    sync.Mutex
	files []Sent
	told  func(Sent)
	done  bool // with uploading
}

// newBoard reports all files: everybody knows what is to come.
func newBoard(files []Sent, told func(Sent)) *board {
	b := &board{files: slices.Clone(files), told: told}
	for i := range files {
		b.change(i, func(*Sent) {})
	}
	return b
}

func (b *board) change(i int, how func(*Sent)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	how(&b.files[i])
	if b.told != nil {
		b.told(b.files[i])
	}
}

func (b *board) all() []Sent {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.files)
}

func (b *board) uploaded() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done = true
}

// open says whether something may still happen.
func (b *board) open() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.done || slices.ContainsFunc(b.files, func(f Sent) bool { return !f.Over() })
}
