package destination

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// TestCustom is a custom event that only tests use.
const TestCustom = CustomPrefix + "kvit_test"

// testNames are in the order of what they can cause: what was looked at counts little, a cart or an
// account may start a mail to nobody, an order is in every report.
var testNames = []string{
	"page_viewed", "product_viewed", "search", TestCustom, "list_viewed", "promotion_viewed", "promotion_selected", "logged_in",
	"wishlist_item_added", "cart_item_removed", "shipping_info_given", "payment_info_given", "cart_updated", "account_updated", "checkout_started",
	"newsletter_optout", "sms_optout", "account_created", "newsletter_optin", "sms_optin",
	"order_cancelled", "order_placed", "order_shipped", "order_paid", "order_partly_refunded", "order_refunded",
}

// TestName chooses the most harmless of a destination's events; empty if it has none.
func TestName(events []string) string {
	for _, name := range testNames {
		if slices.Contains(events, name) || name == TestCustom && slices.Contains(events, AnyCustom) {
			return name
		}
	}
	if len(events) > 0 {
		return events[0] // a custom event of the shop's
	}
	return ""
}

// testPayload has what any adapter asks of any event. All addresses are reserved for examples (RFC
// 2606, 5737) and the phone number for fiction, so that nobody is written to; IDs are of nobody.
const testPayload = `{
 "customer": {"id": "KVIT-TEST-ID", "email": "kvit-test@example.com", "phone": "+12025550123", "first_name": "Kvit", "last_name": "Test",
  "language": "en", "address": {"lines": ["1 Example Street"], "postal_code": "10000", "city": "Example", "country": "DK"}, "is_new": false},
 "order": {"ref": "KVIT-TEST-ID", "number": "KVIT-TEST-ID", "currency": "EUR", "total": "0.01", "tax": "0.00", "shipping": "0.00", "remaining": "0.00", "payment_method": "test",
  "transaction_id": "KVIT-TEST-ID", "items": [{"sku": "KVIT-TEST", "name": "kvit test", "category": "kvit test", "quantity": 1, "unit_price": "0.01"}]},
 "cart": {"id": "KVIT-TEST-ID", "currency": "EUR", "total": "0.01", "items": [{"sku": "KVIT-TEST", "name": "kvit test", "category": "kvit test", "quantity": 1, "unit_price": "0.01"}]},
 "product": {"currency": "EUR", "sku": "KVIT-TEST", "name": "kvit test", "category": "kvit test", "unit_price": "0.01"},
 "search": {"term": "kvit test", "results": 0},
 "list": {"id": "KVIT-TEST-ID", "name": "kvit test", "items": [{"sku": "KVIT-TEST", "name": "kvit test", "category": "kvit test", "unit_price": "0.01"}]},
 "promotion": {"id": "KVIT-TEST-ID", "name": "kvit test"},
 "client": {"ip": "192.0.2.1", "user_agent": "kvit-test", "page_url": "https://shop.example.com/kvit-test", "page_title": "kvit test",
  "ga_client_id": "1234567890.1700000000", "ga_session_id": "1700000000", "matomo_id": "0123456789abcdef",
  "snowplow_id": "00000000-0000-4000-8000-000000000000", "snowplow_session": "00000000-0000-4000-8000-000000000001"},
 "custom": {"kvit_test": true}
}`

// TestEvent returns an event that names itself a test wherever somebody may meet it, with consent to
// analytics and marketing. Each is another one: its key is new.
func TestEvent(name string, now time.Time) Event {
	id := uuid.New().String()
	raw := []byte(strings.ReplaceAll(testPayload, "KVIT-TEST-ID", "KVIT-TEST-"+id[:8]))
	payload, _ := ParsePayload(name, raw) // fixed, and parsed for every name by a test
	event := Event{
		Key: "kvit-test:" + id, Name: name, OccurredAt: now.UTC(), Payload: payload, Raw: raw,
		Consent: []string{"analytics", "marketing"},
	}
	if payload.Order != nil && strings.HasPrefix(name, "order_") {
		event.OrderRef = payload.Order.Ref
	}
	return event
}
