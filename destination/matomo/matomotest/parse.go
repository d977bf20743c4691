package matomotest

import (
	"encoding/json"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// forms are the parameters that are known here, and what they look like.
var forms = map[string]*regexp.Regexp{
	"idsite": whole, "rec": regexp.MustCompile(`^1$`), "apiv": regexp.MustCompile(`^1$`),
	"send_image": regexp.MustCompile(`^0$`), "bots": regexp.MustCompile(`^1$`), "ca": regexp.MustCompile(`^1$`),
	"cdt": regexp.MustCompile(`^\d{9,10}$`), "_id": visitorID, "cid": visitorID, "uid": some, "cip": some, "ua": some, "lang": some,
	"url": some, "urlref": some, "action_name": some,
	"idgoal": regexp.MustCompile(`^0$`), "ec_id": regexp.MustCompile(`^.{1,100}$`), "ec_items": some,
	"revenue": amount, "ec_st": amount, "ec_tx": amount, "ec_sh": amount, "ec_dt": amount,
	"_pks": some, "_pkn": some, "_pkc": some, "_pkp": amount,
	"search": some, "search_count": whole,
	"e_c": some, "e_a": some, "e_n": some, "e_v": amount,
}

var (
	whole     = regexp.MustCompile(`^\d{1,15}$`)
	some      = regexp.MustCompile(`(?s)^.+$`)
	visitorID = regexp.MustCompile(`^[0-9a-f]{16}$`)
	amount    = regexp.MustCompile(`^-?(0|[1-9]\d*)(\.\d+)?$`)
)

// parse reads a tracking request, and says which field makes it invalid.
func parse(request, site string, authenticated bool) (url.Values, string) {
	raw, ok := strings.CutPrefix(request, "?")
	fields, err := url.ParseQuery(raw)
	if !ok || err != nil {
		return nil, "request"
	}
	for name, values := range fields {
		form, known := forms[name]
		if !known || len(values) != 1 || !form.MatchString(values[0]) {
			return nil, name
		}
	}
	switch {
	case fields.Get("idsite") != site:
		return nil, "idsite"
	case fields.Get("rec") == "":
		return nil, "rec"
	case fields.Has("cip") && (!authenticated || !isAddress(fields.Get("cip"))):
		return nil, "cip"
	case !fields.Has("cdt"), !authenticated: // no event here is younger than a day
		return nil, "cdt"
	}
	return fields, badHit(fields)
}

// badHit names the field without which the kind of hit is none.
func badHit(fields url.Values) string {
	isEvent := fields.Has("e_c") || fields.Has("e_a")
	switch {
	case fields.Has("idgoal") && !fields.Has("revenue"):
		return "revenue"
	case fields.Has("ec_id") && (!fields.Has("idgoal") || fields.Get("ec_id") == "0"):
		return "ec_id"
	case fields.Has("idgoal") && !isItems(fields.Get("ec_items")):
		return "ec_items"
	case isEvent && (isBlank(fields.Get("e_c")) || isBlank(fields.Get("e_a"))):
		return "e_a"
	case isEvent && !fields.Has("ca"):
		return "ca"
	case !fields.Has("idgoal") && !isEvent && !fields.Has("search") && !fields.Has("url") && !fields.Has("action_name"):
		return "url"
	}
	return ""
}

func isAddress(text string) bool {
	parsed, err := netip.ParseAddr(text)
	return err == nil && parsed.Zone() == ""
}

// isItems checks the list of sku, name, category, price and quantity.
func isItems(text string) bool {
	var items [][]any
	if json.Unmarshal([]byte(text), &items) != nil {
		return false
	}
	for _, item := range items {
		if len(item) != 5 {
			return false
		}
		sku, isText := item[0].(string)
		_, price := item[3].(float64)
		_, quantity := item[4].(float64)
		if !isText || sku == "" || !price || !quantity {
			return false
		}
	}
	return true
}

func seconds(fields url.Values) int64 {
	n, _ := strconv.ParseInt(fields.Get("cdt"), 10, 64) // parse lets digits through only
	return n
}
