package erp

import (
	"net/url"
	"strings"
)

// Trail follows the pages of one answer, and stops where they would lead elsewhere or in a circle.
type Trail struct {
	links map[string]bool
	rows  map[string]bool
	pages int
}

// maxPages is far above what any question of kvit's has.
const maxPages = 100_000

// NewTrail begins at the address of the first page.
func NewTrail(first string) *Trail {
	return &Trail{links: map[string]bool{first: true}, rows: map[string]bool{}}
}

// Page notes a page by its first row, whatever tells it from all other rows. A row that came first before means that
// the ERP goes round in a circle.
func (t *Trail) Page(firstRow string) error {
	t.pages++
	if t.pages > maxPages {
		return Fail(Malformed, "the answer has more than 100,000 pages")
	}
	if t.rows[firstRow] {
		return Fail(Malformed, "the ERP gives a page again that was read before")
	}
	t.rows[firstRow] = true
	return nil
}

// Next resolves the link to the next page against the address of the current one. It is followed as it stands, if it
// leads to the same scheme, host and port, and was not followed before: credentials go nowhere else.
func (t *Trail) Next(current, link string) (string, error) {
	base, err := url.Parse(current)
	if err != nil {
		return "", Fail(Misconfigured, "the address is no URL")
	}
	next, err := base.Parse(strings.ReplaceAll(strings.TrimSpace(link), " ", "%20"))
	if err != nil {
		return "", Fail(Malformed, "the link to the next page is no URL")
	}
	if next.Scheme != base.Scheme || !strings.EqualFold(next.Hostname(), base.Hostname()) || port(next) != port(base) || next.User != nil {
		return "", Fail(Malformed, "the link to the next page leads to another host: not followed")
	}
	address := next.String()
	if t.links[address] {
		return "", Fail(Malformed, "the link to the next page was followed before")
	}
	t.links[address] = true
	return address, nil
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	return map[string]string{"http": "80", "https": "443"}[u.Scheme]
}
