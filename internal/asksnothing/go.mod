// A module of its own only for its path: Go initializes packages in the order of their import paths, and this one must come before
// github.com/charmbracelet/bubbletea.
module asks-nothing

go 1.26.6

require github.com/charmbracelet/lipgloss v1.1.0
