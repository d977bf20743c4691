package destinationtest

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/destination"
)

// Marker is in every text of the payload of Event, so that a test can look for it where no personal
// data may be.
const Marker = "Qmarker"

// payload has every member of the contract. The opt-ins are left out: they depend on the event.
const payload = `{
 "customer": {"id": "MARKER-1042", "email": "MARKER.doe@example.com", "phone": "+12025550123", "first_name": "MARKER", "last_name": "MARKER & Sons",
  "company": "MARKER=1", "gender": "female", "birthday": "1990-05-17", "language": "en-GB",
  "address": {"lines": ["1 MARKER Street", "2nd floor"], "postal_code": "8000", "city": "MARKER+", "region": "MARKER", "country": "DK"},
  "tags": ["MARKER"], "is_new": false},
 "order": {"ref": "E100042", "number": "100042", "currency": "DKK", "total": "749.00", "tax": "149.80", "shipping": "0", "discount": "10.5", "remaining": "450.00",
  "coupon": "MARKER", "payment_method": "card", "transaction_id": "MARKER", "delivery_method": "parcel", "delivery_date": "2025-03-07",
  "items": [{"sku": "SKU-9", "name": "MARKER", "brand": "MARKER", "category": "MARKER", "variant": "MARKER", "quantity": 2, "unit_price": "299.00"}]},
 "cart": {"id": "MARKER-77", "currency": "DKK", "total": "299.00",
  "items": [{"sku": "SKU-9", "name": "MARKER", "quantity": 1, "unit_price": "299.00"}]},
 "product": {"currency": "DKK", "sku": "SKU-9", "name": "MARKER", "brand": "MARKER", "category": "MARKER", "variant": "MARKER", "unit_price": "299.00"},
 "search": {"term": "MARKER", "results": 7},
 "list": {"id": "MARKER", "name": "MARKER", "currency": "DKK", "items": [{"sku": "SKU-9", "name": "MARKER", "unit_price": "299.00", "list_id": "MARKER", "list_name": "MARKER"}]},
 "promotion": {"id": "MARKER", "name": "MARKER", "creative": "MARKER", "slot": "MARKER"},
 "client": {"ip": "2001:db8::1", "user_agent": "MARKER/1.0", "page_url": "https://shop.example.com/MARKER", "page_title": "MARKER", "referrer": "https://example.com/MARKER",
  "ga_client_id": "1234567890.1700000000", "ga_session_id": "1741083000", "fbp": "fb.1.1741082000000.1098115397", "fbc": "fb.1.1741082000000.MARKER",
  "ttclid": "MARKER", "ttp": "MARKER", "epik": "MARKER", "msclkid": "MARKER", "sc_click_id": "MARKER", "sc_cookie1": "MARKER", "rdt_cid": "MARKER", "rdt_uuid": "MARKER", "li_fat_id": "MARKER", "matomo_id": "0123456789abcdef",
  "snowplow_id": "b1dcbc5e-0f3a-4f8a-9d8e-0a8f9b3c2d1e", "snowplow_session": "7d1f0c9a-5b6e-4c3d-8a2b-1f0e9d8c7b6a", "gclid": "MARKER", "gbraid": "MARKER", "wbraid": "MARKER", "klaviyo_id": "MARKER", "spread_cookie": "MARKER"},
 "custom": {"customer_group": "MARKER"}
}`

// Event returns an event of this name with a payload that lacks nothing, full of Marker.
func Event(t testing.TB, name string) destination.Event {
	t.Helper()
	return EventWith(t, name, strings.ReplaceAll(payload, "MARKER", Marker))
}

// EventWith returns an event of this name with a payload of the caller's, which must be valid; it may
// be empty.
func EventWith(t testing.TB, name, payload string) destination.Event {
	t.Helper()
	parsed, rejected := destination.ParsePayload(name, []byte(payload))
	require.Nil(t, rejected)
	event := destination.Event{
		Key: name + ":E100042", Name: name, Payload: parsed, Raw: []byte(payload),
		OccurredAt: time.Date(2025, 3, 4, 10, 15, 30, 0, time.UTC), Consent: []string{"analytics", "marketing"},
	}
	if strings.HasPrefix(name, "order_") {
		event.OrderRef = "E100042"
	}
	return event
}
