package policy

import (
	"fmt"
	"slices"
	"strings"
)

func word(s Strategy) DraftStrategy { return DraftStrategy{Word: s} }

var (
	review = DraftStrategy{Word: reviewWord}
	hash   = DraftStrategy{Word: "hash"}
)

const oddName = "kvit takes names of letters, digits, _ and $ alone: rename it, or decide on whole rows"

func (d *drafter) column(t *draftTable, c draftColumn) DraftColumn {
	draft := d.propose(t, c)
	if !columnName.MatchString(c.Name) {
		draft.Strategy, draft.Why = review, strings.TrimPrefix(draft.Why+"; "+oddName, "; ")
	}
	return draft
}

// propose asks whether a column may be personal before it asks for reasons to keep it.
func (d *drafter) propose(t *draftTable, c draftColumn) DraftColumn {
	draft := DraftColumn{Name: c.Name, Type: c.Type}
	m, personal := d.meaning(c)
	key, isKey := keyOf(t, c.Name)
	_, named := d.tables[key.References]
	switch {
	case c.Generated && personal:
		draft.Strategy, draft.Why = word(Keep), m.is+", which the database computes: erase the columns it is made from"
	case c.Generated && !c.primaryKey:
		draft.Strategy, draft.Why = word(Keep), "the database writes it"
	case personal && (isKey || c.primaryKey || c.referenced):
		draft.Strategy, draft.Why = review, m.is+", and part of a key"
	case personal:
		draft.Strategy, draft.Why = m.strategy(c)
	case isKey && !named:
		draft.Strategy, draft.Why = review, "refers to "+plain(key.References)+", which is not in this draft"
	case isKey:
		draft.Strategy, draft.Why = word(Keep), "refers to "+plain(key.References)
	case c.primaryKey:
		draft.Strategy, draft.Why = word(Keep), "primary key"
	case c.Family == "B":
		draft.Strategy, draft.Why = word(Keep), "true or false"
	case c.Family == "D" && tellsChange(c.Name):
		draft.Strategy, draft.Why = word(Keep), "when the row was made or changed"
	case c.Family == "N" && tellsAmount(c.Name):
		draft.Strategy, draft.Why = word(Keep), "an amount, by name and type"
	default:
		draft.Strategy, draft.Why = review, c.hint()
	}
	return draft
}

// hint tells what the values of a column look like that has no telling name.
func (c draftColumn) hint() string {
	f := c.form
	switch {
	case isDocument(c):
		return documentHint
	case f.Rows == 0:
		return ""
	case f.Filled == 0:
		return fmt.Sprintf("empty in all of %d rows", f.Rows)
	case f.Objects+f.Arrays > 0:
		return fmt.Sprintf("%d of %d values are JSON: %s", f.Objects+f.Arrays, f.Filled, c.jsonHint())
	case f.Emails > 0:
		return fmt.Sprintf("%d of %d values look like e-mail addresses", f.Emails, f.Filled)
	case f.Mentions > 0:
		return fmt.Sprintf("%d of %d values mention an e-mail address", f.Mentions, f.Filled)
	case f.Phones > 0:
		return fmt.Sprintf("%d of %d values look like telephone numbers", f.Phones, f.Filled)
	case f.Dates == f.Filled:
		return fmt.Sprintf("dates, in %d rows", f.Filled)
	}
	return fmt.Sprintf("%d different values in %d rows", f.Values, f.Filled)
}

func (c draftColumn) jsonHint() string {
	s, ok := c.emptyDocument()
	if !ok {
		return "{json: {path: keep}} leaves what a path names"
	}
	return s.String() + " empties it, {json: {path: keep}} leaves what a path names"
}

// emptyDocument is what a text that holds JSON becomes, so that its reader can still parse it; false if its values
// are of more than one form.
func (c draftColumn) emptyDocument() (DraftStrategy, bool) {
	f := c.form
	switch {
	case f.Objects > 0 && f.Objects == f.Filled:
		return DraftStrategy{Word: Text, Setting: "{}"}, true
	case f.Arrays > 0 && f.Arrays == f.Filled:
		return DraftStrategy{Word: Text, Setting: "[]"}, true
	}
	return DraftStrategy{}, false
}

