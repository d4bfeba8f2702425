package asl

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// maxNameLength is the most characters of a state's name.
	maxNameLength = 80
	// maxSeconds is the largest time limit, wait or interval in seconds.
	maxSeconds = 99999999
	// maxDelay is the largest MaxDelaySeconds: the guide says below 31622401.
	maxDelay = 31622400
)

// Fields that several states have.
const (
	inputPathField  = "InputPath"
	outputPathField = "OutputPath"
	resultPathField = "ResultPath"
	secondsField    = "Seconds"
	languageField   = "QueryLanguage"
)

// checker collects the problems of a definition.
type checker struct {
	state    string
	problems []Problem
	// language is the machine's QueryLanguage, order that of the state's keys.
	language string
	order    keyOrder
	// owner is the Map in whose ItemProcessor the states are, prefix its field; empty for the machine itself.
	owner, prefix string
	// names and labels are those of the whole machine so far, express says that the states are of an Express child execution.
	names, labels map[string]bool
	express       bool
	// broken names the states that could not be read.
	broken map[string]bool
}

// tree normalizes a value, and puts the members of objects in the order of the text that the state was read from.
func (c *checker) tree(field string, value any) (any, error) {
	tree, err := normalize(value)
	if err != nil {
		return nil, err
	}

	// The names of fields have slashes where they are AWS's for JSONata.
	return c.order.arrange(strings.ReplaceAll(field, "/", "."), tree), nil
}

func (c *checker) addf(field, format string, args ...any) {
	c.problems = append(c.problems, Problem{State: c.state, Field: field, Message: fmt.Sprintf(format, args...)})
}

func (c *checker) add(field string, err error) { c.addf(field, "%v", err) }

// err returns the problems as one error, or nil.
func (c *checker) err() error {
	if len(c.problems) == 0 {
		return nil
	}

	slices.SortStableFunc(c.problems, func(a, b Problem) int { return strings.Compare(a.State, b.State) })

	return &ValidationError{Problems: slices.Compact(c.problems)}
}

// Validate reports every fault of the machine in one [ValidationError]: the rules of each state, targets that do not exist and
// states that cannot be reached. It returns nil for a machine that can be deployed and run.
func (m *Machine) Validate() error {
	_, err := m.compile()

	return err
}

// compile validates the machine and makes the executable form of its states.
func (m *Machine) compile() (map[string]node, error) {
	c := &checker{}
	nodes := m.check(c)

	return nodes, c.err()
}

// check does the work of compile; the names in c.broken count as existing states that lead anywhere.
func (m *Machine) check(c *checker) map[string]node {
	m.checkFields(c)

	nodes := make(map[string]node, len(m.States))

	for _, name := range slices.Sorted(maps.Keys(m.States)) {
		c.state = name
		checkName(c, name)
		c.unique(name)

		state := m.States[name]
		if isNil(state) {
			c.addf("", "the state is nil")

			continue
		}

		nodes[name] = state.compile(c)
	}

	c.state = c.owner
	m.checkGraph(c)

	return nodes
}

// isNil also finds a nil pointer inside the interface.
func isNil(state State) bool {
	return state == nil || reflect.ValueOf(state).IsNil()
}

func (m *Machine) checkFields(c *checker) {
	if m.Version != "" && m.Version != "1.0" {
		c.addf("Version", `%q is not supported: the only version is "1.0"`, m.Version)
	}

	c.inJSONata(m.QueryLanguage)
	c.language = m.QueryLanguage

	c.seconds("TimeoutSeconds", m.TimeoutSeconds, maxSeconds)
}

func checkName(c *checker, name string) {
	if n := utf8.RuneCountInString(name); n < 1 || n > maxNameLength {
		c.addf("", "a state's name must have 1 to %d characters and this one has %d", maxNameLength, n)
	}
}

// unique reports a state's name that the machine has twice, in and around a Map.
func (c *checker) unique(name string) {
	if c.names == nil {
		c.names, c.labels = map[string]bool{}, map[string]bool{}
	}

	if c.names[name] {
		c.addf("", "the name is given to two states: choose another, since the names in a machine and in the Maps in it are all different")
	}

	c.names[name] = true
}

