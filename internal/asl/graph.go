package asl

// Transition is a way from one state to another, or out of the execution.
type Transition struct {
	// From is the state, To the one that follows; empty where the execution ends.
	From, To string
	// Label says when it is taken; empty for a plain Next.
	Label string
}

// Graph gives the states that can be reached, in the order of their distance
// from StartAt, and the transitions between them, in the order of the states.
func (m *Machine) Graph() (states []string, transitions []Transition) {
	states = m.breadthFirst()
	reached := make(map[string]bool, len(states))
	for _, name := range states {
		reached[name] = true
	}
	for _, name := range states {
		for _, e := range m.States[name].edges() {
			if reached[e.target] {
				transitions = append(transitions, Transition{From: name, To: e.target, Label: e.label})
			}
		}
		if endsExecution(m.States[name]) {
			transitions = append(transitions, Transition{From: name})
		}
	}
	return states, transitions
}

// Graph gives the states of an iteration, as [Machine.Graph] does those of a machine.
func (p *ItemProcessor) Graph() (states []string, transitions []Transition) {
	return p.machine().Graph()
}
