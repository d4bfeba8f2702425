package dynamodb

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// maxPageBytes is how much a query looks at before it answers: the item with which it is that much is the page's last (dynalite, whose
// tests were run on AWS).
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.Pagination.html
const maxPageBytes = 1 << 20

// QueryInput are the parameters of Query.
type QueryInput struct {
	Expressions

	TableName              string
	IndexName              string
	KeyConditionExpression *string
	FilterExpression       *string
	ProjectionExpression   *string
	// Select is ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES, SPECIFIC_ATTRIBUTES or COUNT; empty for what there is.
	Select            string
	ScanIndexForward  *bool
	ConsistentRead    bool
	Limit             *int
	ExclusiveStartKey Item
}

// What a query can select.
const (
	selectAll       = "ALL_ATTRIBUTES"
	selectProjected = "ALL_PROJECTED_ATTRIBUTES"
	selectSpecific  = "SPECIFIC_ATTRIBUTES"
	selectCount     = "COUNT"
)

// QueryOutput is a page of what a query finds.
type QueryOutput struct {
	// Items are nil for a query that counts.
	Items        []Item `json:",omitzero"`
	Count        int
	ScannedCount int
	// LastEvaluatedKey is where the next page begins; nil if there is certainly none.
	LastEvaluatedKey Item `json:",omitempty"`
}

// Query finds the items of a partition of the table or of an index, in the order of their sort keys.
func (t *Table) Query(now time.Time, in QueryInput) (*QueryOutput, error) {
	q, err := t.query(in)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var found []row
	for _, id := range slices.Collect(maps.Keys(t.items)) {
		if item := t.at(now, id); item != nil && q.has(item) {
			found = append(found, row{id, item})
		}
	}
	slices.SortFunc(found, q.order)
	return q.page(found), nil
}

// row is an item with its key as one string.
type row struct {
	id   string
	item Item
}

// query is one that has been read.
type query struct {
	table     *Table
	index     *Index // nil for the table itself
	keys      []string
	partition keyCondition
	sort      *keyCondition
	filter    condition
	shown     projection
	counts    bool
	backward  bool
	limit     int
	after     *row
}

// keyCondition is what a query asks of a key.
type keyCondition struct {
	name, operator string
	values         []Attribute
}

// query reads the parameters of one.
func (t *Table) query(in QueryInput) (*query, error) {
	q := &query{table: t, keys: t.Keys, counts: in.Select == selectCount}
	q.backward = in.ScanIndexForward != nil && !*in.ScanIndexForward
	if in.Limit != nil {
		if q.limit = *in.Limit; q.limit < 1 {
			return nil, invalid("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: "+
				"Member must have value greater than or equal to 1", q.limit)
		}
	}
	if err := q.expressions(t, in); err != nil {
		return nil, err
	}
	if err := q.selects(in); err != nil {
		return nil, err
	}
	return q, q.begin(in.ExclusiveStartKey)
}

