package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// YAML is the draft as the part "retention" of a kvit.yaml, with the reasons as comments.
func (d Draft) YAML() string {
	var b strings.Builder
	b.WriteString("# A first column policy, made of names, types, keys and the form of values: read every line of it.\n" +
		"# `kvit check` refuses it as long as the word " + reviewWord + " stands anywhere: a person has to decide.\n")
	if len(d.Unseen) > 0 {
		line(&b, "# Not looked into, since kvit may not read them, or they are slow or locked: "+some(d.Unseen), "")
	}
	b.WriteString("retention:\n")
	if d.hashes() {
		b.WriteString("  # hash needs a secret of its own: hash_key\n")
	}
	b.WriteString("  policy:\n")
	for _, t := range d.Tables {
		t.write(&b)
	}
	if len(d.Keep) > 0 {
		b.WriteString("  # Nothing in these looks personal, by names, types and values: they stay as they are.\n  keep:\n")
	}
	for _, kept := range d.Keep {
		line(&b, "    - "+plain(kept.Table), kept.Why)
	}
	return b.String()
}

// some lists the first names, and counts the others.
func some(names []string) string {
	const most = 10
	if len(names) <= most {
		return plainList(names)
	}
	return fmt.Sprintf("%s and %d more", plainList(names[:most]), len(names)-most)
}

func (d Draft) hashes() bool {
	return slices.ContainsFunc(d.Tables, func(t DraftTable) bool {
		return slices.ContainsFunc(t.Columns, func(c DraftColumn) bool { return c.Strategy == hash })
	})
}

func (t DraftTable) write(b *strings.Builder) {
	b.WriteString("    - table: " + plain(t.Table) + "\n")
	if len(t.Ways) == 0 {
		t.DraftWay.write(b, "      ", "      ")
	} else {
		b.WriteString("      ways:\n")
	}
	for _, w := range t.Ways {
		w.write(b, "        - ", "          ")
	}
	if len(t.IgnoreKeys) > 0 {
		line(b, "      ignore_keys: ["+plainList(t.IgnoreKeys)+"]", "what they refer to is found by another key")
	}
	columns := "      "
	if t.Rows != "" {
		line(b, "      rows: "+t.Rows, t.RowsWhy)
		columns = "      # "
	}
	if len(t.Columns) == 0 {
		return
	}
	line(b, columns+"columns:", "")
	for _, c := range t.Columns {
		line(b, columns+"  "+plain(c.Name)+": "+c.Strategy.String(), c.Why)
	}
}

func (w DraftWay) write(b *strings.Builder, first, next string) {
	if w.Match == nil {
		return
	}
	line(b, first+"match: "+w.Match.yaml(), w.Why)
	if w.Parent != "" {
		line(b, next+"parent: "+plain(w.Parent), "")
	}
	if w.When != "" {
		line(b, next+"when: "+scalar(w.When), "")
	}
}

func (m DraftMatch) yaml() string {
	if m.Column == "" {
		return reviewWord
	}
	var pairs []string
	for _, p := range m.pairs() {
		pairs = append(pairs, plain(p.Column)+": "+plain(p.OtherColumn))
	}
	return "{" + strings.Join(pairs, ", ") + "}"
}

// scalar is an SQL condition in single quotes, since names in it have double ones.
func scalar(sql string) string {
	for _, r := range sql {
		if r < ' ' || r > '~' {
			return strconv.Quote(sql)
		}
	}
	return "'" + strings.ReplaceAll(sql, "'", "''") + "'"
}

// line writes a line with its reason. Reasons hold nothing that could end the line: names in them are
// plain.
func line(b *strings.Builder, text, why string) {
	b.WriteString(text)
	if why != "" {
		b.WriteString(" # " + why)
	}
	b.WriteByte('\n')
}

var (
	// columnName is what the configuration takes for a column.
	columnName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_$]*$`)
	plainName  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_$]*(?:\.[A-Za-z_][A-Za-z0-9_$]*)?$`)
	// yamlWords mean something else than themselves in YAML 1.1 or 1.2.
	yamlWords = []string{"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
)

// plain is a name for YAML and its comments: quoted if it is not letters and digits alone.
func plain(name string) string {
	if plainName.MatchString(name) && !slices.Contains(yamlWords, strings.ToLower(name)) {
		return name
	}
	return strconv.Quote(name)
}

func plainList(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = plain(name)
	}
	return strings.Join(quoted, ", ")
}
