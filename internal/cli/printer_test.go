package cli

import (
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stackOf is the stack of a function that panics, as whoever recovers it has it.
func stackOf(panics func()) (stack string) {
	defer func() {
		_ = recover()
		stack = string(debug.Stack())
	}()
	panics()
	return ""
}

// A panic's place is the processor's own line, whether it panicked itself or the runtime did.
func TestPanicPlace(t *testing.T) {
	t.Parallel()
	var none *int
	for name, panics := range map[string]func(){
		"its own":       func() { panic("because") },
		"the runtime's": func() { *none = 1 },
	} {
		place := panicPlace(stackOf(panics))
		require.Regexp(t, `/printer_test\.go:[0-9]+$`, place, name)
	}
	assert.Empty(t, panicPlace(string(debug.Stack())))
	assert.Empty(t, panicPlace(""))
}

// Of a crash the line that says what it was is shown: the end of a log is the end of its stack.
func TestTellingLines(t *testing.T) {
	t.Parallel()
	crash := []string{
		"starts", "panic: because", "", "goroutine 7 [running]:", "main.f()", "\t/src/main.go:7 +0x1", "main.g()", "\t/src/main.go:9",
		"exit status 2",
	}
	require.Equal(t, crash[1:6], tellingLines(crash))
	require.Equal(t, []string{"b", "c", "d"}, tellingLines([]string{"a", "b", "c", "d"}))
	require.Equal(t, []string{"fatal error: all goroutines are asleep - deadlock!"},
		tellingLines([]string{"a", "fatal error: all goroutines are asleep - deadlock!"}))
	require.Empty(t, tellingLines(nil))
}
