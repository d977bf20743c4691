package destination

import (
	"bytes"
	"context"
	"io"
	"net/http"
)

// PostJSON posts a body of JSON. The headers are names and values by turns.
func (c *Client) PostJSON(ctx context.Context, address string, body []byte, headers ...string) (Answer, *Error) {
	return c.call(ctx, http.MethodPost, address, bytes.NewReader(body), append(headers, "Content-Type", "application/json"))
}

// Get asks for what is at an address. The headers are names and values by turns.
func (c *Client) Get(ctx context.Context, address string, headers ...string) (Answer, *Error) {
	return c.call(ctx, http.MethodGet, address, nil, headers)
}

func (c *Client) call(ctx context.Context, method, address string, body io.Reader, headers []string) (Answer, *Error) {
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return Answer{}, &Error{Kind: Misconfigured, Reason: "the address cannot be used"}
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return c.Do(req)
}
