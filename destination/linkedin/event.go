package linkedin

import (
	"cmp"
	"net/netip"

	"kvit/destination"
)

// conversion is one of the list of elements.
type conversion struct {
	Rule  string `json:"conversion"`
	At    int64  `json:"conversionHappenedAt"` // Unix milliseconds
	Value *value `json:"conversionValue,omitempty"`
	User  user   `json:"user"`
	ID    string `json:"eventId"`
}

// value is an amount, as text.
type value struct {
	Currency string `json:"currencyCode"`
	Amount   string `json:"amount"`
}

type user struct {
	IDs []userID `json:"userIds"`
}

type userID struct {
	Type  string `json:"idType"`
	Value string `json:"idValue"`
}

func newConversion(e destination.Event, rule string) (conversion, *destination.Error) {
	goods := e.Goods()
	rejected := e.UnreadSale()
	if e.Name == "order_paid" || e.Name == "order_placed" {
		rejected = cmp.Or(rejected, goods.PricelessSale())
	}
	ids := userIDs(e.Payload)
	if len(ids) == 0 {
		rejected = cmp.Or(rejected, destination.Reject("customer.email: is required, or client.li_fat_id, or an IPv4 address in client.ip"))
	}
	if rejected != nil {
		return conversion{}, rejected
	}
	c := conversion{Rule: rule, At: e.OccurredAt.UnixMilli(), User: user{IDs: ids}, ID: e.Key}
	if amount := goods.Amount(goods.Total); amount != nil {
		c.Value = &value{Currency: goods.Currency, Amount: string(amount)}
	}
	return c, nil
}

// userIDs are hashes in hexadecimal digits, but for LinkedIn's own id. Names, companies and the shop's id LinkedIn
// takes as they are alone, so they are not sent.
func userIDs(p destination.Payload) []userID {
	var ids []userID
	add := func(kind, id string) {
		if id != "" {
			ids = append(ids, userID{Type: kind, Value: id})
		}
	}
	if p.Customer != nil {
		add("SHA256_EMAIL", destination.Hashed(destination.Lower(p.Customer.Email)))
	}
	if p.Client != nil {
		add("LINKEDIN_FIRST_PARTY_ADS_TRACKING_UUID", p.Client.LiFatID)
		add("SHA256_IP_ADDRESS", destination.Hashed(ipv4(p.Client.IP)))
	}
	return ids
}

// ipv4 is empty for an address of IPv6, which LinkedIn does not take.
func ipv4(address string) string {
	addr, err := netip.ParseAddr(address)
	if err != nil || !addr.Unmap().Is4() {
		return ""
	}
	return addr.Unmap().String()
}
