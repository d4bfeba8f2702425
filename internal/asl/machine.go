package asl

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// StateType is the Type field of a state.
type StateType string

// The state types of this package. Parallel exists in the language and is refused by [Parse].
const (
	TypeTask    StateType = "Task"
	TypeChoice  StateType = "Choice"
	TypePass    StateType = "Pass"
	TypeWait    StateType = "Wait"
	TypeSucceed StateType = "Succeed"
	TypeFail    StateType = "Fail"
	TypeMap     StateType = "Map"
)

// Machine is a state machine definition. See
// https://docs.aws.amazon.com/step-functions/latest/dg/statemachine-structure.html.
type Machine struct {
	// Comment is a readable description; optional.
	Comment string `json:"Comment,omitempty"`
	// Version is the version of the language, "1.0" when empty, the only one.
	Version string `json:"Version,omitempty"`
	// QueryLanguage is "JSONPath" when empty, or [LanguageJSONata]. A state may have the latter by itself.
	QueryLanguage string `json:"QueryLanguage,omitempty"`
	// StartAt names the first state; required.
	StartAt string `json:"StartAt"`
	// TimeoutSeconds is the most seconds that an execution may run, 0 for no
	// limit. An execution above it ends TIMED_OUT and no Catch sees that.
	TimeoutSeconds int `json:"TimeoutSeconds,omitempty"`
	// States holds the states by name; a name has 1 to 80 characters.
	States map[string]State `json:"States"`
}

// State is one of *[Task], *[Choice], *[Pass], *[Wait], *[Succeed], *[Fail], *[Map].
type State interface {
	json.Marshaler
	// Type returns the Type field.
	Type() StateType
	// compile checks the state and makes its executable form. A part at fault is reported to c and left out of the result.
	compile(c *checker) node
	// edges lists the transitions, in the order of the definition.
	edges() []edge
}

// edge is one transition of a state.
type edge struct {
	// field holds the target's name, such as "Choices[0].Next".
	field  string
	target string
	// label explains the transition in a diagram; empty for a plain Next.
	label string
}

// Task is a unit of work done by the resource. See
// https://docs.aws.amazon.com/step-functions/latest/dg/state-task.html.
type Task struct {
	// Comment is a readable description; optional.
	Comment string `json:"Comment,omitempty"`
	// QueryLanguage is the machine's when empty, or [LanguageJSONata].
	QueryLanguage string `json:"QueryLanguage,omitempty"`
	// Resource is the ARN of the integration, such as "arn:aws:states:::lambda:invoke"; required.
	Resource string `json:"Resource"`
	// InputPath selects from the state's input; empty selects all of it.
	InputPath Path `json:"InputPath,omitempty"`
	// Parameters is the payload template of the call; nil passes the input.
	Parameters map[string]any `json:"Parameters,omitzero"`
	// Arguments is what the call gets in JSONata, in the place of Parameters.
	Arguments any `json:"Arguments,omitempty"`
	// Credentials is the payload template of the role to assume; optional.
	Credentials map[string]any `json:"Credentials,omitzero"`
	// ResultSelector is a payload template applied to the result; optional.
	ResultSelector map[string]any `json:"ResultSelector,omitzero"`
	// ResultPath says where in the input the result goes; empty replaces the input, [Discard] drops the result.
	ResultPath Path `json:"ResultPath,omitempty"`
	// OutputPath selects from the state's output; empty selects all of it.
	OutputPath Path `json:"OutputPath,omitempty"`
	// Output is the state's output in JSONata: any JSON value, whose strings between
	// {% and %} are computed; without it the result.
	Output any `json:"Output,omitempty"`
	// Assign sets variables, by name without the $, in JSONata.
	Assign map[string]any `json:"Assign,omitzero"`
	// TimeoutSeconds ends the task with [ErrorTimeout]; 0 is the language's default of 99999999.
	TimeoutSeconds int `json:"TimeoutSeconds,omitempty"`
	// TimeoutSecondsPath is a reference path to that number; excludes TimeoutSeconds.
	TimeoutSecondsPath string `json:"TimeoutSecondsPath,omitempty"`
	// HeartbeatSeconds is the longest gap between heartbeats, below the time limit.
	HeartbeatSeconds int `json:"HeartbeatSeconds,omitempty"`
	// HeartbeatSecondsPath is a reference path to that number; excludes HeartbeatSeconds.
	HeartbeatSecondsPath string `json:"HeartbeatSecondsPath,omitempty"`
	// Retry is tried in order before Catch; optional.
	Retry []Retrier `json:"Retry,omitempty"`
	// Catch is tried in order when no retrier helps; optional.
	Catch []Catcher `json:"Catch,omitempty"`
	// Next names the following state; either Next or End.
	Next string `json:"Next,omitempty"`
	// End makes the state the last one.
	End bool `json:"End,omitempty"`

	// order is that of the keys in the text that it was read from.
	order keyOrder
}

