package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"kvit/config"
	"kvit/destination"
)

// proveTimeout bounds the call to each provider; all are made at once.
const proveTimeout = 15 * time.Second

// credential is what became of proving a destination's credentials.
type credential struct {
	Destination string `json:"destination"`
	Proved      string `json:"proved"` // what was proved, or why nothing was; empty: a finding says what is wrong
	OK          bool   `json:"ok"`     // the provider has accepted the credentials
}

// text is empty for a failure: that is a finding.
func (p credential) text() string {
	switch {
	case p.OK:
		return fmt.Sprintf("proved: destinations.%s: %s", p.Destination, p.Proved)
	case p.Proved != "":
		return fmt.Sprintf("not proved: destinations.%s: %s", p.Destination, p.Proved)
	default:
		return ""
	}
}

// prove begins to ask the providers of all enabled destinations, and returns a function that waits
// for their answers. They come in the order of the configuration.
func prove(ctx context.Context, cfg config.Config) (wait func() ([]finding, []credential)) {
	type result struct {
		finding *finding
		proof   *credential
	}
	results := make([]result, len(cfg.Destinations))
	var group sync.WaitGroup
	for i, d := range cfg.Destinations {
		if d.Enabled {
			group.Go(func() { results[i].finding, results[i].proof = proveOne(ctx, d) })
		}
	}
	return func() (findings []finding, proofs []credential) {
		group.Wait()
		for _, r := range results {
			if r.finding != nil {
				findings = append(findings, *r.finding)
			}
			if r.proof != nil {
				proofs = append(proofs, *r.proof)
			}
		}
		return findings, proofs
	}
}

// proveOne returns nothing for a destination that cannot be made: that is a finding already.
func proveOne(ctx context.Context, d config.Destination) (*finding, *credential) {
	adapter, err := adapterOf(d, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, proveTimeout)
	defer cancel()
	prober, ok := adapter.(destination.Prober)
	if !ok {
		return reachOne(ctx, d, adapter)
	}
	proved, err := prober.Prove(ctx)
	if err != nil {
		return &finding{Line: d.Line, Key: "destinations." + d.Name, Problem: "credentials are not proved: " + err.Error()}, &credential{Destination: d.Name}
	}
	return nil, &credential{Destination: d.Name, Proved: proved, OK: true}
}

// reachOne tries the connection, where nothing more can be tried: an address that delivery refuses, a name
// that nobody knows and a certificate that is not trusted are found before the first event.
func reachOne(ctx context.Context, d config.Destination, adapter destination.Destination) (*finding, *credential) {
	if reacher, ok := adapter.(destination.Reacher); ok {
		if err := reacher.Reach(ctx); err != nil {
			return &finding{Line: d.Line, Key: "destinations." + d.Name, Problem: err.Error()}, &credential{Destination: d.Name}
		}
	}
	return nil, &credential{Destination: d.Name, Proved: fmt.Sprintf(
		"credentials are not proved: %s has no call that counts nothing; `kvit check --send-test %s` sends a marked event", d.Kind, d.Name)}
}
