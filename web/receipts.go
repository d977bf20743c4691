package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"time"

	"kvit/erp"
)

const (
	maxReceiptsBody  = 1 << 20 // bytes
	maxReceipts      = 1000    // of a request
	receiptsAtOnce   = 4       // requests that the database works at; more are told to come back
	receiptsPatience = 20 * time.Second
)

// Receipts is the door for ERPs, and programs between, that say themselves which orders they have.
type Receipts struct {
	Token string // empty: the door does not exist

	// Take stores evidence and returns what became of each: one of kvit.erp_receipt's statuses. What the ERP has refused has the
	// kind erp.ReceiptFailed.
	Take func(ctx context.Context, docs []erp.Document) (statuses []string, err error)
}

// receiptResult is what the answer says of a line.
type receiptResult struct {
	WebOrder string `json:"web_order,omitempty"`
	Status   string `json:"status"`
	Problem  string `json:"problem,omitempty"` // of a line that was refused
}

// receiptsHandler answers POST /erp/receipts.
type receiptsHandler struct {
	Receipts
	bearer *bearer
	slots  chan struct{}
	logger *slog.Logger
}

func newReceiptsHandler(r Receipts, logger *slog.Logger) *receiptsHandler {
	return &receiptsHandler{Receipts: r, bearer: newBearer(r.Token, "receipts were", logger), logger: logger, slots: make(chan struct{}, receiptsAtOnce)}
}

func (h *receiptsHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.bearer.admit(w, r) {
		return
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		answer(w, http.StatusUnsupportedMediaType, "Content-Type must be application/json")
		return
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		w.Header().Set("Retry-After", "5")
		answer(w, http.StatusServiceUnavailable, "too many requests at once: nothing was stored, try again")
		return
	}
	h.take(w, r)
}

func (h *receiptsHandler) take(w http.ResponseWriter, r *http.Request) {
	lines, problem := readReceipts(w, r)
	if problem != "" {
		status := http.StatusBadRequest
		if problem == tooLarge {
			status = http.StatusRequestEntityTooLarge
		}
		answer(w, status, problem)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), receiptsPatience)
	defer cancel()
	results, err := h.store(ctx, lines)
	if err != nil {
		h.logger.Error("receipts could not be stored", "err", err)
		w.Header().Set("Retry-After", "30")
		answer(w, http.StatusServiceUnavailable, "the receipts could not be stored: send them again later")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"results": results}) // nobody is left to be told
}

const tooLarge = "must be at most 1 MiB, and 1000 receipts"

// readReceipts reads the body. What is wrong with a line is known later, and is no problem of the others.
func readReceipts(w http.ResponseWriter, r *http.Request) (lines []json.RawMessage, problem string) {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxReceiptsBody))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, tooLarge
	}
	if err != nil {
		return nil, "the body ended early"
	}
	var body struct {
		Receipts []json.RawMessage `json:"receipts"`
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&body); err != nil || body.Receipts == nil || decoder.More() {
		return nil, `must be a JSON object {"receipts": [...]}`
	}
	if len(body.Receipts) > maxReceipts {
		return nil, tooLarge
	}
	return body.Receipts, ""
}

// store hands over the lines that can be read.
func (h *receiptsHandler) store(ctx context.Context, lines []json.RawMessage) ([]receiptResult, error) {
	results := make([]receiptResult, len(lines))
	var docs []erp.Document
	var of []int // the line of each document
	for i, line := range lines {
		doc, err := receiptDocument(line)
		if err != nil {
			results[i] = receiptResult{Status: "refused", Problem: err.Error()}
			continue
		}
		results[i].WebOrder = doc.Ref
		docs, of = append(docs, doc), append(of, i)
	}
	if len(docs) == 0 {
		return results, nil
	}
	statuses, err := h.Take(ctx, docs)
	if err != nil {
		return nil, err
	}
	for i, status := range statuses {
		results[of[i]].Status = receiptStatus(docs[i], status)
	}
	return results, nil
}

func receiptDocument(line []byte) (erp.Document, error) {
	r, err := erp.ReadReceiptLine(line)
	if err != nil {
		return erp.Document{}, err
	}
	doc, evidence, err := r.Document(nil)
	if !evidence {
		doc.Kind = erp.ReceiptFailed
	}
	return doc, err
}

// receiptStatus is a status in the words of the answer.
func receiptStatus(doc erp.Document, status string) string {
	switch {
	case doc.Kind == erp.ReceiptFailed:
		return "recorded_failure"
	case status == "new":
		return "accepted" // stored, and not judged yet
	}
	return status
}
