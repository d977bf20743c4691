package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"kvit/config"
	"kvit/destination"
)

// hook posts JSON to an address.
type hook struct {
	url    config.Secret
	body   func(Message) any
	signer *destination.Signer // nil: who has the address may write there
	client *destination.Client
}

// Reach connects and sends nothing.
func (h *hook) Reach(ctx context.Context) error { return h.client.Reach(ctx, h.url.Reveal()) }

// Send posts the message. Any 2xx is success, whatever the answer's body.
func (h *hook) Send(ctx context.Context, m Message) (string, error) {
	body, err := json.Marshal(h.body(m))
	if err != nil {
		return "", errors.New("the message cannot be written as JSON")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url.Reveal(), bytes.NewReader(body))
	if err != nil {
		return "", errors.New("the address cannot be used")
	}
	req.Header.Set("Content-Type", "application/json")
	if h.signer != nil {
		if err := h.signer.Sign(req.Header, m.ID, time.Now(), body); err != nil {
			return "", errors.New("the secret cannot be used")
		}
	}
	answer, failed := h.client.Do(req)
	if failed != nil {
		return "", failed
	}
	return judge(answer.Status)
}

func judge(code int) (answer string, err error) {
	answer = fmt.Sprintf("HTTP %d", code)
	switch {
	case code/100 == 2:
		return answer, nil
	case code/100 == 3:
		return answer, errors.New(answer + ": the address has moved, and redirects are not followed")
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return answer, errors.New(answer + ": the address or the secret is not accepted")
	case code == http.StatusNotFound || code == http.StatusGone:
		return answer, errors.New(answer + ": nothing takes messages at this address")
	default:
		return answer, errors.New(answer)
	}
}

// webhook is what a signed webhook says; docs/operations.md describes it.
type webhook struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      struct {
		Label    string     `json:"label"`
		Alarm    string     `json:"alarm"`
		Title    string     `json:"title"`
		Severity string     `json:"severity"`
		Subject  string     `json:"subject"`
		Detail   string     `json:"detail"`
		Means    string     `json:"means"`
		Do       string     `json:"do"`
		Docs     string     `json:"docs"`
		Since    time.Time  `json:"since"`
		Until    *time.Time `json:"until"`
		First    string     `json:"opened_id"`
	} `json:"data"`
}

func webhookBody(m Message) any {
	w := webhook{Type: "alarm." + m.What, Timestamp: m.At}
	w.Data.Label, w.Data.Alarm, w.Data.Title, w.Data.Severity, w.Data.Subject = m.Label, m.Alarm, m.Title, string(m.Severity), m.Subject
	w.Data.Detail, w.Data.Means, w.Data.Do, w.Data.Docs = m.Detail, m.Means, m.Do, m.Docs
	w.Data.Since, w.Data.Until, w.Data.First = m.Since, m.Until, m.First
	return w
}

// slackEscapes are the three characters that mean something to Slack in any text.
var slackEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// slackBody is text alone, which every incoming webhook of this form takes.
func slackBody(m Message) any {
	return map[string]string{"text": slackEscapes.Replace(strings.Join(append([]string{m.head()}, m.lines()...), "\n"))}
}

// teamsBody is a message with one Adaptive Card, as the trigger "When a Teams webhook request is received" takes it.
func teamsBody(m Message) any {
	block := func(text string, more map[string]any) map[string]any {
		all := map[string]any{"type": "TextBlock", "text": plainCard(text), "wrap": true}
		for key, value := range more {
			all[key] = value
		}
		return all
	}
	blocks := []map[string]any{block(m.head(), map[string]any{"weight": "Bolder", "size": "Medium"})}
	for _, line := range m.lines() {
		blocks = append(blocks, block(line, nil))
	}
	return map[string]any{
		"type": "message",
		"attachments": []map[string]any{{
			"contentType": "application/vnd.microsoft.card.adaptive",
			"contentUrl":  nil,
			"content": map[string]any{
				"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4",
				"body": blocks, "msteams": map[string]any{"width": "Full"},
			},
		}},
	}
}

// markdown are the characters that mean something in a TextBlock.
var markdown = strings.NewReplacer("\\", "\\\\", "*", "\\*", "_", "\\_", "[", "\\[", "]", "\\]")

func plainCard(text string) string { return markdown.Replace(text) }
