package trustpilot

import (
	"slices"
	"strings"

	"kvit/destination"
)

// body is an invitation as https://developers.trustpilot.com/invitation-api has it.
type body struct {
	ReplyTo     string          `json:"replyTo,omitempty"`
	Locale      string          `json:"locale"`
	SenderName  string          `json:"senderName,omitempty"`
	SenderEmail string          `json:"senderEmail,omitempty"`
	Reference   string          `json:"referenceNumber"`
	Name        string          `json:"consumerName"`
	Email       string          `json:"consumerEmail"`
	Type        string          `json:"type"`
	Service     serviceReview   `json:"serviceReviewInvitation"`
	Products    *productReviews `json:"productReviewInvitation,omitempty"`
}

type serviceReview struct {
	TemplateID  string   `json:"templateId"`
	SendTime    string   `json:"preferredSendTime"` // UTC, without a zone
	RedirectURI string   `json:"redirectUri,omitempty"`
	Tags        []string `json:"tags,omitempty"`
}

// productReviews has no time of its own, since it must not come before the other.
type productReviews struct {
	TemplateID  string   `json:"templateId,omitempty"`
	RedirectURI string   `json:"redirectUri,omitempty"`
	SKUs        []string `json:"productSkus"`
}

// sendTimeForm is that of Trustpilot's examples
// (https://support.trustpilot.com/hc/en-us/community/posts/10091177348754-API-for-Invitations-Simplified-Payload-Examples).
const sendTimeForm = "2006-01-02T15:04:05"

// newInvitation is the same at every attempt.
func (s *settings) newInvitation(e destination.Event) (body, *destination.Error) {
	customer := e.Payload.Customer
	if customer == nil {
		customer = &destination.Customer{}
	}
	invited := body{
		ReplyTo: s.ReplyTo, SenderName: s.SenderName, SenderEmail: s.SenderEmail,
		Locale: s.localeOf(customer.Language), Reference: reference(e.Reference()), Name: nameOf(customer), Email: customer.Email, Type: "email",
		Service: serviceReview{
			TemplateID: s.TemplateID, SendTime: e.OccurredAt.Add(s.Delay).UTC().Format(sendTimeForm), RedirectURI: s.RedirectURI, Tags: s.Tags,
		},
	}
	switch {
	case invited.Email == "":
		return body{}, destination.Reject("customer.email: is required")
	case invited.Name == "":
		return body{}, destination.Reject("customer.first_name: is required, or customer.last_name or customer.company")
	case invited.Reference == "":
		return body{}, destination.Reject("order_ref: is required")
	}
	if s.Products && e.Payload.Order != nil {
		invited.Products = s.productsOf(e.Payload.Order.Items)
	}
	return invited, nil
}

// productsOf is nil for an order without SKUs.
func (s *settings) productsOf(lines []destination.Item) *productReviews {
	var skus []string
	for _, line := range lines {
		if line.SKU != "" && !slices.Contains(skus, line.SKU) {
			skus = append(skus, line.SKU)
		}
	}
	if skus == nil {
		return nil
	}
	return &productReviews{TemplateID: s.ProductTemplateID, RedirectURI: s.RedirectURI, SKUs: skus}
}

func nameOf(customer *destination.Customer) string {
	if name := strings.TrimSpace(customer.FirstName + " " + customer.LastName); name != "" {
		return name
	}
	return strings.TrimSpace(customer.Company)
}

// reference is without the characters with which links of invitations do not work
// (https://support.trustpilot.com/hc/en-us/articles/201949187).
func reference(ref string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(`#*+"%&`, r) {
			return '-'
		}
		return r
	}, ref)
}

// localeOf takes a language as da or da-DK. A region that is not in the list is not sent: Trustpilot might refuse it.
func (s *settings) localeOf(language string) string {
	code, region, _ := strings.Cut(strings.ReplaceAll(language, "_", "-"), "-")
	code = strings.ToLower(code)
	full := code + "-" + strings.ToUpper(region)
	for _, locale := range s.locales {
		if locale == full {
			return full
		}
	}
	if locale, known := s.locales[code]; known {
		return locale
	}
	return s.Locale
}