func (m *Machine) checkGraph(c *checker) {
	if len(m.States) == 0 && len(c.broken) == 0 {
		c.addf(c.prefix+"States", "the machine has no states")

		return
	}

	if m.StartAt == "" {
		c.addf(c.prefix+"StartAt", "name the first state")
	} else {
		m.checkTarget(c, c.prefix+"StartAt", m.StartAt)
	}

	for _, name := range slices.Sorted(maps.Keys(m.States)) {
		if isNil(m.States[name]) {
			continue
		}

		c.state = name

		for _, e := range m.States[name].edges() {
			if e.target != "" {
				m.checkTarget(c, e.field, e.target)
			}
		}
	}

	if len(c.broken) == 0 {
		m.checkReachable(c)
	}

	c.state = c.owner
}

func (m *Machine) checkTarget(c *checker, field, target string) {
	if _, ok := m.States[target]; !ok && !c.broken[target] {
		c.addf(field, "there is no state named %q", target)
	}
}

func (m *Machine) checkReachable(c *checker) {
	if _, ok := m.States[m.StartAt]; !ok {
		return // Reported already; every state would be called unreachable.
	}

	reached := make(map[string]bool, len(m.States))
	for _, name := range m.breadthFirst() {
		reached[name] = true
	}

	for _, name := range slices.Sorted(maps.Keys(m.States)) {
		if !reached[name] {
			c.state = name
			c.addf("", "no path from StartAt leads to the state: refer to it or remove it")
		}
	}
}

// breadthFirst lists the reachable states, nearest to StartAt first.
func (m *Machine) breadthFirst() []string {
	var order, waiting []string

	seen := map[string]bool{}
	push := func(name string) {
		if state, ok := m.States[name]; ok && !seen[name] && !isNil(state) {
			seen[name] = true
			waiting = append(waiting, name)
		}
	}

	for push(m.StartAt); len(waiting) > 0; {
		name := waiting[0]
		waiting = waiting[1:]
		order = append(order, name)

		for _, e := range m.States[name].edges() {
			push(e.target)
		}
	}

	return order
}

// seconds checks an optional number of seconds, of which 0 means absent.
func (c *checker) seconds(field string, value, limit int) {
	if value < 0 || value > limit {
		c.addf(field, "must be from 1 to %d and is %d", limit, value)
	}
}

// filter reads an InputPath or OutputPath.
func (c *checker) filter(field string, p Path) filter {
	switch p {
	case "":
		return filter{}
	case Discard:
		return filter{discard: true}
	}

	parsed, err := parsePath(string(p))
	if err != nil {
		c.add(field, err)
	}

	return filter{path: parsed}
}

// sink reads a ResultPath.
func (c *checker) sink(field string, p Path) sink {
	switch p {
	case "":
		return sink{}
	case Discard:
		return sink{discard: true}
	}

	target, err := parseResultPath(string(p))
	if err != nil {
		c.add(field, err)
	}

	return sink{target: target}
}

// reference reads a field that must be a reference path.
func (c *checker) reference(field, text string) *path {
	p, err := parseReference(text)
	if err != nil {
		c.add(field, err)
	}

	return p
}

// optionalReference is reference for a field that may be empty.
func (c *checker) optionalReference(field, text string) *path {
	if text == "" {
		return nil
	}

	return c.reference(field, text)
}

// template reads a payload template; nil gives nil.
func (c *checker) template(field string, object map[string]any) expression {
	if object == nil {
		return nil
	}

	tree, err := c.tree(field, object)
	if err != nil {
		c.add(field, err)

		return nil
	}

	return compileTemplate(tree, field, c.add)
}

// transition checks that exactly one of Next and End is set.
func (c *checker) transition(next string, end bool) {
	switch {
	case next != "" && end:
		c.addf("Next", "has both Next and End: keep one")
	case next == "" && !end:
		c.addf("Next", "has neither Next nor End: name the following state or set End to true")
	}
}

