package pages

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"kvit/status"
	"kvit/store"
	"kvit/web/access"
)

//go:embed templates/*.html
var templates embed.FS

// views are the templates by name, each within the layout.
type views map[string]*template.Template

// view is what templates are given: "content" and "title" of a page see it whole, and what the page itself passes under .Data.
type view struct {
	User   access.User // .User.MayOperate: show buttons
	Path   string      // of the request
	Nav    []link
	Said   string // shown once
	Alarms string // "2 alarms"; empty: none is on
	Now    time.Time
	Zone   string
	Data   any

	Reads   string          // where lists come from, if that has to be said
	Stopped []store.Stopped // destinations to which nothing is sent until somebody resumes them
}

type link struct {
	Path, Name string
	Here       bool
}

// navigation is the head of each page. A page that does not exist yet is left out.
var navigation = []link{
	{Path: "/", Name: "Overview"}, {Path: "/orders", Name: "Orders"}, {Path: "/destinations", Name: "Destinations"},
	{Path: "/erp", Name: "ERP"}, {Path: "/erasure", Name: "Erasure"}, {Path: "/replay", Name: "Replay"}, {Path: "/audit", Name: "Audit"},
	{Path: "/river/", Name: "Jobs"},
}

func (s *Site) parseViews() (views, error) {
	layout, err := template.New("layout.html").Funcs(s.functions()).ParseFS(templates, "templates/layout.html")
	if err != nil {
		return nil, fmt.Errorf("read layout: %w", err)
	}
	names, err := fs.Glob(templates, "templates/*.html")
	if err != nil {
		return nil, err
	}
	all := views{}
	for _, file := range names {
		name := strings.TrimSuffix(path.Base(file), ".html")
		if name == "layout" {
			continue
		}
		page, err := template.Must(layout.Clone()).ParseFS(templates, file)
		if err != nil {
			return nil, fmt.Errorf("read template %s: %w", name, err)
		}
		all[name] = page
	}
	return all, nil
}

// functions are what templates can call beside those of html/template.
func (s *Site) functions() template.FuncMap {
	return template.FuncMap{
		"moment":  s.moment, // a time with its zone
		"ago":     ago,      // of the page's time and another
		"count":   count,    // of a number that was counted to store.CountedUpTo
		"grouped": groupedAny,
		"seconds": seconds,
		"shown":   maskedAny, // a reference or a text, without what looks like somebody's address
		"short":   short,     // the beginning of a long text
		"stamp":   s.stamp,   // moment as plain text
	}
}

// moment is a time with its zone, for people and for machines; "never" for one that is not there. It takes a time.Time or a
// pointer to one.
func (s *Site) moment(t any) template.HTML {
	at, ok := timeOf(t)
	if !ok {
		return "never"
	}
	local := at.In(s.zone)
	return template.HTML(`<time datetime="` + local.Format(time.RFC3339) + `">` + local.Format("2 Jan 2006 15:04:05 MST") + `</time>`) //nolint:gosec // a time alone
}

// ago is how long ago something was, by the clock of the page; "-" for what never was.
func ago(now time.Time, t any) string {
	at, ok := timeOf(t)
	if !ok {
		return "-"
	}
	switch d := now.Sub(at); {
	case d < -time.Minute:
		return "in " + spoken(-d)
	default:
		return spoken(max(d, 0)) + " ago"
	}
}

func timeOf(t any) (time.Time, bool) {
	switch t := t.(type) {
	case time.Time:
		return t, !t.IsZero()
	case *time.Time:
		if t != nil {
			return *t, !t.IsZero()
		}
	}
	return time.Time{}, false
}

