package diagram

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/asl"
)

// texts are a drawing's, in their order.
func texts(t *testing.T, svg string) []string {
	t.Helper()
	var all []string
	decoder := xml.NewDecoder(strings.NewReader(svg))
	inText := false
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err, "it is well-formed XML")
		switch e := token.(type) {
		case xml.StartElement:
			inText = e.Name.Local == "text"
		case xml.CharData:
			if inText {
				all = append(all, string(e))
			}
		case xml.EndElement:
			inText = false
		}
	}
}

func declared(t *testing.T) *asl.Machine {
	t.Helper()
	text, err := os.ReadFile("../../docs/state-machine.json")
	require.NoError(t, err)
	machine, err := asl.Parse(text)
	require.NoError(t, err)
	return machine
}

// looping has a way back over two states, odd names, and labels of several lines.
func looping() *asl.Machine {
	const odd = `"A" <b> & c`
	rule := func(comment, next string) asl.Rule {
		return asl.Rule{Variable: "$.x", Operator: asl.IsPresent, Value: true, Comment: comment, Next: next}
	}
	return &asl.Machine{Comment: "1 < 2", StartAt: odd, States: map[string]asl.State{
		odd:    &asl.Choice{Choices: []asl.Rule{rule(strings.Repeat("to wait ", 9), "Wait"), rule("broke", "Broken")}, Default: "Done"},
		"Wait": &asl.Wait{Seconds: new(1), Next: "Then"}, "Then": &asl.Wait{Seconds: new(1), Next: odd},
		"Done": &asl.Succeed{}, "Broken": &asl.Fail{},
	}}
}

func TestSVGShowsEveryStateWithStartEndAndTitle(t *testing.T) {
	t.Parallel()
	for _, machine := range []*asl.Machine{declared(t), looping()} {
		svg := SVG(machine)
		require.Equal(t, svg, SVG(machine), "the same machine gives the same text")
		shown := texts(t, svg)
		require.Equal(t, machine.Comment, shown[0])
		for _, text := range []string{"Start", "End"} {
			require.Contains(t, shown, text)
		}
		for name := range machine.States {
			require.Contains(t, shown, name)
		}
		require.Contains(t, svg, "prefers-color-scheme: dark")
		require.Contains(t, svg, "marker-start", "a way back has its arrow at its upper end")
	}
	require.Contains(t, texts(t, SVG(declared(t))), "ecs:runTask.sync", "a task shows what it calls")
}

// box is what a node covers.
type box struct{ left, top, right, bottom float64 }

func (n *node) covers() box {
	b := box{n.x - n.width/2, n.y - n.height/2, n.x + n.width/2, n.y + n.height/2}
	if n.kind == label {
		b.left += labelGap / 2 // its edge is on its left
	}
	return b
}

func (b box) meets(o box) bool {
	return b.left < o.right && o.left < b.right && b.top < o.bottom && o.top < b.bottom
}

// points are close to each other on an edge, as it is drawn.
func (e edge) points() [][2]float64 {
	const steps = 200
	var all [][2]float64
	for i, s := range e.segments {
		x0, y0, x3, y3 := s.from.x+s.out, s.from.y+s.from.height/2, s.to.x+s.in, s.to.y-s.to.height/2
		for step := range steps + 1 {
			u := float64(step) / steps
			v := 1 - u
			middle := (y0 + y3) / 2
			all = append(all, [2]float64{
				v*v*v*x0 + 3*v*v*u*x0 + 3*v*u*u*x3 + u*u*u*x3,
				v*v*v*y0 + 3*v*v*u*middle + 3*v*u*u*middle + u*u*u*y3,
			})
		}
		if i < len(e.segments)-1 { // and straight through the layer
			for y := y3; y < s.to.y+s.to.height/2; y++ {
				all = append(all, [2]float64{x3, y})
			}
		}
	}
	return all
}

// TestNothingLiesOnAnything has neither states, labels nor edges cover each other, but for an edge's two ends.
func TestNothingLiesOnAnything(t *testing.T) {
	t.Parallel()
	for name, machine := range map[string]*asl.Machine{"declared": declared(t), "looping": looping()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := build(machine)
			g.order()
			g.attach()
			g.place()
			g.stack()
			labels := 0
			for i, n := range g.nodes {
				if n.kind == bend {
					continue
				}
				if n.kind == label {
					labels++
				}
				require.GreaterOrEqual(t, n.covers().left, 0.0)
				for _, o := range g.nodes[i+1:] {
					require.False(t, o.kind != bend && n.covers().meets(o.covers()), "%s %q and %s %q", n.name, n.text, o.name, o.text)
				}
				for _, e := range g.edges {
					for _, at := range e.points() {
						b := n.covers()
						within := at[0] > b.left && at[0] < b.right && at[1] > b.top+0.01 && at[1] < b.bottom-0.01
						require.False(t, within, "an edge goes through %s %q at %v", n.name, n.text, at)
					}
				}
			}
			require.Positive(t, labels)
		})
	}
}

// TestAWayThatPassesLayersIsStraight holds what makes the picture calm: few edges bend where they pass by.
func TestAWayThatPassesLayersIsStraight(t *testing.T) {
	t.Parallel()
	g := build(declared(t))
	g.order()
	g.attach()
	g.place()
	bent, all := 0, 0
	for _, n := range g.nodes {
		if n.kind == bend {
			all++
			if s := n.down[0]; math.Abs(n.x-s.to.x-s.in) > 1 {
				bent++
			}
		}
	}
	require.Greater(t, all, 20)
	require.Less(t, bent, all/3)
}