// exclusive reports two fields of which only one may be set.
func (c *checker) exclusive(first string, hasFirst bool, second string, hasSecond bool) {
	if hasFirst && hasSecond {
		c.addf(first, "excludes %s: keep one of the two", second)
	}
}

// given counts the fields that are there, of some that exclude each other.
func given(fields ...bool) int {
	return len(slices.DeleteFunc(fields, func(there bool) bool { return !there }))
}

func (t *Task) compile(c *checker) node {
	switch {
	case t.Resource == "":
		c.addf("Resource", "name the ARN of the work to do, such as arn:aws:states:::lambda:invoke")
	case !resourcePattern.MatchString(t.Resource):
		c.addf("Resource", "%q is not an ARN, such as arn:aws:states:::lambda:invoke", t.Resource)
	}

	if name := IntegrationName(t.Resource); isOfMap(name) {
		c.addf("Resource", "%s is of a Map's ItemReader or ResultWriter: a task calls arn:aws:states:::aws-sdk:%s", name, name)
	}

	if c.express && IsJob(t.Resource) {
		c.addf("Resource", "%s waits for what it starts, which a child execution of the type EXPRESS can't: make ExecutionType STANDARD",
			IntegrationName(t.Resource))
	}

	c.order = t.order
	t.checkLimits(c)
	c.transition(t.Next, t.End)

	out := &taskNode{
		input:         c.filter(inputPathField, t.InputPath),
		parameters:    c.template("Parameters", t.Parameters),
		credentials:   c.template("Credentials", t.Credentials),
		selector:      c.template("ResultSelector", t.ResultSelector),
		result:        c.sink(resultPathField, t.ResultPath),
		output:        c.filter(outputPathField, t.OutputPath),
		timeout:       limit{seconds: t.TimeoutSeconds, path: c.optionalReference("TimeoutSecondsPath", t.TimeoutSecondsPath)},
		heartbeat:     limit{seconds: t.HeartbeatSeconds, path: c.optionalReference("HeartbeatSecondsPath", t.HeartbeatSecondsPath)},
		recovery:      c.recovery(t.Resource, t.Retry, t.Catch, c.inJSONata(t.QueryLanguage)),
		waitsForToken: strings.HasSuffix(t.Resource, ".waitForTaskToken"),
		next:          t.Next,
	}

	if !c.inJSONata(t.QueryLanguage) {
		c.excluded(LanguageJSONata, "", map[string]bool{
			"Arguments": t.Arguments != nil, outputField: t.Output != nil, assignField: t.Assign != nil,
		})

		return out
	}

	c.excluded(languageJSONPath, "", map[string]bool{
		inputPathField: t.InputPath != "", "Parameters": t.Parameters != nil, "ResultSelector": t.ResultSelector != nil,
		resultPathField: t.ResultPath != "", outputPathField: t.OutputPath != "",
		"TimeoutSecondsPath": t.TimeoutSecondsPath != "", "HeartbeatSecondsPath": t.HeartbeatSecondsPath != "",
	})

	out.query = &taskQuery{arguments: c.optionalQuery("Arguments", t.Arguments), results: c.results("", t.Output, t.Assign)}

	return out
}

// resourcePattern is an ARN with a partition, a service and a resource, which itself is none:
// arn:aws:arn:aws:states:::lambda:invoke comes of a template that was filled in twice.
var resourcePattern = regexp.MustCompile(`^arn:aws(-[a-z]+)*:[a-z0-9-]+:[a-z0-9-]*:([0-9]+|aws)?:[^\s:]\S*$`)

