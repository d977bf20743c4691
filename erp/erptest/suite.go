// Package erptest helps to test connectors: a suite that each must pass against a stand-in of its ERP, and a
// connector in memory for tests of whoever drives one. It is for tests alone.
package erptest

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/erp"
)

// Deviation is a way in which ERPs answer otherwise than one would think. A stand-in that cannot deviate so ignores it.
type Deviation int

// The deviations.
const (
	MatchesPrefixes Deviation = iota + 1 // a filter finds every value that begins with the one asked for
	IgnoresFilter                        // everything is found
	AnswersHTML                          // a page for people, with status 200
	AnswersGarbage                       // half a JSON document, with status 200
	RepeatsPage                          // each page's next link leads to the first page's rows
	LinksElsewhere                       // the link to the next page leads to another host
	Redirects                            // every answer is a redirect to another host
	LosesToken                           // the token that is in use is not known any more, once
	RefusesToken                         // no credentials are accepted
	OtherCompany                         // all is empty, with status 200
)

// ERP is a stand-in of an ERP, as the suite moves it. It evaluates filters and refuses what the ERP refuses.
type ERP interface {
	// Put adds documents, as people and imports make them. A zero ChangedAt is now.
	Put(docs ...erp.Document)
	// Remove takes the order of this number away, as invoicing does.
	Remove(number string)
	// Deviate makes it answer in this way from now on.
	Deviate(d Deviation)
	// Fail makes the next requests after the first `after` fail, `times` of them, with this status and header.
	Fail(after, times, status int, header http.Header)
	// Page makes pages have so many rows.
	Page(rows int)
	// Requests counts those that were made, for tokens too.
	Requests() int
}

// Subject is a stand-in and how to make a connector to it.
type Subject struct {
	ERP  ERP
	Make func(common erp.Common) (erp.Connector, error)
}

// Suite says what the connector under test can be asked to show.
type Suite struct {
	New      func(t *testing.T) Subject
	Folds    bool // the ERP's filter finds references in any case
	Pages    bool // answers have pages
	Numbered bool // pages are asked for by their number: there are no links between them
	Token    bool // credentials are a token
	Invoices bool // an invoice names its order
	HTTP     bool // it is asked by HTTP
}

// Run runs all cases that fit.
func (s Suite) Run(t *testing.T) {
	t.Helper()
	cases := map[string]func(*testing.T, *bench){
		"FindsAnOrder": findsAnOrder, "FindsNothing": findsNothing, "TwoOrders": twoOrders, "LongerReference": longerReference, "NoReference": noReference,
		"QuoteInReference": quoteInReference, "CreditMemo": creditMemo, "FullBatch": fullBatch, "Since": since,
		"ProbeProves": probeProves, "ProbeOfAnotherCompany": otherCompany, "FoundEndsIt": foundEndsIt,
	}
	if s.Folds {
		cases["OtherCase"] = otherCase
	}
	if s.Invoices {
		cases["Invoiced"] = invoiced
	}
	if s.Pages {
		cases["SecondPageFails"], cases["RepeatedPage"], cases["AllPages"] = secondPageFails, repeatedPage, allPages
		if !s.Numbered {
			cases["ForeignLink"] = foreignLink
		}
	}
	if s.Token {
		cases["TokenLost"], cases["TokenRefused"] = tokenLost, tokenRefused
	}
	if s.HTTP {
		cases["RetryAfter"], cases["BackOff"], cases["LongRetryAfter"] = retryAfter, backOff, longRetryAfter
		cases["HTML"], cases["Garbage"], cases["Redirect"], cases["Statuses"], cases["Budget"] = answersHTML, garbage, redirect, statuses, budget
	}
	for name, run := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, newBench(t, s.New(t)))
		})
	}
}

// bench is one case: its own ERP, connector and clock.
type bench struct {
	ERP
	connector erp.Connector
	meter     *erp.Meter

	mu    sync.Mutex
	waits []time.Duration
}

func newBench(t *testing.T, subject Subject) *bench {
	b := &bench{ERP: subject.ERP, meter: &erp.Meter{}}
	b.meter.Begin(erp.Unlimited)
	connector, err := subject.Make(erp.Common{Name: "bench", Meter: b.meter, Wait: b.wait})
	require.NoError(t, err)
	b.connector = connector
	return b
}

func (b *bench) wait(_ context.Context, d time.Duration) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waits = append(b.waits, d)
	return nil
}

