package policy

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/access"
	"example.com/upload-router/components/location"
)

// Processor is what a processor does for itself, wherever it runs. What is nil or empty it doesn't do.
type Processor struct {
	access.Access

	At location.Location
	// LogGroupARN is the log group that it writes to.
	LogGroupARN pulumi.StringInput
	// Traces are the actions by which it sends traces.
	Traces []string
}

// Grant gives the role of a name these permissions, by an inline policy for each purpose, whose name begins with the name given.
func (p Processor) Grant(ctx *pulumi.Context, parent pulumi.Resource, name string, role pulumi.StringInput) ([]pulumi.Resource, error) {
	granted, err := Grants(ctx, parent, name, role, p.statements())
	if err != nil || p.Permissions == "" {
		return granted, err
	}
	own, err := Attach(ctx, parent, name+"-permissions", role, p.Permissions)
	if err != nil {
		return nil, fmt.Errorf("granting the processor's own permissions: %w", err)
	}
	return append(granted, own), nil
}

// statements are the permissions by their purposes.
func (p Processor) statements() map[string][]Statement {
	statements := map[string][]Statement{}
	if p.LogGroupARN != nil {
		statements["logs"] = []Statement{WriteLogs(p.LogGroupARN)}
	}
	if p.TableARN != nil {
		statements["ledger"] = UseLedger(p.At, p.TableARN, p.TableName, p.TableKMSKeyARN)
	}
	if p.OutputBucketARN != nil {
		statements["output"] = WriteOutputs(p.At, p.OutputBucketARN, p.OutputPrefix, p.OutputKMSKeyARN)
	}
	if reads := ReadSecrets(p.At, p.SecretARNs, p.ParameterARNs, p.SecretKMSKeyARNs); reads != nil {
		statements["secrets"] = reads
	}
	if len(p.Traces) > 0 {
		statements["tracing"] = []Statement{SendTraces(p.Traces...)}
	}
	return statements
}