func (t *Task) checkLimits(c *checker) {
	c.seconds("TimeoutSeconds", t.TimeoutSeconds, maxSeconds)
	c.seconds("HeartbeatSeconds", t.HeartbeatSeconds, maxSeconds)
	c.exclusive("TimeoutSeconds", t.TimeoutSeconds != 0, "TimeoutSecondsPath", t.TimeoutSecondsPath != "")
	c.exclusive("HeartbeatSeconds", t.HeartbeatSeconds != 0, "HeartbeatSecondsPath", t.HeartbeatSecondsPath != "")

	if t.HeartbeatSeconds != 0 && t.TimeoutSeconds != 0 && t.HeartbeatSeconds >= t.TimeoutSeconds {
		c.addf("HeartbeatSeconds", "must be below TimeoutSeconds (%d) and is %d", t.TimeoutSeconds, t.HeartbeatSeconds)
	}
}

func (ch *Choice) compile(c *checker) node {
	if len(ch.Choices) == 0 {
		c.addf("Choices", "must have at least one rule")
	}

	c.order = ch.order

	if c.inJSONata(ch.QueryLanguage) {
		return ch.compileQuery(c)
	}

	c.excluded(LanguageJSONata, "", map[string]bool{outputField: ch.Output != nil, assignField: ch.Assign != nil})

	out := &choiceNode{
		input:    c.filter(inputPathField, ch.InputPath),
		output:   c.filter(outputPathField, ch.OutputPath),
		fallback: ch.Default,
	}

	for i, rule := range ch.Choices {
		field := fmt.Sprintf("Choices[%d]", i)
		if rule.Next == "" {
			c.addf(field, "needs Next, the state to go to")
		}

		out.choices = append(out.choices, branch{
			check: rule.compile(c, field), assigned: c.constants(field+"."+assignField, rule.Assign),
			next: rule.Next, label: rule.Label(),
		})
	}

	return out
}

func (ch *Choice) compileQuery(c *checker) node {
	c.excluded(languageJSONPath, "", map[string]bool{inputPathField: ch.InputPath != "", outputPathField: ch.OutputPath != ""})

	out := &queryChoiceNode{results: c.results("", ch.Output, ch.Assign), fallback: ch.Default}

	for i, rule := range ch.Choices {
		field := fmt.Sprintf("Choices[%d]", i)
		if rule.Next == "" {
			c.addf(field, "needs Next, the state to go to")
		}

		c.excluded(languageJSONPath, field+"/", map[string]bool{
			variableField: rule.Variable != "", "And": rule.And != nil, "Or": rule.Or != nil, "Not": rule.Not != nil,
		})

		out.choices = append(out.choices, queryBranch{
			condition: c.expression(field+"/"+conditionField, rule.Condition),
			results:   c.results(field+"/", rule.Output, rule.Assign), next: rule.Next, label: rule.Label(),
		})
	}

	return out
}

func (p *Pass) compile(c *checker) node {
	c.order = p.order
	c.transition(p.Next, p.End)

	if c.inJSONata(p.QueryLanguage) {
		c.excluded(languageJSONPath, "", map[string]bool{
			inputPathField: p.InputPath != "", "Parameters": p.Parameters != nil, "Result": p.Result != nil,
			resultPathField: p.ResultPath != "", outputPathField: p.OutputPath != "",
		})

		return &queryNode{results: c.results("", p.Output, p.Assign), next: p.Next}
	}

	c.excluded(LanguageJSONata, "", map[string]bool{outputField: p.Output != nil, assignField: p.Assign != nil})

	out := &passNode{
		input:      c.filter(inputPathField, p.InputPath),
		parameters: c.template("Parameters", p.Parameters),
		result:     c.sink(resultPathField, p.ResultPath),
		output:     c.filter(outputPathField, p.OutputPath),
		fixed:      p.Result != nil,
		next:       p.Next,
	}

	if !out.fixed {
		return out
	}

	value, err := c.tree("Result", p.Result)
	if err != nil {
		c.add("Result", err)
	}

	out.value = value

	return out
}

