package pages

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// writeCSV answers with a list as a file, name.csv, that programs for tables open. Its first line names the columns. What looks like an
// address or a phone number is masked as on the pages, and no cell is a formula.
func writeCSV(w http.ResponseWriter, name string, columns []string, rows [][]string) error {
	var file bytes.Buffer      // whole before its first byte is sent: half a list looks like a whole one
	file.WriteString("\uFEFF") // or Excel takes it for another alphabet
	out := csv.NewWriter(&file)
	out.UseCRLF = true
	_ = out.Write(columns) // neither this nor the next can fail: the buffer takes all, and Flush's error is looked at
	for _, row := range rows {
		_ = out.Write(csvCells(row))
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("write %s.csv: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`.csv"`)
	_, _ = file.WriteTo(w)
	return nil
}

func csvCells(row []string) []string {
	cells := make([]string, len(row))
	for i, text := range row {
		cells[i] = inert(masked(text))
	}
	return cells
}

// inert is a text that no program takes for a formula: those begin with one of these, also behind blanks. A line break would begin
// a cell of its own in some.
func inert(text string) string {
	text = strings.NewReplacer("\r", " ", "\n", " ", "\t", " ", "\x00", " ").Replace(text)
	if begin := strings.TrimLeft(text, " \u00a0"); begin != "" && strings.ContainsAny(begin[:1], "=+-@|%") ||
		strings.HasPrefix(begin, "＝") || strings.HasPrefix(begin, "＋") || strings.HasPrefix(begin, "－") || strings.HasPrefix(begin, "＠") {
		return "'" + text
	}
	return text
}

// csvTime is a time in a file: RFC 3339 in UTC, empty for none. It takes a time.Time or a pointer to one.
func csvTime(t any) string {
	at, ok := timeOf(t)
	if !ok {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}

// csvText is a text that may be missing.
func csvText(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