// Choice picks the next state by rules. See
// https://docs.aws.amazon.com/step-functions/latest/dg/state-choice.html.
type Choice struct {
	// Comment is a readable description; optional.
	Comment string `json:"Comment,omitempty"`
	// QueryLanguage is the machine's when empty, or [LanguageJSONata].
	QueryLanguage string `json:"QueryLanguage,omitempty"`
	// InputPath selects from the state's input; empty selects all of it.
	InputPath Path `json:"InputPath,omitempty"`
	// OutputPath selects from the state's output; empty selects all of it.
	OutputPath Path `json:"OutputPath,omitempty"`
	// Output is the state's output in JSONata: any JSON value, whose strings between {% and %} are computed. It and Assign are
	// for Default; without it the input.
	Output any `json:"Output,omitempty"`
	// Assign sets variables, by name without the $, in JSONata.
	Assign map[string]any `json:"Assign,omitzero"`
	// Choices are tried in order, the first that is true wins; at least one.
	Choices []Rule `json:"Choices"`
	// Default names the state taken when no rule is true. Without it that case fails with [ErrorNoChoiceMatched].
	Default string `json:"Default,omitempty"`

	order keyOrder
}

// Pass hands its input on, or fixed data. See
// https://docs.aws.amazon.com/step-functions/latest/dg/state-pass.html.
type Pass struct {
	// Comment is a readable description; optional.
	Comment string `json:"Comment,omitempty"`
	// QueryLanguage is the machine's when empty, or [LanguageJSONata].
	QueryLanguage string `json:"QueryLanguage,omitempty"`
	// Output is the state's output in JSONata: any JSON value, whose strings between
	// {% and %} are computed; without it the input.
	Output any `json:"Output,omitempty"`
	// Assign sets variables, by name without the $, in JSONata.
	Assign map[string]any `json:"Assign,omitzero"`
	// InputPath selects from the state's input; empty selects all of it.
	InputPath Path `json:"InputPath,omitempty"`
	// Parameters is a payload template that makes the effective input; optional.
	Parameters map[string]any `json:"Parameters,omitzero"`
	// Result is the state's fixed result: any JSON value, [Null] for a null. A nil makes the effective input the result.
	Result any `json:"Result,omitempty"`
	// ResultPath says where in the input the result goes; empty replaces the input, [Discard] drops the result.
	ResultPath Path `json:"ResultPath,omitempty"`
	// OutputPath selects from the state's output; empty selects all of it.
	OutputPath Path `json:"OutputPath,omitempty"`
	// Next names the following state; either Next or End.
	Next string `json:"Next,omitempty"`
	// End makes the state the last one.
	End bool `json:"End,omitempty"`

	order keyOrder
}

// Wait delays the execution by exactly one of its four fields. See
// https://docs.aws.amazon.com/step-functions/latest/dg/state-wait.html.
type Wait struct {
	// Comment is a readable description; optional.
	Comment string `json:"Comment,omitempty"`
	// QueryLanguage is the machine's when empty, or [LanguageJSONata].
	QueryLanguage string `json:"QueryLanguage,omitempty"`
	// InputPath selects from the state's input; empty selects all of it.
	InputPath Path `json:"InputPath,omitempty"`
	// OutputPath selects from the state's output; empty selects all of it.
	OutputPath Path `json:"OutputPath,omitempty"`
	// Seconds is the time to wait, 0 to 99999999: new(30).
	Seconds *int `json:"Seconds,omitempty"`
	// SecondsExpression is the time to wait in JSONata, {% ... %}; in the definition it is Seconds, too.
	SecondsExpression string `json:"-"`
	// SecondsPath is a reference path to that number.
	SecondsPath string `json:"SecondsPath,omitempty"`
	// Timestamp is the time to wait for, RFC 3339 with upper-case T and Z. One in the past does not wait; fractions of a second
	// are cut off. In JSONata it may be an expression.
	Timestamp string `json:"Timestamp,omitempty"`
	// TimestampPath is a reference path to that time.
	TimestampPath string `json:"TimestampPath,omitempty"`
	// Output is the state's output in JSONata: any JSON value, whose strings between
	// {% and %} are computed; without it the input.
	Output any `json:"Output,omitempty"`
	// Assign sets variables, by name without the $, in JSONata.
	Assign map[string]any `json:"Assign,omitzero"`
	// Next names the following state; either Next or End.
	Next string `json:"Next,omitempty"`
	// End makes the state the last one.
	End bool `json:"End,omitempty"`

	order keyOrder
}