func (b *bench) waited() []time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.waits)
}

// lookup asks for references; a connector that is no Finder is asked for everything.
func (b *bench) lookup(t *testing.T, refs ...string) (docs []erp.Document, err error) {
	found := func(page []erp.Document) error {
		docs = append(docs, page...)
		return nil
	}
	if finder, ok := b.connector.(erp.Finder); ok {
		return docs, finder.Lookup(t.Context(), refs, found)
	}
	follower, ok := b.connector.(erp.Follower)
	require.True(t, ok, "a connector is a Finder or a Follower")
	for _, stream := range follower.Streams() {
		if err := follower.Since(t.Context(), stream, time.Now().Add(-10*24*time.Hour).Truncate(24*time.Hour), found); err != nil {
			return docs, err
		}
	}
	return docs, nil
}

// evidence is what the documents show of an order of the shop's, by its reference behind WEB-.
func evidence(docs []erp.Document, orderRef string) (list []string) {
	for _, d := range docs {
		kind, number, ok := d.Evidence()
		folded, named := erp.Matcher{Prefix: "WEB-"}.Strip(d.Ref)
		if entry := kind + " " + number; ok && named && folded == erp.Fold(orderRef) && !slices.Contains(list, entry) {
			list = append(list, entry)
		}
	}
	return list
}

func order(ref, number string) erp.Document {
	return erp.Document{Kind: erp.OrderDocument, Ref: ref, Number: number}
}

func findsAnOrder(t *testing.T, b *bench) {
	b.Put(order("WEB-10023", "101005"), order("WEB-10024", "101006"))
	docs, err := b.lookup(t, "WEB-10023")
	require.NoError(t, err)
	require.Equal(t, []string{"order 101005"}, evidence(docs, "10023"))
}

func findsNothing(t *testing.T, b *bench) {
	b.Put(order("WEB-10024", "101006"))
	docs, err := b.lookup(t, "WEB-10023")
	require.NoError(t, err)
	require.Empty(t, evidence(docs, "10023"))
}

func invoiced(t *testing.T, b *bench) {
	b.Put(order("WEB-10023", "101005"))
	b.Remove("101005")
	b.Put(erp.Document{Kind: erp.InvoiceDocument, Ref: "WEB-10023", Number: "103033", OrderNumber: "101005"})
	docs, err := b.lookup(t, "WEB-10023")
	require.NoError(t, err)
	require.Equal(t, []string{"order 101005"}, evidence(docs, "10023"), "the order's number stands on the invoice")
}

func twoOrders(t *testing.T, b *bench) {
	b.Put(order("WEB-10023", "101005"), order("WEB-10023", "101009"))
	docs, err := b.lookup(t, "WEB-10023")
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"order 101005", "order 101009"}, evidence(docs, "10023"))
}

func longerReference(t *testing.T, b *bench) {
	b.Deviate(MatchesPrefixes)
	b.Put(order("WEB-1002", "101005"))
	docs, err := b.lookup(t, "WEB-100")
	require.NoError(t, err)
	require.Empty(t, evidence(docs, "100"))
}

func noReference(t *testing.T, b *bench) {
	b.Deviate(IgnoresFilter)
	b.Put(order("", "101004"), order("WEB-10023", "101005"))
	docs, err := b.lookup(t, "WEB-10023")
	require.NoError(t, err)
	require.Equal(t, []string{"order 101005"}, evidence(docs, "10023"))
}

func otherCase(t *testing.T, b *bench) {
	b.Put(order("web-ab1", "101005"), order(" WEB-AB2 ", "101006"))
	docs, err := b.lookup(t, "WEB-ab1", "WEB-ab2")
	require.NoError(t, err)
	require.Equal(t, []string{"order 101005"}, evidence(docs, "ab1"))
	require.Equal(t, []string{"order 101006"}, evidence(docs, "ab2"))
}

func quoteInReference(t *testing.T, b *bench) {
	hostile := `WEB-O' or 1 eq 1&$top=1#%20+y` // as long as fits into the narrowest field
	b.Put(order(hostile, "101005"), order("WEB-2", "101006"))
	docs, err := b.lookup(t, hostile, "WEB-2")
	require.NoError(t, err)
	require.Equal(t, []string{"order 101005"}, evidence(docs, strings.TrimPrefix(hostile, "WEB-")))
	require.Equal(t, []string{"order 101006"}, evidence(docs, "2"))
}