// expressions reads the expressions of a query, and finds its index.
func (q *query) expressions(t *Table, in QueryInput) error {
	if in.KeyConditionExpression == nil {
		return invalid("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
	}
	e, err := newExpressions(in.Expressions, expression{nameProjection, in.ProjectionExpression},
		expression{nameFilter, in.FilterExpression}, expression{nameKeyCondition, in.KeyConditionExpression})
	if err != nil {
		return err
	}
	conditions, err := e.keyConditions(*in.KeyConditionExpression)
	if err != nil {
		return err
	}
	filter, filtered, err := e.holds(nameFilter, in.FilterExpression)
	if err != nil {
		return err
	}
	if q.shown, err = e.projection(in.ProjectionExpression); err != nil {
		return err
	}
	if err := e.unused(); err != nil {
		return err
	}
	if q.filter = filter; in.IndexName != "" {
		index, there := t.Indexes[in.IndexName]
		if !there {
			return invalid("The table does not have the specified index: %s", in.IndexName)
		}
		if in.ConsistentRead {
			return invalid("Consistent reads are not supported on global secondary indexes")
		}
		q.index, q.keys = &index, index.Keys
	}
	if err := q.take(conditions); err != nil {
		return err
	}
	for _, key := range q.keys {
		if slices.Contains(filtered, key) {
			return invalid("Filter Expression can only contain non-primary key attributes: Primary key attribute: %s", key)
		}
	}
	return nil
}

// take finds the conditions of the keys.
func (q *query) take(conditions map[string]keyCondition) error {
	for i, key := range q.keys {
		c, there := conditions[key]
		switch {
		case !there && (i == 0 || len(conditions) > 1):
			return invalid("Query condition missed key schema element: %s", key)
		case !there:
			return nil
		case slices.ContainsFunc(c.values, func(a Attribute) bool { return a.S == nil }):
			return invalid("One or more parameter values were invalid: Condition parameter type does not match schema type")
		case i == 0 && c.operator != "=":
			return invalid("Query key condition not supported")
		case i == 0:
			q.partition = c
		default:
			q.sort = &c
		}
	}
	if len(conditions) > len(q.keys) {
		return invalid("Query key condition not supported")
	}
	return nil
}

// selects finds what is shown of the items.
func (q *query) selects(in QueryInput) error {
	const known = "SPECIFIC_ATTRIBUTES, COUNT, ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES"
	partial := q.all() != nil
	switch {
	case in.Select != "" && !slices.Contains(strings.Split(known, ", "), in.Select):
		return invalid("1 validation error detected: Value '%s' at 'select' failed to satisfy constraint: "+
			"Member must satisfy enum value set: [%s]", in.Select, known)
	case in.Select == selectAll && partial:
		return invalid("One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global secondary index %s "+
			"because its projection type is not ALL", in.IndexName)
	case in.Select == selectProjected && q.index == nil:
		return invalid("ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName")
	case q.shown != nil && in.Select != "" && in.Select != selectSpecific:
		return invalid("Cannot specify the ProjectionExpression when choosing to get %s", in.Select)
	case q.shown == nil && in.Select == selectSpecific:
		return invalid("Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES")
	}
	for _, name := range q.shown {
		if partial && !slices.Contains(q.all(), name) {
			return invalid("One or more parameter values were invalid: Global secondary index %s does not project [%s]", in.IndexName, name)
		}
	}
	return nil
}

// all are the attributes that the index has; nil for all of the items'.
func (q *query) all() projection {
	if q.index == nil || q.index.Projected == nil {
		return nil
	}
	return slices.Concat(q.keys, q.table.Keys, q.index.Projected)
}

// begin reads where the query begins; nil is at the beginning.
func (q *query) begin(key Item) error {
	if key == nil {
		return nil
	}
	key, err := key.normalized()
	if err != nil {
		return err
	}
	names := slices.Compact(slices.Sorted(slices.Values(slices.Concat(q.table.Keys, q.keys))))
	if !slices.Equal(names, slices.Sorted(maps.Keys(key))) {
		return invalid("The provided starting key is invalid")
	}
	id, err := q.table.id(key)
	if err != nil {
		return invalid("The provided starting key is invalid: %s", messageOf(err))
	}
	if !q.partition.holds(key) {
		return invalid("The provided starting key is outside query boundaries based on provided conditions")
	}
	if q.sort != nil && !q.sort.holds(key) {
		return invalid("The provided starting key does not match the range key predicate")
	}
	q.after = &row{id, key}
	return nil
}

// holds says whether an item is what is asked for.
func (c keyCondition) holds(item Item) bool {
	value := item[c.name]
	switch c.operator {
	case "BETWEEN":
		low, there := compare(value, c.values[0])
		high, _ := compare(value, c.values[1])
		return there && low >= 0 && high <= 0
	case functionBegins:
		return value.S != nil && strings.HasPrefix(*value.S, *c.values[0].S)
	}
	order, there := compare(value, c.values[0])
	return there && comparisons[c.operator](order)
}

// has says whether an item is among what the query goes through.
func (q *query) has(item Item) bool {
	for _, key := range q.keys {
		if item[key].S == nil {
			return false
		}
	}
	return q.partition.holds(item) && (q.sort == nil || q.sort.holds(item))
}

// order is that of the sort keys; of an index's equal ones, in which DynamoDB promises none, that of the table's keys.
func (q *query) order(a, b row) int {
	order := 0
	if len(q.keys) > 1 {
		order, _ = compare(a.item[q.keys[1]], b.item[q.keys[1]])
	}
	if order = cmp.Or(order, cmp.Compare(a.id, b.id)); q.backward {
		return -order
	}
	return order
}

// page is the next page of what was found, in order.
func (q *query) page(found []row) *QueryOutput {
	out := &QueryOutput{}
	if !q.counts {
		out.Items = []Item{}
	}
	size := 0
	for _, r := range found {
		if q.after != nil && q.order(r, *q.after) <= 0 {
			continue
		}
		if q.limit > 0 && out.ScannedCount == q.limit || size >= maxPageBytes {
			break
		}
		item := q.all().of(r.item)
		out.ScannedCount++
		size += item.bytes()
		out.LastEvaluatedKey = projection(slices.Concat(q.table.Keys, q.keys)).of(r.item)
		if !q.filter(item) {
			continue
		}
		if out.Count++; !q.counts {
			out.Items = append(out.Items, q.shown.of(item))
		}
	}
	if size < maxPageBytes && (q.limit == 0 || out.ScannedCount < q.limit) {
		out.LastEvaluatedKey = nil // nothing is left
	}
	return out
}

// keyConditions reads a KeyConditionExpression: by the name of the key what is asked of it.
func (e *expressions) keyConditions(text string) (map[string]keyCondition, error) {
	p := e.parse(nameKeyCondition, text)
	out := map[string]keyCondition{}
	for p.err == nil {
		c := p.keyTerm()
		if _, there := out[c.name]; there && p.err == nil {
			p.err = invalid("KeyConditionExpressions must only contain one condition per key")
		}
		if out[c.name] = c; !p.take("AND") {
			break
		}
	}
	if next := strings.ToUpper(p.peek(0)); next == "OR" || next == "NOT" {
		p.err = invalid("Invalid operator used in KeyConditionExpression: %s", next)
	}
	p.end()
	return out, p.err
}

// keyTerm reads what is asked of one key.
func (p *parser) keyTerm() keyCondition {
	if p.take("(") {
		c := p.keyTerm()
		p.expect(")")
		return c
	}
	if p.peek(0) == functionBegins && p.peek(1) == "(" {
		o := p.function(p.operand, conditionFunctions, nil, "a condition")
		if p.err == nil && (o.args[0].path == "" || o.args[1].value == nil) {
			p.unexpected()
		}
		if p.err != nil {
			return keyCondition{}
		}
		p.refuseKinds(o.call, o.args, typeNumber, typeStringSet)
		return keyCondition{o.args[0].path, functionBegins, []Attribute{*o.args[1].value}}
	}
	c := keyCondition{name: p.path(), operator: strings.ToUpper(p.peek(0))}
	switch {
	case p.err != nil:
	case p.take("BETWEEN"):
		if c.values = p.keyValues(2); p.err == nil {
			p.bounds(c.values[0], c.values[1])
		}
	case c.operator == "<>" || c.operator == "IN":
		p.err = invalid("Invalid operator used in KeyConditionExpression: %s", c.operator)
	case isComparison(c.operator):
		p.at++
		c.values = p.keyValues(1)
	default:
		p.unexpected()
	}
	return c
}

// keyValues reads so many values with AND between them.
func (p *parser) keyValues(n int) []Attribute {
	var out []Attribute
	for i := range n {
		if i > 0 {
			p.expect("AND")
		}
		if value := p.value(); value != nil {
			out = append(out, *value)
		}
	}
	return out
}

// projection are the attributes that are shown of an item; nil for all.
type projection []string

// newProjection reads a ProjectionExpression that is the only expression of a call.
func newProjection(names map[string]string, text *string) (projection, error) {
	e, err := newExpressions(Expressions{ExpressionAttributeNames: names}, expression{nameProjection, text})
	if err != nil {
		return nil, err
	}
	shown, err := e.projection(text)
	if err != nil {
		return nil, err
	}
	return shown, e.unused()
}

// projection reads a ProjectionExpression; one that isn't given shows everything.
func (e *expressions) projection(text *string) (projection, error) {
	if text == nil {
		return nil, nil
	}
	p := e.parse(nameProjection, *text)
	var out projection
	for p.err == nil {
		name := p.path()
		if slices.Contains(out, name) {
			p.overlap(name)
		}
		if out = append(out, name); !p.take(",") {
			break
		}
	}
	p.end()
	return out, p.err
}

// overlap refuses an attribute that is named twice.
func (p *parser) overlap(name string) {
	p.fail("Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [%s], path two: [%s]", name, name)
}

// of is a copy of what is shown of an item; nil for none.
func (p projection) of(item Item) Item {
	shown := item.clone()
	if p != nil {
		maps.DeleteFunc(shown, func(name string, _ Attribute) bool { return !slices.Contains(p, name) })
	}
	return shown
}
