package linkedintest

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"kvit/destination/destinationtest/standin"
)

// event is what LinkedIn's schema knows of one.
type event struct {
	Rule  string `json:"conversion"`
	At    *int64 `json:"conversionHappenedAt"`
	Value *struct {
		Currency string `json:"currencyCode"`
		Amount   string `json:"amount"`
	} `json:"conversionValue"`
	User *struct {
		IDs []struct {
			Type  string `json:"idType"`
			Value string `json:"idValue"`
		} `json:"userIds"`
		Info *struct {
			FirstName string `json:"firstName"`
			LastName  string `json:"lastName"`
			Title     string `json:"title"`
			Company   string `json:"companyName"`
			Country   string `json:"countryCode"`
		} `json:"userInfo"`
		ExternalIDs []string `json:"externalIds"`
		Lead        string   `json:"lead"`
	} `json:"user"`
	ID string `json:"eventId"`
}

var (
	amount  = regexp.MustCompile(`^(0|[1-9][0-9]*)(\.[0-9]+)?$`)
	idTypes = []string{"SHA256_EMAIL", "LINKEDIN_FIRST_PARTY_ADS_TRACKING_UUID", "ACXIOM_ID", "PLAINTEXT_IP_ADDRESS", "SHA256_IP_ADDRESS", "GOOGLE_AID"}
)

// milliseconds is a time below which others are in seconds.
const milliseconds = 1_000_000_000_000

// check is what LinkedIn has against an event.
func (s *Server) check(e event) string {
	rule, known := s.options.Rules[strings.TrimPrefix(e.Rule, urn)]
	switch {
	case !strings.HasPrefix(e.Rule, urn) || !known || rule.Method != "CONVERSIONS_API" || rule.Disabled:
		return "conversion: is no rule that takes events"
	case e.ID == "":
		return "eventId: is missing"
	case e.Value != nil && (!amount.MatchString(e.Value.Amount) || !standin.IsCurrency(e.Value.Currency)):
		return "conversionValue: is no amount with a currency"
	case e.User == nil || e.User.IDs == nil:
		return "user.userIds: is required"
	}
	if problem := s.checkTime(e.At); problem != "" {
		return problem
	}
	return e.checkUser()
}

func (s *Server) checkTime(at *int64) string {
	if at == nil || *at < milliseconds {
		return "conversionHappenedAt: is not in Unix milliseconds"
	}
	if s.options.Now == nil {
		return ""
	}
	if age := s.options.Now().Sub(time.UnixMilli(*at)); age < 0 || age > maxAge {
		return "conversionHappenedAt: is out of range"
	}
	return ""
}

func (e event) checkUser() string {
	for _, id := range e.User.IDs {
		switch {
		case !slices.Contains(idTypes, id.Type):
			return "idType: is not known"
		case id.Value == "":
			return "idValue: is empty"
		case strings.HasPrefix(id.Type, "SHA256_") && !standin.IsSHA256(id.Value):
			return "idValue: is not hashed"
		case id.Type == "PLAINTEXT_IP_ADDRESS" && !isIPv4(id.Value):
			return "idValue: is no IPv4 address"
		}
	}
	info := e.User.Info
	switch {
	case info != nil && (info.FirstName == "" || info.LastName == ""):
		return "userInfo: needs firstName and lastName"
	case len(e.User.IDs) == 0 && info == nil && len(e.User.ExternalIDs) == 0 && e.User.Lead == "":
		return "user: identifies nobody"
	case len(e.User.ExternalIDs) > 1:
		return "externalIds: has more than one"
	}
	return ""
}

func isIPv4(text string) bool {
	addr, err := netip.ParseAddr(text)
	return err == nil && addr.Is4()
}
