package snap

import (
	"cmp"
	"encoding/json"

	"kvit/destination"
)

// event is one of the field data: CapiEvent in Snap's own SDK
// (https://github.com/Snapchat/business-sdk-v3-java/blob/main/api/openapi.yaml).
type event struct {
	Name      string      `json:"event_name"`
	Time      int64       `json:"event_time"` // Unix seconds
	ID        string      `json:"event_id"`
	Source    string      `json:"action_source"`
	SourceURL string      `json:"event_source_url"`
	User      userData    `json:"user_data"`
	Custom    *customData `json:"custom_data,omitempty"`
}

// customData is what the event is about. The value is a number, and what is in contents is text.
type customData struct {
	Currency     string          `json:"currency,omitempty"`
	Value        json.RawMessage `json:"value,omitempty"`
	OrderID      string          `json:"order_id,omitempty"`
	ContentIDs   []string        `json:"content_ids,omitempty"`
	Contents     []content       `json:"contents,omitempty"`
	NumItems     int64           `json:"num_items,omitempty"`
	ContentName  string          `json:"content_name,omitempty"`
	Category     string          `json:"content_category,omitempty"`
	SearchString string          `json:"search_string,omitempty"`
}

type content struct {
	ID       string `json:"id"`
	Quantity string `json:"quantity,omitempty"`
	Price    string `json:"item_price,omitempty"`
	Brand    string `json:"brand,omitempty"`
}

func (s *Snap) event(e destination.Event, called string) (event, *destination.Error) {
	written := event{Name: called, Time: e.OccurredAt.Unix(), ID: e.Key, Source: "WEB"}
	var rejected *destination.Error
	if written.SourceURL, rejected = s.page(e.Payload.Client); rejected != nil {
		return event{}, rejected
	}
	if written.User, rejected = newUserData(e.Payload); rejected != nil {
		return event{}, rejected
	}
	if written.Custom, rejected = newCustomData(e, called); rejected != nil {
		return event{}, rejected
	}
	return written, nil
}

// page is the address that Snap requires of an event on the web.
func (s *Snap) page(client *destination.Browser) (string, *destination.Error) {
	if client != nil {
		if address := destination.WebAddress(client.PageURL); address != "" {
			return address, nil
		}
	}
	if s.pageURL == "" {
		return "", destination.Reject("client.page_url: is required as an address on the web, unless page_url is configured")
	}
	return s.pageURL, nil
}

// newCustomData is nil if there is nothing to say.
func newCustomData(e destination.Event, called string) (*customData, *destination.Error) {
	goods := e.Goods()
	rejected := cmp.Or(e.UnreadSale(), e.EmptyCart())
	if called == purchase {
		rejected = cmp.Or(rejected, goods.PricelessSale())
	}
	if rejected != nil {
		return nil, rejected
	}
	c := customData{
		OrderID: goods.Reference, Value: goods.Amount(goods.Total), ContentName: goods.Name, Category: goods.Category, SearchString: goods.Term,
	}
	c.items(goods)
	if c.Value != nil {
		c.Currency = goods.Currency
	}
	if c.isEmpty() {
		return nil, nil //nolint:nilnil // nothing to say is no mistake
	}
	return &c, nil
}

// items leaves out those without a SKU, which no catalogue can know.
func (c *customData) items(goods destination.Goods) {
	c.NumItems = goods.Pieces()
	for _, item := range goods.Items {
		if item.SKU == "" {
			continue
		}
		price := string(goods.Amount(item.UnitPrice))
		if price != "" {
			c.Currency = goods.Currency
		}
		c.ContentIDs = append(c.ContentIDs, item.SKU)
		c.Contents = append(c.Contents, content{ID: item.SKU, Quantity: string(item.Quantity.Whole()), Price: price, Brand: item.Brand})
	}
}

func (c *customData) isEmpty() bool {
	return c.OrderID == "" && c.Value == nil && c.Contents == nil && c.NumItems == 0 && c.ContentName == "" && c.Category == "" && c.SearchString == ""
}
