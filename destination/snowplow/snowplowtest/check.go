package snowplowtest

import (
	"bytes"
	"encoding/json"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

var (
	uuids   = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	millis  = regexp.MustCompile(`^\d{12,13}$`)
	decimal = regexp.MustCompile(`^-?\d+(\.\d+)?$`)
)

// fields are those of the protocol that are known here, with the length of their columns.
var fields = map[string]int{
	"e": 2, "eid": 36, "aid": 255, "tna": 128, "tv": 100, "p": 255, "dtm": 13, "ttm": 13, "stm": 13,
	"uid": 255, "duid": 128, "sid": 128, "ua": 1000, "ip": 128, "url": 4096, "page": 2000, "refr": 4096,
	"se_ca": 1000, "se_ac": 1000, "se_la": 1000, "se_pr": 1000, "se_va": 100, "ue_pr": 1 << 20, "co": 1 << 20,
}

// read returns what is wrong with an event, or nothing.
func (s *Server) read(raw []byte) (Event, string) {
	var event Event
	if err := json.Unmarshal(raw, &event.Fields); err != nil {
		return Event{}, "an event holds something else than texts"
	}
	if wrong := s.checkFields(event.Fields); wrong != "" {
		return Event{}, wrong
	}
	if wrong := checkKind(event.Fields); wrong != "" {
		return Event{}, wrong
	}
	var wrong string
	if event.Entities, wrong = readEntities(event.Fields["co"]); wrong != "" {
		return Event{}, wrong
	}
	if event.Fields["e"] == "ue" {
		event.Action, wrong = readAction(event.Fields["ue_pr"])
	}
	if wrong == "" {
		wrong = checkAction(event)
	}
	return event, wrong
}

func (s *Server) checkFields(given map[string]string) string {
	for name, value := range given {
		longest, known := fields[name]
		if !known {
			return "unknown field"
		}
		if value == "" || utf8.RuneCountInString(value) > longest {
			return name + " is empty or too long"
		}
	}
	switch {
	case !uuids.MatchString(given["eid"]):
		return "eid is not a UUID"
	case !millis.MatchString(given["dtm"]):
		return "dtm is not a time in milliseconds"
	case given["p"] != "srv" || given["tv"] == "" || given["tna"] == "":
		return "p, tv or tna is missing"
	case given["aid"] == "" || s.options.AppID != "" && given["aid"] != s.options.AppID:
		return "aid is not that of the application"
	}
	return ""
}

func checkKind(given map[string]string) string {
	switch given["e"] {
	case "pv":
		if given["url"] == "" {
			return "url is missing"
		}
	case "se":
		if given["se_ca"] == "" || given["se_ac"] == "" {
			return "se_ca or se_ac is missing"
		}
		if value := given["se_va"]; value != "" && !decimal.MatchString(value) {
			return "se_va is not a number"
		}
	case "ue":
		if given["ue_pr"] == "" {
			return "ue_pr is missing"
		}
	default:
		return "e is not a kind of event"
	}
	return ""
}

// described is data with its schema.
type described struct {
	Schema string          `json:"schema"`
	Data   json.RawMessage `json:"data"`
}

// strictly reads JSON that has the members of into and no others.
func strictly(raw []byte, into any) bool {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	decoder.UseNumber()
	return decoder.Decode(into) == nil
}

const commerce = "iglu:com.snowplowanalytics.snowplow.ecommerce/"

var actions = []string{
	"add_to_cart", "remove_from_cart", "product_view", "list_view", "list_click", "promo_view", "promo_click",
	"checkout_step", "transaction", "refund", "trns_error",
}

func readAction(text string) (action, wrong string) {
	var outer, inner described
	if !strictly([]byte(text), &outer) || outer.Schema != "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0" {
		return "", "ue_pr is no unstruct_event"
	}
	if !strictly(outer.Data, &inner) || inner.Schema != commerce+"snowplow_ecommerce_action/jsonschema/1-0-2" {
		return "", "ue_pr is no action of e-commerce"
	}
	var said struct {
		Type string `json:"type"`
	}
	if !strictly(inner.Data, &said) || !slices.Contains(actions, said.Type) {
		return "", "ue_pr is no known action"
	}
	return said.Type, ""
}

func readEntities(text string) (map[string][]map[string]any, string) {
	if text == "" {
		return nil, ""
	}
	var outer struct {
		Schema string      `json:"schema"`
		Data   []described `json:"data"`
	}
	if !strictly([]byte(text), &outer) || outer.Schema != "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0" || len(outer.Data) == 0 {
		return nil, "co is no list of contexts"
	}
	found := map[string][]map[string]any{}
	for _, entity := range outer.Data {
		name, ours := strings.CutPrefix(entity.Schema, commerce)
		name, version := strings.CutSuffix(name, "/jsonschema/1-0-0")
		rules, known := schemas[name]
		if !ours || !version || !known {
			return nil, "co has an unknown schema"
		}
		var data map[string]any
		if !strictly(entity.Data, &data) {
			return nil, name + " is no object"
		}
		if wrong := rules.check(data); wrong != "" {
			return nil, name + "." + wrong
		}
		found[name] = append(found[name], data)
	}
	return found, ""
}

// checkAction looks for the entity without which an action says nothing.
func checkAction(event Event) string {
	needed := map[string]string{
		"transaction": "transaction", "refund": "refund", "product_view": "product",
		"add_to_cart": "product", "checkout_step": "checkout_step",
	}[event.Action]
	if needed != "" && len(event.Entities[needed]) == 0 {
		return event.Action + " without its entity"
	}
	return ""
}

// schema is what https://github.com/snowplow/iglu-central asks of an entity: texts with their longest,
// amounts from 0 to 9,999,999 in hundredths, whole numbers up to the same.
type schema struct {
	needed  []string
	texts   map[string]int
	amounts []string
	whole   []string
}

var schemas = map[string]schema{
	"transaction": {
		needed:  []string{"transaction_id", "revenue", "currency", "payment_method", "total_quantity"},
		texts:   map[string]int{"transaction_id": 4096, "currency": 3, "payment_method": 128, "discount_code": 99},
		amounts: []string{"revenue", "tax", "shipping", "discount_amount"},
		whole:   []string{"total_quantity"},
	},
	"refund": {
		needed:  []string{"transaction_id", "currency", "refund_amount"},
		texts:   map[string]int{"transaction_id": 4096, "currency": 3, "refund_reason": 4096},
		amounts: []string{"refund_amount"},
	},
	"product": {
		needed:  []string{"id", "category", "price", "currency"},
		texts:   map[string]int{"id": 4096, "name": 4096, "category": 4096, "currency": 3, "brand": 256, "variant": 256, "size": 256},
		amounts: []string{"price", "list_price"},
		whole:   []string{"quantity", "position"},
	},
	"cart": {
		needed:  []string{"total_value", "currency"},
		texts:   map[string]int{"cart_id": 4096, "currency": 3},
		amounts: []string{"total_value"},
	},
	"checkout_step": {needed: []string{"step"}, whole: []string{"step"}},
	"user":          {needed: []string{"id"}, texts: map[string]int{"id": 128}},
}

func (s schema) check(data map[string]any) string {
	for _, name := range s.needed {
		if data[name] == nil {
			return name + " is missing"
		}
	}
	for name, value := range data {
		if !s.allows(name, value) {
			return name + " is unknown, or not what the schema asks for"
		}
	}
	return ""
}

func (s schema) allows(name string, value any) bool {
	if longest, isText := s.texts[name]; isText {
		text, ok := value.(string)
		return ok && utf8.RuneCountInString(text) <= longest && (name != "currency" || len(text) == 3)
	}
	number, ok := value.(json.Number)
	if !ok {
		return false
	}
	steps := map[bool]int64{true: 1, false: 100}[slices.Contains(s.whole, name)]
	exact, ok := new(big.Rat).SetString(number.String())
	return ok && exact.Sign() >= 0 && exact.Cmp(big.NewRat(9_999_999, 1)) <= 0 &&
		exact.Mul(exact, big.NewRat(steps, 1)).IsInt() && (slices.Contains(s.whole, name) || slices.Contains(s.amounts, name))
}
