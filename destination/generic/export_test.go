package generic

import (
	"context"
	"io"

	"kvit/destination"
)

// BodyOf is the body of an event's request, without sending it; null if it is rejected.
func BodyOf(d destination.Destination, event destination.Event) []byte {
	h := d.(*HTTP)
	req, failed := h.requestFor(event.Name).build(context.Background(), event)
	if failed != nil {
		return []byte("null")
	}
	body, _ := io.ReadAll(req.Body)
	return body
}
