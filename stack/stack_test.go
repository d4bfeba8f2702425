package stack_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"upload-router/internal/declared"
	"upload-router/stack"
)

func TestX(t *testing.T) {
	s, err := declared.Evaluate(stack.Program, declared.Options{})
	require.NoError(t, err)
	for _, r := range s.Resources {
		t.Log(r.Type, r.Name)
	}
	m, _ := s.Only("aws:sfn/stateMachine:StateMachine")
	t.Log(m.Text("definition"))
	t.Log(s.Outputs)
}
