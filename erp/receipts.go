package erp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// ReceiptLine is what somebody who speaks for an ERP says of one order, in a file or a request. Whoever sends it is not
// asked anything, so it has to say everything.
type ReceiptLine struct {
	WebOrder       string // the reference; required
	ERPOrderNumber string
	ImportedAt     string // RFC 3339, or without a zone
	Result         string // ReceiptImported, also if it is empty, or ReceiptFailed
	Kind           string // of the document; empty: an order
	Lines          string // how many the order has
	Total          string // with tax
}

// The values of ReceiptLine.Result.
const (
	ReceiptImported = "imported"
	ReceiptFailed   = "failed" // the ERP has refused the order: no evidence
)

// ReceiptFields are the names of a line's fields. message is of people, may hold anything, and is not read.
var ReceiptFields = []string{"web_order", "erp_order_number", "imported_at", "result", "kind", "lines", "total", "message"}

// longestReceiptField is of one field, in characters.
const longestReceiptField = 200

// Set sets a field by its name; false if it has no such field.
func (l *ReceiptLine) Set(field, value string) bool {
	value = strings.TrimSpace(value)
	switch field {
	case "web_order":
		l.WebOrder = value
	case "erp_order_number":
		l.ERPOrderNumber = value
	case "imported_at":
		l.ImportedAt = value
	case "result":
		l.Result = value
	case "kind":
		l.Kind = value
	case "lines":
		l.Lines = value
	case "total":
		l.Total = value
	case "message":
	default:
		return false
	}
	return true
}

// ReadReceiptLine reads a JSON object. Numbers are taken as texts, and null as a field that is not there. Errors hold
// nothing of it.
func ReadReceiptLine(data []byte) (ReceiptLine, error) {
	var members map[string]any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&members); err != nil || members == nil || decoder.More() {
		return ReceiptLine{}, errors.New("is no JSON object")
	}
	var l ReceiptLine
	for name, member := range members {
		text := ""
		switch member := member.(type) {
		case nil:
		case string:
			text = member
		case json.Number:
			text = member.String()
		default:
			if name != "message" && slices.Contains(ReceiptFields, name) {
				return ReceiptLine{}, fmt.Errorf("%s is neither a text nor a number", name)
			}
		}
		if !l.Set(name, text) {
			return ReceiptLine{}, errors.New("has a field that is none of " + strings.Join(ReceiptFields, ", "))
		}
	}
	return l, nil
}

var (
	receiptKinds   = []string{"", OrderDocument, InvoiceDocument, ShipmentDocument, QuoteDocument, CreditMemoDocument}
	receiptDecimal = regexp.MustCompile(`^-?[0-9]{1,30}(\.[0-9]{1,30})?$`)
)

// Document is what the line says. evidence is false if the ERP has refused the order. A time without a zone
// is of the given one; nil: it does not count, as days do not. Errors name the field, and hold nothing of it.
func (l ReceiptLine) Document(zone *time.Location) (doc Document, evidence bool, err error) {
	for _, field := range []struct{ name, text string }{{"web_order", l.WebOrder}, {"erp_order_number", l.ERPOrderNumber}} {
		if problem := receiptFieldProblem(field.text); problem != "" {
			return Document{}, false, errors.New(field.name + " " + problem)
		}
	}
	switch {
	case l.WebOrder == "":
		return Document{}, false, errors.New("web_order is missing")
	case l.Result != "" && l.Result != ReceiptImported && l.Result != ReceiptFailed:
		return Document{}, false, errors.New("result is neither imported nor failed")
	case !slices.Contains(receiptKinds, l.Kind):
		return Document{}, false, errors.New("kind is none of order, invoice, shipment, quote, credit_memo")
	case l.Total != "" && !receiptDecimal.MatchString(l.Total):
		return Document{}, false, errors.New("total is no decimal number with a point")
	}
	doc = Document{Kind: OrderDocument, Ref: l.WebOrder, Number: l.ERPOrderNumber, Total: l.Total}
	if l.Kind != "" {
		doc.Kind = l.Kind
	}
	if doc.Lines, err = receiptCount(l.Lines); err != nil {
		return Document{}, false, err
	}
	doc.CreatedAt, err = receiptTime(l.ImportedAt, zone)
	return doc, l.Result != ReceiptFailed, err
}

func receiptFieldProblem(text string) string {
	switch {
	case utf8.RuneCountInString(text) > longestReceiptField:
		return "is longer than " + strconv.Itoa(longestReceiptField) + " characters"
	case strings.ContainsFunc(text, unicode.IsControl):
		return "has a control character"
	}
	return ""
}

func receiptCount(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, errors.New("lines is no count")
	}
	return n, nil
}

// receiptTime is nil for a time that is not certain.
func receiptTime(text string, zone *time.Location) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	if t, err := time.Parse(time.RFC3339, strings.Replace(text, " ", "T", 1)); err == nil {
		return &t, nil
	}
	for _, form := range []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04"} {
		t, err := time.Parse(form, text)
		if err != nil {
			continue
		}
		if zone == nil {
			return nil, nil
		}
		t = time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), zone)
		return &t, nil
	}
	if _, err := time.Parse(time.DateOnly, text); err == nil {
		return nil, nil
	}
	return nil, errors.New("imported_at is no time such as 2026-11-20T10:05:12Z")
}
