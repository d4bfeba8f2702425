package upload

import "io"

// Input is the object that a [Func] processes: the very version that fired the event, as a stream, and by ranges.
//
// Read streams it once, in order and in constant memory. Once it was used all of the object is read and verified, after the Func if not by
// it: nothing of a run counts unless the object has the announced size and, where S3 stores one for the whole object, its checksum.
//
// ReadAt reads ranges of the same version, for formats with an index, such as ZIP: zip.NewReader(in, in.Size()). A run that used nothing
// but ReadAt isn't verified beyond that: what it didn't read it doesn't read either, and S3 stores no checksum of a range. Its record in
// the ledger and its answer say so, as "verified": "ranges".
//
// Read must not be called by two goroutines at a time. ReadAt may, and beside Read.
type Input struct {
	object  func() Object
	content content
}

type content interface {
	io.Reader
	io.ReaderAt
}

// NewInput makes the input of a [Func], for whoever runs one: package worker, or a test, as with
//
//	upload.NewInput(upload.Object{Key: "a.txt", Size: 5}, strings.NewReader("hello"))
//
// A content that has a method Object() Object is asked by it for the object, as that of the worker learns of the object by reading it.
func NewInput(object Object, content interface {
	io.Reader
	io.ReaderAt
},
) *Input {
	in := &Input{object: func() Object { return object }, content: content}
	if told, ok := content.(interface{ Object() Object }); ok {
		in.object = told.Object
	}
	return in
}

// Object is the object: as the event announced it, and once something has been read, with what S3 answered besides, as its checksum.
func (in *Input) Object() Object { return in.object() }

// Size is the object's size in bytes.
func (in *Input) Size() int64 { return in.object().Size }

// Read reads on in the object. [io.EOF] is returned for a verified object only; every other error is an [Error], and is returned again by
// every later Read.
func (in *Input) Read(p []byte) (int, error) {
	return in.content.Read(p) //nolint:wrapcheck // It is io.EOF, or says it all.
}

// ReadAt reads the bytes from off on. It asks S3 for a megabyte and more at a time and keeps some of them, so that small reads cost
// little. As io.ReaderAt demands, it returns an error if there are fewer than len(p) bytes: [io.EOF] at the object's end, else an [Error].
func (in *Input) ReadAt(p []byte, off int64) (int, error) {
	return in.content.ReadAt(p, off) //nolint:wrapcheck // It is io.EOF, or says it all.
}
