package diagram

import (
	"cmp"
	"math"
	"slices"
)

const (
	layerGap = 20.0 // between two layers, where edges change their places
	nodeGap  = 24.0
	portGap  = nodeGap // between two edges at one state
	margin   = 24.0
	sweeps   = 24
)

// order puts each node near the middle of its neighbours, layer by layer, down and up again, and keeps the order with the fewest crossings.
func (g *graph) order() {
	position := map[*node]float64{}
	number := func(layer []*node) {
		for i, n := range layer {
			position[n] = float64(i) - float64(len(layer)-1)/2
		}
	}
	for _, layer := range g.layers {
		number(layer)
	}
	best, fewest := g.copied(), g.crossings(position)
	for sweep := range sweeps {
		for i := range g.layers {
			layer, down := g.layers[i], sweep%2 == 0
			if !down {
				layer = g.layers[len(g.layers)-1-i]
			}
			wish := map[*node]float64{}
			for _, n := range layer {
				wish[n] = n.middle(position, down)
			}
			slices.SortStableFunc(layer, func(a, b *node) int { return cmp.Compare(wish[a], wish[b]) })
			number(layer)
		}
		if crossings := g.crossings(position); crossings < fewest {
			best, fewest = g.copied(), crossings
		}
	}
	g.layers = best
}

func (g *graph) copied() [][]*node {
	layers := make([][]*node, len(g.layers))
	for i, layer := range g.layers {
		layers[i] = slices.Clone(layer)
	}
	return layers
}

// middle is between a node's neighbours above, or below; its own place without any.
func (n *node) middle(position map[*node]float64, above bool) float64 {
	sum, count := 0.0, 0.0
	if above {
		for _, s := range n.up {
			sum, count = sum+position[s.from], count+1
		}
	} else {
		for _, s := range n.down {
			sum, count = sum+position[s.to], count+1
		}
	}
	if count == 0 {
		return position[n]
	}
	return sum / count
}

// crossings counts the pairs of edges that cross.
func (g *graph) crossings(position map[*node]float64) int {
	count := 0
	for _, layer := range g.layers {
		var all []*segment
		for _, n := range layer {
			all = append(all, n.down...)
		}
		for i, a := range all {
			for _, b := range all[i+1:] {
				if (position[a.from]-position[b.from])*(position[a.to]-position[b.to]) < 0 {
					count++
				}
			}
		}
	}
	return count
}

// attach says where at its nodes an edge begins and ends: at a state side by side, in the order of where they lead to, and at a label on
// its left.
func (g *graph) attach() {
	at := map[*node]int{}
	for _, layer := range g.layers {
		for i, n := range layer {
			at[n] = i
		}
	}
	for _, n := range g.nodes {
		slices.SortStableFunc(n.down, func(a, b *segment) int { return cmp.Compare(at[a.to], at[b.to]) })
		slices.SortStableFunc(n.up, func(a, b *segment) int { return cmp.Compare(at[a.from], at[b.from]) })
		for i, s := range n.down {
			s.out = n.port(i, len(n.down))
		}
		for i, s := range n.up {
			s.in = n.port(i, len(n.up))
		}
	}
}

// port is how far from a node's middle the i-th of its edges is.
func (n *node) port(i, all int) float64 {
	switch n.kind {
	case bend:
		return 0
	case label:
		return -n.width / 2
	case state, start, end:
	}
	step := min(portGap, (n.width-2*boxPadding)/float64(max(1, all-1)))
	return step * (float64(i) - float64(all-1)/2)
}

// weight is how much an edge should be straight: most of all where it only passes by.
func (s *segment) weight() float64 {
	straight := 1.0
	for _, n := range []*node{s.from, s.to} {
		if n.kind == bend || n.kind == label {
			straight *= 2
		}
	}
	return straight
}

// place gives the nodes their x. Each layer in turn goes to where its edges would be straight, as far as its nodes leave room to each
// other. What is off by much counts little more than what is off by less, which bends a few edges much and leaves most straight; as this
// finds no way out of a bad beginning, it sets in by and by.
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
	const rounds = 400
	for round := range rounds {
		tolerance := max(0.05, 300*math.Pow(0.97, float64(round)))
		for i := range g.layers {
			if round%2 == 1 {
				i = len(g.layers) - 1 - i
			}
			settle(g.layers[i], tolerance)
		}
	}
	g.straighten()
	least := math.Inf(1)
	for _, n := range g.nodes {
		least = min(least, n.x-n.width/2)
	}
	for _, n := range g.nodes {
		n.x += margin - least
	}
}