// Succeed ends the execution SUCCEEDED. See
// https://docs.aws.amazon.com/step-functions/latest/dg/state-succeed.html.
type Succeed struct {
	// Comment is a readable description; optional.
	Comment string `json:"Comment,omitempty"`
	// QueryLanguage is the machine's when empty, or [LanguageJSONata].
	QueryLanguage string `json:"QueryLanguage,omitempty"`
	// InputPath selects from the state's input; empty selects all of it.
	InputPath Path `json:"InputPath,omitempty"`
	// OutputPath selects from the state's output; empty selects all of it.
	OutputPath Path `json:"OutputPath,omitempty"`
	// Output is the state's output in JSONata: any JSON value, whose strings between
	// {% and %} are computed; without it the input.
	Output any `json:"Output,omitempty"`

	order keyOrder
}

// Fail ends the execution FAILED. See
// https://docs.aws.amazon.com/step-functions/latest/dg/state-fail.html.
type Fail struct {
	// Comment is a readable description; optional.
	Comment string `json:"Comment,omitempty"`
	// QueryLanguage is the machine's when empty, or [LanguageJSONata].
	QueryLanguage string `json:"QueryLanguage,omitempty"`
	// Error is the error name, in JSONata maybe an expression; excludes ErrorPath. Optional.
	Error string `json:"Error,omitempty"`
	// ErrorPath is a reference path to a string, or an intrinsic function that returns one.
	ErrorPath string `json:"ErrorPath,omitempty"`
	// Cause is the explanation, in JSONata maybe an expression; excludes CausePath. Keep secrets out of it. Optional.
	Cause string `json:"Cause,omitempty"`
	// CausePath is like ErrorPath, for the cause.
	CausePath string `json:"CausePath,omitempty"`
}

// JitterStrategy says whether a retry's delay is drawn at random.
type JitterStrategy string

const (
	// JitterNone waits exactly the delay; the default.
	JitterNone JitterStrategy = "NONE"
	// JitterFull waits between 0 and the delay.
	JitterFull JitterStrategy = "FULL"
)

// Retrier retries a failed Task. See "Retrying after an error" in
// https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
// and requirement C4.
type Retrier struct {
	// Comment is a readable description; optional.
	Comment string `json:"Comment,omitempty"`
	// ErrorEquals lists the error names matched; [ErrorAll] only alone and in the last retrier.
	ErrorEquals []string `json:"ErrorEquals"`
	// IntervalSeconds is the delay before the first retry, 1 to 99999999; 0 is the default of 1.
	IntervalSeconds int `json:"IntervalSeconds,omitempty"`
	// MaxAttempts is the most retries, 0 to 99999999: new(6). 0 never retries; nil is the default of 3.
	MaxAttempts *int `json:"MaxAttempts,omitempty"`
	// BackoffRate multiplies the delay after each retry, at least 1; 0 is the default of 2.
	BackoffRate float64 `json:"BackoffRate,omitempty"`
	// MaxDelaySeconds caps the delay, 1 to 31622400; 0 is no cap.
	MaxDelaySeconds int `json:"MaxDelaySeconds,omitempty"`
	// JitterStrategy is [JitterNone] when empty.
	JitterStrategy JitterStrategy `json:"JitterStrategy,omitempty"`
}

// Catcher leads a failed Task to another state. See "Fallback states" in
// https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html.
type Catcher struct {
	// Comment is a readable description; optional.
	Comment string `json:"Comment,omitempty"`
	// ErrorEquals lists the error names matched; [ErrorAll] only alone and in the last catcher.
	ErrorEquals []string `json:"ErrorEquals"`
	// ResultPath says where in the state's input the error output {Error, Cause}
	// goes; empty replaces the input, so "$.error" is the usual choice.
	ResultPath Path `json:"ResultPath,omitempty"`
	// Output is the state's output in JSONata, in the place of ResultPath, and may
	// have $states.errorOutput; without it the error output.
	Output any `json:"Output,omitempty"`
	// Assign sets variables, by name without the $, in JSONata.
	Assign map[string]any `json:"Assign,omitzero"`
	// Next names the state taken; required.
	Next string `json:"Next"`
}

