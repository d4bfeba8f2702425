// Package writer writes outputs to S3. What it holds to is said of upload.Output: nothing is visible before all is done.
package writer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/internal/host/s3error"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/upload"
)

const (
	// partSize is what is kept of an output at most; more is sent to S3 in parts of this size.
	partSize = upload.OutputPartSize
	// maxParts is how many parts S3 takes. https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
	maxParts = upload.MaxOutputSize / partSize
	// maxParallel is how many parts are on their way at a time: S3 takes some 50 to 90 MB/s over one connection.
	maxParallel = 4
	// maxPublishing is how many outputs are published, or aborted, at a time: a small one takes S3 some 20 ms.
	maxPublishing = 8
	// maxMetadata is how large an object's user-defined metadata may be, in bytes.
	//
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
	maxMetadata = 2 << 10
)

// tuning is what tests change.
type tuning struct {
	partSize, maxParts, parallel int
}

// defaultTuning has fewer parts on their way where there is little memory: a quarter of it, at most, is in them.
func defaultTuning() tuning {
	memory := debug.SetMemoryLimit(-1)
	return tuning{partSize: partSize, maxParts: maxParts, parallel: int(min(maxParallel, max(1, memory/(4*partSize))))}
}

// Outputs are those of one run. Its memory is bounded but for the outputs that are open at a time, each of which keeps up to a part: those
// that are closed and smaller than a part are kept as long as they are few, and then sent as a multipart upload of one part.
type Outputs struct {
	api    API
	to     request.Outputs
	source string
	tuning tuning

	ctx    context.Context //nolint:containedctx // Write has no context of its own.
	cancel context.CancelFunc

	sending sync.WaitGroup
	slots   chan struct{} // One for each part on its way.
	free    chan []byte   // Buffers of a part, to be used again.

	mutex  sync.Mutex
	files  []*file
	keys   map[string]bool
	held   int   // Bytes of closed outputs that are kept.
	sealed bool  // No more are created: a processor may leave something running that would.
	err    error // The first.
}

// New makes the outputs of a run that reads the object of a key. They end with ctx, and must be aborted at the end.
func New(ctx context.Context, api API, to request.Outputs, source string) *Outputs {
	return newOutputs(ctx, api, to, source, defaultTuning())
}

func newOutputs(ctx context.Context, api API, to request.Outputs, source string, t tuning) *Outputs {
	o := &Outputs{
		api: api, to: to, source: source, tuning: t, keys: map[string]bool{},
		slots: make(chan struct{}, t.parallel), free: make(chan []byte, t.parallel),
	}
	o.ctx, o.cancel = context.WithCancel(ctx)
	return o
}

// Create begins an output; see [upload.Output.Create].
func (o *Outputs) Create(name string, opts upload.WriterOptions) (io.WriteCloser, error) {
	if o.to.Bucket == "" {
		return nil, upload.ErrNoOutputBucket
	}
	key, err := o.key(name)
	if err == nil {
		err = valid(opts)
	}
	if err != nil {
		return nil, fmt.Errorf("creating the output %q: %w", name, err)
	}
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if o.err != nil {
		return nil, o.err
	}
	if o.sealed {
		return nil, fmt.Errorf("creating the output %q: the processor has returned: %w", name, fs.ErrClosed)
	}
	if o.keys[key] {
		return nil, fmt.Errorf("creating the output %q: its key %q has been created before: %w", name, key, fs.ErrExist)
	}
	o.keys[key] = true
	f := newFile(o, name, key, opts)
	o.files = append(o.files, f)
	return f, nil
}

// key is the key of an output.
func (o *Outputs) key(name string) (string, error) {
	relative, rooted := strings.CutPrefix(name, "/")
	if !fs.ValidPath(relative) || relative == "." {
		return "", fmt.Errorf("%w: it is no path of names with a slash between each two (io/fs.ValidPath)", fs.ErrInvalid)
	}
	key := o.to.Prefix + relative
	if !rooted {
		key = o.to.Prefix + o.source + "/" + relative
	}
	if len(key) > upload.MaxKeyLength {
		return "", fmt.Errorf("%w: its key is %d bytes long; S3 allows %d", fs.ErrInvalid, len(key), upload.MaxKeyLength)
	}
	return key, nil
}

