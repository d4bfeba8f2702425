package runtimeapi

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"sync"
)

// logPipe collects what a process writes. The process inherits the write end as stdout and stderr, and this side keeps
// it too: a mark written into it comes out after everything the process wrote before, so that the log of an invocation
// is complete when its answer is, without waiting for a time that may be too short.
type logPipe struct {
	reader, writer *os.File
	forward        io.Writer
	limit          int
	mark           []byte
	marked         chan struct{}
	done           chan struct{}

	mu   sync.Mutex
	tail []byte
}

func newLogPipe(forward io.Writer, limit int) (*logPipe, error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("opening the log pipe: %w", err)
	}
	p := &logPipe{
		reader: reader, writer: writer, forward: forward, limit: limit,
		mark:   []byte("\x00mark " + rand.Text() + "\x00"),
		marked: make(chan struct{}),
		done:   make(chan struct{}),
	}
	go p.read()
	return p, nil
}

// read runs until the pipe is closed.
func (p *logPipe) read() {
	defer close(p.done)
	buffer := make([]byte, 32<<10)
	var pending []byte
	for {
		n, err := p.reader.Read(buffer)
		pending = p.consume(append(pending, buffer[:n]...))
		if err != nil {
			p.emit(pending)
			return
		}
	}
}

// consume emits data, answers the marks in it and returns the end of it that may be the beginning of a mark.
func (p *logPipe) consume(data []byte) []byte {
	for {
		at := bytes.Index(data, p.mark)
		if at < 0 {
			break
		}
		p.emit(data[:at])
		p.marked <- struct{}{}
		data = data[at+len(p.mark):]
	}

	keep := min(len(data), len(p.mark)-1)
	for keep > 0 && !bytes.HasPrefix(p.mark, data[len(data)-keep:]) {
		keep--
	}
	p.emit(data[:len(data)-keep])
	return bytes.Clone(data[len(data)-keep:])
}

func (p *logPipe) emit(data []byte) {
	if len(data) == 0 {
		return
	}
	// A writer that fails loses its copy; the invocation must not fail for it.
	_, _ = p.forward.Write(data)

	p.mu.Lock()
	defer p.mu.Unlock()
	p.tail = append(p.tail, data...)
	if len(p.tail) > 2*p.limit {
		p.tail = bytes.Clone(p.tail[len(p.tail)-p.limit:])
	}
}

// take returns, and forgets, the end of what the process wrote until now.
func (p *logPipe) take() []byte {
	if _, err := p.writer.Write(p.mark); err == nil {
		select {
		case <-p.marked:
		case <-p.done:
		}
	}

	p.mu.Lock()
	defer p.mu.Unlock()
	logs := p.tail
	p.tail = nil
	return logs[max(0, len(logs)-p.limit):]
}

// close ends the reading, even if something the process started still holds the pipe.
func (p *logPipe) close() {
	_ = p.writer.Close()
	_ = p.reader.Close()
	<-p.done
}

// syncWriter lets several processes share a writer.
type syncWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *syncWriter) Write(data []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(data)
}