// meaning is what a column's values are, if that is personal: as the configuration says, or by name and type.
func (d *drafter) meaning(c draftColumn) (meaning, bool) {
	m, personal := meaningOf(c.Name)
	switch {
	case c.Table == d.Orders.Name && c.Name == d.Orders.Email:
		return meaning{is: anEmail}, true
	case c.Table == d.Orders.Name && c.Name == d.CustomerID:
		return meaning{is: "the customer's id"}, true
	case !personal && c.Family == "I":
		m, personal = meaning{is: "an IP address"}, true
	}
	if personal && m.fitsType(c) {
		return m, true
	}
	return c.meaningOfValues()
}

// meaningOfValues is what the form of a column's values says, whatever it is called.
func (c draftColumn) meaningOfValues() (meaning, bool) {
	f := c.form
	switch {
	case 5*f.Emails >= f.Filled && f.Emails > 0:
		return meaning{is: fmt.Sprintf("%d of %d values look like e-mail addresses", f.Emails, f.Filled)}, true
	case f.Mentions > 0 && f.Objects+f.Arrays > 0:
		return meaning{is: fmt.Sprintf("e-mail addresses stand in %d of %d documents", f.Mentions, f.Filled)}, true
	}
	return meaning{}, false
}

// keyOf finds a foreign key that a column is part of.
func keyOf(t *draftTable, column string) (ForeignKey, bool) {
	i := slices.IndexFunc(t.keys, func(k ForeignKey) bool { return slices.Contains(k.Columns, column) })
	if i < 0 {
		return ForeignKey{}, false
	}
	return t.keys[i], true
}

const documentHint = "a document: {json: {path: keep}} leaves what a path names and takes the rest out"

func isDocument(c draftColumn) bool { return c.Base == "json" || c.Base == "jsonb" }

func isTimeOfDay(c draftColumn) bool { return strings.HasPrefix(c.Base, "time with") }

// fitsType tells whether values of that meaning can be in a column of that type: email_sent_at as a
// time is no e-mail address.
func (m meaning) fitsType(c draftColumn) bool {
	switch c.Family {
	case "N":
		return m.numbers
	case "D":
		return m.dates
	case "B", "T":
		return false
	}
	return true
}

// hexLength is what a hash needs, in characters: SHA-256 in hex.
const hexLength = 64

// strategy proposes how to erase a personal column, gently where that still says nothing of a person.
func (m meaning) strategy(c draftColumn) (s DraftStrategy, why string) {
	text := c.Family == "S" && c.Base != "name"
	roomy := c.MaxLength == 0 || c.MaxLength >= hexLength
	switch {
	case text && c.inUnique && roomy:
		return hash, m.is + because(c, "unique")
	case !c.inUnique && m.is == "a postal code" && text:
		return word("generalise"), m.is + because(c, "")
	case !c.inUnique && m.is == "a date of birth" && c.Family == "D" && !isTimeOfDay(c):
		return DraftStrategy{Word: "truncate_date", Setting: "year"}, m.is + because(c, "")
	case !c.NotNull:
		return word(Null), m.is
	case text && !c.inUnique:
		return m.replacement(c)
	case !c.inUnique && m.dates && c.Family == "D" && !isTimeOfDay(c):
		return word("truncate_date"), m.is + because(c, "NOT NULL")
	case isDocument(c):
		return review, m.is + "; NOT NULL; " + documentHint
	case c.inUnique:
		return review, m.is + "; NOT NULL and unique, without room for a hash"
	}
	return review, m.is + "; NOT NULL, and no text"
}

// replacement is the text for a column that needs one. What reads JSON must find JSON.
func (m meaning) replacement(c draftColumn) (s DraftStrategy, why string) {
	is := m.is + because(c, "NOT NULL")
	f := c.form
	if empty, ok := c.emptyDocument(); ok {
		return empty, is + fmt.Sprintf("; all of %d values are JSON", f.Filled)
	}
	switch {
	case f.Objects+f.Arrays > 0:
		return review, is + fmt.Sprintf("; %d of %d values are JSON: %s", f.Objects+f.Arrays, f.Filled, c.jsonHint())
	case f.Filled == 0 && m.document && c.Base == "text" && c.MaxLength == 0:
		return review, is + `; no value to look at: {text: erased}, or {text: "{}"} if it holds JSON`
	}
	return DraftStrategy{Word: Text, Setting: placeholder(c)}, is
}

// because names the constraints that had a say, and those that may still object.
func because(c draftColumn, constraint string) string {
	var text string
	if constraint != "" {
		text = "; " + constraint
	}
	if c.Checked {
		text += "; a CHECK constraint looks at it"
	}
	return text
}

func placeholder(c draftColumn) string {
	const long, short = "erased", "x"
	if c.MaxLength > 0 && c.MaxLength < len(long) {
		return short
	}
	return long
}