func creditMemo(t *testing.T, b *bench) {
	b.Put(erp.Document{Kind: erp.CreditMemoDocument, Ref: "WEB-10023", Number: "104001"},
		erp.Document{Kind: erp.QuoteDocument, Ref: "WEB-10023", Number: "105001"})
	docs, err := b.lookup(t, "WEB-10023")
	require.NoError(t, err)
	require.Empty(t, evidence(docs, "10023"))
}

func fullBatch(t *testing.T, b *bench) {
	batch := max(b.connector.Traits().Batch, 1)
	refs := make([]string, batch)
	for i := range refs {
		refs[i] = "WEB-" + strings.Repeat("9", 20) + strconv.Itoa(1000+i)
		b.Put(order(refs[i], strconv.Itoa(200_000+i)))
	}
	docs, err := b.lookup(t, refs...)
	require.NoError(t, err)
	for i, ref := range refs {
		require.Equal(t, []string{"order " + strconv.Itoa(200_000+i)}, evidence(docs, strings.TrimPrefix(ref, "WEB-")))
	}
}

func since(t *testing.T, b *bench) {
	follower, ok := b.connector.(erp.Follower)
	if !ok {
		t.Skip("no Follower")
	}
	resolution := max(b.connector.Traits().Resolution, time.Second)
	from := time.Now().UTC().Add(-3 * 24 * time.Hour).Truncate(resolution)
	at := func(ref, number string, changed time.Time) erp.Document {
		return erp.Document{Kind: erp.OrderDocument, Ref: ref, Number: number, ChangedAt: changed}
	}
	b.Put(at("WEB-3", "103", from.Add(2*resolution)), at("WEB-0", "100", from.Add(-resolution)), at("WEB-1", "101", from), at("WEB-2", "102", from.Add(resolution)))
	var docs []erp.Document
	for _, stream := range follower.Streams() {
		last := from
		require.NoError(t, follower.Since(t.Context(), stream, from, func(page []erp.Document) error {
			for _, d := range page {
				require.False(t, d.ChangedAt.Before(last), "oldest first, and none before the watermark")
				last = d.ChangedAt
			}
			docs = append(docs, page...)
			return nil
		}))
	}
	for _, ref := range []string{"1", "2", "3"} {
		require.Equal(t, []string{"order 10" + ref}, evidence(docs, ref))
	}
	require.Empty(t, evidence(docs, "0"))
}

func foundEndsIt(t *testing.T, b *bench) {
	finder, ok := b.connector.(erp.Finder)
	if !ok {
		t.Skip("no Finder")
	}
	b.Put(order("WEB-10023", "101005"))
	full := context.DeadlineExceeded
	err := finder.Lookup(t.Context(), []string{"WEB-10023"}, func([]erp.Document) error { return full })
	require.ErrorIs(t, err, full)
}

func probeProves(t *testing.T, b *bench) {
	b.Put(order("WEB-10023", "101005"))
	proof, err := b.connector.Probe(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, proof.Company)
}

func otherCompany(t *testing.T, b *bench) {
	b.Put(order("WEB-10023", "101005"))
	b.Deviate(OtherCompany)
	_, err := b.connector.Probe(t.Context())
	require.Contains(t, []erp.ErrorKind{erp.Unproven, erp.Misconfigured, erp.Unauthorized}, erp.KindOf(err), "an empty answer proves nothing: %v", err)
}

func many(b *bench, n int) (refs []string) {
	for i := range n {
		ref := "WEB-" + strconv.Itoa(10_000+i)
		refs = append(refs, ref)
		b.Put(order(ref, strconv.Itoa(100_000+i)))
	}
	return refs
}

func allPages(t *testing.T, b *bench) {
	b.Page(3)
	refs := many(b, min(10, max(b.connector.Traits().Batch, 1)))
	docs, err := b.lookup(t, refs...)
	require.NoError(t, err)
	for i, ref := range refs {
		require.Equal(t, []string{"order " + strconv.Itoa(100_000+i)}, evidence(docs, strings.TrimPrefix(ref, "WEB-")))
	}
}

func secondPageFails(t *testing.T, b *bench) {
	b.Page(3)
	refs := many(b, 7)
	_, err := b.lookup(t, refs...) // fetches a token, if there is one
	require.NoError(t, err)
	b.Fail(1, 100, http.StatusInternalServerError, nil)
	_, err = b.lookup(t, refs...)
	require.Equal(t, erp.Unreachable, erp.KindOf(err), "%v", err)
}

