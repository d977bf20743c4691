package googleadstest

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"kvit/destination/destinationtest/standin"
)

// Event is an event as the API's reference has it
// (https://developers.google.com/data-manager/api/reference/rest/v1/events/ingest), as far as Google Ads looks at it.
type Event struct {
	TransactionID string          `json:"transactionId"`
	Timestamp     string          `json:"eventTimestamp"`
	Source        string          `json:"eventSource"`
	Ads           *Ads            `json:"adIdentifiers"`
	User          *User           `json:"userData"`
	Consent       *Consent        `json:"consent"`
	Currency      string          `json:"currency"`
	Value         json.RawMessage `json:"conversionValue"` // a number
	Cart          *Cart           `json:"cartData"`
}

// Ads is the click.
type Ads struct {
	GClid  string `json:"gclid"`
	GBraid string `json:"gbraid"`
	WBraid string `json:"wbraid"`
}

// User is who bought.
type User struct {
	Identifiers []Identifier `json:"userIdentifiers"`
}

// Identifier has one member: a hash, or an address.
type Identifier struct {
	Email   string   `json:"emailAddress"`
	Phone   string   `json:"phoneNumber"`
	Address *Address `json:"address"`
}

// Address has all members. The names are hashes.
type Address struct {
	GivenName  string `json:"givenName"`
	FamilyName string `json:"familyName"`
	Region     string `json:"regionCode"`
	PostalCode string `json:"postalCode"`
}

// Consent is what the person has accepted.
type Consent struct {
	UserData        string `json:"adUserData"`
	Personalization string `json:"adPersonalization"`
}

// Cart is what was sold.
type Cart struct {
	MerchantID string `json:"merchantId"`
	Label      string `json:"merchantFeedLabel"`
	Language   string `json:"merchantFeedLanguageCode"`
	Items      []Item `json:"items"`
}

// Item is a line of it.
type Item struct {
	ProductID string          `json:"merchantProductId"`
	Quantity  string          `json:"quantity"`
	Price     json.RawMessage `json:"unitPrice"` // a number
}

type request struct {
	Destinations []account         `json:"destinations"`
	Encoding     string            `json:"encoding"`
	ValidateOnly bool              `json:"validateOnly"`
	Events       []json.RawMessage `json:"events"`
}

type account struct {
	Operating product  `json:"operatingAccount"`
	Login     *product `json:"loginAccount"`
	Action    string   `json:"productDestinationId"`
}

type product struct {
	Type string `json:"accountType"`
	ID   string `json:"accountId"`
}

// fault is why a request is not taken: where, by which of Google's reasons, and in words.
type fault struct{ field, reason, why string }

// read refuses a request as a whole for the first event that is at fault.
func (r request) read() (events []Event, found *fault) {
	switch {
	case len(r.Events) < 1 || len(r.Events) > 2000:
		return nil, &fault{"events", "TOO_MANY_EVENTS", "events must be 1 to 2000"}
	case r.Encoding != "HEX":
		return nil, &fault{"encoding", "REQUIRED_FIELD_MISSING", "encoding is not HEX"}
	}
	for i, raw := range r.Events {
		var event Event
		if standin.Strict(raw, &event) != nil {
			return nil, &fault{fmt.Sprintf("events.events[%d]", i), "INVALID_ARGUMENT", "an event has an unknown field or a wrong type"}
		}
		if found := event.fault(); found != nil {
			found.field = fmt.Sprintf("events.events[%d].%s", i, found.field)
			return nil, found
		}
		events = append(events, event)
	}
	return events, nil
}

