package files

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"kvit/erp"
)

const (
	maxFile  = 16 << 20  // bytes of a file
	maxLine  = 64 << 10  // bytes of a line
	maxLines = 1_000_000 // of a file
)

// parse reads a whole file: all of it is right, or nothing of it counts. Errors name the line and the field, and hold no
// values.
func parse(name string, data []byte, zone *time.Location) ([]erp.Document, error) {
	data, err := text(data)
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(strings.ToLower(name), ".csv") {
		return parseCSV(data, zone)
	}
	return parseJSONLines(data, zone)
}

// text refuses every encoding but UTF-8, of which a mark at the beginning is dropped.
func text(data []byte) ([]byte, error) {
	data, _ = bytes.CutPrefix(data, []byte("\xef\xbb\xbf"))
	for line, rest := 1, data; ; line++ {
		end := bytes.IndexByte(rest, '\n')
		current := rest
		if end >= 0 {
			current = rest[:end]
		}
		switch {
		case bytes.IndexByte(current, 0) >= 0:
			return nil, fmt.Errorf("line %d: has a NUL: the file is not UTF-8, but UTF-16 perhaps, or no text", line)
		case !utf8.Valid(current):
			return nil, fmt.Errorf("line %d: is not UTF-8: write the file in UTF-8 (Windows-1252 and ISO 8859-1 are not taken)", line)
		case len(current) > maxLine:
			return nil, fmt.Errorf("line %d: is longer than %d bytes", line, maxLine)
		case line > maxLines:
			return nil, fmt.Errorf("has more than %d lines", maxLines)
		case end < 0:
			return data, nil
		}
		rest = rest[end+1:]
	}
}

// list collects what lines say.
type list struct {
	docs []erp.Document
	zone *time.Location
}

func (l *list) add(line int, r erp.ReceiptLine) error {
	doc, evidence, err := r.Document(l.zone)
	if err != nil {
		return fmt.Errorf("line %d: %w", line, err)
	}
	if evidence {
		l.docs = append(l.docs, doc)
	}
	return nil
}

func parseJSONLines(data []byte, zone *time.Location) ([]erp.Document, error) {
	l := list{zone: zone}
	for i, line := range bytes.Split(data, []byte("\n")) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		r, err := erp.ReadReceiptLine(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		if err := l.add(i+1, r); err != nil {
			return nil, err
		}
	}
	return l.docs, nil
}

// parseCSV reads comma, semicolon or tab, whichever the header has.
func parseCSV(data []byte, zone *time.Location) ([]erp.Document, error) {
	first, rest, _ := bytes.Cut(data, []byte("\n"))
	if bytes.HasPrefix(bytes.ToLower(first), []byte("sep=")) { // as Excel has it
		data = rest
		first, _, _ = bytes.Cut(data, []byte("\n"))
	}
	reader := csv.NewReader(bytes.NewReader(data))
	reader.Comma = separator(first)
	reader.ReuseRecord = true
	header, err := reader.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("has no header: the first line names the fields")
	}
	if err != nil {
		return nil, csvProblem(err)
	}
	fields, err := fieldsOf(header)
	if err != nil {
		return nil, err
	}
	l := list{zone: zone}
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return l.docs, nil
		}
		if err != nil {
			return nil, csvProblem(err)
		}
		var r erp.ReceiptLine
		for i, field := range fields {
			r.Set(field, record[i])
		}
		line, _ := reader.FieldPos(0)
		if err := l.add(line, r); err != nil {
			return nil, err
		}
	}
}

func separator(header []byte) rune {
	for _, c := range ";\t" {
		if bytes.ContainsRune(header, c) {
			return c
		}
	}
	return ','
}

func fieldsOf(header []string) ([]string, error) {
	var fields []string
	for i, name := range header {
		name = strings.ToLower(strings.TrimSpace(name))
		switch {
		case !slices.Contains(erp.ReceiptFields, name):
			return nil, fmt.Errorf("line 1: column %d is none of %s", i+1, strings.Join(erp.ReceiptFields, ", "))
		case slices.Contains(fields, name):
			return nil, fmt.Errorf("line 1: names %s twice", name)
		}
		fields = append(fields, name)
	}
	if !slices.Contains(fields, "web_order") {
		return nil, errors.New("line 1: names no web_order")
	}
	return fields, nil
}

func csvProblem(err error) error {
	var p *csv.ParseError
	if !errors.As(err, &p) {
		return errors.New("cannot be read as CSV")
	}
	switch {
	case errors.Is(p.Err, csv.ErrFieldCount):
		return fmt.Errorf("line %d: has more or fewer fields than the first line", p.Line)
	case errors.Is(p.Err, csv.ErrBareQuote), errors.Is(p.Err, csv.ErrQuote):
		return fmt.Errorf("line %d: has a quotation mark that does not open or close a field", p.Line)
	}
	return fmt.Errorf("line %d: cannot be read as CSV", p.Line)
}
