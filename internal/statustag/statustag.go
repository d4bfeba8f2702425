// Package statustag is the tag of an uploaded version that says what became of it, for bucket policies and lifecycle rules, which see
// neither the ledger nor an execution. A version without it isn't processed yet, or its processing failed without a word of the worker's.
package statustag

import "example.com/upload-router/internal/ledger"

// Key is the tag's key. Where policies name it, its case doesn't count: the names of condition keys have none.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition.html
const Key = "upload-router-status"

// The tag's values.
const (
	// Succeeded is that the processor returned no error, and that its outputs are published.
	Succeeded = string(ledger.Succeeded)
	// Failed is that it returned one that another attempt wouldn't change.
	Failed = string(ledger.Failed)
)

// Values are all that the tag may have.
func Values() []string { return []string{Succeeded, Failed} }
