package reddit

import (
	"cmp"
	"encoding/json"
	"slices"

	"kvit/destination"
)

// event is one of the list data.events.
type event struct {
	At        int64     `json:"event_at"` // Unix milliseconds
	Source    string    `json:"action_source"`
	SourceURL string    `json:"event_source_url,omitempty"`
	Type      eventType `json:"type"`
	ClickID   string    `json:"click_id,omitempty"`
	User      *user     `json:"user,omitempty"`
	Metadata  metadata  `json:"metadata"`
}

type eventType struct {
	Tracking string `json:"tracking_type"`
	Name     string `json:"custom_event_name,omitempty"` // of a custom event
}

// metadata is what the event is about. Reddit takes a value and a currency together or not at all.
type metadata struct {
	ConversionID string          `json:"conversion_id"`
	Currency     string          `json:"currency,omitempty"`
	Value        json.RawMessage `json:"value,omitempty"`
	ItemCount    int64           `json:"item_count,omitempty"`
	Products     []product       `json:"products,omitempty"`
}

type product struct {
	ID       string          `json:"id"`
	Name     string          `json:"name,omitempty"`
	Category string          `json:"category,omitempty"`
	Quantity json.RawMessage `json:"quantity,omitempty"`
	Price    json.RawMessage `json:"item_price,omitempty"`
}

func newEvent(e destination.Event, kind eventType) (event, *destination.Error) {
	written := event{At: e.OccurredAt.UnixMilli(), Source: "WEBSITE", Type: kind}
	if b := e.Payload.Client; b != nil {
		written.SourceURL, written.ClickID = destination.WebAddress(b.PageURL), b.RDTClid
	}
	written.User = newUser(e.Payload)
	if written.ClickID == "" && !written.User.isSomebody() {
		return event{}, destination.Reject("customer.email: is required, or customer.phone, customer.id, client.rdt_cid, client.rdt_uuid or client.ip")
	}
	var rejected *destination.Error
	written.Metadata, rejected = newMetadata(e, kind.Tracking)
	return written, rejected
}

func newMetadata(e destination.Event, tracking string) (metadata, *destination.Error) {
	goods := e.Goods()
	rejected := cmp.Or(e.UnreadSale(), e.EmptyCart())
	if tracking == purchase {
		rejected = cmp.Or(rejected, goods.PricelessSale())
	}
	if rejected != nil {
		return metadata{}, rejected
	}
	m := metadata{ConversionID: e.Key, Products: productsOf(goods)}
	if value := goods.Amount(goods.Total); value != nil && !slices.Contains([]string{pageVisit, viewContent, search}, tracking) {
		m.Value, m.Currency = value, goods.Currency
	}
	if slices.Contains([]string{addToCart, addToWishes, custom, purchase}, tracking) {
		m.ItemCount = goods.Pieces()
	}
	return m, nil
}

// productsOf leaves out those without a SKU, which Reddit requires.
func productsOf(goods destination.Goods) []product {
	var list []product
	for _, item := range goods.Items {
		if item.SKU == "" {
			continue
		}
		list = append(list, product{
			ID: item.SKU, Name: item.Name, Category: item.Category, Quantity: item.Quantity.Whole(), Price: goods.Amount(item.UnitPrice),
		})
	}
	return list
}