// valid says whether S3 takes the options as they are: headers hold ASCII.
func valid(opts upload.WriterOptions) error {
	size := 0
	for name, value := range opts.Metadata {
		if !headerName(name) || !headerValue(value) {
			return fmt.Errorf("%w: the metadata %q: %q are no name and value of a header in ASCII", fs.ErrInvalid, name, value)
		}
		size += len(name) + len(value)
	}
	if size > maxMetadata {
		return fmt.Errorf("%w: the metadata has %d bytes; S3 allows %d", fs.ErrInvalid, size, maxMetadata)
	}
	if !headerValue(opts.ContentType) {
		return fmt.Errorf("%w: the content type %q is no value of a header in ASCII", fs.ErrInvalid, opts.ContentType)
	}
	return nil
}

// headerName says whether a name is a token. https://www.rfc-editor.org/rfc/rfc9110#name-tokens
func headerName(name string) bool {
	return name != "" && strings.IndexFunc(name, func(r rune) bool {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		return !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	}) < 0
}

func headerValue(value string) bool {
	return strings.IndexFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) < 0 && strings.TrimSpace(value) == value
}

// Err is the [upload.Error] with which writing has failed; nil when it has not.
func (o *Outputs) Err() error {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.err
}

// fail ends all that is on its way, and returns the first failure.
func (o *Outputs) fail(err error) error {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if o.err == nil {
		o.err = err
		o.cancel()
	}
	return o.err
}

// keep says whether there is room for so many bytes of a closed output.
func (o *Outputs) keep(bytes int) bool {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if o.held+bytes > o.tuning.parallel*o.tuning.partSize {
		return false
	}
	o.held += bytes
	return true
}

// Publish makes the outputs visible, each as a whole, several at a time, and the one that was created last when all others are. fence is
// asked before the first, and not without any. All errors are [upload.Error]s; those of fence are returned as they are. After an error
// none is begun any more.
func (o *Outputs) Publish(ctx context.Context, fence func(context.Context) error) ([]ledger.Output, error) {
	if err := o.Err(); err != nil {
		return nil, err
	}
	files, err := o.seal()
	if err != nil {
		return nil, err
	}
	o.sending.Wait()
	if err = o.Err(); err != nil || len(files) == 0 {
		return nil, err
	}
	if err := fence(ctx); err != nil {
		return nil, err
	}
	published := make([]ledger.Output, len(files))
	publish := func(i int) {
		var err error
		if published[i], err = files[i].publish(ctx); err != nil {
			_ = o.fail(err)
		}
	}
	last := len(files) - 1
	slots := make(chan struct{}, maxPublishing)
	var others sync.WaitGroup
	for i := range last {
		slots <- struct{}{}
		if o.Err() != nil {
			break
		}
		others.Go(func() {
			defer func() { <-slots }()
			publish(i)
		})
	}
	others.Wait()
	if o.Err() == nil {
		publish(last)
	}
	if err := o.Err(); err != nil {
		return nil, err
	}
	return published, nil
}

// seal lets no more outputs be created, and gives those that are. One that is open is an error.
func (o *Outputs) seal() ([]*file, error) {
	o.mutex.Lock()
	o.sealed = true
	files := o.files
	o.mutex.Unlock()
	var errs []error
	for _, f := range files {
		if f.open() {
			errs = append(errs, fmt.Errorf("the writer of the output %q was not closed", f.name))
		}
	}
	if len(errs) > 0 {
		return nil, &upload.Error{Code: upload.Failed, Err: errors.Join(errs[:min(len(errs), 10)]...)}
	}
	return files, nil
}

// Abort throws away what isn't published; of what is, nothing. It returns when nothing is on its way any more, or ctx is over. What it
// can't throw away is an unfinished multipart upload, which a lifecycle rule of the bucket ends; the error says which.
func (o *Outputs) Abort(ctx context.Context) error {
	_ = o.fail(&upload.Error{Code: upload.Failed, Err: errors.New("the outputs were thrown away")})
	o.mutex.Lock()
	files := o.files
	o.mutex.Unlock()
	for _, f := range files {
		_ = f.open() // when what it does ends, which does no more
	}
	o.sending.Wait()
	slots := make(chan struct{}, maxPublishing)
	var aborting sync.WaitGroup
	errs := make([]error, len(files))
	for i, f := range files {
		if f.id == nil {
			continue
		}
		slots <- struct{}{}
		aborting.Go(func() {
			defer func() { <-slots }()
			_, err := o.api.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
				Bucket: aws.String(o.to.Bucket), Key: aws.String(f.key), UploadId: f.id,
			})
			if code, _ := s3error.Code(err); err != nil && code != s3error.NoSuchUpload {
				errs[i] = o.failure(ctx, "s3:AbortMultipartUpload", f.key, err)
			}
		})
	}
	aborting.Wait()
	return errors.Join(errs...)
}
