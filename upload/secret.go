package upload

import (
	"context"
	"errors"
	"fmt"
)

// ErrNoSecret is the error of [Secret] for a name that the configuration key secrets doesn't have.
var ErrNoSecret = errors.New("there is no such secret: name it in the configuration key secrets")

// Secret is the value of a secret that the configuration key secrets names, as Secrets Manager or Parameter Store has it. It isn't older
// than 15 minutes, so a processor asks for it when it needs it, and doesn't keep it: that it changed, it learns by asking again.
//
// An error is [ErrNoSecret], or an [Error] of AWS's, which says nothing of the value.
func Secret(ctx context.Context, name string) (string, error) {
	get, _ := ctx.Value(secretsKey{}).(func(ctx context.Context, name string) (string, error))
	if get == nil {
		return "", fmt.Errorf("%q: %w", name, ErrNoSecret)
	}
	return get(ctx, name)
}

// WithSecrets gives [Secret] its values, for whoever runs a processor: package worker, or a test.
func WithSecrets(ctx context.Context, get func(ctx context.Context, name string) (string, error)) context.Context {
	return context.WithValue(ctx, secretsKey{}, get)
}

type secretsKey struct{}
