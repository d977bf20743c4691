package metatest

import (
	"regexp"
	"slices"
	"time"

	"kvit/destination/destinationtest/standin"
)

type event struct {
	Name         string   `json:"event_name"`
	Time         int64    `json:"event_time"`
	ID           string   `json:"event_id"`
	ActionSource string   `json:"action_source"`
	SourceURL    string   `json:"event_source_url"`
	ReferrerURL  string   `json:"referrer_url"`
	User         *user    `json:"user_data"`
	Custom       *custom  `json:"custom_data"`
	OptOut       bool     `json:"opt_out"`
	Options      []string `json:"data_processing_options"`
	Country      *int     `json:"data_processing_options_country"`
	State        *int     `json:"data_processing_options_state"`
}

type user struct {
	Email      []string `json:"em"`
	Phone      []string `json:"ph"`
	FirstName  []string `json:"fn"`
	LastName   []string `json:"ln"`
	Gender     []string `json:"ge"`
	Birthday   []string `json:"db"`
	City       []string `json:"ct"`
	Region     []string `json:"st"`
	PostalCode []string `json:"zp"`
	Country    []string `json:"country"`
	ExternalID []string `json:"external_id"`
	IP         string   `json:"client_ip_address"`
	UserAgent  string   `json:"client_user_agent"`
	FBP        string   `json:"fbp"`
	FBC        string   `json:"fbc"`
}

type custom struct {
	Currency     string    `json:"currency"`
	Value        *float64  `json:"value"`
	OrderID      string    `json:"order_id"`
	ContentType  string    `json:"content_type"`
	Contents     []content `json:"contents"`
	ContentName  string    `json:"content_name"`
	Category     string    `json:"content_category"`
	SearchString string    `json:"search_string"`
}

type content struct {
	ID       string   `json:"id"`
	Quantity *int64   `json:"quantity"`
	Price    *float64 `json:"item_price"`
	Title    string   `json:"title"`
	Brand    string   `json:"brand"`
	Category string   `json:"category"`
}

var sources = []string{
	"website", "app", "email", "phone_call", "chat", "physical_store", "system_generated", "business_messaging", "other",
}

// check finds the first field that Meta would not take.
func (s *Server) check(e event) string {
	switch {
	case e.Name == "":
		return "event_name: is required"
	case !standin.IsUnixSeconds(e.Time):
		return "event_time: must be Unix seconds"
	case standin.HasEmail(e.SourceURL, e.ReferrerURL):
		return "event_source_url, referrer_url: hold an e-mail address"
	case e.ID == "":
		return "event_id: is required here, since a repeat would count twice"
	case !slices.Contains(sources, e.ActionSource):
		return "action_source: is unknown"
	case e.User == nil:
		return "user_data: is required"
	case e.ActionSource == "website" && !page.MatchString(e.SourceURL):
		return "event_source_url: is required, with https:// or http://"
	case e.ActionSource == "website" && e.User.UserAgent == "":
		return "client_user_agent: is required"
	case (e.Options == nil) != (e.Country == nil), (e.Options == nil) != (e.State == nil):
		return "data_processing_options: need country and state"
	case e.Options != nil && !slices.Equal(e.Options, []string{"LDU"}):
		return "data_processing_options: are unknown"
	}
	for _, problem := range []string{s.checkTime(e), e.User.check(), e.Custom.check(e.Name)} {
		if problem != "" {
			return problem
		}
	}
	return ""
}

func (s *Server) checkTime(e event) string {
	if s.now == nil {
		return ""
	}
	limit := 7 * 24 * time.Hour
	if e.ActionSource == "physical_store" {
		limit = 62 * 24 * time.Hour
	}
	if age := s.now().Sub(time.Unix(e.Time, 0)); age > limit || age < -time.Hour {
		return "event_time: is too far back, or in the future"
	}
	return ""
}

var (
	page   = regexp.MustCompile(`^https?://[^/]`)
	hash   = regexp.MustCompile(`^(?:[0-9a-f]{32}|[0-9a-f]{64})$`)
	cookie = regexp.MustCompile(`^fb\.[0-9]\.[0-9]+\.\S+$`)
)

func (u *user) check() string {
	strong := 0
	for i, list := range [][]string{u.Email, u.Phone, u.ExternalID, u.FirstName, u.LastName, u.Gender, u.Birthday, u.City, u.Region, u.PostalCode, u.Country} {
		if slices.ContainsFunc(list, func(text string) bool { return !hash.MatchString(text) }) {
			return "user_data: contact data must be SHA-256 in lower-case hexadecimal"
		}
		if i < 3 {
			strong += len(list)
		}
	}
	if u.IP != "" {
		if !standin.IsIP(u.IP) {
			return "client_ip_address: is no address"
		}
		strong++
	}
	for _, text := range []string{u.FBP, u.FBC} {
		if text == "" {
			continue
		}
		if !cookie.MatchString(text) {
			return "fbp, fbc: are malformed"
		}
		strong++
	}
	if strong == 0 {
		return "user_data: has nothing to find a person by"
	}
	return ""
}

func (c *custom) check(event string) string {
	if c == nil {
		if event == "Purchase" {
			return "custom_data: is required for Purchase"
		}
		return ""
	}
	switch {
	case event == "Purchase" && (c.Value == nil || c.Currency == ""):
		return "value, currency: are required for Purchase"
	case event == "Purchase" && *c.Value < 0:
		return "value: must not be negative"
	case c.Value != nil && c.Currency == "":
		return "currency: is required with a value"
	case c.Currency != "" && !standin.IsCurrency(c.Currency):
		return "currency: must be ISO 4217"
	case c.ContentType != "" && c.ContentType != "product" && c.ContentType != "product_group":
		return "content_type: is unknown"
	}
	for _, item := range c.Contents {
		if item.ID == "" {
			return "contents: need an id each"
		}
	}
	return ""
}
