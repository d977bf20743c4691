package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"time"

	"kvit/config"
	"kvit/delivery"
	"kvit/destination"
	"kvit/store"
)

// historyFile is what became of the past's events when they were written to a file.
type historyFile struct {
	File    string           `json:"file"`
	Lines   int              `json:"lines"`
	LeftOut map[string]int64 `json:"left_out"` // events by why
}

// Why an event is not in the file, besides what its delivery would end as.
const noLine = "not in such a file"

// historyToFile is kvit history --csv: it stores nothing and sends nothing.
func (a *app) historyToFile(ctx context.Context, in io.Reader, o actionOptions, past store.History, file string, force bool) error {
	cfg, pool, _, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	w, err := newFileWriter(cfg, o.destination, file)
	if err != nil {
		return err
	}
	if err := mayWrite(file, force); err != nil {
		return err
	}
	found, err := store.PreviewHistory(ctx, pool, past)
	if err != nil {
		return historyError(err)
	}
	if !o.asJSON {
		if err := a.printHistory(found); err != nil {
			return err
		}
	}
	if o.dryRun {
		if o.asJSON {
			return printJSON(a.stdout, found)
		}
		return nil
	}
	var events int64
	for _, p := range found {
		events += p.Events - p.Known
	}
	if err := a.agree(ctx, in, o, events); err != nil {
		return err
	}
	if err := a.askedFor(ctx, pool, o.entry("history to file")); err != nil {
		return err
	}
	w.progress = func(seen int64) {
		if isTerminal(a.stderr) {
			fmt.Fprintf(a.stderr, "\r%d of %d ", seen, events)
		}
	}
	if w.now, err = store.Now(ctx, pool); err != nil {
		return err
	}
	if err := writeFile(file, force, func(out io.Writer) error { return w.write(ctx, pool, past, out) }); err != nil {
		return historyError(err)
	}
	return a.tellFile(w.done, o.asJSON)
}

// newFileWriter writes for a destination whose provider takes a file. It fails for others.
func newFileWriter(cfg config.Config, name, file string) (*fileWriter, error) {
	i := slices.IndexFunc(cfg.Destinations, func(d config.Destination) bool { return d.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("%w: --destination must name one of the configuration", errUsage)
	}
	d := cfg.Destinations[i]
	adapter, err := adapterOf(d, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, fmt.Errorf("make destination %s: %w", name, err)
	}
	importer, ok := adapter.(destination.Importer)
	if !ok {
		return nil, fmt.Errorf("%w: --csv: destinations of kind %s take no file: leave --csv out, and the past is sent", errUsage, d.Kind)
	}
	return &fileWriter{
		lane: laneOf(cfg, d, adapter), events: eventsOf(d, adapter), importer: importer,
		done: historyFile{File: file, LeftOut: map[string]int64{}},
	}, nil
}

// fileWriter writes the lines of events.
type fileWriter struct {
	lane     delivery.Settings
	events   []string // that the destination gets
	importer destination.Importer
	done     historyFile
	progress func(seen int64)
	now      time.Time // by the database's clock, as deliveries have it
}

func (w *fileWriter) write(ctx context.Context, db store.DB, past store.History, out io.Writer) error {
	lines := csv.NewWriter(out)
	if err := lines.Write(w.importer.ImportHeader()); err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	seen := int64(0)
	err := store.EachPast(ctx, db, past, func(e *store.Event) error {
		if seen++; seen%1000 == 0 {
			w.progress(seen)
		}
		line, reason := w.line(e)
		if reason != "" {
			w.done.LeftOut[reason]++
			return nil
		}
		w.done.Lines++
		return lines.Write(line)
	})
	lines.Flush()
	return errors.Join(err, lines.Error())
}

// line is that of an event, or why it has none.
func (w *fileWriter) line(stored *store.Event) (line []string, reason string) {
	if !wanted(w.events, stored.Name) {
		return nil, noLine
	}
	event, outcome := delivery.AdmitPast(w.lane, stored, w.now)
	if outcome != "" {
		return nil, outcome
	}
	line, rejected := w.importer.ImportRow(event)
	switch {
	case rejected != nil:
		return nil, delivery.Rejected
	case line == nil:
		return nil, noLine
	}
	return line, ""
}

func (a *app) tellFile(done historyFile, asJSON bool) error {
	if asJSON {
		return printJSON(a.stdout, done)
	}
	fmt.Fprintf(a.stdout, "%d lines written to %s, which holds personal data: delete it when it is imported\n", done.Lines, done.File)
	for _, reason := range slices.Sorted(maps.Keys(done.LeftOut)) {
		fmt.Fprintf(a.stdout, "%d events left out: %s\n", done.LeftOut[reason], reason)
	}
	return nil
}
