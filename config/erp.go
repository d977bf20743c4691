package config

import (
	"slices"
	"strings"
	"time"
)

// ERP is one company in an ERP that is asked for orders (one key under "erp").
type ERP struct {
	Name    string // lower case, at most 40 characters; the source of its evidence, and part of the queue's name
	Kind    string
	Enabled bool // default true

	Poll         time.Duration // between two polls; 1s to 24h
	Overlap      time.Duration // how far behind the last change seen the next poll begins; 0 to 30d
	Timeout      time.Duration // of one request; default 30s
	RefPrefix    string        // what the ERP has before an order's reference; default WEB-
	RefMaxLength int           // of the ERP's field; 0: no limit is known
	CallsPerDay  int           // at most; 0: no limit

	CredentialsExpire *time.Time // the day on which they end; nil: not told

	CheckLines     bool   // a document counts only if it has as many lines as the order; needs Orders.Lines
	CheckTotal     bool   // and the order's total; needs Orders.Total
	TotalTolerance string // a decimal: what totals may differ by; default 0.05

	Line     int // where the file names it
	Settings any // what Kind.Read made of the keys that are the kind's own
}

// ERPDefaults make a Kind one of ERPs: what holds for it where the file says nothing.
type ERPDefaults struct {
	Poll         time.Duration
	Overlap      time.Duration
	RefMaxLength int // 0: no limit is known
	CallsPerDay  int // 0: no limit
}

func readERPs(top *Section, kinds []Kind, shop *Shop) []ERP {
	s := top.Section("erp")
	var all []ERP
	for _, name := range s.names {
		if problem := erpName(name); problem != "" {
			s.Problem(name, problem)
			continue
		}
		all = append(all, readERP(s.Section(name), name, kinds, shop))
	}
	if len(all) > 0 && shop == nil && !s.reader.faulty("shop.orders") {
		s.ProblemHere("needs shop.orders, whose orders it is asked for")
	}
	slices.SortFunc(all, func(a, b ERP) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func readERP(s *Section, name string, kinds []Kind, shop *Shop) ERP {
	e := ERP{Name: name, Line: s.line}
	if !s.Require("kind") {
		return e // what else belongs here depends on the kind
	}
	e.Kind = s.Choice("kind", "", kindNames(kinds)...)
	i := slices.IndexFunc(kinds, func(k Kind) bool { return k.Name == e.Kind })
	if i < 0 {
		return e
	}
	k := kinds[i]
	e.Settings = k.Read(s)
	e.Enabled = s.Boolean("enabled", true)
	e.Poll = s.Duration("poll", k.ERP.Poll, time.Second, 24*time.Hour)
	e.Overlap = s.Duration("overlap", k.ERP.Overlap, 0, 30*24*time.Hour)
	e.Timeout = s.Duration("timeout", 30*time.Second, time.Second, 5*time.Minute)
	e.RefPrefix = s.TextOrNone("ref_prefix", "WEB-", VisibleASCII)
	e.RefMaxLength = s.Integer("ref_max_length", k.ERP.RefMaxLength, 1, 200)
	e.CallsPerDay = s.Integer("calls_per_day", k.ERP.CallsPerDay, 24, 10_000_000)
	e.CredentialsExpire = s.day("credentials_expire")
	e.readCheck(s, shop)
	s.Finish()
	return e
}

var tolerance = Matches(`[0-9]{1,9}(?:\.[0-9]{1,4})?`, "is not an amount such as 0.05")

// readCheck reads what of a document has to be the order's.
func (e *ERP) readCheck(s *Section, shop *Shop) {
	e.CheckLines, e.CheckTotal = s.Boolean("check_lines", false), s.Boolean("check_total", false)
	e.TotalTolerance = s.Text("total_tolerance", "0.05", tolerance)
	if e.CheckLines && shop != nil && shop.Orders.Lines == nil {
		s.Problem("check_lines", "needs shop.orders.lines, which says how many an order has")
	}
	if e.CheckTotal && shop != nil && shop.Orders.Total == "" {
		s.Problem("check_total", "needs shop.orders.total, the column with the order's own")
	}
	if s.Has("total_tolerance") && !e.CheckTotal {
		s.Problem("total_tolerance", "is of no use without check_total: true")
	}
}

// day reads a date, as in 2027-01-31.
func (s *Section) day(name string) *time.Time {
	text := s.Text(name, "", func(text string) string {
		if _, err := time.Parse(time.DateOnly, text); err != nil {
			return "is not a date such as 2027-01-31"
		}
		return ""
	})
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return nil
	}
	return &day
}

// split divides kinds into those of destinations and those of ERPs.
func split(kinds []Kind) (destinations, erps []Kind) {
	for _, k := range kinds {
		if k.ERP == nil {
			destinations = append(destinations, k)
		} else {
			erps = append(erps, k)
		}
	}
	return destinations, erps
}
