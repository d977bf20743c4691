package matomo

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"kvit/destination"
)

// query is a tracking request, in the order of the calls; empty values are left out.
type query struct{ strings.Builder }

func (q *query) add(name, value string) {
	if value == "" {
		return
	}
	if q.Len() > 0 {
		q.WriteByte('&')
	}
	q.WriteString(name)
	q.WriteByte('=')
	q.WriteString(url.QueryEscape(value))
}

func (q *query) amount(name string, value destination.Money) { q.add(name, string(value.JSON())) }

// query writes the event: what kind of hit, who, when, and what.
func (s *settings) query(event destination.Event) (string, *destination.Error) {
	called, ok := s.mapping.Of(event.Name)
	if !ok {
		return "", destination.Reject("name: is not an event that this destination sends")
	}
	var q query
	q.add("idsite", s.site)
	q.add("rec", "1")
	q.add("apiv", "1")
	q.add("send_image", "0")
	q.add("bots", "1") // nothing that a server tells is a browser's own request
	q.add("cdt", strconv.FormatInt(event.OccurredAt.Unix(), 10))
	s.visitor(&q, event)
	if client := event.Payload.Client; client != nil {
		q.add("url", client.PageURL)
		q.add("urlref", client.Referrer)
	}
	if err := what(&q, event, called); err != nil {
		return "", err
	}
	return q.String(), nil
}

var visitorIDs = regexp.MustCompile(`^[0-9A-Fa-f]{16}$`)

// visitor says who it was. Matomo refuses a visitor id of another form, which is therefore left out.
// Without any id it goes by address and browser; without these it would take kvit's own, and put the
// events of all such customers into one visit: they get an id of their own, the same at every attempt.
func (s *settings) visitor(q *query, event destination.Event) {
	client, customer := event.Payload.Client, event.Payload.Customer
	if client == nil {
		client = &destination.Browser{}
	}
	if customer == nil {
		customer = &destination.Customer{}
	}
	known := visitorIDs.MatchString(client.MatomoID)
	userID := ""
	if s.UserID == Always || (s.UserID == Fallback && !known) {
		userID = strings.TrimSpace(customer.ID)
	}
	ip := address(client.IP)
	switch {
	case known:
		q.add("_id", strings.ToLower(client.MatomoID))
		q.add("cid", strings.ToLower(client.MatomoID))
	case userID == "" && (ip == "" || client.UserAgent == ""):
		id := destination.UUID(event.Key)
		q.add("cid", hex.EncodeToString(id[8:]))
	}
	q.add("uid", userID)
	q.add("cip", ip)
	q.add("ua", client.UserAgent)
	q.add("lang", customer.Language)
}

// address leaves out an address with a zone, which Matomo cannot read.
func address(ip string) string {
	if parsed, err := netip.ParseAddr(ip); err != nil || parsed.Zone() != "" {
		return ""
	}
	return ip
}

func what(q *query, event destination.Event, called string) *destination.Error {
	switch form(event.Name, called) {
	case formOrder:
		return order(q, event)
	case formCart:
		return cart(q, event)
	case formPage:
		return page(q, event)
	case formProduct:
		return product(q, event)
	case formSearch:
		return search(q, event)
	default:
		return action(q, event, called)
	}
}

// maxOrderID is the length of Matomo's column; longer ones would be cut, and be the same order.
const maxOrderID = 100

func order(q *query, event destination.Event) *destination.Error {
	o := event.Payload.Order
	if o == nil {
		o = &destination.Order{}
	}
	ref := event.Reference()
	switch {
	case ref == "" || ref == "0": // PHP's empty(), by which Matomo tells an order from a cart
		return destination.Reject("order_ref: is required, or order.ref, and must not be 0")
	case utf8.RuneCountInString(ref) > maxOrderID:
		return destination.Reject("order_ref: must not be longer than %d characters", maxOrderID)
	case o.Total == "":
		return destination.Reject("order.total: is required")
	}
	q.add("idgoal", "0")
	q.add("ec_id", ref)
	q.amount("revenue", o.Total)
	q.amount("ec_st", o.Total.Minus(o.Shipping)) // what Matomo calls the sub total: all but the shipping
	q.amount("ec_tx", o.Tax)
	q.amount("ec_sh", o.Shipping)
	q.amount("ec_dt", o.Discount)
	items(q, o.Items)
	return nil
}

