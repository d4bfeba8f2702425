// Package diagram draws a state machine as SVG: layers from top to bottom, as
// the console shows it. The libraries that lay graphs out in general are many
// times the size of the whole command line; for a graph of twenty states that
// mostly runs one way, Sugiyama's steps in their simplest form do.
// https://en.wikipedia.org/wiki/Layered_graph_drawing
package diagram

import (
	"cmp"
	"fmt"
	"html"
	"math"
	"slices"
	"strings"

	"example.com/upload-router/internal/asl"
)

// The measures, in pixels. A character's width is that of a usual sans serif at the font's size.
const (
	fontSize   = 13
	character  = 7.2
	labelChar  = 5.6
	boxHeight  = 34.0
	boxPadding = 14.0
	layerGap   = 80.0
	nodeGap    = 26.0
	margin     = 20.0
	dotRadius  = 7.0
	mostLabel  = 44
	sweeps     = 12
)

// node is a state, the start or end, or a bend of a long edge.
type node struct {
	name   string
	kind   string // a state type, start, end or bend
	layer  int
	width  float64
	x      float64 // of the middle
	up     []*node
	down   []*node
	number int // the order in which it was made, for what is otherwise equal
}

// line is an edge, by the nodes that it goes through.
type line struct {
	through []*node
	label   string
	back    bool // the arrow is at the first node
	failure bool
}

type graph struct {
	nodes  []*node
	layers [][]*node
	lines  []line
}

// SVG draws a machine. The text is the same for equal machines.
func SVG(m *asl.Machine) string {
	g := build(m)
	g.order()
	g.place()
	return g.draw(m.Comment)
}

func (g *graph) add(name, kind string, width float64) *node {
	n := &node{name: name, kind: kind, width: width, number: len(g.nodes)}
	g.nodes = append(g.nodes, n)
	return n
}

// build makes the layers. An edge that leads back is laid out the other way round.
func build(m *asl.Machine) *graph {
	g := &graph{}
	states, transitions := m.Graph()
	nodes := map[string]*node{}
	start := g.add("", "start", 2*dotRadius)
	for _, name := range states {
		nodes[name] = g.add(name, string(m.States[name].Type()), float64(len([]rune(name)))*character+2*boxPadding)
	}
	var end *node // of states that say that they are the last; Succeed and Fail are that by themselves
	type edge struct {
		from, to *node
		label    string
	}
	edges := []edge{{start, nodes[m.StartAt], ""}}
	for _, t := range merged(transitions) {
		to := nodes[t.To]
		if t.To == "" {
			if kind := m.States[t.From].Type(); kind == asl.TypeSucceed || kind == asl.TypeFail {
				continue
			}
			if end == nil {
				end = g.add("", "end", 2*dotRadius)
			}
			to = end
		}
		edges = append(edges, edge{nodes[t.From], to, t.Label})
	}
	below := map[*node][]*node{}
	for _, e := range edges {
		below[e.from] = append(below[e.from], e.to)
	}
	back := backEdges(start, below)
	forward := func(e edge) (from, to *node, turned bool) {
		if back[[2]*node{e.from, e.to}] {
			return e.to, e.from, true
		}
		return e.from, e.to, false
	}
	for range g.nodes { // as many rounds as the longest way can have
		for _, e := range edges {
			from, to, _ := forward(e)
			to.layer = max(to.layer, from.layer+1)
		}
	}
	for _, e := range edges {
		if e.from == e.to {
			continue // a state that follows itself has no place in layers; the definition has none
		}
		from, to, turned := forward(e)
		g.lines = append(g.lines, g.bend(from, to, e.label, turned))
	}
	for _, n := range g.nodes {
		for len(g.layers) <= n.layer {
			g.layers = append(g.layers, nil)
		}
		g.layers[n.layer] = append(g.layers[n.layer], n)
	}
	return g
}

// merged draws several transitions between two states as one.
func merged(transitions []asl.Transition) []asl.Transition {
	var all []asl.Transition
	for _, t := range transitions {
		i := slices.IndexFunc(all, func(known asl.Transition) bool { return known.From == t.From && known.To == t.To })
		switch {
		case i < 0:
			all = append(all, t)
		case all[i].Label == "":
			all[i].Label = "also " + t.Label
		case t.Label != "":
			all[i].Label += "; " + strings.TrimPrefix(t.Label, "catch ")
		}
	}
	return all
}

