package asl

import (
	"encoding/json"
	"math"
	"strconv"
	"time"
)

// node is the executable form of a state. It holds no data of an execution.
// An error that is an [*Error] fails the execution with that name.
type node interface {
	run(r *run, in payload) (outcome, error)
}

// finish applies OutputPath and the payload limit.
func finish(s *scope, output filter, value any, next string) (outcome, error) {
	selected, err := output.apply("OutputPath", s, value)
	if err != nil {
		return outcome{}, err
	}

	data, err := newPayload("state's output", selected)

	return outcome{data: data, next: next}, err
}

// effective applies InputPath; the scope returned sees its outcome.
func effective(r *run, input filter, in payload) (*scope, error) {
	s := r.scope(in.value)

	value, err := input.apply("InputPath", s, in.value)
	if err != nil {
		return nil, err
	}

	s.input = value

	return s, nil
}

type passNode struct {
	input, output filter
	parameters    template
	fixed         bool
	value         any
	result        sink
	next          string
}

func (n *passNode) run(r *run, in payload) (outcome, error) {
	s, err := effective(r, n.input, in)
	if err != nil {
		return outcome{}, err
	}

	if n.parameters != nil {
		if s.input, err = n.parameters.build(s); err != nil {
			return outcome{}, err
		}
	}

	result := s.input
	if n.fixed {
		result = n.value
	}

	merged, err := n.result.apply(in.value, result)
	if err != nil {
		return outcome{}, err
	}

	return finish(s, n.output, merged, n.next)
}

type succeedNode struct{ input, output filter }

func (n *succeedNode) run(r *run, in payload) (outcome, error) {
	s, err := effective(r, n.input, in)
	if err != nil {
		return outcome{}, err
	}

	return finish(s, n.output, s.input, "")
}

type failNode struct {
	name, cause         string
	namePath, causePath expression
}

func (n *failNode) run(r *run, in payload) (outcome, error) {
	s := r.scope(in.value)

	name, err := failText("ErrorPath", n.name, n.namePath, s)
	if err != nil {
		return outcome{}, err
	}

	cause, err := failText("CausePath", n.cause, n.causePath, s)
	if err != nil {
		return outcome{}, err
	}

	return outcome{}, &Error{Name: name, Cause: cause}
}

func failText(field, fixed string, expr expression, s *scope) (string, error) {
	if expr == nil {
		return fixed, nil
	}

	value, err := expr.eval(s)
	if err != nil {
		return "", failf(ErrorRuntime, "%s: %s", field, asError(err).Cause)
	}

	text, ok := value.(string)
	if !ok {
		return "", failf(ErrorRuntime, "%s must give a string and gives %s", field, kindOf(value))
	}

	return text, nil
}

// branch is one rule of a Choice.
type branch struct {
	check condition
	next  string
	label string
}

type choiceNode struct {
	input, output filter
	choices       []branch
	fallback      string
}

func (n *choiceNode) run(r *run, in payload) (outcome, error) {
	s, err := effective(r, n.input, in)
	if err != nil {
		return outcome{}, err
	}

	next, label, err := n.decide(s)
	if err != nil {
		return outcome{}, err
	}

	if err := r.emit(Event{Type: ChoiceMade, State: r.state, Choice: label, Next: next}); err != nil {
		return outcome{}, err
	}

	return finish(s, n.output, s.input, next)
}

func (n *choiceNode) decide(s *scope) (next, label string, err error) {
	for _, choice := range n.choices {
		ok, err := choice.check(s)
		if err != nil {
			return "", "", err
		}

		if ok {
			return choice.next, choice.label, nil
		}
	}

	if n.fallback == "" {
		return "", "", failf(ErrorNoChoiceMatched, "no rule of the Choice is true and it has no Default")
	}

	return n.fallback, defaultField, nil
}

type waitNode struct {
	input, output              filter
	seconds                    int
	until                      time.Time
	secondsPath, timestampPath *path
	next                       string
}

func (n *waitNode) run(r *run, in payload) (outcome, error) {
	s, err := effective(r, n.input, in)
	if err != nil {
		return outcome{}, err
	}

	d, err := n.duration(s, r.clock.Now())
	if err != nil {
		return outcome{}, err
	}

	if d > 0 {
		if err := r.sleep(d); err != nil {
			return outcome{}, err
		}
	}

	return finish(s, n.output, s.input, n.next)
}

func (n *waitNode) duration(s *scope, now time.Time) (time.Duration, error) {
	until := n.until

	switch {
	case n.secondsPath != nil:
		return secondsAt("SecondsPath", n.secondsPath, s, 0)
	case n.timestampPath != nil:
		value, _ := n.timestampPath.resolve(s)
		text, _ := value.(string)

		parsed, err := parseTimestamp(text)
		if err != nil {
			return 0, failf(ErrorRuntime, "TimestampPath %s: %v", n.timestampPath.text, err)
		}

		until = parsed
	case until.IsZero():
		return time.Duration(n.seconds) * time.Second, nil
	}

	return until.Truncate(time.Second).Sub(now), nil
}

// secondsAt reads a number of seconds, at least least, from a path.
func secondsAt(field string, p *path, s *scope, least int64) (time.Duration, error) {
	value, ok := p.resolve(s)
	if !ok {
		return 0, failf(ErrorRuntime, "%s: %s", field, p.missing())
	}

	number, ok := value.(json.Number)
	if !ok {
		return 0, failf(ErrorRuntime, "%s %s must select an integer and selects %s", field, p.text, kindOf(value))
	}

	n, err := strconv.ParseInt(number.String(), 10, 64)
	if err != nil {
		// 30.0 and 3e1 are integers too.
		f := numberFloat(number)
		if f != math.Trunc(f) || math.Abs(f) > maxSeconds {
			n = -1
		} else {
			n = int64(f)
		}
	}

	if n < least || n > maxSeconds {
		return 0, failf(ErrorRuntime, "%s %s must select an integer from %d to %d and selects %s",
			field, p.text, least, maxSeconds, number)
	}

	return time.Duration(n) * time.Second, nil
}
