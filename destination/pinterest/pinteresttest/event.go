package pinteresttest

import (
	"regexp"
	"slices"
	"time"

	"kvit/destination/destinationtest/standin"
)

// Event is an event as Pinterest's schema has it, of which every key but these is refused.
type Event struct {
	Name       string     `json:"event_name"`
	Source     string     `json:"action_source"`
	Time       *int64     `json:"event_time"`
	ID         string     `json:"event_id"`
	SourceURL  string     `json:"event_source_url"`
	OptOut     bool       `json:"opt_out"`
	Partner    string     `json:"partner_name"`
	Language   string     `json:"language"`
	UserData   *UserData  `json:"user_data"`
	CustomData CustomData `json:"custom_data"`
}

// UserData is who did it; the lists are of SHA-256 in hexadecimal digits.
type UserData struct {
	Email      []string `json:"em"`
	MobileIDs  []string `json:"hashed_maids"`
	Phone      []string `json:"ph"`
	Gender     []string `json:"ge"`
	Birthday   []string `json:"db"`
	LastName   []string `json:"ln"`
	FirstName  []string `json:"fn"`
	City       []string `json:"ct"`
	State      []string `json:"st"`
	Zip        []string `json:"zp"`
	Country    []string `json:"country"`
	ExternalID []string `json:"external_id"`
	IP         string   `json:"client_ip_address"`
	UserAgent  string   `json:"client_user_agent"`
	ClickID    string   `json:"click_id"`
	PartnerID  string   `json:"partner_id"`
}

// CustomData is what the event is about.
type CustomData struct {
	Currency        string    `json:"currency"`
	Value           *string   `json:"value"`
	ContentIDs      []string  `json:"content_ids"`
	Contents        []Content `json:"contents"`
	NumItems        int64     `json:"num_items"`
	OrderID         string    `json:"order_id"`
	SearchString    string    `json:"search_string"`
	ContentName     string    `json:"content_name"`
	ContentCategory string    `json:"content_category"`
	ContentBrand    string    `json:"content_brand"`
	OptOutType      string    `json:"opt_out_type"`
}

// Content is a line of a cart or an order.
type Content struct {
	ID       string  `json:"id"`
	Price    *string `json:"item_price"`
	Quantity int64   `json:"quantity"`
	Name     string  `json:"item_name"`
	Category string  `json:"item_category"`
	Brand    string  `json:"item_brand"`
}

var (
	decimal   = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?$`)
	languages = regexp.MustCompile(`^([a-z]{2})?$`)
)

var names = []string{
	"add_payment_info", "add_to_cart", "add_to_wishlist", "checkout", "contact", "custom",
	"customize_product", "find_location", "initiate_checkout", "lead", "page_visit", "schedule", "search",
	"signup", "start_trial", "subscribe", "view_category", "view_content", "watch_video",
}

// readEvents refuses what the schema does not allow, unknown keys among it.
func readEvents(body []byte) (events []Event, problem string) {
	var request struct {
		Data []Event `json:"data"`
	}
	if standin.Strict(body, &request) != nil {
		return nil, "body is not JSON of the schema"
	}
	if len(request.Data) < 1 || len(request.Data) > 1000 {
		return nil, "data must have 1 to 1000 events"
	}
	for _, event := range request.Data {
		if missing := event.missing(); missing != "" {
			return nil, missing + " is required"
		}
	}
	return request.Data, ""
}

func (e Event) missing() string {
	switch {
	case e.Name == "":
		return "event_name"
	case e.Source == "":
		return "action_source"
	case e.Time == nil:
		return "event_time"
	case e.ID == "":
		return "event_id"
	case e.UserData == nil:
		return "user_data"
	case len(e.UserData.Email) == 0 && len(e.UserData.MobileIDs) == 0 && (e.UserData.IP == "" || e.UserData.UserAgent == ""):
		return "em, hashed_maids, or client_ip_address with client_user_agent"
	}
	return ""
}

func (e Event) at() time.Time { return time.Unix(*e.Time, 0) }

// problem is what is wrong with an event that has the form of one.
func (e Event) problem() string {
	switch {
	case !slices.Contains(names, e.Name):
		return "event_name is not known"
	case !slices.Contains([]string{"web", "offline", "app_android", "app_ios"}, e.Source):
		return "action_source is not known"
	case !standin.IsUnixSeconds(*e.Time):
		return "event_time is not in Unix seconds"
	case standin.HasEmail(e.SourceURL):
		return "event_source_url holds an e-mail address"
	case !languages.MatchString(e.Language):
		return "language is not of two letters"
	}
	if problem := e.UserData.problem(); problem != "" {
		return problem
	}
	return e.CustomData.problem()
}

func (u UserData) problem() string {
	hashes := slices.Concat(u.Email, u.MobileIDs, u.Phone, u.Gender, u.Birthday, u.LastName, u.FirstName,
		u.City, u.State, u.Zip, u.Country, u.ExternalID)
	for _, hash := range hashes {
		if !standin.IsSHA256(hash) {
			return "user_data has something that is not hashed"
		}
	}
	if u.IP != "" && !standin.IsIP(u.IP) {
		return "client_ip_address is no address"
	}
	return ""
}

func (c CustomData) problem() string {
	amounts := []*string{c.Value}
	for _, content := range c.Contents {
		amounts = append(amounts, content.Price)
		if content.Quantity < 0 {
			return "quantity is negative"
		}
	}
	for _, amount := range amounts {
		if amount != nil && !decimal.MatchString(*amount) {
			return "value or item_price is not a decimal number"
		}
		if amount != nil && c.Currency == "" {
			return "currency is missing" // the API would take its own, which may be the wrong one
		}
	}
	if c.Currency != "" && !standin.IsCurrency(c.Currency) {
		return "currency is not of three letters"
	}
	return ""
}
