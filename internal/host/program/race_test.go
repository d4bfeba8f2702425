//go:build race

package program

// slower is how much slower a program of the tests is than it would be: it is the tests' binary, which the race detector watches.
const slower = 3
