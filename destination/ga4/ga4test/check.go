package ga4test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"kvit/destination/destinationtest/standin"
)

// checked is a request and what is wrong with it.
type checked struct {
	ClientID string
	UserID   string
	events   []event
	messages []Message // what the validation tells
	loud     []Message // what it does not look at: the query, the headers, the age
}

type event struct {
	Name      string
	Timestamp json.RawMessage
	Params    map[string]any
}

func (e event) text(name string) string {
	text, _ := e.Params[name].(string)
	return text
}

func (c *checked) wrong(path, code, description string) {
	c.messages = append(c.messages, Message{FieldPath: path, Description: description, Code: code})
}

func (c *checked) wrongUnseen(path, description string) {
	c.loud = append(c.loud, Message{FieldPath: path, Description: description})
}

// The protocol's limits: docs/destinations/ga4.md names their sources.
const (
	maxBody   = 130_000
	maxEvents = 25
	maxParams = 25
	maxItems  = 200
	maxAge    = 72 * time.Hour
)

var (
	names  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,39}$`)
	taken  = regexp.MustCompile(`^(ga_|google_|firebase_|gtag_)|^(session_start|first_visit|first_open|user_engagement|error|app_remove|in_app_purchase|ad_click|screen_view)$`)
	micros = regexp.MustCompile(`^[0-9]{16}$`)
)

func (s *Server) check(req *http.Request, body []byte) *checked {
	c := &checked{}
	query := req.URL.Query()
	if query.Get("measurement_id") != s.options.MeasurementID || query.Get("api_secret") != s.options.APISecret || len(query) != 2 {
		c.wrongUnseen("query", "is not that of this stream")
	}
	if req.Header.Get("Content-Type") != "application/json" {
		c.wrongUnseen("Content-Type", "is not application/json")
	}
	if len(body) >= maxBody {
		c.wrong("", "EXCEEDED_MAX_ENTITIES", "the body is too large")
		return c
	}
	if err := c.read(body); err != nil {
		c.wrong("", "VALUE_INVALID", "the body is not a request")
		return c
	}
	for i, e := range c.events {
		c.checkEvent(fmt.Sprintf("events[%d]", i), e)
		s.checkAge(c, fmt.Sprintf("events[%d].timestamp_micros", i), e)
	}
	return c
}

// read is strict about names: a member that nobody knows is a mistake in spelling.
func (c *checked) read(body []byte) error {
	var r struct {
		ClientID  string                     `json:"client_id"`
		UserID    *string                    `json:"user_id"`
		UserData  map[string]json.RawMessage `json:"user_data"`
		Consent   map[string]string          `json:"consent"`
		Behaviour string                     `json:"validation_behavior"`
		Timestamp json.RawMessage            `json:"timestamp_micros"`
		Events    []struct {
			Name      string          `json:"name"`
			Timestamp json.RawMessage `json:"timestamp_micros"`
			Params    map[string]any  `json:"params"`
		} `json:"events"`
	}
	if err := standin.Strict(body, &r); err != nil {
		return err
	}
	c.ClientID = r.ClientID
	if r.ClientID == "" {
		c.wrong("client_id", "VALUE_REQUIRED", "is missing")
	}
	if r.UserID != nil {
		c.UserID = *r.UserID
		c.checkUserID(*r.UserID)
	}
	if r.Timestamp != nil && !micros.Match(r.Timestamp) {
		c.wrong("timestamp_micros", "VALUE_INVALID", "must be microseconds")
	}
	if len(r.Events) == 0 || len(r.Events) > maxEvents {
		c.wrong("events", "EXCEEDED_MAX_ENTITIES", "must be 1 to 25")
	}
	for _, e := range r.Events {
		c.events = append(c.events, event{Name: e.Name, Timestamp: e.Timestamp, Params: e.Params})
	}
	c.checkConsent(r.Consent)
	c.checkUserData(r.UserData, r.Consent)
	return nil
}

func (c *checked) checkUserID(id string) {
	if id == "" || strings.Contains(id, "@") || utf8.RuneCountInString(id) > 256 {
		c.wrong("user_id", "VALUE_INVALID", "is empty, an e-mail address or too long")
	}
}

func (c *checked) checkConsent(consent map[string]string) {
	for name, answer := range consent {
		if name != "ad_user_data" && name != "ad_personalization" || answer != "GRANTED" && answer != "DENIED" {
			c.wrong("consent", "VALUE_INVALID", "is malformed")
		}
	}
}

func (c *checked) checkUserData(data map[string]json.RawMessage, consent map[string]string) {
	if data != nil && consent["ad_user_data"] != "GRANTED" {
		c.wrong("user_data", "VALUE_INVALID", "is sent without consent")
	}
	for name, value := range data {
		switch name {
		case "sha256_email_address", "sha256_phone_number":
			var hashes []string
			if json.Unmarshal(value, &hashes) != nil || len(hashes) == 0 || slices.ContainsFunc(hashes, notHash) {
				c.wrong("user_data."+name, "VALUE_INVALID", "must be hashes")
			}
		case "address":
			c.checkAddresses(value)
		default:
			c.wrong("user_data", "VALUE_INVALID", "has an unknown member")
		}
	}
}

func notHash(text string) bool { return !standin.IsSHA256(text) }

func (c *checked) checkAddresses(value json.RawMessage) {
	var addresses []map[string]string
	if json.Unmarshal(value, &addresses) != nil || len(addresses) == 0 {
		c.wrong("user_data.address", "VALUE_INVALID", "must be addresses")
	}
	plain := []string{"city", "region", "postal_code", "country"}
	secret := []string{"sha256_first_name", "sha256_last_name", "sha256_street"}
	for _, address := range addresses {
		for name, text := range address {
			if !slices.Contains(plain, name) && (!slices.Contains(secret, name) || notHash(text)) {
				c.wrong("user_data.address", "VALUE_INVALID", "has an unknown member, or one that must be a hash")
			}
		}
	}
}

func (c *checked) checkEvent(path string, e event) {
	switch {
	case !names.MatchString(e.Name):
		c.wrong(path+".name", "NAME_INVALID", "must be 40 letters, digits and _, beginning with a letter")
	case taken.MatchString(e.Name):
		c.wrong(path+".name", "NAME_RESERVED", "is reserved")
	}
	if len(e.Params) > maxParams {
		c.wrong(path+".params", "EXCEEDED_MAX_ENTITIES", "are more than 25")
	}
	for _, name := range slices.Sorted(maps.Keys(e.Params)) {
		c.checkParam(path+".params."+name, name, e.Params[name])
	}
	c.checkNeeded(path+".params", e)
}

func (c *checked) checkParam(path, name string, value any) {
	if !names.MatchString(name) || strings.HasPrefix(name, "ga_") || strings.HasPrefix(name, "google_") || strings.HasPrefix(name, "firebase_") {
		c.wrong(path, "NAME_INVALID", "is no name of a parameter")
	}
	if items, isList := value.([]any); isList && name == "items" {
		c.checkItems(path, items)
		return
	}
	c.checkValue(path, name, value)
}

// texts are the parameters by which Google recognises something, and which are texts even if they look
// like numbers.
var texts = map[string]bool{"transaction_id": true, "session_id": true, "currency": true}

var longer = map[string]int{"page_title": 300, "page_referrer": 420, "page_location": 1000}

func (c *checked) checkValue(path, name string, value any) {
	most := 100
	if longer[name] > 0 {
		most = longer[name]
	}
	switch v := value.(type) {
	case json.Number:
		if texts[name] {
			c.wrong(path, "VALUE_INVALID", "must be a string")
		}
	case string:
		if utf8.RuneCountInString(v) > most || v == "" {
			c.wrong(path, "VALUE_OUT_OF_BOUNDS", "is empty or too long")
		}
		if standin.HasEmail(v) {
			c.wrongUnseen(path, "holds an e-mail address")
		}
		if name == "currency" && !standin.IsCurrency(v) {
			c.wrong(path, "VALUE_INVALID", "must be ISO 4217")
		}
	default:
		c.wrong(path, "VALUE_INVALID", "must be a string or a number")
	}
}

var itemNames = []string{
	"item_id", "item_name", "item_brand", "item_category", "item_variant", "price", "quantity", "index",
	"discount", "coupon", "affiliation", "item_list_id", "item_list_name", "location_id",
}

func (c *checked) checkItems(path string, items []any) {
	if len(items) == 0 || len(items) > maxItems {
		c.wrong(path, "EXCEEDED_MAX_ENTITIES", "must be 1 to 200")
	}
	for _, value := range items {
		item, _ := value.(map[string]any)
		if item["item_id"] == nil && item["item_name"] == nil {
			c.wrong(path, "VALUE_REQUIRED", "an item has neither item_id nor item_name")
		}
		for name, value := range item {
			if !slices.Contains(itemNames, name) {
				c.wrong(path, "NAME_INVALID", "an item has an unknown member")
			}
			_, isNumber := value.(json.Number)
			if isNumber != (name == "price" || name == "quantity" || name == "index" || name == "discount") {
				c.wrong(path, "VALUE_INVALID", "a member of an item has the wrong type")
			}
			c.checkValue(path, name, value)
		}
	}
}

// checkNeeded looks for what the event is nothing without.
func (c *checked) checkNeeded(path string, e event) {
	needed := map[string][]string{
		"purchase": {"transaction_id", "currency", "value"}, "refund": {"transaction_id", "currency", "value"},
		"add_to_cart": {"items"}, "begin_checkout": {"items"}, "view_item": {"items"}, "search": {"search_term"},
	}[e.Name]
	if e.Params["value"] != nil {
		needed = append(needed, "currency")
	}
	for _, name := range needed {
		if e.Params[name] == nil || e.Params[name] == "" {
			c.wrong(path+"."+name, "VALUE_REQUIRED", "is missing")
		}
	}
	if number, given := e.Params["value"]; given {
		if _, isNumber := number.(json.Number); !isNumber {
			c.wrong(path+".value", "VALUE_INVALID", "must be a number")
		}
	}
}

func (s *Server) checkAge(c *checked, path string, e event) {
	at, err := strconv.ParseInt(string(e.Timestamp), 10, 64)
	if err != nil || !micros.Match(e.Timestamp) {
		c.wrong(path, "VALUE_INVALID", "must be microseconds")
		return
	}
	if s.options.Now == nil {
		return
	}
	if age := s.options.Now().Sub(time.UnixMicro(at)); age > maxAge || age < -time.Minute {
		c.wrongUnseen(path, "is too old, or in the future")
	}
}
