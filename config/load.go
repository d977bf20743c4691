package config

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/language"
)

// maxFileBytes is far above any real configuration (the example has 10 kB) and keeps a wrong path, such
// as a dump, from being read and parsed at length.
const maxFileBytes = 256 << 10

// Load reads the file at path. A missing or unreadable file is an error that names it; mistakes inside
// are an *Errors. getenv answers for environment variables, as os.Getenv does. kinds are what a destination
// and an ERP can be, in the order in which messages list them.
func Load(path string, getenv func(string) string, kinds []Kind) (Config, error) {
	return LoadWithout(path, getenv, kinds)
}

// LoadWithout is Load as if the file did not have some of its sections, for a command that has no use for
// them and may run before they are finished. The Config holds their defaults.
func LoadWithout(path string, getenv func(string) string, kinds []Kind, sections ...string) (Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	return parseWithout(path, data, getenv, kinds, sections)
}

// Parse is Load for the text of a configuration file; name goes into the errors. It reads the secret files
// that the text names. Every error is an *Errors with all mistakes.
func Parse(name string, data []byte, getenv func(string) string, kinds []Kind) (Config, error) {
	return parseWithout(name, data, getenv, kinds, nil)
}

// Keys tells which keys a file is asked for, and which of those it has, by their dotted paths. It is how a
// manual is tested for naming them all; the file must hold no mistakes.
func Keys(name string, data []byte, getenv func(string) string, kinds []Kind) (asked, has []string, err error) {
	r := newReader(getenv)
	r.config(data, kinds, nil)
	if len(r.problems) > 0 {
		return nil, nil, newErrors(name, r.problems)
	}
	return slices.Sorted(maps.Keys(r.asked)), slices.Sorted(maps.Keys(r.lines)), nil
}

func parseWithout(name string, data []byte, getenv func(string) string, kinds []Kind, sections []string) (Config, error) {
	r := newReader(getenv)
	cfg := r.config(data, kinds, sections)
	if len(r.problems) > 0 {
		return Config{}, newErrors(name, r.problems)
	}
	return cfg, nil
}

func (r *reader) config(data []byte, kinds []Kind, without []string) Config {
	root, err := document(data)
	if err != nil {
		r.syntax(err)
		return Config{}
	}
	top := r.open("", entry{line: 1, value: root})
	if top.broken {
		return Config{}
	}
	for _, name := range without {
		delete(top.entries, name)
	}
	var cfg Config
	cfg.Database = readDatabase(top)
	cfg.Log = readLog(top)
	cfg.Ops = readOps(top)
	cfg.Shop, cfg.ShopCountry = readShop(top)
	if cfg.Ops.ERPReceiptsToken.IsSet() && cfg.Shop == nil && !r.faulty("shop.orders") {
		r.problem(r.lines["ops.erp_receipts_token"], "ops.erp_receipts_token", "needs shop.orders, whose orders receipts are about")
	}
	cfg.Delivery = readDelivery(top)
	cfg.Consent = readConsent(top)
	destinations, erps := split(kinds)
	cfg.Destinations = readDestinations(top, destinations, cfg.Delivery)
	cfg.ERPs = readERPs(top, erps, cfg.Shop)
	cfg.Retention = readRetention(top, cfg.Shop)
	cfg.Channels = readChannels(top)
	top.Finish()
	r.checkReceipts(cfg)
	r.checkPurposes(cfg)
	return cfg
}

func (r *reader) syntax(err error) {
	var s *syntaxError
	if errors.As(err, &s) {
		r.problem(s.line, "", s.message)
		return
	}
	r.problem(1, "", err.Error())
}

// checkReceipts sees to it that a receipt outlives its event and every retry: kvit would otherwise
// forget what it has delivered while it may still deliver it.
func (r *reader) checkReceipts(cfg Config) {
	const receipts, events = "retention.receipts_after", "retention.events_after"
	if r.faulty(receipts) {
		return
	}
	if cfg.Retention.ReceiptsAfter < cfg.Retention.EventsAfter && !r.faulty(events) {
		r.problemAt("must not be shorter than "+events, receipts, events)
	}
	for _, d := range cfg.Destinations {
		key := "destinations." + d.Name + ".retry_for"
		if d.RetryFor > cfg.Retention.ReceiptsAfter && !r.faulty(key) {
			r.problemAt("must not be shorter than "+key, receipts, key)
		}
	}
}

