package spread_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/destination"
	"kvit/destination/destinationtest"
	"kvit/destination/spread"
	"kvit/destination/spread/spreadtest"
)

var _ destination.Prober = (*spread.Spread)(nil)

func TestProve(t *testing.T) {
	t.Parallel()
	s, server := setup(t, options(), nil)
	proved, err := s.Prove(t.Context())
	require.NoError(t, err)
	require.Contains(t, proved, "the names of the grants")
	require.Equal(t, spreadtest.Counts{Requests: 1}, server.Counts(), "nothing is counted")
}

func TestProveFindsWrongKeysAndGrants(t *testing.T) {
	t.Parallel()
	wrong := options()
	wrong.PrivateKey = config.NewSecret("PRIVATEKEX")
	s, _ := setup(t, wrong, nil)
	_, err := s.Prove(t.Context())
	require.EqualError(t, err, "the provider did not accept the credentials (HTTP 401)")

	wrong = options()
	wrong.Grants.SMSOptin, wrong.Grants.Account = "NewsFax", ""
	s, _ = setup(t, wrong, nil)
	_, err = s.Prove(t.Context())
	require.ErrorContains(t, err, "grants.sms_optin: unknown consent")
	require.NotContains(t, err.Error(), "NewsFax")
}

// What is not the list says what is wrong, or proves less.
func TestProveReadsAnswersWithCare(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status       int
		body         string
		proved, says string
	}{
		"Array":       {200, `[{"techName": "NewsEmail"}, {"techName": "NewsSMS"}, {"techName": "LegalBasisOptin"}, {"techName": "LegalBasisOrder"}]`, "the names of the grants", ""},
		"OtherForm":   {200, `{"items": [1, "x", null]}`, "the grants are not proved", ""},
		"NoObjects":   {200, `{"consents": [1, "x", null]}`, "the grants are not proved", ""},
		"Pages":       {200, `{"consents": [{"techName": "NewsEmail"}], "nextPageUrl": "https://example.com/?startAt=3"}`, "not proved: grants.order, grants.account, grants.sms_optin", ""},
		"LastPage":    {200, `{"consents": [{"techName": "NewsEmail"}], "nextPageUrl": null}`, "", "grants.order, grants.account, grants.sms_optin: unknown consent"},
		"ErrorMember": {200, `{"error": "no", "code": 401}`, "", "did not accept the credentials"},
		"LoginPage":   {200, `<html>`, "", "not JSON"},
		"Nothing":     {200, ``, "", "not JSON"},
		"NotFound":    {404, ``, "", "no list of consents at base_url"},
		"Teapot":      {418, `{}`, "", "did not list the consents (HTTP 418)"},
		"NoContent":   {204, ``, "", "did not list the consents"},
		"Redirect":    {302, ``, "", "redirect"},
		"Broken":      {500, `{}`, "", "an error of its own"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := destinationtest.Answering(t, c.status, c.body)
			proved, err := at(t, url, options()).Prove(t.Context())
			if c.says != "" {
				require.ErrorContains(t, err, c.says)
				require.NotContains(t, err.Error(), strings.TrimPrefix(url, "http://"))
				return
			}
			require.NoError(t, err)
			require.Contains(t, proved, c.proved)
		})
	}
}
