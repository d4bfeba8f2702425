package diagram

import (
	"fmt"
	"html"
	"strings"
)

const (
	titleHeight = 40.0
	titleChar   = 9.2
)

// style has the colours of the states by their type, as classes, for a light background and for a dark one. It has its own background, as
// the page that shows it may be dark where the reader's system is light.
const style = `<style>
svg { color-scheme: light dark; font-family: system-ui, "Segoe UI", Helvetica, Arial, sans-serif; font-size: 13px; text-anchor: middle }
.paper { fill: #fff } .title { font-size: 15px; font-weight: 600 } text { fill: #1f2328 }
.edge { fill: none; stroke: #59636e; stroke-width: 1.3 } .catch { stroke: #b35900; stroke-dasharray: 5 3 }
.head { fill: #59636e } .catch-head { fill: #b35900 }
.label { font-size: 11px; text-anchor: start; fill: #454c54 } .label-catch { fill: #8a4600 }
.detail { font-size: 11px; fill: #454c54 } .name { font-weight: 600 }
.box { stroke-width: 1.3; fill: #f3f4f6; stroke: #818b98 } .oval { fill: #fff; stroke: #59636e; stroke-width: 1.3 }
.Task { fill: #fff1e0; stroke: #d98324 } .Choice { fill: #e3eefc; stroke: #4a86d8 }
.Succeed { fill: #dff5e3; stroke: #2f9e53 } .Fail { fill: #fde5e5; stroke: #d1464b }
@media (prefers-color-scheme: dark) {
  .paper { fill: #0d1117 } text { fill: #f0f6fc } .edge { stroke: #9198a1 } .catch { stroke: #e3a25a }
  .head { fill: #9198a1 } .catch-head { fill: #e3a25a } .label, .detail { fill: #c3cad2 } .label-catch { fill: #e8b67c }
  .box { fill: #1f242c; stroke: #767e88 } .oval { fill: #0d1117; stroke: #9198a1 }
  .Task { fill: #3a2710; stroke: #c98a45 } .Choice { fill: #12284a; stroke: #5b93dc }
  .Succeed { fill: #10331c; stroke: #3fa662 } .Fail { fill: #411619; stroke: #d8666a }
}
</style>
`

// arrow is an arrowhead with a class.
func arrow(id, class string) string {
	return fmt.Sprintf(`<marker id="%s" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" `+
		`orient="auto-start-reverse"><path class="%s" d="M0 0 10 5 0 10z"/></marker>`, id, class)
}

func (g *graph) draw(title string) string {
	width, height := 0.0, 0.0
	for _, n := range g.nodes {
		width, height = max(width, n.x+n.width/2), max(height, n.y+n.height/2)
	}
	width = max(width, margin+titleChar*columns(title)) + margin
	height += margin + titleHeight
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" role="img" `+
		`aria-labelledby="title">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, "<title id=\"title\">%s</title>\n", html.EscapeString(title))
	b.WriteString(style + "<defs>" + arrow("next", "head") + arrow("caught", "catch-head") + "</defs>\n")
	fmt.Fprintf(&b, `<rect class="paper" width="%.0f" height="%.0f" rx="8"/>`+"\n", width, height)
	fmt.Fprintf(&b, `<text class="title" x="%.1f" y="%.1f">%s</text>`+"\n", width/2, margin+8, html.EscapeString(title))
	fmt.Fprintf(&b, `<g transform="translate(0 %.0f)">`+"\n", titleHeight)
	for _, e := range g.edges {
		e.draw(&b)
	}
	for _, n := range g.nodes {
		n.draw(&b)
	}
	b.WriteString("</g>\n</svg>\n")
	return b.String()
}

// draw draws an edge: straight through layers, and in a curve from one to the next.
func (e edge) draw(b *strings.Builder) {
	var path strings.Builder
	for i, s := range e.segments {
		fromX, toX := s.from.x+s.out, s.to.x+s.in
		fromY, toY := s.from.y+s.from.height/2, s.to.y-s.to.height/2
		command := "L"
		if i == 0 {
			command = "M"
		}
		middle := (fromY + toY) / 2
		fmt.Fprintf(&path, "%s%.1f %.1fC%.1f %.1f %.1f %.1f %.1f %.1f", command, fromX, fromY, fromX, middle, toX, middle, toX, toY)
	}
	class, head, at := "edge", "next", "end"
	if e.failure {
		class, head = "edge catch", "caught"
	}
	if e.back {
		at = "start"
	}
	fmt.Fprintf(b, `<path class="%s" d="%s" marker-%s="url(#%s)"/>`+"\n", class, path.String(), at, head)
}

func (n *node) draw(b *strings.Builder) {
	switch n.kind {
	case bend:
	case label:
		class := "label"
		if strings.HasPrefix(n.text[0], "catch ") {
			class = "label label-catch"
		}
		for i, line := range n.text {
			fmt.Fprintf(b, `<text class="%s" x="%.1f" y="%.1f">%s</text>`+"\n", class,
				n.x-n.width/2+labelGap, n.y-n.height/2+labelLine*(float64(i)+0.8), html.EscapeString(line))
		}
	case start, end:
		n.box(b, "oval", ovalHeight/2)
		n.write(b, "detail", n.name, 4)
	case state:
		n.box(b, "box "+n.class, 6)
		n.write(b, "name", n.name, -3)
		n.write(b, "detail", n.detail, 13)
	}
}

func (n *node) box(b *strings.Builder, class string, round float64) {
	fmt.Fprintf(b, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.0f" rx="%.0f"/>`+"\n",
		class, n.x-n.width/2, n.y-n.height/2, n.width, n.height, round)
}

// write puts a text into a node, this far below its middle.
func (n *node) write(b *strings.Builder, class, text string, below float64) {
	fmt.Fprintf(b, `<text class="%s" x="%.1f" y="%.1f">%s</text>`+"\n", class, n.x, n.y+below, html.EscapeString(text))
}