// problemAt reports the problem of the first key; if the file leaves that out, at the line of the second.
func (r *reader) problemAt(text, key, other string) {
	line := r.lines[key]
	if line == 0 {
		line = max(1, r.lines[other])
	}
	r.problem(line, key, text)
}

// faulty reports whether a problem of this key is known, so that nothing is concluded from its value.
func (r *reader) faulty(key string) bool {
	return slices.ContainsFunc(r.problems, func(p Problem) bool { return p.Key == key })
}

func readLog(top *Section) Log {
	s := top.Section("log")
	defer s.Finish()
	var l Log
	// The choice allows only words that UnmarshalText knows.
	_ = l.Level.UnmarshalText([]byte(s.Choice("level", "info", "debug", "info", "warn", "error")))
	l.Format = s.Choice("format", "auto", "auto", "text", "json")
	return l
}

func readDelivery(top *Section) Delivery {
	s := top.Section("delivery")
	defer s.Finish()
	return Delivery{
		Timeout:  s.Duration("timeout", 30*time.Second, 5*time.Second, 5*time.Minute),
		KeepJobs: s.durationOrOff("keep_jobs", 0, time.Minute, 30*24*time.Hour),
	}
}

// readShop gives a country without a shop where that is all that is said of it.
func readShop(top *Section) (shop *Shop, country string) {
	s := top.Section("shop")
	if !s.present {
		return nil, ""
	}
	defer s.Finish()
	country = s.Text("country", "", countryCode)
	if country != "" && !s.Has("orders") || !s.Require("orders") {
		return nil, country
	}
	return &Shop{Orders: readOrders(s.Section("orders"))}, country
}

func countryCode(text string) string {
	region, err := language.ParseRegion(text)
	if err != nil || !region.IsCountry() || region.Canonicalize().String() != text {
		return `must be a country code such as "DK" (ISO 3166-1 alpha-2)`
	}
	return ""
}

func readOrders(s *Section) Orders {
	defer s.Finish()
	o := Orders{
		Table:          qualified(s.RequiredText("table", tableName)),
		Ref:            s.RequiredText("ref", identifier),
		PlacedAt:       s.RequiredText("placed_at", identifier),
		ImportedAt:     s.Text("imported_at", "", identifier),
		ERPNumber:      s.Text("erp_number", "", identifier),
		ErasedAt:       s.Text("erased_at", "", identifier),
		Email:          s.Text("email", "", identifier),
		CustomerID:     s.Text("customer_id", "", identifier),
		Total:          s.Text("total", "", identifier),
		Lines:          readLines(s),
		AwaitingImport: s.Text("awaiting_import", "true"),
		Customer:       readCustomer(s),
		TimeZone:       s.Text("time_zone", "", TimeZone),
	}
	s.checkMarks()
	first := map[string]string{}
	for _, c := range append(o.columns(), orderColumn{"email", o.Email}, orderColumn{"customer_id", o.CustomerID}) {
		if other, taken := first[c.name]; taken && c.name != "" {
			s.Problem(c.key, "names the same column as "+other)
			continue
		}
		first[c.name] = c.key
	}
	return o
}

// checkMarks keeps a shop from giving columns to some of kvit's marks alone.
func (s *Section) checkMarks() {
	marks := []string{"imported_at", "erp_number", "erased_at"}
	named := slices.DeleteFunc(slices.Clone(marks), func(key string) bool { return !s.Has(key) })
	if len(named) == 0 || len(named) == len(marks) {
		return
	}
	for _, key := range marks {
		if !s.Has(key) {
			s.Problem(key, "is missing beside the other two of imported_at, erp_number and erased_at: name all three, or none, and kvit keeps these marks itself")
		}
	}
}

type orderColumn struct{ key, name string }

// columns lists the columns that kvit needs as they are, by their key in the file. Those that tell who
// placed the order are not among them: they are personal, and the policy says how they go.
func (o Orders) columns() []orderColumn {
	all := []orderColumn{
		{"ref", o.Ref}, {"placed_at", o.PlacedAt}, {"imported_at", o.ImportedAt},
		{"erp_number", o.ERPNumber}, {"erased_at", o.ErasedAt},
	}
	return slices.DeleteFunc(all, func(c orderColumn) bool { return c.name == "" })
}

// qualified gives a table without a schema the schema public.
func qualified(table string) string {
	if table == "" || strings.Contains(table, ".") {
		return table
	}
	return "public." + table
}
