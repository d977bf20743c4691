package ga4

import (
	"encoding/binary"
	"strconv"
	"strings"
	"unicode/utf8"

	"kvit/destination"
)

// visitor is a request without its events. Events share a request if all of it is the same.
type visitor struct {
	ClientID string    `json:"client_id"`
	UserID   string    `json:"user_id,omitempty"`
	UserData *userData `json:"user_data,omitempty"`
	Consent  consent   `json:"consent"`
}

// consent says what Google may do with the events in advertising.
type consent struct {
	AdUserData        string `json:"ad_user_data"`
	AdPersonalization string `json:"ad_personalization"`
}

const (
	maxClientID = 100
	maxUserID   = 256 // https://support.google.com/analytics/answer/9267744
)

func (g *GA4) visitor(event destination.Event) (visitor, *destination.Error) {
	clientID := clientID(event.Payload.Client)
	switch {
	case utf8.RuneCountInString(clientID) > maxClientID:
		return visitor{}, destination.Reject("client.ga_client_id: must not be longer than %d characters", maxClientID)
	case clientID != "":
		return g.known(event, clientID), nil
	case g.WithoutClientID == Derive:
		return visitor{ClientID: derived(event.Key), Consent: answers(false)}, nil
	default:
		return visitor{}, destination.Reject("client.ga_client_id: is required (see without_client_id)")
	}
}

// known is a visitor whose browser has an id of Google's.
func (g *GA4) known(event destination.Event, clientID string) visitor {
	v := visitor{ClientID: clientID, Consent: answers(event.Accepts(g.AdPurpose))}
	customer := event.Payload.Customer
	if customer == nil {
		return v
	}
	v.UserID = userID(customer.ID)
	if g.UserData && event.Accepts(g.AdPurpose) {
		v.UserData = hashed(customer)
	}
	return v
}

// userID is what Google is told as the id of the customer, empty for nothing: it forbids an e-mail address as
// an id, and cutting an id would make it another's.
func userID(customerID string) string {
	if strings.Contains(customerID, "@") || utf8.RuneCountInString(customerID) > maxUserID {
		return ""
	}
	return customerID
}

func answers(accepted bool) consent {
	if accepted {
		return consent{"GRANTED", "GRANTED"}
	}
	return consent{"DENIED", "DENIED"}
}

// clientID is what the browser's tag calls the visitor.
func clientID(browser *destination.Browser) string {
	if browser == nil {
		return ""
	}
	return normalClientID(browser.GAClientID)
}

// normalClientID takes a shop that stored the whole cookie _ga, such as GA1.1.1234567890.1700000000, to mean
// its last two parts: Google would see a new visitor in the rest.
func normalClientID(id string) string {
	id = strings.TrimSpace(id)
	parts := strings.Split(id, ".")
	if len(parts) == 4 && parts[0] == "GA1" {
		return parts[2] + "." + parts[3]
	}
	return id
}

// derived is a client id in the form of Google's own, two numbers. The same event always gets the same.
func derived(eventKey string) string {
	id := destination.UUID(eventKey)
	high, low := binary.BigEndian.Uint32(id[:4]), binary.BigEndian.Uint32(id[12:])
	return strconv.FormatUint(uint64(high), 10) + "." + strconv.FormatUint(uint64(low), 10)
}
