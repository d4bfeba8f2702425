package settings

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/upload-router/components/routing"
	"example.com/upload-router/internal/filter"
	"example.com/upload-router/internal/host/limits"
	"example.com/upload-router/internal/machine"
)

// Route is one of [Settings.Routes]: what it says itself. The rest is as the keys for all routes of its compute have it.
type Route struct {
	Name    string
	Compute routing.Compute
	// MaxSize and Keys are its condition; nil: any.
	MaxSize *int64
	Keys    []string
	// CPU, Memory, Storage and Timeout are 0, MaxParallel is nil and Capacity empty for what the keys for all have.
	CPU, Memory, Storage int
	Timeout              time.Duration
	MaxParallel          *int
	Capacity             TaskCapacity

	// path is where it is in the configuration.
	path string
	// unread are those fields of which it isn't known what they should be, as they are wrong, or misspelt: what depends on them isn't
	// judged. There are none in settings that were loaded.
	unread []string
}

// reads says whether it is known what all of some fields are.
func (r Route) reads(fields ...string) bool {
	return !slices.ContainsFunc(fields, func(field string) bool { return slices.Contains(r.unread, field) })
}

// The fields of a route in the configuration.
const (
	fieldName        = "name"
	fieldMaxSize     = "maxSize"
	fieldKeys        = "keys"
	fieldCompute     = "compute"
	fieldCPU         = "cpu"
	fieldMemory      = "memory"
	fieldStorage     = "storage"
	fieldTimeout     = "timeout"
	fieldMaxParallel = "maxParallel"
	fieldCapacity    = "capacity"
)

// routeFields are those fields, in the order in which their problems are reported, with what is right where nothing nearer is. Those that
// have a key for all routes are of Fargate routes only.
var routeFields = []struct{ name, example, key string }{
	{fieldName, "large", ""}, {fieldMaxSize, "6MiB", ""}, {fieldKeys, "", ""}, {fieldCompute, "fargate", ""},
	{fieldCPU, "1024", keyTaskCPU}, {fieldMemory, "2048", keyTaskMemory}, {fieldStorage, "50", keyTaskStorage},
	{fieldTimeout, "1500", keyTaskTimeout}, {fieldMaxParallel, "10", keyMaxParallelTasks}, {fieldCapacity, "spot", keyTaskCapacity},
}

func routeFieldNames() []string {
	names := make([]string, len(routeFields))
	for i, f := range routeFields {
		names[i] = f.name
	}
	return names
}

// mostRoutes is how many fit into a definition of Step Functions, and how many people still read.
const mostRoutes = 50

// mostGlobBytes is how much of a definition the globs of all routes may take, so that the one of backfills, which has them twice, stays
// below the 1,048,576 characters that a definition may have and the 1 MB that a request may, with what else mostRoutes add.
//
// https://docs.aws.amazon.com/step-functions/latest/apireference/API_CreateStateMachine.html
// https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
const mostGlobBytes = 150_000

// globBytes is how much of the request a glob takes: it is text in the JSON of a definition, which is text in the JSON of the request.
func globBytes(glob string) int {
	const rule = 90               // what the comparison takes besides
	text, _ := json.Marshal(glob) // which has no error for a text
	text, _ = json.Marshal(string(text))
	return len(text) + rule
}

