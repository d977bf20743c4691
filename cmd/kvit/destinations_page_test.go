package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/destination"
)

const destinationPages = "../../docs/destinations"

// called is what a provider is called in the page of destinations.
var called = map[string]string{
	"spread": "SPREAD", "ga4": "Google Analytics 4", "google_ads": "Google Ads", "meta": "Meta", "tiktok": "TikTok", "pinterest": "Pinterest", "matomo": "Matomo",
	"klaviyo": "Klaviyo", "microsoft_uet": "Microsoft Advertising", "snap": "Snap", "reddit": "Reddit", "linkedin": "LinkedIn",
	"snowplow": "Snowplow", "trustpilot": "Trustpilot", "webhook": "Standard Webhooks",
}

// TestPageOfDestinations: its tables say what the adapters say of themselves.
func TestPageOfDestinations(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(destinationPages, "README.md"))
	require.NoError(t, err)
	for name, table := range map[string]string{
		"Settings": settingsTable(t), "Limits": limitsTable(t), "Repeats": repeatsTable(t), "Checks": checksTable(t),
		"Erasure": erasureTable(t), "Events": eventsTable(t),
	} {
		require.Contains(t, string(text), table, "%s should be:\n%s", name, table)
	}
}

// TestEveryDestinationHasAPage: and no page is about something else.
func TestEveryDestinationHasAPage(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(destinationPages, "*.md"))
	require.NoError(t, err)
	expected := []string{filepath.Join(destinationPages, "README.md")}
	for _, p := range providers {
		expected = append(expected, filepath.Join(destinationPages, p.kind+".md"))
	}
	require.ElementsMatch(t, expected, files)
}

func settingsTable(t *testing.T) string {
	t.Helper()
	lines := []string{"| provider | kind | `consent` | `concurrency` | `rate` |", "| --- | --- | --- | --- | --- |"}
	for _, p := range providers {
		d, _ := p.configured(t, "http://127.0.0.1:1")
		rate := "none"
		if d.Rate > 0 {
			rate = fmt.Sprintf("%g/s", d.Rate)
		}
		lines = append(lines, row("["+called[p.kind]+"]("+p.kind+".md)", "`"+p.kind+"`", d.Consent, fmt.Sprint(d.Concurrency), rate))
	}
	return strings.Join(lines, "\n") + "\n"
}

func limitsTable(t *testing.T) string {
	t.Helper()
	lines := []string{"| kind | events a request | size of a request | oldest event | repeats known for |", "| --- | --- | --- | --- | --- |"}
	for _, p := range providers {
		_, adapter := p.configured(t, "http://127.0.0.1:1")
		traits := adapter.Traits()
		events, size := "1", "–"
		if _, many := adapter.(destination.Batcher); many {
			events, size = number(traits.Batch.Events, "any"), kilobytes(traits.Batch.Bytes)
		}
		lines = append(lines, row("`"+p.kind+"`", events, size, hours(traits.MaxAge), hours(traits.Window)))
	}
	return strings.Join(lines, "\n") + "\n"
}

func eventsTable(t *testing.T) string {
	t.Helper()
	lines := []string{"| event | destinations that get it by default |", "| --- | --- |"}
	for _, event := range append(slices.Clone(destination.Names), destination.AnyCustom) {
		var kinds []string
		for _, p := range providers {
			_, adapter := p.configured(t, "http://127.0.0.1:1")
			if slices.Contains(adapter.Traits().Events, event) {
				kinds = append(kinds, "`"+p.kind+"`")
			}
		}
		lines = append(lines, row("`"+event+"`", strings.Join(kinds, ", ")))
	}
	return strings.Join(lines, "\n") + "\n"
}

func repeatsTable(t *testing.T) string {
	t.Helper()
	lines := []string{"| kind | a repeat is counted again | sent in order |", "| --- | --- | --- |"}
	for _, p := range providers {
		_, adapter := p.configured(t, "http://127.0.0.1:1")
		traits := adapter.Traits()
		lines = append(lines, row("`"+p.kind+"`", some(traits.CountedAgain, traits.Events), some(traits.States, traits.Events)))
	}
	return strings.Join(lines, "\n") + "\n"
}

// checksTable has each provider's stand-in asked.
func checksTable(t *testing.T) string {
	t.Helper()
	lines := []string{"| kind | `kvit check` | `--send-test` |", "| --- | --- | --- |"}
	for _, p := range providers {
		_, adapter := p.configured(t, serve(t, p.fake()))
		proved, marked := "nothing: no call is known that counts nothing", "a test in its names alone"
		if prober, ok := adapter.(destination.Prober); ok {
			var err error
			proved, err = prober.Prove(t.Context())
			require.NoError(t, err, p.kind)
		}
		if _, ok := adapter.(destination.Tester); ok {
			marked = "marked as a test"
		}
		lines = append(lines, row("`"+p.kind+"`", proved, marked))
	}
	return strings.Join(lines, "\n") + "\n"
}

func erasureTable(t *testing.T) string {
	t.Helper()
	lines := []string{"| kind | who tells the provider |", "| --- | --- |"}
	for _, p := range providers {
		_, adapter := p.configured(t, "http://127.0.0.1:1")
		who := "somebody: kvit makes no call, the task stays open"
		if _, can := destination.RedactorOf(adapter); can {
			who = "kvit"
		} else if _, could := adapter.(destination.Redactor); could {
			who = "kvit, once its deletion is configured"
		}
		lines = append(lines, row("`"+p.kind+"`", who))
	}
	return strings.Join(lines, "\n") + "\n"
}

func row(cells ...string) string { return "| " + strings.Join(cells, " | ") + " |" }

func number(n int, none string) string {
	switch {
	case n == 0:
		return none
	case n >= 1000:
		return fmt.Sprintf("%d,%03d", n/1000, n%1000)
	default:
		return fmt.Sprint(n)
	}
}

func kilobytes(n int) string {
	if n == 0 {
		return "any"
	}
	return number(n/1000, "") + " kB"
}

func hours(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d == 0:
		return "–"
	case d > 3*day && d%day == 0:
		return fmt.Sprintf("%d days", d/day)
	default:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
}

// some names events, or those that are missing if these are fewer.
func some(events, all []string) string {
	rest := slices.DeleteFunc(slices.Clone(all), func(event string) bool { return slices.Contains(events, event) })
	switch {
	case len(events) == 0:
		return "none"
	case len(rest) == 0:
		return "all"
	case len(rest) < len(events):
		return "all but " + quoted(rest)
	default:
		return quoted(events)
	}
}

func quoted(events []string) string {
	sorted := slices.SortedFunc(slices.Values(events), func(a, b string) int {
		return cmp.Compare(slices.Index(destination.Names, a), slices.Index(destination.Names, b))
	})
	return "`" + strings.Join(sorted, "`, `") + "`"
}
