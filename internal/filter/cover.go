package filter

import (
	"slices"
	"strconv"
	"strings"
)

// anything is an asterisk among the tokens of a glob, which are characters besides.
const anything rune = -1

// mostStates is how many states of globs that are read together are looked at: the globs of a configuration have some hundred, and those
// with many asterisks each may have more than anybody would wait for.
const mostStates = 4096

// Beyond gives a key that a glob takes, and one of within, if there are any, and none of others. Where there is none, found is false if
// that is sure: of globs that are too many, with too many asterisks, it is true, and the key is empty.
//
// It reads the globs together, character by character, as the deterministic automaton does that their product is. Of characters that no
// glob has all are alike, so that one stands for them.
func (g Glob) Beyond(within, others Keys) (key string, found bool) {
	start := together{readGlob(g), readGlobs(within), readGlobs(others)}
	alphabet := start.alphabet()
	type step struct {
		together
		key string
	}
	seen := map[string]bool{start.name(): true}
	for queue := []step{{start, ""}}; len(queue) > 0; queue = queue[1:] {
		for _, c := range alphabet {
			next := step{queue[0].read(c), queue[0].key + string(c)}
			if next.accepts() {
				return next.key, true
			}
			if name := next.name(); !next.hopeless() && !seen[name] {
				if seen[name] = true; len(seen) > mostStates {
					return "", true
				}
				queue = append(queue, next)
			}
		}
	}
	return "", false
}

// reading is a glob of which a part is read: what may come next.
type reading struct {
	tokens []rune
	// at are the places in the tokens that the text up to now leads to, in order. Those before the last asterisk among them are left out:
	// whatever is taken from there is taken from the asterisk, too.
	at []int
}

func readGlob(g Glob) reading {
	var tokens []rune
	for i, piece := range g.pieces {
		if i > 0 {
			tokens = append(tokens, anything)
		}
		tokens = append(tokens, []rune(piece)...)
	}
	return reading{tokens: tokens}.to([]int{0})
}

func readGlobs(globs Keys) []reading {
	out := make([]reading, len(globs))
	for i, g := range globs {
		out[i] = readGlob(g)
	}
	return out
}

// to is the glob at some places, in order, and at those to which an asterisk leads that stands for nothing.
func (r reading) to(places []int) reading {
	var at []int
	for _, p := range places {
		if len(at) > 0 && at[len(at)-1] >= p {
			continue
		}
		for ; p < len(r.tokens) && r.tokens[p] == anything; p++ {
			at = []int{p}
		}
		at = append(at, p)
	}
	return reading{tokens: r.tokens, at: at}
}

// read is the glob after another character.
func (r reading) read(c rune) reading {
	var next []int
	for _, p := range r.at {
		switch {
		case p == len(r.tokens):
		case r.tokens[p] == anything:
			next = append(next, p)
		case r.tokens[p] == c:
			next = append(next, p+1)
		}
	}
	return r.to(next)
}

// accepts says whether the text up to now is taken, and any whether whatever comes behind it is, too.
func (r reading) accepts() bool { return len(r.at) > 0 && r.at[len(r.at)-1] == len(r.tokens) }

func (r reading) any() bool {
	return r.accepts() && len(r.at) > 1 && r.at[len(r.at)-2] == len(r.tokens)-1 && r.ends(anything)
}

func (r reading) ends(token rune) bool {
	return len(r.tokens) > 0 && r.tokens[len(r.tokens)-1] == token
}

func (r reading) dead() bool { return len(r.at) == 0 }

// together are globs that read the same text.
type together struct {
	glob           reading
	within, others []reading
}

func (t together) all() []reading { return slices.Concat([]reading{t.glob}, t.within, t.others) }

// alphabet are the characters of all globs, and one that none has.
func (t together) alphabet() []rune {
	var out []rune
	for _, r := range t.all() {
		out = append(out, r.tokens...)
	}
	slices.Sort(out)
	out = slices.DeleteFunc(slices.Compact(out), func(c rune) bool { return c == anything })
	other := 'a'
	for slices.Contains(out, other) {
		other++
	}
	return append(out, other)
}

func (t together) read(c rune) together {
	each := func(of []reading) []reading {
		out := make([]reading, len(of))
		for i, r := range of {
			out[i] = r.read(c)
		}
		return out
	}
	return together{t.glob.read(c), each(t.within), each(t.others)}
}

// accepts says whether the text is beyond the others.
func (t together) accepts() bool {
	return t.glob.accepts() && (len(t.within) == 0 || slices.ContainsFunc(t.within, reading.accepts)) &&
		!slices.ContainsFunc(t.others, reading.accepts)
}

// hopeless says whether nothing that comes behind the text can be.
func (t together) hopeless() bool {
	return t.glob.dead() || len(t.within) > 0 && !slices.ContainsFunc(t.within, func(r reading) bool { return !r.dead() }) ||
		slices.ContainsFunc(t.others, reading.any)
}

// name tells a state from all others.
func (t together) name() string {
	var out strings.Builder
	for _, r := range t.all() {
		for _, p := range r.at {
			out.WriteString(strconv.Itoa(p))
			out.WriteByte(' ')
		}
		out.WriteByte(';')
	}
	return out.String()
}