func (w *Wait) compile(c *checker) node {
	c.order = w.order
	c.transition(w.Next, w.End)

	set := given(w.Seconds != nil || w.SecondsExpression != "", w.SecondsPath != "", w.Timestamp != "", w.TimestampPath != "")
	if set != 1 {
		c.addf("", "a Wait needs exactly one of Seconds, SecondsPath, Timestamp and TimestampPath; it has %d", set)
	}

	if c.inJSONata(w.QueryLanguage) {
		return w.compileQuery(c)
	}

	c.excluded(LanguageJSONata, "", map[string]bool{
		secondsField: w.SecondsExpression != "", outputField: w.Output != nil, assignField: w.Assign != nil,
	})

	out := w.fixed(c)
	out.input = c.filter(inputPathField, w.InputPath)
	out.output = c.filter(outputPathField, w.OutputPath)
	out.secondsPath = c.optionalReference("SecondsPath", w.SecondsPath)
	out.timestampPath = c.optionalReference("TimestampPath", w.TimestampPath)

	return out
}

// fixed reads Seconds and Timestamp.
func (w *Wait) fixed(c *checker) *waitNode {
	out := &waitNode{next: w.Next}

	if w.Seconds != nil {
		out.seconds = *w.Seconds
		if *w.Seconds < 0 || *w.Seconds > maxSeconds {
			c.addf(secondsField, "must be from 0 to %d and is %d", maxSeconds, *w.Seconds)
		}
	}

	if w.Timestamp != "" {
		until, err := parseTimestamp(w.Timestamp)
		if err != nil {
			c.add("Timestamp", err)
		}

		out.until = until
	}

	return out
}

func (w *Wait) compileQuery(c *checker) node {
	c.excluded(languageJSONPath, "", map[string]bool{
		inputPathField: w.InputPath != "", outputPathField: w.OutputPath != "",
		"SecondsPath": w.SecondsPath != "", "TimestampPath": w.TimestampPath != "",
	})

	out := &queryWaitNode{results: c.results("", w.Output, w.Assign), next: w.Next}

	switch {
	case w.SecondsExpression != "":
		out.seconds = new(c.expression(secondsField, w.SecondsExpression))
	case strings.HasPrefix(w.Timestamp, queryBegin):
		out.timestamp = new(c.expression("Timestamp", w.Timestamp))
	default:
		out.fixed = w.fixed(c)
	}

	return out
}

func (s *Succeed) compile(c *checker) node {
	c.order = s.order

	if c.inJSONata(s.QueryLanguage) {
		c.excluded(languageJSONPath, "", map[string]bool{inputPathField: s.InputPath != "", outputPathField: s.OutputPath != ""})

		return &queryNode{results: c.results("", s.Output, nil)}
	}

	c.excluded(LanguageJSONata, "", map[string]bool{outputField: s.Output != nil})

	return &succeedNode{
		input:  c.filter(inputPathField, s.InputPath),
		output: c.filter(outputPathField, s.OutputPath),
	}
}

func (f *Fail) compile(c *checker) node {
	c.exclusive("Error", f.Error != "", "ErrorPath", f.ErrorPath != "")
	c.exclusive("Cause", f.Cause != "", "CausePath", f.CausePath != "")
	checkErrorName(c, "Error", f.Error)

	if c.inJSONata(f.QueryLanguage) {
		c.excluded(languageJSONPath, "", map[string]bool{"ErrorPath": f.ErrorPath != "", "CausePath": f.CausePath != ""})

		return &queryFailNode{name: c.queryText("Error", f.Error), cause: c.queryText("Cause", f.Cause)}
	}

	return &failNode{
		name: f.Error, cause: f.Cause,
		namePath:  compileText(c, "ErrorPath", f.ErrorPath),
		causePath: compileText(c, "CausePath", f.CausePath),
	}
}

// textFunctions may stand in ErrorPath and CausePath: those that return a string.
func textFunctions() []string {
	return []string{
		formatName, "States.JsonToString", "States.ArrayGetItem", "States.Base64Encode",
		"States.Base64Decode", "States.Hash", "States.UUID",
	}
}