// backEdges are those that lead to a state on the way to where they begin.
func backEdges(start *node, below map[*node][]*node) map[[2]*node]bool {
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
	visit(start)
	return back
}

// bend makes an edge, with a node in each layer that it passes.
func (g *graph) bend(from, to *node, label string, turned bool) line {
	l := line{through: []*node{from}, label: label, back: turned, failure: strings.HasPrefix(label, "catch ")}
	last := from
	for layer := from.layer + 1; layer <= to.layer; layer++ {
		next := to
		if layer < to.layer {
			next = g.add("", "bend", 2)
			next.layer = layer
		}
		last.down, next.up = append(last.down, next), append(next.up, last)
		l.through = append(l.through, next)
		last = next
	}
	return l
}

// order puts each node near the middle of its neighbours, layer by layer, down
// and up again.
func (g *graph) order() {
	position := map[*node]float64{}
	number := func() {
		for _, layer := range g.layers {
			for i, n := range layer {
				position[n] = float64(i) - float64(len(layer)-1)/2
			}
		}
	}
	number()
	for sweep := range sweeps {
		for i := range g.layers {
			layer, neighbours := g.layers[i], func(n *node) []*node { return n.up }
			if sweep%2 == 1 {
				layer, neighbours = g.layers[len(g.layers)-1-i], func(n *node) []*node { return n.down }
			}
			wish := map[*node]float64{}
			for _, n := range layer {
				wish[n] = average(neighbours(n), func(o *node) float64 { return position[o] }, position[n])
			}
			slices.SortStableFunc(layer, func(a, b *node) int { return cmp.Compare(wish[a], wish[b]) })
			for at, n := range layer {
				position[n] = float64(at) - float64(len(layer)-1)/2
			}
		}
	}
}

func average(nodes []*node, value func(*node) float64, otherwise float64) float64 {
	if len(nodes) == 0 {
		return otherwise
	}
	sum := 0.0
	for _, n := range nodes {
		sum += value(n)
	}
	return sum / float64(len(nodes))
}

// place gives coordinates: each node goes towards its neighbours, as far as the others let it.
func (g *graph) place() {
	for _, layer := range g.layers {
		x := 0.0
		for _, n := range layer {
			n.x = x + n.width/2
			x += n.width + nodeGap
		}
		for _, n := range layer {
			n.x -= x / 2
		}
	}
	for range 4 * sweeps {
		for _, layer := range g.layers {
			for _, n := range layer {
				n.x = (n.x + average(slices.Concat(n.up, n.down), func(o *node) float64 { return o.x }, n.x)) / 2
			}
			spread(layer)
		}
	}
	least := math.Inf(1)
	for _, n := range g.nodes {
		least = min(least, n.x-n.width/2)
	}
	for _, n := range g.nodes {
		n.x += margin - least
	}
}

// spread moves the nodes of a layer apart, and keeps its middle where it was.
func spread(layer []*node) {
	middle := average(layer, func(n *node) float64 { return n.x }, 0)
	for i := 1; i < len(layer); i++ {
		left, right := layer[i-1], layer[i]
		right.x = max(right.x, left.x+(left.width+right.width)/2+nodeGap)
	}
	shift := middle - average(layer, func(n *node) float64 { return n.x }, 0)
	for _, n := range layer {
		n.x += shift
	}
}

func (n *node) y() float64 { return margin + boxHeight/2 + float64(n.layer)*layerGap }

// half is how far a node goes up and down from its middle.
func (n *node) half() float64 {
	switch n.kind {
	case "bend":
		return 0
	case "start", "end":
		return dotRadius
	}
	return boxHeight / 2
}

