package snaptest

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"

	"kvit/destination/destinationtest/standin"
)

// event is CapiEvent of Snap's SDK, without what is for apps and travel.
type event struct {
	Name      string   `json:"event_name"`
	Time      int64    `json:"event_time"`
	ID        string   `json:"event_id"`
	Source    string   `json:"action_source"`
	SourceURL string   `json:"event_source_url"`
	OptOut    bool     `json:"opt_out"`
	Options   []string `json:"data_processing_options"`
	User      *user    `json:"user_data"`
	Custom    custom   `json:"custom_data"`
}

type user struct {
	Email        []string `json:"em"`
	Phone        []string `json:"ph"`
	FirstName    []string `json:"fn"`
	LastName     []string `json:"ln"`
	Gender       []string `json:"ge"`
	City         []string `json:"ct"`
	State        []string `json:"st"`
	Zip          []string `json:"zp"`
	Country      []string `json:"country"`
	ExternalID   string   `json:"external_id"`
	Subscription string   `json:"subscription_id"`
	IP           string   `json:"client_ip_address"`
	UserAgent    string   `json:"client_user_agent"`
	ClickID      string   `json:"sc_click_id"`
	Cookie       string   `json:"sc_cookie1"`
}

type custom struct {
	Currency     string      `json:"currency"`
	Value        json.Number `json:"value"`
	OrderID      string      `json:"order_id"`
	ContentIDs   []string    `json:"content_ids"`
	Contents     []content   `json:"contents"`
	ContentType  string      `json:"content_type"`
	ContentName  string      `json:"content_name"`
	Category     string      `json:"content_category"`
	NumItems     int64       `json:"num_items"`
	SearchString string      `json:"search_string"`
	SignUpMethod string      `json:"sign_up_method"`
	Brands       string      `json:"brands"`
}

type content struct {
	ID       string  `json:"id"`
	Quantity *string `json:"quantity"`
	Price    *string `json:"item_price"`
	Brand    string  `json:"brand"`
	Delivery string  `json:"delivery_category"`
}

var names = []string{
	"ACHIEVEMENT_UNLOCKED", "ADD_CART", "ADD_BILLING", "ADD_TO_WISHLIST", "AD_CLICK", "AD_VIEW", "COMPLETE_TUTORIAL", "CUSTOM_EVENT_1",
	"CUSTOM_EVENT_2", "CUSTOM_EVENT_3", "CUSTOM_EVENT_4", "CUSTOM_EVENT_5", "INVITE", "LEVEL_COMPLETE", "LIST_VIEW", "LOGIN", "PAGE_VIEW",
	"PURCHASE", "RATE", "RESERVE", "SAVE", "SEARCH", "SHARE", "SIGN_UP", "SPENT_CREDITS", "START_CHECKOUT", "START_TRIAL", "SUBSCRIBE", "VIEW_CONTENT",
}

var (
	amount = regexp.MustCompile(`^(0|[1-9][0-9]*)(\.[0-9]+)?$`)
	count  = regexp.MustCompile(`^[1-9][0-9]*$`)
)

// check is what Snap has against an event.
func (s *Server) check(e event) string {
	switch {
	case !slices.Contains(names, e.Name):
		return "event_name: is not known"
	case e.Source != "WEB" && e.Source != "MOBILE_APP" && e.Source != "OFFLINE":
		return "action_source: is not known"
	case e.ID == "":
		return "event_id: is missing"
	case !strings.HasPrefix(e.SourceURL, "https://") && !strings.HasPrefix(e.SourceURL, "http://"):
		return "event_source_url: is required"
	case standin.HasEmail(e.SourceURL):
		return "event_source_url: holds an e-mail address"
	case e.User == nil:
		return "user_data: is required"
	}
	for _, problem := range []string{s.checkTime(e.Time), e.User.problem(), e.Custom.problem(e.Name)} {
		if problem != "" {
			return problem
		}
	}
	return ""
}

func (s *Server) checkTime(seconds int64) string {
	if !standin.IsUnixSeconds(seconds) {
		return "event_time: is not in Unix seconds"
	}
	if s.now == nil {
		return ""
	}
	if age := s.now().Sub(time.Unix(seconds, 0)); age < 0 || age > maxAge {
		return "event_time: is out of range"
	}
	return ""
}

func (u user) problem() string {
	hashes := slices.Concat(u.Email, u.Phone, u.FirstName, u.LastName, u.Gender, u.City, u.State, u.Zip, u.Country)
	if u.ExternalID != "" {
		hashes = append(hashes, u.ExternalID)
	}
	for _, hash := range hashes {
		if !standin.IsSHA256(hash) {
			return "user_data: has something that is not hashed"
		}
	}
	switch {
	case u.IP != "" && !standin.IsIP(u.IP):
		return "client_ip_address: is no address"
	case len(u.Email) == 0 && len(u.Phone) == 0 && (u.IP == "" || u.UserAgent == ""):
		return "user_data: is insufficient"
	}
	return ""
}

func (c custom) problem(name string) string {
	priced := c.Value != ""
	for _, content := range c.Contents {
		switch {
		case content.ID == "":
			return "contents: id is required"
		case content.Quantity != nil && !count.MatchString(*content.Quantity):
			return "contents: quantity is not a whole number"
		case content.Price != nil && !amount.MatchString(*content.Price):
			return "contents: item_price is no amount"
		}
		priced = priced || content.Price != nil
	}
	switch {
	case c.Value != "" && !amount.MatchString(c.Value.String()):
		return "value: is no amount"
	case name == "PURCHASE" && (c.Value == "" || c.Currency == ""):
		return "value and currency: are required"
	case priced && !standin.IsCurrency(c.Currency), c.Currency != "" && !standin.IsCurrency(c.Currency):
		return "currency: is not of three letters"
	case c.NumItems < 0:
		return "num_items: is negative"
	}
	return ""
}
