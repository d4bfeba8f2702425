// Package secrets reads what a processor is given of AWS Secrets Manager and of Systems Manager's Parameter Store, at the host's start and
// again when it is 15 minutes old. Values are kept in memory only: they are in no log, no error and no variable of the host's.
package secrets

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"example.com/upload-router/upload"
)

// Environment is the variable by which the stack tells the host of the secrets: a JSON object with the ARN of each by its name. Empty or
// unset means that there are none.
const Environment = "UPLOAD_SECRETS"

// maxAge is how old a value may be.
const maxAge = 15 * time.Minute

// Secrets are the values by their names. They are safe for concurrent use.
type Secrets struct {
	arns  map[string]string
	fetch func(ctx context.Context, arn string) (string, error)
	now   func() time.Time

	mu     sync.Mutex
	values map[string]string
	read   time.Time
}

// FromEnvironment reads which secrets there are; lookup is [os.LookupEnv] in a real host. It gives nil if there are none.
func FromEnvironment(lookup func(string) (string, bool)) (*Secrets, error) {
	text, _ := lookup(Environment)
	if text == "" {
		return nil, nil //nolint:nilnil // There are none, which is no error.
	}
	var arns map[string]string
	if err := json.Unmarshal([]byte(text), &arns); err != nil {
		err = fmt.Errorf("the environment variable %s isn't an object of ARNs: %w", Environment, err)
		return nil, &upload.Error{Code: upload.Invalid, Err: err}
	}
	return &Secrets{arns: arns, fetch: newClient(lookup).fetch, now: time.Now}, nil
}

// Context gives a processor the secrets, all of which have been read then. Nil Secrets give none.
func (s *Secrets) Context(ctx context.Context) (context.Context, error) {
	if s == nil {
		return ctx, nil
	}
	if _, err := s.All(ctx); err != nil {
		return ctx, err
	}
	return context.WithValue(upload.WithSecrets(ctx, s.get), contextKey{}, s), nil
}

type contextKey struct{}

// Of are the values that [Secrets.Context] gave, by their names, for the environment of a program; nil if it gave none. An error is an
// [upload.Error].
func Of(ctx context.Context) (map[string]string, error) {
	s, _ := ctx.Value(contextKey{}).(*Secrets)
	if s == nil {
		return nil, nil //nolint:nilnil // There are none, which is no error.
	}
	return s.All(ctx)
}

func (s *Secrets) get(ctx context.Context, name string) (string, error) {
	all, err := s.All(ctx)
	if err != nil {
		return "", err
	}
	value, ok := all[name]
	if !ok {
		return "", fmt.Errorf("%q: %w", name, upload.ErrNoSecret)
	}
	return value, nil
}

// All are the values by their names. If they can't be read again, those that are there go on to count:
// what was rotated says so itself, and AWS keeps the earlier version for that long.
//
// An error is an [upload.Error].
func (s *Secrets) All(ctx context.Context) (map[string]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.values != nil && s.now().Sub(s.read) < maxAge {
		return maps.Clone(s.values), nil
	}
	values := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(s.arns)) {
		value, err := s.fetch(ctx, s.arns[name])
		if err != nil && s.values != nil && ctx.Err() == nil {
			upload.Logger(ctx).LogAttrs(ctx, slog.LevelWarn, "secrets can't be read again; those of before go on to count",
				slog.String("cause", upload.MessageOf(err)))
			s.read = s.now().Add(time.Minute - maxAge) // and a minute later again
			return maps.Clone(s.values), nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading the secret %s: %w", name, err)
		}
		values[name] = value
	}
	s.values, s.read = values, s.now()
	return maps.Clone(values), nil
}