func (e Event) fault() *fault {
	_, err := time.Parse(time.RFC3339, e.Timestamp)
	switch {
	case err != nil:
		return &fault{"event_timestamp", "INVALID_FORMAT", "event_timestamp is no time"}
	case e.TransactionID == "" || len(e.TransactionID) > 2048:
		return &fault{"transaction_id", "REQUIRED_FIELD_MISSING", "transaction_id is missing"}
	case e.Source != "WEB":
		return &fault{"event_source", "INVALID_ENUM_VALUE", "event_source is not WEB"}
	case e.Consent == nil || !isConsent(e.Consent.UserData) || !isConsent(e.Consent.Personalization):
		return &fault{"consent", "INVALID_ENUM_VALUE", "consent is not said"}
	case e.Consent.UserData != "CONSENT_GRANTED": // Google takes the event and drops it later
		return &fault{"consent", "INVALID_EVENT", "consent is denied"}
	case e.Ads == nil && e.User == nil:
		return &fault{"event", "NO_IDENTIFIERS_PROVIDED", "there is nothing by which the click could be found"}
	case e.Currency != "" && !standin.IsCurrency(e.Currency):
		return &fault{"currency", "INVALID_CURRENCY_CODE", "currency is not of three letters"}
	case e.Value != nil && (e.Currency == "" || isBelowZero(e.Value)):
		return &fault{"conversion_value", "INVALID_NUMBER_FORMAT", "conversion_value is below 0, or without a currency"}
	}
	if found := e.Ads.fault(); found != nil {
		return found
	}
	if found := e.User.fault(); found != nil {
		return found
	}
	return e.Cart.fault()
}

func isConsent(status string) bool { return status == "CONSENT_GRANTED" || status == "CONSENT_DENIED" }

// isBelowZero is true for what is no number as well.
func isBelowZero(number json.RawMessage) bool {
	value, err := strconv.ParseFloat(string(number), 64)
	return err != nil || value < 0
}

func (a *Ads) fault() *fault {
	if a == nil {
		return nil
	}
	ids := 0
	for _, id := range []string{a.GClid, a.GBraid, a.WBraid} {
		if id != "" {
			ids++
		}
	}
	if ids != 1 {
		return &fault{"ad_identifiers", "INVALID_ARGUMENT", "ad_identifiers must have one click id"}
	}
	return nil
}

func (u *User) fault() *fault {
	if u == nil {
		return nil
	}
	if len(u.Identifiers) < 1 || len(u.Identifiers) > 10 {
		return &fault{"user_data", "TOO_MANY_USER_IDENTIFIERS", "user_data must have 1 to 10 identifiers"}
	}
	for _, one := range u.Identifiers {
		if found := one.fault(); found != nil {
			return found
		}
	}
	return nil
}

func (i Identifier) fault() *fault {
	hash := i.Email + i.Phone
	switch {
	case i.Address != nil && hash == "":
		return i.Address.fault()
	case i.Address != nil, i.Email != "" && i.Phone != "":
		return &fault{"user_data", "INVALID_ARGUMENT", "an identifier has two members"}
	case !standin.IsSHA256(hash):
		return &fault{"user_data", "INVALID_SHA256_FORMAT", "user_data has something that is not hashed"}
	}
	return nil
}

func (a Address) fault() *fault {
	switch {
	case !standin.IsSHA256(a.GivenName) || !standin.IsSHA256(a.FamilyName):
		return &fault{"user_data", "INVALID_SHA256_FORMAT", "a name is not hashed"}
	case len(a.Region) != 2:
		return &fault{"user_data", "INVALID_REGION_CODE", "region_code is not of two letters"}
	case a.PostalCode == "":
		return &fault{"user_data", "INVALID_POSTAL_CODE", "postal_code is missing"}
	}
	return nil
}

func (c *Cart) fault() *fault {
	if c == nil {
		return nil
	}
	if c.MerchantID == "" || len(c.Items) == 0 {
		return &fault{"cart_data", "INVALID_MERCHANT_ID", "cart_data lacks its merchant_id, or items"}
	}
	for _, item := range c.Items {
		if n, err := strconv.ParseInt(item.Quantity, 10, 64); err != nil || n < 0 || item.ProductID == "" || item.Price != nil && isBelowZero(item.Price) {
			return &fault{"cart_data", "INVALID_NUMBER_FORMAT", "an item lacks its id, or its quantity is no whole number"}
		}
	}
	return nil
}

// Problem is what a Server has against an event; empty for none.
func Problem(event []byte) string {
	_, found := request{Encoding: "HEX", Events: []json.RawMessage{event}}.read()
	if found == nil {
		return ""
	}
	return found.why
}
