package diagram_test

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/diagram"
)

type box struct{ x, y, width, height float64 }

// read takes boxes and texts out of a drawing.
func read(t *testing.T, svg string) (boxes []box, texts []string) {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(svg))
	inText := false
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return boxes, texts
		}
		require.NoError(t, err, "it is well-formed XML")
		switch e := token.(type) {
		case xml.StartElement:
			inText = e.Name.Local == "text"
			if e.Name.Local != "rect" {
				continue
			}
			values := map[string]float64{}
			for _, a := range e.Attr {
				values[a.Name.Local], _ = strconv.ParseFloat(a.Value, 64)
			}
			if values["rx"] > 0 {
				boxes = append(boxes, box{values["x"], values["y"], values["width"], values["height"]})
			}
		case xml.CharData:
			if inText {
				texts = append(texts, string(e))
			}
		case xml.EndElement:
			inText = false
		}
	}
}

func TestSVGShowsEveryStateApart(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/state-machine.json")
	require.NoError(t, err)
	machine, err := asl.Parse(text)
	require.NoError(t, err)
	svg := diagram.SVG(machine)
	require.Equal(t, svg, diagram.SVG(machine), "the same machine gives the same text")
	boxes, texts := read(t, svg)
	require.Len(t, boxes, len(machine.States))
	for name := range machine.States {
		require.Contains(t, texts, name)
	}
	for i, a := range boxes {
		require.GreaterOrEqual(t, a.x, 0.0)
		for _, b := range boxes[i+1:] {
			apart := a.x+a.width <= b.x || b.x+b.width <= a.x || a.y+a.height <= b.y || b.y+b.height <= a.y
			require.True(t, apart, "%v and %v overlap", a, b)
		}
	}
}

func TestSVGTakesLoopsAndOddNames(t *testing.T) {
	t.Parallel()
	const odd = `"A" <b> & c`
	svg := diagram.SVG(&asl.Machine{StartAt: odd, States: map[string]asl.State{
		odd:    &asl.Choice{Choices: []asl.Rule{{Variable: "$.x", Operator: asl.IsPresent, Value: true, Next: "Wait"}}, Default: "Done"},
		"Wait": &asl.Wait{Seconds: new(1), Next: odd}, "Done": &asl.Succeed{},
	}})
	boxes, texts := read(t, svg)
	require.Len(t, boxes, 3)
	require.Contains(t, texts, odd)
	require.Contains(t, svg, "marker-start", "the way back has its arrow at its beginning")
}
