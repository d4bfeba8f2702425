package asl

import (
	"fmt"
	"strings"
)

// maxLabel is the most characters of an edge's label in a diagram.
const maxLabel = 60

func catchLabel(names []string) string { return "catch " + strings.Join(names, ", ") }

// Mermaid draws the machine as a stateDiagram-v2, which GitHub renders inside a mermaid code block. The text is the same for
// equal machines: states come in the order of their distance from StartAt. States that cannot be reached are left out.
func Mermaid(m *Machine) string {
	names, transitions := m.Graph()
	ids := map[string]string{"": "[*]"}

	var b strings.Builder

	b.WriteString("stateDiagram-v2\n")

	for i, name := range names {
		ids[name] = fmt.Sprintf("s%d", i+1)
		fmt.Fprintf(&b, "    state \"%s\" as %s\n", diagramText(name), ids[name])
	}

	if len(names) > 0 {
		fmt.Fprintf(&b, "    [*] --> %s\n", ids[m.StartAt])
	}

	for _, t := range transitions {
		b.WriteString(diagramEdge(ids[t.From], ids[t.To], t.Label))
	}

	return b.String()
}

func endsExecution(state State) bool {
	switch s := state.(type) {
	case *Task:
		return s.End
	case *Pass:
		return s.End
	case *Wait:
		return s.End
	case *Succeed, *Fail:
		return true
	default:
		return false
	}
}

func diagramEdge(from, to, label string) string {
	if label == "" {
		return fmt.Sprintf("    %s --> %s\n", from, to)
	}

	if runes := []rune(label); len(runes) > maxLabel {
		label = string(runes[:maxLabel-3]) + "..."
	}

	return fmt.Sprintf("    %s --> %s: %s\n", from, to, diagramText(label))
}

// diagramText replaces the characters that have a meaning in the diagram's syntax by its character codes.
func diagramText(text string) string {
	return strings.NewReplacer(
		"#", "#35;", ";", "#59;", ":", "#58;", `"`, "#quot;", "<", "#lt;", ">", "#gt;",
		"{", "#123;", "}", "#125;", "\\", "#92;", "\r", "", "\n", " ", "\t", " ",
	).Replace(text)
}
