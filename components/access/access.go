// Package access is what a processor may do besides reading the upload, wherever it runs: plain values, that the function and the task are
// given alike.
package access

import "github.com/pulumi/pulumi/sdk/v3/go/pulumi"

// Access is what a processor gets to use. What is nil or empty it doesn't.
type Access struct {
	// TableARN is the ledger's table, which it gets to write; TableName is the table's name, and TableKMSKeyARN the customer managed key that
	// encrypts it, or nil.
	TableARN, TableName, TableKMSKeyARN pulumi.StringInput
	// OutputBucketARN is the bucket that it gets to write to, keys that begin with OutputPrefix; OutputKMSKeyARN is the customer managed
	// key that these objects are encrypted with, or nil.
	OutputBucketARN pulumi.StringInput
	OutputPrefix    string
	OutputKMSKeyARN pulumi.StringInput
	// SecretARNs are secrets of Secrets Manager, and ParameterARNs parameters of Systems Manager, that it gets to read; SecretKMSKeyARNs
	// are the customer managed keys that they are encrypted with.
	SecretARNs, ParameterARNs, SecretKMSKeyARNs []string
	// Permissions are what it may do besides, as a policy document.
	Permissions string
}
