package webhook

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

	"kvit/destination"
)

// Body is the JSON that is posted for an event:
//
//	{"type":"order.paid","timestamp":"2025-03-04T10:15:30Z","data":{"event_key":"order_paid:E100042",
//	 "name":"order_paid","order_ref":"E100042","payload":{…}}}
//
// The payload is copied as it is stored, not parsed and written anew; it is null if there is none,
// and so is order_ref.
func Body(event destination.Event) []byte {
	body := make([]byte, 0, len(event.Raw)+512)
	body = append(body, `{"type":`...)
	body = appendString(body, Type(event.Name))
	body = append(body, `,"timestamp":"`...)
	body = event.OccurredAt.UTC().AppendFormat(body, time.RFC3339Nano)
	body = append(body, `","data":{"event_key":`...)
	body = appendString(body, event.Key)
	body = append(body, `,"name":`...)
	body = appendString(body, event.Name)
	body = append(body, `,"order_ref":`...)
	if event.OrderRef == "" {
		body = append(body, `null`...)
	} else {
		body = appendString(body, event.OrderRef)
	}
	body = append(body, `,"payload":`...)
	if raw := bytes.TrimSpace(event.Raw); len(raw) == 0 {
		body = append(body, `null`...)
	} else {
		body = append(body, raw...)
	}
	return append(body, `}}`...)
}

func appendString(to []byte, text string) []byte {
	quoted, _ := json.Marshal(text) // a string always can be
	return append(to, quoted...)
}

// Type is the type of a webhook for an event's name: order_paid gives order.paid, and custom:vip
// level gives custom.vip_level, since a part of a type has letters, digits and underscores only.
func Type(name string) string {
	if custom, ok := strings.CutPrefix(name, destination.CustomPrefix); ok {
		return "custom." + strings.Map(plain, custom)
	}
	return strings.Replace(strings.Map(plain, name), "_", ".", 1)
}

func plain(r rune) rune {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return r
	default:
		return '_'
	}
}
