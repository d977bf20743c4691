package tiktoktest

import (
	"regexp"
	"slices"
	"time"

	"kvit/destination/destinationtest/standin"
)

type event struct {
	Event          string      `json:"event"`
	Time           int64       `json:"event_time"`
	ID             string      `json:"event_id"`
	User           *user       `json:"user"`
	Properties     *properties `json:"properties"`
	Page           *page       `json:"page"`
	LimitedDataUse *bool       `json:"limited_data_use"`
}

type user struct {
	Email      []string `json:"email"`
	Phone      []string `json:"phone"`
	ExternalID []string `json:"external_id"`
	FirstName  *string  `json:"first_name"`
	LastName   *string  `json:"last_name"`
	ZipCode    *string  `json:"zip_code"`
	City       *string  `json:"city"`
	State      *string  `json:"state"`
	Country    *string  `json:"country"`
	TTClid     string   `json:"ttclid"`
	TTP        string   `json:"ttp"`
	IP         string   `json:"ip"`
	UserAgent  string   `json:"user_agent"`
	Locale     string   `json:"locale"`
}

type page struct {
	URL      string `json:"url"`
	Referrer string `json:"referrer"`
}

type properties struct {
	Currency    string    `json:"currency"`
	Value       *float64  `json:"value"`
	OrderID     string    `json:"order_id"`
	ContentType string    `json:"content_type"`
	Contents    []content `json:"contents"`
	ContentIDs  []string  `json:"content_ids"`
	NumItems    *int64    `json:"num_items"`
	Query       string    `json:"query"`
	Description string    `json:"description"`
}

type content struct {
	ID       string   `json:"content_id"`
	Name     string   `json:"content_name"`
	Category string   `json:"content_category"`
	Brand    string   `json:"brand"`
	Price    *float64 `json:"price"`
	Quantity *int64   `json:"quantity"`
}

// maxAge is how far back an event may have happened.
const maxAge = 7 * 24 * time.Hour

// check finds the first field that TikTok would not take. Where TikTok's rules were not found it takes the
// harsher reading.
func (s *Server) check(e event) string {
	switch {
	case e.Event == "":
		return "event: is required"
	case e.ID == "":
		return "event_id: is required here, since a repeat would count twice"
	case !standin.IsUnixSeconds(e.Time):
		return "event_time: must be Unix seconds"
	case s.now != nil && s.now().Sub(time.Unix(e.Time, 0)) > maxAge:
		return "event_time: is too far back"
	case e.User == nil:
		return "user: is required"
	case e.Page != nil && e.Page.URL == "":
		return "page.url: is required in page"
	case e.Page != nil && standin.HasEmail(e.Page.URL, e.Page.Referrer):
		return "page: holds an e-mail address"
	}
	if problem := e.User.check(); problem != "" {
		return problem
	}
	return e.Properties.check(e.Event)
}

var place = regexp.MustCompile(`^[a-z0-9]+$`)

func (u *user) check() string {
	hashes := slices.Concat(u.Email, u.Phone, u.ExternalID)
	found := len(hashes) > 0 || u.TTClid != "" || u.TTP != "" || u.IP != ""
	for _, text := range []*string{u.FirstName, u.LastName, u.ZipCode} {
		if text != nil {
			hashes = append(hashes, *text)
		}
	}
	for _, text := range hashes {
		if !standin.IsSHA256(text) {
			return "user: contact data must be SHA-256 in lower-case hexadecimal"
		}
	}
	for _, text := range []*string{u.City, u.State, u.Country} {
		if text != nil && !place.MatchString(*text) {
			return "city, state, country: must be lower-case letters and digits"
		}
	}
	if u.IP != "" && !standin.IsIP(u.IP) {
		return "ip: is no address"
	}
	if !found {
		return "user: has nothing to find a person by"
	}
	return ""
}

func (p *properties) check(event string) string {
	if p == nil {
		return ""
	}
	switch {
	case p.Value != nil && p.Currency == "":
		return "currency: is required with a value"
	case p.Currency != "" && !standin.IsCurrency(p.Currency):
		return "currency: must be ISO 4217"
	case p.Value != nil && event == "Purchase" && *p.Value < 0:
		return "value: must not be negative"
	case p.ContentType != "" && p.ContentType != "product" && p.ContentType != "product_group":
		return "content_type: is unknown"
	}
	for _, item := range p.Contents {
		if item.ID == "" {
			return "contents: need a content_id each"
		}
	}
	return ""
}
