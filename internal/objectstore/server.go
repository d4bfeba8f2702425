package objectstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"
	"github.com/johannesboyne/gofakes3"
)

// Defaults and limits of Options.
const (
	// DefaultMultipartThreshold is the size, in bytes, from which Put uses a multipart upload: 100 MiB, where AWS
	// recommends to consider one.
	DefaultMultipartThreshold = 100 << 20
	// MinPartSize is the least size of a part in bytes, except of the last: 5 MiB.
	MinPartSize = 5 << 20
	// DefaultPartSize is the size of the parts of Put, in bytes: 64 MiB.
	DefaultPartSize = 64 << 20
	// DefaultRegion is the Region of the clients.
	DefaultRegion = "us-east-1"
	// shutdownTimeout is how long requests may take to end when the server is closed.
	shutdownTimeout = 5 * time.Second
	// localCredential is what the server's own client signs with; no request is authenticated.
	localCredential = "local"
)

// Options says how the server is to be.
type Options struct {
	// Dir is where the directory for the bodies of objects is made. It needs room for all of them. Default: the system's
	// directory for temporary files.
	Dir string
	// Buckets are made at the start.
	Buckets []Bucket
	// Region is the Region of the clients. Default: DefaultRegion.
	Region string
	// MultipartThreshold is the size in bytes from which Put uses a multipart upload, at most 5 GiB. Default:
	// DefaultMultipartThreshold.
	MultipartThreshold int64
	// PartSize is the size in bytes of the parts of Put, MinPartSize to 5 GiB. It grows if an object would have more
	// than 10,000 parts. Default: DefaultPartSize.
	PartSize int64
	// OnCreated is called once for each new version of an object, whichever client made it, after it can be read and
	// before the request of the client ends. It may be called concurrently, and must not wait for other requests.
	OnCreated func(Stored)
	// Authorize, if set, is asked about every request but those of the server's own client. An error is the message of a
	// 403 AccessDenied. It may be called concurrently. Whether an object that isn't there is reported as missing, it
	// decides as s3:ListBucket. Default: everybody may do everything.
	Authorize func(Access) error
	// OnNotImplemented, if set, is told of every request, but those of the server's own client, that is refused because this server hasn't
	// what it asks for, and of what that is. It may be called concurrently.
	OnNotImplemented func(who Access, what string)
	// Fault, if set, is asked about every request what is to go wrong. It may be called concurrently.
	Fault func(*http.Request) Fault
}

// Bucket is a bucket to make.
type Bucket struct {
	// Name follows the naming rules of S3.
	Name string
	// Versioned turns versioning on.
	Versioned bool
}

// Stored is a version of an object as an event about it needs it.
type Stored struct {
	// Bucket and Key say where it is; Key is not encoded.
	Bucket, Key string
	// VersionID is empty in a bucket without versioning.
	VersionID string
	// ETag has no quotes.
	ETag string
	// Size is in bytes.
	Size int64
	// CRC64NVME is the CRC-64/NVME of the whole object, in base64 as S3 shows it.
	CRC64NVME string
	// Sequencer is hexadecimal, of fixed width, and greater for every later version.
	Sequencer string
	// Reason is the request that made it: "PutObject", "POST Object", "CopyObject" or "CompleteMultipartUpload".
	Reason string
	// Type is its Content-Type.
	Type string
	// Time is when it was made.
	Time time.Time
	// AccessKeyID and SessionToken are whose credentials signed the request that made it; empty for the server's own client.
	AccessKeyID, SessionToken string
	// RequestID is the id of the request that made it, SourceIPAddress where that came from.
	RequestID, SourceIPAddress string
}

// Server is a running S3 server. It is safe for concurrent use.
type Server struct {
	options  Options
	store    *store
	endpoint string
	client   *s3.Client
	requests atomic.Uint64

	http      *http.Server
	transport *http.Transport
	served    chan struct{}
	cancel    context.CancelFunc
	detach    func() bool
	gate      sync.RWMutex
	once      sync.Once
	closeErr  error
}

