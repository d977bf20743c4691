package googleads

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"kvit/destination"
)

// request is the body of events:ingest
// (https://developers.google.com/data-manager/api/reference/rest/v1/events/ingest).
type request struct {
	Destinations []account  `json:"destinations"`
	Encoding     string     `json:"encoding"` // of the hashes
	ValidateOnly bool       `json:"validateOnly,omitempty"`
	Events       []struct{} `json:"events"` // put in by envelope
}

// account is where the events of a request go.
type account struct {
	Operating product  `json:"operatingAccount"`
	Login     *product `json:"loginAccount,omitempty"`
	Action    string   `json:"productDestinationId"`
}

type product struct {
	Type string `json:"accountType"`
	ID   string `json:"accountId"`
}

func (s *settings) accountOf(action string) account {
	a := account{Operating: product{"GOOGLE_ADS", s.CustomerID}, Action: action}
	if s.LoginCustomerID != "" {
		a.Login = &product{"GOOGLE_ADS", s.LoginCustomerID}
	}
	return a
}

// event is one of the list. Amounts are JSON numbers.
type event struct {
	TransactionID string          `json:"transactionId"`
	Timestamp     string          `json:"eventTimestamp"` // RFC 3339
	Source        string          `json:"eventSource"`
	Ads           *adIdentifiers  `json:"adIdentifiers,omitempty"`
	User          *userData       `json:"userData,omitempty"`
	Consent       consent         `json:"consent"`
	Currency      string          `json:"currency,omitempty"`
	Value         json.RawMessage `json:"conversionValue,omitempty"`
	Cart          *cartData       `json:"cartData,omitempty"`
}

// adIdentifiers hold one id of a click.
type adIdentifiers struct {
	GClid  string `json:"gclid,omitempty"`
	GBraid string `json:"gbraid,omitempty"`
	WBraid string `json:"wbraid,omitempty"`
}

type consent struct {
	UserData        string `json:"adUserData"`
	Personalization string `json:"adPersonalization"`
}

type cartData struct {
	MerchantID string `json:"merchantId"`
	Label      string `json:"merchantFeedLabel,omitempty"`
	Language   string `json:"merchantFeedLanguageCode,omitempty"`
	Items      []item `json:"items"`
}

type item struct {
	ProductID string          `json:"merchantProductId"`
	Quantity  string          `json:"quantity"` // an int64, which is a text in Google's JSON
	Price     json.RawMessage `json:"unitPrice,omitempty"`
}

const (
	web     = "WEB"
	granted = "CONSENT_GRANTED"
	denied  = "CONSENT_DENIED"

	// maxTransactionID is another sender's (https://github.com/elbwalker/walkerOS, README of its destination
	// datamanager); Google has an error for texts that are too long, and names no number.
	maxTransactionID = 512
)

func (s *settings) newEvent(e destination.Event, called string) (event, *destination.Error) {
	written := event{Timestamp: timestamp(e.OccurredAt), Source: web, Ads: clickOf(e.Payload.Client), Consent: s.consentOf(e)}
	if s.UserData {
		written.User = newUserData(e.Payload.Customer)
	}
	switch {
	case written.Consent.UserData == denied: // Google drops such an event later, and says so to nobody
		return event{}, destination.Reject("consent: the purpose in ad_user_data is not accepted, and Google takes no conversion without it")
	case written.Ads == nil && written.User == nil && s.UserData:
		return event{}, destination.Reject("client.gclid: is required, or client.wbraid, client.gbraid, customer.email, customer.phone, or name and address")
	case written.Ads == nil && written.User == nil:
		return event{}, destination.Reject("client.gclid: is required, or client.wbraid or client.gbraid")
	}
	written.TransactionID = transactionID(e, called)
	switch {
	case written.TransactionID == "":
		return event{}, destination.Reject("order_ref: is required")
	case utf8.RuneCountInString(written.TransactionID) > maxTransactionID:
		return event{}, destination.Reject("order_ref: must be at most %d characters", maxTransactionID)
	}
	return written, s.addValue(&written, e, called)
}

// transactionID is the order's reference for its conversion, and the event's key for any other.
func transactionID(e destination.Event, called string) string {
	if isSale(called) {
		return e.Reference()
	}
	return e.Key
}

// addValue says what the conversion is worth: a sale its total, after a refund what is left of it. Other events are
// worth what their order is, if they have one.
func (s *settings) addValue(written *event, e destination.Event, called string) *destination.Error {
	if rejected := e.UnreadSale(); rejected != nil && called != retract && called != restate {
		return rejected
	}
	order := e.Payload.Order
	if order == nil {
		order = &destination.Order{}
	}
	switch called {
	case purchase:
		return s.addSale(written, order)
	case restate:
		return addAmount(written, "order.remaining", order.Remaining, order.Currency)
	case retract:
		return addAmount(written, "order.total", "0", order.Currency)
	}
	if order.Currency != "" && !isNegative(order.Total) && strings.HasPrefix(e.Name, "order_") {
		written.Currency, written.Value = order.Currency, order.Total.JSON()
	}
	return nil
}

func (s *settings) addSale(written *event, order *destination.Order) *destination.Error {
	written.Cart = s.cartOf(order.Items)
	return addAmount(written, "order.total", order.Total, order.Currency)
}

func addAmount(written *event, field string, amount destination.Money, currency string) *destination.Error {
	switch {
	case currency == "":
		return destination.Reject("order.currency: is required")
	case amount == "":
		return destination.Reject("%s: is required", field)
	case isNegative(amount):
		return destination.Reject("%s: must not be below 0", field)
	}
	amount = destination.Money(strings.TrimPrefix(string(amount), "-")) // of -0.00
	written.Currency, written.Value = currency, amount.JSON()
	return nil
}

// isNegative is false for -0.00.
func isNegative(amount destination.Money) bool {
	return strings.HasPrefix(string(amount), "-") && strings.Trim(string(amount), "-0.") != ""
}

// cartOf are the lines that are products of the feed, not such as take something off; nil without a feed, or without such lines.
func (s *settings) cartOf(lines []destination.Item) *cartData {
	if s.MerchantID == "" {
		return nil
	}
	cart := &cartData{MerchantID: s.MerchantID, Label: s.FeedLabel, Language: s.FeedLanguage}
	for _, line := range lines {
		quantity := line.Quantity.Whole()
		if line.SKU == "" || quantity == nil || isNegative(line.UnitPrice) {
			continue
		}
		cart.Items = append(cart.Items, item{ProductID: line.SKU, Quantity: string(quantity), Price: destination.Money(strings.TrimPrefix(string(line.UnitPrice), "-")).JSON()})
	}
	if cart.Items == nil {
		return nil
	}
	return cart
}

// clickOf is the click that led to the shop: one of its ids, as the Google Ads API had it.
func clickOf(client *destination.Browser) *adIdentifiers {
	switch {
	case client == nil:
		return nil
	case client.GClid != "":
		return &adIdentifiers{GClid: client.GClid}
	case client.WBraid != "":
		return &adIdentifiers{WBraid: client.WBraid}
	case client.GBraid != "":
		return &adIdentifiers{GBraid: client.GBraid}
	}
	return nil
}

func (s *settings) consentOf(e destination.Event) consent {
	status := func(purpose string) string {
		if e.Accepts(purpose) {
			return granted
		}
		return denied
	}
	return consent{UserData: status(s.AdUserData), Personalization: status(s.AdPersonalization)}
}

func timestamp(at time.Time) string { return at.UTC().Format(time.RFC3339) }
