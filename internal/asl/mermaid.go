package asl

import (
	"fmt"
	"strings"
)

// maxLabel is the most characters of an edge's label in a diagram.
const maxLabel = 60

func catchLabel(names []string) string { return "catch " + strings.Join(names, ", ") }

// Mermaid draws the machine as a stateDiagram-v2, which GitHub renders inside a mermaid code block. The text is the same for
// equal machines: states come in the order of their distance from StartAt. States that cannot be reached are left out. In a Map are the
// states of its ItemProcessor.
func Mermaid(m *Machine) string {
	d := diagram{}
	d.line("", "stateDiagram-v2")
	d.machine(m, "    ")

	return d.text.String()
}

// diagram is one that is being drawn.
type diagram struct {
	text strings.Builder
	// drawn counts the states, for their names in the diagram.
	drawn int
}

func (d *diagram) line(indent, format string, args ...any) {
	d.text.WriteString(indent + fmt.Sprintf(format, args...) + "\n")
}

// machine draws the states of a machine, or of the Map that they are in.
func (d *diagram) machine(m *Machine, indent string) {
	names, transitions := m.Graph()
	ids := map[string]string{"": "[*]"}

	for _, name := range names {
		d.drawn++
		ids[name] = fmt.Sprintf("s%d", d.drawn)
		d.line(indent, "state \"%s\" as %s", diagramText(name), ids[name])
	}

	if len(names) > 0 {
		d.line(indent, "[*] --> %s", ids[m.StartAt])
	}

	for _, t := range transitions {
		d.line(indent, "%s", diagramEdge(ids[t.From], ids[t.To], t.Label))
	}

	for _, name := range names {
		if mapped, ok := m.States[name].(*Map); ok && mapped.ItemProcessor != nil {
			d.line(indent, "state %s {", ids[name])
			d.machine(mapped.ItemProcessor.machine(), indent+"    ")
			d.line(indent, "}")
		}
	}
}

func endsExecution(state State) bool {
	switch s := state.(type) {
	case *Task:
		return s.End
	case *Pass:
		return s.End
	case *Wait:
		return s.End
	case *Map:
		return s.End
	case *Succeed, *Fail:
		return true
	default:
		return false
	}
}

func diagramEdge(from, to, label string) string {
	if label == "" {
		return fmt.Sprintf("%s --> %s", from, to)
	}

	if runes := []rune(label); len(runes) > maxLabel {
		label = string(runes[:maxLabel-3]) + "..."
	}

	return fmt.Sprintf("%s --> %s: %s", from, to, diagramText(label))
}

// diagramText replaces the characters that have a meaning in the diagram's syntax by its character codes.
func diagramText(text string) string {
	return strings.NewReplacer(
		"#", "#35;", ";", "#59;", ":", "#58;", `"`, "#quot;", "<", "#lt;", ">", "#gt;",
		"{", "#123;", "}", "#125;", "\\", "#92;", "\r", "", "\n", " ", "\t", " ",
	).Replace(text)
}
