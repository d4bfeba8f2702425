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
	selected, err := output.apply(s, value)
	if err != nil {
		return outcome{}, err
	}

	data, err := newPayload("state's output", selected)

	return outcome{data: data, next: next}, err
}

// effective applies InputPath; the scope returned sees its outcome.
func effective(r *run, input filter, in payload) (*scope, error) {
	s := r.scope(in.value)

	value, err := input.apply(s, in.value)
	if err != nil {
		return nil, err
	}

	return s.on(value), nil
}

type passNode struct {
	input, output filter
	parameters    expression
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
		if s.input, err = n.parameters.eval(s); err != nil {
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
		// Nothing can catch it here, whatever its name.
		failed := *asError(err)
		failed.Name = ErrorRuntime

		return "", &failed
	}

	text, ok := value.(string)
	if !ok {
		return "", s.failf(ErrorRuntime, "%s must give a string and gives %s", field, kindOf(value))
	}

	return text, nil
}

const noChoice = "no rule of the Choice is true and it has no Default"

// branch is one rule of a Choice.
type branch struct {
	check condition
	// assigned are the variables that it sets; nil for none.
	assigned *object
	next     string
	label    string
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

	chosen, err := n.decide(s)
	if err != nil {
		return outcome{}, err
	}

	if err := r.emit(Event{Type: ChoiceMade, State: r.state, Choice: chosen.label, Next: chosen.next}); err != nil {
		return outcome{}, err
	}

	out, err := finish(s, n.output, s.input, chosen.next)
	out.assigned = chosen.assigned

	return out, err
}

func (n *choiceNode) decide(s *scope) (branch, error) {
	for _, choice := range n.choices {
		ok, err := choice.check(s)
		if err != nil {
			return branch{}, err
		}

		if ok {
			return choice, nil
		}
	}

	if n.fallback == "" {
		return branch{}, s.failf(ErrorNoChoiceMatched, "%s", noChoice)
	}

	return branch{next: n.fallback, label: defaultField}, nil
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
	switch {
	case n.secondsPath != nil:
		return n.fromPath(s)
	case n.timestampPath != nil:
		until, err := n.timestamp(s)

		return untilSecond(until, now), err
	case n.until.IsZero():
		return time.Duration(n.seconds) * time.Second, nil
	default:
		return untilSecond(n.until, now), nil
	}
}

// untilSecond is the time until then, whose fractions of a second are cut off.
func untilSecond(then, now time.Time) time.Duration { return then.Truncate(time.Second).Sub(now) }

// fromPath reads SecondsPath. The causes are AWS's (LocalStack's recordings).
func (n *waitNode) fromPath(s *scope) (time.Duration, error) {
	text := n.secondsPath.text

	value, miss := n.secondsPath.resolve(s)
	if miss != nil {
		return 0, s.failf(ErrorRuntime, "The SecondsPath parameter does not reference an input value: %s", text)
	}

	seconds, ok := wholeSeconds(value)

	switch {
	case !ok:
		return 0, s.failf(ErrorRuntime, "The SecondsPath parameter cannot be parsed as a long value: %s == %s", text, displayText(value))
	case seconds < 0:
		return 0, s.failf(ErrorRuntime, "The SecondsPath parameter references a negative value: %s == %s", text, displayText(value))
	case seconds > maxSeconds:
		return 0, s.failf(ErrorRuntime, "The SecondsPath parameter references a value above %d: %s == %s", maxSeconds, text, displayText(value))
	default:
		return time.Duration(seconds) * time.Second, nil
	}
}

func (n *waitNode) timestamp(s *scope) (time.Time, error) {
	text := n.timestampPath.text

	value, miss := n.timestampPath.resolve(s)
	if miss != nil {
		return time.Time{}, s.failf(ErrorRuntime, "The TimestampPath parameter does not reference an input value: %s", text)
	}

	given, _ := value.(string)

	until, err := parseTimestamp(given)
	if err != nil {
		return time.Time{}, s.failf(ErrorRuntime, "The TimestampPath parameter does not reference a valid ISO-8601 extended offset "+
			"date-time format string: %s == %s", text, displayText(value))
	}

	return until, nil
}

// wholeSeconds reads an integer, which 30.0 and 3e1 are, too.
func wholeSeconds(value any) (int64, bool) {
	number, ok := value.(json.Number)
	if !ok {
		return 0, false
	}

	if n, err := strconv.ParseInt(number.String(), 10, 64); err == nil {
		return n, true
	}

	f := numberFloat(number)

	return int64(f), f == math.Trunc(f) && math.Abs(f) < 1<<62
}

// secondsAt reads a time limit, at least one second, from a path.
func secondsAt(field string, p *path, s *scope) (time.Duration, error) {
	value, miss := p.resolve(s)
	if miss != nil {
		return 0, s.failf(ErrorRuntime, "Invalid path '%s' : %s", p.text, miss.reason)
	}

	n, ok := wholeSeconds(value)
	if !ok || n < 1 || n > maxSeconds {
		return 0, s.failf(ErrorRuntime, "%s %s must select an integer from 1 to %d and selects %s", field, p.text, maxSeconds, displayText(value))
	}

	return time.Duration(n) * time.Second, nil
}