// Type returns [TypeTask].
func (*Task) Type() StateType { return TypeTask }

// Type returns [TypeChoice].
func (*Choice) Type() StateType { return TypeChoice }

// Type returns [TypePass].
func (*Pass) Type() StateType { return TypePass }

// Type returns [TypeWait].
func (*Wait) Type() StateType { return TypeWait }

// Type returns [TypeSucceed].
func (*Succeed) Type() StateType { return TypeSucceed }

// Type returns [TypeFail].
func (*Fail) Type() StateType { return TypeFail }

// MarshalJSON writes the fields and Type.
func (t *Task) MarshalJSON() ([]byte, error) {
	type fields Task

	return encodeJSON(struct {
		Type StateType
		*fields
	}{TypeTask, (*fields)(t)})
}

// MarshalJSON writes the fields and Type.
func (ch *Choice) MarshalJSON() ([]byte, error) {
	type fields Choice

	return encodeJSON(struct {
		Type StateType
		*fields
	}{TypeChoice, (*fields)(ch)})
}

// MarshalJSON writes the fields and Type.
func (p *Pass) MarshalJSON() ([]byte, error) {
	type fields Pass

	return encodeJSON(struct {
		Type StateType
		*fields
	}{TypePass, (*fields)(p)})
}

// MarshalJSON writes the fields and Type.
func (w *Wait) MarshalJSON() ([]byte, error) {
	type fields Wait

	if w.SecondsExpression != "" {
		return encodeJSON(struct {
			Type    StateType
			Seconds string
			*fields
		}{TypeWait, w.SecondsExpression, (*fields)(w)})
	}

	return encodeJSON(struct {
		Type StateType
		*fields
	}{TypeWait, (*fields)(w)})
}

// MarshalJSON writes the fields and Type.
func (s *Succeed) MarshalJSON() ([]byte, error) {
	type fields Succeed

	return encodeJSON(struct {
		Type StateType
		*fields
	}{TypeSucceed, (*fields)(s)})
}

// MarshalJSON writes the fields and Type.
func (f *Fail) MarshalJSON() ([]byte, error) {
	type fields Fail

	return encodeJSON(struct {
		Type StateType
		*fields
	}{TypeFail, (*fields)(f)})
}

// JSON returns the definition in canonical form: compact, keys sorted, no HTML
// escapes, so equal machines give equal text. It does not validate.
func (m *Machine) JSON() (string, error) {
	raw, err := m.canonical()

	return string(raw), err
}

// IndentedJSON returns the canonical form with two spaces of indentation and a
// line break at the end, for people to read.
func (m *Machine) IndentedJSON() (string, error) {
	raw, err := m.canonical()
	if err != nil {
		return "", err
	}

	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return "", fmt.Errorf("indenting the definition: %w", err)
	}

	return out.String() + "\n", nil
}

// canonical decodes the struct's JSON and writes it again, because only Go's maps have sorted keys.
func (m *Machine) canonical() (json.RawMessage, error) {
	tree, err := normalize(m)
	if err != nil {
		return nil, fmt.Errorf("writing the definition: %w", err)
	}

	return encodeJSON(plain(tree))
}

func (t *Task) edges() []edge { return caughtEdges(t.Next, t.Catch) }

// caughtEdges are the transitions of a state that may have catchers.
func caughtEdges(next string, catchers []Catcher) []edge {
	out := nextEdge(next)

	for i, catcher := range catchers {
		out = append(out, edge{
			field: fmt.Sprintf("Catch[%d].Next", i), target: catcher.Next, label: catchLabel(catcher.ErrorEquals),
		})
	}

	return out
}

func (ch *Choice) edges() []edge {
	out := make([]edge, 0, len(ch.Choices)+1)
	for i, rule := range ch.Choices {
		out = append(out, edge{field: fmt.Sprintf("Choices[%d].Next", i), target: rule.Next, label: rule.Label()})
	}

	if ch.Default != "" {
		out = append(out, edge{field: defaultField, target: ch.Default, label: "otherwise"})
	}

	return out
}

func (p *Pass) edges() []edge { return nextEdge(p.Next) }

func (w *Wait) edges() []edge { return nextEdge(w.Next) }

func (*Succeed) edges() []edge { return nil }

func (*Fail) edges() []edge { return nil }

func nextEdge(target string) []edge {
	if target == "" {
		return nil
	}

	return []edge{{field: "Next", target: target}}
}