// routeName is what a route may be called: its states' names have it, at most 80 characters in all.
var routeName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}$`)

// routes are what the state machine is made of.
func (s *Settings) routes() []routing.Route {
	if len(s.Routes) == 0 {
		routes := routing.BySize(s.SizeThreshold, s.LambdaTimeout, s.TaskTimeout)
		for i := range routes {
			if r := &routes[i]; r.Compute == routing.Fargate {
				r.Spot, r.MaxParallel = s.TaskCapacity == CapacitySpot, s.MaxParallelTasks
			}
		}
		return routes
	}
	routes := make([]routing.Route, len(s.Routes))
	for i, r := range s.Routes {
		routes[i] = r.completed(s)
	}
	return routes
}

// completed is the route with what the keys for all routes have. Of the size it says only what the task's definition doesn't.
func (r Route) completed(s *Settings) routing.Route {
	out := routing.Route{Name: r.Name, Compute: r.Compute, MaxSize: r.MaxSize, Keys: r.Keys, Timeout: s.LambdaTimeout}
	if r.Compute != routing.Fargate {
		return out
	}
	other := func(own, all int) int {
		if own == all {
			return 0
		}
		return own
	}
	out.CPU, out.Memory, out.Storage = other(r.CPU, s.TaskCPU), other(r.Memory, s.TaskMemory), other(r.Storage, s.TaskStorage)
	out.Timeout = cmp.Or(r.Timeout, s.TaskTimeout)
	out.Spot = cmp.Or(r.Capacity, s.TaskCapacity) == CapacitySpot
	out.MaxParallel = s.MaxParallelTasks
	if r.MaxParallel != nil {
		out.MaxParallel = *r.MaxParallel
	}
	return out
}

// routeReader reads one route and knows where its problems are.
type routeReader struct {
	*loader
	path   string
	fields map[string]json.RawMessage
	// unread is [Route.unread].
	unread []string
}

// routes reads the routes.
func (l *loader) routes(k Key, s *Settings) {
	elements, ok := l.list(k, l.fix(k.Name))
	if !ok {
		return
	}
	if len(elements) > mostRoutes {
		l.report(k.Name, l.raw(k.Name), fmt.Sprintf("must have at most %d routes, this has %d", mostRoutes, len(elements)))
		return
	}
	if len(elements) > 0 && l.raw(keySizeThreshold) != l.keys[keySizeThreshold].Text() {
		l.reportAt(keySizeThreshold, keySizeThreshold, l.raw(keySizeThreshold),
			"is the short form of two "+keyRoutes+", which are given: say it there, as "+fieldMaxSize, remove(keySizeThreshold))
	}
	for i, element := range elements {
		r := &routeReader{loader: l, path: routePath(i)}
		route := r.route(element)
		route.path, route.unread = r.path, r.unread
		s.Routes = append(s.Routes, route)
	}
	l.routesTogether(s.Routes)
	l.globsTogether(s.Routes)
}

// globsTogether refuses more globs than a definition has room for.
func (l *loader) globsTogether(routes []Route) {
	bytes := 0
	for _, r := range routes {
		for _, glob := range r.Keys {
			bytes += globBytes(glob)
		}
	}
	if bytes > mostGlobBytes {
		l.reportAt(keyRoutes, keyRoutes, l.raw(keyRoutes), fmt.Sprintf("the globs of all %s take %d bytes of the state machine's definition, "+
			"of which they may take %d: Step Functions takes 1 MB in all, and a glob %d bytes besides its text", fieldKeys, bytes, mostGlobBytes,
			globBytes("")), Fix{
			Path: keyRoutes, Text: "take globs out of " + keyRoutes + " in " + l.file() + ", or let one with a * stand for several",
		})
	}
}

// routePath is the path of a route.
func routePath(i int) string { return fmt.Sprintf("%s[%d]", keyRoutes, i) }

// route reads one element of the list.
func (r *routeReader) route(element json.RawMessage) (out Route) {
	object, err := decodeJSON[map[string]json.RawMessage](string(element))
	if err != nil || object == nil {
		r.unread = routeFieldNames()
		r.reportAt(keyRoutes, r.path, string(element),
			jsonRule(err, "must be an object with fields out of "+strings.Join(routeFieldNames(), ", ")), r.fix(keyRoutes))
		return out
	}
	r.fields = object
	r.unknownFields()
	out.Name = r.name()
	out.MaxSize = r.maxSize()
	out.Keys = r.keys()
	out.Compute = r.compute()
	if out.Compute != routing.Fargate {
		r.noTask()
		return out
	}
	number := func(field string) int {
		n := r.number(field)
		if n == nil {
			return 0
		}
		return *n
	}
	out.CPU, out.Memory, out.Storage = number(fieldCPU), number(fieldMemory), number(fieldStorage)
	out.Timeout = time.Duration(number(fieldTimeout)) * time.Second
	out.MaxParallel = r.number(fieldMaxParallel)
	out.Capacity = r.capacity()
	return out
}

// refuseField notes a problem of one field, of which it isn't known then what it should be.
func (r *routeReader) refuseField(field, value, rule string, fix Fix) {
	root, _, _ := strings.Cut(field, "[")
	r.unread = append(r.unread, root)
	r.reportAt(keyRoutes, r.path+"."+field, value, rule, fix)
}

// example has a field set to what is right.
func (r *routeReader) example(field string) Fix {
	for _, f := range routeFields {
		if f.name == field {
			return set(r.path+"."+field, f.example)
		}
	}
	return remove(r.path + "." + field)
}

// listOf has keys set to the list of one glob, in the whole list: Pulumi's command line makes none of what isn't one.
func (r *routeReader) listOf(glob string) Fix {
	elements := elementsOf(r.raw(keyRoutes))
	for i := range elements {
		if routePath(i) == r.path {
			fields := maps.Clone(r.fields)
			fields[fieldKeys] = json.RawMessage(CompactJSON([]string{glob}))
			elements[i] = CompactJSON(fields)
		}
	}
	return r.fileFix(keyRoutes, "["+strings.Join(elements, ",")+"]")
}

func (r *routeReader) unknownFields() {
	names := routeFieldNames()
	for _, field := range slices.Sorted(maps.Keys(r.fields)) {
		if slices.Contains(names, field) {
			continue
		}
		rule, meant := "a route has no such field; there are "+strings.Join(names, ", "), names
		if near := nearest(field, names); near != "" {
			rule, meant = "a route has no such field, did you mean "+near+"?", []string{near}
		}
		r.reportAt(keyRoutes, r.path+"."+display(field), string(r.fields[field]), rule, remove(r.path+"."+field))
		for _, name := range meant {
			if _, there := r.given(name); !there {
				r.unread = append(r.unread, name)
			}
		}
	}
}

// given is a field's JSON. It isn't there if the field isn't, or is null.
func (r *routeReader) given(field string) (raw json.RawMessage, there bool) {
	raw, there = r.fields[field]
	return raw, there && string(raw) != "null"
}

// text is a field's text; a number counts as one, since `pulumi config set --path` makes a number of every value that looks like one.
func (r *routeReader) text(field string) (value string, there bool) {
	raw, there := r.given(field)
	if !there {
		return "", false
	}
	if number, err := decodeJSON[json.Number](string(raw)); err == nil {
		return number.String(), true
	}
	value, err := decodeJSON[string](string(raw))
	if err != nil {
		r.refuseField(field, string(raw), "must be text or a number", r.example(field))
		return "", false
	}
	return value, true
}

func (r *routeReader) name() string {
	name, there := r.text(fieldName)
	if routeName.MatchString(name) {
		return name
	}
	if there || !slices.Contains(r.unread, fieldName) {
		r.refuseField(fieldName, name, "must be 1 to 31 lowercase letters, digits and hyphens, and begin with a letter", r.example(fieldName))
	}
	return ""
}

func (r *routeReader) maxSize() *int64 {
	text, there := r.text(fieldMaxSize)
	if !there {
		return nil
	}
	size, err := ParseSize(text)
	if err != nil {
		r.refuseField(fieldMaxSize, text, err.Error(), set(r.path+"."+fieldMaxSize, cmp.Or(fixedSize(r.loader, text), "6MiB")))
		return nil
	}
	return &size
}

// keys are the route's globs.
func (r *routeReader) keys() []string {
	raw, there := r.given(fieldKeys)
	if !there {
		return nil
	}
	globs, err := decodeJSON[[]string](string(raw))
	if err != nil || len(globs) == 0 {
		glob, _ := decodeJSON[string](string(raw)) // which may be meant as the only one
		r.refuseField(fieldKeys, string(raw), "must be a list of globs of the object's key, at least one", r.listOf(cmp.Or(glob, "*")))
		return nil
	}
	for i, glob := range globs {
		field := fmt.Sprintf("%s[%d]", fieldKeys, i)
		switch _, err := filter.ParseGlob(glob); {
		case err != nil:
			r.refuseField(field, glob, err.Error(), set(r.path+"."+field, fixedGlob(r.loader, glob)))
		case slices.Index(globs, glob) < i:
			r.reportAt(keyRoutes, r.path+"."+field, glob, "is in the list already", remove(r.path+"."+field))
		}
	}
	return globs
}

// compute is the route's compute; of one that is wrong, what is proposed for it, by which its other fields are judged.
func (r *routeReader) compute() routing.Compute {
	allowed := []string{string(routing.Lambda), string(routing.Fargate)}
	text, there := r.text(fieldCompute)
	if slices.Contains(allowed, text) {
		return routing.Compute(text)
	}
	meant := cmp.Or(nearestChoice(text, allowed), string(routing.Fargate))
	if there || !slices.Contains(r.unread, fieldCompute) {
		r.refuseField(fieldCompute, text, "must be "+orList(allowed), set(r.path+"."+fieldCompute, meant))
	}
	return routing.Compute(meant)
}

// noTask refuses what only a task has.
func (r *routeReader) noTask() {
	for _, f := range routeFields {
		raw, there := r.given(f.name)
		if f.key == "" || !there {
			continue
		}
		rule := "goes with " + fieldCompute + " fargate only: all Lambda routes have one function"
		if f.name == fieldTimeout {
			rule += ", whose time is " + keyLambdaTimeout
		}
		r.reportAt(keyRoutes, r.path+"."+f.name, string(raw), rule, remove(r.path+"."+f.name))
	}
}

// number is a number that the key for all routes would take; nil if there is none.
func (r *routeReader) number(field string) *int {
	text, there := r.text(field)
	if !there {
		return nil
	}
	k := r.loader.keys[routeKey(field)]
	number, err := wholeNumber(text)
	if err == nil && k.allows(number) {
		return &number
	}
	meant := cmp.Or(fixedNumber(text, k.allows), k.Example)
	if err == nil && number > 0 && len(k.Values) > 0 {
		meant = strconv.Itoa(nextAllowed(k.Values, number))
	}
	r.refuseField(field, text, k.rule()+noted(err), set(r.path+"."+field, meant))
	return nil
}

// routeKey is the key that has for all routes what a field has for one.
func routeKey(field string) string {
	for _, f := range routeFields {
		if f.name == field {
			return f.key
		}
	}
	return ""
}

func (r *routeReader) capacity() TaskCapacity {
	text, there := r.text(fieldCapacity)
	allowed := []string{string(CapacityFargate), string(CapacitySpot)}
	if there && !slices.Contains(allowed, text) {
		r.refuseField(fieldCapacity, text, "must be "+orList(allowed),
			set(r.path+"."+fieldCapacity, cmp.Or(nearestChoice(text, allowed), string(CapacityFargate))))
		return ""
	}
	return TaskCapacity(text)
}

// routesTogether checks what the routes have to be together: each has a name of its own, and every object takes one.
func (l *loader) routesTogether(routes []Route) {
	for i, r := range routes {
		first := slices.IndexFunc(routes, func(o Route) bool { return o.Name == r.Name })
		if r.Name != "" && first < i {
			l.reportAt(keyRoutes, r.path+"."+fieldName, r.Name, "is the name of "+routes[first].path+", too: each has to have one of its own",
				set(r.path+"."+fieldName, otherName(routes, r.Name)))
		}
	}
	if len(routes) == 0 {
		return
	}
	elements := elementsOf(l.raw(keyRoutes))
	if last := routes[len(routes)-1]; hasCondition(elements[len(elements)-1]) {
		elements = append(elements, `{"name":"`+otherName(routes, "other")+`","compute":"fargate"}`)
		l.reportAt(keyRoutes, last.path, last.Name, fmt.Sprintf("the last route must have neither %s nor %s: an object that "+
			"none takes would not be processed", fieldMaxSize, fieldKeys), l.fileFix(keyRoutes, "["+strings.Join(elements, ",")+"]"))
	}
}

// hasCondition says whether an element has a condition, whatever that is.
func hasCondition(element string) bool {
	fields, _ := decodeJSON[map[string]json.RawMessage](element) // of what is none there is no field
	r := routeReader{fields: fields}
	_, size := r.given(fieldMaxSize)
	_, keys := r.given(fieldKeys)
	return size || keys
}

// elementsOf are the elements of a list, as JSON.
func elementsOf(list string) []string {
	elements, _ := decodeJSON[[]json.RawMessage](list) // which was read before
	texts := make([]string, len(elements))
	for i, element := range elements {
		texts[i] = string(element)
	}
	return texts
}

// otherName is a name like one that no route has.
func otherName(routes []Route, name string) string {
	const most = 27
	for n := 2; ; n++ {
		other := name
		if n > 2 || slices.ContainsFunc(routes, func(r Route) bool { return r.Name == name }) {
			other = fmt.Sprintf("%.*s-%d", most, name, n)
		}
		if !slices.ContainsFunc(routes, func(r Route) bool { return r.Name == other }) {
			return other
		}
	}
}

// conditional says whether the route doesn't take every object.
func (r Route) conditional() bool { return r.MaxSize != nil || len(r.Keys) > 0 }

// most is the size of the largest object that the route takes.
func (r Route) most() int64 {
	if r.MaxSize == nil {
		return MaxObjectSize
	}
	return min(*r.MaxSize, MaxObjectSize)
}

// globs are those of its keys, which were checked.
func (r Route) globs() filter.Keys {
	keys, _ := filter.ParseKeys(r.Keys)
	return keys
}

// folderMarkers are the keys of what takes no route if it is empty.
const folderMarkers = "*/"

// takesBeyond says whether there is an object with a key of within that the route takes and none of others would. Of all sizes that is
// sooner so for its largest: what takes that takes any smaller one.
func (r Route) takesBeyond(effort *filter.Effort, within filter.Keys, others []Route) bool {
	var covers filter.Keys
	for _, o := range others {
		switch {
		case o.most() < r.most():
		case len(o.Keys) == 0:
			return false
		default:
			covers = append(covers, o.globs()...)
		}
	}
	if r.most() == 0 {
		covers = append(covers, Route{Keys: []string{folderMarkers}}.globs()...)
	}
	own := r.globs()
	if len(own) == 0 {
		own = Route{Keys: []string{"*"}}.globs()
	}
	return slices.ContainsFunc(own, func(g filter.Glob) bool {
		return effort.Beyond(g, within, covers)
	})
}

// coveredBy are the paths of those of some routes that take all that a route would, of which none could be left out.
func (r Route) coveredBy(effort *filter.Effort, within filter.Keys, before []Route) (paths []string, everything bool) {
	left := slices.Clone(before)
	for i := 0; i < len(left); {
		if without := slices.Delete(slices.Clone(left), i, i+1); r.takesBeyond(effort, within, without) {
			i++
		} else {
			left = without
		}
	}
	for _, l := range left {
		paths = append(paths, l.path)
	}
	return paths, len(left) == 1 && !left[0].conditional()
}

// routesTaken refuses routes that no object can take. Those of which it isn't known what they take are neither refused, nor the reason why
// another one is.
func (l *loader) routesTaken(s *Settings) {
	within, err := filter.ParseKeys(s.KeyGlobs)
	if err != nil {
		within = nil // which was reported
	}
	effort := filter.NewEffort()
	var before []Route
	for _, r := range s.Routes {
		if !r.reads(fieldMaxSize, fieldKeys) {
			continue
		}
		if rule := r.untaken(effort, within, before); rule != "" {
			l.reportAt(keyRoutes, r.path, r.Name, "can never be taken: "+rule, remove(r.path))
		}
		before = append(before, r)
	}
}

// untaken is why no object can take the route; empty if one can.
func (r Route) untaken(effort *filter.Effort, within filter.Keys, before []Route) string {
	switch {
	case r.takesBeyond(effort, within, before):
		return ""
	case !r.takesBeyond(effort, nil, nil):
		return "empty objects whose key ends with a slash are folder markers, which are not processed"
	case !r.takesBeyond(effort, within, nil):
		return "no key that it takes is one that " + keyKeys + " takes"
	}
	paths, everything := r.coveredBy(effort, within, before)
	switch {
	case everything:
		return fmt.Sprintf("%s comes before it, and has neither %s nor %s, so that it takes every object; put that one last",
			paths[0], fieldMaxSize, fieldKeys)
	case len(paths) == 1:
		return paths[0] + " comes before it, and takes all that it would; the first that takes an object has it"
	}
	return strings.Join(paths, ", ") + " come before it, and together take all that it would; the first that takes an object has it"
}

// routeSizes checks that processor and memory of each route are a pair: what it doesn't say is as for all.
func (l *loader) routeSizes(s *Settings) {
	for _, r := range s.Routes {
		cpu, memory := cmp.Or(r.CPU, s.TaskCPU), cmp.Or(r.Memory, s.TaskMemory)
		allowed := memoryWith(cpu)
		if !r.reads(fieldCPU, fieldMemory) || r.CPU == 0 && r.Memory == 0 || cpu == 0 || memory == 0 || slices.Contains(allowed, memory) {
			continue
		}
		field, value := fieldMemory, strconv.Itoa(r.Memory)
		if r.Memory == 0 {
			value = ""
		}
		rule := fmt.Sprintf("with %s %d Fargate takes %s MiB", fieldCPU, cpu, abridged(allowed))
		if r.Memory == 0 && !l.isSecret(keyTaskMemory) {
			rule += fmt.Sprintf(", not the %d of %s", memory, keyTaskMemory)
		}
		path := r.path + "." + field
		fix := set(path, strconv.Itoa(nextAllowed(allowed, memory)))
		if r.CPU == 0 && l.isSecret(keyTaskCPU) {
			rule = fmt.Sprintf("Fargate does not take this memory with %s %s", keyTaskCPU, hidden)
			fix = l.keys[keyTaskCPU].secretFix()
		}
		l.reportAt(keyRoutes, path, value, rule, fix)
	}
}

// routeTimes checks the times that routes have of their own. It leaves those routes in the settings whose time is known and right, so that
// the rest can be judged; it can't be where there is none.
func (l *loader) routeTimes(s *Settings) (some bool) {
	var timed []Route
	for _, r := range s.Routes {
		if r.reads(fieldCompute, fieldTimeout) && l.routeTime(s, r) && r.reads(fieldMaxParallel) {
			if !r.reads(fieldName) || slices.ContainsFunc(timed, func(o Route) bool { return o.Name == r.Name }) {
				r.Name = r.path // by which it is told from the others
			}
			timed = append(timed, r)
		}
	}
	s.Routes = timed
	refused := slices.ContainsFunc(l.problems, func(p Problem) bool { return RootOf(p.Key) == keyRoutes })
	return len(timed) > 0 || !refused
}

// routeTime says whether the time is right that a route has of its own, if it has one.
func (l *loader) routeTime(s *Settings, r Route) bool {
	if r.Timeout == 0 {
		return true
	}
	path := r.path + "." + fieldTimeout
	if s.TaskCompletion == CompletionCallback && r.Timeout <= machine.TaskHeartbeat {
		l.reportAt(keyRoutes, path, inSecondsText(r.Timeout), heartbeatRule(), set(path, strconv.Itoa(leastWithCallback())))
		return false
	}
	alone := machine.Row{Description: s.Machine(), Route: r.completed(s)}
	if r.reads(fieldMaxParallel) && alone.LeastTime() > machine.MaxExecutionTime {
		l.reportAt(keyRoutes, path, inSecondsText(r.Timeout), taskRule(fieldMaxParallel), set(path, strconv.Itoa(defaultTaskTimeout)))
		return false
	}
	return true
}

// timeoutOf names what gives a route its time.
func (s *Settings) timeoutOf(r machine.Row) string {
	if r.Compute == machine.Lambda {
		return keyLambdaTimeout
	}
	return s.keyOf(r.Name, fieldTimeout, keyTaskTimeout, func(r Route) bool { return r.Timeout > 0 })
}

// LimitKey is the path in the configuration of what says how many tasks of a route run at a time: its own field, or the key for all routes.
func (s *Settings) LimitKey(route string) string {
	return s.keyOf(route, fieldMaxParallel, keyMaxParallelTasks, func(r Route) bool { return r.MaxParallel != nil })
}

// CapacityKey is the path in the configuration of what says what tasks of a route run on: its own field, or the key for all routes.
func (s *Settings) CapacityKey(route string) string {
	return s.keyOf(route, fieldCapacity, keyTaskCapacity, func(r Route) bool { return r.Capacity != "" })
}

// keyOf is the path of a route's field if the route has it, and that of the key for all routes if not.
func (s *Settings) keyOf(route, field, all string, has func(Route) bool) string {
	i := slices.IndexFunc(s.Routes, func(o Route) bool { return o.Name == route })
	if i < 0 || !has(s.Routes[i]) {
		return all
	}
	return s.Routes[i].path + "." + field
}

// slowRoutes are the paths of the Lambda routes whose largest objects a function doesn't get through in its time.
func (s *Settings) slowRoutes() []string {
	var paths []string
	for _, r := range s.Routes {
		if r.Compute == routing.Lambda && r.most()/limits.LambdaBytesPerSecond >= int64(s.LambdaTimeout.Seconds()) {
			paths = append(paths, r.path)
		}
	}
	return paths
}

// SpotKey is the path in the configuration of what has tasks run on Fargate Spot first, those of the first route that does; empty if none.
func (s *Settings) SpotKey() string {
	routes := s.routes()
	i := slices.IndexFunc(routes, func(r routing.Route) bool { return r.Spot })
	if i < 0 {
		return ""
	}
	return s.CapacityKey(routes[i].Name)
}

// RunsOnSpot says whether tasks of a route run on Fargate Spot first.
func (s *Settings) RunsOnSpot() bool { return s.SpotKey() != "" }
