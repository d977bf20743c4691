package main

import (
	"os"
	"strings"
	"testing"

	"kvit/config"
)

// FuzzParse shows that no file makes config.Parse, or what it reads of any kind of destination, panic, that every mistake has a line and stays on one, and that
// no error repeats a secret of the environment.
func FuzzParse(f *testing.F) {
	example, err := os.ReadFile(exampleFile)
	if err != nil {
		f.Fatal(err)
	}
	const (
		hook   = "destinations:\n  hook:\n    kind: webhook\n    deduplicates: true\n    url: https://hooks.example.com/x\n    secret: ${HOOK}\n"
		spread = "destinations:\n  sp:\n    kind: spread\n    public_key: ${PUBLIC}\n    private_key: ${PRIVATE}\n"
		shop   = "shop:\n  orders: {table: orders, ref: ref, placed_at: placed, imported_at: imported, erp_number: erp, erased_at: erased}\n"
		clock  = shop + "retention:\n  clocks:\n"
		policy = shop + "retention:\n  policy:\n    - table: orders\n      columns: {ref: keep, name: null}\n"
	)
	for _, seed := range []string{
		string(example), "", "\ufeff", hook, spread, policy,
		"a: &x [*x]\n", "<<: *x\n", "? a\n: b\n", "- - -", "{", "log: {level: !!str }\n", "log: |\n  x\n",
		"log:\n  \"\\0\": 1\n", "destinations: {a: {kind: webhook, url: ':', secret: '${HOOK}'}}",
		"retention: {schedule: 'TZ=0'}", "retention: {events_after: 99999999999999999999d}",
		clock + "    cart: {when: \"status = 'cart'\", since: seen, erase_after: 7d}\n  brake: {max_share: 1e-9}\n",
		"retention: {tables: {old: {table: carts, since: seen, time_zone: UTC, erase_after: 1d, columns: {a: null}, children: {items: {cart: id}, 'a.b.c': {}}}}}\n",
		"%YAML 1.2\n---\nlog: {}\n", "database: {url: \"a='\\\\\"}", "log:\r\n  level: info\r\n",
	} {
		f.Add([]byte(seed))
	}
	getenv := func(name string) string {
		if name == "DATABASE_URL" {
			return "postgres://kvit:pass-marker@db.example.com/shop"
		}
		return "value-marker"
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := config.Parse("kvit.yaml", data, getenv, allKinds())
		if err == nil {
			return
		}
		problems, ok := err.(*config.Errors)
		if !ok || len(problems.Problems) == 0 {
			t.Fatalf("not an *Errors with problems: %T", err)
		}
		if lines := strings.Split(err.Error(), "\n"); len(lines) != len(problems.Problems) {
			t.Fatalf("%d problems on %d lines", len(problems.Problems), len(lines))
		}
		last := 1
		for _, p := range problems.Problems {
			if p.Line < last {
				t.Fatalf("line %d after line %d", p.Line, last)
			}
			last = p.Line
			if strings.Contains(p.Problem, "pass-marker") || strings.Contains(p.Problem, "value-marker") {
				t.Fatal("a problem repeats a value")
			}
		}
	})
}
