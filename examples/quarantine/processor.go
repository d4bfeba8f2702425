// Package processor looks for what must not get out of quarantine. A file in which it finds something fails, and so isn't tagged as
// succeeded, without which the bucket's policy lets nobody else read it.
package processor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"example.com/upload-router/upload"
)

// rules are what is looked for, by its name. The first is the test file of EICAR, which every scanner finds and which does nothing. Here it
// is in two pieces, or they would find it in this file, too.
//
// https://www.eicar.org/download-anti-malware-testfile/
var rules = map[string][]byte{
	"EICAR test file": []byte(`X5O!P%@AP[4\PZX54(P^)7CC)7}$` + `EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*`),
}

// bufferSize is how much is searched at a time.
const bufferSize = 1 << 20

// Result is what was looked for and not found.
type Result struct {
	Clean bool `json:"clean"`
	Rules int  `json:"rules"`
}

// Process reads all of the file, in constant memory.
func Process(_ context.Context, in *upload.Input, _ *upload.Output) (Result, error) {
	longest := 0
	for _, pattern := range rules {
		longest = max(longest, len(pattern))
	}
	buffer, kept := make([]byte, bufferSize), 0
	for {
		n, err := io.ReadFull(in, buffer[kept:])
		for name, pattern := range rules {
			if bytes.Contains(buffer[:kept+n], pattern) {
				return Result{}, fmt.Errorf("it isn't clean: rule %q", name)
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return Result{Clean: true, Rules: len(rules)}, nil
		} else if err != nil {
			return Result{}, fmt.Errorf("reading: %w", err)
		}
		kept = copy(buffer, buffer[kept+n-longest+1:]) // in which a pattern may begin
	}
}