// Start starts a server on a free port of 127.0.0.1. It runs until Close is called or the context ends. The error
// matches ErrInvalidOptions if an option is wrong.
func Start(ctx context.Context, options Options) (*Server, error) {
	options.Region = cmp.Or(options.Region, DefaultRegion)
	options.MultipartThreshold = cmp.Or(options.MultipartThreshold, DefaultMultipartThreshold)
	options.PartSize = cmp.Or(options.PartSize, DefaultPartSize)
	if err := options.validate(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(options.Dir, "objectstore")
	if err != nil {
		return nil, fmt.Errorf("making a directory for the objects: %w", err)
	}

	s := &Server{options: options, store: newStore(dir), served: make(chan struct{})}
	for _, b := range options.Buckets {
		if err := s.CreateBucket(b); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening a port for the object store: %w", err), os.RemoveAll(dir))
	}
	s.endpoint = "http://" + listener.Addr().String()
	s.transport = &http.Transport{MaxIdleConnsPerHost: 16}
	s.client = s.newClient()

	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.cancel = cancel
	s.http = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: time.Minute,
		BaseContext:       func(net.Listener) context.Context { return base },
	}
	go func() {
		defer close(s.served)
		// It ends when Close closes the server.
		_ = s.http.Serve(listener)
	}()
	s.detach = context.AfterFunc(ctx, func() { _ = s.shutdown(context.WithoutCancel(ctx)) })
	return s, nil
}

func (o Options) validate() error {
	var wrong []error
	if o.MultipartThreshold < 0 || o.MultipartThreshold > maxPutBytes {
		wrong = append(wrong, fmt.Errorf("%w: MultipartThreshold must be from 0 to %d", ErrInvalidOptions, int64(maxPutBytes)))
	}
	if o.PartSize < MinPartSize || o.PartSize > maxPutBytes {
		wrong = append(wrong, fmt.Errorf("%w: PartSize must be from %d to %d", ErrInvalidOptions, MinPartSize, int64(maxPutBytes)))
	}
	return errors.Join(wrong...)
}

// Endpoint is the URL of the server, for AWS_ENDPOINT_URL_S3: the AWS SDKs address buckets by path at an IP address.
func (s *Server) Endpoint() string { return s.endpoint }

// Client returns a client of the server with the SDK's defaults: it sends a CRC32 with every object and verifies the
// checksum of what it reads.
func (s *Server) Client() *s3.Client { return s.client }

// Has reports whether an object can be read: its current version is there, and is no delete marker.
func (s *Server) Has(bucket, key string) bool {
	v, err := s.store.find(bucket, key, "")
	return err == nil && !v.deleteMarker
}

func (s *Server) newClient() *s3.Client {
	return s3.NewFromConfig(aws.Config{
		BaseEndpoint: aws.String(s.endpoint),
		Region:       s.options.Region,
		Credentials:  credentials.NewStaticCredentialsProvider(localCredential, localCredential, ""),
		HTTPClient:   &http.Client{Transport: s.transport},
		// The SDK would write to stderr about every read of a part, which has no checksum.
		Logger: logging.Nop{},
		// These are the defaults of the SDK's configuration, which is not loaded here: it would read the developer's.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
	})
}

// CreateBucket makes a bucket. The error matches ErrInvalidOptions if the name is no bucket name or is taken.
func (s *Server) CreateBucket(b Bucket) error {
	if err := gofakes3.ValidateBucketName(b.Name); err != nil {
		return fmt.Errorf("%w: bucket %q: %w", ErrInvalidOptions, b.Name, err)
	}
	if err := s.store.createBucket(b.Name); err != nil {
		return fmt.Errorf("%w: bucket %q: %w", ErrInvalidOptions, b.Name, err)
	}
	if !b.Versioned {
		return nil
	}
	return s.store.setVersioning(b.Name, gofakes3.VersioningEnabled)
}

// Close ends the server: requests under way have a few seconds to end, then their connections are closed. It removes
// everything stored. It may be called more than once.
func (s *Server) Close() error {
	s.detach()
	return s.shutdown(context.Background())
}

func (s *Server) shutdown(ctx context.Context) error {
	s.once.Do(func() {
		// Requests that stall on purpose end with this.
		s.cancel()
		s.transport.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(ctx, shutdownTimeout)
		defer cancel()
		if err := s.http.Shutdown(ctx); err != nil {
			_ = s.http.Close()
		}
		<-s.served
		s.gate.Lock()
		defer s.gate.Unlock()
		if err := os.RemoveAll(s.store.dir); err != nil {
			s.closeErr = fmt.Errorf("removing the objects: %w", err)
		}
	})
	return s.closeErr
}
