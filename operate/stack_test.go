package operate_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/operate"
)

func TestAStacksNameIsOneOfPulumis(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a b", "é", strings.Repeat("a", 101), "a/b/c/d", "/dev", "dev/"} {
		_, err := operate.OpenStack(t.Context(), operate.StackOptions{Name: name})
		require.ErrorIs(t, err, operate.ErrInput, name)
		_, err = operate.CreateStack(t.Context(), operate.StackOptions{Name: name})
		require.ErrorContains(t, err, "can't be a stack's name", name)
	}
}
