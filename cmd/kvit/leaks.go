package main

import (
	"context"

	"kvit/config"
	"kvit/erasure"
	"kvit/store"
)

// checkLeaks advises on what may keep copies of erased rows.
func checkLeaks(ctx context.Context, cfg config.Config, eraser *erasure.Eraser) []finding {
	problems, err := eraser.Leaks(ctx)
	if err != nil {
		return []finding{{Key: "retention.policy", Problem: store.Describe(err)}}
	}
	var findings []finding
	for _, p := range problems {
		if p.Table == "" {
			findings = append(findings, finding{Key: "database", Problem: p.Problem, Advice: true})
			continue
		}
		findings = append(findings, policyFinding(cfg, p, true))
	}
	return findings
}
