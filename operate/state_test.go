package operate_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/operate"
)

// Pulumi's words for a state that another update is writing, by its backend of files.
var errHalfWritten = errors.New("exit status 255: failed to load checkpoint: EOF")

func TestAStateThatIsHalfWrittenIsReadAgain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answers []error
		want    error
	}{
		"whole":              {[]error{nil}, nil},
		"half written, once": {[]error{errHalfWritten, nil}, nil},
		"broken":             {[]error{errHalfWritten, errHalfWritten, errHalfWritten, errHalfWritten, errHalfWritten}, errHalfWritten},
		"refused":            {[]error{operate.ErrLocked}, operate.ErrLocked},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			_, err := operate.ReadState(t.Context(), func(context.Context) (int, error) {
				asked++
				return 0, test.answers[asked-1]
			})
			require.ErrorIs(t, err, test.want)
			require.Equal(t, len(test.answers), asked)
		})
	}
}
