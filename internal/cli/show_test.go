package cli

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// What is asked for by `logs` is a key, unless it has the form of an execution's name.
func TestExecutionsAreToldFromKeys(t *testing.T) {
	t.Parallel()
	const id, other = "0f6c1b5e-8f7e-4d0e-9d39-6b0b0f6c2a11", "b5c1d3e7-0a2f-4f3c-8a51-7d8f0e2b9c44"
	for text, want := range map[string]bool{
		id:                                    true,
		id + "_" + other:                      true,
		id + "-r1":                            true,
		id + "_" + other + "-r12":             true,
		"replay-" + id:                        true,
		"replay-" + id + "-r1":                true,
		"replay-0123456789abcdef0123456789ab": false,
		"replay-0123456789abcdef0123456789abcdef":                          true,
		"arn:aws:states:eu-central-1:123456789012:execution:machine:" + id: true,
		"arn:aws:s3:::uploads/" + id:                                       false,
		"report.pdf":                                                       false,
		"2026/" + id:                                                       false,
		id + ".csv":                                                        false,
		id + "-report":                                                     false,
	} {
		assert.Equal(t, want, isExecution(text), text)
	}
}
