package destination

import (
	"bytes"
	"context"
	"net/http"
)

// PostJSON posts a body of JSON. The headers are names and values by turns.
func (c *Client) PostJSON(ctx context.Context, address string, body []byte, headers ...string) (Answer, *Error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return Answer{}, &Error{Kind: Misconfigured, Reason: "the address cannot be used"}
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return c.Do(req)
}