// compileText reads an ErrorPath or CausePath.
func compileText(c *checker, field, text string) expression {
	if text == "" {
		return nil
	}

	if strings.HasPrefix(text, "$") {
		if p := c.reference(field, text); p != nil {
			return pathExpr{path: p, field: field}
		}

		return nil
	}

	expr, err := parseExpression(field, text)
	if err != nil {
		c.add(field, err)

		return nil
	}

	name, _, _ := strings.Cut(text, "(")
	if !slices.Contains(textFunctions(), strings.TrimSpace(name)) {
		c.addf(field, "%s does not return a string; allowed are %s", name, strings.Join(textFunctions(), ", "))
	}

	return expr
}

// recovery reads Retry and Catch of a state.
func (c *checker) recovery(resource string, retry []Retrier, catch []Catcher, inJSONata bool) recovery {
	return recovery{resource: resource, retriers: compileRetriers(c, retry), catchers: compileCatchers(c, catch, inJSONata)}
}

func compileRetriers(c *checker, retriers []Retrier) []retrier {
	out := make([]retrier, len(retriers))

	for i, r := range retriers {
		field := fmt.Sprintf("Retry[%d]", i)
		checkErrors(c, field, r.ErrorEquals, i == len(retriers)-1)
		r.check(c, field)
		out[i] = newRetrier(r)
	}

	return out
}

func (r Retrier) check(c *checker, field string) {
	c.seconds(field+".IntervalSeconds", r.IntervalSeconds, maxSeconds)
	c.seconds(field+".MaxDelaySeconds", r.MaxDelaySeconds, maxDelay)

	if r.MaxAttempts != nil && (*r.MaxAttempts < 0 || *r.MaxAttempts > maxSeconds) {
		c.addf(field+".MaxAttempts", "must be from 0 (never retry) to %d and is %d", maxSeconds, *r.MaxAttempts)
	}

	if r.BackoffRate != 0 && (r.BackoffRate < 1 || math.IsNaN(r.BackoffRate) || math.IsInf(r.BackoffRate, 0)) {
		c.addf(field+".BackoffRate", "must be at least 1.0 and is %v", r.BackoffRate)
	}

	switch r.JitterStrategy {
	case "", JitterNone, JitterFull:
	default:
		c.addf(field+".JitterStrategy", "must be FULL or NONE and is %q", string(r.JitterStrategy))
	}
}

const catchField = "Catch"

func compileCatchers(c *checker, catchers []Catcher, inJSONata bool) []catcher {
	out := make([]catcher, len(catchers))

	for i, item := range catchers {
		field := fmt.Sprintf("%s[%d]", catchField, i)
		checkErrors(c, field, item.ErrorEquals, i == len(catchers)-1)

		if item.Next == "" {
			c.addf(field, "needs Next, the state to go to")
		}

		out[i] = catcher{errors: item.ErrorEquals, next: item.Next}

		if inJSONata {
			c.excluded(languageJSONPath, field+"/", map[string]bool{resultPathField: item.ResultPath != ""})
			out[i].query = new(c.results(field+"/", item.Output, item.Assign))
		} else {
			c.excluded(LanguageJSONata, field+".", map[string]bool{outputField: item.Output != nil, assignField: item.Assign != nil})
			out[i].result = c.sink(field+".ResultPath", item.ResultPath)
		}
	}

	return out
}

var errNoNames = errors.New("must have at least one error name")

func checkErrors(c *checker, field string, names []string, last bool) {
	field += ".ErrorEquals"

	if len(names) == 0 {
		c.add(field, errNoNames)
	}

	for _, name := range names {
		if name == "" {
			c.addf(field, "an error name is empty")
		}

		checkErrorName(c, field, name)
	}

	if !slices.Contains(names, ErrorAll) {
		return
	}

	if len(names) > 1 {
		c.addf(field, "%s must stand alone: it matches the other names already", ErrorAll)
	}

	if !last {
		c.addf(field, "%s must be in the last element: those behind it are never reached", ErrorAll)
	}
}

func checkErrorName(c *checker, field, name string) {
	if strings.HasPrefix(name, reservedPrefix) && !slices.Contains(reservedErrorNames(), name) {
		c.addf(field, "%q is no error name of the language, and its prefix is reserved; known are %s",
			name, strings.Join(reservedErrorNames(), ", "))
	}
}
