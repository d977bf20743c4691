package spread_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/destination"
	"kvit/destination/spread"
)

// A line holds what the API would get, under the titles of SPREAD's import.
func TestImportFile(t *testing.T) {
	t.Parallel()
	event := func(name, payload string) destination.Event {
		parsed, rejected := destination.ParsePayload(name, []byte(payload))
		require.Nil(t, rejected)
		return destination.Event{
			Key: name + ":E1", Name: name, OrderRef: "E1", OccurredAt: time.Date(2025, 3, 4, 23, 30, 0, 0, time.UTC), Payload: parsed, Raw: []byte(payload),
		}
	}
	cells := func(s *spread.Spread, e destination.Event) map[string]string {
		row, rejected := s.ImportRow(e)
		require.Nil(t, rejected)
		header := s.ImportHeader()
		require.Len(t, row, len(header))
		list := map[string]string{}
		for i, title := range header {
			if row[i] != "" {
				list[title] = row[i]
			}
		}
		return list
	}
	s := at(t, "https://spread.example", options())
	require.NotContains(t, s.ImportHeader(), "ID Externe", "it would change what profiles are known by")
	person := map[string]string{
		"Email": "jane.doe@example.com", "Nom": "Doe", "Prénom": "Jane", "Adresse": "1 Example Street, 2nd floor", "Code postal": "8000", "Ville": "Aarhus C", "Pays": "DK",
	}
	order := map[string]string{
		"Commande : référence": "E1", "Commande : montant": "749.00", "Commande : statut": "20", "Commande : date": "2025-03-05",
		"LegalBasisOrder : valeur": "1", "LegalBasisOrder : date": "2025-03-05",
	}
	for title, value := range person {
		order[title] = value
	}
	require.Equal(t, order, cells(s, event("order_paid", janesOrder)), "the day is that of the account's zone")
	account := map[string]string{"LegalBasisOptin : valeur": "1", "LegalBasisOptin : date": "2025-03-05"}
	for title, value := range person {
		account[title] = value
	}
	require.Equal(t, account, cells(s, event("account_created", `{`+jane+`}`)))
	row, rejected := s.ImportRow(event("order_placed", janesOrder))
	require.Nil(t, rejected)
	require.Nil(t, row, "the order counts when it is paid")
	_, rejected = s.ImportRow(event("order_paid", `{`+jane+`}`))
	require.NotNil(t, rejected)

	byID := options()
	byID.Identity = spread.ExternalID
	require.Equal(t, "cust-1042", cells(at(t, "https://spread.example", byID), event("order_paid", janesOrder))["ID Externe"])
}
