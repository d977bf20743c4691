package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"kvit/destination"
	"kvit/destination/destinationtest"
)

// matchKeysOf says where a provider's form of an event has its match keys, and which of them are not hashed.
var matchKeysOf = map[string]struct {
	kind, within string
	plain        []string
}{
	"meta":      {"meta", "user_data", nil},
	"tiktok":    {"tiktok", "user", []string{"city", "state", "country"}},
	"pinterest": {"pinterest", "user_data", nil},
	"ga4":       {"ga4", "user_data", []string{"city", "region", "postal_code", "country"}},
	"snap":      {"snap", "user_data", []string{"client_ip_address", "sc_click_id"}},
	"reddit":    {"reddit", "user", []string{"user_agent"}},
	"linkedin":  {"linkedin", "user.userIds", []string{"LINKEDIN_FIRST_PARTY_ADS_TRACKING_UUID"}},
	"ads":       {"google_ads", "userData.userIdentifiers", []string{"regionCode", "postalCode"}},
	"uet":       {"microsoft_uet", "userData", []string{"externalId"}},
}

// TestMatchKeys: each provider is told of a person in the form that its page demands.
func TestMatchKeys(t *testing.T) {
	t.Parallel()
	for provider, form := range matchKeysOf {
		adapter := adapterFor(t, form.kind)
		for _, key := range destinationtest.MatchKeys(t, provider) {
			event := oddEvent(t, map[string]string{key.Member: key.Value})
			encoded, rejected := adapter.Encode(event)
			require.Nil(t, rejected)
			body := string(encoded.Body)
			if provider == "ga4" {
				body = encoded.Group
			}
			user := gjson.Get(body, form.within)
			got := user.Get(key.Key)
			if !got.Exists() {
				got = user.Get("address.0." + key.Key) // Google Analytics'
			}
			if user.IsArray() { // Google Ads', of identifiers with a member each
				got = gjson.Parse(strings.TrimSuffix(user.Get("#."+key.Key).Raw, "[]") + strings.TrimSuffix(user.Get("#.address."+key.Key).Raw, "[]"))
			}
			if !got.Exists() {
				got = user.Get(`#(idType=="` + key.Key + `").idValue`) // LinkedIn's
			}
			if got.IsArray() {
				got = got.Get("0")
			}
			want := key.Normal
			if want != "" && !slices.Contains(form.plain, key.Key) {
				want = destination.SHA256Hex(want)
			}
			require.Equal(t, want, got.Str, "%s %s of %s %s is not %q", provider, key.Key, key.Member, key.Value, key.Normal)
		}
	}
}

func adapterFor(t *testing.T, kind string) destination.Batcher {
	for _, p := range providers {
		if p.kind == kind {
			_, adapter := p.configured(t, "https://provider.example.com")
			return adapter.(destination.Batcher)
		}
	}
	t.Fatal(kind)
	return nil
}
