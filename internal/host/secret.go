package host

import (
	"context"
	"encoding/json"

	"example.com/upload-router/internal/host/secrets"
	"example.com/upload-router/upload"
)

// withSecrets gives a processor the secrets that the environment names, read before it begins. Without any it is left as it is.
func withSecrets(process Processor, lookup func(string) (string, bool)) Processor {
	held, err := secrets.FromEnvironment(lookup)
	if held == nil && err == nil {
		return process
	}
	return func(ctx context.Context, in *upload.Input, out *upload.Output) (json.RawMessage, error) {
		if err != nil {
			return nil, err
		}
		ctx, err := held.Context(ctx)
		if err != nil {
			return nil, err //nolint:wrapcheck // It names the secret.
		}
		return process(ctx, in, out)
	}
}
