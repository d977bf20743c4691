package spreadtest

import (
	"maps"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"kvit/destination/destinationtest/standin"
)

// fields are the values of a form by key, "data[customer_email]" for instance.
type fields map[string]string

// known are the fields of an account or order call.
var known = regexp.MustCompile(`^(request\[order_idorder\]|data\[(` +
	`customer_(email|cookie|name|firstname|isoptin|gender|address|address_2|address_3|cp|city|country|tel|mobile|fonction|company|birthday|lang)` +
	`|external_id|action|(add|del)_tag\]\[\d+|consents\]\[\w+|custom_fields\]\[\d+` +
	`|order_(idorder|state|amount)|date|(add|del)_order_tag\]\[\d+)\])$`)

// knownCart are those of an automation, whose names are free.
var knownCart = regexp.MustCompile(`^(key\[\w+\]|\w+|items\[\d+\]\[\w+\])$`)

// readFields refuses what PHP's http_build_query would not have written.
func readFields(req *http.Request) (fields, refusal) {
	media, _, _ := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if media != "application/x-www-form-urlencoded" {
		return nil, refusal{http.StatusUnsupportedMediaType, "wrong content type"}
	}
	body := string(standin.Body(req))
	if strings.ContainsAny(body, "[] \r\n") {
		return nil, refusal{http.StatusBadRequest, "body is not percent-encoded"}
	}
	values, err := url.ParseQuery(body)
	if err != nil {
		return nil, refusal{http.StatusBadRequest, "body is not form-encoded"}
	}
	allowed := known
	if strings.Contains(req.URL.Path, "/automations/") {
		allowed = knownCart
	}
	return single(values, allowed)
}

func single(values url.Values, allowed *regexp.Regexp) (fields, refusal) {
	f := fields{}
	for key, list := range values {
		if !allowed.MatchString(key) {
			return nil, refusal{http.StatusBadRequest, "unknown field"}
		}
		if len(list) != 1 || list[0] == "" {
			return nil, refusal{http.StatusBadRequest, key + " is repeated or empty"}
		}
		f[key] = list[0]
	}
	return f, refusal{}
}

// below returns the values of data[<name>][…] by what is in the last brackets.
func (f fields) below(name string) map[string]string {
	found := map[string]string{}
	for key, value := range f {
		if inside, ok := strings.CutPrefix(key, "data["+name+"]["); ok {
			found[strings.TrimSuffix(inside, "]")] = value
		}
	}
	return found
}

func (f fields) list(name string) []string {
	below := f.below(name)
	numbers := slices.SortedFunc(maps.Keys(below), func(a, b string) int {
		m, _ := strconv.Atoi(a) // known lets digits through only
		n, _ := strconv.Atoi(b)
		return m - n
	})
	var list []string
	for _, number := range numbers {
		list = append(list, below[number])
	}
	return list
}

var (
	emails  = regexp.MustCompile(`^[^@\s]+@[^@\s]+$`)
	amounts = regexp.MustCompile(`^-?\d+(\.\d+)?$`)
)

// check finds the first field that is missing or has a form SPREAD does not name.
func (f fields) check() refusal {
	bad := func(field string) refusal {
		return refusal{http.StatusUnprocessableEntity, field + " is missing or malformed"}
	}
	in := func(field string, values ...string) bool {
		value, given := f["data["+field+"]"]
		return !given || slices.Contains(values, value)
	}
	email, given := f["data[customer_email]"]
	switch {
	case !given && f["data[external_id]"] == "", given && !emails.MatchString(email):
		return bad("customer_email")
	case !in("action", "signup", "order", "newsletter"):
		return bad("action")
	case !in("customer_isoptin", "1", "0", "-1"):
		return bad("customer_isoptin")
	case !in("customer_gender", "male", "female"):
		return bad("customer_gender")
	}
	for _, value := range f.below("consents") {
		if value != "1" && value != "0" {
			return bad("consents")
		}
	}
	return refusal{}
}

// checkOrder finds the first field that an order call lacks.
func (f fields) checkOrder() refusal {
	bad := func(field string) refusal {
		return refusal{http.StatusUnprocessableEntity, field + " is missing or malformed"}
	}
	state := f["data[order_state]"]
	amount, hasAmount := f["data[order_amount]"]
	date, hasDate := f["data[date]"]
	sold := state == "10" || state == "20"
	switch {
	case f["data[order_idorder]"] == "" || f["request[order_idorder]"] != f["data[order_idorder]"]:
		return bad("order_idorder")
	case !slices.Contains([]string{"0", "10", "20", "50"}, state):
		return bad("order_state")
	case (sold || hasAmount) && !amounts.MatchString(amount):
		return bad("order_amount")
	}
	if _, err := time.Parse(time.DateTime, date); (sold || hasDate) && err != nil {
		return bad("date")
	}
	return refusal{}
}