func repeatedPage(t *testing.T, b *bench) {
	b.Page(3)
	refs := many(b, 7)
	b.Deviate(RepeatsPage)
	_, err := b.lookup(t, refs...)
	require.Equal(t, erp.Malformed, erp.KindOf(err), "%v", err)
}

func foreignLink(t *testing.T, b *bench) {
	b.Page(3)
	refs := many(b, 7)
	b.Deviate(LinksElsewhere)
	_, err := b.lookup(t, refs...)
	require.Equal(t, erp.Malformed, erp.KindOf(err), "%v", err)
}

func tokenLost(t *testing.T, b *bench) {
	b.Put(order("WEB-10023", "101005"))
	_, err := b.lookup(t, "WEB-10023")
	require.NoError(t, err)
	b.Deviate(LosesToken)
	docs, err := b.lookup(t, "WEB-10023")
	require.NoError(t, err)
	require.Equal(t, []string{"order 101005"}, evidence(docs, "10023"))
}

func tokenRefused(t *testing.T, b *bench) {
	b.Deviate(RefusesToken)
	_, err := b.lookup(t, "WEB-10023")
	require.Equal(t, erp.Unauthorized, erp.KindOf(err), "%v", err)
	require.LessOrEqual(t, b.Requests(), 4, "it does not hammer")
}

func retryAfter(t *testing.T, b *bench) {
	b.Put(order("WEB-10023", "101005"))
	b.Fail(0, 1, http.StatusTooManyRequests, http.Header{"Retry-After": {"7"}})
	docs, err := b.lookup(t, "WEB-10023")
	require.NoError(t, err)
	require.Equal(t, []string{"order 101005"}, evidence(docs, "10023"))
	require.Equal(t, []time.Duration{7 * time.Second}, b.waited())
}

func backOff(t *testing.T, b *bench) {
	b.Fail(0, 100, http.StatusServiceUnavailable, nil)
	_, err := b.lookup(t, "WEB-10023")
	require.Equal(t, erp.Throttled, erp.KindOf(err), "%v", err)
	waited := b.waited()
	require.NotEmpty(t, waited)
	require.True(t, slices.IsSorted(waited))
}

func longRetryAfter(t *testing.T, b *bench) {
	b.Fail(0, 1, http.StatusTooManyRequests, http.Header{"Retry-After": {"3600"}})
	_, err := b.lookup(t, "WEB-10023")
	var failed *erp.Error
	require.ErrorAs(t, err, &failed)
	require.Equal(t, time.Hour, failed.RetryAfter)
	require.Empty(t, b.waited(), "so long a wait is the watcher's")
}

func answersHTML(t *testing.T, b *bench) {
	b.Deviate(AnswersHTML)
	_, err := b.lookup(t, "WEB-10023")
	require.Equal(t, erp.Malformed, erp.KindOf(err), "%v", err)
}

func garbage(t *testing.T, b *bench) {
	b.Put(order("WEB-10023", "101005"))
	b.Deviate(AnswersGarbage)
	_, err := b.lookup(t, "WEB-10023")
	require.Equal(t, erp.Malformed, erp.KindOf(err), "%v", err)
}

func redirect(t *testing.T, b *bench) {
	b.Deviate(Redirects)
	_, err := b.lookup(t, "WEB-10023")
	require.Equal(t, erp.Misconfigured, erp.KindOf(err), "%v", err)
}

func statuses(t *testing.T, b *bench) {
	for status, kind := range map[int]erp.ErrorKind{
		http.StatusForbidden: erp.Unauthorized, http.StatusNotFound: erp.Misconfigured, http.StatusRequestTimeout: erp.TooMuch,
		http.StatusGatewayTimeout: erp.TooMuch, http.StatusInternalServerError: erp.Unreachable,
	} {
		b.Fail(0, 1, status, nil)
		_, err := b.lookup(t, "WEB-10023")
		require.Equal(t, kind, erp.KindOf(err), "%d: %v", status, err)
		require.NotContains(t, err.Error(), "10023", "what was asked for stays out of errors")
	}
}

func budget(t *testing.T, b *bench) {
	b.meter.Begin(0)
	_, err := b.lookup(t, "WEB-10023")
	require.Equal(t, erp.Spent, erp.KindOf(err), "%v", err)
	require.Zero(t, b.Requests())
}
