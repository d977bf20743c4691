package main

import (
	"kvit/config"
	"kvit/destination/ga4"
	"kvit/destination/googleads"
	"kvit/destination/klaviyo"
	"kvit/destination/linkedin"
	"kvit/destination/matomo"
	"kvit/destination/meta"
	"kvit/destination/microsoftuet"
	"kvit/destination/pinterest"
	"kvit/destination/reddit"
	"kvit/destination/snap"
	"kvit/destination/snowplow"
	"kvit/destination/spread"
	"kvit/destination/tiktok"
	"kvit/destination/trustpilot"
	"kvit/destination/webhook"
)

// kinds are what a destination can be, in the order in which messages list them. Nothing else in kvit lists
// them: a provider is its folder and its line here.
var kinds = []config.Kind{
	spread.Kind,
	ga4.Kind,
	googleads.Kind,
	meta.Kind,
	tiktok.Kind,
	pinterest.Kind,
	matomo.Kind,
	klaviyo.Kind,
	trustpilot.Kind,
	microsoftuet.Kind,
	snap.Kind,
	reddit.Kind,
	linkedin.Kind,
	snowplow.Kind,
	webhook.Kind,
}
