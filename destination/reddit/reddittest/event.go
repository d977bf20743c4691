package reddittest

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"kvit/destination/destinationtest/standin"
)

// event is what version 3 of the API knows of one, without what is for apps.
type event struct {
	At        *int64 `json:"event_at"`
	Source    string `json:"action_source"`
	SourceURL string `json:"event_source_url"`
	Type      struct {
		Tracking string `json:"tracking_type"`
		Name     string `json:"custom_event_name"`
	} `json:"type"`
	ClickID  string    `json:"click_id"`
	User     *user     `json:"user"`
	Metadata *metadata `json:"metadata"`
}

type user struct {
	Email      string `json:"email"`
	Phone      string `json:"phone_number"`
	ExternalID string `json:"external_id"`
	IP         string `json:"ip_address"`
	UserAgent  string `json:"user_agent"`
	UUID       string `json:"uuid"`
}

type metadata struct {
	ConversionID string   `json:"conversion_id"`
	Currency     string   `json:"currency"`
	Value        *float64 `json:"value"`
	ItemCount    *int64   `json:"item_count"`
	Products     []struct {
		ID       string   `json:"id"`
		Name     string   `json:"name"`
		Category string   `json:"category"`
		Quantity *int64   `json:"quantity"`
		Price    *float64 `json:"item_price"`
	} `json:"products"`
}

var names = []string{"ADD_TO_CART", "ADD_TO_WISHLIST", "CUSTOM", "LEAD", "PAGE_VISIT", "PURCHASE", "SEARCH", "SIGN_UP", "VIEW_CONTENT"}

// milliseconds is a time below which others are in seconds.
const milliseconds = 1_000_000_000_000

// check is what Reddit has against an event. That contact data has to be hashed is what kvit promises, not Reddit's
// own demand.
func (s *Server) check(e event) string {
	switch {
	case !slices.Contains(names, e.Type.Tracking):
		return "tracking_type: is not known"
	case (e.Type.Tracking == "CUSTOM") != (e.Type.Name != ""):
		return "custom_event_name: belongs to a custom event"
	case utf8.RuneCountInString(e.Type.Name) > 64:
		return "custom_event_name: is too long"
	case !slices.Contains([]string{"WEBSITE", "APP", "PHYSICAL_STORE", "OTHER"}, e.Source):
		return "action_source: is not known"
	case e.SourceURL != "" && !strings.HasPrefix(e.SourceURL, "https://") && !strings.HasPrefix(e.SourceURL, "http://"):
		return "event_source_url: is no address"
	case standin.HasEmail(e.SourceURL):
		return "event_source_url: holds an e-mail address"
	case e.Metadata == nil || e.Metadata.ConversionID == "":
		return "conversion_id: is missing"
	}
	for _, problem := range []string{s.checkTime(e.At), e.checkUser(), e.Metadata.problem(e.Type.Tracking)} {
		if problem != "" {
			return problem
		}
	}
	return ""
}

func (s *Server) checkTime(at *int64) string {
	if at == nil || *at < milliseconds {
		return "event_at: is not in Unix milliseconds"
	}
	if s.now == nil {
		return ""
	}
	if age := s.now().Sub(time.UnixMilli(*at)); age < 0 || age > maxAge {
		return "event_at: is out of range"
	}
	return ""
}

func (e event) checkUser() string {
	u := e.User
	if u == nil {
		u = &user{}
	}
	for _, hash := range []string{u.Email, u.Phone, u.ExternalID, u.IP} {
		if hash != "" && !standin.IsSHA256(hash) {
			return "user: has something that is not hashed"
		}
	}
	if e.ClickID == "" && u.Email == "" && u.Phone == "" && u.ExternalID == "" && u.IP == "" && u.UUID == "" {
		return "user: has no match key"
	}
	return ""
}

func (m metadata) problem(tracking string) string {
	valueless := slices.Contains([]string{"PAGE_VISIT", "VIEW_CONTENT", "SEARCH"}, tracking)
	switch {
	case (m.Value == nil) != (m.Currency == ""):
		return "value and currency: belong together"
	case m.Value != nil && valueless:
		return "value: does not belong to this type"
	case m.Value != nil && *m.Value < 0:
		return "value: is no amount"
	case m.Currency != "" && !standin.IsCurrency(m.Currency):
		return "currency: is not of three letters"
	case m.ItemCount != nil && (*m.ItemCount < 1 || !slices.Contains([]string{"ADD_TO_CART", "ADD_TO_WISHLIST", "CUSTOM", "PURCHASE"}, tracking)):
		return "item_count: does not belong to this type"
	}
	for _, p := range m.Products {
		switch {
		case p.ID == "":
			return "products: id is required"
		case p.Quantity != nil && *p.Quantity < 1:
			return "products: quantity is no number of things"
		case p.Price != nil && *p.Price < 0:
			return "products: item_price is no amount"
		}
	}
	return ""
}
