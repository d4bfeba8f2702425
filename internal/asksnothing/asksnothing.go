// Package asksnothing keeps the program from asking the terminal for its background colour as it starts.
//
// Bubble Tea, which the Pulumi SDK imports, asks in its init function and waits 5 s for a terminal that doesn't answer, even for --help,
// and takes what is typed meanwhile. It asks nothing where the answer is known, so this package gives one: no output has colours.
//
// Package initialization goes by import path, of those packages whose imports are initialized: this path comes before Bubble Tea's.
// https://go.dev/ref/spec#Program_initialization
package asksnothing

import "github.com/charmbracelet/lipgloss"

func init() { lipgloss.SetHasDarkBackground(true) }
