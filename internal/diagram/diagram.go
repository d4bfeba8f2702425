// Package diagram draws a state machine as SVG: layers from top to bottom, as the console shows it. The libraries that lay graphs
// out in general are many times the size of the whole command line; for a graph of twenty states that mostly runs one way,
// Sugiyama's steps in their simplest form do.
// https://en.wikipedia.org/wiki/Layered_graph_drawing
//
// A label is a node of its own, in a layer between those of the states: an edge
// that passes a layer does so at its own place, so that none crosses a label.
package diagram

import (
	"strings"

	"github.com/mattn/go-runewidth"
	"github.com/mitchellh/go-wordwrap"

	"example.com/upload-router/internal/asl"
)

// The measures, in pixels. A character's width is that of a wide sans serif, of which the texts of a narrower one need less.
const (
	nameChar     = 8.0
	labelChar    = 6.4
	labelLine    = 14.0 // from one line of a label to the next
	labelColumns = 32   // after which a label is broken
	labelGap     = 6.0  // from an edge to its label
	boxHeight    = 44.0
	boxPadding   = 14.0
	ovalHeight   = 26.0
)

// kind is what a node stands for.
type kind int

const (
	state kind = iota
	start
	end
	bend  // where an edge passes a layer
	label // the same, with the edge's label beside it
)

// node is what has a place in a layer.
type node struct {
	kind   kind
	name   string
	detail string // of a state: its type, or what a task calls
	class  string // of a state: its type, which gives it its colours
	text   []string
	layer  int
	width  float64
	height float64
	x, y   float64 // of the middle
	up     []*segment
	down   []*segment
}

// segment is the part of an edge from one layer to the next. It leaves and reaches its nodes this far from their middles.
type segment struct {
	from, to *node
	out, in  float64
}

// edge is a transition, by its segments from top to bottom.
type edge struct {
	segments []*segment
	back     bool // the arrow is at the upper end
	failure  bool
}

type graph struct {
	nodes  []*node
	layers [][]*node
	edges  []edge
}

// SVG draws a machine, under its comment as the title. The text is the same for equal machines.
func SVG(m *asl.Machine) string {
	g := build(m)
	g.order()
	g.attach()
	g.place()
	g.stack()
	return g.draw(m.Comment)
}

// transition is an edge before it has its place.
type transition struct {
	from, to *node
	label    string
	failure  bool
}

// build makes the nodes and their layers. An edge that leads back is laid out the other way round.
func build(m *asl.Machine) *graph {
	g := &graph{}
	transitions := g.transitions(m)
	back := backEdges(g.nodes[0], transitions)
	for i, t := range transitions {
		if back[[2]*node{t.from, t.to}] {
			transitions[i].from, transitions[i].to = t.to, t.from
		}
	}
	for range g.nodes { // as many rounds as the longest way can have
		for _, t := range transitions {
			t.to.layer = max(t.to.layer, t.from.layer+2) // one layer is the labels'
		}
	}
	for _, t := range transitions {
		g.connect(t, back[[2]*node{t.to, t.from}])
	}
	for _, n := range g.nodes {
		for len(g.layers) <= n.layer {
			g.layers = append(g.layers, nil)
		}
		g.layers[n.layer] = append(g.layers[n.layer], n)
	}
	return g
}

// transitions adds the states, and gives the ways between them, from the start and to the end. A state that follows itself has no place
// in layers; the definition has none.
func (g *graph) transitions(m *asl.Machine) []transition {
	oval := func(kind kind, name string) *node {
		return g.add(&node{kind: kind, name: name, width: nameChar*6 + boxPadding, height: ovalHeight})
	}
	names, ways := m.Graph()
	first := oval(start, "Start")
	nodes := map[string]*node{}
	for _, name := range names {
		n := &node{name: name, class: string(m.States[name].Type()), detail: detail(m.States[name]), height: boxHeight}
		n.width = max(nameChar*columns(n.name), labelChar*columns(n.detail)) + 2*boxPadding
		nodes[name] = g.add(n)
	}
	nodes[""] = oval(end, "End")
	all := []transition{{from: first, to: nodes[m.StartAt]}}
	for _, way := range ways {
		t := transition{nodes[way.From], nodes[way.To], way.Label, strings.HasPrefix(way.Label, "catch ")}
		if t.from != t.to && !joined(all, t) {
			all = append(all, t)
		}
	}
	return all
}

// joined adds a transition's label to that of one with the same ends, if there is one of its kind.
func joined(all []transition, t transition) bool {
	for i, known := range all {
		if known.from == t.from && known.to == t.to && known.failure == t.failure && known.label != "" && t.label != "" {
			all[i].label += ", " + strings.TrimPrefix(t.label, "catch ")
			return true
		}
	}
	return false
}

// detail is the small text below a state's name.
func detail(s asl.State) string {
	if task, ok := s.(*asl.Task); ok {
		if name := asl.IntegrationName(task.Resource); name != "" {
			return name
		}
	}
	return string(s.Type())
}

func columns(text string) float64 { return float64(runewidth.StringWidth(text)) }

func (g *graph) add(n *node) *node {
	g.nodes = append(g.nodes, n)
	return n
}

// backEdges are those that lead to a state on the way to where they begin.
func backEdges(first *node, all []transition) map[[2]*node]bool {
	below := map[*node][]*node{}
	for _, t := range all {
		below[t.from] = append(below[t.from], t.to)
	}
	back, open, seen := map[[2]*node]bool{}, map[*node]bool{}, map[*node]bool{}
	var visit func(*node)
	visit = func(n *node) {
		seen[n], open[n] = true, true
		for _, next := range below[n] {
			if open[next] {
				back[[2]*node{n, next}] = true
			} else if !seen[next] {
				visit(next)
			}
		}
		open[n] = false
	}
	visit(first)
	return back
}

// connect makes an edge, with a node in each layer that it passes. Its label is where it leaves its state.
func (g *graph) connect(t transition, back bool) {
	e := edge{back: back, failure: t.failure}
	at := t.from.layer + 1
	if back {
		at = t.to.layer - 1
	}
	last := t.from
	for layer := t.from.layer + 1; layer <= t.to.layer; layer++ {
		next := t.to
		if layer < t.to.layer {
			next = g.add(&node{kind: bend, layer: layer})
			if layer == at && t.label != "" {
				next.say(t.label)
			}
		}
		s := &segment{from: last, to: next}
		last.down, next.up = append(last.down, s), append(next.up, s)
		e.segments = append(e.segments, s)
		last = next
	}
	g.edges = append(g.edges, e)
}

// say makes a bend have a label.
func (n *node) say(text string) {
	n.kind, n.text = label, strings.Split(wordwrap.WrapString(text, labelColumns), "\n")
	for _, line := range n.text {
		n.width = max(n.width, labelGap+labelChar*columns(line))
	}
	n.height = labelLine * float64(len(n.text))
}
