package store

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// documentNode is what a JSON column's plan says of a value: a leaf with a strategy, an object's
// members, or an array's items.
type documentNode struct {
	Strategy string                   `json:"strategy"`
	Text     string                   `json:"text"`
	Unit     string                   `json:"unit"`
	Length   int                      `json:"length"`
	Members  map[string]*documentNode `json:"members"`
	Items    *documentNode            `json:"items"`
}

// document leaves an empty one where nothing is left. Without a key it has nulls for hashes.
//
// The plan becomes one expression: a function that walks the plan for each document takes twenty times
// as long. The document is unpacked once, for each step into it would do it anew.
func (s *eraseStatement) document(w Write, column string, again func() string) (string, error) {
	var plan documentNode
	if err := json.Unmarshal(w.Plan, &plan); err != nil {
		return "", fmt.Errorf("read plan of column %s: %w", w.Column, err)
	}
	empty := "{}"
	if plan.Items != nil {
		empty = "[]"
	}
	d := documentStatement{eraseStatement: s, again: again}
	return `case when ` + column + ` is not null then coalesce(
		(select ` + d.value(plan, "d.document") + `
		 from (select jsonb_build_array(` + w.parsed(column) + `) -> 0 as document offset 0) d),
		'` + empty + `'::jsonb)::` + w.Type + ` end`, nil
}

// parsed is a column's document. ORMs also keep documents in text. A text that is none counts as a value of
// another kind than any plan expects, so that nothing of it is left.
func (w Write) parsed(column string) string {
	if w.Type == "json" || w.Type == "jsonb" {
		return column + "::jsonb"
	}
	return "coalesce(kvit.parse_json(" + column + "::text), '\"\"')"
}

// documentStatement builds the expression of one column.
type documentStatement struct {
	*eraseStatement
	again func() string // condition: a hash may be there already
}

// value is what is left of an expression of type jsonb: null says nothing. What the plan does not name is
// removed, and so is a value of another kind than the plan expects.
func (d documentStatement) value(n documentNode, value string) string {
	switch {
	case n.Members != nil:
		return `case jsonb_typeof(` + value + `) when 'null' then ` + value + ` when 'object' then ` + d.members(n, value) + ` end`
	case n.Items != nil:
		return `case jsonb_typeof(` + value + `) when 'null' then ` + value + ` when 'array' then ` + d.items(n, value) + ` end`
	}
	return d.leaf(n, value)
}

func (d documentStatement) members(n documentNode, value string) string {
	object := `'{}'::jsonb`
	for _, name := range slices.Sorted(maps.Keys(n.Members)) {
		key := d.args.add(name) + "::text"
		member := d.value(*n.Members[name], `(`+value+` -> `+key+`)`)
		object = `jsonb_set_lax(` + object + `, array[` + key + `], ` + member + `, true, 'return_target')`
	}
	return object
}

// items keep their order: an array's elements come in it, and nothing sorts them.
func (d documentStatement) items(n documentNode, value string) string {
	// Without the offset the expression would stand, and be evaluated, twice.
	return `(select coalesce(jsonb_agg(x.left_over) filter (where x.left_over is not null), '[]')
		from (select ` + d.value(*n.Items, "i.item") + ` as left_over
		      from jsonb_array_elements(` + value + `) i (item) offset 0) x)`
}

func (d documentStatement) leaf(n documentNode, value string) string {
	text := `(` + value + ` #>> '{}')`
	when := `when ` + value + ` is null or jsonb_typeof(` + value + `) = 'null' then ` + value
	otherwise := ` else 'null'::jsonb end`
	switch n.Strategy {
	case "keep":
		return value
	case "text":
		return `case when ` + value + ` is not null then to_jsonb(` + d.args.add(n.Text) + `::text) end`
	case "hash":
		inner, outer := d.pads()
		return `case ` + when + ` else to_jsonb(kvit.keyed_hash(` + text + `, ` + inner + `, ` + outer + `, ` + d.again() + `)) end`
	case "generalise":
		return `case ` + when + ` when jsonb_typeof(` + value + `) in ('string', 'number')
			then to_jsonb(left(` + text + `, ` + d.args.add(n.Length) + `::integer))` + otherwise
	case "truncate_date":
		// Only what begins as an ISO 8601 date; anything else might hide more than a date.
		date := `left(` + text + `, 4) || '-01-01'`
		if n.Unit == "month" {
			date = `left(` + text + `, 7) || '-01'`
		}
		return `case ` + when + ` when jsonb_typeof(` + value + `) = 'string' and ` + text + ` ~ '^[0-9]{4}-[0-9]{2}(-|$)'
			then to_jsonb(` + date + `)` + otherwise
	}
	return `case when ` + value + ` is not null then 'null'::jsonb end`
}