// cart says all that is in the cart: an item that is not said is gone.
func cart(q *query, event destination.Event) *destination.Error {
	c := event.Payload.Cart
	if c == nil || c.Items == nil {
		return destination.Reject("cart.items: is required, and an empty list for an empty cart")
	}
	total := c.Total
	if total == "" && len(c.Items) == 0 {
		total = "0"
	}
	if total == "" {
		return destination.Reject("cart.total: is required")
	}
	q.add("idgoal", "0")
	q.amount("revenue", total)
	items(q, c.Items)
	return nil
}

// items adds what Matomo keeps of each: sku, name, category, price, quantity. It passes over one
// without a sku, so that the name stands in.
func items(q *query, list []destination.Item) {
	lines := make([][5]any, 0, len(list))
	for _, item := range list {
		sku := cmp.Or(item.SKU, item.Name)
		if sku == "" {
			continue
		}
		lines = append(lines, [5]any{sku, item.Name, item.Category, number(item.UnitPrice.JSON(), "0"), number(item.Quantity.JSON(), "1")})
	}
	q.add("ec_items", string(destination.JSON(lines)))
}

func number(value json.RawMessage, none string) json.RawMessage {
	if value == nil {
		return json.RawMessage(none)
	}
	return value
}

// page needs something to call the page by; Matomo requires neither.
func page(q *query, event destination.Event) *destination.Error {
	client := event.Payload.Client
	if client == nil || client.PageURL == "" && client.PageTitle == "" {
		return destination.Reject("client.page_url: is required, or client.page_title")
	}
	q.add("action_name", client.PageTitle)
	return nil
}

// product is a page view that says which product was seen.
func product(q *query, event destination.Event) *destination.Error {
	p := event.Payload.Product
	if p == nil || (p.SKU == "" && p.Name == "") {
		return destination.Reject("product.sku: is required, or product.name")
	}
	q.add("_pks", cmp.Or(p.SKU, p.Name))
	q.add("_pkn", p.Name)
	q.add("_pkc", p.Category)
	q.amount("_pkp", p.UnitPrice)
	title := cmp.Or(p.Name, p.SKU)
	if client := event.Payload.Client; client != nil {
		title = cmp.Or(client.PageTitle, title)
	}
	q.add("action_name", title)
	return nil
}

func search(q *query, event destination.Event) *destination.Error {
	s := event.Payload.Search
	if s == nil || strings.TrimSpace(s.Term) == "" {
		return destination.Reject("search.term: is required")
	}
	q.add("search", s.Term)
	if s.Results != nil {
		q.add("search_count", strconv.FormatInt(*s.Results, 10))
	}
	return nil
}

// action is a Matomo event, with the order or the cart that it is about. ca=1 keeps it from being
// taken for a page view where Matomo's events are switched off.
func action(q *query, event destination.Event, called string) *destination.Error {
	category, name := nameOf(called)
	if category == "" || name == "" {
		return destination.Reject("name: must not be blank")
	}
	q.add("e_c", category)
	q.add("e_a", name)
	q.add("ca", "1")
	switch p := event.Payload; {
	case strings.HasPrefix(event.Name, "order_"):
		q.add("e_n", event.Reference())
		if p.Order != nil {
			q.amount("e_v", p.Order.Total)
		}
	case (event.Name == "checkout_started" || event.Name == "shipping_info_given" || event.Name == "payment_info_given") && p.Cart != nil:
		q.amount("e_v", p.Cart.Total)
	case (event.Name == "cart_item_removed" || event.Name == "wishlist_item_added") && p.Product != nil:
		q.add("e_n", cmp.Or(p.Product.SKU, p.Product.Name))
	case strings.HasPrefix(event.Name, "promotion_") && p.Promo != nil:
		q.add("e_n", cmp.Or(p.Promo.Name, p.Promo.ID))
	}
	return nil
}
