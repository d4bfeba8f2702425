package local

import (
	"strings"

	"example.com/upload-router/internal/objectstore"
)

// Store is the local S3, for tests that change objects behind the Router's back.
func (r *Router) Store() *objectstore.Server { return r.store }

// Scratch is the Router's folder, which must be gone in the end.
func (r *Router) Scratch() string { return r.scratch }

// ReadDockerfile gives what a container of an image starts.
func ReadDockerfile(text, context string) (binary string, args []string, err error) {
	program, err := readDockerfile(strings.NewReader(text), context)
	return program.binary, program.args, err
}
