//go:build !race

package program

// slower is how much slower a program of the tests is than it would be.
const slower = 1
