package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

const (
	bucket = "bench"
	region = "eu-central-1"

	// Nobody's credentials: the server checks none.
	accessKeyID     = "bench"
	secretAccessKey = "bench-secret"

	// patternSize is what the content of an object repeats. It stays in the processor's cache, so that making the content costs nothing.
	patternSize = 1 << 20

	// niceness is how far the server stands back from the contestants.
	niceness = "10"
)

// network is what lies between the server and the contestants.
type network struct {
	Name string `json:"name"`
	// Latency is the time to the first byte of an answer.
	Latency time.Duration `json:"latency"`
	// BytesPerSecond is what one connection gives; 0 for all it can.
	BytesPerSecond int64 `json:"bytesPerSecond"`
}

// object is what the server has under a key.
type object struct {
	size   int64
	sha256 string
}

// server is a process that serves objects as S3 does, and tables as DynamoDB does; see [content] and [database]. It stands for other
// machines, but shares the processors with the contestants: so it has a lower priority than they, and gets what they leave.
type server struct {
	objects map[string]object
	address string
	// tables is the address of its DynamoDB, tablesMade how many tables that was asked for.
	tables     string
	tablesMade int
	process    *exec.Cmd
	input      io.Closer // Its end ends the process.
}

// newPattern is text of 1 MiB: lines of different lengths, so that there is something to count.
func newPattern() []byte {
	var text strings.Builder
	for i := 0; text.Len() < patternSize; i++ {
		fmt.Fprintf(&text, "%d,%x,%s\n", i, sha256.Sum256([]byte(strconv.Itoa(i))), strings.Repeat("x", i%60))
	}
	return []byte(text.String())[:patternSize]
}

// repeat writes the pattern over and over again, so many bytes of it.
func repeat(to io.Writer, pattern []byte, size int64) {
	for left := size; left > 0; left -= patternSize {
		_, _ = to.Write(pattern[:min(left, patternSize)]) // A hash never fails.
	}
}

// newServer starts a server.
func newServer(ctx context.Context, what serving) (*server, error) {
	s := &server{objects: map[string]object{}}
	pattern := newPattern()
	for key, size := range what.Sizes {
		sha := sha256.New()
		repeat(sha, pattern, size)
		s.objects[key] = object{size, hex.EncodeToString(sha.Sum(nil))}
	}
	command := []string{executable()}
	if nice, err := exec.LookPath("nice"); err == nil {
		command = append([]string{nice, "-n", niceness}, command...)
	}
	s.process = exec.CommandContext(ctx, command[0], command[1:]...)
	s.process.Env = append(os.Environ(), environmentChild+"="+childServer)
	s.process.Stderr = os.Stderr
	input, err := s.process.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the server: %w", err)
	}
	s.input = input
	output, err := s.process.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the server: %w", err)
	}
	if err := s.process.Start(); err != nil {
		return nil, fmt.Errorf("starting the server: %w", err)
	}
	if err := json.NewEncoder(input).Encode(what); err != nil {
		s.close()
		return nil, fmt.Errorf("telling the server what to do: %w", err)
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		s.close()
		return nil, fmt.Errorf("reading the server's addresses: %w", err)
	}
	s.address, s.tables, _ = strings.Cut(strings.TrimSpace(line), " ")
	return s, nil
}

func (s *server) url() string { return "http://" + s.address }

func (s *server) close() {
	_ = s.input.Close()
	_ = s.process.Wait() // It has nothing to say any more.
}