// spoken is a duration in one or two units.
func spoken(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour && d%time.Hour < time.Minute:
		return fmt.Sprintf("%d h", int(d.Hours()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%d days", int(d.Hours())/24)
	}
}

// count is a number that was counted no further than store.CountedUpTo: from there it says "or more". Thousands are set apart.
func count(n any) string {
	value, err := strconv.ParseInt(fmt.Sprint(n), 10, 64)
	if err != nil {
		return fmt.Sprint(n)
	}
	text := grouped(value)
	if value >= store.CountedUpTo {
		return text + " or more"
	}
	return text
}

// groupedAny is grouped for templates.
func groupedAny(n any) string {
	value, err := strconv.ParseInt(fmt.Sprint(n), 10, 64)
	if err != nil {
		return fmt.Sprint(n)
	}
	return grouped(value)
}

// seconds is a duration as short as it can be said.
func seconds(s float64) string {
	switch {
	case s <= 0:
		return "-"
	case s < 1:
		return fmt.Sprintf("%.0f ms", max(s*1000, 1))
	case s < 120:
		return fmt.Sprintf("%.1f s", s)
	default:
		return spoken(time.Duration(s * float64(time.Second)))
	}
}

// grouped sets thousands apart.
func grouped(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// render answers with the page templates/<name>.html, which defines "title" and "content".
func (s *Site) render(w http.ResponseWriter, r *http.Request, name string, data any) error {
	return s.write(w, r, http.StatusOK, name, data)
}

// renderStatus is render for pages that tell of a failure, and must not fail themselves.
func (s *Site) renderStatus(w http.ResponseWriter, r *http.Request, status int, name string, data any) {
	if err := s.write(w, r, status, name, data); err != nil {
		s.Logger.Error("page could not be written", "page", name, "problem", store.Describe(err))
		http.Error(w, http.StatusText(status), status)
	}
}

func (s *Site) write(w http.ResponseWriter, r *http.Request, status int, name string, data any) error {
	page, ok := s.views[name]
	if !ok {
		return fmt.Errorf("render %s: there is no such template", name)
	}
	var text bytes.Buffer // whole before its first byte is sent: half a page is none
	if err := page.Execute(&text, s.view(r, data)); err != nil {
		return fmt.Errorf("render %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = text.WriteTo(w)
	return nil
}

func (s *Site) view(r *http.Request, data any) view {
	v := view{User: access.UserOf(r.Context()), Path: r.URL.Path, Now: time.Now(), Data: data, Zone: s.zone.String()}
	if !v.User.LoggedIn() {
		return v
	}
	v.Nav = s.nav(r.URL.Path)
	v.Said = s.Guard.Said(r.Context())
	v.Alarms = s.alarms(r.Context())
	v.Reads = s.readFrom()
	v.Stopped = s.stopped(r)
	return v
}

// alarms says how many are on. That they could not be read is no reason to keep the page back, and is said.
func (s *Site) alarms(ctx context.Context) string {
	o, err := s.overviews.get(ctx, alarmsAge, s.readOverview)
	switch {
	case err != nil:
		s.Logger.Warn("alarms could not be read", "problem", store.Describe(err))
		return "alarms unknown"
	case len(o.Alarms) == 0:
		return ""
	case len(o.Alarms) == 1:
		return "1 alarm"
	default:
		return strconv.Itoa(len(o.Alarms)) + " alarms"
	}
}

// readFrom says where the lists come from; empty: there is one database alone.
func (s *Site) readFrom() string {
	reads := status.ReadsOf(s.Reads)
	switch {
	case reads == nil:
		return ""
	case reads.Problem != "":
		return "The replica is not read: " + reads.Problem + "."
	default:
		return "Overview and orders are read from the replica, at most " + seconds(*reads.Lag) + " behind."
	}
}

func (s *Site) nav(here string) (links []link) {
	for _, l := range navigation {
		if !s.has(l.Path) {
			continue
		}
		l.Here = here == l.Path || l.Path != "/" && strings.HasPrefix(here, strings.TrimSuffix(l.Path, "/")+"/")
		links = append(links, l)
	}
	return links
}

// has tells whether there is a page at a path.
func (s *Site) has(path string) bool {
	for _, route := range s.routes {
		at := strings.TrimPrefix(route.Pattern, "GET ")
		if at == path || at == path+"{$}" {
			return true
		}
	}
	return false
}
