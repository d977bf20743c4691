package spread

import (
	"net/url"
	"slices"

	"kvit/destination"
)

var _ destination.Importer = (*Spread)(nil)

// importColumn is a column of the file that SPREAD's import takes, and the field of the API that holds the same.
type importColumn struct{ title, field string }

// importColumns have the titles of SPREAD's page about the import's format, as far as it could be read: up to the
// person's gender. The others are inferred; docs/destinations/spread.md says so.
var importColumns = []importColumn{
	{"Email", "customer_email"}, {"Nom", "customer_name"}, {"Prénom", "customer_firstname"}, {"ID Externe", "external_id"},
	{"Anniversaire", "customer_birthday"}, {"Genre", "customer_gender"},
	{"Société", "customer_company"}, {"Téléphone portable", "customer_mobile"}, {"Langue", "customer_lang"},
	{"Adresse", "customer_address"}, {"Code postal", "customer_cp"}, {"Ville", "customer_city"}, {"Pays", "customer_country"},
	{"Commande : référence", "order_idorder"}, {"Commande : montant", "order_amount"}, {"Commande : statut", "order_state"},
}

// importDate is the one form of a date that each column of SPREAD's import takes, and a file must have but one.
const importDate = "2006-01-02"

// columns are those of the account: an external id in the file would change what profiles are known by.
func (s *settings) columns() []importColumn {
	return slices.DeleteFunc(slices.Clone(importColumns), func(c importColumn) bool {
		return c.field == "external_id" && s.Identity != ExternalID
	})
}

// grantNames are the consents and legal bases that a file may tell of, each once.
func (s *settings) grantNames() []string {
	var names []string
	for _, name := range []string{s.Grants.Order, s.Grants.Account, s.Grants.EmailOptin, s.Grants.SMSOptin} {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// ImportHeader names the columns: two for each consent, as SPREAD wants them.
func (s *Spread) ImportHeader() []string {
	var header []string
	for _, c := range s.columns() {
		header = append(header, c.title)
	}
	header = append(header, "Commande : date")
	for _, name := range s.grantNames() {
		header = append(header, name+" : valeur", name+" : date")
	}
	return header
}

// ImportRow is a line for an account, and for an order when it counts (validate_on): the same values as Send's.
func (s *Spread) ImportRow(event destination.Event) ([]string, *destination.Error) {
	if event.Name != "account_created" && !s.counts(event.Name) {
		return nil, nil
	}
	call, rejected := s.call(event)
	if rejected != nil {
		return nil, rejected
	}
	form, err := url.ParseQuery(call.body)
	if err != nil {
		return nil, destination.Reject("payload: cannot be written down")
	}
	var row []string
	for _, c := range s.columns() {
		row = append(row, form.Get("data["+c.field+"]"))
	}
	day := event.OccurredAt.In(s.zone).Format(importDate)
	ordered := ""
	if s.counts(event.Name) {
		ordered = day
	}
	row = append(row, ordered)
	for _, name := range s.grantNames() {
		value, at := form.Get("data[consents]["+name+"]"), ""
		if value != "" {
			at = day
		}
		row = append(row, value, at)
	}
	return row, nil
}