func (g *graph) draw(title string) string {
	width := 0.0
	for _, n := range g.nodes {
		width = max(width, n.x+n.width/2)
	}
	for _, l := range g.lines { // a label may stand out
		a := l.through[0]
		width = max(width, a.x+float64(len([]rune(clip(l.label))))*labelChar/2)
	}
	width += margin
	height := float64(len(g.layers)-1)*layerGap + boxHeight + 2*margin
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" `+
		`font-family="system-ui, sans-serif" font-size="%d" role="img">`+"\n", width, height, width, height, fontSize)
	fmt.Fprintf(&b, "<title>%s</title>\n", html.EscapeString(title))
	b.WriteString(`<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" ` +
		`orient="auto-start-reverse"><path d="M0 0 10 5 0 10z" fill="#555"/></marker></defs>` + "\n")
	fmt.Fprintf(&b, `<rect width="%.0f" height="%.0f" fill="#fff"/>`+"\n", width, height)
	for _, l := range g.lines {
		l.draw(&b)
	}
	for _, n := range g.nodes {
		n.draw(&b)
	}
	var placed []label
	for _, l := range g.lines { // above all else, so that no line crosses them
		if l.label != "" {
			placed = append(placed, l.place(placed))
		}
	}
	for _, t := range placed {
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="middle" font-size="%d" fill="#333" stroke="#fff" stroke-width="4" `+
			`paint-order="stroke">%s</text>`+"\n", t.x, t.y, fontSize-3, html.EscapeString(t.text))
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (l line) draw(b *strings.Builder) {
	var path strings.Builder
	for i, n := range l.through[1:] {
		before := l.through[i]
		fromY, toY := before.y()+before.half(), n.y()-n.half()
		if i == 0 {
			fmt.Fprintf(&path, "M%.1f %.1f", before.x, fromY)
		}
		middle := (fromY + toY) / 2
		fmt.Fprintf(&path, "C%.1f %.1f %.1f %.1f %.1f %.1f", before.x, middle, n.x, middle, n.x, toY)
	}
	marker, dashes := `marker-end="url(#arrow)"`, ""
	if l.back {
		marker = `marker-start="url(#arrow)"`
	}
	if l.failure {
		dashes = ` stroke-dasharray="5 3"`
	}
	fmt.Fprintf(b, `<path d="%s" fill="none" stroke="#555"%s %s/>`+"\n", path.String(), dashes, marker)
}

// label is a text with its middle.
type label struct {
	text string
	x, y float64
}

func (t label) half() float64 { return float64(len([]rune(t.text))) * labelChar / 2 }

// place puts the label where the edge leaves its state, below or above those that are there.
func (l line) place(others []label) label {
	a, c := l.through[0], l.through[1]
	if l.back {
		a, c = l.through[len(l.through)-1], l.through[len(l.through)-2]
	}
	t := label{clip(l.label), a.x + (c.x-a.x)*0.55, (a.y()+c.y())/2 + 3}
	const row = fontSize
	for _, shift := range []float64{0, row, -row} {
		moved := t
		moved.y += shift
		if !slices.ContainsFunc(others, func(o label) bool {
			return math.Abs(o.y-moved.y) < row-1 && math.Abs(o.x-moved.x) < o.half()+moved.half()
		}) {
			return moved
		}
	}
	return t
}

func clip(label string) string {
	if runes := []rune(label); len(runes) > mostLabel {
		return string(runes[:mostLabel-1]) + "…"
	}
	return label
}

// fills are the colours of the states, by type.
var fills = map[string]string{
	string(asl.TypeTask): "#fde7c8", string(asl.TypeChoice): "#dbe8fb", string(asl.TypePass): "#eeeeee",
	string(asl.TypeWait): "#eeeeee", string(asl.TypeSucceed): "#d9f0d9", string(asl.TypeFail): "#f8d7d7",
}

func (n *node) draw(b *strings.Builder) {
	switch n.kind {
	case "bend":
		return
	case "start":
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="%.0f" fill="#333"/>`+"\n", n.x, n.y(), dotRadius)
		return
	case "end":
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="%.0f" fill="#fff" stroke="#333" stroke-width="3"/>`+"\n", n.x, n.y(), dotRadius-1)
		return
	}
	fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.0f" rx="6" fill="%s" stroke="#555"/>`+"\n",
		n.x-n.width/2, n.y()-boxHeight/2, n.width, boxHeight, fills[n.kind])
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="middle" fill="#111">%s</text>`+"\n", n.x, n.y()+4, html.EscapeString(n.name))
}
