package upload

import (
	"errors"
	"io"
)

// OutputPartSize is the size in bytes of the parts in which a larger output is sent to S3.
const OutputPartSize = 8 << 20

// MaxOutputSize is the largest output, in bytes: 10,000 parts of 8 MiB, which are 78 GiB.
const MaxOutputSize = 10_000 * OutputPartSize

// ErrNoOutputBucket is the error of [Output.Create] where no output bucket is configured.
var ErrNoOutputBucket = errors.New("there is no output bucket: set the configuration key outputBucket")

// Output is where a [Func] writes what it makes of an object. None of it is visible until the Func has returned without an error, has
// closed all of its writers, and what it read is verified. Then the outputs are published, several at a time, and the one that was
// created last when all others are: each is there as a whole or not at all. What all of them are is in the ledger, once all are
// published. A run that fails leaves nothing, unless it fails while it publishes; the next attempt replaces what it published then, as
// the names are the same.
//
// It is safe for concurrent use. A nil Output is one without an output bucket.
type Output struct {
	create func(name string, opts WriterOptions) (io.WriteCloser, error)
}

// WriterOptions are what S3 stores with an output.
type WriterOptions struct {
	// ContentType is the media type, such as "image/jpeg". Default: S3's, which is "binary/octet-stream".
	ContentType string
	// Metadata is the user-defined metadata, by its names without "x-amz-meta-"; at most 2 KB. Default: none.
	//
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
	Metadata map[string]string
}

// NewOutput makes the output of a [Func] that has create make its writers, for whoever runs one: package worker, or a test.
func NewOutput(create func(name string, opts WriterOptions) (io.WriteCloser, error)) *Output {
	return &Output{create: create}
}

// Create begins an output; opts may be nil. The name is a path as of [io/fs.ValidPath]: "a.jpg" becomes the key
// <outputPrefix><key of the object>/a.jpg, and "/thumbs/a.jpg", with a slash before it, <outputPrefix>thumbs/a.jpg. The same name always
// has the same key, so that a run which is repeated replaces what an earlier one published.
//
// The error matches [io/fs.ErrInvalid] for a name that is no such path or whose key is longer than [MaxKeyLength], [io/fs.ErrExist] for
// one that this run has created before, and [ErrNoOutputBucket] where there is no output bucket.
//
// The writer must be closed. It isn't for two goroutines at a time; several writers are. It keeps up to 8 MiB in memory, and sends what is
// more to S3 while it is written. An error of Write and of Close is an [Error], which ends the run whatever the Func makes of it: with
// code [OutputTooLarge] past [MaxOutputSize], with [Unavailable] if S3 can't now, with [AccessDenied] if the role may not write.
func (out *Output) Create(name string, opts *WriterOptions) (io.WriteCloser, error) {
	if out == nil {
		return nil, ErrNoOutputBucket
	}
	if opts == nil {
		opts = &WriterOptions{}
	}
	return out.create(name, *opts)
}