// settle moves the nodes of a layer to where they are wanted, in their order and apart: nodes that want to overlap form a block, which
// is where they want to be on average (the pool adjacent violators algorithm).
func settle(layer []*node, tolerance float64) {
	type block struct {
		from, to         int // the nodes
		weight, position float64
	}
	var blocks []block
	shift := make([]float64, len(layer)) // of a node from the first, if they stand as close as they may
	for i, n := range layer {
		if i > 0 {
			shift[i] = shift[i-1] + (layer[i-1].width+n.width)/2 + nodeGap
		}
		wanted, weight := n.wanted(tolerance)
		b := block{i, i + 1, weight, wanted - shift[i]}
		for len(blocks) > 0 && blocks[len(blocks)-1].position > b.position {
			last := blocks[len(blocks)-1]
			blocks = blocks[:len(blocks)-1]
			total := last.weight + b.weight
			b = block{last.from, b.to, total, (last.position*last.weight + b.position*b.weight) / total}
		}
		blocks = append(blocks, b)
	}
	for _, b := range blocks {
		for i := b.from; i < b.to; i++ {
			layer[i].x = b.position + shift[i]
		}
	}
}

// wanted is where a node's edges would be straight, and how much that weighs.
func (n *node) wanted(tolerance float64) (x, weight float64) {
	sum := 0.0
	add := func(s *segment, x float64) {
		w := s.weight() / (math.Abs(x-n.x) + tolerance)
		sum, weight = sum+w*x, weight+w
	}
	for _, s := range n.up {
		add(s, s.from.x+s.out-s.in)
	}
	for _, s := range n.down {
		add(s, s.to.x+s.in-s.out)
	}
	return sum / weight, weight // every node has an edge: only what can be reached is drawn
}

// stack gives the layers their y: between two of them is the more room, the further an edge goes to the side.
func (g *graph) stack() {
	y := margin
	for i, layer := range g.layers {
		high, aside := 0.0, 0.0
		for _, n := range layer {
			high = max(high, n.height)
			for _, s := range n.up {
				aside = max(aside, math.Abs(s.from.x+s.out-s.to.x-s.in))
			}
		}
		if i > 0 {
			y += layerGap + min(aside/10, layerGap)
		}
		for _, n := range layer {
			n.y = y + high/2
			if n.kind == bend {
				n.height = high // it passes the layer straight
			}
		}
		y += high
	}
}

// straighten takes the small steps out of the ways of edges: what passes several layers does so at one x, for as many as have room there.
func (g *graph) straighten() {
	left, right := map[*node]*node{}, map[*node]*node{}
	for _, layer := range g.layers {
		for i, n := range layer[1:] {
			left[n], right[layer[i]] = layer[i], n
		}
	}
	for _, e := range g.edges {
		passed := e.segments[:len(e.segments)-1]
		for len(passed) > 0 {
			passed = passed[alignFirst(passed, left, right):]
		}
	}
}

// alignFirst puts the first nodes that segments lead to at one x, as many as it can between their neighbours, and says how many.
func alignFirst(segments []*segment, left, right map[*node]*node) int {
	low, high, count := math.Inf(-1), math.Inf(1), 0
	for _, s := range segments {
		from, to := math.Inf(-1), math.Inf(1)
		if n, ok := left[s.to]; ok {
			from = n.x + (n.width+s.to.width)/2 + nodeGap + s.in
		}
		if n, ok := right[s.to]; ok {
			to = n.x - (n.width+s.to.width)/2 - nodeGap + s.in
		}
		if max(low, from) > min(high, to) && count > 0 {
			break
		}
		low, high, count = max(low, from), min(high, to), count+1
	}
	middle := segments[count/2]
	x := min(max(middle.to.x+middle.in, low), high)
	for _, s := range segments[:count] {
		s.to.x = x - s.in
	}
	return count
}
