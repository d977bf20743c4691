package microsoftuettest

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"kvit/destination/destinationtest/standin"
)

// Event is an event with the fields that are known of the API.
type Event struct {
	Type       string   `json:"eventType"`
	Name       string   `json:"eventName"`
	ID         string   `json:"eventId"`
	Time       *int64   `json:"eventTime"`
	SourceURL  string   `json:"eventSourceUrl"`
	PageLoadID string   `json:"pageLoadId"`
	Referrer   string   `json:"referrerUrl"`
	PageTitle  string   `json:"pageTitle"`
	Keywords   string   `json:"keywords"`
	AdStorage  string   `json:"adStorageConsent"`
	User       UserData `json:"userData"`
	Custom     Custom   `json:"customData"`
}

// UserData is who did it.
type UserData struct {
	Email       string `json:"em"`
	Phone       string `json:"ph"`
	AnonymousID string `json:"anonymousId"`
	ExternalID  string `json:"externalId"`
	UserAgent   string `json:"clientUserAgent"`
	IP          string `json:"clientIpAddress"`
	ClickID     string `json:"msclkid"`
	GAID        string `json:"gaid"`
	IDFA        string `json:"idfa"`
}

// Custom is what the event is about.
type Custom struct {
	EventCategory string   `json:"eventCategory"`
	EventLabel    string   `json:"eventLabel"`
	EventValue    *Number  `json:"eventValue"`
	TransactionID string   `json:"transactionId"`
	Value         *Number  `json:"value"`
	Currency      string   `json:"currency"`
	ItemIDs       []string `json:"itemIds"`
	Items         []Item   `json:"items"`
	PageType      string   `json:"pageType"`
	TotalValue    *Number  `json:"ecommTotalValue"`
	Category      string   `json:"ecommCategory"`
	SearchTerm    string   `json:"searchTerm"`
}

// Item is a line of a cart or an order.
type Item struct {
	ID       string  `json:"id"`
	Name     string  `json:"name"`
	Price    *Number `json:"price"`
	Quantity *int64  `json:"quantity"`
}

// Number is a JSON number as it was written; a string that looks like one is refused.
type Number string

// UnmarshalJSON takes numbers alone.
func (n *Number) UnmarshalJSON(text []byte) error {
	var value float64
	if err := json.Unmarshal(text, &value); err != nil {
		return err
	}
	*n = Number(text)
	return nil
}

type request struct {
	Data     []Event `json:"data"`
	Continue bool    `json:"continueOnValidationError"`
	Provider string  `json:"dataProvider"`
}

func readRequest(body []byte) (r request, problem string) {
	if len(body) > 1_000_000 || standin.Strict(body, &r) != nil {
		return request{}, "body is not JSON of the known form, or larger than 1 MB"
	}
	if len(r.Data) < 1 || len(r.Data) > 1000 {
		return request{}, "data must have 1 to 1000 events"
	}
	return r, ""
}

var clickID = regexp.MustCompile(`^([0-9a-fA-F]{32}|[0-9a-fA-F-]{36})?$`)

var pageTypes = []string{"", "home", "product", "category", "searchresults", "cart", "purchase", "other"}

// problem is the first thing that is wrong with an event.
func (e Event) problem() (property, problem string) {
	switch {
	case e.Type != "pageLoad" && e.Type != "custom":
		return "eventType", "is not known"
	case e.Type == "custom" && e.Name == "":
		return "eventName", "is required"
	case e.Type == "pageLoad" && e.SourceURL == "":
		return "eventSourceUrl", "is required"
	case e.ID == "":
		return "eventId", "is required"
	case e.Time == nil:
		return "eventTime", "is required"
	case !standin.IsUnixSeconds(*e.Time):
		return "eventTime", "is not in Unix seconds"
	case standin.HasEmail(e.SourceURL):
		return "eventSourceUrl", "holds an e-mail address"
	case standin.HasEmail(e.Referrer):
		return "referrerUrl", "holds an e-mail address"
	case e.AdStorage != "G" && e.AdStorage != "D":
		return "adStorageConsent", "is neither G nor D"
	}
	if property, problem := e.User.problem(); problem != "" {
		return "userData." + property, problem
	}
	if property, problem := e.Custom.problem(e.Name); problem != "" {
		return "customData." + property, problem
	}
	return "", ""
}

func (u UserData) problem() (property, problem string) {
	switch {
	case u == (UserData{UserAgent: u.UserAgent, IP: u.IP}):
		return "em", "or another identifier is required"
	case strings.Contains(u.ExternalID, "@"):
		return "externalId", "is an e-mail address"
	case u.Email != "" && !standin.IsSHA256(u.Email):
		return "em", "is not hashed"
	case u.Phone != "" && !standin.IsSHA256(u.Phone):
		return "ph", "is not hashed"
	case !clickID.MatchString(u.ClickID):
		return "msclkid", "is not a click id"
	}
	if u.IP != "" && !standin.IsIP(u.IP) {
		return "clientIpAddress", "is no address"
	}
	return "", ""
}

func (c Custom) problem(action string) (property, problem string) {
	switch {
	case action == "purchase" && c.TransactionID == "":
		return "transactionId", "is required"
	case c.Value != nil && c.Currency == "":
		return "currency", "is required beside value"
	case c.Currency != "" && !standin.IsCurrency(c.Currency):
		return "currency", "is not of three letters"
	case !slices.Contains(pageTypes, c.PageType):
		return "pageType", "is not known"
	}
	return "", ""
}
